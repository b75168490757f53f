//! A plain evaluation of a network, straight from the definitions: the second opinion that import is compared with.

use network::Network;
use network::graph::{Encoding, HostStep, Layer, Tensor};
use network::op::{Op, Weights};
use network::requantization::{Form, Requantization, per_channel};
use network::shape::Window;

/// What a frame gave.
pub struct Outcome {
    /// Real results, in the model's order.
    pub reals: Vec<f64>,
    /// Sums within 1e-6 (relative) of a code boundary.
    pub near: usize,
}

/// Evaluates one frame given as codes in the model's order.
pub fn evaluate(network: &Network, codes: &[i64]) -> Outcome {
    let input = network.input();
    let mut tensors: Vec<Vec<i64>> =
        vec![input.axes.model_indices(input.shape).map(|index| codes[index as usize]).collect()];
    let mut near = 0;
    for (index, layer) in network.layers().iter().enumerate() {
        let from = &network.tensors()[layer.input().0];
        let made = run(layer, from, &tensors[layer.input().0], network.layer_output(index), &mut near);
        tensors.push(made);
    }
    let output = &network.outputs()[0];
    let last = network.output_tensor(output);
    let hardware = tensors.last().unwrap();
    let mut reals = vec![0.0; hardware.len()];
    for (place, index) in output.axes.model_indices(last.shape).enumerate() {
        let channel = place % last.shape.channels as usize;
        let value = hardware[place] as f64;
        let real =
            per_channel(&output.scales, channel).unwrap() * value + per_channel(&output.offsets, channel).unwrap();
        reals[index as usize] = match output.host {
            HostStep::None => real,
            HostStep::Relu => real.max(0.0),
            HostStep::Sigmoid => 1.0 / (1.0 + (-real).exp()),
            HostStep::Softmax => real,
        };
    }
    if output.host == HostStep::Softmax {
        let total: f64 = reals.iter().map(|real| real.exp()).sum();
        reals.iter_mut().for_each(|real| *real = real.exp() / total);
    }
    Outcome { reals, near }
}

fn run(layer: &Layer, from: &Tensor, input: &[i64], to: &Tensor, near: &mut usize) -> Vec<i64> {
    let values: Vec<i64> = input.iter().map(|&code| from.encoding.value(code)).collect();
    for &code in input {
        assert!(from.encoding.integers().contains(code), "{}: {code} outside {:?}", layer.name, from.encoding);
    }
    let sums = match &layer.op {
        Op::Dense { weights } => (0..weights.outputs).map(|output| dot(weights, output, &values)).collect(),
        Op::Conv2d { weights, window, padding_value, .. } => {
            convolve(weights, window, *padding_value, from, &values, to)
        }
        Op::Identity => values,
        Op::SumPool { .. } | Op::Add { .. } | Op::Multiply | Op::Concat | Op::Rearrange(_) => {
            panic!("no definition here")
        }
        Op::MaxPool { window } => return pool(window, from, input, to),
        Op::Argmax { multipliers, offsets } => {
            let grid: Vec<i64> = (0..values.len())
                .map(|c| per_channel(multipliers, c).unwrap() * values[c] + per_channel(offsets, c).unwrap())
                .collect();
            let best = grid.iter().max().unwrap();
            return vec![grid.iter().position(|value| value == best).unwrap() as i64];
        }
    };
    let channels = to.shape.channels as usize;
    match &layer.requantization {
        None => sums,
        Some(requantization) => sums
            .iter()
            .enumerate()
            .map(|(place, &sum)| {
                *near += usize::from(is_near(requantization, place % channels, sum));
                requantize(requantization, place % channels, sum)
            })
            .collect(),
    }
}

fn dot(weights: &Weights, output: usize, values: &[i64]) -> i64 {
    weights.row(output).iter().zip(values).map(|(&weight, &value)| i64::from(weight) * value).sum()
}

