//! What people and programs read: standard output for what was asked for, standard error for the rest.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use portcullis_config::Compiled;

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Prints a line on standard output.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        // Whoever read the output has seen enough (`| head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Prints a line on standard error; there is nowhere to complain about a failure of that.
pub(crate) fn complaint(text: &str) {
    let _: io::Result<()> = writeln!(io::stderr().lock(), "{text}");
}

/// Prints what is wrong with a configuration: people read it on standard error.
pub(crate) fn problems(compiled: &Compiled) {
    if !compiled.problems.is_empty() {
        let colours = io::stderr().is_terminal();
        complaint(&portcullis_config::report::text(&compiled.document, &compiled.problems, colours));
    }
}
