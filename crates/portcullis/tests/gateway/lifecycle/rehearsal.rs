//! What only the machine that a gateway runs on can tell: `check` finds it before `run` does.

use portcullis_testkit::ca::Authority;
use serde_json::Value;

use super::run;
use crate::common::{plain, setup};

/// What `check` finds in this configuration, as `line path: message -> suggestion`.
fn findings(folder: &std::path::Path, text: &str) -> Vec<String> {
    std::fs::write(folder.join("gateway.yaml"), text).unwrap();
    let printed = run(folder, &["check", "--format", "json", "gateway.yaml"]);
    let problems: Vec<Value> = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(printed.code, i32::from(!problems.is_empty()), "{problems:#?}");
    let word = |problem: &Value, key: &str| problem[key].as_str().unwrap_or("(none)").to_owned();
    let shown = |problem: &Value| {
        let [path, message, suggestion] = ["path", "message", "suggestion"].map(|key| word(problem, key));
        format!("{} {path}: {message} -> {suggestion}", problem["line"])
    };
    problems.iter().map(shown).collect()
}

#[test]
fn a_place_where_the_record_cannot_go_is_found() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "kept").unwrap();
    let record = |file: &str| {
        let config = plain("http://127.0.0.1:9").section("audit", format!("{{ file: {file} }}"));
        findings(folder.path(), &config.text())
    };
    for (file, expected) in [
        (
            "gone/audit.jsonl",
            "6 audit.file: the audit file `gone/audit.jsonl` cannot be created: there is no folder `gone` -> make it \
             (`mkdir -p gone`), or name another file",
        ),
        (".", "6 audit.file: the audit file `.` is a folder -> name a file in it, such as `./audit.jsonl`"),
        (
            "file/audit.jsonl",
            "6 audit.file: the audit file `file/audit.jsonl` cannot be reached: Not a directory (os error 20) -> name a \
             file in a folder that the gateway may use",
        ),
    ] {
        assert_eq!(record(file), [expected]);
    }
    assert!(record("audit.jsonl").is_empty() && record("file").is_empty());
    assert!(!folder.path().join("audit.jsonl").exists(), "checking creates nothing");
    assert_eq!(std::fs::read_to_string(folder.path().join("file")).unwrap(), "kept");
}

#[test]
fn certificates_keys_and_authorities_that_cannot_be_used_are_found_together() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let (one, other) = (authority.server(&["a.example"]), authority.server(&["b.example"]));
    std::fs::write(folder.path().join("empty.pem"), "").unwrap();
    std::fs::write(folder.path().join("torn.pem"), "-----BEGIN CERTIFICATE-----\nMIIB").unwrap();
    let listener = |certificate: &str, key: &str| {
        format!(
            "{{ name: public, address: \"127.0.0.1:0\", tls: {{ certificate: \"{certificate}\", key: \"{key}\" }} }}"
        )
    };
    let (certificate, key) = (one.certificate.display().to_string(), one.key.display().to_string());
    let upstream = |ca: &str| plain("https://127.0.0.1:9").upstream("tls", format!("{{ ca: \"{ca}\" }}"));
    let good = upstream(&authority.certificate().display().to_string());
    assert!(findings(folder.path(), &good.clone().listener(listener(&certificate, &key)).text()).is_empty());

    let mismatch = good.listener(listener(&certificate, &other.key.display().to_string()));
    let found = findings(folder.path(), &mismatch.text());
    assert!(found.len() == 1 && found[0].starts_with("3 listeners[0].tls.key: "), "{found:?}");
    assert!(found[0].contains("do not fit") && found[0].contains("-> name the key for which"), "{found:?}");

    let bad = upstream("torn.pem").listener(listener("empty.pem", "gone.pem")).text();
    let found = findings(folder.path(), &bad);
    let places: Vec<&str> = found.iter().filter_map(|line| line.split(": ").next()).collect();
    let expected =
        ["3 listeners[0].tls.certificate", "3 listeners[0].tls.key", "17 services[0].upstream.tls.ca"];
    assert_eq!(places, expected, "{found:?}");
    assert!(found.iter().all(|line| line.contains("-> name a PEM file")), "{found:?}");
    // A gateway says the same, and not more.
    let refusal = setup().file("empty.pem", "").file("torn.pem", "torn").refuse(&bad);
    assert!(refusal.code == Some(1) && refusal.stderr.contains("gateway.yaml:3:"), "{}", refusal.stderr);
}
