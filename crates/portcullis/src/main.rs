//! The command line of Portcullis.

mod commands;
mod events;
mod output;
mod pid_file;
mod waf;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An API security gateway: one binary in front of HTTP services that authenticates, authorizes, limits, forwards,
/// hardens answers and keeps the record.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves by a configuration until SIGTERM or SIGINT; SIGHUP reloads it.
    Run(commands::run::Arguments),
    /// Checks a configuration and says all that is wrong with it. Exit code 1 if it would not start.
    Check(commands::check::Arguments),
    /// Decides about one request and says why, stage by stage.
    Explain(commands::explain::Arguments),
    /// Starts the gateway before a small service of its own, with everything switched on, and shows what to try.
    Demo(commands::demo::Arguments),
    /// Writes a commented configuration to start from.
    Init(commands::init::Arguments),
    /// Prints the JSON Schema of the configuration, for editors; or the Cedar schema of one configuration, for policies.
    Schema(commands::schema::Arguments),
    /// Makes API keys.
    Keys(commands::keys::Arguments),
    /// Shows what callers have used of their quotas, and sets it back, gives some back or takes some.
    Quota(commands::quota::Arguments),
    /// Verifies a token as the gateway would, or makes one to try things with.
    Token(commands::token::Arguments),
    /// Checks a configuration and has the running gateway take it.
    Reload(commands::reload::Arguments),
    /// Lists, checks, explains, tunes and tests rules of the web application firewall.
    Waf(waf::Arguments),
    /// Prints the version.
    Version,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => commands::run::run(&arguments),
        Command::Check(arguments) => commands::check::run(&arguments),
        Command::Explain(arguments) => commands::explain::run(&arguments),
        Command::Demo(arguments) => commands::demo::run(&arguments),
        Command::Init(arguments) => commands::init::run(&arguments),
        Command::Schema(arguments) => commands::schema::run(&arguments),
        Command::Keys(arguments) => commands::keys::run(&arguments),
        Command::Quota(arguments) => commands::quota::run(&arguments),
        Command::Token(arguments) => commands::token::run(&arguments),
        Command::Reload(arguments) => commands::reload::run(&arguments),
        Command::Waf(arguments) => waf::run(&arguments),
        Command::Version => {
            output::line(&format!("portcullis {}", env!("CARGO_PKG_VERSION"))).map(|()| ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|error| {
        output::complaint(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}
