//! Timing twins of run-time precision: the gate that samples a mode with each frame, and the bit-serial array.

use super::TimingError;
use super::credit::{Counter, CreditPipe};
use super::stream::Fifo;
use std::sync::Arc;

/// The modes of a run's frames, in order and over and over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Modes {
    sequence: Arc<[u8]>,
    at: usize,
}

impl Modes {
    fn now(&self) -> usize {
        self.sequence.get(self.at).copied().map_or(0, usize::from)
    }

    fn advance(&mut self) {
        self.at = if self.at + 1 < self.sequence.len() { self.at + 1 } else { 0 };
    }
}

/// Twin of `hwgen_mode_gate`. Output 0 carries the words, the others a word for each frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModeGate {
    data: Fifo,
    tokens: Vec<Fifo>,
    word: Counter,
}

impl ModeGate {
    /// `tokens` streams of modes, 1 to 31, each through a FIFO of `frames`; a frame has `words_per_frame`.
    pub fn new(tokens: u32, frames: u32, words_per_frame: u64) -> Result<Self, TimingError> {
        super::require("tokens", u64::from(tokens), 1)?;
        super::limit("tokens", u64::from(tokens), 31)?;
        super::require("words_per_frame", words_per_frame, 1)?;
        super::limit("words_per_frame", words_per_frame, 1 << 31)?;
        let tokens = vec![Fifo::new(frames)?; tokens as usize];
        Ok(ModeGate { data: Fifo::new(2)?, tokens, word: Counter::new(words_per_frame as u32) })
    }

    pub(super) fn outputs(&self) -> usize {
        1 + self.tokens.len()
    }

    pub(super) fn valid(&self) -> u32 {
        let tokens = self.tokens.iter().enumerate();
        tokens.fold(u32::from(self.data.valid()), |mask, (k, fifo)| mask | (u32::from(fifo.valid()) << (k + 1)))
    }

    pub(super) fn ready(&self) -> bool {
        self.data.ready() && (self.word.value() != 0 || self.tokens.iter().all(Fifo::ready))
    }

    pub(super) fn occupancy(&self) -> u32 {
        self.data.occupancy()
    }

    pub(super) fn step(&mut self, took: bool, gave: u32) {
        let first = took && self.word.value() == 0;
        self.data.step(took, gave & 1 != 0);
        for (k, fifo) in self.tokens.iter_mut().enumerate() {
            fifo.step(first, (gave >> (k + 1)) & 1 != 0);
        }
        if took {
            self.word.advance();
        }
    }
}

/// Twin of a bit-serial layer: `hwgen_serial_control`, a free-running datapath of fixed latency, `hwgen_credit_fifo`.
///
/// Input 0 carries words; input 1, where the layer has modes, a word for each frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Serial {
    input_step: Counter,
    output_step: Counter,
    vector: Counter,
    pass: u32,
    passes: Arc<[u32]>,
    modes: Option<Modes>,
    pipe: CreditPipe,
    vector_cycles: u64,
}

/// What a bit-serial layer's timing depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialShape {
    /// Words of a vector, 1 or more.
    pub input_steps: u32,
    /// Results of a vector, 1 or more.
    pub output_steps: u32,
    /// Vectors of a frame, 1 or more.
    pub vectors: u32,
    /// For each mode how often a vector is passed for one result, 1 or more.
    pub passes: Vec<u32>,
    /// Cycles from the issue of a result's last step to its push, as in [`super::Matrix`].
    pub latency_cycles: u32,
    /// Depth of the credit FIFO.
    pub fifo_words: u32,
}

impl Serial {
    /// A layer with a stream of modes where there are several.
    pub fn new(shape: SerialShape) -> Result<Self, TimingError> {
        let SerialShape { input_steps, output_steps, vectors, passes, latency_cycles, fifo_words } = shape;
        super::require("input_steps", u64::from(input_steps), 1)?;
        super::require("output_steps", u64::from(output_steps), 1)?;
        super::require("vectors", u64::from(vectors), 1)?;
        super::require("passes", u64::from(passes.iter().copied().min().unwrap_or(0)), 1)?;
        super::require("latency_cycles", u64::from(latency_cycles), 1)?;
        super::limit("latency_cycles", u64::from(latency_cycles), u64::from(CreditPipe::LATENCY_LIMIT))?;
        super::require("fifo_words", u64::from(fifo_words), 1)?;
        let most = u64::from(passes.iter().copied().max().unwrap_or(1));
        Ok(Serial {
            input_step: Counter::new(input_steps),
            output_step: Counter::new(output_steps),
            vector: Counter::new(vectors),
            pass: 0,
            modes: (passes.len() > 1).then(|| Modes { sequence: Arc::new([0]), at: 0 }),
            passes: passes.into(),
            pipe: CreditPipe::new(latency_cycles, fifo_words),
            vector_cycles: u64::from(input_steps) * u64::from(output_steps) * most,
        })
    }

    /// The same at the start of a run whose frames have these modes, over and over; an empty sequence is mode 0.
    pub(super) fn set_modes(&mut self, sequence: &Arc<[u8]>) {
        if let Some(modes) = self.modes.as_mut().filter(|_| !sequence.is_empty()) {
            *modes = Modes { sequence: sequence.clone(), at: 0 };
        }
    }

    pub(super) fn inputs(&self) -> usize {
        1 + usize::from(self.modes.is_some())
    }

    pub(super) fn valid(&self) -> bool {
        self.pipe.valid()
    }

    fn pass_is_last(&self) -> bool {
        let mode = self.modes.as_ref().map_or(0, Modes::now);
        self.pass + 1 >= self.passes.get(mode).copied().unwrap_or(1)
    }

    fn allowed(&self) -> bool {
        !(self.input_step.is_last() && self.pass_is_last()) || self.pipe.available()
    }

    fn takes(&self) -> bool {
        self.pass == 0 && self.output_step.value() == 0
    }

    /// Whether a step issues with these inputs offered.
    fn issues(&self, s_valid: u32) -> bool {
        let has_mode = self.modes.is_none() || s_valid & 2 != 0;
        has_mode && self.allowed() && (s_valid & 1 != 0 || !self.takes())
    }

    fn frame_ends(&self) -> bool {
        self.input_step.is_last() && self.pass_is_last() && self.output_step.is_last() && self.vector.is_last()
    }

    pub(super) fn ready(&self, s_valid: u32) -> u32 {
        let has_mode = self.modes.is_none() || s_valid & 2 != 0;
        let data = has_mode && self.allowed() && self.takes();
        let mode = self.modes.is_some() && self.issues(s_valid) && self.frame_ends();
        u32::from(data) | (u32::from(mode) << 1)
    }

    pub(super) fn occupancy(&self) -> u32 {
        self.pipe.occupancy()
    }

    pub(super) fn quiet_cycles(&self) -> u64 {
        self.vector_cycles + u64::from(CreditPipe::LATENCY_LIMIT)
    }

    pub(super) fn step(&mut self, s_valid: u32, gave: bool) {
        let issued = self.issues(s_valid);
        let mut finished = false;
        if issued {
            let (last, ends) = (self.pass_is_last(), self.frame_ends());
            if self.input_step.advance() {
                self.pass = if last { 0 } else { self.pass + 1 };
                finished = last;
            }
            if finished && self.output_step.advance() {
                self.vector.advance();
            }
            if let Some(modes) = self.modes.as_mut().filter(|_| ends) {
                modes.advance();
            }
        }
        self.pipe.step(finished, gave);
    }
}
