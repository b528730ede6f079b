//! Plain values: numbers, switches, ranges of rule ids.

use std::ops::RangeInclusive;
use std::str::FromStr;

use super::diagnostic::suggestion;
use super::piece::Part;
use super::{Blame, Diagnostic, EngineMode};

/// A number within a range.
pub(super) fn number<N>(part: Part<'_>, what: &str, allowed: RangeInclusive<N>) -> Result<N, Diagnostic>
where
    N: FromStr + PartialOrd + std::fmt::Display,
{
    let text = part.text();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && allowed.contains(&number) => Ok(number),
        _ => {
            let (least, most) = (allowed.start(), allowed.end());
            Err(part.fault(Blame::Value, format!("{what} is a number from {least} to {most}, not `{text}`")))
        }
    }
}

/// The id of a rule.
pub(super) fn id(part: Part<'_>) -> Result<u32, Diagnostic> {
    number(part, "the id of a rule", 1..=u32::MAX)
}

/// One of several words, in any case.
pub(super) fn choice<T: Copy>(part: Part<'_>, what: &str, words: &[(&str, T)]) -> Result<T, Diagnostic> {
    let text = part.text();
    if let Some((_, value)) = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
        return Ok(*value);
    }
    let mut message = format!("{what} is ");
    for (index, (word, _)) in words.iter().enumerate() {
        let separator = match index {
            0 => "",
            _ if index + 1 == words.len() => " or ",
            _ => ", ",
        };
        message.push_str(separator);
        message.push_str(word);
    }
    Err(part.fault(Blame::Value, format!("{message}, not `{text}`")))
}

/// `On` or `Off`.
pub(super) fn switch(part: Part<'_>, what: &str) -> Result<bool, Diagnostic> {
    choice(part, what, &[("On", true), ("Off", false)])
}

/// A mode of the engine.
pub(super) fn engine_mode(part: Part<'_>, what: &str) -> Result<EngineMode, Diagnostic> {
    let modes =
        [("On", EngineMode::On), ("Off", EngineMode::Off), ("DetectionOnly", EngineMode::DetectionOnly)];
    choice(part, what, &modes)
}

/// One id or a range `1-9`.
pub(super) fn ids(part: Part<'_>) -> Result<RangeInclusive<u32>, Diagnostic> {
    let part = part.trim();
    let Some((first, last)) = part.split_once(|c| c == '-') else {
        return id(part).map(|id| id..=id);
    };
    let (first, last) = (id(first.trim())?, id(last.trim())?);
    if first > last {
        return Err(part.fault(Blame::Value, format!("the range {first}-{last} is empty")));
    }
    Ok(first..=last)
}

/// Ids and ranges, separated by commas or blanks.
pub(super) fn id_list(part: Part<'_>) -> Result<Vec<RangeInclusive<u32>>, Diagnostic> {
    let mut found = Vec::new();
    let mut rest = part.trim();
    while let Some((first, others)) = rest.split_once(|c| c == ',' || c.is_whitespace()) {
        found.push(ids(first)?);
        let others = others.trim();
        rest = others.strip(',').map_or(others, Part::trim);
    }
    found.push(ids(rest)?);
    Ok(found)
}

/// An error about a name that nobody knows, with the most similar known one.
pub(super) fn unknown<'a>(
    part: Part<'_>,
    what: &str,
    right: impl IntoIterator<Item = &'a str>,
) -> Diagnostic {
    let name = part.text();
    part.fault(Blame::Name, format!("unknown {what} `{name}`{}", suggestion(name, right)))
}

#[cfg(test)]
mod tests {
    use super::super::piece::Piece;
    use super::*;

    fn with<T>(text: &str, read: impl Fn(Part<'_>) -> Result<T, Diagnostic>) -> Result<T, String> {
        let mut piece = Piece::new(0, 0);
        for (at, c) in text.char_indices() {
            piece.push(c, u32::try_from(at).unwrap());
        }
        read(piece.whole()).map_err(|fault| format!("{}: {}", fault.span.start, fault.message))
    }

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(with("7", |part| number(part, "n", 0..=7u8)), Ok(7));
        for wrong in ["8", "-1", "+1", "", "x", "99999999999999999999"] {
            let message = format!("0: n is a number from 0 to 7, not `{wrong}`");
            assert_eq!(with(wrong, |part| number(part, "n", 0..=7u8)), Err(message));
        }
    }

    #[test]
    fn choices_are_named() {
        assert_eq!(with("on", |part| switch(part, "s")), Ok(true));
        assert_eq!(
            with("yes", |part| engine_mode(part, "m")),
            Err("0: m is On, Off or DetectionOnly, not `yes`".to_owned())
        );
    }

    #[test]
    fn ids_are_lists_of_ranges() {
        assert_eq!(with("1, 3-5 7,8", id_list), Ok(vec![1..=1, 3..=5, 7..=7, 8..=8]));
        assert_eq!(with("5-3", id_list), Err("0: the range 5-3 is empty".to_owned()));
        assert!(with("1,", id_list).is_err());
        assert!(with("", id_list).is_err());
    }
}
