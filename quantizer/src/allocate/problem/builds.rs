//! Ways to build layers: which may be chosen at a pair of widths, and which are chosen with widths that stand.
//!
//! A build adds to costs, not to the loss. So a choice of widths is feasible where some builds of all layers together
//! keep the limits; of the feasible builds those are taken that use the least of the limits.

use super::super::tables::{BuildTable, LayerTable};
use super::{Choice, Problem, keeps};
use solver::{Effort, Outcome};
use std::collections::BTreeSet;

/// Options that the solver may look at for builds alone.
const STEPS: u64 = 40_000_000;

/// The build of each layer, by its place in the list of its widths; none for layers without a list.
pub type Builds = Vec<Option<usize>>;

impl Problem<'_> {
    /// Builds of a layer at two widths.
    pub(super) fn builds_of<'a>(&self, layer: &'a LayerTable, weights: u32, activations: u32) -> &'a [BuildTable] {
        layer.builds.get(&(weights, activations)).map_or(&[], Vec::as_slice)
    }

    /// Places of builds that keep every limit on a greatest cost, without those that another beats in every limited sum.
    pub(super) fn open_builds(&self, layer: &LayerTable, weights: u32, activations: u32) -> Vec<usize> {
        let all = self.builds_of(layer, weights, activations);
        let sums: Vec<&String> = self
            .limits
            .iter()
            .filter(|(cost, _)| !self.is_greatest(*cost))
            .map(|&(cost, _)| &self.costs[cost])
            .collect();
        let used = |build: usize, cost: &String| all[build].costs.get(cost).copied().unwrap_or(0.0);
        let open: Vec<usize> =
            (0..all.len()).filter(|&build| self.is_quick(layer, weights, activations, build)).collect();
        let beats = |a: usize, b: usize| {
            let (less, more) = sums.iter().fold((false, false), |(less, more), cost| {
                (less || used(a, cost) < used(b, cost), more || used(a, cost) > used(b, cost))
            });
            !more && (less || a < b)
        };
        open.iter().copied().filter(|&build| !open.iter().any(|&other| other != build && beats(other, build))).collect()
    }

    /// Whether a build keeps every limit on a greatest cost.
    pub(super) fn is_quick(&self, layer: &LayerTable, weights: u32, activations: u32, build: usize) -> bool {
        let of_build = |cost: usize| {
            let own = self.builds_of(layer, weights, activations)[build].costs.get(&self.costs[cost]);
            own.copied().unwrap_or(0.0)
        };
        let stated = |cost: usize| self.stated_cost(layer, cost, weights, activations);
        let mut greatest = self.limits.iter().filter(|(cost, _)| self.is_greatest(*cost));
        greatest.all(|&(cost, most)| keeps(stated(cost) + of_build(cost), most))
    }

    /// The least that a layer's builds take of a cost, of those that keep the greatest limits where there are some.
    pub(super) fn least_build(&self, layer: &LayerTable, cost: usize, weights: u32, activations: u32) -> f64 {
        let all = self.builds_of(layer, weights, activations);
        let name = &self.costs[cost];
        let used = |build: usize| all[build].costs.get(name).copied().unwrap_or(0.0);
        let least = |of: &mut dyn Iterator<Item = usize>| of.map(used).fold(f64::INFINITY, f64::min);
        let quick = least(&mut (0..all.len()).filter(|&build| self.is_quick(layer, weights, activations, build)));
        let any = if quick.is_finite() { quick } else { least(&mut (0..all.len())) };
        if any.is_finite() { any } else { 0.0 }
    }

    /// Limited sums that builds state.
    fn built_limits(&self) -> Vec<(usize, f64)> {
        let states = |cost: usize| {
            let builds = self.tables.layers.iter().flat_map(|layer| layer.builds.values().flatten());
            builds.into_iter().any(|build| build.costs.contains_key(&self.costs[cost]))
        };
        self.limits.iter().copied().filter(|&(cost, _)| !self.is_greatest(cost) && states(cost)).collect()
    }

    /// Whether some builds keep all limits together, the widths being these.
    pub(super) fn can_be_built(&self, choice: &[usize]) -> bool {
        let built: Vec<&LayerTable> = self.tables.layers.iter().filter(|layer| !layer.builds.is_empty()).collect();
        if built.is_empty() {
            return true;
        }
        let is_open = |layer: usize| {
            let (w, a) = self.widths(layer, choice);
            let table = &self.tables.layers[layer];
            (0..self.builds_of(table, w, a).len()).any(|build| self.is_quick(table, w, a, build))
        };
        let all_open =
            (0..self.tables.layers.len()).all(|layer| self.tables.layers[layer].builds.is_empty() || is_open(layer));
        // With one limit the least of each layer is what counts, and that was looked at.
        all_open && (self.built_limits().len() < 2 || self.builds(choice).is_some())
    }

    /// The builds that keep the limits at these widths and use the least of them, each as a part of its limit; where
    /// nothing is limited that builds state, the least of the first cost that they state. `None` where no builds keep
    /// the limits.
    pub fn builds(&self, choice: &[usize]) -> Option<Builds> {
        let limits = self.built_limits();
        let wanted: Vec<(usize, f64)> = match limits.is_empty() {
            false => limits.iter().map(|&(cost, most)| (cost, if most > 0.0 { 1.0 / most } else { 0.0 })).collect(),
            true => self.first_built().into_iter().map(|cost| (cost, 1.0)).collect(),
        };
        let mut made: Builds = vec![None; self.tables.layers.len()];
        let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut problem = solver::Problem::new(limits.len());
        for (index, layer) in self.tables.layers.iter().enumerate().filter(|(_, layer)| !layer.builds.is_empty()) {
            let (w, a) = self.widths(index, choice);
            let open = self.open_builds(layer, w, a);
            let used = |build: usize, cost: usize| {
                self.builds_of(layer, w, a)[build].costs.get(&self.costs[cost]).copied().unwrap_or(0.0)
            };
            let option = |&build: &usize| solver::Choice {
                cost: wanted.iter().map(|&(cost, weight)| weight * used(build, cost)).sum(),
                usage: limits.iter().map(|&(cost, _)| used(build, cost)).collect(),
            };
            problem.group(open.iter().map(option).collect()).ok()?;
            groups.push((index, open));
        }
        for (resource, &(cost, most)) in limits.iter().enumerate() {
            let fixed = self.without_builds(cost, choice);
            problem.limit(resource, ((most - fixed) * (1.0 + 1e-9)).max(0.0)).ok()?;
            if !keeps(fixed, most) {
                return None;
            }
        }
        match problem.solve(&Effort { steps: STEPS, ..Effort::default() }) {
            Outcome::Solved(found) => {
                for ((layer, open), option) in groups.iter().zip(found.choice) {
                    made[*layer] = Some(open[option]);
                }
                Some(made)
            }
            Outcome::Infeasible(_) | Outcome::Unknown { .. } => None,
        }
    }

    /// The first cost that builds state and that is a sum.
    fn first_built(&self) -> Option<usize> {
        let builds = self.tables.layers.iter().flat_map(|layer| layer.builds.values().flatten());
        let names: BTreeSet<&str> = builds.flat_map(|build| build.costs.keys()).map(String::as_str).collect();
        let place = |name: &str| self.costs.iter().position(|own| own == name);
        let sums = names.iter().filter_map(|name| place(name)).filter(|&cost| !self.is_greatest(cost));
        place("lut").filter(|_| names.contains("lut")).or_else(|| sums.min())
    }

    /// A cost of a choice with these builds.
    pub fn total_with(&self, cost: usize, choice: &[usize], builds: &Builds) -> f64 {
        let layers = self.tables.layers.iter().enumerate().map(|(index, layer)| {
            let (w, a) = self.widths(index, choice);
            let build = builds.get(index).copied().flatten().and_then(|build| self.builds_of(layer, w, a).get(build));
            let own = build.and_then(|build| build.costs.get(&self.costs[cost])).copied();
            self.stated_cost(layer, cost, w, a) + own.unwrap_or(0.0)
        });
        self.gathered(cost, choice, layers)
    }

    /// A cost of a choice without what builds add.
    fn without_builds(&self, cost: usize, choice: &[usize]) -> f64 {
        self.total_with(cost, choice, &Vec::new())
    }

    /// All costs of a choice in the order of [`Problem::costs`], with the builds that [`Problem::builds`] takes.
    pub fn totals(&self, choice: &Choice) -> Vec<f64> {
        match self.builds(choice) {
            Some(builds) => (0..self.costs.len()).map(|cost| self.total_with(cost, choice, &builds)).collect(),
            None => (0..self.costs.len()).map(|cost| self.total(cost, choice)).collect(),
        }
    }
}
