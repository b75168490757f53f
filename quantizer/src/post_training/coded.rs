//! Weights of a node as regions or sub-bands, where that takes fewer bits for the same error.

use super::PostTraining;
use super::grid::{Grid, round_scale};
use super::weights::nearest;
use crate::float::Program;
use crate::model::{Model, Node, ValueId};
use crate::piecewise::{BreakpointRule, CodedWeights, HmptqOptions, Matrix, hmptq, pwlq};
use crate::wavelet::wavelet;
use network::coding::{StoredBits, Tagged, WeightFormat};

/// How weights become integers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightQuantizer {
    /// One width and one step for a row.
    #[default]
    Uniform,
    /// HMPTQ's regions of 2, 4 and 8 bits.
    Piecewise,
    /// PWLQ's breakpoint: two regions of one width.
    Pwlq,
    /// Haar sub-bands.
    Wavelet,
}

impl WeightQuantizer {
    /// The word in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            WeightQuantizer::Uniform => "uniform",
            WeightQuantizer::Piecewise => "piecewise",
            WeightQuantizer::Pwlq => "pwlq",
            WeightQuantizer::Wavelet => "wavelet",
        }
    }
}

/// Part of the plain codes' error that coded weights must stay below: what differs by the rounding of scales alone is as near.
const LEAST_GAIN: f64 = 0.99;

/// Weights that are coded, and what was found.
pub(super) struct Coded {
    pub format: WeightFormat,
    /// Integers at the places of the node's array.
    pub values: Vec<i32>,
    /// Real step of each row.
    pub scales: Vec<f64>,
    /// Bits of codes for each weight, without tags.
    pub payload_bits: f64,
}

/// Codes the weights of a node, and says what it costs; no weights where plain codes of as many bits are nearer, or
/// where the quantizer does not take the width.
pub(super) fn code(
    model: &Model,
    program: &Program<'_>,
    node: &Node,
    (input, dims): (usize, &[usize]),
    rows: &[Vec<usize>],
    (values, bits): (&[f32], u32),
    options: &PostTraining,
) -> (Option<Coded>, Option<String>) {
    let quantizer = options.weight_quantizer;
    if quantizer == WeightQuantizer::Uniform {
        return (None, None);
    }
    let Some(order) = hardware_order(model, program, node, input, dims, rows) else {
        return (None, Some(format!("{}: {} does not take its weights: plain", node.name, quantizer.name())));
    };
    let length = order.len() / rows.len().max(1);
    let reals: Vec<f64> = order.iter().map(|&place| f64::from(values[place])).collect();
    let matrix = Matrix { values: &reals, length };
    let significant = options.weight_scale_bits(10, length);
    let make = |scale: f64| f64::from(round_scale(scale, significant));
    let found = match quantizer {
        WeightQuantizer::Uniform => None,
        WeightQuantizer::Piecewise => {
            let search = HmptqOptions { width: bits, group: options.tag_group, most_bits: None };
            hmptq(matrix, search, &make).map(|(coded, _)| coded.into_any(WeightFormat::Piecewise))
        }
        WeightQuantizer::Pwlq => pwlq(matrix, bits, BreakpointRule::Search, options.tag_group, &make)
            .map(|coded| coded.into_any(WeightFormat::Piecewise)),
        WeightQuantizer::Wavelet => wavelet(matrix, bits, &make).map(|coded| coded.into_any(WeightFormat::Wavelet)),
    };
    let Some(coded) = found else {
        return (None, Some(format!("{}: {} gains nothing at {bits} bits: plain", node.name, quantizer.name())));
    };
    let average = |count: u64| count as f64 / order.len() as f64;
    let StoredBits { payload, tags } = coded.bits;
    let constants = 32 * (coded.scales.len() + coded.thresholds.len()) as u64;
    let counted = if options.free_tags { payload } else { payload + tags };
    let plain_bits = (average(counted).floor() as u32).clamp(1, 16);
    let error = coded.mean_squared_error(matrix);
    let plain_error = plain_error(matrix, plain_bits, significant);
    let pays = error < LEAST_GAIN * plain_error;
    let note = format!(
        "{}: {} {} takes {:.2} bits a weight, {:.2} with tags, {:.2} with scales and thresholds; mean squared error {error:.3e}, plain codes of {plain_bits} bits {plain_error:.3e}: {}",
        node.name,
        quantizer.name(),
        coded.format,
        average(payload),
        average(payload + tags),
        average(payload + tags + constants),
        if pays { "kept" } else { "plain" },
    );
    if !pays {
        return (None, Some(note));
    }
    let mut placed = vec![0; values.len()];
    order.iter().zip(&coded.values).for_each(|(&place, &value)| placed[place] = value);
    // A plan tags every weight with the narrowest region that has it.
    let stored = match &coded.format {
        WeightFormat::Piecewise(regions) => Tagged::fewest_bits(regions.clone(), length, &coded.values)
            .map_or(payload, |tagged| tagged.stored_bits(rows.len(), length).payload),
        WeightFormat::Plain(_) | WeightFormat::Wavelet(_) => payload,
    };
    let payload_bits = average(stored);
    (Some(Coded { format: coded.format, values: placed, scales: coded.scales, payload_bits }), Some(note))
}

