//! Best-first branch and bound with dives, bounds from the Lagrangian, options removed by reduced cost.

use crate::dual::{Column, Master, Mixture};
use crate::improve::improve;
use crate::instance::{Instance, Live, Row};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::time::Instant;

/// When a search ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    /// Relative gap that is good enough.
    pub gap: f64,
    /// Options that may be looked at.
    pub steps: u64,
    pub deadline: Option<Instant>,
}

/// How a search ended.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Option of each group in the problem's numbering, and its value; `None` where none was found.
    pub best: Option<(f64, Vec<usize>)>,
    /// No choice has a value below this.
    pub bound: f64,
    /// The whole space was searched (up to the gap).
    pub complete: bool,
    pub steps: u64,
}

/// A part of the space that is still open.
#[derive(Clone, Debug)]
struct Node {
    bound: f64,
    number: u64,
    live: Live,
    multipliers: Vec<f64>,
    columns: Vec<Rc<Column>>,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Node {}

impl PartialOrd for Node {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Node {
    /// The least bound is the greatest, so that a heap gives it first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.bound.total_cmp(&self.bound).then(self.number.cmp(&other.number))
    }
}

struct Search<'a> {
    instance: &'a Instance,
    stop: Stop,
    best: Option<(f64, Vec<usize>)>,
    /// No feasible choice is worse than this.
    worst: f64,
    /// Least bound of the parts that were closed.
    floor: f64,
    steps: u64,
    nodes: u64,
}

/// Minimises over an instance; `start` is a feasible choice to begin with, in the problem's numbering.
pub(crate) fn search(instance: Instance, start: Option<Vec<usize>>, stop: Stop) -> Found {
    let mut instance = instance;
    let mut multipliers = vec![0.0; instance.rows.len()];
    let (mut floor, mut steps) = (f64::INFINITY, 0);
    let mut best = start.and_then(|choice| value_of(&instance, &choice).map(|value| (value, choice)));
    loop {
        let mut search = Search { worst: worst(&instance), instance: &instance, stop, best, floor, steps, nodes: 0 };
        let columns = Vec::new();
        let live = Live::all(instance.options());
        let mut root = Node { bound: f64::NEG_INFINITY, number: 0, live, multipliers, columns };
        let children = search.expand(&mut root);
        let left = (0..instance.options()).filter(|&option| root.live.has(option)).count();
        if children.is_some() && left * 10 < instance.options() * 7 {
            let smaller = instance.restrict(&root.live);
            (best, floor, steps, multipliers) = (search.best, search.floor, search.steps, root.multipliers);
            instance = smaller;
            continue;
        }
        let complete = search.run(children);
        let value = search.best.as_ref().map_or(f64::INFINITY, |(value, _)| *value);
        let scaled = |value: f64| instance.offset + instance.scale * value;
        return Found {
            bound: scaled(search.floor.min(value)),
            best: search.best.map(|(value, choice)| (scaled(value), choice)),
            complete,
            steps: search.steps,
        };
    }
}

