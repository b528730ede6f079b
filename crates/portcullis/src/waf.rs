//! `portcullis waf`: rules of the web application firewall listed, checked, explained, tuned, and put to the test of
//! a conformance suite.

mod backend;
mod build;
mod expect;
mod explain;
mod in_process;
mod lint;
mod load;
mod message;
mod overrides;
mod report;
mod rules;
mod server;
mod suggest;
mod suite;
mod test;
mod wire;
mod words;

use std::process::ExitCode;

use clap::Subcommand;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists rules: what each looks for, where it stands, and whether an ordinary request is spared it.
    Rules(rules::Arguments),
    /// Checks rules: says what is wrong with them, what has no effect, and what costs time. Exit code 1 if they would not
    /// load.
    Lint(lint::Arguments),
    /// Runs one request through rules and says which of them matched what. Exit code 1 if it would be refused.
    Explain(explain::Arguments),
    /// Proposes exclusions for requests that the audit log holds and that were refused wrongly.
    Suggest(suggest::Arguments),
    /// Runs a suite in the format of go-ftw against rules, or against a gateway that has loaded them.
    Test(test::Arguments),
    /// Starts the service that a suite expects behind the gateway: it answers as a test tells it to.
    Backend(backend::serve::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Rules(arguments) => rules::run(arguments),
        Command::Lint(arguments) => lint::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Suggest(arguments) => suggest::run(arguments),
        Command::Test(arguments) => test::run(arguments),
        Command::Backend(arguments) => backend::serve::run(arguments),
    }
}
