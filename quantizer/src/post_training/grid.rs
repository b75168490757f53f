//! The grid of an activation: format, step and zero point.

use super::range;
use super::sites::Group;
use super::statistics::Measured;
use super::{PostTraining, RangeRule};
use crate::fault::{Checked, Fault};
use crate::float::{elements, tensor};
use candle_core::Tensor;

/// A uniform grid as `Quant` states it: real = (code - zero point) * scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    pub scale: f32,
    pub zero_point: f32,
    pub bits: u32,
    pub signed: bool,
}

impl Grid {
    /// Least and greatest code.
    pub fn codes(&self) -> (f64, f64) {
        let span = (1u64 << self.bits) as f64;
        if self.is_bipolar() {
            (-1.0, 1.0)
        } else if self.signed {
            (-span / 2.0, span / 2.0 - 1.0)
        } else {
            (0.0, span - 1.0)
        }
    }

    /// One signed bit is +1 or -1.
    pub fn is_bipolar(&self) -> bool {
        self.signed && self.bits == 1
    }

    /// The nearest real number on the grid.
    pub fn nearest(&self, value: f64) -> f64 {
        let (scale, zero) = (f64::from(self.scale), f64::from(self.zero_point));
        if self.is_bipolar() {
            return if value >= 0.0 { scale } else { -scale };
        }
        let (low, high) = self.codes();
        ((value / scale + zero).clamp(low, high).round_ties_even() - zero) * scale
    }

    /// A tensor on the grid.
    pub fn quantized(&self, x: &Tensor) -> Checked<Tensor> {
        let (scale, zero) = (self.scale, self.zero_point);
        let (low, high) = self.codes();
        let (low, high, is_bipolar) = (low as f32, high as f32, self.is_bipolar());
        let map = |x: f32| match is_bipolar {
            true if x >= 0.0 => scale,
            true => -scale,
            false => ((x / scale + zero).clamp(low, high).round_ties_even() - zero) * scale,
        };
        tensor(elements(x).into_iter().map(map).collect(), x.dims())
    }

    /// The grid whose codes reach from `low` to `high`; signed where `low` is negative.
    pub fn covering(low: f64, high: f64, bits: u32, options: &PostTraining) -> Grid {
        let most = low.abs().max(high.abs());
        let span = (1u64 << bits) as f64;
        let (signed, zero_point, scale) = match (options.planes, low < 0.0) {
            (true, _) if bits == 1 => (true, 0.0, most),
            (true, _) => (true, -0.5, most * 2.0 / (span - 1.0)),
            (false, false) => (false, 0.0, high / (span - 1.0)),
            (false, true) if options.zero_points && bits > 1 => {
                let zero = (-low / (high - low) * (span - 1.0)).round().clamp(0.0, span - 1.0);
                let scale = (-low / zero.max(0.5)).max(high / (span - 1.0 - zero).max(0.5));
                (false, zero as f32, scale)
            }
            (false, true) if bits == 1 => (true, 0.0, most),
            (false, true) => (true, 0.0, (-low / (span / 2.0)).max(high / (span / 2.0 - 1.0))),
        };
        Grid { scale: round_scale(scale, options.scale_bits(bits)), zero_point, bits, signed }
    }
}

/// A scale of so many significant bits: the nearest where there are many, so that processors which sum in another order
/// agree, else the next above, so that the range stays covered. One bit is a power of two.
pub(super) fn round_scale(scale: f64, significant_bits: u32) -> f32 {
    let unit = (scale.log2().floor() + 1.0 - f64::from(significant_bits)).exp2();
    let steps = scale / unit;
    let steps = if significant_bits >= 12 { steps.round() } else { (steps - 1e-6).ceil() };
    (steps * unit) as f32
}

impl PostTraining {
    /// Significant bits of an activation's scale. Wide codes get a power of two, since no multiplier of a sensible width
    /// would meet every one of their boundaries otherwise.
    pub(super) fn scale_bits(&self, bits: u32) -> u32 {
        let is_wide = bits >= 11 || bits >= 9 && self.most_weight_bits() > 8;
        if self.power_of_two_scales || is_wide { 1 } else { 16 }
    }

    /// Significant bits of a scale of weights with rows of this length, so that sums and multiplier fit together.
    pub(super) fn weight_scale_bits(&self, weight_bits: u32, row: usize) -> u32 {
        let widest = self.layer_bits.iter().map(|layer| layer.activations).chain([self.activation_bits]).max();
        let widest = widest.unwrap_or(8).max(8);
        if self.power_of_two_scales {
            1
        } else if self.scale_bits(widest) > 1 {
            16
        } else {
            let sum_bits = widest + weight_bits + (row.max(2) - 1).ilog2() + 1;
            (38u32.saturating_sub(sum_bits)).clamp(1, 16)
        }
    }

    fn most_weight_bits(&self) -> u32 {
        self.layer_bits.iter().map(|layer| layer.weights).chain([self.weight_bits]).max().unwrap_or(8)
    }
}

/// The grid of a group.
///
/// # Errors
/// Values that are all zero, or whose grid leaves float32.
pub(super) fn choose(group: &Group, measured: &Measured, options: &PostTraining) -> Checked<Grid> {
    if let Some(fixed) = group.fixed {
        return Ok(fixed);
    }
    let (low, high) = (f64::from(measured.low).min(0.0), f64::from(measured.high).max(0.0));
    if low == high {
        return Err(Fault::quantizer(
            format!("`{}` gave 0 for every calibration frame, so that no scale fits it", group.owner),
            "give calibration frames that reach this layer, or prune it",
        ));
    }
    let make = |low: f64, high: f64| Grid::covering(low, high, group.bits, options);
    let rule =
        if make(low, high).is_bipolar() && options.range == RangeRule::MinMax { RangeRule::Mse } else { options.range };
    let (low, high) = range::choose(measured, (low, high), rule, group.bits, &make);
    let grid = make(low, high);
    if !grid.scale.is_normal() {
        return Err(Fault::quantizer(
            format!(
                "`{}` gave values from {} to {}; no float32 scale fits them",
                group.owner, measured.low, measured.high
            ),
            "scale the network's weights",
        ));
    }
    Ok(grid)
}
