//! Rules that are right word by word and do not do what their author meant.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;

use portcullis_waf::pattern::Pattern;
use portcullis_waf::seclang::{
    Action, Blame, Change, Diagnostic, Directive, Document, Located, OperatorText, Span, Target,
    TemplatePart, Variable,
};

use super::never;

/// What a reader should look at.
#[derive(Debug, Default)]
pub(super) struct Suspicions {
    pub(super) warnings: Vec<Diagnostic>,
    pub(super) notes: Vec<Diagnostic>,
    /// Rules that look at nothing but variables of the rules themselves; of a chain its first link counts, for the others only
    /// run when that matches.
    pub(super) internal: BTreeSet<u32>,
}

/// A rule with the links of its chain.
struct Chain<'d> {
    id: u32,
    span: Span,
    /// What each link looks at, how, and what it does; the head comes first.
    links: Vec<Link<'d>>,
}

/// One rule of a chain.
pub(super) struct Link<'d> {
    pub(super) targets: &'d [Located<Target>],
    pub(super) operator: Option<&'d Located<OperatorText>>,
    pub(super) actions: &'d [Located<Action>],
}

impl Link<'_> {
    /// Whether it looks at nothing but variables of the rules themselves.
    fn is_internal(&self) -> bool {
        self.targets.iter().all(|target| target.value.variable == Variable::Tx)
    }
}

impl<'d> Chain<'d> {
    fn actions(&self) -> impl Iterator<Item = &'d Action> + '_ {
        self.links.iter().flat_map(|link| link.actions).map(|action| &action.value)
    }

    fn phase(&self) -> u8 {
        let head = self.links.first().map_or(&[][..], |link| link.actions);
        let phase = |action: &Located<Action>| match action.value {
            Action::Phase(phase) => Some(phase),
            _ => None,
        };
        head.iter().rev().find_map(phase).unwrap_or(2)
    }

    fn tags(&self) -> Vec<String> {
        self.texts(|action| match action {
            Action::Tag(text) => Some(text),
            _ => None,
        })
    }

    fn messages(&self) -> Vec<String> {
        self.texts(|action| match action {
            Action::Message(text) => Some(text),
            _ => None,
        })
    }

    fn texts(&self, which: fn(&Action) -> Option<&portcullis_waf::seclang::Template>) -> Vec<String> {
        self.actions().filter_map(which).map(|text| fixed(&text.parts)).collect()
    }
}

/// The parts of a text that do not depend on a request.
fn fixed(parts: &[TemplatePart]) -> String {
    let fixed = parts.iter().map(|part| match part {
        TemplatePart::Text(text) => text.as_str(),
        TemplatePart::Variable(..) => "",
    });
    fixed.collect()
}

/// Looks for what is certain: a suspicion that is wrong is worse than none.
pub(super) fn check(document: &Document) -> Suspicions {
    let mut checking = Checking::default();
    for directive in &document.directives {
        checking.directive(directive);
    }
    checking.chains.iter().for_each(|chain| look_at(chain, &mut checking.found));
    let is_internal = |chain: &&Chain<'_>| chain.links.first().is_some_and(Link::is_internal);
    checking.found.internal = checking.chains.iter().filter(is_internal).map(|chain| chain.id).collect();
    checking.skips();
    checking.found
}

#[derive(Default)]
struct Checking<'d> {
    chains: Vec<Chain<'d>>,
    /// How many chains stand before each marker.
    markers: HashMap<&'d str, usize>,
    is_open: bool,
    found: Suspicions,
}

impl<'d> Checking<'d> {
    fn directive(&mut self, directive: &'d Located<Directive>) {
        let span = directive.span;
        match &directive.value {
            Directive::Rule(rule) => self.link(
                Link { targets: &rule.targets, operator: Some(&rule.operator), actions: &rule.actions },
                span,
            ),
            Directive::Action(actions) => self.link(Link { targets: &[], operator: None, actions }, span),
            Directive::Marker(name) => {
                self.markers.insert(name, self.chains.len());
            }
            Directive::RemoveById(ranges) | Directive::UpdateTargetById(ranges, _) => self.ids(ranges, span),
            Directive::RemoveByTag(pattern) | Directive::UpdateTargetByTag(pattern, _) => {
                self.pattern(pattern, "tag", Chain::tags, span);
            }
            Directive::RemoveByMsg(pattern) | Directive::UpdateTargetByMsg(pattern, _) => {
                self.pattern(pattern, "message", Chain::messages, span);
            }
            _ => {}
        }
    }

