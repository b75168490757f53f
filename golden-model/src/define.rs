//! The plain integer definition of a network: one loop for each index, straight from the formulas.
//!
//! Slow on purpose. It shares no code with the kernels, computes in 128 bits and is the reference in their tests.

use crate::trace::{EvaluateError, LayerTrace, MAX_ELEMENTS, Trace};
use network::Network;
use network::average::Counted;
use network::format::{Format, Kind};
use network::graph::{Encoding, Tensor};
use network::op::{Loop, Op, Rearrangement, TopGives, Weights};
use network::requantization::{Form, Requantization, per_channel};
use network::shape::{Shape, Window};

/// Evaluates one frame of codes in hardware order, one input after the other.
pub fn evaluate(network: &Network, input: &[i32]) -> Result<Trace, EvaluateError> {
    if input.len() as u64 != network.frame_elements() {
        return Err(EvaluateError::InputLength { expected: network.frame_elements(), found: input.len() as u64 });
    }
    let mut trace = Trace::default();
    let mut first = 0;
    for tensor in network.input_tensors() {
        let range = tensor.encoding.integers();
        let end = first + tensor.shape.elements() as usize;
        for (element, &code) in input.iter().enumerate().take(end).skip(first) {
            if !range.contains(i64::from(code)) {
                return Err(EvaluateError::InputCode { element, code: i64::from(code), range });
            }
        }
        trace.inputs.push(input[first..end].iter().map(|&code| i64::from(code)).collect());
        first = end;
    }
    for (index, layer) in network.layers().iter().enumerate() {
        let shape = network.layer_output(index).shape;
        if shape.elements() > MAX_ELEMENTS {
            return Err(EvaluateError::TooLarge { layer: layer.name.clone(), elements: shape.elements() });
        }
        let from = network.layer_input(layer);
        let all: Vec<Values> = layer
            .inputs
            .iter()
            .map(|id| {
                let tensor = &network.tensors()[id.0];
                let integers = trace.tensor(id.0).unwrap_or(&[]).to_vec();
                let values = integers.iter().map(|&integer| value(tensor.encoding, integer)).collect();
                Values { shape: tensor.shape, integers, values }
            })
            .collect();
        let Some(Values { integers, values, .. }) = all.first() else { continue };
        let made = match &layer.op {
            Op::Dense { weights } => sums(dense(weights, values), layer.requantization.as_ref(), shape),
            Op::Conv2d { weights, window, padding_value, groups } => {
                let sum = conv2d(weights, window, (i128::from(*padding_value), *groups), from, shape, values);
                sums(sum, layer.requantization.as_ref(), shape)
            }
            Op::SumPool { window, padding_value, counted } => {
                let sum = match counted {
                    Some(counted) => counted_pool(window, i128::from(*padding_value), counted, from, shape, values),
                    None => sum_pool(window, i128::from(*padding_value), from, shape, values),
                };
                sums(sum, layer.requantization.as_ref(), shape)
            }
            Op::Add { factors } => sums(add(factors, &all, shape), layer.requantization.as_ref(), shape),
            Op::Multiply => sums(multiply(&all, shape), layer.requantization.as_ref(), shape),
            Op::Concat => codes(concat(&all, shape)),
            Op::Rearrange(rearrangement) => codes(rearrange(rearrangement, integers)),
            Op::Identity => sums(values.clone(), layer.requantization.as_ref(), shape),
            Op::MaxPool { window } => codes(max_pool(window, from, shape, integers)),
            Op::Argmax { multipliers, offsets } => {
                codes(top(1, TopGives::Indices, (multipliers, offsets), from.shape.channels, values))
            }
            Op::TopK { count, gives, multipliers, offsets } => {
                codes(top(*count, *gives, (multipliers, offsets), from.shape.channels, values))
            }
        };
        trace.layers.push(made);
    }
    Ok(trace)
}

/// One tensor that a layer reads.
struct Values {
    shape: Shape,
    integers: Vec<i64>,
    values: Vec<i128>,
}

impl Values {
    /// Index of an element; a single position stands for all.
    fn index(&self, [row, column, channel]: [u64; 3]) -> usize {
        let Shape { columns, channels, .. } = self.shape;
        let position = if self.shape.positions() == 1 { 0 } else { row * columns + column };
        (position * channels + channel) as usize
    }
}

/// The value that an integer of a tensor means; of bipolar codes the sum of 2^(m-1) c_m over planes c_m in {-1,+1}.
pub fn value(encoding: Encoding, integer: i64) -> i128 {
    match encoding {
        Encoding::Codes { format, .. } if format.kind() == Kind::Bipolar => {
            planes(format, integer).enumerate().map(|(plane, sign)| (1i128 << plane) * i128::from(sign)).sum()
        }
        Encoding::Codes { .. } | Encoding::Sums { .. } => i128::from(integer),
    }
}

