//! What users of the crate see: decisions, their exactness, their atomicity, their memory, their settings.

mod atomicity;
mod decisions;
mod exactness;
mod flood;
mod keys;
mod overrides;
mod reload;
mod script;
mod settings;
mod windows;

use std::net::IpAddr;
use std::time::Duration;

use portcullis_core::{KeyPath, LimitState, Principal, Problems, Timestamp};
use smallvec::SmallVec;

use crate::{LimitId, LimitStore, Limits, RawLimit, RawLimitStore, Refused, Subject};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn after(nanos: u64) -> Timestamp {
    NOW.plus(Duration::from_nanos(nanos))
}

/// Compiles limits that are written as JSON.
fn try_compile(limits: serde_json::Value, max_keys: u32, previous: Option<&Limits>) -> (Limits, Problems) {
    let raw: Vec<RawLimit> = serde_json::from_value(limits).unwrap();
    let mut problems = Problems::default();
    let root = KeyPath::root();
    let store = LimitStore::compile(&RawLimitStore { max_keys }, &root.key("limit_store"), &mut problems);
    let limits = Limits::compile(&raw, store, None, &root.key("limits"), &mut problems, previous);
    (limits, problems)
}

fn compile(limits: serde_json::Value) -> Limits {
    let (limits, problems) = try_compile(limits, 1000, None);
    assert!(problems.is_empty(), "{problems:?}");
    limits
}

fn ids(limits: &Limits) -> Vec<LimitId> {
    limits.names().map(|name| limits.by_name(name).unwrap()).collect()
}

fn subject(address: &str) -> Subject<'static> {
    Subject {
        principal: None,
        address: address.parse().unwrap(),
        route: "orders",
        service: "shop",
        headers: None,
        parameters: (&[], &[]),
    }
}

/// One of very many addresses.
fn numbered(number: u32) -> Subject<'static> {
    Subject {
        principal: None,
        address: IpAddr::from(number.to_be_bytes()),
        route: "orders",
        service: "shop",
        headers: None,
        parameters: (&[], &[]),
    }
}

fn of(principal: &Principal) -> Subject<'_> {
    Subject { principal: Some(principal), ..subject("192.0.2.1") }
}

/// Asks all limits; gives the states too.
fn ask(limits: &Limits, subject: &Subject<'_>, now: Timestamp) -> (Result<(), Refused>, Vec<LimitState>) {
    let mut states = SmallVec::new();
    let outcome = limits.take(&ids(limits), subject, now, &mut states);
    (outcome, states.into_vec())
}

fn passes(limits: &Limits, subject: &Subject<'_>, now: Timestamp) -> bool {
    ask(limits, subject, now).0.is_ok()
}

/// How many requests pass at `now` before one is refused.
fn drain(limits: &Limits, subject: &Subject<'_>, now: Timestamp) -> u32 {
    (0..).find(|_| !passes(limits, subject, now)).unwrap()
}