impl Search<'_> {
    /// Searches until nothing is open or the effort is spent; whether nothing is open.
    fn run(&mut self, children: Option<(Node, Node)>) -> bool {
        let mut open = BinaryHeap::new();
        let mut next = children.map(|(dive, other)| {
            open.push(other);
            dive
        });
        while let Some(mut node) = next.take().or_else(|| open.pop()) {
            if node.bound >= self.cutoff() {
                self.floor = self.floor.min(node.bound);
                continue;
            }
            let spent = self.steps >= self.stop.steps || self.stop.deadline.is_some_and(|at| Instant::now() >= at);
            if spent {
                self.floor = open.iter().map(|node| node.bound).fold(self.floor.min(node.bound), f64::min);
                return false;
            }
            if let Some((dive, other)) = self.expand(&mut node) {
                open.push(other);
                next = Some(dive);
            }
        }
        true
    }

    /// Parts with at least this bound need no search.
    fn cutoff(&self) -> f64 {
        let Some((value, _)) = &self.best else { return self.worst };
        let absolute = (self.instance.offset + self.instance.scale * value).abs() / self.instance.scale;
        value - (self.stop.gap * absolute).max(1e-10)
    }

    /// Bounds a part, removes options, and splits it; the half to go on with comes first. `None` where it is closed.
    fn expand(&mut self, node: &mut Node) -> Option<(Node, Node)> {
        self.nodes += 1;
        let instance = self.instance;
        let (mixture, columns, reduced) = self.bound(node)?;
        let mut open = Vec::new();
        for group in 0..instance.groups() {
            let mut left = 0;
            for option in instance.range(group).filter(|&option| node.live.has(option)).collect::<Vec<_>>() {
                let bound = node.bound + reduced[option];
                if bound >= self.cutoff() {
                    self.floor = self.floor.min(bound);
                    node.live.remove(option);
                } else {
                    left += 1;
                }
            }
            if left == 0 {
                return None;
            }
            if left > 1 {
                open.push(group);
            }
        }
        let mut share = vec![0.0; instance.options()];
        for (column, amount) in columns.iter().zip(&mixture.shares) {
            column.choice.iter().for_each(|&option| share[option] += amount);
        }
        let rounded: Vec<usize> = (0..instance.groups())
            .map(|group| {
                let live = instance.range(group).filter(|&option| node.live.has(option));
                let first = instance.range(group).start;
                live.fold((f64::NEG_INFINITY, first), |(most, at), option| {
                    let rank = share[option] - 1e-6 * reduced[option];
                    if rank > most { (rank, option) } else { (most, at) }
                })
                .1
            })
            .collect();
        self.consider(&rounded);
        if self.nodes < 40 || self.nodes.is_multiple_of(32) {
            let thorough = self.nodes < 8 || self.nodes.is_multiple_of(256);
            let better = improve(instance, &node.live, &rounded, &node.multipliers, thorough, &mut self.steps);
            better.into_iter().for_each(|choice| self.consider(&choice));
        }
        if node.bound >= self.cutoff() {
            self.floor = self.floor.min(node.bound);
            return None;
        }
        if open.is_empty() {
            // A single choice: either considered above, or not feasible.
            return None;
        }
        let group = self.branching_group(&open, &share, &reduced, &node.live);
        Some(self.split(node, group, &share, &columns))
    }

    /// Raises the bound of a part; `None` where it need not be searched.
    fn bound(&mut self, node: &mut Node) -> Option<(Mixture, Vec<Rc<Column>>, Vec<f64>)> {
        let instance = self.instance;
        let (mut reduced, mut best_reduced) = (Vec::new(), Vec::new());
        let mut best = f64::NEG_INFINITY;
        let mut columns = std::mem::take(&mut node.columns);
        let mut multipliers = node.multipliers.clone();
        if columns.is_empty() {
            let (value, choice) = instance.relax(&node.live, &multipliers, &mut reduced);
            self.steps += instance.options() as u64;
            self.consider(&choice);
            columns.push(self.column(choice, value, &multipliers));
            (best, best_reduced) = (value, reduced.clone());
        }
        let mut master = Master::new(&instance.rows, instance.peak_weight, 16.0, columns);
        let mut last = None;
        for _ in 0..400 {
            let Some(mixture) = master.solve() else { break };
            let (value, choice) = instance.relax(&node.live, &mixture.multipliers, &mut reduced);
            self.steps += instance.options() as u64;
            if value > best {
                best = value;
                multipliers.copy_from_slice(&mixture.multipliers);
                std::mem::swap(&mut best_reduced, &mut reduced);
            }
            self.consider(&choice);
            let open = self.cutoff() - best;
            let rest = mixture.value - best;
            let (excess, known) = (mixture.excess, master.columns.iter().any(|column| column.choice == choice));
            let column = (!known).then(|| self.column(choice, value, &mixture.multipliers));
            last = Some(mixture);
            if open <= 0.0 {
                break;
            }
            if rest <= 1e-11 || rest <= 0.01 * open || known {
                if excess <= 1e-9 || master.penalty > 1e9 {
                    break;
                }
                master.penalty *= 64.0;
            }
            master.columns.extend(column);
        }
        node.bound = node.bound.max(best);
        node.multipliers = multipliers;
        if node.bound >= self.cutoff() {
            self.floor = self.floor.min(node.bound);
            return None;
        }
        let mut mixture = last.unwrap_or_else(|| Mixture {
            value: best,
            multipliers: node.multipliers.clone(),
            shares: vec![1.0],
            excess: 0.0,
        });
        mixture.shares.resize(master.columns.len(), 0.0);
        // The bound of the node may be its parent's: then these reduced costs belong to a lower one.
        let lower = node.bound - best;
        best_reduced.iter_mut().for_each(|cost| *cost = (*cost - lower).max(0.0));
        Some((mixture, master.columns, best_reduced))
    }

    /// The group whose shares are most divided; else one whose pair costs are only bounded; else the most undecided.
    fn branching_group(&self, open: &[usize], share: &[f64], reduced: &[f64], live: &Live) -> usize {
        let divided = |group: usize| 1.0 - self.instance.range(group).map(|o| share[o] * share[o]).sum::<f64>();
        let mut best = (1e-6, None);
        for &group in open {
            if divided(group) > best.0 {
                best = (divided(group), Some(group));
            }
        }
        if let Some(group) = best.1 {
            return group;
        }
        let loose = self.instance.forest.others().iter().flat_map(|edge| [edge.first, edge.second]);
        if let Some(group) = loose.into_iter().find(|group| open.binary_search(group).is_ok()) {
            return group;
        }
        let second = |group: usize| {
            let mut costs: Vec<f64> = self.instance.range(group).filter(|&o| live.has(o)).map(|o| reduced[o]).collect();
            costs.sort_by(f64::total_cmp);
            costs.get(1).copied().unwrap_or(f64::INFINITY)
        };
        let mut least = (f64::INFINITY, open[0]);
        for &group in open {
            if second(group) < least.0 {
                least = (second(group), group);
            }
        }
        least.1
    }

    /// Splits the options of a group, in the order of what they trade cost against usage, where the shares are halved.
    fn split(&mut self, node: &Node, group: usize, share: &[f64], columns: &[Rc<Column>]) -> (Node, Node) {
        let instance = self.instance;
        let dear = |option: usize| {
            let used: f64 = instance.usage_of(option).iter().zip(&node.multipliers).map(|(u, l)| u * l).sum();
            instance.cost[option] - used
        };
        let mut options: Vec<usize> = instance.range(group).filter(|&option| node.live.has(option)).collect();
        options.sort_by(|&a, &b| dear(a).total_cmp(&dear(b)).then(a.cmp(&b)));
        let total: f64 = options.iter().map(|&option| share[option]).sum();
        let (mut best, mut sum) = ((f64::INFINITY, 1), 0.0);
        for cut in 1..options.len() {
            sum += share[options[cut - 1]];
            let uneven = (2.0 * sum - total).abs();
            if uneven < best.0 - 1e-12 {
                best = (uneven, cut);
            }
        }
        let (left, right) = options.split_at(best.1);
        let weight = |side: &[usize]| side.iter().map(|&option| share[option]).sum::<f64>();
        let (dive, other) = if weight(left) >= weight(right) { (left, right) } else { (right, left) };
        let mut child = |without: &[usize]| {
            let mut live = node.live.clone();
            without.iter().for_each(|&option| live.remove(option));
            let alive = |column: &&Rc<Column>| column.choice.iter().all(|&option| live.has(option));
            let columns = columns.iter().filter(alive).cloned().collect();
            self.steps += 1;
            Node { bound: node.bound, number: self.steps, live, multipliers: node.multipliers.clone(), columns }
        };
        (child(other), child(dive))
    }

    /// A choice that the Lagrangian gave at `value`; edges outside the forest cost what they are bounded by there.
    fn column(&self, choice: Vec<usize>, value: f64, multipliers: &[f64]) -> Rc<Column> {
        let instance = self.instance;
        let used = instance.used(&choice);
        let cost = if instance.forest.others().is_empty() {
            instance.cost_of(&choice)
        } else {
            let beyond = |row: usize| if instance.rows[row] == Row::Limit { used[row] - 1.0 } else { used[row] };
            value - (0..used.len()).map(|row| multipliers[row] * beyond(row)).sum::<f64>()
        };
        Rc::new(Column { cost, used, choice })
    }

    /// Keeps a choice that is feasible and better than the best so far.
    fn consider(&mut self, choice: &[usize]) {
        let used = self.instance.used(choice);
        let value = self.instance.cost_of(choice) + self.instance.peak_cost(&used);
        let better = self.best.as_ref().is_none_or(|(best, _)| value < best - 1e-13);
        if better && self.instance.excess(&used) == 0.0 {
            let original = choice.iter().map(|&option| self.instance.original[option]).collect();
            self.best = Some((value, original));
        }
    }
}

