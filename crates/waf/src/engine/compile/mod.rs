//! From what rule files say to what the engine runs.

mod draft;
mod effects;
mod feeds;
mod rule;
mod specialise;
mod texts;

use std::cell::RefCell;

use crate::operator::Operator;
use crate::pattern::Ways;
use crate::seclang::{Action, Directive, Document, Located, Span, Target, Variable};

use super::bits::BitSet;
use super::chains::{ChainId, Chains};
use super::detect::{Exclusion, Which};
use super::items::Base;
use super::origin::DataFile;
use super::prefilter::{Filtered, Needs, Prefilter};
use super::program::{self, Program, Rule, RuleOperator, Selector};
use super::settings::Settings;
use super::tx::{Tx, TxNames};
use draft::{Defaults, Draft, Drafts};
pub(crate) use feeds::Feed;

/// Something wrong with rules that were understood word by word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) span: Span,
    pub(crate) message: String,
}

/// Compiles all directives of `document`, or tells everything that is wrong with them. The data files that they name come
/// beside the program.
pub(crate) fn compile(document: &Document) -> Result<(Program, Vec<DataFile>), Vec<Problem>> {
    let mut compilation = Compilation {
        document,
        settings: Settings::default(),
        defaults: Defaults::default(),
        excluded: Vec::new(),
        drafts: Drafts::default(),
        problems: Vec::new(),
    };
    for directive in &document.directives {
        compilation.directive(directive);
    }
    compilation.finish()
}

struct Compilation<'d> {
    document: &'d Document,
    settings: Settings,
    defaults: Defaults,
    /// What directives take out of rules that are not in the program.
    excluded: Vec<(Which, Vec<Located<Target>>)>,
    drafts: Drafts,
    problems: Vec<Problem>,
}

