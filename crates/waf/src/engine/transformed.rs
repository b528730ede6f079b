//! What transformations made of values: computed once for each value and sequence of transformations.

use crate::transform::Contents;

use super::chains::{ChainId, Chains};
use super::items::Stretch;

/// Transformed values of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Transformed {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// For each value its latest entry, plus one; 0 for none.
    latest: Vec<u32>,
    /// What each value holds, if that is known.
    contents: Vec<Option<Contents>>,
    spare: Vec<u8>,
    second: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    chain: ChainId,
    /// None when the value stays as it is.
    result: Option<Stretch>,
    /// The entry of the same value before, plus one; 0 for none.
    before: u32,
}

impl Transformed {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.latest.clear();
        self.contents.clear();
    }

    /// Bytes of memory.
    pub(crate) const fn size(&self) -> usize {
        self.bytes.capacity() + self.spare.capacity() + self.second.capacity()
    }

    /// Makes room for the results of `items` values.
    pub(crate) fn cover(&mut self, items: usize) {
        self.latest.resize(items, 0);
        self.contents.resize(items, None);
    }

    /// Takes note of what a value holds, which spares it transformations that have nothing to do there.
    pub(crate) fn note(&mut self, item: usize, contents: Contents) {
        if let Some(known) = self.contents.get_mut(item) {
            *known = Some(contents);
        }
    }

    /// The value after a sequence of transformations; none when it stays as it is.
    pub(crate) fn result(
        &mut self,
        chains: &Chains,
        item: usize,
        chain: ChainId,
        value: &[u8],
    ) -> Option<&[u8]> {
        let result = self.resolve(chains, item, chain, value)?;
        Some(result.of(&self.bytes))
    }

    /// As [`result`](Self::result), and where the result is kept.
    pub(crate) fn resolve(
        &mut self,
        chains: &Chains,
        item: usize,
        chain: ChainId,
        value: &[u8],
    ) -> Option<Stretch> {
        let (before, step) = chains.last(chain)?;
        let contents = self.contents.get(item).copied().flatten();
        if contents.is_some_and(|contents| !chains.touches(chain, contents)) {
            return None;
        }
        if let Some(entry) = self.find(item, chain) {
            return entry.result;
        }
        let earlier = self.resolve(chains, item, before, value);
        let input = earlier.map_or(value, |stretch| stretch.of(&self.bytes));
        let result = if step.apply(input, &mut self.spare) {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(&self.spare);
            Some(Stretch {
                start: u32::try_from(start).unwrap_or(u32::MAX),
                end: u32::try_from(self.bytes.len()).unwrap_or(u32::MAX),
            })
        } else {
            earlier
        };
        if let Some(latest) = self.latest.get_mut(item) {
            self.entries.push(Entry { chain, result, before: *latest });
            *latest = u32::try_from(self.entries.len()).unwrap_or(0);
        }
        result
    }

    /// A result that is kept.
    pub(crate) fn text(&self, stretch: Stretch) -> &[u8] {
        stretch.of(&self.bytes)
    }

    fn find(&self, item: usize, chain: ChainId) -> Option<Entry> {
        let mut next = *self.latest.get(item)?;
        while let Some(entry) = next.checked_sub(1).and_then(|index| self.entries.get(index as usize)) {
            if entry.chain == chain {
                return Some(*entry);
            }
            next = entry.before;
        }
        None
    }

    /// A value that is not kept, after a sequence of transformations; none when it stays as it is.
    pub(crate) fn compute(&mut self, chains: &Chains, chain: ChainId, value: &[u8]) -> Option<&[u8]> {
        let mut changed = false;
        for step in chains.steps(chain) {
            let input = if changed { self.spare.as_slice() } else { value };
            if step.apply(input, &mut self.second) {
                std::mem::swap(&mut self.spare, &mut self.second);
                changed = true;
            }
        }
        changed.then_some(&self.spare)
    }
}
