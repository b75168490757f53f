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
//! 3. Each FIFO is tried with one word less in a run of the whole. Where that is in time, short runs look for what is least, and a
//!    long one for all of them together shows whether it is enough; if not, long runs look for it.
//!
//! So the depths that are found rest on runs of the whole alone: one of all depths together that is in time, and for each FIFO one
//! with a word less that is not.

mod steps;

use super::super::{Design, PredictError};
use super::{FRAMES, LEAST};
use crate::timing::{Change, Fifo, Graph, Recording, Region, Run, RunError, Twin};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use steps::{ascend, descend, last_good, next_depths};

/// How many streams around a FIFO a part reaches.
const REACH: usize = 8;
/// Frames of a short run, and of those in which parts keep their border. Words of a first frame find everything empty, those
/// of a second one what the first has left.
const SHORT: u64 = 2;
/// Words of the whole in so many frames beyond which parts are recorded in several runs.
const RECORDED_WORDS: u64 = 160_000_000;
/// Trials of one word less that are made between two questions whether to go on.
const BATCH: usize = 8;

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

/// A FIFO with the modules around it.
struct Part {
    stage: usize,
    region: Region,
}

/// What a part says of its FIFO.
struct Least {
    /// The least depth that keeps the border in the first frame.
    first: u32,
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
        let mut left = Vec::new();
        for batch in open.chunks(BATCH) {
            let could: Vec<bool> =
                batch.par_iter().map(|&stage| self.does_with_less(stage)).collect::<Result<_, _>>()?;
            for (&stage, could) in batch.iter().zip(could) {
                if could {
                    left.push(stage);
                    continue;
                }
                // It stays too shallow when others lose words.
                done += 1;
                if !watch(done, steps) {
                    return Ok(false);
                }
            }
        }
        let before: Vec<(usize, u32)> = left.iter().map(|&stage| (stage, self.depths[&stage])).collect();
        for frames in [SHORT, FRAMES] {
            for &stage in &left {
                if !self.shrink_in_runs(stage, LEAST - 1, frames, &mut || watch(done, steps))? {
                    return Ok(false);
                }
            }
            if frames == FRAMES || self.is_in_time(&[], FRAMES)? {
                break;
            }
            self.depths.extend(before.iter().copied());
        }
        for done in done + 1..=steps {
            if !watch(done, steps) {
                return Ok(false);
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
                if !self.shrink_in_runs(stage, too_few, frames, &mut || watch(0))? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether no frame ends later with a word less in a FIFO.
    fn does_with_less(&self, stage: usize) -> Result<bool, PredictError> {
        self.is_in_time(&[(stage, self.depths[&stage] - 1)], FRAMES)
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
        let mut graph = self.graph_of(&[]);
        let part = |graph: &Graph, stage: usize| Part { stage, region: graph.region_around(stage, REACH) };
        let mut left: Vec<Part> = stages.iter().map(|&stage| part(&graph, stage)).collect();
        let border: BTreeSet<usize> = left.iter().flat_map(|part| part.region.border()).collect();
        let border: Vec<usize> = border.into_iter().collect();
        let run = Run { frame_starts: self.frame_starts(), ..Run::frames(SHORT) };
        let (recording, first) =
            rayon::join(|| graph.record(&run, &border), || graph.run_watching(&Run::frames(1), stages));
        let (mut recording, first) = (recording.map_err(PredictError::Run)?, first.map_err(PredictError::Run)?);
        left.sort_by_key(|part| first.occupancy_max.get(part.stage).copied());
        while !left.is_empty() {
            let (mut chosen, mut others): (Vec<Part>, Vec<Part>) = Default::default();
            for part in left {
                let is_apart = chosen.iter().all(|other| !other.region.touches(&part.region));
                if is_apart { chosen.push(part) } else { others.push(part) }
            }
            // With the depths that were found around them.
            let chosen: Vec<Part> = chosen.iter().map(|old| part(&graph, old.stage)).collect();
            let least = |part: &Part| {
                let held = first.occupancy_max.get(part.stage).map_or(u32::MAX, |held| held.saturating_add(1));
                self.least_in(part, &recording, held)
            };
            let found: Vec<Least> = chosen.par_iter().map(least).collect();
            for (part, least) in chosen.iter().zip(found) {
                self.depths.insert(part.stage, least.depth);
                if least.first < least.depth {
                    self.hints.insert(part.stage, least.first);
                }
                least.change.into_iter().for_each(|change| recording.apply(change));
                if !watch() {
                    return Ok(false);
                }
            }
            left = others;
            graph = self.graph_of(&[]);
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

    /// The least depths with which a part keeps its border; about `held` words do in the first frame.
    fn least_in(&self, part: &Part, recording: &Recording, held: u32) -> Least {
        let enough = self.depths[&part.stage];
        let keeps = |depth, frames| {
            let fifo = Fifo::new(depth).ok()?;
            part.region.keeps(recording, part.stage, Twin::Fifo(fifo), frames)
        };
        // Most second frames ask for no more than the first ones.
        let first = descend(held.clamp(LEAST, enough), |depth| keeps(depth, 1).is_some());
        let mut least = Least { first, depth: enough, change: None };
        let mut keeps_all = |depth| {
            let change = keeps(depth, SHORT);
            let is_kept = change.is_some();
            if is_kept {
                (least.depth, least.change) = (depth, change);
            }
            is_kept
        };
        if first < enough && !keeps_all(first) {
            ascend(first, enough, keeps_all);
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

    /// One FIFO as shallow as runs of the whole allow, if it can be shallower than it is; so few words as `too_few` are, as
    /// far as known, too few. False: `watch`, which is asked before each pair of runs, has ended it.
    ///
    /// Near the depth that is looked for, each word less makes frames late by as many cycles as its reader takes for one, so
    /// that a line through two trials that are late leads there.
    fn shrink_in_runs(
        &mut self,
        stage: usize,
        too_few: u32,
        frames: u64,
        watch: &mut dyn FnMut() -> bool,
    ) -> Result<bool, PredictError> {
        let (mut late, mut high) = (too_few, self.depths[&stage]);
        let mut points: Vec<(u32, u64)> = Vec::new();
        let mut hint = self.hints.get(&stage).copied();
        let mut step: u32 = 1;
        while late + 1 < high {
            if !watch() {
                return Ok(false);
            }
            let mut pair = next_depths(&points, late, high);
            if let Some(hint) = hint.take().filter(|hint| (late + 1..high - 1).contains(hint)) {
                pair = [hint, hint + 1];
            } else if late == LEAST - 1 && points.is_empty() {
                // Nothing is known below: down in growing steps.
                pair = [step.saturating_mul(32), step].map(|step: u32| high.saturating_sub(step).max(LEAST));
                step = step.saturating_mul(256);
            }
            let trial = |depth| self.late_by(&[(stage, depth)], &Run::frames(frames));
            let depths = if pair[0] == pair[1] { &pair[1..] } else { &pair[..] };
            let trials: Vec<Option<u64>> = depths.par_iter().map(|&depth| trial(depth)).collect::<Result<_, _>>()?;
            for (&depth, cycles) in depths.iter().zip(trials) {
                match cycles {
                    Some(0) => high = high.min(depth),
                    _ => late = late.max(depth),
                }
                points.extend(cycles.filter(|&cycles| cycles > 0).map(|cycles| (depth, cycles)));
            }
        }
        self.depths.insert(stage, high);
        Ok(true)
    }

    /// The design with its depths, some of them others.
    fn graph_of(&self, others: &[(usize, u32)]) -> Graph {
        let mut graph = self.graph.clone();
        for (&stage, &depth) in self.depths.iter().chain(others.iter().map(|(stage, depth)| (stage, depth))) {
            if let Ok(fifo) = Fifo::new(depth) {
                graph.set_twin(stage, Twin::Fifo(fifo));
            }
        }
        graph
    }

    /// Whether no frame of a run of the whole ends later than it may.
    fn is_in_time(&self, others: &[(usize, u32)], frames: u64) -> Result<bool, PredictError> {
        let run = Run { latest_ends: self.latest_ends.clone(), ..Run::frames(frames) };
        Ok(self.late_by(others, &run)? == Some(0))
    }

    /// By how many cycles the latest frame of a run of the whole ends later than it may; none: the design stands still, or the
    /// run was given up for a late frame.
    fn late_by(&self, others: &[(usize, u32)], run: &Run) -> Result<Option<u64>, PredictError> {
        let report = match self.graph_of(others).run_cycles(run) {
            Ok(report) => report,
            Err(RunError::Deadlock { .. } | RunError::Late { .. }) => return Ok(None),
            Err(fault) => return Err(PredictError::Run(fault)),
        };
        let ends = report.frame_end_cycles.iter().zip(&self.latest_ends);
        let late =
            ends.flat_map(|(ends, latest)| ends.iter().zip(latest)).map(|(end, latest)| end.saturating_sub(*latest));
        Ok(Some(late.max().unwrap_or(0)))
    }
}
