//! What issuers are asked about callers' tokens, and what they said.
//!
//! All who need the same answer at the same time wait for one question; there are never more than a few questions at once, and none
//! for a moment after one failed. Answers are kept under a keyed hash of the token.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portcullis_core::{Digest, KeyedHash, Timestamp};
use tokio::sync::Semaphore;

use crate::expiring::Expiring;
use crate::flights::Flights;

/// How many questions are under way at once.
const MOST_AT_ONCE: usize = 64;
/// How long nobody is asked after a question failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The questions to one issuer.
pub(crate) struct Questions<A> {
    hash: KeyedHash,
    /// Nothing, where there was no answer.
    answers: Expiring<Digest, Option<A>>,
    flights: Flights<Digest>,
    at_once: Semaphore,
    unavailable_until: AtomicU64,
}

/// What is known of a token.
pub(crate) enum Found<A> {
    /// The issuer said this.
    Answer(A),
    /// It could not be asked, a moment ago.
    Unavailable,
    /// It was not asked yet.
    Unknown,
}

/// Why there is no answer.
pub(crate) enum Unanswered {
    /// What the issuer said of this token is of no use.
    Useless,
    /// It does not answer: nobody is asked for a moment.
    Away,
}

impl<A: Clone> Questions<A> {
    /// With room for so many answers.
    pub(crate) fn new(hash: KeyedHash, most: usize) -> Self {
        Self {
            hash,
            answers: Expiring::new(most),
            flights: Flights::default(),
            at_once: Semaphore::new(MOST_AT_ONCE),
            unavailable_until: AtomicU64::new(0),
        }
    }

    /// What stands for a token, and whatever else the answer depends on.
    pub(crate) fn digest(&self, parts: &[&[u8]]) -> Digest {
        self.hash.digest(parts)
    }

    pub(crate) fn find(&self, about: &Digest, now: Timestamp) -> Found<A> {
        match self.answers.find(about, now) {
            Some(Some(answer)) => Found::Answer(answer),
            Some(None) => Found::Unavailable,
            None if now.0 < self.unavailable_until.load(Ordering::Relaxed) => Found::Unavailable,
            None => Found::Unknown,
        }
    }

    /// Asks by `question`, which tells the answer and until when it is believed, unless somebody has just done so.
    pub(crate) async fn ask(
        &self,
        about: Digest,
        now: Timestamp,
        question: impl Future<Output = Result<(A, Timestamp), Unanswered>>,
    ) {
        self.flights
            .in_turn(about, async {
                if self.answers.find(&about, now).is_some() {
                    return;
                }
                let (answer, until) = match self.in_place(question).await {
                    Ok((answer, until)) => (Some(answer), until),
                    Err(unanswered) => {
                        let pause = now.plus(PAUSE);
                        if matches!(unanswered, Unanswered::Away) {
                            self.unavailable_until.fetch_max(pause.0, Ordering::Relaxed);
                        }
                        (None, pause)
                    }
                };
                self.answers.insert(about, answer, until, now);
            })
            .await;
    }

    async fn in_place<T>(
        &self,
        question: impl Future<Output = Result<T, Unanswered>>,
    ) -> Result<T, Unanswered> {
        let _place = self.at_once.acquire().await.map_err(|_| Unanswered::Useless)?;
        question.await
    }
}
