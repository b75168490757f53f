//! Cross-layer equalisation: channels between two layers are scaled so that both use their grids equally well.
//!
//! For a layer whose results reach one other layer through operators with f(a x) = a f(x) for a > 0, dividing output
//! channel i of the first by s and multiplying input channel i of the second by s changes nothing in float. Nagel et al.
//! (2019) choose s = sqrt(r1 / r2) from the largest magnitudes r1 and r2 of the channel's weights on both sides.

use super::fold::channel_of;
use crate::fault::Checked;
use crate::model::{Array, Model, Node, ValueId};
use std::collections::BTreeMap;

/// Operators that a positive factor for each channel goes through.
const HOMOGENEOUS: &[&str] = &[
    "Relu",
    "LeakyRelu",
    "PRelu",
    "MaxPool",
    "GlobalMaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Flatten",
    "Reshape",
    "Identity",
    "Dropout",
];
/// Rounds over all pairs: chains of pairs settle after a few.
const ROUNDS: usize = 8;

/// Two layers: the constants that hold their numbers.
struct Pair {
    weights: [ValueId; 2],
    bias: Option<ValueId>,
    /// Channel between them for each element of the weights.
    channel: [Vec<usize>; 2],
    channels: usize,
}

/// Equalizes all pairs; says how many there are.
pub(super) fn equalize(model: &mut Model, shapes: &BTreeMap<ValueId, Vec<usize>>) -> Checked<usize> {
    own_constants(model);
    let mut pairs = Vec::new();
    for index in 0..model.nodes.len() {
        pairs.extend(pair(model, shapes, index)?);
    }
    for _ in 0..ROUNDS {
        for pair in &pairs {
            balance(model, pair);
        }
    }
    Ok(pairs.len())
}

/// Gives every node of weights constants that no other node reads.
fn own_constants(model: &mut Model) {
    for index in 0..model.nodes.len() {
        if !crate::model::MATRIX_OPERATORS.contains(&model.nodes[index].op.as_str()) {
            continue;
        }
        for input in 1..model.nodes[index].inputs.len() {
            let Some(id) = model.nodes[index].inputs[input] else { continue };
            let Some(array) = model.constants.get(&id).cloned() else { continue };
            let own = model.fresh_constant("weights", array);
            model.nodes[index].inputs[input] = Some(own);
        }
    }
}

/// The pair that starts with a node, where there is one.
fn pair(model: &Model, shapes: &BTreeMap<ValueId, Vec<usize>>, first: usize) -> Checked<Option<Pair>> {
    let node = &model.nodes[first];
    let constant = |node: &Node, input: usize| {
        node.inputs.get(input).copied().flatten().filter(|id| model.constants.contains_key(id))
    };
    let (Some(&output), Some(weights)) = (node.outputs.first(), constant(node, 1)) else { return Ok(None) };
    let bias = node.inputs.get(2).copied().flatten();
    if !matches!(node.op.as_str(), "Conv" | "Gemm") || bias.is_some_and(|id| !model.constants.contains_key(&id)) {
        return Ok(None);
    }
    let channels = shapes.get(&output).and_then(|dims| dims.get(1)).copied().unwrap_or(0);
    let Some(channel_of) = channel_of(node, &model.constants[&weights].dims, channels)? else { return Ok(None) };
    if bias.is_some_and(|id| model.constants[&id].len() != channels) || channels == 0 {
        return Ok(None);
    }
    let of_first = (0..model.constants[&weights].len()).map(channel_of).collect();
    let mut at = output;
    loop {
        let mut readers = model.nodes.iter().filter(|node| node.inputs.contains(&Some(at)));
        let (Some(reader), None) = (readers.next(), readers.next()) else { return Ok(None) };
        let dims = shapes.get(&at).cloned().unwrap_or_default();
        if model.outputs.contains(&at) || reader.inputs.first() != Some(&Some(at)) {
            return Ok(None);
        }
        if HOMOGENEOUS.contains(&reader.op.as_str()) {
            let Some(&next) = reader.outputs.first() else { return Ok(None) };
            let next_dims = shapes.get(&next).cloned().unwrap_or_default();
            // Only views that keep channels slowest: (1, channels, ...) to itself, or to (1, all).
            let keeps = next_dims.get(1) == dims.get(1) || next_dims.len() == 2 && dims.get(1) == Some(&channels);
            if !keeps || next_dims.first() != Some(&1) {
                return Ok(None);
            }
            at = next;
            continue;
        }
        let Some(second) = constant(reader, 1) else { return Ok(None) };
        let Some(of_second) = input_channels(reader, &model.constants[&second].dims, &dims, channels)? else {
            return Ok(None);
        };
        return Ok(Some(Pair { weights: [weights, second], bias, channel: [of_first, of_second], channels }));
    }
}

