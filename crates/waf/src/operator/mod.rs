//! Operators: how a rule looks at a value. Semantics are those of libmodsecurity 3.

mod addresses;
mod byte_range;
mod compare;
mod encoding;
mod first_words;
mod identity;
mod phrases;
mod plain_words;
mod sqli;
mod xss;

named! {
    /// An operator, by its name in ModSecurity's reference manual, without the `@`.
    OperatorName {
        BeginsWith "beginsWith",
        Contains "contains",
        ContainsWord "containsWord",
        DetectSqli "detectSQLi",
        DetectXss "detectXSS",
        EndsWith "endsWith",
        Eq "eq",
        Ge "ge",
        GeoLookup "geoLookup",
        Gt "gt",
        IpMatch "ipMatch",
        IpMatchFromFile "ipMatchFromFile" | "ipMatchF",
        Le "le",
        Lt "lt",
        NoMatch "noMatch",
        Pm "pm",
        PmFromFile "pmFromFile" | "pmf",
        Rbl "rbl",
        Rx "rx",
        RxGlobal "rxGlobal",
        StrEq "streq",
        StrMatch "strmatch",
        UnconditionalMatch "unconditionalMatch",
        ValidateByteRange "validateByteRange",
        ValidateUrlEncoding "validateUrlEncoding",
        ValidateUtf8Encoding "validateUtf8Encoding",
        VerifyCc "verifyCC",
        VerifyCpf "verifyCPF",
        VerifySsn "verifySSN",
        VerifySvnr "verifySVNR",
        Within "within",
    }
}

pub use compare::{compare_expanded, takes_macros};

use crate::named::named;
use crate::pattern::{ByteSet, Captures, Outcome, Pattern, PatternError, Ways};
use addresses::Addresses;
use identity::Identity;
use phrases::Phrases;
use smallvec::SmallVec;

/// Where operators that name a file find it.
pub trait DataFiles {
    /// The content of the file that a rule names.
    ///
    /// # Errors
    /// A message that says which file could not be read and why.
    fn read(&self, name: &str) -> Result<Vec<u8>, String>;
}

/// An operator with its argument, ready to look at values.
#[derive(Debug)]
pub struct Operator {
    name: OperatorName,
    compiled: Compiled,
}

#[derive(Debug)]
enum Compiled {
    /// Matches nothing or everything.
    Constant(bool),
    Pattern(Pattern),
    Phrases(Phrases),
    Addresses(Addresses),
    /// The bytes that may occur.
    Bytes(ByteSet),
    Identity(Identity),
    Text(Box<[u8]>),
    /// It has no argument.
    Alone,
}

/// An argument that an operator cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OperatorError {
    /// What is wrong and what would be right.
    pub message: String,
    /// Where in the argument, in bytes.
    pub offset: usize,
}

impl OperatorError {
    fn new(message: impl Into<String>, offset: usize) -> Self {
        Self { message: message.into(), offset }
    }
}

impl From<PatternError> for OperatorError {
    fn from(PatternError { message, offset }: PatternError) -> Self {
        Self { message, offset }
    }
}

/// What was found where it is no part of the value: the fingerprint of `detectSQLi`.
pub type Fingerprint = SmallVec<[u8; 8]>;

impl Operator {
    /// An operator with an argument that holds no macros.
    ///
    /// # Errors
    /// When the operator cannot take the argument.
    pub fn new(name: OperatorName, argument: &str, files: &dyn DataFiles) -> Result<Self, OperatorError> {
        use OperatorName as Name;
        let compiled = match name {
            // Without a database of places, and without asking the network, nothing is found; the parser warns of it.
            Name::NoMatch | Name::GeoLookup | Name::Rbl => Compiled::Constant(false),
            Name::UnconditionalMatch => Compiled::Constant(true),
            Name::Rx | Name::RxGlobal => Compiled::Pattern(Pattern::new(argument)?),
            Name::Pm => Compiled::Phrases(Phrases::parse(argument)?),
            Name::PmFromFile => Compiled::Phrases(Phrases::read(argument, files)?),
            Name::IpMatch => Compiled::Addresses(Addresses::parse(argument)?),
            Name::IpMatchFromFile => Compiled::Addresses(Addresses::read(argument, files)?),
            Name::ValidateByteRange => Compiled::Bytes(byte_range::parse(argument)?),
            Name::VerifyCc | Name::VerifyCpf | Name::VerifySsn | Name::VerifySvnr => {
                Compiled::Identity(Identity::new(name, argument)?)
            }
            Name::DetectSqli | Name::DetectXss | Name::ValidateUrlEncoding | Name::ValidateUtf8Encoding => {
                Compiled::Alone
            }
            Name::BeginsWith
            | Name::Contains
            | Name::ContainsWord
            | Name::EndsWith
            | Name::Eq
            | Name::Ge
            | Name::Gt
            | Name::Le
            | Name::Lt
            | Name::StrEq
            | Name::StrMatch
            | Name::Within => Compiled::Text(argument.as_bytes().into()),
        };
        Ok(Self { name, compiled })
    }

