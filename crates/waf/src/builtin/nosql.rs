//! Operators and scripts for a document database.

use super::detector::{Probe, Text};
use super::rules::{Family, Rule, rule};
use super::score::Cues;

const NAME: u32 = 100_160;

const fn nosql(id: u32, scores: (u16, u16), title: &'static str, description: &'static str) -> Rule {
    rule(id, Family::NoSql, scores, title, description)
}

pub(super) const RULES: &[Rule] = &[
    nosql(NAME, (5, 5), "operator as a name", "A name in the request is an operator of MongoDB: user[$ne], {\"$gt\": \"\"}."),
    nosql(100_161, (5, 2), "operator in an object", "An object with an operator stands in a value: {$ne: 1}, [$regex]=.").at(
        &["$"],
        r#"(?:[{\[,]|^)\s*\\?['"]?\$(?:ne|n?in|gte?|lte?|eq|x?or|and|nor|not|all|exists|regex|where|size|type|mod|expr|elemmatch|function|accumulator|lookup|jsonschema|text|comment|set|unset|push|pull|inc|rename|out|merge)\\?['"]?\s*(?:\]\s*[:=]?|=|:\s*(?-i:[^A-Z\s\[]|\[\s*[^A-Z\s]))"#,
    ),
    nosql(100_162, (5, 1), "script of the database", "JavaScript in $where, or a call on the database: this.password.match(, db.users.drop().").at(
        &["$where", "this.", "db.", "mapreduce", "return", "sleep("],
        r#"\$where\b|(?:\|\||&&)\s*this\.\w+\s*(?:\|\||&&|['"]|$)|['";}{]\s*(?:return|this\.\w+)\b[^;]{0,60}(?:==|!=|\.match)|\bthis\.(?:password|pass|user\w*|token|role|secret|email|credits?|\w+\.(?:match|length|constructor))\s*(?:[=!]=|\.|\[|>)|\bdb\.\w+\.(?:drop|insert|find|remove|update|save|delete|aggregate|getcollection|eval)(?:one|many)?\s*\(|\bdb\.(?:getcollectionnames|dropdatabase|getname|version|shutdownserver)\s*\(|\bmapreduce\s*\("#,
    ),
    nosql(100_163, (5, 1), "script after a quote", "A quote, and a condition of JavaScript: ' || '1'=='1, '; return true; var x='.").at(
        &["==", "return", "while", "sleep("],
        r#"['"]\s*(?:\|\||&&)\s*['"]?\w*['"]?\s*===?\s*['"]?\w*|^\s*(?:\|\||&&)\s*\d+\s*===?\s*\d+|['";]\s*;?\s*return\s*(?:true|1|\(|this)|['"};]\s*;?\s*while\s*\(\s*(?:true|1)\s*\)|['"]\s*;\s*sleep\s*\(\s*\d+"#,
    ),
    nosql(100_164, (5, 2), "operator after a quote", "A quote ends, and an operator follows: ', $or: [ {}, { 'a':'a.").at(
        &["$"],
        r#"['"}\]\w]\s*,\s*['"]?\$(?:or|and|where|ne|nor|gt|lt|in|nin|regex|exists|expr|comment)['"]?\s*:"#,
    ),
];

pub(super) const PROBE: Probe =
    Probe { families: Family::NoSql.bit(), anchors: &["$"], classes: 0, needs: 0, cost: 1, run };

const OPERATORS: [&[u8]; 30] = [
    b"ne",
    b"gt",
    b"gte",
    b"lt",
    b"lte",
    b"eq",
    b"in",
    b"nin",
    b"or",
    b"and",
    b"nor",
    b"not",
    b"exists",
    b"regex",
    b"where",
    b"size",
    b"type",
    b"mod",
    b"expr",
    b"all",
    b"elemmatch",
    b"function",
    b"lookup",
    b"unionwith",
    b"set",
    b"unset",
    b"inc",
    b"push",
    b"pull",
    b"options",
];

/// `$ne`, `user[$ne]`, `user.$gt`: whole, or as the last part of a path.
fn run(text: &Text<'_>, cues: &mut Cues) {
    if !text.is_name {
        return;
    }
    for at in memchr::memchr_iter(b'$', text.bytes) {
        let rest = text.bytes.get(at + 1..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let word = rest.get(..length).unwrap_or_default();
        let starts = at == 0 || matches!(text.bytes.get(at - 1), Some(b'[' | b'.' | b'\'' | b'"'));
        let ends = matches!(rest.get(length), None | Some(b']' | b'.' | b'[' | b'\'' | b'"'));
        if starts && ends && OPERATORS.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            return cues.add(NAME, at, at + 1 + length);
        }
    }
}
