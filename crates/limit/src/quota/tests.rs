//! Quotas over SQLite and PostgreSQL: the same suite.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::{
    ConfigFolder, KeyPath, LimitState, Principal, PrincipalKind, Problems, QuotaCount, Secret, Timestamp,
};
use portcullis_store::{Act, Database, Query, RawStore, Store};
use portcullis_testkit::postgres;
use serde_json::{Value, json};
use smallvec::SmallVec;
use tempfile::TempDir;

use super::*;

fn database(folder: &Path, url: &str) -> Arc<Database> {
    let mut problems = Problems::default();
    let raw = RawStore { database: Some(Secret::new(url)), ..RawStore::default() };
    let store = Store::compile(&raw, &ConfigFolder::new(folder), &KeyPath::root(), &mut problems, None);
    assert!(!problems.has_errors(), "{problems:?}");
    let database = store.database.unwrap();
    database.open().unwrap();
    database
}

/// Runs a test over SQLite and, if there is a server, over PostgreSQL. `make` gives another handle of the same database, as
/// another process has it.
pub(super) fn on_both(test: impl Fn(&dyn Fn() -> Arc<Database>)) {
    let folder = TempDir::new().unwrap();
    test(&|| database(folder.path(), "sqlite://state.db"));
    if let Some(url) = postgres::database() {
        test(&|| database(folder.path(), &url));
    }
}

pub(super) fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn compiled(raw: Value, database: Option<&Arc<Database>>) -> (Quotas, Vec<String>) {
    let mut problems = Problems::default();
    let raw: Vec<RawQuota> = serde_json::from_value(raw).unwrap();
    let quotas = Quotas::compile(&raw, None, database, &KeyPath::root().key("quotas"), &mut problems, None);
    (quotas, problems.iter().map(|problem| format!("{problem:?}")).collect())
}

fn quotas(raw: Value, database: &Arc<Database>) -> Quotas {
    compiled(raw, Some(database)).0
}

fn at(text: &str) -> Timestamp {
    let moment: jiff::Timestamp = text.parse().unwrap();
    Timestamp(moment.as_nanosecond().try_into().unwrap())
}

/// How one request ended: whether it passed, and the states.
type Ended = (Result<(), Refused>, SmallVec<[LimitState; 2]>);

async fn ask(quotas: &Quotas, names: &[&str], key: &str, now: Timestamp) -> Ended {
    ask_as(quotas, names, key, false, now).await
}

async fn ask_as(quotas: &Quotas, names: &[&str], key: &str, watches: bool, now: Timestamp) -> Ended {
    let ids: Vec<QuotaId> = names.iter().map(|name| quotas.by_name(name).unwrap()).collect();
    let principal = Principal::new(PrincipalKind::ApiKey, key, "partners");
    let address = std::net::IpAddr::from([192, 0, 2, 1]);
    let principal = Some(&principal);
    let subject =
        Subject { principal, address, route: "a", service: "b", headers: None, parameters: (&[], &[]) };
    let mut states = SmallVec::new();
    let Some(asking) = quotas.ask(&ids, &subject, watches, now).unwrap() else { return (Ok(()), states) };
    let count = asking.count().await;
    let outcome = quotas.conclude(&count, watches, now, &mut states);
    (outcome, states)
}

const NOW: &str = "2026-11-25T12:00:00Z";

/// The time from [`NOW`] to the end of the month.
const REST: Duration = Duration::from_secs((5 * 24 + 12) * 3600);

fn monthly(limit: u64) -> Value {
    json!({ "name": "monthly", "key": ["api_key"], "limit": limit, "period": "month" })
}

