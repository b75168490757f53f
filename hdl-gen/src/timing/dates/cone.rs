//! All that lies behind a fork, run with words whose cycles in the whole are known.
//!
//! Input: the cycles of all words that enter a fan-out cone, recorded in a run of the whole. Output: the cycles in which frames
//! end at the cone's sinks, or later than they may.
//!
//! Words enter the cone in their recorded cycles or as soon afterwards as it has room; what gives them is never late by what happens in the
//! cone. So with twins that make no word of the whole come earlier than it was recorded (shallower FIFOs do not: dates are monotone
//! in all bounds) each word of the cone comes in its cycle of the whole or before. A frame that ends too late here does so in the
//! whole too; of one that ends in time nothing is said.

use super::Dates;
use super::region::{Recording, Region};
use crate::timing::graph::{From, Graph, To};
use crate::timing::{Run, RunError};

/// A fan-out cone of a [`Graph`].
pub struct Cone {
    region: Region,
    /// The number in the whole of each sink of the cone.
    sinks: Vec<usize>,
}

impl Graph {
    /// The last module through which all words to the taker of `module`'s first output pass, what is at most `reach` streams before
    /// it, and all that is reached from there. None where that is everything, and of a graph with modes.
    pub fn cone_around(&self, module: usize, reach: usize) -> Option<Cone> {
        if self.has_modes() {
            return None;
        }
        let To::Module(join) = self.streams[*self.modules[module].outputs.first()?].to else { return None };
        let mut inside = vec![false; self.modules.len()];
        inside[self.dominator(join)?] = true;
        let reached = |inside: &[bool], stream: usize| match (self.streams[stream].from, self.streams[stream].to) {
            (From::Module(giver), To::Module(taker)) => inside[taker].then_some(giver),
            _ => None,
        };
        for _ in 0..reach {
            let givers: Vec<usize> = (0..self.streams.len()).filter_map(|stream| reached(&inside, stream)).collect();
            givers.into_iter().for_each(|giver| inside[giver] = true);
        }
        for &module in &self.order {
            let comes = |&stream: &usize| matches!(self.streams[stream].from, From::Module(giver) if inside[giver]);
            inside[module] |= self.modules[module].inputs.iter().any(comes);
        }
        if inside.iter().all(|&inside| inside) {
            return None;
        }
        let region = self.region(&inside);
        let sink = |stream: usize| if let To::Sink(sink) = self.streams[stream].to { Some(sink) } else { None };
        let sinks = region.graph.sinks.iter().filter_map(|end| sink(region.streams[end.stream])).collect();
        Some(Cone { region, sinks })
    }

    /// The last of the modules before this one through which all words to it pass; none: they enter by several ways.
    fn dominator(&self, module: usize) -> Option<usize> {
        // Immediate dominators in topological order (Cooper, Harvey, Kennedy, A simple, fast dominance algorithm, 2001), each with
        // how many there are above; what gives frames to all sources is one more.
        let mut above: Vec<(Option<usize>, usize)> = vec![(None, 0); self.modules.len()];
        for &module in &self.order {
            let giver = |&stream: &usize| match self.streams[stream].from {
                From::Module(giver) => Some(giver),
                From::Source(_) => None,
            };
            let depth = |module: Option<usize>| module.map_or(0, |module| above[module].1);
            let meet = |mut one: Option<usize>, mut other: Option<usize>| {
                while one != other {
                    let deeper = if depth(one) >= depth(other) { &mut one } else { &mut other };
                    *deeper = deeper.and_then(|module| above[module].0);
                }
                one
            };
            let next = self.modules[module].inputs.iter().map(giver).reduce(meet).flatten();
            above[module] = (next, depth(next) + 1);
        }
        above[module].0
    }
}

impl Cone {
    /// Numbers in the whole of its modules.
    pub fn modules(&self) -> impl Iterator<Item = usize> {
        self.region.modules()
    }

    /// Numbers in the whole of the streams by which words enter: what a recording has to have.
    pub fn entries(&self) -> impl Iterator<Item = usize> {
        self.region.graph.sources.iter().map(|end| self.region.streams[end.stream])
    }

