//! Sizes at and above each limit, and the few rules that no corpus case shows.

use portcullis_core::Reason;
use portcullis_pipeline::settings::HeadLimits;

use super::frame;
use crate::wire::{Fault, Framing, Limits, Phase, Place};

const HEAD: HeadLimits = HeadLimits { request_line: 40, header_count: 4, header_size: 30, header_total: 60 };
const LIMITS: Limits = Limits { head: HEAD, max_body: 10 };

fn fault_of(input: &[u8]) -> Option<(Reason, Place)> {
    let whole = frame(LIMITS, input, &[]);
    let bytewise = frame(LIMITS, input, &[1]);
    assert_eq!(whole, bytewise, "{}", input.escape_ascii());
    whole.fault.map(|Fault { reason, place, .. }| (reason, place))
}

fn head(target: usize, fields: &[usize]) -> Vec<u8> {
    let mut head = format!("GET /{} HTTP/1.0\r\n", "a".repeat(target - "GET / HTTP/1.0".len())).into_bytes();
    for length in fields {
        head.extend_from_slice(format!("X: {}\r\n", "a".repeat(length - 3)).as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

#[test]
fn a_head_at_its_limits_passes_and_one_above_does_not() {
    assert_eq!(fault_of(&head(40, &[])), None);
    assert_eq!(fault_of(&head(41, &[])), Some((Reason::TargetTooLong, Place::Head)));
    assert_eq!(fault_of(&head(20, &[30])), None);
    assert_eq!(fault_of(&head(20, &[31])), Some((Reason::HeadersTooLarge, Place::Head)));
    assert_eq!(fault_of(&head(20, &[28, 28])), None, "60 bytes with their line ends");
    assert_eq!(fault_of(&head(20, &[28, 29])), Some((Reason::HeadersTooLarge, Place::Head)));
    assert_eq!(fault_of(&head(20, &[5; 4])), None);
    assert_eq!(fault_of(&head(20, &[5; 5])), Some((Reason::HeadersTooLarge, Place::Head)));
}

#[test]
fn a_line_is_measured_in_the_form_in_which_it_is_sent_on() {
    let line = |marks: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "<".repeat(marks));
    let most = (HEAD.request_line - "GET / HTTP/1.1".len()) / 3;
    assert_eq!(fault_of(line(most).as_bytes()), None);
    assert_eq!(fault_of(line(most + 1).as_bytes()), Some((Reason::TargetTooLong, Place::Head)));
}

#[test]
fn a_line_without_end_is_refused_at_its_limit_and_kept_no_longer() {
    let endless = [&b"GET / HTTP/1.1\r\nX: "[..], &[b'a'; 100]].concat();
    let mut framing = Framing::new(LIMITS);
    let fault = (1..endless.len()).find_map(|end| framing.accept(&endless[..end]).err().map(|_| end));
    assert_eq!(fault, Some("GET / HTTP/1.1\r\n".len() + HEAD.header_size + 2));
}

#[test]
fn a_body_at_the_limit_passes_and_one_above_does_not() {
    let by_length = |length: &str| {
        let body = "a".repeat(length.parse().unwrap());
        fault_of(format!("PUT / HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes())
    };
    assert_eq!(by_length("10"), None);
    assert_eq!(by_length("11"), Some((Reason::BodyTooLarge, Place::Head)));
    let chunked = |chunks: &str| {
        let input = format!("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let wide = Limits { head: HeadLimits { header_size: 100, header_total: 100, ..HEAD }, ..LIMITS };
        frame(wide, input.as_bytes(), &[]).fault.map(|fault| (fault.reason, fault.place))
    };
    assert_eq!(chunked("5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n"), None);
    assert_eq!(chunked("5\r\nhello\r\n6\r\nhello!\r\n0\r\n\r\n"), Some((Reason::BodyTooLarge, Place::Body)));
    assert_eq!(chunked("FFFFFFFFFFFFFFFF\r\nhello"), Some((Reason::BodyTooLarge, Place::Body)));
}

#[test]
fn extensions_and_trailers_are_bounded_for_the_whole_body() {
    let chunked = |chunks: &str| {
        let input = format!("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        frame(Limits::default(), input.as_bytes(), &[7]).fault.map(|fault| (fault.reason, fault.place))
    };
    let extension = |bytes: usize| format!(";{}", "e".repeat(bytes - 1));
    let (half, more) = (extension(128), extension(129));
    assert_eq!(chunked(&format!("1{half}\r\na\r\n0{half}\r\n\r\n")), None);
    assert_eq!(chunked(&format!("1{half}\r\na\r\n0{more}\r\n\r\n")), Some((Reason::Smuggling, Place::Body)));
    let trailer = format!("X: {}\r\n", "t".repeat(4000));
    assert_eq!(chunked(&format!("0\r\n{}\r\n", trailer.repeat(2))), None);
    assert_eq!(
        chunked(&format!("0\r\n{}\r\n", trailer.repeat(3))),
        Some((Reason::HeadersTooLarge, Place::Body))
    );
}

#[test]
fn after_a_fault_nothing_passes() {
    let mut framing = Framing::new(Limits::default());
    assert!(framing.accept(b"GET / HTTP/3\r\n").is_err());
    assert!(framing.accept(b"GET / HTTP/1.0\r\n\r\n").is_err());
    assert!(framing.accept(b"").is_err());
    assert_eq!(framing.phase(), Phase::Faulted);
}

#[test]
fn a_fault_says_what_and_where_without_a_word_of_the_client() {
    let outcome = frame(Limits::default(), b"GET /secret HTTP/1.1\r\nHost: secret secret\r\n\r\n", &[]);
    assert_eq!(
        outcome.fault.unwrap().to_string(),
        "Host is not a host with an optional port (bad_host, in the head of the request)"
    );
}

#[test]
fn an_upgrade_stops_everything_until_the_driver_has_spoken() {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let input = [&request[..], b"\x81\x05hello"].concat();
    let mut switched = Framing::new(Limits::default());
    assert_eq!(switched.accept(&input), Ok(request.len()));
    assert_eq!(switched.accept(b"\x81\x05hello"), Ok(0));
    assert_eq!(switched.phase(), Phase::UpgradePending);
    switched.upgraded(true);
    assert_eq!(switched.accept(b"\x81\x05hello"), Ok(7));
    assert_eq!(switched.phase(), Phase::Tunnel);

    let mut stayed = Framing::new(Limits::default());
    assert_eq!(stayed.accept(&input), Ok(request.len()));
    stayed.upgraded(false);
    assert!(stayed.accept(b"\x81\x05hello").is_err(), "a frame is no request");
}

#[test]
fn an_upgrade_that_is_none_does_not_stop_anything() {
    for head in [
        // HTTP/1.0 has no Upgrade.
        &b"GET / HTTP/1.0\r\nUpgrade: websocket\r\n\r\n"[..],
        // `h2c` with a body is an ordinary request of some clients.
        b"PUT / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\na",
    ] {
        let mut framing = Framing::new(Limits::default());
        assert_eq!(framing.accept(head), Ok(head.len()));
        assert_eq!(framing.phase(), Phase::Idle);
        framing.upgraded(true);
        assert_eq!(framing.phase(), Phase::Idle, "a word out of season changes nothing");
    }
}

#[test]
fn hosts_are_names_or_addresses_with_an_optional_port() {
    let accepts = |host: &str| {
        let input = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        frame(Limits::default(), input.as_bytes(), &[]).fault.is_none()
    };
    for host in ["a", "api_v1.internal:8080", "127.0.0.1", "[::1]", "[2001:db8::1]:443", "XN--e1afmkfd.test."]
    {
        assert!(accepts(host), "{host}");
    }
    for host in ["a:", "a:123456", "a:b", "[::1", "[::1]x", "[1.2.3.4]", "::1", "a%2eb", "a b", "*", ":80"] {
        assert!(!accepts(host), "{host}");
    }
}
