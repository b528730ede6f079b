//! The guard and hyper side by side: on valid requests, and on damaged ones.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, Version, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use portcullis_core::target::{is_encoded, push_encoded};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Outcome, complete_requests, frame};
use crate::wire::{CoarseClock, Guard, Limits, Phase, awaits_upgrade};

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn valid_requests_pass_byte_for_byte_however_they_arrive(
        messages in proptest::collection::vec(message(), 1..6),
        pieces in proptest::collection::vec(1_usize..90, 1..8),
    ) {
        let input = render(&messages);
        let outcome = frame(Limits::default(), &input, &pieces);
        prop_assert_eq!(outcome.fault, None);
        prop_assert_eq!(outcome.phase, Phase::Idle);
        prop_assert_eq!(&outcome.handed_on, &input);
        let sizes: Vec<u64> = messages.iter().map(|message| message.body.len() as u64).collect();
        prop_assert_eq!(complete_requests(Limits::default(), &input), sizes);
    }

    #[test]
    fn hyper_behind_the_guard_sees_the_requests_that_were_sent(
        messages in proptest::collection::vec(message(), 1..6),
        pieces in proptest::collection::vec(1_usize..90, 1..8),
    ) {
        let seen = serve(&render(&messages), &pieces);
        prop_assert!(!seen.parse_error);
        prop_assert_eq!(seen.requests.len(), messages.len());
        for (request, message) in seen.requests.iter().zip(&messages) {
            let encoded = encoded(&message.target);
            let changed = (encoded != message.target).then(|| message.target.clone());
            prop_assert_eq!(&request.target, &encoded);
            prop_assert_eq!(&request.as_written, &changed);
            prop_assert_eq!(&request.body, &message.body);
        }
    }

    /// Whatever happens to the bytes: hyper sees a request end where the guard saw it end, or not at all.
    #[test]
    fn hyper_behind_the_guard_never_sees_another_boundary(
        messages in proptest::collection::vec(message(), 1..4),
        damages in proptest::collection::vec(damage(), 1..4),
        pieces in proptest::collection::vec(1_usize..90, 1..4),
    ) {
        let mut input = render(&messages);
        for damage in &damages {
            damage.apply(&mut input);
        }
        let expected = complete_requests(Limits::default(), &input);
        let seen = serve(&input, &pieces);
        prop_assert!(!seen.parse_error, "hyper refused what the guard accepted: {}", input.escape_ascii());
        let sizes: Vec<u64> = seen.requests.iter().map(|request| request.body.len() as u64).collect();
        prop_assert_eq!(&sizes[..], &expected[..sizes.len().min(expected.len())], "{}", input.escape_ascii());
        for request in &seen.requests {
            // The one form, whatever came; of another request's target nothing.
            let as_written = request.as_written.as_ref().unwrap_or(&request.target);
            let form = encoded(as_written);
            let form = form.split_once("gate.test").map_or(&*form, |(_, path)| path);
            prop_assert!(request.target.ends_with(form), "{}", input.escape_ascii());
            prop_assert!(request.target.bytes().all(|byte| byte.is_ascii_graphic() && !is_encoded(byte)));
        }
        let closed = seen.requests.last().is_some_and(|request| request.closes);
        prop_assert!(closed || sizes.len() == expected.len(), "{}", input.escape_ascii());
    }

    #[test]
    fn no_input_panics_and_no_split_matters(
        input in proptest::collection::vec(any::<u8>(), 0..300), pieces in proptest::collection::vec(1_usize..40, 1..4),
    ) {
        let whole = frame(Limits::default(), &input, &[]);
        let split = frame(Limits::default(), &input, &pieces);
        prop_assert_eq!(whole.handed_on, split.handed_on);
    }

    #[test]
    fn no_split_changes_what_is_accepted_of_damaged_requests(
        messages in proptest::collection::vec(message(), 1..4),
        damages in proptest::collection::vec(damage(), 1..4),
        pieces in proptest::collection::vec(1_usize..40, 1..4),
    ) {
        let mut input = render(&messages);
        for damage in &damages {
            damage.apply(&mut input);
        }
        let whole = frame(Limits::default(), &input, &[]);
        let split = frame(Limits::default(), &input, &pieces);
        prop_assert_eq!(&whole.handed_on, &split.handed_on, "{}", input.escape_ascii());
        prop_assert_eq!(whole.phase, split.phase, "{}", input.escape_ascii());
        let reason = |outcome: &Outcome| outcome.fault.map(|fault| (fault.reason, fault.place));
        prop_assert_eq!(reason(&whole), reason(&split), "{}", input.escape_ascii());
    }
}

