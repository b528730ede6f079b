//! The request that is to be explained: a file, or flags as curl has them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};

use super::super::message::{self, Request, Response};

/// The most that is read of a message.
const LARGEST: u64 = 16 << 20;

/// The flags that say what is sent.
#[derive(Debug, clap::Args)]
pub(super) struct Given {
    /// The URL of the request; a path alone will do.
    #[arg(required_unless_present = "request", conflicts_with = "request")]
    url: Option<String>,
    /// A file with the request as it would be sent (`POST /orders HTTP/1.1`, header lines, an empty line, the body), or
    /// `-` for standard input.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// The method. Default: GET, or POST with data.
    #[arg(short = 'X', long, value_name = "METHOD", conflicts_with = "request")]
    method: Option<String>,
    /// A header field, such as `Content-Type: application/json`; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "FIELD", conflicts_with = "request")]
    headers: Vec<String>,
    /// The body, or `@FILE` for what a file holds. Without a Content-Type it is a form.
    #[arg(short, long, value_name = "DATA|@FILE", conflicts_with = "request", allow_hyphen_values = true)]
    data: Option<String>,
    /// A file with the response that would follow, for the rules that look at responses.
    #[arg(long, value_name = "FILE")]
    response: Option<PathBuf>,
}

impl Given {
    pub(super) fn request(&self) -> anyhow::Result<Request> {
        match &self.request {
            Some(path) => written(&read(path)?),
            None => self.by_flags(),
        }
    }

    pub(super) fn response(&self) -> anyhow::Result<Option<Response>> {
        let Some(path) = &self.response else { return Ok(None) };
        let bytes = read(path)?;
        let parsed = message::response(&bytes, false, true);
        let parsed = parsed.ok_or_else(|| {
            anyhow!("`{}` holds no response; its first line would be `HTTP/1.1 200 OK`", path.display())
        })?;
        Ok(Some(parsed.message))
    }

    fn by_flags(&self) -> anyhow::Result<Request> {
        let url = self.url.as_deref().unwrap_or("/");
        let (host, target) = parts(url)?;
        let body = match self.data.as_deref() {
            None => None,
            Some(data) => Some(match data.strip_prefix('@') {
                Some(file) => read(Path::new(file))?,
                None => data.as_bytes().to_vec(),
            }),
        };
        let mut headers = Vec::new();
        for field in &self.headers {
            let (name, value) = field
                .split_once(':')
                .ok_or_else(|| anyhow!("`{field}` is not a field; write `Name: value`"))?;
            headers.push((name.trim().as_bytes().to_vec(), value.trim().as_bytes().to_vec()));
        }
        // What curl sends without being told to: rules look for the absence of these.
        let mut defaults =
            vec![("Host", host), ("User-Agent", "curl/8".to_owned()), ("Accept", "*/*".to_owned())];
        if let Some(body) = &body {
            defaults.push(("Content-Length", body.len().to_string()));
            defaults.push(("Content-Type", "application/x-www-form-urlencoded".to_owned()));
        }
        for (name, value) in defaults {
            if !headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name.as_bytes())) {
                headers.push((name.as_bytes().to_vec(), value.into_bytes()));
            }
        }
        let usual = if body.is_some() { "POST" } else { "GET" };
        Ok(Request {
            method: self.method.as_deref().unwrap_or(usual).as_bytes().to_vec(),
            target: target.into_bytes(),
            protocol: b"HTTP/1.1".to_vec(),
            headers,
            body: body.unwrap_or_default(),
        })
    }
}

/// The host and the target of a URL. The target is taken as it is: what breaks the grammar is worth an explanation.
fn parts(url: &str) -> anyhow::Result<(String, String)> {
    if url.starts_with('/') {
        return Ok(("localhost".to_owned(), url.to_owned()));
    }
    let Some((_, rest)) = url.split_once("://") else {
        bail!("`{url}` is not a URL; write `http://host/path` or `/path`");
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok((host.to_owned(), format!("{slash}{target}")))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let failed = || format!("cannot read `{}`", path.display());
    if path == Path::new("-") {
        std::io::stdin().take(LARGEST + 1).read_to_end(&mut bytes).with_context(failed)?;
    } else {
        let file = std::fs::File::open(path).with_context(failed)?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).with_context(failed)?;
    }
    if bytes.len() as u64 > LARGEST {
        bail!("`{}` is larger than {} MiB", path.display(), LARGEST >> 20);
    }
    Ok(bytes)
}

/// A request written down. Who writes one by hand counts no bytes: without a length the body is what follows the head, but
/// for the line feed with which files end.
fn written(bytes: &[u8]) -> anyhow::Result<Request> {
    let mut request = message::request(bytes).message;
    if request.target.is_empty() {
        bail!("there is no request line; write `GET /path HTTP/1.1`");
    }
    let announces = ["content-length", "transfer-encoding"];
    if announces.iter().any(|name| request.header_all(name).next().is_some()) {
        return Ok(request);
    }
    let body = after_head(bytes);
    let body = body.strip_suffix(b"\n").map_or(body, |body| body.strip_suffix(b"\r").unwrap_or(body));
    if !body.is_empty() {
        request.headers.push((b"Content-Length".to_vec(), body.len().to_string().into_bytes()));
        request.body = body.to_vec();
    }
    Ok(request)
}

/// What follows the first empty line after the request line.
fn after_head(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes.trim_ascii_start();
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let (line, after) = rest.split_at_checked(end + 1).unwrap_or((rest, b""));
        if line.trim_ascii().is_empty() {
            return after;
        }
        rest = after;
    }
    b""
}

#[cfg(test)]
mod tests {
    use super::{after_head, parts, written};

    #[test]
    fn urls_have_a_host_and_a_target() {
        let of = |url| parts(url).unwrap();
        assert_eq!(of("/a?b"), ("localhost".to_owned(), "/a?b".to_owned()));
        assert_eq!(of("http://h:1/a b"), ("h:1".to_owned(), "/a b".to_owned()));
        assert_eq!(of("http://h?x"), ("h".to_owned(), "/?x".to_owned()));
        assert!(parts("a/b").is_err());
    }

    #[test]
    fn a_body_by_hand_needs_no_length() {
        let request = written(b"POST / HTTP/1.1\nHost: h\n\na=b\n").unwrap();
        assert_eq!(request.body, b"a=b");
        assert_eq!(request.header_all("content-length").next(), Some(&b"3"[..]));
        let counted = written(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\na=b").unwrap();
        assert_eq!(counted.body, b"a=");
        assert!(written(b"GET / HTTP/1.1\nHost: h\n").unwrap().body.is_empty());
        assert!(written(b"\n").is_err());
        assert_eq!(after_head(b"\r\nGET / HTTP/1.1\r\n\r\nx"), b"x");
    }
}
