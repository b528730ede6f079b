//! What is fuzzed, and what must hold for every input. Each function panics when it does not.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::LazyLock;
use std::time::SystemTime;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use portcullis_authn::mint::SigningKey;
use portcullis_authn::{Authenticate, Authentication};
use portcullis_config::{compile_text, report};
use portcullis_core::problem::Severity;
use portcullis_core::target::{Ambiguity, DuplicateSlashes, is_encoded, push_encoded};
use portcullis_core::{
    ConfigFolder, Head, KeyPath, Notes, Peer, Problems, RequestId, Target, TargetRules, Timestamp,
};
use portcullis_oidc::Algorithm;
use portcullis_proxy::wire::{self, Framing, Limits, Phase};
use portcullis_store::Store;
use portcullis_waf::body::limits::{DecodingLimits, GraphqlLimits, JsonLimits, MultipartLimits, XmlLimits};
use portcullis_waf::body::multipart::Multipart;
use portcullis_waf::body::xml::Xml;
use portcullis_waf::body::{content_encoding, graphql, json, multipart, urlencoded, xml};
use portcullis_waf::builtin::{Detector, Findings, Place, Settings};
use portcullis_waf::engine::Ruleset;
use portcullis_waf::operator::{DataFiles, Operator, OperatorName};
use portcullis_waf::pairs::Pairs;
use portcullis_waf::pattern::{Captures, Outcome, Pattern};
use portcullis_waf::seclang::Document;
use portcullis_waf::transform::{Contents, Transformation};

/// A normal target is its own normal form, and has no second reading that the rules forbid.
pub fn request_target(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let strict = TargetRules::default();
    let lax = TargetRules {
        duplicate_slashes: DuplicateSlashes::Keep,
        encoded_slash: Ambiguity::Keep,
        backslash: Ambiguity::Keep,
        double_encoding: Ambiguity::Keep,
        path_parameters: Ambiguity::Keep,
        encoded_controls: Ambiguity::Keep,
        not_utf8: Ambiguity::Keep,
    };
    for rules in [strict, lax] {
        let Ok(target) = Target::parse(text, &rules) else { continue };
        let normal = target.as_path_and_query().as_str();
        assert_eq!(
            Target::parse(normal, &rules).as_ref(),
            Ok(&target),
            "{normal:?} is not its own normal form"
        );
        assert!(target.path().starts_with('/'), "{normal:?}");
        assert!(target.path().split('/').all(|segment| !matches!(segment, "." | "..")), "{normal:?}");
        assert!(normal.bytes().all(|byte| byte.is_ascii_graphic() && !is_encoded(byte)), "{normal:?}");
    }
    if let Ok(target) = Target::parse(text, &strict) {
        let path = target.path().to_ascii_lowercase();
        assert!(
            ["//", "%2f", "%5c", "\\", ";"].iter().all(|forbidden| !path.contains(forbidden)),
            "{path:?}"
        );
    }
}

/// How the bytes of a connection are cut into pieces changes nothing about what is accepted of them. The
/// first byte of the input is the size of the pieces.
pub fn framing(input: &[u8]) {
    let Some((size, bytes)) = input.split_first() else { return };
    let whole = accepted(bytes, bytes.len().max(1));
    let pieces = accepted(bytes, usize::from(*size).max(1));
    assert_eq!(whole, pieces);
}

