//! The search for the least depths, by trial.
//!
//! A shallower FIFO only ever delays (dates are monotone in all bounds), so what is too shallow among deep FIFOs stays too
//! shallow when others lose words. The search goes down in four steps:
//!
//! 1. Each FIFO gets what it holds in the first frame while none is full.
//! 2. In the first frame, each is made as shallow as the modules around it allow: where the words that enter and leave such a
//!    part keep their cycles, nothing changes outside ([`Region`]), so that most trials run a tenth of the design. FIFOs
//!    whose parts have nothing in common are tried in one round, side by side.
//! 3. Runs of the whole design over more frames show whether that is enough. Where it is not, the FIFOs that cause it, found by
//!    halving, get their words back and are tried again in such runs.
//! 4. Each FIFO is tried with one word less in a run of the whole; where that is in time it goes on from there.
//!
//! So the depths that are found rest on runs of the whole alone: one of all depths together that is in time, and for each FIFO one
//! with a word less that is not.

mod steps;

use super::super::{Design, PredictError};
use super::{FRAMES, LEAST};
use crate::timing::{Fifo, Graph, Region, Run, RunError, Twin};
use rayon::prelude::*;
use std::collections::BTreeMap;
use steps::{between, descend, last_good, next_depths};

/// How many streams around a FIFO a part reaches, first and where more must be known.
const NEAR: usize = 8;
const WIDE: usize = 14;
/// Frames of a short run: mostly the second is late already.
const SHORT: u64 = 2;
/// Trials of one word less that are made between two questions whether to go on.
const BATCH: usize = 4;

/// A search through all FIFOs.
struct Search {
    graph: Graph,
    /// The FIFOs, the widest first: there a word less saves most.
    order: Vec<usize>,
    depths: BTreeMap<usize, u32>,
    latest_ends: Vec<Vec<u64>>,
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
        let mut search = Search { graph, order, depths, latest_ends };
        let is_finished = search.run(watch)?;
        search.depths.iter().for_each(|(&stage, &depth)| self.set_depth(stage, depth));
        Ok(is_finished)
    }
}

