//! The audit file: which rules matched for which request.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use portcullis_waf::engine::Printable;
use serde_json::Value;

use crate::waf::expect::Seen;

/// How long the last lines may take to reach the file after the last response.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// The part of an audit file that is written from now on.
pub(super) struct Tail {
    path: PathBuf,
    file: File,
}

impl Tail {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let mut file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Reads until every request that has an id has its line, and says what the lines say.
    pub(super) fn attach<'s>(mut self, seen: impl Iterator<Item = &'s mut Seen>) -> anyhow::Result<()> {
        let mut seen: Vec<&mut Seen> = seen.collect();
        let mut bytes = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.file.read_to_end(&mut bytes)?;
            let lines = read_lines(&bytes);
            let missing = seen
                .iter()
                .filter(|seen| seen.request_id.as_ref().is_some_and(|id| !lines.contains_key(id)))
                .count();
            if missing == 0 {
                for seen in &mut seen {
                    tell(seen, &lines);
                }
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "`{}` has no line for {missing} requests: it is the file of another gateway, or was rotated \
                     during the run",
                    self.path.display()
                );
            }
            thread::sleep(PAUSE);
        }
    }
}

/// The lines by their request's id. A line that is being written is read the next time.
fn read_lines(bytes: &[u8]) -> HashMap<String, Value> {
    let whole =
        bytes.iter().rposition(|&byte| byte == b'\n').and_then(|end| bytes.get(..end)).unwrap_or_default();
    let lines =
        whole.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    lines.filter_map(|line| Some((line.get("request_id")?.as_str()?.to_owned(), line))).collect()
}

/// What the line says about its request. A response of 4xx without a line comes from before there was a request.
fn tell(seen: &mut Seen, lines: &HashMap<String, Value>) {
    let is_4xx = seen.response.as_ref().is_some_and(|response| (400..500).contains(&response.status));
    let Some(line) = seen.request_id.as_ref().and_then(|id| lines.get(id)) else {
        seen.refused = is_4xx.then(|| "not a request".to_owned());
        return;
    };
    match rule_ids(line) {
        Some(ids) => {
            seen.rule_ids = ids.iter().filter_map(|id| u32::try_from(id.as_u64()?).ok()).collect();
            seen.log = seen.rule_ids.iter().map(|id| log_line(*id, line)).collect();
        }
        // The service's own 4xx are decided otherwise.
        None if is_4xx && word(line, "decision") == Some("deny") => {
            seen.refused = Some(word(line, "reason_code").unwrap_or("denied").to_owned());
        }
        None => {}
    }
}

/// A match as ModSecurity writes it to the server's error log, as far as the record tells.
fn log_line(id: u32, line: &Value) -> String {
    let mut text = format!("ModSecurity: Warning. [id \"{id}\"]");
    let matches = line.get("waf.matches").and_then(Value::as_array).into_iter().flatten();
    let told = |found: &&Value| found.get("rule").and_then(Value::as_u64) == Some(id.into());
    for found in matches.filter(told) {
        for (name, key) in [("msg", "message"), ("data", "data")] {
            if let Some(value) = word(found, key) {
                // Writing into a String cannot fail.
                let _ = write!(text, " [{name} \"{}\"]", Printable(value));
            }
        }
    }
    text
}

fn rule_ids(line: &Value) -> Option<&Vec<Value>> {
    line.get("waf.rule_ids").or_else(|| line.get("waf")?.get("rule_ids"))?.as_array()
}

fn word<'l>(line: &'l Value, key: &str) -> Option<&'l str> {
    line.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::Tail;
    use crate::waf::expect::Seen;
    use crate::waf::message::Response;

    fn seen(id: Option<&str>, status: u16) -> Seen {
        let response = Some(Response { status, ..Response::default() });
        Seen { response, request_id: id.map(str::to_owned), ..Seen::default() }
    }

    #[test]
    fn lines_find_their_requests() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, r#"{{"request_id":"old","waf.rule_ids":[9]}}"#).unwrap();
        let tail = Tail::open(file.path()).unwrap();
        let matches = r#"[{"rule":949110,"message":"Too much","data":"a \"b\""}]"#;
        writeln!(file, r#"{{"request_id":"b","waf.rule_ids":[942100,949110],"waf.matches":{matches}}}"#)
            .unwrap();
        writeln!(file, r#"{{"request_id":"a","decision":"deny","reason_code":"bad_host"}}"#).unwrap();
        writeln!(file, r#"{{"request_id":"c","decision":"allow"}}"#).unwrap();
        write!(file, r#"{{"request_id":"#).unwrap();
        let mut all = [seen(Some("a"), 400), seen(Some("b"), 200), seen(None, 400), seen(Some("c"), 404)];
        tail.attach(all.iter_mut()).unwrap();
        assert_eq!((all[0].refused.as_deref(), all[0].rule_ids.len()), (Some("bad_host"), 0));
        assert_eq!(all[1].rule_ids, [942_100, 949_110]);
        assert_eq!(all[1].log[0], "ModSecurity: Warning. [id \"942100\"]");
        assert_eq!(all[1].log[1], r#"ModSecurity: Warning. [id "949110"] [msg "Too much"] [data "a \"b\""]"#);
        assert_eq!(all[2].refused.as_deref(), Some("not a request"));
        assert_eq!(all[3].refused, None);
    }
}