/// A request, and how its body is to be sent.
#[derive(Debug, Clone)]
struct Message {
    target: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    delimited: Delimited,
    empty_line_first: bool,
}

#[derive(Debug, Clone)]
enum Delimited {
    ByNothing,
    ByLength,
    InChunks { size: usize, extension: String, trailers: Vec<(String, String)> },
}

fn message() -> impl Strategy<Value = Message> {
    let fields = || proptest::collection::vec(("X-[A-Za-z]{1,8}", "[!-~][ -~\t]{0,20}[!-~]"), 0..4);
    let extension =
        prop_oneof![Just(String::new()), "(;[a-z]{1,4}=(\"[ !#-\\[\\]-~]{0,6}\"|[a-z]{1,4})){1,2}"];
    let chunked = (1_usize..50, extension, fields())
        .prop_map(|(size, extension, trailers)| Delimited::InChunks { size, extension, trailers });
    let delimited = prop_oneof![Just(Delimited::ByNothing), Just(Delimited::ByLength), chunked];
    let body = proptest::collection::vec(any::<u8>(), 0..200);
    (
        "/[!\"$->@-~\u{80}-\u{2ff}]{0,20}(\\?[!\"$-~\u{80}-\u{2ff}]{0,10})?",
        fields(),
        body,
        delimited,
        any::<bool>(),
    )
        .prop_map(|(target, fields, mut body, delimited, empty_line_first)| {
            if matches!(delimited, Delimited::ByNothing) {
                body.clear();
            }
            Message { target, fields, body, delimited, empty_line_first }
        })
}

fn encoded(target: &str) -> String {
    let mut encoded = Vec::new();
    push_encoded(target.as_bytes(), &mut encoded);
    String::from_utf8(encoded).unwrap()
}

fn render(messages: &[Message]) -> Vec<u8> {
    messages.iter().flat_map(Message::render).collect()
}

impl Message {
    fn render(&self) -> Vec<u8> {
        let fields = |fields: &[(String, String)]| {
            fields.iter().map(|(name, value)| format!("{name}: {value} \r\n")).collect::<String>()
        };
        let first = if self.empty_line_first { "\r\n" } else { "" };
        let framing = match self.delimited {
            Delimited::ByNothing => String::new(),
            Delimited::ByLength => format!("Content-Length:{}\r\n", self.body.len()),
            Delimited::InChunks { .. } => "transfer-encoding:\tChunked\r\n".to_owned(),
        };
        let head = format!(
            "{first}POST {} HTTP/1.1\r\nHost: gate.test\r\n{}{framing}\r\n",
            self.target,
            fields(&self.fields)
        );
        let mut bytes = head.into_bytes();
        let Delimited::InChunks { size, extension, trailers } = &self.delimited else {
            bytes.extend_from_slice(&self.body);
            return bytes;
        };
        for (index, chunk) in self.body.chunks(*size).enumerate() {
            // Not at every chunk: they are bounded for the body.
            let extension = if index == 0 { extension } else { "" };
            bytes.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("000{extension}\r\n{}\r\n", fields(trailers)).as_bytes());
        bytes
    }
}

/// Something that happens to one place of the input.
#[derive(Debug, Clone)]
struct Damage {
    at: prop::sample::Index,
    removed: usize,
    inserted: Vec<u8>,
}

