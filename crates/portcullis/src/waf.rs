//! `portcullis waf`: rules put to the test of a conformance suite, in process or over the wire.

mod backend;
mod build;
mod expect;
mod in_process;
mod message;
mod overrides;
mod report;
mod server;
mod suite;
mod test;
mod wire;

use std::process::ExitCode;

use clap::Subcommand;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a suite in the format of go-ftw against rules, or against a gateway that has loaded them.
    Test(test::Arguments),
    /// Starts the service that a suite expects behind the gateway: it answers as a test tells it to.
    Backend(backend::serve::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Test(arguments) => test::run(arguments),
        Command::Backend(arguments) => backend::serve::run(arguments),
    }
}
