//! Binding: every layer gets a PE kind, a folding and memory styles.
//!
//! Input: a [`Network`] with the plan's wishes. Output: a [`Bound`] in which every folding divides what it folds and
//! every kind can do its formats. What the plan leaves open is chosen by [`folding`]: all layers take about as many
//! cycles a frame as the slowest must.

mod candidates;
mod coded;
mod folding;
mod groups;
mod matrix;
mod requests;
mod serial;
mod unit;

use matrix::bind_matrix;
use requests::request;
use unit::requantize_unit;

pub(crate) use candidates::{
    BuildWish, Candidate, all_cycles, candidates, fits, least_cycles, may_be_levels, may_be_serial, may_be_xnor, raised,
};
pub(crate) use folding::{divisors, pools_in_place};
pub(crate) use groups::as_convolution;
pub(crate) use serial::{mode_planes, mode_sums, serial_schedule};

use crate::rearrange::{self, Reorder};
use network::diagnostic::{Code, Diagnostic, Diagnostics};
use network::format::MAX_PLANES;
use network::graph::{
    Encoding, HardwareRequest, Layer, Memory, Multiplier, PeForm, PeKind, RequantizeUnit, WindowForm,
};
use network::op::{Op, Weights};
use network::{Format, Network};
use num_integer::gcd;

/// Most thresholds of a channel that a search finds its code among.
pub const MAX_THRESHOLDS: i64 = crate::threshold::MOST_THRESHOLDS as i64;
/// Widest sum that a search compares, in bits.
pub const MAX_THRESHOLD_SUM_BITS: u32 = 60;
/// Most lanes of PE times SIMD that one layer may have.
pub const MAX_LANES: u64 = 1 << 16;

/// What binding aims at.
#[derive(Clone, Copy, Debug, Default)]
pub struct BindOptions {
    /// Cycles that a frame may occupy any layer; chosen where absent.
    pub target_cycles: Option<u64>,
}

/// A network whose layers all have their hardware.
#[derive(Clone, Debug)]
pub struct Bound {
    network: Network,
    layers: Vec<BoundLayer>,
}

/// The hardware of one layer.
#[derive(Clone, Debug, PartialEq)]
pub enum BoundLayer {
    /// An array of PEs for dense and convolution layers.
    Matrix(MatrixLayer),
    /// A pooling unit of so many channels side by side.
    Pool {
        /// Channels side by side.
        lanes: u64,
    },
    /// Words in another order; absent where the elements leave as they enter.
    Rearrange {
        /// Elements side by side.
        lanes: u64,
        /// The order.
        reorder: Option<Reorder>,
    },
    /// Sums over windows side by side, in place.
    SumPool {
        /// Channels side by side.
        lanes: u64,
        /// The unit that makes codes, where there is one.
        unit: Option<RequantizeUnit>,
    },
    /// A requantization of its own.
    Requantize {
        /// Channels side by side.
        lanes: u64,
        /// The unit.
        unit: RequantizeUnit,
        /// Where its products are made.
        multiplier: Multiplier,
    },
    /// The greatest channels, or the index of the greatest.
    Argmax {
        /// Channels side by side.
        lanes: u64,
    },
    /// Element-wise sums or products of several inputs.
    Join {
        /// Channels side by side.
        lanes: u64,
        /// The unit that makes codes, where there is one.
        unit: Option<RequantizeUnit>,
        /// Where requantization's products are made.
        multiplier: Multiplier,
    },
    /// Channels of several inputs one after the other.
    Concat {
        /// Channels side by side; divides the channels of every input.
        lanes: u64,
    },
}

/// An array of PEs.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixLayer {
    /// Kind of the PEs.
    pub kind: PeKind,
    /// What becomes of coded weights, of the kinds for them.
    pub form: Option<PeForm>,
    /// Runs through a dot product for one result, in mode 0: 1 but for kind serial.
    pub passes: u64,
    /// Output channels computed at once; divides the outputs.
    pub pe: u64,
    /// Inputs of a group taken at once; divides the dot product's length.
    pub simd: u64,
    /// Groups of channels side by side; 1 for a convolution without groups.
    pub side: u64,
    /// Turns over all groups of a position; 1 for a convolution without groups.
    pub sets: u64,
    /// Where products are made.
    pub multiplier: Multiplier,
    /// Where weights lie.
    pub memory: Memory,
    /// The unit that makes codes, where there is one.
    pub unit: Option<RequantizeUnit>,
    /// The sliding window, where the layer needs one.
    pub window: Option<WindowForm>,
}

