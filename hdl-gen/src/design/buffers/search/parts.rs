//! The search for the least depths in parts of the design that are run between words whose cycles are known.

use super::super::LEAST;
use super::steps::{ascend, descend};
use super::{PredictError, SHORT, Search};
use crate::timing::{Change, Fifo, Graph, Recording, Region, Run, RunError, Twin};
use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;

/// How many streams around a FIFO a part reaches.
const REACH: usize = 8;
/// Words of the whole in so many frames beyond which parts are recorded in several runs.
const RECORDED_WORDS: u64 = 160_000_000;
/// How many times the words of a part a cone has at least where the part is searched for a depth that does for later frames too.
const CHEAP: u64 = 5;
/// How long to wait for a part before asking again.
const PAUSE: Duration = Duration::from_millis(1);

/// A FIFO with the modules around it.
struct Part {
    stage: usize,
    region: Region,
    /// Trials are far cheaper than what follows.
    is_cheap: bool,
}

/// What a part says of its FIFO.
struct Least {
    /// The least depth that keeps the border in the first frame, where later frames ask for more.
    first: Option<u32>,
    /// The least depth that keeps it in all recorded frames.
    depth: u32,
    /// What that changes inside.
    change: Option<Change>,
}

/// What parts start from.
pub(in super::super) struct Recorded {
    /// The cycles of the words at the borders of all parts.
    cycles: Recording,
    /// The most words that each FIFO holds in the first frame.
    held: Vec<u32>,
}

impl Recorded {
    /// The same from a design in which FIFOs in front of joins never refuse a word, before it is known when its frames end. None: there
    /// are too many words, or it stands still.
    pub(in super::super) fn early(graph: &Graph, stages: &[usize], frame_words: u64) -> Option<Self> {
        if frame_words.saturating_mul(SHORT) > RECORDED_WORDS {
            return None;
        }
        let report = graph.run_cycles(&Run::frames(SHORT)).ok()?;
        Self::of(graph, stages, &report.frame_end_cycles).ok()
    }

    /// Recorded in runs of the whole, for parts around these FIFOs, with frames that start so that they can leave at `ends`.
    fn of(graph: &Graph, stages: &[usize], ends: &[Vec<u64>]) -> Result<Self, RunError> {
        let regions = stages.iter().map(|&stage| graph.region_around(stage, REACH));
        let border: BTreeSet<usize> = regions.flat_map(|region| region.border().collect::<Vec<_>>()).collect();
        let border: Vec<usize> = border.into_iter().collect();
        let run = Run { frame_starts: frame_starts(ends), ..Run::frames(SHORT) };
        let (cycles, first) =
            rayon::join(|| graph.record(&run, &border), || graph.run_watching(&Run::frames(1), stages));
        Ok(Self { cycles: cycles?, held: first?.occupancy_max })
    }
}

/// Cycles in which frames start that leave in those in which they may.
fn frame_starts(ends: &[Vec<u64>]) -> Vec<u64> {
    let start = |frame: usize| {
        let after_first = |ends: &Vec<u64>| Some(ends.get(frame)? - ends.first()?);
        ends.iter().filter_map(after_first).min().unwrap_or(0)
    };
    (0..SHORT as usize).map(start).collect()
}

