//! The `TX` collection: the variables that rules set for themselves.
//!
//! Names that appear in the rules are numbered when they are loaded, so that a rule reads its variable by index. Names that are
//! made up while a request runs (`setvar:tx.seen_%{MATCHED_VAR}=1`) are kept beside, in a list.

use std::collections::HashMap;

use super::items::Stretch;

/// How many names made up at run time are kept; a rule that makes one per argument cannot grow memory without end.
const MOST_EXTRA: usize = 4096;

/// The names of `TX` variables that the rules mention, in lower case.
#[derive(Debug)]
pub(crate) struct TxNames {
    slots: HashMap<Box<[u8]>, u32>,
    names: Vec<Box<[u8]>>,
}

impl Default for TxNames {
    /// With `0` to `9`, for what operators capture, in the slots of these numbers.
    fn default() -> Self {
        let mut names = Self { slots: HashMap::new(), names: Vec::new() };
        for digit in 0..CAPTURES {
            names.intern(&digit.to_string());
        }
        names
    }
}

/// How many groups of a pattern are captured.
pub(crate) const CAPTURES: u32 = 10;

impl TxNames {
    /// The slot of `name`, making one when it has none.
    pub(crate) fn intern(&mut self, name: &str) -> u32 {
        let folded: Box<[u8]> = name.to_ascii_lowercase().into_bytes().into();
        if let Some(&slot) = self.slots.get(&folded) {
            return slot;
        }
        let slot = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.slots.insert(folded.clone(), slot);
        self.names.push(folded);
        slot
    }

    pub(crate) fn find(&self, folded: &[u8]) -> Option<u32> {
        self.slots.get(folded).copied()
    }

    pub(crate) fn name(&self, slot: u32) -> &[u8] {
        self.names.get(slot as usize).map_or(&[], |name| name)
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

/// A value: numbers stay numbers, because most rules only add to them and compare them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum TxValue {
    #[default]
    Unset,
    Number(i64),
    Text(Stretch),
}

/// Which `TX` variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TxKey {
    Slot(u32),
    Extra(u32),
}

/// The `TX` variables of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Tx {
    slots: Vec<TxValue>,
    extra: Vec<(Stretch, TxValue)>,
    bytes: Vec<u8>,
    /// How many bytes there were when the last of them without a use were removed.
    compacted: usize,
}

/// Texts that were replaced are removed when the bytes have grown by this much, and to twice what is of use.
const SLACK: usize = 1 << 20;

impl Tx {
    /// Begins anew from the state that the rules always begin with.
    pub(crate) fn reset(&mut self, initial: &Self) {
        self.slots.clone_from(&initial.slots);
        self.extra.clone_from(&initial.extra);
        self.bytes.clone_from(&initial.bytes);
        self.compacted = initial.bytes.len();
    }

    /// The same state once more.
    pub(crate) fn copy(other: &Self) -> Self {
        let mut copy = Self::default();
        copy.reset(other);
        copy
    }

    /// No variable is set.
    pub(crate) fn empty(names: &TxNames) -> Self {
        Self { slots: vec![TxValue::Unset; names.len()], ..Self::default() }
    }

    pub(crate) fn value(&self, key: TxKey) -> TxValue {
        match key {
            TxKey::Slot(slot) => self.slots.get(slot as usize).copied(),
            TxKey::Extra(index) => self.extra.get(index as usize).map(|&(_, value)| value),
        }
        .unwrap_or_default()
    }

    pub(crate) fn is_set(&self, key: TxKey) -> bool {
        self.value(key) != TxValue::Unset
    }

    pub(crate) fn text(&self, stretch: Stretch) -> &[u8] {
        stretch.of(&self.bytes)
    }

    /// The key of a name in lower case, when the variable exists or has a slot.
    pub(crate) fn key(&self, names: &TxNames, folded: &[u8]) -> Option<TxKey> {
        names.find(folded).map(TxKey::Slot).or_else(|| {
            self.extra
                .iter()
                .position(|&(name, _)| name.of(&self.bytes) == folded)
                .and_then(|index| u32::try_from(index).ok())
                .map(TxKey::Extra)
        })
    }

    /// The key of a name in lower case, making the variable when there is none. Nothing when there are too many.
    pub(crate) fn key_or_new(&mut self, names: &TxNames, folded: &[u8]) -> Option<TxKey> {
        if let Some(key) = self.key(names, folded) {
            return Some(key);
        }
        if self.extra.len() >= MOST_EXTRA {
            return None;
        }
        let name = self.store(folded);
        let index = u32::try_from(self.extra.len()).ok()?;
        self.extra.push((name, TxValue::Unset));
        Some(TxKey::Extra(index))
    }

    pub(crate) fn set(&mut self, key: TxKey, value: TxValue) {
        let place = match key {
            TxKey::Slot(slot) => self.slots.get_mut(slot as usize),
            TxKey::Extra(index) => self.extra.get_mut(index as usize).map(|(_, value)| value),
        };
        if let Some(place) = place {
            *place = value;
        }
    }

