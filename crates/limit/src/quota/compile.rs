//! From what the configuration says to quotas that run.

use std::sync::Arc;

use http::HeaderName;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use portcullis_core::{KeyPath, Problems};
use portcullis_store::Database;

use super::calendar::{Calendar, DEFAULT_ANCHOR};
use super::draw::{Measure, Terms};
use super::ledger::Ledger;
use super::raw::{OnFailure, QuotaUnit, RawCost, RawQuota};
use super::webhook::{RawQuotaWebhook, Webhook};
use super::{Quota, Quotas};
use crate::limits::{compile_key, compile_name};
use crate::raw::{LimitMode, When};

/// The greatest number in a structured field (RFC 9651 section 3.3.1).
const MOST: u64 = 999_999_999_999_999;

const MOST_THRESHOLDS: usize = 10;

/// Every quota gets its place even if something is wrong with it, so that routes that refer to it are not reported as well.
pub(super) fn compile(
    raw: &[RawQuota],
    webhook: Option<&RawQuotaWebhook>,
    database: Option<&Arc<Database>>,
    path: &KeyPath,
    problems: &mut Problems,
    previous: Option<&Quotas>,
) -> Quotas {
    let mut quotas: Vec<Quota> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let here = path.index(index);
        if let Some(first) = quotas.iter().position(|quota| *quota.terms.name == *raw.name) {
            let message = format!("the name `{}` is taken already, by {}", raw.name, path.index(first));
            problems.error(&here.key("name"), message).suggest("give each quota a name of its own");
        }
        quotas.push(compile_quota(raw, webhook.is_some(), &here, problems));
    }
    if !raw.is_empty() && database.is_none() {
        problems
            .error(path, "quotas are counted in a database, and there is none")
            .suggest("write `store.database`, such as `sqlite:///var/lib/portcullis/state.db`");
    }
    let ledger = database.filter(|_| !raw.is_empty()).and_then(|database| {
        let known = previous.and_then(|previous| previous.ledger.as_ref());
        match known.filter(|known| Arc::ptr_eq(known.database(), database)) {
            Some(known) => Some(Arc::clone(known)),
            None => match Ledger::new(database) {
                Ok(ledger) => Some(Arc::new(ledger)),
                Err(error) => {
                    problems.error(path, format!("the operating system has no randomness: {error}"));
                    None
                }
            },
        }
    });
    let place = KeyPath::root().key("quota_webhook");
    if webhook.is_some() && raw.iter().all(|raw| raw.warn_at.is_empty()) {
        problems
            .warning(&place, "nobody is ever told: no quota has a threshold")
            .suggest("write `warn_at` under one of `quotas`, or remove it");
    }
    let webhook = webhook.and_then(|raw| Webhook::compile(raw, &place, problems));
    Quotas { quotas, ledger, webhook }
}

fn compile_quota(raw: &RawQuota, notifies: bool, path: &KeyPath, problems: &mut Problems) -> Quota {
    compile_name(&raw.name, &path.key("name"), problems);
    let key = compile_key(&raw.key, When::AfterAuthorization, raw.ipv6_prefix, path, problems);
    if !(1..=MOST).contains(&raw.limit) {
        problems
            .error(&path.key("limit"), format!("{} is not how many requests a quota can have", raw.limit))
            .suggest(format!("write a number from 1 to {MOST}"));
    }
    for (name, number) in [("grace", raw.grace), ("carry_over", raw.carry_over)] {
        if number > MOST {
            problems
                .error(&path.key(name), format!("{number} is too many"))
                .suggest(format!("write a number up to {MOST}"));
        }
    }
    let watches = raw.mode == LimitMode::Shadow;
    if watches && raw.grace > 0 {
        problems
            .error(
                &path.key("grace"),
                "a quota in shadow refuses nothing, so there is nothing to be gracious about",
            )
            .suggest("remove `grace`");
    }
    if raw.on_failure == OnFailure::Allow && !watches {
        problems
            .warning(
                &path.key("on_failure"),
                "while the database is not available, requests pass without an end",
            )
            .suggest("write `deny` if nothing may pass beyond the quota");
    }
    Quota {
        terms: Arc::new(Terms {
            name: raw.name.as_str().into(),
            limit: raw.limit.min(MOST),
            grace: raw.grace.min(MOST),
            carry_over: raw.carry_over.min(MOST),
            measure: compile_measure(raw, &path.key("cost"), problems),
            warn_at: compile_thresholds(&raw.warn_at, &path.key("warn_at"), problems),
            notifies,
            watches,
            passes_unanswered: raw.on_failure == OnFailure::Allow,
        }),
        key,
        calendar: Calendar {
            every: raw.period,
            zone: compile_zone(raw, &path.key("time_zone"), problems),
            anchor: compile_anchor(raw, &path.key("anchor"), problems),
        },
        exempt: raw.exempt.clone(),
        current: Mutex::default(),
    }
}

