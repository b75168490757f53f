//! The definition of a run: clocks every twin of a graph, cycle by cycle, and reports cycles.
//!
//! [`Graph::run`] gives the same report sooner.

use super::graph::Graph;
use super::run::{Report, Run, RunError, Wait, WaitReason, check_run};
use super::stall::stalled;
use std::sync::Arc;

struct SourceState {
    offered: bool,
    remaining: u64,
    /// Words of the current frame that were taken.
    position: u64,
    frame: u64,
    /// The next frame is not offered before this cycle.
    held_until: u64,
}

struct SinkState {
    words: u64,
    position: u64,
}

impl Graph {
    /// Runs from reset until every sink has all words of all frames, one cycle after the other.
    pub fn run_by_cycle(&self, run: &Run) -> Result<Report, RunError> {
        Simulation::new(self, run)?.finish()
    }
}

struct Simulation<'a> {
    graph: &'a Graph,
    run: &'a Run,
    twins: Vec<super::Twin>,
    sources: Vec<SourceState>,
    sinks: Vec<SinkState>,
    valid: Vec<bool>,
    ready: Vec<bool>,
    remaining: u64,
    first_input: Option<u64>,
    report: Report,
}

impl<'a> Simulation<'a> {
    fn new(graph: &'a Graph, run: &'a Run) -> Result<Self, RunError> {
        let remaining = check_run(graph, run)?;
        // Frames take their modes at the first input.
        let held_until = |number: usize| u64::from(number == 0 && run.mode(0) != 0);
        let source = |(number, source): (usize, &super::graph::Endpoint)| SourceState {
            offered: false,
            remaining: source.words_per_frame * run.frames,
            position: 0,
            frame: 0,
            held_until: held_until(number),
        };
        let sources = graph.sources.iter().enumerate().map(source).collect();
        let modes: Arc<[u8]> = run.modes.as_slice().into();
        let mut twins: Vec<super::Twin> = graph.modules.iter().map(|module| module.twin.clone()).collect();
        twins.iter_mut().for_each(|twin| twin.set_modes(&modes));
        Ok(Self {
            graph,
            run,
            twins,
            sources,
            sinks: graph.sinks.iter().map(|_| SinkState { words: 0, position: 0 }).collect(),
            valid: vec![false; graph.streams.len()],
            ready: vec![false; graph.streams.len()],
            remaining,
            first_input: None,
            report: Report {
                first_input_cycle: 0,
                last_output_cycle: 0,
                frame_end_cycles: vec![Vec::new(); graph.sinks.len()],
                word_cycles: vec![Vec::new(); graph.sinks.len()],
                occupancy_max: vec![0; graph.modules.len()],
            },
        })
    }

    fn finish(mut self) -> Result<Report, RunError> {
        let quiet_limit = self.twins.iter().fold(64u64, |sum, twin| sum.saturating_add(twin.quiet_cycles()));
        let mut quiet = 0u64;
        let mut last_move = None;
        let mut cycle = 0u64;
        while self.remaining > 0 {
            if cycle >= self.run.cycle_limit {
                return Err(RunError::CycleLimit(self.run.cycle_limit));
            }
            let paused = self.offer(cycle);
            self.accept();
            if self.clock(cycle)? {
                quiet = 0;
                last_move = Some(cycle);
            } else if !paused {
                quiet += 1;
                if quiet > quiet_limit {
                    return Err(RunError::Deadlock { last_move, waits: self.waits() });
                }
            }
            cycle += 1;
        }
        self.report.first_input_cycle = self.first_input.unwrap_or(0);
        Ok(self.report)
    }

    /// Sets every valid, and ready of the sinks; whether an endpoint pauses.
    fn offer(&mut self, cycle: u64) -> bool {
        let mut paused = false;
        for (end, state) in self.graph.sources.iter().zip(&mut self.sources) {
            if !state.offered && state.remaining > 0 {
                let from = state.held_until.max(self.run.frame_start(state.frame));
                let is_held = state.position == 0 && cycle < from;
                state.offered = !is_held
                    && !self
                        .run
                        .stalls
                        .is_some_and(|stalls| stalled(stalls.seed, end.number, cycle, stalls.source_probability));
                paused |= !state.offered;
            }
            self.valid[end.stream] = state.offered;
        }
        for end in &self.graph.sinks {
            let ready =
                !self.run.stalls.is_some_and(|stalls| stalled(stalls.seed, end.number, cycle, stalls.sink_probability));
            paused |= !ready;
            self.ready[end.stream] = ready;
        }
        for (module, twin) in self.graph.modules.iter().zip(&self.twins) {
            let valid = twin.valid();
            for (port, &stream) in module.outputs.iter().enumerate() {
                self.valid[stream] = (valid >> port) & 1 != 0;
            }
        }
        paused
    }

