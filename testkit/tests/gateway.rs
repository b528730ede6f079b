//! The child process, with shell scripts in the place of the gateway.
#![expect(clippy::unwrap_used, reason = "a helper of tests lies outside of them")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use portcullis_testkit::gateway::{Gateway, Setup};

/// An executable script; its folder must outlive the test.
fn script(folder: &tempfile::TempDir, body: &str) -> PathBuf {
    let path = folder.path().join("gateway");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

const READY: &str = r#"
echo '{"event":"listening","listener":"public","address":"127.0.0.1:4321"}' >&2
echo 'not JSON' >&2
echo '{"event":"ready"}' >&2
"#;

#[test]
fn a_gateway_tells_its_addresses_reloads_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let traps = r#"
trap 'echo "{\"event\":\"reloaded\",\"text\":\"$(cat gateway.yaml)\"}" >&2' HUP
trap 'echo "{\"decision\":\"allow\"}" >> audit.jsonl; exit 0' TERM
mkfifo pipe; exec 3<>pipe"#;
    let binary = script(&folder, &format!("{traps}\n{READY}\nwhile :; do read -r line <&3; done"));
    let gateway = Setup::new(binary).start("old");
    assert_eq!(gateway.address("public").port(), 4321);
    gateway.rewrite("new");
    gateway.hang_up();
    assert_eq!(gateway.wait_for_event("reloaded", 0)["text"], "new");
    assert!(gateway.resident_bytes() > 0);
    let audit = gateway.stop_and_audit();
    assert_eq!(audit[0]["decision"], "allow");
}

#[test]
fn a_refusal_keeps_its_exit_code_and_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let binary = script(&folder, r#"echo "$2: $(cat "$2") $WHY" >&2; exit 1"#);
    let refusal = Setup::new(binary).variable("WHY", "because").refuse("wrong");
    assert_eq!(refusal.code, Some(1));
    assert_eq!(refusal.stderr, "gateway.yaml: wrong because");
}

#[test]
#[should_panic(expected = "no listener \"admin\"")]
fn an_unknown_listener_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(script(&folder, &format!("{READY}exec cat /dev/zero")), "");
    let _ = gateway.address("admin");
}
