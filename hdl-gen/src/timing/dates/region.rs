//! Part of a graph, run between words whose cycles are known.
//!
//! Input: the cycles of all words on the streams that cross the border of a part, recorded in a run of the whole. Output:
//! whether the part, with one module exchanged, keeps them.
//!
//! Words enter the part in the cycles in which they entered it before, and leave it in those in which they left it or later.
//! If every word then crosses the border in its recorded cycle, what lies outside sees no difference: by induction over
//! cycles, the run of the whole with the exchanged module is the same outside of the part. If one does not, nothing
//! is said about the whole, whose other modules may make up for it.

use super::Dates;
use crate::timing::graph::{Endpoint, From, Graph, Module, Stream, To};
use crate::timing::{Run, RunError, Twin};

/// Frames after which a part runs regularly.
const REGULAR_FRAMES: u64 = 4;

/// For each recorded stream, the cycles of all its words; of the others nothing.
pub struct Recording {
    cycles: Vec<Vec<u64>>,
}

/// Modules of a [`Graph`] and the streams between and around them.
pub struct Region {
    graph: Graph,
    /// Numbers in the whole of the streams of [`Region::graph`].
    streams: Vec<usize>,
    /// The place among the region's modules of each module of the whole.
    places: Vec<Option<usize>>,
}

/// What a run writes down, or compares with, of the words' cycles.
pub(super) enum Watch<'a> {
    Nothing,
    /// Streams that are recorded, and their cycles.
    Record(Vec<Option<Vec<u64>>>),
    /// The cycles of the words of each stream that crosses a part's border, in which sources offer and sinks take; whether a word
    /// moved in another one.
    Compare {
        cycles: Vec<Option<&'a [u64]>>,
        is_changed: bool,
    },
}

impl Watch<'_> {
    pub(super) fn compares(&self) -> bool {
        matches!(self, Watch::Compare { .. })
    }

    /// Whether a word moved in another cycle than the recorded one.
    pub(super) fn is_changed(&self) -> bool {
        matches!(self, Watch::Compare { is_changed: true, .. })
    }

    /// The cycle before which a source does not offer a word, or a sink take it: the recorded one, else any.
    pub(super) fn earliest(&self, stream: usize, word: u64) -> u64 {
        let Watch::Compare { cycles, .. } = self else { return 0 };
        let cycles = cycles.get(stream).copied().flatten();
        cycles.and_then(|cycles| cycles.get(word as usize)).copied().unwrap_or(u64::MAX / 2)
    }

    /// Writes down, or compares with the recorded ones, the cycles of words of a stream from the `first` on.
    pub(super) fn note(&mut self, stream: usize, first: u64, moves: impl Iterator<Item = u64>) {
        match self {
            Watch::Nothing => {}
            Watch::Record(recorded) => {
                if let Some(Some(cycles)) = recorded.get_mut(stream) {
                    cycles.extend(moves);
                }
            }
            Watch::Compare { cycles, is_changed } => {
                if let Some(cycles) = cycles.get(stream).copied().flatten() {
                    *is_changed |= (first as usize..).zip(moves).any(|(word, cycle)| cycles.get(word) != Some(&cycle));
                }
            }
        }
    }
}

impl Graph {
    /// Runs and writes down the cycles of all words on some streams. Every frame is run.
    ///
    /// # Errors
    /// Those of [`Graph::run`]; a graph with modes is not recorded and gives nothing.
    pub fn record(&self, run: &Run, streams: &[usize]) -> Result<Recording, RunError> {
        if self.has_modes() {
            return Ok(Recording { cycles: Vec::new() });
        }
        let mut dates = Dates::new(self, run, &|_| false)?;
        let recorded = (0..self.streams.len()).map(|stream| streams.contains(&stream).then(Vec::new)).collect();
        dates.watch = Watch::Record(recorded);
        let (_, watch) = dates.finish_watching()?;
        let Watch::Record(recorded) = watch else { return Ok(Recording { cycles: Vec::new() }) };
        Ok(Recording { cycles: recorded.into_iter().map(Option::unwrap_or_default).collect() })
    }

    /// The part around a module: what is at most `reach` streams away from it.
    pub fn region_around(&self, module: usize, reach: usize) -> Region {
        let mut inside = vec![false; self.modules.len()];
        inside[module] = true;
        for _ in 0..reach {
            let before = inside.clone();
            for stream in &self.streams {
                if let (From::Module(giver), To::Module(taker)) = (stream.from, stream.to)
                    && before[giver] != before[taker]
                {
                    (inside[giver], inside[taker]) = (true, true);
                }
            }
        }
        self.region(&inside)
    }

    /// The part between the taker of a module's first output and the last module before it that lies on all ways there.
    pub fn region_between(&self, module: usize) -> Region {
        let mut inside = vec![false; self.modules.len()];
        inside[module] = true;
        let taker = self.modules[module].outputs.first().map(|&stream| self.streams[stream].to);
        if let Some(To::Module(join)) = taker {
            inside[join] = true;
            // From the join towards the sources, with the givers that are still to be passed: where there is one, all ways
            // lead through it.
            let mut open = self.givers(join);
            for &next in self.order.iter().rev() {
                let before = open.len();
                open.retain(|&giver| giver != next);
                if open.len() < before {
                    inside[next] = true;
                    if open.is_empty() {
                        break;
                    }
                    open.extend(self.givers(next));
                }
            }
        }
        self.region(&inside)
    }

