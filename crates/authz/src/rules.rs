//! Policies as they come from their files: parsed, validated, annotated, with what they read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{
    EntityUid, Policy, PolicyId, PolicySet, Schema, ValidationError, ValidationMode, Validator,
};
use miette::Diagnostic;
use portcullis_core::problem::{Severity, nearest};
use portcullis_core::{Challenge, ConfigFolder, KeyPath, Problem, Problems};

use crate::annotations::Annotations;
use crate::reads::Reads;

/// One policy.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Its `@id`, or `file#n`.
    pub(crate) id: Arc<str>,
    /// The policy, under that id.
    pub(crate) policy: Policy,
    /// A permit that flags what it lets pass.
    pub(crate) audit: bool,
    /// A forbid that says what the caller lacks.
    pub(crate) challenge: Option<Challenge>,
    /// A sentence of its author.
    pub(crate) message: Option<Arc<str>>,
    /// What its conditions read.
    pub(crate) reads: Reads,
}

/// The place of a rule among all rules.
pub(crate) type RuleIndex = u32;

/// All policies in the order of the files.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
    by_id: HashMap<Arc<str>, RuleIndex>,
}

impl Rules {
    /// The rule at `index`.
    pub(crate) fn at(&self, index: RuleIndex) -> Option<&Rule> {
        self.rules.get(index as usize)
    }

    /// Every rule with its index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RuleIndex, &Rule)> {
        (0..).zip(&self.rules)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules of these ids, in the order of the files.
    pub(crate) fn by_ids<'i>(&self, ids: impl Iterator<Item = &'i PolicyId>) -> Vec<&Rule> {
        let mut indexes: Vec<_> = ids.filter_map(|id| self.by_id.get(AsRef::<str>::as_ref(id))).collect();
        indexes.sort_unstable();
        indexes.into_iter().filter_map(|&index| self.at(index)).collect()
    }
}

/// Reads policy files one after the other; every fault becomes a problem.
pub(crate) struct Loader<'l> {
    problems: &'l mut Problems,
    files: Vec<File>,
    rules: Rules,
    /// The file of each rule, and the offset of the policy in it.
    places: Vec<(usize, usize)>,
}

struct File {
    name: String,
    text: String,
    path: KeyPath,
}

impl<'l> Loader<'l> {
    pub(crate) fn new(problems: &'l mut Problems) -> Self {
        Self { problems, files: Vec::new(), rules: Rules::default(), places: Vec::new() }
    }

    /// Reads the file `name`, which the configuration names at `path`.
    pub(crate) fn load(&mut self, name: &str, folder: &ConfigFolder, path: KeyPath) {
        match folder.read(name) {
            Ok(text) => self.add(File { name: name.to_owned(), text, path }),
            Err(message) => {
                self.problems.error(&path, message);
            }
        }
    }

    fn add(&mut self, file: File) {
        let parsed: Result<PolicySet, _> = file.text.parse();
        match parsed {
            Err(errors) => {
                for error in errors.iter() {
                    self.problems.add(problem(&file, error));
                }
            }
            Ok(set) => {
                for template in set.templates() {
                    let at = file.text.find(&template.to_cedar()).unwrap_or_default();
                    let message = format!("{}: a template cannot be used", file.at(at));
                    self.problems
                        .error(&file.path, message)
                        .suggest("write a policy for each value, without `?principal` and `?resource`");
                }
                self.add_policies(&file, &set);
            }
        }
        self.files.push(file);
    }

    fn add_policies(&mut self, file: &File, set: &PolicySet) {
        let mut from = 0;
        for (number, policy) in (1..).zip(in_file_order(set)) {
            let source = policy.to_cedar().unwrap_or_default();
            let rest = file.text.get(from..).unwrap_or_default();
            let start = from + rest.find(&source).unwrap_or_default();
            from = start + source.len();
            self.add_policy(file, policy, number, start);
        }
    }

    fn add_policy(&mut self, file: &File, policy: &Policy, number: usize, start: usize) {
        let mut faults = Vec::new();
        let found = Annotations::read(policy, &mut faults);
        let id = found.id.unwrap_or_else(|| format!("{}#{number}", file.name).into());
        for fault in faults {
            let message = format!("{}: policy `{id}`: {}", file.at(start), fault.message);
            let problem = if fault.is_warning {
                self.problems.warning(&file.path, message)
            } else {
                self.problems.error(&file.path, message)
            };
            problem.suggest(fault.suggestion);
        }
        let index = RuleIndex::try_from(self.rules.rules.len()).unwrap_or(RuleIndex::MAX);
        if self.rules.by_id.contains_key(&id) {
            let message = format!("{}: the policy id `{id}` is taken", file.at(start));
            self.problems.error(&file.path, message).suggest("give each policy an `@id` of its own");
            return;
        }
        self.rules.by_id.insert(Arc::clone(&id), index);
        self.places.push((self.files.len(), start));
        self.rules.rules.push(Rule {
            policy: policy.new_id(PolicyId::new(&id)),
            id,
            audit: found.audit,
            challenge: found.challenge,
            message: found.message,
            reads: Reads::of(policy),
        });
    }

