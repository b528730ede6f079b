//! The algorithm of a limit.

use std::num::NonZeroU32;
use std::time::Duration;

use portcullis_core::{KeyPath, Problems};

use crate::gcra::Gcra;
use crate::raw::{Algorithm, RawLimit};
use crate::rule::Rule;
use crate::window::{MOST_SLIDING, Window};

/// The longest that a request may be held back: clients and proxies before them give up soon after.
const LONGEST_QUEUE: Duration = Duration::from_secs(60);

/// A rule with what clients are told of it.
pub(super) struct Compiled {
    pub(super) rule: Rule,
    pub(super) quota: u64,
    pub(super) window: Duration,
}

pub(super) fn compile(raw: &RawLimit, path: &KeyPath, problems: &mut Problems) -> Compiled {
    let rate = raw.rate;
    if let Some(queue) = raw.queue {
        return compile_queue(raw, queue.0, path, problems);
    }
    let is_bucket = matches!(raw.algorithm, Algorithm::TokenBucket | Algorithm::LeakyBucket);
    if !is_bucket && raw.burst.is_some() {
        problems
            .error(&path.key("burst"), "a window has no burst: all of it may come at once")
            .suggest("remove `burst`, or count by `token_bucket`");
    }
    let window = Window::new(rate.period(), rate.count().get());
    let rule = match raw.algorithm {
        Algorithm::TokenBucket | Algorithm::LeakyBucket => return compile_bucket(raw, path, problems),
        Algorithm::FixedWindow => Rule::FixedWindow(window),
        Algorithm::SlidingWindow => {
            if rate.count().get() > MOST_SLIDING {
                problems
                    .error(
                        &path.key("rate"),
                        format!("a sliding window counts no further than {MOST_SLIDING}"),
                    )
                    .suggest("write a smaller count and a shorter period, or count by `token_bucket`");
            }
            Rule::SlidingWindow(Window::new(rate.period(), rate.count().get().min(MOST_SLIDING)))
        }
    };
    Compiled { rule, quota: rate.count().get().into(), window: rate.period() }
}

fn compile_bucket(raw: &RawLimit, path: &KeyPath, problems: &mut Problems) -> Compiled {
    let (burst, rule) = burst_of(raw, path, problems);
    let count = raw.rate.count();
    // A whole number of periods, enough of them for the burst: what remains is then never more than the quota.
    let periods = burst.get().div_ceil(count.get());
    Compiled {
        rule: Rule::Bucket(rule),
        quota: u64::from(count.get()) * u64::from(periods),
        window: raw.rate.period().saturating_mul(periods),
    }
}

fn burst_of(raw: &RawLimit, path: &KeyPath, problems: &mut Problems) -> (NonZeroU32, Gcra) {
    let path = path.key("burst");
    let count = raw.rate.count();
    let wanted = raw.burst.map_or(Some(count), NonZeroU32::new);
    let Some(burst) = wanted else {
        problems
            .error(&path, "a burst of 0 would refuse every request")
            .suggest("write at least 1, or leave it out to allow the count of the rate at once");
        return (count, Gcra::filling_in_one_period(raw.rate));
    };
    let Some(rule) = Gcra::new(raw.rate, burst) else {
        let message =
            format!("at {}, a burst of {burst} would take more than 366 days to come back", raw.rate);
        problems.error(&path, message).suggest("write a smaller burst or a faster rate");
        return (count, Gcra::filling_in_one_period(raw.rate));
    };
    (burst, rule)
}

fn compile_queue(raw: &RawLimit, longest: Duration, path: &KeyPath, problems: &mut Problems) -> Compiled {
    let here = path.key("queue");
    if raw.algorithm != Algorithm::LeakyBucket {
        problems
            .error(&here, "only a leaky bucket has a queue")
            .suggest("write `algorithm: leaky_bucket`, or remove `queue`");
    }
    if raw.burst.is_some() {
        problems
            .error(&path.key("burst"), "requests of a queue go on one by one, without a burst")
            .suggest("remove `burst` or `queue`");
    }
    if longest.is_zero() || longest > LONGEST_QUEUE {
        problems.error(&here, "a request may wait for up to 60s").suggest("write a time such as `2s`");
    }
    let rule = Gcra::queue(raw.rate, longest.min(LONGEST_QUEUE));
    let rule = Rule::Queue(rule.unwrap_or_else(|| Gcra::filling_in_one_period(raw.rate)));
    // As many as can wait at once, in as many periods as they need.
    let count = raw.rate.count().get();
    let waiting = u32::try_from(rule.capacity()).unwrap_or(u32::MAX);
    let periods = waiting.div_ceil(count).max(1);
    Compiled {
        rule,
        quota: u64::from(count) * u64::from(periods),
        window: raw.rate.period().saturating_mul(periods),
    }
}

pub(super) fn cost(raw: &RawLimit, rule: &Rule, path: &KeyPath, problems: &mut Problems) -> u32 {
    let cost = raw.cost.unwrap_or(1);
    if cost == 0 || u64::from(cost) > rule.capacity() {
        problems
            .error(
                &path.key("cost"),
                format!("requests that take {cost} make no limit of {}", rule.capacity()),
            )
            .suggest("write a cost of at least 1, and no more than the limit allows at once");
    }
    cost.max(1)
}
