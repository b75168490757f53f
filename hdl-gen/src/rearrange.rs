//! A rearrangement of elements as words through a cyclic buffer: the parameters of `hwgen_rearrange`.
//!
//! Input: the loops of a [`Rearrangement`]. Output: how many elements can travel side by side, and for a number of lanes
//! the loops over words, cut into blocks so that little is buffered. A block reads out of a few consecutive words; blocks
//! only move forward. Nearest upsampling needs a row, a slice some words, a transposition the whole frame.

use crate::bind::divisors;
use crate::timing::{Rearrange, RearrangeShape, TimingError};
use network::op::{Loop, Rearrangement};
use num_integer::gcd;

/// A rearrangement of the words of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reorder {
    loops: Vec<Loop>,
    start: i64,
    /// Input words of a frame.
    input_words: u64,
    /// First loop of a block.
    block_loop: usize,
    buffer_words: u64,
}

/// Whether the elements leave as they enter.
pub fn is_identity(rearrangement: &Rearrangement, input_elements: u64) -> bool {
    let Rearrangement { start, loops, .. } = rearrangement.clone().simplified();
    start == 0
        && input_elements == rearrangement.shape.elements()
        && loops.iter().all(|turn| turn.stride == 1)
        && loops.len() <= 1
}

/// The most elements that stay side by side: every divisor of it can be a number of lanes.
pub fn most_lanes(rearrangement: &Rearrangement, input_elements: u64) -> u64 {
    let Rearrangement { start, loops, .. } = rearrangement.clone().simplified();
    match loops.split_last() {
        Some((inner, outer)) if inner.stride == 1 => {
            let strides = outer.iter().map(|turn| turn.stride.unsigned_abs());
            strides.fold(gcd(gcd(inner.count, start), input_elements), gcd)
        }
        _ => 1,
    }
}

impl Reorder {
    /// The rearrangement of an input of `input_elements` in words of `lanes`, a divisor of [`most_lanes`]: the smallest
    /// buffer that writing never waits for and with which a frame takes at most `target` cycles, or where none does the quickest.
    pub fn new(rearrangement: &Rearrangement, input_elements: u64, lanes: u64, target: u64) -> Self {
        let Rearrangement { start, mut loops, .. } = rearrangement.clone().simplified();
        if let Some((inner, outer)) = loops.split_last_mut().filter(|_| lanes > 1) {
            inner.count /= lanes;
            outer.iter_mut().for_each(|turn| turn.stride /= lanes as i64);
        }
        loops.retain(|turn| turn.count > 1);
        if loops.is_empty() {
            loops.push(Loop { count: 1, stride: 1 });
        }
        let whole = Reorder {
            loops,
            start: (start / lanes) as i64,
            input_words: input_elements / lanes,
            block_loop: 0,
            buffer_words: 0,
        };
        let choices = whole.cuts().into_iter().map(Reorder::with_room_ahead);
        let rank = |choice: &Reorder| {
            let (late, cycles) = (choice.cycles() > target, choice.cycles());
            if late { (true, cycles, choice.buffer_words) } else { (false, choice.buffer_words, cycles) }
        };
        let best = choices.min_by_key(rank);
        best.unwrap_or(whole)
    }

    /// The same with blocks that begin at each loop, or inside of it, wherever blocks then only move forward.
    fn cuts(&self) -> Vec<Reorder> {
        let mut cuts = Vec::new();
        for at in 0..self.loops.len() {
            cuts.push(Reorder { block_loop: at, ..self.clone() });
            let Loop { count, stride } = self.loops[at];
            for inner in divisors(count).into_iter().filter(|&inner| inner > 1 && inner < count).take(64) {
                let mut loops = self.loops.clone();
                let outer = Loop { count: count / inner, stride: stride * inner as i64 };
                loops.splice(at..=at, [outer, Loop { count: inner, stride }]);
                cuts.push(Reorder { block_loop: at + 1, loops, ..self.clone() });
            }
        }
        cuts.retain(|cut| cut.jumps().is_some());
        cuts
    }

    /// Room for a block and for what is written while it is read. Without the latter, what feeds the layer would stand
    /// still during each block, and if it is the slowest of the design, so would the design.
    fn with_room_ahead(self) -> Reorder {
        Reorder { buffer_words: self.span() + self.most_jump() + 2, ..self }
    }

    /// Cycles that a frame takes: words in and out side by side, and a cycle between blocks.
    pub fn cycles(&self) -> u64 {
        let blocks: u64 = self.loops[..self.block_loop].iter().map(|turn| turn.count).product();
        (self.output_words() + blocks).max(self.input_words)
    }

