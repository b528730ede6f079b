//! Finds the strings and names inside a JSON text, without building a tree: what is nested costs no stack.

/// A string: where it begins and ends in the text, escaped as it is, and whether it is a name.
pub(super) type Span = (usize, usize, bool);

/// Finds every string, if the text is an object, a list or a string of JSON as far as its tokens tell.
pub(super) fn strings(text: &[u8], found: &mut Vec<Span>) -> bool {
    let trimmed = text.trim_ascii_end();
    let closed = match trimmed.trim_ascii_start() {
        [b'{', .., last] => *last == b'}',
        [b'[', .., last] => *last == b']',
        [b'"', .., last] => *last == b'"',
        _ => false,
    };
    found.clear();
    closed && tokens(trimmed, found)
}

fn tokens(text: &[u8], found: &mut Vec<Span>) -> bool {
    let mut rest = text;
    let mut last_was_string = false;
    while let [byte, tail @ ..] = rest {
        rest = match byte {
            b'"' => {
                // Two strings without anything between them are no JSON, but text with quotes.
                if last_was_string {
                    return false;
                }
                let Some(length) = end_of_string(tail) else { return false };
                let start = text.len() - tail.len();
                let after = tail.get(length + 1..).unwrap_or_default();
                let is_name = matches!(after.trim_ascii_start(), [b':', ..]);
                found.push((start, start + length, is_name));
                last_was_string = true;
                after
            }
            b'{' | b'}' | b'[' | b']' | b':' | b',' => {
                last_was_string = false;
                tail
            }
            b' ' | b'\t' | b'\r' | b'\n' => tail,
            b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E' => tail,
            b't' | b'f' | b'n' => {
                let word = [&b"true"[..], b"false", b"null"].into_iter().find(|word| rest.starts_with(word));
                let Some(word) = word else { return false };
                rest.get(word.len()..).unwrap_or_default()
            }
            _ => return false,
        };
    }
    true
}

fn end_of_string(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', text.get(from..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at);
        }
        from = at + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(String, bool)> {
        let mut spans = Vec::new();
        assert!(strings(text.as_bytes(), &mut spans));
        spans
            .into_iter()
            .map(|(start, end, is_name)| (text.get(start..end).unwrap_or_default().to_owned(), is_name))
            .collect()
    }

    fn looks_like(text: &[u8]) -> bool {
        strings(text, &mut Vec::new())
    }

    #[test]
    fn strings_and_names() {
        let text = r#" {"a": "x\u0027y", "list": [1, -2.5e3, true, null, {"$ne": ""}]} "#;
        let expected = [("a", true), (r"x\u0027y", false), ("list", true), ("$ne", true), ("", false)]
            .map(|(a, b)| (a.to_owned(), b));
        assert_eq!(all(text), expected);
        assert_eq!(all(r#""inner \"quoted\"""#), [(r#"inner \"quoted\""#.to_owned(), false)]);
    }

    #[test]
    fn other_text_is_not_json() {
        for text in
            ["{{7*7}}", "\" or \"\"=\"", "{ user(id: 1) { name } }", "[link](x)", "\"a\" \"b\"", "{\"a"]
        {
            assert!(!looks_like(text.as_bytes()), "{text}");
        }
        assert!(looks_like(
            "[".repeat(100_000).as_bytes().iter().chain(b"]").copied().collect::<Vec<_>>().as_slice()
        ));
    }
}
