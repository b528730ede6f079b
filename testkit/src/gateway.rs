//! The gateway's own binary as a child process, with real sockets and real signals.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::wait::Watched;

/// The name of the configuration in the gateway's folder.
const CONFIGURATION: &str = "gateway.yaml";
/// The name of the audit log that [`Gateway::audit`] reads.
const AUDIT_LOG: &str = "audit.jsonl";

/// What a gateway needs before it starts.
#[derive(Debug)]
pub struct Setup {
    binary: PathBuf,
    folder: TempDir,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

/// A running gateway. It is killed when it is dropped.
///
/// Configurations listen on port 0; the gateway says on its standard error which ports it got:
/// `{"event":"listening","listener":"public","address":"127.0.0.1:41234"}` for each listener, then
/// `{"event":"ready"}`. It runs in its own folder, so an audit log at the path `audit.jsonl` is found by
/// [`Gateway::audit`].
#[derive(Debug)]
pub struct Gateway {
    setup: Setup,
    running: Running,
    listeners: BTreeMap<String, SocketAddr>,
}

/// A process and what it writes.
#[derive(Debug)]
struct Running {
    child: Child,
    output: Arc<Watched<Output>>,
    printed: Arc<Watched<Output>>,
    readers: Vec<JoinHandle<()>>,
}

/// A gateway that did not start.
#[derive(Debug)]
pub struct Refusal {
    /// Its exit code; `None` if it was ended by a signal.
    pub code: Option<i32>,
    /// What it wrote to standard error.
    pub stderr: String,
}

#[derive(Debug, Default)]
struct Output {
    lines: Vec<String>,
    ended: bool,
}

impl Setup {
    /// A gateway that will run this binary: `env!("CARGO_BIN_EXE_portcullis")` in its crate's tests.
    ///
    /// # Panics
    /// When there is no place for a temporary folder.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { binary: binary.into(), folder, arguments: Vec::new(), environment: Vec::new() }
    }

    /// Writes a file beside the configuration, which can name it by its relative path.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        write(self.folder.path(), name, content.as_ref());
        self
    }

    /// Adds an argument of the command line, after `run` and the configuration.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable of the gateway's environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The folder in which the gateway will run.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the gateway and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready; the message holds what it wrote.
    #[must_use]
    pub fn start(self, configuration: &str) -> Gateway {
        self.launch(configuration).unwrap_or_else(|refusal| {
            panic!("the gateway did not start ({:?}):\n{}", refusal.code, refusal.stderr)
        })
    }

    /// Starts a gateway that is expected to refuse its configuration.
    ///
    /// # Panics
    /// When it starts nevertheless.
    #[must_use]
    pub fn refuse(self, configuration: &str) -> Refusal {
        match self.launch(configuration) {
            Ok(gateway) => panic!("the gateway started:\n{}", gateway.stderr()),
            Err(refusal) => refusal,
        }
    }

    fn launch(self, configuration: &str) -> Result<Gateway, Refusal> {
        write(self.folder.path(), CONFIGURATION, configuration.as_bytes());
        let mut gateway = Gateway { running: Running::spawn(&self), setup: self, listeners: BTreeMap::new() };
        if gateway.becomes_ready() { Ok(gateway) } else { Err(gateway.into_refusal()) }
    }
}

impl Running {
    fn spawn(setup: &Setup) -> Self {
        let mut child = Command::new(&setup.binary)
            .args(["run", CONFIGURATION])
            .args(&setup.arguments)
            .current_dir(setup.folder.path())
            .envs(setup.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", setup.binary.display()));
        let output = Arc::new(Watched::new(Output::default()));
        let stderr = child.stderr.take().expect("a piped standard error");
        let stdout = child.stdout.take().expect("a piped standard output");
        let printed = Arc::new(Watched::new(Output::default()));
        let readers = vec![collect(stderr, Arc::clone(&output)), collect(stdout, Arc::clone(&printed))];
        Self { child, output, printed, readers }
    }
}

impl Gateway {
    /// Starts a gateway that needs no other files; see [`Setup`].
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start(binary: impl Into<PathBuf>, configuration: &str) -> Self {
        Setup::new(binary).start(configuration)
    }

    /// The address of a listener.
    ///
    /// # Panics
    /// When the gateway has announced no listener of this name.
    #[must_use]
    pub fn address(&self, listener: &str) -> SocketAddr {
        let known = &self.listeners;
        *known.get(listener).unwrap_or_else(|| panic!("no listener {listener:?} among {known:?}"))
    }

    /// The folder in which the gateway runs, with its configuration and what it writes.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.setup.folder.path()
    }

