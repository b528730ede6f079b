//! `portcullis schema`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use clap::error::ErrorKind;
use portcullis_config::raw::RawConfig;
use portcullis_config::{published_schema, reference};
use portcullis_core::problem::Severity;

use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The configuration file whose Cedar schema is printed; only with `--format cedar`.
    #[arg(required_if_eq("format", "cedar"))]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// The JSON Schema.
    #[default]
    Json,
    /// The reference of the configuration, for people.
    Markdown,
    /// The Cedar schema that the policies of a configuration are held against.
    Cedar,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match (arguments.format, &arguments.config) {
        (Format::Cedar, Some(config)) => return cedar(config),
        (Format::Json, None) => output::line(&format!("{:#}", published_schema::<RawConfig>()))?,
        (Format::Markdown, None) => output::line(reference::<RawConfig>("Configuration").trim_end())?,
        _ => {
            let message = "a configuration has a schema of its own only with `--format cedar`";
            clap::Error::raw(ErrorKind::ArgumentConflict, format!("{message}; see `--help`\n")).exit()
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Policies that are wrong do not stand in the way: the schema is what they are mended by.
fn cedar(config: &Path) -> anyhow::Result<ExitCode> {
    let compiled = super::compile(config, None);
    output::problems(&compiled);
    let is_of_policies = |path: &str| path.starts_with("authorization.policies");
    let spoils = |severity, path| severity == Severity::Error && !is_of_policies(path);
    let mut problems = compiled.problems.iter().map(|it| &it.problem);
    let spoilt = problems.any(|problem| spoils(problem.severity, problem.path.as_str()));
    match compiled.cedar_schema.filter(|_| !spoilt) {
        Some(schema) => {
            output::line(schema.trim_end())?;
            Ok(ExitCode::SUCCESS)
        }
        None => Ok(ExitCode::FAILURE),
    }
}
