//! From the text of one YAML 1.2 file to a [`Document`].
//!
//! The parser's events are pulled one by one, so that depth and size are bounded before anything is
//! built: a file cannot exhaust the stack or the memory. Anchors, aliases, merge keys and tags are refused:
//! what a configuration says should be what one reads, and aliases are how a small file becomes a large
//! one ("billion laughs").

use std::collections::HashMap;

use portcullis_core::KeyPath;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use crate::document::{Content, Data, Document, Entry, Node, Place, Scalar};
use crate::located::{Findings, Located, quoted};
use crate::syntax;

/// The largest configuration file, in bytes.
pub const LARGEST_CONFIGURATION: usize = 4 << 20;
/// How deep maps and lists may stand in one another.
pub const DEEPEST: usize = 64;
/// How many keys, values and list items a file may have.
pub const MOST_NODES: usize = 100_000;
/// The longest key, in characters.
pub const LONGEST_KEY: usize = 256;

/// The text as a document; with problems, if it is not one that can be used.
///
/// Faults in what the text says (a key that stands twice) are all reported; the first fault in its syntax ends it.
pub(crate) fn parse(name: &str, text: &str, findings: &mut Findings) -> Document {
    if text.len() > LARGEST_CONFIGURATION {
        findings.push(
            Located::error(&KeyPath::root(), None, "the file is larger than 4MiB")
                .suggest("keep long lists in files of their own"),
        );
        return Document::unparsed(name, "");
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(problem) = syntax::unprintable(text) {
        findings.push(problem);
        return Document::unparsed(name, text);
    }
    let mut builder = Builder { findings, open: Vec::new(), root: None, nodes: 0, documents: 0 };
    match builder.run(text) {
        Ok(()) => Document::new(name, text, builder.root.unwrap_or_else(Node::nothing)),
        Err(problem) => {
            findings.push(*problem);
            Document::unparsed(name, text)
        }
    }
}

/// Boxed, because it is large and rare.
type Refused = Box<Located>;

struct Builder<'p> {
    findings: &'p mut Findings,
    /// The maps and lists that have begun and not ended, the outermost first.
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
}

struct Open {
    path: KeyPath,
    place: Place,
    last_line: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// Each key's first line, to find the second of its name.
        lines: HashMap<String, usize>,
        /// The key whose value comes next; whether it is one to keep.
        key: Option<(String, Place, bool)>,
    },
}

