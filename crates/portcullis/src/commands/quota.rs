//! `portcullis quota`

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use portcullis_core::{Clock, SystemClock, Timestamp};
use portcullis_limit::{Quotas, Usage};
use portcullis_pipeline::Snapshot;

use super::{OfDatabase, act, wait};
use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Shows what is used in the present period: of all quotas, of one, or by one holder.
    Show {
        /// The quota.
        quota: Option<String>,
        /// The holder, as it is shown.
        holder: Option<String>,
        #[command(flatten)]
        place: OfDatabase,
    },
    /// Sets what a holder has used in the present period to nothing.
    Reset(One),
    /// Gives some of what a holder has used in the present period back.
    Refund(Amount),
    /// Takes some of what a holder has in the present period, whatever is left.
    Consume(Amount),
}

#[derive(Debug, clap::Args)]
struct One {
    /// The quota.
    quota: String,
    /// The holder, as `show` shows it.
    holder: String,
    #[command(flatten)]
    place: OfDatabase,
}

#[derive(Debug, clap::Args)]
struct Amount {
    #[command(flatten)]
    one: One,
    /// How much.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=999_999_999_999_999))]
    amount: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Show { quota, holder, place } => show(quota.as_deref(), holder.as_deref(), place),
        Command::Reset(one) => {
            let snapshot = open(&one.place)?;
            wait(snapshot.quotas.reset(&one.quota, &one.holder, &act()))??;
            told(&snapshot.quotas, one)
        }
        Command::Refund(Amount { one, amount }) => {
            let snapshot = open(&one.place)?;
            wait(snapshot.quotas.refund(&one.quota, &one.holder, *amount, &act()))??;
            told(&snapshot.quotas, one)
        }
        Command::Consume(Amount { one, amount }) => {
            let snapshot = open(&one.place)?;
            wait(snapshot.quotas.consume(&one.quota, &one.holder, *amount, &act()))??;
            told(&snapshot.quotas, one)
        }
    }
}

fn show(quota: Option<&str>, holder: Option<&str>, place: &OfDatabase) -> anyhow::Result<ExitCode> {
    let snapshot = open(place)?;
    let quotas = &snapshot.quotas;
    if let (Some(quota), Some(holder)) = (quota, holder) {
        let usage = wait(quotas.usage_of(quota, holder, SystemClock.now()))??;
        header(place.format)?;
        line(&usage, place.format)?;
        return Ok(ExitCode::SUCCESS);
    }
    let names: Vec<&str> = quota.map_or_else(|| quotas.names().collect(), |quota| vec![quota]);
    header(place.format)?;
    for name in names {
        list(quotas, name, place.format)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list(quotas: &Quotas, name: &str, format: Format) -> anyhow::Result<()> {
    const PAGE: i64 = 1000;
    let now = SystemClock.now();
    let mut after = String::new();
    loop {
        let page = wait(quotas.usage(name, &after, PAGE, now))??;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.holder);
        for usage in &page {
            line(usage, format)?;
        }
    }
}

/// Shows what is used after something was done.
fn told(quotas: &Quotas, one: &One) -> anyhow::Result<ExitCode> {
    header(one.place.format)?;
    line(&wait(quotas.usage_of(&one.quota, &one.holder, SystemClock.now()))??, one.place.format)?;
    Ok(ExitCode::SUCCESS)
}

fn header(format: Format) -> anyhow::Result<()> {
    match format {
        Format::Text => output::line(&row("quota", "holder", "used", "of", "ends")),
        Format::Json => Ok(()),
    }
}

fn line(usage: &Usage, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => output::line(&usage.json().to_string()),
        Format::Text => output::line(&row(
            &usage.quota,
            &usage.holder,
            &usage.used.to_string(),
            &usage.allowance.to_string(),
            &shown(usage.end),
        )),
    }
}

fn row(quota: &str, holder: &str, used: &str, allowance: &str, end: &str) -> String {
    format!("{quota:<20} {holder:<40} {used:>12} {allowance:>12}  {end}").trim_end().to_owned()
}

fn shown(moment: Timestamp) -> String {
    humantime::format_rfc3339_seconds(moment.to_system_time()).to_string()
}

/// The quotas of a configuration, their database open.
fn open(place: &OfDatabase) -> anyhow::Result<Snapshot> {
    let snapshot = super::sound(&place.config)?;
    if snapshot.quotas.names().next().is_none() {
        bail!("the configuration has no quotas");
    }
    let database = snapshot.store.database.as_ref().ok_or_else(|| anyhow!("there is no database"))?;
    database.open()?;
    Ok(snapshot)
}