/// Mean squared error of plain symmetric codes, each row with the reach of least error.
fn plain_error(matrix: Matrix<'_>, bits: u32, significant: u32) -> f64 {
    let grid = Grid { scale: 1.0, zero_point: 0.0, bits: bits.max(2), signed: true };
    let levels = (1u64 << (grid.bits - 1)) as f64 - 1.0;
    let of_row = |row: &[f64]| {
        let most = row.iter().fold(0f64, |most, value| most.max(value.abs()));
        let errors = (20..=80).filter_map(|step| {
            let scale = round_scale(most / levels * f64::from(step) / 80.0, significant);
            let error = |value: &f64| (nearest(*value, scale, &grid) - value).powi(2);
            scale.is_normal().then(|| row.iter().map(error).sum::<f64>())
        });
        errors.fold(f64::INFINITY, f64::min)
    };
    let total: f64 = matrix.rows().map(of_row).filter(|error| error.is_finite()).sum();
    total / matrix.values.len().max(1) as f64
}

/// The places of a node's weights row by row in the order in which hardware takes them: channels last.
fn hardware_order(
    model: &Model,
    program: &Program<'_>,
    node: &Node,
    input: usize,
    dims: &[usize],
    rows: &[Vec<usize>],
) -> Option<Vec<usize>> {
    let length = rows.first()?.len();
    if length == 0 || rows.iter().any(|row| row.len() != length) {
        return None;
    }
    // Channels and positions of a row as the model orders them.
    let channels = match node.op.as_str() {
        "Conv" if dims.len() >= 3 => dims[1],
        "Gemm" | "MatMul" if dims.len() == 2 => {
            let data = node.inputs.get(1 - input.min(1)).copied().flatten();
            data.and_then(|id| flattened_channels(model, program, id))
                .filter(|channels| length.is_multiple_of(*channels))
                .unwrap_or(length)
        }
        _ => return None,
    };
    let positions = length / channels;
    let places = rows.iter().flat_map(|row| {
        (0..positions).flat_map(move |position| (0..channels).map(move |channel| row[channel * positions + position]))
    });
    Some(places.collect())
}

/// Channels of the image that was flattened to this vector, if it was one.
fn flattened_channels(model: &Model, program: &Program<'_>, mut id: ValueId) -> Option<usize> {
    for _ in 0..model.nodes.len() {
        if let Some([_, channels, _, _]) = program.shapes.get(&id).map(Vec::as_slice) {
            return Some(*channels);
        }
        let node = model.nodes.iter().find(|node| node.outputs.contains(&id))?;
        if !matches!(node.op.as_str(), "Flatten" | "Reshape" | "Relu" | "Clip" | "Identity" | "Dropout") {
            return None;
        }
        id = node.inputs.first().copied().flatten()?;
    }
    None
}

impl<F> CodedWeights<F> {
    /// The same with its format as any.
    fn into_any(self, format: impl Fn(F) -> WeightFormat) -> CodedWeights<WeightFormat> {
        let CodedWeights { format: own, values, scales, bits, thresholds } = self;
        CodedWeights { format: format(own), values, scales, bits, thresholds }
    }
}
