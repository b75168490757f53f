//! Rows of integer weights, and the real meaning of their dot products.
//!
//! With real weights s_k w_k and real inputs a_k x_k + b_k an output is sum(s_k a_k w_k x_k) + sum(s_k b_k w_k).
//! Where s_k a_k is the same number g for all k it is g * sum(w_k x_k) + constant; where it differs, the weights take
//! up its integer multiples of the greatest common measure.

use crate::constant::{Constant, Grid, find_grid, narrowest};
use crate::exact::{Exact, Functions, Piece, gcd, integer, to_i64};
use crate::fault::{Checked, Fault};
use crate::walk::stream::entry;
use network::op::Weights;
use num_traits::{One, ToPrimitive, Zero};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Elements of a row with one weight scale and one input function, by their indices.
type Group = (u32, usize);

/// Weights in hardware order with one function of the sum for each output.
pub(super) struct Rows {
    pub weights: Weights,
    pub functions: Functions,
    pub note: Option<String>,
}

/// Builds rows from weights of shape (outputs, ...): hardware place `k` takes the model's element `order[k]` of its
/// row and reads channel `first(output) + k % channels`.
pub(super) fn build(
    weights: &Constant,
    order: &[usize],
    inputs: &[Piece],
    (channels, first): (usize, &dyn Fn(usize) -> usize),
) -> Checked<Rows> {
    let length = order.len();
    let outputs = weights.array.dims[0];
    let (grid, note) = grid_of(weights, length)?;
    let mut values = Vec::with_capacity(outputs * length);
    let mut functions = Vec::with_capacity(outputs);
    let mut absorbed = false;
    for output in 0..outputs {
        let start = output * length;
        // Elements with one scale and one input function belong together.
        let mut groups: BTreeMap<Group, i64> = BTreeMap::new();
        let channel_of = |place: usize| if inputs.len() == 1 { 0 } else { first(output) + place % channels };
        for (place, &element) in order.iter().enumerate() {
            let key = (grid.scale_of[start + element], channel_of(place));
            *groups.entry(key).or_default() += i64::from(grid.values[start + element]);
        }
        let step = |&(scale, channel): &Group| &grid.scales[scale as usize] * &entry(inputs, channel).gain;
        let mut offset = Exact::zero();
        for (&(scale, channel), &total) in groups.iter().filter(|(_, total)| **total != 0) {
            offset += &grid.scales[scale as usize] * &entry(inputs, channel).offset * integer(total);
        }
        let steps: BTreeMap<Group, Exact> = groups.keys().map(|key| (*key, step(key))).collect();
        let (gain, factors) = common_step(&steps)?;
        let is_plain = factors.values().all(|&factor| factor == 1);
        for (place, &element) in order.iter().enumerate() {
            let value = grid.values[start + element];
            if is_plain {
                values.push(value);
                continue;
            }
            absorbed = true;
            let factor = factors.get(&(grid.scale_of[start + element], channel_of(place))).copied().unwrap_or(1);
            values.push(i64::from(value).checked_mul(factor).and_then(|value| value.to_i32()).ok_or_else(too_wide)?);
        }
        functions.push(Piece::affine(gain, offset));
    }
    let format = if absorbed { narrowest(&values).ok_or_else(too_wide)? } else { grid.format };
    if values.iter().any(|&value| format.code(i64::from(value)).is_none()) {
        return Err(too_wide());
    }
    Ok(Rows { weights: Weights::plain(format, outputs, length, values), functions, note })
}

fn too_wide() -> Fault {
    Fault::operator(
        "scales inside a dot product differ, and weights of 16 bits cannot hold their ratios",
        "use one activation scale, and weight scales for each output channel",
    )
}

fn grid_of(weights: &Constant, length: usize) -> Checked<(Cow<'_, Grid>, Option<String>)> {
    if let Some(grid) = &weights.grid {
        return Ok((Cow::Borrowed(grid), None));
    }
    let floats = weights.array.floats();
    let grid = find_grid(&floats, length).ok_or_else(|| {
        Fault::quantizer(
            "the weights are not quantized",
            "put a Quant on the weights, or store them as multiples of a scale",
        )
    })?;
    let note = format!(
        "weights of shape {:?} without a quantizer are multiples of a step: read as {}",
        weights.array.dims, grid.format
    );
    Ok((Cow::Owned(grid), Some(note)))
}

/// The step that all steps are integer multiples of, and the multiples.
fn common_step(steps: &BTreeMap<Group, Exact>) -> Checked<(Exact, BTreeMap<Group, i64>)> {
    let first = steps.values().next().cloned().unwrap_or_else(Exact::one);
    if steps.values().all(|step| *step == first) {
        return Ok((first, steps.keys().map(|key| (*key, 1)).collect()));
    }
    let common = steps.values().fold(Exact::zero(), |common, step| gcd(&common, step));
    let factors = steps
        .iter()
        .map(|(key, step)| Ok((*key, to_i64(&(step / &common)).filter(|f| f.abs() <= 65535).ok_or_else(too_wide)?)))
        .collect::<Checked<_>>()?;
    Ok((common, factors))
}
