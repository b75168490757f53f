//! The exact optimum of a problem, or the nearest choice where none keeps the limits.

use super::cluster::Cluster;
use super::{Builds, Choice, Decision, Problem, Subject, keeps};
use network::{Code, Diagnostic, Place};
use solver::{Effort, Outcome, Pair};
use std::collections::BTreeMap;

/// Options that the solver may look at.
const STEPS: u64 = 400_000_000;

/// A choice with what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// The option of each decision.
    pub choice: Choice,
    /// Predicted loss.
    pub loss: f64,
    /// No choice that keeps the limits has less predicted loss.
    pub bound: f64,
    /// Whether the loss is proved to be the least.
    pub proved: bool,
    /// All costs, in the order of [`Problem::costs`].
    pub costs: Vec<f64>,
    /// The build of each layer that has a list of them.
    pub builds: Builds,
}

/// Why nothing keeps the limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Infeasible {
    /// What the limits would have to be for the nearest choice: name, limit, and what that choice takes.
    pub limits: Vec<(String, f64, f64)>,
    /// A layer whose narrowest widths alone break a limit, where there is one.
    pub layer: Option<String>,
    /// The nearest choice, whose largest part of a limit is least.
    pub nearest: Option<Choice>,
}

impl Infeasible {
    /// As a user should see it.
    pub fn diagnostic(&self) -> Diagnostic {
        let shown = |amount: f64| format!("{amount:.6}").trim_end_matches('0').trim_end_matches('.').to_owned();
        let limits: Vec<String> =
            self.limits.iter().map(|(name, most, _)| format!("{name}={}", shown(*most))).collect();
        let place = self.layer.as_ref().map_or_else(Place::default, Place::layer);
        let help = match &self.nearest {
            Some(_) => {
                // Rounded up, so that the limits named can be typed in again.
                let least: Vec<String> = self
                    .limits
                    .iter()
                    .map(|(name, most, used)| format!("{name}={}", shown(((used * 1e6).ceil() / 1e6).max(*most))))
                    .collect();
                format!("the nearest that can be met is {}; or allow narrower widths", least.join(","))
            }
            None => "raise the limit, or allow narrower widths".to_owned(),
        };
        let message = format!("no widths keep the budget {}", limits.join(","));
        Diagnostic::new(Code::AllocationInfeasible, place, message, help)
    }
}

