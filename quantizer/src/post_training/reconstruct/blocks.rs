//! Blocks: stretches of nodes whose weights are fitted together.
//!
//! A block ends in front of a layer where no more tensors live on than where it began (so a residual branch and its skip
//! stay together), or after [`MOST_LAYERS`]; a chain without skips falls into pairs of layers.

use crate::float::Program;
use crate::model::ValueId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Layers of a block that ends where nothing lives beside the chain, at least; and of any block at most.
const LAYERS: usize = 2;
const MOST_LAYERS: usize = 4;

/// A stretch of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The nodes.
    pub span: Range<usize>,
    /// Tensors of data that come from in front of it.
    pub entering: Vec<ValueId>,
    /// Tensors that it makes and that are read behind it, or leave the network.
    pub leaving: Vec<ValueId>,
}

/// The blocks of a program whose layers are the nodes `layers`, ascending.
pub(super) fn blocks(program: &Program<'_>, layers: &BTreeSet<usize>) -> Vec<Block> {
    let nodes = &program.model.nodes;
    let mut made_at: BTreeMap<ValueId, usize> = BTreeMap::new();
    let mut read_at: BTreeMap<ValueId, usize> = BTreeMap::new();
    for (index, node) in nodes.iter().enumerate() {
        made_at.extend(node.outputs.iter().filter(|id| program.shapes.contains_key(id)).map(|&id| (id, index + 1)));
        read_at
            .extend(node.inputs.iter().flatten().filter(|id| program.shapes.contains_key(id)).map(|&id| (id, index)));
    }
    made_at.extend(program.model.inputs.iter().map(|input| (input.id, 0)));
    read_at.extend(program.model.outputs.iter().map(|&id| (id, nodes.len())));
    let living = |cut: usize| {
        let lives = |&(id, &made): &(&ValueId, &usize)| made <= cut && read_at.get(id).is_some_and(|&read| read >= cut);
        made_at.iter().filter(lives).count()
    };
    spans(nodes.len(), layers, &living)
        .into_iter()
        .map(|span| {
            let reads = nodes[span.clone()].iter().flat_map(|node| node.inputs.iter().flatten().copied());
            let entering: BTreeSet<ValueId> =
                reads.filter(|id| made_at.get(id).is_some_and(|&made| made <= span.start)).collect();
            let makes = nodes[span.clone()].iter().flat_map(|node| node.outputs.iter().copied());
            let leaving: BTreeSet<ValueId> = makes
                .filter(|id| made_at.contains_key(id) && read_at.get(id).is_some_and(|&read| read >= span.end))
                .collect();
            Block { span, entering: entering.into_iter().collect(), leaving: leaving.into_iter().collect() }
        })
        .collect()
}

/// Where blocks of `count` nodes begin and end; `living` tells how many tensors live on across a cut in front of a node.
fn spans(count: usize, layers: &BTreeSet<usize>, living: &dyn Fn(usize) -> usize) -> Vec<Range<usize>> {
    let (mut made, mut start, mut inside) = (Vec::new(), 0, 0);
    for node in 0..count {
        if !layers.contains(&node) {
            continue;
        }
        let is_joined = living(node) > living(start).max(1);
        if inside >= MOST_LAYERS || inside >= LAYERS && !is_joined {
            made.push(start..node);
            (start, inside) = (node, 0);
        }
        inside += 1;
    }
    made.push(start..count);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(count: usize, layers: &[usize], living: &[usize], expected: &[Range<usize>]) {
        let layers = layers.iter().copied().collect();
        assert_eq!(spans(count, &layers, &|cut| living[cut]), expected);
    }

    #[test]
    fn chains_fall_into_pairs_and_branches_stay_together() {
        // conv relu conv relu conv relu conv: two and two.
        check(7, &[0, 2, 4, 6], &[1; 8], &[0..4, 4..7]);
        // A skip lives on from node 2 to the join at node 5: the block goes on behind it.
        check(8, &[0, 2, 4, 6], &[1, 1, 1, 2, 2, 2, 1, 1], &[0..6, 6..8]);
        // A skip over everything: blocks of four layers.
        check(6, &[0, 1, 2, 3, 4, 5], &[1, 2, 2, 2, 2, 2, 2], &[0..4, 4..6]);
        check(4, &[1], &[1; 5], std::slice::from_ref(&(0..4)));
    }
}