/// How many bytes are accepted, in which phase that ends, and why, if there is a fault. Of two things that are wrong with a
/// line, the one that is told depends on how much of it has come.
fn accepted(bytes: &[u8], size: usize) -> (usize, Phase, Option<(&'static str, wire::Place)>) {
    let mut framing = Framing::new(Limits::default());
    let (mut begin, mut end) = (0, 0);
    while end < bytes.len() {
        end = bytes.len().min(end + size);
        loop {
            let shown = &bytes[begin..end];
            match framing.accept(shown) {
                Ok(count) => {
                    assert!(count <= shown.len());
                    if let Some(target) = framing.target() {
                        one_form(&shown[..count], target);
                    }
                    begin += count;
                    if count == 0 || begin == end {
                        break;
                    }
                }
                Err(fault) => {
                    assert!(
                        framing.accept(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_err(),
                        "nothing follows a fault"
                    );
                    return (begin, framing.phase(), Some((fault.reason.code(), fault.place)));
                }
            }
        }
    }
    (begin, framing.phase(), None)
}

/// The head whose target is written anew is framed as before, and then has nothing that would be written anew once more.
fn one_form(head: &[u8], target: Range<usize>) {
    let mut encoded = head[..target.start].to_vec();
    push_encoded(&head[target.clone()], &mut encoded);
    encoded.extend_from_slice(&head[target.end..]);
    let mut again = Framing::new(Limits::default());
    assert_eq!(again.accept(&encoded).ok(), Some(encoded.len()), "{}", encoded.escape_ascii());
    assert!(http::Uri::try_from(&encoded[target.start..target.end + encoded.len() - head.len()]).is_ok());
    let (mut once, before) = (Framing::new(Limits::default()), head.len());
    assert_eq!(once.accept(head).ok(), Some(before));
    assert_eq!(once.phase(), again.phase());
}

/// A configuration compiles, or it is refused with errors that can be shown.
pub fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let folder = ConfigFolder::new("/nonexistent");
    let environment = |name: &str| (name == "SET").then(|| "1".to_owned());
    let compiled = compile_text("input.yaml", text, &folder, &environment, None);
    let _ = report::text(&compiled.document, &compiled.problems, true);
    let _ = report::json(&compiled.document, &compiled.problems);
    let refused = compiled.problems.iter().any(|found| found.problem.severity == Severity::Error);
    assert_eq!(compiled.snapshot.is_none(), refused, "compiled, or refused with a reason");
}

/// `serde_json` agrees about what is a document, and documents inside of it are taken apart or refused.
pub fn body_json(input: &[u8]) {
    // As deep as serde_json goes.
    let limits = JsonLimits { depth: 127, ..JsonLimits::default() };
    let mut arguments = Pairs::new();
    let ours = json::parse(input, &limits, &mut arguments);
    match (&ours, serde_json::from_slice::<serde_json::Value>(input)) {
        (Ok(()), Err(error)) => assert!(
            input.is_empty() || error.to_string().contains("out of range"),
            "we accept what serde_json does not: {error}"
        ),
        (Err(error), Ok(_)) => assert!(
            matches!(error.problem, json::JsonProblem::TooManyValues | json::JsonProblem::NamesTooLong),
            "serde_json accepts what we do not: {error}"
        ),
        _ => {}
    }
    let mut literals = Pairs::new();
    let _ = graphql::from_json(&arguments, &GraphqlLimits::default(), &mut literals);
    let _ = graphql::parse(input, &GraphqlLimits::default(), &mut literals);
}

/// What is found in a body is no longer than the body, and an error is a strict error. The first line of the input is the
/// value of `Content-Type`.
pub fn body_multipart(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (content_type, body) = input.split_at(end);
    let body = body.strip_prefix(b"\n").unwrap_or(body);
    let mut out = Multipart::new();
    let result = multipart::parse(content_type, body, &MultipartLimits::default(), &mut out);
    assert!(result.is_ok() || out.flags.strict_error());
    let arguments: usize = out.args.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(arguments + out.files_combined_size <= body.len());
    for ((_, content), (_, size)) in out.tmp_contents(body).zip(out.files_sizes.iter()) {
        assert!(content.is_empty() || content.len().to_string().as_bytes() == size);
    }
}

/// What is found in a body is no longer than the body as UTF-8.
pub fn body_xml(input: &[u8]) {
    let mut out = Xml::new();
    let _ = xml::parse(input, &XmlLimits::default(), &mut out);
    let attributes: usize = out.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(out.text.len() + attributes <= 2 * input.len());
}

/// What a body decodes to keeps to its bounds, and is the same again. The first line of the input is the value of
/// `Content-Encoding`.
pub fn body_content_encoding(input: &[u8]) {
    let (encodings, body) = first_line(input);
    let limits = DecodingLimits::default();
    let (mut once, mut twice) = (Vec::new(), b"left over".to_vec());
    let result = content_encoding::decode(encodings, body, &limits, &mut once);
    assert_eq!(content_encoding::decode(encodings, body, &limits, &mut twice), result);
    assert_eq!(once, twice);
    assert!(once.len() <= limits.output.min((body.len() * limits.ratio).max(64 << 10)));
}

/// A request is decided by rules that use most of the language, and in the same way twice: nothing is left of it. The first
/// line of the input is the target, the next ones are fields, and what follows an empty line is the body.
pub fn waf_transaction(input: &[u8]) {
    static RULES: LazyLock<Ruleset> = LazyLock::new(|| {
        let rules = include_str!("transaction.conf");
        Ruleset::builder().text("transaction.conf", rules).build().expect("the rules are right")
    });
    let decide = || {
        let client = SocketAddr::from(([192, 0, 2, 7], 4000));
        let mut transaction = RULES.transaction(client, client, SystemTime::UNIX_EPOCH);
        let (target, mut rest) = first_line(input);
        transaction.request_line(b"POST", target, b"HTTP/1.1");
        while let (field @ [_, ..], after) = first_line(rest) {
            let colon = field.iter().position(|byte| *byte == b':').unwrap_or(field.len());
            transaction
                .request_header(&field[..colon], field.get(colon + 1..).unwrap_or_default().trim_ascii());
            rest = after;
        }
        let body = rest.strip_prefix(b"\n").unwrap_or(rest);
        if transaction.request_headers_done().is_none() && transaction.request_body(body).is_none() {
            transaction.response_line(200, b"HTTP/1.1");
            transaction.response_header(b"content-type", b"text/html");
            if transaction.response_headers_done().is_none() {
                transaction.response_body(body);
            }
        }
        transaction.finish();
        let ids: Vec<u32> = transaction.matches().iter().map(|found| found.rule_id).collect();
        (ids, transaction.interruption().cloned(), transaction.tx_number("score"))
    };
    assert_eq!(decide(), decide());
}

/// Whatever is sent as a token, nobody is let in by it who cannot sign.
pub fn token(input: &[u8]) {
    static METHODS: LazyLock<(Authentication, Authenticate)> = LazyLock::new(|| {
        methods(serde_json::json!({ "jwt": [{
            "name": "main", "issuer": "https://login.example.com/", "audiences": ["orders"],
            "algorithms": ["HS256"], "keys": { "secret": "0123456789abcdef0123456789abcdef" },
        }] }))
    });
    let Ok(mut value) = HeaderValue::from_bytes(&[b"Bearer ", input].concat()) else { return };
    value.set_sensitive(true);
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    assert!(!is_let_in(&METHODS, &headers, b""), "{}", input.escape_ascii());
}

/// Whatever is sent as the signature of a webhook, up to the first line break, over the body behind it: nobody is let in who
/// does not know the secret.
pub fn webhook_signature(input: &[u8]) {
    static METHODS: LazyLock<(Authentication, Authenticate)> = LazyLock::new(|| {
        methods(serde_json::json!({ "webhooks": [{
            "name": "main", "format": "stripe", "secrets": ["0123456789abcdef0123456789abcdef"],
        }] }))
    });
    let mut halves = input.splitn(2, |byte| *byte == b'\n');
    let (signature, body) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
    let Ok(value) = HeaderValue::from_bytes(signature) else { return };
    let headers = HeaderMap::from_iter([(HeaderName::from_static("stripe-signature"), value)]);
    assert!(!is_let_in(&METHODS, &headers, body), "{}", input.escape_ascii());
}

/// Whatever is sent as the signature of a request, on two lines: nobody is let in who does not have a key.
pub fn message_signature(input: &[u8]) {
    static METHODS: LazyLock<(Authentication, Authenticate)> = LazyLock::new(|| {
        methods(serde_json::json!({ "signatures": [{
            "name": "main", "required": ["@method", "@path"],
            "keys": [{ "id": "k", "algorithm": "hmac-sha256", "secret": "0123456789abcdef0123456789abcdef" }],
        }] }))
    });
    let mut halves = input.splitn(2, |byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in ["signature-input", "signature"] {
        let Ok(value) = HeaderValue::from_bytes(halves.next().unwrap_or_default()) else { return };
        headers.insert(HeaderName::from_static(name), value);
    }
    assert!(!is_let_in(&METHODS, &headers, b""), "{}", input.escape_ascii());
}

/// Whatever is sent as the proof of possession for a token that is bound to a key which nobody has: nobody is let in.
pub fn dpop_proof(input: &[u8]) {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    static METHODS: LazyLock<(Authentication, Authenticate)> = LazyLock::new(|| {
        methods(serde_json::json!({
            "dpop": {},
            "jwt": [{
                "name": "main", "issuer": "https://idp.test", "audiences": ["a"], "algorithms": ["HS256"],
                "keys": { "secret": SECRET },
            }],
        }))
    });
    static TOKEN: LazyLock<String> = LazyLock::new(|| {
        let key = SigningKey::from_secret(SECRET.as_bytes(), Algorithm::Hs256).expect("a key");
        let claims = serde_json::json!({
            "iss": "https://idp.test", "aud": "a", "sub": "ann", "exp": 1_900_000_000,
            "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" },
        });
        format!("DPoP {}", key.mint(None, &claims).expect("a token"))
    });
    let Ok(proof) = HeaderValue::from_bytes(input) else { return };
    let token = HeaderValue::from_str(&TOKEN).expect("a token is visible ASCII");
    let headers = HeaderMap::from_iter([
        (http::header::AUTHORIZATION, token),
        (HeaderName::from_static("dpop"), proof),
    ]);
    assert!(!is_let_in(&METHODS, &headers, b""), "{}", input.escape_ascii());
}

/// Whatever an authority signed: no name that is read from it can be read in two ways.
pub fn certificate_names(input: &[u8]) {
    let Ok(details) = portcullis_authn::certificate::read(input) else { return };
    let names = details.dns.iter().chain(&details.uris).chain(&details.emails);
    for name in names.clone().chain(details.subject_parts.iter().map(|(_, value)| value)) {
        assert!(!name.chars().any(char::is_control), "{name:?}");
    }
    for name in names {
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
    }
}

/// The one method of a configuration, and a route that takes it.
fn methods(raw: serde_json::Value) -> (Authentication, Authenticate) {
    let raw = serde_json::from_value(raw).expect("a section");
    let (folder, path) = (ConfigFolder::new("/nonexistent"), KeyPath::root());
    let mut problems = Problems::default();
    let methods = Authentication::compile(&raw, &Store::default(), &folder, &path, &mut problems, None);
    let raw = serde_json::from_value(serde_json::json!({ "mode": "enforce", "methods": ["main"] }))
        .expect("a policy");
    let plan = Authenticate::compile(&raw, &methods, &path, &mut problems);
    assert!(!problems.has_errors(), "{problems:?}");
    (methods, plan)
}

/// Whether a request with these fields and this body is let in.
fn is_let_in((methods, plan): &(Authentication, Authenticate), headers: &HeaderMap, body: &[u8]) -> bool {
    let target = Target::parse("/", &TargetRules::default()).expect("a target");
    let now = Timestamp::from_secs(1_800_000_000);
    let socket = SocketAddr::from(([192, 0, 2, 7], 4000));
    let peer = Peer { socket, client: socket.ip(), secure: true };
    let head = Head {
        method: &Method::GET,
        host: "a",
        port: None,
        target: &target,
        headers,
        version: Version::HTTP_11,
        peer,
        now,
        certificate: None,
        body: Some(body),
    };
    let mut notes = Notes::new(RequestId(1), now);
    methods.authenticate(plan, "orders", &head, &mut notes).is_ok()
}

/// Arguments are never longer than what they are decoded from, and encoding them again and decoding that changes nothing.
pub fn body_urlencoded(input: &[u8]) {
    let mut out = Pairs::new();
    let found = urlencoded::parse(input, b'&', usize::MAX, &mut out);
    assert!(!found.too_many);
    assert!(out.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= input.len());
    let encode = |bytes: &[u8]| bytes.iter().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let again: String =
        out.iter().map(|(name, value)| format!("{}={}&", encode(name), encode(value))).collect();
    let mut back = Pairs::new();
    assert!(!urlencoded::parse(again.as_bytes(), b'&', usize::MAX, &mut back).invalid_encoding);
    assert!(out.iter().eq(back.iter()));
}

/// A rule file is read, or it is refused with errors that have a place and can be shown.
pub fn seclang(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Document::parse("input.conf", text, None) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                let _ = warning.report(&loaded.document).to_string();
            }
        }
        Err(errors) => {
            assert!(!errors.diagnostics.is_empty(), "refused with a reason");
            for fault in &errors.diagnostics {
                let source = &errors.document.sources[fault.span.source as usize];
                assert!(fault.span.start as usize <= source.text.len(), "{fault:?}");
            }
            let _ = errors.to_string();
        }
    }
}

