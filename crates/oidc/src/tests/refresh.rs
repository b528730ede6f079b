use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use portcullis_core::{Clock, KeyPath, ManualClock, Period, Problems, Timestamp};
use tokio::sync::Semaphore;

use super::{Signer, document};
use crate::{
    Algorithm, Candidates, Fetch, FetchError, KeySetUrl, KeySource, RawRefresh, RefreshError, RefreshRules,
    Refreshed, Sending,
};

const URL: &str = "https://login.example.com/keys";

/// A provider that counts what it is asked, and answers only as often as it is allowed to.
struct Provider {
    answer: Mutex<Result<Bytes, FetchError>>,
    fetches: AtomicUsize,
    gate: Semaphore,
}

impl Provider {
    fn new(answer: Result<Vec<u8>, FetchError>) -> Self {
        Self {
            answer: Mutex::new(answer.map(Bytes::from)),
            fetches: AtomicUsize::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }

    fn answers(&self, answer: Result<Vec<u8>, FetchError>) {
        *self.answer.lock().unwrap() = answer.map(Bytes::from);
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

impl Fetch for Provider {
    fn send(&self, request: Request<Bytes>) -> Sending<'_> {
        assert_eq!((request.method(), request.uri().to_string().as_str()), (&Method::GET, URL));
        self.fetches.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            self.gate.acquire().await.unwrap().forget();
            self.answer.lock().unwrap().clone().map(Response::new)
        })
    }
}

fn source() -> KeySource {
    KeySource::remote(KeySetUrl::parse(URL).unwrap(), RefreshRules::default())
}

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_secs(1_800_000_000))
}

fn holds(source: &KeySource, id: &str, now: Timestamp) -> bool {
    source.current(now).unwrap().keys.lookup(Some(id), Algorithm::Es256) == Candidates::Some
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test]
async fn there_are_no_keys_before_the_first_refresh() {
    let (source, clock) = (source(), clock());
    assert!(source.current(clock.now()).is_err());
    assert!(!source.is_ready(clock.now()));
    assert!(source.due(clock.now()) && source.may_refresh(clock.now()));

    let provider = Provider::new(Ok(document(&[Signer::new("a").jwk()])));
    assert_eq!(source.refresh_if_due(&provider, clock.now()).await, Ok(Refreshed::Changed(Vec::new())));
    assert!(source.is_ready(clock.now()));
    assert!(holds(&source, "a", clock.now()));
    assert!(!source.due(clock.now()));
}

#[tokio::test]
async fn ten_thousand_unknown_key_ids_cause_one_fetch_per_cool_down() {
    let (source, clock) = (source(), clock());
    let provider = Provider::new(Ok(document(&[Signer::new("a").jwk()])));
    for _ in 0..10_000 {
        if source.may_refresh(clock.now()) {
            source.refresh(&provider, clock.now()).await.unwrap();
        }
        assert!(!holds(&source, "no such key", clock.now()));
    }
    assert_eq!(provider.fetches(), 1);

    clock.advance(Duration::from_millis(29_999));
    assert_eq!(source.refresh(&provider, clock.now()).await, Ok(Refreshed::NotYet));
    assert_eq!(provider.fetches(), 1);
    clock.advance(Duration::from_millis(1));
    assert_eq!(source.refresh(&provider, clock.now()).await, Ok(Refreshed::Unchanged));
    assert_eq!(provider.fetches(), 2);
}

#[tokio::test]
async fn a_failing_provider_is_not_asked_more_often_either() {
    let (source, clock) = (source(), clock());
    let provider = Provider::new(Err(FetchError::Status(StatusCode::BAD_GATEWAY)));
    assert_eq!(
        source.refresh(&provider, clock.now()).await,
        Err(RefreshError::Fetch(FetchError::Status(StatusCode::BAD_GATEWAY)))
    );
    for _ in 0..1_000 {
        assert_eq!(source.refresh(&provider, clock.now()).await, Ok(Refreshed::NotYet));
    }
    assert_eq!(provider.fetches(), 1);
}

