//! The stage, without sockets.

use std::net::SocketAddr;
use std::time::SystemTime;

use http::{HeaderMap, Version};
use portcullis_core::{ConfigFolder, KeyPath, Mode, Notes, Problems, Reason, RequestId, Timestamp};

use super::{Detail, KeptRulesets, Outcome, RawExclusion, RawRuleset, RawScan, RequestView, Rulesets, Scan};

const RULES: &str =
    "SecRule ARGS \"@rx evil\" \"id:1,phase:2,deny,log,t:none,t:lowercase,msg:'Evil',tag:'bad'\"";

fn raw(text: &str) -> RawScan {
    serde_json::from_str(text).unwrap()
}

fn mine() -> RawRuleset {
    RawRuleset {
        name: "mine".to_owned(),
        files: Vec::new(),
        rules: RULES.to_owned(),
        paranoia: None,
        thresholds: Default::default(),
        exclude: Vec::new(),
    }
}

fn rulesets(problems: &mut Problems) -> Rulesets {
    Rulesets::compile(&[mine()], &ConfigFolder::new(""), &KeyPath::root().key("rulesets"), problems, None)
}

fn scan(text: &str) -> Scan {
    let mut problems = Problems::default();
    let scan = rulesets(&mut problems).scan(&raw(text), &KeyPath::root(), true, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    scan
}

const REQUEST: RequestId = RequestId(7);

/// `GET target` without a body.
fn view<'r>(target: &'r str, headers: &'r HeaderMap) -> RequestView<'r> {
    RequestView {
        client: SocketAddr::from(([192, 0, 2, 1], 5)),
        server: SocketAddr::from(([192, 0, 2, 2], 80)),
        now: SystemTime::UNIX_EPOCH,
        id: REQUEST,
        principal: None,
        method: "GET",
        target: target.as_bytes(),
        host: b"shop.test",
        version: Version::HTTP_11,
        headers,
        removed: &[],
        has_body: false,
    }
}

fn outcome(scan: &Scan, target: &str) -> (Outcome, Notes) {
    let mut notes = Notes::new(REQUEST, Timestamp(0));
    let mut scanning = scan.begin(&view(target, &HeaderMap::new())).unwrap();
    scanning.request_body(b"");
    scanning.finish(&mut notes, Detail::Explanation);
    (scanning.outcome(), notes)
}

#[test]
fn routes_that_want_the_same_share_one_ruleset() {
    let mut problems = Problems::default();
    let mut rulesets = rulesets(&mut problems);
    let texts = [
        r#"{"ruleset":"mine"}"#,
        r#"{"ruleset":"mine","mode":"enforce"}"#,
        r#"{"ruleset":"mine","paranoia":2}"#,
        r#"{"ruleset":"mine","paranoia":2}"#,
        r#"{"ruleset":"mine","mode":"shadow"}"#,
        r#"{"ruleset":"mine","mode":"off"}"#,
        r#"{}"#,
    ];
    let path = KeyPath::root();
    let modes = texts.map(|text| rulesets.scan(&raw(text), &path, true, &mut problems).mode());
    let (enforce, shadow, off) = (Mode::Enforce, Mode::Shadow, Mode::Off);
    assert_eq!(modes, [enforce, enforce, enforce, enforce, shadow, off, enforce]);
    assert!(problems.is_empty(), "{problems:?}");
    // With the rules that come with the gateway, where nothing is said.
    assert_eq!(rulesets.combinations(), 4);
}

#[test]
fn a_match_is_noted_with_what_the_value_went_through() {
    let (refused, notes) = outcome(&scan(r#"{"ruleset":"mine"}"#), "/a?b=so%20EVIL");
    assert_eq!(refused, Outcome::Refused(Reason::AttackDetected));
    let found = notes.scan.unwrap();
    assert_eq!((found.rule_ids.as_slice(), found.refused_by), ([1].as_slice(), Some(1)));
    let first = &found.matches[0];
    assert_eq!(
        (first.target.as_str(), first.value.as_str(), first.message.as_str()),
        ("ARGS:b", "evil", "Evil")
    );
    assert_eq!(first.transformations, ["lowercase"]);
    let (passed, notes) = outcome(&scan(r#"{"ruleset":"mine"}"#), "/a?b=c");
    assert_eq!((passed, notes.scan), (Outcome::Passed, None));
    let (shadowed, _) = outcome(&scan(r#"{"ruleset":"mine","mode":"shadow"}"#), "/a?b=evil");
    assert_eq!(shadowed, Outcome::Shadowed(Reason::AttackDetected));
}

/// What stands in a path or a tag is text, whatever it means in a pattern.
#[test]
fn exclusions_are_texts_and_not_patterns() {
    for (exclusion, target, passes) in [
        (r#"{"rule":1,"path":"/a.b/(*)"}"#, "/a.b/(x)?c=evil", true),
        (r#"{"rule":1,"path":"/a.b/(*)"}"#, "/axb/(x)?c=evil", false),
        (r#"{"tag":"b.d"}"#, "/?c=evil", false),
        (r#"{"tag":"bad","path":"/?"}"#, "/x?c=evil", true),
        (r#"{"rule":"1-5"}"#, "/?c=evil", true),
    ] {
        let scan = scan(&format!(r#"{{"ruleset":"mine","exclude":[{exclusion}]}}"#));
        assert_eq!(outcome(&scan, target).0 == Outcome::Passed, passes, "{exclusion} {target}");
    }
}

/// Each ruleset has its own mode; one that refuses is enough, and the record names it.
#[test]
fn several_rulesets_decide_together() {
    let attack = "/a?b=evil%27%20or%201=1--";
    let list = |mine: &str, builtin: &str| {
        scan(&format!(r#"{{"ruleset":[{{"name":"mine"{mine}}},{{"name":"builtin"{builtin}}}]}}"#))
    };
    let shadow = r#","mode":"shadow""#;
    let off = r#","mode":"off""#;
    let refused = Outcome::Refused(Reason::AttackDetected);
    let shadowed = Outcome::Shadowed(Reason::AttackDetected);
    for (mine, builtin, expected, by) in [
        ("", "", refused, Some("mine")),
        (shadow, "", refused, Some("builtin")),
        (off, "", refused, Some("builtin")),
        ("", off, refused, Some("mine")),
        (shadow, shadow, shadowed, Some("mine")),
        (off, off, Outcome::Passed, None),
    ] {
        let scan = list(mine, builtin);
        if (mine, builtin) == (off, off) {
            assert_eq!(scan.mode(), Mode::Off);
            continue;
        }
        let (outcome, notes) = outcome(&scan, attack);
        let found = notes.scan.unwrap();
        assert_eq!((outcome, found.ruleset.as_deref()), (expected, by), "{mine} {builtin}");
        let runs = |name: &str| found.matches.iter().any(|found| &*found.ruleset == name);
        assert_eq!((runs("mine"), runs("builtin")), (mine != off, builtin != off), "{mine} {builtin}");
    }
}

#[test]
fn what_is_written_for_one_of_several_rulesets_concerns_it_alone() {
    let excluded = r#"{"ruleset":["builtin",{"name":"mine","exclude":[{"rule":1}]}]}"#;
    assert_eq!(outcome(&scan(excluded), "/?a=evil").0, Outcome::Passed);
    let for_all = r#"{"ruleset":["builtin","mine"],"exclude":[{"rule":1}],"paranoia":2}"#;
    assert_eq!(outcome(&scan(for_all), "/?a=evil").0, Outcome::Passed);
    for (text, path) in [
        (r#"{"ruleset":[]}"#, "ruleset"),
        (r#"{"ruleset":["mine","mine"]}"#, "ruleset[1]"),
        (r#"{"ruleset":["mine",{"name":"yours"}]}"#, "ruleset[1].name"),
        (r#"{"ruleset":[{"name":"builtin","paranoia":2},"mine"]}"#, "ruleset[0].paranoia"),
        (r#"{"paranoia":2}"#, "paranoia"),
    ] {
        let mut problems = Problems::default();
        let _ = rulesets(&mut problems).scan(&raw(text), &KeyPath::root(), true, &mut problems);
        let found: Vec<String> = problems.iter().map(|problem| problem.path.to_string()).collect();
        assert_eq!(found, [path], "{text}");
    }
}

/// What a schema says of a value spares the built-in rules a look at it, and nothing else.
#[test]
fn what_conforms_to_a_schema_is_not_looked_at() {
    let body = r#"{"count":"1' or '1'='1","note":"1' or '1'='1"}"#;
    let judge = |conforming: &[&str]| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        let view = RequestView { method: "POST", has_body: true, ..view("/", &headers) };
        let mut scanning = scan("{}").begin(&view).unwrap();
        conforming.iter().for_each(|name| scanning.conforms(name.as_bytes()));
        scanning.request_body(body.as_bytes());
        scanning.outcome()
    };
    let refused = Outcome::Refused(Reason::AttackDetected);
    assert_eq!(judge(&[]), refused);
    assert_eq!(judge(&["json.count"]), refused);
    assert_eq!(judge(&["json.count", "json.note"]), Outcome::Passed);
}

#[test]
fn ids_are_numbers_or_ranges() {
    for (text, shown) in
        [("942100", Some("942100")), (r#""1 - 9""#, Some("1-9")), (r#""9-1""#, None), ("0", None)]
    {
        let read = serde_json::from_str::<RawExclusion>(&format!(r#"{{"rule":{text}}}"#));
        let read = read.ok().and_then(|exclusion| exclusion.rule).map(|ids| ids.to_string());
        assert_eq!(read.as_deref(), shown, "{text}");
    }
}

/// A reload compiles what changed: the rules, a file that they name, or what a route makes of them.
#[test]
fn rules_that_did_not_change_are_not_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("words", "evil\nbad\n");
    write("included.conf", "SecAction \"id:3,phase:1,pass,nolog\"\n");
    let load = |rules: &str, route: &str, earlier: Option<&KeptRulesets>| {
        let mine = RawRuleset { rules: rules.to_owned(), ..mine() };
        let (path, mut problems) = (KeyPath::root(), Problems::default());
        let place = path.key("rulesets");
        let config = ConfigFolder::new(folder.path());
        let mut rulesets = Rulesets::compile(&[mine], &config, &place, &mut problems, earlier);
        let scan = rulesets.scan(&raw(route), &path, true, &mut problems);
        let builtin = rulesets.scan(&raw("{}"), &path, true, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        (scan.ruleset(0), builtin.ruleset(0), rulesets.keep())
    };
    let rules = "Include included.conf\nSecRule ARGS \"@pmFromFile words\" \"id:1,phase:2,deny\"\n";
    let route = r#"{"ruleset":"mine"}"#;
    let (first, builtin, kept) = load(rules, route, None);
    let (same, same_builtin, kept_again) = load(rules, route, Some(&kept));
    assert!(first.is_same(&same) && builtin.is_same(&same_builtin));
    assert!(first.is_same(&load(rules, route, Some(&kept_again)).0), "and so on");
    let other = format!("{rules}SecAction \"id:4,phase:1,pass,nolog\"");
    assert!(!first.is_same(&load(&other, route, Some(&kept)).0));
    assert!(!first.is_same(&load(rules, r#"{"ruleset":"mine","mode":"shadow"}"#, Some(&kept)).0));
    for (name, text) in [("words", "evil\n"), ("included.conf", "SecAction \"id:5,phase:1,pass,nolog\"\n")] {
        let (before, _, kept) = load(rules, route, Some(&kept));
        write(name, text);
        assert!(!before.is_same(&load(rules, route, Some(&kept)).0), "{name}");
    }
}
