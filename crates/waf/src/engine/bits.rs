//! Sets of small integers: which rules could match, which are taken out.

/// A set of integers below a bound known when it is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    /// An empty set that can hold `0..bound`.
    pub(crate) fn with_bound(bound: usize) -> Self {
        Self { words: vec![0; bound.div_ceil(64)] }
    }

    pub(crate) fn insert(&mut self, member: usize) {
        if let Some(word) = self.words.get_mut(member / 64) {
            *word |= 1 << (member % 64);
        }
    }

    pub(crate) fn contains(&self, member: usize) -> bool {
        self.words.get(member / 64).is_some_and(|word| word & (1 << (member % 64)) != 0)
    }

    pub(crate) fn clear(&mut self) {
        self.words.fill(0);
    }

    pub(crate) fn from_words(words: &[u64]) -> Self {
        Self { words: words.to_vec() }
    }

    /// Adds every member of `other`.
    pub(crate) fn union(&mut self, other: &Self) {
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    /// The members in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let mut from = 0;
        std::iter::from_fn(move || {
            let member = self.next(from)?;
            from = member + 1;
            Some(member)
        })
    }

    /// Makes this a copy of `other`, keeping the memory.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.words.clone_from(&other.words);
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    pub(crate) fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// The smallest member that is at least `from`.
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        let first = from / 64;
        let mut masked = self.words.get(first)? & (u64::MAX << (from % 64));
        let mut index = first;
        loop {
            if masked != 0 {
                return Some(index * 64 + masked.trailing_zeros() as usize);
            }
            index += 1;
            masked = *self.words.get(index)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_walked_in_order() {
        let mut set = BitSet::with_bound(200);
        for member in [0, 63, 64, 130, 199] {
            set.insert(member);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 130, 199]);
        assert!(set.contains(130) && !set.contains(131));
    }
}
