//! People log in at a real provider, stay logged in, and log out; and what attackers try on the way (RFC 9700).

use std::sync::Barrier;
use std::time::Instant;

use portcullis_testkit::PATIENCE;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::provider::{Provider, log_in_with_chromium};
use portcullis_testkit::raw::{self, Response};
use serde_json::{Value, json};

use super::{challenges, refusal};
use crate::browser::{Browser, NAVIGATION, ORIGIN};
use crate::common::{Config, plain};
use crate::databases::on_both;
use crate::operators::{OPERATORS, ops};

struct Scene {
    provider: Provider,
    upstream: Upstream,
    gateway: Gateway,
}

impl Scene {
    /// Opens a page, which is answered like this, until the provider was asked for new tokens.
    fn until_it_was_tried_to_renew(&self, browser: &mut Browser, status: u16) {
        let asked = self.provider.asked("/token");
        let begun = Instant::now();
        while self.provider.asked("/token") == asked {
            assert_eq!(page(browser, "/orders").status, status);
            assert!(begun.elapsed() < PATIENCE, "it is never renewed");
        }
    }
}

const SESSION: &str = "__Host-web";

fn config(issuer: &str, upstream: &Upstream, database: &str, more: &str) -> Config {
    let login = format!(
        "{{ name: web, issuer: \"{issuer}\", client: {{ id: portal, secret: \"a secret of the portal\" }}, \
         origin: \"{ORIGIN}\", secret: \"0123456789abcdef0123456789abcdef\"{more} }}"
    );
    plain(&upstream.url())
        .section("store", format!("{{ database: \"{database}\" }}"))
        .section("authentication", format!("{{ login: [{login}] }}"))
        .section("admin", format!("{{ address: \"127.0.0.1:0\", operators: {} }}", *OPERATORS))
        .policy("authenticate", "{ methods: [web] }")
        .policy("forward", "{ identity: { X-Caller: subject, X-Mail: \"claim:email\", X-Roles: roles } }")
}

/// A provider, a gateway that sends people there, and a service.
fn scene(ttl: Value, database: &str, more: &str) -> Option<Scene> {
    let provider = Provider::start(&[("IDP_TTL", ttl)])?;
    let upstream = Upstream::start();
    let gateway = config(provider.issuer(), &upstream, database, more).start();
    let client = json!({
        "client_id": "portal", "client_secret": "a secret of the portal",
        "redirect_uris": [format!("{ORIGIN}/.auth/web/callback")],
        "post_logout_redirect_uris": [format!("{ORIGIN}/bye")],
        "grant_types": ["authorization_code", "refresh_token"],
        "backchannel_logout_uri": format!("http://{}/.auth/web/backchannel-logout", gateway.address("public")),
        "backchannel_logout_session_required": true,
    });
    provider.control("client", &client.to_string());
    Some(Scene { provider, upstream, gateway })
}

fn plain_scene() -> Option<Scene> {
    scene(json!({}), "sqlite://state.db", "")
}

const OFFLINE: &str =
    ", scopes: [openid, profile, email, offline_access], after_logout: /bye, userinfo: true";

fn page(browser: &mut Browser, path: &str) -> Response {
    browser.get(&format!("{ORIGIN}{path}"), NAVIGATION)
}

