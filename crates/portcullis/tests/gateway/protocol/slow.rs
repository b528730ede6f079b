//! A thousand clients that take their time, and one that does not.

use portcullis_testkit::echo::{Ending, Upstream};
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Connection};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::common::plain;

const MANY: usize = 1_000;

/// One end of a thousand connections to the gateway and of as many to the service behind it are here, the others with
/// the gateway, which inherits the limit.
fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .expect("the highest limit that is allowed");
}

/// Opens a thousand connections with this beginning of a request.
fn open_many(gateway: &Gateway, beginning: &str) -> Vec<Connection> {
    let mut connections: Vec<Connection> =
        (0..MANY).map(|_| Connection::open(gateway.address("public"))).collect();
    for connection in &mut connections {
        connection.send(beginning);
    }
    connections
}

/// A client that comes while the others dawdle is served.
fn assert_fresh_client_is_served(gateway: &Gateway) {
    assert_eq!(raw::get(gateway.address("public"), "/fresh", "").status, 200);
    let metrics = raw::get(gateway.address("admin"), "/metrics", "").text();
    let open =
        metrics.lines().find_map(|line| line.strip_prefix("portcullis_connections ")).expect("the gauge");
    assert!(
        open.parse::<usize>().expect("a number") >= MANY,
        "the slow connections were gone already: {open}"
    );
}

fn assert_all_timed_out(connections: Vec<Connection>) {
    for mut connection in connections {
        let response = connection.response();
        assert_eq!(response.status, 408);
        assert_eq!(response.code(), "request_timeout");
        connection.assert_closed();
    }
}

#[test]
fn slow_heads_are_given_up_and_a_fresh_client_is_served() {
    raise_file_limit();
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).section("protocol", "{ header_timeout: 3s }").start();
    let connections = open_many(&gateway, "GET / HTTP/1.1\r\nHost: gate.test\r\nX-Slow: ");
    assert_fresh_client_is_served(&gateway);
    assert_all_timed_out(connections);
    assert_eq!(upstream.only_request().target, "/fresh");
}

#[test]
fn slow_bodies_are_given_up_and_a_fresh_client_is_served() {
    raise_file_limit();
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).section("protocol", "{ body_timeout: 3s }").start();
    let beginning = "POST /slow HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 10\r\n\r\nabc";
    let connections = open_many(&gateway, beginning);
    assert_fresh_client_is_served(&gateway);
    assert_all_timed_out(connections);
    let whole = upstream.wait_for(|requests| {
        let are_over = requests.iter().all(|seen| seen.ending != Ending::Reading);
        are_over.then(|| requests.iter().filter(|seen| seen.ending == Ending::Complete).count())
    });
    assert_eq!(whole, 1, "the fresh client's");
}

/// A client that sends a byte now and then is as slow as one that sends nothing: the time is for the whole head. Were it
/// not, the head would grow until it is too large, which is another answer.
#[test]
fn bytes_now_and_then_do_not_prolong_a_head() {
    let upstream = Upstream::start();
    let protocol = "{ header_timeout: 200ms, header_size: 4KiB }";
    let gateway = plain(&upstream.url()).section("protocol", protocol).start();
    let mut connection = Connection::open(gateway.address("public"));
    connection.send("GET / HTTP/1.1\r\nHost: gate.test\r\nX-Slow: ");
    while connection.try_send(b"a").is_ok() {
        assert_eq!(raw::get(gateway.address("public"), "/status/200", "").status, 200);
    }
    assert_eq!(connection.response().status, 408);
}
