//! Tells running text from anything else by the shape of its words: no language is known here, so it works for
//! any that writes words between spaces, and for those that write none.

/// What a look at the words of a text says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prose {
    words: usize,
    other: usize,
    plain: usize,
    high: usize,
    length: usize,
    fences: usize,
    /// It begins or ends as what was cut out of a statement does.
    broken: bool,
}

impl Prose {
    /// Reads a text once.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut prose = Self { length: text.len(), ..Self::default() };
        prose.high = text.iter().filter(|byte| **byte >= 0x80).count();
        prose.broken = text.ends_with(b"--")
            || text.ends_with(b"#")
            || matches!(text, [b'\'' | b'"', b' ' | b')' | b';', ..]);
        let mut fenced = false;
        let mut spanned = false;
        let mut next = 0;
        for piece in text.split(u8::is_ascii_whitespace) {
            next += piece.len() + 1;
            if piece.starts_with(b"```") || piece.starts_with(b"~~~") {
                fenced = !fenced;
                prose.fences += 1;
                continue;
            }
            // What stands in a fence is meant to be shown, and says nothing about the text around it.
            if piece.is_empty() || fenced {
                continue;
            }
            // So does what stands between backquotes, as one thing.
            let marks = piece.iter().filter(|byte| **byte == b'`').count();
            if spanned {
                spanned = marks % 2 == 0;
                continue;
            }
            if marks == 1 && piece.first() == Some(&b'`') && closes_soon(text.get(next..).unwrap_or_default())
            {
                spanned = true;
                prose.other += 1;
                continue;
            }
            let core = trim(piece);
            match core {
                [] => {}
                [_] if !piece.is_ascii() || core.first().is_some_and(u8::is_ascii_alphabetic) => {
                    prose.plain += 1
                }
                _ if is_word(core) => {
                    prose.words += 1;
                    prose.plain += usize::from(core.len() == piece.len() || ends_a_clause(piece, core));
                }
                _ => prose.other += 1,
            }
        }
        prose
    }

    /// Whether it reads like sentences: enough words, and few other things between them.
    pub(super) fn is_running_text(self) -> bool {
        let dense = !self.broken
            && self.words >= 5
            && self.words >= self.other * 4
            && self.plain * 10 >= self.words * 7;
        let ideographs = self.high >= 18 && self.high * 2 >= self.length;
        dense || ideographs || self.is_document()
    }

    /// Whether it is a longer text with code in fences, as a page or a ticket has.
    pub(super) fn is_document(self) -> bool {
        (self.fences >= 2 && self.words >= 3) || (self.words >= 25 && self.words >= self.other)
    }
}

/// Whether another backquote follows in the same line.
fn closes_soon(rest: &[u8]) -> bool {
    matches!(memchr::memchr2(b'`', b'\n', rest), Some(at) if rest.get(at) == Some(&b'`'))
}

/// Without the punctuation around it.
fn trim(mut piece: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = piece {
        if !matches!(first, b'(' | b'"' | b'\'' | b'*' | b'_' | b'`' | b'[' | b'-' | b'#' | b'>') {
            break;
        }
        piece = rest;
    }
    while let [rest @ .., last] = piece {
        let around = b".,;:!?)\"'*_`]-";
        if !around.contains(last) {
            break;
        }
        piece = rest;
    }
    piece
}

/// Whether only what ends a clause, or encloses words, was trimmed.
fn ends_a_clause(piece: &[u8], core: &[u8]) -> bool {
    piece.len() <= core.len() + 3
}

/// Letters of any script, with apostrophes and hyphens between them.
fn is_word(core: &[u8]) -> bool {
    let letters = core.iter().filter(|byte| byte.is_ascii_alphabetic() || **byte >= 0x80).count();
    let joined = core.iter().filter(|byte| matches!(byte, b'\'' | b'-')).count();
    core.len() <= 40 && letters > joined * 2 && letters + joined == core.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_running_text() {
        for text in [
            "Please select one from the list where available, and don't forget O'Neil's card.",
            "Bitte wählen Sie ein Datum aus der Liste; danach erhalten Sie eine E-Mail.",
            "请从列表中选择一个日期，然后提交您的申请表格。",
            "اختر موعدا من القائمة ثم أرسل الطلب من فضلك",
            "In Jinja `{{ 7 * 7 }}` renders 49, which is a common way to show how expressions work.",
            "Use this:\n```sql\nselect * from users where id = 1;\n```\nand it works.",
        ] {
            assert!(Prose::of(text.as_bytes()).is_running_text(), "{text}");
        }
    }

    #[test]
    fn attacks_are_not() {
        for text in ["' or 1=1 --", "1 union select null,null from users", "; cat /etc/passwd", "a b c d e f"]
        {
            assert!(!Prose::of(text.as_bytes()).is_running_text(), "{text}");
        }
    }
}
