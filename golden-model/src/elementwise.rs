//! Layers without a dense product: grouped convolutions, sums over windows, sums and products of tensors, and moves.

use crate::layer::Integers;
use network::Shape;
use network::graph::{Encoding, Tensor};
use network::op::{Op, Rearrangement, Weights};
use network::requantization::per_channel;
use network::shape::Window;

/// How the sums of a layer without a dense product are made.
pub(crate) enum Sums {
    Grouped(Grouped),
    Pool(Pool),
    Add { encodings: Vec<Encoding>, factors: Vec<Vec<i64>>, channels: usize },
    Multiply { encodings: Vec<Encoding>, channels: usize },
    Values(Encoding),
}

impl Sums {
    /// The way for an operator; `None` for those that make no sums, or make them by a dense product.
    pub(crate) fn new(op: &Op, inputs: &[&Tensor], output: Shape) -> Option<Self> {
        let encodings = || inputs.iter().map(|tensor| tensor.encoding).collect();
        let channels = output.channels as usize;
        let input = inputs.first()?;
        Some(match op {
            Op::Conv2d { weights, window, padding_value, groups } => {
                Sums::Grouped(Grouped::new(weights, *window, *padding_value, *groups, input, output))
            }
            Op::SumPool { window, padding_value } => Sums::Pool(Pool {
                windows: Windows { window: *window, input: input.shape, output },
                encoding: input.encoding,
                padding: *padding_value,
            }),
            Op::Add { factors } => {
                let spread = |row: &Vec<i64>| (0..channels).map(|c| per_channel(row, c).unwrap_or(0)).collect();
                Sums::Add { encodings: encodings(), factors: factors.iter().map(spread).collect(), channels }
            }
            Op::Multiply => Sums::Multiply { encodings: encodings(), channels },
            Op::Identity => Sums::Values(input.encoding),
            Op::Dense { .. } | Op::MaxPool { .. } | Op::Concat | Op::Rearrange(_) | Op::Argmax { .. } => return None,
        })
    }

    /// The sums of one frame, in hardware order, into `sums`.
    pub(crate) fn run(&self, inputs: &[&Integers], sums: &mut Vec<i64>) {
        sums.clear();
        let Some(first) = inputs.first() else { return };
        match self {
            Sums::Grouped(grouped) => grouped.run(first, sums),
            Sums::Pool(pool) => pool.run(first, sums),
            Sums::Values(encoding) => values(first, *encoding, sums),
            Sums::Add { encodings, factors, channels } => {
                let mut term = Vec::new();
                for (index, ((input, encoding), factors)) in inputs.iter().zip(encodings).zip(factors).enumerate() {
                    term.clear();
                    values(input, *encoding, &mut term);
                    if index == 0 {
                        sums.resize(term.len(), 0);
                    }
                    let single = term.len() == *channels;
                    for (position, sums) in sums.chunks_exact_mut(*channels).enumerate() {
                        let start = if single { 0 } else { position * channels };
                        let term = term.get(start..start + channels).unwrap_or(&[]);
                        for ((sum, value), factor) in sums.iter_mut().zip(term).zip(factors) {
                            *sum += value * factor;
                        }
                    }
                }
            }
            Sums::Multiply { encodings, channels } => {
                let mut other = Vec::new();
                if let (Some(second), [a, b]) = (inputs.get(1), &encodings[..]) {
                    values(first, *a, sums);
                    values(second, *b, &mut other);
                }
                let single = other.len() == *channels;
                for (position, sums) in sums.chunks_exact_mut(*channels).enumerate() {
                    let start = if single { 0 } else { position * channels };
                    for (sum, value) in sums.iter_mut().zip(other.get(start..start + channels).unwrap_or(&[])) {
                        *sum *= value;
                    }
                }
            }
        }
    }
}

/// Appends the values of all integers.
fn values(integers: &Integers, encoding: Encoding, values: &mut Vec<i64>) {
    match integers {
        Integers::Narrow(integers) => values.extend(integers.iter().map(|&i| encoding.value(i64::from(i)))),
        Integers::Wide(integers) => values.extend(integers.iter().map(|&i| encoding.value(i))),
    }
}

/// A window over an image.
struct Windows {
    window: Window,
    input: Shape,
    output: Shape,
}

impl Windows {
    /// Visits for each position in turn its taps: the first element of the input position, or `None` in the padding.
    fn visit(&self, mut position: impl FnMut(&mut dyn Iterator<Item = (usize, Option<usize>)>)) {
        let Windows { window, input, output } = self;
        for row in 0..output.rows {
            for column in 0..output.columns {
                let taps = (0..window.kernel[0]).flat_map(|r| (0..window.kernel[1]).map(move |c| (r, c)));
                let mut taps = taps.enumerate().map(|(tap, (r, c))| {
                    let row = window.source(0, row, r, input.rows);
                    let column = window.source(1, column, c, input.columns);
                    let first = row.zip(column).map(|(r, c)| ((r * input.columns + c) * input.channels) as usize);
                    (tap, first)
                });
                position(&mut taps);
            }
        }
    }
}

