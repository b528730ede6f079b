//! Which target a request goes to.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::raw::Connection;

use super::{assert_refused, get};
use crate::common::{Config, plain, targets};

fn before(upstreams: &[Upstream]) -> Config {
    let urls: Vec<String> = upstreams.iter().map(Upstream::url).collect();
    targets(&urls.iter().map(String::as_str).collect::<Vec<_>>())
}

fn counts(upstreams: &[Upstream]) -> Vec<usize> {
    upstreams.iter().map(|upstream| upstream.requests().len()).collect()
}

#[test]
fn round_robin_asks_one_after_the_other() {
    let upstreams = [(); 3].map(|()| Upstream::start());
    let gateway = before(&upstreams).start();
    for round in 1..=3 {
        for place in 0..3 {
            assert_eq!(get(&gateway, "/").status, 200);
            let expected: Vec<usize> = (0..3).map(|other| round - usize::from(other > place)).collect();
            assert_eq!(counts(&upstreams), expected);
        }
    }
}

#[test]
fn least_requests_avoids_the_busy_target() {
    let upstreams = [(); 2].map(|()| Upstream::start());
    let gateway = before(&upstreams).upstream("balance", "least_requests").start();
    let mut held = Connection::open(gateway.address("public"));
    held.send("GET /slow-head HTTP/1.1\r\nHost: a\r\n\r\n");
    let busy = loop {
        match counts(&upstreams).as_slice() {
            [1, 0] => break 0,
            [0, 1] => break 1,
            _ => std::thread::yield_now(),
        }
    };
    for _ in 0..4 {
        assert_eq!(get(&gateway, "/").status, 200);
    }
    assert_eq!((upstreams[busy].requests().len(), upstreams[1 - busy].requests().len()), (1, 4));
    upstreams[busy].release();
    assert_eq!(held.response().text(), "at last");
    for _ in 0..4 {
        assert_eq!(get(&gateway, "/").status, 200);
    }
    assert!(upstreams[busy].requests().len() > 1, "it is asked again once it is free");
}

#[test]
fn a_body_that_is_still_coming_counts_as_a_request() {
    let upstreams = [(); 2].map(|()| Upstream::start());
    let gateway = before(&upstreams).upstream("balance", "least_requests").start();
    let mut held = Connection::open(gateway.address("public"));
    held.send("GET /hang-body HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(held.interim().status, 200);
    for _ in 0..4 {
        assert_eq!(get(&gateway, "/").status, 200);
    }
    let mut counts = counts(&upstreams);
    counts.sort_unstable();
    assert_eq!(counts, [1, 4]);
}

#[test]
fn more_requests_than_a_target_may_have_are_refused() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).upstream("requests", "2").start();
    let mut held: Vec<Connection> = (0..2).map(|_| Connection::open(gateway.address("public"))).collect();
    for (place, client) in held.iter_mut().enumerate() {
        client.send("GET /slow-head HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(upstream.wait_for_requests(place + 1).len(), place + 1);
    }
    let answer = get(&gateway, "/");
    assert_refused(&answer, 503, "upstream_unavailable");
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    assert_eq!(upstream.requests().len(), 2);

    upstream.release();
    for client in &mut held {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(get(&gateway, "/").status, 200);
}

#[test]
fn a_full_target_leaves_the_others_to_be_asked() {
    let upstreams = [(); 2].map(|()| Upstream::start());
    let gateway = before(&upstreams).upstream("requests", "1").start();
    let mut held = Connection::open(gateway.address("public"));
    held.send("GET /slow-head HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(upstreams[0].wait_for_requests(1).len(), 1);
    for _ in 0..3 {
        assert_eq!(get(&gateway, "/").status, 200);
    }
    assert_eq!(counts(&upstreams), [1, 3]);
}