#[test]
fn so_many_pass_in_a_period_and_then_none_until_it_ends() {
    on_both(|make| {
        let quotas = quotas(json!([monthly(3)]), &make());
        run(async {
            for left in [2, 1, 0] {
                let (outcome, states) = ask(&quotas, &["monthly"], "acme", at(NOW)).await;
                assert_eq!(outcome, Ok(()));
                let state = &states[0];
                assert_eq!((state.quota, state.remaining, state.exceeded), (3, left, false));
                assert_eq!((state.window.as_secs(), state.reset), (30 * 24 * 3600, REST));
            }
            let (outcome, states) = ask(&quotas, &["monthly"], "acme", at(NOW)).await;
            assert_eq!(outcome, Err(Refused::TooSoon(REST)));
            assert_eq!((states[0].remaining, states[0].exceeded, states[0].reset), (0, true, REST));
            assert_eq!(ask(&quotas, &["monthly"], "other", at(NOW)).await.0, Ok(()));
            let last = at("2026-11-30T23:59:59.999Z");
            assert!(ask(&quotas, &["monthly"], "acme", last).await.0.is_err());
            let next = at("2026-12-01T00:00:00Z");
            assert_eq!(ask(&quotas, &["monthly"], "acme", next).await.1[0].remaining, 2);
            let used = quotas.usage_of("monthly", "method=partners,key=acme", at(NOW)).await.unwrap();
            assert_eq!((used.used, used.allowance, used.end), (3, 3, next));
        });
    });
}

#[test]
fn a_request_takes_from_all_quotas_or_from_none() {
    on_both(|make| {
        let wide = json!({ "name": "all", "key": ["global"], "limit": 3, "period": "day" });
        let quotas = quotas(json!([monthly(2), wide]), &make());
        run(async {
            let both = ["monthly", "all"];
            for (key, passes) in
                [("a", true), ("a", true), ("a", false), ("b", true), ("b", false), ("a", false)]
            {
                let (outcome, states) = ask(&quotas, &both, key, at(NOW)).await;
                assert_eq!((outcome.is_ok(), states.len()), (passes, 2), "{key}");
            }
            for (quota, holder, used) in [
                ("monthly", "method=partners,key=a", 2),
                ("monthly", "method=partners,key=b", 1),
                ("all", "all", 3),
            ] {
                assert_eq!(quotas.usage_of(quota, holder, at(NOW)).await.unwrap().used, used, "{holder}");
            }
        });
    });
}

/// Several gateways, each with many requests at once: exactly as many pass as the quota has, and each is in the database.
#[test]
fn gateways_together_let_exactly_the_quota_pass() {
    on_both(|make| {
        let spread = json!({ "name": "all", "key": ["global"], "limit": 130, "period": "year" });
        let gateways: Vec<Quotas> =
            (0..3).map(|_| quotas(json!([monthly(40), spread.clone()]), &make())).collect();
        run(async {
            let mut asking = tokio::task::JoinSet::new();
            let gateways: Vec<Arc<Quotas>> = gateways.into_iter().map(Arc::new).collect();
            for number in 0..600 {
                let quotas = Arc::clone(&gateways[number % 3]);
                asking.spawn(async move {
                    let key = format!("key{}", number % 4);
                    // In either order: no two wait for one another.
                    let names = if number % 2 == 0 { ["monthly", "all"] } else { ["all", "monthly"] };
                    ask(&quotas, &names, &key, at(NOW)).await.0
                });
            }
            let outcomes = asking.join_all().await;
            let passed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            assert!(!outcomes.contains(&Err(Refused::NotCountable)));
            assert_eq!(passed, 130);
            assert_eq!(gateways[0].usage_of("all", "all", at(NOW)).await.unwrap().used, 130);
            let each = gateways[0].usage("monthly", "", 10, at(NOW)).await.unwrap();
            assert_eq!(each.iter().map(|usage| usage.used).sum::<u64>(), 130);
            assert!(each.iter().all(|usage| usage.used <= 40), "{each:?}");
        });
    });
}

#[test]
fn what_was_used_outlives_the_process() {
    on_both(|make| {
        run(async {
            for _ in 0..2 {
                assert!(
                    ask(&quotas(json!([monthly(2)]), &make()), &["monthly"], "a", at(NOW)).await.0.is_ok()
                );
            }
            assert!(ask(&quotas(json!([monthly(2)]), &make()), &["monthly"], "a", at(NOW)).await.0.is_err());
            // With a greater limit the rest is there at once.
            assert!(ask(&quotas(json!([monthly(3)]), &make()), &["monthly"], "a", at(NOW)).await.0.is_ok());
        });
    });
}