    /// Sets a variable to text. Text that is a number in its plainest form is kept as one.
    pub(crate) fn set_text(&mut self, key: TxKey, text: &[u8]) {
        if self.bytes.len() > 2 * self.compacted + SLACK {
            self.set(key, TxValue::Unset);
            self.compact();
        }
        let value = plain_number(text).map_or_else(|| TxValue::Text(self.store(text)), TxValue::Number);
        self.set(key, value);
    }

    /// What the variable is as a number: text counts by its leading digits, as in C's `atoi`.
    pub(crate) fn number(&self, key: TxKey) -> i64 {
        match self.value(key) {
            TxValue::Unset => 0,
            TxValue::Number(number) => number,
            TxValue::Text(stretch) => leading_number(self.text(stretch)),
        }
    }

    /// Appends what the variable is as text.
    pub(crate) fn write(&self, key: TxKey, output: &mut Vec<u8>) {
        match self.value(key) {
            TxValue::Unset => {}
            TxValue::Number(number) => write_number(number, output),
            TxValue::Text(stretch) => output.extend_from_slice(self.text(stretch)),
        }
    }

    /// Every variable that is set and whose name was made up at run time, with its name.
    pub(crate) fn extra_keys(&self) -> impl Iterator<Item = (TxKey, &[u8])> {
        let extra = self.extra.iter().enumerate().filter_map(|(index, &(name, _))| {
            Some((TxKey::Extra(u32::try_from(index).ok()?), name.of(&self.bytes)))
        });
        extra.filter(|&(key, _)| self.is_set(key))
    }

    /// Keeps only the bytes that are of use.
    fn compact(&mut self) {
        let old = std::mem::take(&mut self.bytes);
        let kept = &mut self.bytes;
        let mut keep = |stretch: &mut Stretch| {
            let start = kept.len();
            kept.extend_from_slice(stretch.of(&old));
            *stretch = Stretch {
                start: u32::try_from(start).unwrap_or(u32::MAX),
                end: u32::try_from(kept.len()).unwrap_or(u32::MAX),
            };
        };
        for (name, _) in &mut self.extra {
            keep(name);
        }
        for value in self.slots.iter_mut().chain(self.extra.iter_mut().map(|(_, value)| value)) {
            if let TxValue::Text(stretch) = value {
                keep(stretch);
            }
        }
        self.compacted = self.bytes.len();
    }

    fn store(&mut self, bytes: &[u8]) -> Stretch {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Stretch {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            end: u32::try_from(self.bytes.len()).unwrap_or(u32::MAX),
        }
    }
}

/// Appends a number in decimal.
pub(crate) fn write_number(number: i64, output: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut rest = number.unsigned_abs();
    let mut used = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        output.push(b'-');
    }
    output.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// C's `atoi`, saturating: blanks, a sign, digits; anything else ends it.
pub(crate) fn leading_number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let magnitude = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_i64, |number, &byte| number.saturating_mul(10).saturating_add(i64::from(byte - b'0')));
    if negative { -magnitude } else { magnitude }
}

/// The number that `text` is the shortest decimal form of.
fn plain_number(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = !digits.is_empty()
        && digits.len() <= 18
        && digits.iter().all(u8::is_ascii_digit)
        && (digits.len() == 1 || !digits.starts_with(b"0"))
        && text != b"-0";
    plain.then(|| leading_number(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_text() {
        let names = TxNames::default();
        let mut tx = Tx::empty(&names);
        for text in ["0", "7", "-3", "007", "1e3", "", "-0", "123456789012345678", "12345678901234567890"] {
            let key = tx.key_or_new(&names, b"x").unwrap();
            tx.set_text(key, text.as_bytes());
            let mut written = Vec::new();
            tx.write(key, &mut written);
            assert_eq!(written, text.as_bytes());
        }
    }

    #[test]
    fn what_was_replaced_takes_no_memory() {
        let names = TxNames::default();
        let mut tx = Tx::empty(&names);
        let kept = tx.key_or_new(&names, b"kept").unwrap();
        let changed = tx.key_or_new(&names, b"changed").unwrap();
        tx.set_text(kept, b"stays");
        for round in 0..1000 {
            tx.set_text(changed, format!("{round}{}", "x".repeat(10_000)).as_bytes());
        }
        assert!(tx.bytes.len() <= 2 * SLACK, "{}", tx.bytes.len());
        let mut text = Vec::new();
        tx.write(kept, &mut text);
        tx.write(changed, &mut text);
        assert!(text.starts_with(b"stays999x"), "{}", text.len());
        assert_eq!(tx.key(&names, b"changed"), Some(changed));
    }

    #[test]
    fn numbers_are_read_as_c_does() {
        assert_eq!(leading_number(b" -12x"), -12);
        assert_eq!(leading_number(b"+5"), 5);
        assert_eq!(leading_number(b"x"), 0);
        assert_eq!(leading_number(b"99999999999999999999"), i64::MAX);
    }
}
