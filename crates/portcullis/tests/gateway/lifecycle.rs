//! From the first configuration to the last request: the commands, starting, reloading, stopping.

mod admin_api;
mod audit_log;
mod check;
mod commands;
mod demo;
mod draining;
mod explain;
mod findings;
mod operator;
mod rehearsal;
mod reload;
mod store;
mod token;
mod waf;
mod waf_rules;
mod waf_suggest;
mod waf_tools;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use portcullis_authn::mint::SigningKey;
use portcullis_core::{Clock as _, SystemClock};
use portcullis_oidc::Algorithm;
use tempfile::TempDir;

use crate::common::BINARY;

/// What a command has printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program in a folder, until it ends.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Printed {
    run_with_input(folder, arguments, "")
}

/// Runs the program in a folder, until it ends, with this on its standard input.
pub(crate) fn run_with_input(folder: &Path, arguments: &[&str], input: &str) -> Printed {
    let mut program = Command::new(BINARY)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {BINARY}: {error}"));
    // Programs that end without having read it are none the worse for it.
    let _: std::io::Result<()> = program.stdin.take().unwrap().write_all(input.as_bytes());
    let output = program.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Printed {
        code: output.status.code().expect("an exit code"),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// The examples as they are shipped.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// The quickstart example in a folder of its own, with an API key of a partner and a token of a member of staff.
struct Quickstart {
    folder: TempDir,
    key: String,
    token: String,
}

impl Quickstart {
    fn new() -> Self {
        let key = portcullis_authn::api_key::generate("demo").unwrap();
        let signing = SigningKey::generate(Algorithm::Es256).unwrap();
        let text = std::fs::read_to_string(examples().join("quickstart.yaml")).unwrap();
        let policies = std::fs::read_to_string(examples().join("quickstart.cedar")).unwrap();
        let no_hash = format!("sha256:{}", "0".repeat(64));
        assert!(text.contains(&no_hash));
        let folder = folder(&[
            ("quickstart.yaml", &text.replace(&no_hash, &key.hash)),
            ("quickstart.cedar", &policies),
            ("quickstart-jwt.pem", &signing.public_pem().unwrap()),
        ]);
        let claims = serde_json::json!({
            "iss": "https://idp.example.com", "aud": "orders-api", "sub": "ann",
            "exp": SystemClock.now().as_secs() + 600, "roles": ["staff"],
        });
        let token = signing.mint(None, &claims).unwrap();
        Self { folder, key: key.key.expose().to_owned(), token }
    }

    /// Runs `explain` on it.
    fn explain(&self, arguments: &[&str]) -> Printed {
        run(self.folder.path(), &[&["explain", "quickstart.yaml"], arguments].concat())
    }
}
