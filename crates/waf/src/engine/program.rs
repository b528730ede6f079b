//! Rules as the engine runs them: numbers instead of names, grouped by phase.

use crate::operator::{Operator, OperatorName};
use crate::pattern::Pattern;
use crate::seclang::{AllowScope, BodyProcessorName, EngineMode, Variable};

use super::bits::BitSet;
use super::chains::{ChainId, Chains};
use super::compile::Feed;
use super::detect::{Exclusion, Which};
use super::formed::FormedPatterns;
use super::items::Base;
use super::prefilter::Prefilter;
use super::settings::Settings;
use super::tx::{Tx, TxNames};

/// Everything that was loaded.
#[derive(Debug)]
pub(crate) struct Program {
    /// Every rule, chain links included.
    pub(crate) rules: Vec<Rule>,
    /// The heads of all rules, in the order in which they were written.
    pub(crate) heads: Vec<u32>,
    /// The rules of each phase that can be reached, in order; links of chains are reached from their heads.
    pub(crate) phases: [Vec<u32>; 5],
    /// The steps of each phase that run whatever the prefilter says.
    pub(crate) always: [BitSet; 5],
    pub(crate) names: TxNames,
    /// The `TX` variables that the rules always begin with.
    pub(crate) initial: Tx,
    /// The sequences of transformations.
    pub(crate) chains: Chains,
    /// Phases 1 and 2, then phases 3 and 4.
    pub(crate) prefilters: [Prefilter; 2],
    pub(crate) settings: Settings,
    /// What the built-in rules do not look at.
    pub(crate) exclusions: Vec<Exclusion>,
}

/// A rule, or a link of a chain.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Of the head, for links.
    pub(crate) id: u32,
    /// 1 to 5.
    pub(crate) phase: u8,
    pub(crate) place: RulePlace,
    /// Bit in the prefilter's sets; none when the prefilter says nothing about it.
    pub(crate) filter: Option<u32>,
    /// Whether a value must hold something for it to match.
    pub(crate) prefiltered: bool,
    pub(crate) targets: Box<[Target]>,
    pub(crate) exclusions: Box<[NamedTarget]>,
    pub(crate) operator: RuleOperator,
    pub(crate) negated: bool,
    pub(crate) chain: ChainId,
    pub(crate) multi_match: bool,
    pub(crate) capture: bool,
    pub(crate) effects: Box<[Effect]>,
    /// The next link.
    pub(crate) next: Option<u32>,
    /// What it is there for, when that is nothing but the next link.
    pub(crate) feed: Option<Box<Feed>>,
    pub(crate) disruption: Disruption,
    /// The step of the same phase at which to go on after a match.
    pub(crate) skip_to: Option<u32>,
    pub(crate) report: Report,
}

/// Where a rule was written.
#[derive(Debug, Clone, Default)]
pub(crate) struct RulePlace {
    pub(crate) source: std::sync::Arc<str>,
    pub(crate) line: u32,
}

/// How a rule that matched is recorded.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) log: bool,
    pub(crate) audit: bool,
    pub(crate) message: Option<Text>,
    pub(crate) data: Option<Text>,
    pub(crate) tags: Vec<Text>,
    pub(crate) severity: Option<u8>,
    pub(crate) version: Option<Box<str>>,
    pub(crate) revision: Option<Box<str>>,
    pub(crate) maturity: Option<u8>,
    pub(crate) accuracy: Option<u8>,
}

/// What a rule looks at.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) variable: Variable,
    pub(crate) bases: &'static [Base],
    pub(crate) selector: Selector,
    pub(crate) count: bool,
    /// For a pattern over `TX`: the slots whose names it takes.
    pub(crate) slots: Box<[u32]>,
}

/// What of a collection.
#[derive(Debug)]
pub(crate) enum Selector {
    All,
    Name(Box<[u8]>),
    /// A `TX` variable with a slot.
    Slot(u32),
    Pattern(Pattern),
}

impl Selector {
    /// Whether it takes an item of that name.
    pub(crate) fn takes(&self, name: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Name(wanted) => wanted.eq_ignore_ascii_case(name),
            Self::Slot(_) => false,
            Self::Pattern(pattern) => pattern.is_match(name),
        }
    }
}

/// Items of a variable that are taken out.
#[derive(Debug)]
pub(crate) struct NamedTarget {
    pub(crate) variable: Variable,
    pub(crate) selector: Selector,
}

