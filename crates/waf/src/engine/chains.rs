//! Sequences of transformations as a tree: what two rules do first in the same way is done once.

use crate::pattern::Kinds;
use crate::transform::{Contents, Transformation};

/// A sequence of transformations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ChainId(pub(crate) u16);

impl ChainId {
    /// No transformation.
    pub(crate) const NONE: Self = Self(0);
}

/// All sequences of a ruleset, and all their beginnings.
#[derive(Debug)]
pub(crate) struct Chains {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    before: ChainId,
    steps: Vec<Transformation>,
}

impl Default for Chains {
    fn default() -> Self {
        Self { nodes: vec![Node { before: ChainId::NONE, steps: Vec::new() }] }
    }
}

impl Chains {
    /// The sequence, made with its beginnings when there is none yet; nothing when there are too many.
    pub(crate) fn intern(&mut self, steps: &[Transformation]) -> Option<ChainId> {
        let mut id = ChainId::NONE;
        for length in 1..=steps.len() {
            let wanted = steps.get(..length)?;
            let found = self.nodes.iter().position(|node| node.steps == wanted);
            let index = found.unwrap_or_else(|| {
                self.nodes.push(Node { before: id, steps: wanted.to_vec() });
                self.nodes.len() - 1
            });
            id = ChainId(u16::try_from(index).ok()?);
        }
        Some(id)
    }

    pub(crate) fn steps(&self, id: ChainId) -> &[Transformation] {
        self.nodes.get(usize::from(id.0)).map_or(&[], |node| &node.steps)
    }

    /// The sequence without its last step, and that step; nothing for the empty one.
    pub(crate) fn last(&self, id: ChainId) -> Option<(ChainId, Transformation)> {
        let node = self.nodes.get(usize::from(id.0))?;
        Some((node.before, *node.steps.last()?))
    }

    /// The sequence and all its beginnings, from the empty one on.
    pub(crate) fn beginnings(&self, id: ChainId) -> Vec<ChainId> {
        let mut list = vec![id];
        let mut next = id;
        while let Some((before, _)) = self.last(next) {
            list.push(before);
            next = before;
        }
        list.reverse();
        list
    }

    /// Whether the sequence can change more than the case of letters in a value that holds `contents`.
    pub(crate) fn may_change(&self, id: ChainId, contents: Contents) -> bool {
        self.steps(id).iter().any(|step| !step.folds_case_only() && step.may_change(contents))
    }

    /// Whether the sequence can change anything in a value that holds `contents`.
    pub(crate) fn touches(&self, id: ChainId, contents: Contents) -> bool {
        self.steps(id).iter().any(|step| step.may_change(contents))
    }

    /// The kinds of bytes that can be in what the sequence makes of a value with the kinds `held`.
    pub(crate) fn held_after(&self, id: ChainId, held: Kinds) -> Kinds {
        self.steps(id).iter().fold(held, |held, step| held.union(step.brings(held)))
    }
}
