//! One rule: its targets, its operator, what it decides and how it is recorded.

use std::cell::RefCell;

use crate::operator::{DataFiles, Operator, OperatorName, takes_macros};
use crate::pattern::Pattern;
use crate::seclang::{
    Action, Located, OperatorText, Selector as SelectorText, Target as TargetText, Variable, read_file,
};

use super::super::chains::ChainId;
use super::super::formed::FormedPatterns;
use super::super::items::bases_of;
use super::super::origin::DataFile;
use super::super::program::{
    Comparison, Disruption, NamedTarget, Report, Rule, RuleOperator, RulePlace, Selector, Target,
};
use super::super::tx::leading_number;
use super::Building;
use super::draft::{Draft, DraftDisruption};

impl Building<'_> {
    /// Builds a rule, or notes what is wrong with it.
    pub(super) fn rule(&mut self, index: usize) -> Option<Rule> {
        let drafts = self.drafts;
        let draft = drafts.rules.get(index)?;
        let operator = match &draft.operator {
            None => RuleOperator::Always,
            Some(operator) => self.operator(operator).unwrap_or(RuleOperator::Never),
        };
        let negated = draft.operator.as_ref().is_some_and(|operator| operator.value.negated);
        let (targets, exclusions) = self.targets(draft);
        let effects = self.effects(draft);
        let skip_to = self.skip(draft);
        let status = draft.actions.iter().rev().find_map(|action| match action.value {
            Action::Status(status) => Some(status),
            _ => None,
        });
        let disruption = match &draft.disruption {
            DraftDisruption::Pass => Disruption::Pass,
            DraftDisruption::Deny => Disruption::Deny(status.unwrap_or(403)),
            DraftDisruption::Drop => Disruption::Drop(status.unwrap_or(403)),
            DraftDisruption::Allow(scope) => Disruption::Allow(*scope),
            DraftDisruption::Redirect(place) => Disruption::Redirect(
                status.filter(|status| (300..400).contains(status)).unwrap_or(302),
                self.text(place),
            ),
        };
        Some(Rule {
            id: draft.id,
            phase: draft.phase,
            place: self.place(draft),
            filter: None,
            prefiltered: false,
            targets: targets.into(),
            exclusions: exclusions.into(),
            operator,
            negated,
            chain: self.chain(draft),
            multi_match: draft.actions.iter().any(|action| action.value == Action::MultiMatch),
            capture: draft.actions.iter().any(|action| action.value == Action::Capture),
            effects: effects.into(),
            next: draft.next.and_then(|next| u32::try_from(next).ok()),
            feed: None,
            disruption,
            skip_to,
            report: self.report(draft),
        })
    }

    fn place(&self, draft: &Draft) -> RulePlace {
        let Some(source) = self.document.sources.get(draft.span.source as usize) else {
            return RulePlace::default();
        };
        let before = source.text.as_bytes().get(..draft.span.start as usize).unwrap_or_default();
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        RulePlace { source: source.name.as_str().into(), line: u32::try_from(line).unwrap_or(u32::MAX) }
    }

    fn operator(&mut self, located: &Located<OperatorText>) -> Option<RuleOperator> {
        let OperatorText { name, argument, .. } = &located.value;
        let has_macros = argument.contains("%{");
        if let Some(comparison) = Comparison::named(*name) {
            if !has_macros {
                return Some(RuleOperator::NumberFixed(comparison, leading_number(argument.as_bytes())));
            }
            let text = self.argument(located)?;
            return Some(RuleOperator::Number(comparison, text));
        }
        match name {
            OperatorName::UnconditionalMatch => return Some(RuleOperator::Always),
            OperatorName::NoMatch => return Some(RuleOperator::Never),
            _ => {}
        }
        if has_macros && matches!(name, OperatorName::Rx | OperatorName::RxGlobal) {
            return Some(RuleOperator::Formed(self.argument(located)?, FormedPatterns::default()));
        }
        if has_macros && takes_macros(*name) {
            let text = self.argument(located)?;
            return Some(RuleOperator::Expanded(*name, text));
        }
        let folder = self
            .document
            .sources
            .get(located.span.source as usize)
            .and_then(|source| source.folder.as_deref());
        match Operator::new(*name, argument, &Folder { folder, read: &self.data }) {
            Ok(operator) => Some(RuleOperator::Fixed(operator)),
            Err(error) => {
                self.problem(located.span, error.to_string());
                None
            }
        }
    }

    /// The argument of an operator as a text with macros.
    fn argument(&mut self, located: &Located<OperatorText>) -> Option<super::super::program::Text> {
        match crate::seclang::Template::parse(&located.value.argument) {
            Ok(template) => Some(self.text(&template)),
            Err(error) => {
                self.problem(located.span, error.to_string());
                None
            }
        }
    }

    fn targets(&mut self, draft: &Draft) -> (Vec<Target>, Vec<NamedTarget>) {
        let mut targets: Vec<Target> = Vec::new();
        let mut exclusions: Vec<NamedTarget> = Vec::new();
        for located in &draft.targets {
            let TargetText { variable, selector, count, exclude } = &located.value;
            let Some(selector) = self.selector(located, *variable, selector.as_ref()) else {
                continue;
            };
            if !exclude {
                targets.push(Target {
                    variable: *variable,
                    bases: if *variable == Variable::Xml {
                        xml_bases(&selector)
                    } else {
                        bases_of(*variable)
                    },
                    selector: if *variable == Variable::Xml { Selector::All } else { selector },
                    count: *count,
                    slots: Box::default(),
                });
            } else if matches!(selector, Selector::All) {
                targets.retain(|target| target.variable != *variable);
            } else {
                exclusions.push(self.taken_by_name(*variable, selector));
            }
        }
        (targets, exclusions)
    }

    /// What is taken out is told by its name, also where the rules that set it know its slot.
    pub(super) fn taken_by_name(&self, variable: Variable, selector: Selector) -> NamedTarget {
        let selector = match selector {
            Selector::Slot(slot) => Selector::Name(self.names.name(slot).into()),
            other => other,
        };
        NamedTarget { variable, selector }
    }

    pub(super) fn selector(
        &mut self,
        located: &Located<TargetText>,
        variable: Variable,
        selector: Option<&SelectorText>,
    ) -> Option<Selector> {
        match selector {
            None if variable == Variable::Xml => {
                self.problem(
                    located.span,
                    "XML needs a path: `XML:/*` for its text or `XML://@*` for its attributes",
                );
                None
            }
            None => Some(Selector::All),
            Some(SelectorText::Name(path)) if variable == Variable::Xml && path != "/*" && path != "//@*" => {
                self.problem(
                    located.span,
                    format!(
                        "the path `{path}` is not supported: `XML:/*` is the text, `XML://@*` the attributes"
                    ),
                );
                None
            }
            Some(SelectorText::Name(name)) if variable == Variable::Tx => {
                Some(Selector::Slot(self.names.intern(name)))
            }
            Some(SelectorText::Name(name)) => Some(Selector::Name(name.as_bytes().into())),
            Some(SelectorText::Pattern(pattern)) => match Pattern::new(&format!("(?i){pattern}")) {
                Ok(pattern) => Some(Selector::Pattern(pattern)),
                Err(error) => {
                    self.problem(located.span, error.to_string());
                    None
                }
            },
        }
    }

    fn chain(&mut self, draft: &Draft) -> ChainId {
        self.chains.intern(&draft.chain).unwrap_or_else(|| {
            self.problem(draft.span, "there are more than 65535 different sequences of transformations");
            ChainId::NONE
        })
    }

    fn skip(&mut self, draft: &Draft) -> Option<u32> {
        let mut skip_to = None;
        for action in &draft.actions {
            match &action.value {
                Action::SkipAfter(place) => {
                    skip_to = self.drafts.step_after(self.layout, draft.phase, place);
                    if skip_to.is_none() {
                        self.problem(
                            action.span,
                            format!(
                                "there is no marker or rule `{place}`; define it with `SecMarker {place}`"
                            ),
                        );
                    }
                }
                Action::Skip(count) => {
                    let steps = self.layout.phases.get(usize::from(draft.phase.clamp(1, 5)) - 1);
                    let own = steps.and_then(|steps| {
                        let heads = &self.drafts.rules;
                        steps.iter().position(|&rule| {
                            heads.get(rule as usize).is_some_and(|head| head.id == draft.id)
                        })
                    });
                    skip_to = own
                        .and_then(|own| u32::try_from(own).ok())
                        .map(|own| own.saturating_add(1).saturating_add(*count));
                }
                _ => {}
            }
        }
        skip_to
    }

    fn report(&mut self, draft: &Draft) -> Report {
        let mut report = Report { log: draft.log, audit: draft.audit, ..Report::default() };
        for action in &draft.actions {
            match &action.value {
                Action::Message(text) => report.message = Some(self.text(text)),
                Action::LogData(text) => report.data = Some(self.text(text)),
                Action::Tag(text) => {
                    let tag = self.text(text);
                    report.tags.push(tag);
                }
                Action::Severity(severity) => report.severity = Some(*severity),
                Action::Version(version) => report.version = Some(version.as_str().into()),
                Action::Revision(revision) => report.revision = Some(revision.as_str().into()),
                Action::Maturity(maturity) => report.maturity = Some(*maturity),
                Action::Accuracy(accuracy) => report.accuracy = Some(*accuracy),
                _ => {}
            }
        }
        report
    }
}

/// `XML:/*` is the text of the document, `XML://@*` its attributes.
fn xml_bases(selector: &Selector) -> &'static [super::super::items::Base] {
    use super::super::items::Base;
    match selector {
        Selector::Name(path) if &**path == b"//@*" => &[Base::XmlAttributes],
        _ => &[Base::Xml],
    }
}

/// Data files, by names relative to the folder of the rule file.
struct Folder<'a> {
    folder: Option<&'a std::path::Path>,
    /// What was read.
    read: &'a RefCell<Vec<DataFile>>,
}

impl DataFiles for Folder<'_> {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let path = self.folder.map_or_else(|| name.into(), |folder| folder.join(name));
        let bytes = read_file(&path)
            .map_err(|error| format!("the data file {} is not to be had: {error}", path.display()))?;
        self.read.borrow_mut().push(DataFile::new(path, &bytes));
        Ok(bytes)
    }
}
