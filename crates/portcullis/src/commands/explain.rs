//! `portcullis explain`

use std::fmt::Write as _;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use http::{HeaderName, HeaderValue, Method, Request, Uri, request};
use portcullis_core::target::push_encoded;
use portcullis_core::{ClientCertificate, Clock, SystemClock};
use portcullis_pipeline::AsWritten;
use portcullis_pipeline::explain::{Connection, Explanation, StageStory, explain, refused_connection};
use portcullis_pipeline::settings::Listener;
use portcullis_proxy::{CertificateRefusal, examine_certificate, fetcher};
use serde_json::Value;

use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The configuration file.
    config: PathBuf,
    /// The URL of the request; a path alone will do.
    #[arg(required_unless_present = "request", conflicts_with = "request")]
    url: Option<String>,
    /// A file with the request as it would be sent (`GET /orders/42 HTTP/1.1`, header lines, an empty line, the body), or
    /// `-` for standard input.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// The method.
    #[arg(short = 'X', long, default_value = "GET", value_name = "METHOD")]
    method: String,
    /// A header field, such as `Authorization: Bearer …`; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    headers: Vec<String>,
    /// The address from which the connection comes.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    client: IpAddr,
    /// Explain as over TLS.
    #[arg(long)]
    tls: bool,
    /// Explain as if the client had shown this certificate: a PEM file with its chain. It is judged as the listener would
    /// judge it.
    #[arg(long, value_name = "FILE")]
    client_certificate: Option<PathBuf>,
    /// The listener that is asked for `--client-certificate`. Default: the first that asks clients for one.
    #[arg(long, value_name = "NAME", requires = "client_certificate")]
    listener: Option<String>,
    /// How the explanation is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let compiled = super::compile(&arguments.config, None);
    output::problems(&compiled);
    let Some(unrecorded) = compiled.snapshot else { return Ok(ExitCode::FAILURE) };
    let snapshot = unrecorded.without_record();
    // As it is, for keys that are kept there; explaining changes nothing.
    if let Some(Err(error)) = snapshot.store.database.as_ref().map(|database| database.attach()) {
        output::complaint(&format!("{error}; what is kept there counts as unavailable"));
    } else if let Some(revocations) = snapshot.authentication.revocations()
        && let Err(error) = revocations.read_before_serving(SystemClock.now())
    {
        output::complaint(&format!("what is revoked cannot be read ({error}), and counts as not revoked"));
    }
    let (parts, body) = match &arguments.request {
        Some(path) => read_request(path)?,
        None => (build_request(arguments)?, Vec::new()),
    };
    let fetch = fetcher()?;
    let socket = SocketAddr::new(arguments.client, 0);
    let explanation = match examine(arguments, &snapshot.listeners)? {
        Err(cause) => refused_connection(cause),
        Ok(certificate) => {
            let secure = arguments.tls || certificate.is_some();
            let connection = Connection { socket, secure, certificate };
            explain(&snapshot, parts, &body, &connection, SystemClock.now(), |need, notes| {
                fetch.fetch(need, notes);
            })
        }
    };
    match arguments.format {
        Format::Json => output::line(&serde_json::to_string_pretty(&explanation)?)?,
        Format::Text => output::line(describe(&explanation).trim_end())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The certificate that the client is said to have shown, or why no listener takes it.
fn examine(
    arguments: &Arguments,
    listeners: &[Listener],
) -> anyhow::Result<Result<Option<Arc<ClientCertificate>>, &'static str>> {
    let Some(file) = &arguments.client_certificate else { return Ok(Ok(None)) };
    let is_meant = |listener: &&Listener| match &arguments.listener {
        Some(name) => listener.name == *name,
        None => listener.tls.as_ref().is_some_and(|tls| tls.clients.is_some()),
    };
    let listener = listeners.iter().find(is_meant);
    let tls = listener.and_then(|listener| listener.tls.as_ref());
    match examine_certificate(
        tls.context("there is no such listener that asks clients for a certificate")?,
        file,
    ) {
        Ok(certificate) => Ok(Ok(Some(Arc::new(certificate)))),
        Err(CertificateRefusal::Refused(cause)) => Ok(Err(cause)),
        Err(error) => Err(error.into()),
    }
}