impl MatrixLayer {
    /// Elements of an input word.
    pub fn input_lanes(&self) -> u64 {
        self.simd * self.side
    }

    /// Elements of a word that enters the layer, of `channels` channels: its window's, or its own.
    pub fn first_lanes(&self, channels: u64) -> u64 {
        match self.window {
            Some(WindowForm::Serial(lanes)) => lanes,
            Some(WindowForm::Parallel) => channels,
            None => self.input_lanes(),
        }
    }
}

impl Bound {
    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// One entry for each layer of the network.
    pub fn layers(&self) -> &[BoundLayer] {
        &self.layers
    }

    /// Gives the layer at `index` other hardware, as [`bind`] would choose it for its wishes.
    pub(crate) fn replace(&mut self, index: usize, hardware: BoundLayer) {
        self.layers[index] = hardware;
    }

    /// The hardware as wishes, one for each layer: written into a plan they give the same binding again.
    pub fn requests(&self) -> Vec<HardwareRequest> {
        self.network.layers().iter().zip(&self.layers).map(|(layer, bound)| request(layer, bound)).collect()
    }

    /// Cycles that one frame occupies the layer at `index` at least.
    pub fn layer_cycles(&self, index: usize) -> u64 {
        let layer = &self.network.layers()[index];
        let input = self.network.layer_input(layer).shape;
        let output = self.network.layer_output(index).shape;
        match &self.layers[index] {
            BoundLayer::Matrix(matrix) => folding::matrix_cycles(&layer.op, input, output, matrix),
            BoundLayer::Rearrange { lanes, reorder } => {
                reorder.as_ref().map_or(input.elements() / lanes, Reorder::cycles)
            }
            BoundLayer::Pool { lanes } | BoundLayer::SumPool { lanes, .. } => {
                folding::pool_cycles(&layer.op, input, output, *lanes)
            }
            BoundLayer::Requantize { lanes, .. } | BoundLayer::Argmax { lanes } => input.elements() / lanes,
            BoundLayer::Join { lanes, .. } | BoundLayer::Concat { lanes } => output.elements() / lanes,
        }
    }
}

/// Chooses what the plan leaves open and checks what it asks for; reports every fault.
pub fn bind(network: &Network, options: &BindOptions) -> Result<Bound, Diagnostics> {
    let mut faults = Diagnostics::default();
    let target = options.target_cycles.unwrap_or_else(|| folding::default_target(network));
    let mut layers = Vec::new();
    for (index, layer) in network.layers().iter().enumerate() {
        match bind_layer(network, index, layer, target) {
            Ok(bound) => layers.push(bound),
            Err(fault) => faults.extend(fault),
        }
    }
    faults.or(Bound { network: network.clone(), layers })
}

/// Whether a layer's window is the identity: one tap, no step, no padding.
pub(crate) fn needs_window(op: &Op) -> bool {
    match op {
        Op::Conv2d { window, .. } | Op::SumPool { window, .. } => {
            window.taps() > 1 || window.stride != [1, 1] || window.is_padded()
        }
        _ => false,
    }
}

