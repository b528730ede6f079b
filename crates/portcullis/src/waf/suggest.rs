//! `portcullis waf suggest`

mod candidates;
mod path;
mod print;
mod record;
mod tally;
mod target;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use self::candidates::Candidates;
use self::record::Record;
use self::tally::Tally;
use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
#[command(override_usage = "portcullis waf suggest <AUDIT_LOG>... [OPTIONS]")]
pub(crate) struct Arguments {
    /// The gateway's audit log: JSON lines. It is read twice, so it has to be a file; older files of a rotated log may
    /// stand beside it.
    #[arg(required = true, value_name = "AUDIT_LOG")]
    logs: Vec<PathBuf>,
    /// Requests that were refused wrongly, by `request_id`.
    #[arg(long, value_name = "REQUEST_ID", num_args = 1.., value_delimiter = ',', required_unless_present = "route")]
    false_positive: Vec<String>,
    /// A route of which all refusals were wrong, for example because only its authors can reach it.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Proposes only what this many of these requests need.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    min: u64,
    /// How the proposals are printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Which requests an operator says were refused wrongly.
#[derive(Debug)]
struct Marks<'a> {
    ids: BTreeSet<&'a str>,
    route: Option<&'a str>,
}

impl Marks<'_> {
    /// Of a route only what was refused counts: what rules found in the others did no harm.
    fn covers(&self, record: &Record) -> bool {
        self.ids.contains(record.id.as_str())
            || record.refused && self.route.is_some_and(|route| route == record.route)
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let marks = Marks {
        ids: arguments.false_positive.iter().map(String::as_str).collect(),
        route: arguments.route.as_deref(),
    };
    let mut candidates = Candidates::default();
    let mut missing = marks.ids.clone();
    let skipped = record::each(&arguments.logs, |record| {
        if marks.covers(record) {
            missing.remove(record.id.as_str());
            candidates.add(record);
        }
    })?;
    candidates.keep(arguments.min);
    // What the exclusions would do to every request is only known when all of them are.
    let mut tally = Tally::new(&candidates);
    record::each(&arguments.logs, |record| tally.add(record, marks.covers(record)))?;
    if skipped > 0 {
        let (is, record) = if skipped == 1 { ("is", "no record") } else { ("are", "no records") };
        let lines = super::words::counted(skipped, "line");
        output::complaint(&format!("skipped {lines} that {is} {record} of the audit log"));
    }
    for id in &missing {
        output::complaint(&format!("there is no request `{id}` in the log"));
    }
    match arguments.format {
        Format::Json => output::line(&format!("{:#}", print::json(&candidates, &tally)))?,
        Format::Text => output::line(print::text(&candidates, &tally).trim_end())?,
    }
    Ok(if candidates.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
