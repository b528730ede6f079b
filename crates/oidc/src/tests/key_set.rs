use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Signer, document, pem};
use crate::{
    Algorithm, Candidates, KeyError, KeyKind, KeySet, KeySetError, MAX_KEY_SET_BYTES, MAX_KEYS, VerifyingKey,
};

/// A 2048-bit modulus; its exponent is 65537. RFC 7515 appendix A.2.1.
const MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

fn rsa_jwk(extra: Value) -> Value {
    let mut jwk = json!({ "kty": "RSA", "n": MODULUS, "e": "AQAB", "kid": "r" });
    jwk.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    jwk
}

fn reason(jwk: Value) -> String {
    match KeySet::from_jwks(&document(&[jwk])) {
        Err(KeySetError::NoUsableKey(skipped)) => skipped[0].reason.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_permitted_for_the_algorithms_of_its_kind_only() {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let ed = Ed25519KeyPair::generate().unwrap();
    for (text, kind, names) in [
        (pem(rsa.public_key()), KeyKind::Rsa, "RS256 RS384 RS512 PS256 PS384 PS512"),
        (Signer::new("e").pem(), KeyKind::P256, "ES256"),
        (pem(ed.public_key()), KeyKind::Ed25519, "EdDSA"),
    ] {
        let keys = VerifyingKey::from_pem(&text).unwrap();
        assert_eq!(keys[0].kind(), kind);
        let permitted: Vec<_> =
            Algorithm::ALL.into_iter().filter(|&a| keys[0].permits(a)).map(Algorithm::name).collect();
        assert_eq!(permitted.join(" "), names);
    }
}

#[test]
fn alg_narrows_a_key_to_one_algorithm() {
    let set = KeySet::from_jwks(&document(&[rsa_jwk(json!({ "alg": "PS256" }))])).unwrap();
    assert_eq!(set.lookup(Some("r"), Algorithm::Ps256), Candidates::Some);
    assert_eq!(set.lookup(Some("r"), Algorithm::Rs256), Candidates::WrongAlgorithm);
    assert_eq!(set.lookup(Some("r"), Algorithm::Hs256), Candidates::WrongAlgorithm);
    assert!(!set.verify(Some("r"), Algorithm::Rs256, b"message", b"signature"));
}

#[test]
fn keys_of_no_use_are_skipped_with_the_reason() {
    for (jwk, expected) in [
        (rsa_jwk(json!({ "use": "enc" })), "`use`"),
        (rsa_jwk(json!({ "key_ops": ["sign", "encrypt"] })), "`key_ops`"),
        (rsa_jwk(json!({ "alg": "RSA-OAEP" })), "`alg`"),
        (rsa_jwk(json!({ "alg": "none" })), "`alg`"),
        (rsa_jwk(json!({ "alg": "HS256" })), "HS256 does not work"),
        (rsa_jwk(json!({ "alg": "ES256" })), "ES256 does not work"),
        (rsa_jwk(json!({ "kid": "" })), "`kid`"),
        (rsa_jwk(json!({ "kid": "k".repeat(257) })), "`kid`"),
        (rsa_jwk(json!({ "n": "AQAB" })), "neither an RSA key"),
        (rsa_jwk(json!({ "e": "AQ" })), "neither an RSA key"),
        (rsa_jwk(json!({ "n": format!("{MODULUS}==") })), "base64url"),
        (json!({ "kty": "RSA", "e": "AQAB" }), "`n` is missing"),
        (json!({ "kty": "oct", "k": "c2VjcmV0" }), "shared secret"),
        (json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA" }), "66 bytes"),
        (json!({ "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA" }), "not supported"),
        (json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" }), "32 bytes"),
        (
            json!({ "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode([1; 32]), "y": URL_SAFE_NO_PAD.encode([2; 32]) }),
            "curve",
        ),
        (json!({ "kty": "OKP", "crv": "Ed25519", "x": "AA" }), "32 bytes"),
        (json!({ "kty": "OKP", "crv": "X25519", "x": "AA" }), "not supported"),
        (json!({ "kid": "no type" }), "not a JWK"),
        (json!("text"), "not a JWK"),
    ] {
        let shown = jwk.to_string();
        let found = reason(jwk);
        assert!(found.contains(expected), "{shown}: {found}");
    }
}

#[test]
fn the_usable_keys_of_a_mixed_set_are_used() {
    let signer = Signer::new("a");
    let set = KeySet::from_jwks(&document(&[json!({ "kty": "oct", "k": "AA" }), signer.jwk()])).unwrap();
    assert_eq!(set.keys().len(), 1);
    assert_eq!(set.skipped()[0].position, 0);
    let signature = signer.sign(b"message");
    assert!(set.verify(Some("a"), Algorithm::Es256, b"message", &signature));
    assert!(set.verify(None, Algorithm::Es256, b"message", &signature));
    assert!(!set.verify(Some("b"), Algorithm::Es256, b"message", &signature));
    assert!(!set.verify(Some("a"), Algorithm::Es256, b"massage", &signature));
    assert_eq!(set.lookup(Some("b"), Algorithm::Es256), Candidates::UnknownId);
}

#[test]
fn a_key_without_an_id_serves_tokens_with_any() {
    let signer = Signer::new("ignored");
    let set = KeySet::from_pem(&signer.pem()).unwrap();
    assert_eq!(set.lookup(Some("anything"), Algorithm::Es256), Candidates::Some);
    assert!(set.verify(Some("anything"), Algorithm::Es256, b"m", &signer.sign(b"m")));
    let long = "k".repeat(257);
    for implausible in ["", "../../x", "..", "a\\..", "a\0", long.as_str()] {
        assert_eq!(set.lookup(Some(implausible), Algorithm::Es256), Candidates::UnknownId, "{implausible}");
        assert!(!set.verify(Some(implausible), Algorithm::Es256, b"m", &signer.sign(b"m")));
    }
}

#[test]
fn beside_keys_with_ids_one_without_serves_tokens_without_only() {
    let (named, nameless) = (Signer::new("a"), Signer::new("gone"));
    let mut jwk = nameless.jwk();
    jwk.as_object_mut().unwrap().remove("kid");
    let set = KeySet::from_jwks(&document(&[named.jwk(), jwk])).unwrap();
    assert_eq!(set.lookup(Some("b"), Algorithm::Es256), Candidates::UnknownId);
    assert!(set.verify(None, Algorithm::Es256, b"m", &nameless.sign(b"m")));
    assert!(!set.verify(Some("b"), Algorithm::Es256, b"m", &nameless.sign(b"m")));
}

#[test]
fn no_more_than_eight_keys_are_tried() {
    let signers: Vec<_> = (0..9).map(|_| Signer::new("same")).collect();
    let set = KeySet::from_jwks(&document(&signers.iter().map(Signer::jwk).collect::<Vec<_>>())).unwrap();
    assert!(set.verify(None, Algorithm::Es256, b"m", &signers[7].sign(b"m")));
    assert!(!set.verify(None, Algorithm::Es256, b"m", &signers[8].sign(b"m")));
}

#[test]
fn size_and_count_are_bounded() {
    let many = vec![json!({}); MAX_KEYS + 1];
    assert_eq!(KeySet::from_jwks(&document(&many)).unwrap_err(), KeySetError::TooManyKeys(MAX_KEYS + 1));
    let large = vec![b' '; MAX_KEY_SET_BYTES + 1];
    assert_eq!(KeySet::from_jwks(&large).unwrap_err(), KeySetError::TooLarge);
    assert_eq!(KeySet::from_jwks(&document(&[])).unwrap_err(), KeySetError::NoUsableKey(Vec::new()));
    for not_a_set in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[],\"keys\":[]}"] {
        assert!(
            matches!(KeySet::from_jwks(not_a_set.as_bytes()), Err(KeySetError::NotKeySet(_))),
            "{not_a_set}"
        );
    }
}

#[test]
fn pem_texts_without_a_usable_public_key_are_refused() {
    for (text, expected) in [
        ("", KeyError::NoPublicKey),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", KeyError::NoPublicKey),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", KeyError::Unsupported),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n", KeyError::BrokenPem),
    ] {
        assert_eq!(KeySet::from_pem(text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn a_secret_must_be_as_long_as_the_hash_and_serves_hmac_only() {
    for (algorithm, needed) in [(Algorithm::Hs256, 32), (Algorithm::Hs384, 48), (Algorithm::Hs512, 64)] {
        assert!(VerifyingKey::from_secret(&vec![7; needed], &[algorithm]).is_ok());
        assert_eq!(
            VerifyingKey::from_secret(&vec![7; needed - 1], &[algorithm]).unwrap_err(),
            KeyError::ShortSecret { bytes: needed - 1, needed, algorithm }
        );
    }
    let wrong = VerifyingKey::from_secret(&[7; 64], &[Algorithm::Rs256]).unwrap_err();
    assert_eq!(wrong, KeyError::WrongAlgorithm { algorithm: Algorithm::Rs256, kind: KeyKind::Secret });
}

proptest! {
    #[test]
    fn no_document_makes_it_panic(document in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = KeySet::from_jwks(&document);
        let _ = KeySet::from_pem(&String::from_utf8_lossy(&document));
    }
}
