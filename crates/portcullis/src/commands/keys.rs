//! `portcullis keys`

mod told;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use portcullis_authn::api_key::{self, Details, ImportedKey, StoredKeys};
use portcullis_core::{Clock, Period, SystemClock, Timestamp};

use super::{OfDatabase, act, wait};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Makes a key and prints it once, with the entry for the configuration, which holds only its hash.
    New {
        /// The visible part of the key: letters and digits.
        id: String,
    },
    /// Makes a key in the database and prints it once.
    Create(Create),
    /// Lists the keys in the database, without their secrets.
    List(Place),
    /// Shows what is known of a key.
    Show(One),
    /// Gives a key another secret and prints it once; the one before holds for a while beside it.
    Rotate {
        #[command(flatten)]
        one: One,
        /// How long the secret before still holds, such as `24h`; `0s` ends it at once.
        #[arg(long, value_name = "TIME", default_value = "24h")]
        overlap: Period,
    },
    /// Withdraws a key. Its record stays.
    Disable(One),
    /// Takes a key again that was disabled.
    Enable(One),
    /// Forgets a key.
    Delete(One),
    /// Takes keys from a JSON list as `keys_file` has it, with the hashes that `keys new` prints, or with `key` instead of `hash`.
    Import {
        /// The file, or `-` for standard input.
        file: PathBuf,
        /// Leaves keys whose id is there already as they are. Without it, nothing is taken if there is one.
        #[arg(long)]
        skip_existing: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the keys are.
#[derive(Debug, clap::Args)]
struct Place {
    /// The method that keeps keys, by its name; it can be left out if there is one.
    #[arg(long, value_name = "NAME")]
    method: Option<String>,
    #[command(flatten)]
    of: OfDatabase,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The visible part of the key.
    id: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The visible part of the key: letters, digits, `-`, `.` and `_`.
    id: String,
    /// Who holds it.
    #[arg(long)]
    owner: Option<String>,
    /// A role; may be given several times.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// A scope; may be given several times.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A network from which alone it may be used, such as `192.0.2.0/24`; may be given several times.
    #[arg(long = "address", value_name = "NETWORK")]
    addresses: Vec<String>,
    /// A route on which alone it may be used; may be given several times.
    #[arg(long = "route", value_name = "NAME")]
    routes: Vec<String>,
    /// When it ends: a moment in UTC (`2027-01-31T00:00:00Z`), or how long it holds (`90d`).
    #[arg(long, value_name = "MOMENT")]
    expires: Option<String>,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::New { id } => new(id),
        Command::Create(create) => make(create),
        Command::List(place) => list(place),
        Command::Show(one) => {
            let keys = open(&one.place)?;
            told::one(&wait(keys.show(&one.id))??, one.place.of.format)
        }
        Command::Rotate { one, overlap } => {
            let keys = open(&one.place)?;
            let key = wait(keys.rotate(&one.id, overlap.0, &act()))??;
            told::secret(&one.id, &key, one.place.of.format)
        }
        Command::Disable(one) => {
            change(one, |keys, id| Box::pin(async move { keys.set_enabled(id, false, &act()).await }))
        }
        Command::Enable(one) => {
            change(one, |keys, id| Box::pin(async move { keys.set_enabled(id, true, &act()).await }))
        }
        Command::Delete(one) => {
            change(one, |keys, id| Box::pin(async move { keys.delete(id, &act()).await }))
        }
        Command::Import { file, skip_existing, place } => import(file, *skip_existing, place),
    }
}

fn new(id: &str) -> anyhow::Result<ExitCode> {
    let made = api_key::generate(id)?;
    output::complaint("The key, shown this once:");
    output::line(made.key.expose())?;
    output::complaint("The entry for `authentication.api_keys[].keys`:");
    output::line(&format!("- id: {id}\n  hash: {}", made.hash))?;
    Ok(ExitCode::SUCCESS)
}

fn make(create: &Create) -> anyhow::Result<ExitCode> {
    let addresses = create.addresses.iter().map(|text| {
        let network = text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(Into::into));
        network.map_err(|_| anyhow!("`{text}` is no network; write `192.0.2.0/24` or an address"))
    });
    let details = Details {
        owner: create.owner.clone(),
        roles: create.roles.clone(),
        scopes: create.scopes.clone(),
        addresses: addresses.collect::<anyhow::Result<_>>()?,
        routes: create.routes.clone(),
    };
    details.check().map_err(|message| anyhow!(message))?;
    let expires = create.expires.as_deref().map(moment).transpose()?;
    let keys = open(&create.place)?;
    let key = wait(keys.create(&create.id, &details, expires, &act()))??;
    told::secret(&create.id, &key, create.place.of.format)
}

/// A moment, or how long from now.
fn moment(text: &str) -> anyhow::Result<Timestamp> {
    Timestamp::from_text(text, SystemClock.now()).ok_or_else(|| {
        anyhow!("`{text}` is neither a moment such as `2027-01-31T00:00:00Z` nor a time such as `90d`")
    })
}

fn list(place: &Place) -> anyhow::Result<ExitCode> {
    const PAGE: i64 = 1000;
    let keys = open(place)?;
    let mut after = String::new();
    told::header(place.of.format)?;
    loop {
        let page = wait(keys.list(&after, PAGE))??;
        let Some(last) = page.last() else { return Ok(ExitCode::SUCCESS) };
        after.clone_from(&last.id);
        for record in &page {
            told::line(record, place.of.format)?;
        }
    }
}

type Doing<'k> = std::pin::Pin<Box<dyn Future<Output = Result<(), api_key::CustodyError>> + Send + 'k>>;

fn change(one: &One, what: for<'k> fn(&'k StoredKeys, &'k str) -> Doing<'k>) -> anyhow::Result<ExitCode> {
    let keys = open(&one.place)?;
    wait(what(&keys, &one.id))??;
    Ok(ExitCode::SUCCESS)
}

fn import(file: &Path, skip_existing: bool, place: &Place) -> anyhow::Result<ExitCode> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?
    };
    let list = ImportedKey::read(&text).map_err(|message| anyhow!("`{}`: {message}", file.display()))?;
    let keys = open(place)?;
    let taken = wait(keys.import(&list, skip_existing, &act()))?
        .context("no key was imported; `--skip-existing` leaves those that are there as they are")?;
    let there = list.len() as u64 - taken;
    output::complaint(&match there {
        0 => format!("{taken} keys imported"),
        _ => format!("{taken} keys imported, {there} were there"),
    });
    Ok(ExitCode::SUCCESS)
}

/// The keys of the method that is meant, their database open.
fn open(place: &Place) -> anyhow::Result<Arc<StoredKeys>> {
    let snapshot = super::sound(&place.of.config)?;
    let all = snapshot.authentication.stored_keys();
    let keys = match (&place.method, all) {
        (None, [only]) => only,
        (None, []) => bail!(
            "no method keeps keys in the database: write `stored` under one of `authentication.api_keys`"
        ),
        (None, _) => bail!("several methods keep keys in the database: say which by `--method`"),
        (Some(name), _) => all
            .iter()
            .find(|keys| keys.method() == name)
            .ok_or_else(|| anyhow!("there is no method `{name}` that keeps keys in the database"))?,
    };
    keys.database().open()?;
    Ok(Arc::clone(keys))
}
