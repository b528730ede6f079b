//! `portcullis demo`: what it says to try does what it says.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use portcullis_testkit::raw::{self, Response};
use rustix::process::{Pid, Signal, kill_process};

use super::run;
use crate::common::BINARY;

/// A running demo. It is killed when a test fails.
struct Demo {
    child: Child,
    invitation: String,
}

impl Demo {
    fn start() -> Self {
        let mut child = Command::new(BINARY)
            .args(["demo", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut invitation = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let is_last = line.starts_with("The configuration is ");
            invitation += &(line + "\n");
            if is_last {
                break;
            }
        }
        Self { child, invitation }
    }

    /// The lines to copy, without those about them.
    fn commands(&self) -> Vec<&str> {
        let is_command = |line: &&str| ["curl ", "for ", "/"].iter().any(|start| line.starts_with(start));
        self.invitation.lines().filter(is_command).collect()
    }

    fn folder(&self) -> PathBuf {
        let mut lines = self.invitation.lines();
        let line = lines.find_map(|line| line.strip_prefix("The configuration is ")).unwrap();
        let (path, _) = line.split_once(';').unwrap();
        PathBuf::from(path).parent().unwrap().to_owned()
    }

    fn interrupt(&mut self) -> Option<i32> {
        let process = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(process, Signal::INT).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends what curl would.
fn as_curl(command: &str) -> Response {
    let after = |mark: &str, end: char| command.split_once(mark).and_then(|(_, rest)| rest.split(end).next());
    let method = after("-X ", ' ').unwrap_or("GET");
    let field = after("-H '", '\'').map(|field| format!("{field}\r\n")).unwrap_or_default();
    let url = after("http://", ' ').unwrap().trim_end_matches(';');
    let (address, path) = url.split_once('/').unwrap();
    let server: SocketAddr = address.parse().unwrap();
    raw::request(server, format!("{method} /{path} HTTP/1.1\r\nHost: {address}\r\n{field}\r\n"))
}

#[test]
fn every_line_that_is_shown_does_what_it_says_and_ctrl_c_ends_it() {
    let mut demo = Demo::start();
    let [allowed, nobody, forbidden, often, explained] = demo.commands().try_into().unwrap();

    let allowed = as_curl(allowed);
    assert_eq!(allowed.status, 200);
    assert!(allowed.text().contains("lantern") && !allowed.text().contains("4111"), "{}", allowed.text());
    assert_eq!(allowed.header("server"), None);
    assert_eq!(allowed.header("x-content-type-options").as_deref(), Some("nosniff"));

    let nobody = as_curl(nobody);
    assert_eq!((nobody.status, nobody.code().as_str()), (401, "credential_missing"));
    assert!(!nobody.values("www-authenticate").is_empty());

    let forbidden = as_curl(forbidden);
    assert_eq!((forbidden.status, forbidden.code().as_str()), (403, "forbidden"));

    let (rounds, _) = often.split_once(" in ").and_then(|(_, rest)| rest.split_once(';')).unwrap();
    let statuses: Vec<u16> = rounds.split(' ').map(|_| as_curl(often).status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429]);

    let explained = Command::new("sh").args(["-c", explained]).output().unwrap();
    assert!(explained.status.success());
    let text = String::from_utf8(explained.stdout).unwrap();
    assert!(text.trim_end().ends_with("deny by authorize (403, forbidden)"), "{text}");

    let folder = demo.folder();
    assert!(folder.join("quickstart.yaml").exists() && folder.join("quickstart-audit.jsonl").exists());
    assert_eq!(demo.interrupt(), Some(0));
    assert!(!folder.exists(), "it cleans up behind itself");
}

#[test]
fn two_demos_do_not_share_an_address() {
    // Like the gateway's own listeners, which share theirs among the workers, but not with others.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let printed = run(Path::new("."), &["demo", "--listen", &address]);
    assert_eq!((printed.code, printed.stdout.as_str()), (1, ""));
    assert!(printed.stderr.contains(&address), "{}", printed.stderr);
}
