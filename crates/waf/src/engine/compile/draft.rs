//! Rules while later directives can still change them.

use std::collections::HashMap;

use crate::seclang::{Action, AllowScope, Located, OperatorText, Rule, Span, Target, Template};
use crate::transform::Transformation;

/// A rule or a link of a chain, its defaults merged in.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Of the head, for links.
    pub(super) id: u32,
    pub(super) phase: u8,
    pub(super) span: Span,
    pub(super) targets: Vec<Located<Target>>,
    /// None for `SecAction`.
    pub(super) operator: Option<Located<OperatorText>>,
    pub(super) actions: Vec<Located<Action>>,
    pub(super) chain: Vec<Transformation>,
    pub(super) tags: Vec<String>,
    pub(super) message: String,
    pub(super) disruption: DraftDisruption,
    pub(super) log: bool,
    pub(super) audit: bool,
    pub(super) removed: bool,
    /// The next link.
    pub(super) next: Option<usize>,
    pub(super) is_link: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DraftDisruption {
    Pass,
    Deny,
    Drop,
    Redirect(Template),
    Allow(AllowScope),
}

/// What `SecDefaultAction` says, by phase.
#[derive(Debug)]
pub(super) struct Defaults {
    phases: [Vec<Located<Action>>; 6],
}

impl Default for Defaults {
    fn default() -> Self {
        Self { phases: std::array::from_fn(|_| Vec::new()) }
    }
}

impl Defaults {
    pub(super) fn set(&mut self, actions: &[Located<Action>]) {
        let phase = actions
            .iter()
            .rev()
            .find_map(|action| match action.value {
                Action::Phase(phase) => Some(phase),
                _ => None,
            })
            .unwrap_or(2);
        if let Some(place) = self.phases.get_mut(usize::from(phase)) {
            *place = actions.to_vec();
        }
    }

    fn of(&self, phase: u8) -> &[Located<Action>] {
        self.phases.get(usize::from(phase)).map_or(&[], Vec::as_slice)
    }
}

impl Draft {
    pub(super) fn rule(rule: &Rule, span: Span, defaults: &Defaults) -> Self {
        let mut draft = Self::action(&rule.actions, span, defaults);
        draft.targets.clone_from(&rule.targets);
        draft.operator = Some(rule.operator.clone());
        draft
    }

    pub(super) fn action(actions: &[Located<Action>], span: Span, defaults: &Defaults) -> Self {
        let mut draft = Self {
            id: 0,
            phase: 2,
            span,
            targets: Vec::new(),
            operator: None,
            actions: actions.to_vec(),
            chain: Vec::new(),
            tags: Vec::new(),
            message: String::new(),
            disruption: DraftDisruption::Pass,
            log: true,
            audit: true,
            removed: false,
            next: None,
            is_link: false,
        };
        draft.digest(defaults);
        draft
    }

    /// Works out what the actions say together with the defaults of the phase.
    fn digest(&mut self, defaults: &Defaults) {
        let actions = std::mem::take(&mut self.actions);
        for action in &actions {
            match action.value {
                Action::Id(id) => self.id = id,
                Action::Phase(phase) => self.phase = phase,
                _ => {}
            }
        }
        let inherited = defaults.of(self.phase);
        self.disruption = DraftDisruption::Pass;
        self.chain.clear();
        self.tags.clear();
        for action in inherited.iter().chain(&actions) {
            self.take(&action.value, inherited);
        }
        self.actions = inherited
            .iter()
            .filter(|action| matches!(action.value, Action::Status(_)))
            .cloned()
            .chain(actions)
            .collect();
    }

