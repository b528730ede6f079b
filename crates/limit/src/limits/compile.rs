//! From what the configuration says to limits that run.

mod rule;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::{KeyPath, KeyedHash, Problems};
use portcullis_store::redis::Redis;

use super::{Limit, LimitStore, Limits, overrides};
use crate::KeyPart;
use crate::gcra::Gcra;
use crate::key::{Identity, Key};
use crate::raw::{LimitMode, RawExempt, RawLimit, RawLimitStore, When};
use crate::rule::Rule;
use crate::shared::FLEET_KEY;
use crate::table::Table;

use rule::Compiled;

const LONGEST_NAME: usize = 64;
const MOST_KEYS: u32 = 100_000_000;
const DEFAULT_IPV6_PREFIX: u8 = 64;

pub(super) fn compile_store(raw: &RawLimitStore, path: &KeyPath, problems: &mut Problems) -> LimitStore {
    let max_keys = raw.max_keys;
    if !(1..=MOST_KEYS).contains(&max_keys) {
        problems
            .error(&path.key("max_keys"), format!("{max_keys} is not a number of keys that a limit can hold"))
            .suggest(format!("write a number from 1 to {MOST_KEYS}"));
    }
    LimitStore { max_keys: max_keys.clamp(1, MOST_KEYS) }
}

/// Every limit gets its place even if something is wrong with it, so that routes that refer to it are not
/// reported as well. A configuration with an error never runs.
pub(super) fn compile(
    raw: &[RawLimit],
    store: LimitStore,
    redis: Option<&Arc<Redis>>,
    path: &KeyPath,
    problems: &mut Problems,
    previous: Option<&Limits>,
) -> Limits {
    let is_together = shared::must_be_together(raw, redis);
    let mut limits: Vec<Limit> = Vec::with_capacity(raw.len());
    for (at, raw) in raw.iter().enumerate() {
        let here = path.index(at);
        if let Some(first) = limits.iter().position(|limit| *limit.name == *raw.name) {
            let message = format!("the name `{}` is taken already, by {}", raw.name, path.index(first));
            problems.error(&here.key("name"), message).suggest("give each limit a name of its own");
        }
        let compiling = Compiling { store, redis, is_together, previous };
        limits.push(compile_limit(raw, compiling, &here, problems));
    }
    let hash = match previous {
        // Counters that are carried over are found by the same digests.
        Some(previous) => previous.hash.clone(),
        None => KeyedHash::random().unwrap_or_else(|error| {
            problems
                .error(path, format!("the operating system has no randomness to hash keys with: {error}"));
            KeyedHash::with_key([0; 16])
        }),
    };
    Limits { limits, hash, fleet_hash: KeyedHash::with_key(FLEET_KEY) }
}

/// What limits are compiled with.
#[derive(Clone, Copy)]
pub(super) struct Compiling<'c> {
    store: LimitStore,
    redis: Option<&'c Arc<Redis>>,
    is_together: bool,
    previous: Option<&'c Limits>,
}

fn compile_limit(raw: &RawLimit, compiling: Compiling<'_>, path: &KeyPath, problems: &mut Problems) -> Limit {
    check_name(&raw.name, &path.key("name"), problems);
    let name: Arc<str> = raw.name.as_str().into();
    let plain = Limit {
        name: Arc::clone(&name),
        counter: Arc::clone(&name),
        key: compile_key(&raw.key, raw.when, raw.ipv6_prefix, path, problems),
        rule: Rule::Bucket(Gcra::filling_in_one_period(raw.rate)),
        when: raw.when,
        watches: raw.mode == LimitMode::Shadow,
        exempt: compile_exempt(raw, &path.key("exempt"), problems),
        cost: 1,
        quota: 0,
        window: Duration::ZERO,
        table: Arc::new(Table::new(compiling.store.max_keys)),
        shared: None,
        overrides: Vec::new(),
    };
    let mut limit = compile_rule(raw, &plain, name, compiling, path, problems);
    limit.overrides = overrides::compile(raw, &limit, compiling, path, problems);
    limit
}

/// A limit like another, with the rate that `raw` says, and counters of this name.
pub(super) fn compile_rule(
    raw: &RawLimit,
    like: &Limit,
    counter: Arc<str>,
    compiling: Compiling<'_>,
    path: &KeyPath,
    problems: &mut Problems,
) -> Limit {
    let Compiling { store, redis, is_together, previous } = compiling;
    let Compiled { rule, quota, window } = rule::compile(raw, path, problems);
    let cost = rule::cost(raw, &rule, path, problems);
    let kept = previous.and_then(|previous| {
        let same = |limit: &&Limit| {
            limit.counter == counter
                && limit.key == like.key
                && limit.rule == rule
                && limit.table.max_keys() == store.max_keys
        };
        previous.limits.iter().flat_map(Limit::every).find(same).map(|limit| Arc::clone(&limit.table))
    });
    let mut limit = Limit {
        name: Arc::clone(&like.name),
        counter,
        key: like.key.clone(),
        rule,
        when: like.when,
        watches: like.watches,
        exempt: None,
        cost,
        quota,
        window,
        table: kept.unwrap_or_else(|| Arc::new(Table::new(store.max_keys))),
        shared: None,
        overrides: Vec::new(),
    };
    limit.exempt.clone_from(&like.exempt);
    limit.shared = shared::compile(raw, &limit, (redis, is_together, store), path, problems, previous);
    limit
}