impl Compilation<'_> {
    fn directive(&mut self, directive: &Located<Directive>) {
        match &directive.value {
            Directive::Rule(rule) => {
                let draft = Draft::rule(rule, directive.span, &self.defaults);
                self.add(draft, directive.span, &rule.actions);
            }
            Directive::Action(actions) => {
                let draft = Draft::action(actions, directive.span, &self.defaults);
                self.add(draft, directive.span, actions);
            }
            Directive::Marker(name) => self.drafts.mark(name),
            Directive::DefaultAction(actions) => self.defaults.set(actions),
            Directive::RemoveById(ranges) => {
                self.exclude(ranges.iter().cloned().map(Which::Ids), &[]);
                self.drafts.remove(|draft| ranges.iter().any(|range| range.contains(&draft.id)));
            }
            Directive::RemoveByTag(pattern) => {
                let by_tag = self.pattern(directive.span, pattern).map(Which::Tags);
                self.exclude(by_tag, &[]);
                self.remove_by(directive.span, pattern, |draft, pattern| {
                    draft.tags.iter().any(|tag| pattern.is_match(tag.as_bytes()))
                });
            }
            Directive::RemoveByMsg(pattern) => self.remove_by(directive.span, pattern, |draft, pattern| {
                pattern.is_match(draft.message.as_bytes())
            }),
            Directive::UpdateTargetById(ranges, targets) => {
                self.exclude(ranges.iter().cloned().map(Which::Ids), targets);
                self.drafts
                    .update_targets(targets, |draft| ranges.iter().any(|range| range.contains(&draft.id)));
            }
            Directive::UpdateTargetByTag(pattern, targets) => {
                if let Some(pattern) = self.pattern(directive.span, pattern) {
                    self.exclude([Which::Tags(pattern.clone())], targets);
                    self.drafts.update_targets(targets, |draft| {
                        draft.tags.iter().any(|tag| pattern.is_match(tag.as_bytes()))
                    });
                }
            }
            Directive::UpdateTargetByMsg(pattern, targets) => {
                if let Some(pattern) = self.pattern(directive.span, pattern) {
                    self.drafts.update_targets(targets, |draft| pattern.is_match(draft.message.as_bytes()));
                }
            }
            Directive::UpdateActionById(id, link, actions) => {
                if !self.drafts.update_actions(*id, *link, actions, &self.defaults) {
                    self.problems.push(Problem {
                        span: directive.span,
                        message: format!("there is no rule {id} with a link {link} before this line; update a rule after the file that defines it is included"),
                    });
                }
            }
            other => self.setting(other),
        }
    }

    /// Remembers what is taken out of the built-in rules: all of it, or the targets that are excluded.
    fn exclude(&mut self, which: impl IntoIterator<Item = Which>, targets: &[Located<Target>]) {
        let excluded: Vec<_> = targets.iter().filter(|target| target.value.exclude).cloned().collect();
        if targets.is_empty() || !excluded.is_empty() {
            self.excluded.extend(which.into_iter().map(|which| (which, excluded.clone())));
        }
    }

    fn add(&mut self, draft: Draft, span: Span, actions: &[Located<Action>]) {
        let chained = actions.iter().any(|action| action.value == Action::Chain);
        if let Err(message) = self.drafts.add(draft, chained) {
            self.problems.push(Problem { span, message });
        }
    }

    fn setting(&mut self, directive: &Directive) {
        let settings = &mut self.settings;
        match directive {
            Directive::RuleEngine(mode) => settings.engine = *mode,
            Directive::RequestBodyAccess(on) => settings.request_body_access = *on,
            Directive::RequestBodyLimit(limit) => settings.request_body_limit = *limit,
            Directive::RequestBodyNoFilesLimit(limit) => settings.request_body_no_files_limit = *limit,
            Directive::RequestBodyLimitAction(action) => settings.request_body_limit_action = *action,
            Directive::RequestBodyJsonDepthLimit(limit) => settings.json_depth_limit = *limit,
            Directive::ArgumentsLimit(limit) => settings.arguments_limit = *limit,
            Directive::ArgumentSeparator(separator) => settings.argument_separator = *separator,
            Directive::ResponseBodyAccess(on) => settings.response_body_access = *on,
            Directive::ResponseBodyLimit(limit) => settings.response_body_limit = *limit,
            Directive::ResponseBodyLimitAction(action) => settings.response_body_limit_action = *action,
            Directive::ResponseBodyMimeType(types) => {
                settings.response_body_types.extend(types.iter().map(|kind| kind.to_ascii_lowercase()));
            }
            Directive::ResponseBodyMimeTypesClear => settings.response_body_types.clear(),
            Directive::ComponentSignature(signature) => settings.components.push(signature.clone()),
            Directive::CollectionTimeout(seconds) => settings.collection_timeout = *seconds,
            _ => {}
        }
    }

    fn remove_by(
        &mut self,
        span: Span,
        pattern: &str,
        matches: impl Fn(&Draft, &crate::pattern::Pattern) -> bool,
    ) {
        if let Some(pattern) = self.pattern(span, pattern) {
            self.drafts.remove(|draft| matches(draft, &pattern));
        }
    }

    fn pattern(&mut self, span: Span, pattern: &str) -> Option<crate::pattern::Pattern> {
        crate::pattern::Pattern::new(pattern)
            .map_err(|error| {
                self.problems.push(Problem { span, message: error.to_string() });
            })
            .ok()
    }

    fn finish(mut self) -> Result<(Program, Vec<DataFile>), Vec<Problem>> {
        let layout = self.drafts.layout();
        let mut building = Building {
            document: self.document,
            drafts: &self.drafts,
            layout: &layout,
            names: TxNames::default(),
            chains: Chains::default(),
            data: RefCell::default(),
            problems: std::mem::take(&mut self.problems),
        };
        let mut rules: Vec<Rule> = Vec::with_capacity(self.drafts.rules.len());
        for index in 0..self.drafts.rules.len() {
            if let Some(rule) = building.rule(index) {
                rules.push(rule);
            }
        }
        let exclusions = building.exclusions(std::mem::take(&mut self.excluded));
        if !building.problems.is_empty() {
            return Err(building.problems);
        }
        let Building { names, chains, data, .. } = building;
        let mut heads: Vec<u32> = layout.phases.iter().flatten().copied().collect();
        heads.sort_unstable();
        let mut program = Program {
            initial: Tx::empty(&names),
            heads,
            rules,
            phases: layout.phases,
            always: Default::default(),
            names,
            chains,
            prefilters: Default::default(),
            settings: self.settings,
            exclusions,
        };
        resolve_slots(&mut program);
        specialise::specialise(&mut program);
        feeds::find(&mut program);
        arrange(&mut program);
        Ok((program, data.into_inner()))
    }
}

/// Works out which named variables the patterns over `TX` take, once all names are known.
fn resolve_slots(program: &mut Program) {
    let names = &program.names;
    for target in program.rules.iter_mut().flat_map(|rule| &mut rule.targets) {
        if target.variable == Variable::Tx && !matches!(target.selector, Selector::Slot(_)) {
            target.slots = (0..u32::try_from(names.len()).unwrap_or(u32::MAX))
                .filter(|&slot| target.selector.takes(names.name(slot)))
                .collect();
        }
    }
}

