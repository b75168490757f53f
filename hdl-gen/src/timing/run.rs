//! What a simulator is asked to run, and what it tells.

use super::graph::Graph;
use super::stall::Stalls;

/// What to run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Frames to send, 1 or more, back to back.
    pub frames: u64,
    /// Pauses of sources and sinks; none: both are ready in every cycle.
    pub stalls: Option<Stalls>,
    /// Modes of the frames, over and over; none: mode 0. A frame whose mode is not that of the frame before (0 before
    /// the first) is offered at the first input from the second cycle after that frame's first word on, the first frame
    /// from cycle 1 on: so long does it take to write the register.
    pub modes: Vec<u8>,
    /// For each frame the cycle before which no source offers its words; frames that are not listed may come at any time.
    pub frame_starts: Vec<u64>,
    /// Keep the cycle of every word at every sink, not of frame ends alone.
    pub keep_words: bool,
    /// Give up after this many cycles.
    pub cycle_limit: u64,
    /// For each sink and frame the latest cycle in which the frame may end; give up at a later one. Frames that are
    /// not listed may end at any time.
    pub latest_ends: Vec<Vec<u64>>,
    /// [`Graph::run_cycles`] may leave out frames at the end that only repeat the one before.
    pub stops_when_regular: bool,
}

impl Run {
    /// `frames` without stalls.
    pub fn frames(frames: u64) -> Self {
        Self {
            frames,
            stalls: None,
            modes: Vec::new(),
            frame_starts: Vec::new(),
            keep_words: false,
            cycle_limit: u64::MAX,
            latest_ends: Vec::new(),
            stops_when_regular: false,
        }
    }

    /// The same with stalls.
    pub fn with_stalls(mut self, stalls: Stalls) -> Self {
        self.stalls = Some(stalls);
        self
    }

    /// The same with modes.
    pub fn with_modes(mut self, modes: &[u8]) -> Self {
        self.modes = modes.to_vec();
        self
    }

    /// The cycle before which no source offers words of a frame.
    pub(super) fn frame_start(&self, frame: u64) -> u64 {
        self.frame_starts.get(usize::try_from(frame).unwrap_or(usize::MAX)).copied().unwrap_or(0)
    }

    /// The mode of a frame.
    pub(super) fn mode(&self, frame: u64) -> u8 {
        let count = self.modes.len() as u64;
        if count == 0 { 0 } else { self.modes.get((frame % count) as usize).copied().unwrap_or(0) }
    }
}

/// Cycles of a run. Cycle 0 is the first rising edge with reset low.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Cycle in which a source's first word was taken.
    pub first_input_cycle: u64,
    /// Cycle in which a sink took its last word.
    pub last_output_cycle: u64,
    /// For each sink, the cycles in which the last words of frames were taken.
    pub frame_end_cycles: Vec<Vec<u64>>,
    /// For each sink, the cycle of each word, if kept.
    pub word_cycles: Vec<Vec<u64>>,
    /// For each module, the most words it held at once ([`super::Twin::occupancy`]).
    pub occupancy_max: Vec<u32>,
}

impl Report {
    /// Rising edges from the first word taken to the last word given, both included.
    pub fn cycles(&self) -> u64 {
        self.last_output_cycle - self.first_input_cycle + 1
    }

    /// Distance between the ends of the last two frames at sink `sink`; none
    /// with fewer than two frames.
    pub fn initiation_interval(&self, sink: usize) -> Option<u64> {
        match self.frame_end_cycles.get(sink)?.as_slice() {
            [.., before, last] => Some(last - before),
            _ => None,
        }
    }
}

/// What a stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// A word is offered and not taken.
    Room,
    /// No word is offered; the taker is ready.
    Word,
    /// No word is offered and the taker is not ready.
    Both,
}

/// One stream of a design that stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Module or source that gives.
    pub from: String,
    /// Module or sink that takes.
    pub to: String,
    /// What the stream waits for.
    pub reason: WaitReason,
}

impl std::fmt::Display for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reason = match self.reason {
            WaitReason::Room => "a word waits for room",
            WaitReason::Word => "the taker waits for a word",
            WaitReason::Both => "no word, and no room for one",
        };
        write!(f, "{} -> {}: {reason}", self.from, self.to)
    }
}

/// Why a run did not end.
#[derive(Clone, Debug, PartialEq)]
pub enum RunError {
    /// Nothing moves any more: which stream waits for what.
    Deadlock {
        /// Cycle of the last move, if there was one.
        last_move: Option<u64>,
        /// Every stream of the design.
        waits: Vec<Wait>,
    },
    /// `cycle_limit` was reached.
    CycleLimit(u64),
    /// A frame ended later than allowed.
    Late {
        /// Number of the sink.
        sink: usize,
        /// Number of the frame, from 0.
        frame: usize,
        /// Cycles by which it was late.
        cycles: u64,
    },
    /// A stall probability that is not in 0 to below 1.
    Probability(f64),
    /// No frames, or more words than can be counted.
    Frames(u64),
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RunError::Deadlock { last_move, waits } => {
                match last_move {
                    Some(cycle) => write!(f, "nothing moves after cycle {cycle}")?,
                    None => write!(f, "nothing ever moves")?,
                }
                for wait in waits {
                    write!(f, "; {wait}")?;
                }
                Ok(())
            }
            RunError::CycleLimit(limit) => write!(f, "not finished after {limit} cycles"),
            RunError::Late { sink, frame, cycles } => {
                write!(f, "frame {frame} ends {cycles} cycles too late at sink {sink}")
            }
            RunError::Probability(p) => write!(f, "stall probability {p} is not in [0, 1)"),
            RunError::Frames(frames) => write!(f, "cannot run {frames} frames"),
        }
    }
}

impl std::error::Error for RunError {}

/// A run that can be made; the words that all its sinks want.
pub(super) fn check_run(graph: &Graph, run: &Run) -> Result<u64, RunError> {
    if let Some(stalls) = run.stalls {
        for probability in [stalls.source_probability, stalls.sink_probability] {
            if !(0.0..1.0).contains(&probability) {
                return Err(RunError::Probability(probability));
            }
        }
    }
    let words = |words_per_frame: u64| words_per_frame.checked_mul(run.frames).filter(|&w| w > 0);
    let sources = graph.sources.iter().map(|source| words(source.words_per_frame));
    let sinks = graph.sinks.iter().map(|sink| words(sink.words_per_frame));
    let wanted = sinks.reduce(|all, words| all.zip(words).and_then(|(all, words)| all.checked_add(words))).flatten();
    match (sources.reduce(|all, words| all.and(words)).flatten(), wanted) {
        (Some(_), Some(wanted)) => Ok(wanted),
        _ => Err(RunError::Frames(run.frames)),
    }
}