#[test]
fn grace_lets_some_more_pass_and_a_soft_quota_all() {
    on_both(|make| {
        let quotas = quotas(
            json!([
                { "name": "gracious", "key": ["api_key"], "limit": 1, "grace": 2, "period": "day" },
                { "name": "soft", "key": ["api_key"], "limit": 1, "period": "day", "mode": "shadow" },
            ]),
            &make(),
        );
        run(async {
            let mut passed = Vec::new();
            for _ in 0..4 {
                let (outcome, states) = ask(&quotas, &["gracious"], "a", at(NOW)).await;
                passed.push((outcome.is_ok(), states[0].remaining, states[0].exceeded));
            }
            assert_eq!(passed, [(true, 0, false), (true, 0, false), (true, 0, false), (false, 0, true)]);
            let mut watched = Vec::new();
            for _ in 0..3 {
                let (outcome, states) = ask(&quotas, &["soft"], "a", at(NOW)).await;
                watched.push((outcome.is_ok(), states[0].exceeded, states[0].watches));
            }
            assert_eq!(watched, [(true, false, true), (true, true, true), (true, true, true)]);
            assert_eq!(quotas.usage_of("soft", "method=partners,key=a", at(NOW)).await.unwrap().used, 3);
            // A route that only watches counts beyond a hard quota.
            let (outcome, states) = ask_as(&quotas, &["gracious"], "a", true, at(NOW)).await;
            assert_eq!((outcome, states[0].exceeded, states[0].watches), (Ok(()), true, true));
            assert_eq!(quotas.usage_of("gracious", "method=partners,key=a", at(NOW)).await.unwrap().used, 4);
        });
    });
}

#[test]
fn what_is_left_over_is_carried_into_the_next_period_and_no_further() {
    on_both(|make| {
        let daily =
            json!({ "name": "daily", "key": ["api_key"], "limit": 3, "period": "day", "carry_over": 2 });
        let quotas = quotas(json!([daily]), &make());
        let holder = "method=partners,key=a";
        run(async {
            let day = |day: u32| at(&format!("2026-11-{day:02}T12:00:00Z"));
            // Of the first day three are left but one: two are carried, as many as may be.
            ask(&quotas, &["daily"], "a", day(1)).await.0.unwrap();
            for _ in 0..5 {
                ask(&quotas, &["daily"], "a", day(2)).await.0.unwrap();
            }
            assert!(ask(&quotas, &["daily"], "a", day(2)).await.0.is_err());
            // All is used, so nothing is carried.
            for left in [2, 1] {
                assert_eq!(ask(&quotas, &["daily"], "a", day(3)).await.1[0].remaining, left);
            }
            // One is left over of the third day; it is used first, so that the day's own are left over.
            let (_, states) = ask(&quotas, &["daily"], "a", day(4)).await;
            assert_eq!((states[0].quota, states[0].remaining), (4, 3));
            assert_eq!(quotas.usage_of("daily", holder, day(4)).await.unwrap().carried, 1);
            assert_eq!(ask(&quotas, &["daily"], "a", day(5)).await.1[0].quota, 5);
            // A day without any request leaves nothing over.
            assert_eq!(ask(&quotas, &["daily"], "a", day(7)).await.1[0].quota, 3);
        });
    });
}

#[test]
fn periods_begin_where_the_time_zone_and_the_anchor_say() {
    on_both(|make| {
        let quotas = quotas(
            json!([
                { "name": "utc", "key": ["global"], "limit": 9, "period": "day" },
                { "name": "tokyo", "key": ["global"], "limit": 9, "period": "day", "time_zone": "Asia/Tokyo" },
                { "name": "billing", "key": ["global"], "limit": 9, "period": "month", "anchor": "2026-01-31T06:00" },
            ]),
            &make(),
        );
        run(async {
            let (_, states) = ask(&quotas, &["utc", "tokyo", "billing"], "a", at(NOW)).await;
            let hours: Vec<u64> = states.iter().map(|state| state.reset.as_secs() / 3600).collect();
            // Noon: Tokyo is nine hours ahead. The month ends on the 30th at six.
            assert_eq!(hours, [12, 3, 4 * 24 + 18]);
        });
    });
}

