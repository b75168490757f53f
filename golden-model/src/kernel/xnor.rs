//! The multi-branch product of {-1,+1} codes over machine words.
//!
//! An M-plane by K-plane dot product is M*K branches of xnor and bit count, S = sum of 2^(m+k-2) P_mk and
//! A = 2S - N_valid (2^M-1)(2^K-1). Eight outputs are computed at once: weights lie as block of 8 outputs, plane,
//! word, output. Bits beyond the length and padded taps are masked. Where every activation lies in the upper half of
//! its codes the top plane is +1 throughout: its K branches are one constant for each output.

use super::instructions::for_each_instruction_set;
use super::packed::{SLACK, Segment};
use super::{Instructions, planes};

/// Outputs of a block.
pub const LANES: usize = 8;

/// Weight planes in the layout of the kernel.
#[derive(Clone, Debug)]
pub struct PackedPlanes {
    length: usize,
    words: usize,
    planes: usize,
    /// [block][plane][word][lane].
    weights: Vec<u64>,
    /// For each lane: sum over planes k of 2^(k-1) popcount(plane k), what a plane of +1 throughout matches.
    ones: Vec<u64>,
}

/// The activations of one window.
#[derive(Clone, Copy, Debug)]
pub struct WindowPlanes<'a> {
    /// [plane][word], least significant plane first; bits beyond the length are zero.
    pub planes: &'a [u64],
    /// One bit for each element that is no padding; bits beyond the length are zero.
    pub valid: &'a [u64],
    /// Whether the top plane is +1 for every valid element.
    pub half_range: bool,
}

impl PackedPlanes {
    /// Packs one row of codes (level indices) for each output. `None` where the lengths disagree.
    pub fn new(rows: &[Vec<i32>], plane_count: u32) -> Option<Self> {
        let length = rows.first()?.len();
        if length == 0 || rows.iter().any(|row| row.len() != length) {
            return None;
        }
        let words = length.div_ceil(64);
        let planes = plane_count as usize;
        let lanes = rows.len().next_multiple_of(LANES);
        let mut weights = vec![0; lanes * planes * words];
        let mut ones = vec![0; lanes];
        for (output, row) in rows.iter().enumerate() {
            let (block, lane) = (output / LANES, output % LANES);
            for (plane, bits) in planes::pack(row, plane_count).iter().enumerate() {
                ones[output] += (bits.count_ones() as u64) << plane;
                for (word, &bits) in bits.as_raw_slice().iter().enumerate() {
                    weights[((block * planes + plane) * words + word) * LANES + lane] = bits;
                }
            }
        }
        Some(PackedPlanes { length, words, planes, weights, ones })
    }

    /// What is valid in a window without padding: one bit for each element.
    pub fn all_valid(&self) -> Vec<u64> {
        (0..self.words).map(|word| low_bits(self.length - 64 * word)).collect()
    }

    /// Words of one plane of a window.
    pub fn words(&self) -> usize {
        self.words
    }

    /// The exact sums of all outputs over one window, whose planes and mask have [`PackedPlanes::words`] words each.
    pub fn sums(&self, instructions: Instructions, window: WindowPlanes<'_>, sums: &mut [i64]) {
        let planes = window.planes.len() / self.words;
        let valid_count: u64 = window.valid.iter().map(|word| u64::from(word.count_ones())).sum();
        let most = ((1i64 << planes) - 1) * ((1i64 << self.planes) - 1);
        let offset = -(valid_count as i64) * most;
        // At the border the constant would depend on the taps that are there, so the branches are counted instead.
        let constant_top = window.half_range && valid_count == self.length as u64;
        let counted = if constant_top { planes - 1 } else { planes };
        let activations = &window.planes[..counted * self.words];
        let branches = Branches {
            weights: &self.weights,
            weight_planes: self.planes,
            activations,
            valid: window.valid,
            ones: if constant_top { &self.ones } else { &[] },
            top: planes - 1,
            offset,
        };
        #[cfg(target_arch = "x86_64")]
        if super::x86::planes::matches(instructions, branches, sums) {
            return;
        }
        matches_scalar(instructions, branches, sums);
    }

    /// The same without vector intrinsics: their scalar twin.
    pub fn sums_scalar(&self, window: WindowPlanes<'_>, sums: &mut [i64]) {
        self.sums(Instructions::portable(), window, sums);
    }
}

/// What a window and the packed weights give the inner loop.
#[derive(Clone, Copy)]
pub(super) struct Branches<'a> {
    /// [block][plane][word][lane].
    pub(super) weights: &'a [u64],
    pub(super) weight_planes: usize,
    /// [plane][word], only planes that are counted.
    pub(super) activations: &'a [u64],
    pub(super) valid: &'a [u64],
    /// For each lane what a plane of ones matches; empty where the top plane is counted.
    pub(super) ones: &'a [u64],
    /// The plane that `ones` stands for.
    pub(super) top: usize,
    /// -N_valid (2^M-1)(2^K-1).
    pub(super) offset: i64,
}

impl Branches<'_> {
    /// The constant part of S for the outputs of a block.
    pub(super) fn start(&self, block: usize) -> [u64; LANES] {
        let ones = self.ones.get(block * LANES..).and_then(|ones| ones.first_chunk::<LANES>());
        ones.map_or([0; LANES], |ones| ones.map(|ones| ones << self.top))
    }
}

