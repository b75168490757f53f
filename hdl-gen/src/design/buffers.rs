//! Depths of the FIFOs in front of joins.
//!
//! Where the plan gives a depth, that one is taken. The others are found by runs without stalls ([`Graph::run_cycles`]):
//! first every FIFO holds two frames, which tells when each frame ends at the earliest and how many words each FIFO then
//! holds; a FIFO of one word more never refuses a word, so the run is the same. From there each in turn is made as shallow
//! as it can be without any frame ending later at any output, in a run that goes on until it repeats. A shallower FIFO
//! only ever delays (dates are monotone in all bounds), so what is too shallow with deep FIFOs elsewhere stays too shallow:
//! one pass leaves no FIFO that could lose a word. Where trials are dear, the pass stops at a limit of work; all FIFOs are
//! then first shrunk together, and some may be deeper than they must be.
//!
//! Freedom from deadlock does not rest on these runs' cycles: see [`Graph::check_untimed`].

use super::{Design, PredictError};
use crate::timing::{Fifo, Graph, Report, Run, RunError, Twin};
use crate::verilog::Expr;

/// Frames of a trial; when its frames begin to repeat, the rest is counted and not run.
const FRAMES: u64 = 6;
/// Frames of a trial that are run as a rule.
const FRAMES_RUN: u64 = 4;
/// Words that move in all trials together.
const WORK_LIMIT: u64 = 3_000_000_000;
/// Words that move in one trial beyond which there is none: some ten seconds.
const LONG_TRIAL: u64 = 1_000_000_000;
/// Words that a FIFO holds at least.
const LEAST: u32 = 1;
/// Trials that one FIFO takes as a rule.
const TRIALS_EACH: u64 = 12;
/// Steps in which all FIFOs are shrunk together.
const SHARES: u64 = 16;
/// Bits from which on a FIFO lies in block RAM.
const BLOCK_BITS: u64 = 16 * 1024;

/// A FIFO in front of a join.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffer {
    /// Index of its stage.
    pub stage: usize,
    /// Number of the join's input behind it.
    pub input: usize,
    /// The plan's wish.
    pub depth: Option<u32>,
}

/// A FIFO whose depth the plan gives, and which would have to be deeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShallowBuffer {
    /// Name of its stream.
    pub name: String,
    /// The plan's layer that joins.
    pub join: String,
    /// Words that it holds.
    pub depth: u32,
    /// Words with which it never refuses one.
    pub enough: u32,
}

impl Design {
    /// Finds the depths of all FIFOs in front of joins, and where their words lie.
    pub(crate) fn size_buffers(&mut self) -> Result<(), PredictError> {
        let mut open = Vec::new();
        for buffer in self.buffers.clone() {
            match buffer.depth {
                Some(depth) => self.set_depth(buffer.stage, depth),
                None => open.push(buffer.stage),
            }
        }
        if !open.is_empty() {
            if self.is_long() {
                // A whole frame is always enough: no branch is ever more than a frame ahead of another.
                open.iter().for_each(|&stage| self.set_frames(stage, 1));
            } else {
                self.search(&open)?;
            }
        }
        self.place_buffers();
        Ok(())
    }

    fn search(&mut self, open: &[usize]) -> Result<(), PredictError> {
        open.iter().for_each(|&stage| self.set_frames(stage, 2));
        let reference = match self.run_for_depths(&Run::frames(FRAMES), true) {
            // A depth that the plan gives is too small: whoever runs the design tells which.
            Err(PredictError::Run(RunError::Deadlock { .. })) if open.len() < self.buffers.len() => return Ok(()),
            reference => reference?,
        };
        for &stage in open {
            let held = reference.occupancy_max.get(stage).copied().unwrap_or(0);
            self.set_depth(stage, held.saturating_add(1).max(LEAST));
        }
        let mut trials =
            Trials { latest_ends: reference.frame_end_cycles, left: WORK_LIMIT / self.words(FRAMES_RUN).max(1) };
        // The widest first: there a word less saves most.
        let mut order = open.to_vec();
        order.sort_by_key(|&stage| std::cmp::Reverse(self.buffer_bits(stage)));
        if trials.left < TRIALS_EACH * order.len() as u64 {
            self.shrink_together(&order, &mut trials)?;
        }
        for stage in order {
            self.shrink(stage, &mut trials)?;
        }
        Ok(())
    }

    /// All FIFOs to the same share of their depths, as small as goes.
    fn shrink_together(&mut self, stages: &[usize], trials: &mut Trials) -> Result<(), PredictError> {
        let depths: Vec<u32> = stages.iter().map(|&stage| self.depth(stage)).collect();
        let set = |design: &mut Self, share: u64| {
            for (&stage, &depth) in stages.iter().zip(&depths) {
                let depth = (u64::from(depth) * share).div_ceil(SHARES) as u32;
                design.set_depth(stage, depth.max(LEAST));
            }
        };
        let (mut low, mut high) = (1, SHARES);
        while low < high {
            let middle = low + (high - low) / 2;
            set(self, middle);
            match self.is_in_time(trials)? {
                Some(true) => high = middle,
                Some(false) => low = middle + 1,
                None => break,
            }
        }
        set(self, high);
        Ok(())
    }