    /// Whether `value` satisfies the operator (negation is the caller's). What it captured goes to `captures`, which is cleared
    /// first: the groups of a pattern, or the phrase that was found, or the number that was verified, or for `detectXSS`
    /// the value. The fingerprint of `detectSQLi` is no part of the value: [`Self::fingerprint`] has it. `capture` tells
    /// whether anybody wants them.
    pub fn matches(&self, value: &[u8], capture: bool, captures: &mut Captures) -> bool {
        self.evaluate(value, capture, captures) == Outcome::Match
    }

    /// As [`Self::matches`], and tells when a pattern's budget was exceeded.
    pub fn evaluate(&self, value: &[u8], capture: bool, captures: &mut Captures) -> Outcome {
        captures.clear();
        let satisfied = match &self.compiled {
            Compiled::Pattern(pattern) => return pattern.evaluate(value, capture.then_some(captures)),
            Compiled::Identity(identity) => identity.matches(value, captures),
            Compiled::Phrases(phrases) => phrases.matches(value, capture, captures),
            Compiled::Constant(always) => *always,
            Compiled::Addresses(addresses) => addresses.contains(value),
            Compiled::Bytes(allowed) => allowed.complement().any_in(value),
            Compiled::Text(argument) => compare_expanded(self.name, argument, value),
            Compiled::Alone => match self.name {
                OperatorName::DetectSqli => sqli::detect(value).is_some(),
                OperatorName::DetectXss => xss::detect(value, captures),
                OperatorName::ValidateUrlEncoding => encoding::url_is_invalid(value),
                _ => encoding::utf8_is_invalid(value),
            },
        };
        if satisfied { Outcome::Match } else { Outcome::NoMatch }
    }

    /// What `detectSQLi` captures as `TX:0` of a value that satisfies it.
    #[must_use]
    pub fn fingerprint(&self, value: &[u8]) -> Option<Fingerprint> {
        (self.name == OperatorName::DetectSqli).then(|| sqli::detect(value)).flatten()
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> OperatorName {
        self.name
    }

    /// Whether it runs by backtracking under a step budget.
    #[must_use]
    pub const fn backtracks(&self) -> bool {
        match &self.compiled {
            Compiled::Pattern(pattern) => pattern.backtracks(),
            Compiled::Identity(identity) => identity.pattern().backtracks(),
            _ => false,
        }
    }

    /// Literals (ASCII lower case) of which every value that satisfies the operator contains at least one, comparing without
    /// regard to ASCII case; `None` when there is no useful such set.
    #[must_use]
    pub fn required(&self) -> Option<Vec<Vec<u8>>> {
        match (&self.compiled, self.name) {
            (Compiled::Pattern(pattern), _) => pattern.required(),
            (Compiled::Identity(identity), _) => identity.pattern().required(),
            (Compiled::Phrases(phrases), _) => phrases.required(),
            _ => self.contained().filter(|text| text.len() > 1).map(|text| vec![text.to_ascii_lowercase()]),
        }
    }

    /// Bytes of which every value that satisfies the operator contains at least one; `None` when that says nothing.
    #[must_use]
    pub fn needs(&self) -> Option<ByteSet> {
        match (&self.compiled, self.name) {
            (Compiled::Constant(false), _) => Some(ByteSet::NONE),
            (Compiled::Bytes(allowed), _) => Some(allowed.complement()),
            (_, OperatorName::DetectSqli) => Some(sqli::needs()),
            (_, OperatorName::DetectXss) => Some(xss::needs()),
            (_, OperatorName::ValidateUrlEncoding) => Some(ByteSet::of(b"%")),
            (_, OperatorName::ValidateUtf8Encoding) => Some(ByteSet::range(0x80, 0xff)),
            (Compiled::Identity(identity), _) => identity.needs(),
            _ => None,
        }
    }

    /// As [`Self::required`], for values of [plain](crate::pattern::is_plain) bytes; `None` when [`Self::required`] says as much.
    #[must_use]
    pub fn plainly_required(&self) -> Option<Vec<Vec<u8>>> {
        match &self.compiled {
            Compiled::Pattern(pattern) => pattern.plainly_required(),
            _ => None,
        }
    }

    /// The kinds of bytes that a value must hold to satisfy the operator.
    #[must_use]
    pub fn ways(&self) -> Ways {
        match (&self.compiled, self.name) {
            (Compiled::Pattern(pattern), _) => pattern.ways().clone(),
            (Compiled::Phrases(phrases), _) => phrases.ways().clone(),
            _ => match self.contained() {
                Some(text) => Ways::text(text),
                None => self.needs().map_or_else(Ways::any, Ways::one_of),
            },
        }
    }

    /// The text that every value that satisfies the operator contains, if there is one.
    fn contained(&self) -> Option<&[u8]> {
        use OperatorName as Name;
        match (&self.compiled, self.name) {
            (
                Compiled::Text(argument),
                Name::BeginsWith
                | Name::Contains
                | Name::ContainsWord
                | Name::EndsWith
                | Name::StrEq
                | Name::StrMatch,
            ) => Some(argument),
            _ => None,
        }
    }
}
