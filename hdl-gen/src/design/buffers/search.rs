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
//! 2. Runs of the whole design over more frames show whether that is enough. Where it is not, the joins whose FIFOs cause it,
//!    found by halving, get their words back, and these are tried again in such runs.
//! 3. Each FIFO is tried with one word less in a run of the whole, and where that is in time, with still less ([`Descent`]), two
//!    FIFOs side by side. A long run for all of them together shows whether it is enough; if not, long runs look for it one
//!    after the other.
//!
//! So the depths that are found rest on runs of the whole alone: one of all depths together that is in time, and for each FIFO one
//! with a word less that is not.

mod descent;
mod steps;

use super::super::{Design, PredictError};
use super::{FRAMES, LEAST};
use crate::timing::{Change, Fifo, Graph, Recording, Region, Report, Run, RunError, Twin};
use descent::Descent;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use steps::{ascend, descend, last_good};

/// How many streams around a FIFO a part reaches.
const REACH: usize = 8;
/// Frames of a short run, and of those in which parts keep their border. Words of a first frame find everything empty, those
/// of a second one what the first has left.
const SHORT: u64 = 2;
/// Words of the whole in so many frames beyond which parts are recorded in several runs.
const RECORDED_WORDS: u64 = 160_000_000;

/// A search through all FIFOs.
struct Search {
    graph: Graph,
    /// The FIFOs, the widest first: there a word less saves most.
    order: Vec<usize>,
    /// The same, those in front of one layer together.
    joins: Vec<Vec<usize>>,
    depths: BTreeMap<usize, u32>,
    /// For some FIFOs a depth that is perhaps a little too few.
    hints: BTreeMap<usize, u32>,
    latest_ends: Vec<Vec<u64>>,
    /// Words that move in one frame.
    frame_words: u64,
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

/// A FIFO with the modules around it.
struct Part {
    stage: usize,
    region: Region,
}

/// What a part says of its FIFO.
struct Least {
    /// The least depth that keeps the border in the first frame, if it is less.
    first: Option<u32>,
    /// The least depth that keeps it in all recorded frames.
    depth: u32,
    /// What that changes inside.
    change: Option<Change>,
}

impl Design {
    /// Makes each FIFO as shallow as it can be, from depths that are enough; false: `watch` has ended it.
    pub(super) fn shrink_all(
        &mut self,
        stages: &[usize],
        latest_ends: Vec<Vec<u64>>,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<bool, PredictError> {
        let mut order = stages.to_vec();
        order.sort_by_key(|&stage| std::cmp::Reverse(self.buffer_bits(stage)));
        let depths = order.iter().map(|&stage| (stage, self.depth(stage))).collect();
        let graph = self.graph().map_err(PredictError::Graph)?;
        let (joins, frame_words) = (self.by_layer(&order), self.frame_words());
        let mut search = Search { graph, order, joins, depths, hints: BTreeMap::new(), latest_ends, frame_words };
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
        let steps = 2 * self.order.len();
        let mut done = 0;
        let mut found = |fifos: usize| {
            done += fifos;
            watch(done, steps)
        };
        if !self.shrink_deep(&mut found)? {
            return Ok(false);
        }
        let open: Vec<usize> = self.order.iter().copied().filter(|stage| self.depths[stage] > LEAST).collect();
        let mut done = steps - open.len();
        let first = open.iter().map(|&stage| self.descent(stage)).collect();
        let Some(found) = self.descend_in_runs(first, SHORT, &mut |found| {
            done += found;
            watch(done, steps)
        })?
        else {
            return Ok(false);
        };
        let enough = std::mem::replace(&mut self.depths, found);
        if self.depths != enough && !self.is_in_time(&[], FRAMES)? {
            // Too shallow together, or for more frames: each with those before it.
            let left: Vec<usize> = open.into_iter().filter(|stage| self.depths[stage] < enough[stage]).collect();
            self.depths = enough;
            for stage in left {
                let one = self.descent(stage);
                let Some(found) = self.descend_in_runs(vec![one], FRAMES, &mut |_| watch(done, steps))? else {
                    return Ok(false);
                };
                self.depths = found;
            }
        }
        Ok(true)
    }

    /// Makes all FIFOs so shallow that runs of the whole are in time, and few too deep.
    ///
    /// `watch` hears how many more FIFOs are shallow, and is asked now and then besides; false: it has ended the search.
    fn shrink_deep(&mut self, watch: &mut dyn FnMut(usize) -> bool) -> Result<bool, PredictError> {
        let enough = self.depths.clone();
        let stages = self.order.clone();
        if !self.shrink_in_parts(&stages, &mut || watch(1))? {
            return Ok(false);
        }
        if self.is_in_time(&[], FRAMES)? {
            return Ok(true);
        }
        for frames in [SHORT, FRAMES] {
            for (stage, too_few) in self.deepen(&enough, frames)? {
                let one = Descent::between(stage, too_few, self.depths[&stage]);
                let Some(found) = self.descend_in_runs(vec![one], frames, &mut |_| watch(0))? else {
                    return Ok(false);
                };
                self.depths = found;
            }
        }
        Ok(true)
    }

    /// Makes FIFOs as shallow as leaves the first frames as they are around parts of the design; false: `watch`, which is asked
    /// after each FIFO, has ended it.
    fn shrink_in_parts(&mut self, stages: &[usize], watch: &mut dyn FnMut() -> bool) -> Result<bool, PredictError> {
        let groups = (self.frame_words * SHORT).div_ceil(RECORDED_WORDS).max(1) as usize;
        for group in stages.chunks(stages.len().div_ceil(groups).max(1)) {
            if !self.shrink_together(group, watch)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The same from one recording of them all.
    fn shrink_together(&mut self, stages: &[usize], watch: &mut dyn FnMut() -> bool) -> Result<bool, PredictError> {
        let mut graph = self.graph_with(&self.depths);
        let part = |graph: &Graph, stage: usize| Part { stage, region: graph.region_around(stage, REACH) };
        let mut left: Vec<Part> = stages.iter().map(|&stage| part(&graph, stage)).collect();
        let border: BTreeSet<usize> = left.iter().flat_map(|part| part.region.border()).collect();
        let border: Vec<usize> = border.into_iter().collect();
        let run = Run { frame_starts: self.frame_starts(), ..Run::frames(SHORT) };
        let (recording, first) =
            rayon::join(|| graph.record(&run, &border), || graph.run_watching(&Run::frames(1), stages));
        let (mut recording, first) = (recording.map_err(PredictError::Run)?, first.map_err(PredictError::Run)?);
        let held = |stage: usize| first.occupancy_max.get(stage).map_or(u32::MAX, |held| held.saturating_add(1));
        left.sort_by_key(|part| held(part.stage));
        while !left.is_empty() {
            let (mut chosen, mut others): (Vec<Part>, Vec<Part>) = Default::default();
            for part in left {
                let is_apart = chosen.iter().all(|other| !other.region.touches(&part.region));
                if is_apart { chosen.push(part) } else { others.push(part) }
            }
            // With the depths that were found around them.
            let chosen: Vec<Part> = chosen.iter().map(|old| part(&graph, old.stage)).collect();
            let is_alone = chosen.len() == 1;
            let least = |part: &Part| self.least_in(part, &recording, held(part.stage), is_alone);
            let found: Vec<Least> = chosen.par_iter().map(least).collect();
            for (part, least) in chosen.iter().zip(found) {
                self.depths.insert(part.stage, least.depth);
                self.hints.extend(least.first.map(|first| (part.stage, first)));
                least.change.into_iter().for_each(|change| recording.apply(change));
                if !watch() {
                    return Ok(false);
                }
            }
            left = others;
            graph = self.graph_with(&self.depths);
        }
        Ok(true)
    }

    /// Cycles in which frames start that leave in those in which they may.
    fn frame_starts(&self) -> Vec<u64> {
        let start = |frame: usize| {
            let after_first = |ends: &Vec<u64>| Some(ends.get(frame)? - ends.first()?);
            self.latest_ends.iter().filter_map(after_first).min().unwrap_or(0)
        };
        (0..SHORT as usize).map(start).collect()
    }

    /// The least depth with which a part keeps its border; about `held` words do in the first frame. `pairs`: two depths side by
    /// side.
    fn least_in(&self, part: &Part, recording: &Recording, held: u32, pairs: bool) -> Least {
        let enough = self.depths[&part.stage];
        let mut least = Least { first: None, depth: enough, change: None };
        if least.keeps(part, recording, &[LEAST])[0] {
            return least;
        }
        // Most second frames ask for no more than the first ones.
        let keeps_first = |depths: &[u32]| each(depths, |depth| part.keeps(recording, depth, 1).is_some());
        let first = descend(held.clamp(LEAST, enough), pairs, keeps_first);
        if first < enough && !least.keeps(part, recording, &[first])[0] {
            ascend(first, enough, pairs, |depths| least.keeps(part, recording, depths));
            least.first = Some(first);
        }
        least
    }

    /// Gives FIFOs in front of joins that are too shallow for a run the words back that were `enough`; which, and the depths
    /// that were too few.
    fn deepen(&mut self, enough: &BTreeMap<usize, u32>, frames: u64) -> Result<Vec<(usize, u32)>, PredictError> {
        let mut deepened = Vec::new();
        let is_short = |stage: &usize| self.depths[stage] < enough[stage];
        let short = self.joins.iter().map(|stages| stages.iter().copied().filter(is_short).collect::<Vec<_>>());
        let mut joins: Vec<Vec<usize>> = short.filter(|stages| !stages.is_empty()).collect();
        while !joins.is_empty() && !self.is_in_time(&[], frames)? {
            // With the FIFOs of the joins from this one on deep the run is in time; with one join less it is late.
            let culprit = last_good(joins.len() as u32, |place| {
                let deep = joins.iter().skip(place as usize).flatten();
                self.is_in_time(&deep.map(|&stage| (stage, enough[&stage])).collect::<Vec<_>>(), frames)
            })?;
            for stage in joins.remove(culprit as usize) {
                deepened.push((stage, self.depths.insert(stage, enough[&stage]).unwrap_or(LEAST)));
            }
        }
        Ok(deepened)
    }

    /// The search for one FIFO from the depth that it has.
    fn descent(&self, stage: usize) -> Descent {
        Descent::new(stage, self.depths[&stage], self.hints.get(&stage).copied())
    }

    /// Depths so little that no FIFO can lose a word in runs of the whole. None: `watch`, which hears before each pair of runs and
    /// at the end how many more FIFOs have turned out so, has ended it.
    fn descend_in_runs(
        &self,
        mut open: Vec<Descent>,
        frames: u64,
        watch: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Option<BTreeMap<usize, u32>>, PredictError> {
        let run = Run { latest_ends: self.latest_ends.clone(), ..Run::frames(frames) };
        let late_with = |depths: &BTreeMap<usize, u32>, stage: usize, depth: u32| {
            let mut depths = depths.clone();
            depths.insert(stage, depth);
            lateness(self.graph_with(&depths).run_cycles(&run))
        };
        let mut depths = self.depths.clone();
        let mut found = 0;
        while !open.is_empty() {
            if !watch(std::mem::take(&mut found)) {
                return Ok(None);
            }
            let trials: Vec<(usize, u32)> = match &mut open[..] {
                [only] => only.next_pair().into_iter().map(|depth| (0, depth)).collect(),
                several => several.iter_mut().take(2).map(Descent::next_depth).enumerate().collect(),
            };
            let late = |&(place, depth): &(usize, u32)| late_with(&depths, open[place].stage, depth);
            let late: Vec<Late> = trials.par_iter().map(late).collect::<Result<_, _>>()?;
            let mut other_has_lost = false;
            for ((place, depth), mut late) in trials.into_iter().zip(late) {
                let stage = open[place].stage;
                if late == Late::No && place > 0 && other_has_lost {
                    // In time by itself, but not yet beside what the other has just lost.
                    late = late_with(&depths, stage, depth)?;
                }
                open[place].note(depth, late);
                other_has_lost |= late == Late::No;
                depths.insert(stage, open[place].high);
            }
            open.retain(|descent| {
                found += usize::from(descent.is_done());
                !descent.is_done()
            });
        }
        Ok(watch(found).then_some(depths))
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

/// How a run ended that is given up where a frame is late.
fn lateness(ended: Result<Report, RunError>) -> Result<Late, PredictError> {
    match ended {
        Ok(_) => Ok(Late::No),
        Err(RunError::Late { sink, frame, cycles }) => Ok(Late::Frame { sink, frame, cycles }),
        Err(RunError::Deadlock { .. }) => Ok(Late::Never),
        Err(fault) => Err(PredictError::Run(fault)),
    }
}

impl Part {
    /// What changes inside if its FIFO has another depth and the border keeps its cycles in so many frames.
    fn keeps(&self, recording: &Recording, depth: u32, frames: u64) -> Option<Change> {
        let fifo = Fifo::new(depth).ok()?;
        self.region.keeps(recording, self.stage, Twin::Fifo(fifo), frames)
    }
}

impl Least {
    /// Whether the border keeps its cycles in all recorded frames with each of these depths, the least of which is taken.
    fn keeps(&mut self, part: &Part, recording: &Recording, depths: &[u32]) -> Vec<bool> {
        let changes = each(depths, |depth| part.keeps(recording, depth, SHORT));
        let kept = changes.iter().map(Option::is_some).collect();
        for (&depth, change) in depths.iter().zip(changes) {
            if change.is_some() && (depth < self.depth || self.change.is_none()) {
                (self.depth, self.change) = (depth, change);
            }
        }
        kept
    }
}

/// What is found for each of some depths, side by side.
fn each<T: Send>(depths: &[u32], find: impl Fn(u32) -> T + Sync) -> Vec<T> {
    match depths {
        [only] => vec![find(*only)],
        several => several.par_iter().map(|&depth| find(depth)).collect(),
    }
}
