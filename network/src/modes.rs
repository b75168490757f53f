//! Run-time precision: one network with several *modes*, in each of which some layers read fewer planes.
//!
//! A layer with modes stores one set of weights. In a mode it reads the top planes of every weight and of every code
//! that enters; the planes below are dropped, which rounds down: code >> planes dropped. What is left is a code of
//! the narrower format of the same kind, so bipolar codes of k planes mean 2q - (2^k - 1) as always. Tensors keep
//! their format in every mode; what changes is how many of their planes are read and how sums become codes.
//!
//! [`Network::in_mode`] gives the network of one mode as a plain network: this is the definition of what a mode
//! computes. Serial processing by planes follows METHODS of bit-serial arrays (BISMO, arXiv 1806.08862); that a width
//! is chosen at run time by truncation follows any-precision networks (arXiv 1911.07346).

use crate::coding::Coding;
use crate::diagnostic::Diagnostics;
use crate::format::{Format, Kind};
use crate::graph::{Encoding, HardwareRequest, Layer, Network, Tensor, TensorId};
use crate::op::{Op, Weights};
use crate::range::Range;
use crate::requantization::{Form, Requantization, Shift};
use std::collections::BTreeSet;

/// Most modes of a network.
pub const MAX_MODES: usize = 8;

/// Planes that a layer reads in a mode, counted from the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Planes {
    /// Of each weight.
    pub weight: u32,
    /// Of each activation.
    pub activation: u32,
}

/// One mode of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Mode {
    /// What it reads.
    pub planes: Planes,
    /// How its sums become codes, where it is not as in mode 0.
    pub requantization: Option<Requantization>,
}

/// What a tensor that leaves the network means in one mode, where it is not as in mode 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputMeaning {
    /// real = scale * integer + offset, one scale for each channel or one for all.
    pub scales: Vec<f64>,
    /// One offset for each channel or one for all.
    pub offsets: Vec<f64>,
}

/// The network of one mode.
#[derive(Clone, Debug, PartialEq)]
pub struct ModeNetwork {
    /// A network without modes. In front of a layer that drops planes of its input stands a layer that does.
    pub network: Network,
    /// For each of its layers the index of the layer in the network with modes; `None` for one that drops planes.
    pub layers: Vec<Option<usize>>,
}

impl Layer {
    /// How sums become codes in a mode; absent where sums leave.
    pub fn requantization_in(&self, mode: usize) -> Option<&Requantization> {
        let own = self.modes.get(mode).and_then(|mode| mode.requantization.as_ref());
        own.or(self.requantization.as_ref())
    }
}

impl Format {
    /// The format of the top `planes` planes; `None` where it has fewer, and for none.
    pub fn truncated(self, planes: u32) -> Option<Format> {
        if planes > self.bits() { None } else { Format::new(self.kind(), planes) }
    }
}

impl Network {
    /// Number of modes: 1 where no layer has any.
    pub fn mode_count(&self) -> usize {
        self.layers().iter().map(|layer| layer.modes.len()).max().unwrap_or(0).max(1)
    }

    /// The network of one mode; modes beyond the last are the last.
    ///
    /// # Errors
    /// None for a checked network; the checks of [`Network::build`] run once more.
    pub fn in_mode(&self, mode: usize) -> Result<ModeNetwork, Diagnostics> {
        let mut parts = self.clone().into_parts();
        let mode = mode.min(self.mode_count() - 1);
        let taken: BTreeSet<String> = parts.layers.iter().map(|layer| layer.name.clone()).collect();
        let mut origins = Vec::new();
        let mut layers: Vec<Layer> = Vec::new();
        // Tensor of the network of the mode that stands for each tensor.
        let inputs = parts.inputs.len();
        let mut tensors: Vec<TensorId> = (0..inputs).map(TensorId).collect();
        for (index, mut layer) in std::mem::take(&mut parts.layers).into_iter().enumerate() {
            let modes = std::mem::take(&mut layer.modes);
            let source = layer.input();
            layer.inputs = layer.inputs.iter().filter_map(|id| tensors.get(id.0).copied()).collect();
            if let Some(chosen) = modes.into_iter().nth(mode) {
                if let Some(requantization) = chosen.requantization {
                    layer.requantization = Some(requantization);
                }
                let input = &self.tensors()[source.0];
                if let Some(dropping) = drop_planes(&layer, input, chosen.planes.activation) {
                    let mut name = format!("{}_planes", layer.name);
                    while taken.contains(&name) {
                        name.push('_');
                    }
                    layers.push(Layer { name, ..dropping });
                    origins.push(None);
                    layer.inputs = vec![TensorId(inputs + layers.len() - 1)];
                }
                layer.op = truncated_op(layer.op, input, chosen.planes);
            }
            layers.push(layer);
            origins.push(Some(index));
            tensors.push(TensorId(inputs + layers.len() - 1));
        }
        for output in &mut parts.outputs {
            output.tensor = tensors.get(output.tensor.0).copied().unwrap_or(output.tensor);
            if let Some(meaning) = std::mem::take(&mut output.modes).into_iter().nth(mode).flatten() {
                (output.scales, output.offsets) = (meaning.scales, meaning.offsets);
            }
        }
        parts.layers = layers;
        Ok(ModeNetwork { network: Network::build(parts)?, layers: origins })
    }
}

