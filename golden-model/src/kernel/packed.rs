//! Dot products of narrow integers over a padded image, 16 outputs at a time, sums in wrapping 32 bits.
//!
//! A window's row is a segment of the image; segments are cut into groups of `GROUP` inputs that fill four bytes (four
//! bytes or two 16-bit words). Weights lie as block of 16 outputs, group, output, place in the group, so that one group
//! of inputs meets 16 outputs at once. The last group of a segment is filled up with zero weights; the image must go on
//! for [`SLACK`] elements after its last one. Sums are exact whenever the true sum fits 32 bits, since wrapping
//! arithmetic is a ring.

use super::Instructions;
use num_traits::{AsPrimitive, WrappingAdd, WrappingMul};

/// Outputs of a block.
pub const LANES: usize = 16;
/// Elements that must follow the last one of a staged image.
pub const SLACK: usize = 64;

/// An integer that can be an input or a weight: its type says how many share four bytes.
pub trait Narrow: Copy + Default + AsPrimitive<i32> + Send + Sync + 'static {
    /// Elements in four bytes.
    const GROUP: usize;
}
impl Narrow for u8 {
    const GROUP: usize = 4;
}
impl Narrow for i8 {
    const GROUP: usize = 4;
}
impl Narrow for i16 {
    const GROUP: usize = 2;
}

/// One contiguous run of inputs of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First element, counted from the window's own first element in the staged image.
    pub offset: usize,
    /// Elements.
    pub length: usize,
}

/// Positions along one row of the output.
#[derive(Clone, Copy, Debug)]
pub struct Positions {
    /// First element of the first window in the staged image.
    pub base: usize,
    /// Elements from one window to the next.
    pub step: usize,
    /// Windows.
    pub count: usize,
}

/// Weights in the layout of the kernels.
#[derive(Clone, Debug)]
pub struct Packed<W> {
    pub(super) outputs: usize,
    /// First element of each group, counted from the window's first element.
    pub(super) groups: Vec<usize>,
    /// [block][group][lane][place].
    pub(super) weights: Vec<W>,
    /// What each lane's sum starts from.
    pub(super) initial: Vec<i32>,
}

impl<W: Narrow + num_traits::FromPrimitive> Packed<W> {
    /// Packs one row of weights for each output; a row runs over `segments` in order. `initial` has one entry for each
    /// output. `None` where a weight does not fit the type or the lengths disagree.
    pub fn new(rows: &[&[i32]], segments: &[Segment], initial: &[i32]) -> Option<Self> {
        let length: usize = segments.iter().map(|segment| segment.length).sum();
        if rows.iter().any(|row| row.len() != length) || initial.len() != rows.len() {
            return None;
        }
        // Each group: its offset in the image, its first weight, its number of weights.
        let mut groups = Vec::new();
        let mut first = 0;
        for segment in segments {
            for start in (0..segment.length).step_by(W::GROUP) {
                groups.push((segment.offset + start, first + start, W::GROUP.min(segment.length - start)));
            }
            first += segment.length;
        }
        let blocks = rows.len().div_ceil(LANES);
        let mut weights = vec![W::default(); blocks * groups.len() * LANES * W::GROUP];
        for (output, row) in rows.iter().enumerate() {
            for (group, &(_, first, count)) in groups.iter().enumerate() {
                let lane = ((output / LANES * groups.len() + group) * LANES + output % LANES) * W::GROUP;
                for place in 0..count {
                    weights[lane + place] = W::from_i32(row[first + place])?;
                }
            }
        }
        let mut padded = initial.to_vec();
        padded.resize(blocks * LANES, 0);
        let groups = groups.into_iter().map(|(offset, ..)| offset).collect();
        Some(Packed { outputs: rows.len(), groups, weights, initial: padded })
    }
}

impl<W: Narrow> Packed<W> {
    /// Outputs of one position.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Whether every element that these positions read and every sum that they write is there.
    pub(super) fn fits(&self, image: usize, positions: Positions, sums: usize) -> bool {
        let last_group = self.groups.iter().copied().max().unwrap_or(0);
        let last = positions.base + positions.count.saturating_sub(1) * positions.step + last_group + W::GROUP;
        let blocks = self.outputs.div_ceil(LANES);
        last <= image
            && sums >= positions.count * self.outputs
            && self.weights.len() == blocks * self.groups.len() * LANES * W::GROUP
            && self.initial.len() == blocks * LANES
    }

    /// The scalar form: `sums[position][output]` = initial + dot product, wrapping. The image reaches to the end of the
    /// last window and [`SLACK`] further; `sums` has a place for every output of every position.
    pub fn row_scalar<X: Narrow>(&self, image: &[X], positions: Positions, sums: &mut [i32]) {
        for (position, sums) in sums.chunks_exact_mut(self.outputs).take(positions.count).enumerate() {
            let base = positions.base + position * positions.step;
            for (block, sums) in sums.chunks_mut(LANES).enumerate() {
                let mut lanes = [0i32; LANES];
                lanes.copy_from_slice(&self.initial[block * LANES..(block + 1) * LANES]);
                let size = LANES * W::GROUP;
                let weights = &self.weights[block * self.groups.len() * size..];
                for (&offset, weights) in self.groups.iter().zip(weights.chunks_exact(size)) {
                    let inputs = &image[base + offset..base + offset + W::GROUP];
                    for (lane, weights) in lanes.iter_mut().zip(weights.chunks_exact(W::GROUP)) {
                        for (&input, &weight) in inputs.iter().zip(weights) {
                            *lane = multiply_add::<i32>(*lane, input.as_(), weight.as_());
                        }
                    }
                }
                sums.copy_from_slice(&lanes[..sums.len()]);
            }
        }
    }
}

fn multiply_add<S: WrappingAdd + WrappingMul>(sum: S, a: S, b: S) -> S {
    sum.wrapping_add(&a.wrapping_mul(&b))
}

impl Packed<i8> {
    /// One row of positions over bytes. See [`Packed::row_scalar`], which it equals.
    pub fn row(&self, instructions: Instructions, image: &[u8], positions: Positions, sums: &mut [i32]) {
        #[cfg(target_arch = "x86_64")]
        if super::x86::bytes_row(instructions, self, image, positions, sums) {
            return;
        }
        let _ = instructions;
        self.row_scalar(image, positions, sums);
    }
}

impl Packed<i16> {
    /// One row of positions over 16-bit words. See [`Packed::row_scalar`], which it equals.
    pub fn row(&self, instructions: Instructions, image: &[i16], positions: Positions, sums: &mut [i32]) {
        #[cfg(target_arch = "x86_64")]
        if super::x86::words_row(instructions, self, image, positions, sums) {
            return;
        }
        let _ = instructions;
        self.row_scalar(image, positions, sums);
    }
}
