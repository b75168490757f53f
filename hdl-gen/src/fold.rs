//! Foldings of all layers together: PE, SIMD, memories and homes of multipliers at least cost, for a rate.
//!
//! ```text
//!     layer ─▶ foldings that meet the target ─▶ priced ─▶ options
//!     options of all layers ─▶ solver ─▶ least peak, or least LUT within limits, with a proved bound
//! ```
//!
//! Input: a network and prices of its layers. Output: [`Folded`], as wishes for [`crate::bind()`]. What it does not do:
//! price anything itself, or predict cycles between layers; whoever asks lowers the answer and predicts it.

mod greedy;
mod options;

pub use greedy::greedy;
pub use options::{LayerOption, Price, Usage};

use crate::bind::{self, Bound, BoundLayer};
use crate::{BindOptions, LowerError, bind as bind_network};
use network::Network;
use network::diagnostic::Diagnostics;
use options::Prices;
use solver::{Choice, Effort, Infeasible, Outcome, Peak, Problem};

/// What a price counts, in the order of [`Usage`].
pub const RESOURCES: [&str; 4] = ["lut", "ff", "dsp", "bram36"];

/// Why nothing could be folded.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The plan's wishes cannot be bound.
    #[error("the plan's hardware wishes do not fit")]
    Bind(Diagnostics),
    /// A layer cannot be lowered.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The solver refused its numbers.
    #[error("the folding problem is malformed: {0}")]
    Problem(#[from] solver::ProblemError),
}

/// What is asked of a folding beside its rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Aim {
    /// What may be used of each resource at most.
    pub limits: [Option<f64>; 4],
    /// What a part has of each: where given, the largest share is made small before the LUTs are.
    pub capacity: Option<[f64; 4]>,
    /// What the design takes beside the arrays: adapters, FIFOs, pools, joins.
    pub rest: Usage,
    /// Share of the best by which the answer may miss it.
    pub gap: f64,
}

/// The answer for a target.
#[derive(Clone, Debug, PartialEq)]
pub enum Folded {
    /// A folding of every array.
    Found(Box<Folding>),
    /// A layer cannot be that quick.
    TooSlow {
        /// Index of the layer.
        layer: usize,
        /// The fewest cycles a frame that it can take.
        least_cycles: u64,
    },
    /// No folding that is quick enough keeps the limits.
    Impossible(Box<Impossible>),
    /// The effort was spent before one was found.
    Unknown,
}

/// Foldings of all arrays.
#[derive(Clone, Debug, PartialEq)]
pub struct Folding {
    /// Cycles a frame that no layer exceeds.
    pub target_cycles: u64,
    /// The option of each layer that has an array.
    pub options: Vec<LayerOption>,
    /// What the arrays and the rest take.
    pub usage: Usage,
    /// LUT of the answer and the least that any answer has (with this peak, where one was asked for).
    pub lut: (f64, f64),
    /// The largest share of the part, where one was asked for.
    pub peak: Option<Peak>,
    /// Whether the bound is reached within the gap.
    pub proved: bool,
}

impl Folding {
    /// By what share of itself the answer may miss the best: the peak's, else the LUTs'.
    pub fn gap(&self) -> f64 {
        let (value, bound) = self.peak.map_or(self.lut, |peak| (peak.value, peak.bound));
        if value > 0.0 { ((value - bound) / value).max(0.0) } else { 0.0 }
    }
}

/// What is in the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Impossible {
    /// Index in [`RESOURCES`] of a limit that is below the least, whatever is chosen; none where limits fail together.
    pub resource: Option<usize>,
    /// The least of each resource, all others disregarded.
    pub least: [f64; 4],
    /// What the nearest choice takes.
    pub nearest: Usage,
    /// Limits that the nearest choice breaks.
    pub broken: Vec<usize>,
    /// The layer that takes most of the first of them in the nearest choice.
    pub layer: Option<usize>,
}

/// Options and prices of a network's layers, kept from target to target.
pub struct Folder<'a> {
    network: &'a Network,
    prices: Prices<'a>,
    /// For each layer with an array its index, in order.
    arrays: Vec<usize>,
}

impl<'a> Folder<'a> {
    /// Prepares a network; `price` tells what a layer takes.
    ///
    /// # Errors
    /// The plan's wishes cannot be bound.
    pub fn new(network: &'a Network, price: Price<'a>) -> Result<Self, FoldError> {
        let bound = bind_network(network, &BindOptions::default()).map_err(FoldError::Bind)?;
        let arrays = (0..network.layers().len())
            .filter(|&index| matches!(bound.layers()[index], BoundLayer::Matrix(_)))
            .collect();
        Ok(Folder { network, prices: Prices::new(network, price), arrays })
    }

    /// The same with fewer foldings of each layer to price.
    #[must_use]
    pub fn with_candidates(mut self, most: usize) -> Self {
        self.prices.limit(most);
        self
    }

