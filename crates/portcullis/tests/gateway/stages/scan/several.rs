//! Several rulesets on one route.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use serde_json::json;

use super::super::refusal;
use super::{get, post, rule_ids};
use crate::common::{plain, setup};

const MINE: &str = "SecRule ARGS \"@contains forbidden\" \"id:1,phase:2,deny,log,msg:'Mine',tag:'mine'\"";
const YOURS: &str = "SecRule ARGS \"@contains strange\" \"id:2,phase:2,deny,log,msg:'Yours'\"";

fn gateway(upstream: &Upstream, list: &str) -> Gateway {
    let rulesets =
        format!("[{{ name: mine, rules: {} }}, {{ name: yours, rules: {} }}]", json!(MINE), json!(YOURS));
    plain(&upstream.url())
        .section("rulesets", rulesets)
        .policy("scan", format!("{{ ruleset: {list} }}"))
        .start()
}

const SQL: &str = "/?id=1%27%20or%20%271%27=%271";

#[test]
fn one_that_refuses_is_enough_and_is_named() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "[builtin, mine, yours]");
    for target in [SQL, "/?a=forbidden", "/?a=strange"] {
        assert_eq!(refusal(&get(&gateway, target, "")), (403, "attack_detected".to_owned()), "{target}");
    }
    assert_eq!(post(&gateway, "application/json", r#"{"a":["so strange"]}"#).status, 403);
    upstream.assert_no_contact();
    assert_eq!(get(&gateway, "/?a=b", "").status, 200);
    let records = gateway.stop_and_audit();
    let named: Vec<_> = records.iter().map(|record| record.get("waf.ruleset").cloned()).collect();
    let names = ["builtin", "mine", "yours", "yours"].map(|name| Some(json!(name)));
    assert_eq!((&named[..4], &named[4]), (names.as_slice(), &None));
}

/// What a ruleset in shadow finds is on the record, and what another refuses is refused.
#[test]
fn each_has_its_own_mode() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "[builtin, { name: mine, mode: shadow }, { name: yours, mode: off }]");
    assert_eq!(get(&gateway, "/?a=forbidden", "").status, 200);
    assert_eq!(get(&gateway, "/?a=strange", "").status, 200);
    assert_eq!(get(&gateway, &format!("{SQL}&a=forbidden"), "").status, 403);
    let records = gateway.stop_and_audit();
    assert_eq!(
        (&records[0]["decision"], &records[0]["waf.ruleset"]),
        (&json!("shadow_deny"), &json!("mine"))
    );
    assert_eq!((&records[1]["decision"], records[1].get("waf.rule_ids")), (&json!("allow"), None));
    assert_eq!((&records[2]["decision"], &records[2]["waf.ruleset"]), (&json!("deny"), &json!("builtin")));
}

#[test]
fn each_has_its_own_thresholds_and_exclusions() {
    let upstream = Upstream::start();
    let list = "[{ name: builtin, thresholds: { inbound: 1000 } }, { name: mine, exclude: [{ tag: mine, target: \"ARGS:a\" }] }]";
    let gateway = gateway(&upstream, list);
    assert_eq!(get(&gateway, SQL, "").status, 200);
    assert_eq!(get(&gateway, "/?a=forbidden", "").status, 200);
    assert_eq!(get(&gateway, "/?b=forbidden", "").status, 403);
}

/// Paranoia is written for one of them, here for rules that ask for it.
#[test]
fn each_has_its_own_paranoia() {
    let upstream = Upstream::start();
    let rules = "SecRule TX:blocking_paranoia_level \"@ge 3\" \"id:5,phase:1,deny\"";
    let gateway = |level: u8| {
        plain(&upstream.url())
            .section("rulesets", format!("[{{ name: levels, rules: {} }}]", json!(rules)))
            .policy("scan", format!("{{ ruleset: [builtin, {{ name: levels, paranoia: {level} }}] }}"))
            .start()
    };
    assert_eq!((get(&gateway(2), "/", "").status, get(&gateway(3), "/", "").status), (200, 403));
}

#[test]
fn a_list_of_rulesets_is_checked() {
    let upstream = Upstream::start();
    for (list, expected) in [
        ("[]", "no ruleset is named"),
        ("[builtin, builtin]", "the ruleset `builtin` is named twice"),
        ("[builtin, builtim]", "did you mean `builtin`?"),
        ("[{ name: builtin, paranoia: 2 }]", "the ruleset `builtin` has no paranoia levels"),
        ("[{ name: builtin, mod: off }]", "did you mean `mode`?"),
    ] {
        let config = plain(&upstream.url()).policy("scan", format!("{{ ruleset: {list} }}"));
        let output = setup().refuse(&config.text()).stderr;
        assert!(output.contains(expected), "{list}: {output}");
    }
}

#[test]
fn every_ruleset_sees_the_request_once() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "[mine, yours]");
    assert_eq!(get(&gateway, "/?a=forbidden&b=strange", "").status, 403);
    let record = gateway.stop_and_audit().remove(0);
    assert_eq!((rule_ids(&record), &record["waf.ruleset"]), (vec![1, 2], &json!("mine")));
}