/// The channel (of `channels` before any flattening) that each element of a layer's weights is multiplied with.
fn input_channels(node: &Node, dims: &[usize], data: &[usize], channels: usize) -> Checked<Option<Vec<usize>>> {
    let count: usize = dims.iter().product();
    let inputs = data.get(1).copied().unwrap_or(0);
    if inputs == 0 || !inputs.is_multiple_of(channels) {
        return Ok(None);
    }
    let part = inputs / channels;
    Ok(match (node.op.as_str(), dims.len()) {
        ("Conv", 3..) if part == 1 && dims[0] > 0 => {
            let group = usize::try_from(node.attributes.int("group", 1)?).unwrap_or(1).max(1);
            let taps: usize = dims[2..].iter().product();
            let of_group = dims[0].div_ceil(group).max(1);
            (dims[1] * group == inputs && taps > 0).then(|| {
                (0..count).map(|place| place / taps / dims[1] / of_group * dims[1] + place / taps % dims[1]).collect()
            })
        }
        ("Gemm" | "MatMul", 2) if data.len() == 2 => {
            let is_row = node.op == "Gemm" && node.attributes.int("transB", 0)? != 0;
            if node.op == "Gemm" && node.attributes.int("transA", 0)? != 0 || dims[usize::from(is_row)] != inputs {
                return Ok(None);
            }
            Some((0..count).map(|place| if is_row { place % inputs } else { place / dims[1] } / part).collect())
        }
        _ => None,
    })
}

/// Scales one pair.
fn balance(model: &mut Model, pair: &Pair) {
    let largest = |side: usize| {
        let mut most = vec![0f32; pair.channels];
        if let Some(array) = model.constants.get(&pair.weights[side]) {
            for (place, &channel) in pair.channel[side].iter().enumerate() {
                most[channel] = most[channel].max(array.f32(place).abs());
            }
        }
        most
    };
    let (first, second) = (largest(0), largest(1));
    let factors: Vec<f32> = first
        .iter()
        .zip(&second)
        .map(|(&first, &second)| {
            let factor = (first / second).sqrt();
            if first > 0.0 && second > 0.0 && factor.is_normal() { factor.clamp(1e-3, 1e3) } else { 1.0 }
        })
        .collect();
    scale(model, pair.weights[0], &pair.channel[0], &factors, |value, factor| value / factor);
    scale(model, pair.weights[1], &pair.channel[1], &factors, |value, factor| value * factor);
    if let Some(bias) = pair.bias {
        let own: Vec<usize> = (0..pair.channels).collect();
        scale(model, bias, &own, &factors, |value, factor| value / factor);
    }
}

fn scale(model: &mut Model, id: ValueId, channel: &[usize], factors: &[f32], apply: fn(f32, f32) -> f32) {
    let Some(array) = model.constants.get_mut(&id) else { return };
    let values = array.floats().iter().zip(channel).map(|(&value, &channel)| apply(value, factors[channel])).collect();
    *array = Array::float(array.dims.clone(), values);
}
