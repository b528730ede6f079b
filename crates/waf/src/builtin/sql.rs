//! Statements for a relational database. The tokens decide; what libinjection knows is one more cue.

use super::detector::{Probe, Text};
use super::gate::Classes;
use super::rules::{Family, Rule, rule};
use super::score::{Cues, HeaderKind, Place};
use super::sql_grammar::Walk;
use super::sql_token::{Kind, Word, tokens};

pub(super) const TAUTOLOGY: u32 = 100_100;
pub(super) const TRUTH: u32 = 100_101;
pub(super) const BREAKOUT: u32 = 100_102;
pub(super) const UNION: u32 = 100_103;
pub(super) const UNION_WORDS: u32 = 100_104;
pub(super) const STACKED: u32 = 100_105;
pub(super) const STATEMENT: u32 = 100_106;
pub(super) const SELECT: u32 = 100_107;
pub(super) const SELECT_WORDS: u32 = 100_108;
pub(super) const SUBQUERY: u32 = 100_109;
pub(super) const CONDITION: u32 = 100_110;
pub(super) const TIMING: u32 = 100_111;
pub(super) const FILES: u32 = 100_112;
pub(super) const CATALOGUE: u32 = 100_113;
pub(super) const STRINGS: u32 = 100_114;
pub(super) const VARIABLE: u32 = 100_115;
pub(super) const CLAUSE: u32 = 100_116;
pub(super) const TERMINATOR: u32 = 100_117;
const FINGERPRINT: u32 = 100_118;
pub(super) const UNION_OF_QUERIES: u32 = 100_119;

const fn sql(id: u32, scores: (u16, u16), title: &'static str, description: &'static str) -> Rule {
    rule(id, Family::Sql, scores, title, description)
}

pub(super) const RULES: &[Rule] = &[
    sql(
        TAUTOLOGY,
        (5, 3),
        "comparison that is decided",
        "A condition whose result needs no table: or 1=1, and 'a'='a'.",
    ),
    sql(
        TRUTH,
        (5, 1),
        "constant condition",
        "A quote or number, then or/and with a constant up to the end: ' or 1 --.",
    ),
    sql(
        BREAKOUT,
        (3, 0),
        "condition after a quote",
        "An operator of SQL with an operand, directly after a quote.",
    ),
    sql(UNION, (5, 5), "union select", "A second query whose columns follow: union select null, user()."),
    sql(
        UNION_OF_QUERIES,
        (5, 2),
        "union of two queries",
        "A second query after one that is whole, as in a manual.",
    ),
    sql(UNION_WORDS, (3, 0), "union and select", "The two words in sequence, without a list of columns."),
    sql(STACKED, (5, 3), "second statement", "A semicolon, and a statement that is complete enough to run."),
    sql(
        STATEMENT,
        (5, 1),
        "statement that changes data",
        "Insert, update, delete, drop, alter or exec with their grammar.",
    ),
    sql(SELECT, (4, 1), "select statement", "A list of columns with operators, and a table."),
    sql(
        SELECT_WORDS,
        (3, 0),
        "select from",
        "One word that is selected from another, as SQL would write it.",
    ),
    sql(
        SUBQUERY,
        (5, 2),
        "subquery",
        "A select in parentheses, or after an operator, as a part of an expression.",
    ),
    sql(
        CONDITION,
        (5, 1),
        "case or if",
        "A conditional expression of SQL: case when ... then, if(1=1, ...).",
    ),
    sql(
        TIMING,
        (5, 1),
        "dangerous function",
        "Calls that wait, tell errors, read files or run commands: sleep(5).",
    ),
    sql(FILES, (5, 2), "file written", "The result of a query goes to a file: into outfile."),
    sql(CATALOGUE, (5, 1), "catalogue", "Tables that list the tables: information_schema, sqlite_master."),
    sql(
        STRINGS,
        (4, 1),
        "string built of numbers",
        "char(65)||char(66), concat(0x71, ...): strings without quotes.",
    ),
    sql(VARIABLE, (3, 0), "server variable", "@@version, current_user(): questions about the server."),
    sql(
        CLAUSE,
        (5, 1),
        "clause after a quote",
        "order by 5, group by, having: how the columns of a query are counted.",
    ),
    sql(
        TERMINATOR,
        (5, 1),
        "comment after a quote",
        "A quote that ends a string, and a comment that cuts off the rest.",
    ),
    sql(
        FINGERPRINT,
        (3, 0),
        "tokens of an injection",
        "libinjection knows the sequence of tokens from attacks.",
    ),
];

