//! Finds the strings and names inside a JSON text, without building a tree: what is nested costs no stack.

use super::decode;

/// Whether the text is an object, a list or a string of JSON, as far as its tokens tell.
pub(super) fn looks_like(text: &[u8]) -> bool {
    let trimmed = text.trim_ascii();
    let closed = matches!(trimmed, [b'{', .., b'}'] | [b'[', .., b']'] | [b'"', .., b'"']);
    closed && tokens(trimmed, |_, _| ())
}

/// Calls `found` with every string and whether it is a name. Strings are as they stand in the text: escaped.
fn tokens<'t>(text: &'t [u8], mut found: impl FnMut(&'t [u8], bool)) -> bool {
    let mut rest = text;
    let mut last_was_string = false;
    while let [byte, tail @ ..] = rest {
        rest = match byte {
            b'"' => {
                // Two strings without anything between them are no JSON, but text with quotes.
                if last_was_string {
                    return false;
                }
                let Some(end) = end_of_string(tail) else { return false };
                let (string, after) = tail.split_at_checked(end).unwrap_or_default();
                let after = after.get(1..).unwrap_or_default();
                let is_name = matches!(after.trim_ascii_start(), [b':', ..]);
                found(string, is_name);
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

/// Calls `found` with every string and name of a JSON text, unescaped, and whether it is a name.
pub(super) fn strings(text: &[u8], mut found: impl FnMut(&[u8], bool)) {
    let mut buffer = Vec::new();
    tokens(text.trim_ascii(), |string, is_name| {
        if !string.contains(&b'\\') {
            return found(string, is_name);
        }
        buffer.clear();
        decode::escapes(string, &mut buffer);
        found(&buffer, is_name);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(String, bool)> {
        let mut all = Vec::new();
        strings(text.as_bytes(), |string, is_name| {
            all.push((String::from_utf8_lossy(string).into_owned(), is_name));
        });
        all
    }

    #[test]
    fn strings_and_names() {
        let text = r#" {"a": "x\u0027y", "list": [1, -2.5e3, true, null, {"$ne": ""}]} "#;
        assert!(looks_like(text.as_bytes()));
        let expected = [("a", true), ("x'y", false), ("list", true), ("$ne", true), ("", false)]
            .map(|(a, b)| (a.to_owned(), b));
        assert_eq!(all(text), expected);
        assert_eq!(all(r#""inner \"quoted\"""#), [("inner \"quoted\"".to_owned(), false)]);
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
