//! Requests that their senders sign (RFC 9421), with digests of their bodies (RFC 9530).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA512, RsaKeyPair,
};
use aws_lc_rs::{digest, hmac, rand};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use portcullis_authn::mint::SigningKey;
use portcullis_core::{Clock as _, SystemClock};
use portcullis_oidc::Algorithm;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Response};

use super::{challenges, refusal};
use crate::common::{plain, setup};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// The algorithms with public keys, and what JOSE calls them.
const PUBLIC: [(&str, Algorithm); 5] = [
    ("ed25519", Algorithm::EdDsa),
    ("ecdsa-p256-sha256", Algorithm::Es256),
    ("ecdsa-p384-sha384", Algorithm::Es384),
    ("rsa-pss-sha512", Algorithm::Ps512),
    ("rsa-v1_5-sha256", Algorithm::Rs256),
];

struct Scene {
    gateway: Gateway,
    upstream: Upstream,
    keys: Vec<(&'static str, Vec<u8>)>,
}

fn scene(settings: &str) -> Scene {
    let upstream = Upstream::start();
    let (mut files, mut list, mut keys) = (setup(), Vec::new(), Vec::new());
    for (name, algorithm) in PUBLIC {
        let key = SigningKey::generate(algorithm).unwrap();
        files = files.file(&format!("{name}.pem"), key.public_pem().unwrap());
        list.push(format!("{{ id: {name}, algorithm: {name}, pem: {name}.pem }}"));
        let pem = key.private_pem().unwrap();
        let text: String = pem.expose().lines().filter(|line| !line.starts_with('-')).collect();
        keys.push((name, BASE64_STANDARD.decode(text).unwrap()));
    }
    list.push(format!("{{ id: hmac-sha256, algorithm: hmac-sha256, secret: {SECRET} }}"));
    let section = format!("{{ signatures: [{{ name: partners, keys: [{}]{settings} }}] }}", list.join(", "));
    let gateway = plain(&upstream.url())
        .section("authentication", section)
        .policy("authenticate", "{ methods: [partners] }")
        .policy("forward", "{ identity: { X-Caller: subject } }")
        .start_in(files);
    Scene { gateway, upstream, keys }
}

impl Scene {
    fn signed(&self, name: &str, base: &str) -> String {
        let message = base.as_bytes();
        let random = rand::SystemRandom::new();
        let der = || &self.keys.iter().find(|(known, _)| *known == name).unwrap().1;
        let rsa = |how: &'static dyn aws_lc_rs::signature::RsaEncoding| {
            let pair = RsaKeyPair::from_pkcs8(der()).unwrap();
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(how, &random, message, &mut signature).unwrap();
            signature
        };
        let signature = match name {
            "ed25519" => Ed25519KeyPair::from_pkcs8(der()).unwrap().sign(message).as_ref().to_vec(),
            "ecdsa-p256-sha256" => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der()).unwrap();
                pair.sign(&random, message).unwrap().as_ref().to_vec()
            }
            "ecdsa-p384-sha384" => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der()).unwrap();
                pair.sign(&random, message).unwrap().as_ref().to_vec()
            }
            "rsa-pss-sha512" => rsa(&RSA_PSS_SHA512),
            "rsa-v1_5-sha256" => rsa(&RSA_PKCS1_SHA256),
            _ => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), message).as_ref().to_vec(),
        };
        BASE64_STANDARD.encode(signature)
    }

    /// The header lines of a signed POST of `body` to `/orders?page=2`.
    fn lines(&self, name: &str, body: &str, more: &str) -> String {
        let digest = content_digest(body);
        let parameters = format!(
            "(\"@method\" \"@authority\" \"@path\" \"@query\" \"@target-uri\" \"@query-param\";name=\"page\" \"content-digest\")\
             ;created={};keyid=\"{name}\"{more}",
            SystemClock.now().as_secs()
        );
        let base = format!(
            "\"@method\": POST\n\"@authority\": api.example.com\n\"@path\": /orders\n\"@query\": ?page=2\n\
             \"@target-uri\": http://api.example.com/orders?page=2\n\"@query-param\";name=\"page\": 2\n\
             \"content-digest\": {digest}\n\"@signature-params\": {parameters}"
        );
        let signature = self.signed(name, &base);
        format!(
            "Content-Digest: {digest}\r\nSignature-Input: a={parameters}\r\nSignature: a=:{signature}:\r\n"
        )
    }

    fn post(&self, target: &str, lines: &str, body: &str) -> Response {
        raw::post(self.gateway.address("public"), target, lines, body)
    }
}

fn content_digest(body: &str) -> String {
    format!("sha-256=:{}:", BASE64_STANDARD.encode(digest::digest(&digest::SHA256, body.as_bytes())))
}

