//! Where an engine answers differently from what a suite expects, and why: the published format of go-ftw's
//! platform overrides.

use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::suite::{self, Case, Output, RawOutput};

/// A list of deviations.
#[derive(Debug, Default)]
pub(super) struct Overrides(Vec<Override>);

/// A deviation of one or several cases.
#[derive(Debug)]
pub(super) struct Override {
    rule_id: u32,
    /// Empty means all.
    test_ids: Vec<u32>,
    /// Empty means all.
    stage_ids: Vec<usize>,
    pub(super) reason: String,
    /// What is expected instead. Without it the case is known to fail, and is counted so.
    output: Option<Output>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOverrides {
    #[serde(rename = "version", default)]
    _version: IgnoredAny,
    #[serde(rename = "meta", default)]
    _meta: IgnoredAny,
    test_overrides: Option<Vec<RawOverride>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOverride {
    rule_id: u32,
    #[serde(default)]
    test_ids: Vec<u32>,
    #[serde(default)]
    stage_ids: Vec<usize>,
    reason: String,
    #[serde(rename = "retry_once", default)]
    _retry_once: IgnoredAny,
    output: Option<RawOutput>,
}

impl Overrides {
    /// Reads a list.
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = suite::read(path)?;
        Self::parse(&text).with_context(|| format!("`{}` is no list of overrides", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let raw: RawOverrides = suite::yaml(text)?;
        let compile = |raw: RawOverride| {
            let output = raw.output.map(RawOutput::compile).transpose();
            Ok(Override {
                rule_id: raw.rule_id,
                test_ids: raw.test_ids,
                stage_ids: raw.stage_ids,
                reason: raw.reason,
                output: output.with_context(|| format!("the override of rule {}", raw.rule_id))?,
            })
        };
        Ok(Self(
            raw.test_overrides.unwrap_or_default().into_iter().map(compile).collect::<anyhow::Result<_>>()?,
        ))
    }

    /// Gives a case its own expectations, and says which entry concerns it. A later entry wins.
    pub(super) fn apply(&self, case: &mut Case) -> Option<&Override> {
        let mut found = None;
        for entry in &self.0 {
            let concerns = entry.test_ids.is_empty() || entry.test_ids.contains(&case.test_id);
            if entry.rule_id != case.rule_id || !concerns {
                continue;
            }
            found = Some(entry);
            let Some(output) = &entry.output else { continue };
            for (number, stage) in case.stages.iter_mut().enumerate() {
                if entry.stage_ids.is_empty() || entry.stage_ids.contains(&number) {
                    stage.output = output.clone();
                }
            }
        }
        found
    }
}

impl Override {
    /// Whether the case may fail, because nobody says what it should do instead.
    pub(super) fn excuses(&self) -> bool {
        self.output.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::super::suite;
    use super::Overrides;

    const CASES: &str = "
rule_id: 920100
tests:
  - { test_id: 4, stages: [{ input: {}, output: { log: { expect_ids: [920100] } } }, { input: {}, output: {} }] }
  - { test_id: 5, stages: [{ input: {}, output: { status: 200 } }] }
";

    #[test]
    fn an_output_replaces_and_none_excuses() {
        let overrides = Overrides::parse(
            "
version: v0.0.0
meta: { engine: e, platform: p, annotations: [{ os: o }] }
test_overrides:
  - { rule_id: 920100, test_ids: [4], stage_ids: [0], reason: because, output: { status: 400 } }
  - { rule_id: 920100, test_ids: [5], reason: unknown }
",
        )
        .unwrap();
        let mut cases = suite::parse("a", CASES).unwrap();
        let found = overrides.apply(&mut cases[0]).unwrap();
        assert_eq!((found.reason.as_str(), found.excuses()), ("because", false));
        assert_eq!(cases[0].stages[0].output.status, [400]);
        assert!(
            cases[0].stages[0].output.expect_ids.is_empty() && cases[0].stages[1].output.status.is_empty()
        );
        assert!(overrides.apply(&mut cases[1]).unwrap().excuses());
        assert_eq!(cases[1].stages[0].output.status, [200]);
    }

    #[test]
    fn an_empty_list_is_a_list_and_a_reason_is_owed() {
        let mut cases = suite::parse("a", CASES).unwrap();
        assert!(Overrides::parse("test_overrides: []").unwrap().apply(&mut cases[0]).is_none());
        assert!(Overrides::parse("test_overrides: [{ rule_id: 1 }]").is_err());
    }
}