for_each_instruction_set! {
    /// `sums[output]` = 2S + offset, S = start + sum over branches of 2^(m+k) matches.
    fn matches_scalar(branches: Branches<'_>, sums: &mut [i64]) {
        let words = branches.valid.len();
        let block_size = branches.weight_planes * words * LANES;
        for (block, sums) in sums.chunks_mut(LANES).enumerate() {
            let mut total = branches.start(block);
            let weights = &branches.weights[block * block_size..(block + 1) * block_size];
            for (k, weights) in weights.chunks_exact(words * LANES).enumerate() {
                for (m, activation) in branches.activations.chunks_exact(words).enumerate() {
                    let mut count = [0u64; LANES];
                    let words = weights.as_chunks::<LANES>().0.iter().zip(activation).zip(branches.valid);
                    for ((weights, activation), valid) in words {
                        for (count, weight) in count.iter_mut().zip(weights) {
                            *count += u64::from((!(activation ^ weight) & valid).count_ones());
                        }
                    }
                    for (total, count) in total.iter_mut().zip(count) {
                        *total += count << (m + k);
                    }
                }
            }
            for (sum, total) in sums.iter_mut().zip(total) {
                *sum = 2 * total as i64 + branches.offset;
            }
        }
    }
}

/// The planes of a padded image, and windows cut out of it.
#[derive(Clone, Debug, Default)]
pub struct PlaneImage {
    /// One string of bits for each plane, in element order.
    planes: Vec<Vec<u64>>,
    /// Which elements are no padding.
    valid: Vec<u64>,
}

impl PlaneImage {
    /// An image of `elements` padded elements, none of them valid yet.
    pub fn new(elements: usize, planes: u32) -> Self {
        let words = elements.div_ceil(64) + 2 + SLACK / 64;
        PlaneImage { planes: vec![vec![0; words]; planes as usize], valid: vec![0; words] }
    }

    /// Makes all planes zero; what is valid stays.
    pub fn clear(&mut self) {
        for plane in &mut self.planes {
            plane.fill(0);
        }
    }

    /// Writes codes from element `first` on, where the image was clear.
    pub fn write(&mut self, instructions: Instructions, first: usize, codes: &[i32]) {
        let (chunks, rest) = codes.as_chunks::<64>();
        for (plane, bits) in self.planes.iter_mut().enumerate() {
            for (chunk, codes) in chunks.iter().enumerate() {
                put(bits, first + 64 * chunk, plane_word(instructions, codes, plane as u32));
            }
            if !rest.is_empty() {
                put(bits, first + 64 * chunks.len(), plane_word_scalar(rest, plane as u32));
            }
        }
    }

    /// Marks `count` elements from `first` on as valid.
    pub fn mark_valid(&mut self, first: usize, count: usize) {
        for start in (0..count).step_by(64) {
            put(&mut self.valid, first + start, low_bits(count - start));
        }
    }

    /// Copies the planes of the window at `base` into `window`, [plane][word].
    pub fn window(&self, base: usize, segments: &[Segment], window: &mut [u64]) {
        let words = window.len() / self.planes.len().max(1);
        for (plane, target) in self.planes.iter().zip(window.chunks_exact_mut(words.max(1))) {
            gather(plane, base, segments, target);
        }
    }

    /// Copies into `valid` which elements of the window at `base` are no padding.
    pub fn window_valid(&self, base: usize, segments: &[Segment], valid: &mut [u64]) {
        gather(&self.valid, base, segments, valid);
    }
}

/// Bit n of the word is the bit of code n in a plane, 0 to 7.
pub fn plane_word(instructions: Instructions, codes: &[i32; 64], plane: u32) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if let Some(word) = super::x86::planes::plane_word(instructions, codes, plane) {
        return word;
    }
    let _ = instructions;
    plane_word_scalar(codes, plane)
}

/// The same code by code, for at most 64 codes: the scalar twin.
pub fn plane_word_scalar(codes: &[i32], plane: u32) -> u64 {
    codes.iter().rev().fold(0u64, |word, code| word << 1 | (code >> plane & 1) as u64)
}

/// A word whose `count` lowest bits are ones; all 64 where `count` is more.
fn low_bits(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

/// Sets the bits of `word` from bit `first` on.
fn put(bits: &mut [u64], first: usize, word: u64) {
    let (index, shift) = (first / 64, first % 64);
    bits[index] |= word << shift;
    if shift > 0 {
        bits[index + 1] |= word >> (64 - shift);
    }
}

/// The 64 bits from bit `first` on.
fn take(bits: &[u64], first: usize) -> u64 {
    let (index, shift) = (first / 64, first % 64);
    let low = bits[index] >> shift;
    if shift == 0 { low } else { low | bits[index + 1] << (64 - shift) }
}

fn gather(bits: &[u64], base: usize, segments: &[Segment], target: &mut [u64]) {
    let mut words = target.iter_mut();
    let (mut word, mut filled) = (0u64, 0);
    for segment in segments {
        let (mut first, mut left) = (base + segment.offset, segment.length);
        while left > 0 {
            let count = left.min(64);
            let run = take(bits, first) & low_bits(count);
            word |= run << filled;
            if filled + count >= 64 {
                if let Some(target) = words.next() {
                    *target = word;
                }
                word = if filled == 0 { 0 } else { run >> (64 - filled) };
                filled = filled + count - 64;
            } else {
                filled += count;
            }
            first += count;
            left -= count;
        }
    }
    if filled > 0
        && let Some(target) = words.next()
    {
        *target = word;
    }
}
