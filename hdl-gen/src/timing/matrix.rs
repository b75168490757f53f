//! Timing twin of a matrix layer: `hwgen_matrix_control`, a free-running
//! datapath of fixed latency, and `hwgen_credit_fifo`.

use super::TimingError;
use super::credit::{Counter, CreditPipe};

/// Twin of a matrix layer. One result word leaves for each pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Matrix {
    pub(super) input_step: Counter,
    pub(super) output_step: Counter,
    pub(super) pipe: CreditPipe,
    vector_cycles: u64,
}

impl Matrix {
    /// `input_steps` words a vector (dot length / SIMD) and `output_steps`
    /// passes over it (output channels / PE), both 1 or more.
    ///
    /// `latency_cycles` runs from the cycle in which the last step of a pass
    /// issues to the cycle in which the result is pushed: 1 (the control's own
    /// register) plus the datapath's registers; 1 to 127. `fifo_words`: depth of
    /// the credit FIFO, 1 or more.
    pub fn new(input_steps: u32, output_steps: u32, latency_cycles: u32, fifo_words: u32) -> Result<Self, TimingError> {
        super::require("input_steps", u64::from(input_steps), 1)?;
        super::require("output_steps", u64::from(output_steps), 1)?;
        super::require("latency_cycles", u64::from(latency_cycles), 1)?;
        super::limit("latency_cycles", u64::from(latency_cycles), u64::from(CreditPipe::LATENCY_LIMIT))?;
        super::require("fifo_words", u64::from(fifo_words), 1)?;
        Ok(Self {
            input_step: Counter::new(input_steps),
            output_step: Counter::new(output_steps),
            pipe: CreditPipe::new(latency_cycles, fifo_words),
            vector_cycles: u64::from(input_steps) * u64::from(output_steps),
        })
    }

    pub(super) fn valid(&self) -> bool {
        self.pipe.valid()
    }

    fn allowed(&self) -> bool {
        !self.input_step.is_last() || self.pipe.available()
    }

    pub(super) fn ready(&self) -> bool {
        self.output_step.value() == 0 && self.allowed()
    }

    pub(super) fn occupancy(&self) -> u32 {
        self.pipe.occupancy()
    }

    pub(super) fn quiet_cycles(&self) -> u64 {
        self.vector_cycles + u64::from(CreditPipe::LATENCY_LIMIT)
    }

    pub(super) fn step(&mut self, took: bool, gave: bool) {
        let replayed = self.output_step.value() != 0 && self.allowed();
        let issued = took || replayed;
        let finished = issued && self.input_step.advance();
        if finished {
            self.output_step.advance();
        }
        self.pipe.step(finished, gave);
    }
}
