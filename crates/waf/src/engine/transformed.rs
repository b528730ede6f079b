//! What transformations made of values: computed once for each value and sequence of transformations.

use crate::transform::Transformation;

use super::items::Stretch;

/// Transformed values of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Transformed {
    bytes: Vec<u8>,
    /// Results, those of one value side by side.
    entries: Vec<Entry>,
    /// For each value, where its results begin and end.
    ranges: Vec<(u32, u32)>,
    spare: (Vec<u8>, Vec<u8>),
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    chain: u16,
    /// None when the value stays as it is.
    result: Option<Stretch>,
}

/// A transformed value, wherever it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Result<'a> {
    /// The value as it is.
    Same,
    Changed(&'a [u8]),
}

impl Transformed {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.ranges.clear();
    }

    /// Makes room for the results of `items` values.
    pub(crate) fn cover(&mut self, items: usize) {
        self.ranges.resize(items, (0, 0));
    }

    /// Transforms a value and keeps the result; none when it stays as it is. Results of one value are added in one go.
    pub(crate) fn add(
        &mut self,
        item: usize,
        chain: u16,
        transformations: &[Transformation],
        value: &[u8],
    ) -> Option<&[u8]> {
        let changed = run(transformations, value, &mut self.spare);
        let result = changed.then(|| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(&self.spare.0);
            Stretch {
                start: u32::try_from(start).unwrap_or(u32::MAX),
                end: u32::try_from(self.bytes.len()).unwrap_or(u32::MAX),
            }
        });
        let end = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(Entry { chain, result });
        if let Some(range) = self.ranges.get_mut(item) {
            if range.0 == range.1 {
                *range = (end, end);
            }
            range.1 = end + 1;
        }
        result.map(|stretch| stretch.of(&self.bytes))
    }

    /// The value after the transformations: from the results that are kept, or computed now.
    pub(crate) fn result<'a>(
        &'a mut self,
        item: usize,
        chain: u16,
        transformations: &[Transformation],
        value: &[u8],
    ) -> Result<'a> {
        let (start, end) = self.ranges.get(item).copied().unwrap_or_default();
        let kept = self
            .entries
            .get(start as usize..end as usize)
            .and_then(|entries| entries.iter().find(|entry| entry.chain == chain))
            .copied();
        match kept {
            Some(Entry { result: None, .. }) => Result::Same,
            Some(Entry {
                result: Some(stretch), ..
            }) => Result::Changed(stretch.of(&self.bytes)),
            None => self.compute(transformations, value),
        }
    }

    /// The value after the transformations, not kept.
    pub(crate) fn compute<'a>(&'a mut self, transformations: &[Transformation], value: &[u8]) -> Result<'a> {
        if run(transformations, value, &mut self.spare) {
            Result::Changed(&self.spare.0)
        } else {
            Result::Same
        }
    }
}

/// Runs transformations one after the other; true when they changed the value, and then the result is in `buffers.0`.
fn run(transformations: &[Transformation], value: &[u8], buffers: &mut (Vec<u8>, Vec<u8>)) -> bool {
    let mut changed = false;
    for transformation in transformations {
        let (current, next) = (&mut buffers.0, &mut buffers.1);
        let input = if changed { current.as_slice() } else { value };
        if transformation.apply(input, next) {
            std::mem::swap(current, next);
            changed = true;
        }
    }
    changed
}
