//! Modes, and what routes refine: paranoia, thresholds, exclusions.

use portcullis_testkit::echo::Upstream;
use serde_json::json;

use super::super::refusal;
use super::{RULES, config, get, post, rule_ids, scanning};
use crate::common::{plain, setup};

#[test]
fn shadow_records_everything_that_would_refuse_and_lets_it_pass() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, RULES, ", mode: shadow");
    assert_eq!(get(&gateway, "/etc/passwd?id=union%20select", "").status, 200);
    let _ = upstream.only_request();
    let record = gateway.stop_and_audit().remove(0);
    assert_eq!(
        (&record["decision"], &record["reason_code"]),
        (&json!("shadow_deny"), &json!("attack_detected"))
    );
    assert_eq!(record["shadow_reasons"], json!({ "scan": "attack_detected" }));
    assert_eq!(rule_ids(&record), [102, 100], "every rule runs, whatever the ones before would have refused");
    assert_eq!(record["waf.refused_by"], 102);
}

#[test]
fn off_scans_nothing() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, RULES, ", mode: off");
    assert_eq!(get(&gateway, "/a?id=union%20select", "").status, 200);
    let record = gateway.stop_and_audit().remove(0);
    assert_eq!((record["stages"].get("scan"), record.get("waf.rule_ids")), (None, None));
}

/// Where nobody names a ruleset, the one that comes with the gateway has its place.
#[test]
fn a_route_scans_with_the_ruleset_that_it_names() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url())
        .section("rulesets", format!("[{{ name: mine, rules: {} }}]", json!(RULES)))
        .routes(&[
            "{ name: scanned, path: /scanned, policy: { scan: { mode: enforce, ruleset: mine } } }",
            "{ name: open, path: /open }",
            "{ name: other, path: /other, policy: { scan: { mode: enforce } } }",
        ])
        .start();
    assert_eq!(get(&gateway, "/scanned?id=union%20select", "").status, 403);
    assert_eq!(get(&gateway, "/open?id=union%20select", "").status, 200);
    assert_eq!(get(&gateway, "/other?id=union%20selected", "").status, 200);
    assert_eq!(get(&gateway, "/other?id=%27%20or%201=1--", "").status, 403);
}

/// `SecRuleEngine DetectionOnly` in the rules themselves has the effect of `shadow`.
#[test]
fn rules_may_say_themselves_that_they_only_detect() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, &format!("SecRuleEngine DetectionOnly\n{RULES}"), "");
    assert_eq!(get(&gateway, "/a?id=union%20select", "").status, 200);
    let record = gateway.stop_and_audit().remove(0);
    assert_eq!((&record["decision"], rule_ids(&record)), (&json!("shadow_deny"), vec![100]));
}

#[test]
fn a_rule_says_how_its_refusal_is_answered() {
    let rules = r#"
SecRule ARGS:a "@streq teapot" "id:1,phase:1,deny,status:418,log"
SecRule ARGS:a "@streq away" "id:2,phase:1,redirect:'https://example.com/sorry',log"
SecRule ARGS:a "@streq drop" "id:3,phase:1,drop,log"
SecRule ARGS:a "@streq odd" "id:4,phase:1,deny,status:200,log"
"#;
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, rules, "");
    let answer = |value: &str| get(&gateway, &format!("/?a={value}"), "");
    assert_eq!(refusal(&answer("teapot")), (418, "attack_detected".to_owned()));
    let away = answer("away");
    assert_eq!((away.status, away.header("location").as_deref()), (302, Some("https://example.com/sorry")));
    let dropped = answer("drop");
    assert_eq!((dropped.status, dropped.header("connection").as_deref()), (403, Some("close")));
    assert_eq!(answer("odd").status, 403, "a refusal is no success");
    upstream.assert_no_contact();
    let statuses: Vec<_> =
        gateway.stop_and_audit().iter().map(|it| it["http.response.status_code"].clone()).collect();
    assert_eq!(statuses, [418, 302, 403, 403]);
}

