//! `portcullis run`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, RwLock};

use anyhow::{Context, bail};
use portcullis_admin::State;
use portcullis_config::report;
use portcullis_pipeline::Snapshot;
use portcullis_proxy::{Gateway, Operator, OperatorAnswer};
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::events::event;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The configuration file.
    config: PathBuf,
    /// A file in which the process id stands while the gateway runs, for `portcullis reload`.
    #[arg(long)]
    pid_file: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let compiled = super::compile_to_run(&arguments.config, None);
    output::problems(&compiled);
    let Some(unrecorded) = compiled.snapshot else { return Ok(ExitCode::FAILURE) };
    let snapshot = unrecorded.open(None).context("the audit log cannot be opened")?;
    // Signals that come from here on wait until the gateway stands.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
    let running = Running::start(snapshot, arguments.pid_file.as_deref())?;
    event("ready", json!({ "generation": running.gateway_snapshot().generation }));
    for signal in signals.forever() {
        match signal {
            SIGHUP => running.reload(&arguments.config),
            // Whoever rotated the audit file away wants it opened anew.
            SIGUSR1 => match running.gateway_snapshot().audit.reopen() {
                Ok(()) => event("audit_reopened", json!({})),
                Err(error) => event("audit_reopen_failed", json!({ "error": error.to_string() })),
            },
            _ => break,
        }
    }
    running.stop()?;
    Ok(ExitCode::SUCCESS)
}

/// A gateway with its operator's listener.
pub(crate) struct Running {
    gateway: Shared,
    operator: Option<Operator>,
    pid_file: Option<PathBuf>,
}

/// The gateway, until it is taken out to be drained.
type Shared = Arc<RwLock<Option<Gateway>>>;

impl Running {
    pub(crate) fn start(snapshot: Snapshot, pid_file: Option<&Path>) -> anyhow::Result<Self> {
        let admin = snapshot.admin;
        let gateway = Gateway::start(Arc::new(snapshot))?;
        for (name, address) in gateway.addresses() {
            event("listening", json!({ "listener": name, "address": address.to_string() }));
        }
        let gateway: Shared = Arc::new(RwLock::new(Some(gateway)));
        let operator = admin.map(|address| operate(address, Arc::clone(&gateway))).transpose()?;
        if let Some(operator) = &operator {
            event("listening", json!({ "listener": "admin", "address": operator.address().to_string() }));
        }
        if let Some(path) = pid_file {
            std::fs::write(path, format!("{}\n", std::process::id()))
                .with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        Ok(Self { gateway, operator, pid_file: pid_file.map(Path::to_owned) })
    }

    /// The address of a listener.
    pub(crate) fn address(&self, listener: &str) -> Option<std::net::SocketAddr> {
        let gateway = self.gateway.read().ok()?;
        let (_, address) = gateway.as_ref()?.addresses().iter().find(|(name, _)| name == listener)?;
        Some(*address)
    }

    fn gateway_snapshot(&self) -> Arc<Snapshot> {
        #[expect(
            clippy::expect_used,
            reason = "the gateway is taken out only by `stop`, which consumes this"
        )]
        with(&self.gateway, Gateway::snapshot).expect("a gateway that was not stopped")
    }

    /// Takes the configuration anew; a bad one is refused, and the old one stays.
    fn reload(&self, config: &Path) {
        let old = self.gateway_snapshot();
        let mut compiled = super::compile_to_run(config, Some(&old));
        let unrecorded = compiled.snapshot.take();
        let refused = |why: String| {
            old.metrics.config_reload_failed();
            let problems = report::json(&compiled.document, &compiled.problems);
            event(
                "reload_refused",
                json!({ "error": why, "problems": problems, "generation": old.generation }),
            );
        };
        output::problems(&compiled);
        let Some(unrecorded) = unrecorded else {
            return refused("the configuration is not sound".to_owned());
        };
        let outcome = unrecorded.open(Some(&old)).map_err(anyhow::Error::from).and_then(|snapshot| {
            let generation = snapshot.generation;
            let replaced = with(&self.gateway, |gateway| gateway.replace(Arc::new(snapshot)));
            replaced.unwrap_or(Ok(()))?;
            Ok(generation)
        });
        match outcome {
            Ok(generation) => event("reloaded", json!({ "generation": generation })),
            Err(error) => refused(format!("{error:#}")),
        }
    }

    /// Lets what is under way finish and ends.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        event("draining", json!({}));
        let gateway = self.gateway.write().ok().and_then(|mut gateway| gateway.take());
        let Some(gateway) = gateway else { bail!("the gateway is gone already") };
        gateway.drain();
        drop(self.operator);
        if let Some(path) = &self.pid_file {
            // If it is gone already, that is as well.
            let _: std::io::Result<()> = std::fs::remove_file(path);
        }
        event("stopped", json!({}));
        Ok(())
    }
}

fn with<T>(gateway: &Shared, ask: impl FnOnce(&Gateway) -> T) -> Option<T> {
    gateway.read().ok().and_then(|gateway| gateway.as_ref().map(ask))
}

fn operate(address: std::net::SocketAddr, gateway: Shared) -> anyhow::Result<Operator> {
    let state = Observed(gateway);
    Operator::start(address, move |request| {
        let answer = portcullis_admin::answer(request.method, request.path, &state);
        OperatorAnswer { status: answer.status, content_type: answer.content_type, body: answer.body }
    })
    .with_context(|| format!("the admin listener cannot use {address}"))
}

/// The gateway as the admin listener sees it.
struct Observed(Shared);

impl State for Observed {
    fn is_ready(&self) -> bool {
        with(&self.0, Gateway::is_ready).unwrap_or(false)
    }

    fn generation(&self) -> u64 {
        with(&self.0, |gateway| gateway.snapshot().generation).unwrap_or(0)
    }

    fn metrics(&self) -> String {
        with(&self.0, Gateway::metrics).unwrap_or_default()
    }
}
