//! Decisions, limits and losses made of tables, and their exact optimum.
//!
//! A decision is the width of one layer's weights (or of several tied layers), or of activations that one or more
//! layers read. Every cost is a sum over layers of something of both widths, so decisions that share such a term are
//! put together into one group of options, and what is left is a multiple-choice problem for the `solver` crate.

mod builds;
mod cluster;
mod energy;
mod solve;

use super::budget::{Amount, Budget};
use super::tables::{LayerTable, Reads, Tables};
use network::diagnostic::with_closest;
use network::{Code, Diagnostic, Place};
use std::collections::BTreeMap;

pub use builds::Builds;
pub use solve::{Infeasible, Solution};

/// Costs that follow from the counts of a table.
pub const DERIVED_COSTS: &[&str] = &["size", "bitops", "activations", "weight_bits", "activation_bits", "energy"];

/// What is decided at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The layer's or the activation's name; of several tied layers the first one's.
    pub name: String,
    /// Widths to choose from, ascending.
    pub bits: Vec<u32>,
    /// Which of them may be chosen.
    pub allowed: Vec<bool>,
    /// What has this width.
    pub subject: Subject,
}

/// What a decision is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Weights of these layers.
    Weights(Vec<usize>),
    /// Activations that layers share, by their index.
    Shared(usize),
    /// Activations that this layer alone reads.
    Own(usize),
}

/// An option of every decision.
pub type Choice = Vec<usize>;

/// A problem over a table.
#[derive(Clone, Debug)]
pub struct Problem<'t> {
    tables: &'t Tables,
    decisions: Vec<Decision>,
    /// For each layer the decision of its weights.
    weights: Vec<usize>,
    /// For each layer the decision of its activations, or their width.
    reads: Vec<Result<usize, u32>>,
    /// All costs by name.
    costs: Vec<String>,
    /// Limited costs and their limits.
    limits: Vec<(usize, f64)>,
}