    /// Indices of the layers that have an array.
    pub fn arrays(&self) -> &[usize] {
        &self.arrays
    }

    /// What a layer takes with this hardware.
    ///
    /// # Errors
    /// The layer cannot be lowered.
    pub fn price(&self, layer: usize, hardware: &BoundLayer) -> Result<Usage, LowerError> {
        self.prices.of(layer, hardware)
    }

    /// What the layer at an index may be for a target, priced; where it cannot be that quick, for its own least cycles.
    ///
    /// # Errors
    /// A layer cannot be bound or lowered.
    pub fn options(&mut self, layer: usize, target_cycles: u64) -> Result<Vec<LayerOption>, FoldError> {
        self.prices.options(layer, target_cycles.max(bind::least_cycles(self.network, layer)))
    }

    /// The layers bound for a target: arrays as `options` say, others as narrow as the target lets them be.
    ///
    /// # Errors
    /// The plan's wishes cannot be bound.
    pub fn bound(&self, target_cycles: u64, options: &[LayerOption]) -> Result<Bound, FoldError> {
        let bind_options = BindOptions { target_cycles: Some(target_cycles) };
        let mut bound = bind_network(self.network, &bind_options).map_err(FoldError::Bind)?;
        for option in options {
            bound.replace(option.layer, option.hardware.clone());
        }
        Ok(bound)
    }

    /// The fewest cycles a frame that all layers can keep up with, and the layer that needs them.
    pub fn quickest(&self) -> (u64, usize) {
        let slowest = |best: (u64, usize), index| best.max((bind::least_cycles(self.network, index), index));
        (0..self.network.layers().len()).fold((0, 0), slowest)
    }

    /// The best folding in which no layer takes more than `target_cycles` a frame.
    ///
    /// # Errors
    /// A layer cannot be bound or lowered.
    pub fn fold(&mut self, target_cycles: u64, aim: &Aim) -> Result<Folded, FoldError> {
        let (least_cycles, layer) = self.quickest();
        if least_cycles > target_cycles {
            return Ok(Folded::TooSlow { layer, least_cycles });
        }
        let mut tables = Vec::new();
        for &layer in &self.arrays {
            tables.push(self.prices.options(layer, target_cycles)?);
        }
        let mut problem = Problem::new(RESOURCES.len());
        problem.group(vec![Choice { cost: aim.rest.0[0].max(0.0), usage: positive(aim.rest) }])?;
        for options in &tables {
            let choice = |option: &LayerOption| Choice { cost: option.usage.0[0], usage: positive(option.usage) };
            problem.group(options.iter().map(choice).collect())?;
        }
        for (resource, limit) in aim.limits.iter().enumerate() {
            if let Some(limit) = limit {
                problem.limit(resource, *limit)?;
            }
        }
        if let Some(capacity) = aim.capacity {
            problem.peak(capacity.map(Some).to_vec())?;
        }
        let effort = Effort { gap: aim.gap, steps: 300_000_000, ..Effort::default() };
        match problem.solve(&effort) {
            Outcome::Solved(solution) => {
                let chosen = tables.iter().zip(&solution.choice[1..]);
                Ok(Folded::Found(Box::new(Folding {
                    target_cycles,
                    options: chosen.map(|(options, &index)| options[index].clone()).collect(),
                    usage: Usage::of(&solution.usage),
                    lut: (solution.cost, solution.bound),
                    peak: solution.peak,
                    proved: solution.proved,
                })))
            }
            Outcome::Infeasible(why) => Ok(Folded::Impossible(Box::new(self.impossible(&tables, &why)))),
            Outcome::Unknown { .. } => Ok(Folded::Unknown),
        }
    }

    fn impossible(&self, tables: &[Vec<LayerOption>], why: &Infeasible) -> Impossible {
        let resource = why.resource.or(why.broken.first().copied());
        let taken = |resource: usize| {
            let chosen = tables.iter().zip(&why.nearest[1..]).map(|(options, &index)| &options[index]);
            let most = chosen.max_by(|a, b| a.usage.0[resource].total_cmp(&b.usage.0[resource]));
            most.map(|option| option.layer)
        };
        Impossible {
            resource: why.resource,
            least: Usage::of(&why.least).0,
            nearest: Usage::of(&why.usage),
            broken: why.broken.clone(),
            layer: resource.and_then(taken),
        }
    }

    /// Every number of cycles at which some layer could run, in ascending order, from the quickest that all can keep
    /// up with. Between two of them no folding changes.
    pub fn targets(&self) -> Vec<u64> {
        let (least, _) = self.quickest();
        let mut all = vec![least];
        for &layer in &self.arrays {
            all.extend(bind::all_cycles(self.network, layer).into_iter().filter(|&cycles| cycles >= least));
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn positive(usage: Usage) -> Vec<f64> {
    usage.0.iter().map(|amount| amount.max(0.0)).collect()
}
