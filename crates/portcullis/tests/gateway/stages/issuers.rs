//! Issuers: where their keys come from, which algorithms they sign with, several of them on one route.

use portcullis_authn::mint::SigningKey;
use portcullis_oidc::Algorithm;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Setup;
use portcullis_testkit::raw;
use serde_json::json;

use super::refusal;
use crate::common::{plain, setup};
use crate::credentials::{EC, ISSUER, RSA, authorization, bearer, claims, claims_with, folder, jwk};

/// The answers to these header lines of a gateway with these methods, all taken by its one route: 200, or the code.
fn outcomes<const N: usize>(methods: &[&str], files: Setup, lines: [String; N]) -> [String; N] {
    let upstream = Upstream::start();
    let method = |(number, settings): (usize, &&str)| format!("{{ name: m{number}, {settings} }}");
    let list: Vec<_> = methods.iter().enumerate().map(method).collect();
    let names: Vec<_> = (0..methods.len()).map(|number| format!("m{number}")).collect();
    let gateway = plain(&upstream.url())
        .section("authentication", format!("{{ jwt: [{}] }}", list.join(", ")))
        .policy("authenticate", format!("{{ methods: [{}] }}", names.join(", ")))
        .start_in(files);
    let outcomes = lines.map(|lines| {
        let answer = raw::get(gateway.address("public"), "/", &lines);
        if answer.status == 200 { "200".to_owned() } else { refusal(&answer).1 }
    });
    let passed = outcomes.iter().filter(|outcome| *outcome == "200").count();
    assert_eq!(upstream.requests().len(), passed);
    outcomes
}

#[test]
fn keys_may_be_published_in_a_file() {
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    let set = json!({ "keys": [jwk(&EC, "one"), jwk(&other, "two")] });
    let token = |key: &SigningKey, kid| authorization(&key.mint(kid, &claims("ann")).unwrap());
    let settings =
        format!("issuer: \"{ISSUER}\", audiences: [shop], algorithms: [ES256], keys: {{ jwks: keys.json }}");
    let outcomes = outcomes(
        &[&settings],
        setup().file("keys.json", set.to_string()),
        [
            token(&EC, Some("one")),
            token(&other, Some("two")),
            token(&other, None),
            token(&other, Some("one")),
            token(&other, Some("three")),
        ],
    );
    assert_eq!(outcomes, ["200", "200", "200", "invalid_token", "invalid_token"]);
}

/// An RSA key signs in several ways; only those that the configuration names are taken.
#[test]
fn only_the_algorithms_that_are_named_are_taken() {
    let private = RSA.private_pem().unwrap();
    let signed = |algorithm| {
        let key = SigningKey::from_pem(private.expose(), algorithm).unwrap();
        authorization(&key.mint(None, &claims("ann")).unwrap())
    };
    let tokens = [Algorithm::Rs256, Algorithm::Rs512, Algorithm::Ps256].map(signed);
    for (algorithms, expected) in [
        ("RS256", ["200", "invalid_token", "invalid_token"]),
        ("RS512, PS256", ["invalid_token", "200", "200"]),
    ] {
        let settings = format!(
            "issuer: \"{ISSUER}\", audiences: [shop], algorithms: [{algorithms}], keys: {{ pem: rsa.pem }}"
        );
        assert_eq!(outcomes(&[&settings], folder(), tokens.clone()), expected, "{algorithms}");
    }
}

/// The name in the token chooses the method, and only the keys of that one then count.
#[test]
fn an_issuer_does_not_speak_for_another() {
    let [ours, theirs] = ["https://ours.test", "https://theirs.test"];
    let settings = |issuer, algorithm, file| {
        format!(
            "issuer: \"{issuer}\", audiences: [shop], algorithms: [{algorithm}], keys: {{ pem: {file}.pem }}"
        )
    };
    let signed = |key: &SigningKey, issuer: &str| {
        authorization(&key.mint(None, &claims_with("ann", json!({ "iss": issuer }))).unwrap())
    };
    let outcomes = outcomes(
        &[&settings(ours, "ES256", "staff"), &settings(theirs, "RS256", "rsa")],
        folder(),
        [signed(&EC, ours), signed(&RSA, theirs), signed(&RSA, ours), signed(&EC, theirs), bearer("ann")],
    );
    assert_eq!(outcomes, ["200", "200", "invalid_token", "invalid_token", "invalid_token"]);
}

/// A `kid` is a hint (RFC 7515 section 4.1.4): where the keys have none it says nothing, but it must still be one.
#[test]
fn a_key_id_is_believed_only_as_far_as_keys_have_ids() {
    let token = |kid: &str| authorization(&EC.mint(Some(kid), &claims("ann")).unwrap());
    let long = "k".repeat(257);
    let pem =
        format!("issuer: \"{ISSUER}\", audiences: [shop], algorithms: [ES256], keys: {{ pem: staff.pem }}");
    let of_pem = outcomes(
        &[&pem],
        folder(),
        [
            token("2026-07"),
            token("https://idp.test/keys/1"),
            token("a/b+c=="),
            token("../../x"),
            token("..\\..\\x"),
            token("keys/.."),
            token("a\u{0}b"),
            token("a\nb"),
            token(&long),
            token(""),
        ],
    );
    let no = "invalid_token";
    assert_eq!(of_pem, ["200", "200", "200", no, no, no, no, no, no, no]);

    // Of a set some of whose keys have ids, the one without is not meant by a token that names another.
    let nameless = SigningKey::generate(Algorithm::Es256).unwrap();
    let mut anonymous = jwk(&nameless, "gone");
    anonymous.as_object_mut().unwrap().remove("kid");
    let set = json!({ "keys": [jwk(&EC, "one"), anonymous] });
    let jwks =
        format!("issuer: \"{ISSUER}\", audiences: [shop], algorithms: [ES256], keys: {{ jwks: keys.json }}");
    let signed = |kid| authorization(&nameless.mint(kid, &claims("ann")).unwrap());
    let of_set = outcomes(
        &[&jwks],
        setup().file("keys.json", set.to_string()),
        [token("one"), signed(None), signed(Some("gone"))],
    );
    assert_eq!(of_set, ["200", "200", no]);
}
