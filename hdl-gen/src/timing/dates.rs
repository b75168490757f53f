//! The fast simulator: every word's cycle, without visiting cycles.
//!
//! Input: a [`Graph`] and a [`Run`]; output: the same [`Report`] as [`Graph::run_by_cycle`], which is the definition.
//!
//! No twin chooses between words, so the cycle of a move depends on earlier moves of the module's own streams alone:
//! t(word) = max(cycle from which it is offered, cycle from which it has room, one after the word before). These are the
//! equations of a timed event graph (a max-plus linear system: Baccelli, Cohen, Olsder, Quadrat, Synchronization and
//! Linearity, 1992). Each module computes the dates of its moves as far as its streams are known, and wakes its
//! neighbours; no clock is common to all, and a cycle in which nothing moves costs nothing.
//!
//! The module nearest to the sinks goes on first, and before a module goes on its takers say how many words they will take
//! whatever happens. So words pass a chain many at a time.
//!
//! Frames are let in one by one. When all dates on which later ones depend are those of some frames before, all moved by
//! the same number of cycles, then so is everything that follows: the frames between are counted, not run. With stalls
//! every frame is run.

mod channel;
mod cone;
mod level;
mod pipe;
mod rearrange;
mod region;
mod repeat;
mod stream;
mod unit;
mod visit;
mod window;

use super::Twin;
use super::graph::{Endpoint, From, Graph, To};
use super::run::{Report, Run, RunError, Wait, WaitReason, check_run};
use super::stall::stalled;
use channel::{Channel, OPEN_WORDS};
use region::Watch;
use repeat::State;
use std::collections::VecDeque;
use unit::Unit;
use visit::Visitor;

pub use cone::Cone;
pub use region::{Change, Recording, Region};

/// Words that a source offers ahead where it does not pause.
const SOURCE_WORDS: u64 = 255;
/// A promise of so many words is not asked for again.
const PROMISED_WORDS: u64 = 16;
/// States of earlier frames that are kept to compare with.
const STATES: usize = 8;

impl Graph {
    /// Runs from reset until every sink has all words of all frames; equals [`Graph::run_by_cycle`].
    ///
    /// A standstill is reported whatever the limit of cycles is.
    pub fn run(&self, run: &Run) -> Result<Report, RunError> {
        self.run_with(run, &|_| true)
    }

    /// The same with [`Report::occupancy_max`] of these modules alone, the others 0: faster.
    pub fn run_watching(&self, run: &Run, modules: &[usize]) -> Result<Report, RunError> {
        self.run_with(run, &|module| modules.contains(&module))
    }

    /// Whether any stall pattern can bring the design to a standstill, without looking at cycles.
    ///
    /// The modules are deterministic processes that wait for words and for room (a Kahn network with bounded streams), so
    /// which words can move at last does not depend on when they move: if the frames pass in one order of moves, they pass
    /// in every order, that is, under every pattern of stalls. This run moves words in an order of its own, that of a work
    /// list, lets frames in one by one until as many words as after an earlier frame are at each place, at most `frames`
    /// times, and fails where a sink misses words. What is proved is that words pass, not how fast.
    ///
    /// A graph with modes is clocked instead, in mode 0: the frames pass under every pattern of stalls where they pass in
    /// this run, but nothing is said about more frames. Modes change cycles, not which words move.
    pub fn check_untimed(&self, frames: u64) -> Result<Untimed, RunError> {
        let run = Run::frames(frames);
        if self.has_modes() {
            return self.run_by_cycle(&run).map(|_| Untimed { frames, period_frames: None });
        }
        Dates::new(self, &run, &|_| false)?.untimed()
    }

    /// The same without [`Report::occupancy_max`], which stays empty: faster.
    pub fn run_cycles(&self, run: &Run) -> Result<Report, RunError> {
        let report = self.run_with(run, &|_| false)?;
        Ok(Report { occupancy_max: Vec::new(), ..report })
    }

    fn run_with(&self, run: &Run, levels: &dyn Fn(usize) -> bool) -> Result<Report, RunError> {
        if self.has_modes() { self.run_by_cycle(run) } else { Dates::new(self, run, levels)?.finish() }
    }

    /// Whether timing depends on the modes of frames; such a graph is clocked.
    fn has_modes(&self) -> bool {
        self.modules.iter().any(|module| matches!(module.twin, Twin::Serial(_) | Twin::ModeGate(_)))
    }
}