/// The cause that the last request's record names.
fn last_cause(records: &[Value]) -> String {
    let last = records.iter().rfind(|record| record["event.name"] == "request");
    last.unwrap()["credential_fault"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_person_logs_in_and_stays_logged_in() {
    on_both(|database| {
        let Some(scene) = scene(json!({}), database, OFFLINE) else { return };
        let mut browser = Browser::of("ann", &scene.gateway);
        browser.cookies().insert("theme".to_owned(), "dark".to_owned());
        let answer = browser.open("/orders?page=2");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = scene.upstream.only_request();
        assert_eq!(seen.target, "/orders?page=2", "they come to where they wanted to go");
        assert_eq!(seen.header("x-caller").as_deref(), Some("ann"));
        assert_eq!(seen.header("x-mail").as_deref(), Some("ann@example.com"), "from the userinfo");
        assert_eq!(seen.header("x-roles").as_deref(), Some("reader"));
        assert_eq!(seen.header("cookie").as_deref(), Some("theme=dark"), "no cookie of ours");
        assert_eq!(browser.cookies().keys().collect::<Vec<_>>(), [SESSION, "theme"]);
        assert_eq!(page(&mut browser, "/other").status, 200);
        assert_eq!(scene.provider.asked("/token"), 1);

        let mut gateway = scene.gateway;
        gateway.restart();
        let mut moved = Browser::of("ann", &gateway);
        moved.jar.clone_from(&browser.jar);
        assert_eq!(page(&mut moved, "/later").status, 200, "a session outlives the gateway");
        let session = browser.cookies()[SESSION].clone();
        let records = gateway.stop_and_audit();
        let change = records.iter().find(|record| record["event.name"] == "change").unwrap();
        assert_eq!(
            (&change["change.topic"], &change["change.action"]),
            (&json!("sessions"), &json!("login"))
        );
        assert_eq!((&change["change.actor"], &change["change.origin"]), (&json!("ann"), &json!("login")));
        assert!(!json!(records).to_string().contains(&session), "no cookie is on the record");
    });
}

#[test]
fn programs_are_told_and_not_sent_elsewhere() {
    let Some(scene) = plain_scene() else { return };
    for lines in ["", "Accept: application/json\r\n", "Sec-Fetch-Mode: cors\r\nAccept: text/html\r\n"] {
        let answer = raw::get(scene.gateway.address("public"), "/orders", lines);
        assert_eq!(refusal(&answer), (401, "login_required".to_owned()));
        assert_eq!(challenges(&answer), ["Login realm=\"api\", location=\"/.auth/web/start\""]);
        assert!(answer.header("location").is_none() && answer.header("set-cookie").is_none());
    }
    let mut browser = Browser::of("ann", &scene.gateway);
    let answer = browser.send("POST", &format!("{ORIGIN}/orders"), NAVIGATION, "a=b");
    assert_eq!(refusal(&answer), (401, "login_required".to_owned()), "what was sent would be lost");
    browser.cookies().insert(SESSION.to_owned(), "A".repeat(43));
    let answer = browser.get(&format!("{ORIGIN}/orders"), "");
    assert_eq!(refusal(&answer), (401, "login_required".to_owned()));
    let answer = page(&mut browser, "/orders");
    assert_eq!(answer.status, 303);
    let cookie = answer.header("set-cookie").unwrap();
    for attribute in
        ["__Host-web-login-", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Max-Age=600"]
    {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let location = answer.header("location").unwrap();
    for part in ["response_type=code", "code_challenge_method=S256", "state=", "nonce=", "client_id=portal"] {
        assert!(location.contains(part), "{location}");
    }
    scene.upstream.assert_no_contact();
}

/// Whatever is wrong with what comes back is found out before the provider is asked, and nobody is logged in.
#[test]
fn what_was_not_begun_here_does_not_come_to_its_end() {
    let Some(scene) = plain_scene() else { return };
    let gateway = &scene.gateway;
    let refused = |browser: &mut Browser, url: &str| {
        let answer = browser.get(url, NAVIGATION);
        assert_eq!(answer.status, 400, "{url}");
        assert_eq!(refusal(&answer), (400, "login_failed".to_owned()), "{url}");
        assert!(!browser.cookies().contains_key(SESSION), "{url}");
    };
    let mut victim = Browser::of("ann", gateway);
    let callback = victim.until_callback("/orders");
    let mut attacker = Browser::of("mallory", gateway);
    let theirs = attacker.until_callback("/orders");

    // Login CSRF: the attacker's callback in the victim's browser.
    refused(&mut victim, &theirs);
    // The victim's callback in the attacker's browser.
    refused(&mut attacker, &callback);
    // With the sealed cookie under another name.
    let (name, value) = victim.cookies().iter().next().map(|(a, b)| (a.clone(), b.clone())).unwrap();
    let theirs_name = attacker.cookies().keys().next().unwrap().clone();
    let mut moved = victim.clone();
    moved.cookies().insert(theirs_name, value.clone());
    refused(&mut moved, &theirs);
    // With a cookie that was tampered with.
    let mut tampered = victim.clone();
    let other = if value.starts_with('A') { "B" } else { "A" };
    tampered.cookies().insert(name, format!("{other}{}", &value[1..]));
    refused(&mut tampered, &callback);
    // Mix-up: a response of another issuer, or of one that does not say whose.
    let issuer = callback.split("&iss=").nth(1).unwrap().to_owned();
    refused(&mut victim.clone(), &callback.replace(&issuer, "https%3A%2F%2Fevil.test"));
    assert_eq!(scene.provider.asked("/token"), 0, "nobody was asked");
    let records = scene.gateway.stop_and_audit();
    let causes: Vec<&str> = records.iter().filter_map(|record| record["credential_fault"].as_str()).collect();
    let causes: Vec<&str> = causes.into_iter().filter(|cause| *cause != "missing").collect();
    assert_eq!(causes, ["no_transaction", "no_transaction", "transaction", "transaction", "other_issuer"]);
}

#[test]
fn a_response_without_its_issuer_is_refused() {
    let Some(scene) = plain_scene() else { return };
    let mut browser = Browser::of("ann", &scene.gateway);
    let callback = browser.until_callback("/orders");
    let without = callback.split("&iss=").next().unwrap();
    assert_eq!(browser.get(without, NAVIGATION).status, 400);
    assert_eq!(last_cause(&scene.gateway.stop_and_audit()), "other_issuer");
}

/// A code that was stolen is of no use in another login: the verifier is another (RFC 7636).
#[test]
fn an_injected_code_is_refused_by_the_provider() {
    let Some(scene) = plain_scene() else { return };
    let code_of = |url: &str| url.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let (mut victim, mut attacker) =
        (Browser::of("ann", &scene.gateway), Browser::of("mallory", &scene.gateway));
    let stolen = code_of(&victim.until_callback("/orders"));
    let callback = attacker.until_callback("/orders");
    let injected = callback.replace(&code_of(&callback), &stolen);
    let answer = attacker.get(&injected, NAVIGATION);
    assert_eq!(refusal(&answer), (400, "login_failed".to_owned()));
    assert!(!attacker.cookies().contains_key(SESSION));
    assert_eq!(scene.provider.asked("/token"), 1);
    assert_eq!(last_cause(&scene.gateway.stop_and_audit()), "code");
}

#[test]
fn a_callback_counts_once() {
    let Some(scene) = plain_scene() else { return };
    let mut browser = Browser::of("ann", &scene.gateway);
    let callback = browser.until_callback("/orders");
    let mut copy = browser.clone();
    assert_eq!(browser.get(&callback, NAVIGATION).status, 303);
    assert_eq!(refusal(&copy.get(&callback, NAVIGATION)), (400, "login_failed".to_owned()));
    assert_eq!(scene.provider.asked("/token"), 1);
    assert_eq!(last_cause(&scene.gateway.stop_and_audit()), "replayed");
}

#[test]
fn what_is_no_response_or_a_refusal_is_told_so() {
    let Some(scene) = plain_scene() else { return };
    let mut browser = Browser::of("ann", &scene.gateway);
    let callback = browser.until_callback("/orders");
    let state = callback.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    for query in ["", "state=a", "code=a", &format!("state={state}&state={state}&code=a")] {
        assert_eq!(
            page(&mut browser, &format!("/.auth/web/callback?{query}")).code(),
            "login_failed",
            "{query}"
        );
    }
    let issuer = callback.split("&iss=").nth(1).unwrap();
    let denied = format!("/.auth/web/callback?state={state}&error=access_denied&iss={issuer}");
    assert_eq!(page(&mut browser, &denied).code(), "login_failed");
    assert_eq!(browser.send("POST", &format!("{ORIGIN}/.auth/web/callback"), "", "").status, 405);
    assert_eq!(
        page(&mut browser, "/.auth/web/other").status,
        303,
        "that is for the service, and for who is logged in"
    );
    assert_eq!(scene.provider.asked("/token"), 0);
    assert_eq!(browser.get(&callback, NAVIGATION).status, 303, "what is no code takes nothing");
}

#[test]
fn nobody_is_sent_to_another_site_after_a_login() {
    let Some(scene) = plain_scene() else { return };
    for target in ["//evil.test", "https://evil.test", "/%5Cevil.test", "%2F%2Fevil.test", "%09/a", ""] {
        let mut browser = Browser::of("ann", &scene.gateway);
        let answer = page(&mut browser, &format!("/.auth/web/start?return_to={target}"));
        assert_eq!(refusal(&answer), (400, "login_failed".to_owned()), "{target}");
    }
    let mut browser = Browser::of("ann", &scene.gateway);
    let answer = browser.open("/.auth/web/start?return_to=%2Forders%3Fpage%3D3");
    assert_eq!(answer.status, 200);
    assert_eq!(scene.upstream.only_request().target, "/orders?page=3");
}

#[test]
fn a_session_changes_nothing_for_another_site() {
    let Some(scene) = plain_scene() else { return };
    let mut browser = Browser::of("ann", &scene.gateway);
    assert_eq!(browser.open("/orders").status, 200);
    let mut post = |lines: &str| browser.send("POST", &format!("{ORIGIN}/orders"), lines, "a=b");
    for lines in [
        "",
        "Origin: https://evil.test\r\n",
        "Origin: null\r\n",
        "Origin: http://127.0.0.1.evil.test\r\nSec-Fetch-Site: same-origin\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
    ] {
        assert_eq!(refusal(&post(lines)), (403, "cross_site".to_owned()), "{lines}");
    }
    assert_eq!(post("Origin: http://127.0.0.1\r\n").status, 200);
    assert_eq!(post("Sec-Fetch-Site: same-origin\r\n").status, 200);
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Version: 13\r\nOrigin: https://evil.test\r\n";
    let answer = browser.get(&format!("{ORIGIN}/orders"), upgrade);
    assert_eq!(refusal(&answer), (403, "cross_site".to_owned()));
}

/// A refresh token counts once, and the provider ends everything when it comes a second time.
#[test]
fn many_requests_at_once_renew_a_session_once() {
    on_both(|database| {
        let Some(scene) = scene(json!({ "AccessToken": 1 }), database, OFFLINE) else { return };
        let mut browser = Browser::of("ann", &scene.gateway);
        assert_eq!(browser.open("/orders").status, 200);
        let begun = Instant::now();
        while scene.provider.asked("/token") < 4 {
            assert!(begun.elapsed() < PATIENCE, "it is never renewed");
            let barrier = Barrier::new(20);
            std::thread::scope(|scope| {
                let ask = || {
                    let mut browser = browser.clone();
                    barrier.wait();
                    page(&mut browser, "/orders").status
                };
                let asking: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
                for asked in asking {
                    assert_eq!(asked.join().unwrap(), 200);
                }
            });
        }
        let records = scene.gateway.stop_and_audit();
        let renewals = records.iter().filter(|record| record["change.action"] == "renewed").count();
        assert!(renewals >= 3, "{renewals}");
    });
}

/// The token is the one of now: services can ask the provider about it, or other services with it.
#[test]
fn a_service_may_get_the_access_token() {
    let Some(provider) = Provider::start(&[]) else { return };
    let upstream = Upstream::start();
    let gateway = config(provider.issuer(), &upstream, "sqlite://state.db", "")
        .policy("forward", "{ access_token: true }")
        .policy("authenticate", "{ methods: [web, anonymous] }")
        .start();
    let client = json!({
        "client_id": "portal", "client_secret": "a secret of the portal",
        "redirect_uris": [format!("{ORIGIN}/.auth/web/callback")],
    });
    provider.control("client", &client.to_string());
    let mut browser = Browser::of("ann", &gateway);
    assert_eq!(page(&mut browser, "/").status, 200);
    assert!(!upstream.requests()[0].has("authorization"), "nobody is logged in");
    assert_eq!(browser.open("/.auth/web/start?return_to=/orders").status, 200);
    let token = upstream.requests()[1].header("authorization").unwrap();
    let answer = raw::get(provider.address(), "/me", &format!("Authorization: {token}\r\n"));
    assert_eq!((answer.status, &answer.json()["sub"]), (200, &json!("ann")));
}

#[test]
fn whoever_is_withdrawn_at_the_provider_is_logged_out_here() {
    let Some(scene) = scene(json!({ "AccessToken": 1 }), "sqlite://state.db", OFFLINE) else { return };
    let mut browser = Browser::of("ann", &scene.gateway);
    assert_eq!(browser.open("/orders").status, 200);
    scene.provider.control("revoke?sub=ann", "");
    let begun = Instant::now();
    while page(&mut browser, "/orders").status != 303 {
        assert!(begun.elapsed() < PATIENCE, "the session goes on");
    }
}

#[test]
fn a_provider_that_is_away_logs_nobody_out() {
    let Some(scene) = scene(json!({ "AccessToken": 1 }), "sqlite://state.db", OFFLINE) else { return };
    let mut browser = Browser::of("ann", &scene.gateway);
    assert_eq!(browser.open("/orders").status, 200);
    let mut late = Browser::of("bob", &scene.gateway);
    let callback = late.until_callback("/orders");
    scene.provider.control("down", "");
    scene.until_it_was_tried_to_renew(&mut browser, 200);
    for _ in 0..20 {
        assert_eq!(page(&mut browser, "/orders").status, 200);
    }
    assert_eq!(late.get(&callback, NAVIGATION).status, 503);
    scene.provider.control("up", "");
    assert_eq!(page(&mut browser, "/orders").status, 200);
}

/// What was revoked stays so, although the provider goes on to give out tokens for the session.
#[test]
fn a_renewal_takes_no_revocation_back() {
    let Some(scene) = scene(json!({ "AccessToken": 1 }), "sqlite://state.db", OFFLINE) else { return };
    let mut browser = Browser::of("ann", &scene.gateway);
    assert_eq!(browser.open("/orders").status, 200);
    let made = ops(&scene.gateway).post("/v1/revocations", &json!({ "subject": "ann" }));
    assert_eq!(made.status, 201, "{}", made.text());
    scene.until_it_was_tried_to_renew(&mut browser, 401);
    assert_eq!(page(&mut browser, "/orders").status, 401);
}

/// A provider that refuses the gateway says nothing of the person.
#[test]
fn a_gateway_that_its_provider_does_not_know_any_more_logs_nobody_out() {
    let Some(scene) = scene(json!({ "AccessToken": 1 }), "sqlite://state.db", OFFLINE) else { return };
    let mut browser = Browser::of("ann", &scene.gateway);
    assert_eq!(browser.open("/orders").status, 200);
    scene.provider.control(
        "client",
        &json!({
            "client_id": "portal", "client_secret": "another secret of the portal",
            "redirect_uris": [format!("{ORIGIN}/.auth/web/callback")],
            "grant_types": ["authorization_code", "refresh_token"],
        })
        .to_string(),
    );
    scene.until_it_was_tried_to_renew(&mut browser, 200);
    assert_eq!(page(&mut browser, "/orders").status, 200);
}

/// Sessions that were sealed with another secret are no sessions any more: people log in again.
#[test]
fn another_secret_ends_all_sessions() {
    let Some(scene) = scene(json!({}), "sqlite://state.db", OFFLINE) else { return };
    let mut browser = Browser::of("ann", &scene.gateway);
    assert_eq!(browser.open("/orders").status, 200);
    let written = config(scene.provider.issuer(), &scene.upstream, "sqlite://state.db", OFFLINE).text();
    let secret = "0123456789abcdef0123456789abcdef";
    assert!(written.contains(secret));
    scene.gateway.rewrite(&written.replace(secret, "another secret of 32 bytes or so"));
    scene.gateway.hang_up();
    let _ = scene.gateway.wait_for_event("reloaded", 0);
    assert_eq!(page(&mut browser, "/orders").status, 303);
    assert_eq!(browser.open("/orders").status, 200);
}

#[test]
fn a_person_logs_out_here_and_at_the_provider() {
    let Some(scene) = scene(json!({}), "sqlite://state.db", OFFLINE) else { return };
    let mut browser = Browser::of("ann", &scene.gateway);
    assert_eq!(browser.open("/orders").status, 200);
    let logout = format!("{ORIGIN}/.auth/web/logout");
    for (method, lines) in [
        ("POST", "Origin: https://evil.test\r\n"),
        ("POST", ""),
        ("GET", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n"),
    ] {
        let answer = browser.send(method, &logout, lines, "");
        assert_eq!(refusal(&answer), (403, "cross_site".to_owned()));
    }
    assert_eq!(page(&mut browser, "/orders").status, 200);
    let kept = browser.clone();
    let answer = browser.send("POST", &logout, "Origin: http://127.0.0.1\r\n", "");
    let location = answer.header("location").unwrap();
    assert!(
        answer.status == 303 && location.starts_with(&format!("{}/session/end", scene.provider.issuer())),
        "{location}"
    );
    assert!(location.contains("id_token_hint=") && location.contains("post_logout_redirect_uri="));
    assert!(!browser.cookies().contains_key(SESSION));
    assert_eq!(scene.provider.asked("/token/revocation"), 1, "the refresh token is of no more use");
    assert_eq!(page(&mut kept.clone(), "/orders").status, 303, "nor is a copy of the cookie");
    let again = browser.send("POST", &logout, "Origin: http://127.0.0.1\r\n", "");
    assert_eq!(again.header("location").as_deref(), Some("http://127.0.0.1/bye"), "there is nothing to end");
}

#[test]
fn the_provider_ends_a_session() {
    on_both(|database| {
        let Some(scene) = scene(json!({}), database, OFFLINE) else { return };
        let (mut ann, mut bob) = (Browser::of("ann", &scene.gateway), Browser::of("bob", &scene.gateway));
        assert_eq!((ann.open("/orders").status, bob.open("/orders").status), (200, 200));
        let told = scene.provider.control("logout?sub=ann", "");
        assert_eq!(told["told"][0]["clientId"], "portal", "{told}");
        assert!(told["told"][0]["error"].is_null(), "{told}");
        assert_eq!(page(&mut ann, "/orders").status, 303, "at once");
        assert_eq!(page(&mut bob, "/orders").status, 200);
        let url = format!("{ORIGIN}/.auth/web/backchannel-logout");
        for content in ["", "logout_token=", "logout_token=a.b.c", "token=x"] {
            assert_eq!(bob.send("POST", &url, "", content).code(), "login_failed", "{content}");
        }
        assert_eq!(page(&mut bob, "/orders").status, 200);
    });
}

#[test]
fn a_new_login_is_a_new_session() {
    let Some(scene) = plain_scene() else { return };
    let mut browser = Browser::of("ann", &scene.gateway);
    assert_eq!(browser.open("/orders").status, 200);
    let before = browser.clone();
    assert_eq!(browser.open("/.auth/web/start").status, 200);
    assert_ne!(browser.cookies()[SESSION], before.clone().cookies()[SESSION]);
    assert_eq!(page(&mut before.clone(), "/orders").status, 303, "the old one is no more");
    // An attacker who plants a session of their own in a browser gains nothing: the login replaces it.
    let mut planted = Browser::of("ann", &scene.gateway);
    planted.cookies().insert(SESSION.to_owned(), "B".repeat(43));
    assert_eq!(planted.open("/orders").status, 200);
    assert_ne!(planted.cookies()[SESSION], "B".repeat(43));
}

#[test]
fn operators_see_and_end_sessions() {
    let Some(scene) = plain_scene() else { return };
    let (mut ann, mut bob) = (Browser::of("ann", &scene.gateway), Browser::of("bob", &scene.gateway));
    assert_eq!((ann.open("/orders").status, bob.open("/orders").status), (200, 200));
    let api = ops(&scene.gateway);
    assert_eq!(api.get("/v1/sessions").json()["sessions"].as_array().unwrap().len(), 2);
    let of_ann = api.get("/v1/sessions?subject=ann").json();
    let session = &of_ann["sessions"][0];
    assert_eq!((of_ann["sessions"].as_array().unwrap().len(), &session["subject"]), (1, &json!("ann")));
    let cookie = ann.cookies()[SESSION].clone();
    assert!(!of_ann.to_string().contains(&cookie));
    let path = format!("/v1/sessions/{}", session["id"].as_str().unwrap());
    assert_eq!((api.delete(&path).status, api.delete(&path).status), (204, 404));
    assert_eq!((page(&mut ann, "/orders").status, page(&mut bob, "/orders").status), (303, 200));
    let made = api.post("/v1/revocations", &json!({ "subject": "bob" }));
    assert_eq!(made.status, 201, "{}", made.text());
    let answer = bob.get(&format!("{ORIGIN}/orders"), "");
    assert_eq!(refusal(&answer), (401, "invalid_token".to_owned()), "what is revoked is revoked");
}

#[test]
fn new_keys_of_the_provider_fail_no_login() {
    let Some(scene) = plain_scene() else { return };
    for person in ["ann", "bob", "carol"] {
        assert_eq!(Browser::of(person, &scene.gateway).open("/orders").status, 200, "{person}");
        scene.provider.control("rotate-keys", "");
        scene.provider.control("forget-keys", "");
    }
}

#[test]
fn anonymous_visitors_and_programs_with_tokens_go_their_own_way() {
    let Some(provider) = Provider::start(&[]) else { return };
    let upstream = Upstream::start();
    let gateway = config(provider.issuer(), &upstream, "sqlite://state.db", "")
        .policy("authenticate", "{ methods: [web, anonymous] }")
        .start();
    let mut browser = Browser::of("ann", &gateway);
    assert_eq!(page(&mut browser, "/").status, 200, "nobody is sent to a login that is not needed");
    browser.cookies().insert(SESSION.to_owned(), "A".repeat(43));
    assert_eq!(page(&mut browser, "/").status, 303, "a session that is none does not count as none");
}

#[test]
fn what_a_login_needs_is_said() {
    let upstream = Upstream::start();
    for (more, says) in [
        (", scopes: [profile]", "without `openid`"),
        (", session: { idle: 1s }", "not between 5m"),
        (", session: { idle: 1h, absolute: 30m }", "not between `idle`"),
        (", path: \"auth/\"", "not a path"),
        (", after_logout: \"http://evil.test\"", "neither a path nor a URL"),
    ] {
        let refused = crate::common::setup()
            .refuse(&config("http://127.0.0.1:9", &upstream, "sqlite://state.db", more).text());
        assert!(refused.stderr.contains(says), "{more}: {}", refused.stderr);
    }
    let origin = format!("origin: \"{ORIGIN}\"");
    for (was, is, says) in [
        (origin.as_str(), "origin: \"http://app.example.com\"", "no origin over `https`"),
        (&origin, "origin: \"https://app.example.com/\"", "no origin over `https`"),
        (&origin, "origin: \"https://App.example.com\"", "no origin over `https`"),
        (&origin, "origin: \"https://app.example.com:443\"", "no origin over `https`"),
        ("0123456789abcdef0123456789abcdef", "short", "less than 32 bytes"),
        ("store: { database: \"sqlite://state.db\" }", "store: {}", "no database to keep sessions in"),
        ("name: web", "name: \"a b\"", "name of a cookie"),
    ] {
        let text =
            config("http://127.0.0.1:9", &upstream, "sqlite://state.db", "").text().replacen(was, is, 1);
        let refused = crate::common::setup().refuse(&text);
        assert!(refused.stderr.contains(says), "{is}: {}", refused.stderr);
    }
}

/// What explains a request changes nothing: a refresh token may count once.
#[test]
fn explain_knows_sessions_and_renews_none() {
    let Some(scene) = scene(json!({ "AccessToken": 1 }), "sqlite://state.db", OFFLINE) else { return };
    let mut browser = Browser::of("ann", &scene.gateway);
    assert_eq!(browser.open("/orders").status, 200);
    let cookie = format!("Cookie: {SESSION}={}", browser.cookies()[SESSION]);
    let mut gateway = scene.gateway;
    gateway.stop();
    let asked = scene.provider.asked("/token");
    let begun = Instant::now();
    let mut explained = 0;
    // Long enough that the session should be renewed.
    while explained < 3 || begun.elapsed() < std::time::Duration::from_secs(2) {
        let arguments = ["explain", "gateway.yaml", "/orders", "--format", "json", "-H", &cookie];
        let text = crate::lifecycle::run(gateway.folder(), &arguments).stdout;
        assert!(text.contains("\"allow\"") && text.contains("\"ann\""), "{text}");
        explained += 1;
    }
    assert_eq!(scene.provider.asked("/token"), asked);
}

/// A real browser, with its own ideas of cookies, redirects and forms.
#[test]
fn chromium_logs_in() {
    let Some(provider) = Provider::start(&[]) else { return };
    let upstream = Upstream::start();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let origin = format!("http://localhost:{port}");
    let text = config(provider.issuer(), &upstream, "sqlite://state.db", "").text();
    let text = text.replace(&format!("origin: \"{ORIGIN}\""), &format!("origin: \"{origin}\""));
    let gateway =
        crate::common::setup().start(&text.replacen("127.0.0.1:0", &format!("127.0.0.1:{port}"), 1));
    let client = json!({
        "client_id": "portal", "client_secret": "a secret of the portal",
        "redirect_uris": [format!("{origin}/.auth/web/callback")],
    });
    provider.control("client", &client.to_string());
    let Some(seen) = log_in_with_chromium(&format!("{origin}/orders?page=2"), "ann") else { return };
    assert_eq!(seen["url"], format!("{origin}/orders?page=2"));
    assert!(seen["text"].as_str().unwrap().contains("[\"x-caller\",\"ann\"]"), "{seen}");
    assert_eq!(seen["cookie"], "", "scripts see none of ours");
    let cookies = seen["cookies"].as_array().unwrap();
    let session = cookies.iter().find(|cookie| cookie["name"] == SESSION).unwrap();
    assert_eq!(
        (&session["httpOnly"], &session["secure"], &session["sameSite"], &session["path"]),
        (&json!(true), &json!(true), &json!("Lax"), &json!("/"))
    );
    assert!(!cookies.iter().any(|cookie| cookie["name"].as_str().unwrap().contains("-login-")), "{seen}");
    let logins = gateway.stop_and_audit().iter().filter(|record| record["change.action"] == "login").count();
    assert_eq!(logins, 1);
}

/// Tokens, codes, cookies and the secrets of the configuration: none of them is in what the gateway writes, stores or tells.
#[test]
fn no_secret_of_a_login_is_told() {
    let Some(scene) = scene(json!({ "AccessToken": 1 }), "sqlite://state.db", OFFLINE) else { return };
    let mut browser = Browser::of("ann", &scene.gateway);
    let callback = browser.until_callback("/orders");
    let mut secrets: Vec<String> = browser.cookies().values().cloned().collect();
    for name in ["code=", "state="] {
        secrets.push(callback.split(name).nth(1).unwrap().split('&').next().unwrap().to_owned());
    }
    let mut answers = vec![browser.get(&callback.replace("code=", "code=x"), NAVIGATION).text()];
    assert_eq!(browser.open("/orders").status, 200);
    let begun = Instant::now();
    while scene.provider.asked("/token") < 4 {
        assert!(begun.elapsed() < PATIENCE, "it is never renewed");
        answers.push(page(&mut browser, "/orders").text());
    }
    secrets.push(browser.cookies()[SESSION].clone());
    answers.push(browser.send("POST", &format!("{ORIGIN}/orders"), "", "a=b").text());
    let metrics = raw::get(scene.gateway.address("admin"), "/metrics", "").text();
    let listed = ops(&scene.gateway).get("/v1/sessions").text();
    let stored = ["state.db", "state.db-wal"].map(|name| {
        let bytes = std::fs::read(scene.gateway.folder().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    });
    assert!(stored.concat().contains("sessions"), "that is the database");
    let issued = scene.provider.control("seen", "")["secrets"].clone();
    secrets.extend(issued.as_array().unwrap().iter().map(|secret| secret.as_str().unwrap().to_owned()));
    secrets.extend(["a secret of the portal", "0123456789abcdef0123456789abcdef"].map(str::to_owned));
    assert!(secrets.len() > 12, "{secrets:?}");
    let mut gateway = scene.gateway;
    gateway.stop();
    let (stderr, stdout, records) = (gateway.stderr(), gateway.stdout(), json!(gateway.audit()).to_string());
    let told = [&answers.concat(), &metrics, &listed, &stored.concat(), &stderr, &stdout, &records];
    for secret in secrets {
        for (place, text) in told.iter().enumerate() {
            assert!(!text.contains(&secret), "{secret} is in {place}");
        }
    }
}

/// The example, as it is published.
#[test]
fn the_example_logs_people_in() {
    let Some(provider) = Provider::start(&[]) else { return };
    let upstream = Upstream::start();
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/oidc-login.yaml");
    let gateway = crate::common::setup()
        .variable("LISTEN", "127.0.0.1:0")
        .variable("ADMIN", "127.0.0.1:0")
        .variable("UPSTREAM", upstream.url())
        .variable("ISSUER", provider.issuer())
        .variable("ORIGIN", ORIGIN)
        .variable("CLIENT_SECRET", "a secret of the portal")
        .variable("SESSION_SECRET", "0123456789abcdef0123456789abcdef")
        .start(&std::fs::read_to_string(example).unwrap());
    let client = json!({
        "client_id": "portal", "client_secret": "a secret of the portal",
        "redirect_uris": [format!("{ORIGIN}/session/callback")],
        "grant_types": ["authorization_code", "refresh_token"],
    });
    provider.control("client", &client.to_string());
    let mut browser = Browser::of("root", &gateway);
    assert_eq!(page(&mut browser, "/assets/logo.svg").status, 200);
    assert_eq!(upstream.requests()[0].header("x-user").as_deref(), Some("anonymous"));
    assert_eq!(browser.open("/inbox").status, 200);
    let seen = &upstream.requests()[1];
    assert_eq!(seen.header("x-user").as_deref(), Some("root"));
    assert_eq!(seen.header("x-roles").as_deref(), Some("admin"));
}
