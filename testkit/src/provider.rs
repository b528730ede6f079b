//! A certified OpenID provider as a child process: `testkit/idp`, which needs Node.js.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::PATIENCE;
use crate::raw::Connection;

/// A running provider. It is ended when it is dropped.
#[derive(Debug)]
pub struct Provider {
    child: Child,
    issuer: String,
    errors: Option<JoinHandle<String>>,
}

impl Provider {
    /// Starts a provider with these variables of its environment, which `testkit/idp/server.mjs` explains.
    ///
    /// There is none where Node.js or its packages are missing. That is said aloud, and is a failure where `CI` is set: a
    /// test without its provider shows nothing.
    ///
    /// # Panics
    /// When the provider does not start, or cannot and must.
    #[must_use]
    pub fn start(environment: &[(&str, Value)]) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("idp");
        let Some(node) = node(&folder) else {
            missing("Node.js and the packages of testkit/idp (npm ci)");
            return None;
        };
        // Node.js stops now and then while it starts, for ever, before it has read a line of ours.
        let started = (0..3).find_map(|_| Self::try_start(&node, &folder, environment));
        Some(started.expect("the provider starts"))
    }

    fn try_start(node: &Path, folder: &Path, environment: &[(&str, Value)]) -> Option<Self> {
        let mut child = Command::new(node)
            .arg("server.mjs")
            .current_dir(folder)
            .envs(environment.iter().map(|(name, value)| (name, value.to_string())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Node.js runs");
        let mut stderr = child.stderr.take().expect("a piped standard error");
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let stdout = child.stdout.take().expect("a piped standard output");
        let (said, line) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = said.send(line);
        });
        let Ok(line) = line.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        };
        let announced: Option<Value> = serde_json::from_str(&line).ok();
        let issuer = announced.as_ref().and_then(|line| line.get("issuer")).and_then(Value::as_str);
        let Some(issuer) = issuer.map(str::to_owned) else {
            let _ = child.kill();
            panic!("the provider did not start: {}", errors.join().unwrap_or_default());
        };
        Some(Self { child, issuer, errors: Some(errors) })
    }

    /// Its issuer, which is its URL.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its address.
    ///
    /// # Panics
    /// When the issuer has none.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        self.issuer.trim_start_matches("http://").parse().expect("an address")
    }

    /// Works one of the controls, such as `rotate-keys`, with this content.
    ///
    /// # Panics
    /// When there is no such control.
    pub fn control(&self, name: &str, content: &str) -> Value {
        let request = format!(
            "POST /control/{name} HTTP/1.1\r\nHost: provider\r\nContent-Length: {}\r\n\r\n{content}",
            content.len()
        );
        let answer = Connection::open(self.address()).send(request).response();
        assert_eq!(answer.status, 200, "/control/{name}");
        answer.json()
    }

    /// How often it was asked at this path.
    #[must_use]
    pub fn asked(&self, path: &str) -> u64 {
        self.control("seen", "")
            .pointer(&format!("/asked/{}", path.replace('/', "~1")))
            .and_then(Value::as_u64)
            .unwrap_or(0)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let errors = self.errors.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "the test harness shows what a failed test printed")]
            {
                eprintln!("the provider wrote:\n{errors}");
            }
        }
    }
}

/// Says aloud what a test cannot do without; where `CI` is set that is a failure.
///
/// # Panics
/// Where `CI` is set.
pub fn missing(what: &str) {
    let is_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!is_ci, "this test needs {what}");
    #[expect(clippy::print_stderr, reason = "a test that shows nothing must say so")]
    {
        eprintln!("SKIPPED: this test needs {what}");
    }
}

/// Opens `url` with Chromium, logs this person in at a [`Provider`] on the way, and says where the browser is then: `url`, `text`, `cookie` as
/// scripts see it, and `cookies`.
///
/// There is nothing where Chromium or Node.js are missing; that is said aloud, and is a failure where `CI` is set.
///
/// # Panics
/// When the browser does not arrive.
#[must_use]
pub fn log_in_with_chromium(url: &str, person: &str) -> Option<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("idp");
    let (Some(node), Some(_)) = (node(&folder), program("chromium")) else {
        missing("Chromium, Node.js and the packages of testkit/idp");
        return None;
    };
    let output = Command::new(node).arg("browser.mjs").args([url, person]).current_dir(folder).output();
    let output = output.expect("Node.js runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("what the browser shows"))
}

fn program(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|path| path.join(name)).find(|path| path.is_file())
}

fn node(folder: &Path) -> Option<PathBuf> {
    let found = program("node")?;
    folder.join("node_modules/oidc-provider").is_dir().then_some(found)
}