/// What an untimed run showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untimed {
    /// Frames that were run.
    pub frames: u64,
    /// After so many frames everything is where it was: no number of frames ends in a standstill. None: it has not come
    /// back to an earlier state, so nothing is said about more frames.
    pub period_frames: Option<u64>,
}

struct Source<'a> {
    end: &'a Endpoint,
    /// Cycles before which words are not offered; those not listed may come at any time.
    cycles: &'a [u64],
    left: u64,
    first: Option<u64>,
}

struct Sink<'a> {
    end: &'a Endpoint,
    wanted: u64,
    words: u64,
    position: u64,
}

/// The cycle before which a source does not offer a word.
fn start(run: &Run, end: &Endpoint, word: u64) -> u64 {
    if run.frame_starts.is_empty() { 0 } else { run.frame_start(word / end.words_per_frame.max(1)) }
}

/// So many bits that are set.
fn all_bits(count: usize) -> Vec<u64> {
    (0..count.div_ceil(64)).map(|word| u64::MAX >> (64 - (count - word * 64).min(64))).collect()
}

/// The place of each module in an order.
fn ranks(order: &[usize]) -> Vec<usize> {
    let mut ranks = vec![0; order.len()];
    for (rank, &module) in order.iter().enumerate() {
        ranks[module] = rank;
    }
    ranks
}

struct Dates<'a> {
    graph: &'a Graph,
    run: &'a Run,
    units: Vec<Unit>,
    channels: Vec<Channel>,
    /// Words offered and moved that the other side of each stream has been woken for.
    told: Vec<(u64, u64)>,
    sources: Vec<Source<'a>>,
    sinks: Vec<Sink<'a>>,
    /// Modules that may go on, as bits in the order of [`Graph`].
    queue: Vec<u64>,
    /// Place of each module in that order.
    ranks: Vec<usize>,
    watch: Watch<'a>,
    report: Report,
}

impl<'a> Dates<'a> {
    /// A run from reset; `levels` says of which modules the occupancy is kept.
    fn new(graph: &'a Graph, run: &'a Run, levels: &dyn Fn(usize) -> bool) -> Result<Self, RunError> {
        check_run(graph, run)?;
        let units: Vec<Unit> = graph
            .modules
            .iter()
            .enumerate()
            .map(|(index, module)| Unit::new(&module.twin, &module.inputs, &module.outputs, levels(index)))
            .collect();
        let channels = graph.streams.iter().map(|stream| match stream.from {
            From::Source(_) => Channel::new(SOURCE_WORDS + 1),
            From::Module(module) => Channel::new(units[module].outstanding()),
        });
        Ok(Self {
            graph,
            run,
            channels: channels.collect(),
            told: vec![(0, 0); graph.streams.len()],
            sources: graph.sources.iter().map(|end| Source { end, cycles: &[], left: 0, first: None }).collect(),
            sinks: graph
                .sinks
                .iter()
                .map(|end| Sink { end, wanted: end.words_per_frame * run.frames, words: 0, position: 0 })
                .collect(),
            queue: all_bits(units.len()),
            ranks: ranks(&graph.order),
            units,
            watch: Watch::default(),
            report: Report {
                first_input_cycle: 0,
                last_output_cycle: 0,
                frame_end_cycles: vec![Vec::new(); graph.sinks.len()],
                word_cycles: vec![Vec::new(); graph.sinks.len()],
                occupancy_max: Vec::new(),
            },
        })
    }

    fn finish(self) -> Result<Report, RunError> {
        Ok(self.finish_watching()?.0)
    }

    fn finish_watching(mut self) -> Result<(Report, Watch<'a>), RunError> {
        let mut states: VecDeque<State> = VecDeque::new();
        let has_cycles = self.sources.iter().any(|source| !source.cycles.is_empty());
        let is_regular = self.run.stalls.is_none() && self.run.frame_starts.is_empty() && !has_cycles;
        let compares = is_regular && !self.run.keep_words && self.watch.is_idle();
        let mut frame = 0;
        while frame < self.run.frames {
            self.let_in();
            self.settle()?;
            frame += 1;
            if compares && frame + 1 < self.run.frames {
                let state = self.state(frame);
                let same = states.iter().rev().find(|before| before.values == state.values);
                if self.run.stops_when_regular && same.is_some_and(|before| before.frame + 1 == frame) {
                    self.sinks.iter_mut().for_each(|sink| sink.wanted = sink.end.words_per_frame * frame);
                    break;
                }
                let skipped = same.map_or(0, |before| self.skip(before, &state));
                if skipped > 0 {
                    if self.report.last_output_cycle >= self.run.cycle_limit {
                        return Err(RunError::CycleLimit(self.run.cycle_limit));
                    }
                    frame += skipped;
                    states.clear();
                } else {
                    states.push_back(state);
                    if states.len() > STATES {
                        states.pop_front();
                    }
                }
            }
        }
        if self.sinks.iter().any(|sink| sink.words < sink.wanted) {
            return Err(self.standstill());
        }
        self.report.first_input_cycle = self.sources.iter().filter_map(|source| source.first).min().unwrap_or(0);
        let (end, channels) = (self.report.last_output_cycle, &self.channels);
        self.report.occupancy_max = self.units.iter_mut().map(|unit| unit.most(end, channels)).collect();
        Ok((self.report, self.watch))
    }

