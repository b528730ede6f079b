//! What is told about a rule that matched.

use std::fmt;

use super::program::RulePlace;

/// A rule that matched, with everything that was known at that moment.
#[derive(Debug, Clone)]
pub struct RuleMatch {
    /// The rule.
    pub rule_id: u32,
    /// The phase in which it ran, 1 to 5.
    pub phase: u8,
    /// `msg`, expanded.
    pub message: String,
    /// `logdata`, expanded. May hold what the client sent.
    pub data: String,
    /// `severity`, 0 (emergency) to 7 (debug).
    pub severity: Option<u8>,
    /// `tag`, expanded.
    pub tags: Vec<String>,
    /// `ver`.
    pub version: Option<String>,
    /// `rev`.
    pub revision: Option<String>,
    /// `maturity`.
    pub maturity: Option<u8>,
    /// `accuracy`.
    pub accuracy: Option<u8>,
    /// The values that matched, of all links of a chain, in order.
    pub values: Vec<MatchedValue>,
    /// Whether the rule asks for the audit log (`auditlog`, the default).
    pub audit: bool,
    /// The file that holds the rule.
    pub file: String,
    /// Its line there.
    pub line: u32,
}

/// A value that a rule matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedValue {
    /// Its variable and name, such as `ARGS:comment`.
    pub target: String,
    /// The names of the transformations that the value went through.
    pub transformations: Vec<&'static str>,
    /// The value after the transformations.
    pub value: Vec<u8>,
    /// The part in which the operator found something; all of it when the operator does not tell.
    pub found: Vec<u8>,
    /// Whether a rule asked that the value is not recorded (`sanitiseArg` and the like).
    pub sanitised: bool,
}

impl RuleMatch {
    /// A name for the severity, as ModSecurity's manual has them.
    #[must_use]
    pub fn severity_name(&self) -> &'static str {
        const NAMES: [&str; 8] =
            ["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"];
        self.severity.and_then(|severity| NAMES.get(usize::from(severity)).copied()).unwrap_or("")
    }

    pub(crate) fn placed(mut self, place: &RulePlace) -> Self {
        place.source.as_ref().clone_into(&mut self.file);
        self.line = place.line;
        self
    }
}

/// One line, in the words of ModSecurity's error log.
impl fmt::Display for RuleMatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "[file \"{}\"] [line \"{}\"] [id \"{}\"] [rev \"{}\"] [msg \"{}\"] [data \"{}\"] [severity \"{}\"] [ver \"{}\"]",
            self.file,
            self.line,
            self.rule_id,
            self.revision.as_deref().unwrap_or(""),
            Printable(&self.message),
            Printable(&self.data),
            self.severity_name(),
            self.version.as_deref().unwrap_or(""),
        )?;
        for tag in &self.tags {
            write!(formatter, " [tag \"{}\"]", Printable(tag))?;
        }
        Ok(())
    }
}

/// Text that may come from a client: it stays on its line and between its quotes.
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for character in self.0.chars() {
            match character {
                '"' => formatter.write_str("\\\"")?,
                character if character.is_ascii_control() => {
                    write!(formatter, "\\x{:02x}", u32::from(character))?;
                }
                character => formatter.write_char(character)?,
            }
        }
        Ok(())
    }
}
