//! Payment card numbers in text.

use std::ops::Range;

/// ISO/IEC 7812-1: the fewest and the most digits of a card number in use.
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Adds the span of every card number that begins in `starts`.
///
/// A card number is 13 to 19 digits, in groups separated by single spaces or hyphens or in one run, that
/// begins as issuers' numbers do and whose check digit is right. It begins and ends where a group does:
/// of the windows into a long run of digits every tenth passes the check by chance.
pub(super) fn find(text: &[u8], starts: Range<usize>, spans: &mut Vec<Range<usize>>) {
    let digit_at = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    for start in starts {
        let begins_group = digit_at(start)
            && !start.checked_sub(1).is_some_and(digit_at)
            && !(is_point(text, start.checked_sub(1)) && start.checked_sub(2).is_some_and(digit_at));
        if begins_group && let Some(end) = longest_from(text, start) {
            spans.push(start..end);
        }
    }
}

/// The end of the longest card number that begins at `start`.
fn longest_from(text: &[u8], start: usize) -> Option<usize> {
    let mut digits = [0_u8; 19];
    let mut count = 0;
    let mut longest = None;
    let mut at = start;
    while let Some(value) = digit(text, at) {
        *digits.get_mut(count)? = value;
        count += 1;
        at += 1;
        if digit(text, at).is_some() {
            if count == digits.len() {
                break;
            }
            continue;
        }
        let number = digits.get(..count)?;
        if DIGITS.contains(&count) && is_issued(number) && passes_luhn(number) {
            longest = Some(at);
        }
        if count == digits.len() {
            break;
        }
        if matches!(text.get(at), Some(b' ' | b'-')) {
            at += 1;
        }
    }
    longest
}

fn digit(text: &[u8], at: usize) -> Option<u8> {
    text.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0')
}

fn is_point(text: &[u8], at: Option<usize>) -> bool {
    at.and_then(|at| text.get(at)) == Some(&b'.')
}

/// Whether the first digits are among those given to card schemes: 3 to 6, and 22 to 27. This keeps
/// times in milliseconds, which begin with 1, from being taken for cards.
const fn is_issued(number: &[u8]) -> bool {
    matches!(number, [3..=6, ..] | [2, 2..=7, ..])
}

/// The check of ISO/IEC 7812-1 annex B.
fn passes_luhn(number: &[u8]) -> bool {
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| {
            let digit = u32::from(digit);
            match place % 2 {
                0 => digit,
                _ if digit > 4 => digit * 2 - 9,
                _ => digit * 2,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut spans = Vec::new();
        find(text.as_bytes(), 0..text.len(), &mut spans);
        spans.into_iter().filter_map(|span| text.get(span)).collect()
    }

    #[test]
    fn published_test_numbers_are_found_however_they_are_grouped() {
        for number in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "3782 822463 10005",
            "6011111111111117",
            "30569309025904",
            "3530111333300000",
            "4222222222222",
            "6304000000000000",
            "4000000000000000006",
        ] {
            assert_eq!(found(number), [number]);
            assert_eq!(found(&format!("x{number}y 4{number}")), [number], "{number}");
        }
    }

    #[test]
    fn other_numbers_are_left() {
        for text in [
            "",
            "4111111111111112",
            "411111111111",
            "41111111111111111111",
            "0.4111111111111111",
            "1700000000000",
            "0000000000000000",
            "4111  1111 1111 1111",
            "4111--1111 1111 1111",
            "4111.1111.1111.1111",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn groups_around_a_number_do_not_hide_it() {
        assert_eq!(found("2024 4111 1111 1111 1111 12"), ["4111 1111 1111 1111"]);
        assert_eq!(found("no.4111111111111111."), ["4111111111111111"]);
    }

    #[test]
    fn any_single_wrong_digit_fails_the_check() {
        let right = [4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
        assert!(passes_luhn(&right));
        for place in 0..right.len() {
            for wrong in (0..10).filter(|&digit| digit != right[place]) {
                let mut number = right;
                number[place] = wrong;
                assert!(!passes_luhn(&number), "{number:?}");
            }
        }
    }
}
