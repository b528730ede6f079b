//! `portcullis waf rules`, `lint` and `explain`: what rules there are, what is wrong with them, and what they do with a request.

use serde_json::Value;

use super::{Printed, folder, run};

const RULES: &str = r#"SecDefaultAction "phase:2,log,auditlog,pass"
SecAction "id:1,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=5,setvar:tx.critical_anomaly_score=5"
SecRule ARGS "@rx (?i)union\s+select" "id:100,phase:2,block,capture,t:none,t:urlDecodeUni,msg:'SQL of %{MATCHED_VAR_NAME}',\
    severity:CRITICAL,tag:'attack-sqli',tag:'api',setvar:tx.blocking_inbound_anomaly_score=+%{tx.critical_anomaly_score}"
SecRule REQUEST_HEADERS:X-Debug "@rx ^(?!no)\w+$" "id:200,phase:1,pass,t:none,log,msg:'Debugging',severity:NOTICE,tag:'api',chain"
    SecRule REQUEST_METHOD "@streq GET" "t:none"
SecRule TX:BLOCKING_INBOUND_ANOMALY_SCORE "@ge %{tx.inbound_anomaly_score_threshold}" "id:900,phase:2,deny,status:403,t:none,log,msg:'Score %{TX.blocking_inbound_anomaly_score}'"
SecRule RESPONSE_BODY "@contains secret" "id:950,phase:4,deny,status:502,t:none,log,msg:'A leak'"
"#;

