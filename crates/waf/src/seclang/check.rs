//! What only several directives together can get wrong: chains, ids, markers.

use std::collections::HashMap;

use super::diagnostic::suggestion;
use super::{Action, Blame, Diagnostic, Directive, Document, Located, Span};

/// What the directives so far have said.
#[derive(Debug, Default)]
pub(super) struct Check {
    /// Where each id was given first.
    ids: HashMap<u32, Span>,
    /// After how many rules each marker stands (last).
    markers: HashMap<String, usize>,
    /// Every `skipAfter`, and after how many rules it stands.
    skips: Vec<(String, Span, usize)>,
    /// The `chain` that waits for its next rule.
    chain: Option<Span>,
    /// What came before could not be read: it may have been a rule with a chain.
    blind: bool,
    rules: usize,
}

impl Check {
    /// A directive that could not be read at all.
    pub(super) fn lost(&mut self) {
        self.chain = None;
        self.blind = true;
    }

    /// The next directive. `faulty` says that parts of it could not be read.
    pub(super) fn directive(
        &mut self,
        directive: &Located<Directive>,
        faulty: bool,
        document: &Document,
        faults: &mut Vec<Diagnostic>,
    ) {
        match &directive.value {
            Directive::Rule(rule) => self.rule(&rule.actions, directive.span, faulty, document, faults),
            Directive::Action(actions) => self.rule(actions, directive.span, faulty, document, faults),
            other => {
                self.close(faults);
                self.blind = false;
                match other {
                    Directive::Marker(name) => {
                        self.markers.insert(name.clone(), self.rules);
                    }
                    Directive::DefaultAction(actions) => {
                        default_action(actions, directive.span, faulty, faults)
                    }
                    Directive::UpdateActionById(_, _, actions) => self.skips_of(actions, 0),
                    _ => {}
                }
            }
        }
    }

    fn rule(
        &mut self,
        actions: &[Located<Action>],
        span: Span,
        faulty: bool,
        document: &Document,
        faults: &mut Vec<Diagnostic>,
    ) {
        self.rules += 1;
        let id = actions.iter().rev().find_map(|action| match action.value {
            Action::Id(id) => Some((id, action.span)),
            _ => None,
        });
        let blind = std::mem::take(&mut self.blind);
        match (self.chain.take(), id) {
            (Some(_), Some((id, at))) => {
                let message = format!("a rule within a chain has no id of its own, and this one has {id}");
                faults.push(Diagnostic::new(Blame::Structure, message, at));
            }
            (None, None) if !faulty && !blind => {
                let message = "the rule has no id; every rule needs one, except those within a chain";
                faults.push(Diagnostic::new(Blame::Structure, message, span));
            }
            (None, Some((id, at))) => self.id(id, at, document, faults),
            _ => {}
        }
        self.chain = actions.iter().find(|action| action.value == Action::Chain).map(|action| action.span);
        self.blind = faulty && self.chain.is_none();
        self.skips_of(actions, self.rules);
    }

    fn id(&mut self, id: u32, at: Span, document: &Document, faults: &mut Vec<Diagnostic>) {
        if let Some(first) = self.ids.get(&id) {
            let message =
                format!("the id {id} is that of another rule already, at {}", document.locate(*first));
            faults.push(Diagnostic::new(Blame::Structure, message, at));
        } else {
            self.ids.insert(id, at);
        }
    }

    fn skips_of(&mut self, actions: &[Located<Action>], rules: usize) {
        for action in actions {
            if let Action::SkipAfter(marker) = &action.value {
                self.skips.push((marker.clone(), action.span, rules));
            }
        }
    }

    /// A directive that is no rule, or the end: a chain cannot go on.
    fn close(&mut self, faults: &mut Vec<Diagnostic>) {
        if let Some(chain) = self.chain.take() {
            let message = "the chain has no next rule: a SecRule has to follow at once";
            faults.push(Diagnostic::new(Blame::Structure, message, chain));
        }
    }

    /// The end of everything. `complete` says that every directive could be read: a marker may be among the others.
    pub(super) fn finish(mut self, complete: bool, faults: &mut Vec<Diagnostic>) {
        self.close(faults);
        if !complete {
            return;
        }
        for (name, span, rules) in &self.skips {
            let is_id = name.parse().is_ok_and(|id| self.ids.contains_key(&id));
            match self.markers.get(name) {
                None if !is_id => {
                    let hint = suggestion(name, self.markers.keys().map(String::as_str));
                    let message = format!("there is no SecMarker `{name}` to skip to{hint}");
                    faults.push(Diagnostic::new(Blame::Name, message, *span));
                }
                Some(position) if position < rules => {
                    let message = format!(
                        "the SecMarker `{name}` stands before this rule, and skipping only goes forward"
                    );
                    faults.push(Diagnostic::new(Blame::Structure, message, *span));
                }
                _ => {}
            }
        }
    }
}

fn default_action(actions: &[Located<Action>], span: Span, faulty: bool, faults: &mut Vec<Diagnostic>) {
    for action in actions {
        let name = match action.value {
            Action::Id(_) => "id",
            Action::Chain => "chain",
            Action::Skip(_) => "skip",
            Action::SkipAfter(_) => "skipAfter",
            _ => continue,
        };
        let message = format!("`{name}` belongs to one rule and cannot be a default");
        faults.push(Diagnostic::new(Blame::Structure, message, action.span));
    }
    if !faulty && !actions.iter().any(|action| matches!(action.value, Action::Phase(_))) {
        let message = "SecDefaultAction has to say for which phase it holds: \"phase:2,...\"";
        faults.push(Diagnostic::new(Blame::Structure, message, span));
    }
}