/// Who is not counted; `None` for nobody.
fn compile_exempt(raw: &RawLimit, path: &KeyPath, problems: &mut Problems) -> Option<Box<RawExempt>> {
    let exempt = &raw.exempt;
    let of_callers = [("principals", &exempt.principals), ("roles", &exempt.roles)];
    for (key, list) in of_callers {
        for (index, _) in list.iter().enumerate().filter(|(_, name)| name.is_empty()) {
            problems.error(&path.key(key).index(index), "an empty name").suggest("remove it");
        }
        if raw.when == When::BeforeAuthentication && !list.is_empty() {
            problems
                .error(&path.key(key), "who asks is not known `before_authentication`")
                .suggest("exempt `addresses`, or write `after_authorization`");
        }
    }
    (*exempt != RawExempt::default()).then(|| Box::new(exempt.clone()))
}

/// Names go into header fields as they are.
pub(crate) fn check_name(name: &str, path: &KeyPath, problems: &mut Problems) {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(safe) {
        let message = format!("`{}` is not a name for a limit", name.escape_debug());
        problems
            .error(path, message)
            .suggest(format!("write 1 to {LONGEST_NAME} letters, digits, `-`, `_` and `.`"));
    }
}

pub(crate) fn compile_key(
    key: &[KeyPart],
    when: When,
    ipv6_prefix: Option<u8>,
    path: &KeyPath,
    problems: &mut Problems,
) -> Key {
    let has = |part| key.contains(&part);
    let is_claim = |part: &&KeyPart| matches!(part, KeyPart::Claim(_));
    check_key(key, &path.key("key"), problems);
    let identified = [KeyPart::Principal, KeyPart::ApiKey].into_iter().find(|part| has(part.clone()));
    let of_caller = identified.as_ref().or_else(|| key.iter().find(is_claim));
    if let (When::BeforeAuthentication, Some(part)) = (when, of_caller) {
        let message = format!("the key has `{part}`, which is not known `before_authentication`");
        problems
            .error(&path.key("when"), message)
            .suggest("count by `address`, or write `after_authorization`");
    }
    if let Some(prefix) = ipv6_prefix {
        check_ipv6_prefix(prefix, has(KeyPart::Address) || has(KeyPart::Principal), path, problems);
    }
    Key {
        identity: match identified {
            Some(KeyPart::Principal) => Identity::Principal,
            Some(_) => Identity::ApiKey,
            None => Identity::Any,
        },
        address: has(KeyPart::Address),
        route: has(KeyPart::Route),
        service: has(KeyPart::Service),
        ipv6_prefix: ipv6_prefix.unwrap_or(DEFAULT_IPV6_PREFIX),
        details: key
            .iter()
            .filter(|part| matches!(part, KeyPart::Header(_) | KeyPart::Claim(_) | KeyPart::Path(_)))
            .cloned()
            .collect(),
    }
}

fn check_key(key: &[KeyPart], path: &KeyPath, problems: &mut Problems) {
    if key.is_empty() {
        problems.error(path, "the key is empty, so nothing says what is counted apart").suggest(
            "write `[principal]` or `[address]`, for instance, or `[global]` for one bucket for all",
        );
    }
    for (at, part) in key.iter().enumerate() {
        if key.iter().take(at).any(|earlier| earlier == part) {
            let message = format!("`{part}` is in the key twice");
            problems.error(&path.index(at), message).suggest("write it once");
        }
    }
    if key.contains(&KeyPart::Global) && key.iter().any(|part| *part != KeyPart::Global) {
        problems
            .error(path, "`global` is one bucket for everything and cannot be combined with other parts")
            .suggest("remove `global`, or write only `[global]`");
    }
    if key.contains(&KeyPart::Principal) && key.contains(&KeyPart::ApiKey) {
        problems
            .error(path, "`principal` and `api_key` together tell apart no more than `api_key` alone")
            .suggest("write `api_key` to count API keys only, or `principal` to count everyone");
    }
}

fn check_ipv6_prefix(prefix: u8, used: bool, path: &KeyPath, problems: &mut Problems) {
    let path = path.key("ipv6_prefix");
    if !(1..=128).contains(&prefix) {
        problems
            .error(&path, format!("{prefix} is not a length of an IPv6 prefix"))
            .suggest("write a number from 1 to 128");
    }
    if !used {
        problems
            .error(&path, "the key has no address that the prefix could apply to")
            .suggest("remove `ipv6_prefix`, or add `address` to the key");
    }
}
