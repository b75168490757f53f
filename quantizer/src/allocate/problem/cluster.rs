//! Decisions that share a term, as one group of options.

use super::super::tables::{LayerTable, OptionTable};
use super::{Decision, Problem, Subject};
use std::collections::BTreeMap;

/// Most options of a group; above it the best by loss and weighted costs are kept, and nothing is proved.
const MAX_OPTIONS: usize = 4096;
/// From so many options on those that another one beats in everything are left out.
const PRUNE_FROM: usize = 32;

/// Decisions that are taken together.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    /// The decisions.
    pub decisions: Vec<usize>,
    /// Options of all of them at once.
    pub options: Vec<JointOption>,
    /// Whether options were dropped that might have been best.
    pub is_cut: bool,
}

/// One option of a cluster.
#[derive(Clone, Debug)]
pub(super) struct JointOption {
    /// The option of each of the cluster's decisions.
    pub chosen: Vec<usize>,
    pub loss: f64,
    /// Of each limited cost that is a sum, the builds of its layers included.
    pub usage: Vec<f64>,
}

impl Problem<'_> {
    /// Limited costs that are sums, with their limits less what no width changes.
    pub(super) fn summed_limits(&self) -> Vec<(usize, f64)> {
        let sums = self.limits.iter().filter(|(cost, _)| !self.is_greatest(*cost));
        sums.map(|&(cost, most)| (cost, most - self.constant(cost))).collect()
    }

    /// All clusters. Options whose greatest cost alone breaks a limit are left out; a cluster can end up without any.
    pub(super) fn clusters(&self) -> Vec<Cluster> {
        let mut sets: Vec<usize> = (0..self.decisions.len()).collect();
        for layer in 0..self.tables.layers.len() {
            if let Some(reads) = self.reads[layer].ok().filter(|_| self.is_joint(layer)) {
                let (a, b) = (root(&sets, self.weights[layer]), root(&sets, reads));
                sets[a.max(b)] = a.min(b);
            }
        }
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for decision in 0..self.decisions.len() {
            members.entry(root(&sets, decision)).or_default().push(decision);
        }
        members.into_values().map(|decisions| self.cluster(decisions)).collect()
    }

    /// Whether a layer has a term of both widths that counts.
    fn is_joint(&self, layer: usize) -> bool {
        let table = &self.tables.layers[layer];
        let reads = |options: &OptionTable| !options.by_both.is_empty() || !options.by_activations.is_empty();
        let counts = |cost: usize| match self.costs[cost].as_str() {
            "bitops" | "energy" => table.macs > 0,
            stated => {
                let mut builds = table.builds.values().flatten();
                table.costs.get(stated).is_some_and(reads) || builds.any(|build| build.costs.contains_key(stated))
            }
        };
        reads(&table.loss) || self.limits.iter().any(|&(cost, _)| counts(cost))
    }

    fn cluster(&self, decisions: Vec<usize>) -> Cluster {
        let is_weights = |decision: &usize| matches!(self.decisions[*decision].subject, Subject::Weights(_));
        let (weights, activations): (Vec<usize>, Vec<usize>) = decisions.iter().partition(|d| is_weights(d));
        let order: Vec<usize> = activations.iter().chain(&weights).copied().collect();
        let limits = self.summed_limits();
        let is_paired = self.paired(&order);
        let empty = JointOption { chosen: Vec::new(), loss: 0.0, usage: vec![0.0; limits.len()] };
        let (mut options, mut is_cut) = (vec![empty], false);
        for (place, &decision) in order.iter().enumerate() {
            let mut extended = Vec::new();
            for option in &options {
                for choice in self.decisions[decision].allowed.iter().enumerate().filter(|(_, ok)| **ok).map(|(i, _)| i)
                {
                    let mut chosen = option.chosen.clone();
                    chosen.push(choice);
                    extended.extend(self.extend(&order[..=place], chosen, option, &limits));
                }
            }
            options = extended;
            // Before the last activation is chosen, options differ in what follows.
            if place + 1 >= activations.len() && options.len() > PRUNE_FROM {
                options = pruned(options, |option| {
                    let kept = activations.len().min(option.chosen.len());
                    let mut key = option.chosen[..if place + 1 < order.len() { kept } else { 0 }].to_vec();
                    key.extend(option.chosen.iter().enumerate().filter(|(at, _)| is_paired[*at]).map(|(_, &c)| c));
                    key
                });
            }
            if options.len() > MAX_OPTIONS {
                is_cut = true;
                let weight = |option: &JointOption| {
                    let shares = option.usage.iter().zip(&limits).map(|(used, (_, most))| used / most.max(1e-300));
                    shares.sum::<f64>()
                };
                // Evenly over what they cost, so that cheap and dear ones stay.
                options.sort_by(|a, b| weight(a).total_cmp(&weight(b)).then(a.loss.total_cmp(&b.loss)));
                let count = options.len();
                options = (0..MAX_OPTIONS).map(|at| options[at * count / MAX_OPTIONS].clone()).collect();
            }
        }
        Cluster { decisions: order, options, is_cut }
    }

    /// Which of these decisions stand in a pair.
    fn paired(&self, decisions: &[usize]) -> Vec<bool> {
        let names: Vec<&String> = self.tables.pairs.iter().flat_map(|pair| &pair.between).collect();
        let is_named = |decision: &Decision| match &decision.subject {
            Subject::Weights(layers) => layers.iter().any(|&layer| names.contains(&&self.tables.layers[layer].name)),
            Subject::Shared(_) => names.contains(&&decision.name),
            Subject::Own(_) => false,
        };
        decisions.iter().map(|&decision| is_named(&self.decisions[decision])).collect()
    }

    /// The option with its newest decision's terms, once for each way to build the layers that it is about; none where
    /// all of them break a limit on their own.
    fn extend(
        &self,
        decisions: &[usize],
        chosen: Vec<usize>,
        before: &JointOption,
        limits: &[(usize, f64)],
    ) -> Vec<JointOption> {
        self.extended(decisions, chosen, before, limits).unwrap_or_default()
    }

    fn extended(
        &self,
        decisions: &[usize],
        chosen: Vec<usize>,
        before: &JointOption,
        limits: &[(usize, f64)],
    ) -> Option<Vec<JointOption>> {
        let (newest, option) = (*decisions.last()?, *chosen.last()?);
        let decision = &self.decisions[newest];
        let bits = decision.bits[option];
        let (mut loss, mut usage) = (before.loss, before.usage.clone());
        let mut builds: Vec<Vec<f64>> = vec![vec![0.0; limits.len()]];
        let width_of = |wanted: usize| {
            let at = decisions.iter().position(|&decision| decision == wanted)?;
            Some(self.decisions[wanted].bits[chosen[at]])
        };
        let too_great = |cost_of: &dyn Fn(usize) -> f64| {
            self.limits.iter().any(|&(cost, most)| self.is_greatest(cost) && !super::keeps(cost_of(cost), most))
        };
        match &decision.subject {
            Subject::Shared(index) => {
                loss += self.tables.activations[*index].loss.get(&bits).copied().unwrap_or(0.0);
                for (used, &(cost, _)) in usage.iter_mut().zip(limits) {
                    *used += self.activation_cost(*index, cost, bits);
                }
                if too_great(&|cost| self.activation_cost(*index, cost, bits)) {
                    return None;
                }
            }
            // What both widths decide stands with the weights.
            Subject::Own(_) => {}
            Subject::Weights(layers) => {
                for &layer in layers {
                    let table = &self.tables.layers[layer];
                    let read = match self.reads[layer] {
                        Err(fixed) => fixed,
                        Ok(reads) if self.is_joint(layer) => width_of(reads)?,
                        // No term depends on it.
                        Ok(_) => 0,
                    };
                    loss += table.loss.value(bits, read).unwrap_or(0.0);
                    for (used, &(cost, _)) in usage.iter_mut().zip(limits) {
                        *used += self.stated_cost(table, cost, bits, read);
                    }
                    if too_great(&|cost| self.layer_cost(table, cost, bits, read)) {
                        return None;
                    }
                    if self.is_built(table) {
                        builds = self.with_builds(table, bits, read, &builds, limits);
                    }
                }
            }
        }
        let all = builds.into_iter().map(|own| JointOption {
            chosen: chosen.clone(),
            loss,
            usage: usage.iter().zip(own).map(|(used, own)| used + own).collect(),
        });
        Some(all.collect())
    }

    /// Whether a layer's builds count under the limits.
    fn is_built(&self, table: &LayerTable) -> bool {
        let mut builds = table.builds.values().flatten();
        builds.any(|build| self.limits.iter().any(|&(cost, _)| build.costs.contains_key(&self.costs[cost])))
    }

    /// Each of some usages with each open build of a layer.
    fn with_builds(
        &self,
        table: &LayerTable,
        weights: u32,
        activations: u32,
        before: &[Vec<f64>],
        limits: &[(usize, f64)],
    ) -> Vec<Vec<f64>> {
        let all = self.builds_of(table, weights, activations);
        let used = |build: usize, cost: usize| all[build].costs.get(&self.costs[cost]).copied().unwrap_or(0.0);
        let open = self.open_builds(table, weights, activations);
        let each = open.iter().flat_map(|&build| {
            before.iter().map(move |usage| {
                usage.iter().zip(limits).map(|(sum, &(cost, _))| sum + used(build, cost)).collect::<Vec<f64>>()
            })
        });
        each.collect()
    }
}

fn root(sets: &[usize], mut at: usize) -> usize {
    while sets[at] != at {
        at = sets[at];
    }
    at
}

/// Leaves out options that one of the same key beats in loss and in every usage.
fn pruned(mut options: Vec<JointOption>, key: impl Fn(&JointOption) -> Vec<usize>) -> Vec<JointOption> {
    options.sort_by(|a, b| a.loss.total_cmp(&b.loss).then_with(|| a.chosen.cmp(&b.chosen)));
    let mut kept: BTreeMap<Vec<usize>, Vec<JointOption>> = BTreeMap::new();
    for option in options {
        let rivals = kept.entry(key(&option)).or_default();
        let beaten = |rival: &JointOption| rival.usage.iter().zip(&option.usage).all(|(a, b)| a <= b);
        if !rivals.iter().any(beaten) {
            rivals.push(option);
        }
    }
    kept.into_values().flatten().collect()
}