fn with(arguments: &[&str]) -> Printed {
    let folder = folder(&[
        ("a.conf", RULES),
        (
            "form.http",
            "POST /p HTTP/1.1\nHost: h\nContent-Type: application/x-www-form-urlencoded\n\nq=1+union%20select+2\n",
        ),
        (
            "json.http",
            "POST /p HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\r\n{\"q\": [\"UNION  SELECT\"]}",
        ),
        ("leak.http", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nthe secret"),
        ("detect.conf", "SecRuleEngine DetectionOnly\nSecResponseBodyAccess On\n"),
        ("answers.conf", "SecResponseBodyAccess On\n"),
    ]);
    run(folder.path(), arguments)
}

fn json(printed: &Printed) -> Value {
    assert_eq!(printed.stderr, "");
    serde_json::from_str(&printed.stdout).unwrap()
}

#[test]
fn rules_are_listed() {
    let printed = with(&["waf", "rules", "--rules", "a.conf", "--tag", "api"]);
    let expected = "100     phase 2  CRITICAL   SQL of %{MATCHED_VAR_NAME}
        a.conf:3  (prefiltered)
        attack-sqli, api
200     phase 1  NOTICE     Debugging
        a.conf:5  (always runs, step budget, 2 links)
        api
2 rules, 1 always run
";
    assert_eq!((printed.code, printed.stdout.as_str()), (0, expected));
}

#[test]
fn lists_are_narrowed_and_read_by_programs() {
    let ids = |arguments: &[&str]| {
        let list =
            json(&with(&[&["waf", "rules", "--rules", "a.conf", "--format", "json"], arguments].concat()));
        list.as_array().unwrap().iter().map(|rule| rule["id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[]), [1, 100, 200, 900, 950]);
    assert_eq!(ids(&["--phase", "2"]), [100, 900]);
    assert_eq!(ids(&["--id", "100-200"]), [100, 200]);
    assert_eq!(ids(&["--id", "950"]), [950]);
    let nothing = with(&["waf", "rules", "--rules", "a.conf", "--tag", "none"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (1, "0 rules, 0 always run\n"));
    for usage in [&["--phase", "6"][..], &["--id", "2-1"], &["--nothing"]] {
        assert_eq!(with(&[&["waf", "rules", "--rules", "a.conf"], usage].concat()).code, 2, "{usage:?}");
    }
    let none = with(&["waf", "rules"]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("give `--rules`"), "{none:?}");
}

#[test]
fn errors_have_a_place_and_a_caret() {
    let folder = folder(&[(
        "bad.conf",
        "SecRule ARGS \"@rx a\" \"id:1,phase:2,pass,t:lowercas\"\nSecRule ARGZ \"@rx b\" \"id:2\"\n",
    )]);
    let printed = run(folder.path(), &["waf", "lint", "--rules", "bad.conf"]);
    assert_eq!(printed.code, 1);
    assert!(printed.stdout.starts_with("error: bad.conf:1:"), "{printed:?}");
    assert!(printed.stdout.contains("error: bad.conf:2:9: ") && printed.stdout.contains('^'), "{printed:?}");
    assert_eq!(printed.stdout.lines().last(), Some("2 errors"));
    let listed = json(&run(folder.path(), &["waf", "lint", "--rules", "bad.conf", "--format", "json"]));
    assert_eq!(listed["errors"].as_array().unwrap().len(), 2);
    assert_eq!(run(folder.path(), &["waf", "lint"]).code, 2);
}

const SUSPICIOUS: &str = r#"SecAuditLog /var/log/audit.log
SecRuleRemoveById 10
SecRule ARGS "@rx a" "id:10,phase:2,pass,t:none,setvar:tx.inbound_anomaly_score_pl1=+5"
SecRule ARGS "@rx b" "id:11,phase:2,deny,t:none,nolog"
SecRule REQUEST_BODY "@rx c" "id:12,phase:1,pass,t:none,log,msg:'c'"
SecRule ARGS "@contains Select" "id:13,phase:2,pass,t:none,t:lowercase,log,msg:'d',skipAfter:END"
SecMarker END
SecRuleRemoveByTag "attack-none"
SecRuleUpdateTargetById 11 "!ARGS:x"
"#;

#[test]
fn what_has_no_effect_is_warned_of() {
    let folder = folder(&[("a.conf", SUSPICIOUS)]);
    let printed = run(folder.path(), &["waf", "lint", "a.conf", "-v"]);
    assert_eq!(printed.code, 0, "{printed:?}");
    let heads: Vec<&str> = printed.stdout.lines().filter(|line| line.contains(": a.conf:")).collect();
    for (place, what) in [
        ("warning: a.conf:1:1: ", "SecAuditLog has no effect"),
        ("warning: a.conf:2:", "no rule before this line has the id 10"),
        ("warning: a.conf:8:", "no rule before this line has a tag"),
        ("warning: a.conf:3:", "has no `msg`"),
        ("warning: a.conf:4:", "has `nolog`"),
        ("warning: a.conf:5:9: ", "it runs in phase 1, and REQUEST_BODY is only known from phase 2 on"),
        ("warning: a.conf:6:", "t:lowercase leaves no `S`"),
        ("note: a.conf:6:", "skipAfter has no effect"),
    ] {
        let is_told = |head: &&str| head.starts_with(place) && head.contains(what);
        assert!(heads.iter().any(is_told), "{place} {what}: {heads:#?}");
    }
    assert_eq!(heads.len(), 8, "{heads:#?}");
    assert_eq!(run(folder.path(), &["waf", "lint", "a.conf", "--strict"]).code, 1);
}

#[test]
fn rules_that_cost_time_are_named() {
    let printed = with(&["waf", "lint", "--rules", "a.conf", "--strict"]);
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(printed.stdout.contains("note: rule 200 at a.conf:5 needs look-around"), "{printed:?}");
    let lines: Vec<&str> = printed.stdout.lines().skip(1).collect();
    let expected = [
        "note: no prefilter can rule these out, so they run on every request that reaches them: 1 rule",
        "  phase 1: 200",
        "note: 2 more rules that always run and only look at variables of the rules themselves",
        "5 rules, 0 warnings",
    ];
    assert_eq!(lines, expected);
    let listed = json(&with(&["waf", "lint", "--rules", "a.conf", "--format", "json"]));
    assert_eq!((&listed["backtracking"][0]["id"], &listed["rules"]), (&200.into(), &5.into()));
    assert_eq!((&listed["always_run"][0]["id"], &listed["internal"][1]["id"]), (&200.into(), &900.into()));
}

#[test]
fn a_refused_request_is_explained() {
    let expected = "100     phase 2  CRITICAL   SQL of ARGS:q
        a.conf:3
        ARGS:q = `1 union select 2`  after urlDecodeUni
          found `union select`
900     phase 2  -          Score 5
        a.conf:7
        TX:blocking_inbound_anomaly_score = `5`
anomaly score 5, refused from 5 on
403 by rule 900 at a.conf:7 (Score 5)
";
    let by_file = with(&["waf", "explain", "--rules", "a.conf", "--request", "form.http"]);
    assert_eq!((by_file.code, by_file.stdout.as_str()), (1, expected), "{by_file:?}");
    let by_flags = with(&["waf", "explain", "--rules", "a.conf", "-d", "q=1+union%20select+2", "/p"]);
    assert_eq!((by_flags.code, by_flags.stdout.as_str()), (1, expected), "{by_flags:?}");
    let query = with(&["waf", "explain", "--rules", "a.conf", "http://h/p?q=1+union%20select+2"]);
    assert_eq!(query.stdout, expected);
}

#[test]
fn programs_read_explanations() {
    let json_body = ["waf", "explain", "--rules", "a.conf", "--request", "json.http", "--format", "json"];
    let story = json(&with(&json_body));
    let value = &story["matches"][0]["values"][0];
    assert!(value["target"].as_str().unwrap().starts_with("ARGS:json.q"), "{story}");
    assert_eq!(
        (&value["found"], &value["transformations"][0]),
        (&"UNION  SELECT".into(), &"urlDecodeUni".into())
    );
    assert_eq!(story["score"]["inbound"]["value"], 5);
    assert_eq!((&story["outcome"]["decision"], &story["outcome"]["rule"]), (&"deny".into(), &900.into()));
}

#[test]
fn what_passes_says_so() {
    let printed = with(&["waf", "explain", "--rules", "a.conf", "-H", "X-Debug: yes", "/p?q=hello"]);
    assert_eq!(printed.code, 0);
    assert!(
        printed.stdout.contains("REQUEST_METHOD = `GET`") && printed.stdout.ends_with("\npass\n"),
        "{printed:?}"
    );
    let clean = with(&["waf", "explain", "--rules", "a.conf", "/p"]);
    assert_eq!(clean.stdout, "no rule matched\nanomaly score 0, refused from 5 on\npass\n");
    let detecting =
        with(&["waf", "explain", "--rules", "a.conf", "--setup", "detect.conf", "/p?q=union+select"]);
    assert_eq!(detecting.code, 0);
    assert!(
        detecting
            .stdout
            .contains("pass: the rules only detect; with `SecRuleEngine On` it would be 403 by rule 900")
    );
    let malformed = with(&["waf", "explain", "--rules", "a.conf", "/a b"]);
    assert!(malformed.stdout.contains("note: a server refuses such a request"), "{malformed:?}");
}

#[test]
fn responses_are_explained_when_they_are_given() {
    let leak =
        ["waf", "explain", "--rules", "a.conf", "--setup", "answers.conf", "--response", "leak.http", "/p"];
    let printed = with(&leak);
    assert_eq!(printed.code, 1);
    assert!(printed.stdout.contains("RESPONSE_BODY = `the secret`"), "{printed:?}");
    assert_eq!(printed.stdout.lines().last(), Some("502 by rule 950 at a.conf:8 (A leak)"));
}

#[test]
fn explaining_needs_a_request_and_rules() {
    for usage in [
        &["--rules", "a.conf"][..],
        &["--rules", "a.conf", "--request", "form.http", "/p"],
        &["/p"],
        &["--rules", "a.conf", "--paranoia", "5", "/p"],
    ] {
        assert_eq!(with(&[&["waf", "explain"], usage].concat()).code, 2, "{usage:?}");
    }
    let nowhere = with(&["waf", "explain", "--rules", "a.conf", "--request", "nowhere.http"]);
    assert_eq!(nowhere.code, 1);
    assert!(nowhere.stderr.contains("cannot read `nowhere.http`"), "{nowhere:?}");
    let no_field = with(&["waf", "explain", "--rules", "a.conf", "-H", "oops", "/p"]);
    assert!(no_field.stderr.contains("`oops` is not a field; write `Name: value`"), "{no_field:?}");
}

#[test]
fn the_rules_that_come_with_the_gateway_are_listed() {
    let rules = json(&with(&["waf", "rules", "--builtin", "--tag", "attack-sql", "--format", "json"]));
    let rules = rules.as_array().unwrap();
    assert!(rules.len() > 5, "{rules:?}");
    assert!(rules.iter().all(|rule| rule["id"].as_u64().is_some_and(|id| (100_000..101_000).contains(&id))));
    let both = with(&["waf", "rules", "--builtin", "--rules", "a.conf"]);
    assert_eq!(both.code, 2, "{}", both.stderr);
}
