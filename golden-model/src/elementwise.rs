//! Layers whose sums are made element by element: sums and products of tensors, and sums over windows.

use crate::kernel::instructions::for_each_instruction_set;
use crate::requantize::Requantizer;
use crate::tasks::{Rows, Tasks};
use crate::tensor::{Source, Target, fits_32_bits};
use network::average::CountFactors;
use network::graph::{Encoding, Tensor};
use network::op::Op;
use network::requantization::per_channel;
use network::shape::Window;
use network::{Range, Shape};
use num_traits::{AsPrimitive, PrimInt, WrappingAdd, WrappingMul};

/// Elements that one pass of an inner loop takes, so that a few channels still fill the vectors.
const TILE: usize = 64;

/// A layer that makes sums element by element, and what becomes of them.
pub(crate) struct Sums {
    way: Way,
    rows: usize,
    row_elements: usize,
    channels: usize,
    is_narrow: bool,
    requantizer: Option<Requantizer>,
}

/// How sums are made. A value is a linear function of its integer.
enum Way {
    /// constant + sum of multiplier * integer; each for a tile of channels.
    Linear {
        constants: Vec<i64>,
        multipliers: Vec<Vec<i64>>,
    },
    Multiply([Linear; 2]),
    Pool {
        window: Window,
        input: Shape,
        linear: Linear,
        padding: i64,
        counted: Option<CountFactors>,
    },
}

/// value = integer * factor + start.
#[derive(Clone, Copy)]
struct Linear {
    factor: i64,
    start: i64,
}

impl Linear {
    fn new(encoding: Encoding) -> Self {
        let start = encoding.value(0);
        Linear { factor: encoding.value(1) - start, start }
    }
}

/// A type of sums; arithmetic wraps, and is exact whenever the sum fits.
trait Sum: PrimInt + WrappingAdd + WrappingMul + AsPrimitive<i64> {}
impl Sum for i32 {}
impl Sum for i64 {}

impl Sums {
    /// The way for an operator; `None` for those that make no sums, or make them by a dense product.
    pub(crate) fn new(
        op: &Op,
        inputs: &[&Tensor],
        output: Shape,
        sums: Range,
        requantizer: Option<Requantizer>,
    ) -> Option<Self> {
        let channels = output.channels as usize;
        let input = inputs.first()?;
        let linear = |factors: &[Vec<i64>]| {
            let tile = channels * TILE.div_ceil(channels);
            let terms: Vec<(Linear, &Vec<i64>)> =
                inputs.iter().map(|input| Linear::new(input.encoding)).zip(factors).collect();
            let factor = |row: &[i64], place: usize| per_channel(row, place % channels).unwrap_or(0);
            let constant = |place| {
                terms.iter().map(|(l, row)| l.start.wrapping_mul(factor(row, place))).fold(0, i64::wrapping_add)
            };
            let multipliers = |(linear, row): &(Linear, &Vec<i64>)| {
                (0..tile).map(|place| linear.factor.wrapping_mul(factor(row, place))).collect()
            };
            Way::Linear {
                constants: (0..tile).map(constant).collect(),
                multipliers: terms.iter().map(multipliers).collect(),
            }
        };
        let way = match op {
            Op::SumPool { window, padding_value, counted } => Way::Pool {
                window: *window,
                input: input.shape,
                linear: Linear::new(input.encoding),
                padding: *padding_value,
                counted: match counted {
                    Some(counted) => Some(counted.factors(window, input.shape)?),
                    None => None,
                },
            },
            Op::Add { factors } => linear(factors),
            Op::Identity => linear(&[vec![1]]),
            Op::Multiply => Way::Multiply([Linear::new(input.encoding), Linear::new(inputs.get(1)?.encoding)]),
            Op::Dense { .. } | Op::Conv2d { .. } | Op::MaxPool { .. } => return None,
            Op::Concat | Op::Rearrange(_) | Op::Argmax { .. } | Op::TopK { .. } => return None,
        };
        Some(Sums {
            way,
            rows: output.rows as usize,
            row_elements: output.columns as usize * channels,
            channels,
            is_narrow: fits_32_bits(sums),
            requantizer,
        })
    }

