//! What is blotted out of response bodies: JSON fields by path or name, and patterns in text.
//!
//! Bodies are redacted as they stream, in constant memory. What cannot be read (compressed, in part, in
//! an unknown character set, not the JSON it says it is) must not pass: [`Redaction::applies_to`] and
//! [`Redactor::push`] say so.

mod card;
mod detect;
mod fields;
mod json;
mod media;
mod strings;
mod window;

use std::sync::Arc;

use bytes::BytesMut;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_core::{KeyPath, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use detect::BuiltInPattern;
pub use media::Format;
pub use window::LONGEST_MATCH;

use detect::Detector;
use fields::FieldRules;
use json::JsonRedactor;
use media::MediaRange;
use window::{EventWindow, Window};

/// What is blotted out of response bodies. Compressed answers cannot be read, so the service is asked
/// for plain ones; answers that still cannot be read are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawRedaction {
    /// JSON fields by their path from the top: `customer.iban`, `orders.*.card`. A `*` stands for any
    /// member of an object and any element of an array. At most 64. Default: none.
    pub fields: Vec<String>,
    /// JSON fields by name, wherever they stand and in upper or lower case. At most 256. Default: none.
    pub names: Vec<String>,
    /// Built-in patterns to blot out of JSON strings, numbers and names, and of other text:
    /// `card_number`, `aws_key`, `private_key`, `jwt`. Default: none.
    pub patterns: Vec<BuiltInPattern>,
    /// Your own patterns, as regular expressions. Matches of up to 4 KiB are certain to be found. At
    /// most 32. Default: none.
    pub expressions: Vec<String>,
    /// What takes the place of what is blotted out: of a part of a text, or, as a string, of a whole JSON
    /// value. Default: `[redacted]`.
    pub mask: String,
    /// The media types that are read: `application/json`, `text/*`, `+json` for every type with that
    /// ending. Default: JSON in all its forms, and `text/*`.
    pub content_types: Vec<String>,
}

impl Default for RawRedaction {
    fn default() -> Self {
        Self {
            fields: Vec::new(),
            names: Vec::new(),
            patterns: Vec::new(),
            expressions: Vec::new(),
            mask: "[redacted]".to_owned(),
            content_types: media::STANDARD.map(str::to_owned).to_vec(),
        }
    }
}

/// The redaction of one route's bodies, ready to run.
#[derive(Debug)]
pub struct Redaction {
    fields: FieldRules,
    detectors: Vec<Detector>,
    mask: Mask,
    media: Vec<MediaRange>,
}

/// What a redaction does with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applies {
    /// The body passes as it is.
    No,
    /// The body goes through a [`Redactor`] for this format.
    Yes(Format),
    /// The body should be redacted and cannot be read: the answer must not pass.
    Unreadable,
}

impl Redaction {
    /// Compiles what the configuration says at `path`; `None` if nothing is to be redacted.
    pub(crate) fn compile(raw: &RawRedaction, path: &KeyPath, problems: &mut Problems) -> Option<Self> {
        let fields = FieldRules::compile(raw, path, problems);
        let detectors = detect::compile(raw, path, problems);
        let mask = Mask::compile(&raw.mask, &path.key("mask"), problems);
        let media = media::compile(&raw.content_types, &path.key("content_types"), problems);
        let redaction = Self { fields, detectors, mask, media };
        (!redaction.fields.is_empty() || !redaction.detectors.is_empty()).then_some(redaction)
    }

    /// Makes a request ask for a body that can be read: whole, and not compressed.
    pub fn prepare_request(&self, headers: &mut HeaderMap) {
        headers.remove(RANGE);
        headers.remove(IF_RANGE);
        // Fails only when the map holds its maximum of 32768 fields; the answer is then judged as any.
        let _full = headers.try_insert(ACCEPT_ENCODING, HeaderValue::from_static("identity, *;q=0"));
    }

    /// What is to be done with the body of an answer that has this head.
    #[must_use]
    pub fn applies_to(&self, headers: &HeaderMap) -> Applies {
        let Ok(declared) = media::declared(headers) else { return Applies::Unreadable };
        let format = match declared {
            None => Format::Undeclared,
            Some(media) if self.media.iter().any(|range| range.covers(&media)) => {
                if !media.is_ascii_compatible {
                    return Applies::Unreadable;
                }
                media.format()
            }
            Some(_) => return Applies::No,
        };
        if matches!(format, Format::Text | Format::EventStream) && self.detectors.is_empty() {
            return Applies::No;
        }
        let plain = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .all(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"));
        if plain && !headers.contains_key(CONTENT_RANGE) { Applies::Yes(format) } else { Applies::Unreadable }
    }
}

/// Removes from the head or the trailers of an answer what is not true of its redacted body. For answers to HEAD as
/// well.
pub fn remove_fields_of_the_whole_body(fields: &mut HeaderMap) {
    for name in &OF_THE_WHOLE_BODY {
        fields.remove(name);
    }
}

/// Sizes, validators and digests (RFC 9530) of the body as the service made it.
const OF_THE_WHOLE_BODY: [HeaderName; 7] = [
    CONTENT_LENGTH,
    ETAG,
    ACCEPT_RANGES,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// A body that is not what its head says, so that nobody can tell where its fields are. The answer
/// must be broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the body to redact is not well-formed JSON")
    }
}