/// A transformation that changes something was foreseen to, and stays within its bound. The first byte of the input chooses one.
pub fn transformations(input: &[u8]) {
    let Some((choice, value)) = input.split_first() else { return };
    let transformation = Transformation::ALL[usize::from(*choice) % Transformation::ALL.len()];
    let name = transformation.name();
    let mut output = b"left over".to_vec();
    if transformation.apply(value, &mut output) {
        assert_ne!(output, value, "{name} says that it changed something");
        assert!(transformation.may_change(Contents::of(value)), "{name} would not run");
        assert!(
            output.len() <= transformation.longest_output(value.len()),
            "{name} is {} long",
            output.len()
        );
        if transformation.folds_case_only() {
            assert!(output.eq_ignore_ascii_case(value), "{name} changed more than case");
        }
    }
}

/// A pattern compiles or is refused, and what it requires is in what it matches. The first line of the input is the pattern,
/// the rest a value.
pub fn patterns(input: &[u8]) {
    let (text, value) = first_line(input);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(pattern) = Pattern::new(text) else { return };
    let mut captures = Captures::new();
    let outcome = pattern.evaluate(value, Some(&mut captures));
    if outcome == Outcome::Match {
        assert!(captures.iter().flatten().all(|group| value.get(group.clone()).is_some()));
        assert!(contains_one(value, pattern.required()), "{:?}", pattern.required());
    }
    if outcome != Outcome::BudgetExceeded {
        let again = pattern.evaluate(value, None);
        assert!(again == outcome || again == Outcome::BudgetExceeded);
    }
}

