use super::{Case, parse};

fn only(text: &str) -> Case {
    parse("R/942100.yaml", text).unwrap().pop().unwrap()
}

#[test]
fn a_case_is_read_with_everything_in_it() {
    let case = only(
        r#"
---
meta: { author: "a", description: "d" }
rule_id: 942100
tests:
  - test_id: 7
    desc: what it is about
    stages:
      - description: the only one
        input:
          dest_addr: 127.0.0.2
          port: 8080
          protocol: http
          method: POST
          uri: "/post"
          version: "HTTP/1.0"
          headers: { User-Agent: ua, Content-Length: 4, Host: localhost }
          data: "a=b"
          autocomplete_headers: false
          save_cookie: true
        output:
          status: [200, 403]
          response_contains: "yes"
          retry_once: true
          isolated: true
          log: { expect_ids: [942100], no_expect_ids: [1, 2], match_regex: 'id "9\d+"', no_match_regex: "x" }
"#,
    );
    assert_eq!(case.id(), "942100-7");
    let [stage] = &case.stages[..] else { panic!("{case:?}") };
    let input = &stage.input;
    assert_eq!((input.address.as_str(), input.port), ("127.0.0.2", 8080));
    assert_eq!(
        (input.method.as_str(), input.uri.as_str(), input.version.as_str()),
        ("POST", "/post", "HTTP/1.0")
    );
    let names: Vec<&str> = input.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Content-Length", "Host", "User-Agent"]);
    assert_eq!(input.headers[0].1, "4");
    assert_eq!((input.data.as_slice(), input.autocomplete), (&b"a=b"[..], false));
    let output = &stage.output;
    assert_eq!(output.status, [200, 403]);
    assert_eq!(output.response_contains.as_deref(), Some("yes"));
    assert_eq!(
        (output.expect_ids.as_slice(), output.no_expect_ids.as_slice()),
        (&[942_100][..], &[1, 2][..])
    );
    assert!(output.isolated && output.log_matches[0].is_match(r#"[id "942100"]"#));
    assert_eq!(output.no_log_matches.len(), 1);
}

#[test]
fn what_is_left_out_has_the_defaults_of_the_reference() {
    let case =
        only("tests: [{ stages: [{ input: {}, output: { status: 403, log_contains: 'id \"1\"' } }] }]");
    assert_eq!(case.id(), "942100-1");
    let stage = &case.stages[0];
    assert_eq!((stage.input.method.as_str(), stage.input.uri.as_str()), ("GET", "/"));
    assert!(stage.input.autocomplete);
    assert_eq!(stage.output.status, [403]);
    assert_eq!(stage.output.log_matches.len(), 1);
}

#[test]
fn older_spellings_and_newer_ones_are_known() {
    let case = only(
        "
rule_id: 5
tests:
  - test_title: 5-1
    stages:
      - stage: { input: { stop_magic: true, encoded_request: R0VUIC8= }, output: { expect_error: true } }
      - input: { uris: [/a, /b], ordered_headers: [{ name: B, value: 1 }, { name: A, value: 2 }, { name: B, value: 3 }] }
        output: {}
",
    );
    assert_eq!(case.stages.len(), 3);
    assert_eq!(case.stages[0].input.raw.as_deref(), Some(&b"GET /"[..]));
    assert!(!case.stages[0].input.autocomplete && case.stages[0].output.error);
    assert_eq!(case.stages[2].input.uri, "/b");
    assert_eq!(case.stages[2].input.headers[2], ("B".to_owned(), "3".to_owned()));
}

#[test]
fn anchors_blocks_and_empty_files() {
    let case = only(
        "
rule_id: 5
tests:
  - stages: [{ input: { headers: &h { Host: h, Referer: ~ } }, output: {} }]
  - stages:
      - input:
          headers: *h
          data: |-
            --b
            x
        output: {}
",
    );
    assert_eq!(case.id(), "5-2");
    assert_eq!(case.stages[0].input.headers[0], ("Host".to_owned(), "h".to_owned()));
    assert_eq!(case.stages[0].input.data, b"--b\nx");
    assert!(parse("a.yaml", "---\n# nothing here\n").unwrap().is_empty());
}

#[test]
fn mistakes_are_told() {
    for (text, complaint) in [
        ("rule_id: 1\ntests: [{ stages: [{ output: { log: { expect_id: [1] } } }] }]", "expect_id"),
        ("rule_id: 1\ntests: [{ stages: [{ input: { encoded_request: '%' } }] }]", "base64"),
        ("rule_id: 1\ntests: [{ stages: [{ input: { encoded_request: AA==, data: x } }] }]", "exclude"),
        ("rule_id: 1\ntests: [{ stages: [{ output: { isolated: true } }] }]", "isolated"),
        ("rule_id: 1\ntests: [{ stages: [{ output: { log: { match_regex: '(' } } }] }]", "no pattern"),
    ] {
        let error = format!("{:#}", parse("a.yaml", text).unwrap_err());
        assert!(error.contains(complaint), "{error}");
    }
}