impl std::error::Error for Malformed {}

/// The redaction of one body, fed in chunks of any size. The result does not depend on where the chunks
/// end. Memory is bounded by a few times [`LONGEST_MATCH`].
#[derive(Debug)]
pub struct Redactor {
    rules: Arc<Redaction>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing that tells text from JSON so far, in a body that does not say what it is.
    Undeclared,
    Json(Box<JsonRedactor>),
    Text(Window),
    Events(EventWindow),
    Failed,
}

impl Redactor {
    /// A redactor for one body.
    #[must_use]
    pub fn new(rules: &Arc<Redaction>, format: Format) -> Self {
        let state = match format {
            Format::Json => State::Json(Box::new(JsonRedactor::new(rules))),
            Format::Text => State::Text(Window::for_text(&rules.detectors)),
            Format::EventStream => State::Events(EventWindow::new(&rules.detectors)),
            Format::Undeclared => State::Undeclared,
        };
        Self { rules: Arc::clone(rules), state }
    }

    /// Takes the next chunk and writes to `out` what is decided by now, which may be nothing.
    ///
    /// # Errors
    /// [`Malformed`], from the first byte on that is not JSON where JSON was announced.
    pub fn push(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), Malformed> {
        match &mut self.state {
            State::Undeclared => self.recognise(chunk, out),
            State::Text(window) => {
                window.push(&self.rules, chunk, out);
                Ok(())
            }
            State::Events(window) => {
                window.push(&self.rules, chunk, out);
                Ok(())
            }
            State::Json(json) => {
                let pushed = json.push(&self.rules, chunk, out);
                if pushed.is_err() {
                    self.state = State::Failed;
                }
                pushed
            }
            State::Failed => Err(Malformed),
        }
    }

    /// Writes what was held back. The body is complete then.
    pub fn finish(self, out: &mut BytesMut) {
        match self.state {
            State::Text(mut window) => window.finish(&self.rules, out),
            State::Events(mut window) => window.finish(&self.rules, out),
            State::Json(mut json) => json.finish(&self.rules, out),
            State::Undeclared | State::Failed => {}
        }
    }

    /// A body without a media type is JSON if it begins like an object or an array, and else text.
    fn recognise(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), Malformed> {
        // The byte order mark and the record separator of JSON text sequences say nothing either.
        let says_nothing = |byte: u8| byte.is_ascii_whitespace() || b"\xef\xbb\xbf\x1e".contains(&byte);
        let Some(at) = chunk.iter().position(|&byte| !says_nothing(byte)) else {
            out.extend_from_slice(chunk);
            return Ok(());
        };
        let (space, rest) = chunk.split_at_checked(at).unwrap_or((chunk, &[]));
        out.extend_from_slice(space);
        let format = if matches!(rest, [b'{' | b'[', ..]) { Format::Json } else { Format::Text };
        *self = Self::new(&self.rules, format);
        self.push(rest, out)
    }
}

/// What takes the place of what is blotted out: nothing that JSON, HTML or a script could take for
/// syntax.
#[derive(Debug)]
struct Mask {
    /// For text and the inside of JSON strings.
    plain: Box<[u8]>,
    /// For whole JSON values.
    quoted: Box<[u8]>,
}

const LONGEST_MASK: usize = 64;

impl Mask {
    fn compile(text: &str, path: &KeyPath, problems: &mut Problems) -> Self {
        let harmless = |byte: u8| (0x20..0x7f).contains(&byte) && !b"\"\\<>&'".contains(&byte);
        if text.is_empty() || text.len() > LONGEST_MASK || !text.bytes().all(harmless) {
            problems
                .error(path, format!("`{text}` cannot stand in for what is redacted"))
                .suggest("write 1 to 64 visible ASCII characters without quotes, `\\`, `<`, `>` and `&`");
        }
        Self { plain: text.as_bytes().into(), quoted: format!("\"{text}\"").into_bytes().into() }
    }
}

#[cfg(test)]
mod tests;
