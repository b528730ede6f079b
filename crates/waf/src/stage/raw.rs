//! What the configuration says about the scanner.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use portcullis_core::Mode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of rules in SecLang, the language of ModSecurity and the OWASP Core Rule Set. Routes name the one they use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRuleset {
    /// Its name. `builtin` is reserved.
    pub name: String,
    /// Rule files in the order in which they are loaded, relative to this file; in their names may stand `*` and `?`,
    /// which give files in the order of their names.
    #[serde(default)]
    pub files: Vec<String>,
    /// Rules as text, loaded after the files.
    #[serde(default)]
    pub rules: String,
    /// The paranoia level of the OWASP Core Rule Set, from 1 (few false positives) to 4. Default: what the files
    /// say, or 1.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4))]
    pub paranoia: Option<u8>,
    /// The anomaly scores at which the OWASP Core Rule Set refuses.
    #[serde(default)]
    pub thresholds: RawThresholds,
    /// What rules do not look at: false positives.
    #[serde(default)]
    pub exclude: Vec<RawExclusion>,
}

/// The anomaly scores at which the OWASP Core Rule Set refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawThresholds {
    /// The score at which a request is refused. Default: what the files say, or 5, which is one critical match.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub inbound: Option<u32>,
    /// The score at which an answer is refused. Default: what the files say, or 4.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub outbound: Option<u32>,
}

impl RawThresholds {
    /// These, or where they say nothing, those.
    pub(super) fn or(&self, others: &Self) -> Self {
        Self { inbound: self.inbound.or(others.inbound), outbound: self.outbound.or(others.outbound) }
    }
}

/// The scores at which is refused on a route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRouteThresholds {
    /// The score at which a request is refused. Default: that of the ruleset, or 5.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub inbound: Option<u32>,
    /// The score at which an answer is refused. Default: that of the ruleset, or 4. The ruleset `builtin` has none.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub outbound: Option<u32>,
    /// Families of the ruleset `builtin` that refuse from another score on than `inbound`, such as `xss: 8`: the families are the
    /// tags of `portcullis waf rules --builtin` without `attack-`.
    pub families: BTreeMap<String, u32>,
}

impl RawRouteThresholds {
    /// These, or where they say nothing, those.
    pub(super) fn or(&self, others: &Self) -> Self {
        let mut families = others.families.clone();
        families.extend(self.families.clone());
        Self {
            inbound: self.inbound.or(others.inbound),
            outbound: self.outbound.or(others.outbound),
            families,
        }
    }

    pub(super) const fn anomaly(&self) -> RawThresholds {
        RawThresholds { inbound: self.inbound, outbound: self.outbound }
    }
}

/// What rules do not look at. Without a target the rules do not run at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawExclusion {
    /// The id of a rule, such as `942100`, or a range of them, such as `942100-942999`. Either this or `tag`.
    pub rule: Option<RuleIds>,
    /// A tag: all rules that carry exactly this one, such as `attack-sqli`.
    pub tag: Option<String>,
    /// The target that the rules do not look at, such as `ARGS:comment`. Default: all of them.
    pub target: Option<String>,
    /// Only for requests with this path, in which `*` stands for any text and `?` for one character. It is compared
    /// with the normalised path. Default: for all.
    pub path: Option<String>,
}

/// How a route's requests and their answers are scanned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawScan {
    /// `enforce` refuses what the rules refuse, `shadow` only records that they would, `off` runs none.
    pub mode: Mode,
    /// The name of a ruleset, or a list of rulesets, each of which runs: a request is refused if one of them refuses.
    /// `builtin` is the one that comes with the gateway, which needs no files.
    pub ruleset: RawRouteRulesets,
    /// The paranoia level here. Default: that of the ruleset.
    #[schemars(range(min = 1, max = 4))]
    pub paranoia: Option<u8>,
    /// The scores at which is refused here. Default: those of the ruleset.
    pub thresholds: RawRouteThresholds,
    /// What rules do not look at here, besides what the ruleset excludes.
    pub exclude: Vec<RawExclusion>,
    /// What becomes of a request in which the ruleset `builtin` finds a value that it cannot read to its end, since it asks for
    /// more work than its length allows: one encoding inside the other without end, made up to hide something.
    pub too_complex: TooComplex,
}

/// What becomes of a request that cannot be judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TooComplex {
    /// It is refused with 400 `too_complex`.
    #[default]
    Refuse,
    /// It counts four points beside other findings, and passes by itself.
    Score,
}

/// The rulesets of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawRouteRulesets {
    /// One, by its name.
    One(String),
    /// Any number, in the order in which they run.
    Several(Vec<RawRouteRuleset>),
}

impl Default for RawRouteRulesets {
    fn default() -> Self {
        Self::One(super::rulesets::BUILTIN.to_owned())
    }
}

impl RawRouteRulesets {
    /// The names of all of them.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        let (one, several) = match self {
            Self::One(name) => (Some(name), [].as_slice()),
            Self::Several(list) => (None, list.as_slice()),
        };
        one.into_iter()
            .chain(several.iter().filter(|it| it.mode() != Some(Mode::Off)).map(RawRouteRuleset::name))
    }
}

/// One of the rulesets of a route: a name, or a name with what differs from the rest of `scan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawRouteRuleset {
    /// Its name.
    Name(String),
    /// Its name, and what differs.
    Refined(RawRefinedRuleset),
}

impl RawRouteRuleset {
    pub(super) const fn name(&self) -> &String {
        match self {
            Self::Name(name) => name,
            Self::Refined(refined) => &refined.name,
        }
    }

    const fn mode(&self) -> Option<Mode> {
        match self {
            Self::Name(_) => None,
            Self::Refined(refined) => refined.mode,
        }
    }
}

/// One of the rulesets of a route, with what differs from the rest of `scan`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRefinedRuleset {
    /// Its name.
    pub name: String,
    /// The mode of this ruleset alone. Default: that of `scan`.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// The paranoia level. Default: that of `scan`, or of the ruleset.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4))]
    pub paranoia: Option<u8>,
    /// The scores at which is refused. Default: those of `scan`, or of the ruleset.
    #[serde(default)]
    pub thresholds: RawRouteThresholds,
    /// What its rules do not look at here, besides what `scan` and the ruleset exclude.
    #[serde(default)]
    pub exclude: Vec<RawExclusion>,
}

/// The id of a rule, or a range of ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RuleIds(pub RangeInclusive<u32>);

impl RuleIds {
    fn parse(text: &str) -> Option<Self> {
        let id = |text: &str| text.trim().parse().ok().filter(|id| *id > 0);
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (id(first)?, id(last)?),
            None => (id(text)?, id(text)?),
        };
        (first <= last).then_some(Self(first..=last))
    }
}

impl fmt::Display for RuleIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.0.start(), self.0.end());
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}

impl Serialize for RuleIds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RuleIds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            One(u32),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::One(id) => id.to_string(),
            Written::Text(text) => text,
        };
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no id of a rule; write one such as `942100`, or a range such as `942100-942999`"
            ))
        })
    }
}

impl JsonSchema for RuleIds {
    fn schema_name() -> Cow<'static, str> {
        "RuleIds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": ["integer", "string"],
            "description": "The id of a rule, such as `942100`, or a range such as `942100-942999`.",
            "minimum": 1,
            "maximum": u32::MAX,
            "pattern": "^ *[0-9]+ *(- *[0-9]+ *)?$",
            "examples": ["942100-942999"],
        })
    }
}
