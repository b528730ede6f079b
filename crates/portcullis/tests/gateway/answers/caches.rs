//! What caches may keep.

use portcullis_testkit::raw;

use super::service;
use crate::common::plain;
use crate::credentials::{authenticated, bearer, folder};

#[test]
fn answers_for_one_caller_are_not_kept() {
    let own = Some("public, max-age=60");
    let (silent, telling) = (service("", "mine"), service("Cache-Control: public, max-age=60\r\n", "mine"));
    for (rule, when_silent, when_telling) in [
        ("if_absent", Some("no-store"), own),
        ("always", Some("no-store"), Some("no-store")),
        ("off", None, own),
    ] {
        for (upstream, expected, anonymous) in [(&silent, when_silent, None), (&telling, when_telling, own)] {
            let gateway = authenticated(plain(&upstream.url()), "staff, anonymous")
                .policy("response", format!("{{ mode: enforce, cache: {{ authenticated: {rule} }} }}"))
                .start_in(folder());
            let cache_control =
                |lines: &str| raw::get(gateway.address("public"), "/", lines).header("cache-control");
            assert_eq!(cache_control(&bearer("ann")).as_deref(), expected, "{rule}");
            assert_eq!(cache_control("").as_deref(), anonymous, "{rule}: nobody's answer is everybody's");
        }
    }
}