/// A value that no feasible choice exceeds.
fn worst(instance: &Instance) -> f64 {
    let most = |group: usize| instance.range(group).map(|option| instance.cost[option]).fold(0.0, f64::max);
    let own: f64 = (0..instance.groups()).map(most).sum();
    let tied: f64 = instance.forest.edges().map(|edge| edge.cost.iter().copied().fold(0.0, f64::max)).sum();
    let largest = |row: usize| -> f64 {
        let most = |group: usize| instance.range(group).map(|o| instance.usage_of(o)[row]).fold(0.0, f64::max);
        (0..instance.groups()).map(most).sum()
    };
    let peak = (0..instance.rows.len()).map(largest).fold(0.0, f64::max);
    own + tied + instance.peak_weight * peak + 1e-9
}

/// Scaled value of a choice in the problem's numbering; `None` where the instance lacks an option or limits break.
fn value_of(instance: &Instance, choice: &[usize]) -> Option<f64> {
    let options: Option<Vec<usize>> = (0..instance.groups())
        .map(|group| instance.range(group).find(|&option| instance.original[option] == choice[group]))
        .collect();
    let options = options?;
    let used = instance.used(&options);
    (instance.excess(&used) == 0.0).then(|| instance.cost_of(&options) + instance.peak_cost(&used))
}
