//! Client certificates: which end the handshake, and what the record says of it.

use portcullis_testkit::ca::{Authority, Identity, version};
use portcullis_testkit::rcgen::{self, ExtendedKeyUsagePurpose, SerialNumber};

use super::{GET, Stage, ask, connect, status};

const REQUIRED: &str = "client_certificates: { ca: [clients.pem] }";

/// The causes on the record of connections that never came about.
fn causes(records: &[serde_json::Value]) -> Vec<&str> {
    let refused = records.iter().filter(|record| record["reason_code"] == "invalid_certificate");
    refused.filter_map(|record| record["credential_fault"].as_str()).collect()
}

#[test]
fn only_certificates_of_the_authority_are_taken_and_the_record_says_why_others_are_not() {
    let stage = Stage::new();
    let other = Authority::new();
    let shaped = |year: Option<(i32, i32)>, purpose| {
        stage.clients.shaped_client("partner", |params| {
            if let Some((from, to)) = year {
                params.not_before = rcgen::date_time_ymd(from, 1, 1);
                params.not_after = rcgen::date_time_ymd(to, 1, 1);
            }
            params.extended_key_usages = vec![purpose];
        })
    };
    let for_clients = ExtendedKeyUsagePurpose::ClientAuth;
    let right = stage.clients.client("partner.test");
    let self_signed = self_signed(&right);
    let gateway = stage.config(REQUIRED).start_in(stage.folder());
    assert_eq!(status(&gateway, &stage.client(Some(&right))), Some(200));
    stage.upstream.forget();
    let refused: [(Option<Identity>, &str); 6] = [
        (None, "certificate_missing"),
        // An authority of the same name with another key.
        (Some(other.client("partner.test")), "certificate_bad_signature"),
        (Some(shaped(Some((2001, 2002)), for_clients.clone())), "certificate_expired"),
        (Some(shaped(Some((2100, 2101)), for_clients)), "certificate_not_yet_valid"),
        (Some(shaped(None, ExtendedKeyUsagePurpose::ServerAuth)), "certificate_not_for_clients"),
        (Some(self_signed), "unknown_authority"),
    ];
    for (identity, cause) in &refused {
        assert!(ask(&gateway, &stage.client(identity.as_ref())).is_err(), "{cause}");
    }
    stage.upstream.assert_no_contact();
    let records = gateway.stop_and_audit();
    assert_eq!(causes(&records), refused.each_ref().map(|(_, cause)| *cause));
    assert!(records.iter().skip(1).all(|record| record["stage"] == "authenticate"));
}

/// A certificate with the names of another, and nobody behind it.
fn self_signed(like: &Identity) -> Identity {
    let params = rcgen::CertificateParams::new(vec!["partner.test".to_owned()]).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate_pem = params.self_signed(&key).unwrap().pem();
    Identity { certificate_pem, key_pem: key.serialize_pem(), ..like.clone() }
}

#[test]
fn optional_lets_clients_without_a_certificate_in_and_nobody_with_a_wrong_one() {
    let stage = Stage::new();
    let optional = "client_certificates: { mode: optional, ca: [clients.pem] }";
    let routes = [
        "{ name: strict, path: /strict, policy: { authenticate: { mode: enforce, methods: [anonymous], require_certificate: true } } }",
        "{ name: all, path: \"/{*rest}\" }",
    ];
    let gateway = stage.config(optional).routes(&routes).start_in(stage.folder());
    let (with, without) = (stage.client(Some(&stage.clients.client("partner.test"))), stage.client(None));
    assert_eq!((status(&gateway, &with), status(&gateway, &without)), (Some(200), Some(200)));
    assert!(ask(&gateway, &stage.client(Some(&Authority::new().client("partner.test")))).is_err());
    // A route may want one all the same.
    let strict = "GET /strict HTTP/1.1\r\nHost: gate.test\r\n\r\n";
    assert_eq!(connect(&gateway, &with).send(strict).response().status, 200);
    stage.upstream.forget();
    let answer = connect(&gateway, &without).send(strict).response();
    assert_eq!((answer.status, answer.code().as_str()), (401, "certificate_required"));
    stage.upstream.assert_no_contact();
    assert_eq!(causes(&gateway.stop_and_audit()), ["certificate_bad_signature"]);
}