    fn untimed(mut self) -> Result<Untimed, RunError> {
        let mut states: Vec<Vec<i64>> = Vec::new();
        for frame in 1..=self.run.frames {
            self.let_in();
            self.settle()?;
            let mut state = Vec::new();
            self.visit(&mut Visitor::Untimed(&mut state));
            let same = states.iter().rposition(|before| *before == state);
            states.push(state);
            let late = |sink: &Sink<'_>| sink.words < sink.end.words_per_frame * frame;
            if same.is_some() || frame == self.run.frames {
                if self.sinks.iter().any(late) {
                    return Err(self.standstill());
                }
                let period_frames = same.map(|before| frame - 1 - before as u64);
                return Ok(Untimed { frames: frame, period_frames });
            }
        }
        Err(self.standstill())
    }

    /// Lets a frame in at each source.
    fn let_in(&mut self) {
        for index in 0..self.sources.len() {
            self.sources[index].left += self.sources[index].end.words_per_frame;
            self.feed(index);
        }
    }

    fn standstill(&self) -> RunError {
        RunError::Deadlock { last_move: self.last_move(), waits: self.waits() }
    }

    /// Lets every module go on until none can.
    fn settle(&mut self) -> Result<(), RunError> {
        while let Some(index) = self.pop() {
            if self.watch.is_changed() {
                return Ok(());
            }
            let module = &self.graph.modules[index];
            for &stream in &module.outputs {
                self.ask(stream);
            }
            self.units[index].advance(&mut self.channels);
            for &stream in &module.outputs {
                if self.channels[stream].offered != self.told[stream].0 {
                    self.told[stream].0 = self.channels[stream].offered;
                    // Words that the giver has moved itself need not be told to it.
                    self.note_moves(stream);
                    match self.graph.streams[stream].to {
                        To::Module(taker) => self.wake(taker),
                        To::Sink(sink) => {
                            self.drain(sink)?;
                            if self.channels[stream].moved != self.told[stream].1 {
                                self.note_moves(stream);
                                self.wake_held(index);
                            }
                        }
                    }
                }
            }
            for &stream in &module.inputs {
                if self.channels[stream].moved != self.told[stream].1 {
                    self.note_moves(stream);
                    match self.graph.streams[stream].from {
                        From::Module(giver) => self.wake_held(giver),
                        From::Source(source) => self.feed(source),
                    }
                }
            }
        }
        Ok(())
    }

    /// The words of a stream that have moved are known to both sides, and written down where asked.
    fn note_moves(&mut self, stream: usize) {
        let channel = &self.channels[stream];
        let words = self.told[stream].1..channel.moved;
        self.told[stream].1 = channel.moved;
        if !self.watch.is_idle() {
            self.watch.note(stream, words.start, words.map(|word| channel.date(word)));
        }
    }

    /// The module nearest to the sinks that may go on: so those in front find room for many words.
    fn pop(&mut self) -> Option<usize> {
        let (place, bits) = self.queue.iter_mut().enumerate().rev().find(|(_, bits)| **bits != 0)?;
        let bit = 63 - bits.leading_zeros();
        *bits &= !(1 << bit);
        self.graph.order.get(place * 64 + bit as usize).copied()
    }

    fn wake(&mut self, module: usize) {
        let rank = self.ranks[module];
        self.queue[rank / 64] |= 1 << (rank % 64);
    }

    /// Words of its outputs have moved.
    fn wake_held(&mut self, module: usize) {
        if self.units[module].is_held(&self.channels) {
            self.wake(module);
        }
    }