    /// The operating system's number of the process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.running.child.id()
    }

    /// The memory that the process has resident, in bytes.
    /// The program itself does not count: its pages come when they are first run, which is no growth.
    ///
    /// # Panics
    /// When the process has ended.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.child.id()));
        let status = status.expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a size in kB");
        kibibytes * 1024
    }

    /// The time that the process has computed so far, all its threads together, in milliseconds. The
    /// kernel counts it in hundredths of a second.
    ///
    /// # Panics
    /// When the process has ended.
    #[must_use]
    pub fn computed_milliseconds(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.running.child.id()));
        let stat = stat.expect("the process is there");
        // The name of the program, in parentheses, may hold anything; utime and stime follow it.
        let (_, fields) = stat.rsplit_once(')').expect("the program's name");
        let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
        ticks.sum::<u64>() * 10
    }

    /// What the gateway has written to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.running.output.read(|output| output.lines.join("\n"))
    }

    /// What the gateway has written to standard output so far; all of it, once it has [`Gateway::ended`].
    #[must_use]
    pub fn stdout(&self) -> String {
        self.running.printed.read(|output| output.lines.join("\n"))
    }

    /// Blocks until the gateway has written a JSON line with this `event` after the first `skip` ones of
    /// that name, and gives it.
    ///
    /// # Panics
    /// When it does not come within [`crate::PATIENCE`], or the gateway ends.
    #[must_use]
    pub fn wait_for_event(&self, event: &str, skip: usize) -> Value {
        let found = self.running.output.wait_for(|output| match events(output, event).nth(skip) {
            None if output.ended => Some(None),
            None => None,
            Some(line) => Some(Some(line)),
        });
        found.flatten().unwrap_or_else(|| panic!("no event {event:?} among:\n{}", self.stderr()))
    }

    /// The audit log so far, one value a line.
    ///
    /// # Panics
    /// When a complete line is not JSON.
    #[must_use]
    pub fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.setup.folder.path().join(AUDIT_LOG)).unwrap_or_default();
        let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
        complete.lines().map(parse_line).collect()
    }

    /// Ends the gateway in order, which writes out what it still holds, and gives the whole audit log.
    ///
    /// # Panics
    /// When it does not end in order.
    #[must_use]
    pub fn stop_and_audit(mut self) -> Vec<Value> {
        let status = self.stop();
        assert!(status.success(), "the gateway ended with {status}:\n{}", self.stderr());
        self.audit()
    }

    /// Writes another configuration over the one that the gateway was started with. It takes effect with
    /// [`Gateway::hang_up`].
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn rewrite(&self, configuration: &str) {
        write(self.setup.folder.path(), CONFIGURATION, configuration.as_bytes());
    }

    /// Writes a file into the gateway's folder.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        write(self.setup.folder.path(), name, content.as_ref());
    }

    /// Sends SIGHUP: reload.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Sends SIGUSR1: open the audit log anew.
    pub fn reopen_log(&self) {
        self.signal(Signal::USR1);
    }

    /// Sends SIGINT, as Ctrl-C does: drain and end. Does not wait for it.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Sends SIGTERM: drain and end. Does not wait for it.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGKILL and waits.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended();
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.ended()
    }

    /// Waits for the end of a gateway that was told to end.
    ///
    /// # Panics
    /// When it does not end within [`crate::PATIENCE`].
    pub fn ended(&mut self) -> ExitStatus {
        // The end of its outputs is the end of the process: nobody else holds their other sides.
        for output in [&self.running.output, &self.running.printed] {
            let ended = output.wait_for(|output| output.ended.then_some(()));
            assert!(ended.is_some(), "the gateway did not end:\n{}", self.stderr());
        }
        self.running.child.wait().expect("the child's exit status")
    }

    /// Ends it, by SIGTERM or by what a test did before, and starts another one in the same folder.
    ///
    /// # Panics
    /// When that one does not become ready.
    pub fn restart(&mut self) {
        self.stop();
        self.running = Running::spawn(&self.setup);
        assert!(self.becomes_ready(), "the gateway did not start again:\n{}", self.stderr());
    }

    fn signal(&self, signal: Signal) {
        let process =
            i32::try_from(self.running.child.id()).ok().and_then(Pid::from_raw).expect("a process number");
        // A process that has ended already cannot be told anything.
        let _ = kill_process(process, signal);
    }

    /// Whether the gateway says that it is ready, rather than ends.
    fn becomes_ready(&mut self) -> bool {
        let ready = self.running.output.wait_for(|output| {
            if events(output, "ready").next().is_some() { Some(true) } else { output.ended.then_some(false) }
        });
        let announced: Vec<Value> = self.running.output.read(|output| events(output, "listening").collect());
        for line in announced {
            let text = |key: &str| line.get(key).and_then(Value::as_str);
            if let (Some(name), Some(Ok(address))) = (text("listener"), text("address").map(str::parse)) {
                self.listeners.insert(name.to_owned(), address);
            }
        }
        ready == Some(true)
    }

    fn into_refusal(mut self) -> Refusal {
        // One that neither became ready nor ended is killed, and has no exit code.
        self.signal(if self.running.output.read(|output| output.ended) {
            Signal::TERM
        } else {
            Signal::KILL
        });
        let code = self.ended().code();
        Refusal { code, stderr: self.stderr() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        if std::thread::panicking() {
            let written = self.output.read(|output| output.lines.join("\n"));
            #[expect(clippy::print_stderr, reason = "the test harness shows what a failed test printed")]
            {
                eprintln!("the gateway wrote:\n{written}");
            }
        }
    }
}

fn events<'o>(output: &'o Output, event: &str) -> impl Iterator<Item = Value> + 'o {
    let event = Value::from(event);
    let parsed = output.lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    parsed.filter(move |line| line.get("event") == Some(&event))
}

fn parse_line(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"))
}

/// Reads a pipe to its end, so that the gateway never blocks on a full one.
fn collect(pipe: impl Read + Send + 'static, output: Arc<Watched<Output>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            output.change(|output| output.lines.push(String::from_utf8_lossy(&line).into_owned()));
        }
        output.change(|output| output.ended = true);
    })
}

fn write(folder: &Path, name: &str, content: &[u8]) {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).expect("a folder for the file");
    }
    std::fs::write(&path, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    // There are keys among them.
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, private).expect("a private file");
}
