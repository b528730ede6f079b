//! The guard as a connection: small reads, waiting, answers in flight.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use hyper::{Request, Response, service::service_fn};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

use crate::wire::{Answering, CoarseClock, Fault, Guard, GuardHandle, Limits, Phase, Place};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ODD_REQUEST: &[u8] = b"\r\nPUT /<a>|\xC3\xA9?{\" HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n<>";
const ODD_REQUEST_ENCODED: &[u8] =
    b"\r\nPUT /%3Ca%3E%7C%C3%A9?%7B%22 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n<>";
const ODD_TARGET: &[u8] = b"/<a>|\xC3\xA9?{\"";
const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
const BAD: &[u8] = b"GET / HTTP/1.1\nHost: a\n\n";

/// A guard, its handle, the client's end and the time.
struct Scene {
    guard: Guard<DuplexStream>,
    handle: GuardHandle,
    client: DuplexStream,
    clock: CoarseClock,
}

impl Scene {
    fn new() -> Self {
        let (client, server) = tokio::io::duplex(1 << 16);
        let clock = CoarseClock::default();
        let guard = Guard::new(server, Limits::default(), clock.clone());
        Self { handle: guard.handle(), guard, client, clock }
    }

    fn send(&mut self, bytes: &[u8]) {
        let sent = Pin::new(&mut self.client).poll_write(&mut context(), bytes);
        assert!(matches!(sent, Poll::Ready(Ok(count)) if count == bytes.len()));
    }

    /// One read of at most `size` bytes. `None` if it has to wait.
    fn read(&mut self, size: usize) -> Option<io::Result<Vec<u8>>> {
        let mut space = vec![0; size];
        let mut buffer = ReadBuf::new(&mut space);
        match Pin::new(&mut self.guard).poll_read(&mut context(), &mut buffer) {
            Poll::Pending => None,
            Poll::Ready(result) => Some(result.map(|()| buffer.filled().to_vec())),
        }
    }

    fn read_bytes(&mut self) -> Vec<u8> {
        self.read(1 << 12).expect("there is something to read").expect("and no fault")
    }

    fn read_fault(&mut self) -> Fault {
        let error = self.read(64).expect("the read is over").expect_err("with a fault");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>()).copied();
        assert_eq!(fault, self.handle.fault());
        fault.unwrap()
    }
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

