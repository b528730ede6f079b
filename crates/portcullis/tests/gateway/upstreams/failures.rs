//! Services that refuse, break off, or answer nonsense; and what is tried again.

use portcullis_testkit::echo::{Ending, Upstream};
use portcullis_testkit::h2;
use portcullis_testkit::raw::{self, Connection};

use super::{Puppet, assert_refused, get, post};
use crate::common::{dead_address, plain, targets};

#[test]
fn a_service_that_refuses_connections_is_a_bad_gateway() {
    let gateway = plain(&format!("http://{}", dead_address())).start();
    assert_refused(&get(&gateway, "/"), 502, "upstream_failed");
    assert_refused(&post(&gateway, "/"), 502, "upstream_failed");
    let records = gateway.stop_and_audit();
    assert_eq!(records[0]["reason_code"], "upstream_failed", "{}", records[0]);
    assert_eq!(records[0]["http.response.status_code"], 502, "{}", records[0]);
}

#[test]
fn a_target_that_refuses_is_replaced_by_another_even_for_post() {
    let upstream = Upstream::start();
    let gateway = targets(&[&format!("http://{}", dead_address()), &upstream.url()]).start();
    // Whichever the first choice is: nothing was sent to the one that refuses.
    for _ in 0..4 {
        assert_eq!(post(&gateway, "/reflect").text(), "some body");
        assert_eq!(get(&gateway, "/").status, 200);
    }
    assert_eq!(upstream.requests().len(), 8);
}

#[test]
fn a_length_beside_a_transfer_coding_is_not_passed_on() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\na\r\n0123456789\r\n0\r\n\r\n";
    let upstream = Upstream::scripted(move |_| Some(answer.as_bytes().to_vec()));
    let gateway = plain(&upstream.url()).start();
    // RFC 9112 section 6.3: the coding holds, whatever the length says.
    let answer = get(&gateway, "/");
    assert_eq!((answer.status, answer.text().as_str()), (200, "0123456789"));
}

#[test]
fn when_no_target_is_left_the_failure_of_the_last_is_told() {
    let gateway = plain(&format!("http://{}", dead_address()))
        .upstream("passive_health", "{ failures: 1, open_for: 1h }")
        .policy("forward", "{ retries: 1 }")
        .start();
    assert_refused(&get(&gateway, "/"), 502, "upstream_failed");
    assert_refused(&get(&gateway, "/"), 503, "upstream_unavailable");
}

/// The first target takes the request and closes the connection without an answer. Gives the answer to the client,
/// and whether the second target was asked.
fn after_silence(request: &str, policy: &str) -> (u16, bool) {
    let silent = Puppet::start();
    let upstream = Upstream::start();
    let gateway = targets(&[&silent.url(), &upstream.url()]).policy("forward", policy).start();
    let answer = std::thread::scope(|scope| {
        let answer = scope.spawn(|| raw::request(gateway.address("public"), request));
        let mut connection = silent.accept();
        // With unread bytes the close would be a reset, which is another case.
        if request.ends_with("body") {
            connection.read_body(4);
        }
        connection.close();
        answer.join().unwrap()
    });
    assert!(silent.is_alone(), "the silent target was asked once");
    (answer.status, !upstream.requests().is_empty())
}

#[test]
fn idempotent_requests_without_a_body_are_tried_again_elsewhere() {
    for method in ["GET", "OPTIONS", "PUT", "DELETE"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(after_silence(&request, "{}"), (200, true), "{method}");
    }
}

#[test]
fn requests_that_might_be_carried_out_twice_are_not_tried_again() {
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
        "DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
    ] {
        assert_eq!(after_silence(request, "{ retries: 3 }"), (502, false), "{request}");
    }
}