/// Prepares what decides which rules run.
fn arrange(program: &mut Program) {
    let Program { rules, heads, phases, chains, .. } = &mut *program;
    let prefilters = [
        Prefilter::build(&filtered(rules, phases, &[0, 1], chains)),
        Prefilter::build(&filtered(rules, phases, &[2, 3], chains)),
    ];
    for &head in heads.iter() {
        if let Some(rule) = rules.get_mut(head as usize).filter(|rule| rule.filter.is_none()) {
            rule.prefiltered = matches!(rule.needs(), Some(Needs::Literals(_) | Needs::Bytes(_)));
        }
    }
    program.prefilters = prefilters;
    for (phase, set) in program.phases.iter().zip(&mut program.always) {
        *set = BitSet::with_bound(phase.len());
        for (step, &rule) in phase.iter().enumerate() {
            if program.rules.get(rule as usize).is_some_and(|rule| rule.filter.is_none()) {
                set.insert(step);
            }
        }
    }
}

/// Numbers the rules of some phases that look at values and nothing else, and lists what a prefilter needs to know of them.
fn filtered(rules: &mut [Rule], phases: &[Vec<u32>; 5], which: &[usize], chains: &Chains) -> Vec<Filtered> {
    let mut list = Vec::new();
    for &phase in which {
        for (step, &index) in phases.get(phase).into_iter().flatten().enumerate() {
            let Some(rule) = rules.get_mut(index as usize) else {
                continue;
            };
            let Some(needs) = rule.needs() else { continue };
            rule.filter = u32::try_from(list.len()).ok();
            rule.prefiltered = !matches!(needs, Needs::Nothing);
            list.push(Filtered {
                rule: index,
                phase,
                step,
                needs,
                plainly: rule.operator().and_then(Operator::plainly_required),
                ways: rule.operator().map_or_else(Ways::any, Operator::ways),
                chains: looked_after(rule, chains),
                bases: rule.targets.iter().flat_map(program::Target::named_bases).collect(),
            });
        }
    }
    list
}

impl Rule {
    /// What a value must hold for the rule to match; none when the rule looks at more than values.
    fn needs(&self) -> Option<Needs> {
        // Rules change the body processor while their phase runs, after its values were scanned.
        let fixed_values = self.targets.iter().all(|target| {
            !target.bases.is_empty() && !target.count && !target.bases.contains(&Base::ReqbodyProcessor)
        });
        match &self.operator {
            RuleOperator::Fixed(_) if fixed_values && self.negated => Some(Needs::Nothing),
            RuleOperator::Fixed(operator) if fixed_values => {
                Some(match (operator.required(), operator.needs()) {
                    (Some(literals), _) => Needs::Literals(literals),
                    (None, Some(bytes)) => Needs::Bytes(bytes),
                    (None, None) => Needs::Nothing,
                })
            }
            _ => None,
        }
    }
}

impl Rule {
    /// The operator that a value must satisfy for the rule to match.
    fn operator(&self) -> Option<&Operator> {
        match &self.operator {
            RuleOperator::Fixed(operator) if !self.negated => Some(operator),
            _ => None,
        }
    }
}

impl program::Target {
    /// Where it looks, and at which name if it is one.
    fn named_bases(&self) -> impl Iterator<Item = (Base, Option<Box<[u8]>>)> {
        let name = match &self.selector {
            Selector::Name(name) => Some(name),
            _ => None,
        };
        self.bases.iter().map(move |&base| (base, name.cloned()))
    }
}

/// The sequences of transformations after which a rule looks at a value.
fn looked_after(rule: &Rule, chains: &Chains) -> Vec<ChainId> {
    if rule.multi_match { chains.beginnings(rule.chain) } else { vec![rule.chain] }
}

/// What the rules are built with, one after the other.
struct Building<'d> {
    document: &'d Document,
    drafts: &'d Drafts,
    layout: &'d draft::Layout,
    names: TxNames,
    chains: Chains,
    /// The data files that were read.
    data: RefCell<Vec<DataFile>>,
    problems: Vec<Problem>,
}

impl Building<'_> {
    fn exclusions(&mut self, excluded: Vec<(Which, Vec<Located<Target>>)>) -> Vec<Exclusion> {
        let mut exclusions = Vec::new();
        for (which, targets) in excluded {
            match &*targets {
                [] => exclusions.push(Exclusion { which, target: None }),
                targets => {
                    for target in targets.iter().filter_map(|target| self.named(target)) {
                        exclusions.push(Exclusion { which: which.clone(), target: Some(target) });
                    }
                }
            }
        }
        exclusions
    }

    fn problem(&mut self, span: Span, message: impl Into<String>) {
        self.problems.push(Problem { span, message: message.into() });
    }
}