/// Each once in a period, however many gateways there are, and on the record with what reached it.
#[test]
fn a_threshold_is_told_once_in_a_period() {
    on_both(|make| {
        let database = make();
        let raw = json!([{
            "name": "monthly", "key": ["api_key"], "limit": 4, "period": "month", "warn_at": [100, 50, 80]
        }]);
        let gateways = [quotas(raw.clone(), &database), quotas(raw, &make())];
        let told = |asking: &QuotaAsk, count: &QuotaCount| -> Vec<u16> {
            asking.crossings(count).iter().map(|crossing| crossing.percent).collect()
        };
        run(async {
            let id = gateways[0].by_name("monthly").unwrap();
            let mut seen = Vec::new();
            for (number, moment) in [NOW, NOW, NOW, NOW, NOW, NOW, "2026-12-01T00:00:00Z"].iter().enumerate()
            {
                let gateway = &gateways[number % 2];
                let principal = Principal::new(PrincipalKind::ApiKey, "a", "partners");
                let address = std::net::IpAddr::from([192, 0, 2, 1]);
                let principal = Some(&principal);
                let (route, service, headers, parameters) = ("a", "b", None, (&[][..], &[][..]));
                let subject = Subject { principal, address, route, service, headers, parameters };
                let asking = gateway.ask(&[id], &subject, false, at(moment)).unwrap().unwrap();
                let count = asking.count().await;
                let QuotaCount::Answered(standings) = &count else { panic!("unanswered") };
                seen.push((standings[0].reached, told(&asking, &count)));
            }
            assert_eq!(
                seen,
                [
                    (0, vec![]),
                    (50, vec![50]),
                    (50, vec![]),
                    (100, vec![80, 100]),
                    (100, vec![]),
                    (100, vec![]),
                    (0, vec![])
                ]
            );
            let portcullis_store::News::Changes(changes) = database.changes_after(TOPIC, 0).await.unwrap()
            else {
                panic!("there are few");
            };
            let subjects: Vec<&str> = changes.iter().map(|change| change.subject.as_str()).collect();
            let expected = ["50%", "80%", "100%"].map(|it| format!("monthly method=partners,key=a {it}"));
            assert_eq!(subjects, expected);
            assert!(changes.iter().all(|change| change.action == "reached" && change.actor == "gateway"));
        });
    });
}

/// With a jump over the end nothing is used up to it, and it is told of all the same.
#[test]
fn whoever_asks_for_more_than_there_is_has_reached_the_end() {
    on_both(|make| {
        let raw = json!([{
            "name": "monthly", "key": ["api_key"], "limit": 4, "period": "month", "warn_at": [100]
        }]);
        let quotas = quotas(raw, &make());
        let act = Act { actor: "cli:ann".to_owned(), origin: "cli", now: at(NOW) };
        run(async {
            quotas.consume("monthly", "method=partners,key=a", 9, &act).await.unwrap();
            for _ in 0..2 {
                let (outcome, states) = ask(&quotas, &["monthly"], "a", at(NOW)).await;
                assert_eq!((outcome.is_err(), states[0].reached), (true, 100));
            }
            quotas.reset("monthly", "method=partners,key=a", &act).await.unwrap();
            assert_eq!(ask(&quotas, &["monthly"], "a", at(NOW)).await.1[0].reached, 0);
        });
    });
}

