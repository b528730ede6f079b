//! Tokens that are refused before they end.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use portcullis_authn::revocation::{NewRevocation, RawRevocation, Revocation, Revocations};
use portcullis_core::{Clock, Period, SystemClock};

use crate::commands::{OfDatabase, act, sound, wait};
use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// The `jti` of a token.
    #[arg(long, value_name = "JTI", conflicts_with_all = ["subject", "session"])]
    jti: Option<String>,
    /// A subject. Tokens that were issued before now are refused, unless `--issued-before` says otherwise.
    #[arg(long, conflicts_with = "session")]
    subject: Option<String>,
    /// The `sid` of a session.
    #[arg(long, value_name = "SID")]
    session: Option<String>,
    /// The issuer of the tokens. With `--issued-before` alone: everything that it gave out before then.
    #[arg(long)]
    issuer: Option<String>,
    /// Only what was issued before this moment (`2027-01-31T00:00:00Z`), or `any`.
    #[arg(long, value_name = "MOMENT")]
    issued_before: Option<String>,
    /// How long this stands: not shorter than the tokens hold.
    #[arg(long = "for", value_name = "TIME", default_value = "30d")]
    period: Period,
    /// Why, for those who look later.
    #[arg(long)]
    note: Option<String>,
    #[command(flatten)]
    place: OfDatabase,
}

#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// The id of the revocation.
    id: String,
    #[command(flatten)]
    place: OfDatabase,
}

impl Revoke {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let raw = RawRevocation {
            token: self.jti.clone(),
            subject: self.subject.clone(),
            session: self.session.clone(),
            issuer: self.issuer.clone(),
            issued_before: self.issued_before.clone(),
            period: Some(self.period),
            note: self.note.clone(),
        };
        let new = NewRevocation::of(&raw, SystemClock.now()).map_err(|message| anyhow!(message))?;
        let made = wait(open(&self.place)?.revoke(new, &act()))??;
        match self.place.format {
            Format::Text => output::line(&made.id)?,
            Format::Json => output::line(&made.json().to_string())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Restore {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        wait(open(&self.place)?.take_back(&self.id, &act()))??;
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn list(place: &OfDatabase) -> anyhow::Result<ExitCode> {
    const PAGE: i64 = 1000;
    let revocations = open(place)?;
    let mut after = String::new();
    if matches!(place.format, Format::Text) {
        output::line(&row("id", "what", "value", "issued before", "until"))?;
    }
    loop {
        let page = wait(revocations.page(&after, SystemClock.now(), PAGE))??;
        let Some(last) = page.last() else { return Ok(ExitCode::SUCCESS) };
        after.clone_from(&last.id);
        for revocation in &page {
            line(revocation, place.format)?;
        }
    }
}

fn line(revocation: &Revocation, format: Format) -> anyhow::Result<()> {
    let Revocation { id, revoked, issued_before, until, .. } = revocation;
    let before = issued_before.map_or_else(|| "any".to_owned(), |moment| moment.rfc3339());
    match format {
        Format::Json => output::line(&revocation.json().to_string()),
        Format::Text => output::line(&row(id, revoked.kind(), revoked.value(), &before, &until.rfc3339())),
    }
}

fn open(place: &OfDatabase) -> anyhow::Result<Arc<Revocations>> {
    let snapshot = sound(&place.config)?;
    let database = snapshot.store.database.as_ref();
    let database = database.context("there is no database to keep revocations in: write `store.database`")?;
    database.open()?;
    snapshot.authentication.revocations().map(Arc::clone).context("there is no database")
}

fn row(id: &str, what: &str, value: &str, before: &str, until: &str) -> String {
    format!("{id:<16} {what:<10} {value:<32} {before:<20} {until}")
}
