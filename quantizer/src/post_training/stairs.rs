//! Activations on levels of unequal steps: where they are chosen, and the quantizer node that makes them.

use super::PostTraining;
use super::grid::Grid;
use super::sites::Group;
use super::statistics::Measured;
use crate::model::{Array, Attribute, Attributes, Model, Node, Refused, ValueId};
use crate::piecewise::{Histogram, Regions};

/// Bits of the base grid, which are those of the wires.
const BASE_BITS: u32 = 8;

/// How activations become integers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActivationQuantizer {
    /// Equal steps.
    #[default]
    Uniform,
    /// Three regions of unequal steps.
    Piecewise,
}

impl ActivationQuantizer {
    /// The word in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            ActivationQuantizer::Uniform => "uniform",
            ActivationQuantizer::Piecewise => "piecewise",
        }
    }
}

/// Levels of a tensor as codes of a base grid.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Levels {
    pub base: Grid,
    pub levels: Vec<i64>,
}

/// The levels of a group whose codes would have the uniform `grid`, and what was found; none where equal steps are as
/// near, or where the base grid has no more codes than levels are asked for.
pub(super) fn choose(
    group: &Group,
    measured: &Measured,
    grid: &Grid,
    options: &PostTraining,
) -> (Option<Levels>, Option<String>) {
    let asked = options.activation_quantizer == ActivationQuantizer::Piecewise;
    if !asked || group.fixed.is_some() || options.planes || grid.bits >= BASE_BITS || grid.bits < 3 {
        return (None, None);
    }
    let (low, high) = (f64::from(measured.low).min(0.0), f64::from(measured.high).max(0.0));
    let base = Grid::covering(low, high, BASE_BITS, options);
    let (scale, zero) = (f64::from(base.scale), f64::from(base.zero_point));
    let bins = || measured.counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let histogram = Histogram::new(bins().map(|(bin, &count)| (measured.middle(bin) / scale + zero, count as f64)));
    let (least, most) = base.codes();
    let total: f64 = bins().map(|(_, &count)| count as f64).sum();
    let plain: f64 = bins()
        .map(|(bin, &count)| (grid.nearest(measured.middle(bin)) - measured.middle(bin)).powi(2) * count as f64)
        .sum();
    let Some(regions) = Regions::search(&histogram, (least as i64, most as i64), 1 << grid.bits) else {
        return (None, Some(format!("{}: no three regions fit: uniform activations", group.owner)));
    };
    let error = regions.error * scale * scale;
    let pays = error < plain;
    let [_, first, second, _] = regions.bounds;
    let levels = regions.levels();
    let note = format!(
        "{}: {} activation levels with steps {:?} of {BASE_BITS}-bit integers, cut at {first} and {second}: mean squared error {:.3e}, uniform codes of {} bits {:.3e}: {}",
        group.owner,
        levels.len(),
        regions.multipliers,
        error / total,
        grid.bits,
        plain / total,
        if pays { "kept" } else { "uniform" },
    );
    (pays.then_some(Levels { base, levels }), Some(note))
}

/// The quantizer: FINN's MultiThreshold, which counts thresholds; a step of several codes is a threshold so many times.
pub(super) fn node(model: &mut Model, name: String, from: ValueId, to: ValueId, made: &Levels, domain: &str) -> Node {
    let (scale, zero) = (f64::from(made.base.scale), f64::from(made.base.zero_point));
    let mut thresholds = Vec::new();
    for pair in made.levels.windows(2) {
        let middle = ((pair[0] + pair[1]) as f64 / 2.0 - zero) * scale;
        thresholds.extend(std::iter::repeat_n(middle as f32, (pair[1] - pair[0]) as usize));
    }
    let least = made.levels.first().copied().unwrap_or(0);
    let rows = model.fresh_constant("thresholds", Array::float(vec![1, thresholds.len()], thresholds));
    let data_type = format!("{}{BASE_BITS}", if made.base.signed { "INT" } else { "UINT" });
    let attributes = vec![
        ("out_dtype".to_owned(), Attribute::Text(data_type)),
        ("out_scale".to_owned(), Attribute::Float(made.base.scale)),
        ("out_bias".to_owned(), Attribute::Float(((least as f64 - zero) * scale) as f32)),
    ];
    Node {
        name,
        op: "MultiThreshold".to_owned(),
        domain: domain.to_owned(),
        inputs: vec![Some(from), Some(rows)],
        outputs: vec![to],
        attributes: Attributes::of(attributes),
        constant_element: None,
        refused: Refused::No,
    }
}
