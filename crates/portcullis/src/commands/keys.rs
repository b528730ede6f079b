//! `portcullis keys`

use std::process::ExitCode;

use portcullis_authn::api_key;

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
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Command::New { id } = &arguments.command;
    let made = api_key::generate(id)?;
    output::complaint("The key, shown this once:");
    output::line(made.key.expose())?;
    output::complaint("The entry for `authentication.api_keys[].keys`:");
    output::line(&format!("- id: {id}\n  hash: {}", made.hash))?;
    Ok(ExitCode::SUCCESS)
}
