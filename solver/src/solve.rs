//! From a problem to its answer: options that can never be best are left out, then one search, or two for a peak.

use crate::infeasible::explain;
use crate::instance::{Goal, Instance};
use crate::problem::Problem;
use crate::search::{Found, Stop, search};
use std::time::{Duration, Instant};

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// The search ends when the answer is proved to be within this share of the best; 0 asks for the best.
    pub gap: f64,
    /// Options that may be looked at, the same on every machine; a few nanoseconds each.
    pub steps: u64,
    /// Time that may pass; answers then depend on the machine.
    pub time: Option<Duration>,
}

impl Default for Effort {
    fn default() -> Self {
        Effort { gap: 0.0, steps: 2_000_000_000, time: None }
    }
}

/// How a problem ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A choice that keeps all limits.
    Solved(Solution),
    /// No choice keeps all limits, which is proved.
    Infeasible(Infeasible),
    /// The effort was spent before a choice was found.
    Unknown {
        /// No choice costs less, should there be one.
        bound: f64,
    },
}

/// A choice and how good it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// Option of each group.
    pub choice: Vec<usize>,
    /// Its cost, pairs included.
    pub cost: f64,
    /// No choice costs less; with a peak, none whose peak is at most this one's.
    pub bound: f64,
    /// Whether the cost equals the bound within the asked gap (and the last bits of the numbers).
    pub proved: bool,
    /// What it takes of each resource.
    pub usage: Vec<f64>,
    /// The peak, where one was asked for.
    pub peak: Option<Peak>,
    /// Options that were looked at.
    pub steps: u64,
}

impl Solution {
    /// By what share of itself the cost may exceed the best.
    pub fn gap(&self) -> f64 {
        relative(self.cost, self.bound)
    }
}

/// The largest usage / capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Of the choice.
    pub value: f64,
    /// No choice has less.
    pub bound: f64,
    /// Whether both are equal within the asked gap.
    pub proved: bool,
}

impl Peak {
    /// By what share of itself the peak may exceed the least.
    pub fn gap(&self) -> f64 {
        relative(self.value, self.bound)
    }
}

/// Why no choice keeps the limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Infeasible {
    /// A resource whose limit is broken whatever is chosen; `None` where only several limits together are impossible.
    pub resource: Option<usize>,
    /// The least that any choice takes of each resource, all others disregarded.
    pub least: Vec<f64>,
    /// The choice whose largest usage / limit was found least; resources limited to 0 that none can do without are
    /// left out of that.
    pub nearest: Vec<usize>,
    /// What the nearest choice takes.
    pub usage: Vec<f64>,
    /// Resources whose limits the nearest choice breaks.
    pub broken: Vec<usize>,
}

impl Problem {
    /// The best choice.
    pub fn solve(&self, effort: &Effort) -> Outcome {
        let deadline = effort.time.map(|time| Instant::now() + time);
        let stop = Stop { gap: effort.gap.max(0.0), steps: effort.steps, deadline };
        if let Some(infeasible) = explain(self, &stop, false) {
            return Outcome::Infeasible(infeasible);
        }
        let mut limits = self.limits().to_vec();
        let mut peak = None;
        let mut start = None;
        let mut steps = 0;
        if let Some(capacities) = self.capacities() {
            let barred: Vec<Option<f64>> = limits.iter().zip(capacities).map(|(l, c)| barred(*l, *c)).collect();
            let found = self.minimise(Goal::Peak, &barred, None, &stop);
            steps = found.steps;
            let Some((value, choice)) = found.best else { return self.without(&found, &stop) };
            let value = value.max(self.peak_of(&self.usage(&choice)));
            let proved = found.complete;
            peak = Some(Peak { value, bound: found.bound.min(value), proved });
            for (limit, capacity) in limits.iter_mut().zip(capacities) {
                let most = capacity.map(|capacity| capacity * value);
                *limit = [*limit, most].into_iter().flatten().reduce(f64::min);
            }
            start = Some(choice);
        }
        let rest = Stop { steps: stop.steps.saturating_sub(steps).max(stop.steps / 4), ..stop };
        let found = self.minimise(Goal::Cost, &limits, start, &rest);
        let Some((_, choice)) = &found.best else { return self.without(&found, &stop) };
        let cost = self.cost(choice);
        let usage = self.usage(choice);
        Outcome::Solved(Solution {
            cost,
            bound: found.bound.min(cost),
            proved: found.complete && peak.is_none_or(|peak| peak.proved),
            usage,
            peak,
            steps: steps + found.steps,
            choice: choice.clone(),
        })
    }

