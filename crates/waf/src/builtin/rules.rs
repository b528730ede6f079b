//! What a rule is, the families they belong to, and the list of all of them.

use std::sync::LazyLock;

use super::{
    code, command, deserialise, header, ldap, nosql, protocol, prototype, scanner, sql, ssrf, template,
    traversal, xml, xpath, xss,
};

/// What an attack is after. Each family can be switched off by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Requests that no honest client writes.
    Protocol,
    /// Tools that look for holes, known by what they say about themselves.
    Scanner,
    /// Statements for a relational database.
    Sql,
    /// Operators and scripts for a document database.
    NoSql,
    /// Commands for a shell.
    Command,
    /// Source text of PHP, Python, JavaScript, Java and the like, to be evaluated at the server.
    Code,
    /// Expressions for a template engine or an expression language, and JNDI lookups.
    Template,
    /// Filters for a directory.
    Ldap,
    /// Queries for an XML document.
    XPath,
    /// Commands for a mail server.
    Mail,
    /// Line ends that add headers to a message.
    Header,
    /// Script for the browser of another user.
    Xss,
    /// External entities, and entities that grow.
    Xml,
    /// Files outside of the folder that is meant.
    Traversal,
    /// Addresses that only the server itself can reach.
    Ssrf,
    /// Properties of every object of JavaScript.
    Prototype,
    /// Objects that act while they are read.
    Deserialisation,
}

impl Family {
    /// All families, in the order of their rules.
    pub const ALL: [Self; 17] = [
        Self::Protocol,
        Self::Scanner,
        Self::Sql,
        Self::NoSql,
        Self::Command,
        Self::Code,
        Self::Template,
        Self::Ldap,
        Self::XPath,
        Self::Mail,
        Self::Header,
        Self::Xss,
        Self::Xml,
        Self::Traversal,
        Self::Ssrf,
        Self::Prototype,
        Self::Deserialisation,
    ];

    /// The name in a configuration and in a log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Scanner => "scanner",
            Self::Sql => "sql",
            Self::NoSql => "nosql",
            Self::Command => "command",
            Self::Code => "code",
            Self::Template => "template",
            Self::Ldap => "ldap",
            Self::XPath => "xpath",
            Self::Mail => "mail",
            Self::Header => "header",
            Self::Xss => "xss",
            Self::Xml => "xml",
            Self::Traversal => "traversal",
            Self::Ssrf => "ssrf",
            Self::Prototype => "prototype",
            Self::Deserialisation => "deserialisation",
        }
    }

    /// The family of a name, as a configuration writes it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }

    pub(super) const fn bit(self) -> u32 {
        1 << (self as u32)
    }
}

/// What there is to know about a rule without running it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// Stays the same for ever: exceptions are written with it.
    pub id: u32,
    /// What the attack is after.
    pub family: Family,
    /// A few words for a list.
    pub title: &'static str,
    /// What is looked for, and why it is suspicious.
    pub description: &'static str,
    /// What a hit adds to the score of a value. In running text it adds less, or nothing.
    pub score: u16,
}

/// A rule with what the engine needs to run it.
pub(super) struct Rule {
    pub(super) info: RuleInfo,
    /// The score in running text.
    pub(super) prose: u16,
    /// One of these occurs in whatever the expression matches, in any case of letters.
    pub(super) anchors: &'static [&'static str],
    /// Empty if a probe finds the cue.
    pub(super) expression: &'static str,
    /// Whether words before the cue, with a space between, make it one of a running text.
    pub(super) alone: bool,
}

/// A rule whose cue is found by a probe. `scores` are the one in a value, and the one in running text.
pub(super) const fn rule(
    id: u32,
    family: Family,
    scores: (u16, u16),
    title: &'static str,
    description: &'static str,
) -> Rule {
    let info = RuleInfo { id, family, title, description, score: scores.0 };
    Rule { info, prose: scores.1, anchors: &[], expression: "", alone: false }
}

impl Rule {
    /// The cue counts in full only at the beginning of a value: a path after other words is no path that is opened.
    pub(super) const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// The cue is an expression, that is tried where an anchor occurs.
    pub(super) const fn at(mut self, anchors: &'static [&'static str], expression: &'static str) -> Self {
        self.anchors = anchors;
        self.expression = expression;
        self
    }
}

static TABLES: [&[Rule]; 16] = [
    protocol::RULES,
    scanner::RULES,
    sql::RULES,
    nosql::RULES,
    command::RULES,
    code::RULES,
    template::RULES,
    ldap::RULES,
    xpath::RULES,
    header::RULES,
    xss::RULES,
    xml::RULES,
    traversal::RULES,
    ssrf::RULES,
    prototype::RULES,
    deserialise::RULES,
];

pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    TABLES.iter().flat_map(|table| table.iter())
}

/// Every rule of the built-in set, by identifier.
pub fn rules() -> &'static [RuleInfo] {
    static RULES: LazyLock<Vec<RuleInfo>> = LazyLock::new(|| {
        let mut rules: Vec<RuleInfo> = all().map(|rule| rule.info).collect();
        rules.sort_by_key(|rule| rule.id);
        rules
    });
    &RULES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_unique_and_in_range() {
        let rules = rules();
        assert!(rules.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert!(rules.iter().all(|rule| (100_000..101_000).contains(&rule.id)));
        assert!(rules.iter().all(|rule| !rule.title.is_empty() && !rule.description.is_empty()));
    }

    #[test]
    fn every_family_has_rules_and_a_name() {
        for family in Family::ALL {
            assert!(rules().iter().any(|rule| rule.family == family), "{family:?}");
            assert_eq!(Family::named(family.name()), Some(family));
        }
        assert_eq!(Family::named("weather"), None);
    }

    #[test]
    fn running_text_never_scores_more() {
        assert!(all().all(|rule| rule.prose <= rule.info.score));
    }
}
