//! What libinjection makes of the beginning of a text, where that settles that it is no SQL injection: nearly all prose that
//! [`plain_words`](super::plain_words) must leave open, because it holds words that SQL knows or marks such as `;`.
//!
//! libinjection reads tokens until five are left that do not fold into each other, and never looks at what comes after them. Here
//! the same is done for words, whole numbers and a few marks, with a table of words that costs a twentieth of the library's. As soon
//! as another character is reached, as the value has a quote, which makes the library read it again, or as the five are on its list,
//! the library decides.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use libinjectionrs::sqli::sqli_data::SQL_KEYWORDS;
use smallvec::SmallVec;

use super::plain_words::{is_known, is_word};

type Types = SmallVec<[u8; 8]>;

/// How many tokens are looked at; one more helps to tell what the last of them is.
const TOKENS: usize = 5;
/// What libinjection keeps of a token, bytes.
const LONGEST: usize = 31;

const WORD: u8 = b'n';
const NUMBER: u8 = b'1';
const OPERATOR: u8 = b'o';
const KEYWORD: u8 = b'k';
const FUNCTION: u8 = b'f';
const VARIABLE: u8 = b'v';
const TYPE: u8 = b't';
const LOGIC: u8 = b'&';
const COLLATE: u8 = b'A';

/// The type of each word and phrase, in upper case, that is more than a word to libinjection.
static TYPES: LazyLock<HashMap<&'static [u8], u8>> = LazyLock::new(|| {
    SQL_KEYWORDS
        .iter()
        .filter(|keyword| !matches!(keyword.token_type, b'F' | WORD))
        .map(|keyword| (keyword.word.as_bytes(), keyword.token_type))
        .collect()
});

/// The types, in upper case, of which injections consist.
static FINGERPRINTS: LazyLock<HashSet<&'static [u8]>> = LazyLock::new(|| {
    let listed = SQL_KEYWORDS.iter().filter(|keyword| keyword.token_type == b'F');
    listed.filter_map(|keyword| keyword.word.as_bytes().get(1..)).collect()
});

/// Whether libinjection certainly finds no injection in `value`.
pub(super) fn are_harmless(value: &[u8]) -> bool {
    memchr::memchr2(b'\'', b'"', value).is_none()
        && fold(value).is_some_and(|mut types| {
            types.make_ascii_uppercase();
            !FINGERPRINTS.contains(types.as_slice())
        })
}

/// A token, with its text where that can matter.
#[derive(Debug, Clone, Copy, Default)]
struct Token {
    kind: u8,
    /// Whether it can be a part of a phrase.
    known: bool,
    length: u8,
    text: [u8; LONGEST],
}

impl Token {
    fn new(kind: u8, text: &[u8]) -> Self {
        let mut token = Self { kind, ..Self::default() };
        for (to, from) in token.text.iter_mut().zip(text) {
            *to = from.to_ascii_uppercase();
            token.length += 1;
        }
        token
    }

    fn text(&self) -> &[u8] {
        self.text.get(..usize::from(self.length)).unwrap_or_default()
    }

    fn is_unary(&self) -> bool {
        self.kind == OPERATOR && matches!(self.text(), b"-" | b"+" | b"NOT")
    }

    /// Both words as one, if they are a phrase.
    fn join(&self, next: &Self) -> Option<Self> {
        let joins = |kind| matches!(kind, KEYWORD | WORD | OPERATOR | b'U' | FUNCTION | b'E' | b'T' | TYPE);
        let fits = usize::from(self.length) + usize::from(next.length) < LONGEST;
        if !(self.known && next.known && fits && joins(self.kind) && (joins(next.kind) || next.kind == LOGIC))
        {
            return None;
        }
        let mut joined = Self { known: true, ..Self::new(0, &[self.text(), b" ", next.text()].concat()) };
        joined.kind = *TYPES.get(joined.text())?;
        Some(joined)
    }
}

/// Reads tokens; `None` at what is not known here.
struct Tokens<'a>(&'a [u8]);

