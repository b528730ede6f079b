//! The readings of a value: what is left after one encoding after the other is taken off.

use super::score::Layers;

/// One reading of a value.
#[derive(Debug)]
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    pub(super) layers: Layers,
    /// The name of a member of a JSON object inside the value.
    pub(super) is_name: bool,
}

/// Readings of one value that wait for their turn, or had it. All of their memory is used again.
#[derive(Debug, Default)]
pub(super) struct Views {
    pub(super) list: Vec<View>,
    spare: Vec<Vec<u8>>,
    /// How many bytes may still be decoded from the value.
    pub(super) budget: usize,
    /// Whether there was no budget for one.
    pub(super) is_full: bool,
}

/// A new reading is compared with so many others: a loop of encodings is shorter, and comparing stays cheap.
const COMPARED: usize = 12;

impl Views {
    pub(super) fn begin(&mut self, budget: usize) {
        while let Some(mut view) = self.list.pop() {
            // A buffer that one long value needed is not kept for ever.
            if self.spare.len() < 16 && view.bytes.capacity() <= 256 * 1024 {
                view.bytes.clear();
                self.spare.push(view.bytes);
            }
        }
        self.budget = budget;
        self.is_full = false;
    }

    /// An empty buffer.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    pub(super) fn give_back(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.spare.push(buffer);
    }

    /// Adds a reading, unless it is empty, known, or there is no budget for it.
    pub(super) fn push(&mut self, bytes: Vec<u8>, layers: Layers, is_name: bool) {
        let known = self.list.iter().rev().take(COMPARED).any(|view| view.bytes == bytes);
        if bytes.is_empty() || known || bytes.len() > self.budget {
            self.is_full |= !bytes.is_empty() && !known;
            self.give_back(bytes);
            return;
        }
        self.budget -= bytes.len();
        self.list.push(View { bytes, layers, is_name });
    }
}
