//! `portcullis token`: what it prints of tokens, good and bad, and the tokens that it makes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_authn::mint::SigningKey;
use portcullis_oidc::Algorithm;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Printed, folder, run, run_with_input};

/// RFC 7515 appendix A.1.
const HMAC_KEY: &str = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
const HMAC_TOKEN: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// RFC 7515 appendix A.3.
const ECDSA_KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const ECDSA_TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

/// RFC 8037 appendix A.4.
const EDDSA_KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const EDDSA_TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn verify(jwks: &str, token: &str, more: &[&str]) -> Printed {
    let folder = folder(&[("jwks.json", jwks)]);
    let mut arguments = vec!["token", "verify", "--jwks", "jwks.json"];
    arguments.extend(more);
    run_with_input(folder.path(), &arguments, token)
}

#[track_caller]
fn assert_refused(jwks: &str, token: &str, more: &[&str], reason: &str) {
    let printed = verify(jwks, token, more);
    assert_eq!((printed.code, printed.stdout.as_str()), (1, format!("{reason}\n").as_str()), "{token}");
}

#[track_caller]
fn assert_content(jwks: &str, token: &str, expected: &Value) {
    let printed = verify(jwks, token, &["--signature-only"]);
    assert_eq!(printed.code, 0, "{token}: {}{}", printed.stdout, printed.stderr);
    assert_eq!(&printed.stdout.parse::<Value>().unwrap(), expected);
}

fn joe() -> Value {
    json!({ "iss": "joe", "exp": 1_300_819_380, "http://example.com/is_root": true })
}