    fn givers(&self, module: usize) -> Vec<usize> {
        let giver = |&stream: &usize| match self.streams[stream].from {
            From::Module(giver) => Some(giver),
            From::Source(_) => None,
        };
        self.modules[module].inputs.iter().filter_map(giver).collect()
    }

    fn region(&self, inside: &[bool]) -> Region {
        let mut places = vec![None; self.modules.len()];
        let kept: Vec<usize> = (0..self.modules.len()).filter(|&module| inside[module]).collect();
        kept.iter().enumerate().for_each(|(place, &module)| places[module] = Some(place));
        let (mut numbers, mut streams) = (vec![usize::MAX; self.streams.len()], Vec::new());
        let (mut sources, mut sinks, mut graph_streams) = (Vec::new(), Vec::new(), Vec::new());
        for (number, stream) in self.streams.iter().enumerate() {
            let giver = if let From::Module(giver) = stream.from { places[giver] } else { None };
            let taker = if let To::Module(taker) = stream.to { places[taker] } else { None };
            if giver.is_none() && taker.is_none() {
                continue;
            }
            let end = || Endpoint { number: 0, words_per_frame: 1, stream: streams.len() };
            let from = giver.map(From::Module).unwrap_or_else(|| {
                sources.push(end());
                From::Source(sources.len() - 1)
            });
            let to = taker.map(To::Module).unwrap_or_else(|| {
                sinks.push(end());
                To::Sink(sinks.len() - 1)
            });
            numbers[number] = streams.len();
            streams.push(number);
            graph_streams.push(Stream { from, to });
        }
        let modules = kept.iter().map(|&module| {
            let module = &self.modules[module];
            let renumbered = |streams: &[usize]| streams.iter().map(|&stream| numbers[stream]).collect();
            Module {
                name: module.name.clone(),
                twin: module.twin.clone(),
                inputs: renumbered(&module.inputs),
                outputs: renumbered(&module.outputs),
            }
        });
        let order = self.order.iter().filter_map(|&module| places[module]).collect();
        let graph = Graph { modules: modules.collect(), streams: graph_streams, sources, sinks, order };
        Region { graph, streams, places }
    }
}

impl Region {
    /// Numbers in the whole of the streams that cross the border.
    pub fn border(&self) -> impl Iterator<Item = usize> {
        self.graph.sources.iter().chain(&self.graph.sinks).map(|end| self.streams[end.stream])
    }

    /// Whether a stream of this part is at or in the other.
    pub fn touches(&self, other: &Region) -> bool {
        self.streams.iter().any(|stream| other.streams.contains(stream))
    }

    /// How many modules it has.
    pub fn modules(&self) -> usize {
        self.graph.modules.len()
    }

    /// Cycles from frame to frame where words are offered and taken at the border in every cycle and `module` of the whole
    /// works as `twin`; none where the part stands still. `recording` has one frame.
    pub fn interval(&self, recording: &Recording, module: usize, twin: Twin) -> Option<u64> {
        let mut graph = self.graph.clone();
        graph.set_twin((*self.places.get(module)?)?, twin);
        for end in graph.sources.iter_mut().chain(&mut graph.sinks) {
            end.words_per_frame = recording.cycles.get(self.streams[end.stream])?.len() as u64;
        }
        let run = Run { stops_when_regular: true, ..Run::frames(REGULAR_FRAMES) };
        let report = graph.run_cycles(&run).ok()?;
        (0..graph.sinks.len()).filter_map(|sink| report.initiation_interval(sink)).max()
    }

    /// Whether words cross the border in their recorded cycles although `module` of the whole works as `twin`; false also
    /// where the part stands still or the module is not in it.
    pub fn keeps(&self, recording: &Recording, module: usize, twin: Twin) -> bool {
        let Some(&Some(place)) = self.places.get(module) else { return false };
        let mut graph = self.graph.clone();
        graph.set_twin(place, twin);
        let mut cycles: Vec<Option<&[u64]>> = vec![None; graph.streams.len()];
        for end in graph.sources.iter_mut().chain(&mut graph.sinks) {
            let Some(recorded) = recording.cycles.get(self.streams[end.stream]) else { return false };
            end.words_per_frame = recorded.len() as u64;
            cycles[end.stream] = Some(recorded);
        }
        let run = Run::frames(1);
        let Ok(mut dates) = Dates::new(&graph, &run, &|_| false) else { return false };
        dates.watch = Watch::Compare { cycles, is_changed: false };
        dates.let_in();
        if dates.settle().is_err() {
            return false;
        }
        let all_moved = |end: &Endpoint| dates.channels[end.stream].moved == end.words_per_frame;
        !dates.watch.is_changed() && graph.sources.iter().chain(&graph.sinks).all(all_moved)
    }
}