fn bind_layer(network: &Network, index: usize, layer: &Layer, target: u64) -> Result<BoundLayer, Diagnostics> {
    let input = network.layer_input(layer);
    let output = network.layer_output(index);
    let wish = &layer.hardware;
    match &layer.op {
        op @ Op::SumPool { .. } if pools_in_place(op) => {
            let lanes = element_lanes(layer, input.shape.channels, |lanes| {
                folding::pool_cycles(op, input.shape, output.shape, lanes) <= target
            })?;
            let sum_bits = network.sums(index).map_or(16, |sums| sums.all.bits());
            let unit = match &layer.requantization {
                Some(r) => Some(requantize_unit(layer, r, output.shape.channels / lanes, sum_bits)?),
                None => None,
            };
            Ok(BoundLayer::SumPool { lanes, unit })
        }
        Op::Dense { .. } | Op::Conv2d { .. } | Op::SumPool { .. } => {
            let Encoding::Codes { format, .. } = input.encoding else {
                return Err(wrong(
                    layer,
                    Code::LayerFormat,
                    "sums cannot be multiplied",
                    "requantize the layer before it",
                )
                .into());
            };
            bind_matrix(network, index, layer, format, target).map(BoundLayer::Matrix)
        }
        Op::MaxPool { .. } => {
            let lanes = element_lanes(layer, input.shape.channels, |lanes| {
                folding::pool_cycles(&layer.op, input.shape, output.shape, lanes) <= target
            })?;
            Ok(BoundLayer::Pool { lanes })
        }
        Op::Identity => {
            let lanes = element_lanes(layer, input.shape.channels, |lanes| input.shape.elements() / lanes <= target)?;
            let requantization = layer.requantization.as_ref();
            let unit = requantization.map_or(Ok(RequantizeUnit::Thresholds), |r| {
                requantize_unit(
                    layer,
                    r,
                    output.shape.channels / lanes,
                    network.sums(index).map_or(16, |s| s.all.bits()),
                )
            })?;
            let multiplier = wish.multiplier.as_ref().map_or(Multiplier::Lut, |at| at.value);
            Ok(BoundLayer::Requantize { lanes, unit, multiplier })
        }
        Op::Argmax { .. } => {
            let lanes = element_lanes(layer, input.shape.channels, |lanes| input.shape.elements() / lanes <= target)?;
            Ok(BoundLayer::Argmax { lanes })
        }
        Op::TopK { .. } => {
            Ok(BoundLayer::Argmax { lanes: folded_lanes(layer, 1, "channel taken at a time", |_| true)? })
        }
        Op::Add { .. } | Op::Multiply => {
            let lanes = element_lanes(layer, output.shape.channels, |lanes| output.shape.elements() / lanes <= target)?;
            let sum_bits = network.sums(index).map_or(16, |sums| sums.all.bits());
            let unit = match &layer.requantization {
                Some(r) => Some(requantize_unit(layer, r, output.shape.channels / lanes, sum_bits)?),
                None => None,
            };
            let multiplier = wish.multiplier.as_ref().map_or(Multiplier::Lut, |at| at.value);
            Ok(BoundLayer::Join { lanes, unit, multiplier })
        }
        Op::Concat => {
            let common = network.layer_inputs(layer).fold(0, |common, tensor| gcd(common, tensor.shape.channels));
            let lanes = element_lanes(layer, common, |lanes| output.shape.elements() / lanes <= target)?;
            Ok(BoundLayer::Concat { lanes })
        }
        Op::Rearrange(rearrangement) => {
            let elements = input.shape.elements();
            if rearrange::is_identity(rearrangement, elements) {
                let lanes = element_lanes(layer, elements, |lanes| elements / lanes <= target)?;
                return Ok(BoundLayer::Rearrange { lanes, reorder: None });
            }
            let most = rearrange::most_lanes(rearrangement, elements);
            let of = |lanes| Reorder::new(rearrangement, elements, lanes, target);
            let lanes =
                folded_lanes(layer, most, "elements that stay side by side", |lanes| of(lanes).cycles() <= target)?;
            Ok(BoundLayer::Rearrange { lanes, reorder: Some(of(lanes)) })
        }
    }
}

/// Whether both sides of the products have few enough planes for the xnor array; integers are their level indices.
pub(crate) fn xnor_takes(weights: &Weights, live: Format) -> bool {
    weights.format.bits() <= MAX_PLANES && live.bits() <= MAX_PLANES
}

/// Lanes of a unit that works channel by channel: as wished, else the fewest that are quick enough.
fn element_lanes(layer: &Layer, channels: u64, quick: impl Fn(u64) -> bool) -> Result<u64, Diagnostics> {
    folded_lanes(layer, channels, "channels", quick)
}

/// The same where something else than channels is folded.
fn folded_lanes(layer: &Layer, folded: u64, of: &str, quick: impl Fn(u64) -> bool) -> Result<u64, Diagnostics> {
    if let Some(at) = &layer.hardware.pe {
        if at.value == 0 || !folded.is_multiple_of(at.value) {
            return Err(Diagnostic::new(
                Code::Folding,
                at.place.clone(),
                format!("`{}`: pe {} does not divide the {folded} {of}", layer.name, at.value),
                format!("use a divisor of {folded}: {}", divisor_list(folded)),
            )
            .into());
        }
        return Ok(at.value);
    }
    Ok(folding::divisors(folded).into_iter().find(|&lanes| quick(lanes)).unwrap_or(folded))
}

fn wrong(layer: &Layer, code: Code, message: &str, help: &str) -> Diagnostic {
    Diagnostic::new(code, layer.place.clone(), format!("`{}`: {message}", layer.name), help)
}

fn divisor_list(number: u64) -> String {
    let divisors = folding::divisors(number);
    let shown: Vec<String> = divisors.iter().take(16).map(u64::to_string).collect();
    let more = if divisors.len() > 16 { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}