#[test]
fn published_examples_verify() {
    assert_content(HMAC_KEY, HMAC_TOKEN, &joe());
    assert_content(ECDSA_KEY, ECDSA_TOKEN, &joe());
    assert_content(EDDSA_KEY, EDDSA_TOKEN, &json!("Example of Ed25519 signing"));
    let all = format!(r#"{{"keys":[{HMAC_KEY},{ECDSA_KEY},{EDDSA_KEY}]}}"#);
    for token in [HMAC_TOKEN, ECDSA_TOKEN, EDDSA_TOKEN] {
        assert_eq!(verify(&all, &format!("{token}\n"), &["--signature-only"]).code, 0, "{token}");
        assert_eq!(verify(&all, &format!("{token} "), &["--signature-only"]).code, 1, "{token}");
    }
    // Its time is over, as the gateway would say.
    assert_refused(HMAC_KEY, HMAC_TOKEN, &[], "subject");
}

fn parts(token: &str) -> [String; 3] {
    let mut parts = token.split('.').map(str::to_owned);
    std::array::from_fn(|_| parts.next().unwrap())
}

#[test]
fn both_json_serialisations_are_read() {
    let [protected, payload, signature] = parts(ECDSA_TOKEN);
    let flattened = json!({ "protected": protected, "payload": payload, "signature": signature });
    assert_content(ECDSA_KEY, &flattened.to_string(), &joe());
    let known = json!({ "protected": protected, "signature": signature, "header": { "kid": "hint" } });
    let [other, _, mac] = parts(HMAC_TOKEN);
    let unknown = json!({ "protected": other, "signature": mac });
    for signatures in [json!([known]), json!([known, unknown]), json!([unknown, known])] {
        let general = json!({ "payload": payload, "signatures": signatures });
        let both = format!(r#"{{"keys":[{HMAC_KEY},{ECDSA_KEY}]}}"#);
        assert_content(&both, &general.to_string(), &joe());
    }
    // Whoever is known must have signed.
    let forged = json!({ "protected": protected, "signature": mac });
    let general = json!({ "payload": payload, "signatures": [unknown, forged] });
    let both = format!(r#"{{"keys":[{HMAC_KEY},{ECDSA_KEY}]}}"#);
    assert_refused(&both, &general.to_string(), &["--signature-only"], "signature");

    for broken in [
        json!({ "payload": payload, "signatures": [] }),
        json!({ "payload": payload, "signatures": [known], "signature": signature }),
        json!({ "payload": payload, "signature": signature }),
        json!({ "payload": payload, "protected": "", "header": { "alg": "ES256" }, "signature": signature }),
        json!({ "payload": payload, "protected": protected, "header": { "alg": "ES256" }, "signature": signature }),
        json!({ "protected": protected, "signature": signature }),
        json!({ "payload": payload, "protected": protected, "signature": [signature] }),
    ] {
        assert_refused(ECDSA_KEY, &broken.to_string(), &["--signature-only"], "malformed");
    }
    let encrypted = json!({ "ciphertext": "AA", "protected": protected });
    assert_refused(ECDSA_KEY, &encrypted.to_string(), &["--signature-only"], "encrypted");
}

#[test]
fn known_attacks_are_refused_with_their_reason() {
    let [header, payload, signature] = parts(ECDSA_TOKEN);
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let with_header = |text: &str| format!("{}.{payload}.{signature}", encode(text));
    let zero = URL_SAFE_NO_PAD.encode([0; 64]);
    let cases = [
        (format!("{}.{payload}.", encode(r#"{"alg":"none"}"#)), "algorithm"),
        (format!("{}.{payload}.", encode(r#"{"alg":"NonE"}"#)), "algorithm"),
        // CVE-2022-21449.
        (format!("{header}.{payload}.{zero}"), "signature"),
        (format!("{header}.{payload}."), "signature"),
        (format!("{header}.{payload}.{signature}="), "malformed"),
        (format!("{header}.{payload}.{signature}.{signature}"), "malformed"),
        (format!("{header}.{payload}.{signature}.{signature}.{signature}"), "malformed"),
        (format!("{}.AA.AA.AA.AA", encode(r#"{"alg":"dir","enc":"A256GCM"}"#)), "encrypted"),
        (format!("{payload}.{header}.{signature}"), "algorithm"),
        (format!("{header} .{payload}.{signature}"), "malformed"),
        (with_header(r#"{"alg":"HS256"}"#), "algorithm"),
        (with_header(r#"{"alg":"ES256","alg":"ES256"}"#), "malformed"),
        (with_header(r#"{"alg":"ES256","crit":["exp"],"exp":1}"#), "critical_header"),
        (with_header(r#"{"alg":"ES256","b64":false,"crit":["b64"]}"#), "critical_header"),
        (with_header(&format!(r#"{{"alg":"ES256","jwk":{ECDSA_KEY}}}"#)), "key_in_header"),
        (with_header(r#"{"alg":"ES256","jku":"https://example.com"}"#), "key_in_header"),
        (String::new(), "malformed"),
        ("a".repeat(70_000), "too_long"),
    ];
    for (token, reason) in cases {
        assert_refused(ECDSA_KEY, &token, &["--signature-only"], reason);
    }
    assert_refused(ECDSA_KEY, ECDSA_TOKEN, &["--signature-only", "--alg", "ES384"], "algorithm");
    let for_encryption = ECDSA_KEY.replace("{", r#"{"use":"enc","#);
    let printed = verify(&for_encryption, ECDSA_TOKEN, &["--signature-only"]);
    assert_eq!((printed.code, printed.stdout.as_str()), (1, ""));
    assert!(printed.stderr.contains("its `use` is not `sig`"), "{}", printed.stderr);
    let short = r#"{"kty":"oct","k":"c2VjcmV0"}"#;
    assert!(verify(short, HMAC_TOKEN, &["--signature-only"]).stderr.contains("too short for HS256"));
}

/// A folder with a private key for `algorithm`.
fn with_key(algorithm: Algorithm) -> (TempDir, SigningKey) {
    let key = SigningKey::generate(algorithm).unwrap();
    let pem = key.private_pem().unwrap();
    (folder(&[("key.pem", pem.expose())]), key)
}

#[test]
fn what_is_made_verifies_as_it_says() {
    let (folder, _) = with_key(Algorithm::Es512);
    let minted = run(
        folder.path(),
        &[
            "token",
            "mint",
            "--key",
            "key.pem",
            "--kid",
            "k",
            "--issuer",
            "https://idp.test",
            "--subject",
            "alice",
            "--audience",
            "orders",
            "--audience",
            "bills",
            "--claim",
            "roles=[\"admin\"]",
            "--claim",
            "name=Alice",
        ],
    );
    assert_eq!((minted.code, minted.stderr.as_str()), (0, ""));
    let [header, payload, _] = parts(minted.stdout.trim_end());
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let header: Value = serde_json::from_slice(&decode(&header)).unwrap();
    assert_eq!(header, json!({ "alg": "ES512", "typ": "at+jwt", "kid": "k" }));
    let claims: Value = serde_json::from_slice(&decode(&payload)).unwrap();
    assert_eq!(claims["aud"], json!(["orders", "bills"]));
    assert_eq!((&claims["roles"], &claims["name"]), (&json!(["admin"]), &json!("Alice")));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 300);
}

#[test]
fn a_secret_makes_tokens_whose_claims_are_checked() {
    let secret = "correct horse battery staple 0123";
    let folder = folder(&[
        ("secret", secret),
        ("jwks.json", &json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode(secret) }).to_string()),
    ]);
    let mint = |more: &[&str]| {
        let mut arguments = vec!["token", "mint", "--key", "secret", "--alg", "HS256", "--issuer", "i"];
        arguments.extend(more);
        run(folder.path(), &arguments).stdout
    };
    let verify = |token: &str| {
        let arguments =
            ["token", "verify", "--jwks", "jwks.json", "--alg", "HS256", "--issuer", "i", "--audience", "a"];
        run_with_input(folder.path(), &arguments, token)
    };
    let good = verify(&mint(&["--subject", "s", "--audience", "a"]));
    assert_eq!((good.code, good.stderr.as_str()), (0, ""));
    assert_eq!(good.stdout.parse::<Value>().unwrap()["sub"], "s");
    for (more, reason) in [
        (&["--subject", "s", "--audience", "b"][..], "audience"),
        (&["--audience", "a"], "subject"),
        (&["--subject", "s", "--audience", "a", "--claim", "iss=j"], "issuer"),
        (&["--subject", "s", "--audience", "a", "--claim", "exp=1"], "expired"),
        (&["--subject", "s", "--audience", "a", "--claim", "exp=null"], "malformed_time"),
        (&["--subject", "s", "--audience", "a", "--claim", "nbf=99999999999"], "not_before"),
        (&["--subject", "s", "--audience", "a", "--typ", "logout+jwt"], "type"),
    ] {
        let refused = verify(&mint(more));
        assert_eq!((refused.code, refused.stdout.trim_end()), (1, reason));
    }
    let short = run(folder.path(), &["token", "mint", "--key", "secret", "--alg", "HS384"]);
    assert!(short.code == 1 && short.stderr.contains("48 random bytes"), "{}", short.stderr);
}
