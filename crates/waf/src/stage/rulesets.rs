//! All rulesets of a configuration, and what routes make of them.

use std::collections::HashMap;
use std::path::PathBuf;

use portcullis_core::problem::nearest;
use portcullis_core::{ConfigFolder, KeyPath, Mode, Problems};

use super::generated::{self, Refinement};
use super::raw::{RawRuleset, RawScan, RawThresholds};
use super::scan::Scan;
use crate::builtin::{Detector, Settings};
use crate::engine::{LoadError, Ruleset};

/// The name of the rules that come with the gateway.
const BUILTIN: &str = "builtin";

/// All rulesets of a configuration. Combinations of a ruleset and a route's refinements are compiled when a route asks for
/// them, each once.
#[derive(Debug)]
pub struct Rulesets {
    definitions: Vec<Definition>,
    /// Where the rules that come with the gateway stand among the definitions.
    builtin: usize,
    compiled: HashMap<Combination, Option<Ruleset>>,
}

/// A ruleset, and what a route sets.
type Combination = (usize, Refinement);

#[derive(Debug)]
struct Definition {
    name: String,
    files: Vec<PathBuf>,
    rules: String,
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
    ) -> Self {
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
                refinement: Refinement {
                    paranoia: raw.paranoia,
                    thresholds: raw.thresholds,
                    exclude: raw.exclude.clone(),
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
            refinement: Refinement::default(),
            path: path.clone(),
            is_told: false,
            is_checked: true,
        });
        Self { definitions, builtin, compiled: HashMap::new() }
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
    /// ruleset is checked and not compiled for the route: rules take their time to load.
    #[must_use]
    pub fn scan(&mut self, raw: &RawScan, path: &KeyPath, is_sound: bool, problems: &mut Problems) -> Scan {
        let mode = raw.mode.unwrap_or(if raw.ruleset.is_some() { Mode::Enforce } else { Mode::Off });
        if mode == Mode::Off {
            return Scan::off();
        }
        let Some(name) = &raw.ruleset else {
            problems
                .error(&path.key("mode"), "there is nothing to scan with: no ruleset is named")
                .suggest("name one in `ruleset`, or write `mode: off`");
            return Scan::off();
        };
        let Some(number) = self.definitions.iter().position(|definition| definition.name == *name) else {
            let problem = problems.error(&path.key("ruleset"), format!("there is no ruleset named `{name}`"));
            match nearest(name, self.definitions.iter().map(|definition| definition.name.as_str())) {
                Some(known) => problem.suggest(format!("did you mean `{known}`?")),
                None => problem.suggest(
                    "define it under `rulesets`, or name `builtin`, the rules that come with the gateway",
                ),
            }
            return Scan::off();
        };
        generated::check(&raw.exclude, &path.key("exclude"), problems);
        if number == self.builtin {
            refuse_what_builtin_lacks(raw, path, problems);
        }
        if !is_sound || problems.has_errors() {
            self.check(number, problems);
            return Scan::off();
        }
        let ruleset = self.ruleset(number, raw, mode, problems);
        ruleset.map_or_else(Scan::off, |ruleset| Scan::new(mode, ruleset))
    }

    /// Loads the rulesets that no route asked for, to say what is wrong with them.
    pub fn check_unused(&mut self, problems: &mut Problems) {
        for number in 0..self.builtin {
            self.check(number, problems);
        }
    }

    fn ruleset(
        &mut self,
        number: usize,
        raw: &RawScan,
        mode: Mode,
        problems: &mut Problems,
    ) -> Option<Ruleset> {
        let definition = self.definitions.get_mut(number)?;
        let own = &definition.refinement;
        let refinement = Refinement {
            paranoia: raw.paranoia.or(own.paranoia),
            thresholds: RawThresholds {
                inbound: raw.thresholds.inbound.or(own.thresholds.inbound),
                outbound: raw.thresholds.outbound.or(own.thresholds.outbound),
            },
            exclude: own.exclude.iter().chain(&raw.exclude).cloned().collect(),
            is_shadow: mode == Mode::Shadow,
        };
        let combination = (number, refinement);
        if let Some(compiled) = self.compiled.get(&combination) {
            return compiled.clone();
        }
        let compiled = if number == self.builtin {
            definition.load_builtin(&combination.1, problems)
        } else {
            definition.load(&combination.1, problems)
        };
        self.compiled.insert(combination, compiled.clone());
        compiled
    }

    fn check(&mut self, number: usize, problems: &mut Problems) {
        if let Some(definition) = self.definitions.get_mut(number).filter(|definition| !definition.is_checked)
        {
            let refinement = definition.refinement.clone();
            let _ruleset = definition.load(&refinement, problems);
        }
    }
}

impl Definition {
    /// Loads the rules. What is wrong with them is told once.
    fn load(&mut self, refinement: &Refinement, problems: &mut Problems) -> Option<Ruleset> {
        let is_first = !std::mem::replace(&mut self.is_checked, true);
        if self.is_told {
            return None;
        }
        let inline = self.path.key("rules");
        let before = Ruleset::builder().text("(preamble)", generated::before(refinement));
        let with_files = self.files.iter().fold(before, |builder, file| builder.file(file));
        let loaded = with_files
            .text(inline.as_str(), &self.rules)
            .text("(exclusions)", generated::after(refinement))
            .build();
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
fn refuse_what_builtin_lacks(raw: &RawScan, path: &KeyPath, problems: &mut Problems) {
    if raw.paranoia.is_some() {
        problems
            .error(&path.key("paranoia"), "the ruleset `builtin` has no paranoia levels")
            .suggest("lower `thresholds.inbound` for more caution, or name another ruleset");
    }
    if raw.thresholds.outbound.is_some() {
        problems
            .error(&path.key("thresholds").key("outbound"), "the ruleset `builtin` does not look at answers")
            .suggest("leave it out, or name another ruleset");
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
