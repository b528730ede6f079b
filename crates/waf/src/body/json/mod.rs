//! JSON bodies as arguments, named as libmodsecurity names them.
//!
//! Everything begins with `json`. A member of an object adds `.` and its key, an element of an array `.array_` and its index;
//! an empty key reads `empty-key`:
//!
//! | document | argument |
//! |---|---|
//! | `"x"` | `json` |
//! | `{"a": {"b": "x"}}` | `json.a.b` |
//! | `{"items": [{"sku": "x"}]}` | `json.items.array_0.sku` |
//! | `["x", ["y"]]` | `json.array_0`, `json.array_1.array_0` |
//! | `{"": "x"}` | `json.empty-key` |
//!
//! Strings are decoded, numbers stand as they are written, and `null` is empty. A key that comes twice gives two arguments.
//! What RFC 8259 does not allow is an error, half surrogate pairs included: servers read them in different ways.

mod lexer;
#[cfg(test)]
mod tests;

use lexer::{Lexer, Token};

use super::limits::JsonLimits;
use crate::pairs::Pairs;

/// What is wrong with a JSON body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("JSON parsing error at byte {at}: {problem}")]
pub struct JsonError {
    /// Where, in bytes from the start of the body.
    pub at: usize,
    /// What.
    pub problem: JsonProblem,
}

/// The kinds of [`JsonError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonProblem {
    /// The body ends within a value.
    #[error("the document ends too early")]
    UnexpectedEnd,
    /// Something stands where it may not.
    #[error("a byte that cannot stand there")]
    UnexpectedByte,
    /// There is more after the value.
    #[error("there is something after the document")]
    TrailingBytes,
    /// `tru`, `nul`, `NaN`.
    #[error("neither true, false, null, a number nor a string")]
    InvalidLiteral,
    /// `01`, `1.`, `1e`, `-`.
    #[error("a number that JSON cannot write so")]
    InvalidNumber,
    /// `\x`, `\u12`, half a surrogate pair.
    #[error("an escape sequence that JSON does not have")]
    InvalidEscape,
    /// A raw control character in a string.
    #[error("a control character in a string, which has to be escaped")]
    ControlCharacter,
    /// A string is not UTF-8.
    #[error("a string that is not UTF-8")]
    InvalidUtf8,
    /// Beyond [`JsonLimits::depth`].
    #[error("arrays and objects are nested deeper than the limit")]
    TooDeep,
    /// Beyond [`JsonLimits::values`].
    #[error("there are more values than the limit")]
    TooManyValues,
    /// Beyond [`JsonLimits::name_bytes`].
    #[error("the names of all values are together longer than the limit")]
    NamesTooLong,
}

/// Appends an argument to `out` for every string, number, boolean and null of the document.
///
/// An empty body is no error, as in ModSecurity. After an error `out` holds what stands before it.
///
/// # Errors
/// The first thing that is wrong with the document, or the limit that it exceeds.
pub fn parse(input: &[u8], limits: &JsonLimits, out: &mut Pairs) -> Result<(), JsonError> {
    if input.is_empty() {
        return Ok(());
    }
    let mut lexer = Lexer::new(input);
    let mut walk = Walk { limits, out, path: b"json".to_vec(), frames: Vec::new(), values: 0, name_bytes: 0 };
    let mut decoded = Vec::new();
    walk.document(&mut lexer, &mut decoded).map_err(|problem| JsonError { at: lexer.position(), problem })
}

/// An array or object that is open.
struct Frame {
    /// The length of the path that names it.
    path: usize,
    /// The index of the current element; absent for an object.
    index: Option<usize>,
}

struct Walk<'a> {
    limits: &'a JsonLimits,
    out: &'a mut Pairs,
    /// The name of the current value.
    path: Vec<u8>,
    frames: Vec<Frame>,
    values: usize,
    name_bytes: usize,
}

impl Walk<'_> {
    fn document(&mut self, lexer: &mut Lexer<'_>, decoded: &mut Vec<u8>) -> Result<(), JsonProblem> {
        // One round reads a value, or opens an array or object and names what comes first in it.
        loop {
            match lexer.token(decoded)? {
                Token::Array => {
                    self.open(Some(0))?;
                    if !lexer.take(b']') {
                        self.enter(lexer, decoded)?;
                        continue;
                    }
                    self.frames.pop();
                }
                Token::Object => {
                    self.open(None)?;
                    if !lexer.take(b'}') {
                        self.enter(lexer, decoded)?;
                        continue;
                    }
                    self.frames.pop();
                }
                Token::Text(text) => self.value(text)?,
                Token::Decoded => self.value(decoded)?,
            }
            if !self.close(lexer, decoded)? {
                break;
            }
        }
        if lexer.is_at_end() { Ok(()) } else { Err(JsonProblem::TrailingBytes) }
    }

    fn open(&mut self, index: Option<usize>) -> Result<(), JsonProblem> {
        if self.frames.len() >= self.limits.depth {
            return Err(JsonProblem::TooDeep);
        }
        self.frames.push(Frame { path: self.path.len(), index });
        Ok(())
    }

    fn value(&mut self, text: &[u8]) -> Result<(), JsonProblem> {
        self.values += 1;
        if self.values > self.limits.values {
            return Err(JsonProblem::TooManyValues);
        }
        self.name_bytes += self.path.len();
        if self.name_bytes > self.limits.name_bytes {
            return Err(JsonProblem::NamesTooLong);
        }
        self.out.push(&self.path, text);
        Ok(())
    }

    /// Names the member or element that begins.
    fn enter(&mut self, lexer: &mut Lexer<'_>, decoded: &mut Vec<u8>) -> Result<(), JsonProblem> {
        let Some(frame) = self.frames.last() else { return Ok(()) };
        self.path.truncate(frame.path);
        if let Some(index) = frame.index {
            use std::io::Write as _;
            // Writing to a vector cannot fail.
            let _ = write!(self.path, ".array_{index}");
            return Ok(());
        }
        let key = lexer.string(decoded)?.unwrap_or(decoded);
        self.path.push(b'.');
        self.path.extend_from_slice(if key.is_empty() { b"empty-key" } else { key });
        lexer.expect(b':')
    }

    /// What follows a value: the next member or element, or the end of one or more arrays and objects. Tells whether
    /// another value comes.
    fn close(&mut self, lexer: &mut Lexer<'_>, decoded: &mut Vec<u8>) -> Result<bool, JsonProblem> {
        while let Some(frame) = self.frames.last_mut() {
            if lexer.take(b',') {
                frame.index = frame.index.map(|index| index + 1);
                self.enter(lexer, decoded)?;
                return Ok(true);
            }
            lexer.expect(if frame.index.is_some() { b']' } else { b'}' })?;
            self.frames.pop();
        }
        Ok(false)
    }
}
