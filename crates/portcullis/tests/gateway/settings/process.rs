//! The gateway as a process.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw;

use crate::common::{plain, setup};

/// The names of the gateway's threads.
fn threads(gateway: &Gateway) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", gateway.process_id())).unwrap();
    // A thread may end while its name is asked for.
    tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok()).collect()
}

#[test]
fn as_many_threads_serve_as_are_asked_for() {
    let upstream = Upstream::start();
    for count in [1, 3] {
        let gateway = plain(&upstream.url()).section("workers", count.to_string()).start();
        assert_eq!(raw::get(gateway.address("public"), "/", "").status, 200);
        let threads = threads(&gateway);
        let workers = threads.iter().filter(|name| name.starts_with("worker-")).count();
        assert_eq!(workers, count, "{threads:?}");
    }
}

#[test]
fn another_version_of_the_format_is_refused() {
    let text = plain("http://127.0.0.1:9").text();
    let refusal = setup().refuse(&text.replacen("version: 1", "version: 2", 1));
    assert_eq!(refusal.code, Some(1));
    assert!(refusal.stderr.contains("`version` must be 1"), "{}", refusal.stderr);
}

/// A listener has its own address, and logs call it by its name.
#[test]
fn each_listener_is_where_and_what_it_is_called() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url())
        .listener("{ name: outside, address: \"127.0.0.1:0\" }")
        .another_listener("{ name: inside, address: \"127.0.0.2:0\" }")
        .start();
    for (name, address) in [("outside", "127.0.0.1"), ("inside", "127.0.0.2")] {
        assert_eq!(gateway.address(name).ip().to_string(), address);
        assert_eq!(raw::get(gateway.address(name), "/", "").status, 200, "{name}");
    }
}
