//! Depths of the FIFOs in front of joins.
//!
//! Where the plan gives a depth, that one is taken. The others are found by runs without stalls ([`Graph::run_cycles`]):
//! first every FIFO holds two frames, which tells when each frame ends at the earliest and how many words each FIFO then
//! holds; a FIFO of one word more never refuses a word, so the run is the same. Where runs are cheap, each FIFO is then made
//! as shallow as it can be ([`search`]); where they are dear, the depths stay so, which are enough, until
//! [`Design::with_least_buffers`] is asked for.
//!
//! Freedom from deadlock does not rest on these runs' cycles: see [`Graph::check_untimed`].

mod search;

use super::{Design, PredictError};
use crate::timing::{Fifo, Graph, Report, Run, RunError, Twin};
use crate::verilog::Expr;

/// Frames of a run; when its frames begin to repeat, the rest is counted and not run.
const FRAMES: u64 = 6;
/// Words that move in all trials of a cheap search together.
const WORK_LIMIT: u64 = 400_000_000;
/// Words that move in one frame beyond which no run is made unasked: it would take some seconds.
pub const LONG_FRAME_WORDS: u64 = 500_000_000;
/// Words that a FIFO holds at least.
const LEAST: u32 = 1;
/// Trials that one FIFO takes as a rule.
const TRIALS_EACH: u64 = 12;
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
                let trials = TRIALS_EACH * open.len() as u64;
                let is_cheap = self.frame_words().saturating_mul(trials) <= WORK_LIMIT;
                let frames = if is_cheap { FRAMES } else { self.frames_to_time() };
                if let Some(report) = self.measure(&open, frames)? {
                    if is_cheap {
                        self.shrink_all(&open, report.frame_end_cycles, None, &mut |_, _| true)?;
                    } else {
                        // With these depths the run is the same.
                        self.timing = (self.is_large() && self.modes == 1).then(|| super::timing(&report));
                    }
                }
            }
        }
        self.place_buffers();
        Ok(())
    }

    /// Takes the depths of another design of the same network; says whether the two have the same FIFOs in front of joins.
    pub(crate) fn take_depths(&mut self, like: &Design) -> bool {
        if self.buffers.len() != like.buffers.len() {
            return false;
        }
        let stages: Vec<usize> = self.buffers.iter().map(|buffer| buffer.stage).collect();
        for (stage, other) in stages.into_iter().zip(&like.buffers) {
            self.set_depth(stage, like.depth(other.stage));
        }
        self.place_buffers();
        true
    }

    /// The same design with every FIFO in front of a join as shallow as it can be, whatever depths the plan gives: no
    /// frame ends later than with FIFOs that never fill, and none of them could hold a word less.
    ///
    /// `watch` hears of each step that is done, two for a FIFO, as its number and their count, and of the last one again while
    /// a step takes long; where it says no, the search ends with nothing.
    ///
    /// # Errors
    /// A design that stands still with FIFOs of any depth.
    pub fn with_least_buffers(
        &self,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Option<Self>, PredictError> {
        let mut design = self.clone();
        let stages: Vec<usize> = self.buffers.iter().map(|buffer| buffer.stage).collect();
        for buffer in &mut design.buffers {
            buffer.depth = None;
        }
        design.timing = None;
        // Two runs in which no FIFO refuses a word, side by side.
        let mut endless = design.clone();
        stages.iter().for_each(|&stage| endless.set_depth(stage, Fifo::ENDLESS));
        let graph = endless.graph().map_err(PredictError::Graph)?;
        let (report, recorded) = rayon::join(
            || design.measure(&stages, FRAMES),
            || search::Recorded::early(&graph, &stages, endless.frame_words()),
        );
        let report = report?;
        let latest_ends = report.map_or_else(Vec::new, |report| report.frame_end_cycles);
        if !design.shrink_all(&stages, latest_ends, recorded, watch)? {
            return Ok(None);
        }
        design.place_buffers();
        Ok(Some(design))
    }

    /// Gives the FIFOs depths with which they never refuse a word, as the run that is given back shows. None: depths that
    /// the plan gives elsewhere are too small, which whoever runs the design tells.
    fn measure(&mut self, open: &[usize], frames: u64) -> Result<Option<Report>, PredictError> {
        // Words of one input are never two frames ahead of each other, and of several not in so few frames.
        let endless = frames <= 2 || self.inputs.len() == 1;
        for &stage in open {
            if endless { self.set_depth(stage, Fifo::ENDLESS) } else { self.set_frames(stage, 2) }
        }
        let reference = match self.run_for_depths(&Run::frames(frames), open) {
            Err(PredictError::Run(RunError::Deadlock { .. })) if open.len() < self.buffers.len() => {
                open.iter().for_each(|&stage| self.set_frames(stage, 2));
                return Ok(None);
            }
            reference => reference?,
        };
        for &stage in open {
            let held = reference.occupancy_max.get(stage).copied().unwrap_or(0);
            self.set_depth(stage, held.saturating_add(1).max(LEAST));
        }
        Ok(Some(reference))
    }

    /// A run with the occupancy of these stages.
    fn run_for_depths(&self, run: &Run, stages: &[usize]) -> Result<Report, PredictError> {
        let graph: Graph = self.graph().map_err(PredictError::Graph)?;
        graph.run_watching(run, stages).map_err(|fault| PredictError::Run(self.name_ends(fault)))
    }

    /// The FIFOs whose depths the plan gives and with which the design may stand still or be slow, with depths that are
    /// enough for all of them together.
    pub fn shallow_buffers(&self) -> Vec<ShallowBuffer> {
        let given: Vec<usize> =
            self.buffers.iter().filter(|buffer| buffer.depth.is_some()).map(|buffer| buffer.stage).collect();
        let mut design = self.clone();
        given.iter().for_each(|&stage| design.set_frames(stage, 2));
        let Ok(report) = design.run_for_depths(&Run::frames(FRAMES), &given) else { return Vec::new() };
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
        self.frame_words() > LONG_FRAME_WORDS
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
            if let Some(stage) = self.stages.get_mut(buffer.stage) {
                stage.module = if block { "hwgen_block_fifo" } else { "hwgen_fifo" }.to_owned();
            }
        }
    }
}

/// The least depth of a FIFO in block RAM.
const BLOCK_DEPTH: u32 = 32;
