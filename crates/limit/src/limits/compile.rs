//! From what the configuration says to limits that run.

mod rule;
mod shared;

use std::sync::Arc;

use portcullis_core::problem::Problem;
use portcullis_core::{KeyPath, KeyedHash, Problems};
use portcullis_store::redis::Redis;

use super::{Limit, LimitStore, Limits};
use crate::KeyPart;
use crate::key::{Identity, Key};
use crate::raw::{LimitMode, RawExempt, RawLimit, RawLimitStore, RawOverride, When};
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
        let whole = |raw: &RawLimit, counted_as: &str, here: &KeyPath, problems: &mut Problems| {
            let mut limit = compile_limit(raw, counted_as, store, here, problems, previous);
            limit.shared =
                shared::compile(raw, &limit, (redis, is_together, store), here, problems, previous);
            limit
        };
        let mut limit = whole(raw, &raw.name, &here, problems);
        for (number, exception) in raw.overrides.iter().enumerate() {
            let path = here.key("overrides").index(number);
            check_override(raw, exception, &path, problems);
            let RawOverride { rate, burst, .. } = *exception;
            let other = RawLimit { rate, burst, overrides: Vec::new(), ..raw.clone() };
            // What is wrong with the limit itself is told once.
            let mut own = Problems::default();
            let counted_as = format!("{}~{}", raw.name, number + 1);
            let compiled = whole(&other, &counted_as, &path, &mut own);
            own.iter()
                .filter(|problem| is_of_rate(problem, &path))
                .for_each(|problem| problems.add(problem.clone()));
            limit.overrides.push((exception.clone(), compiled));
        }
        limits.push(limit);
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

/// Whether a problem is about what an exception says itself.
fn is_of_rate(problem: &Problem, path: &KeyPath) -> bool {
    [path.key("rate"), path.key("burst")].contains(&problem.path)
}

fn check_override(raw: &RawLimit, exception: &RawOverride, path: &KeyPath, problems: &mut Problems) {
    if !exception.has_conditions() {
        problems
            .error(path, "it holds for everybody at all times")
            .suggest("say for whom: `claims`, `roles`, `principals`, `routes`, `addresses` or `hours`");
    }
    if raw.when == When::BeforeAuthentication && exception.is_of_callers() {
        problems
            .error(path, "who asks is not known `before_authentication`")
            .suggest("tell `routes`, `addresses` or `hours` apart, or write `after_authorization`");
    }
    for (name, _) in exception.claims.iter().filter(|(_, values)| values.is_empty()) {
        problems
            .error(&path.key("claims").key(name), "there is no value that fits")
            .suggest("write a list of values");
    }
}

fn compile_limit(
    raw: &RawLimit,
    counted_as: &str,
    store: LimitStore,
    path: &KeyPath,
    problems: &mut Problems,
    previous: Option<&Limits>,
) -> Limit {
    check_name(&raw.name, &path.key("name"), problems);
    let key = compile_key(&raw.key, raw.when, raw.ipv6_prefix, path, problems);
    let Compiled { rule, quota, window } = rule::compile(raw, path, problems);
    let cost = rule::cost(raw, &rule, path, problems);
    let kept = previous.and_then(|previous| {
        let same = |limit: &&Limit| {
            *limit.counted_as == *counted_as
                && limit.key == key
                && limit.rule == rule
                && limit.table.max_keys() == store.max_keys
        };
        previous.limits.iter().flat_map(Limit::all).find(same).map(|limit| Arc::clone(&limit.table))
    });
    Limit {
        name: raw.name.as_str().into(),
        counted_as: counted_as.into(),
        overrides: Vec::new(),
        key,
        rule,
        when: raw.when,
        watches: raw.mode == LimitMode::Shadow,
        exempt: compile_exempt(raw, &path.key("exempt"), problems),
        cost,
        quota,
        window,
        table: kept.unwrap_or_else(|| Arc::new(Table::new(store.max_keys))),
        shared: None,
    }
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