/// What an operator says that it needs is in every value that satisfies it. The first byte of the input chooses the operator,
/// the rest of the first line is its argument, and what follows a value.
pub fn waf_operators(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else { return };
    let (argument, value) = first_line(rest);
    let Ok(argument) = std::str::from_utf8(argument) else { return };
    let name = OperatorName::ALL[usize::from(*choice) % OperatorName::ALL.len()];
    let Ok(operator) = Operator::new(name, argument, &NoFiles) else { return };
    let mut captures = Captures::new();
    if operator.matches(value, true, &mut captures) {
        assert!(captures.iter().flatten().all(|group| value.get(group.clone()).is_some()));
        assert!(contains_one(value, operator.required()), "{:?}", operator.required());
        assert!(operator.needs().is_none_or(|needs| needs.any_in(value)));
    }
}

struct NoFiles;

impl DataFiles for NoFiles {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        Err(format!("{name} does not exist"))
    }
}

fn first_line(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    (&input[..end], input.get(end + 1..).unwrap_or_default())
}

fn contains_one(value: &[u8], required: Option<Vec<Vec<u8>>>) -> bool {
    let lower = value.to_ascii_lowercase();
    required.is_none_or(|literals| {
        literals.iter().any(|literal| lower.windows(literal.len()).any(|window| window == literal.as_slice()))
    })
}

