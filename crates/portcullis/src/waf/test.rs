//! `portcullis waf test`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use regex::Regex;

use super::expect::{self, Seen};
use super::message;
use super::overrides::Overrides;
use super::report::{Outcome, Report, Verdict};
use super::suite::{self, Case, File, Input, Output};
use super::{build, in_process, wire};
use crate::output::Format;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder with the rules; its `.conf` files are loaded in the order of their names.
    #[arg(long, value_name = "DIR", required_unless_present = "url", conflicts_with = "url")]
    rules: Option<PathBuf>,
    /// The suite: a folder with `.yaml` files in the format of go-ftw.
    #[arg(long, value_name = "DIR")]
    tests: PathBuf,
    /// What is loaded before the rules, such as crs-setup.conf. Without it, `crs-setup.conf` or
    /// `crs-setup.conf.example` is taken that stands beside the folder with the rules.
    #[arg(long, value_name = "FILE", requires = "rules")]
    setup: Option<PathBuf>,
    /// Where answers differ from what the suite expects, and why, in the published format. An entry with an
    /// `output` replaces what is expected; one without excuses a failure.
    #[arg(long, value_name = "FILE")]
    overrides: Option<PathBuf>,
    /// Sends the suite over the wire to a gateway, such as http://127.0.0.1:8080.
    #[arg(long, requires = "log")]
    url: Option<String>,
    /// The audit file of that gateway, from which the rules that matched are read.
    #[arg(long, value_name = "FILE", requires = "url")]
    log: Option<PathBuf>,
    /// Runs only the tests of a rule (`942100`), or those whose `RULE-TEST` matches a pattern.
    #[arg(long, value_name = "RULE|REGEX", allow_hyphen_values = true)]
    only: Option<String>,
    /// How the outcome is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Prints every test that failed, and why.
    #[arg(short, long)]
    verbose: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let overrides = arguments.overrides.as_deref().map(Overrides::load).transpose()?.unwrap_or_default();
    let mut files = suite::load(&arguments.tests)?;
    choose(&mut files, arguments.only.as_deref())?;
    let mut cases = Vec::new();
    for file in files {
        cases.extend(file.cases.into_iter().map(|case| (file.name.clone(), case)));
    }
    let notes: Vec<_> = cases.iter_mut().map(|(_, case)| overrides.apply(case)).collect();
    let plays = match (&arguments.url, &arguments.log, &arguments.rules) {
        (Some(url), Some(log), _) => wire::run(url, log, &cases)?,
        (_, _, Some(rules)) => in_process::run(rules, arguments.setup.as_deref(), &cases)?,
        _ => bail!("give `--rules`, or `--url` with `--log`"),
    };
    let verdicts = cases.iter().zip(&plays).zip(&notes).map(|(((file, case), seen), note)| {
        let mut judged = judge(case, seen);
        if judged.is_ok() && arguments.url.is_some() && note.is_none() {
            judged = judge_refusals(case, seen);
        }
        let excused = note.is_some_and(|entry| entry.excuses());
        Verdict {
            file: file.clone(),
            rule_id: case.rule_id,
            test_id: case.test_id,
            outcome: match &judged {
                Ok(()) => Outcome::Passed,
                Err(_) if excused => Outcome::Listed,
                Err(_) => Outcome::Failed,
            },
            refused: seen.iter().find_map(|seen| seen.refused.clone()),
            problem: judged.err(),
            overridden: note.map(|entry| entry.reason.trim().to_owned()),
        }
    });
    let report = Report::new(verdicts.collect());
    report.print(arguments.format, arguments.verbose)?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Leaves only what was asked for.
fn choose(files: &mut Vec<File>, only: Option<&str>) -> anyhow::Result<()> {
    let Some(only) = only else { return Ok(()) };
    let pattern = match only.bytes().all(|byte| byte.is_ascii_digit()) {
        true => format!("^{only}-"),
        false => only.to_owned(),
    };
    let pattern =
        Regex::new(&pattern).with_context(|| format!("`{only}` is neither a rule nor a pattern"))?;
    for file in files.iter_mut() {
        file.cases.retain(|case| pattern.is_match(&case.id()));
    }
    files.retain(|file| !file.cases.is_empty());
    if files.is_empty() {
        bail!("no test is called like `{only}`");
    }
    Ok(())
}

