//! How a run went: for people by rule file, for programs as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::output::{self, Format};

/// How a case went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed,
    /// It failed, and the overrides say that it does.
    Listed,
}

/// A case and how it went.
#[derive(Debug)]
pub(super) struct Verdict {
    /// The file of the suite.
    pub(super) file: String,
    pub(super) rule_id: u32,
    pub(super) test_id: u32,
    pub(super) outcome: Outcome,
    /// Why the rules did not get to see a request, if so.
    pub(super) refused: Option<String>,
    pub(super) problem: Option<String>,
    /// The reason that the overrides give, if they concern the case.
    pub(super) overridden: Option<String>,
}

#[derive(Debug)]
pub(super) struct Report(Vec<Verdict>);

/// Passed and failed cases.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    passed: usize,
    failed: usize,
}

impl Report {
    pub(super) fn new(verdicts: Vec<Verdict>) -> Self {
        Self(verdicts)
    }

    /// Whether nothing failed but what the overrides list.
    pub(super) fn is_clean(&self) -> bool {
        self.0.iter().all(|verdict| verdict.outcome != Outcome::Failed)
    }

    pub(super) fn print(&self, format: Format, verbose: bool) -> anyhow::Result<()> {
        match format {
            Format::Json => output::line(&format!("{:#}", self.json())),
            Format::Text => output::line(&self.text(verbose)),
        }
    }

    fn text(&self, verbose: bool) -> String {
        let mut lines = Vec::new();
        if verbose {
            lines.extend(self.failures().map(describe));
        }
        for (file, count) in self.by_rule_file() {
            lines.push(format!("{file:<40} {:>5} passed {:>5} failed", count.passed, count.failed));
        }
        let overridden = self.0.iter().filter(|verdict| verdict.overridden.is_some()).count();
        if overridden > 0 {
            let listed = self.0.iter().filter(|verdict| verdict.outcome == Outcome::Listed).count();
            lines.push(format!("{overridden} by the overrides, {listed} of them listed failures"));
        }
        // They say something about servers, and nothing about rules.
        let refused = self.0.iter().filter(|verdict| verdict.refused.is_some()).count();
        if refused > 0 {
            lines.push(format!("{refused} were refused before any rule saw them"));
        }
        let total = self.total();
        lines.push(format!("{} passed, {} failed", total.passed, total.failed));
        lines.join("\n")
    }

    fn json(&self) -> Value {
        let total = self.total();
        let files: Vec<Value> = self
            .by_rule_file()
            .into_iter()
            .map(|(file, count)| json!({ "file": file, "passed": count.passed, "failed": count.failed }))
            .collect();
        let cases: Vec<Value> = self.0.iter().map(case_json).collect();
        json!({ "passed": total.passed, "failed": total.failed, "files": files, "cases": cases })
    }

    fn failures(&self) -> impl Iterator<Item = &Verdict> {
        self.0.iter().filter(|verdict| verdict.outcome != Outcome::Passed)
    }

    /// The suite has a folder for each rule file.
    fn by_rule_file(&self) -> BTreeMap<&str, Count> {
        let mut files: BTreeMap<&str, Count> = BTreeMap::new();
        for verdict in &self.0 {
            let folder = verdict.file.split_once('/').map_or(verdict.file.as_str(), |(folder, _)| folder);
            files.entry(folder).or_default().add(verdict);
        }
        files
    }

    fn total(&self) -> Count {
        let mut total = Count::default();
        self.0.iter().for_each(|verdict| total.add(verdict));
        total
    }
}

impl Count {
    fn add(&mut self, verdict: &Verdict) {
        match verdict.outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed | Outcome::Listed => self.failed += 1,
        }
    }
}

fn describe(verdict: &Verdict) -> String {
    let Verdict { rule_id, test_id, .. } = verdict;
    let what = match (verdict.outcome, &verdict.refused) {
        (Outcome::Listed, _) => "listed",
        (_, Some(_)) => "refused",
        _ => "failed",
    };
    let problem = verdict.problem.as_deref().unwrap_or_default();
    let refused = verdict.refused.as_ref().map(|why| format!(" (refused: {why})")).unwrap_or_default();
    format!("{rule_id}-{test_id} {what}: {problem}{refused}")
}

fn case_json(verdict: &Verdict) -> Value {
    let mut case = json!({
        "id": format!("{}-{}", verdict.rule_id, verdict.test_id),
        "file": verdict.file,
        "outcome": match verdict.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::Listed => "listed",
        },
    });
    let told =
        [("problem", &verdict.problem), ("refused", &verdict.refused), ("override", &verdict.overridden)];
    for (key, value) in told {
        if let (Some(case), Some(value)) = (case.as_object_mut(), value) {
            case.insert(key.to_owned(), json!(value));
        }
    }
    case
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Report, Verdict};

    fn verdict(file: &str, test_id: u32, outcome: Outcome) -> Verdict {
        Verdict {
            file: file.to_owned(),
            rule_id: 920_100,
            test_id,
            outcome,
            refused: (test_id == 3).then(|| "bad_host".to_owned()),
            problem: (outcome != Outcome::Passed).then(|| "expected 1, matched: none".to_owned()),
            overridden: (outcome == Outcome::Listed).then(|| "because".to_owned()),
        }
    }

    #[test]
    fn the_last_line_counts() {
        let report = Report::new(vec![
            verdict("A/1.yaml", 1, Outcome::Passed),
            verdict("A/2.yaml", 2, Outcome::Listed),
            verdict("B/1.yaml", 3, Outcome::Failed),
        ]);
        assert!(!report.is_clean());
        let text = report.text(true);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "920100-2 listed: expected 1, matched: none");
        assert_eq!(lines[1], "920100-3 refused: expected 1, matched: none (refused: bad_host)");
        assert!(lines[2].starts_with("A ") && lines[2].ends_with(" 1 passed     1 failed"), "{text}");
        assert_eq!(lines[4], "1 by the overrides, 1 of them listed failures");
        assert_eq!(lines[5], "1 were refused before any rule saw them");
        assert_eq!(lines[6], "1 passed, 2 failed");
        assert_eq!(report.text(false).lines().count(), 5);
        let json = report.json();
        assert_eq!(
            (&json["passed"], &json["failed"], &json["files"][1]["failed"]),
            (&1.into(), &2.into(), &1.into())
        );
        assert_eq!(json["cases"][1]["override"], "because");
    }

    #[test]
    fn listed_failures_alone_are_clean() {
        assert!(Report::new(vec![verdict("A/1.yaml", 1, Outcome::Listed)]).is_clean());
    }
}
