//! GraphQL documents: the literals in them as arguments.
//!
//! A query reaches the server as one string, `json.query`, in which an injection hides behind quotes and escapes that are
//! the language's own. Here each literal becomes an argument with its decoded text, named by where it stands:
//!
//! | in the document | argument |
//! |---|---|
//! | `{ user(name: "x") { id } }` | `graphql.user.name` |
//! | `{ me: user(name: "x") { id } }` | `graphql.user.name`: fields by their own name, not by their alias |
//! | `mutation { add(item: {sku: "x", tags: ["y"]}) }` | `graphql.add.item.sku`, `graphql.add.item.tags` |
//! | `query ($n: String = "x") { user(name: $n) { id } }` | `graphql.$n`; the value itself is in `json.variables.n` |
//! | `{ id @include(if: true) }` | `graphql.@include.if` |
//!
//! Literals are strings, block strings (with their indentation), numbers, booleans, `null` and enumeration values. The
//! document is not validated: what is found in one that is wrong further on stays found.

mod lexer;

use lexer::{Lexer, Token};

use super::limits::GraphqlLimits;
use crate::pairs::Pairs;

/// What is wrong with a GraphQL document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GraphqlError {
    /// It cannot be read on from a place.
    #[error("GraphQL parsing error: the document is malformed")]
    Malformed,
    /// Beyond [`GraphqlLimits::depth`].
    #[error("GraphQL parsing error: the document is nested deeper than the limit")]
    TooDeep,
    /// Beyond [`GraphqlLimits::tokens`].
    #[error("GraphQL parsing error: the document has more tokens than the limit")]
    TooManyTokens,
    /// Beyond [`GraphqlLimits::name_bytes`].
    #[error("GraphQL parsing error: the names of all literals are together longer than the limit")]
    NamesTooLong,
}

/// Whether a text begins as a GraphQL document does, and not as what people search for.
#[must_use]
pub fn is_document(text: &[u8]) -> bool {
    match Lexer::new(text).next(&mut Vec::new()) {
        Ok(Some(Token::Punctuator(b'{'))) => true,
        Ok(Some(Token::Name(name))) => {
            matches!(name, b"query" | b"mutation" | b"subscription" | b"fragment")
        }
        _ => false,
    }
}

/// Appends the literals of the documents in a JSON body to `out`. `arguments` is what [`json::parse`](super::json::parse)
/// found; documents are its members `json.query` and, in a batch, `json.array_0.query` and so on.
///
/// A document that is malformed is no error: the member may be a query of another kind.
///
/// # Errors
/// A limit that is exceeded.
pub fn from_json(arguments: &Pairs, limits: &GraphqlLimits, out: &mut Pairs) -> Result<(), GraphqlError> {
    let is_query = |name: &[u8]| {
        let rest = name.strip_prefix(b"json.").and_then(|rest| rest.strip_suffix(b"query"));
        rest.is_some_and(|rest| match rest.strip_prefix(b"array_") {
            Some(index) => index.strip_suffix(b".").is_some_and(|index| index.iter().all(u8::is_ascii_digit)),
            None => rest.is_empty(),
        })
    };
    for (_, document) in arguments.iter().filter(|(name, value)| is_query(name) && is_document(value)) {
        match parse(document, limits, out) {
            Ok(()) | Err(GraphqlError::Malformed) => {}
            Err(limit) => return Err(limit),
        }
    }
    Ok(())
}