/// One rule for each paranoia level and threshold, in the way of the Core Rule Set.
const LEVELS: &str = r#"
SecRule &TX:detection_paranoia_level "@eq 0" "id:8,phase:1,pass,nolog,setvar:tx.detection_paranoia_level=1"
SecRule &TX:blocking_paranoia_level "@eq 0" "id:9,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=1"
SecRule TX:detection_paranoia_level "@lt 2" "id:10,phase:2,pass,nolog,skipAfter:END-2"
SecRule ARGS:x "@streq two" "id:11,phase:2,deny,log"
SecMarker END-2
SecRule TX:blocking_paranoia_level "@lt 3" "id:12,phase:2,pass,nolog,skipAfter:END-3"
SecRule ARGS:x "@streq three" "id:13,phase:2,deny,log"
SecMarker END-3
SecRule &TX:inbound_anomaly_score_threshold "@eq 0" "id:20,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=5"
SecRule &TX:outbound_anomaly_score_threshold "@eq 0" "id:21,phase:1,pass,nolog,setvar:tx.outbound_anomaly_score_threshold=4"
SecRule ARGS:in "@rx ^(\d+)$" "id:22,phase:2,pass,nolog,capture,setvar:tx.blocking_inbound_anomaly_score=%{tx.1}"
SecRule ARGS:out "@rx ^(\d+)$" "id:23,phase:2,pass,nolog,capture,setvar:tx.blocking_outbound_anomaly_score=%{tx.1}"
SecRule TX:blocking_inbound_anomaly_score "@ge %{tx.inbound_anomaly_score_threshold}" "id:24,phase:2,deny,log"
SecRule TX:blocking_outbound_anomaly_score "@ge %{tx.outbound_anomaly_score_threshold}" "id:25,phase:4,deny,log"
"#;

#[test]
fn paranoia_chooses_the_rules() {
    let upstream = Upstream::start();
    let routes = [
        "{ name: default, path: /default }",
        "{ name: three, path: /three, policy: { scan: { paranoia: 3 } } }",
        "{ name: strict, path: /strict, policy: { scan: { ruleset: strict } } }",
    ];
    let gateway = config(&upstream, "")
        .section(
            "rulesets",
            "[{ name: mine, files: [rules.conf] }, { name: strict, files: [rules.conf], paranoia: 2 }]",
        )
        .routes(&routes)
        .start_in(setup().file("rules.conf", LEVELS));
    for (path, two, three) in [("default", 200, 200), ("three", 403, 403), ("strict", 403, 200)] {
        assert_eq!(get(&gateway, &format!("/{path}?x=two"), "").status, two, "{path}");
        assert_eq!(get(&gateway, &format!("/{path}?x=three"), "").status, three, "{path}");
    }
}

#[test]
fn thresholds_say_which_score_is_refused() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, "")
        .section(
            "rulesets",
            "[{ name: mine, files: [rules.conf] }, \
              { name: lenient, files: [rules.conf], thresholds: { inbound: 10, outbound: 8 } }]",
        )
        .routes(&[
            "{ name: default, path: /default }",
            "{ name: lenient, path: /lenient, policy: { scan: { ruleset: lenient } } }",
            "{ name: most, path: /most, policy: { scan: { ruleset: lenient, thresholds: { inbound: 20 } } } }",
            "{ name: least, path: /least, policy: { scan: { thresholds: { outbound: 2 } } } }",
        ])
        .start_in(setup().file("rules.conf", LEVELS));
    for (target, status) in [
        ("/default?in=4", 200),
        ("/default?in=5", 403),
        ("/default?out=3", 200),
        ("/default?out=4", 403),
        ("/lenient?in=9", 200),
        ("/lenient?in=10", 403),
        ("/lenient?out=7", 200),
        ("/lenient?out=8", 403),
        ("/most?in=19", 200),
        ("/most?in=20", 403),
        ("/most?out=8", 403),
        ("/least?in=4", 200),
        ("/least?out=2", 403),
    ] {
        assert_eq!(get(&gateway, target, "").status, status, "{target}");
    }
    let scores: Vec<_> = gateway.stop_and_audit().iter().map(|record| record["waf.score"].clone()).collect();
    assert_eq!(scores[1], 5, "{scores:?}");
}

