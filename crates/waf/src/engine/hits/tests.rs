//! What the scan rules out, no rule matches: held against every rule, value by value.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::SystemTime;

use proptest::prelude::*;

use super::super::items::Base;
use super::super::memo::{Memo, comes_to_something};
use super::super::program::Rule;
use super::super::ruleset::Ruleset;
use super::super::state::State;
use super::super::{Loaded, items::Items};

/// Rules of every kind that the scan tells apart.
const RULES: &str = r#"
SecRule ARGS "@rx (?i)(?:s[\"'\\\)]*e[\"'\\\)]*t|x\$?y[0-9])\s" "id:1,phase:2,pass,t:none"
SecRule ARGS|REQUEST_HEADERS "@rx (?:/|%2f)\.\.(?:/|%2f)" "id:2,phase:2,pass,t:none"
SecRule ARGS "@rx (?i)j[\t\n]*a[\t\n]*v[\t\n]*a:" "id:3,phase:2,pass,t:none,t:urlDecodeUni,t:htmlEntityDecode,t:jsDecode,t:cssDecode,t:removeNulls"
SecRule ARGS "@pm union select process.env" "id:4,phase:2,pass,t:none,t:removeWhitespace,t:lowercase"
SecRule ARGS "@rx this\.constructor|eval\(" "id:5,phase:2,pass,multiMatch,t:none,t:urlDecodeUni,t:jsDecode,t:removeWhitespace,t:base64Decode,t:urlDecodeUni"
SecRule ARGS "@detectSQLi" "id:6,phase:2,pass,t:none,t:utf8toUnicode,t:urlDecodeUni,t:removeNulls"
SecRule ARGS "@detectXSS" "id:7,phase:2,pass,t:none,t:htmlEntityDecode"
SecRule ARGS "@validateByteRange 65-90" "id:8,phase:2,pass,t:none,t:lowercase"
SecRule REQUEST_HEADERS:X-Count "!@rx ^\d+$" "id:9,phase:1,pass,t:none"
SecRule ARGS_NAMES|REQUEST_HEADERS_NAMES "@rx [^a-z_]" "id:10,phase:1,pass,t:none,t:lowercase"
SecRule ARGS "@contains cat /etc" "id:11,phase:2,pass,t:none,t:cmdLine"
SecRule ARGS "@rx ^select (?:a|b)" "id:12,phase:2,pass,t:none,t:replaceComments,t:compressWhitespace"
SecRule ARGS "@streq /c" "id:13,phase:2,pass,t:none,t:normalizePathWin"
SecRule ARGS "@rx select" "id:14,phase:2,pass,t:none,t:sqlHexDecode"
SecRule ARGS "@rx d4|90" "id:15,phase:2,pass,t:none,t:md5,t:hexEncode"
SecRule ARGS "@within GET POST" "id:16,phase:2,pass,t:none,t:uppercase"
SecRule ARGS:q|ARGS:n "@rx \d" "id:17,phase:2,pass,t:none,t:length"
"#;

const PIECES: &[&str] = &[
    "s",
    "e",
    "t",
    "set ",
    "s\"e't",
    "x$y1 ",
    "/../",
    "%2f..%2f",
    "java:",
    "j\ta\nva:",
    "&#106;ava:",
    "\\x6aava:",
    "union",
    "un ion",
    "SELECT",
    "select a",
    "process.env",
    "pro cess. env",
    "this.constructor",
    "dGhpcy5jb25zdHJ1Y3Rvcg==",
    "1' or 1=1--",
    "<script>",
    "onload=x",
    "12",
    " ",
    "  ",
    ".",
    ",",
    ";",
    "'",
    "\"",
    "(",
    ")",
    "%",
    "%27",
    "+",
    "&lt;",
    "/*x*/",
    "--",
    "#",
    "\0",
    "é",
    "\u{a0}",
    "cat,/etc",
    "c^at \"/etc",
    "\\",
    "/",
    "a/../c",
    "0x73656c656374",
    "GET",
    "time",
    "busybox",
    "ls -la",
    "$(id)",
    "`id`",
    "|",
    "eval(",
    "child_process",
    "require(",
    "document.cookie",
    "jndi:ldap",
    "O'Neil's card",
    "Please leave the parcel at home.",
];

