//! Tokens: which are refused, and what those who show one are told (RFC 6750, RFC 7519, RFC 8725).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_authn::mint::SigningKey;
use portcullis_core::{Clock as _, SystemClock};
use portcullis_oidc::Algorithm;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Response};
use serde_json::{Value, json};

use super::{challenges, refusal};
use crate::common::{plain, setup};
use crate::credentials::{
    EC, ISSUER, RSA, authenticated, authorization, bearer, bearer_with, claims, claims_with, folder, partner,
};

fn get(gateway: &Gateway, lines: &str) -> Response {
    raw::get(gateway.address("public"), "/", lines)
}

/// A gateway that takes tokens of [`EC`], with further settings of the method.
fn strict(upstream: &Upstream, settings: &str) -> Gateway {
    let section = format!(
        "{{ realm: shop, jwt: [{{ name: staff, issuer: \"{ISSUER}\", audiences: [shop, till], \
         algorithms: [ES256], keys: {{ pem: staff.pem }}, {settings} }}] }}"
    );
    plain(&upstream.url())
        .section("authentication", section)
        .policy("authenticate", "{ methods: [staff] }")
        .start_in(folder())
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn assert_invalid(answer: &Response, what: &str) {
    assert_eq!(refusal(answer), (401, "invalid_token".to_owned()), "{what}");
    let expected =
        "Bearer realm=\"shop\", error=\"invalid_token\", error_description=\"The token is not valid.\"";
    assert_eq!(challenges(answer), [expected], "{what}");
}

/// RFC 8725 section 2.1, in every spelling that a comparison might let through.
#[test]
fn tokens_without_a_signature_are_refused() {
    let upstream = Upstream::start();
    let gateway = authenticated(plain(&upstream.url()), "staff").start_in(folder());
    let payload = encode(&json!(claims("mallory")));
    let signature = bearer("ann").trim_end().rsplit('.').next().unwrap().to_owned();
    for number in 0..16_u8 {
        let spelled: String = "none"
            .chars()
            .enumerate()
            .map(|(at, letter)| if number & (1 << at) == 0 { letter } else { letter.to_ascii_uppercase() })
            .collect();
        for signature in ["", "AA", &signature] {
            let header = encode(&json!({ "alg": spelled, "typ": "JWT" }));
            let token = format!("{header}.{payload}.{signature}");
            assert_invalid(&get(&gateway, &authorization(&token)), &spelled);
        }
    }
    for header in [
        json!({ "typ": "JWT" }),
        json!({ "alg": null }),
        json!({ "alg": "" }),
        json!({ "alg": ["none"] }),
        json!({ "alg": " none" }),
        json!({ "alg": "es256" }),
    ] {
        let token = format!("{}.{payload}.{signature}", encode(&header));
        assert_invalid(&get(&gateway, &authorization(&token)), &header.to_string());
    }
    upstream.assert_no_contact();
}

/// The key confusion of RFC 8725 section 2.1: a public key is no secret.
#[test]
fn a_public_key_is_not_a_shared_secret() {
    let upstream = Upstream::start();
    let gateway = authenticated(plain(&upstream.url()), "rsa").start_in(folder());
    let pem = RSA.public_pem().unwrap();
    for (algorithm, secret) in [
        (Algorithm::Hs256, pem.as_str()),
        (Algorithm::Hs256, pem.trim_end()),
        (Algorithm::Hs384, &pem),
        (Algorithm::Hs512, &pem),
    ] {
        let attacker = SigningKey::from_secret(secret.as_bytes(), algorithm).unwrap();
        let token = attacker.mint(None, &claims("mallory")).unwrap();
        assert_invalid(&get(&gateway, &authorization(&token)), algorithm.name());
    }
    upstream.assert_no_contact();
    let good = RSA.mint(None, &claims("ann")).unwrap();
    assert_eq!(get(&gateway, &authorization(&good)).status, 200);
}

#[test]
fn what_was_changed_after_signing_is_refused() {
    let upstream = Upstream::start();
    let gateway = authenticated(plain(&upstream.url()), "staff").start_in(folder());
    let good = EC.mint(None, &claims("ann")).unwrap();
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let other = EC.mint(None, &claims("bob")).unwrap();
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    // The first character carries six bits of the signature; the last would carry some that are left over.
    let first = if signature.starts_with('A') { "B" } else { "A" };
    for (token, what) in [
        (format!("{header}.{payload}.{first}{}", &signature[1..]), "one character"),
        (format!("{header}.{payload}.{}", other.rsplit('.').next().unwrap()), "another signature"),
        (format!("{header}.{}.{signature}", encode(&json!(claims("admin")))), "other claims"),
        (format!("{}.{payload}.{signature}", encode(&json!({ "alg": "ES256" }))), "another header"),
        (stranger.mint(None, &claims("ann")).unwrap(), "another key"),
        (format!("{header}.{payload}."), "no signature"),
        (format!("{header}.{payload}"), "two parts"),
        (format!("{good}.{signature}"), "four parts"),
        (format!("{good}="), "padding"),
        (format!("{good} x"), "something behind it"),
        (String::new(), "nothing"),
    ] {
        assert_invalid(&get(&gateway, &authorization(&token)), what);
    }
    upstream.assert_no_contact();
    assert_eq!(get(&gateway, &authorization(&good)).status, 200);
}

#[test]
fn claims_that_do_not_fit_are_refused() {
    let upstream = Upstream::start();
    let gateway = strict(&upstream, "leeway: 1m, required_claims: [tenant, account.plan], types: [JWT]");
    let now = SystemClock.now().as_secs();
    let (tenant, account) = ("t1", json!({ "plan": "small" }));
    let with = |changes: &Value| {
        let mut claims = claims_with("ann", json!({ "tenant": tenant, "account": account }));
        claims.extend(changes.as_object().unwrap().clone());
        claims.retain(|_, value| value != "absent");
        authorization(&EC.mint(None, &claims).unwrap())
    };
    let refused = [
        (json!({ "iss": "https://evil.test" }), "issuer"),
        (json!({ "iss": format!("{ISSUER}/") }), "issuer"),
        (json!({ "iss": "absent" }), "issuer"),
        (json!({ "aud": "other" }), "audience"),
        (json!({ "aud": ["other", "another"] }), "audience"),
        (json!({ "aud": "absent" }), "audience"),
        (json!({ "sub": "absent" }), "subject"),
        (json!({ "exp": "absent" }), "no_expiry"),
        (json!({ "exp": "tomorrow" }), "malformed_time"),
        (json!({ "nbf": now + 600 }), "not_before"),
        (json!({ "iat": now + 600 }), "issued_in_future"),
        (json!({ "tenant": "absent" }), "required_claim"),
        (json!({ "tenant": null }), "required_claim"),
        (json!({ "account": { "other": 1 } }), "required_claim"),
        (json!({ "cnf": { "jkt": "abc" } }), "sender_constrained"),
    ];
    for (changes, _) in &refused {
        assert_invalid(&get(&gateway, &with(changes)), &changes.to_string());
    }
    let typed = EC.sign(br#"{"alg":"ES256","typ":"at+jwt"}"#, json!(claims("ann")).to_string().as_bytes());
    assert_invalid(&get(&gateway, &authorization(&typed.unwrap())), "type");
    upstream.assert_no_contact();
    let good = [
        json!({}),
        json!({ "aud": ["other", "till"] }),
        json!({ "exp": now - 30 }),
        json!({ "nbf": now + 30, "iat": now + 30 }),
    ];
    for changes in good {
        assert_eq!(get(&gateway, &with(&changes)).status, 200, "{changes}");
    }
    let records = gateway.stop_and_audit();
    for (record, (changes, fault)) in records.iter().zip(&refused) {
        assert_eq!(record["credential_fault"], *fault, "{changes}");
        assert_eq!(record["stage"], "authenticate");
        assert_eq!(record.get("principal.id"), None, "nobody was verified");
    }
    assert_eq!(records[refused.len()]["credential_fault"], "type");
}

#[test]
fn an_expired_token_is_told_so() {
    let upstream = Upstream::start();
    let gateway = strict(&upstream, "leeway: 1m");
    let now = SystemClock.now().as_secs();
    let answer = get(&gateway, &bearer_with("ann", json!({ "exp": now - 120 })));
    assert_eq!(refusal(&answer), (401, "expired_token".to_owned()));
    assert_eq!(
        challenges(&answer),
        ["Bearer realm=\"shop\", error=\"invalid_token\", error_description=\"The token has expired.\""]
    );
    upstream.assert_no_contact();
}

/// RFC 6750 section 3.1: no error where no credential was shown.
#[test]
fn a_request_without_a_token_is_told_what_to_bring() {
    let upstream = Upstream::start();
    let gateway = authenticated(plain(&upstream.url()), "staff, partners").start_in(folder());
    let answer = get(&gateway, "");
    assert_eq!(refusal(&answer), (401, "credential_missing".to_owned()));
    assert_eq!(challenges(&answer), ["Bearer realm=\"shop\"", "ApiKey realm=\"shop\", header=\"x-api-key\""]);
    upstream.assert_no_contact();
}

/// Two credentials of one kind have two readings: the service may take the other one.
#[test]
fn a_token_that_is_sent_twice_is_ambiguous() {
    let upstream = Upstream::start();
    let gateway = authenticated(plain(&upstream.url()), "staff, anonymous").start_in(folder());
    let good = bearer("ann");
    for lines in [format!("{good}{good}"), format!("{good}Authorization: Basic YTpi\r\n")] {
        assert_eq!(refusal(&get(&gateway, &lines)), (400, "ambiguous_credential".to_owned()));
    }
    upstream.assert_no_contact();
}

#[test]
fn the_first_method_whose_credential_is_shown_decides() {
    let upstream = Upstream::start();
    let gateway = authenticated(plain(&upstream.url()), "staff, partners, anonymous")
        .policy("forward", "{ identity: { X-Caller: subject, X-Method: method } }")
        .routes(&[
            "{ name: partners-first, path: /partners, policy: { authenticate: { methods: [partners, staff] } } }",
            "{ name: all, path: \"/{*rest}\" }",
        ])
        .start_in(folder());
    let (ann, acme) = (bearer("ann"), format!("X-API-Key: {}\r\n", partner()));
    let (forged, wrong) = (authorization("x.y.z"), "X-API-Key: pcl_acme_no\r\n");
    for (path, lines, caller, method) in [
        ("/", ann.clone(), "ann", "staff"),
        ("/", acme.clone(), "acme", "partners"),
        ("/", format!("{acme}{ann}"), "ann", "staff"),
        ("/", format!("{wrong}{ann}"), "ann", "staff"),
        ("/", String::new(), "anonymous", "anonymous"),
        ("/partners", format!("{ann}{acme}"), "acme", "partners"),
        ("/partners", ann.clone(), "ann", "staff"),
    ] {
        assert_eq!(raw::get(gateway.address("public"), path, &lines).status, 200, "{path} {lines}");
        let seen = upstream.only_request();
        assert_eq!(seen.header("x-caller").as_deref(), Some(caller), "{path} {lines}");
        assert_eq!(seen.header("x-method").as_deref(), Some(method), "{path} {lines}");
        upstream.forget();
    }
    // A credential that is shown and wrong counts as none for nobody, not even where anonymous is let in.
    for (path, lines, code) in [
        ("/", format!("{forged}{acme}"), "invalid_token"),
        ("/", wrong.to_owned(), "invalid_key"),
        ("/", "Authorization: Basic YTpi\r\n".to_owned(), "invalid_token"),
        ("/partners", format!("{ann}{wrong}"), "invalid_key"),
    ] {
        let answer = raw::get(gateway.address("public"), path, &lines);
        assert_eq!(refusal(&answer), (401, code.to_owned()), "{path} {lines}");
    }
    upstream.assert_no_contact();
}

#[test]
fn a_secret_verifies_what_it_signed_and_a_token_may_stand_alone_in_a_header() {
    let upstream = Upstream::start();
    let secret = "0123456789abcdef0123456789abcdef";
    let section = format!(
        "{{ jwt: [{{ name: ours, issuer: \"{ISSUER}\", audiences: [shop], algorithms: [HS256], \
         keys: {{ secret: \"file://secret\" }}, header: X-Token, max_token: 512B, roles_claim: access.roles }}] }}"
    );
    let gateway = plain(&upstream.url())
        .section("authentication", section)
        .policy("authenticate", "{ methods: [ours] }")
        .policy("forward", "{ identity: { X-Roles: roles } }")
        .start_in(setup().file("secret", format!("{secret}\n")));
    let key = SigningKey::from_secret(secret.as_bytes(), Algorithm::Hs256).unwrap();
    let token = |changes: Value| key.mint(None, &claims_with("ann", changes)).unwrap();
    let good = token(json!({ "access": { "roles": ["clerk", "cashier"] } }));
    let ask = |token: &str| refusal(&get(&gateway, &format!("X-Token: {token}\r\n")));
    assert_eq!(ask(&token(json!({ "padding": "x".repeat(512) }))), (401, "invalid_token".to_owned()));
    assert_eq!(ask(&format!("Bearer {good}")), (401, "invalid_token".to_owned()));
    assert_eq!(refusal(&get(&gateway, &authorization(&good))), (401, "credential_missing".to_owned()));
    upstream.assert_no_contact();
    assert_eq!(get(&gateway, &format!("X-Token: {good}\r\n")).status, 200);
    assert_eq!(upstream.only_request().header("x-roles").as_deref(), Some("clerk,cashier"));
}

/// RFC 9470: what the login lacks is said in the challenge, and the token itself is good.
#[test]
fn a_route_may_ask_for_a_stronger_or_later_login() {
    let upstream = Upstream::start();
    let gateway = authenticated(plain(&upstream.url()), "staff")
        .routes(&[
            "{ name: strong, path: /strong, policy: { authenticate: { step_up: { acr: [phr, phrh] } } } }",
            "{ name: recent, path: /recent, policy: { authenticate: { step_up: { max_age: 15m } } } }",
            "{ name: all, path: \"/{*rest}\" }",
        ])
        .start_in(folder());
    let now = SystemClock.now().as_secs();
    let token = |changes: Value| {
        let mut claims = claims("ann");
        claims.extend(changes.as_object().unwrap().clone());
        authorization(&EC.mint(None, &claims).unwrap())
    };
    let strong = "Bearer realm=\"shop\", error=\"insufficient_user_authentication\", \
                  error_description=\"A stronger authentication is needed.\", acr_values=\"phr phrh\"";
    let recent = "Bearer realm=\"shop\", error=\"insufficient_user_authentication\", \
                  error_description=\"A stronger authentication is needed.\", max_age=\"900\"";
    for (path, changes, expected) in [
        ("/strong", json!({ "acr": "phrh" }), None),
        ("/strong", json!({ "acr": "pwd" }), Some(strong)),
        ("/strong", json!({ "acr": ["phr"] }), Some(strong)),
        ("/strong", json!({}), Some(strong)),
        ("/recent", json!({ "auth_time": now - 600 }), None),
        ("/recent", json!({ "auth_time": now - 1000 }), Some(recent)),
        ("/recent", json!({ "auth_time": now + 1000 }), Some(recent)),
        ("/recent", json!({ "auth_time": "soon" }), Some(recent)),
        ("/recent", json!({}), Some(recent)),
        ("/other", json!({}), None),
    ] {
        upstream.forget();
        let answer = raw::get(gateway.address("public"), path, &token(changes.clone()));
        match expected {
            None => assert_eq!(answer.status, 200, "{path} {changes}"),
            Some(challenge) => {
                assert_eq!(refusal(&answer), (401, "step_up_required".to_owned()), "{path} {changes}");
                assert_eq!(challenges(&answer), [challenge], "{path} {changes}");
                upstream.assert_no_contact();
            }
        }
    }
}
