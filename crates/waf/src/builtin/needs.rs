//! Which classes of bytes every match of an expression has. A value without them is not shown to the expression,
//! whatever literals occur in it: `on` is in half of all sentences, a bracket and an equals sign are not.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::gate::{Classes, class};

/// Alternatives: a match has all classes of at least one of them.
#[derive(Debug)]
pub(super) struct Needs(Vec<u32>);

/// A set of bytes of more classes than these says little.
const MIXED: usize = 4;
/// More alternatives than these take longer to compare than they save.
const MANY: usize = 24;

impl Needs {
    /// What an expression needs. One that does not parse is said to need nothing.
    pub(super) fn of(expression: &str) -> Self {
        let mut parser = ParserBuilder::new()
            .case_insensitive(true)
            .unicode(false)
            .utf8(false)
            .dot_matches_new_line(true)
            .build();
        Self(parser.parse(expression).map_or_else(|_| vec![0], |hir| of(&hir)))
    }

    /// What a probe needs: one of these classes, or nothing.
    pub(super) fn one_of(classes: u32) -> Self {
        let each = (0..32).map(|bit| 1_u32 << bit).filter(|bit| classes & bit != 0);
        Self(if classes == 0 { vec![0] } else { each.collect() })
    }

    /// Whether a text with these classes may match.
    #[inline]
    pub(super) fn met(&self, classes: Classes) -> bool {
        self.0.iter().any(|needed| classes.all(*needed))
    }
}

fn of(hir: &Hir) -> Vec<u32> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![0],
        HirKind::Literal(literal) => vec![literal.0.iter().fold(0, |all, byte| all | class(*byte))],
        HirKind::Class(set) => of_set(set),
        HirKind::Repetition(repetition) if repetition.min == 0 => vec![0],
        HirKind::Repetition(repetition) => of(&repetition.sub),
        HirKind::Capture(capture) => of(&capture.sub),
        HirKind::Concat(parts) => parts.iter().fold(vec![0], |all, part| both(&all, &of(part))),
        HirKind::Alternation(parts) => {
            let all = minimal(parts.iter().flat_map(of).collect());
            // What all of them have is still needed.
            if all.len() > MANY { vec![all.iter().fold(u32::MAX, |common, each| common & each)] } else { all }
        }
    }
}

fn of_set(set: &Class) -> Vec<u32> {
    let mut classes: Vec<u32> = match set {
        Class::Bytes(set) => set.iter().flat_map(|range| range.start()..=range.end()).map(class).collect(),
        Class::Unicode(_) => return vec![0],
    };
    classes.sort_unstable();
    classes.dedup();
    let classes = minimal(classes);
    if classes.is_empty() || classes.len() > MIXED { vec![0] } else { classes }
}

/// Every pair of alternatives. If they are too many, the second half is not asked for.
fn both(left: &[u32], right: &[u32]) -> Vec<u32> {
    let pairs = left.iter().flat_map(|one| right.iter().map(move |other| one | other));
    let all = minimal(pairs.collect());
    if all.len() > MANY { left.to_vec() } else { all }
}

/// Without alternatives that need more than another.
fn minimal(mut all: Vec<u32>) -> Vec<u32> {
    all.sort_unstable_by_key(|needed| needed.count_ones());
    let mut kept: Vec<u32> = Vec::new();
    for needed in all {
        if !kept.iter().any(|less| needed & less == *less) {
            kept.push(needed);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::rules;

    #[test]
    fn what_expressions_need() {
        let text = |text: &str| Classes::of(text.as_bytes());
        let needs = Needs::of(r#"<\w+\s+on\w+=|['"]\s*on\w+="#);
        assert!(needs.met(text("<a onload=")) && needs.met(text("' onload=")));
        assert!(!needs.met(text("it is on")) && !needs.met(text("<b>on</b>")));
        assert!(Needs::of("(?:").met(text("x")) && Needs::of("a?").met(text("1")));
        assert!(!Needs::one_of(Classes::DIGIT).met(text("x")));
    }

    /// The check saves work only if most rules need more than letters.
    #[test]
    fn most_rules_need_more_than_plain_text() {
        let plain = Classes::of(b"abc 123 .,-_@:");
        let expressions = rules::all().filter(|rule| !rule.expression.is_empty());
        let open = expressions.filter(|rule| Needs::of(rule.expression).met(plain)).count();
        assert!(open < 40, "{open}");
    }
}
