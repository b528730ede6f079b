//! The fields of an answer that tell a client how its limits stand: `RateLimit-Policy` and `RateLimit` of
//! draft-ietf-httpapi-ratelimit-headers-11, and `Retry-After` (RFC 9110 section 10.2.3).
//!
//! Times are whole seconds, rounded up: a client that waits as long as it was told is not refused
//! again for having come a moment too soon.

use std::cmp::Reverse;
use std::time::Duration;

use portcullis_core::{LimitState, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use smallvec::SmallVec;

/// In which fields clients are told how their limits stand, beside `RateLimit-Policy` and `RateLimit`.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawLimitFields {
    /// Whether `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` are sent too, for clients that were written
    /// before there was a standard. They can tell of one limit: the tightest. Default: `none`.
    pub legacy: LegacyFields,
}

/// Whether there are `X-RateLimit` fields, and what `X-RateLimit-Reset` says. Services disagree about that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LegacyFields {
    /// There are none.
    #[default]
    None,
    /// How many seconds it takes, as `t` of `RateLimit` does.
    Seconds,
    /// When it will be, in seconds since 1970.
    Epoch,
}

/// What the `X-RateLimit` fields say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyNumbers {
    /// `X-RateLimit-Limit`
    pub limit: u64,
    /// `X-RateLimit-Remaining`
    pub remaining: u64,
    /// `X-RateLimit-Reset`
    pub reset: u64,
}

impl LegacyFields {
    /// What the fields say of the tightest limit of a request that was received at `now`; `None` if they are not sent.
    #[must_use]
    pub fn numbers(self, states: &[LimitState], now: Timestamp) -> Option<LegacyNumbers> {
        let tightest = enforced(states).min_by_key(tightest_first)?;
        let reset = match self {
            Self::None => return None,
            Self::Seconds => whole_seconds(tightest.reset),
            Self::Epoch => whole_seconds(Duration::from_nanos(now.0).saturating_add(tightest.reset)),
        };
        Some(LegacyNumbers { limit: tightest.quota, remaining: tightest.remaining, reset })
    }
}

/// Appends the value of `RateLimit-Policy`: what each limit allows, in the order of `states`. Nothing if
/// there are none, and then the field must not be sent.
///
/// `"burst";q=100;w=60`: a quota of 100 requests in a window of 60 seconds.
pub fn write_policy(states: &[LimitState], value: &mut String) {
    for (at, state) in enforced(states).enumerate() {
        begin_item(at, &state.name, value);
        push_parameter(";q=", state.quota, value);
        push_parameter(";w=", whole_seconds(state.window), value);
    }
}

/// Appends the value of `RateLimit`: how each limit stands, the tightest first. Nothing if there are none,
/// and then the field must not be sent.
///
/// `"burst";r=42;t=30`: 42 requests remain; in 30 seconds the quota is whole again or, if this limit
/// refused the request, one will pass.
pub fn write_rate_limit(states: &[LimitState], value: &mut String) {
    let mut sorted: SmallVec<[&LimitState; 4]> = enforced(states).collect();
    sorted.sort_by_key(tightest_first);
    for (at, state) in sorted.into_iter().enumerate() {
        begin_item(at, &state.name, value);
        push_parameter(";r=", state.remaining, value);
        push_parameter(";t=", whole_seconds(state.reset), value);
    }
}

/// Appends the value of `Quota-Warning`: the quotas of which a threshold is reached. Nothing if there are none, and then the
/// field must not be sent.
///
/// `"billing";reached=80`: at least 80 % are used.
pub fn write_warning(states: &[LimitState], value: &mut String) {
    for (at, state) in enforced(states).filter(|state| state.reached > 0).enumerate() {
        begin_item(at, &state.name, value);
        push_parameter(";reached=", state.reached.into(), value);
    }
}

/// The value of `Retry-After` in seconds: the greatest `t` of the limits that refused. `None` if none did.
#[must_use]
pub fn retry_after(states: &[LimitState]) -> Option<u64> {
    enforced(states).filter(|state| state.exceeded).map(|state| whole_seconds(state.reset)).max()
}

/// Clients are not told of limits that only watch.
fn enforced(states: &[LimitState]) -> impl Iterator<Item = &LimitState> {
    states.iter().filter(|state| !state.watches)
}

fn tightest_first(state: &&LimitState) -> (Reverse<bool>, u64, Reverse<Duration>) {
    (Reverse(state.exceeded), state.remaining, Reverse(state.reset))
}

/// A string item of a structured field (RFC 9651 section 4.1.6). What such a string cannot hold becomes `?`;
/// the names of compiled limits hold nothing of that kind.
fn begin_item(at: usize, name: &str, value: &mut String) {
    value.push_str(if at == 0 { "\"" } else { ", \"" });
    if name.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        value.push_str(name);
    } else {
        push_escaped(name, value);
    }
    value.push('"');
}

