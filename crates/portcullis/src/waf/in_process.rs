//! A run without sockets: the rules, a server's own refusals before them, and the backend behind them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::SystemTime;

use anyhow::anyhow;
use portcullis_waf::engine::{Interruption, RuleMatch, Ruleset, Transaction};

use super::expect::Seen;
use super::message::{self, Request, Response};
use super::server::{Refusal, refusal};
use super::suite::{Case, Input};
use super::{backend, load, test};

/// What the suite wants of an engine beside its rules.
const SETTINGS: &str = include_str!("suite.conf");

/// A stranger's address (RFC 5737): rules treat the machine itself with favour.
const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 50_000);

/// Runs the cases on all cores; what each brought about comes back in their order.
pub(super) fn run(
    rules: &Path,
    setup: Option<&Path>,
    cases: &[(String, Case)],
) -> anyhow::Result<Vec<Vec<Seen>>> {
    let ruleset = load_suite(rules, setup)?;
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![Vec::new(); cases.len()]);
    let workers = thread::available_parallelism().map_or(1, usize::from).min(cases.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((number, (_, case))) = take(&next, cases) {
                    let seen = test::play(case, |input, bytes| exchange(&ruleset, input, bytes));
                    if let Ok(mut results) = results.lock()
                        && let Some(place) = results.get_mut(number)
                    {
                        *place = seen;
                    }
                }
            });
        }
    });
    results.into_inner().map_err(|_| anyhow!("a run ended before its cases did"))
}

fn take<'c, T>(next: &AtomicUsize, cases: &'c [T]) -> Option<(usize, &'c T)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    Some((number, cases.get(number)?))
}

/// Loads the settings of the suite, the setup, and the rules of a folder in the order of their names.
fn load_suite(rules: &Path, setup: Option<&Path>) -> anyhow::Result<Ruleset> {
    let setup = setup.map(Path::to_owned).or_else(|| load::setup_beside(rules));
    let files: Vec<PathBuf> = setup.into_iter().chain(load::rule_files(rules)?).collect();
    load::ruleset(Ruleset::builder().text("<suite>", SETTINGS), &files)
}

/// One request through a server, the rules and the backend.
fn exchange(ruleset: &Ruleset, input: &Input, bytes: &[u8]) -> Seen {
    let request = message::request(bytes).message;
    match refusal(&request) {
        Some(Refusal::NoResponse) => {
            return Seen { refused: Some("HTTP/0.9".to_owned()), ..Seen::default() };
        }
        Some(Refusal::BadRequest(why)) => {
            let response = Some(Response { status: 400, ..Response::default() });
            return Seen { response, refused: Some(why.to_owned()), ..Seen::default() };
        }
        None => {}
    }
    let address = input.address.parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut transaction =
        ruleset.transaction(CLIENT, SocketAddr::new(address, input.port), SystemTime::now());
    let response = match phases_of_request(&mut transaction, &request) {
        Some(interruption) => Response { status: interruption.status, ..Response::default() },
        None => {
            let response = backend::answer(&request);
            match phases_of_response(&mut transaction, &response) {
                Some(interruption) => Response { status: interruption.status, ..Response::default() },
                None => response,
            }
        }
    };
    transaction.finish();
    Seen {
        response: Some(response),
        rule_ids: transaction.matches().iter().map(|matched| matched.rule_id).collect(),
        log: transaction.matches().iter().map(log_line).collect(),
        ..Seen::default()
    }
}

/// Runs the phases of the request.
pub(super) fn phases_of_request(transaction: &mut Transaction, request: &Request) -> Option<Interruption> {
    transaction.request_line(&request.method, &request.target, &request.protocol);
    for (name, value) in &request.headers {
        transaction.request_header(name, value);
    }
    if let Some(interruption) = transaction.request_headers_done() {
        return Some(interruption);
    }
    let body = if transaction.wants_request_body().is_some() { request.body.as_slice() } else { b"" };
    transaction.request_body(body)
}

/// Runs the phases of the response.
pub(super) fn phases_of_response(transaction: &mut Transaction, response: &Response) -> Option<Interruption> {
    transaction.response_line(response.status, b"HTTP/1.1");
    for (name, value) in &response.headers {
        transaction.response_header(name, value);
    }
    if let Some(interruption) = transaction.response_headers_done() {
        return Some(interruption);
    }
    let body = if transaction.wants_response_body().is_some() { response.body.as_slice() } else { b"" };
    transaction.response_body(body)
}

/// A match as ModSecurity writes it to the server's error log.
fn log_line(matched: &RuleMatch) -> String {
    format!("ModSecurity: Warning. {matched}")
}
