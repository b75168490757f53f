//! Integers on the xnor array: products of the planes of level indices, corrected by the sum of the activations.
//!
//! With level indices q = value less the least value of its format, of K planes the weight's and of M the activation's,
//! an xnor array makes the products of the odd integers W° = 2 q_w - (2^K - 1) and X° = 2 q_x - (2^M - 1) (arXiv
//! 1905.13389, equation 17, read backwards):
//!
//! ```text
//!     4 Σ q_w q_x = Σ W° X° + 2 (2^M - 1) Σ q_w + 2 (2^K - 1) Σ q_x - N (2^M - 1)(2^K - 1)
//! ```
//!
//! Σ q_w is a constant of the output channel; Σ q_x depends on data, but all output channels share it. So with S the raw
//! sum of the xnor array and T = Σ q_x, each PE adds κ·T, κ = 2^K - 1 for unsigned weights and -1 for two's complement:
//!
//! ```text
//!     sum W X = (S + κ T + c) / 2     integer activations: S + κ T has the parity of c, and its lowest bit is dropped
//!     sum W X =  S + κ T + c          bipolar activations
//! ```
//!
//! Bipolar weights have κ = 0: they are the same array for any activations, without a correction.

use super::split::{Source, Split, SplitSpec, part, terms};
use crate::bind::MatrixLayer;
use crate::datapath::{Combination, CombinationSpec, DatapathError, DotProductForm, Multiplier, Operand};
use crate::heap::Target;
use crate::lower::border::Borders;
use crate::requantize::RawMap;
use network::Range;
use network::format::Kind;
use network::graph::PeKind;
use network::op::Weights;

/// Whether an array multiplies the level indices of integer weights.
pub(super) fn takes(weights: &Weights, matrix: &MatrixLayer) -> bool {
    matrix.kind == PeKind::Xnor && weights.format.kind() != Kind::Bipolar
}

/// The xnor array of each PE and the sum of activations that all share.
pub(super) fn split(spec: &SplitSpec<'_>) -> Result<Split, DatapathError> {
    let (format, live) = (spec.weights.format, spec.live.format);
    let (weight_planes, planes) = (format.bits(), live.bits());
    let ones = |planes: u32| (1i64 << planes) - 1;
    let factor = if format.kind() == Kind::Unsigned { ones(weight_planes) } else { -1 };
    let least = format.code_range().min();
    let bipolar = |planes| Operand::Bipolar { planes };
    let form = DotProductForm::new(bipolar(planes), bipolar(weight_planes), Multiplier::Lut, Target::Lut6)?;
    let level = |&weight: &i32| (2 * (i64::from(weight) - least) - ones(weight_planes)) as i32;
    let rows = (0..spec.weights.outputs).map(|row| spec.weights.row(row).iter().map(level).collect()).collect();
    let lanes = spec.matrix.simd as u32;
    let all = (-ones(planes), ones(planes));
    let products = part(spec, "xnor", form, lanes, Source::Activation, vec![1], rows, all)?;
    let form = DotProductForm::new(
        Operand::Unsigned { bits: planes },
        Operand::Unsigned { bits: 1 },
        Multiplier::Lut,
        Target::Lut6,
    )?;
    let rows = vec![vec![1; spec.weights.length]];
    let mut shared = part(spec, "levels", form, lanes, Source::Activation, vec![factor], rows, (0, ones(planes)))?;
    shared.is_shared = true;

    // Where all level indices are zero, both parts are constants.
    let halves = if live.kind() == Kind::Bipolar { 1 } else { 2 };
    let least_value = live.value(live.code_range().min()) + spec.live.constant;
    let levels_of_zero = -shared.product.offset(shared.rows.first().map_or(&[], Vec::as_slice));
    let constant = |channel: usize| {
        let row = products.rows.get(channel).map_or(&[][..], Vec::as_slice);
        let sum: i64 = row.iter().map(|&weight| i64::from(weight)).sum();
        let products_of_zero = (-ones(planes) * sum - products.product.offset(row)) / products.product.gain();
        let exact = least_value * spec.weights.row_total(channel, |weight| weight);
        halves * exact - products_of_zero - factor * levels_of_zero
    };
    let constants: Vec<i64> = (0..spec.weights.outputs).map(constant).collect();
    let raw_range = |(channel, constant): (usize, &i64)| {
        let sums = (spec.sums)(channel);
        Range::new(halves * sums.min() - constant, halves * sums.max() - constant)
    };
    // At least two bits, of which the lowest may be dropped.
    let raw = constants.iter().enumerate().map(raw_range).fold(Range::new(0, 3), Range::union);
    let initial_bits = spec.borders.map(Borders::initial_bits);
    let parts = vec![products, shared];
    let module_name = format!("{}_total", spec.prefix);
    let made = Combination::new(&CombinationSpec {
        module_name: module_name.clone(),
        terms: terms(&parts, 0, initial_bits),
        result_range: (raw.min(), raw.max()),
        target: Target::Lut6,
    })?;
    let map = |constant: i64| match halves {
        2 => RawMap { gain: 1, offset: (constant + constant.rem_euclid(2)) / 2 },
        _ => RawMap { gain: 1, offset: constant },
    };
    Ok(Split {
        parts_latency: parts.iter().map(|part| part.product.latency_cycles()).max().unwrap_or(0),
        sum_latency: made.latency_cycles(),
        result_bits: made.result_bits() - u32::from(halves == 2),
        result_is_signed: raw.is_signed(),
        combinations: vec![(module_name, made)],
        initial_bits,
        pairs: None,
        paired_bits: 0,
        maps: constants.into_iter().map(map).collect(),
        parts,
        halved: halves == 2,
    })
}
