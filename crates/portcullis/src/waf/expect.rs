//! Whether what happened is what was expected.

use super::message::{Response, text};
use super::suite::Output;

/// What one request brought about.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// `None` where nothing came back that is a response.
    pub(super) response: Option<Response>,
    /// The rules that matched.
    pub(super) rule_ids: Vec<u32>,
    /// A line for each of them, as ModSecurity writes them to the server's error log.
    pub(super) log: Vec<String>,
    /// Why the rules did not get to see the request, if so.
    pub(super) refused: Option<String>,
    /// By what the record of the gateway names the request.
    pub(super) request_id: Option<String>,
}

/// Compares; the error is for people.
pub(super) fn check(expected: &Output, seen: &Seen) -> Result<(), String> {
    if expected.error {
        return match &seen.response {
            None => Ok(()),
            Some(response) => Err(format!("expected no response, got {}", response.status)),
        };
    }
    let response = seen.response.as_ref().ok_or("there was no response")?;
    let status = response.status;
    if !expected.status.is_empty() && !expected.status.contains(&status) {
        return Err(format!("expected status {}, got {status}", list(&expected.status)));
    }
    if let Some(wanted) = &expected.response_contains
        && !text(&response.bytes(true)).contains(wanted.as_str())
    {
        return Err(format!("the response does not contain `{wanted}`"));
    }
    check_rules(expected, seen)
}

fn check_rules(expected: &Output, seen: &Seen) -> Result<(), String> {
    let matched = || match &*seen.rule_ids {
        [] => "none".to_owned(),
        ids => list(ids),
    };
    let missing: Vec<u32> =
        expected.expect_ids.iter().copied().filter(|id| !seen.rule_ids.contains(id)).collect();
    if !missing.is_empty() {
        return Err(format!("expected {}, matched: {}", list(&missing), matched()));
    }
    let surplus: Vec<u32> =
        expected.no_expect_ids.iter().copied().filter(|id| seen.rule_ids.contains(id)).collect();
    if !surplus.is_empty() {
        return Err(format!("expected not to match {}", list(&surplus)));
    }
    if expected.isolated && seen.rule_ids.iter().any(|id| !expected.expect_ids.contains(id)) {
        return Err(format!("expected {} alone, matched: {}", list(&expected.expect_ids), matched()));
    }
    for pattern in &expected.log_matches {
        if !seen.log.iter().any(|line| pattern.is_match(line)) {
            return Err(format!("no line of the log matches `{pattern}`; matched: {}", matched()));
        }
    }
    for pattern in &expected.no_log_matches {
        if let Some(line) = seen.log.iter().find(|line| pattern.is_match(line)) {
            return Err(format!("`{line}` matches `{pattern}`"));
        }
    }
    Ok(())
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::super::message::Response;
    use super::super::suite::Output;
    use super::{Seen, check};

    fn seen(ids: &[u32]) -> Seen {
        Seen {
            response: Some(Response { status: 200, headers: Vec::new(), body: b"hello".to_vec() }),
            rule_ids: ids.to_vec(),
            log: ids.iter().map(|id| format!("[id \"{id}\"]")).collect(),
            ..Seen::default()
        }
    }

    #[test]
    fn what_is_expected_passes_and_what_is_not_says_why() {
        let pattern = || vec![Regex::new(r#"\[id "1"\]"#).unwrap()];
        let cases = [
            (Output::default(), Ok(())),
            (Output { status: vec![403, 200], ..Output::default() }, Ok(())),
            (Output { status: vec![403], ..Output::default() }, Err("expected status 403, got 200")),
            (Output { response_contains: Some("hell".to_owned()), ..Output::default() }, Ok(())),
            (
                Output { response_contains: Some("bye".to_owned()), ..Output::default() },
                Err("the response does not contain `bye`"),
            ),
            (Output { expect_ids: vec![1, 2], ..Output::default() }, Ok(())),
            (Output { expect_ids: vec![1, 3], ..Output::default() }, Err("expected 3, matched: 1, 2")),
            (Output { no_expect_ids: vec![3], ..Output::default() }, Ok(())),
            (Output { no_expect_ids: vec![2, 3], ..Output::default() }, Err("expected not to match 2")),
            (
                Output { expect_ids: vec![1], isolated: true, ..Output::default() },
                Err("expected 1 alone, matched: 1, 2"),
            ),
            (Output { log_matches: pattern(), ..Output::default() }, Ok(())),
            (
                Output { no_log_matches: pattern(), ..Output::default() },
                Err("`[id \"1\"]` matches `\\[id \"1\"\\]`"),
            ),
            (Output { error: true, ..Output::default() }, Err("expected no response, got 200")),
        ];
        for (expected, verdict) in cases {
            assert_eq!(check(&expected, &seen(&[1, 2])), verdict.map_err(str::to_owned), "{expected:?}");
        }
    }

    #[test]
    fn without_a_response_only_an_expected_error_passes() {
        let silence = Seen { response: None, ..seen(&[]) };
        assert_eq!(check(&Output { error: true, ..Output::default() }, &silence), Ok(()));
        assert!(check(&Output::default(), &silence).is_err());
    }
}