#[test]
fn without_retries_nothing_is_tried_again() {
    assert_eq!(after_silence("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "{ retries: 0 }"), (502, false));
}

#[test]
fn retries_are_bounded() {
    let silent = [(); 4].map(|()| Puppet::start());
    let urls = silent.each_ref().map(Puppet::url);
    let gateway = targets(&urls.each_ref().map(String::as_str)).policy("forward", "{ retries: 2 }").start();
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| get(&gateway, "/"));
        for puppet in &silent[..3] {
            puppet.accept().close();
        }
        assert_refused(&answer.join().unwrap(), 502, "upstream_failed");
    });
    assert!(silent[3].is_alone(), "three tries are one and two retries");
}

#[test]
fn an_answer_that_is_an_error_is_an_answer() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).policy("forward", "{ retries: 3 }").start();
    for status in [500, 502, 503, 504] {
        let answer = get(&gateway, &format!("/status/{status}"));
        assert_eq!((answer.status, answer.text()), (status, status.to_string()));
        assert_eq!(upstream.requests().len(), 1);
        upstream.forget();
    }
}

#[test]
fn an_answer_that_is_no_http_is_a_bad_gateway() {
    for nonsense in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        "HTTP/1.1 99 Low\r\n\r\n",
    ] {
        let service = Puppet::start();
        let gateway = plain(&service.url()).policy("forward", "{ retries: 0 }").start();
        std::thread::scope(|scope| {
            let answer = scope.spawn(|| get(&gateway, "/"));
            let mut connection = service.accept();
            std::io::Write::write_all(&mut connection.stream, nonsense.as_bytes()).unwrap();
            connection.close();
            assert_refused(&answer.join().unwrap(), 502, "upstream_failed");
        });
    }
}

#[test]
fn an_answer_that_breaks_off_never_ends_cleanly() {
    for protocol in ["http1", "http2"] {
        for path in ["/truncate", "/truncate-close", "/truncate-chunked"] {
            let upstream = Upstream::start();
            let gateway = plain(&upstream.url()).upstream("protocol", protocol).start();
            let address = gateway.address("public");
            for request in [
                format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"),
                format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"),
            ] {
                upstream.forget();
                let mut client = Connection::open(address);
                let answer = client.send(&request).response();
                if answer.status == 200 {
                    assert!(!answer.complete, "{path} over {protocol} looked complete: {answer:?}");
                    client.assert_closed();
                } else {
                    // A reset may overtake the service's head.
                    assert_refused(&answer, 502, "upstream_failed");
                }
                if request.starts_with("POST") {
                    assert_eq!(upstream.requests().len(), 1, "POST is not sent again");
                }
            }
            let answer = h2::Client::open(address).request("GET", path, &[]);
            assert!(!answer.complete || answer.status == 502, "{path} over {protocol}: {answer:?}");
        }
    }
}

#[test]
fn the_record_says_that_an_answer_broke_off() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut client = Connection::open(gateway.address("public"));
    client.send("GET /truncate-close HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!client.response().complete);
    let records = gateway.stop_and_audit();
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["reason_code"], "upstream_failed", "{}", records[0]);
    assert_eq!(records[0]["decision"], "error", "{}", records[0]);
}

#[test]
fn a_client_that_goes_away_is_no_failure_of_the_service() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).upstream("passive_health", "{ failures: 1, open_for: 1h }").start();
    for _ in 0..3 {
        let mut client = Connection::open(gateway.address("public"));
        client.send("GET /slow-head HTTP/1.1\r\nHost: a\r\n\r\n");
        upstream.wait_for(|requests| (requests.len() == 1).then_some(()));
        drop(client);
        // The service notices, for the gateway gives the request up.
        let gone = |seen: &portcullis_testkit::echo::Seen| {
            seen.ending == portcullis_testkit::echo::Ending::Abandoned
        };
        upstream.wait_for(|requests| requests.iter().all(gone).then_some(()));
        upstream.forget();
    }
    let mut client = Connection::open(gateway.address("public"));
    client.send("POST /reflect HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    upstream.wait_for(|requests| (requests.len() == 1).then_some(()));
    drop(client);
    upstream.wait_for(|requests| (requests[0].ending == Ending::Cut).then_some(()));
    assert_eq!(get(&gateway, "/").status, 200);
}