impl Problem<'_> {
    /// The feasible choice of least loss.
    ///
    /// # Errors
    /// Limits that no choice keeps, with the nearest one.
    pub fn solve(&self) -> Result<Solution, Infeasible> {
        let clusters = self.clusters();
        if let Some(empty) = clusters.iter().find(|cluster| cluster.options.is_empty()) {
            return Err(self.without_option(empty));
        }
        let limits = self.summed_limits();
        let options: Vec<Vec<solver::Choice>> = clusters
            .iter()
            .map(|cluster| {
                let option = |option: &super::cluster::JointOption| solver::Choice {
                    cost: option.loss + self.inner_pairs(cluster, &option.chosen),
                    usage: option.usage.clone(),
                };
                cluster.options.iter().map(option).collect()
            })
            .collect();
        let built = self.build(&clusters, options, &limits);
        let Ok(built) = built else {
            // Limits below what no width changes leave nothing to solve.
            let layer = None;
            return Err(Infeasible { limits: self.missed(&self.narrowest()), layer, nearest: Some(self.narrowest()) });
        };
        let effort = Effort { steps: STEPS, ..Effort::default() };
        match built.solve(&effort) {
            Outcome::Solved(found) => {
                let choice = self.joined(&clusters, &found.choice);
                let loss = self.loss(&choice);
                let proved = found.proved && !clusters.iter().any(|cluster| cluster.is_cut);
                let (costs, builds) = (self.totals(&choice), self.builds(&choice).unwrap_or_default());
                Ok(Solution { bound: found.bound.min(loss), choice, loss, proved, costs, builds })
            }
            Outcome::Infeasible(found) => {
                let nearest = self.joined(&clusters, &found.nearest);
                let mut missed = self.missed(&nearest);
                // What the nearest takes with its builds.
                for (&(cost, _), used) in limits.iter().zip(&found.usage) {
                    let of_cost = self.limits.iter().position(|&(limited, _)| limited == cost);
                    if let Some(entry) = of_cost.and_then(|place| missed.get_mut(place)) {
                        entry.2 = used + self.constant(cost);
                    }
                }
                Err(Infeasible { limits: missed, layer: None, nearest: Some(nearest) })
            }
            Outcome::Unknown { .. } => {
                let nearest = self.narrowest();
                Err(Infeasible { limits: self.missed(&nearest), layer: None, nearest: Some(nearest) })
            }
        }
    }

    fn build(
        &self,
        clusters: &[Cluster],
        options: Vec<Vec<solver::Choice>>,
        limits: &[(usize, f64)],
    ) -> Result<solver::Problem, solver::ProblemError> {
        let mut built = solver::Problem::new(limits.len());
        for group in options {
            built.group(group)?;
        }
        for (resource, &(_, most)) in limits.iter().enumerate() {
            built.limit(resource, most * (1.0 + 1e-9))?;
        }
        for pair in self.outer_pairs(clusters) {
            built.pair(pair)?;
        }
        Ok(built)
    }

    /// The narrowest allowed option everywhere.
    fn narrowest(&self) -> Choice {
        let least = |decision: &Decision| decision.allowed.iter().position(|allowed| *allowed).unwrap_or(0);
        self.decisions.iter().map(least).collect()
    }

    /// The limits, and what a choice takes of them.
    fn missed(&self, choice: &[usize]) -> Vec<(String, f64, f64)> {
        self.limits.iter().map(|&(cost, most)| (self.costs[cost].clone(), most, self.total(cost, choice))).collect()
    }

    /// A cluster none of whose options keeps a limit on a greatest cost.
    fn without_option(&self, cluster: &Cluster) -> Infeasible {
        let of_layer = |layer: usize, cost: usize| {
            let (weights, reads) = (&self.decisions[self.weights[layer]], self.reads[layer]);
            let read = reads.map_or_else(|bits| vec![bits], |decision| self.decisions[decision].bits.clone());
            let options = weights.bits.iter().flat_map(|&w| read.iter().map(move |&a| (w, a)));
            options.map(|(w, a)| self.layer_cost(&self.tables.layers[layer], cost, w, a)).fold(f64::INFINITY, f64::min)
        };
        let greatest: Vec<(usize, f64)> =
            self.limits.iter().copied().filter(|&(cost, _)| self.is_greatest(cost)).collect();
        let members = (0..self.tables.layers.len()).filter(|&layer| cluster.decisions.contains(&self.weights[layer]));
        let broken = members.flat_map(|layer| greatest.iter().map(move |&(cost, most)| (layer, cost, most)));
        let mut worst = broken.filter(|&(layer, cost, most)| !keeps(of_layer(layer, cost), most));
        let layer = worst.next().map(|(layer, ..)| self.tables.layers[layer].name.clone());
        let limits = self.limits.iter().map(|&(cost, most)| {
            let all = (0..self.tables.layers.len()).map(|layer| of_layer(layer, cost));
            let needed = if self.is_greatest(cost) { all.fold(0.0, f64::max) } else { most };
            (self.costs[cost].clone(), most, needed)
        });
        Infeasible { limits: limits.collect(), layer, nearest: None }
    }

    /// Options of all decisions from one of each cluster.
    fn joined(&self, clusters: &[Cluster], chosen: &[usize]) -> Choice {
        let mut choice = vec![0; self.decisions.len()];
        for (cluster, &option) in clusters.iter().zip(chosen) {
            let Some(option) = cluster.options.get(option) else { continue };
            for (&decision, &own) in cluster.decisions.iter().zip(&option.chosen) {
                choice[decision] = own;
            }
        }
        choice
    }

    /// The decision that a name of a pair means.
    fn named(&self, name: &str) -> Option<usize> {
        let layer = self.tables.layers.iter().position(|layer| layer.name == name);
        let is_named = |decision: &Decision| matches!(decision.subject, Subject::Shared(_)) && decision.name == name;
        layer.map(|layer| self.weights[layer]).or_else(|| self.decisions.iter().position(is_named))
    }

    /// Loss of pairs inside a cluster.
    fn inner_pairs(&self, cluster: &Cluster, chosen: &[usize]) -> f64 {
        let width = |name: &str| {
            let decision = self.named(name)?;
            let place = cluster.decisions.iter().position(|&own| own == decision)?;
            Some(self.decisions[decision].bits[chosen[place]])
        };
        let of_pair = |pair: &super::super::tables::PairTable| {
            pair.loss.get(&(width(&pair.between[0])?, width(&pair.between[1])?)).copied()
        };
        self.tables.pairs.iter().filter_map(of_pair).sum()
    }

    /// Loss of pairs between clusters.
    fn outer_pairs(&self, clusters: &[Cluster]) -> Vec<Pair> {
        let mut place_of: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        for (index, cluster) in clusters.iter().enumerate() {
            place_of.extend(cluster.decisions.iter().enumerate().map(|(at, &decision)| (decision, (index, at))));
        }
        let mut pairs = Vec::new();
        for pair in &self.tables.pairs {
            let ends: Vec<(usize, (usize, usize))> = pair
                .between
                .iter()
                .filter_map(|name| self.named(name).and_then(|d| Some((d, *place_of.get(&d)?))))
                .collect();
            let &[(d1, (c1, at1)), (d2, (c2, at2))] = ends.as_slice() else { continue };
            if c1 == c2 {
                continue;
            }
            let widths = |decision: usize, cluster: usize, at: usize| -> Vec<u32> {
                clusters[cluster]
                    .options
                    .iter()
                    .map(|option| self.decisions[decision].bits[option.chosen[at]])
                    .collect()
            };
            let (first, second) = (widths(d1, c1, at1), widths(d2, c2, at2));
            let cost = first.iter().flat_map(|&a| second.iter().map(move |&b| (a, b)));
            let cost = cost.map(|widths| pair.loss.get(&widths).copied().unwrap_or(0.0)).collect();
            pairs.push(Pair { first: c1, second: c2, cost });
        }
        pairs
    }
}
