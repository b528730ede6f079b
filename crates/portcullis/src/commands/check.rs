//! `portcullis check`

use std::path::PathBuf;
use std::process::ExitCode;

use portcullis_config::report;

use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The configuration file.
    config: PathBuf,
    /// How problems are printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let compiled = super::compile_to_run(&arguments.config, None);
    let is_sound = compiled.snapshot.is_some();
    match arguments.format {
        Format::Json => output::line(&format!("{:#}", report::json(&compiled.document, &compiled.problems)))?,
        Format::Text => {
            output::problems(&compiled);
            if let Some(unrecorded) = compiled.snapshot {
                let snapshot = unrecorded.without_record();
                let (services, routes) = (snapshot.services.len(), snapshot.routes.len());
                output::line(&format!(
                    "{}: sound ({services} services, {routes} routes)",
                    arguments.config.display()
                ))?;
            }
        }
    }
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
