//! `portcullis init`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use portcullis_pipeline::settings::TargetAddress;

use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where the service is, such as `http://127.0.0.1:9000`.
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// The file to write; `-` for standard output.
    #[arg(long, default_value = "portcullis.yaml", value_name = "FILE")]
    output: PathBuf,
}

const STARTER: &str = include_str!("init/starter.yaml");

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let target = TargetAddress::parse(&arguments.upstream).map_err(anyhow::Error::msg)?;
    let text = STARTER.replace("http://upstream.invalid", &target.to_string());
    if arguments.output == Path::new("-") {
        output::line(text.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = arguments.output.display();
    if arguments.output.exists() {
        bail!("`{path}` exists already; name another file with --output");
    }
    std::fs::write(&arguments.output, text).with_context(|| format!("cannot write `{path}`"))?;
    output::line(&format!("wrote {path}; try `portcullis check {path}`, then `portcullis run {path}`"))?;
    Ok(ExitCode::SUCCESS)
}
