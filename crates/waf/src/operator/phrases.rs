//! `pm` and `pmFromFile`: one of many phrases, without regard to ASCII case.

use super::{DataFiles, OperatorError};
use crate::pattern::{Captures, Ways};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

#[derive(Debug)]
pub(super) struct Phrases {
    automaton: AhoCorasick,
    required: Option<Vec<Vec<u8>>>,
    ways: Ways,
}

impl Phrases {
    /// Words with spaces between them, in which `|41 42|` are bytes as Snort writes them.
    pub(super) fn parse(argument: &str) -> Result<Self, OperatorError> {
        let argument = unescape(argument.as_bytes())?;
        let phrases = argument.split(u8::is_ascii_whitespace).filter(|phrase| !phrase.is_empty());
        Self::new(phrases.map(<[u8]>::to_vec).collect())
    }

    /// Files with a phrase on each line; lines that begin with `#` are comments.
    pub(super) fn read(argument: &str, files: &dyn DataFiles) -> Result<Self, OperatorError> {
        let mut phrases = Vec::new();
        for name in argument.split_ascii_whitespace() {
            let content = files.read(name).map_err(|message| OperatorError::new(message, 0))?;
            let lines = content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            phrases
                .extend(lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).map(<[u8]>::to_vec));
        }
        Self::new(phrases)
    }

    fn new(mut phrases: Vec<Vec<u8>>) -> Result<Self, OperatorError> {
        phrases.iter_mut().for_each(|phrase| phrase.make_ascii_lowercase());
        phrases.sort_unstable();
        phrases.dedup();
        // What ends first is found, as in ModSecurity.
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&phrases)
            .map_err(|error| OperatorError::new(format!("too many phrases: {error}"), 0))?;
        let selective = !phrases.is_empty() && phrases.iter().all(|phrase| phrase.len() > 1);
        let ways = phrases.iter().fold(Ways::none(), |all, phrase| all.or(&Ways::text(phrase)));
        Ok(Self { automaton, ways, required: selective.then_some(phrases) })
    }

    pub(super) fn matches(&self, value: &[u8], capture: bool, captures: &mut Captures) -> bool {
        if !capture {
            return self.automaton.is_match(value);
        }
        let found = self.automaton.find(value);
        captures.extend(found.map(|found| Some(found.range())));
        found.is_some()
    }

    pub(super) fn required(&self) -> Option<Vec<Vec<u8>>> {
        self.required.clone()
    }

    pub(super) const fn ways(&self) -> &Ways {
        &self.ways
    }
}

/// Replaces `|41 42|` by those bytes; `\|` is a bar.
fn unescape(argument: &[u8]) -> Result<Vec<u8>, OperatorError> {
    let mut text = Vec::with_capacity(argument.len());
    let mut rest = argument;
    while let Some((byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'\\', [next @ (b'|' | b'\\'), after @ ..]) => {
                text.push(*next);
                after
            }
            (b'|', _) => {
                let offset = argument.len() - rest.len();
                let Some(length) = memchr::memchr(b'|', after) else {
                    return Err(OperatorError::new(
                        "a `|` without its second: a literal one is written `\\|`",
                        offset,
                    ));
                };
                let bytes = after.get(..length).unwrap_or_default();
                text.extend(hexadecimal(bytes).ok_or_else(|| {
                    OperatorError::new("within `|` only bytes such as `|41 42|` may stand", offset)
                })?);
                after.get(length + 1..).unwrap_or_default()
            }
            _ => {
                text.push(*byte);
                after
            }
        };
    }
    Ok(text)
}

fn hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    if !rest.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    pairs.iter().map(byte).collect()
}