proptest! {
    #[test]
    fn every_byte_comes_through_reads_of_any_size(
        requests in 1_usize..6,
        sizes in proptest::collection::vec(1_usize..60, 1..6),
        pieces in proptest::collection::vec(1_usize..60, 1..6),
    ) {
        let body = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n";
        let input = [body, ODD_REQUEST, REQUEST].concat().repeat(requests);
        let expected = [body, ODD_REQUEST_ENCODED, REQUEST].concat().repeat(requests);
        let mut scene = Scene::new();
        let mut output = Vec::new();
        let mut rest = &input[..];
        for (piece, size) in pieces.iter().cycle().zip(sizes.iter().cycle()) {
            let (now, later) = rest.split_at((*piece).min(rest.len()));
            rest = later;
            scene.send(now);
            while let Some(read) = scene.read(*size) {
                output.extend(read.unwrap());
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(output, expected);
        prop_assert_eq!(scene.handle.requests(), 3 * requests as u64);
        for _ in 0..requests {
            let targets = [(); 3].map(|()| scene.handle.next_target());
            prop_assert_eq!(targets, [None, Some(ODD_TARGET.into()), None]);
        }
    }
}

#[test]
fn no_part_of_a_head_is_handed_on() {
    let mut scene = Scene::new();
    scene.send(&REQUEST[..20]);
    assert!(scene.read(64).is_none());
    assert_eq!(scene.handle.phase(), Phase::Head);
    scene.send(&REQUEST[20..]);
    assert_eq!(scene.read_bytes(), REQUEST);
    assert_eq!(scene.handle.phase(), Phase::Idle);
}

#[test]
fn good_requests_come_before_the_fault_behind_them() {
    let mut scene = Scene::new();
    scene.send(&[REQUEST, REQUEST, BAD].concat());
    assert_eq!(scene.read_bytes(), REQUEST.repeat(2));
    assert_eq!(scene.read_fault().place, Place::Head);
    scene.send(REQUEST);
    scene.read_fault();
}

#[test]
fn a_fault_in_a_head_waits_for_the_answers_before_it() {
    let mut scene = Scene::new();
    scene.send(&[REQUEST, BAD].concat());
    assert_eq!(scene.read_bytes(), REQUEST);
    let (first, second) = (scene.handle.answering(), scene.handle.answering());
    assert!(scene.read(64).is_none());
    drop(first);
    assert!(scene.read(64).is_none());
    assert!(Pin::new(&mut scene.guard).poll_write(&mut context(), b"answer").is_ready());
    drop(second);
    assert!(scene.read(64).is_none(), "the answer is not flushed yet");
    assert!(Pin::new(&mut scene.guard).poll_flush(&mut context()).is_ready());
    scene.read_fault();
}

#[test]
fn a_fault_in_a_body_is_told_at_once() {
    let mut scene = Scene::new();
    scene.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef");
    assert!(scene.read_bytes().ends_with(b"3\r\nabc"));
    let _answering = scene.handle.answering();
    assert_eq!(scene.read_fault().place, Place::Body);
}

#[test]
fn an_upgrade_holds_what_follows_until_the_driver_speaks() {
    let mut scene = Scene::new();
    scene.send(&[UPGRADE, b"\n\0\xFF"].concat());
    assert_eq!(scene.read_bytes(), UPGRADE);
    assert!(scene.read(64).is_none());
    scene.send(b"more");
    assert!(scene.read(64).is_none());
    assert_eq!(scene.handle.phase(), Phase::UpgradePending);
    scene.handle.upgraded(true);
    assert_eq!(scene.read_bytes(), b"\n\0\xFFmore");
    scene.send(b"GET");
    assert_eq!(scene.read_bytes(), b"GET");
    assert_eq!(scene.handle.phase(), Phase::Tunnel);
}

#[test]
fn an_upgrade_with_an_odd_target_is_held_like_any() {
    let mut scene = Scene::new();
    scene.send(
        &[b"GET /<> HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", REQUEST].concat(),
    );
    assert!(scene.read_bytes().starts_with(b"GET /%3C%3E HTTP/1.1\r\n"));
    assert!(scene.read(64).is_none());
    scene.handle.upgraded(false);
    assert_eq!(scene.read_bytes(), REQUEST);
}

#[test]
fn an_absolute_target_is_kept_as_it_came() {
    let mut scene = Scene::new();
    let request = b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n";
    scene.send(&[REQUEST, request].concat());
    assert_eq!([scene.read_bytes(), scene.read_bytes()].concat(), [REQUEST, request].concat());
    assert_eq!(scene.handle.next_target(), None);
    assert_eq!(scene.handle.next_target().as_deref(), Some(&b"http://a"[..]));
}

#[test]
fn what_was_given_back_comes_before_what_waits() {
    let mut scene = Scene::new();
    scene.send(&[ODD_REQUEST, REQUEST].concat());
    let read = scene.read(20).unwrap().unwrap();
    scene.guard.take_back(&read[10..]);
    let mut all = read[..10].to_vec();
    while let Some(more) = scene.read(7) {
        all.extend(more.unwrap());
    }
    assert_eq!(all, [ODD_REQUEST_ENCODED, REQUEST].concat());
}

#[test]
fn a_refused_upgrade_goes_on_with_requests() {
    let mut scene = Scene::new();
    scene.handle.upgraded(true);
    scene.send(&[UPGRADE, REQUEST].concat());
    assert_eq!(scene.read_bytes(), UPGRADE);
    assert!(scene.read(64).is_none(), "a word before the request does not count");
    scene.handle.upgraded(false);
    assert_eq!(scene.read_bytes(), REQUEST);
}

#[test]
fn a_client_that_leaves_while_an_upgrade_is_pending_is_noticed() {
    let mut scene = Scene::new();
    scene.send(UPGRADE);
    assert_eq!(scene.read_bytes(), UPGRADE);
    assert!(scene.read(64).is_none());
    assert!(Pin::new(&mut scene.client).poll_shutdown(&mut context()).is_ready());
    assert_eq!(scene.read_bytes(), b"");
}

#[test]
fn a_pending_upgrade_keeps_little() {
    let mut scene = Scene::new();
    scene.send(UPGRADE);
    assert_eq!(scene.read_bytes(), UPGRADE);
    scene.send(&[b'x'; 60_000]);
    assert!(scene.read(1024).is_none());
    let (_, held) = scene.guard.into_parts();
    assert!((4096..=8192).contains(&held.len()), "{}", held.len());
}

#[test]
fn the_handle_tells_what_the_client_is_slow_at() {
    let mut scene = Scene::new();
    scene.clock.set(1_000);
    assert!(scene.read(64).is_none());
    scene.clock.set(5_000);
    assert_eq!((scene.handle.phase(), scene.handle.waited()), (Phase::Idle, 4_000));
    scene.send(b"PUT / HTTP/1.1\r\n");
    assert!(scene.read(64).is_none());
    assert_eq!((scene.handle.phase(), scene.handle.since(), scene.handle.waited()), (Phase::Head, 5_000, 0));
    scene.clock.set(6_000);
    assert_eq!((scene.handle.waited(), scene.handle.waiting_since()), (1_000, Some(5_000)));
    scene.send(b"Host: a\r\nContent-Length: 10\r\n\r\nabc");
    scene.read_bytes();
    assert_eq!(
        (scene.handle.phase(), scene.handle.since(), scene.handle.body_bytes()),
        (Phase::Body, 6_000, 3)
    );
    scene.clock.set(9_000);
    assert_eq!(scene.handle.waited(), 0, "nobody wants to read: the client is not slow");
    assert_eq!(scene.handle.waiting_since(), None);
    assert!(scene.read(64).is_none());
    scene.clock.set(9_500);
    assert_eq!(scene.handle.waited(), 500);
    scene.send(b"defghij");
    scene.read_bytes();
    assert_eq!((scene.handle.phase(), scene.handle.body_bytes()), (Phase::Idle, 10));
}

#[test]
fn writes_pass_with_their_slices() {
    let mut scene = Scene::new();
    assert!(scene.guard.is_write_vectored());
    let slices = [io::IoSlice::new(b"ab"), io::IoSlice::new(b"cd")];
    let written = Pin::new(&mut scene.guard).poll_write_vectored(&mut context(), &slices);
    assert!(matches!(written, Poll::Ready(Ok(4))));
}

/// An answer of many frames that ends with its token.
struct SlowBody {
    frames_left: usize,
    _answering: Answering,
}

const FRAME: [u8; 1000] = [b'z'; 1000];
const FRAMES: usize = 50;

impl Body for SlowBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.frames_left == 0 {
            return Poll::Ready(None);
        }
        self.frames_left -= 1;
        if self.frames_left.is_multiple_of(2) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&FRAME)))))
    }
}

