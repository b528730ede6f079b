//! What the scanner refuses and what it lets pass; how it is switched and refined; what the record says of it.

mod answers;
mod attacks;
mod bodies;
mod builtin;
mod core_rule_set;
mod defaults;
mod explain;
mod hostile;
mod loading;
mod refining;
mod several;

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Response};
use serde_json::Value;

use crate::common::{Config, plain, setup};

/// Rules that know what they look for wherever it stands.
const RULES: &str = r#"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|REQUEST_HEADERS:X-Note|XML:/* "@rx (?i)union\s+select" \
    "id:100,phase:2,deny,log,t:none,t:urlDecodeUni,msg:'SQL',tag:'attack-sqli',severity:2"
SecRule FILES "@endsWith .php" "id:101,phase:2,deny,log,t:none,t:lowercase,msg:'A script',tag:'attack-upload'"
SecRule REQUEST_URI "@contains /etc/passwd" "id:102,phase:1,deny,log,t:none,t:urlDecodeUni,msg:'A file',tag:'attack-lfi'"
"#;

/// A gateway that scans with these rules, and with these further keys in the policy's `scan`.
fn scanning(upstream: &Upstream, rules: &str, keys: &str) -> Gateway {
    config(upstream, keys).start_in(setup().file("rules.conf", rules))
}

fn config(upstream: &Upstream, keys: &str) -> Config {
    plain(&upstream.url())
        .section("rulesets", "[{ name: mine, files: [\"*.conf\"] }]")
        .policy("scan", format!("{{ ruleset: mine{keys} }}"))
}

fn get(gateway: &Gateway, target: &str, lines: &str) -> Response {
    raw::get(gateway.address("public"), target, lines)
}

fn post(gateway: &Gateway, kind: &str, body: &str) -> Response {
    raw::post(gateway.address("public"), "/reflect", &format!("Content-Type: {kind}\r\n"), body)
}

/// The ids of the rules on a record.
fn rule_ids(record: &Value) -> Vec<u64> {
    record["waf.rule_ids"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
}