impl Tokens<'_> {
    fn next(&mut self) -> Option<Option<Token>> {
        self.0 = self.0.trim_ascii_start();
        let Some(&first) = self.0.first() else { return Some(None) };
        let (token, length) = match (first, self.0.get(1)) {
            (b'0', Some(b'x' | b'X' | b'b' | b'B')) => return None,
            (b'0'..=b'9', _) => self.number()?,
            (b'.', Some(b'0'..=b'9')) | (b'-', Some(b'-')) => return None,
            (b',' | b';' | b'.' | b'?', _) => (Token::new(first, &[first]), 1),
            (b'-' | b'+', _) => (Token::new(OPERATOR, &[first]), 1),
            _ => self.word()?,
        };
        self.0 = self.0.get(length..).unwrap_or_default();
        Some(Some(token))
    }

    /// A number of digits alone.
    fn number(&self) -> Option<(Token, usize)> {
        let length = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match self.0.get(length) {
            None | Some(b' ' | b',' | b';' | b'-' | b'+') => Some((Token::new(NUMBER, b""), length)),
            Some(_) => None,
        }
    }

    /// A word, with the dots in it.
    fn word(&self) -> Option<(Token, usize)> {
        let inside = |byte: &&u8| is_word(**byte) || **byte == b'.';
        let length = self.0.iter().take_while(inside).count();
        let (word, after) = self.0.split_at_checked(length)?;
        match after.first() {
            _ if word.is_empty() => return None,
            None | Some(b' ' | b'\t'..=b'\r' | b',' | b';' | b'?' | b'-' | b'+') => {}
            Some(_) => return None,
        }
        // A word that is known ends at a dot.
        let dots = memchr::memchr_iter(b'.', word);
        let ends = dots.chain([length]).take_while(|end| *end <= LONGEST);
        for part in ends.filter_map(|end| word.get(..end)) {
            if may_be_known(part) {
                let mut token = Token { known: true, ..Token::new(WORD, part) };
                if let Some(&kind) = TYPES.get(token.text()) {
                    token.kind = kind;
                    return Some((token, part.len()));
                }
            }
        }
        Some((Token { known: length <= LONGEST && may_be_known(word), ..Token::new(WORD, word) }, length))
    }
}

fn may_be_known(word: &[u8]) -> bool {
    is_known(word) || word.contains(&b'.')
}

/// The types that are left of the first tokens; `None` when the library must tell.
fn fold(value: &[u8]) -> Option<Types> {
    let mut tokens = Tokens(value);
    let mut folding = Folding::default();
    loop {
        let Some(first) = tokens.next()? else { return Some(Types::new()) };
        if first.kind != TYPE && !first.is_unary() {
            folding.kept = [first; TOKENS + 3];
            folding.count = 1;
            break;
        }
    }
    let mut more = true;
    while more && folding.left < TOKENS {
        folding.fill(2, &mut tokens, &mut more)?;
        if folding.count < folding.left + 2 {
            break;
        }
        if folding.two()? {
            continue;
        }
        folding.fill(3, &mut tokens, &mut more)?;
        if folding.count < folding.left + 3 {
            break;
        }
        if !folding.three()? {
            folding.left += 1;
        }
    }
    Some(folding.kept.iter().take(folding.count.min(TOKENS)).map(|token| token.kind).collect())
}

/// Tokens that are folded; those before `left` are settled.
#[derive(Default)]
struct Folding {
    kept: [Token; TOKENS + 3],
    count: usize,
    left: usize,
}

impl Folding {
    /// Reads until `wanted` tokens are at hand from `left` on.
    fn fill(&mut self, wanted: usize, tokens: &mut Tokens<'_>, more: &mut bool) -> Option<()> {
        while *more && self.count <= TOKENS && self.count < self.left + wanted {
            match tokens.next()? {
                Some(token) => {
                    *self.kept.get_mut(self.count)? = token;
                    self.count += 1;
                }
                None => *more = false,
            }
        }
        Some(())
    }

