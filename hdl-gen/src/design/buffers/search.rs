//! The search for the least depths, by trial.
//!
//! A shallower FIFO only ever delays (dates are monotone in all bounds), so what is too shallow among deep FIFOs stays too
//! shallow when others lose words. The search goes down in three steps:
//!
//! 1. Each FIFO is made as shallow as the modules around it allow: where the words that enter and leave such a part keep their
//!    cycles, nothing changes outside ([`Region`]), so that trials run a tenth of the design and the whole is run once, to
//!    record these cycles. There frames come no faster than they leave: else what lies before the slowest module runs ahead in
//!    the second frame, and FIFOs would have to hold that. A run in which frames come at once is no later. FIFOs whose parts
//!    have nothing in common are tried side by side.
//! 2. Each FIFO is tried with one word less, and where that is in time, with still less ([`Descent`]): in a run of the cone behind the
//!    fork that leads to its join, which words enter in the cycles in which they do so in the whole ([`Cone`]). What is late there
//!    is late in the whole too, and the cone is often a third of it.
//! 3. A long run of the whole with all depths together shows whether they are enough. Where they are not, the joins whose FIFOs cause
//!    it, found by halving, get their words back, and these are tried again in runs of the whole; then step 2 once more, where a
//!    depth that is in time in the cone is run as a whole too; and where the depths are too few together or for long runs
//!    only, long runs for one FIFO after the other.
//!
//! So the depths that are found rest on the whole alone: one run of all depths together that is in time, and for each FIFO one
//! with a word less that is not, be it of the whole or of a cone that is never later.
//!
//! [`Region`]: crate::timing::Region
//! [`Cone`]: crate::timing::Cone

mod descent;
mod parts;
mod steps;
mod trials;

use super::super::{Design, PredictError};
use super::{FRAMES, LEAST};
use crate::timing::{Fifo, Graph, Run, RunError, Twin};
use descent::Descent;
pub(super) use parts::Recorded;
use std::collections::BTreeMap;
use steps::last_good;

/// Frames of a short run, and of those in which parts keep their border. Words of a first frame find everything empty, those
/// of a second one what the first has left.
const SHORT: u64 = 2;

/// A search through all FIFOs.
struct Search {
    graph: Graph,
    /// The FIFOs, the widest first: there a word less saves most.
    order: Vec<usize>,
    /// The same, those in front of one layer together.
    joins: Vec<Vec<usize>>,
    /// Depths that are enough for all together.
    enough: BTreeMap<usize, u32>,
    depths: BTreeMap<usize, u32>,
    /// For some FIFOs a depth that is perhaps a little too few.
    hints: BTreeMap<usize, u32>,
    latest_ends: Vec<Vec<u64>>,
    /// Words that each stage gives in one frame.
    words: Vec<u64>,
    /// What parts of all FIFOs start from, if that is known already.
    recorded: Option<Recorded>,
    /// Cycles in which the reader of each FIFO takes a word, in the mean.
    pitches: BTreeMap<usize, u64>,
}

/// How a run of the whole ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Late {
    /// All frames in time.
    No,
    /// The first late frame, at one of the sinks, by so many cycles.
    Frame { sink: usize, frame: usize, cycles: u64 },
    /// The design stands still.
    Never,
}

impl Design {
    /// Makes each FIFO as shallow as it can be, from depths that are enough; false: `watch` has ended it.
    pub(super) fn shrink_all(
        &mut self,
        stages: &[usize],
        latest_ends: Vec<Vec<u64>>,
        recorded: Option<Recorded>,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<bool, PredictError> {
        let mut order = stages.to_vec();
        order.sort_by_key(|&stage| std::cmp::Reverse(self.buffer_bits(stage)));
        let enough: BTreeMap<usize, u32> = order.iter().map(|&stage| (stage, self.depth(stage))).collect();
        let depths = enough.clone();
        let graph = self.graph().map_err(PredictError::Graph)?;
        let (joins, hints) = (self.by_layer(&order), BTreeMap::new());
        let words = self.stages.iter().map(|stage| stage.words_per_frame.saturating_mul(stage.ports as u64)).collect();
        let interval = latest_ends.iter().map(|ends| frame_interval(ends)).max().unwrap_or(0);
        let pitch = |stage: usize| interval.checked_div(self.stages[stage].words_per_frame).unwrap_or(1);
        let pitches = order.iter().map(|&stage| (stage, pitch(stage))).collect();
        let mut search = Search { graph, order, joins, enough, depths, hints, latest_ends, words, recorded, pitches };
        let is_finished = search.run(watch)?;
        search.depths.iter().for_each(|(&stage, &depth)| self.set_depth(stage, depth));
        Ok(is_finished)
    }

    /// Stages in their order, those of one layer together.
    fn by_layer(&self, order: &[usize]) -> Vec<Vec<usize>> {
        let mut layers: Vec<(&str, Vec<usize>)> = Vec::new();
        for &stage in order {
            let layer = self.stages[stage].layer.as_str();
            match layers.iter_mut().find(|(name, _)| *name == layer) {
                Some((_, stages)) => stages.push(stage),
                None => layers.push((layer, vec![stage])),
            }
        }
        layers.into_iter().map(|(_, stages)| stages).collect()
    }
}

impl Search {
    /// `watch` hears of each FIFO twice: when it is shallow, and when a word less is known to be too few.
    fn run(&mut self, watch: &mut dyn FnMut(usize, usize) -> bool) -> Result<bool, PredictError> {
        let (steps, mut done) = (2 * self.order.len(), 0);
        let mut found = |fifos: usize| {
            done += fifos;
            watch(done, steps)
        };
        let stages = self.order.clone();
        if !self.shrink_in_parts(&stages, &mut || found(1))? {
            return Ok(false);
        }
        let mut trials = self.cone_trials(&self.open())?;
        if trials.late != Late::No {
            if !self.bring_in_time(&mut || found(0))? {
                return Ok(false);
            }
            trials = self.cone_trials(&self.open())?;
        }
        let open = self.open();
        if !found(stages.len() - open.len()) {
            return Ok(false);
        }
        let Some(depths) = trials.descend(self.descents(&open), &mut found)? else { return Ok(false) };
        self.depths = depths;
        if self.is_in_time(&[], FRAMES)? {
            return Ok(true);
        }
        self.run_whole(&mut || found(0))
    }

