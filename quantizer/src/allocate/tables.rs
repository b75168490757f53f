//! Tables of sensitivities and costs: what a measurement found, what a publication prints, what a user knows.
//!
//! A table has layers with weights, and activations that layers read. Each has widths to choose from and a loss for
//! each of them; costs are named and free. Sizes and bit operations follow from the counts. The text form is YAML or
//! JSON, read by [`Tables::parse`] and written by [`Tables::write`]; docs/allocate.md describes it.

mod document;
mod write;

use network::Place;
use std::collections::BTreeMap;

/// Version of the text form.
pub const TABLES_VERSION: u32 = 1;
/// Widest weights or activations.
pub const MAX_BITS: u32 = 32;

/// Everything that an allocation needs to know of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    /// The network's name.
    pub name: String,
    /// Parameters that stay float: 4 bytes each in every size.
    pub float_parameters: u64,
    /// Layers with weights, in the network's order.
    pub layers: Vec<LayerTable>,
    /// Activations that several layers may read, in the order of their makers.
    pub activations: Vec<ActivationTable>,
    /// Loss that a pair of widths adds to the losses of each.
    pub pairs: Vec<PairTable>,
    /// Costs of which the greatest counts, not the sum (an initiation interval, say).
    pub greatest: Vec<String>,
}

/// A layer with weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerTable {
    /// Name; unique among layers and activations.
    pub name: String,
    /// Weights that have the chosen width.
    pub parameters: u64,
    /// Multiply-accumulates for a frame.
    pub macs: u64,
    /// Elements that the layer makes for a frame.
    pub outputs: u64,
    /// Widths of the weights to choose from, ascending.
    pub bits: Vec<u32>,
    /// Bits that a weight takes on average at a width where weights are coded; else as many as the width says.
    pub payload_bits: BTreeMap<u32, f64>,
    /// What the layer reads.
    pub reads: Reads,
    /// Loss of the options.
    pub loss: OptionTable,
    /// Named costs of the options.
    pub costs: BTreeMap<String, OptionTable>,
    /// Ways to build the layer at a pair of widths, one of which is chosen with them; none where only widths count.
    pub builds: BTreeMap<(u32, u32), Vec<BuildTable>>,
    /// Layers of one such name have one width.
    pub tied: Option<String>,
    /// Where it stands in its file.
    pub place: Place,
}

/// One way to build a layer: a kind of processing element, its folding, the homes of its products and weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BuildTable {
    /// What reports call it.
    pub name: String,
    /// What it takes of named costs, beside what the widths alone decide.
    pub costs: BTreeMap<String, f64>,
}

/// The activations that a layer reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Reads {
    /// A fixed width.
    Fixed(u32),
    /// Widths to choose from, of this layer alone.
    Own(Vec<u32>),
    /// Index of one of [`Tables::activations`].
    Shared(usize),
}

impl Default for Reads {
    fn default() -> Self {
        Reads::Fixed(8)
    }
}

/// Activations that share a grid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ActivationTable {
    /// Name; unique among layers and activations.
    pub name: String,
    /// Elements for a frame.
    pub elements: u64,
    /// Widths to choose from, ascending.
    pub bits: Vec<u32>,
    /// Loss of each width.
    pub loss: BTreeMap<u32, f64>,
    /// Named costs of each width.
    pub costs: BTreeMap<String, BTreeMap<u32, f64>>,
    /// Where it stands in its file.
    pub place: Place,
}

/// Numbers of a layer's options: the value of (w, a) is the sum of the entries for w, for a, and for both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptionTable {
    /// By the width of weights.
    pub by_weights: BTreeMap<u32, f64>,
    /// By the width of activations.
    pub by_activations: BTreeMap<u32, f64>,
    /// By both.
    pub by_both: BTreeMap<(u32, u32), f64>,
}

impl OptionTable {
    /// The value of an option; `None` where nothing states it.
    pub fn value(&self, weights: u32, activations: u32) -> Option<f64> {
        let parts = [
            self.by_weights.get(&weights),
            self.by_activations.get(&activations),
            self.by_both.get(&(weights, activations)),
        ];
        let stated: Vec<f64> = parts.into_iter().flatten().copied().collect();
        (!stated.is_empty()).then(|| stated.iter().sum())
    }

    /// Whether nothing is stated at all.
    pub fn is_empty(&self) -> bool {
        self.by_weights.is_empty() && self.by_activations.is_empty() && self.by_both.is_empty()
    }
}

/// Loss that two widths have together, beside their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairTable {
    /// Names of two layers or activations.
    pub between: [String; 2],
    /// Loss by the widths of both.
    pub loss: BTreeMap<(u32, u32), f64>,
}

impl Tables {
    /// All names of costs that the tables state, in order.
    pub fn cost_names(&self) -> Vec<String> {
        let of_layers = self.layers.iter().flat_map(|layer| layer.costs.keys());
        let of_activations = self.activations.iter().flat_map(|activation| activation.costs.keys());
        let builds = self.layers.iter().flat_map(|layer| layer.builds.values().flatten());
        let of_builds = builds.flat_map(|build| build.costs.keys());
        let mut names: Vec<String> = of_layers.chain(of_activations).chain(of_builds).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Widths of activations that a layer can read.
    pub fn activation_bits(&self, layer: &LayerTable) -> Vec<u32> {
        match &layer.reads {
            Reads::Fixed(bits) => vec![*bits],
            Reads::Own(bits) => bits.clone(),
            Reads::Shared(index) => self.activations.get(*index).map(|shared| shared.bits.clone()).unwrap_or_default(),
        }
    }
}
