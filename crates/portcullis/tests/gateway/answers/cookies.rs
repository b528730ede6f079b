//! Cookies that services set.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::raw;

use super::{Tls, service};
use crate::common::plain;

fn cookies(policy: &str) -> Vec<String> {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).policy("response", policy).start();
    raw::get(gateway.address("public"), "/headers", "").values("set-cookie")
}

const CAREFUL: &str = "careful=1; Path=/; Secure; HttpOnly; SameSite=Strict";

#[test]
fn cookies_get_what_they_lack() {
    assert_eq!(cookies("{ mode: off }")[0], "session=abc; Path=/");
    assert_eq!(
        cookies("{ mode: enforce }"),
        [
            "session=abc; Path=/; HttpOnly; SameSite=Lax",
            "theme=dark; Path=/; SameSite=None; Secure; HttpOnly",
            CAREFUL,
        ]
    );
    assert_eq!(
        cookies("{ mode: enforce, cookies: { secure: always, http_only: false, same_site: strict } }"),
        [
            "session=abc; Path=/; Secure; SameSite=Strict",
            "theme=dark; Path=/; SameSite=None; Secure",
            CAREFUL
        ]
    );
    assert_eq!(
        cookies("{ mode: enforce, cookies: { secure: keep, http_only: false, same_site: keep } }"),
        ["session=abc; Path=/", "theme=dark; Path=/; SameSite=None; Secure", CAREFUL]
    );
    assert_eq!(
        cookies("{ mode: enforce, cookies: { same_site: none, http_only: false } }")[0],
        "session=abc; Path=/; Secure; SameSite=None"
    );
}

#[test]
fn an_exception_is_for_one_cookie() {
    let exceptions =
        "[{ name: session, secure: always, same_site: strict }, { name: theme, http_only: false }]";
    assert_eq!(
        cookies(&format!("{{ mode: enforce, cookies: {{ exceptions: {exceptions} }} }}")),
        [
            "session=abc; Path=/; Secure; HttpOnly; SameSite=Strict",
            "theme=dark; Path=/; SameSite=None; Secure",
            CAREFUL,
        ]
    );
}

#[test]
fn cookies_over_encrypted_connections_stay_on_them() {
    let tls = Tls::new();
    let upstream = service("Set-Cookie: a=1\r\nSet-Cookie: __Host-b=2; Path=/\r\n", "");
    let gateway = plain(&upstream.url())
        .policy("response", "{ mode: enforce }")
        .another_listener(tls.listener())
        .start();
    let host = "__Host-b=2; Path=/; Secure; HttpOnly; SameSite=Lax";
    let secure = tls.get(&gateway, "/", "").values("set-cookie");
    assert_eq!(secure, ["a=1; Secure; HttpOnly; SameSite=Lax", host]);
    let bare = raw::get(gateway.address("public"), "/", "").values("set-cookie");
    assert_eq!(bare, ["a=1; HttpOnly; SameSite=Lax", host]);
}
