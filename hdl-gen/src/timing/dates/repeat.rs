//! Frames that repeat earlier ones are counted instead of run.

use super::Dates;
use super::visit::Visitor;

/// What a run was like after a frame.
pub(super) struct State {
    pub(super) frame: u64,
    base: u64,
    pub(super) values: Vec<i64>,
    /// For each sink its words and frames.
    sinks: Vec<(u64, usize)>,
}

impl Dates<'_> {
    /// Everything that later dates depend on, relative to the last word at the first sink.
    pub(super) fn state(&mut self, frame: u64) -> State {
        let base = self.sinks.first().map_or(0, |sink| self.channels[sink.end.stream].next);
        let mut values = Vec::new();
        self.visit(&mut Visitor::Record { base, state: &mut values });
        values.extend(self.sinks.iter().map(|sink| sink.position as i64));
        let ends = self.sinks.iter().zip(&self.report.frame_end_cycles);
        State { frame, base, values, sinks: ends.map(|(sink, ends)| (sink.words, ends.len())).collect() }
    }

    pub(super) fn visit(&mut self, visitor: &mut Visitor<'_>) {
        for source in &self.sources {
            self.channels[source.end.stream].visit(u64::MAX, visitor);
        }
        for unit in &mut self.units {
            unit.visit(&mut self.channels, visitor);
        }
    }

    /// Counts frames that are as those from `before` to `now` were; how many.
    pub(super) fn skip(&mut self, before: &State, now: &State) -> u64 {
        let (period_frames, period_cycles) = (now.frame - before.frame, now.base - before.base);
        let mut periods = (self.run.frames - now.frame) / period_frames;
        for (sink, &(words, _)) in self.sinks.iter().zip(&before.sinks) {
            if let Some(fit) = (sink.wanted - sink.words).checked_div(sink.words - words) {
                periods = periods.min(fit);
            }
        }
        if periods == 0 {
            return 0;
        }
        let ends = self.report.frame_end_cycles.iter_mut();
        for ((sink, ends), &(words, first)) in self.sinks.iter_mut().zip(ends).zip(&before.sinks) {
            sink.words += periods * (sink.words - words);
            let pattern: Vec<u64> = ends[first..].to_vec();
            for period in 1..=periods {
                ends.extend(pattern.iter().map(|end| end + period * period_cycles));
            }
            let last = ends.last().copied().unwrap_or(0);
            self.report.last_output_cycle = self.report.last_output_cycle.max(last);
        }
        self.visit(&mut Visitor::Shift(periods * period_cycles));
        periods * period_frames
    }
}
