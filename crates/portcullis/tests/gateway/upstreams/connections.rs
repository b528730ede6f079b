//! Connections to the service: kept, used again, and given up without anyone noticing.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::h2;
use portcullis_testkit::raw::Connection;

use super::{Puppet, get, post};
use crate::common::{dead_address, plain};

/// The requests' places on their connections.
fn positions(upstream: &Upstream) -> Vec<usize> {
    upstream.requests().iter().map(|seen| seen.position).collect()
}

#[test]
fn requests_of_different_clients_share_one_connection() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    assert_eq!(get(&gateway, "/").status, 200);
    assert_eq!(post(&gateway, "/reflect").status, 200);
    assert_eq!(get(&gateway, "/chunked").status, 200);
    assert_eq!(h2::Client::open(gateway.address("public")).request("GET", "/", &[]).status, 200);
    assert_eq!(positions(&upstream), [0, 1, 2, 3]);
}

#[test]
fn a_busy_connection_is_not_shared() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut held = Connection::open(gateway.address("public"));
    held.send("GET /hang-body HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(held.interim().status, 200);
    assert_eq!(get(&gateway, "/").status, 200);
    assert_eq!(positions(&upstream), [0, 0]);
}

#[test]
fn no_more_connections_are_kept_than_configured() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).upstream("idle_connections", "0").start();
    for _ in 0..3 {
        assert_eq!(get(&gateway, "/").status, 200);
    }
    assert_eq!(positions(&upstream), [0, 0, 0]);
}

#[test]
fn a_connection_that_the_service_will_close_is_not_used_again() {
    let upstream = Upstream::scripted(|_| {
        Some(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi".to_vec())
    });
    let gateway = plain(&upstream.url()).start();
    for _ in 0..3 {
        assert_eq!(post(&gateway, "/").text(), "hi");
    }
    assert_eq!(positions(&upstream), [0, 0, 0]);
}

#[test]
fn an_answer_without_length_ends_with_its_connection() {
    let upstream =
        Upstream::scripted(|_| Some(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end".to_vec()));
    let gateway = plain(&upstream.url()).start();
    let answer = get(&gateway, "/");
    assert_eq!((answer.text().as_str(), answer.complete), ("to the end", true));
    assert_eq!(answer.header("transfer-encoding").as_deref(), Some("chunked"));
}

/// The service closes a connection that nothing happens on; the gateway learns of it when it wants to use it.
fn after_an_idle_close(second: impl FnOnce(&portcullis_testkit::gateway::Gateway) -> String + Send) {
    let service = Puppet::start();
    let gateway = plain(&service.url()).policy("forward", "{ retries: 0 }").start();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| get(&gateway, "/").text());
        let mut connection = service.accept();
        connection.answer("one");
        assert_eq!(first.join().unwrap(), "one");
        connection.close();

        let gateway = &gateway;
        let second = scope.spawn(move || second(gateway));
        service.accept().answer("two");
        assert_eq!(second.join().unwrap(), "two");
    });
}

#[test]
fn a_connection_that_the_service_closed_while_it_was_idle_is_no_error() {
    after_an_idle_close(|gateway| get(gateway, "/").text());
}

#[test]
fn not_even_for_a_request_that_must_not_be_repeated() {
    after_an_idle_close(|gateway| post(gateway, "/").text());
}

#[test]
fn several_connections_that_died_are_no_error_either() {
    let service = Puppet::start();
    let gateway = plain(&service.url()).policy("forward", "{ retries: 0 }").start();
    std::thread::scope(|scope| {
        let clients = [(); 3].map(|()| scope.spawn(|| get(&gateway, "/").text()));
        let mut connections = [(); 3].map(|()| service.accept());
        for connection in &mut connections {
            connection.answer("one");
        }
        for client in clients {
            assert_eq!(client.join().unwrap(), "one");
        }
        for connection in connections {
            connection.close();
        }
        let last = scope.spawn(|| post(&gateway, "/").text());
        service.accept().answer("two");
        assert_eq!(last.join().unwrap(), "two");
    });
}

#[test]
fn http2_requests_share_one_connection_and_a_lost_one_is_replaced() {
    let address = dead_address();
    let upstream = Upstream::start_at(address);
    let gateway =
        plain(&upstream.url()).upstream("protocol", "http2").policy("forward", "{ retries: 0 }").start();
    let mut held = Connection::open(gateway.address("public"));
    held.send("GET /slow-head HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(upstream.wait_for_requests(1).len(), 1);
    assert_eq!(get(&gateway, "/").status, 200, "a held stream holds nobody else up");
    upstream.release();
    assert_eq!(held.response().status, 200);

    drop(upstream);
    let upstream = Upstream::start_at(address);
    assert_eq!(post(&gateway, "/").status, 200);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn what_a_service_sends_unasked_is_nobodys_answer() {
    let service = Puppet::start();
    let gateway = plain(&service.url()).policy("forward", "{ retries: 0 }").start();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| get(&gateway, "/").text());
        let mut connection = service.accept();
        connection.answer("one");
        assert_eq!(first.join().unwrap(), "one");
        connection.answer("poison");

        let second = scope.spawn(|| get(&gateway, "/").text());
        service.accept().answer("two");
        assert_eq!(second.join().unwrap(), "two");
    });
}
