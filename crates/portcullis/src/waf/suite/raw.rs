//! What stands in the files: versions 1 to 3 of the schema `ftw-tests-schema`. An unknown key is a mistake, for a
//! misspelt expectation would expect nothing.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Case, Input as CompiledInput, Output as CompiledOutput, Stage as CompiledStage};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(rename = "meta", default)]
    _meta: IgnoredAny,
    #[serde(rename = "author", default)]
    _author: IgnoredAny,
    rule_id: Option<u32>,
    tests: Vec<Test>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    test_id: Option<u32>,
    #[serde(rename = "test_title", default)]
    _title: IgnoredAny,
    #[serde(rename = "desc", default)]
    _description: IgnoredAny,
    #[serde(rename = "tags", default)]
    _tags: IgnoredAny,
    stages: Vec<AnyStage>,
}

/// Version 1 wraps what stands in a stage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnyStage {
    stage: Option<Stage>,
    #[serde(rename = "description", default)]
    _description: IgnoredAny,
    input: Option<Input>,
    output: Option<Output>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stage {
    #[serde(default)]
    input: Input,
    #[serde(default)]
    output: Output,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Input {
    dest_addr: Option<String>,
    port: Option<u16>,
    #[serde(rename = "protocol")]
    _protocol: IgnoredAny,
    method: Option<String>,
    uri: Option<String>,
    uris: Vec<String>,
    version: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    ordered_headers: Option<Vec<Header>>,
    data: Option<String>,
    encoded_data: Option<String>,
    encoded_request: Option<String>,
    raw_request: Option<String>,
    autocomplete_headers: Option<bool>,
    stop_magic: Option<bool>,
    follow_redirect: Option<bool>,
    // go-ftw keeps no cookies either.
    #[serde(rename = "save_cookie")]
    _save_cookie: IgnoredAny,
    // Concerns go-ftw's markers in the log, which are not needed here.
    #[serde(rename = "virtual_host_mode")]
    _virtual_host_mode: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: String,
    value: String,
}

/// What is expected, as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::waf) struct Output {
    status: Option<OneOrMany>,
    response_contains: Option<String>,
    log_contains: Option<String>,
    no_log_contains: Option<String>,
    log: Option<Log>,
    expect_error: Option<bool>,
    isolated: bool,
    // Works around lines that come late; here a case waits for its own line.
    #[serde(rename = "retry_once")]
    _retry_once: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(u16),
    Many(Vec<u16>),
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Log {
    expect_ids: Vec<u32>,
    no_expect_ids: Vec<u32>,
    match_regex: Option<String>,
    no_match_regex: Option<String>,
}

impl File {
    pub(super) fn compile(self, name: &str) -> anyhow::Result<Vec<Case>> {
        let rule_id = match self.rule_id {
            Some(rule_id) => rule_id,
            None => rule_in(name).context("`rule_id` is missing, and the file's name holds no number")?,
        };
        let mut cases = Vec::new();
        for (test, position) in self.tests.into_iter().zip(1..) {
            let test_id = test.test_id.unwrap_or(position);
            let mut stages = Vec::new();
            for stage in test.stages {
                stages.extend(stage.compile().with_context(|| format!("test {rule_id}-{test_id}"))?);
            }
            cases.push(Case { rule_id, test_id, stages });
        }
        Ok(cases)
    }
}

impl AnyStage {
    /// A stage with several URIs is several stages.
    fn compile(self) -> anyhow::Result<Vec<CompiledStage>> {
        let stage = match self.stage {
            Some(stage) => stage,
            None => Stage { input: self.input.unwrap_or_default(), output: self.output.unwrap_or_default() },
        };
        let output = stage.output.compile()?;
        let uris = stage.input.uris.clone();
        let input = stage.input.compile()?;
        if uris.is_empty() {
            return Ok(vec![CompiledStage { input, output }]);
        }
        let with =
            |uri| CompiledStage { input: CompiledInput { uri, ..input.clone() }, output: output.clone() };
        Ok(uris.into_iter().map(with).collect())
    }
}

impl Input {
    fn compile(self) -> anyhow::Result<CompiledInput> {
        let default = CompiledInput::default();
        let encoded = self.encoded_request.or(self.raw_request).filter(|text| !text.is_empty());
        let data = match (self.data, self.encoded_data) {
            (Some(_), Some(_)) => bail!("`data` and `encoded_data` exclude one another"),
            (data, None) => data.unwrap_or_default().into_bytes(),
            (None, Some(encoded)) => decode("encoded_data", &encoded)?,
        };
        if encoded.is_some() && !data.is_empty() {
            bail!("`data` and `encoded_request` exclude one another");
        }
        let headers = match (self.headers, self.ordered_headers) {
            (Some(_), Some(_)) => bail!("`headers` and `ordered_headers` exclude one another"),
            // A map has no order of its own; go-ftw sends it by name.
            (headers, None) => headers.unwrap_or_default().into_iter().collect(),
            (None, Some(list)) => list.into_iter().map(|header| (header.name, header.value)).collect(),
        };
        Ok(CompiledInput {
            address: self.dest_addr.unwrap_or(default.address),
            port: self.port.unwrap_or(default.port),
            method: self.method.unwrap_or(default.method),
            uri: self.uri.unwrap_or(default.uri),
            version: self.version.unwrap_or(default.version),
            headers,
            data,
            raw: encoded.map(|text| decode("encoded_request", &text)).transpose()?,
            autocomplete: self.autocomplete_headers.unwrap_or(!self.stop_magic.unwrap_or(false)),
            follow_redirect: self.follow_redirect.unwrap_or(false),
        })
    }
}

impl Output {
    pub(in crate::waf) fn compile(self) -> anyhow::Result<CompiledOutput> {
        let log = self.log.unwrap_or_default();
        if self.isolated && log.expect_ids.len() != 1 {
            bail!("`isolated` needs exactly one id in `expect_ids`");
        }
        let patterns = |patterns: [Option<String>; 2]| -> anyhow::Result<Vec<Regex>> {
            let written = patterns.into_iter().flatten().filter(|pattern| !pattern.is_empty());
            written
                .map(|pattern| Regex::new(&pattern).with_context(|| format!("`{pattern}` is no pattern")))
                .collect()
        };
        Ok(CompiledOutput {
            status: match self.status {
                None | Some(OneOrMany::One(0)) => Vec::new(),
                Some(OneOrMany::One(status)) => vec![status],
                Some(OneOrMany::Many(list)) => list,
            },
            response_contains: self.response_contains.filter(|text| !text.is_empty()),
            error: self.expect_error.unwrap_or(false),
            expect_ids: log.expect_ids,
            no_expect_ids: log.no_expect_ids,
            isolated: self.isolated,
            log_matches: patterns([log.match_regex, self.log_contains])?,
            no_log_matches: patterns([log.no_match_regex, self.no_log_contains])?,
        })
    }
}

fn decode(key: &str, encoded: &str) -> anyhow::Result<Vec<u8>> {
    let dense: String = encoded.split_ascii_whitespace().collect();
    STANDARD.decode(dense).with_context(|| format!("`{key}` is not base64"))
}

/// The first number in a file's name.
fn rule_in(name: &str) -> Option<u32> {
    let file = name.rsplit('/').next()?;
    file.split(|character: char| !character.is_ascii_digit()).find(|digits| !digits.is_empty())?.parse().ok()
}
