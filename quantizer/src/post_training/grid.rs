//! The grid of an activation: format, step and zero point.

use super::range;
use super::sites::Group;
use super::statistics::Measured;
use super::{PostTraining, RangeRule};
use crate::fault::{Checked, Fault};

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
        Grid { scale: round_scale(scale, options.power_of_two_scales), zero_point, bits, signed }
    }
}

/// A scale of 16 significant bits (so that processors that sum in another order agree), or the next power of two.
pub(super) fn round_scale(scale: f64, power_of_two: bool) -> f32 {
    let exponent = scale.log2();
    if power_of_two {
        return (exponent - 1e-6).ceil().exp2() as f32;
    }
    let unit = (exponent.floor() - 15.0).exp2();
    ((scale / unit).round() * unit) as f32
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