/// Sends the requests of a case one after the other.
pub(super) fn play(case: &Case, mut send: impl FnMut(&Input, &[u8]) -> Seen) -> Vec<Seen> {
    let mut all: Vec<Seen> = Vec::new();
    for stage in &case.stages {
        let mut input = stage.input.clone();
        if input.follow_redirect {
            let Some(uri) = all.last().and_then(redirection) else { break };
            input.uri = uri;
        }
        let bytes = build::bytes(&input);
        all.push(send(&input, &bytes));
    }
    all
}

/// Where a response points to, as the target of a request.
fn redirection(seen: &Seen) -> Option<String> {
    let response = seen.response.as_ref().filter(|response| (300..400).contains(&response.status))?;
    let location = message::text(response.header("location")?).into_owned();
    let Some((_, rest)) = location.split_once("://") else { return Some(location) };
    Some(rest.split_once('/').map_or_else(|| "/".to_owned(), |(_, path)| format!("/{path}")))
}

fn judge(case: &Case, seen: &[Seen]) -> Result<(), String> {
    for (number, stage) in case.stages.iter().enumerate() {
        let seen =
            seen.get(number).ok_or("the response before points nowhere, so there is nothing to follow")?;
        expect::check(&stage.output, seen).map_err(|problem| match case.stages.len() {
            1 => problem,
            _ => format!("stage {number}: {problem}"),
        })?;
    }
    Ok(())
}

/// A request that the gateway refuses before its rules matches none of them: a case that passes for that reason alone
/// shows nothing about the rules. Where a gateway is meant to refuse, the overrides say so.
fn judge_refusals(case: &Case, seen: &[Seen]) -> Result<(), String> {
    let mut stages = case.stages.iter().zip(seen);
    let is_hollow = |expected: &Output, seen: &Seen| {
        seen.refused.is_some() && expected.status.is_empty() && !expected.error
    };
    match stages.any(|(stage, seen)| is_hollow(&stage.output, seen)) {
        true => Err("no rule saw the request".to_owned()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::expect::Seen;
    use super::super::message::Response;
    use super::super::suite;
    use super::{choose, judge, judge_refusals, play};

    const SUITE: &str = "
rule_id: 942100
tests:
  - test_id: 1
    stages:
      - { input: { uri: /first }, output: { status: 302 } }
      - { input: { follow_redirect: true }, output: { status: 200 } }
  - { test_id: 12, stages: [{ input: {}, output: {} }] }
";

    fn pointing(location: &str) -> Seen {
        let headers = vec![(b"Location".to_vec(), location.as_bytes().to_vec())];
        Seen { response: Some(Response { status: 302, headers, body: Vec::new() }), ..Seen::default() }
    }

    #[test]
    fn redirections_are_followed() {
        let case = suite::parse("a", SUITE).unwrap().remove(0);
        let mut targets = Vec::new();
        let seen = play(&case, |input, _| {
            targets.push(input.uri.clone());
            pointing("https://elsewhere/second?x")
        });
        assert_eq!(targets, ["/first", "/second?x"]);
        assert_eq!(judge(&case, &seen), Err("stage 1: expected status 200, got 302".to_owned()));
        let nowhere = play(&case, |_, _| Seen { response: Some(Response::default()), ..Seen::default() });
        assert_eq!(nowhere.len(), 1);
        assert!(judge(&case, &[pointing("/")]).unwrap_err().contains("points nowhere"));
    }

    #[test]
    fn a_refusal_that_nobody_expects_is_no_success() {
        let mut cases = suite::parse("a", SUITE).unwrap();
        let refused = || vec![Seen { refused: Some("bad_host".to_owned()), ..pointing("/") }];
        assert!(judge_refusals(&cases.remove(1), &refused()).is_err());
        assert_eq!(judge_refusals(&cases.remove(0), &refused()), Ok(()));
    }

    #[test]
    fn a_rule_or_a_pattern_chooses() {
        let chosen = |only: &str| {
            let mut files =
                vec![suite::File { name: "f".to_owned(), cases: suite::parse("a", SUITE).unwrap() }];
            choose(&mut files, Some(only)).map(|()| files.iter().map(|file| file.cases.len()).sum::<usize>())
        };
        assert_eq!(chosen("942100").unwrap(), 2);
        assert_eq!(chosen("^942.*-1$").unwrap(), 1);
        assert!(chosen("9421").is_err());
        assert!(chosen("(").is_err());
    }
}