/// The planes of a bipolar code, least significant first, each -1 or +1.
pub fn planes(format: Format, code: i64) -> impl Iterator<Item = i8> {
    (0..format.bits()).map(move |plane| if code >> plane & 1 == 1 { 1 } else { -1 })
}

fn dense(weights: &Weights, values: &[i128]) -> Vec<i128> {
    (0..weights.outputs)
        .map(|output| weights.row(output).iter().zip(values).map(|(&weight, value)| i128::from(weight) * value).sum())
        .collect()
}

fn conv2d(
    weights: &Weights,
    window: &Window,
    (padding, groups): (i128, u64),
    from: &Tensor,
    to: Shape,
    values: &[i128],
) -> Vec<i128> {
    let (group_inputs, group_outputs) = (from.shape.channels / groups, weights.outputs as u64 / groups);
    let mut sums = Vec::new();
    for_each_position(to, |row, column| {
        for output in 0..weights.outputs {
            let mut sum = 0;
            for tap_row in 0..window.kernel[0] {
                for tap_column in 0..window.kernel[1] {
                    for inner in 0..group_inputs {
                        let channel = output as u64 / group_outputs * group_inputs + inner;
                        let element = element(window, from.shape, [row, column], [tap_row, tap_column], channel);
                        let value = element.map_or(padding, |element| values[element]);
                        let tap = (tap_row * window.kernel[1] + tap_column) * group_inputs + inner;
                        sum += value * i128::from(weights.row(output)[tap as usize]);
                    }
                }
            }
            sums.push(sum);
        }
    });
    sums
}

fn sum_pool(window: &Window, padding: i128, from: &Tensor, to: Shape, values: &[i128]) -> Vec<i128> {
    let mut sums = Vec::new();
    for_each_position(to, |row, column| {
        for channel in 0..to.channels {
            let taps = (0..window.kernel[0]).flat_map(|r| (0..window.kernel[1]).map(move |c| [r, c]));
            let tap = |tap| element(window, from.shape, [row, column], tap, channel).map_or(padding, |e| values[e]);
            sums.push(taps.map(tap).sum());
        }
    });
    sums
}

/// Sums of the taps that count, each times the least common multiple of all counts and divided by its own.
fn counted_pool(
    window: &Window,
    padding: i128,
    counted: &Counted,
    from: &Tensor,
    to: Shape,
    values: &[i128],
) -> Vec<i128> {
    let (mut sums, mut counts) = (Vec::new(), Vec::new());
    let lengths = [from.shape.rows, from.shape.columns].map(i128::from);
    for_each_position(to, |row, column| {
        let mut taps = Vec::new();
        for tap in (0..window.kernel[0]).flat_map(|r| (0..window.kernel[1]).map(move |c| [r, c])) {
            let counts = [0, 1].into_iter().all(|axis| {
                let start = i128::from([row, column][axis]) * i128::from(window.stride[axis]);
                let place = start + i128::from(tap[axis]) * i128::from(window.dilation[axis])
                    - i128::from(window.padding_before[axis]);
                -i128::from(counted.before[axis]) <= place && place < lengths[axis] + i128::from(counted.after[axis])
            });
            if counts {
                taps.push(tap);
            }
        }
        counts.push(taps.len() as i128);
        for channel in 0..to.channels {
            let at = |tap: &[u64; 2]| element(window, from.shape, [row, column], *tap, channel);
            sums.push(taps.iter().map(|tap| at(tap).map_or(padding, |e| values[e])).sum::<i128>());
        }
    });
    let most = counts.iter().copied().max().unwrap_or(1);
    let common = (1..).map(|turn| turn * most).find(|multiple| counts.iter().all(|count| multiple % count == 0));
    let common = common.unwrap_or(1);
    sums.iter().enumerate().map(|(index, sum)| sum * common / counts[index / to.channels as usize]).collect()
}

/// Visits every element of a shape in hardware order.
fn each_element<T>(shape: Shape, element: impl Fn([u64; 3]) -> T) -> Vec<T> {
    let mut made = Vec::new();
    for_each_position(shape, |row, column| made.extend((0..shape.channels).map(|c| element([row, column, c]))));
    made
}

fn add(factors: &[Vec<i64>], inputs: &[Values], shape: Shape) -> Vec<i128> {
    each_element(shape, |at| {
        let term = |(input, factors): (&Values, &Vec<i64>)| {
            i128::from(per_channel(factors, at[2] as usize).unwrap_or(0)) * input.values[input.index(at)]
        };
        inputs.iter().zip(factors).map(term).sum()
    })
}

fn multiply(inputs: &[Values], shape: Shape) -> Vec<i128> {
    each_element(shape, |at| inputs.iter().map(|input| input.values[input.index(at)]).product())
}

fn concat(inputs: &[Values], shape: Shape) -> Vec<i64> {
    each_element(shape, |[row, column, mut channel]| {
        for input in inputs {
            if channel < input.shape.channels {
                return input.integers[input.index([row, column, channel])];
            }
            channel -= input.shape.channels;
        }
        0
    })
}

