//! Certificates and lists are taken anew without a restart, and connections do not notice.

use portcullis_testkit::ca::Authority;

use super::{GET, Stage, ask, connect, status};

#[test]
fn a_certificate_is_replaced_while_connections_go_on() {
    let stage = Stage::new();
    let gateway = stage.config("").start_in(stage.folder());
    let client = stage.client(None);
    let mut kept = connect(&gateway, &client);
    assert_eq!(kept.send(GET).response().status, 200);
    let old = kept.server_certificate();
    let new = stage.servers.server(&["gate.test"]);
    // In between, certificate and key do not fit, and the old pair stays.
    gateway.write("gate.pem", &new.certificate_pem);
    let _ = gateway.wait_for_event("certificates_failed", 0);
    assert_eq!(status(&gateway, &client), Some(200));
    gateway.write("gate.key", &new.key_pem);
    let _ = gateway.wait_for_event("certificates_loaded", 0);
    let mut next = connect(&gateway, &client);
    assert_eq!(next.send(GET).response().status, 200);
    assert_ne!(next.server_certificate(), old);
    assert_eq!(next.server_certificate(), Some(new.chain()[0].to_vec()));
    assert_eq!(kept.send(GET).response().status, 200);
}

#[test]
fn authorities_are_replaced_by_a_change_of_the_file_and_by_a_reload() {
    let stage = Stage::new();
    let second = Authority::new();
    let config = stage.config("client_certificates: { ca: [clients.pem] }");
    let gateway = config.start_in(stage.folder().file("second.pem", second.pem()));
    let (old, new) = (
        stage.client(Some(&stage.clients.client("partner.test"))),
        stage.client(Some(&second.client("partner.test"))),
    );
    let mut kept = connect(&gateway, &old);
    assert_eq!(kept.send(GET).response().status, 200);
    gateway.write("clients.pem", second.pem());
    let _ = gateway.wait_for_event("certificates_loaded", 0);
    assert!(ask(&gateway, &old).is_err());
    assert_eq!(status(&gateway, &new), Some(200));

    gateway.write("third.pem", stage.clients.pem());
    gateway.rewrite(&stage.config("client_certificates: { ca: [third.pem] }").text());
    gateway.hang_up();
    let _ = gateway.wait_for_event("reloaded", 0);
    assert_eq!(status(&gateway, &old), Some(200));
    assert!(ask(&gateway, &new).is_err());
    assert_eq!(kept.send(GET).response().status, 200);
}