fn build_request(arguments: &Arguments) -> anyhow::Result<request::Parts> {
    let url = arguments.url.as_deref().unwrap_or("/");
    let uri = read_uri(url).with_context(|| format!("`{url}` is not a URL"))?;
    let method = Method::from_bytes(arguments.method.as_bytes())
        .with_context(|| format!("`{}` is not a method", arguments.method))?;
    let mut fields: Vec<(String, String)> = Vec::new();
    for field in &arguments.headers {
        let (name, value) =
            field.split_once(':').ok_or_else(|| anyhow!("`{field}` is not a field; write `Name: value`"))?;
        fields.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        let host = uri.authority().map_or("localhost", |authority| authority.as_str());
        fields.push(("host".to_owned(), host.to_owned()));
    }
    // What a client asks the server for: what follows the host, without the fragment.
    let target = match url.split_once("://") {
        _ if url.starts_with('/') => url,
        Some((_, rest)) => rest.find(['/', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => uri.path_and_query().map_or("/", |target| target.as_str()),
    };
    let target = target.split('#').next().unwrap_or_default();
    let slash = if target.starts_with('/') { "" } else { "/" };
    assemble(method, &format!("{slash}{target}"), fields)
}

/// As the gateway reads a target: what no URI may hold is percent-encoded first.
fn read_uri(text: &str) -> anyhow::Result<Uri> {
    let mut encoded = Vec::new();
    push_encoded(text.as_bytes(), &mut encoded);
    Ok(Uri::try_from(encoded)?)
}

fn read_request(path: &Path) -> anyhow::Result<(request::Parts, Vec<u8>)> {
    const LARGEST: u64 = 16 << 20;
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(LARGEST).read_to_end(&mut bytes)?;
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        file.take(LARGEST)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
    }
    let (head, body) = split_at_body(&bytes);
    let text = std::str::from_utf8(head).context("the head of the request is not text")?;
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some(_)) = (words.next(), words.next(), words.next()) else {
        bail!("`{first}` is not a request line; write `GET /path HTTP/1.1`");
    };
    let method =
        Method::from_bytes(method.as_bytes()).with_context(|| format!("`{method}` is not a method"))?;
    let fields = lines
        .take_while(|line| !line.is_empty())
        .map(|line| {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| anyhow!("`{line}` is not a field; write `Name: value`"))?;
            Ok((name.to_owned(), value.trim().to_owned()))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok((assemble(method, target, fields)?, body.to_vec()))
}

/// The head and what follows the empty line after it.
fn split_at_body(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        at += line.len();
        if matches!(line, b"\n" | b"\r\n") {
            break;
        }
    }
    bytes.split_at_checked(at).unwrap_or((bytes, b""))
}

fn assemble(method: Method, target: &str, fields: Vec<(String, String)>) -> anyhow::Result<request::Parts> {
    let uri = read_uri(target).with_context(|| format!("`{target}` is not a request target"))?;
    let (mut parts, ()) = Request::builder().method(method).uri(uri).body(())?.into_parts();
    parts.extensions.insert(AsWritten(target.as_bytes().into()));
    for (name, value) in fields {
        let name = HeaderName::try_from(&name).with_context(|| format!("`{name}` is not a header name"))?;
        let value =
            HeaderValue::try_from(value).with_context(|| format!("the value of `{name}` cannot be sent"))?;
        parts.headers.append(name, value);
    }
    Ok(parts)
}

fn describe(explanation: &Explanation) -> String {
    let mut text = String::new();
    for story in &explanation.stages {
        describe_stage(story, &mut text);
    }
    let reason = explanation.reason_code.map(|code| format!(", {code}")).unwrap_or_default();
    let stage = explanation.stage.map(|stage| format!(" by {stage}")).unwrap_or_default();
    let status = explanation.status.map(|status| format!(" ({status}{reason})")).unwrap_or_default();
    let _ = writeln!(text, "{}{stage}{status}", explanation.decision);
    text
}

fn describe_stage(story: &StageStory, text: &mut String) {
    let reason = story.reason_code.map(|code| format!(" {code}")).unwrap_or_default();
    let _ = writeln!(text, "{:<13} {}{reason}  ({} us)", story.stage, story.verdict, story.took_us);
    if !story.rules.is_empty() {
        let _ = writeln!(text, "    by    {}", story.rules.join(", "));
    }
    for (key, value) in &story.seen {
        if let ("matches", Some(matches)) = (key.as_str(), value.as_array()) {
            matches.iter().for_each(|found| describe_match(found, text));
            continue;
        }
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _ = writeln!(text, "    saw   {key} = {value}");
    }
}

/// What a rule of the scanner matched, in one line.
fn describe_match(found: &Value, text: &mut String) {
    let word = |key: &str| found.get(key).and_then(Value::as_str).unwrap_or_default();
    let rule = found.get("rule").and_then(Value::as_u64).unwrap_or_default();
    let steps: Vec<&str> = found
        .get("transformations")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let steps = if steps.is_empty() { String::new() } else { format!(" after {}", steps.join(", ")) };
    let _ = writeln!(text, "    match {rule} {}: {:?}{steps}", word("target"), word("value"));
    if !word("message").is_empty() {
        let _ = writeln!(text, "          {}", word("message").escape_debug());
    }
}
