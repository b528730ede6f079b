//! Decisions against a slow reference that is a different algorithm: a bucket of tokens that is filled up
//! at every request, in exact fractions.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A token is worth `period` units, and every nanosecond brings `count` of them: no fraction is left.
#[derive(Debug, Clone)]
struct Reference {
    count: u128,
    period: u128,
    capacity: u128,
    level: u128,
    seen: u64,
}

impl Reference {
    fn new(definition: &Definition) -> Self {
        let period = u128::from(definition.seconds) * 1_000_000_000;
        let capacity = u128::from(definition.burst) * period;
        Self { count: definition.count.into(), period, capacity, level: capacity, seen: 0 }
    }

    fn fill(&mut self, now: Timestamp) {
        let brought = self.count * u128::from(now.0 - self.seen);
        (self.level, self.seen) = ((self.level + brought).min(self.capacity), now.0);
    }

    fn has_token(&self) -> bool {
        self.level >= self.period
    }

    fn nanos_until(&self, level: u128) -> Duration {
        let nanos = level.saturating_sub(self.level).div_ceil(self.count);
        Duration::from_nanos(u64::try_from(nanos).unwrap())
    }
}

#[derive(Debug, Clone)]
struct Definition {
    count: u32,
    seconds: u32,
    burst: u32,
}

fn any_definition() -> impl Strategy<Value = Definition> {
    let count = prop_oneof![1..12_u32, 1..2_000_u32, Just(999_983), Just(6_000)];
    let seconds = prop_oneof![Just(1_u32), 1..100_u32, Just(3_600), Just(86_400)];
    (count, seconds, 1..12_u32).prop_map(|(count, seconds, burst)| Definition { count, seconds, burst })
}

/// Which client asks, and how much later than the one before.
fn any_request() -> impl Strategy<Value = (u32, u64)> {
    let nanos = prop_oneof![
        3 => Just(0_u64),
        2 => 0..1_000_u64,
        2 => 0..1_000_000_000_u64,
        1 => 0..100_000_000_000_u64,
        1 => 0..100_000_000_000_000_u64,
    ];
    (0..3_u32, nanos)
}

fn wait(refused: Refused) -> Duration {
    let Refused::TooSoon(wait) = refused else { panic!("{refused:?}") };
    wait
}

fn compile_all(definitions: &[Definition]) -> Limits {
    let limits = definitions.iter().enumerate().map(|(at, definition)| {
        let rate = format!("{}/{}s", definition.count, definition.seconds);
        json!({ "name": format!("l{at}"), "key": ["address"], "rate": rate, "burst": definition.burst })
    });
    compile(limits.collect())
}

proptest! {
    /// Decision, remainder, reset and wait are right to the nanosecond, for several limits at once.
    #[test]
    fn every_decision_is_that_of_exact_fractions(
        definitions in proptest::collection::vec(any_definition(), 1..4),
        requests in proptest::collection::vec(any_request(), 1..120),
    ) {
        let limits = compile_all(&definitions);
        let fresh: Vec<Reference> = definitions.iter().map(Reference::new).collect();
        let mut clients = vec![fresh; 3];
        let mut now = NOW;
        for (client, later) in requests {
            now = now.plus(Duration::from_nanos(later));
            let references = &mut clients[client as usize];
            references.iter_mut().for_each(|reference| reference.fill(now));
            let all = references.iter().all(Reference::has_token);
            let (outcome, states) = ask(&limits, &numbered(client), now);
            prop_assert_eq!(outcome.is_ok(), all);
            let mut longest = Duration::ZERO;
            for (reference, state) in references.iter_mut().zip(&states) {
                prop_assert_eq!(state.exceeded, !reference.has_token());
                if all {
                    reference.level -= reference.period;
                }
                let goal = if state.exceeded { reference.period } else { reference.capacity };
                let reset = reference.nanos_until(goal);
                prop_assert_eq!(state.reset, reset);
                prop_assert_eq!(u128::from(state.remaining), reference.level / reference.period);
                prop_assert!(state.remaining <= state.quota);
                if state.exceeded {
                    longest = longest.max(reset);
                }
            }
            prop_assert_eq!(states.len(), references.len());
            prop_assert_eq!(outcome.err().map_or(Duration::ZERO, wait), longest);
        }
    }

    /// Whoever comes back exactly when told to passes, and a nanosecond earlier would not.
    #[test]
    fn retry_after_is_the_first_moment_that_passes(
        definitions in proptest::collection::vec(any_definition(), 1..4),
    ) {
        let limits = compile_all(&definitions);
        let client = numbered(1);
        drain(&limits, &client, NOW);
        let wait = wait(ask(&limits, &client, NOW).0.unwrap_err());
        prop_assert!(!passes(&limits, &client, NOW.plus(wait - Duration::from_nanos(1))));
        prop_assert!(passes(&limits, &client, NOW.plus(wait)));
    }

    /// No text is a panic, and what is read prints as something that reads as the same.
    #[test]
    fn any_text_is_a_rate_or_is_not(text in "[0-9]{0,11}/?[0-9]{0,9}(s|min|h|d|ms|)|.{0,20}") {
        if let Ok(rate) = text.parse::<crate::Rate>() {
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
            prop_assert!(rate.count() >= NonZeroU32::MIN);
        }
    }
}
