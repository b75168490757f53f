//! Pair costs: exact minimisation over a spanning forest, bounds for the edges outside of it.
//!
//! An edge (i, j) outside the forest is replaced by `least over j` at i and what then remains `least over i` at j:
//! never more than the edge, and exactly the edge once one end has a single option left.

use crate::instance::{Instance, Live};

/// Pair costs of two groups, scaled; option i of the first with j of the second at `i * seconds + j`.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub first: usize,
    pub second: usize,
    /// Options of the second group.
    pub seconds: usize,
    pub cost: Vec<f64>,
}

/// Edges between groups: those of a spanning forest with the child first and children before parents, and the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forest {
    tree: Vec<Edge>,
    others: Vec<Edge>,
    ties: Vec<bool>,
    roots: Vec<usize>,
}

impl Forest {
    pub fn new(groups: usize, edges: Vec<Edge>) -> Self {
        let mut near: Vec<Vec<usize>> = vec![Vec::new(); groups];
        for (index, edge) in edges.iter().enumerate() {
            near[edge.first].push(index);
            near[edge.second].push(index);
        }
        let ties: Vec<bool> = near.iter().map(|near| !near.is_empty()).collect();
        let (mut seen, mut in_tree) = (vec![false; groups], vec![false; edges.len()]);
        let (mut roots, mut order) = (Vec::new(), Vec::new());
        for root in (0..groups).filter(|&group| ties[group]) {
            if std::mem::replace(&mut seen[root], true) {
                continue;
            }
            roots.push(root);
            let mut open = std::collections::VecDeque::from([root]);
            while let Some(parent) = open.pop_front() {
                for &index in &near[parent] {
                    let edge = &edges[index];
                    let child = if edge.first == parent { edge.second } else { edge.first };
                    if !std::mem::replace(&mut seen[child], true) {
                        in_tree[index] = true;
                        order.push((index, child));
                        open.push_back(child);
                    }
                }
            }
        }
        let tree = order.iter().rev().map(|&(index, child)| directed(&edges[index], child)).collect();
        let others =
            edges.iter().zip(&in_tree).filter(|(_, in_tree)| !**in_tree).map(|(edge, _)| edge.clone()).collect();
        Forest { tree, others, ties, roots }
    }

    pub fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.tree.iter().chain(&self.others)
    }

    /// Edges that are only bounded while both their ends are open.
    pub fn others(&self) -> &[Edge] {
        &self.others
    }

    /// Whether a group has pair costs.
    pub fn ties(&self, group: usize) -> bool {
        self.ties[group]
    }

    /// Pair costs of a choice.
    pub fn cost_of(&self, instance: &Instance, choice: &[usize]) -> f64 {
        self.edges().map(|edge| edge.at(instance, choice[edge.first], choice[edge.second])).sum()
    }

    /// Adds the least sum of `reduced` and pair costs over the tied groups to `value`, writes their choice, and turns
    /// `reduced` into what each option costs beyond the least.
    pub fn minimise(
        &self,
        instance: &Instance,
        live: &Live,
        reduced: &mut [f64],
        value: &mut f64,
        choice: &mut [usize],
    ) {
        for edge in &self.others {
            edge.bound(instance, live, reduced);
        }
        let mut messages: Vec<Vec<f64>> = Vec::with_capacity(self.tree.len());
        for edge in &self.tree {
            let (children, parents) = (instance.range(edge.first), instance.range(edge.second));
            let mut message = vec![f64::INFINITY; parents.len()];
            for (child, row) in children.zip(edge.cost.chunks(edge.seconds)) {
                if reduced[child].is_finite() {
                    for (least, cost) in message.iter_mut().zip(row) {
                        *least = least.min(reduced[child] + cost);
                    }
                }
            }
            for (parent, least) in parents.zip(&message) {
                reduced[parent] += least;
            }
            messages.push(message);
        }
        let mut totals = vec![0.0; instance.groups()];
        for &root in &self.roots {
            let best = least(instance.range(root), reduced);
            choice[root] = best;
            totals[root] = reduced[best];
            *value += reduced[best];
        }
        for (edge, message) in self.tree.iter().zip(&messages).rev() {
            let (children, parents) = (instance.range(edge.first), instance.range(edge.second));
            totals[edge.first] = totals[edge.second];
            let chosen = choice[edge.second] - parents.start;
            let mut best = (f64::INFINITY, children.start);
            for (child, row) in children.clone().zip(edge.cost.chunks(edge.seconds)) {
                if !reduced[child].is_finite() {
                    continue;
                }
                let here = reduced[child] + row[chosen];
                if here < best.0 {
                    best = (here, child);
                }
                let beyond = row.iter().zip(message).zip(parents.clone()).map(|((cost, message), parent)| {
                    if reduced[parent].is_finite() { reduced[parent] - message + cost } else { f64::INFINITY }
                });
                reduced[child] += beyond.fold(f64::INFINITY, f64::min);
            }
            choice[edge.first] = best.1;
        }
        for group in (0..instance.groups()).filter(|&group| self.ties[group]) {
            for cost in &mut reduced[instance.range(group)] {
                *cost = (*cost - totals[group]).max(0.0);
            }
        }
    }
}

impl Edge {
    fn at(&self, instance: &Instance, first: usize, second: usize) -> f64 {
        let row = first - instance.starts[self.first];
        self.cost[row * self.seconds + second - instance.starts[self.second]]
    }

    /// Cost of the edge where `group` takes `option`, its other end as chosen; 0 where it does not touch the group.
    pub fn with(&self, instance: &Instance, choice: &[usize], group: usize, option: usize) -> f64 {
        if self.first == group {
            self.at(instance, option, choice[self.second])
        } else if self.second == group {
            self.at(instance, choice[self.first], option)
        } else {
            0.0
        }
    }

    fn bound(&self, instance: &Instance, live: &Live, reduced: &mut [f64]) {
        let (firsts, seconds) = (instance.range(self.first), instance.range(self.second));
        let mut rest = vec![f64::INFINITY; seconds.len()];
        for (first, row) in firsts.zip(self.cost.chunks(self.seconds)) {
            if !live.has(first) {
                continue;
            }
            let alive = row.iter().zip(seconds.clone()).filter(|(_, second)| live.has(*second));
            let least = alive.map(|(cost, _)| *cost).fold(f64::INFINITY, f64::min);
            reduced[first] += least;
            for (rest, cost) in rest.iter_mut().zip(row) {
                *rest = rest.min(cost - least);
            }
        }
        for (second, rest) in seconds.zip(rest).filter(|(second, _)| live.has(*second)) {
            reduced[second] += rest;
        }
    }
}

/// The edge with `child` as its first group.
fn directed(edge: &Edge, child: usize) -> Edge {
    if edge.first == child {
        return edge.clone();
    }
    let firsts = edge.cost.len() / edge.seconds;
    let cost = (0..edge.seconds).flat_map(|j| (0..firsts).map(move |i| edge.cost[i * edge.seconds + j])).collect();
    Edge { first: child, second: edge.first, seconds: firsts, cost }
}

fn least(range: std::ops::Range<usize>, costs: &[f64]) -> usize {
    let mut best = range.start;
    for option in range {
        if costs[option] < costs[best] {
            best = option;
        }
    }
    best
}