/// A bill that cannot be paid at once is paid when the database is back, and more than one at a time.
#[test]
fn what_is_owed_is_added_when_it_is_known() {
    on_both(|make| {
        let database = make();
        let quotas = quotas(
            json!([
                { "name": "bytes", "key": ["global"], "limit": 100, "period": "month", "unit": "bytes" },
                { "name": "cost", "key": ["global"], "limit": 9, "period": "month", "unit": "cost",
                  "cost": { "request": 3, "header": "x-cost" } },
            ]),
            &database,
        );
        let ids = ["bytes", "cost"].map(|name| quotas.by_name(name).unwrap());
        let address = std::net::IpAddr::from([192, 0, 2, 1]);
        let subject = Subject {
            principal: None,
            address,
            route: "a",
            service: "b",
            headers: None,
            parameters: (&[], &[]),
        };
        let used = async || {
            let mut used = Vec::new();
            for name in ["bytes", "cost"] {
                used.push(quotas.usage_of(name, "all", at(NOW)).await.map_or(0, |usage| usage.used));
            }
            used
        };
        run(async {
            let mut bills = Vec::new();
            for _ in 0..2 {
                let asking = quotas.ask(&ids, &subject, false, at(NOW)).unwrap().unwrap();
                let count = asking.count().await;
                bills.push(asking.bill(&count).unwrap());
            }
            assert_eq!(used().await, [0, 6]);
            assert_eq!(bills[0].cost_fields(), ["x-cost"]);
            bills[0].settle(70, &[Some(1)]);
            assert!(quotas.wait_until_settled(Duration::from_secs(10)));
            assert_eq!(used().await, [70, 4]);
            break_off(&database).await;
            bills[1].settle(70, &[None]);
            assert!(!quotas.wait_until_settled(Duration::from_secs(10)));
            mend(&database).await;
            let begun = std::time::Instant::now();
            while used().await != [140, 4] {
                assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", used().await);
            }
            let asking = quotas.ask(&ids, &subject, false, at(NOW)).unwrap().unwrap();
            let count = asking.count().await;
            assert!(asking.bill(&count).is_none(), "what is refused owes nothing");
            assert_eq!(used().await, [140, 4]);
        });
    });
}

/// A receiver that takes messages, unless it is down.
#[derive(Default)]
struct Receiver {
    is_down: std::sync::atomic::AtomicBool,
    seen: Mutex<Vec<http::Request<bytes::Bytes>>>,
}

impl Fetch for Receiver {
    fn send(&self, request: http::Request<bytes::Bytes>) -> portcullis_oidc::Sending<'_> {
        self.seen.lock().push(request);
        let status = if self.is_down.load(std::sync::atomic::Ordering::SeqCst) { 500 } else { 204 };
        let answer = http::Response::builder().status(status).body(bytes::Bytes::new()).unwrap();
        Box::pin(async move { Ok(answer) })
    }
}

