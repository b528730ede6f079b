//! `portcullis schema`

use std::process::ExitCode;

use clap::ValueEnum;
use portcullis_config::raw::RawConfig;
use portcullis_config::{published_schema, reference};

use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Format {
    /// The JSON Schema.
    #[default]
    Json,
    /// The reference of the configuration, for people.
    Markdown,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match arguments.format {
        Format::Json => output::line(&format!("{:#}", published_schema::<RawConfig>()))?,
        Format::Markdown => output::line(reference::<RawConfig>("Configuration").trim_end())?,
    }
    Ok(ExitCode::SUCCESS)
}
