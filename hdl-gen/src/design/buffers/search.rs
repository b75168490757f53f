//! The search for the least depths, by trial.
//!
//! A trial makes one FIFO shallower and runs frames. A shallower FIFO only ever delays (dates are monotone in all bounds), so
//! what is too shallow with deep FIFOs elsewhere stays too shallow, and what ends too late in the first frame does so in a
//! longer run. So each FIFO in turn is made as shallow as the first frame allows, and one long run then shows that
//! nothing is late behind it; where something is, the FIFOs that cause it, found by halving, get their words back and are
//! tried again in long runs, from the depth that the first frame asks for. After that no FIFO could lose a word.
//!
//! Most FIFOs need either a single word or nearly all that they ever held: the trials begin at both ends. A design that
//! stands still is known at once, so that the search from below costs little.

use super::super::{Design, PredictError};
use super::{FRAMES, LEAST};
use crate::timing::{Report, Run, RunError};
use std::collections::BTreeMap;

/// FIFOs that never hold more words than this are first tried all together with a single one.
const FEW: u32 = 16;

/// So near to what is enough the search goes on from there.
const NEAR: u32 = 128;

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    InTime,
    Late,
    StandsStill,
}

/// A search through all FIFOs.
struct Search<'a> {
    design: &'a mut Design,
    /// The FIFOs, the widest first: there a word less saves most.
    stages: Vec<usize>,
    /// Words that the last FIFO could do without, of those that it held; the next one may be alike.
    spare: u32,
}

