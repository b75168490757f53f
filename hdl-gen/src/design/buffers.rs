//! Depths of the FIFOs in front of joins.
//!
//! The modules are deterministic processes with blocking reads and writes over bounded streams (a Kahn network), so
//! whether all words pass does not depend on the order of moves: a run that ends under one stall pattern ends under
//! every one. Depths are found by the token-level simulator: deep enough never to wait, then each FIFO in turn as
//! shallow as it can be without the run ending later. Where a run takes too long, every FIFO holds a whole frame.

use super::{Design, PredictError};
use crate::timing::{Fifo, Run, RunError, Twin};
use crate::verilog::Expr;

/// Frames of a trial: the first fills the pipeline, the others show the rate.
const FRAMES: u64 = 3;
/// Cycles times stages that all trials together may take.
const WORK_LIMIT: u64 = 400_000_000;
/// Cycles times stages of one trial beyond which there is none: some ten seconds.
const LONG_TRIAL: u64 = 1_000_000_000;
/// Words that a FIFO holds at least.
const LEAST: u32 = 2;

impl Design {
    /// Finds the depths of all FIFOs in front of joins.
    pub(crate) fn size_buffers(&mut self) -> Result<(), PredictError> {
        if self.buffers.is_empty() {
            return Ok(());
        }
        if self.is_long() {
            // A whole frame is always enough: no branch is ever more than a frame ahead of another.
            for index in self.buffers.clone() {
                let words = self.stages.get(index).map_or(0, |stage| stage.words_per_frame);
                self.set_depth(index, u32::try_from(words.saturating_add(2)).unwrap_or(u32::MAX));
            }
            return Ok(());
        }
        for index in self.buffers.clone() {
            let words = self.stages.get(index).map_or(0, |stage| stage.words_per_frame);
            self.set_depth(index, u32::try_from(words.saturating_mul(2)).unwrap_or(u32::MAX).max(LEAST));
        }
        let (end, occupancy) = self.trial(u64::MAX)?;
        let mut work_left = WORK_LIMIT.saturating_sub(self.work(end));
        for index in self.buffers.clone() {
            self.set_depth(index, occupancy.get(index).copied().unwrap_or(0).max(LEAST));
        }
        // The widest first: there a word less saves most.
        let mut order = self.buffers.clone();
        order.sort_by_key(|&index| std::cmp::Reverse(self.buffer_bits(index)));
        for index in order {
            let (mut low, mut high) = (LEAST, self.depth(index));
            while low < high {
                let work = self.work(end);
                if work > work_left {
                    break;
                }
                work_left -= work;
                let middle = low + (high - low) / 2;
                self.set_depth(index, middle);
                match self.trial(end + 1) {
                    Ok(_) => high = middle,
                    Err(PredictError::Run(RunError::Deadlock { .. } | RunError::CycleLimit(_))) => low = middle + 1,
                    Err(fault) => return Err(fault),
                }
            }
            self.set_depth(index, high);
        }
        Ok(())
    }

    /// Whether a prediction takes so long that it is made only where it is asked for.
    pub fn is_long(&self) -> bool {
        let cycles = self.rows.iter().map(|row| row.cycles).max().unwrap_or(0);
        self.work(cycles.saturating_mul(FRAMES)) > LONG_TRIAL
    }

    /// The cycle of the last word of a trial, and the most words that each stage held.
    fn trial(&self, cycle_limit: u64) -> Result<(u64, Vec<u32>), PredictError> {
        let graph = self.graph().map_err(PredictError::Graph)?;
        let mut run = Run::frames(FRAMES);
        run.cycle_limit = run.cycle_limit.min(cycle_limit);
        let report = graph.run(&run).map_err(|fault| PredictError::Run(self.name_ends(fault)))?;
        Ok((report.last_output_cycle, report.occupancy_max))
    }

    fn work(&self, cycles: u64) -> u64 {
        cycles.saturating_mul(self.stages.len() as u64)
    }

    fn depth(&self, index: usize) -> u32 {
        match self.stages.get(index).map(|stage| &stage.twin) {
            Some(Twin::Fifo(fifo)) => fifo.depth(),
            _ => LEAST,
        }
    }

    fn buffer_bits(&self, index: usize) -> u64 {
        let bits = self.stages.get(index).map_or(0, |stage| stage.word.bits());
        u64::from(bits) * u64::from(self.depth(index))
    }

    fn set_depth(&mut self, index: usize, depth: u32) {
        let Some(stage) = self.stages.get_mut(index) else { return };
        let Ok(fifo) = Fifo::new(depth) else { return };
        stage.twin = Twin::Fifo(fifo);
        if let Some((_, value)) = stage.parameters.iter_mut().find(|(name, _)| *name == "DEPTH") {
            *value = Expr::Integer(i64::from(depth));
        }
    }
}
