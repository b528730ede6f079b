//! Numbers that identify: `verifyCC`, `verifyCPF`, `verifySSN` and `verifySVNR`. A pattern finds candidates, a check digit or
//! the form of the number tells which are real.

use super::{OperatorError, OperatorName};
use crate::pattern::{ByteSet, Captures, Outcome, Pattern};

#[derive(Debug)]
pub(super) struct Identity {
    pattern: Pattern,
    verify: fn(&[u8]) -> bool,
    /// None has fewer digits.
    digits: usize,
}

impl Identity {
    pub(super) fn new(name: OperatorName, argument: &str) -> Result<Self, OperatorError> {
        let (verify, digits): (fn(&[u8]) -> bool, usize) = match name {
            OperatorName::VerifyCpf => (cpf, 11),
            OperatorName::VerifySsn => (ssn, 9),
            OperatorName::VerifySvnr => (svnr, 10),
            _ => (luhn, 1),
        };
        Ok(Self { pattern: Pattern::new(argument)?, verify, digits })
    }

    pub(super) const fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    #[expect(clippy::unnecessary_wraps, reason = "as what it answers for")]
    pub(super) fn needs(&self) -> Option<ByteSet> {
        Some(ByteSet::range(b'0', b'9'))
    }

    /// Whether a candidate is real. Candidates may overlap: after each that is not, the search continues one byte after where
    /// it began.
    pub(super) fn matches(&self, value: &[u8], captures: &mut Captures) -> bool {
        if value.iter().filter(|byte| byte.is_ascii_digit()).count() < self.digits {
            return false;
        }
        let mut from = 0;
        while from < value.len() && self.pattern.evaluate_at(value, from, captures) == Outcome::Match {
            let Some(found) = captures.first().cloned().flatten() else { break };
            let digits: Vec<u8> = value
                .get(found.clone())
                .unwrap_or_default()
                .iter()
                .filter(|byte| byte.is_ascii_digit())
                .map(|byte| byte - b'0')
                .collect();
            if (self.verify)(&digits) {
                captures.truncate(1);
                return true;
            }
            from = found.start + 1;
        }
        captures.clear();
        false
    }
}

/// Payment cards: ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit @ 5..) => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}

fn all_same(digits: &[u8]) -> bool {
    digits.windows(2).all(|pair| matches!(pair, [left, right] if left == right))
}

/// Brazil's Cadastro de Pessoas Físicas. As in ModSecurity, digits beyond the eleventh do not count.
fn cpf(digits: &[u8]) -> bool {
    let Some(digits) = digits.get(..11).filter(|digits| !all_same(digits)) else { return false };
    let check = |length: u32| {
        let weights = (2..=length + 1).rev();
        let sum: u32 = digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum();
        match sum % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        }
    };
    matches!(digits, [.., first, second] if u32::from(*first) == check(9) && u32::from(*second) == check(10))
}

/// The United States' social security number.
fn ssn(digits: &[u8]) -> bool {
    let ascending = digits.windows(2).all(|pair| matches!(pair, [left, right] if left + 1 == *right));
    if digits.len() != 9 || ascending || all_same(digits) {
        return false;
    }
    let number = digits.iter().fold(0, |number: u32, digit| number * 10 + u32::from(*digit));
    let (area, group, serial) = (number / 1_000_000, number / 10_000 % 100, number % 10_000);
    area != 0 && area != 666 && area < 740 && group != 0 && serial != 0
}

/// Austria's Sozialversicherungsnummer. As in ModSecurity, digits beyond the tenth do not count.
fn svnr(digits: &[u8]) -> bool {
    let Some(digits) = digits.get(..10).filter(|digits| !all_same(digits)) else { return false };
    let weights = [3, 7, 9, 0, 5, 8, 4, 2, 1, 6];
    let sum: u32 = digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    // A remainder of ten is given to nobody, but ModSecurity takes it for 0.
    digits.get(3).is_some_and(|check| u32::from(*check) == sum % 11 % 10)
}
