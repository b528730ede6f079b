//! `portcullis explain` tells which rule matched what.

use std::process::Command;

use portcullis_testkit::echo::Upstream;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{RULES, config};
use crate::common::BINARY;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("gateway.yaml", &config(&upstream, "").text());
    write("rules.conf", RULES);
    let body = r#"{"a":[{"b":"1%20union select x"}]}"#;
    write(
        "request.http",
        &format!(
            "POST /a HTTP/1.1\r\nHost: shop.test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    folder
}

#[test]
fn a_url_is_read_as_the_gateway_reads_it() {
    let folder = folder();
    for (url, path) in [
        ("/a/<b>?u=http://x/y", "/a/%3Cb%3E"),
        ("http://shop.test/a|b?x=<c>#d", "/a%7Cb"),
        ("http://shop.test?x", "/"),
        ("http://shop.test", "/"),
        ("/caf\u{e9}", "/caf%C3%A9"),
    ] {
        let told = explain(&folder, &[url, "--format", "json"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        let target =
            told["stages"].as_array().unwrap().iter().find(|stage| stage["stage"] == "target").unwrap();
        assert!(target.to_string().contains(&format!("\"{path}\"")), "{url}: {target}");
    }
}

fn explain(folder: &TempDir, arguments: &[&str]) -> String {
    let output = Command::new(BINARY)
        .args(["explain", "gateway.yaml"])
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_match_is_told_with_its_target_and_transformations() {
    let folder = folder();
    let told: Value =
        serde_json::from_str(&explain(&folder, &["--request", "request.http", "--format", "json"])).unwrap();
    assert_eq!(
        (&told["decision"], &told["status"], &told["stage"]),
        (&json!("deny"), &json!(403), &json!("scan"))
    );
    let stages = told["stages"].as_array().unwrap();
    let scan = stages.iter().find(|story| story["stage"] == "scan").unwrap();
    assert_eq!((&scan["rules"], &scan["reason_code"]), (&json!(["100"]), &json!("attack_detected")));
    assert_eq!((&scan["seen"]["score"], &scan["seen"]["refused_by"]), (&json!(0), &json!(100)));
    let found = &scan["seen"]["matches"][0];
    assert_eq!((&found["rule"], &found["message"]), (&json!(100), &json!("SQL")));
    assert!(found["target"].as_str().unwrap().starts_with("ARGS"), "{found}");
    assert_eq!(
        (&found["transformations"], &found["value"]),
        (&json!(["urlDecodeUni"]), &json!("union select"))
    );
}

#[test]
fn the_text_has_a_line_for_each_match() {
    let folder = folder();
    let told = explain(&folder, &["/a?id=union%20select"]);
    assert!(told.contains("match 100 ARGS:id: \"union select\" after urlDecodeUni"), "{told}");
    assert!(told.trim_end().ends_with("deny by scan (403, attack_detected)"), "{told}");
    let told = explain(&folder, &["/a?id=1"]);
    assert!(told.contains("scan          pass") && told.trim_end().ends_with("allow"), "{told}");
}