/// Appends the literals of one document, such as a body of the type `application/graphql`, to `out`.
///
/// # Errors
/// A document that cannot be read to its end, or a limit that is exceeded.
pub fn parse(document: &[u8], limits: &GraphqlLimits, out: &mut Pairs) -> Result<(), GraphqlError> {
    let mut lexer = Lexer::new(document);
    let mut text = Vec::new();
    let mut walk =
        Walk { limits, out, frames: Vec::new(), path: Vec::new(), owner: Owner::Nothing, name_bytes: 0 };
    let mut before = Token::Punctuator(b' ');
    let mut tokens = 0;
    while let Some(token) = lexer.next(&mut text)? {
        tokens += 1;
        if tokens > limits.tokens {
            return Err(GraphqlError::TooManyTokens);
        }
        walk.step(before, token, &text)?;
        before = token;
    }
    if walk.frames.is_empty() { Ok(()) } else { Err(GraphqlError::Malformed) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Selection,
    /// The variables of an operation.
    Definitions,
    Arguments,
    Object,
    List,
}

struct Frame {
    kind: Kind,
    /// The length of the path outside of it.
    path: usize,
    /// Whether a value stands next, and not a name.
    value: bool,
}

/// What an opening parenthesis would belong to.
#[derive(Clone, Copy)]
enum Owner<'a> {
    Nothing,
    Field(&'a [u8]),
    Directive(&'a [u8]),
}

struct Walk<'a, 'o> {
    limits: &'o GraphqlLimits,
    out: &'o mut Pairs,
    frames: Vec<Frame>,
    path: Vec<u8>,
    owner: Owner<'a>,
    name_bytes: usize,
}

impl<'a> Walk<'a, '_> {
    fn step(&mut self, before: Token<'a>, token: Token<'a>, text: &[u8]) -> Result<(), GraphqlError> {
        let kind = self.frames.last().map_or(Kind::Selection, |frame| frame.kind);
        let value = self.frames.last().is_some_and(|frame| frame.value);
        match token {
            Token::Punctuator(byte) => self.punctuator(byte, kind, value),
            Token::Name(name) if before == Token::Punctuator(b'@') => {
                self.owner = Owner::Directive(name);
                Ok(())
            }
            Token::Name(name) if before == Token::Punctuator(b'$') => {
                if kind == Kind::Definitions {
                    self.rename(&[b"graphql.$", name]);
                } else {
                    self.after_value();
                }
                Ok(())
            }
            Token::Name(name) if !value => {
                match kind {
                    Kind::Selection => self.owner = Owner::Field(name),
                    Kind::Arguments | Kind::Object => self.rename(&[b".", name]),
                    // The type of a variable.
                    Kind::Definitions | Kind::List => {}
                }
                Ok(())
            }
            Token::Name(literal) | Token::Number(literal) => self.literal(literal),
            Token::Text => self.literal(text),
        }
    }

    fn punctuator(&mut self, byte: u8, kind: Kind, value: bool) -> Result<(), GraphqlError> {
        match (byte, kind) {
            (b'{', Kind::Selection) => self.open(Kind::Selection),
            (b'{', _) if value => self.open(Kind::Object),
            (b'[', _) if value => self.open(Kind::List),
            (b'(', Kind::Selection | Kind::Definitions) => self.parenthesis(),
            (b'}', Kind::Selection | Kind::Object)
            | (b']', Kind::List)
            | (b')', Kind::Arguments | Kind::Definitions) => self.close(),
            (b':', Kind::Arguments | Kind::Object) | (b'=', Kind::Definitions) => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.value = true;
                }
                Ok(())
            }
            (b'$' | b'@', Kind::Definitions) => {
                self.after_value();
                Ok(())
            }
            (b'{' | b'}' | b'(' | b')', _) => Err(GraphqlError::Malformed),
            // What else may stand in a document says nothing about its literals.
            _ => Ok(()),
        }
    }

    /// Begins arguments, or the variables of an operation.
    fn parenthesis(&mut self) -> Result<(), GraphqlError> {
        match (self.owner, self.frames.is_empty()) {
            (Owner::Directive(name), _) => {
                self.open(Kind::Arguments)?;
                self.start(&[b"graphql.@", name])
            }
            (_, true) => self.open(Kind::Definitions),
            (Owner::Field(name), false) => {
                self.open(Kind::Arguments)?;
                self.start(&[b"graphql.", name])
            }
            (Owner::Nothing, false) => Err(GraphqlError::Malformed),
        }
    }

    /// Names everything in the arguments that begin.
    fn start(&mut self, name: &[&[u8]]) -> Result<(), GraphqlError> {
        self.rename(name);
        if let Some(frame) = self.frames.last_mut() {
            frame.path = self.path.len();
        }
        Ok(())
    }

    /// Replaces what the innermost frame added to the path.
    fn rename(&mut self, name: &[&[u8]]) {
        self.path.truncate(self.frames.last().map_or(0, |frame| frame.path));
        name.iter().for_each(|part| self.path.extend_from_slice(part));
    }

    fn open(&mut self, kind: Kind) -> Result<(), GraphqlError> {
        if self.frames.len() >= self.limits.depth {
            return Err(GraphqlError::TooDeep);
        }
        // Arguments and variables have a path of their own.
        if matches!(kind, Kind::Arguments | Kind::Definitions) {
            self.path.clear();
        }
        self.frames.push(Frame { kind, path: self.path.len(), value: kind == Kind::List });
        Ok(())
    }

    fn close(&mut self) -> Result<(), GraphqlError> {
        let frame = self.frames.pop().ok_or(GraphqlError::Malformed)?;
        self.path.truncate(frame.path);
        self.owner = Owner::Nothing;
        self.after_value();
        Ok(())
    }

    fn after_value(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.value = frame.kind == Kind::List;
        }
    }

    fn literal(&mut self, text: &[u8]) -> Result<(), GraphqlError> {
        // A description, which stands outside of arguments, has no name of its own.
        let name = if self.path.is_empty() { b"graphql" } else { self.path.as_slice() };
        self.name_bytes += name.len();
        if self.name_bytes > self.limits.name_bytes {
            return Err(GraphqlError::NamesTooLong);
        }
        self.out.push(name, text);
        self.after_value();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