    /// Holds all policies against `schema`.
    pub(crate) fn validate(&mut self, schema: &Schema) {
        let policies = self.rules.rules.iter().map(|rule| rule.policy.clone());
        let Ok(set) = PolicySet::from_policies(policies) else { return };
        let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
        let errors = result
            .validation_errors()
            .map(|error| (error.policy_id(), error as &dyn Diagnostic, Severity::Error));
        // What is said of a policy that is wrong anyway only distracts.
        let wrong: HashSet<_> = result.validation_errors().map(ValidationError::policy_id).collect();
        let warnings = result
            .validation_warnings()
            .filter(|warning| !wrong.contains(warning.policy_id()))
            .map(|warning| (warning.policy_id(), warning as &dyn Diagnostic, Severity::Warning));
        let mut found: Vec<_> = errors
            .chain(warnings)
            .filter_map(|(id, diagnostic, severity)| {
                let (file, start) = self.place(id)?;
                let at = offset(diagnostic).unwrap_or(start);
                let problem = Problem { severity, ..problem(self.files.get(file)?, diagnostic) };
                Some(((file, at), problem))
            })
            .collect();
        // A policy is checked once for each kind of request; one report of a fault is enough.
        found.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.message.cmp(&y.message)));
        found.dedup_by(|(a, x), (b, y)| a == b && x.suggestion == y.suggestion);
        found.into_iter().for_each(|(_, problem)| self.problems.add(problem));
    }

    /// Refuses names of routes and services that do not exist: a misspelled forbid would forbid nothing.
    pub(crate) fn check_names(
        &mut self,
        known: &HashSet<EntityUid>,
        is_checked: impl Fn(&EntityUid) -> bool,
    ) {
        for ((file, start), rule) in self.places.iter().zip(&self.rules.rules) {
            let mut unknown: Vec<_> = rule
                .policy
                .entity_literals()
                .into_iter()
                .filter(|uid| is_checked(uid) && !known.contains(uid))
                .collect();
            unknown.sort_by_key(ToString::to_string);
            unknown.dedup();
            let Some(file) = self.files.get(*file) else { continue };
            for uid in unknown {
                let shown = uid.to_string();
                let within = file.text.get(*start..).and_then(|text| text.find(&shown)).unwrap_or_default();
                let message =
                    format!("{}: policy `{}`: there is no `{shown}`", file.at(start + within), rule.id);
                let same_type = known.iter().filter(|one| one.type_name() == uid.type_name());
                let mut names: Vec<_> = same_type.map(|one| one.id().unescaped()).collect();
                names.sort_unstable();
                let problem = self.problems.error(&file.path, message);
                if let Some(nearest) = nearest(uid.id().unescaped(), names.iter().copied()) {
                    problem.suggest(format!("did you mean `{}::\"{nearest}\"`?", uid.type_name()));
                } else {
                    problem.suggest("use the names of the configuration");
                }
            }
        }
    }

    /// The rules that could be read.
    pub(crate) fn finish(self) -> Rules {
        self.rules
    }

    /// The file of a policy and its offset in it.
    fn place(&self, id: &PolicyId) -> Option<(usize, usize)> {
        let index = *self.rules.by_id.get(AsRef::<str>::as_ref(id))?;
        self.places.get(index as usize).copied()
    }
}

impl File {
    /// The place of the byte at `offset`.
    fn at(&self, offset: usize) -> String {
        position(&self.name, &self.text, offset)
    }
}

/// Cedar numbers policies as they stand in the text: `policy0`, `policy1`…
fn in_file_order(set: &PolicySet) -> Vec<&Policy> {
    let number = |policy: &&Policy| {
        let id: &str = policy.id().as_ref();
        id.strip_prefix("policy").and_then(|number| number.parse::<usize>().ok())
    };
    let mut policies: Vec<_> = set.policies().collect();
    policies.sort_by_key(number);
    policies
}

/// Cedar's finding as a problem of the configuration.
fn problem(file: &File, found: &dyn Diagnostic) -> Problem {
    cedar_problem(&file.name, &file.text, &file.path, found)
}

/// What Cedar found in `text`, which was read from the file `name` that the configuration names at `path`.
pub(crate) fn cedar_problem(name: &str, text: &str, path: &KeyPath, found: &dyn Diagnostic) -> Problem {
    let message = match offset(found) {
        Some(offset) => format!("{}: {found}", position(name, text, offset)),
        None => format!("{name}: {found}"),
    };
    let suggestion = found.help().map(|help| help.to_string());
    Problem { severity: Severity::Error, path: path.clone(), message, suggestion }
}

/// Where in its text the fault is.
fn offset(found: &dyn Diagnostic) -> Option<usize> {
    found.labels()?.next().map(|label| label.offset())
}

/// `file:line:column`, both from 1, columns in characters.
fn position(name: &str, text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{name}:{line}:{column}")
}
