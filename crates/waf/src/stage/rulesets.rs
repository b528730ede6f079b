//! All rulesets of a configuration, and what routes make of them.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_core::problem::nearest;
use portcullis_core::{ConfigFolder, KeyPath, Mode, Problems};

use super::generated::{self, Refinement};
use super::raw::{
    RawRefinedRuleset, RawRouteRuleset, RawRouteRulesets, RawRouteThresholds, RawRuleset, RawScan, TooComplex,
};
use super::scan::{Plan, Scan};
use crate::builtin::{Detector, Family, Settings};
use crate::engine::{LoadError, PersistentCollections, Ruleset};

/// The name of the rules that come with the gateway.
pub(super) const BUILTIN: &str = "builtin";

/// All rulesets of a configuration. Combinations of a ruleset and a route's refinements are compiled when a route asks for
/// them, each once.
#[derive(Debug)]
pub struct Rulesets {
    definitions: Vec<Definition>,
    /// Where the rules that come with the gateway stand among the definitions.
    builtin: usize,
    compiled: HashMap<Combination, Option<Ruleset>>,
    /// Those of the configuration that is in force.
    earlier: KeptRulesets,
    /// The persistent collections of each ruleset, by its name: those of the configuration in force go on.
    collections: HashMap<String, PersistentCollections>,
}

/// A ruleset, and what a route sets.
type Combination = (usize, Refinement);

/// What of the rulesets of a configuration is kept for the one that follows it: rules that did not change are not compiled
/// again, and persistent collections go on. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct KeptRulesets {
    compiled: Arc<HashMap<(String, Refinement), Ruleset>>,
    collections: HashMap<String, PersistentCollections>,
}

/// A ruleset as a route wants it.
#[derive(Debug)]
struct Wanted {
    number: usize,
    mode: Mode,
    refinement: Refinement,
}

#[derive(Debug)]
struct Definition {
    name: String,
    files: Vec<PathBuf>,
    rules: String,
    /// Where files are that the rules name.
    folder: PathBuf,
    refinement: Refinement,
    path: KeyPath,
    /// Whether what is wrong with the rules themselves was told.
    is_told: bool,
    is_checked: bool,
}

impl Rulesets {
    /// Reads the definitions; what is wrong goes to `problems`. Rules are only loaded by [`Self::scan`] and [`Self::check_unused`].
    #[must_use]
    pub fn compile(
        raw: &[RawRuleset],
        folder: &ConfigFolder,
        path: &KeyPath,
        problems: &mut Problems,
        earlier: Option<&KeptRulesets>,
    ) -> Self {
        let earlier = earlier.cloned().unwrap_or_default();
        let mut definitions: Vec<Definition> = Vec::new();
        for (index, raw) in raw.iter().enumerate() {
            let path = path.index(index);
            check_name(&raw.name, &definitions, &path.key("name"), problems);
            if raw.files.is_empty() && raw.rules.trim().is_empty() {
                problems
                    .error(&path, format!("the ruleset `{}` has no rules", raw.name))
                    .suggest("name `files`, or write `rules`");
            }
            generated::check(&raw.exclude, &path.key("exclude"), problems);
            definitions.push(Definition {
                name: raw.name.clone(),
                files: raw.files.iter().map(|file| folder.resolve(file)).collect(),
                rules: raw.rules.clone(),
                folder: folder.resolve("."),
                refinement: Refinement {
                    paranoia: raw.paranoia,
                    thresholds: raw.thresholds,
                    families: BTreeMap::new(),
                    exclude: raw.exclude.clone(),
                    too_complex: TooComplex::default(),
                    is_shadow: false,
                },
                path,
                is_told: false,
                is_checked: false,
            });
        }
        let builtin = definitions.len();
        definitions.push(Definition {
            name: BUILTIN.to_owned(),
            files: Vec::new(),
            rules: String::new(),
            folder: PathBuf::new(),
            refinement: Refinement::default(),
            path: path.clone(),
            is_told: false,
            is_checked: true,
        });
        let collections = definitions
            .iter()
            .map(|definition| {
                let kept = earlier.collections.get(&definition.name);
                (definition.name.clone(), kept.cloned().unwrap_or_default())
            })
            .collect();
        Self { definitions, builtin, compiled: HashMap::new(), earlier, collections }
    }