impl<'t> Problem<'t> {
    /// Decisions of a table under a budget.
    ///
    /// # Errors
    /// E0902 for a limit on a cost that the table does not state; E0901 where no layer states a loss.
    pub fn new(tables: &'t Tables, budget: &Budget) -> Result<Problem<'t>, Diagnostic> {
        let mut costs: Vec<String> = DERIVED_COSTS.iter().map(|&name| name.to_owned()).collect();
        costs.extend(tables.cost_names());
        let mut decisions: Vec<Decision> = Vec::new();
        let mut tied: BTreeMap<&str, usize> = BTreeMap::new();
        let mut add = |name: &str, bits: &[u32], subject: Subject| {
            let allowed = vec![true; bits.len()];
            decisions.push(Decision { name: name.to_owned(), bits: bits.to_vec(), allowed, subject });
            decisions.len() - 1
        };
        let shared: Vec<usize> = tables
            .activations
            .iter()
            .enumerate()
            .map(|(index, table)| add(&table.name, &table.bits, Subject::Shared(index)))
            .collect();
        let (mut weights, mut reads, mut members) = (Vec::new(), Vec::new(), BTreeMap::<usize, Vec<usize>>::new());
        for (index, layer) in tables.layers.iter().enumerate() {
            let known = layer.tied.as_deref().and_then(|name| tied.get(name)).copied();
            let decision = known.unwrap_or_else(|| add(&layer.name, &layer.bits, Subject::Weights(Vec::new())));
            if let Some(name) = &layer.tied {
                tied.insert(name, decision);
            }
            members.entry(decision).or_default().push(index);
            weights.push(decision);
            reads.push(match &layer.reads {
                Reads::Fixed(bits) => Err(*bits),
                Reads::Own(bits) => Ok(add(&format!("{} reads", layer.name), bits, Subject::Own(index))),
                Reads::Shared(shared_index) => Ok(shared[*shared_index]),
            });
        }
        for (decision, layers) in members {
            decisions[decision].subject = Subject::Weights(layers);
        }
        let mut problem = Problem { tables, decisions, weights, reads, costs, limits: Vec::new() };
        let states_loss = tables.layers.iter().any(|layer| !layer.loss.is_empty())
            || tables.activations.iter().any(|table| !table.loss.is_empty());
        if !states_loss {
            let place = tables.layers.first().map_or_else(Place::default, |layer| layer.place.clone());
            return Err(Diagnostic::new(
                Code::AllocationTable,
                place,
                "no layer states a loss, so that every allocation is as good as any other",
                "give `loss: { w2: 0.5, w4: 0.1, w8: 0 }` for the layers",
            ));
        }
        for limit in &budget.limits {
            let Some(cost) = problem.costs.iter().position(|name| *name == limit.cost) else {
                let names: Vec<&str> = problem.costs.iter().map(String::as_str).collect();
                let help = with_closest(&limit.cost, &names, &format!("the costs are {}", names.join(", ")));
                let message = format!("the tables state no cost `{}`", limit.cost);
                return Err(Diagnostic::new(Code::AllocationBudget, Place::default(), message, help));
            };
            let most = match limit.most {
                Amount::Absolute(most) => most,
                // The limits that stand before it do not count.
                Amount::Share(share) => {
                    share * Problem { limits: Vec::new(), ..problem.clone() }.total(cost, &problem.widest())
                }
            };
            problem.limits.push((cost, most));
        }
        Ok(problem)
    }

    /// The same decisions, limits and allowed options over other tables of the same layers.
    pub fn over<'u>(&self, tables: &'u Tables) -> Problem<'u> {
        Problem {
            tables,
            decisions: self.decisions.clone(),
            weights: self.weights.clone(),
            reads: self.reads.clone(),
            costs: self.costs.clone(),
            limits: self.limits.clone(),
        }
    }

    /// The parts that a cost is the sum of (or the greatest): the decisions that each depends on, none to two, and its
    /// value for each of their options, those of the first decision outermost.
    pub fn terms(&self, cost: usize) -> Vec<(Vec<usize>, Vec<f64>)> {
        let mut terms = vec![(Vec::new(), vec![self.constant(cost)])];
        for (decision, own) in self.decisions.iter().enumerate() {
            if let Subject::Shared(index) = own.subject {
                let values = own.bits.iter().map(|&bits| self.activation_cost(index, cost, bits)).collect();
                terms.push((vec![decision], values));
            }
        }
        for (index, layer) in self.tables.layers.iter().enumerate() {
            let (weights, bits) = (self.weights[index], &self.decisions[self.weights[index]].bits);
            match self.reads[index] {
                Err(fixed) => {
                    let values = bits.iter().map(|&w| self.layer_cost(layer, cost, w, fixed)).collect();
                    terms.push((vec![weights], values));
                }
                Ok(reads) => {
                    let read = &self.decisions[reads].bits;
                    let both = bits.iter().flat_map(|&w| read.iter().map(move |&a| (w, a)));
                    let values = both.map(|(w, a)| self.layer_cost(layer, cost, w, a)).collect();
                    terms.push((vec![weights, reads], values));
                }
            }
        }
        terms
    }

    /// Limits that some widths keep by the tables, nearest to those of a budget that none keep; `None` where some do.
    /// Losses that the tables lack are none.
    pub fn nearest(tables: &Tables, budget: &Budget) -> Option<Vec<(String, f64)>> {
        let mut stated = tables.clone();
        if let Some(layer) = stated.layers.first_mut() {
            layer.loss.by_weights.entry(layer.bits.first().copied().unwrap_or(8)).or_insert(0.0);
        }
        let infeasible = Problem::new(&stated, budget).ok()?.solve().err()?;
        Some(infeasible.limits.into_iter().map(|(name, most, used)| (name, used.max(most))).collect())
    }

    /// The tables.
    pub fn tables(&self) -> &'t Tables {
        self.tables
    }

    /// What is to be decided.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Names of all costs.
    pub fn costs(&self) -> &[String] {
        &self.costs
    }

    /// Limited costs by their index and what they may be.
    pub fn limits(&self) -> &[(usize, f64)] {
        &self.limits
    }

    /// Allows only widths that `keep` takes. A decision of which nothing would be left keeps its widest.
    pub fn restrict(&mut self, keep: &dyn Fn(&Decision, u32) -> bool) {
        for decision in &mut self.decisions {
            let mut allowed: Vec<bool> = decision.bits.iter().map(|&bits| keep(decision, bits)).collect();
            if let (false, Some(last)) = (allowed.contains(&true), allowed.last_mut()) {
                *last = true;
            }
            decision.allowed = allowed;
        }
    }

    /// The widest option of every decision.
    pub fn widest(&self) -> Choice {
        self.decisions.iter().map(|decision| decision.bits.len().saturating_sub(1)).collect()
    }

    /// The choice whose widths are nearest to wanted ones: of the widths below or equal the widest, else the narrowest.
    pub fn choice(&self, wanted: &dyn Fn(&Decision) -> u32) -> Choice {
        let nearest = |decision: &Decision| {
            let most = wanted(decision);
            decision.bits.iter().rposition(|&bits| bits <= most).unwrap_or(0)
        };
        self.decisions.iter().map(nearest).collect()
    }

    /// Widths of a layer's weights and of what it reads.
    pub fn widths(&self, layer: usize, choice: &[usize]) -> (u32, u32) {
        let chosen = |decision: usize| self.decisions[decision].bits[choice[decision]];
        (chosen(self.weights[layer]), self.reads[layer].map_or_else(|bits| bits, chosen))
    }

    /// Decision about a layer's weights.
    pub fn weights_decision(&self, layer: usize) -> usize {
        self.weights[layer]
    }

    /// Decision about what a layer reads; `None` where that is fixed.
    pub fn reads_decision(&self, layer: usize) -> Option<usize> {
        self.reads[layer].ok()
    }

    /// Loss of a choice.
    pub fn loss(&self, choice: &[usize]) -> f64 {
        let layers = (0..self.tables.layers.len()).map(|layer| {
            let (w, a) = self.widths(layer, choice);
            self.tables.layers[layer].loss.value(w, a).unwrap_or(0.0)
        });
        let shared = self
            .shared(choice)
            .map(|(index, bits)| self.tables.activations[index].loss.get(&bits).copied().unwrap_or(0.0));
        layers.chain(shared).sum::<f64>() + self.pair_loss(choice)
    }

    fn pair_loss(&self, choice: &[usize]) -> f64 {
        let width = |name: &String| {
            let layer = self.tables.layers.iter().position(|layer| layer.name == *name);
            let decision = match layer {
                Some(layer) => self.weights[layer],
                None => {
                    self.decisions.iter().position(|d| matches!(d.subject, Subject::Shared(_)) && d.name == *name)?
                }
            };
            Some(self.decisions[decision].bits[choice[decision]])
        };
        let of_pair = |pair: &super::tables::PairTable| {
            let [first, second] = &pair.between;
            pair.loss.get(&(width(first)?, width(second)?)).copied()
        };
        self.tables.pairs.iter().filter_map(of_pair).sum()
    }

    fn shared<'a>(&'a self, choice: &'a [usize]) -> impl Iterator<Item = (usize, u32)> + 'a {
        self.decisions.iter().zip(choice).filter_map(|(decision, &option)| match decision.subject {
            Subject::Shared(index) => Some((index, decision.bits[option])),
            Subject::Weights(_) | Subject::Own(_) => None,
        })
    }

    /// A cost of a choice, each layer in the build that takes least of it.
    pub fn total(&self, cost: usize, choice: &[usize]) -> f64 {
        let layers = (0..self.tables.layers.len()).map(|layer| {
            let (w, a) = self.widths(layer, choice);
            self.layer_cost(&self.tables.layers[layer], cost, w, a)
        });
        self.gathered(cost, choice, layers)
    }

    /// The sum or the greatest of what layers and activations take.
    fn gathered(&self, cost: usize, choice: &[usize], layers: impl Iterator<Item = f64>) -> f64 {
        let shared = self.shared(choice).map(|(index, bits)| self.activation_cost(index, cost, bits));
        let all = layers.chain(shared);
        if self.is_greatest(cost) { all.fold(0.0, f64::max) } else { self.constant(cost) + all.sum::<f64>() }
    }

    /// Whether a choice keeps all limits, with some builds, and takes only allowed options.
    pub fn is_feasible(&self, choice: &[usize]) -> bool {
        self.is_allowed(choice)
            && self.limits.iter().all(|&(cost, most)| keeps(self.total(cost, choice), most))
            && self.can_be_built(choice)
    }

    fn is_allowed(&self, choice: &[usize]) -> bool {
        self.decisions.iter().zip(choice).all(|(decision, &option)| decision.allowed.get(option) == Some(&true))
    }

    /// Whether of a cost the greatest counts.
    pub(super) fn is_greatest(&self, cost: usize) -> bool {
        self.tables.greatest.contains(&self.costs[cost])
    }

    /// What a cost is before any width counts.
    fn constant(&self, cost: usize) -> f64 {
        if self.costs[cost] == "size" { 4.0 * self.tables.float_parameters as f64 } else { 0.0 }
    }

    /// What a layer takes of a cost, in the build that takes least.
    fn layer_cost(&self, layer: &LayerTable, cost: usize, weights: u32, activations: u32) -> f64 {
        let stated = self.stated_cost(layer, cost, weights, activations);
        if layer.builds.is_empty() || DERIVED_COSTS.contains(&self.costs[cost].as_str()) {
            return stated;
        }
        stated + self.least_build(layer, cost, weights, activations)
    }

    /// What a layer takes of a cost beside its build.
    fn stated_cost(&self, layer: &LayerTable, cost: usize, weights: u32, activations: u32) -> f64 {
        let (w, a) = (f64::from(weights), f64::from(activations));
        let parameters = layer.parameters as f64;
        match self.costs[cost].as_str() {
            "size" => parameters * layer.payload_bits.get(&weights).copied().unwrap_or(w) / 8.0,
            "bitops" => layer.macs as f64 * w * a,
            "weight_bits" => {
                let all: u64 = self.tables.layers.iter().map(|layer| layer.parameters).sum();
                parameters * w / all.max(1) as f64
            }
            "energy" => energy::of_layer(layer, w, a),
            "activations" | "activation_bits" => 0.0,
            stated => layer.costs.get(stated).and_then(|table| table.value(weights, activations)).unwrap_or(0.0),
        }
    }

    fn activation_cost(&self, index: usize, cost: usize, bits: u32) -> f64 {
        let table = &self.tables.activations[index];
        let elements = table.elements as f64;
        match self.costs[cost].as_str() {
            "activations" => elements * f64::from(bits) / 8.0,
            "activation_bits" => {
                let all: u64 = self.tables.activations.iter().map(|table| table.elements).sum();
                elements * f64::from(bits) / all.max(1) as f64
            }
            "energy" => energy::of_activations(table.elements, f64::from(bits)),
            "size" | "bitops" | "weight_bits" => 0.0,
            stated => table.costs.get(stated).and_then(|map| map.get(&bits)).copied().unwrap_or(0.0),
        }
    }
}

/// Whether a cost keeps its limit; the last bits of sums of fractions are forgiven.
pub fn keeps(cost: f64, most: f64) -> bool {
    cost <= most * (1.0 + 1e-9)
}