    /// Turns of the loops.
    pub fn counts(&self) -> impl Iterator<Item = u64> + '_ {
        self.loops.iter().map(|turn| turn.count)
    }

    /// `BLOCK_LOOP`.
    pub fn block_loop(&self) -> usize {
        self.block_loop
    }

    /// `BUFFER_WORDS`.
    pub fn buffer_words(&self) -> u64 {
        self.buffer_words
    }

    /// `WORDS_PER_FRAME`.
    pub fn input_words(&self) -> u64 {
        self.input_words
    }

    /// Words of a frame that leave.
    pub fn output_words(&self) -> u64 {
        self.counts().product()
    }

    /// `SPAN`: consecutive words that a block reads from.
    pub fn span(&self) -> u64 {
        let reach = |turn: &Loop| (turn.count - 1) * turn.stride.unsigned_abs();
        self.loops[self.block_loop..].iter().map(reach).sum::<u64>() + 1
    }

    /// `FIRST`: index of the first block's first word.
    pub fn first(&self) -> u64 {
        let back = |turn: &Loop| (turn.count as i64 - 1) * turn.stride.min(0);
        (self.start + self.loops[self.block_loop..].iter().map(back).sum::<i64>()).max(0).unsigned_abs()
    }

    /// `START`: buffer address of the first word.
    pub fn start(&self) -> u64 {
        self.start.rem_euclid(self.buffer_words as i64).unsigned_abs()
    }

    /// `ADDS`: growth of the buffer address when loop l goes on; last, when the frame ends.
    pub fn adds(&self) -> Vec<u64> {
        let steps = self.steps(self.loops.len());
        steps.into_iter().map(|step| step.rem_euclid(self.buffer_words as i64).unsigned_abs()).collect()
    }

    /// How far the next block is when outer loop l goes on; last, when the frame ends. `None` where it is further back.
    fn jumps(&self) -> Option<Vec<u64>> {
        self.steps(self.block_loop).into_iter().map(|step| u64::try_from(step).ok()).collect()
    }

    /// `JUMPS`: the same with an entry of no meaning for each loop inside a block.
    pub fn padded_jumps(&self) -> Vec<u64> {
        let mut jumps = self.jumps().unwrap_or_default();
        let frame = jumps.pop().unwrap_or(0);
        jumps.resize(self.loops.len(), 0);
        jumps.push(frame);
        jumps
    }

    /// `MOST_JUMP`.
    pub fn most_jump(&self) -> u64 {
        self.jumps().unwrap_or_default().into_iter().max().unwrap_or(0)
    }

    /// Distances when one of the first `loops` loops goes on and the later ones of them begin again; last, when all
    /// begin again with the next frame.
    fn steps(&self, loops: usize) -> Vec<i64> {
        let loops = &self.loops[..loops];
        let back = |from: usize| loops[from..].iter().map(|turn| (turn.count as i64 - 1) * turn.stride).sum::<i64>();
        let inner = loops.iter().enumerate().map(|(index, turn)| turn.stride - back(index + 1));
        inner.chain([self.input_words as i64 - back(0)]).collect()
    }

    /// The timing twin.
    pub fn twin(&self) -> Result<Rearrange, TimingError> {
        let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let (outer, inner) = self.loops.split_at(self.block_loop);
        Rearrange::new(&RearrangeShape {
            outer_counts: outer.iter().map(|turn| small(turn.count)).collect(),
            block_words: small(inner.iter().map(|turn| turn.count).product()),
            jumps: self.jumps().unwrap_or_default().into_iter().map(small).collect(),
            first: small(self.first()),
            span: small(self.span()),
            buffer_words: small(self.buffer_words),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use network::Shape;

    fn rearrangement(shape: [u64; 3], start: u64, loops: &[(u64, i64)]) -> Rearrangement {
        let shape = Shape::new(shape[0], shape[1], shape[2]).unwrap();
        Rearrangement { shape, start, loops: loops.iter().map(|&(count, stride)| Loop { count, stride }).collect() }
    }

    #[test]
    fn upsampling_buffers_a_row_and_keeps_channels_together() {
        let doubled = rearrangement([16, 16, 8], 0, &[(8, 64), (2, 0), (8, 8), (2, 0), (8, 1)]);
        assert_eq!(most_lanes(&doubled, 512), 8);
        let buffer = |target| Reorder::new(&doubled, 512, 4, target).buffer_words();
        // Rows of 16 words: writing goes on for a row while a row is read twice.
        assert_eq!((buffer(1100), buffer(600)), (34, 34));
        assert_eq!(Reorder::new(&doubled, 512, 4, 600).output_words(), 512);
    }

    #[test]
    fn a_slice_of_channels_needs_a_pixel() {
        let slice = rearrangement([5, 5, 4], 4, &[(25, 12), (4, 1)]);
        assert_eq!(most_lanes(&slice, 300), 4);
        let reorder = Reorder::new(&slice, 300, 2, 1000);
        assert_eq!((reorder.first(), reorder.span(), reorder.input_words()), (2, 2, 150));
        assert!(reorder.buffer_words() <= 10);
    }

    #[test]
    fn a_transposition_needs_nearly_the_frame() {
        let turned = rearrangement([6, 5, 1], 0, &[(6, 1), (5, 6)]);
        assert_eq!(most_lanes(&turned, 30), 1);
        // A column of 5 words lies in 25 words of the frame, and the next frame's first column begins 25 words on.
        let (one, two) = (Reorder::new(&turned, 30, 1, 1000), Reorder::new(&turned, 30, 1, 31));
        assert_eq!((one.buffer_words(), two.buffer_words()), (52, 62));
        assert!(is_identity(&rearrangement([1, 1, 30], 0, &[(5, 6), (6, 1)]), 30));
        assert!(!is_identity(&turned, 30));
    }
}