/// A value is judged without a panic, in every place and twice in the same way.
pub fn waf_builtin(input: &[u8]) {
    static DETECTOR: LazyLock<Detector> = LazyLock::new(|| Detector::new(Settings::default()));
    let mut findings = Findings::default();
    for place in [Place::BodyValue, Place::QueryName, Place::Path] {
        findings.clear();
        DETECTOR.scan_value(place, b"name", input, &mut findings);
        let score = findings.score();
        findings.clear();
        DETECTOR.scan_value(place, b"name", input, &mut findings);
        assert_eq!(findings.score(), score, "{place:?}");
    }
    DETECTOR.scan_head(input, input, [(input, input)], &mut findings);
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    /// Every file of a folder of seeds, and each of its prefixes: a cheap walk through the error paths. And what the fuzzer found
    /// to reach further, as it is.
    fn over_seeds(name: &str, body: fn(&[u8])) {
        let files = |parent: &str| -> Vec<PathBuf> {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(parent).join(name);
            folder.read_dir().into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
        };
        for file in files("coverage") {
            body(&std::fs::read(&file).unwrap());
        }
        let seeds = files("seeds");
        assert!(!seeds.is_empty(), "no seeds of {name}");
        for file in seeds {
            let seed = std::fs::read(&file).unwrap();
            let step = seed.len().div_ceil(256).max(1);
            for end in (0..seed.len()).step_by(step).chain([seed.len()]) {
                body(&seed[..end]);
            }
        }
    }

    #[test]
    fn request_target() {
        over_seeds("request_target", super::request_target);
    }

    #[test]
    fn framing() {
        over_seeds("framing", super::framing);
    }

    #[test]
    fn body_content_encoding() {
        over_seeds("body_content_encoding", super::body_content_encoding);
    }

    #[test]
    fn waf_transaction() {
        over_seeds("waf_transaction", super::waf_transaction);
    }

    #[test]
    fn token() {
        over_seeds("token", super::token);
    }

    #[test]
    fn webhook_signature() {
        over_seeds("webhook_signature", super::webhook_signature);
    }

    #[test]
    fn message_signature() {
        over_seeds("message_signature", super::message_signature);
    }

    #[test]
    fn dpop_proof() {
        over_seeds("dpop_proof", super::dpop_proof);
    }

    #[test]
    fn certificate_names() {
        over_seeds("certificate_names", super::certificate_names);
    }

    #[test]
    fn configuration() {
        over_seeds("configuration", super::configuration);
    }

    #[test]
    fn body_json() {
        over_seeds("body_json", super::body_json);
    }

    #[test]
    fn body_multipart() {
        over_seeds("body_multipart", super::body_multipart);
    }

    #[test]
    fn body_xml() {
        over_seeds("body_xml", super::body_xml);
    }

    #[test]
    fn body_urlencoded() {
        over_seeds("body_urlencoded", super::body_urlencoded);
    }

    #[test]
    fn seclang() {
        over_seeds("seclang", super::seclang);
    }

    /// With every choice of a transformation, whichever byte a seed begins with.
    #[test]
    fn transformations() {
        over_seeds("transformations", |input| {
            let Some((_, value)) = input.split_first() else { return };
            for choice in 0..=u8::MAX {
                super::transformations(&[&[choice], value].concat());
            }
        });
    }

    #[test]
    fn patterns() {
        over_seeds("patterns", super::patterns);
    }

    #[test]
    fn waf_operators() {
        over_seeds("waf_operators", super::waf_operators);
    }

    #[test]
    fn waf_builtin() {
        over_seeds("waf_builtin", super::waf_builtin);
    }
}
