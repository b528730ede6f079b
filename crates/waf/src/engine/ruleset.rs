//! Loading: files and texts in, a compiled ruleset out.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::builtin::Detector;
use crate::seclang::{Blame, Diagnostic, Document, Errors, Parser};

use super::collections::PersistentCollections;
use super::origin::Origin;
use super::program::{Program, RuleOperator};
use super::settings::Settings;
use super::transaction::Transaction;
use super::working::Shelf;
use super::{Loaded, compile};

/// Loaded rules, compiled. Cheap to clone: clones share everything, persistent collections included.
#[derive(Debug, Clone)]
pub struct Ruleset {
    loaded: Arc<Loaded>,
    origin: Arc<Origin>,
    summaries: Arc<[RuleSummary]>,
    warnings: Arc<[String]>,
}

/// Everything that is wrong with rules. Shown, each is `file:line:column: message`, the line and a caret under the place.
#[derive(Debug)]
pub struct LoadError {
    errors: Errors,
}

impl fmt::Display for LoadError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.errors.fmt(to)
    }
}

impl std::error::Error for LoadError {}

impl LoadError {
    /// Each thing that is wrong, on its own.
    pub fn reports(&self) -> impl Iterator<Item = String> + '_ {
        self.errors.diagnostics.iter().map(|diagnostic| diagnostic.report(&self.errors.document).to_string())
    }
}

/// What a list of rules shows of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSummary {
    /// Its id.
    pub id: u32,
    /// Its phase, 1 to 5.
    pub phase: u8,
    /// `msg` as it was written.
    pub message: String,
    /// `tag`s as they were written.
    pub tags: Vec<String>,
    /// `severity`, 0 (emergency) to 7 (debug).
    pub severity: Option<u8>,
    /// The file that holds it.
    pub file: String,
    /// Its line there.
    pub line: u32,
    /// Links of its chain, itself included.
    pub links: usize,
    /// Whether the prefilter can rule it out; the others are evaluated on every request that reaches them.
    pub prefiltered: bool,
    /// Whether a pattern of it needs look-around or back-references and so runs under a step budget.
    pub backtracks: bool,
}

/// What to load, in order.
#[derive(Debug, Default)]
pub struct Builder {
    parts: Vec<Part>,
    detector: Option<Detector>,
    collections: PersistentCollections,
}

#[derive(Debug)]
enum Part {
    File(PathBuf),
    Text(String, String, Option<PathBuf>),
}

impl Builder {
    /// A rule file; its name may hold `*` and `?`.
    #[must_use]
    pub fn file(mut self, file: impl Into<PathBuf>) -> Self {
        self.parts.push(Part::File(file.into()));
        self
    }

    /// Rules as text; `name` stands for the file in messages.
    #[must_use]
    pub fn text(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.parts.push(Part::Text(name.into(), text.into(), None));
        self
    }

    /// Rules as text, that name other files relative to `folder`.
    #[must_use]
    pub fn text_in(
        mut self,
        name: impl Into<String>,
        text: impl Into<String>,
        folder: impl Into<PathBuf>,
    ) -> Self {
        self.parts.push(Part::Text(name.into(), text.into(), Some(folder.into())));
        self
    }

    /// The built-in ruleset, which then runs beside the rules: over the same values, after them.
    #[must_use]
    pub fn detector(mut self, detector: Detector) -> Self {
        self.detector = Some(detector);
        self
    }

    /// Persistent collections that are there already, instead of empty ones.
    #[must_use]
    pub fn collections(mut self, collections: PersistentCollections) -> Self {
        self.collections = collections;
        self
    }

    /// Reads and compiles everything.
    ///
    /// # Errors
    /// All that is wrong with the rules.
    pub fn build(self) -> Result<Ruleset, LoadError> {
        self.build_or_reuse(None)
    }

    /// Like [`build`](Self::build); but where `earlier` was made of the same texts and data files, it is given back: reading
    /// rules takes a fraction of the time that compiling them does. It keeps its own detector and collections.
    ///
    /// # Errors
    /// All that is wrong with the rules.
    pub fn build_or_reuse(self, earlier: Option<&Ruleset>) -> Result<Ruleset, LoadError> {
        let mut parser = Parser::new();
        for part in self.parts {
            parser = match part {
                Part::File(file) => parser.file(&file),
                Part::Text(name, text, folder) => parser.text(&name, &text, folder.as_deref()),
            };
        }
        let parsed = parser.finish().map_err(|errors| LoadError { errors })?;
        if let Some(earlier) = earlier.filter(|earlier| earlier.origin.is_of(&parsed.document)) {
            return Ok(earlier.clone());
        }
        let warnings =
            parsed.warnings.iter().map(|warning| warning.report(&parsed.document).to_string()).collect();
        match compile::compile(&parsed.document) {
            Ok((program, data)) => {
                let origin = Arc::new(Origin::new(&parsed.document, data));
                let summaries = summaries(&program);
                let loaded = Loaded {
                    program,
                    collections: self.collections,
                    detector: self.detector,
                    states: Shelf::default(),
                    working: Shelf::default(),
                    memos: Default::default(),
                };
                Ok(Ruleset { loaded: Arc::new(loaded), origin, summaries, warnings })
            }
            Err(problems) => Err(LoadError { errors: failed(parsed.document, problems) }),
        }
    }
}

fn failed(document: Document, problems: Vec<compile::Problem>) -> Errors {
    Errors {
        diagnostics: problems
            .into_iter()
            .map(|problem| Diagnostic::new(Blame::Value, problem.message, problem.span))
            .collect(),
        document,
    }
}

impl Ruleset {
    /// What to load, piece by piece.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Loads rule files in order; a name may hold `*` and `?`.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn from_files(files: &[&Path]) -> Result<Self, LoadError> {
        files.iter().fold(Self::builder(), |builder, file| builder.file(*file)).build()
    }

    #[cfg(test)]
    pub(super) fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Begins the transaction of one request.
    #[must_use]
    pub fn transaction(&self, client: SocketAddr, server: SocketAddr, now: SystemTime) -> Transaction {
        Transaction::begin(Arc::clone(&self.loaded), client, server, now)
    }

    /// Whether both are one compiled program: one is a clone of the other, or was reused in its stead.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.loaded, &other.loaded)
    }

    /// Every rule, in order.
    #[must_use]
    pub fn rules(&self) -> &[RuleSummary] {
        &self.summaries
    }

    /// What was loaded but has no effect here, with its place.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What the directives other than rules set.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.loaded.program.settings
    }
}

fn summaries(program: &Program) -> Arc<[RuleSummary]> {
    program
        .heads
        .iter()
        .filter_map(|&index| program.rules.get(index as usize))
        .map(|rule| {
            let chain: Vec<_> = std::iter::successors(Some(rule), |link| {
                link.next.and_then(|next| program.rules.get(next as usize))
            })
            .collect();
            RuleSummary {
                id: rule.id,
                phase: rule.phase,
                message: rule.report.message.as_ref().map(|text| text.source(program)).unwrap_or_default(),
                tags: rule.report.tags.iter().map(|tag| tag.source(program)).collect(),
                severity: rule.report.severity,
                file: rule.place.source.to_string(),
                line: rule.place.line,
                links: chain.len(),
                prefiltered: rule.prefiltered,
                backtracks: chain.iter().any(
                    |link| matches!(&link.operator, RuleOperator::Fixed(operator) if operator.backtracks()),
                ),
            }
        })
        .collect()
}
