//! `portcullis waf lint`

mod check;
mod never;

use std::path::PathBuf;
use std::process::ExitCode;

use portcullis_waf::engine::{LoadError, RuleSummary, Ruleset};
use portcullis_waf::seclang::Diagnostic;
use serde_json::{Value, json};

use super::load::{self, Sources};
use super::rules;
use super::words::{counted, length};
use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    sources: Sources,
    /// More rules, as after `--rules`.
    #[arg(value_name = "DIR|FILE")]
    more: Vec<PathBuf>,
    /// Exit code 1 for warnings, too.
    #[arg(long)]
    strict: bool,
    /// Prints every note, not only how many there are.
    #[arg(short, long)]
    verbose: bool,
    /// How the outcome is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What was found; each report is `file:line:column: message`, the line and a caret.
#[derive(Debug, Default)]
struct Findings {
    errors: Vec<String>,
    /// What has no effect, or another one than its author meant.
    warnings: Vec<String>,
    /// What is right, and good to know.
    notes: Vec<String>,
    /// Rules that need look-around or back-references.
    backtracking: Vec<RuleSummary>,
    /// Rules that no prefilter can rule out.
    always: Vec<RuleSummary>,
    /// Those of them that look at nothing but variables of the rules themselves, which costs next to nothing.
    internal: Vec<RuleSummary>,
    rules: usize,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let files = arguments.sources.files(&arguments.more)?;
    let findings = match load::compile(Ruleset::builder(), &files) {
        Err(error) => Findings { errors: reports(&error), ..Findings::default() },
        Ok(ruleset) => look(&ruleset, &files)?,
    };
    match arguments.format {
        Format::Json => output::line(&format!("{:#}", as_json(&findings)))?,
        Format::Text => output::line(&as_text(&findings, arguments.verbose))?,
    }
    let is_clean = findings.errors.is_empty() && (!arguments.strict || findings.warnings.is_empty());
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn reports(error: &LoadError) -> Vec<String> {
    error.reports().collect()
}

fn look(ruleset: &Ruleset, files: &[PathBuf]) -> anyhow::Result<Findings> {
    let document = load::document(files)?.document;
    let suspicions = check::check(&document);
    let shown = |faults: &[Diagnostic]| {
        faults.iter().map(|fault| fault.report(&document).to_string()).collect::<Vec<_>>()
    };
    let mut warnings = ruleset.warnings().to_vec();
    warnings.extend(shown(&suspicions.warnings));
    let chosen = |which: &dyn Fn(&RuleSummary) -> bool| {
        ruleset.rules().iter().filter(|rule| which(rule)).cloned().collect::<Vec<_>>()
    };
    let is_internal = |rule: &RuleSummary| suspicions.internal.contains(&rule.id);
    Ok(Findings {
        errors: Vec::new(),
        warnings,
        notes: shown(&suspicions.notes),
        backtracking: chosen(&|rule| rule.backtracks),
        always: chosen(&|rule| !rule.prefiltered && !is_internal(rule)),
        internal: chosen(&|rule| !rule.prefiltered && is_internal(rule)),
        rules: ruleset.rules().len(),
    })
}

fn as_text(findings: &Findings, verbose: bool) -> String {
    let mut lines: Vec<String> = findings.errors.iter().map(|report| format!("error: {report}")).collect();
    lines.extend(findings.warnings.iter().map(|report| format!("warning: {report}")));
    if verbose {
        lines.extend(findings.notes.iter().map(|report| format!("note: {report}")));
    }
    for rule in &findings.backtracking {
        lines.push(format!(
            "note: rule {} at {}:{} needs look-around or a back-reference: it runs under a step budget, and does not \
             match when that is used up",
            rule.id, rule.file, rule.line
        ));
    }
    if !findings.always.is_empty() {
        lines.push(format!(
            "note: no prefilter can rule these out, so they run on every request that reaches them: {}",
            length(&findings.always, "rule")
        ));
        lines.extend(by_phase(&findings.always));
    }
    if !findings.internal.is_empty() {
        lines.push(format!(
            "note: {} that always run and only look at variables of the rules themselves",
            length(&findings.internal, "more rule")
        ));
    }
    if !verbose && !findings.notes.is_empty() {
        let more = length(&findings.notes, "more note");
        lines.push(format!("note: {more}, shown with `--verbose`"));
    }
    lines.push(match findings.errors.as_slice() {
        [] => {
            format!("{}, {}", counted(findings.rules as u64, "rule"), length(&findings.warnings, "warning"))
        }
        errors => length(errors, "error"),
    });
    lines.join("\n")
}

fn by_phase(rules: &[RuleSummary]) -> impl Iterator<Item = String> + '_ {
    (1..=5).filter_map(|phase| {
        let ids: Vec<String> =
            rules.iter().filter(|rule| rule.phase == phase).map(|rule| rule.id.to_string()).collect();
        (!ids.is_empty()).then(|| format!("  phase {phase}: {}", ids.join(" ")))
    })
}

fn as_json(findings: &Findings) -> Value {
    let list = |rules: &[RuleSummary]| rules.iter().map(rules::as_json).collect::<Vec<_>>();
    json!({
        "errors": findings.errors,
        "warnings": findings.warnings,
        "notes": findings.notes,
        "backtracking": list(&findings.backtracking),
        "always_run": list(&findings.always),
        "internal": list(&findings.internal),
        "rules": findings.rules,
    })
}