    fn take(&mut self, action: &Action, inherited: &[Located<Action>]) {
        match action {
            Action::Transformation(transformation) => self.chain.push(*transformation),
            Action::NoTransformation => self.chain.clear(),
            Action::Tag(tag) => self.tags.push(tag.source()),
            Action::Message(message) => self.message = message.source(),
            Action::Log => {
                self.log = true;
                self.audit = true;
            }
            Action::NoLog => {
                self.log = false;
                self.audit = false;
            }
            Action::AuditLog => self.audit = true,
            Action::NoAuditLog => self.audit = false,
            Action::Pass => self.disruption = DraftDisruption::Pass,
            Action::Deny => self.disruption = DraftDisruption::Deny,
            Action::Drop => self.disruption = DraftDisruption::Drop,
            Action::Allow(scope) => self.disruption = DraftDisruption::Allow(*scope),
            Action::Redirect(place) => self.disruption = DraftDisruption::Redirect(place.clone()),
            Action::Block => {
                self.disruption = DraftDisruption::Pass;
                for action in inherited {
                    if action.value != Action::Block && action.value.is_disruptive() {
                        self.take(&action.value, &[]);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Action {
    const fn is_disruptive(&self) -> bool {
        matches!(
            self,
            Self::Pass | Self::Deny | Self::Drop | Self::Allow(_) | Self::Redirect(_) | Self::Block
        )
    }
}

/// All rules so far.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    pub(super) rules: Vec<Draft>,
    /// How many rules stood before each marker.
    markers: HashMap<String, usize>,
    /// The link that the next rule continues.
    open: Option<usize>,
}

impl Drafts {
    pub(super) fn add(&mut self, mut draft: Draft, chained: bool) -> Result<(), String> {
        let index = self.rules.len();
        if let Some(previous) = self.open.take() {
            let Some(before) = self.rules.get_mut(previous) else {
                return Err("a link of a chain has no rule before it".to_owned());
            };
            before.next = Some(index);
            draft.is_link = true;
            draft.id = before.id;
            draft.phase = before.phase;
            draft.tags.clone_from(&before.tags);
            if draft.message.is_empty() {
                draft.message.clone_from(&before.message);
            }
        }
        if chained {
            self.open = Some(index);
        }
        self.rules.push(draft);
        Ok(())
    }

    pub(super) fn mark(&mut self, name: &str) {
        self.markers.insert(name.to_owned(), self.rules.len());
    }

    pub(super) fn remove(&mut self, which: impl Fn(&Draft) -> bool) {
        for draft in &mut self.rules {
            if which(draft) {
                draft.removed = true;
            }
        }
    }

    /// Adds targets to the heads of some rules, and takes targets out of all their links.
    pub(super) fn update_targets(&mut self, targets: &[Located<Target>], which: impl Fn(&Draft) -> bool) {
        for draft in self.rules.iter_mut().filter(|draft| which(draft)) {
            for target in targets {
                if target.value.exclude || !draft.is_link {
                    draft.targets.push(target.clone());
                }
            }
        }
    }

    /// Adds actions to a link of a rule; false when there is no such link.
    pub(super) fn update_actions(
        &mut self,
        id: u32,
        link: u32,
        actions: &[Located<Action>],
        defaults: &Defaults,
    ) -> bool {
        let Some(draft) = self.rules.iter_mut().filter(|draft| draft.id == id).nth(link as usize) else {
            return false;
        };
        // Transformations of the update take the place of the old ones, as the reference manual has it.
        if actions.iter().any(|action| matches!(action.value, Action::Transformation(_))) {
            draft.actions.retain(|action| !matches!(action.value, Action::Transformation(_)));
        }
        draft.actions.extend(actions.iter().cloned());
        let (id, phase, is_link) = (draft.id, draft.phase, draft.is_link);
        draft.digest(defaults);
        if is_link {
            (draft.id, draft.phase) = (id, phase);
        }
        true
    }

    /// Where everything comes to stand: to be asked when nothing changes any more.
    pub(super) fn layout(&self) -> Layout {
        let mut phases: [Vec<u32>; 5] = Default::default();
        for (index, draft) in self.rules.iter().enumerate() {
            if draft.is_link || draft.removed {
                continue;
            }
            let phase = phases.get_mut(usize::from(draft.phase.clamp(1, 5)) - 1);
            if let (Some(phase), Ok(index)) = (phase, u32::try_from(index)) {
                phase.push(index);
            }
        }
        Layout { phases }
    }

    /// The step of `phase` that comes after a marker or a rule id.
    pub(super) fn step_after(&self, layout: &Layout, phase: u8, place: &str) -> Option<u32> {
        let before = self.markers.get(place).copied().or_else(|| {
            let id: u32 = place.parse().ok()?;
            let last = self.rules.iter().rposition(|draft| draft.id == id)?;
            Some(last + 1)
        })?;
        let steps = layout.phases.get(usize::from(phase.clamp(1, 5)) - 1)?;
        u32::try_from(steps.partition_point(|&rule| (rule as usize) < before)).ok()
    }
}

/// The rules of each phase, in order.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) phases: [Vec<u32>; 5],
}

impl Template {
    /// The text as it was written.
    fn source(&self) -> String {
        use crate::seclang::TemplatePart;
        use std::fmt::Write as _;
        let mut text = String::new();
        for part in &self.parts {
            match part {
                TemplatePart::Text(part) => text.push_str(part),
                TemplatePart::Variable(variable, None) => {
                    let _ = write!(text, "%{{{}}}", variable.name());
                }
                TemplatePart::Variable(variable, Some(key)) => {
                    let _ = write!(text, "%{{{}.{key}}}", variable.name());
                }
            }
        }
        text
    }
}
