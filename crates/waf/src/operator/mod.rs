//! Operators: how a rule looks at a value. One file each.

macro_rules! operators {
    ($($variant:ident $name:literal $(| $alias:literal)*,)*) => {
        /// An operator, by its name in ModSecurity's reference manual.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each is the reference manual's operator of that name")]
        pub enum OperatorName { $($variant,)* }

        impl OperatorName {
            /// Every operator.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as rules write it after the `@`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The operator of that name (without the `@`), in any case.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                $(if name.eq_ignore_ascii_case($name) $(|| name.eq_ignore_ascii_case($alias))* {
                    return Some(Self::$variant);
                })*
                None
            }
        }
    };
}

operators! {
    BeginsWith "beginsWith",
    Contains "contains",
    ContainsWord "containsWord",
    DetectSqli "detectSQLi",
    DetectXss "detectXSS",
    EndsWith "endsWith",
    Eq "eq",
    Ge "ge",
    Gt "gt",
    IpMatch "ipMatch",
    IpMatchFromFile "ipMatchFromFile" | "ipMatchF",
    Le "le",
    Lt "lt",
    NoMatch "noMatch",
    Pm "pm",
    PmFromFile "pmFromFile" | "pmf",
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

use crate::pattern::Captures;

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
pub struct Operator {}

/// An argument that an operator cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OperatorError {
    /// What is wrong and what would be right.
    pub message: String,
    /// Where in the argument, in bytes.
    pub offset: usize,
}

impl Operator {
    /// An operator with an argument that holds no macros.
    ///
    /// # Errors
    /// When the operator cannot take the argument.
    pub fn new(name: OperatorName, argument: &str, files: &dyn DataFiles) -> Result<Self, OperatorError> {
        let _ = (name, argument, files);
        Ok(Self {})
    }

    /// Whether `value` satisfies the operator (negation is the caller's). What it captured goes to `captures`, which is cleared
    /// first: the groups of a pattern, or the phrase or fingerprint that was found. `capture` tells whether anybody
    /// wants them.
    pub fn matches(&self, value: &[u8], capture: bool, captures: &mut Captures) -> bool {
        let _ = (value, capture, captures);
        false
    }
}
