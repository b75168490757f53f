//! Layers that only move integers.

use crate::tensor::{Source, Target};
use network::op::Rearrangement;

/// Concatenation, and elements in another order.
pub(crate) enum Moves {
    /// Channels of each input.
    Concat {
        channels: Vec<usize>,
    },
    Rearrange(Rearrangement),
}

impl Moves {
    /// Moves one frame.
    pub(crate) fn run(&self, inputs: &[Source<'_>], target: Target<'_>) {
        match (self, target) {
            (Moves::Concat { channels }, mut target) => {
                let all: usize = channels.iter().sum();
                let mut start = 0;
                for (input, count) in inputs.iter().zip(channels) {
                    match (input, &mut target) {
                        (Source::Narrow(input), Target::Narrow(output)) => place(input, output, start, *count, all),
                        (Source::Wide(input), Target::Wide(output)) => place(input, output, start, *count, all),
                        // The union of ranges may need more bits than one of them.
                        (Source::Narrow(input), Target::Wide(output)) => {
                            let input: Vec<i64> = input.iter().copied().map(i64::from).collect();
                            place(&input, output, start, *count, all);
                        }
                        (Source::Wide(_), Target::Narrow(_)) => {}
                    }
                    start += count;
                }
            }
            (Moves::Rearrange(rearrangement), target) => match (inputs.first(), target) {
                (Some(Source::Narrow(input)), Target::Narrow(output)) => rearrange(rearrangement, input, output),
                (Some(Source::Wide(input)), Target::Wide(output)) => rearrange(rearrangement, input, output),
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

/// Elements that lie together in the input are copied together.
fn rearrange<T: Copy>(rearrangement: &Rearrangement, input: &[T], output: &mut [T]) {
    match rearrangement.loops.split_last() {
        Some((last, outer)) if last.stride == 1 => {
            let outer = Rearrangement { loops: outer.to_vec(), ..rearrangement.clone() };
            let count = last.count as usize;
            for (first, to) in outer.elements().zip(output.chunks_exact_mut(count)) {
                to.copy_from_slice(&input[first as usize..first as usize + count]);
            }
        }
        _ => {
            for (element, to) in rearrangement.elements().zip(output) {
                *to = input[element as usize];
            }
        }
    }
}