fn convolve(weights: &Weights, window: &Window, padding: i64, from: &Tensor, values: &[i64], to: &Tensor) -> Vec<i64> {
    let channels = from.shape.channels as usize;
    let mut sums = Vec::new();
    for row in 0..to.shape.rows {
        for column in 0..to.shape.columns {
            let mut taps = Vec::new();
            for tap_row in 0..window.kernel[0] {
                for tap_column in 0..window.kernel[1] {
                    let source_row = window.source(0, row, tap_row, from.shape.rows);
                    let source_column = window.source(1, column, tap_column, from.shape.columns);
                    match (source_row, source_column) {
                        (Some(r), Some(c)) => {
                            let start = (r * from.shape.columns + c) as usize * channels;
                            taps.extend_from_slice(&values[start..start + channels]);
                        }
                        _ => taps.extend(std::iter::repeat_n(padding, channels)),
                    }
                }
            }
            sums.extend((0..weights.outputs).map(|output| dot(weights, output, &taps)));
        }
    }
    sums
}

fn pool(window: &Window, from: &Tensor, codes: &[i64], to: &Tensor) -> Vec<i64> {
    let channels = from.shape.channels;
    let mut made = Vec::new();
    for row in 0..to.shape.rows {
        for column in 0..to.shape.columns {
            for channel in 0..channels {
                let taps = (0..window.taps()).filter_map(|tap| {
                    let r = window.source(0, row, tap / window.kernel[1], from.shape.rows)?;
                    let c = window.source(1, column, tap % window.kernel[1], from.shape.columns)?;
                    Some(codes[((r * from.shape.columns + c) * channels + channel) as usize])
                });
                made.push(taps.max().unwrap());
            }
        }
    }
    made
}

/// The code of a sum.
pub fn requantize(requantization: &Requantization, channel: usize, sum: i64) -> i64 {
    let Requantization { codes, form, .. } = requantization;
    match form {
        Form::Shift(shift) => {
            let value = i128::from(sum) * i128::from(per_channel(&shift.multipliers, channel).unwrap())
                + i128::from(per_channel(&shift.offsets, channel).unwrap());
            let step = 1i128 << shift.shift;
            let (floor, rest) = (value.div_euclid(step), value.rem_euclid(step));
            let up = shift.half_even && (2 * rest > step || (2 * rest == step && floor % 2 != 0));
            (floor + i128::from(up)).clamp(i128::from(codes.min()), i128::from(codes.max())) as i64
        }
        Form::Table(table) => table.code(channel, sum),
        Form::Thresholds(thresholds) => {
            let falling = per_channel(&thresholds.falling, channel).unwrap();
            let reached = |&&threshold: &&i64| if falling { sum <= threshold } else { sum >= threshold };
            codes.min() + thresholds.row(channel).iter().filter(reached).count() as i64
        }
    }
}

/// Whether a sum lies within 1e-6 (relative) of a boundary of the codes.
fn is_near(requantization: &Requantization, channel: usize, sum: i64) -> bool {
    let Some(rule) = &requantization.rule else { return false };
    let offset = per_channel(&rule.offsets, channel).unwrap();
    let scaled = per_channel(&rule.gains, channel).unwrap() * sum as f64;
    let value = scaled + offset;
    let boundary = value.floor() + 0.5;
    let inside = boundary > requantization.codes.min() as f64 && boundary < requantization.codes.max() as f64;
    inside && (value - boundary).abs() <= 1e-6 * scaled.abs().max(offset.abs()).max(1.0)
}

/// Codes of a float frame.
pub fn codes_of(network: &Network, frame: &[f32]) -> Vec<i64> {
    let Some(quantizer) = network.input().quantizer else { return frame.iter().map(|&value| value as i64).collect() };
    frame.iter().map(|&value| quantizer.code(value).unwrap()).collect()
}

/// How many elements of the network's tensors there are of each kind, for reports.
pub fn labels(network: &Network) -> Vec<String> {
    network.tensors().iter().map(|tensor: &Tensor| Encoding::label(tensor.encoding)).collect()
}