#[test]
fn false_positives_are_excluded_by_rule_tag_target_and_path() {
    let upstream = Upstream::start();
    let sql = "x=union%20select";
    let cases = [
        ("{ rule: 100 }", "/a?x=union%20select", 200),
        ("{ rule: 100 }", "/etc/passwd", 403),
        ("{ rule: 50-102 }", "/etc/passwd", 200),
        ("{ tag: attack-sqli }", "/a?x=union%20select", 200),
        ("{ tag: attack }", "/a?x=union%20select", 403),
        ("{ tag: attack-sqli, target: \"ARGS:x\" }", "/a?x=union%20select", 200),
        ("{ tag: attack-sqli, target: \"ARGS:x\" }", "/a?y=union%20select", 403),
        ("{ rule: 100, target: \"ARGS:x\" }", "/a?x=union%20select", 200),
        ("{ rule: 100, target: \"ARGS:x\" }", "/a?y=union%20select", 403),
        ("{ rule: 100, path: \"/cms/*\" }", "/cms/page?x=union%20select", 200),
        ("{ rule: 100, path: \"/cms/*\" }", "/a?x=union%20select", 403),
        ("{ rule: 100, path: \"/cms/*\" }", "/cms/../a?x=union%20select", 403),
        ("{ rule: 100, path: \"/cms/?\" }", "/cms/ab?x=union%20select", 403),
        ("{ tag: attack-sqli, path: /cms }", "/cms?x=union%20select", 200),
        ("{ rule: 100, path: /cms, target: \"ARGS:x\" }", "/cms?x=union%20select", 200),
        ("{ rule: 100, path: /cms, target: \"ARGS:x\" }", "/cms?y=union%20select", 403),
        ("{ tag: attack-sqli, path: /cms, target: \"ARGS:x\" }", "/cms?x=union%20select", 200),
    ];
    assert!(cases[0].1.ends_with(sql));
    // One gateway for all, so that it starts once: each case has a route of its own host.
    let routes: Vec<String> = (0..cases.len())
        .map(|number| {
            format!(
                "{{ name: r{number}, hosts: [h{number}], path: \"/{{*rest}}\", policy: {{ scan: {{ exclude: [{}] }} }} }}",
                cases[number].0
            )
        })
        .collect();
    let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    let gateway = config(&upstream, "").routes(&routes).start_in(setup().file("rules.conf", RULES));
    for (number, (exclusion, target, status)) in cases.iter().enumerate() {
        let head = format!("GET {target} HTTP/1.1\r\nHost: h{number}\r\n\r\n");
        let answer = portcullis_testkit::raw::request(gateway.address("public"), head);
        assert_eq!(answer.status, *status, "{exclusion} {target}");
    }
}

/// What a ruleset excludes holds for all its routes, and what a route excludes besides.
#[test]
fn exclusions_of_ruleset_and_route_add_up() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, ", exclude: [{ rule: 102 }]")
        .section("rulesets", "[{ name: mine, files: [rules.conf], exclude: [{ tag: attack-sqli, target: \"ARGS:x\" }, { rule: 100, path: /cms }] }]")
        .start_in(setup().file("rules.conf", RULES));
    assert_eq!(get(&gateway, "/etc/passwd?x=union%20select", "").status, 200);
    assert_eq!(get(&gateway, "/etc/passwd?y=union%20select", "").status, 403);
    assert_eq!(get(&gateway, "/cms?y=union%20select", "").status, 200);
    assert_eq!(post(&gateway, "application/json", r#"{"x":"union select"}"#).status, 403);
}