    /// One FIFO as shallow as it can be.
    fn shrink(&mut self, stage: usize, trials: &mut Trials) -> Result<(), PredictError> {
        let (mut low, mut high) = (LEAST, self.depth(stage));
        // Often the first word less is too much.
        let mut probe = high.saturating_sub(1);
        while low < high {
            self.set_depth(stage, probe);
            match self.is_in_time(trials)? {
                Some(true) => high = probe,
                Some(false) => low = probe + 1,
                None => break,
            }
            probe = low + (high - low) / 2;
        }
        self.set_depth(stage, high);
        Ok(())
    }

    /// Whether every frame ends in time with the depths as they are; none: no trial is left.
    fn is_in_time(&self, trials: &mut Trials) -> Result<Option<bool>, PredictError> {
        let Some(left) = trials.left.checked_sub(1) else { return Ok(None) };
        trials.left = left;
        let run = Run { latest_ends: trials.latest_ends.clone(), ..Run::frames(FRAMES) };
        match self.run_for_depths(&run, false) {
            Ok(report) => Ok(Some(no_later(&report.frame_end_cycles, &trials.latest_ends))),
            Err(PredictError::Run(RunError::Deadlock { .. } | RunError::Late { .. })) => Ok(Some(false)),
            Err(fault) => Err(fault),
        }
    }

    fn run_for_depths(&self, run: &Run, occupancy: bool) -> Result<Report, PredictError> {
        let graph: Graph = self.graph().map_err(PredictError::Graph)?;
        let report = if occupancy { graph.run(run) } else { graph.run_cycles(run) };
        report.map_err(|fault| PredictError::Run(self.name_ends(fault)))
    }

    /// The FIFOs whose depths the plan gives and with which the design may stand still or be slow, with depths that are
    /// enough for all of them together.
    pub fn shallow_buffers(&self) -> Vec<ShallowBuffer> {
        let given: Vec<usize> =
            self.buffers.iter().filter(|buffer| buffer.depth.is_some()).map(|buffer| buffer.stage).collect();
        let mut design = self.clone();
        given.iter().for_each(|&stage| design.set_frames(stage, 2));
        let Ok(report) = design.run_for_depths(&Run::frames(FRAMES), true) else { return Vec::new() };
        let rows = given.into_iter().filter_map(|stage| {
            let row = self.stages.get(stage)?;
            let enough = report.occupancy_max.get(stage)?.saturating_add(1).max(LEAST);
            let depth = self.depth(stage);
            (depth < enough).then(|| ShallowBuffer { name: row.name.clone(), join: row.layer.clone(), depth, enough })
        });
        rows.collect()
    }

    /// Whether a prediction takes so long that it is made only where it is asked for.
    pub fn is_long(&self) -> bool {
        self.words(FRAMES_RUN) > LONG_TRIAL
    }

    /// Words that move in so many frames.
    fn words(&self, frames: u64) -> u64 {
        self.frame_words().saturating_mul(frames)
    }

    fn depth(&self, stage: usize) -> u32 {
        match self.stages.get(stage).map(|stage| &stage.twin) {
            Some(Twin::Fifo(fifo)) => fifo.depth(),
            _ => LEAST,
        }
    }

    fn buffer_bits(&self, stage: usize) -> u64 {
        let bits = self.stages.get(stage).map_or(0, |stage| stage.word.bits() + 1);
        u64::from(bits) * u64::from(self.depth(stage))
    }

    fn set_frames(&mut self, stage: usize, frames: u64) {
        let words = self.stages.get(stage).map_or(0, |stage| stage.words_per_frame);
        let words = words.saturating_mul(frames).saturating_add(u64::from(LEAST));
        self.set_depth(stage, u32::try_from(words).unwrap_or(u32::MAX));
    }

    fn set_depth(&mut self, stage: usize, depth: u32) {
        let Some(stage) = self.stages.get_mut(stage) else { return };
        let Ok(fifo) = Fifo::new(depth) else { return };
        stage.twin = Twin::Fifo(fifo);
        if let Some((_, value)) = stage.parameters.iter_mut().find(|(name, _)| *name == "DEPTH") {
            *value = Expr::Integer(i64::from(depth));
        }
    }

    /// Deep FIFOs into block RAM; both modules have the same ports and the same twin.
    fn place_buffers(&mut self) {
        for buffer in self.buffers.clone() {
            let block = self.buffer_bits(buffer.stage) >= BLOCK_BITS && self.depth(buffer.stage) >= BLOCK_DEPTH;
            if let Some(stage) = self.stages.get_mut(buffer.stage).filter(|_| block) {
                stage.module = "hwgen_block_fifo".to_owned();
            }
        }
    }
}

/// The least depth of a FIFO in block RAM.
const BLOCK_DEPTH: u32 = 32;

/// What trials are measured against.
struct Trials {
    latest_ends: Vec<Vec<u64>>,
    left: u64,
}

/// Whether no frame ends later.
fn no_later(ends: &[Vec<u64>], latest: &[Vec<u64>]) -> bool {
    ends.iter().flatten().zip(latest.iter().flatten()).all(|(end, latest)| end <= latest)
}
