//! Part of a graph, run between words whose cycles are known.
//!
//! Input: the cycles of all words on the streams that cross the border of a part, recorded in a run of the whole. Output:
//! whether the part, with one module exchanged, keeps them.
//!
//! Words enter the part in the cycles in which they entered it before, and leave it in those in which they left it or later.
//! If every word then crosses the border in its recorded cycle, what lies outside sees no difference: by induction over
//! cycles, the run of the whole with the exchanged module is the same outside of the part, so that only what the part's own
//! streams do is new in the recording. If one does not, nothing is said about the whole, whose other modules may make up for it.

use super::Dates;
use crate::timing::graph::{Endpoint, From, Graph, Module, Stream, To};
use crate::timing::{Run, RunError, Twin};
use std::sync::Arc;

/// For each recorded stream, the cycles of all its words in so many frames; of the others nothing. Clones share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    frames: u64,
    cycles: Vec<Arc<Vec<u64>>>,
}

/// Modules of a [`Graph`] and the streams between and around them.
pub struct Region {
    pub(super) graph: Graph,
    /// Numbers in the whole of the streams of [`Region::graph`].
    pub(super) streams: Vec<usize>,
    /// The place among the region's modules of each module of the whole.
    pub(super) places: Vec<Option<usize>>,
}

/// The cycles of the words inside of a part with an exchanged module, for streams that a recording has.
pub struct Change {
    cycles: Vec<(usize, Arc<Vec<u64>>)>,
}

/// What a run writes down, and compares with, of the words' cycles.
#[derive(Default)]
pub(super) struct Watch<'a> {
    /// The cycles of streams that are to be written down; empty: of none.
    written: Vec<Option<Vec<u64>>>,
    /// The cycles of the words of each stream that crosses a part's border, in which sources offer and sinks take; empty: of
    /// none.
    expected: Vec<Option<&'a [u64]>>,
    /// Whether a word moved in another cycle than the expected one.
    is_changed: bool,
}

impl Watch<'_> {
    /// Whether nothing is written down or compared.
    pub(super) fn is_idle(&self) -> bool {
        self.written.is_empty() && self.expected.is_empty()
    }

    /// Whether a word moved in another cycle than the expected one.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// The cycle before which a sink does not take a word: the expected one, else any.
    pub(super) fn earliest(&self, stream: usize, word: u64) -> u64 {
        let cycles = self.expected.get(stream).copied().flatten();
        cycles.map_or(0, |cycles| cycles.get(word as usize).copied().unwrap_or(u64::MAX / 2))
    }

    /// Writes down, or compares with the expected ones, the cycles of words of a stream from the `first` on.
    pub(super) fn note(&mut self, stream: usize, first: u64, moves: impl Iterator<Item = u64>) {
        if let Some(Some(cycles)) = self.written.get_mut(stream) {
            cycles.extend(moves);
        } else if let Some(cycles) = self.expected.get(stream).copied().flatten() {
            self.is_changed |= (first as usize..).zip(moves).any(|(word, cycle)| cycles.get(word) != Some(&cycle));
        }
    }
}

impl Recording {
    /// The same after a part was exchanged for one that keeps its border.
    pub fn apply(&mut self, change: Change) {
        for (stream, cycles) in change.cycles {
            self.cycles[stream] = cycles;
        }
    }

    /// The words of a recorded stream in so many of the first frames.
    pub(super) fn words(&self, stream: usize, frames: u64) -> Option<&[u64]> {
        let cycles = self.cycles.get(stream).filter(|cycles| !cycles.is_empty())?;
        cycles.get(..(cycles.len() as u64 / self.frames * frames.min(self.frames)) as usize)
    }
}

impl Graph {
    /// Runs and writes down the cycles of all words on some streams. Every frame is run.
    ///
    /// # Errors
    /// Those of [`Graph::run`]; a graph with modes is not recorded and gives nothing.
    pub fn record(&self, run: &Run, streams: &[usize]) -> Result<Recording, RunError> {
        if self.has_modes() {
            return Ok(Recording { frames: run.frames, cycles: Vec::new() });
        }
        let mut dates = Dates::new(self, run, &|_| false)?;
        dates.watch.written = (0..self.streams.len()).map(|stream| streams.contains(&stream).then(Vec::new)).collect();
        let (_, watch) = dates.finish_watching()?;
        let cycles = watch.written.into_iter().map(|words| Arc::new(words.unwrap_or_default())).collect();
        Ok(Recording { frames: run.frames, cycles })
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

    /// These modules with the streams between and around them.
    pub(super) fn region(&self, inside: &[bool]) -> Region {
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

    /// Numbers in the whole of its modules.
    pub fn modules(&self) -> impl Iterator<Item = usize> {
        self.places.iter().enumerate().filter_map(|(module, place)| place.map(|_| module))
    }

    /// Whether a stream of this part is at or in the other.
    pub fn touches(&self, other: &Region) -> bool {
        self.streams.iter().any(|stream| other.streams.contains(stream))
    }

    /// Whether words cross the border in their recorded cycles in so many frames although `module` of the whole works as `twin`:
    /// what then is new inside. None also where the part stands still or the module is not in it.
    pub fn keeps(&self, recording: &Recording, module: usize, twin: Twin, frames: u64) -> Option<Change> {
        let place = (*self.places.get(module)?)?;
        let mut graph = self.graph.clone();
        graph.set_twin(place, twin);
        let mut expected: Vec<Option<&[u64]>> = vec![None; graph.streams.len()];
        for end in graph.sources.iter_mut().chain(&mut graph.sinks) {
            let recorded = recording.words(self.streams[end.stream], frames)?;
            end.words_per_frame = recorded.len() as u64;
            expected[end.stream] = Some(recorded);
        }
        let is_new = |(place, &stream): (usize, &usize)| {
            (expected[place].is_none() && recording.words(stream, 1).is_some()).then(Vec::new)
        };
        let written = self.streams.iter().enumerate().map(is_new).collect();
        let run = Run::frames(1);
        let mut dates = Dates::new(&graph, &run, &|_| false).ok()?;
        for source in &mut dates.sources {
            source.cycles = expected[source.end.stream].unwrap_or_default();
        }
        dates.watch = Watch { written, expected, is_changed: false };
        dates.let_in();
        dates.settle().ok()?;
        let all_moved = |end: &Endpoint| dates.channels[end.stream].moved == end.words_per_frame;
        if dates.watch.is_changed() || !graph.sources.iter().chain(&graph.sinks).all(all_moved) {
            return None;
        }
        let new = self.streams.iter().zip(std::mem::take(&mut dates.watch.written));
        Some(Change { cycles: new.filter_map(|(&stream, cycles)| Some((stream, Arc::new(cycles?)))).collect() })
    }
}
