//! Operators that compare the value with text or a number, which may come from a macro.

use super::OperatorName;
use memchr::memmem;

/// Whether `value` satisfies an operator whose argument is what its macros expanded to. Operators that take no macros are not
/// satisfied: see [`takes_macros`].
#[must_use]
pub fn compare_expanded(name: OperatorName, argument: &[u8], value: &[u8]) -> bool {
    match name {
        OperatorName::Eq => number(value) == number(argument),
        OperatorName::Ge => number(value) >= number(argument),
        OperatorName::Gt => number(value) > number(argument),
        OperatorName::Le => number(value) <= number(argument),
        OperatorName::Lt => number(value) < number(argument),
        OperatorName::BeginsWith => value.starts_with(argument),
        OperatorName::EndsWith => value.ends_with(argument),
        OperatorName::Contains | OperatorName::StrMatch => memmem::find(value, argument).is_some(),
        OperatorName::ContainsWord => contains_word(argument, value),
        OperatorName::StrEq => value == argument,
        OperatorName::Within => value.is_empty() || memmem::find(argument, value).is_some(),
        _ => false,
    }
}

/// Whether the operator's argument may hold macros.
#[must_use]
pub const fn takes_macros(name: OperatorName) -> bool {
    matches!(
        name,
        OperatorName::Eq
            | OperatorName::Ge
            | OperatorName::Gt
            | OperatorName::Le
            | OperatorName::Lt
            | OperatorName::BeginsWith
            | OperatorName::EndsWith
            | OperatorName::Contains
            | OperatorName::StrMatch
            | OperatorName::ContainsWord
            | OperatorName::StrEq
            | OperatorName::Within
    )
}

/// As C's `atoi`: white space, a sign, digits, and nothing is 0. What exceeds an `i64` is its nearest, where C has no answer.
fn number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, text),
    };
    digits.iter().take_while(|byte| byte.is_ascii_digit()).fold(0, |number: i64, byte| {
        let digit = i64::from(byte - b'0');
        number.saturating_mul(10).saturating_add(if negative { -digit } else { digit })
    })
}

/// Whether `word` occurs with no ASCII letter before and after it.
fn contains_word(word: &[u8], value: &[u8]) -> bool {
    if word.is_empty() {
        return true;
    }
    let is_letter = |at: Option<usize>| at.and_then(|at| value.get(at)).is_some_and(u8::is_ascii_alphabetic);
    let mut from = 0;
    while let Some(found) = value.get(from..).and_then(|rest| memmem::find(rest, word)) {
        let begin = from + found;
        if !is_letter(begin.checked_sub(1)) && !is_letter(Some(begin + word.len())) {
            return true;
        }
        from = begin + 1;
    }
    false
}
