//! Which JSON fields are redacted: paths from the top, and names anywhere.

use portcullis_core::{KeyPath, Problems};

use super::RawRedaction;

/// The fields of a configuration. Which paths are still possible at a place in a document is a set of
/// bits, one for each path, so that a document's place costs eight bytes for each level.
#[derive(Debug)]
pub(super) struct FieldRules {
    paths: Vec<Vec<Segment>>,
    names: Vec<Box<[u8]>>,
}

#[derive(Debug)]
enum Segment {
    Name(Box<[u8]>),
    Any,
}

/// The paths that lead on from a place in a document, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Alive(u64);

/// What is known of a value before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// The paths that lead into it.
    pub(super) alive: Alive,
    /// Whether it is redacted.
    pub(super) redact: bool,
}

const MOST_PATHS: usize = 64;
const MOST_SEGMENTS: usize = 32;
const MOST_NAMES: usize = 256;
/// The longest name of a field that a configuration may have, and so the most of a document's names
/// that must be remembered.
pub(super) const LONGEST_NAME: usize = 256;

impl FieldRules {
    pub(super) fn compile(raw: &RawRedaction, path: &KeyPath, problems: &mut Problems) -> Self {
        let fields_path = path.key("fields");
        if raw.fields.len() > MOST_PATHS {
            problems.error(&fields_path, "there are more than 64 paths").suggest("use `names` for some");
        }
        let mut paths = Vec::new();
        for (index, text) in raw.fields.iter().enumerate().take(MOST_PATHS) {
            match parse_path(text) {
                Ok(segments) => paths.push(segments),
                Err(fault) => problems
                    .error(&fields_path.index(index), format!("`{text}` is not a path: {fault}"))
                    .suggest("write the names from the top with dots between, such as `orders.*.card`"),
            }
        }
        let names_path = path.key("names");
        if raw.names.len() > MOST_NAMES {
            problems
                .error(&names_path, "there are more than 256 names")
                .suggest("list only names of fields that must not be seen");
        }
        for (index, name) in raw.names.iter().enumerate() {
            if name.is_empty() || name.len() > LONGEST_NAME {
                problems
                    .error(&names_path.index(index), "a name has 1 to 256 bytes")
                    .suggest("write a name such as `password`");
            }
        }
        Self { paths, names: raw.names.iter().map(|name| name.as_bytes().into()).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.names.is_empty()
    }

    /// The place of a whole document.
    pub(super) fn top(&self) -> Place {
        let alive = self.paths.iter().enumerate().fold(0, |alive, (number, _)| alive | (1 << number));
        Place { alive: Alive(alive), redact: false }
    }

    /// The place of an object's member, `depth` levels below the top. `name` is `None` if it is longer
    /// than [`LONGEST_NAME`], and so than any that is configured.
    pub(super) fn member(&self, within: Alive, depth: usize, name: Option<&[u8]>) -> Place {
        let mut place = self.step(within, depth, |expected| name == Some(expected));
        place.redact |=
            name.is_some_and(|name| self.names.iter().any(|listed| listed.eq_ignore_ascii_case(name)));
        place
    }

    /// The place of an array's element, `depth` levels below the top.
    pub(super) fn element(&self, within: Alive, depth: usize) -> Place {
        self.step(within, depth, |_| false)
    }

    fn step(&self, within: Alive, depth: usize, is_named: impl Fn(&[u8]) -> bool) -> Place {
        let mut place = Place::default();
        let mut left = within.0;
        while left != 0 {
            let number = left.trailing_zeros();
            left &= left - 1;
            let Some(path) = self.paths.get(number as usize) else { continue };
            let fits = match path.get(depth) {
                Some(Segment::Any) => true,
                Some(Segment::Name(expected)) => is_named(expected),
                None => false,
            };
            if fits && depth + 1 == path.len() {
                place.redact = true;
            } else if fits {
                place.alive.0 |= 1 << number;
            }
        }
        place
    }
}

fn parse_path(text: &str) -> Result<Vec<Segment>, &'static str> {
    let mut segments = Vec::new();
    for segment in text.split('.') {
        match segment {
            "" => return Err("it has an empty name"),
            "*" => segments.push(Segment::Any),
            _ if segment.len() > LONGEST_NAME => return Err("a name in it is longer than 256 bytes"),
            _ if segment.contains(['[', ']', '$']) => {
                return Err("it is not JSONPath; `*` stands for the elements of an array");
            }
            _ => segments.push(Segment::Name(segment.as_bytes().into())),
        }
    }
    if segments.len() > MOST_SEGMENTS { Err("it is deeper than 32 levels") } else { Ok(segments) }
}
