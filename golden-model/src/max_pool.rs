//! Max pooling: the greatest integer of each channel over a window; padded taps never win.

use crate::kernel::instructions::for_each_instruction_set;
use crate::tasks::Tasks;
use crate::tensor::{Source, Target};
use network::Shape;
use network::shape::Window;
use num_traits::PrimInt;

/// Channels that are compared at once.
const LANES: usize = 8;

/// A pooling layer with its taps worked out.
pub(crate) struct MaxPool {
    channels: usize,
    /// Input elements of one row.
    pitch: usize,
    /// For each output row the taps that lie inside, as input rows.
    rows: Vec<Taps>,
    /// For each output column the taps that lie inside, as input columns.
    columns: Vec<Taps>,
    /// What a window without any tap inside gives: the tensor's least integer.
    least: i64,
}

/// Places `first`, `first + step`, ..., `count` of them.
#[derive(Clone, Copy)]
struct Taps {
    first: usize,
    count: usize,
    step: usize,
}

impl MaxPool {
    /// Works out the taps; `input` and `output` are shapes of a checked network.
    pub(crate) fn new(window: &Window, input: Shape, output: Shape, least: i64) -> Self {
        let taps = |axis: usize, positions: u64, length: u64| {
            let (stride, step, before) = (window.stride[axis], window.dilation[axis], window.padding_before[axis]);
            (0..positions)
                .map(|position| {
                    let start = position * stride;
                    let first_tap = before.saturating_sub(start).div_ceil(step);
                    let first = start + first_tap * step - before.min(start + first_tap * step);
                    let left = window.kernel[axis].saturating_sub(first_tap);
                    let inside = length.saturating_sub(first).div_ceil(step).min(left);
                    Taps { first: first as usize, count: inside as usize, step: step as usize }
                })
                .collect()
        };
        MaxPool {
            channels: input.channels as usize,
            pitch: (input.columns * input.channels) as usize,
            rows: taps(0, output.rows, input.rows),
            columns: taps(1, output.columns, input.columns),
            least,
        }
    }

    /// Pools one frame; the tensors are of one kind.
    pub(crate) fn run(&self, tasks: Tasks<'_>, input: Source<'_>, target: Target<'_>) {
        let pitch = self.columns.len() * self.channels;
        let taps = self.rows.first().map_or(1, |taps| taps.count.max(1));
        let rows = tasks.rows_at_once(self.rows.len(), pitch * taps, 4 * self.pitch);
        tasks.run(target, None, pitch, rows, |rows, space| match (input, rows.target) {
            (Source::Narrow(input), Target::Narrow(target)) => {
                pool(tasks.instructions, self, input, &mut space.integers, rows.first, target);
            }
            (Source::Wide(input), Target::Wide(target)) => self.pool(input, &mut space.sums, rows.first, target),
            (Source::Narrow(_) | Source::Wide(_), _) => {}
        });
    }

    #[inline(always)]
    fn pool<T: PrimInt>(&self, input: &[T], row: &mut Vec<T>, first: usize, output: &mut [T]) {
        let least = T::from(self.least).unwrap_or(T::min_value());
        let output_pitch = self.columns.len() * self.channels;
        for (taps, output) in self.rows[first..].iter().zip(output.chunks_exact_mut(output_pitch)) {
            let line = |tap: usize| {
                let start = (taps.first + tap * taps.step) * self.pitch;
                &input[start..start + self.pitch]
            };
            row.clear();
            match taps.count {
                0 => row.resize(self.pitch, least),
                1 => row.extend_from_slice(line(0)),
                _ => row.extend(line(0).iter().zip(line(1)).map(|(&a, &b)| a.max(b))),
            }
            for tap in 2..taps.count {
                for (best, &next) in row.iter_mut().zip(line(tap)) {
                    *best = next.max(*best);
                }
            }
            for (taps, output) in self.columns.iter().zip(output.chunks_exact_mut(self.channels)) {
                if taps.count == 0 {
                    output.fill(least);
                    continue;
                }
                self.position(row, *taps, output);
            }
        }
    }

    #[inline(always)]
    fn position<T: PrimInt>(&self, row: &[T], taps: Taps, output: &mut [T]) {
        let step = taps.step * self.channels;
        let first = &row[taps.first * self.channels..];
        let (blocks, rest) = output.as_chunks_mut::<LANES>();
        let done = blocks.len() * LANES;
        for (block, best) in blocks.iter_mut().enumerate() {
            let column = &first[block * LANES..];
            best.copy_from_slice(&column[..LANES]);
            for tap in 1..taps.count {
                for (best, &next) in best.iter_mut().zip(&column[tap * step..tap * step + LANES]) {
                    *best = next.max(*best);
                }
            }
        }
        for (channel, best) in rest.iter_mut().enumerate() {
            let column = (0..taps.count).map(|tap| first[done + channel + tap * step]);
            *best = column.max().unwrap_or(*best);
        }
    }
}

for_each_instruction_set! {
    fn pool(layer: &MaxPool, input: &[i32], row: &mut Vec<i32>, first: usize, output: &mut [i32]) {
        layer.pool(input, row, first, output);
    }
}