#[tokio::test]
async fn answers_in_flight_and_then_the_refusal_reach_the_client() {
    let (client, server) = tokio::io::duplex(700);
    let guard = Guard::new(server, Limits::default(), CoarseClock::default());
    let handle = guard.handle();
    let service = service_fn(|_: Request<Incoming>| {
        let body = SlowBody { frames_left: 2 * FRAMES, _answering: handle.answering() };
        Box::pin(std::future::ready(Ok::<_, Infallible>(Response::new(body))))
    });
    let mut connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(guard), service);
    let driving = async move {
        // hyper takes a failed read between requests for the client's leaving.
        std::future::poll_fn(|context| connection.poll_without_shutdown(context)).await.unwrap();
        let mut guard = connection.into_parts().io.into_inner();
        guard.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        guard.shutdown().await.unwrap();
        // Kept open: the client must see the end by the shutdown, while the driver still lingers.
        guard
    };
    let (mut reader, mut writer) = tokio::io::split(client);
    let mut answers = Vec::new();
    let requests = [REQUEST, REQUEST, BAD].concat();
    let (_guard, sent, read) =
        tokio::join!(driving, writer.write_all(&requests), reader.read_to_end(&mut answers));
    sent.unwrap();
    read.unwrap();
    assert_eq!(handle.fault().map(|fault| fault.place), Some(Place::Head));
    assert_eq!(answers.iter().filter(|byte| **byte == b'z').count(), 2 * FRAMES * FRAME.len());
    assert!(answers.ends_with(b"\r\n0\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n"), "the last answer is whole");
}