impl Search {
    /// `watch` hears of each FIFO twice: when it is shallow, and when a word less is known to be too few.
    fn run(&mut self, watch: &mut dyn FnMut(usize, usize) -> bool) -> Result<bool, PredictError> {
        let steps = 2 * self.order.len();
        self.take_first_frame()?;
        let enough = self.depths.clone();
        let mut left = self.order.clone();
        while !left.is_empty() {
            let before = left.len();
            left = self.shrink_in_parts(left)?;
            for number in self.order.len() - before..self.order.len() - left.len() {
                if !watch(number + 1, steps) {
                    return Ok(false);
                }
            }
        }
        for frames in [SHORT, FRAMES] {
            for (stage, too_few) in self.deepen(&enough, frames)? {
                self.shrink_in_runs(stage, too_few, frames)?;
            }
        }
        let mut left: Vec<usize> = self.order.iter().copied().filter(|stage| self.depths[stage] > LEAST).collect();
        let mut done = steps - left.len();
        while !left.is_empty() {
            let batch: Vec<usize> = left.drain(..BATCH.min(left.len())).collect();
            let with_less = |&stage: &usize| self.is_in_time(&[(stage, self.depths[&stage] - 1)], FRAMES);
            let could: Vec<bool> = batch.par_iter().map(with_less).collect::<Result<_, _>>()?;
            let mut others_are_same = true;
            for (stage, could) in batch.into_iter().zip(could) {
                let depth = self.depths[&stage];
                if could && (others_are_same || self.is_in_time(&[(stage, depth - 1)], FRAMES)?) {
                    self.lower(stage, depth - 1)?;
                    others_are_same = false;
                    if self.depths[&stage] > LEAST {
                        left.insert(0, stage);
                        continue;
                    }
                }
                done += 1;
                if !watch(done, steps) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The depths that the first frame asks for where they do for all frames.
    fn take_first_frame(&mut self) -> Result<(), PredictError> {
        let first = self.graph_of(&[]).run_watching(&Run::frames(1), &self.order).map_err(PredictError::Run)?;
        let enough = self.depths.clone();
        for (&stage, depth) in &mut self.depths {
            let held = first.occupancy_max.get(stage).map_or(u32::MAX, |held| held.saturating_add(1));
            *depth = (*depth).min(held.max(LEAST));
        }
        self.deepen(&enough, FRAMES).map(drop)
    }

    /// Makes FIFOs whose parts have nothing in common as shallow as their parts allow; the others are left.
    fn shrink_in_parts(&mut self, stages: Vec<usize>) -> Result<Vec<usize>, PredictError> {
        let graph = self.graph_of(&[]);
        let (mut chosen, mut left): (Vec<(usize, Region)>, Vec<usize>) = Default::default();
        for stage in stages {
            let region = graph.region_around(stage, NEAR);
            let is_apart = chosen.iter().all(|(_, other)| !other.touches(&region));
            if is_apart { chosen.push((stage, region)) } else { left.push(stage) }
        }
        self.shrink_in(&graph, chosen)?;
        Ok(left)
    }

    /// Makes FIFOs as shallow as leaves the first frame as it is around their parts and the parts between fork and join
    /// fast enough for the frames behind.
    fn shrink_in(&mut self, graph: &Graph, parts: Vec<(usize, Region)>) -> Result<(), PredictError> {
        let mut border: Vec<usize> = Vec::new();
        for (stage, region) in &parts {
            border.extend(region.border());
            border.extend(graph.region_between(*stage).border());
        }
        let recording = match graph.record(&Run::frames(1), &border) {
            Ok(recording) => recording,
            // Depths that do one by one do not together: runs of the whole will tell which.
            Err(RunError::Deadlock { .. }) => return Ok(()),
            Err(fault) => return Err(PredictError::Run(fault)),
        };
        let enough: Vec<u32> = parts.iter().map(|(stage, _)| self.depths[stage]).collect();
        let least = |(stage, region): &(usize, Region)| {
            let keeps = |depth| Fifo::new(depth).is_ok_and(|fifo| region.keeps(&recording, *stage, Twin::Fifo(fifo)));
            (*stage, descend(self.depths[stage], keeps))
        };
        let least: Vec<(usize, u32)> = parts.par_iter().map(least).collect();
        self.depths.extend(least.iter().copied());
        let graph = self.graph_of(&[]);
        let modules = self.graph.module_names().count();
        let fast = |(place, &(stage, least)): (usize, &(usize, u32))| {
            let region = graph.region_between(stage);
            let keeps = |depth| {
                let interval =
                    Fifo::new(depth).ok().and_then(|fifo| region.interval(&recording, stage, Twin::Fifo(fifo)));
                interval.is_some_and(|interval| interval <= self.interval())
            };
            // Where even what is enough seems too slow, nothing is learnt.
            let is_small = region.modules() * 2 < modules;
            let is_slow = is_small && least < enough[place] && !keeps(least) && keeps(enough[place]);
            let depth = if is_slow { between(least, enough[place], keeps) } else { least };
            (stage, depth)
        };
        let fast: Vec<(usize, u32)> = least.par_iter().enumerate().map(fast).collect();
        self.depths.extend(fast);
        Ok(())
    }

    /// Cycles from frame to frame that are allowed.
    fn interval(&self) -> u64 {
        let last_two = |ends: &Vec<u64>| match ends.as_slice() {
            [.., before, last] => last - before,
            _ => u64::MAX,
        };
        self.latest_ends.iter().map(last_two).max().unwrap_or(u64::MAX)
    }

    /// Gives FIFOs that are too shallow for a run the words back that were `enough`; which, and the depths that were too few.
    fn deepen(&mut self, enough: &BTreeMap<usize, u32>, frames: u64) -> Result<Vec<(usize, u32)>, PredictError> {
        let mut deepened = Vec::new();
        let mut order: Vec<usize> =
            self.order.iter().copied().filter(|stage| self.depths[stage] < enough[stage]).collect();
        while !order.is_empty() && !self.is_in_time(&[], frames)? {
            // With the FIFOs from this one on deep the run is in time; with one less it is late.
            let culprit = last_good(order.len() as u32, |place| {
                let deep = order.iter().skip(place as usize);
                self.is_in_time(&deep.map(|&stage| (stage, enough[&stage])).collect::<Vec<_>>(), frames)
            })?;
            let stage = order.remove(culprit as usize);
            let too_few = self.depths.insert(stage, enough[&stage]).unwrap_or(LEAST);
            deepened.push((stage, too_few));
        }
        Ok(deepened)
    }

    /// One FIFO as shallow as runs of the whole allow, if it can be shallower than it is; so few words as `too_few` are, as
    /// far as known, too few.
    ///
    /// Near the depth that is looked for, each word less makes frames late by as many cycles as its reader takes for one, so
    /// that a line through two trials that are late leads there.
    fn shrink_in_runs(&mut self, stage: usize, too_few: u32, frames: u64) -> Result<(), PredictError> {
        let (mut late, mut high) = (too_few, self.depths[&stage]);
        let mut points: Vec<(u32, u64)> = Vec::new();
        let mut step: u32 = 1;
        while late + 1 < high {
            let mut pair = next_depths(&points, late, high);
            if late == LEAST - 1 && points.is_empty() {
                // Nothing is known below: down in growing steps.
                pair = [step.saturating_mul(4), step].map(|step: u32| high.saturating_sub(step).max(LEAST));
                step = step.saturating_mul(16);
            }
            let trial = |depth| self.late_by(&[(stage, depth)], &Run::frames(frames));
            let (first, second) = rayon::join(|| trial(pair[0]), || trial(pair[1]));
            for (depth, cycles) in [(pair[0], first?), (pair[1], second?)] {
                match cycles {
                    Some(0) => high = high.min(depth),
                    _ => late = late.max(depth),
                }
                points.extend(cycles.filter(|&cycles| cycles > 0).map(|cycles| (depth, cycles)));
            }
        }
        self.depths.insert(stage, high);
        Ok(())
    }

    /// A FIFO that is known to do with `depth` words: gets these, or as few as a wider part allows, or runs of the whole do.
    fn lower(&mut self, stage: usize, depth: u32) -> Result<(), PredictError> {
        self.depths.insert(stage, depth);
        let graph = self.graph_of(&[]);
        let wide = graph.region_around(stage, WIDE);
        self.shrink_in(&graph, vec![(stage, wide)])?;
        let least = self.depths[&stage];
        if least < depth && self.is_in_time(&[], FRAMES)? {
            return Ok(());
        }
        // Short runs first, which are mostly as long as it takes.
        let mut too_few = if least < depth { least } else { LEAST - 1 };
        for frames in [SHORT, FRAMES] {
            self.depths.insert(stage, depth);
            self.shrink_in_runs(stage, too_few, frames)?;
            if frames == FRAMES || self.is_in_time(&[], FRAMES)? {
                break;
            }
            too_few = self.depths[&stage];
        }
        Ok(())
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