    /// What the configuration that follows may use.
    #[must_use]
    pub fn keep(self) -> KeptRulesets {
        let Self { definitions, compiled, collections, .. } = self;
        let compiled = compiled.into_iter().filter_map(|((number, refinement), ruleset)| {
            Some(((definitions.get(number)?.name.clone(), refinement), ruleset?))
        });
        KeptRulesets { compiled: Arc::new(compiled.collect()), collections }
    }

    /// The names of all rulesets, in the order of the configuration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.definitions.iter().take(self.builtin).map(|definition| definition.name.as_str())
    }

    #[cfg(test)]
    pub(super) fn combinations(&self) -> usize {
        self.compiled.len()
    }

    /// Compiles how a route is scanned; what is wrong goes to `problems`. Where the configuration is not sound anyway, the
    /// rulesets are checked and not compiled for the route: rules take their time to load.
    #[must_use]
    pub fn scan(&mut self, raw: &RawScan, path: &KeyPath, is_sound: bool, problems: &mut Problems) -> Scan {
        if raw.mode == Mode::Off {
            return Scan::off();
        }
        generated::check(&raw.exclude, &path.key("exclude"), problems);
        let wanted = self.wanted(raw, path, problems);
        self.refuse_what_no_ruleset_has(raw, &wanted, path, problems);
        if !is_sound || problems.has_errors() {
            wanted.iter().for_each(|wanted| self.check(wanted.number, problems));
            return Scan::off();
        }
        let plans = wanted.into_iter().filter_map(|wanted| {
            let ruleset = self.ruleset(wanted.number, wanted.refinement, problems)?;
            let name = self.definitions.get(wanted.number)?.name.as_str().into();
            Some(Plan { name, mode: wanted.mode, ruleset, is_builtin: wanted.number == self.builtin })
        });
        let plans = plans.collect();
        Scan::new(plans)
    }

    /// The rulesets that a route names, but for those that are off here.
    fn wanted(&self, raw: &RawScan, path: &KeyPath, problems: &mut Problems) -> Vec<Wanted> {
        let path = path.key("ruleset");
        let list = match &raw.ruleset {
            RawRouteRulesets::One(name) => {
                let own = RawRefinedRuleset { name: name.clone(), ..RawRefinedRuleset::default() };
                return self.wanted_one(raw, &own, &path, &path, problems).into_iter().collect();
            }
            RawRouteRulesets::Several(list) => list,
        };
        if list.is_empty() {
            problems
                .error(&path, "there is nothing to scan with: no ruleset is named")
                .suggest("name one, or write `mode: off`");
        }
        let mut found: Vec<Wanted> = Vec::new();
        for (index, entry) in list.iter().enumerate() {
            let place = path.index(index);
            let (own, name_place) = match entry {
                RawRouteRuleset::Name(name) => {
                    (RawRefinedRuleset { name: name.clone(), ..RawRefinedRuleset::default() }, place.clone())
                }
                RawRouteRuleset::Refined(refined) => (refined.clone(), place.key("name")),
            };
            if list.iter().take(index).any(|earlier| *earlier.name() == own.name) {
                problems
                    .error(&name_place, format!("the ruleset `{}` is named twice", own.name))
                    .suggest("name each once; to run the same rules in two ways define another ruleset");
                continue;
            }
            found.extend(self.wanted_one(raw, &own, &place, &name_place, problems));
        }
        found
    }

    /// One ruleset of a route, if it is there and not off.
    fn wanted_one(
        &self,
        raw: &RawScan,
        own: &RawRefinedRuleset,
        path: &KeyPath,
        name_path: &KeyPath,
        problems: &mut Problems,
    ) -> Option<Wanted> {
        let name = &own.name;
        let Some(number) = self.definitions.iter().position(|definition| definition.name == *name) else {
            let problem = problems.error(name_path, format!("there is no ruleset named `{name}`"));
            match nearest(name, self.definitions.iter().map(|definition| definition.name.as_str())) {
                Some(known) => problem.suggest(format!("did you mean `{known}`?")),
                None => problem.suggest(
                    "define it under `rulesets`, or name `builtin`, the rules that come with the gateway",
                ),
            }
            return None;
        };
        generated::check(&own.exclude, &path.key("exclude"), problems);
        if number == self.builtin {
            refuse_what_builtin_lacks(own.paranoia, &own.thresholds, path, problems);
            check_families(&own.thresholds, path, problems);
        }
        let mode = own.mode.unwrap_or(raw.mode);
        let defined = &self.definitions.get(number)?.refinement;
        let thresholds = own.thresholds.or(&raw.thresholds);
        if number != self.builtin {
            refuse_families(&own.thresholds, path, problems);
        }
        let refinement = Refinement {
            paranoia: own.paranoia.or(raw.paranoia).or(defined.paranoia),
            thresholds: thresholds.anomaly().or(&defined.thresholds),
            families: if number == self.builtin { thresholds.families } else { BTreeMap::new() },
            exclude: [&defined.exclude, &raw.exclude, &own.exclude].into_iter().flatten().cloned().collect(),
            // Others know no such thing, and need not be compiled for each.
            too_complex: if number == self.builtin { raw.too_complex } else { TooComplex::default() },
            is_shadow: mode == Mode::Shadow,
        };
        (mode != Mode::Off).then_some(Wanted { number, mode, refinement })
    }

    /// What is written for all rulesets of a route must concern one of them.
    fn refuse_what_no_ruleset_has(
        &self,
        raw: &RawScan,
        wanted: &[Wanted],
        path: &KeyPath,
        problems: &mut Problems,
    ) {
        check_families(&raw.thresholds, path, problems);
        if wanted.iter().all(|wanted| wanted.number == self.builtin) && !wanted.is_empty() {
            refuse_what_builtin_lacks(raw.paranoia, &raw.thresholds, path, problems);
        }
        if wanted.iter().all(|wanted| wanted.number != self.builtin) {
            refuse_families(&raw.thresholds, path, problems);
        }
    }

    /// Loads the rulesets that no route asked for, to say what is wrong with them.
    pub fn check_unused(&mut self, problems: &mut Problems) {
        for number in 0..self.builtin {
            self.check(number, problems);
        }
    }

    fn ruleset(&mut self, number: usize, refinement: Refinement, problems: &mut Problems) -> Option<Ruleset> {
        let definition = self.definitions.get_mut(number)?;
        let combination = (number, refinement);
        if let Some(compiled) = self.compiled.get(&combination) {
            return compiled.clone();
        }
        let (_, refinement) = &combination;
        let earlier = self.earlier.compiled.get(&(definition.name.clone(), refinement.clone()));
        let compiled = if number == self.builtin {
            // Nothing outside of the gateway has a part in it.
            earlier.cloned().or_else(|| definition.load_builtin(refinement, problems))
        } else {
            let collections = self.collections.get(&definition.name).cloned().unwrap_or_default();
            definition.load(refinement, collections, earlier, problems)
        };
        self.compiled.insert(combination, compiled.clone());
        compiled
    }

    fn check(&mut self, number: usize, problems: &mut Problems) {
        if let Some(definition) = self.definitions.get(number).filter(|definition| !definition.is_checked) {
            let refinement = definition.refinement.clone();
            let _ruleset = self.ruleset(number, refinement, problems);
        }
    }
}