    /// Evaluates one frame.
    pub(crate) fn run(&self, tasks: Tasks<'_>, inputs: &[Source<'_>], target: Target<'_>, keep: Option<&mut [i64]>) {
        let taps = match &self.way {
            Way::Linear { .. } | Way::Multiply(_) => 1,
            Way::Pool { window, .. } => window.taps() as usize,
        };
        let rows = tasks.rows_at_once(self.rows, self.row_elements * taps, 8 * self.row_elements);
        tasks.run(target, keep, self.row_elements, rows, |rows, space| {
            self.rows(tasks, inputs, rows, &mut space.sums);
        });
    }

    fn rows(&self, tasks: Tasks<'_>, inputs: &[Source<'_>], rows: Rows<'_>, wide: &mut Vec<i64>) {
        let first = rows.first * self.row_elements;
        match rows.target {
            Target::Narrow(sums) if self.is_narrow => {
                narrow(tasks.instructions, self, inputs, first, sums);
                if let Some(keep) = rows.keep {
                    keep.iter_mut().zip(&*sums).for_each(|(keep, &sum)| *keep = i64::from(sum));
                }
                if let Some(requantizer) = &self.requantizer {
                    requantizer.narrow(tasks.instructions, sums);
                }
            }
            Target::Narrow(codes) => {
                wide.resize(codes.len(), 0);
                self.fill(inputs, first, wide);
                if let Some(keep) = rows.keep {
                    keep.copy_from_slice(wide);
                }
                if let Some(requantizer) = &self.requantizer {
                    requantizer.wide(tasks.instructions, wide, codes);
                }
            }
            Target::Wide(sums) => {
                self.fill(inputs, first, sums);
                if let Some(keep) = rows.keep {
                    keep.copy_from_slice(sums);
                }
            }
        }
    }

    /// The sums from element `first` on; it begins a row.
    #[inline(always)]
    fn fill<S: Sum>(&self, inputs: &[Source<'_>], first: usize, sums: &mut [S])
    where
        i32: AsPrimitive<S>,
        i64: AsPrimitive<S>,
    {
        match &self.way {
            Way::Linear { constants, multipliers } => {
                for sums in sums.chunks_mut(constants.len()) {
                    sums.iter_mut().zip(constants).for_each(|(sum, &constant)| *sum = constant.as_());
                }
                for (&input, multipliers) in inputs.iter().zip(multipliers) {
                    let multiplier: Vec<S> = multipliers.iter().map(|&multiplier| multiplier.as_()).collect();
                    let add = |sum: &mut S, integer: S, multiplier: &S| {
                        *sum = sum.wrapping_add(&integer.wrapping_mul(multiplier));
                    };
                    self.each(input, first, sums, &multiplier, add);
                }
            }
            Way::Multiply([a, b]) => {
                let (Some(&first_input), Some(&second)) = (inputs.first(), inputs.get(1)) else { return };
                let value = |integer: S, linear: &Linear| {
                    integer.wrapping_mul(&linear.factor.as_()).wrapping_add(&linear.start.as_())
                };
                let ones = vec![S::one(); self.channels * TILE.div_ceil(self.channels)];
                self.each(first_input, first, sums, &ones, |sum, integer, _| *sum = value(integer, a));
                self.each(second, first, sums, &ones, |sum, integer, _| *sum = sum.wrapping_mul(&value(integer, b)));
            }
            Way::Pool { window, input, linear, padding, counted } => {
                if let Some(&source) = inputs.first() {
                    let pool =
                        Pool { window, input: *input, linear: *linear, padding: *padding, counted: counted.as_ref() };
                    match source {
                        Source::Narrow(integers) => pool.fill(integers, first / self.row_elements, self, sums),
                        Source::Wide(integers) => pool.fill(integers, first / self.row_elements, self, sums),
                    }
                }
            }
        }
    }

    /// Meets each sum with the input's integer and the tile's number; an input with a single position stands for all.
    #[inline(always)]
    fn each<S: Sum>(
        &self,
        input: Source<'_>,
        first: usize,
        sums: &mut [S],
        tile: &[S],
        meet: impl Fn(&mut S, S, &S) + Copy,
    ) where
        i32: AsPrimitive<S>,
        i64: AsPrimitive<S>,
    {
        let is_single = input.len() == self.channels && self.rows * self.row_elements != self.channels;
        match input {
            Source::Narrow(integers) if is_single => broadcast(integers, sums, tile, meet),
            Source::Wide(integers) if is_single => broadcast(integers, sums, tile, meet),
            Source::Narrow(integers) => along(&integers[first..first + sums.len()], sums, tile, meet),
            Source::Wide(integers) => along(&integers[first..first + sums.len()], sums, tile, meet),
        }
    }
}

#[inline(always)]
fn along<S: Sum, X: AsPrimitive<S>>(integers: &[X], sums: &mut [S], tile: &[S], meet: impl Fn(&mut S, S, &S)) {
    for (integers, sums) in integers.chunks(tile.len()).zip(sums.chunks_mut(tile.len())) {
        for ((sum, &integer), number) in sums.iter_mut().zip(integers).zip(tile) {
            meet(sum, integer.as_(), number);
        }
    }
}

#[inline(always)]
fn broadcast<S: Sum, X: AsPrimitive<S>>(integers: &[X], sums: &mut [S], tile: &[S], meet: impl Fn(&mut S, S, &S)) {
    for sums in sums.chunks_mut(integers.len()) {
        for ((sum, &integer), number) in sums.iter_mut().zip(integers).zip(tile) {
            meet(sum, integer.as_(), number);
        }
    }
}

for_each_instruction_set! {
    fn narrow(layer: &Sums, inputs: &[Source<'_>], first: usize, sums: &mut [i32]) {
        layer.fill(inputs, first, sums);
    }
}

/// Sums over windows.
struct Pool<'a> {
    window: &'a Window,
    input: Shape,
    linear: Linear,
    padding: i64,
    counted: Option<&'a CountFactors>,
}

impl Pool<'_> {
    /// The sums from output row `first` on.
    #[inline(always)]
    fn fill<S: Sum, X: AsPrimitive<S>>(&self, integers: &[X], first: usize, layer: &Sums, sums: &mut [S])
    where
        i64: AsPrimitive<S>,
    {
        let Pool { window, input, linear, padding, counted } = self;
        let pitch = (input.columns * input.channels) as usize;
        let sources = |axis: usize, position: usize, length: u64| {
            (0..window.kernel[axis]).filter_map(move |tap| window.source(axis, position as u64, tap, length))
        };
        for (row, sums) in sums.chunks_exact_mut(layer.row_elements).enumerate() {
            for (column, sums) in sums.chunks_exact_mut(layer.channels).enumerate() {
                let mut inside = 0i64;
                sums.fill(S::zero());
                for source_row in sources(0, first + row, input.rows) {
                    for source_column in sources(1, column, input.columns) {
                        inside += 1;
                        let place = source_row as usize * pitch + source_column as usize * layer.channels;
                        for (sum, &integer) in sums.iter_mut().zip(&integers[place..place + layer.channels]) {
                            *sum = sum.wrapping_add(&integer.as_());
                        }
                    }
                }
                let at = [(first + row) as u64, column as u64];
                let (taps, factor) = match counted {
                    Some(factors) => (factors.count(at), factors.factor(at)),
                    None => (window.taps() as i64, 1),
                };
                let constant = factor * (inside * linear.start + (taps - inside) * padding);
                let (factor, constant): (S, S) = ((factor * linear.factor).as_(), constant.as_());
                for sum in sums.iter_mut() {
                    *sum = sum.wrapping_mul(&factor).wrapping_add(&constant);
                }
            }
        }
    }
}