/// One message for each threshold, however many gateways there are; again, with the same id, until it has arrived.
#[test]
fn a_webhook_is_told_of_each_threshold_until_it_has_heard() {
    use base64::Engine as _;
    on_both(|make| {
        let raw: Vec<RawQuota> = serde_json::from_value(json!([{
            "name": "monthly", "key": ["api_key"], "limit": 4, "period": "month", "warn_at": [50, 100]
        }]))
        .unwrap();
        let hook: RawQuotaWebhook = serde_json::from_value(json!({
            "url": "http://127.0.0.1:9/hook", "secret": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
        }))
        .unwrap();
        let gateway = || {
            let mut problems = Problems::default();
            let path = KeyPath::root().key("quotas");
            let quotas = Quotas::compile(&raw, Some(&hook), Some(&make()), &path, &mut problems, None);
            assert!(problems.is_empty(), "{problems:?}");
            quotas
        };
        let gateways = [gateway(), gateway()];
        let receiver = Receiver::default();
        run(async {
            for number in 0..4 {
                ask(&gateways[number % 2], &["monthly"], "a", at(NOW)).await.0.unwrap();
            }
            receiver.is_down.store(true, std::sync::atomic::Ordering::SeqCst);
            for quotas in &gateways {
                quotas.send_notices(&receiver, at(NOW)).await.unwrap();
            }
            let first: Vec<_> = std::mem::take(&mut *receiver.seen.lock());
            assert_eq!(first.len(), 2, "each is sent by one of them");
            receiver.is_down.store(false, std::sync::atomic::Ordering::SeqCst);
            let later = at(NOW).plus(Duration::from_secs(61));
            for now in [at(NOW), later, later, later.plus(Duration::from_secs(86_400))] {
                for quotas in &gateways {
                    quotas.send_notices(&receiver, now).await.unwrap();
                }
            }
            let again: Vec<_> = std::mem::take(&mut *receiver.seen.lock());
            let ids = |seen: &[http::Request<bytes::Bytes>]| {
                let mut ids: Vec<_> = seen.iter().map(|it| it.headers()["webhook-id"].clone()).collect();
                ids.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
                ids
            };
            assert_eq!(ids(&first), ids(&again));
            let key: Vec<u8> = (0..24).collect();
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
            let mut percents = Vec::new();
            for request in &again {
                let field = |name: &str| request.headers()[name].to_str().unwrap();
                let body = std::str::from_utf8(request.body()).unwrap();
                let signed = format!("{}.{}.{body}", field("webhook-id"), field("webhook-timestamp"));
                let tag = field("webhook-signature").strip_prefix("v1,").unwrap();
                let tag = base64::prelude::BASE64_STANDARD.decode(tag).unwrap();
                aws_lc_rs::hmac::verify(&key, signed.as_bytes(), &tag).unwrap();
                let body: Value = serde_json::from_str(body).unwrap();
                assert_eq!((&body["type"], &body["timestamp"]), (&json!("quota.reached"), &json!(NOW)));
                assert_eq!(body["data"]["holder"], "method=partners,key=a");
                percents.push(body["data"]["percent"].as_u64().unwrap());
            }
            percents.sort_unstable();
            assert_eq!(percents, [50, 100]);
        });
    });
}

#[test]
fn a_webhook_without_a_safe_place_or_secret_is_refused() {
    let folder = TempDir::new().unwrap();
    let database = database(folder.path(), "sqlite://state.db");
    for (url, secret, told) in [
        ("http://example.com/hook", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "not a URL that messages"),
        ("https://example.com/hook", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "not `whsec_`"),
        ("https://example.com/hook", "whsec_AAEC", "24 bytes or more"),
    ] {
        let mut problems = Problems::default();
        let mut quota = monthly(1);
        quota["warn_at"] = json!([50]);
        let raw: Vec<RawQuota> = serde_json::from_value(json!([quota])).unwrap();
        let hook: RawQuotaWebhook = serde_json::from_value(json!({ "url": url, "secret": secret })).unwrap();
        let path = KeyPath::root().key("quotas");
        let _ = Quotas::compile(&raw, Some(&hook), Some(&database), &path, &mut problems, None);
        let told_of: Vec<String> = problems.iter().map(|problem| format!("{problem:?}")).collect();
        assert!(told_of.len() == 1 && told_of[0].contains(told), "{told}: {told_of:?}");
    }
}