impl Damage {
    fn apply(&self, input: &mut Vec<u8>) {
        if input.is_empty() {
            return;
        }
        let from = self.at.index(input.len());
        let to = input.len().min(from + self.removed);
        input.splice(from..to, self.inserted.iter().copied());
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let snippet = prop::sample::select(vec![
        &b""[..],
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b"\0",
        b";",
        b":",
        b",",
        b"0",
        b"1",
        b"f",
        b"?",
        b"#",
        b"\xFF",
        b"\xC3\xA9",
        b"<",
        b"|\\",
        b"\r\nContent-Length: 5\r\n",
        b"\r\nTransfer-Encoding: chunked\r\n",
        b"\r\nTransfer-Encoding: gzip, chunked\r\n",
        b"\r\nConnection: close\r\n",
        b"\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
        b"\r\nUpgrade: h2c\r\n",
        b"\r\nExpect: 100-continue\r\n",
        b"\r\nHost: gate.test\r\n",
        b"\r\nX: 1",
        b"0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET http://gate.test?a HTTP/1.1\r\nHost: gate.test\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: gate.test\r\n\r\n",
    ]);
    let inserted = prop_oneof![
        3 => snippet.prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 1..3),
    ];
    (any::<prop::sample::Index>(), 0_usize..4, inserted).prop_map(|(at, removed, inserted)| Damage {
        at,
        removed,
        inserted,
    })
}

/// What a hyper server behind a guard made of a connection.
#[derive(Debug, Default)]
struct Seen {
    requests: Vec<SeenRequest>,
    parse_error: bool,
}

#[derive(Debug)]
struct SeenRequest {
    target: String,
    /// The target as it came, if it is another.
    as_written: Option<String>,
    body: Vec<u8>,
    /// Whether hyper reads nothing after it.
    closes: bool,
}

/// Sends `input` in pieces to hyper behind a guard, and then closes.
fn serve(input: &[u8], pieces: &[usize]) -> Seen {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (client, server) = tokio::io::duplex(1 << 16);
        let guard = Guard::new(server, Limits::default(), CoarseClock::default());
        let handle = guard.handle();
        let service = service_fn(|request: Request<Incoming>| {
            let (seen, handle) = (Rc::clone(&seen), handle.clone());
            let as_written = handle.next_target().map(|target| String::from_utf8(target.into()).unwrap());
            async move {
                let answering = handle.answering();
                let (head, body) = request.into_parts();
                if let Ok(body) = body.collect().await {
                    seen.borrow_mut().requests.push(SeenRequest {
                        target: head.uri.to_string(),
                        as_written,
                        body: body.to_bytes().to_vec(),
                        closes: closes(head.version, &head.headers),
                    });
                }
                if awaits_upgrade(head.version, &head.headers) {
                    handle.upgraded(false);
                }
                drop(answering);
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .half_close(true)
            .serve_connection(TokioIo::new(guard), service);
        let (result, ()) = tokio::join!(connection, send(client, input, pieces));
        seen.borrow_mut().parse_error = result.is_err_and(|error| error.is_parse());
    });
    drop(runtime);
    Rc::try_unwrap(seen).unwrap().into_inner()
}

async fn send(client: tokio::io::DuplexStream, input: &[u8], pieces: &[usize]) {
    let (mut reader, mut writer) = tokio::io::split(client);
    let sending = async {
        let mut rest = input;
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at((*piece).min(rest.len()));
            if now.is_empty() || writer.write_all(now).await.is_err() {
                break;
            }
            rest = later;
            tokio::task::yield_now().await;
        }
        let _ = writer.shutdown().await;
    };
    let mut answers = Vec::new();
    let _ = tokio::join!(sending, reader.read_to_end(&mut answers));
}

fn closes(version: Version, headers: &header::HeaderMap) -> bool {
    let says = |option: &str| {
        headers.get_all(header::CONNECTION).iter().any(|value| {
            value
                .to_str()
                .is_ok_and(|list| list.split(',').any(|one| one.trim().eq_ignore_ascii_case(option)))
        })
    };
    says("close") || (version == Version::HTTP_10 && !says("keep-alive"))
}