impl Builder<'_> {
    fn run(&mut self, text: &str) -> Result<(), Refused> {
        let mut parser = Parser::new(StrInput::new(text));
        while let Some(event) = parser.next_event() {
            match event {
                Ok((event, span)) => self.take(event, span)?,
                Err(error) => return Err(Box::new(syntax::explain(&error, text))),
            }
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Refused> {
        let place = place_of(span);
        match event {
            Event::DocumentStart(_) => self.begin_document(place),
            Event::Alias(_) => Err(refuse(place, "aliases (`*name`) are not supported")
                .suggest("repeat the value; put text that starts with `*` in quotes")
                .into()),
            Event::Scalar(text, style, anchor, tag) => {
                self.count(place, anchor, tag.is_some())?;
                self.scalar(&text, style == ScalarStyle::Plain, span)
            }
            Event::SequenceStart(anchor, tag) => {
                self.count(place, anchor, tag.is_some())?;
                self.begin(place, OpenKind::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.count(place, anchor, tag.is_some())?;
                self.begin(place, OpenKind::Map { entries: Vec::new(), lines: HashMap::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.end();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin_document(&mut self, place: Place) -> Result<(), Refused> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(refuse(place, "a second document begins here (`---`)")
                .suggest("keep one configuration in a file")
                .into());
        }
        Ok(())
    }

    fn count(&mut self, place: Place, anchor: usize, tagged: bool) -> Result<(), Refused> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(refuse(place, "the file has more than 100000 keys and values")
                .suggest("keep long lists in files of their own")
                .into());
        }
        if anchor != 0 {
            return Err(refuse(place, "anchors (`&name`) are not supported")
                .suggest("repeat the value; put text that starts with `&` in quotes")
                .into());
        }
        if tagged {
            return Err(refuse(place, "tags (`!name`) are not supported")
                .suggest("leave the tag out; put text that starts with `!` in quotes")
                .into());
        }
        Ok(())
    }

    /// A list or a map begins; one that stands where a key is expected is refused.
    fn begin(&mut self, place: Place, kind: OpenKind) -> Result<(), Refused> {
        if self.expects_key() {
            return Err(refuse(place, "a list or map cannot be a key")
                .suggest("write a name as the key")
                .into());
        }
        if self.open.len() >= DEEPEST {
            return Err(refuse(place, "maps and lists stand more than 64 deep in one another").into());
        }
        let path = self.next_path();
        self.open.push(Open { path, place, last_line: place.line, kind });
        Ok(())
    }

    fn end(&mut self) {
        let Some(Open { place, last_line, kind, .. }) = self.open.pop() else { return };
        let data = match kind {
            OpenKind::List(items) => Data::List(items),
            OpenKind::Map { entries, .. } => Data::Map(entries),
        };
        self.add(Node { place, last_line, data });
    }

    fn scalar(&mut self, text: &str, plain: bool, span: Span) -> Result<(), Refused> {
        if self.expects_key() {
            return self.key(text, place_of(span));
        }
        let data = Data::Scalar(Scalar { written: text.to_owned(), plain, content: Content::Written });
        // A block scalar ends where the line after it begins.
        let end = span.end.line() - usize::from(span.end.col() == 0 && span.end.line() > 1);
        self.add(Node { place: place_of(span), last_line: end.max(span.start.line()), data });
        Ok(())
    }

    fn key(&mut self, text: &str, place: Place) -> Result<(), Refused> {
        if text.is_empty() {
            return Err(refuse(place, "a key is missing before `:`").into());
        }
        if text.chars().nth(LONGEST_KEY).is_some() {
            return Err(refuse(place, "this key is longer than 256 characters").into());
        }
        let Some(Open { path, kind: OpenKind::Map { lines, key, .. }, .. }) = self.open.last_mut() else {
            return Ok(());
        };
        let shown = quoted(text);
        let problem = if text == "<<" {
            let message = "merge keys (`<<`) are not supported";
            Some(Located::error(path, Some(place), message).suggest("repeat the keys that are meant"))
        } else if text.contains("${") {
            let message = format!("variables are not put into keys: `{shown}`");
            Some(Located::error(path, Some(place), message).suggest("write the key out"))
        } else if let Some(first) = lines.get(text) {
            let place_named = if path.as_str().is_empty() { String::new() } else { format!(" in `{path}`") };
            let message = format!("the key `{shown}` stands twice{place_named}");
            let suggestion = format!("it stands first in line {first}; keep one of them");
            Some(Located::error(&path.key(text), Some(place), message).suggest(suggestion))
        } else {
            lines.insert(text.to_owned(), place.line);
            None
        };
        *key = Some((text.to_owned(), place, problem.is_none()));
        if let Some(problem) = problem {
            self.findings.push(problem);
        }
        Ok(())
    }

    /// A value is complete: it goes into the innermost open list or map.
    fn add(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { last_line, kind: OpenKind::List(items), .. }) => {
                *last_line = node.last_line.max(*last_line);
                items.push(node);
            }
            Some(Open { last_line, kind: OpenKind::Map { entries, key, .. }, .. }) => {
                *last_line = node.last_line.max(*last_line);
                if let Some((key, key_place, true)) = key.take() {
                    entries.push(Entry { key, key_place, value: node });
                }
            }
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { kind: OpenKind::Map { key: None, .. }, .. }))
    }

    fn next_path(&self) -> KeyPath {
        match self.open.last() {
            None => KeyPath::root(),
            Some(Open { path, kind: OpenKind::List(items), .. }) => path.index(items.len()),
            Some(Open { path, kind: OpenKind::Map { key, .. }, .. }) => {
                key.as_ref().map_or_else(|| path.clone(), |(key, _, _)| path.key(key))
            }
        }
    }
}

fn refuse(place: Place, message: &str) -> Located {
    Located::error(&KeyPath::root(), Some(place), message)
}

fn place_of(span: Span) -> Place {
    let width = if span.start.line() == span.end.line() { span.len() } else { 1 };
    Place { line: span.start.line(), column: span.start.col() + 1, width: width.max(1) }
}