/// Sums over windows.
pub(crate) struct Pool {
    windows: Windows,
    encoding: Encoding,
    padding: i64,
}

impl Pool {
    fn run(&self, input: &Integers, sums: &mut Vec<i64>) {
        let channels = self.windows.input.channels as usize;
        let mut all = Vec::new();
        values(input, self.encoding, &mut all);
        self.windows.visit(|taps| {
            let start = sums.len();
            sums.resize(start + channels, 0);
            for (_, first) in taps {
                match first {
                    Some(first) => {
                        for (sum, value) in sums[start..].iter_mut().zip(&all[first..first + channels]) {
                            *sum += value;
                        }
                    }
                    None => sums[start..].iter_mut().for_each(|sum| *sum += self.padding),
                }
            }
        });
    }
}

/// A convolution whose channels are cut into groups.
pub(crate) struct Grouped {
    windows: Windows,
    encoding: Encoding,
    padding: i64,
    /// Input and output channels of a group.
    group: [usize; 2],
    /// For each tap and each input channel of a group (in this order) the weights of all outputs.
    weights: Vec<i64>,
    outputs: usize,
}

impl Grouped {
    fn new(weights: &Weights, window: Window, padding: i64, groups: u64, input: &Tensor, output: Shape) -> Self {
        let windows = Windows { window, input: input.shape, output };
        let group = [input.shape.channels / groups, output.channels / groups].map(|count| count as usize);
        let by_place = (0..weights.length)
            .flat_map(|place| (0..weights.outputs).map(move |o| weights.row(o).get(place).copied().unwrap_or(0)))
            .map(i64::from);
        let weights_by_place = by_place.collect();
        Grouped {
            windows,
            encoding: input.encoding,
            padding,
            group,
            weights: weights_by_place,
            outputs: weights.outputs,
        }
    }

    fn run(&self, input: &Integers, sums: &mut Vec<i64>) {
        let mut all = Vec::new();
        values(input, self.encoding, &mut all);
        let channels = self.windows.input.channels as usize;
        let [group_inputs, group_outputs] = self.group;
        let padding = vec![self.padding; channels];
        self.windows.visit(|taps| {
            let start = sums.len();
            sums.resize(start + self.outputs, 0);
            let sums = &mut sums[start..];
            for (tap, first) in taps {
                let pixel = match first {
                    Some(first) => &all[first..first + channels],
                    None if self.padding == 0 => continue,
                    None => &padding,
                };
                for inner in 0..group_inputs {
                    let place = (tap * group_inputs + inner) * self.outputs;
                    let weights = &self.weights[place..place + self.outputs];
                    if (group_inputs, group_outputs) == (1, 1) {
                        for ((sum, value), weight) in sums.iter_mut().zip(pixel).zip(weights) {
                            *sum += value * weight;
                        }
                        continue;
                    }
                    let groups = pixel.chunks_exact(group_inputs).zip(sums.chunks_exact_mut(group_outputs));
                    for ((values, sums), weights) in groups.zip(weights.chunks_exact(group_outputs)) {
                        for (sum, weight) in sums.iter_mut().zip(weights) {
                            *sum += values[inner] * weight;
                        }
                    }
                }
            }
        });
    }
}

/// Layers that only move integers.
pub(crate) enum Moves {
    Concat { channels: Vec<usize> },
    Rearrange(Rearrangement),
}

impl Moves {
    /// Moves one frame.
    pub(crate) fn run(&self, inputs: &[&Integers], output: &mut Integers) {
        match self {
            Moves::Concat { channels } => {
                let all: usize = channels.iter().sum();
                let mut start = 0;
                for (input, count) in inputs.iter().zip(channels) {
                    match (input, &mut *output) {
                        (Integers::Narrow(input), Integers::Narrow(output)) => place(input, output, start, *count, all),
                        (Integers::Wide(input), Integers::Wide(output)) => place(input, output, start, *count, all),
                        // The union of ranges may need more bits than one of them.
                        (Integers::Narrow(input), Integers::Wide(output)) => {
                            let input: Vec<i64> = input.iter().copied().map(i64::from).collect();
                            place(&input, output, start, *count, all);
                        }
                        (Integers::Wide(_), Integers::Narrow(_)) => {}
                    }
                    start += count;
                }
            }
            Moves::Rearrange(rearrangement) => match (inputs.first(), output) {
                (Some(Integers::Narrow(input)), Integers::Narrow(output)) => rearrange(rearrangement, input, output),
                (Some(Integers::Wide(input)), Integers::Wide(output)) => rearrange(rearrangement, input, output),
                _ => {}
            },
        }
    }
}

fn place<T: Copy>(input: &[T], output: &mut [T], start: usize, count: usize, all: usize) {
    for (from, to) in input.chunks_exact(count).zip(output.chunks_exact_mut(all)) {
        to[start..start + count].copy_from_slice(from);
    }
}

fn rearrange<T: Copy>(rearrangement: &Rearrangement, input: &[T], output: &mut [T]) {
    for (element, to) in rearrangement.elements().zip(output) {
        *to = input[element as usize];
    }
}
