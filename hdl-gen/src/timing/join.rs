//! Timing twins of the modules that several streams enter.

use super::{Matrix, TimingError};

/// Twin of `hwgen_join` in front of a pipeline: all inputs are taken together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Join {
    inputs: u32,
    pub(super) pipeline: Matrix,
}

impl Join {
    /// `inputs` streams, 1 to 32, into a pipeline that takes a word of each at once.
    pub fn new(inputs: u32, pipeline: Matrix) -> Result<Self, TimingError> {
        super::require("inputs", u64::from(inputs), 1)?;
        super::limit("inputs", u64::from(inputs), MOST_INPUTS)?;
        Ok(Join { inputs, pipeline })
    }

    pub(super) fn inputs(&self) -> usize {
        self.inputs as usize
    }

    pub(super) fn valid(&self) -> bool {
        self.pipeline.valid()
    }

    fn all(&self) -> u32 {
        u32::MAX >> (32 - self.inputs)
    }

    pub(super) fn ready(&self, s_valid: u32) -> u32 {
        if s_valid == self.all() && self.pipeline.ready() { self.all() } else { 0 }
    }

    pub(super) fn occupancy(&self) -> u32 {
        self.pipeline.occupancy()
    }

    pub(super) fn quiet_cycles(&self) -> u64 {
        self.pipeline.quiet_cycles()
    }

    pub(super) fn step(&mut self, s_moved: u32, gave: bool) {
        self.pipeline.step(s_moved != 0, gave);
    }
}

/// Most streams that enter one module.
pub(crate) const MOST_INPUTS: u64 = 32;

/// Twin of `hwgen_concat`: inputs in turn, so many words of each, through a register slice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Concat {
    pub(super) words: Vec<u32>,
    input: usize,
    position: u32,
    held: u32,
}

impl Concat {
    /// Words a position of each input, 2 to 32 inputs, each 1 or more.
    pub fn new(words: Vec<u32>) -> Result<Self, TimingError> {
        super::require("inputs", words.len() as u64, 2)?;
        super::limit("inputs", words.len() as u64, MOST_INPUTS)?;
        for &count in &words {
            super::require("words", u64::from(count), 1)?;
        }
        Ok(Concat { words, input: 0, position: 0, held: 0 })
    }

    pub(super) fn inputs(&self) -> usize {
        self.words.len()
    }

    pub(super) fn valid(&self) -> bool {
        self.held > 0
    }

    pub(super) fn ready(&self) -> u32 {
        u32::from(self.held < 2) << self.input
    }

    pub(super) fn occupancy(&self) -> u32 {
        self.held
    }

    pub(super) fn step(&mut self, s_moved: u32, gave: bool) {
        let took = s_moved != 0;
        self.held = self.held + u32::from(took) - u32::from(gave);
        if took {
            self.position += 1;
            if self.words.get(self.input) == Some(&self.position) {
                self.position = 0;
                self.input = (self.input + 1) % self.words.len();
            }
        }
    }
}