    /// Sets every ready, from the sinks backwards.
    fn accept(&mut self) {
        for &index in self.graph.order.iter().rev() {
            let module = &self.graph.modules[index];
            let s_valid = gather(&module.inputs, |stream| self.valid[stream]);
            let m_ready = gather(&module.outputs, |stream| self.ready[stream]);
            let ready = self.twins[index].ready(s_valid, m_ready);
            for (port, &stream) in module.inputs.iter().enumerate() {
                self.ready[stream] = (ready >> port) & 1 != 0;
            }
        }
    }

    /// The rising edge; whether any word moved.
    fn clock(&mut self, cycle: u64) -> Result<bool, RunError> {
        let mut any = false;
        for ((module, twin), most) in self.graph.modules.iter().zip(&mut self.twins).zip(&mut self.report.occupancy_max)
        {
            let s_valid = gather(&module.inputs, |stream| self.valid[stream]);
            let s_moved = s_valid & gather(&module.inputs, |stream| self.ready[stream]);
            let m_moved = gather(&module.outputs, |stream| self.valid[stream] & self.ready[stream]);
            any |= (s_moved | m_moved) != 0;
            twin.step(s_valid, s_moved, m_moved);
            *most = (*most).max(twin.occupancy());
        }
        for (number, (end, state)) in self.graph.sources.iter().zip(&mut self.sources).enumerate() {
            if self.valid[end.stream] && self.ready[end.stream] {
                state.offered = false;
                state.remaining -= 1;
                let begins = number == 0 && state.position == 0;
                if begins && self.run.mode(state.frame) != self.run.mode(state.frame + 1) {
                    state.held_until = cycle + 2;
                }
                state.position += 1;
                if state.position == end.words_per_frame {
                    state.position = 0;
                    state.frame += 1;
                }
                self.first_input.get_or_insert(cycle);
            }
        }
        for (index, (end, state)) in self.graph.sinks.iter().zip(&mut self.sinks).enumerate() {
            let wanted = state.words < end.words_per_frame.saturating_mul(self.run.frames);
            if wanted && self.valid[end.stream] && self.ready[end.stream] {
                state.words += 1;
                state.position += 1;
                self.remaining -= 1;
                self.report.last_output_cycle = cycle;
                if self.run.keep_words {
                    self.report.word_cycles[index].push(cycle);
                }
                if state.position == end.words_per_frame {
                    state.position = 0;
                    let ends = &mut self.report.frame_end_cycles[index];
                    let latest = self.run.latest_ends.get(index).and_then(|latest| latest.get(ends.len()));
                    if let Some(&latest) = latest.filter(|&&latest| cycle > latest) {
                        let cycles = cycle - latest;
                        return Err(RunError::Late { sink: index, frame: ends.len(), cycles });
                    }
                    ends.push(cycle);
                }
            }
        }
        Ok(any)
    }

    fn waits(&self) -> Vec<Wait> {
        self.graph
            .streams
            .iter()
            .enumerate()
            .map(|(stream, ends)| Wait {
                from: self.graph.giver_name(ends.from),
                to: self.graph.taker_name(ends.to),
                reason: match (self.valid[stream], self.ready[stream]) {
                    (true, _) => WaitReason::Room,
                    (false, true) => WaitReason::Word,
                    (false, false) => WaitReason::Both,
                },
            })
            .collect()
    }
}

#[inline]
fn gather(streams: &[usize], bit: impl Fn(usize) -> bool) -> u32 {
    streams.iter().enumerate().fold(0, |mask, (port, &stream)| mask | (u32::from(bit(stream)) << port))
}

#[cfg(test)]
mod tests {
    use super::super::stall::Stalls;
    use super::super::{Fifo, Fork, GraphBuilder, Matrix, SlidingWindow, Twin, WidthAdapter, WindowShape};
    use super::*;

    fn chain(twins: Vec<Twin>, input_words: u64, output_words: u64) -> Graph {
        let modules = twins.into_iter().enumerate().map(|(index, twin)| (format!("m{index}"), twin)).collect();
        Graph::chain(modules, input_words, output_words).unwrap()
    }

    fn fifo(words: u32) -> Twin {
        Twin::Fifo(Fifo::new(words).unwrap())
    }

    #[test]
    fn each_fifo_adds_one_cycle_and_a_single_word_one_halves_the_rate() {
        let report = chain(vec![fifo(2), fifo(2)], 10, 10).run_by_cycle(&Run::frames(2)).unwrap();
        assert_eq!((report.first_input_cycle, report.last_output_cycle), (0, 21));
        assert_eq!((report.cycles(), report.initiation_interval(0)), (22, Some(10)));
        let report = chain(vec![fifo(1)], 10, 10).run_by_cycle(&Run::frames(2)).unwrap();
        assert_eq!((report.cycles(), report.initiation_interval(0)), (40, Some(20)));
    }