    /// The search in runs of the whole, from depths that are too shallow for one.
    fn run_whole(&mut self, watch: &mut dyn FnMut() -> bool) -> Result<bool, PredictError> {
        if !self.bring_in_time(watch)? {
            return Ok(false);
        }
        let open = self.open();
        let trials = self.cone_trials(&open)?.confirming();
        let Some(depths) = trials.descend(self.descents(&open), &mut |_| watch())? else { return Ok(false) };
        let in_time = std::mem::replace(&mut self.depths, depths);
        if self.depths != in_time && !self.is_in_time(&[], FRAMES)? {
            // Too shallow together, or for more frames: each with those before it.
            let left: Vec<usize> = open.into_iter().filter(|stage| self.depths[stage] < in_time[stage]).collect();
            self.depths = in_time;
            for stage in left {
                let one = self.descents(&[stage]);
                let Some(depths) = self.whole_trials(FRAMES).descend(one, &mut |_| watch())? else {
                    return Ok(false);
                };
                self.depths = depths;
            }
        }
        Ok(true)
    }

    /// The FIFOs that hold more than the least.
    fn open(&self) -> Vec<usize> {
        self.order.iter().copied().filter(|stage| self.depths[stage] > LEAST).collect()
    }

    /// Makes FIFOs that are too shallow for runs of the whole deeper, up to what is enough; false: `watch` has ended it.
    fn bring_in_time(&mut self, watch: &mut dyn FnMut() -> bool) -> Result<bool, PredictError> {
        for frames in [SHORT, FRAMES] {
            for (stage, too_few) in self.deepen(frames)? {
                let one = Descent::between(stage, too_few, self.depths[&stage], self.pitches[&stage]);
                let Some(depths) = self.whole_trials(frames).descend(vec![one], &mut |_| watch())? else {
                    return Ok(false);
                };
                self.depths = depths;
            }
        }
        Ok(true)
    }

    /// Gives FIFOs in front of joins that are too shallow for a run the words back that are enough; which, and the depths
    /// that were too few.
    fn deepen(&mut self, frames: u64) -> Result<Vec<(usize, u32)>, PredictError> {
        let mut deepened = Vec::new();
        let is_short = |stage: &usize| self.depths[stage] < self.enough[stage];
        let short = self.joins.iter().map(|stages| stages.iter().copied().filter(is_short).collect::<Vec<_>>());
        let mut joins: Vec<Vec<usize>> = short.filter(|stages| !stages.is_empty()).collect();
        while !joins.is_empty() && !self.is_in_time(&[], frames)? {
            // With the FIFOs of the joins from this one on deep the run is in time; with one join less it is late.
            let culprit = last_good(joins.len() as u32, |place| {
                let deep = joins.iter().skip(place as usize).flatten();
                self.is_in_time(&deep.map(|&stage| (stage, self.enough[&stage])).collect::<Vec<_>>(), frames)
            })?;
            for stage in joins.remove(culprit as usize) {
                deepened.push((stage, self.depths.insert(stage, self.enough[&stage]).unwrap_or(LEAST)));
            }
        }
        Ok(deepened)
    }

    /// The search for these FIFOs from the depths that they have.
    fn descents(&self, stages: &[usize]) -> Vec<Descent> {
        let descent = |&stage: &usize| {
            let (depth, hint) = (self.depths[&stage], self.hints.get(&stage).copied());
            let is_tight = hint.is_none() || depth < self.enough[&stage];
            Descent::new(stage, depth, is_tight, hint, self.pitches[&stage])
        };
        stages.iter().map(descent).collect()
    }

    /// The design with these depths.
    fn graph_with(&self, depths: &BTreeMap<usize, u32>) -> Graph {
        let mut graph = self.graph.clone();
        for (&stage, &depth) in depths {
            if let Ok(fifo) = Fifo::new(depth) {
                graph.set_twin(stage, Twin::Fifo(fifo));
            }
        }
        graph
    }

    /// Whether no frame of a run of the whole with some other depths ends later than it may.
    fn is_in_time(&self, others: &[(usize, u32)], frames: u64) -> Result<bool, PredictError> {
        let mut depths = self.depths.clone();
        depths.extend(others.iter().copied());
        let run = Run { latest_ends: self.latest_ends.clone(), ..Run::frames(frames) };
        Ok(lateness(self.graph_with(&depths).run_cycles(&run))? == Late::No)
    }
}

/// Cycles from one frame's end to the next.
fn frame_interval(ends: &[u64]) -> u64 {
    match ends {
        [.., before, last] => last - before,
        [only] => *only,
        [] => 0,
    }
}

/// How a run ended that is given up where a frame is late.
fn lateness<T>(ended: Result<T, RunError>) -> Result<Late, PredictError> {
    match ended {
        Ok(_) => Ok(Late::No),
        Err(RunError::Late { sink, frame, cycles }) => Ok(Late::Frame { sink, frame, cycles }),
        Err(RunError::Deadlock { .. }) => Ok(Late::Never),
        Err(fault) => Err(PredictError::Run(fault)),
    }
}