    /// Runs as many frames as `run` says, at most those recorded, with the twins that the whole has now.
    ///
    /// # Errors
    /// Those of [`Graph::run`] that the whole then ends with too, with its sinks' numbers.
    pub fn run(&self, whole: &Graph, recording: &Recording, run: &Run) -> Result<(), RunError> {
        let mut graph = self.region.graph.clone();
        for (module, place) in self.region.places.iter().enumerate() {
            if let Some(place) = *place {
                graph.set_twin(place, whole.modules[module].twin.clone());
            }
        }
        let streams = &self.region.streams;
        let entering = |stream: usize| recording.words(streams[stream], run.frames).unwrap_or_default();
        for end in &mut graph.sources {
            end.words_per_frame = match whole.streams[streams[end.stream]].from {
                From::Source(source) => whole.sources[source].words_per_frame,
                From::Module(_) => entering(end.stream).len() as u64 / run.frames,
            };
        }
        for (end, &sink) in graph.sinks.iter_mut().zip(&self.sinks) {
            end.words_per_frame = whole.sinks[sink].words_per_frame;
        }
        let latest = |&sink: &usize| run.latest_ends.get(sink).cloned().unwrap_or_default();
        let latest_ends = self.sinks.iter().map(latest).collect();
        let run = Run { latest_ends, ..run.clone() };
        let mut dates = Dates::new(&graph, &run, &|_| false)?;
        for source in &mut dates.sources {
            source.cycles = entering(source.end.stream);
        }
        match dates.finish() {
            Ok(_) => Ok(()),
            Err(RunError::Late { sink, frame, cycles }) => {
                Err(RunError::Late { sink: self.sinks[sink], frame, cycles })
            }
            Err(fault) => Err(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::timing::{Concat, Fifo, Fork, Graph, GraphBuilder, ModuleId, Twin};

    /// A FIFO, a fork, on its one side a fork again whose sides meet, and a last meeting with the other side through a FIFO.
    fn nested() -> Graph {
        let mut builder = GraphBuilder::default();
        let mut module = |name: &str, twin| builder.module(name, twin);
        let fifo = || Twin::Fifo(Fifo::new(4).unwrap());
        let fork = || Twin::Fork(Fork::new(2).unwrap());
        let concat = || Twin::Concat(Concat::new(vec![1, 1]).unwrap());
        let modules: [ModuleId; 7] = [
            module("first", fifo()),
            module("outer fork", fork()),
            module("inner fork", fork()),
            module("inner FIFO", fifo()),
            module("inner join", concat()),
            module("outer FIFO", fifo()),
            module("outer join", concat()),
        ];
        let [first, outer_fork, inner_fork, inner_fifo, inner_join, outer_fifo, outer_join] = modules;
        builder.source(0, 1, first, 0);
        for (from, to) in [
            ((first, 0), (outer_fork, 0)),
            ((outer_fork, 0), (inner_fork, 0)),
            ((inner_fork, 0), (inner_join, 0)),
            ((inner_fork, 1), (inner_fifo, 0)),
            ((inner_fifo, 0), (inner_join, 1)),
            ((inner_join, 0), (outer_join, 0)),
            ((outer_fork, 1), (outer_fifo, 0)),
            ((outer_fifo, 0), (outer_join, 1)),
        ] {
            builder.join(from.0, from.1, to.0, to.1);
        }
        builder.sink(1, 3, outer_join, 0);
        builder.build().unwrap()
    }

    #[test]
    fn a_join_is_dominated_by_the_fork_of_its_branches() {
        let graph = nested();
        let above = |module| graph.dominator(module);
        assert_eq!([0, 1, 2, 3].map(above), [None, Some(0), Some(1), Some(2)]);
        assert_eq!([4, 5, 6].map(above), [Some(2), Some(1), Some(1)]);
    }

    #[test]
    fn a_cone_has_all_that_its_fork_reaches() {
        let graph = nested();
        let modules = |fifo, reach| graph.cone_around(fifo, reach).map(|cone| cone.modules().collect::<Vec<_>>());
        assert_eq!(modules(3, 0), Some(vec![2, 3, 4, 6]));
        assert_eq!(modules(5, 0), Some(vec![1, 2, 3, 4, 5, 6]));
        // One stream further lies the outer fork, and with it everything but the first FIFO; then that too.
        assert_eq!(modules(3, 1), Some(vec![1, 2, 3, 4, 5, 6]));
        assert!(modules(3, 2).is_none());
        // The last one's words go to no join.
        assert!(modules(6, 0).is_none());
    }
}
