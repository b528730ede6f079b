//! `portcullis waf suggest`: from refusals that were wrong to the narrowest exclusions.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Printed, folder, run};

/// A line of the log: who, where, what was found; refused by its score.
fn refused(id: &str, route: &str, path: &str, found: &[(u32, &str)]) -> String {
    let mut rules: Vec<u32> = found.iter().map(|(rule, _)| *rule).collect();
    rules.push(949_110);
    let matches: Vec<Value> = found
        .iter()
        .chain(&[(949_110, "TX:blocking_inbound_anomaly_score")])
        .map(|(rule, target)| json!({ "rule": rule, "target": target, "value": "***" }))
        .collect();
    json!({
        "event.name": "request", "request_id": id, "route": route, "url.path": path,
        "decision": "deny", "stage": "scan", "reason_code": "attack_detected",
        "waf.rule_ids": rules, "waf.score": 5, "waf.matches": matches,
    })
    .to_string()
}

fn log(lines: &[String]) -> TempDir {
    let quiet = json!({ "event.name": "request", "request_id": "q", "route": "cms", "decision": "allow" });
    folder(&[("audit.jsonl", &format!("{quiet}\n{}\n", lines.join("\n")))])
}

fn suggest(folder: &TempDir, arguments: &[&str]) -> Printed {
    run(folder.path(), &[&["waf", "suggest", "audit.jsonl"], arguments].concat())
}

const COMMENT: (u32, &str) = (942_100, "ARGS:comment");

#[test]
fn the_narrowest_exclusions_are_proposed() {
    let folder = log(&[
        refused("a", "cms", "/cms/pages/1", &[COMMENT]),
        refused("b", "cms", "/cms/pages/2", &[COMMENT, (941_100, "ARGS:comment")]),
        refused("c", "cms", "/cms/pages/3", &[(942_100, "ARGS:id")]),
    ]);
    let printed = suggest(&folder, &["--false-positive", "a", "b"]);
    let expected = r#"# 2 marked requests in which rules found something; sure to pass with these exclusions: 2

# for the scan of the route `cms`:
exclude:
  # needed by 1 marked request, alone enough for 0
  - {rule: 941100, target: "ARGS:comment", path: "/cms/pages/2"}
  # needed by 2 marked requests, alone enough for 1
  - {rule: 942100, target: "ARGS:comment", path: "/cms/pages/*"}
"#;
    assert_eq!((printed.code, printed.stdout.as_str(), printed.stderr.as_str()), (0, expected, ""));
    let often = suggest(&folder, &["--false-positive=a,b", "--min", "2"]);
    assert!(
        !often.stdout.contains("941100") && often.stdout.contains("sure to pass with these exclusions: 1\n"),
        "{often:?}"
    );
}

#[test]
fn a_whole_route_can_be_marked() {
    let shadowed = json!({
        "request_id": "d", "route": "cms", "url.path": "/", "decision": "allow",
        "shadow_reasons": { "scan": "attack_detected" },
        "waf.rule_ids": [942_100], "waf.matches": [{ "rule": 942_100, "target": "ARGS:items.3.text", "value": "*" }],
    });
    let below = json!({
        "request_id": "e", "route": "cms", "url.path": "/", "decision": "allow",
        "waf.rule_ids": [920_350], "waf.matches": [{ "rule": 920_350, "target": "REQUEST_HEADERS:Host", "value": "*" }],
    });
    let folder = log(&[
        shadowed.to_string(),
        below.to_string(),
        refused("f", "cms", "/", &[(942_100, "ARGS:items.12.text")]),
        refused("g", "shop", "/", &[(942_100, "ARGS:q")]),
    ]);
    let printed = suggest(&folder, &["--route", "cms", "--format", "json"]);
    let told: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!((&told["marked"], &told["passing"]), (&2.into(), &2.into()));
    let exclude = json!({ "rule": 942_100, "target": "ARGS:/^items[.][0-9]+[.]text$/", "path": "/" });
    assert_eq!(told["proposals"].as_array().unwrap().len(), 1);
    assert_eq!(told["proposals"][0]["exclude"], exclude);
    assert_eq!(told["others_passing"]["count"], 0);
}

#[test]
fn what_else_would_pass_is_warned_of() {
    let folder = log(&[
        refused("a", "cms", "/cms/1", &[COMMENT]),
        refused("b", "cms", "/cms/2", &[COMMENT]),
        refused("attack", "cms", "/cms/3", &[COMMENT]),
        refused("mixed", "cms", "/cms/4", &[COMMENT, (932_100, "ARGS:cmd")]),
        refused("other", "shop", "/cms/5", &[COMMENT]),
    ]);
    let printed = suggest(&folder, &["--false-positive", "a", "b"]);
    assert!(
        printed.stdout.contains("# warning: not marked, refused, and would pass too: 1 request: attack\n")
    );
    assert!(printed.stdout.contains("may fall below the threshold: 1 request: mixed\n"), "{printed:?}");
    assert!(!printed.stdout.contains("other\n"));
}

#[test]
fn what_the_log_does_not_tell_is_not_guessed() {
    let partial = json!({
        "request_id": "a", "route": "cms", "url.path": "/x", "reason_code": "attack_detected",
        "waf.rule_ids": [920_450, 942_100, 949_110],
        "waf.matches": [{ "rule": 920_450, "target": "TX:header_name_920450_x-foo", "value": "*" }],
    });
    let folder = log(&[partial.to_string(), "{\"torn".to_owned()]);
    let printed = suggest(&folder, &["--false-positive", "a", "nobody"]);
    assert_eq!(printed.code, 0);
    assert!(
        printed.stdout.contains("the whole rule")
            && printed.stdout.contains("- {rule: 920450, path: \"/x\"}")
    );
    assert!(
        printed.stdout.contains("rule 942100 matched in 1 marked request, and the log does not say what")
    );
    assert!(printed.stdout.contains("sure to pass with these exclusions: 0\n"), "{printed:?}");
    assert_eq!(
        printed.stderr,
        "skipped 1 line that is no record of the audit log\nthere is no request `nobody` in the log\n"
    );
}

#[test]
fn nothing_to_propose_is_told_apart_from_wrong_use() {
    let folder = log(&[refused("a", "cms", "/", &[COMMENT])]);
    let nothing = suggest(&folder, &["--route", "shop"]);
    assert_eq!(
        (nothing.code, nothing.stdout.as_str()),
        (1, "# no rule found anything in the marked requests\n")
    );
    assert_eq!(suggest(&folder, &[]).code, 2);
    assert_eq!(suggest(&folder, &["--route", "cms", "--min", "0"]).code, 2);
    let nowhere = run(folder.path(), &["waf", "suggest", "nowhere.jsonl", "--route", "cms"]);
    assert_eq!(nowhere.code, 1);
    assert!(nowhere.stderr.contains("cannot read `nowhere.jsonl`"), "{nowhere:?}");
}