    fn link(&mut self, link: Link<'d>, span: Span) {
        let goes_on = link.actions.iter().any(|action| action.value == Action::Chain);
        let id = link.actions.iter().rev().find_map(|action| match action.value {
            Action::Id(id) => Some(id),
            _ => None,
        });
        match self.chains.last_mut() {
            Some(chain) if self.is_open => chain.links.push(link),
            _ => self.chains.push(Chain { id: id.unwrap_or_default(), span, links: vec![link] }),
        }
        self.is_open = goes_on;
    }

    fn ids(&mut self, ranges: &[RangeInclusive<u32>], span: Span) {
        for range in ranges {
            if self.chains.iter().any(|chain| range.contains(&chain.id)) {
                continue;
            }
            let (first, last) = (range.start(), range.end());
            let which = if first == last { format!("{first}") } else { format!("{first}-{last}") };
            self.warn(span, format!(
                "no rule before this line has the id {which}, so this has no effect; it has to stand after the rules that it changes"
            ));
        }
    }

    fn pattern(&mut self, pattern: &str, what: &str, texts: fn(&Chain<'d>) -> Vec<String>, span: Span) {
        // What is no pattern did not load.
        let Ok(compiled) = Pattern::new(pattern) else { return };
        let is_meant = |chain: &Chain<'d>| texts(chain).iter().any(|text| compiled.is_match(text.as_bytes()));
        if !self.chains.iter().any(is_meant) {
            self.warn(span, format!(
                "no rule before this line has a {what} that `{pattern}` matches, so this has no effect; it has to stand after the rules that it changes"
            ));
        }
    }

    fn warn(&mut self, span: Span, message: String) {
        self.found.warnings.push(Diagnostic::new(Blame::Value, message, span));
    }

    /// Every `skipAfter` that skips no rule of its phase.
    fn skips(&mut self) {
        for (number, chain) in self.chains.iter().enumerate() {
            let skips =
                chain.links.iter().flat_map(|link| link.actions).filter_map(|action| match &action.value {
                    Action::SkipAfter(marker) => Some((marker, action.span)),
                    _ => None,
                });
            for (marker, span) in skips {
                let Some(&end) = self.markers.get(marker.as_str()) else { continue };
                let between = self.chains.get(number + 1..end).unwrap_or_default();
                if !between.iter().any(|other| other.phase() == chain.phase()) {
                    let message = format!(
                        "skipAfter has no effect: between this rule and `{marker}` stands no rule of phase {}",
                        chain.phase()
                    );
                    self.found.notes.push(Diagnostic::new(Blame::Structure, message, span));
                }
            }
        }
    }
}

fn look_at(chain: &Chain<'_>, found: &mut Suspicions) {
    let mut warn =
        |span: Span, message: String| found.warnings.push(Diagnostic::new(Blame::Structure, message, span));
    // Rules that add scores up have nothing to say.
    let looks = !chain.links.iter().all(Link::is_internal);
    if looks && scores(chain) && chain.messages().is_empty() {
        warn(
            chain.span,
            format!(
                "rule {} adds to the anomaly score and has no `msg`: nobody can tell from the record why a request was refused",
                chain.id
            ),
        );
    }
    let refuses =
        chain.actions().any(|action| matches!(action, Action::Deny | Action::Drop | Action::Redirect(_)));
    let has = |wanted: &Action| chain.actions().any(|action| action == wanted);
    if refuses && has(&Action::NoLog) && !has(&Action::Log) {
        warn(
            chain.span,
            format!(
                "rule {} refuses requests and has `nolog`: the record will not say what it matched",
                chain.id
            ),
        );
    }
    for link in &chain.links {
        if let Some((span, message)) = never::matches(link, chain.phase()) {
            warn(span, format!("rule {} never matches: {message}", chain.id));
        }
    }
}

/// Whether a rule raises an anomaly score.
fn scores(chain: &Chain<'_>) -> bool {
    chain.actions().any(|action| match action {
        Action::SetVar(setvar) => {
            matches!(setvar.change, Change::Add(_)) && fixed(&setvar.name.parts).contains("anomaly_score")
        }
        _ => false,
    })
}