    /// Folds two tokens; whether that changed anything.
    fn two(&mut self) -> Option<bool> {
        let [first, second] = self.kept.get_mut(self.left..)?.first_chunk_mut::<2>()?;
        match (first.kind, second.kind) {
            (b';', b';') => {}
            (OPERATOR | LOGIC, _) if second.is_unary() || second.kind == TYPE => {
                self.count -= 1;
                self.left = 0;
                return Some(true);
            }
            _ => {
                if let Some(joined) = first.join(second) {
                    *first = joined;
                } else if first.kind == b';' && second.kind == FUNCTION && second.text().starts_with(b"IF") {
                    second.kind = b'T';
                    return Some(true);
                } else if first.kind == KEYWORD && matches!(first.text(), b"IN" | b"NOT IN") {
                    first.kind = WORD;
                    return Some(true);
                } else if matches!(
                    (first.kind, second.kind),
                    (TYPE, WORD | NUMBER | TYPE | FUNCTION | VARIABLE)
                ) {
                    *first = *second;
                    self.count -= 1;
                    self.left = 0;
                    return Some(true);
                } else if first.kind == COLLATE {
                    return None;
                } else {
                    return Some(false);
                }
            }
        }
        self.count -= 1;
        self.left = self.left.saturating_sub(usize::from(first.kind != b';'));
        Some(true)
    }

    /// Folds three tokens; whether that changed anything.
    fn three(&mut self) -> Option<bool> {
        let [first, second, third] = self.kept.get(self.left..)?.first_chunk::<3>()?;
        let folds = match (first.kind, second.kind, third.kind) {
            (NUMBER, OPERATOR, NUMBER) | (OPERATOR, _, OPERATOR) | (LOGIC, _, LOGIC) => true,
            (VARIABLE, OPERATOR, VARIABLE | NUMBER | WORD) | (WORD | NUMBER, OPERATOR, NUMBER | WORD) => true,
            (WORD | NUMBER | VARIABLE, b',', NUMBER | WORD | VARIABLE) => true,
            (WORD, b'.', WORD) => true,
            (KEYWORD | b'E' | b'B' | b',', ..) if second.is_unary() => return None,
            (b'E', b'.', _) => return None,
            _ => false,
        };
        if folds {
            self.count -= 2;
            self.left = 0;
        }
        Some(folds)
    }
}

#[cfg(test)]
mod tests {
    use libinjectionrs::{SqliFlags, SqliState};
    use proptest::prelude::*;

    use super::*;

    fn library(text: &str) -> SqliState<'_> {
        SqliState::new(text.as_bytes(), SqliFlags::FLAG_NONE)
    }

    #[test]
    fn prose_with_words_of_sql_is_harmless() {
        for prose in [
            "We would like two more in green, if there are any left in stock.",
            "Thank you for the careful packaging; nothing was broken this time.",
            "The order is in the group by the door, or not at all",
            "select a time that suits you and the others (any day) - we are here",
        ] {
            assert!(are_harmless(prose.as_bytes()), "{prose}");
            assert!(!library(prose).detect(), "{prose}");
        }
        for sql in ["1 or 1", "1 union select 2", "1; drop table x", "x and 1", "like me\u{27} or 1"] {
            assert!(!are_harmless(sql.as_bytes()), "{sql}");
        }
    }

    fn piece() -> impl Strategy<Value = String> {
        let listed: Vec<String> = SQL_KEYWORDS
            .iter()
            .filter(|keyword| {
                keyword.token_type != b'F'
                    && keyword.word.starts_with(|letter: char| letter.is_ascii_alphabetic())
            })
            .map(|keyword| keyword.word.to_lowercase())
            .collect();
        prop_oneof![
            3 => "[a-z_0-9é]{1,6}",
            1 => "[0-9]{1,3}",
            3 => "[ ,.;?+=!:(-]{1,2}",
            4 => proptest::sample::select(listed),
            4 => proptest::sample::select(
                vec![
                    "or", "and", "select", "union", "1", "not", "in", "group by", "like", "if", "is", "null", "order", "as", "for",
                    "text", "collate", "latin1", "select", "having", "from", "left", "set", "in boolean mode", "a long word of the list",
                ]
            ).prop_map(str::to_owned),
            6 => Just(" ".to_owned()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn tokens_fold_as_in_the_library(pieces in proptest::collection::vec(piece(), 0..14), spaced in any::<bool>()) {
            let text = pieces.join(if spaced { " " } else { "" });
            if let Some(types) = fold(text.as_bytes()) {
                let fingerprint = library(&text).get_fingerprint();
                prop_assert_eq!(String::from_utf8_lossy(&types), fingerprint.as_str(), "{}", text);
            }
            if are_harmless(text.as_bytes()) {
                prop_assert!(!library(&text).detect(), "{text}");
            }
        }
    }
}