const BODY: &str = "{\"order\":17}";

#[test]
fn every_algorithm_signs_requests_that_pass_once() {
    let scene = scene("");
    for name in PUBLIC.map(|(name, _)| name).into_iter().chain(["hmac-sha256"]) {
        let lines = scene.lines(name, BODY, "");
        let answer = scene.post("/orders?page=2", &lines, BODY);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let again = scene.post("/orders?page=2", &lines, BODY);
        assert_eq!(refusal(&again), (401, "invalid_signature".to_owned()), "{name}");
        assert_eq!(challenges(&again), ["Signature realm=\"api\""]);
    }
    let seen = scene.upstream.requests();
    assert_eq!((seen.len(), seen[0].header("x-caller").as_deref()), (6, Some("ed25519")));
    assert_eq!(seen[0].text(), BODY, "what was held back arrives");
}

#[test]
fn what_was_changed_on_the_way_is_refused() {
    let scene = scene(", tolerance: 1m, tag: orders");
    let tag = ";tag=\"orders\"";
    let good = scene.lines("ed25519", BODY, tag);
    let other = content_digest("{\"order\":18}");
    let cases = [
        ("/orders?page=2", good.clone(), "{\"order\":18}", "digest"),
        ("/orders?page=2", good.replace(&content_digest(BODY), &other), "{\"order\":18}", "wrong_signature"),
        ("/orders?page=3", good.clone(), BODY, "wrong_signature"),
        ("/orders", good.clone(), BODY, "component"),
        ("/order?page=2", good.clone(), BODY, "wrong_signature"),
        ("/orders?page=2", good.replace("Content-Digest", "X-Digest"), BODY, "component_missing"),
        ("/orders?page=2", scene.lines("ed25519", BODY, ""), BODY, "unknown_key"),
        ("/orders?page=2", scene.lines("ed25519", BODY, &format!("{tag};expires=1")), BODY, "out_of_time"),
        (
            "/orders?page=2",
            good.replace("keyid=\"ed25519\"", "keyid=\"hmac-sha256\""),
            BODY,
            "wrong_signature",
        ),
    ];
    for (target, lines, body, cause) in &cases {
        let answer = scene.post(target, lines, body);
        assert_eq!(refusal(&answer), (401, "invalid_signature".to_owned()), "{cause}");
    }
    assert_eq!(raw::get(scene.gateway.address("public"), "/", "").code(), "credential_missing");
    scene.upstream.assert_no_contact();
    assert_eq!(scene.post("/orders?page=2", &good, BODY).status, 200, "nothing of this used it up");
    let records = scene.gateway.stop_and_audit();
    let causes: Vec<&str> = records.iter().filter_map(|record| record["credential_fault"].as_str()).collect();
    let expected: Vec<&str> = cases.iter().map(|(.., cause)| *cause).chain(["missing"]).collect();
    assert_eq!(causes, expected);
}

#[test]
fn what_is_not_remembered_is_not_taken() {
    let scene = scene(", remembered: 1");
    let ask = |body: &str| scene.post("/orders?page=2", &scene.lines("ed25519", body, ""), body).status;
    assert_eq!((ask("a"), ask("b")), (200, 503));
}

#[test]
fn what_verifies_nothing_is_refused_when_it_is_loaded() {
    let upstream = Upstream::start();
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap().public_pem().unwrap();
    for (settings, says) in [
        ("keys: []", "there is no key"),
        ("keys: [{ id: a, algorithm: ed25519 }]", "it needs `secret`"),
        ("keys: [{ id: a, algorithm: hmac-sha256, pem: key.pem }]", "it needs `secret`"),
        ("keys: [{ id: a, algorithm: hmac-sha256, secret: short }]", "32"),
        (
            "keys: [{ id: a, algorithm: rsa-pss-sha512, pem: key.pem }]",
            "does not hold one key for rsa-pss-sha512",
        ),
        (
            "keys: [{ id: a, algorithm: ed25519, pem: key.pem }, { id: a, algorithm: ed25519, pem: key.pem }]",
            "twice",
        ),
        ("keys: [{ id: a, algorithm: ed25519, pem: key.pem }], required: [\"@status\"]", "no component"),
        ("keys: [{ id: a, algorithm: ed25519, pem: key.pem }], required: [Date]", "no component"),
        ("keys: [{ id: a, algorithm: ed25519, pem: key.pem }], tolerance: 48h", "not between"),
    ] {
        let config = plain(&upstream.url())
            .section("authentication", format!("{{ signatures: [{{ name: partners, {settings} }}] }}"))
            .policy("authenticate", "{ methods: [partners] }");
        let refused = setup().file("key.pem", &key).refuse(&config.text());
        assert!(refused.stderr.contains(says), "{settings}: {}", refused.stderr);
    }
}