pub(super) const PROBE: Probe = Probe {
    families: Family::Sql.bit(),
    anchors: &[
        "union",
        "select",
        "sleep",
        "waitfor",
        "delete",
        "insert",
        "information_schema",
        "xp_cmdshell",
        "--",
    ],
    classes: SUSPICIOUS,
    needs: 0,
    cost: 6,
    run,
};

/// Quotes, and the operators that a condition, a call, a comment or a second statement needs.
const SUSPICIOUS: u32 = Classes::QUOTE | Classes::BACKQUOTE | Classes::OPERATOR;

/// Longer values are no fingerprint of an injection, and their first tokens are all that is looked at.
const FINGERPRINTED: usize = 2048;

fn run(text: &Text<'_>, cues: &mut Cues) {
    if matches!(text.place, Place::HeaderValue(HeaderKind::List)) && text.classes.only(LIST) {
        return;
    }
    let tokens = tokens(text.bytes);
    let mut words = false;
    let mut signs = false;
    for token in &tokens {
        match token.kind {
            Kind::Word(Word::Other | Word::As | Word::By | Word::Set | Word::Object) => {}
            Kind::Word(_) | Kind::Pipes | Kind::Ampersands => words = true,
            Kind::Comment | Kind::Quote | Kind::At | Kind::Semicolon => signs = true,
            _ => {}
        }
    }
    if !words && !signs {
        return;
    }
    Walk { text: text.bytes, tokens: &tokens }.run(cues);
    let short = text.bytes.len() <= FINGERPRINTED && tokens.len() >= 3;
    let doubt = cues.has(BREAKOUT)
        || cues.has(SELECT)
        || cues.has(SELECT_WORDS)
        || cues.has(STRINGS)
        || cues.has(VARIABLE);
    let nothing = cues.list.is_empty() && text.classes.any(Classes::QUOTE | Classes::BACKQUOTE) && words;
    if short && cues.fingerprints > 0 && (doubt || nothing || cues.has(UNION_WORDS)) {
        cues.fingerprints -= 1;
        if libinjectionrs::detect_sqli(text.bytes).is_injection() {
            cues.add(FINGERPRINT, 0, text.bytes.len());
        }
    }
}

/// `text/html, */*;q=0.8` has nothing but these, and no quotes.
const LIST: u32 = Classes::LETTER
    | Classes::DIGIT
    | Classes::SPACE
    | Classes::MILD
    | Classes::SLASH
    | Classes::OPERATOR
    | Classes::PLUS;

#[cfg(test)]
mod tests {
    use crate::builtin::{Detector, Family, Findings, Place, Settings};

    fn score(value: &str) -> (u16, Findings) {
        let disabled = Family::ALL.into_iter().filter(|family| *family != Family::Sql).collect();
        let detector = Detector::new(Settings { disabled, ..Settings::default() });
        let mut findings = Findings::default();
        detector.scan_value(Place::QueryValue, b"q", value.as_bytes(), &mut findings);
        (findings.score(), findings)
    }

    #[test]
    fn injections() {
        for value in [
            "' or 1=1--",
            "1 or 1=1",
            "1) and (select 1 from users)=(1",
            "admin'--",
            "admin' #",
            "' or 'a'='a",
            "') or ('x'='x",
            "' or ''='",
            "\" or true--",
            "1 union select null,null",
            "1 UNION/**/ALL/**/SELECT 1,2,3",
            "-1' union all select username, password from users--",
            "1; drop table users",
            "'; exec xp_cmdshell('dir')--",
            "1' order by 5--",
            "1' and sleep(5)#",
            "1; waitfor delay '0:0:5'--",
            "'||(select password from users limit 1)||'",
            "1' and extractvalue(1,concat(0x7e,version()))--",
            "(case when (1=1) then 1 else 0 end)",
            "1 and 1=2",
            "x' like '%a%",
            "1' group by 1 having 1=1--",
            "select * from information_schema.tables",
        ] {
            assert!(score(value).0 >= 5, "{value}: {:?}", score(value).1);
        }
    }

    #[test]
    fn prose_and_names() {
        for value in [
            "select a time; bring O'Neil's card",
            "O'Neil",
            "D'Angelo & sons; union of workers",
            "please select one from the list where available",
            "drop the table off at 5",
            "1=1 is a tautology",
            "union members select a chair from the floor",
            "rock 'n' roll -- live",
            "the dogs' and cats' food",
            "Update the set of keys, delete old ones from there and insert new ones into it",
            "a<b && c>d",
            "order by phone; group by age",
            "C# and F# -- which one?",
            "it's 5 o'clock or 6",
            "To see them run `SELECT id, name FROM users WHERE active = 1;` in the console, then restart the service.",
        ] {
            assert!(score(value).0 < 5, "{value}: {:?}", score(value).1);
        }
    }
}