    /// Asks the taker of a stream what room it can promise.
    fn ask(&mut self, stream: usize) {
        let channel = &self.channels[stream];
        if channel.waits() || channel.promised() >= PROMISED_WORDS {
            return;
        }
        match self.graph.streams[stream].to {
            To::Sink(_) if self.run.stalls.is_none() => {
                let first = channel.offered;
                let words = if self.watch.is_idle() { OPEN_WORDS } else { 1 };
                let room = |ahead| Some((self.watch.earliest(stream, first + ahead), words));
                self.channels[stream].promise_runs(1, OPEN_WORDS, room);
            }
            To::Sink(_) => {}
            To::Module(taker) => {
                if self.units[taker].hands_on() {
                    for port in 0..self.graph.modules[taker].outputs.len() {
                        self.ask(self.graph.modules[taker].outputs[port]);
                    }
                }
                self.units[taker].open(stream, &mut self.channels);
            }
        }
    }

    /// Offers what a source may.
    fn feed(&mut self, index: usize) {
        let Source { end, cycles, left, first } = &mut self.sources[index];
        let channel = &mut self.channels[end.stream];
        if first.is_none() && channel.moved > 0 {
            *first = Some(channel.date(0));
        }
        let before = channel.offered;
        match self.run.stalls {
            None => {
                let words = SOURCE_WORDS.saturating_sub(channel.untaken()).min(*left);
                for _ in 0..words {
                    let from = cycles.get(channel.offered as usize).copied().unwrap_or(0);
                    channel.offer(from.max(start(self.run, end, channel.offered)));
                }
            }
            // Whether it pauses is asked anew in each cycle after the last word's move.
            Some(stalls) if *left > 0 && !channel.is_full() => {
                let pauses = |&cycle: &u64| stalled(stalls.seed, end.number, cycle, stalls.source_probability);
                let next = channel.next.max(start(self.run, end, channel.offered));
                let from = (next..).find(|cycle| !pauses(cycle)).unwrap_or(next);
                channel.offer(from);
            }
            Some(_) => {}
        }
        *left -= channel.offered - before;
        if channel.offered != before
            && let To::Module(taker) = self.graph.streams[end.stream].to
        {
            self.wake(taker);
        }
    }

    /// Takes what a sink is offered.
    fn drain(&mut self, index: usize) -> Result<(), RunError> {
        let Sink { end, wanted, words, position } = &mut self.sinks[index];
        let channel = &mut self.channels[end.stream];
        while channel.waits() {
            let mut from = channel.seen().max(self.watch.earliest(end.stream, *words));
            if let Some(stalls) = self.run.stalls {
                let pauses = |&cycle: &u64| stalled(stalls.seed, end.number, cycle, stalls.sink_probability);
                from = (from..).find(|cycle| !pauses(cycle)).unwrap_or(from);
            }
            let cycle = channel.take(from);
            if *words == *wanted {
                continue;
            }
            if cycle >= self.run.cycle_limit {
                return Err(RunError::CycleLimit(self.run.cycle_limit));
            }
            *words += 1;
            *position += 1;
            self.report.last_output_cycle = self.report.last_output_cycle.max(cycle);
            if self.run.keep_words {
                self.report.word_cycles[index].push(cycle);
            }
            if *position == end.words_per_frame {
                *position = 0;
                let ends = &mut self.report.frame_end_cycles[index];
                let latest = self.run.latest_ends.get(index).and_then(|latest| latest.get(ends.len()));
                if let Some(&latest) = latest.filter(|&&latest| cycle > latest) {
                    let cycles = cycle - latest;
                    return Err(RunError::Late { sink: index, frame: ends.len(), cycles });
                }
                ends.push(cycle);
            }
        }
        Ok(())
    }

    fn last_move(&self) -> Option<u64> {
        self.channels.iter().filter(|channel| channel.moved > 0).map(|channel| channel.next - 1).max()
    }

    fn waits(&self) -> Vec<Wait> {
        let wait = |(stream, ends): (usize, &super::graph::Stream)| {
            let ready = match ends.to {
                To::Sink(_) => true,
                To::Module(taker) => {
                    let port = self.graph.modules[taker].inputs.iter().position(|&input| input == stream);
                    port.is_some_and(|port| self.units[taker].is_ready(port, &self.channels))
                }
            };
            let reason = match (self.channels[stream].is_full(), ready) {
                (true, _) => WaitReason::Room,
                (false, true) => WaitReason::Word,
                (false, false) => WaitReason::Both,
            };
            Wait { from: self.graph.giver_name(ends.from), to: self.graph.taker_name(ends.to), reason }
        };
        self.graph.streams.iter().enumerate().map(wait).collect()
    }
}