fn compile_measure(raw: &RawQuota, path: &KeyPath, problems: &mut Problems) -> Measure {
    if raw.unit != QuotaUnit::Cost && raw.cost.is_some() {
        problems
            .error(path, "`cost` says nothing about a quota of another unit")
            .suggest("write `unit: cost`, or remove it");
    }
    match raw.unit {
        QuotaUnit::Requests => Measure::Requests,
        QuotaUnit::Bytes => Measure::Bytes,
        QuotaUnit::Cost => {
            let RawCost { request, header } = raw.cost.clone().unwrap_or_default();
            if request > raw.limit {
                problems
                    .error(
                        &path.key("request"),
                        format!("no request could cost {request} of a limit of {}", raw.limit),
                    )
                    .suggest("write a number up to `limit`");
            }
            let field = header.and_then(|name| {
                let field = HeaderName::try_from(&name);
                if field.is_err() {
                    problems
                        .error(
                            &path.key("header"),
                            format!("`{}` is no name of a field", name.escape_debug()),
                        )
                        .suggest("write a name such as `X-Cost`");
                }
                field.ok()
            });
            Measure::Cost { ahead: request.min(MOST), field }
        }
    }
}

/// From the lowest to the highest.
fn compile_thresholds(raw: &[u16], path: &KeyPath, problems: &mut Problems) -> Vec<u16> {
    if raw.len() > MOST_THRESHOLDS {
        problems
            .error(path, format!("{} thresholds are more than anybody reads of", raw.len()))
            .suggest(format!("write {MOST_THRESHOLDS} at most"));
    }
    for (index, percent) in raw.iter().enumerate() {
        if !(1..=1000).contains(percent) {
            problems
                .error(&path.index(index), format!("{percent} is not a threshold in percent"))
                .suggest("write a number from 1 to 1000");
        }
        if raw.iter().take(index).any(|earlier| earlier == percent) {
            problems
                .error(&path.index(index), format!("the threshold {percent} is there twice"))
                .suggest("write it once");
        }
    }
    let mut thresholds = raw.to_vec();
    thresholds.sort_unstable();
    thresholds
}

fn compile_zone(raw: &RawQuota, path: &KeyPath, problems: &mut Problems) -> TimeZone {
    let Some(name) = &raw.time_zone else { return TimeZone::UTC };
    TimeZone::get(name).unwrap_or_else(|_| {
        problems
            .error(path, format!("there is no time zone `{}`", name.escape_debug()))
            .suggest("write a name of the IANA database, such as `Europe/Berlin` or `UTC`");
        TimeZone::UTC
    })
}

fn compile_anchor(raw: &RawQuota, path: &KeyPath, problems: &mut Problems) -> DateTime {
    let Some(text) = &raw.anchor else { return DEFAULT_ANCHOR };
    // The parser takes offsets and zones too, and leaves them out of account.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'T'));
    let anchor = text.parse().ok().filter(|_| is_plain && matches!(text.len(), 10 | 16));
    anchor.unwrap_or_else(|| {
        problems
            .error(path, format!("`{}` is no day", text.escape_debug()))
            .suggest("write a day such as `2026-01-31`, or with a time, `2026-01-31T06:00`");
        DEFAULT_ANCHOR
    })
}