#[tokio::test]
async fn all_who_wait_share_one_fetch() {
    let (source, clock) = (Arc::new(source()), clock());
    let provider = Arc::new(Provider::new(Ok(document(&[Signer::new("a").jwk()]))));
    provider.gate.forget_permits(Semaphore::MAX_PERMITS);
    let now = clock.now();
    let local = tokio::task::LocalSet::new();
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let (source, provider) = (Arc::clone(&source), Arc::clone(&provider));
            local.spawn_local(async move {
                let outcome = source.refresh(provider.as_ref(), now).await.unwrap();
                (outcome, holds(&source, "a", now))
            })
        })
        .collect();
    local
        .run_until(async {
            tokio::task::yield_now().await;
            assert!(source.may_refresh(now), "a fetch under way is worth waiting for");
            provider.gate.add_permits(100);
            let mut changed = 0;
            for task in waiting {
                let (outcome, found) = task.await.unwrap();
                assert!(found);
                changed += usize::from(outcome != Refreshed::NotYet);
            }
            assert_eq!(changed, 1);
        })
        .await;
    assert_eq!(provider.fetches(), 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_cannot_keep_the_keys_old() {
    let (source, clock) = (source(), clock());
    let provider = Provider::new(Ok(document(&[Signer::new("a").jwk()])));
    source.refresh(&provider, clock.now()).await.unwrap();
    clock.advance(seconds(60));
    provider.answers(Ok(document(&[Signer::new("b").jwk()])));
    provider.gate.forget_permits(Semaphore::MAX_PERMITS);
    {
        let mut abandoned = pin!(source.refresh(&provider, clock.now()));
        let pending = poll_fn(|context| Poll::Ready(abandoned.as_mut().poll(context).is_pending())).await;
        assert!(pending);
    }
    assert_eq!(source.refresh(&provider, clock.now()).await, Ok(Refreshed::NotYet), "the cool-down holds");
    assert!(source.due(clock.now()), "the background refresh makes up for it");
    provider.gate.add_permits(1);
    assert_eq!(source.refresh_if_due(&provider, clock.now()).await, Ok(Refreshed::Changed(Vec::new())));
    assert!(holds(&source, "b", clock.now()));
    assert_eq!(provider.fetches(), 3);
}

#[tokio::test]
async fn old_keys_serve_while_the_provider_is_away_but_not_for_ever() {
    let (source, clock) = (source(), clock());
    let provider = Provider::new(Ok(document(&[Signer::new("a").jwk()])));
    source.refresh_if_due(&provider, clock.now()).await.unwrap();
    for broken in [
        Err(FetchError::TimedOut),
        Ok(b"<html>".to_vec()),
        Ok(document(&[])),
        Ok(vec![b'['; crate::MAX_KEY_SET_BYTES]),
    ] {
        provider.answers(broken);
        clock.advance(seconds(300));
        assert!(source.due(clock.now()));
        assert!(source.refresh_if_due(&provider, clock.now()).await.is_err());
        assert!(!source.due(clock.now()));
        assert!(holds(&source, "a", clock.now()));
    }
    clock.advance(seconds(3600 - 1200));
    assert!(source.is_ready(clock.now()));
    clock.advance(seconds(1));
    assert!(!source.is_ready(clock.now()));
    assert!(source.current(clock.now()).is_err());

    provider.answers(Ok(document(&[Signer::new("b").jwk()])));
    source.refresh_if_due(&provider, clock.now()).await.unwrap();
    assert!(holds(&source, "b", clock.now()));
}

#[tokio::test]
async fn after_a_failure_the_background_tries_again_after_the_cool_down() {
    let (source, clock) = (source(), clock());
    let provider = Provider::new(Err(FetchError::TooLarge));
    assert!(source.refresh_if_due(&provider, clock.now()).await.is_err());
    clock.advance(seconds(29));
    assert!(!source.due(clock.now()));
    clock.advance(seconds(1));
    assert!(source.due(clock.now()));
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_stop_the_refresh() {
    let (source, clock) = (source(), clock());
    let provider = Provider::new(Ok(document(&[Signer::new("a").jwk()])));
    source.refresh_if_due(&provider, clock.now()).await.unwrap();
    let a_bit_earlier = Timestamp::from_secs(1_800_000_000 - 20);
    assert!(!source.due(a_bit_earlier) && !source.may_refresh(a_bit_earlier));
    let yesterday = Timestamp::from_secs(1_800_000_000 - 86_400);
    assert!(source.due(yesterday) && source.may_refresh(yesterday));
    source.refresh_if_due(&provider, yesterday).await.unwrap();
    assert!(!source.due(yesterday) && source.is_ready(yesterday));
}

#[tokio::test]
async fn the_generation_changes_with_the_keys_only() {
    let (source, clock) = (source(), clock());
    let (a, b) = (Signer::new("a").jwk(), Signer::new("b").jwk());
    let provider = Provider::new(Ok(document(&[a.clone(), b.clone()])));
    source.refresh(&provider, clock.now()).await.unwrap();
    let first = source.generation(clock.now()).unwrap();

    clock.advance(seconds(300));
    assert_eq!(source.refresh(&provider, clock.now()).await, Ok(Refreshed::Unchanged));
    assert_eq!(source.generation(clock.now()), Some(first));

    let mut renamed = a.clone();
    renamed["kid"] = "c".into();
    let mut seen = vec![first];
    for keys in [vec![b.clone()], vec![b, a.clone()], vec![renamed], vec![a]] {
        clock.advance(seconds(300));
        provider.answers(Ok(document(&keys)));
        assert!(matches!(source.refresh(&provider, clock.now()).await, Ok(Refreshed::Changed(_))));
        let generation = source.generation(clock.now()).unwrap();
        assert!(!seen.contains(&generation));
        seen.push(generation);
    }
}

#[test]
fn rules_out_of_order_are_refused() {
    let rules = |every, cool_down, max_stale| RawRefresh {
        every: Some(Period::secs(every)),
        cool_down: Some(Period::secs(cool_down)),
        max_stale: Some(Period::secs(max_stale)),
    };
    for (raw, wrong) in [
        (RawRefresh::default(), None),
        (rules(300, 0, 3600), Some("cool_down")),
        (rules(10, 30, 3600), Some("every")),
        (rules(300, 30, 299), Some("max_stale")),
    ] {
        let mut problems = Problems::default();
        let _ = RefreshRules::compile(&raw, &KeyPath::root(), &mut problems);
        assert_eq!(problems.iter().next().map(|problem| problem.path.as_str()), wrong);
    }
}