    fn without(&self, found: &Found, stop: &Stop) -> Outcome {
        match found.complete {
            true => explain(self, stop, true).map_or(Outcome::Unknown { bound: found.bound }, Outcome::Infeasible),
            false => Outcome::Unknown { bound: found.bound },
        }
    }

    /// One search over the options that can be best.
    pub(crate) fn minimise(&self, goal: Goal, limits: &[Option<f64>], start: Option<Vec<usize>>, stop: &Stop) -> Found {
        let kept: Vec<Vec<bool>> = (0..self.groups().len()).map(|group| self.kept(group, goal, limits)).collect();
        if kept.iter().any(|kept| !kept.contains(&true)) {
            return Found { best: None, bound: f64::INFINITY, complete: true, steps: 0 };
        }
        // A start may have lost an option to an equal or better one, which takes its place.
        let start = start.map(|choice| {
            let better = |(group, &option): (usize, &usize)| {
                if kept[group][option] {
                    return option;
                }
                let options = &self.groups()[group];
                let counts = self.counts(goal, limits);
                let replaces = |&other: &usize| {
                    kept[group][other] && dominates(&options[other], &options[option], goal, &counts).is_some()
                };
                (0..options.len()).find(replaces).unwrap_or(option)
            };
            choice.iter().enumerate().map(better).collect()
        });
        let instance = Instance::new(self, goal, limits, |group, option| kept[group][option]);
        search(instance, start, *stop)
    }

    /// Which resources matter.
    fn counts(&self, goal: Goal, limits: &[Option<f64>]) -> Vec<bool> {
        let capacity = |resource: usize| {
            goal == Goal::Peak && self.capacities().is_some_and(|capacities| capacities[resource].is_some())
        };
        (0..self.resources()).map(|resource| limits[resource].is_some() || capacity(resource)).collect()
    }

    /// Which options of a group are neither barred by a limit of their own nor dominated by another.
    fn kept(&self, group: usize, goal: Goal, limits: &[Option<f64>]) -> Vec<bool> {
        let options = &self.groups()[group];
        let fits = |option: &crate::Choice| {
            option.usage.iter().zip(limits).all(|(&used, limit)| limit.is_none_or(|limit| Problem::keeps(used, limit)))
        };
        let mut kept: Vec<bool> = options.iter().map(fits).collect();
        if goal == Goal::Cost && self.pairs().iter().any(|pair| pair.first == group || pair.second == group) {
            return kept;
        }
        let counts = self.counts(goal, limits);
        for option in 0..options.len() {
            let better = |other: usize| {
                other != option
                    && kept[other]
                    && dominates(&options[other], &options[option], goal, &counts)
                        .is_some_and(|strictly| strictly || other < option)
            };
            if kept[option] && (0..options.len()).any(better) {
                kept[option] = false;
            }
        }
        kept
    }
}

/// Whether `a` is nowhere worse than `b`, and then whether it is better somewhere.
fn dominates(a: &crate::Choice, b: &crate::Choice, goal: Goal, counts: &[bool]) -> Option<bool> {
    let costs = (goal == Goal::Cost).then_some((a.cost, b.cost));
    let usages = a.usage.iter().zip(&b.usage).zip(counts).filter(|(_, counts)| **counts).map(|((a, b), _)| (*a, *b));
    let mut strictly = false;
    for (a, b) in costs.into_iter().chain(usages) {
        if a > b {
            return None;
        }
        strictly |= a < b;
    }
    Some(strictly)
}

/// A limit of the peak search: the plain one, and 0 where there is no capacity.
fn barred(limit: Option<f64>, capacity: Option<f64>) -> Option<f64> {
    if capacity == Some(0.0) { Some(0.0) } else { limit }
}

fn relative(value: f64, bound: f64) -> f64 {
    let apart = (value - bound).max(0.0);
    if apart == 0.0 { 0.0 } else { apart / value.abs().max(f64::MIN_POSITIVE) }
}
