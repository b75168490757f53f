//! Trials of one FIFO's depth, in the fan-out cone of its fork or in the whole design.

use super::descent::Descent;
use super::{Late, PredictError, SHORT, Search, lateness};
use crate::timing::{Cone, Recording, Run};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// How many streams before the fork a cone begins: words that come from there cannot make up for a wait at any rate.
const REACH: usize = 16;

/// Runs that show whether a FIFO is too shallow.
pub(super) struct Trials<'a> {
    search: &'a Search,
    run: Run,
    cones: BTreeMap<usize, Cone>,
    recording: Recording,
    /// How late the design was when it was recorded: if it was, trials tell nothing.
    pub(super) late: Late,
    /// Whether what is in time in a cone is run as a whole too.
    confirms: bool,
}

impl Search {
    /// Trials of so many frames in runs of the whole.
    pub(super) fn whole_trials(&self, frames: u64) -> Trials<'_> {
        let run = Run { latest_ends: self.latest_ends.clone(), ..Run::frames(frames) };
        let (cones, recording) = (BTreeMap::new(), Recording::default());
        Trials { search: self, run, cones, recording, late: Late::No, confirms: true }
    }

    /// Short trials in cones where there are any, in which these FIFOs are late only if they are in the whole, with the depths that
    /// they have now or less.
    pub(super) fn cone_trials(&self, stages: &[usize]) -> Result<Trials<'_>, PredictError> {
        let mut trials = Trials { confirms: false, ..self.whole_trials(SHORT) };
        let cone = |&stage: &usize| Some((stage, self.graph.cone_around(stage, REACH)?));
        trials.cones = stages.iter().filter_map(cone).collect();
        let entries: BTreeSet<usize> = trials.cones.values().flat_map(Cone::entries).collect();
        let graph = self.graph_with(&self.depths);
        let recorded = graph.record(&trials.run, &entries.into_iter().collect::<Vec<_>>());
        match recorded {
            Ok(recording) => trials.recording = recording,
            late => trials.late = lateness(late)?,
        }
        Ok(trials)
    }

    /// Words that move in a frame of a short trial of this FIFO.
    pub(super) fn cone_words(&self, stage: usize) -> u64 {
        match self.graph.cone_around(stage, REACH) {
            Some(cone) => cone.modules().map(|module| self.words[module]).sum(),
            None => self.words.iter().sum(),
        }
    }
}

impl Trials<'_> {
    /// The same where each depth that is found in time is so in the whole.
    pub(super) fn confirming(mut self) -> Self {
        self.confirms = true;
        self
    }

    /// How late the design is with these depths but another one of one FIFO.
    fn late_with(&self, depths: &BTreeMap<usize, u32>, stage: usize, depth: u32) -> Result<Late, PredictError> {
        let mut depths = depths.clone();
        depths.insert(stage, depth);
        let graph = self.search.graph_with(&depths);
        if let Some(cone) = self.cones.get(&stage) {
            let late = lateness(cone.run(&graph, &self.recording, &self.run))?;
            if late != Late::No || !self.confirms {
                return Ok(late);
            }
        }
        lateness(graph.run_cycles(&self.run))
    }

    /// Depths so little that each of these FIFOs is late with a word less. None: `watch`, which hears before trials and at the end how
    /// many more FIFOs have turned out so, has ended it.
    ///
    /// Those that hardly can lose a word are tried side by side, the others one after the other, two depths at a time.
    pub(super) fn descend(
        &self,
        open: Vec<Descent>,
        watch: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Option<BTreeMap<usize, u32>>, PredictError> {
        let mut depths = self.search.depths.clone();
        let (tight, mut others): (Vec<Descent>, Vec<Descent>) =
            open.into_iter().partition(|descent| !self.search.hints.contains_key(&descent.stage));
        for some in tight.chunks(4 * rayon::current_num_threads()) {
            let late = |descent: &Descent| self.late_with(&depths, descent.stage, descent.high - 1);
            let late: Vec<Late> = some.par_iter().map(late).collect::<Result<_, _>>()?;
            let (done, left): (Vec<_>, Vec<_>) = some.iter().zip(late).partition(|(_, late)| *late != Late::No);
            others.extend(left.into_iter().map(|(descent, _)| descent.clone()));
            if !watch(done.len()) {
                return Ok(None);
            }
        }
        // What was in time may not be so beside others that have lost words.
        for mut descent in others {
            while !descent.is_done() {
                if !watch(0) {
                    return Ok(None);
                }
                let trials = descent.next_depths(true);
                let late = |&depth: &u32| Ok((depth, self.late_with(&depths, descent.stage, depth)?));
                let late: Vec<(u32, Late)> = trials.par_iter().map(late).collect::<Result<_, PredictError>>()?;
                late.into_iter().for_each(|(depth, late)| descent.note(depth, late));
            }
            depths.insert(descent.stage, descent.high);
            if !watch(1) {
                return Ok(None);
            }
        }
        Ok(Some(depths))
    }
}