impl Search {
    /// Makes FIFOs as shallow as leaves the first frames as they are around parts of the design; false: `watch`, which is asked
    /// after each FIFO, has ended it.
    pub(super) fn shrink_in_parts(
        &mut self,
        stages: &[usize],
        watch: &mut dyn FnMut() -> bool,
    ) -> Result<bool, PredictError> {
        if let Some(recorded) = self.recorded.take() {
            return Ok(self.shrink_together(stages, recorded, watch));
        }
        let groups = (self.words.iter().sum::<u64>() * SHORT).div_ceil(RECORDED_WORDS).max(1) as usize;
        for group in stages.chunks(stages.len().div_ceil(groups).max(1)) {
            let recorded = Recorded::of(&self.graph_with(&self.depths), group, &self.latest_ends);
            let recorded = recorded.map_err(PredictError::Run)?;
            if !self.shrink_together(group, recorded, watch) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The same from one recording of them all.
    fn shrink_together(&mut self, stages: &[usize], recorded: Recorded, watch: &mut dyn FnMut() -> bool) -> bool {
        let held = |stage: usize| recorded.held.get(stage).map_or(u32::MAX, |held| held.saturating_add(1));
        let mut left: Vec<Part> = stages.iter().map(|&stage| self.part(stage)).collect();
        left.sort_by_key(|part| held(part.stage));
        self.shrink_apart(&in_waves(left), recorded.cycles, &held, watch)
    }

    /// The same in this order: parts that have nothing in common side by side, the others one after the other.
    fn shrink_apart(
        &mut self,
        parts: &[Part],
        mut recording: Recording,
        held: &(dyn Fn(usize) -> u32 + Sync),
        watch: &mut dyn FnMut() -> bool,
    ) -> bool {
        let touch = |&(one, other): &(usize, usize)| parts[one].region.touches(&parts[other].region);
        let pairs: Vec<(usize, usize)> =
            (0..parts.len()).flat_map(|place| (0..place).map(move |before| (before, place))).filter(touch).collect();
        let mut before: Vec<usize> =
            (0..parts.len()).map(|place| pairs.iter().filter(|pair| pair.1 == place).count()).collect();
        let mut ready: Vec<usize> = (0..parts.len()).filter(|&place| before[place] == 0).collect();
        let mut left = parts.len();
        let (send, receive) = mpsc::channel();
        rayon::in_place_scope(|scope| {
            while left > 0 {
                for place in std::mem::take(&mut ready) {
                    // With the depths and the cycles that were found around it.
                    let (stage, send, recording) = (parts[place].stage, send.clone(), recording.clone());
                    let (part, enough) = (self.part(stage), self.depths[&stage]);
                    scope.spawn(move |_| {
                        let least = part.least(enough, &recording, held(stage));
                        // Nobody listens any more where the search has been ended.
                        let _ = send.send((place, least));
                    });
                }
                let Ok((place, least)) = receive.try_recv() else {
                    // Not in a thread of the pool: nothing to be done meanwhile.
                    if rayon::yield_now().is_none() {
                        std::thread::sleep(PAUSE);
                    }
                    continue;
                };
                left -= 1;
                let stage = parts[place].stage;
                self.depths.insert(stage, least.depth);
                self.hints.extend(least.first.map(|first| (stage, first)));
                least.change.into_iter().for_each(|change| recording.apply(change));
                if !watch() {
                    return false;
                }
                for &(_, after) in pairs.iter().filter(|pair| pair.0 == place) {
                    before[after] -= 1;
                    if before[after] == 0 {
                        ready.push(after);
                    }
                }
            }
            true
        })
    }

    /// The part around a FIFO, with the depths that FIFOs have now.
    fn part(&self, stage: usize) -> Part {
        let region = self.graph_with(&self.depths).region_around(stage, REACH);
        let words = region.modules().map(|module| self.words[module]).sum::<u64>();
        Part { stage, region, is_cheap: words < self.cone_words(stage) / CHEAP }
    }
}

/// Parts so that as many as can be in front have nothing in common, then of the others as many as can be, and so on.
fn in_waves(mut left: Vec<Part>) -> Vec<Part> {
    let mut order: Vec<Part> = Vec::new();
    while !left.is_empty() {
        let (start, mut others) = (order.len(), Vec::new());
        for part in left {
            let is_apart = order[start..].iter().all(|other| !other.region.touches(&part.region));
            if is_apart { order.push(part) } else { others.push(part) }
        }
        left = others;
    }
    order
}

impl Part {
    /// The least depth with which its border keeps its cycles, if that is less than `enough`; about `held` words do in the first frame.
    fn least(&self, enough: u32, recording: &Recording, held: u32) -> Least {
        let mut least = Least { first: None, depth: enough, change: None };
        let mut keeps = |depth| {
            let change = self.keeps(recording, depth, SHORT);
            let is_kept = change.is_some();
            if is_kept {
                (least.depth, least.change) = (depth, change);
            }
            is_kept
        };
        if keeps(LEAST) {
            return least;
        }
        // Most second frames ask for no more than the first ones.
        let first = descend(held.clamp(LEAST, enough), |depth| self.keeps(recording, depth, 1).is_some());
        if first < enough && !keeps(first) {
            if self.is_cheap {
                ascend(first, enough, keeps);
            }
            least.first = Some(first);
        }
        least
    }

    /// What changes inside if its FIFO has another depth and the border keeps its cycles in so many frames.
    fn keeps(&self, recording: &Recording, depth: u32, frames: u64) -> Option<Change> {
        let fifo = Fifo::new(depth).ok()?;
        self.region.keeps(recording, self.stage, Twin::Fifo(fifo), frames)
    }
}
