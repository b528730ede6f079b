//! The narrowest target that covers what a rule matched in several requests.

/// The gateway's record cuts the names of targets at 96 bytes, and a torn character before that.
const CUT: usize = 93;

/// A target, or several whose names differ in numbers alone, such as `ARGS:json.items.0.text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TargetPattern {
    /// The first that was seen.
    first: String,
    /// Whether others with the same shape were seen.
    several: bool,
}

/// What targets with different numbers in their names have in common. Names of targets know no case.
pub(super) fn shape(target: &str) -> String {
    let mut text = String::with_capacity(target.len());
    for character in target.chars() {
        let character = if character.is_ascii_digit() { '0' } else { character.to_ascii_lowercase() };
        if !(character == '0' && text.ends_with('0')) {
            text.push(character);
        }
    }
    text
}

impl TargetPattern {
    pub(super) fn of(target: &str) -> Self {
        Self { first: target.to_owned(), several: false }
    }

    /// Widens the pattern so that it also covers another target of the same shape.
    pub(super) fn widen(&mut self, target: &str) {
        self.several |= !self.first.eq_ignore_ascii_case(target);
    }

    /// Whether it covers a target of the same shape.
    pub(super) fn covers(&self, target: &str) -> bool {
        self.several || self.first.eq_ignore_ascii_case(target)
    }

    /// As the configuration writes it.
    pub(super) fn text(&self) -> String {
        let Some((variable, name)) = self.first.split_once(':') else { return self.first.clone() };
        let is_cut = self.first.len() >= CUT;
        let is_path = variable == "XML";
        if is_path || !self.several && !is_cut && name.bytes().all(is_plain) {
            return self.first.clone();
        }
        let end = if is_cut { "" } else { "$" };
        format!("{variable}:/^{}{end}/", self.pattern(name))
    }

    /// A regular expression. What has a meaning in the configuration or in rules is any character.
    fn pattern(&self, name: &str) -> String {
        let mut text = String::new();
        let mut characters = name.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '0'..='9' if self.several => {
                    while characters.next_if(char::is_ascii_digit).is_some() {}
                    text.push_str("[0-9]+");
                }
                '.' => text.push_str("[.]"),
                character if character.is_ascii_alphanumeric() || character == '-' || character == '_' => {
                    text.push(character);
                }
                _ => text.push('.'),
            }
        }
        text
    }
}

/// Whether a byte may stand in a name without quotes, in the configuration and in a rule.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'[' | b']' | b'$' | b'@')
}

#[cfg(test)]
mod tests {
    use super::{TargetPattern, shape};

    fn of(targets: &[&str]) -> String {
        let mut all = targets.iter();
        let mut pattern = TargetPattern::of(all.next().unwrap());
        all.for_each(|target| pattern.widen(target));
        pattern.text()
    }

    #[test]
    fn targets_are_named_as_exclusions_write_them() {
        assert_eq!(of(&["ARGS:comment"]), "ARGS:comment");
        assert_eq!(of(&["REQUEST_URI"]), "REQUEST_URI");
        assert_eq!(of(&["ARGS:items[].text"]), "ARGS:items[].text");
        assert_eq!(of(&["ARGS:a;b'c"]), "ARGS:/^a.b.c$/");
        assert_eq!(of(&["XML:/*"]), "XML:/*");
        assert_eq!(
            of(&["ARGS:json.items.0.text", "ARGS:json.items.12.text"]),
            "ARGS:/^json[.]items[.][0-9]+[.]text$/"
        );
        let long = format!("ARGS:{}", "a".repeat(95));
        assert_eq!(of(&[&long]), format!("ARGS:/^{}/", "a".repeat(95)));
    }

    #[test]
    fn shapes_know_neither_numbers_nor_case() {
        assert_eq!(shape("ARGS:Item12.x"), shape("args:item7.X"));
        assert_ne!(shape("ARGS:a"), shape("ARGS:a1"));
    }
}