/// How a rule looks at a value.
#[derive(Debug)]
pub(crate) enum RuleOperator {
    Fixed(Operator),
    /// Its argument holds macros.
    Expanded(OperatorName, Text),
    /// A pattern that holds macros.
    Formed(Text, FormedPatterns),
    /// A comparison of numbers.
    Number(Comparison, Text),
    NumberFixed(Comparison, i64),
    /// `SecAction`, and `@unconditionalMatch`.
    Always,
    Never,
}

impl RuleOperator {
    /// Its argument, if that holds macros.
    pub(crate) const fn text(&self) -> Option<&Text> {
        match self {
            Self::Expanded(_, text) | Self::Formed(text, _) | Self::Number(_, text) => Some(text),
            Self::Fixed(_) | Self::NumberFixed(..) | Self::Always | Self::Never => None,
        }
    }
}

/// A comparison of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    AtLeast,
    MoreThan,
    AtMost,
    LessThan,
}

impl Comparison {
    pub(crate) const fn named(name: OperatorName) -> Option<Self> {
        Some(match name {
            OperatorName::Eq => Self::Equal,
            OperatorName::Ge => Self::AtLeast,
            OperatorName::Gt => Self::MoreThan,
            OperatorName::Le => Self::AtMost,
            OperatorName::Lt => Self::LessThan,
            _ => return None,
        })
    }

    pub(crate) const fn holds(self, value: i64, argument: i64) -> bool {
        match self {
            Self::Equal => value == argument,
            Self::AtLeast => value >= argument,
            Self::MoreThan => value > argument,
            Self::AtMost => value <= argument,
            Self::LessThan => value < argument,
        }
    }
}

/// Text with macros, its `TX` names resolved.
#[derive(Debug, Default)]
pub(crate) struct Text {
    pub(crate) parts: Box<[TextPart]>,
}

impl Text {
    /// The text, when there are no macros in it.
    pub(crate) fn fixed(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [TextPart::Fixed(text)] => Some(text),
            _ => None,
        }
    }
}

impl Text {
    /// The text as it was written.
    pub(crate) fn source(&self, program: &Program) -> String {
        use std::fmt::Write as _;
        let mut output = String::new();
        for part in &self.parts {
            let _ = match part {
                TextPart::Fixed(text) => output.write_str(text),
                TextPart::Slot(slot) => {
                    write!(output, "%{{tx.{}}}", String::from_utf8_lossy(program.names.name(*slot)))
                }
                TextPart::Variable(variable, None) => write!(output, "%{{{}}}", variable.name()),
                TextPart::Variable(variable, Some(name)) => write!(output, "%{{{}.{name}}}", variable.name()),
            };
        }
        output
    }
}

/// A part of a [`Text`].
#[derive(Debug)]
pub(crate) enum TextPart {
    Fixed(Box<str>),
    Slot(u32),
    Variable(Variable, Option<Box<str>>),
}

/// What a matching rule does besides deciding.
#[derive(Debug)]
pub(crate) enum Effect {
    SetTx(TxName, Change),
    SetPersistent(Variable, Text, Change),
    Expire(Variable, Text, Text),
    Open(Variable, Text),
    SetEnvironment(Box<str>, Text),
    Engine(EngineMode),
    BodyProcessor(BodyProcessorName),
    RequestBodyAccess(bool),
    ResponseBodyAccess(bool),
    ForceRequestBody(bool),
    Audit(bool),
    /// Takes out the rules of the set for the rest of the transaction.
    Remove(BitSet, Which),
    /// Takes items out of the rules of the set for the rest of the transaction.
    RemoveTarget(BitSet, Which, NamedTarget),
    Sanitise(NamedTarget),
}

/// The name of a `TX` variable.
#[derive(Debug)]
pub(crate) enum TxName {
    Slot(u32),
    Made(Text),
}

/// What `setvar` does.
#[derive(Debug)]
pub(crate) enum Change {
    Set(Text),
    SetNumber(i64),
    Add(Text),
    Subtract(Text),
    Unset,
}

/// What a matching rule decides.
#[derive(Debug)]
pub(crate) enum Disruption {
    Pass,
    Deny(u16),
    Drop(u16),
    Redirect(u16, Text),
    Allow(AllowScope),
}