impl Design {
    /// Makes each FIFO as shallow as it can be, from depths that are enough; false: `watch` has ended it.
    pub(super) fn shrink_all(
        &mut self,
        stages: &[usize],
        latest_ends: Vec<Vec<u64>>,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<bool, PredictError> {
        let mut stages = stages.to_vec();
        stages.sort_by_key(|&stage| std::cmp::Reverse(self.buffer_bits(stage)));
        Search { design: self, stages, spare: 1 }.run(latest_ends, watch)
    }
}

impl Search<'_> {
    fn run(
        &mut self,
        latest_ends: Vec<Vec<u64>>,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<bool, PredictError> {
        let first = Run { latest_ends: latest_ends.clone(), ..Run::frames(1) };
        let two = Run { latest_ends: latest_ends.clone(), ..Run::frames(2) };
        let all = Run { latest_ends, ..Run::frames(FRAMES) };
        let enough: BTreeMap<usize, u32> = self.depths().into_iter().collect();
        self.shrink_together(&first)?;
        let mut order = Vec::new();
        for (number, stage) in self.stages.clone().into_iter().enumerate() {
            self.shrink(stage, LEAST, &first)?;
            order.push((stage, self.design.depth(stage)));
            if !watch(number + 1, self.stages.len()) {
                return Ok(false);
            }
        }
        // Frames behind the first: mostly the second is late already.
        for run in [two, all] {
            for (stage, asked) in self.deepen(&enough, &mut order, &run)? {
                self.shrink(stage, asked, &run)?;
                order.push((stage, self.design.depth(stage)));
                if !watch(self.stages.len(), self.stages.len()) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Gives FIFOs that are too shallow for a longer run the words back that were `enough`; which, and the depths that were
    /// too few. `order` has all FIFOs with their depths.
    fn deepen(
        &mut self,
        enough: &BTreeMap<usize, u32>,
        order: &mut Vec<(usize, u32)>,
        run: &Run,
    ) -> Result<Vec<(usize, u32)>, PredictError> {
        let mut deepened = Vec::new();
        while self.verdict(run)? != Verdict::InTime && !order.is_empty() {
            // With the last FIFOs deep from this one on the run is in time; with one less it is late.
            let (mut late, mut in_time) = (order.len(), 0);
            while in_time + 1 < late {
                let middle = in_time + (late - in_time) / 2;
                for (place, (stage, asked)) in order.iter().enumerate() {
                    let depth = if place >= middle { enough.get(stage).unwrap_or(asked) } else { asked };
                    self.design.set_depth(*stage, *depth);
                }
                if self.verdict(run)? == Verdict::InTime { in_time = middle } else { late = middle }
            }
            let (culprit, asked) = order.remove(in_time);
            deepened.push((culprit, asked));
            order.iter().for_each(|&(stage, asked)| self.design.set_depth(stage, asked));
            self.design.set_depth(culprit, enough.get(&culprit).copied().unwrap_or(asked));
        }
        Ok(deepened)
    }

    fn depths(&self) -> Vec<(usize, u32)> {
        self.stages.iter().map(|&stage| (stage, self.design.depth(stage))).collect()
    }

    /// All FIFOs that hold few words, with a single one.
    fn shrink_together(&mut self, run: &Run) -> Result<(), PredictError> {
        let before: Vec<(usize, u32)> = self.depths().into_iter().filter(|&(_, depth)| depth <= FEW).collect();
        before.iter().for_each(|&(stage, _)| self.design.set_depth(stage, LEAST));
        if self.verdict(run)? != Verdict::InTime {
            before.iter().for_each(|&(stage, depth)| self.design.set_depth(stage, depth));
        }
        Ok(())
    }

    /// One FIFO as shallow as it can be; fewer words than `asked` are known to be too few.
    fn shrink(&mut self, stage: usize, asked: u32, run: &Run) -> Result<(), PredictError> {
        // `low` is the least depth that has not been seen to fail, `high` is enough.
        let mut high = self.design.depth(stage);
        if high <= asked {
            return Ok(());
        }
        let verdict = self.try_with(stage, asked, run)?;
        if verdict == Verdict::InTime {
            return Ok(());
        }
        let mut low = asked + 1;
        // Up to where it no longer stands still, which is seldom far below what is enough.
        let mut stands_still = verdict == Verdict::StandsStill;
        while stands_still && low + NEAR < high {
            let middle = low + (high - low) / 2;
            match self.try_with(stage, middle, run)? {
                Verdict::InTime => high = self.design.depth(stage),
                verdict => (low, stands_still) = (middle + 1, verdict == Verdict::StandsStill),
            }
        }
        // Down from what is enough: first as far as the FIFO before, then in growing steps; and then between what fails and
        // what does not. Two trials at a time, side by side.
        let held = high;
        let (mut step, mut is_first, mut fails) = (self.spare, true, false);
        while low < high {
            let span = high - low;
            let [upper, lower] = if fails {
                [low + span / 3 * 2 + span % 3 / 2, low + span / 3]
            } else {
                let upper = high - step.min(span);
                [upper, if is_first { upper.saturating_sub(1) } else { high - step.saturating_mul(2).min(span) }]
            };
            match self.try_both(stage, [upper, lower.max(low)], run)? {
                [_, Verdict::InTime] => {
                    high = self.design.depth(stage);
                    step = if is_first { 1 } else { step.saturating_mul(4) };
                    is_first = false;
                }
                [Verdict::InTime, _] => (low, high, fails) = (lower.max(low) + 1, upper, true),
                _ => (low, fails) = (upper + 1, true),
            }
        }
        self.spare = (held - high).max(1);
        self.design.set_depth(stage, high);
        Ok(())
    }

    /// Trials with two depths side by side; the FIFO keeps the second.
    fn try_both(&mut self, stage: usize, [upper, lower]: [u32; 2], run: &Run) -> Result<[Verdict; 2], PredictError> {
        if upper == lower {
            return self.try_with(stage, lower, run).map(|verdict| [verdict; 2]);
        }
        self.design.set_depth(stage, upper);
        let graph = self.design.graph().map_err(PredictError::Graph)?;
        self.design.set_depth(stage, lower);
        let (other, own) = std::thread::scope(|scope| {
            let other = scope.spawn(|| graph.run_cycles(run));
            let own = self.verdict(run);
            (other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), own)
        });
        Ok([judged(other, run)?.0, own?])
    }

    fn try_with(&mut self, stage: usize, depth: u32, run: &Run) -> Result<Verdict, PredictError> {
        self.design.set_depth(stage, depth);
        self.verdict(run)
    }

    /// How a run with the depths as they are ends. Where it ends in time, FIFOs that held less than they can become
    /// shallower at once: the run stays the same.
    fn verdict(&mut self, run: &Run) -> Result<Verdict, PredictError> {
        let graph = self.design.graph().map_err(PredictError::Graph)?;
        let (verdict, report) = judged(graph.run_watching(run, &self.stages), run)?;
        let Some(report) = report.filter(|_| verdict == Verdict::InTime) else { return Ok(verdict) };
        for &stage in &self.stages {
            let enough = report.occupancy_max.get(stage).map_or(u32::MAX, |held| held.saturating_add(1));
            if enough < self.design.depth(stage) {
                self.design.set_depth(stage, enough.max(LEAST));
            }
        }
        Ok(Verdict::InTime)
    }
}

/// How a run ended, and its report.
fn judged(ended: Result<Report, RunError>, run: &Run) -> Result<(Verdict, Option<Report>), PredictError> {
    let report = match ended {
        Ok(report) => report,
        Err(RunError::Deadlock { .. }) => return Ok((Verdict::StandsStill, None)),
        Err(RunError::Late { .. }) => return Ok((Verdict::Late, None)),
        Err(fault) => return Err(PredictError::Run(fault)),
    };
    // Frames that are counted and not run are not compared while they are.
    let mut frames = report.frame_end_cycles.iter().zip(&run.latest_ends);
    let in_time = frames.all(|(ends, latest)| ends.iter().zip(latest).all(|(end, latest)| end <= latest));
    Ok((if in_time { Verdict::InTime } else { Verdict::Late }, Some(report)))
}