impl Definition {
    /// Loads the rules. What is wrong with them is told once.
    fn load(
        &mut self,
        refinement: &Refinement,
        collections: PersistentCollections,
        earlier: Option<&Ruleset>,
        problems: &mut Problems,
    ) -> Option<Ruleset> {
        let is_first = !std::mem::replace(&mut self.is_checked, true);
        if self.is_told {
            return None;
        }
        let inline = self.path.key("rules");
        let before = Ruleset::builder().text("(preamble)", generated::before(refinement));
        let with_files = self.files.iter().fold(before, |builder, file| builder.file(file));
        let loaded = with_files
            .text_in(inline.as_str(), &self.rules, &self.folder)
            .text("(exclusions)", generated::after(refinement))
            .collections(collections)
            .build_or_reuse(earlier);
        match loaded {
            Ok(ruleset) => {
                for warning in ruleset.warnings().iter().filter(|_| is_first) {
                    problems.warning(
                        &self.path,
                        format!("in the rules of `{}`:\n{}", self.name, warning.trim_end()),
                    );
                }
                Some(ruleset)
            }
            Err(error) => {
                self.tell(&error, problems);
                None
            }
        }
    }

    /// Loads the rules that come with the gateway, with the exclusions around them.
    fn load_builtin(&mut self, refinement: &Refinement, problems: &mut Problems) -> Option<Ruleset> {
        let mut settings = Settings::default();
        if let Some(score) = refinement.thresholds.inbound {
            settings.threshold = u16::try_from(score).unwrap_or(u16::MAX);
        }
        settings.families = refinement
            .families
            .iter()
            .filter_map(|(name, score)| {
                Some((Family::named(name)?, u16::try_from(*score).unwrap_or(u16::MAX)))
            })
            .collect();
        settings.refuses_complex = refinement.too_complex == TooComplex::Refuse;
        let loaded = Ruleset::builder()
            .detector(Detector::new(settings))
            .text("(preamble)", generated::before(refinement))
            .text("(exclusions)", generated::after(refinement))
            .build();
        loaded.map_err(|error| self.tell(&error, problems)).ok()
    }