fn rearrange(rearrangement: &Rearrangement, integers: &[i64]) -> Vec<i64> {
    (0..rearrangement.shape.elements())
        .map(|mut index| {
            let mut element = rearrangement.start as i64;
            for Loop { count, stride } in rearrangement.loops.iter().rev() {
                element += (index % count) as i64 * stride;
                index /= count;
            }
            integers[element as usize]
        })
        .collect()
}

fn max_pool(window: &Window, from: &Tensor, to: Shape, integers: &[i64]) -> Vec<i64> {
    let mut greatest = Vec::new();
    for_each_position(to, |row, column| {
        for channel in 0..to.channels {
            let taps = (0..window.kernel[0]).flat_map(|r| (0..window.kernel[1]).map(move |c| [r, c]));
            let inside = taps.filter_map(|tap| element(window, from.shape, [row, column], tap, channel));
            let least = from.encoding.integers().min();
            greatest.push(inside.map(|element| integers[element]).max().unwrap_or(least));
        }
    });
    greatest
}

/// The greatest again and again, among those that are left.
fn top(
    count: u64,
    gives: TopGives,
    (multipliers, offsets): (&[i64], &[i64]),
    channels: u64,
    values: &[i128],
) -> Vec<i64> {
    let mut made = Vec::new();
    for values in values.chunks(channels as usize) {
        let grid = |channel: usize| {
            let multiplier = per_channel(multipliers, channel).unwrap_or(0);
            let offset = per_channel(offsets, channel).unwrap_or(0);
            i128::from(multiplier) * values[channel] + i128::from(offset)
        };
        let mut left: Vec<usize> = (0..values.len()).collect();
        for _ in 0..count {
            let mut best = 0;
            for place in 1..left.len() {
                if grid(left[place]) > grid(left[best]) {
                    best = place;
                }
            }
            let channel = left.remove(best);
            made.push(if gives == TopGives::Indices { channel as i64 } else { grid(channel) as i64 });
        }
    }
    made
}

fn for_each_position(shape: Shape, mut visit: impl FnMut(u64, u64)) {
    for row in 0..shape.rows {
        for column in 0..shape.columns {
            visit(row, column);
        }
    }
}

/// Index of the element that a tap sees, or `None` in the padding.
fn element(window: &Window, shape: Shape, position: [u64; 2], tap: [u64; 2], channel: u64) -> Option<usize> {
    let lengths = [shape.rows, shape.columns];
    let [row, column] = [0, 1].map(|axis| {
        let place = i128::from(position[axis]) * i128::from(window.stride[axis])
            + i128::from(tap[axis]) * i128::from(window.dilation[axis])
            - i128::from(window.padding_before[axis]);
        (0..i128::from(lengths[axis])).contains(&place).then_some(place as u64)
    });
    Some(((row? * shape.columns + column?) * shape.channels + channel) as usize)
}

fn codes(output: Vec<i64>) -> LayerTrace {
    LayerTrace { sums: None, output }
}

fn sums(sums: Vec<i128>, requantization: Option<&Requantization>, shape: Shape) -> LayerTrace {
    let sums: Vec<i64> = sums.into_iter().map(|sum| sum as i64).collect();
    let output = match requantization {
        None => sums.clone(),
        Some(requantization) => sums
            .iter()
            .enumerate()
            .map(|(index, &sum)| requantize(requantization, index % shape.channels as usize, sum))
            .collect(),
    };
    LayerTrace { sums: Some(sums), output }
}

/// The code of a sum in one channel.
pub fn requantize(requantization: &Requantization, channel: usize, sum: i64) -> i64 {
    let (least, most) = (i128::from(requantization.codes.min()), i128::from(requantization.codes.max()));
    let code = match &requantization.form {
        Form::Shift(form) => {
            let multiplier = i128::from(per_channel(&form.multipliers, channel).unwrap_or(0));
            let offset = i128::from(per_channel(&form.offsets, channel).unwrap_or(0));
            let divisor = 1i128 << form.shift;
            let product = i128::from(sum) * multiplier + offset;
            let (floor, remainder) = (product.div_euclid(divisor), product.rem_euclid(divisor));
            let up = match (2 * remainder).cmp(&divisor) {
                std::cmp::Ordering::Less => false,
                std::cmp::Ordering::Equal => floor % 2 != 0,
                std::cmp::Ordering::Greater => true,
            };
            floor + i128::from(form.half_even && up)
        }
        Form::Thresholds(form) => {
            let falls = per_channel(&form.falling, channel).unwrap_or(false);
            let reached = |threshold: &&i64| if falls { sum <= **threshold } else { sum >= **threshold };
            least + form.row(channel).iter().filter(reached).count() as i128
        }
        Form::Table(form) => {
            let (thresholds, codes) = form.row(channel);
            i128::from(codes[thresholds.iter().filter(|threshold| sum >= **threshold).count()])
        }
    };
    code.clamp(least, most) as i64
}
