//! Timing twin of `hwgen_rearrange`.

use super::TimingError;
use super::credit::{Counter, CreditPipe};

/// What of a rearrangement of words decides its timing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RearrangeShape {
    /// Turns of the loops outside a block, outermost first.
    pub outer_counts: Vec<u32>,
    /// Words of a block.
    pub block_words: u32,
    /// For each outer loop, how far the next block is when it goes on; last, when the frame ends.
    pub jumps: Vec<u32>,
    /// Index of the first block's first word.
    pub first: u32,
    /// Consecutive input words out of which a block reads.
    pub span: u32,
    /// Words of the cyclic buffer.
    pub buffer_words: u32,
}

/// Twin of `hwgen_rearrange`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rearrange {
    pub(super) outer: Vec<Counter>,
    pub(super) word: Counter,
    pub(super) jumps: Vec<u32>,
    pub(super) span: i64,
    pub(super) buffer_words: i64,
    /// Words written since the current block's first word, without what the last cycle changed.
    pub(super) fill: i64,
    /// What the last cycle changed.
    change: i64,
    /// A block ended in the last cycle.
    settles: bool,
    /// The first cycle after reset.
    starts: bool,
    pub(super) pipe: CreditPipe,
}

impl Rearrange {
    /// Cycles from the read of a word to its push into the output FIFO.
    const LATENCY_CYCLES: u32 = 1;
    /// Depth of the output FIFO.
    const FIFO_WORDS: u32 = 4;

    /// A rearrangement with a buffer of more words than a block's span.
    pub fn new(shape: &RearrangeShape) -> Result<Self, TimingError> {
        super::require("block_words", u64::from(shape.block_words), 1)?;
        super::require("span", u64::from(shape.span), 1)?;
        super::require("buffer_words", u64::from(shape.buffer_words), u64::from(shape.span) + 1)?;
        super::require("jumps", shape.jumps.len() as u64, shape.outer_counts.len() as u64 + 1)?;
        for (parameter, value) in
            [("buffer_words", shape.buffer_words), ("block_words", shape.block_words), ("first", shape.first)]
        {
            super::limit(parameter, u64::from(value), 1 << 30)?;
        }
        Ok(Self {
            outer: shape.outer_counts.iter().map(|&count| Counter::new(count)).collect(),
            word: Counter::new(shape.block_words),
            jumps: shape.jumps.clone(),
            span: i64::from(shape.span),
            buffer_words: i64::from(shape.buffer_words),
            fill: -i64::from(shape.first),
            change: 0,
            settles: false,
            starts: true,
            pipe: CreditPipe::new(Self::LATENCY_CYCLES, Self::FIFO_WORDS),
        })
    }

    /// Words up to the end of the first block.
    pub(crate) fn first_words(&self) -> u64 {
        (self.span - self.fill).unsigned_abs()
    }

    pub(super) fn valid(&self) -> bool {
        self.pipe.valid()
    }

    pub(super) fn ready(&self) -> bool {
        self.fill + 2 <= self.buffer_words
    }

    pub(super) fn occupancy(&self) -> u32 {
        (self.fill + self.change).max(0) as u32
    }

    pub(super) fn step(&mut self, took: bool, gave: bool) {
        let begins = !self.settles && self.fill >= self.span;
        let read = !self.starts && self.pipe.available() && (self.word.value() != 0 || begins);
        let mut change = i64::from(took);
        let block_ends = read && self.word.advance();
        if block_ends {
            // The innermost loop that goes on.
            let goes_on = (0..self.outer.len()).rev().find(|&index| !self.outer[index].advance());
            let jump = self.jumps.get(goes_on.unwrap_or(self.outer.len())).copied().unwrap_or(0);
            change -= i64::from(jump);
        }
        self.fill += self.change;
        self.change = change;
        self.settles = block_ends;
        self.starts = false;
        self.pipe.step(read, gave);
    }
}
