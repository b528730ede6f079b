//! Redis as child processes: one server, a master with replicas and Sentinels, a cluster on loopback.
//!
//! The servers are Debian's `redis-server`. Where there is none a test that needs it fails and says so: what was not run
//! was not tested.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::PATIENCE;

/// One server. It is killed when it is dropped.
#[derive(Debug)]
pub struct Redis {
    child: Option<Server>,
    port: u16,
    arguments: Vec<String>,
    folder: TempDir,
}

impl Redis {
    /// Starts a server on a free port of loopback; it keeps nothing on disk.
    ///
    /// # Panics
    /// When there is no `redis-server`, or it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further arguments of its command line; `{folder}` stands for its folder.
    ///
    /// # Panics
    /// When there is no `redis-server`, or it does not start.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let shown = folder.path().display().to_string();
        let arguments = arguments.iter().map(|argument| argument.replace("{folder}", &shown)).collect();
        let mut server = Self { child: None, port: 0, arguments, folder };
        // A port that was free a moment ago may be taken by now.
        for _ in 0..10 {
            server.port = free_port();
            if server.try_run() {
                return server;
            }
        }
        panic!("redis-server does not start with {:?}", server.arguments);
    }

    /// Starts a server that speaks nothing but TLS.
    ///
    /// # Panics
    /// When there is no `redis-server`, or it does not start.
    #[must_use]
    pub fn start_tls(arguments: &[&str]) -> Self {
        let port = free_port();
        let number = port.to_string();
        let mut server = Self::start_with(&[arguments, &["--port", "0", "--tls-port", &number]].concat());
        server.port = port;
        server
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), self.port)
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Its folder, for files that its arguments name.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills it at once: what it held is lost.
    pub fn kill(&mut self) {
        drop(self.child.take());
    }

    /// Starts it again where it was.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.try_run(), "redis-server does not start again on port {}", self.port);
    }

    /// Stops its process with SIGSTOP: it still accepts connections, in the kernel, and answers nothing.
    ///
    /// # Panics
    /// When it is not running.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it is not running.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// What `redis-cli` prints for a command.
    ///
    /// # Panics
    /// When there is no `redis-cli`.
    #[must_use]
    pub fn cli(&self, arguments: &[&str]) -> String {
        cli(self.port, arguments)
    }

    fn signal(&self, signal: Signal) {
        let Server { child, .. } = self.child.as_ref().expect("a running server");
        let id = Pid::from_raw(i32::try_from(child.id()).expect("an id")).expect("an id");
        kill_process(id, signal).expect("the process takes signals");
    }

    fn try_run(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if !self.arguments.iter().any(|argument| argument == "--port") {
            command.args(["--port", &self.port.to_string()]);
        }
        self.child = wait_until_ready(command, "Ready to accept connections");
        self.child.is_some()
    }
}

/// A process, and one that outlives neither it nor this program: tests end in many ways, and a server that stays behind keeps
/// ports, pipes and locks.
#[derive(Debug)]
struct Server {
    child: Child,
    guardian: Child,
}

impl Server {
    fn guarded(child: Child) -> Self {
        let guardian = Command::new("sh")
            .args(["-c", &format!("cat; kill -9 {}", child.id())])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        Self { child, guardian }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The guardian first: the number of the server may be another process's afterwards.
        for child in [&mut self.guardian, &mut self.child] {
            // It may have ended by itself.
            let _: std::io::Result<()> = child.kill();
            let _: std::io::Result<_> = child.wait();
        }
    }
}

/// A master, a replica, and three Sentinels that watch them.
#[derive(Debug)]
pub struct Watchful {
    /// The master at first.
    pub master: Redis,
    /// Its replica.
    pub replica: Redis,
    sentinels: Vec<(Server, u16)>,
    _folder: TempDir,
}

impl Watchful {
    /// The name under which the Sentinels know the master.
    pub const MASTER: &'static str = "counters";

