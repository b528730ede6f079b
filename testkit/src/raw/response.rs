//! A response, read strictly.

use crate::echo::values;

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields in the order and spelling in which they came.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// The trailer fields of a chunked body.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Whether the body ended as its framing promised, rather than with the connection.
    pub complete: bool,
}

impl Response {
    /// All values of a header field, in order. Names are compared without case.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<String> {
        values(&self.headers, name)
    }

    /// The value of a header field; `None` if it is absent.
    ///
    /// # Panics
    /// When it appears more than once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let mut values = self.values(name);
        assert!(values.len() < 2, "{name} appears {} times: {values:?}", values.len());
        values.pop()
    }

    /// The body as text, with U+FFFD for what is not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    /// The `code` of a problem document (RFC 9457), as the gateway's own answers carry it.
    ///
    /// # Panics
    /// When the body is not a problem document with a code.
    #[must_use]
    pub fn code(&self) -> String {
        let problem = self.json();
        let code = problem.get("code").and_then(serde_json::Value::as_str);
        code.unwrap_or_else(|| panic!("no code in {problem}")).to_owned()
    }

    /// Reads a head with its empty line.
    pub(super) fn parse_head(head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.trim_end_matches("\r\n").split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("status line {status_line:?}")),
            headers: lines.map(parse_field).collect(),
            body: Vec::new(),
            trailers: Vec::new(),
            complete: true,
        }
    }
}

/// Reads a field line without its CRLF.
pub(super) fn parse_field(line: &str) -> (String, Vec<u8>) {
    let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("field {line:?}"));
    (name.to_owned(), value.trim_ascii().as_bytes().to_vec())
}