fn value() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => proptest::sample::select(PIECES.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        2 => "[a-zA-Z ]{1,5}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn rules() -> Vec<Ruleset> {
    let mut all =
        vec![Ruleset::builder().text("rules", RULES).build().unwrap_or_else(|error| panic!("{error}"))];
    // The Core Rule Set, where there is one.
    if let Some(folder) = std::env::var_os("PORTCULLIS_SHARED") {
        let folder = std::path::Path::new(&folder).join("crs");
        let builder = Ruleset::builder().file(folder.join("crs-setup.conf.example"));
        all.push(builder.file(folder.join("rules/*.conf")).build().unwrap_or_else(|error| panic!("{error}")));
    }
    all
}

/// The rules that match a value and were ruled out nevertheless.
fn missed(loaded: &Loaded, name: &[u8], value: &[u8], memo: &mut Memo) -> Vec<u32> {
    const BASES: [Base; 6] = [
        Base::ArgsGet,
        Base::ArgsGetNames,
        Base::RequestCookies,
        Base::RequestHeaders,
        Base::RequestHeadersNames,
        Base::RequestFilename,
    ];
    let program = &loaded.program;
    let [prefilter, _] = &program.prefilters;
    let mut state = State::new(program, SocketAddr::from(([192, 0, 2, 7], 1)), SystemTime::UNIX_EPOCH);
    let State { items, transformed, hits: [hits, _], .. } = &mut state;
    hits.clear(prefilter);
    for base in BASES {
        let (name, value) = (items.store(name), items.store(value));
        items.add(base, name, value);
    }
    hits.scan(program, prefilter, memo, items, transformed);
    let mut missed = Vec::new();
    for number in 0..prefilter.len() {
        let rule = prefilter.rule(number).and_then(|index| program.rules.get(index as usize)).unwrap();
        for (position, base) in BASES.into_iter().enumerate() {
            let looks = looks(rule, base, name);
            let filter = u32::try_from(number).unwrap();
            if looks && !hits.may_match(position, filter) && matches(loaded, rule, items, position) {
                missed.push(rule.id);
            }
        }
    }
    missed
}

fn looks(rule: &Rule, base: Base, name: &[u8]) -> bool {
    rule.targets.iter().any(|target| target.bases.contains(&base) && target.selector.takes(name))
}

/// The slow way: every transformation, and then the operator.
fn matches(loaded: &Loaded, rule: &Rule, items: &Items, position: usize) -> bool {
    let holds = |value: &[u8]| comes_to_something(&loaded.program, rule, value);
    let mut value = items.text(items.get(position).value).to_vec();
    let mut any = rule.multi_match && holds(&value);
    for step in loaded.program.chains.steps(rule.chain) {
        let mut next = Vec::new();
        if step.apply(&value, &mut next) {
            value = next;
        }
        any |= rule.multi_match && holds(&value);
    }
    any || holds(&value)
}

#[test]
fn what_is_ruled_out_does_not_match() {
    let all = rules();
    let memos: Vec<RefCell<Memo>> = all.iter().map(|_| RefCell::default()).collect();
    let name = proptest::sample::select(vec![
        "q",
        "n",
        "x-count",
        "user-agent",
        "referer",
        "content-type",
        "json.a",
    ]);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(3000));
    runner
        .run(&(name, value()), |(name, value)| {
            for (ruleset, memo) in all.iter().zip(&memos) {
                let memo = &mut memo.borrow_mut();
                let missed = missed(ruleset.loaded(), name.as_bytes(), &value, memo);
                prop_assert!(missed.is_empty(), "{missed:?} {}", String::from_utf8_lossy(&value));
            }
            Ok(())
        })
        .unwrap();
}