#[test]
fn a_route_cannot_require_what_no_listener_asks_for() {
    let stage = Stage::new();
    let config =
        stage.config("").policy("authenticate", "{ methods: [anonymous], require_certificate: true }");
    let refusal = stage.folder().refuse(&config.text());
    assert!(refusal.stderr.contains("no listener asks clients for a certificate"), "{}", refusal.stderr);
}

#[test]
fn several_authorities_and_chains_over_intermediates_are_taken() {
    let stage = Stage::new();
    let second = Authority::new();
    let intermediate = stage.clients.intermediate();
    let folder = stage.folder().file("second.pem", second.pem());
    let gateway = stage.config("client_certificates: { ca: [clients.pem, second.pem] }").start_in(folder);
    let through = intermediate.client("far.test");
    for (identity, expected) in [
        (second.client("second.test"), Some(200)),
        (through.clone().with(&intermediate), Some(200)),
        // Nobody fetches what the client should have sent.
        (through, None),
    ] {
        assert_eq!(status(&gateway, &stage.client(Some(&identity))), expected);
    }
}

#[test]
fn what_a_list_revokes_is_refused_and_so_is_what_no_list_is_about() {
    let stage = Stage::new();
    let intermediate = stage.clients.intermediate();
    let numbered = |by: &Authority, serial: u64| {
        by.shaped_client("partner", |params| params.serial_number = Some(SerialNumber::from(serial)))
    };
    let (good, bad) = (numbered(&stage.clients, 5), numbered(&stage.clients, 6));
    let far = numbered(&intermediate, 7).with(&intermediate);
    let config = |rules: &str| {
        stage.config(&format!("client_certificates: {{ ca: [clients.pem], crl: [list.pem], {rules} }}"))
    };
    let folder = |year| stage.folder().file("list.pem", stage.clients.revocation_list(&[6], year));
    let gateway = config("").start_in(folder(2090));
    let outcomes =
        |gateway: &_| [&good, &bad, &far].map(|identity| status(gateway, &stage.client(Some(identity))));
    assert_eq!(outcomes(&gateway), [Some(200), None, None]);
    let records = gateway.stop_and_audit();
    assert_eq!(causes(&records), ["certificate_revoked", "revocation_unknown"]);

    let gateway = config("unlisted: accept").start_in(folder(2090));
    assert_eq!(outcomes(&gateway), [Some(200), None, Some(200)]);
    // With a list of the intermediate alone, the chain is not covered, and the leaf is.
    let of_intermediate = stage.folder().file("list.pem", intermediate.revocation_list(&[], 2090));
    let gateway = config("crl_scope: leaf").start_in(of_intermediate);
    assert_eq!(outcomes(&gateway), [None, None, Some(200)]);

    let gateway = config("").start_in(folder(2021));
    assert_eq!(outcomes(&gateway), [None, None, None]);
    assert!(causes(&gateway.stop_and_audit()).contains(&"revocation_list_expired"));
    let gateway = config("expired_crl: accept").start_in(folder(2021));
    assert_eq!(outcomes(&gateway), [Some(200), None, None]);
}

#[test]
fn a_resumed_session_does_not_come_past_a_new_list() {
    for version in [&version::TLS13, &version::TLS12] {
        let stage = Stage::new();
        let identity = stage
            .clients
            .shaped_client("partner", |params| params.serial_number = Some(SerialNumber::from(9)));
        let folder = stage.folder().file("list.pem", stage.clients.revocation_list(&[], 2090));
        let gateway =
            stage.config("client_certificates: { ca: [clients.pem], crl: [list.pem] }").start_in(folder);
        let client = stage.servers.client_config_with(Some(&identity), &["http/1.1"], &[version]);
        let mut kept = connect(&gateway, &client);
        assert_eq!(kept.send(GET).response().status, 200);
        assert_eq!(kept.is_resumed(), Some(false));
        let mut resumed = connect(&gateway, &client);
        assert_eq!(resumed.send(GET).response().status, 200);
        assert_eq!(resumed.is_resumed(), Some(true), "or this test shows nothing");

        gateway.write("list.pem", stage.clients.revocation_list(&[9], 2090));
        let _ = gateway.wait_for_event("certificates_loaded", 0);
        assert!(ask(&gateway, &client).is_err(), "{version:?}");
        // Connections that are there keep working.
        assert_eq!(kept.send(GET).response().status, 200);
    }
}
