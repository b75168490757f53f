//! A problem packed for the search: options side by side, scaled numbers, rows for what can bind.

use crate::forest::{Edge, Forest};
use crate::problem::Problem;

/// What a row of the relaxation says of the sum of its usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// At most 1.
    Limit,
    /// At most the peak, which costs [`Instance::peak_weight`].
    Peak,
}

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Costs of options and pairs.
    Cost,
    /// The largest usage in capacities alone.
    Peak,
}

/// Options of all groups behind each other, with scaled costs and usages.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    /// First option of each group, and the number of options.
    pub starts: Vec<usize>,
    /// Index of each option in its group of the problem.
    pub original: Vec<usize>,
    /// Scaled cost, from the group's least.
    pub cost: Vec<f64>,
    /// Scaled usage of option o in row r at `o * rows + r`.
    pub usage: Vec<f64>,
    pub rows: Vec<Row>,
    pub forest: Forest,
    /// Cost = offset + scale · scaled cost.
    pub scale: f64,
    pub offset: f64,
    /// Scaled cost of the peak.
    pub peak_weight: f64,
}

impl Instance {
    /// Packs the options that `keep` lets through; `limits` are those of this search.
    pub fn new(problem: &Problem, goal: Goal, limits: &[Option<f64>], keep: impl Fn(usize, usize) -> bool) -> Self {
        let (mut starts, mut original) = (vec![0], Vec::new());
        for (group, options) in problem.groups().iter().enumerate() {
            original.extend((0..options.len()).filter(|&option| keep(group, option)));
            starts.push(original.len());
        }
        let costs = goal == Goal::Cost;
        let kept = |group: usize| {
            original[starts[group]..starts[group + 1]].iter().map(move |&option| &problem.groups()[group][option])
        };
        let groups = starts.len() - 1;
        let extremes = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), v| (least.min(v), most.max(v)))
        };
        let spans: Vec<(f64, f64)> = (0..groups).map(|g| extremes(&mut kept(g).map(|c| c.cost))).collect();
        let mut span: f64 = spans.iter().map(|(least, most)| most - least).sum();
        let pairs: &[_] = if costs { problem.pairs() } else { &[] };
        for pair in pairs {
            let (least, most) = extremes(&mut pair.cost.iter().copied());
            span += most - least;
        }
        let scale = if costs && span > 0.0 { span } else { 1.0 };
        let offset = if costs { spans.iter().map(|(least, _)| least).sum() } else { 0.0 };
        let cost = (0..groups)
            .flat_map(|g| kept(g).map(move |c| (g, c.cost)))
            .map(|(g, cost)| if costs { (cost - spans[g].0) / scale } else { 0.0 })
            .collect();
        let most = |resource: usize| -> f64 {
            (0..groups).map(|g| kept(g).map(|c| c.usage[resource]).fold(0.0, f64::max)).sum()
        };
        let mut rows = Vec::new();
        let mut sources = Vec::new();
        for (resource, limit) in limits.iter().enumerate() {
            if let Some(limit) = limit.filter(|&limit| limit > 0.0 && most(resource) > limit) {
                rows.push(Row::Limit);
                sources.push((resource, limit));
            }
        }
        if goal == Goal::Peak {
            for (resource, capacity) in problem.capacities().unwrap_or_default().iter().enumerate() {
                if let Some(capacity) = capacity.filter(|&capacity| capacity > 0.0 && most(resource) > 0.0) {
                    rows.push(Row::Peak);
                    sources.push((resource, capacity));
                }
            }
        }
        let usage = (0..groups)
            .flat_map(kept)
            .flat_map(|option| sources.iter().map(|&(resource, by)| option.usage[resource] / by))
            .collect();
        let edges = pairs
            .iter()
            .map(|pair| {
                let second = problem.groups()[pair.second].len();
                let of = |group: usize| &original[starts[group]..starts[group + 1]];
                let cost = of(pair.first)
                    .iter()
                    .flat_map(|&i| of(pair.second).iter().map(move |&j| pair.cost[i * second + j] / scale))
                    .collect();
                Edge { first: pair.first, second: pair.second, seconds: of(pair.second).len(), cost }
            })
            .collect();
        let forest = Forest::new(groups, edges);
        let peak_weight = if goal == Goal::Peak { 1.0 } else { 0.0 };
        Instance { starts, original, cost, usage, rows, forest, scale, offset, peak_weight }
    }

    /// The same with fewer options; `live` says which stay, at least one in each group.
    pub fn restrict(&self, live: &Live) -> Self {
        let kept: Vec<usize> = (0..self.options()).filter(|&option| live.has(option)).collect();
        let mut starts = vec![0];
        for group in 0..self.groups() {
            starts.push(kept.partition_point(|&option| option < self.starts[group + 1]));
        }
        let rows = self.rows.len();
        let edges = self.forest.edges().map(|edge| {
            let of = |group: usize| kept[starts[group]..starts[group + 1]].iter().map(move |&o| o - self.starts[group]);
            let pairs = of(edge.first).flat_map(|i| of(edge.second).map(move |j| i * edge.seconds + j));
            let cost = pairs.map(|pair| edge.cost[pair]).collect();
            Edge { first: edge.first, second: edge.second, seconds: of(edge.second).count(), cost }
        });
        let forest = Forest::new(self.groups(), edges.collect());
        Instance {
            original: kept.iter().map(|&o| self.original[o]).collect(),
            cost: kept.iter().map(|&o| self.cost[o]).collect(),
            usage: kept.iter().flat_map(|&o| self.usage[o * rows..(o + 1) * rows].iter().copied()).collect(),
            rows: self.rows.clone(),
            starts,
            forest,
            ..*self
        }
    }

    pub fn groups(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn options(&self) -> usize {
        self.original.len()
    }

    pub fn range(&self, group: usize) -> std::ops::Range<usize> {
        self.starts[group]..self.starts[group + 1]
    }

    pub fn usage_of(&self, option: usize) -> &[f64] {
        &self.usage[option * self.rows.len()..(option + 1) * self.rows.len()]
    }

    /// Sum of the usages of a choice in each row.
    pub fn used(&self, choice: &[usize]) -> Vec<f64> {
        let mut sums = vec![0.0; self.rows.len()];
        for &option in choice {
            for (sum, usage) in sums.iter_mut().zip(self.usage_of(option)) {
                *sum += usage;
            }
        }
        sums
    }

    /// Scaled costs of options and pairs.
    pub fn cost_of(&self, choice: &[usize]) -> f64 {
        choice.iter().map(|&option| self.cost[option]).sum::<f64>() + self.forest.cost_of(self, choice)
    }

    /// What usages cost by the peak.
    pub fn peak_cost(&self, used: &[f64]) -> f64 {
        let peaks = self.rows.iter().zip(used).filter(|(row, _)| **row == Row::Peak);
        self.peak_weight * peaks.map(|(_, &used)| used).fold(0.0, f64::max)
    }

    /// By how much usages break the limits, in limits.
    pub fn excess(&self, used: &[f64]) -> f64 {
        let limits = self.rows.iter().zip(used).filter(|(row, _)| **row == Row::Limit);
        limits.map(|(_, &used)| if Problem::keeps(used, 1.0) { 0.0 } else { used - 1.0 }).sum()
    }

    /// The value of the Lagrangian, a choice that reaches it, and what each option costs more than the best choice with
    /// another option of its group would (from below). `multipliers` are at least 0, those of peak rows together at
    /// most the peak's weight. Dead options get an infinite cost.
    pub fn relax(&self, live: &Live, multipliers: &[f64], reduced: &mut Vec<f64>) -> (f64, Vec<usize>) {
        reduced.clear();
        let rows = self.rows.len();
        for option in 0..self.options() {
            reduced.push(if live.has(option) {
                let usage = &self.usage[option * rows..(option + 1) * rows];
                self.cost[option] + usage.iter().zip(multipliers).map(|(u, l)| u * l).sum::<f64>()
            } else {
                f64::INFINITY
            });
        }
        let mut value: f64 = 0.0;
        for (row, multiplier) in self.rows.iter().zip(multipliers) {
            if *row == Row::Limit {
                value -= multiplier;
            }
        }
        let mut choice = vec![0; self.groups()];
        self.forest.minimise(self, live, reduced, &mut value, &mut choice);
        for group in (0..self.groups()).filter(|&group| !self.forest.ties(group)) {
            let range = self.range(group);
            let mut best = range.start;
            for option in range.clone() {
                if reduced[option] < reduced[best] {
                    best = option;
                }
            }
            let least = reduced[best];
            value += least;
            choice[group] = best;
            for cost in &mut reduced[range] {
                *cost -= least;
            }
        }
        (value, choice)
    }
}

/// The options that a part of the search may still choose.
#[derive(Clone, Debug)]
pub(crate) struct Live(Vec<u64>);

impl Live {
    pub fn all(options: usize) -> Self {
        Live(vec![u64::MAX; options.div_ceil(64)])
    }

    pub fn has(&self, option: usize) -> bool {
        self.0[option / 64] >> (option % 64) & 1 == 1
    }

    pub fn remove(&mut self, option: usize) {
        self.0[option / 64] &= !(1 << (option % 64));
    }
}