/// The layer that drops the low planes of `layer`'s input, without a name; `None` where none are dropped.
fn drop_planes(layer: &Layer, input: &Tensor, planes: u32) -> Option<Layer> {
    let Encoding::Codes { format, range } = input.encoding else { return None };
    let dropped = format.bits().checked_sub(planes).filter(|dropped| *dropped > 0)?;
    // code >> dropped, of the value that the code means: a bipolar value is 2 * code + value(0).
    let (offset, shift) = match format.kind() {
        Kind::Unsigned | Kind::Signed => (0, dropped),
        Kind::Bipolar => (-format.value(0), dropped + 1),
    };
    Some(Layer {
        name: String::new(),
        place: layer.place.clone(),
        inputs: layer.inputs.clone(),
        op: Op::Identity,
        requantization: Some(Requantization {
            output: format.truncated(planes)?,
            codes: Range::new(range.min() >> dropped, range.max() >> dropped),
            form: Form::Shift(Shift { multipliers: vec![1], offsets: vec![offset], shift, half_even: false }),
            rule: None,
        }),
        modes: Vec::new(),
        hardware: HardwareRequest::default(),
    })
}

/// A tensor as a layer reads it that takes its top planes.
pub(crate) fn truncated_tensor(tensor: &Tensor, planes: u32) -> Tensor {
    let encoding = match tensor.encoding {
        Encoding::Codes { format, range } => {
            let dropped = format.bits().saturating_sub(planes);
            let format = format.truncated(planes).unwrap_or(format);
            Encoding::Codes { format, range: Range::new(range.min() >> dropped, range.max() >> dropped) }
        }
        sums @ Encoding::Sums { .. } => sums,
    };
    Tensor { shape: tensor.shape, encoding }
}

/// Weights cut to their top planes.
pub fn truncated_weights(weights: &Weights, planes: u32) -> Weights {
    let format = weights.format;
    let Some(narrow) = format.truncated(planes) else { return weights.clone() };
    let dropped = format.bits() - planes;
    let cut = |&value: &i32| {
        let code = format.code(i64::from(value)).unwrap_or(0);
        narrow.value(code >> dropped) as i32
    };
    let Weights { outputs, length, ref values, .. } = *weights;
    Weights {
        format: narrow,
        outputs,
        length,
        values: values.iter().map(cut).collect::<Vec<i32>>().into(),
        coding: Coding::Plain,
    }
}

/// A matrix operator as a mode makes it; `input` is the tensor with all planes.
pub(crate) fn truncated_op(op: Op, input: &Tensor, planes: Planes) -> Op {
    match op {
        Op::Dense { weights } => Op::Dense { weights: truncated_weights(&weights, planes.weight) },
        Op::Conv2d { weights, window, padding_value, groups } => {
            let dropped = match input.encoding {
                Encoding::Codes { format, .. } if format.kind() != Kind::Bipolar => {
                    format.bits().saturating_sub(planes.activation)
                }
                _ => 0,
            };
            Op::Conv2d {
                weights: truncated_weights(&weights, planes.weight),
                window,
                padding_value: padding_value >> dropped,
                groups,
            }
        }
        other => other,
    }
}