#[test]
fn operators_reset_refund_and_consume_and_it_is_written_down() {
    on_both(|make| {
        let database = make();
        let quotas = quotas(json!([monthly(3)]), &database);
        let holder = "method=partners,key=a";
        let act = Act { actor: "cli:ann".to_owned(), origin: "cli", now: at(NOW) };
        run(async {
            let unused = QuotaError::Unused { quota: "monthly".to_owned(), holder: holder.to_owned() };
            assert_eq!(quotas.refund("monthly", holder, 1, &act).await, Err(unused.clone()));
            assert_eq!(quotas.reset("monthly", holder, &act).await, Err(unused));
            assert_eq!(
                quotas.reset("daily", holder, &act).await,
                Err(QuotaError::Unknown("daily".to_owned()))
            );
            for bad in ["", "a b", "é"] {
                assert_eq!(quotas.consume("monthly", bad, 1, &act).await, Err(QuotaError::BadHolder));
            }
            quotas.consume("monthly", holder, 5, &act).await.unwrap();
            assert!(ask(&quotas, &["monthly"], "a", at(NOW)).await.0.is_err());
            quotas.refund("monthly", holder, 3, &act).await.unwrap();
            assert_eq!(ask(&quotas, &["monthly"], "a", at(NOW)).await.1[0].remaining, 0);
            quotas.refund("monthly", holder, 99, &act).await.unwrap();
            assert_eq!(quotas.usage_of("monthly", holder, at(NOW)).await.unwrap().used, 0);
            quotas.consume("monthly", holder, 2, &act).await.unwrap();
            quotas.reset("monthly", holder, &act).await.unwrap();
            assert_eq!(ask(&quotas, &["monthly"], "a", at(NOW)).await.1[0].remaining, 2);
            let portcullis_store::News::Changes(changes) = database.changes_after("quotas", 0).await.unwrap()
            else {
                panic!("there are few");
            };
            let done: Vec<&str> = changes.iter().map(|change| change.action.as_str()).collect();
            assert_eq!(done, ["consumed", "refunded", "refunded", "consumed", "reset"]);
            assert_eq!(changes[0].subject, format!("monthly {holder}"));
            assert_eq!(changes[0].actor, "cli:ann");
        });
    });
}

/// What is in the way of the table: everything that writes to it fails until it is called back.
async fn break_off(database: &Database) {
    database.execute(Query::new("ALTER TABLE quota_usage RENAME TO quota_usage_away")).await.unwrap();
}

async fn mend(database: &Database) {
    database.execute(Query::new("ALTER TABLE quota_usage_away RENAME TO quota_usage")).await.unwrap();
}

#[test]
fn without_the_database_requests_are_refused_or_counted_later_as_configured() {
    on_both(|make| {
        let database = make();
        let allowing = json!({
            "name": "allowing", "key": ["api_key"], "limit": 2, "period": "month", "on_failure": "allow"
        });
        let quotas = quotas(json!([monthly(2), allowing]), &database);
        run(async {
            break_off(&database).await;
            assert_eq!(ask(&quotas, &["monthly"], "a", at(NOW)).await.0, Err(Refused::NotCountable));
            for _ in 0..5 {
                assert_eq!(ask(&quotas, &["allowing"], "a", at(NOW)).await.0, Ok(()));
            }
            let both = ask(&quotas, &["allowing", "monthly"], "a", at(NOW)).await.0;
            assert_eq!(both, Err(Refused::NotCountable));
            mend(&database).await;
            let holder = "method=partners,key=a";
            while quotas.usage_of("allowing", holder, at(NOW)).await.map(|usage| usage.used) != Ok(5) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(matches!(ask(&quotas, &["allowing"], "a", at(NOW)).await.0, Err(Refused::TooSoon(_))));
            // What was refused was not counted.
            assert_eq!(ask(&quotas, &["monthly"], "a", at(NOW)).await.1[0].remaining, 1);
        });
    });
}

#[test]
fn what_would_come_of_a_request_is_said_without_counting_it() {
    on_both(|make| {
        let quotas = quotas(json!([monthly(1)]), &make());
        let principal = Principal::new(PrincipalKind::ApiKey, "a", "partners");
        let subject = Subject {
            principal: Some(&principal),
            address: std::net::IpAddr::from([192, 0, 2, 1]),
            route: "a",
            service: "b",
            headers: None,
            parameters: (&[], &[]),
        };
        run(async {
            let id = quotas.by_name("monthly").unwrap();
            let asking = quotas.ask(&[id], &subject, false, at(NOW)).unwrap().unwrap();
            for _ in 0..2 {
                let QuotaCount::Answered(standings) = asking.rehearse().await else { panic!("unanswered") };
                assert_eq!((standings[0].used, standings[0].refused), (1, false));
            }
            let _ = asking.count().await;
            let QuotaCount::Answered(standings) = asking.rehearse().await else { panic!("unanswered") };
            assert_eq!((standings[0].used, standings[0].refused), (1, true));
        });
    });
}