    /// Starts all of them; a master that is gone for 300 ms is replaced. The Sentinels know a user `gate` with the password
    /// `sesame`, and let nobody else in.
    ///
    /// # Panics
    /// When one does not start.
    #[must_use]
    pub fn start() -> Self {
        let master = Redis::start();
        let port = master.port.to_string();
        let replica = Redis::start_with(&["--replicaof", "127.0.0.1", &port]);
        wait_until("the replica follows", || {
            replica.cli(&["INFO", "replication"]).contains("master_link_status:up")
        });
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sentinels = (0..3)
            .map(|number| {
                let (name, own) = (Self::MASTER, free_port());
                let file = folder.path().join(format!("sentinel-{number}.conf"));
                let text = format!(
                    "port {own}\nbind 127.0.0.1\nsentinel monitor {name} 127.0.0.1 {port} 2\n\
                     sentinel down-after-milliseconds {name} 300\nsentinel failover-timeout {name} 2000\n\
                     requirepass watch\nuser gate on >sesame ~* &* +@all\n"
                );
                std::fs::write(&file, text).expect("the folder can be written to");
                let mut command = Command::new("redis-server");
                command
                    .arg(&file)
                    .arg("--sentinel")
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null());
                let child = wait_until_ready(command, "+monitor master").expect("a Sentinel");
                (child, own)
            })
            .collect();
        let watchful = Self { master, replica, sentinels, _folder: folder };
        wait_until("the Sentinels know one another and the replica", || {
            watchful.sentinels.iter().all(|(_, port)| {
                let known =
                    cli(*port, &["-a", "watch", "--no-auth-warning", "SENTINEL", "MASTER", Self::MASTER]);
                let lines: Vec<&str> = known.lines().collect();
                let value =
                    |name| lines.iter().position(|line| *line == name).and_then(|at| lines.get(at + 1));
                value("num-other-sentinels") == Some(&"2") && value("num-slaves") == Some(&"1")
            })
        });
        watchful
    }

    /// Where the Sentinels are, as `host:port`.
    #[must_use]
    pub fn nodes(&self) -> Vec<String> {
        self.sentinels.iter().map(|(_, port)| format!("127.0.0.1:{port}")).collect()
    }
}

/// Three masters with a replica each.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Redis>,
}

impl Cluster {
    /// Starts six servers and makes a cluster of them.
    ///
    /// # Panics
    /// When one does not start, or they do not find together.
    #[must_use]
    pub fn start() -> Self {
        let start = |_| {
            let bus = free_port().to_string();
            Redis::start_with(&[
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus,
                "--cluster-node-timeout",
                "1000",
                "--cluster-config-file",
                "{folder}/nodes.conf",
            ])
        };
        let nodes: Vec<Redis> = (0..6).map(start).collect();
        let output = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(nodes.iter().map(|node| node.address().to_string()))
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .expect("redis-cli, of the package redis-tools");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        wait_until("the cluster is whole", || {
            nodes.iter().all(|node| {
                node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
                    && node.cli(&["CLUSTER", "NODES"]).matches("slave").count() == 3
            })
        });
        Self { nodes }
    }

    /// Where the nodes are, as `host:port`.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.address().to_string()).collect()
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }
}

fn cli(port: u16, arguments: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(arguments).output();
    let output = output.unwrap_or_else(|error| {
        panic!("cannot run redis-cli: {error}. On Debian: apt-get install redis-server redis-tools")
    });
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The process once it has printed `ready`; none if it ends before.
fn wait_until_ready(mut command: Command, ready: &str) -> Option<Server> {
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("cannot run redis-server: {error}. On Debian: apt-get install redis-server redis-tools")
    });
    let output = child.stdout.take().expect("a piped standard output");
    let mut lines = BufReader::new(output).lines();
    let is_ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains(ready));
    if !is_ready {
        let _: std::io::Result<_> = child.wait();
        return None;
    }
    // What it says later must be read, or it would stop at a full pipe.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Some(Server::guarded(child))
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it never comes about that {what}");
        std::thread::yield_now();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of loopback");
    listener.local_addr().expect("an address").port()
}
