//! `portcullis run`

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use portcullis_admin::api::{self, ApiRequest};
use portcullis_admin::{Answer, Readiness, State};
use portcullis_config::{Compiled, report};
use portcullis_core::problem::Severity;
use portcullis_core::{Clock, SystemClock};
use portcullis_pipeline::Snapshot;
use portcullis_proxy::{BoundOperator, Gateway, Observer, Operator, OperatorAnswer, OperatorRequest};
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::events::{event, reporter};
use crate::output;
use crate::pid_file::PidFile;

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
    let snapshot = unrecorded.open(None)?;
    // Signals that come from here on wait until the gateway stands.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
    let running = Running::start(snapshot, arguments.pid_file.as_deref())?;
    event("ready", json!({ "generation": running.gateway.snapshot().generation }));
    for signal in signals.forever() {
        match signal {
            SIGHUP => running.reload(&arguments.config),
            // Whoever rotated the audit file away wants it opened anew.
            SIGUSR1 => match running.gateway.snapshot().audit.reopen() {
                Ok(()) => event("audit_reopened", json!({})),
                Err(error) => event("audit_reopen_failed", json!({ "error": error.to_string() })),
            },
            _ => break,
        }
    }
    running.stop();
    Ok(ExitCode::SUCCESS)
}

/// How long the end waits for the database to take what is settled with quotas.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);

/// A gateway with its operator's listener.
pub(crate) struct Running {
    gateway: Gateway,
    operator: Option<Operator>,
    pid_file: Option<PidFile>,
}

impl Running {
    /// Whatever may fail comes before the first request is served. The pid file comes last: a gateway that another one
    /// keeps from starting must not write over the other's.
    pub(crate) fn start(snapshot: Snapshot, pid_file: Option<&Path>) -> anyhow::Result<Self> {
        let (admin, generation) = (snapshot.admin, snapshot.generation);
        let opened = Gateway::open(Arc::new(snapshot))?;
        let operator =
            admin.map(|address| open_operator(address).map(|bound| (address, bound))).transpose()?;
        let pid_file = pid_file.map(|path| PidFile::create(path, generation)).transpose()?;
        let gateway = opened.serve(reporter())?;
        let operator =
            operator.map(|(address, bound)| operate(address, bound, gateway.observer())).transpose()?;
        for (name, address) in gateway.addresses() {
            event("listening", json!({ "listener": name, "address": address.to_string() }));
        }
        if let Some(operator) = &operator {
            event("listening", json!({ "listener": "admin", "address": operator.address().to_string() }));
        }
        Ok(Self { gateway, operator, pid_file })
    }

    /// The address of a listener.
    pub(crate) fn address(&self, listener: &str) -> Option<std::net::SocketAddr> {
        let (_, address) = self.gateway.addresses().iter().find(|(name, _)| name == listener)?;
        Some(*address)
    }

    /// Takes the configuration anew, and says for `portcullis reload` what became of it.
    fn reload(&self, config: &Path) {
        let generation = || self.gateway.snapshot().generation;
        let note = |noted: std::io::Result<()>| {
            if let Err(error) = noted {
                event("reload_status_failed", json!({ "error": error.to_string() }));
            }
        };
        if let Some(file) = &self.pid_file {
            note(file.reload_begins(generation()));
        }
        let refusal = self.take(config);
        if let Some(file) = &self.pid_file {
            note(file.reload_ended(generation(), refusal.as_deref()));
        }
    }

    /// Takes the configuration anew; a bad one is refused, and the old one stays. Says why it was refused.
    fn take(&self, config: &Path) -> Option<String> {
        let old = self.gateway.snapshot();
        let mut compiled = super::compile_to_run(config, Some(&old));
        let unrecorded = compiled.snapshot.take();
        output::problems(&compiled);
        let outcome = unrecorded
            .ok_or_else(|| anyhow!("the configuration is not sound: {}", first_error(&compiled)))
            .and_then(|unrecorded| Ok(unrecorded.open(Some(&old))?))
            .and_then(|snapshot| {
                let generation = snapshot.generation;
                self.gateway.replace(Arc::new(snapshot))?;
                Ok(generation)
            });
        match outcome {
            Ok(generation) => {
                event("reloaded", json!({ "generation": generation }));
                None
            }
            Err(error) => {
                let error = format!("{error:#}");
                old.metrics.config_reload_failed();
                let problems = report::json(&compiled.document, &compiled.problems);
                event(
                    "reload_refused",
                    json!({ "error": error, "problems": problems, "generation": old.generation }),
                );
                Some(error)
            }
        }
    }

    /// Lets what is under way finish and ends.
    pub(crate) fn stop(self) {
        event("draining", json!({}));
        let snapshot = self.gateway.snapshot();
        self.gateway.drain();
        if !snapshot.quotas.wait_until_settled(SETTLED_WITHIN) {
            event("quotas_unsettled", json!({}));
        }
        drop((self.operator, self.pid_file));
        event("stopped", json!({}));
    }
}

/// The first error, for those who see no more than a line.
fn first_error(compiled: &Compiled) -> String {
    let error = compiled.problems.iter().find(|located| located.problem.severity == Severity::Error);
    error
        .map(|located| format!("{}: {}", located.problem.path.as_str(), located.problem.message))
        .unwrap_or_default()
}

fn unusable(address: SocketAddr) -> String {
    format!("the admin listener cannot use {address}")
}

fn open_operator(address: SocketAddr) -> anyhow::Result<BoundOperator> {
    Operator::bind(address).with_context(|| unusable(address))
}

fn operate(address: SocketAddr, bound: BoundOperator, observer: Observer) -> anyhow::Result<Operator> {
    let state = Observed(observer);
    bound
        .answer(move |request| {
            let state = state.clone();
            Box::pin(async move {
                let Answer { status, content_type, fields, body } = state.answer(&request).await;
                OperatorAnswer { status, content_type, fields, body }
            })
        })
        .with_context(|| unusable(address))
}

/// The gateway as the admin listener sees it.
#[derive(Clone)]
struct Observed(Observer);

impl Observed {
    async fn answer(&self, request: &OperatorRequest) -> Answer {
        let (head, uri) = (&request.head, &request.head.uri);
        if !api::is_api(uri.path()) {
            return portcullis_admin::answer(&head.method, uri.path(), self);
        }
        let asked = ApiRequest {
            method: &head.method,
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            headers: &head.headers,
            body: &request.body,
        };
        api::respond(asked, &self.0.snapshot(), SystemClock.now()).await
    }
}

impl State for Observed {
    fn readiness(&self) -> Readiness {
        let portcullis_proxy::Readiness { is_draining, missing_key_sets, services_without_target } =
            self.0.readiness();
        Readiness { is_draining, missing_key_sets, services_without_target }
    }

    fn generation(&self) -> u64 {
        self.0.generation()
    }

    fn metrics(&self) -> String {
        self.0.metrics()
    }
}