    fn tell(&mut self, error: &LoadError, problems: &mut Problems) {
        self.is_told = true;
        let inline = self.path.key("rules");
        // A report begins with the name of its text, which for what stands in the configuration is its key.
        let of_inline = format!("{inline}:");
        for report in error.reports() {
            let report = report.trim_end();
            let is_inline = report.starts_with(&of_inline);
            let key =
                if is_inline || self.files.is_empty() { inline.clone() } else { self.path.key("files") };
            problems.error(&key, report);
        }
    }
}

/// The built-in rules have no levels of paranoia, and look at requests only.
fn refuse_what_builtin_lacks(
    paranoia: Option<u8>,
    thresholds: &RawRouteThresholds,
    path: &KeyPath,
    problems: &mut Problems,
) {
    if paranoia.is_some() {
        problems
            .error(&path.key("paranoia"), "the ruleset `builtin` has no paranoia levels")
            .suggest("lower `thresholds.inbound` for more caution, or name another ruleset");
    }
    if thresholds.outbound.is_some() {
        problems
            .error(&path.key("thresholds").key("outbound"), "the ruleset `builtin` does not look at answers")
            .suggest("leave it out, or name another ruleset");
    }
}

/// Only the built-in rules have families.
fn refuse_families(thresholds: &RawRouteThresholds, path: &KeyPath, problems: &mut Problems) {
    if !thresholds.families.is_empty() {
        problems
            .error(&path.key("thresholds").key("families"), "only the ruleset `builtin` has families")
            .suggest("leave them out, or name `builtin`");
    }
}

fn check_families(thresholds: &RawRouteThresholds, path: &KeyPath, problems: &mut Problems) {
    for (name, score) in &thresholds.families {
        let place = path.key("thresholds").key("families").key(name);
        if Family::named(name).is_none() {
            let problem = problems.error(&place, format!("there is no family named `{name}`"));
            match nearest(name, Family::ALL.iter().map(|family| family.name())) {
                Some(known) => problem.suggest(format!("did you mean `{known}`?")),
                None => problem.suggest("`portcullis waf rules --builtin` names them"),
            }
        } else if *score == 0 {
            problems.error(&place, "a score of 0 refuses everything").suggest("write at least 1");
        }
    }
}

fn check_name(name: &str, earlier: &[Definition], path: &KeyPath, problems: &mut Problems) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
        problems
            .error(path, format!("`{name}` is not a name for a ruleset"))
            .suggest("use letters, digits and `-_.`, at most 64 of them");
    } else if name == BUILTIN {
        problems
            .error(path, "`builtin` is the name of the rules that come with the gateway")
            .suggest("choose another name");
    } else if earlier.iter().any(|other| other.name == name) {
        problems
            .error(path, format!("there is another ruleset named `{name}`"))
            .suggest("give each a name of its own");
    }
}