fn push_escaped(name: &str, value: &mut String) {
    for character in name.chars() {
        match character {
            '"' | '\\' => value.extend(['\\', character]),
            ' '..='~' => value.push(character),
            _ => value.push('?'),
        }
    }
}

/// An integer parameter: at most 15 digits (RFC 9651 section 3.3.1).
fn push_parameter(name: &str, number: u64, value: &mut String) {
    value.push_str(name);
    value.push_str(itoa::Buffer::new().format(number.min(999_999_999_999_999)));
}

const fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(if duration.subsec_nanos() > 0 { 1 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, quota: u64, remaining: u64, reset: Duration, exceeded: bool) -> LimitState {
        LimitState {
            name: name.into(),
            quota,
            window: Duration::from_secs(60),
            remaining,
            reset,
            exceeded,
            watches: false,
            turn: Duration::ZERO,
            reached: 0,
        }
    }

    fn written(states: &[LimitState]) -> (String, String) {
        let (mut policy, mut rate_limit) = (String::new(), String::new());
        write_policy(states, &mut policy);
        write_rate_limit(states, &mut rate_limit);
        (policy, rate_limit)
    }

    #[test]
    fn one_limit() {
        let states = [state("burst", 100, 42, Duration::from_secs(30), false)];
        assert_eq!(written(&states), ("\"burst\";q=100;w=60".to_owned(), "\"burst\";r=42;t=30".to_owned()));
        assert_eq!(retry_after(&states), None);
    }

    #[test]
    fn several_limits_the_tightest_first() {
        let states = [
            state("wide", 5000, 4999, Duration::from_millis(12), false),
            state("soon", 10, 0, Duration::from_millis(1500), true),
            state("spent", 7, 0, Duration::from_secs(900), false),
            state("late", 20, 0, Duration::from_nanos(60_000_000_001), true),
        ];
        let (policy, rate_limit) = written(&states);
        assert_eq!(
            policy,
            "\"wide\";q=5000;w=60, \"soon\";q=10;w=60, \"spent\";q=7;w=60, \"late\";q=20;w=60"
        );
        assert_eq!(
            rate_limit,
            "\"late\";r=0;t=61, \"soon\";r=0;t=2, \"spent\";r=0;t=900, \"wide\";r=4999;t=1"
        );
        assert_eq!(retry_after(&states), Some(61));
    }

    #[test]
    fn thresholds_are_told_of_the_quotas_that_refuse() {
        let plain = state("a", 100, 42, Duration::ZERO, false);
        let reached = LimitState { reached: 80, ..state("b", 100, 20, Duration::ZERO, false) };
        let watched = LimitState { reached: 50, watches: true, ..state("c", 100, 20, Duration::ZERO, false) };
        let over = LimitState { reached: 100, ..state("d", 100, 0, Duration::ZERO, true) };
        let mut value = String::new();
        write_warning(&[plain, reached, watched, over], &mut value);
        assert_eq!(value, "\"b\";reached=80, \"d\";reached=100");
    }

    #[test]
    fn old_clients_are_told_of_the_tightest_limit() {
        let seconds = Duration::from_secs;
        let watched = LimitState { watches: true, ..state("watched", 1, 0, seconds(90), true) };
        let states =
            [state("wide", 5000, 4999, seconds(1), false), state("tight", 10, 3, seconds(20), false)];
        let states = [states.as_slice(), &[watched]].concat();
        let now = Timestamp::from_secs(1_800_000_000);
        let told = |style: LegacyFields| {
            style.numbers(&states, now).map(|told| (told.limit, told.remaining, told.reset))
        };
        assert_eq!(told(LegacyFields::Seconds), Some((10, 3, 20)));
        assert_eq!(told(LegacyFields::Epoch), Some((10, 3, 1_800_000_020)));
        assert_eq!(told(LegacyFields::None), None);
        assert_eq!(LegacyFields::Seconds.numbers(&[], now), None);
    }

    #[test]
    fn no_limit_no_field() {
        assert_eq!(written(&[]), (String::new(), String::new()));
        assert_eq!(retry_after(&[]), None);
    }

    #[test]
    fn nothing_breaks_out_of_a_name_or_a_number() {
        let states = [state("a\"b\\c\r\nd\u{e9}", u64::MAX, u64::MAX, Duration::MAX, true)];
        let (policy, rate_limit) = written(&states);
        assert_eq!(policy, "\"a\\\"b\\\\c??d?\";q=999999999999999;w=60");
        assert_eq!(rate_limit, "\"a\\\"b\\\\c??d?\";r=999999999999999;t=999999999999999");
    }
}