    #[test]
    fn a_matrix_layer_takes_its_steps_and_its_latency() {
        // 4 words in cycles 0..=3; results issue in cycles 3 and 7, are pushed
        // in 6 and 10, offered in 7 and 11; the next vector starts in cycle 8.
        let twin = Twin::Matrix(Matrix::new(4, 2, 3, 2).unwrap());
        let mut run = Run::frames(2);
        run.keep_words = true;
        let report = chain(vec![twin], 4, 2).run_by_cycle(&run).unwrap();
        assert_eq!(report.word_cycles, [[7, 11, 15, 19]]);
    }

    #[test]
    fn a_matrix_layer_of_one_credit_waits_for_its_return() {
        // Issue in t, push in t + 2, taken in t + 3, next issue in t + 4.
        let twin = Twin::Matrix(Matrix::new(1, 1, 2, 1).unwrap());
        let mut run = Run::frames(3);
        run.keep_words = true;
        let report = chain(vec![twin], 1, 1).run_by_cycle(&run).unwrap();
        assert_eq!(report.word_cycles, [[3, 7, 11]]);
    }

    #[test]
    fn a_window_waits_for_its_last_word() {
        // 2 x 2 taps on 2 x 3 pixels: the first window's last word (index 4) is
        // taken in cycle 4, so its reads run in 5..=8, offered two later; the
        // second window follows at once.
        let shape = WindowShape {
            channel_words: 1,
            rows: 2,
            columns: 3,
            pad_top: 0,
            pad_left: 0,
            pad_bottom: 0,
            pad_right: 0,
            kernel_rows: 2,
            kernel_columns: 2,
            stride_rows: 1,
            stride_columns: 1,
            dilation_rows: 1,
            dilation_columns: 1,
        };
        assert_eq!(shape.minimum_buffer_words().unwrap(), 5);
        let twin = Twin::SlidingWindow(SlidingWindow::new(&shape, 7).unwrap());
        let mut run = Run::frames(1);
        run.keep_words = true;
        let report = chain(vec![twin], 6, 8).run_by_cycle(&run).unwrap();
        assert_eq!(report.word_cycles, [(7..15).collect::<Vec<u64>>()]);
    }

    #[test]
    fn stalls_change_cycles_and_repeat_from_their_seed() {
        let graph = chain(vec![Twin::WidthAdapter(WidthAdapter::new(3, 8).unwrap()), fifo(4)], 8, 3);
        let cycles =
            |seed| graph.run_by_cycle(&Run::frames(50).with_stalls(Stalls::uniform(seed, 0.4))).unwrap().cycles();
        assert_eq!(cycles(1), cycles(1));
        assert_ne!(cycles(1), cycles(2));
        assert!(cycles(1) > graph.run_by_cycle(&Run::frames(50)).unwrap().cycles());
    }

    #[test]
    fn a_fork_feeds_two_sinks() {
        let mut builder = GraphBuilder::default();
        let fork = builder.module("fork", Twin::Fork(Fork::new(2).unwrap()));
        let slow = builder.module("slow", fifo(1));
        builder.source(0, 4, fork, 0);
        builder.join(fork, 0, slow, 0);
        builder.sink(1, 4, slow, 0);
        builder.sink(2, 4, fork, 1);
        let report = builder.build().unwrap().run_by_cycle(&Run::frames(1)).unwrap();
        assert_eq!(report.frame_end_cycles[0], [8]);
        assert_eq!(report.occupancy_max, [2, 1]);
    }

    #[test]
    fn a_starved_sink_is_diagnosed() {
        let error = chain(vec![fifo(2), fifo(3)], 4, 5).run_by_cycle(&Run::frames(1)).unwrap_err();
        let RunError::Deadlock { last_move, waits } = error else { panic!("{error}") };
        assert_eq!(last_move, Some(5));
        let text: Vec<String> = waits.iter().map(Wait::to_string).collect();
        assert_eq!(text[0], "source 0 -> m0: the taker waits for a word");
    }

    #[test]
    fn wrong_runs_are_refused() {
        let graph = chain(vec![fifo(2)], 4, 4);
        assert_eq!(graph.run_by_cycle(&Run::frames(0)), Err(RunError::Frames(0)));
        assert_eq!(graph.run_by_cycle(&Run::frames(u64::MAX)), Err(RunError::Frames(u64::MAX)));
        let certain = Run::frames(1).with_stalls(Stalls::uniform(1, 1.0));
        assert_eq!(graph.run_by_cycle(&certain), Err(RunError::Probability(1.0)));
        let mut short = Run::frames(1);
        short.cycle_limit = 3;
        assert_eq!(graph.run_by_cycle(&short), Err(RunError::CycleLimit(3)));
    }
}