#[test]
fn who_is_exempt_or_has_no_key_is_not_counted() {
    on_both(|make| {
        let raw = json!([{
            "name": "monthly", "key": ["api_key"], "limit": 1, "period": "month",
            "exempt": { "principals": ["vip"], "roles": ["robot"], "addresses": ["198.51.100.0/24"] }
        }]);
        let quotas = quotas(raw, &make());
        let id = quotas.by_name("monthly").unwrap();
        let address = std::net::IpAddr::from([192, 0, 2, 1]);
        let nobody = Subject {
            principal: None,
            address,
            route: "a",
            service: "b",
            headers: None,
            parameters: (&[], &[]),
        };
        let (vip, mut robot, other) =
            (PrincipalKind::ApiKey, Principal::new(PrincipalKind::ApiKey, "r2", "partners"), "other");
        let (vip, other) = (Principal::new(vip, "vip", "partners"), Principal::new(vip, other, "partners"));
        robot.roles.push("robot".to_owned());
        let counts = |subject: Subject<'_>| quotas.ask(&[id], &subject, false, at(NOW)).unwrap().is_some();
        assert!(!counts(nobody));
        assert!(!counts(Subject { principal: Some(&vip), ..nobody }));
        assert!(!counts(Subject { principal: Some(&robot), ..nobody }));
        assert!(counts(Subject { principal: Some(&other), ..nobody }));
        let near = std::net::IpAddr::from([198, 51, 100, 7]);
        assert!(!counts(Subject { principal: Some(&other), address: near, ..nobody }));
    });
}

#[test]
fn what_is_not_right_is_told_with_what_would_be() {
    let folder = TempDir::new().unwrap();
    let database = database(folder.path(), "sqlite://state.db");
    let (_, problems) = compiled(json!([monthly(1)]), None);
    assert!(problems[0].contains("store.database"), "{problems:?}");
    for (change, told) in [
        (json!({ "limit": 0 }), "0 is not how many"),
        (json!({ "name": "a b" }), "is not a name"),
        (json!({ "key": [] }), "the key is empty"),
        (json!({ "time_zone": "Europe/Berlim" }), "no time zone `Europe/Berlim`"),
        (json!({ "anchor": "2026-02-30" }), "`2026-02-30` is no day"),
        (json!({ "anchor": "2026-01-31T06:00+01:00" }), "is no day"),
        (json!({ "grace": 1_000_000_000_000_000_u64 }), "is too many"),
        (json!({ "grace": 1, "mode": "shadow" }), "nothing to be gracious about"),
        (json!({ "cost": {} }), "another unit"),
        (json!({ "unit": "cost", "cost": { "request": 2 } }), "could cost 2 of a limit of 1"),
        (json!({ "unit": "cost", "cost": { "header": "x y" } }), "no name of a field"),
        (json!({ "warn_at": [0] }), "0 is not a threshold"),
        (json!({ "warn_at": [80, 80] }), "is there twice"),
        (json!({ "warn_at": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] }), "more than anybody reads of"),
        (json!({ "on_failure": "allow" }), "requests pass without an end"),
        (json!({ "ipv6_prefix": 64 }), "no address that the prefix"),
    ] {
        let mut raw = monthly(1);
        raw.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (_, problems) = compiled(json!([raw]), Some(&database));
        assert!(problems.len() == 1 && problems[0].contains(told), "{told}: {problems:?}");
    }
    let (_, problems) = compiled(json!([monthly(1), monthly(2)]), Some(&database));
    assert!(problems[0].contains("is taken already"), "{problems:?}");
    for anchor in ["2026-01-31", "2026-01-31T06:00"] {
        let mut raw = monthly(1);
        raw["anchor"] = json!(anchor);
        assert_eq!(compiled(json!([raw]), Some(&database)).1, Vec::<String>::new());
    }
    let unknown: Result<RawQuota, _> = serde_json::from_value(json!({
        "name": "a", "key": ["global"], "limit": 1, "period": "fortnight"
    }));
    assert!(unknown.unwrap_err().to_string().contains("write `day`, `week`"));
}
