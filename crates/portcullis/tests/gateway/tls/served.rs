//! The certificates that clients are shown: by the host that they name, in a version that is allowed, and until when.

use portcullis_testkit::ca::{Identity, version};
use portcullis_testkit::raw::{self, Connection};
use portcullis_testkit::rcgen;

use super::{GET, Stage};
use crate::common::BINARY;

#[test]
fn the_host_that_a_client_names_decides_which_certificate_it_sees() {
    let stage = Stage::new();
    let (exact, wildcard) =
        (stage.servers.server(&["api.gate.test"]), stage.servers.server(&["*.gate.test", "gate.other"]));
    let folder = stage
        .folder()
        .file("exact.pem", &exact.certificate_pem)
        .file("exact.key", &exact.key_pem)
        .file("wild.pem", &wildcard.certificate_pem)
        .file("wild.key", &wildcard.key_pem);
    let more = "more_certificates: [{ certificate: wild.pem, key: wild.key }, { certificate: exact.pem, key: exact.key }]";
    let gateway = stage.config(more).start_in(folder);
    let shown = |host: &str| {
        let config = stage.servers.client_config(None, &["h2", "http/1.1"]);
        let mut connection = Connection::open_tls(gateway.address("public"), host, config);
        // A certificate that is not for the host ends the handshake.
        connection.try_send(b"").ok()?;
        connection.try_send(GET.as_bytes()).ok()?;
        connection.server_certificate()
    };
    let leaf = |identity: &Identity| Some(identity.chain()[0].to_vec());
    assert_eq!(shown("api.gate.test"), leaf(&exact));
    assert_eq!(shown("API.gate.TEST"), leaf(&exact));
    assert_eq!(shown("shop.gate.test"), leaf(&wildcard));
    assert_eq!(shown("gate.other"), leaf(&wildcard));
    assert!(shown("gate.test").is_some_and(|shown| Some(shown) != leaf(&wildcard)));
    // One label, and no more.
    assert_eq!(shown("a.b.gate.test"), None);
}

#[test]
fn versions_below_the_minimum_are_refused() {
    let stage = Stage::new();
    for (tls, expected) in [("", [true, true]), ("minimum_version: \"1.3\"", [false, true])] {
        let gateway = stage.config(tls).start_in(stage.folder());
        let speaks = |version| {
            let config = stage.servers.client_config_with(None, &[], &[version]);
            Connection::open_tls(gateway.address("public"), "gate.test", config).try_exchange(GET).is_ok()
        };
        assert_eq!([speaks(&version::TLS12), speaks(&version::TLS13)], expected, "{tls}");
    }
}

#[test]
fn the_end_of_a_certificate_is_a_metric_and_soon_a_warning() {
    let stage = Stage::new();
    let shown = stage.servers.shaped_client("gate.test", |params| {
        params.not_after = rcgen::date_time_ymd(2090, 1, 1);
    });
    let folder = stage.folder().file("gate.pem", &shown.certificate_pem).file("gate.key", &shown.key_pem);
    let gateway = stage.config("").start_in(folder);
    let page = raw::get(gateway.address("admin"), "/metrics", "").text();
    let line = page.lines().find(|line| line.starts_with("portcullis_certificate_not_after_seconds{"));
    let line = line.expect("the metric");
    assert!(line.contains("listener=\"public\"") && line.ends_with("gate.pem\"} 3786912000"), "{line}");
    drop(gateway);

    let ended = stage.servers.shaped_client("gate.test", |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let folder = stage.folder().file("gate.pem", &ended.certificate_pem).file("gate.key", &ended.key_pem);
    std::fs::write(folder.folder().join("gateway.yaml"), stage.config("").text()).unwrap();
    let checked = std::process::Command::new(BINARY)
        .args(["check", "gateway.yaml"])
        .current_dir(folder.folder())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success() && told.contains("the certificate has ended"), "{told}");
}
