//! Dates of the units that end in a credit-guarded FIFO: matrix layers, joins, pools, reductions.

use super::channel::{Channel, OPEN_WORDS};
use super::level::Level;
use super::visit::Visitor;
use crate::timing::credit::{Counter, CreditPipe};
use crate::timing::pool::PoolPlace;
use crate::timing::{Matrix, MaxPool, Reduction};

/// A pipeline: a result enters when one of its credits is back, and is offered a fixed time later.
#[derive(Clone, Debug)]
pub(super) struct Pipe {
    credits: u64,
    offer_delay: u64,
}

impl Pipe {
    pub(super) fn new(twin: &CreditPipe) -> Self {
        Self { credits: u64::from(twin.credits()), offer_delay: u64::from(twin.latency_cycles()) + 1 }
    }

    pub(super) fn outstanding(&self) -> u64 {
        self.credits
    }

    /// From when on a result may enter.
    #[inline]
    pub(super) fn available(&self, output: &Channel) -> Option<u64> {
        output.freed(output.offered, self.credits)
    }

    /// From when on the result so many behind the next one finds its credit back, where results enter `spacing` cycles or more
    /// apart and that is known.
    #[inline]
    pub(super) fn room(&self, output: &Channel, ahead: u64, spacing: u64) -> Option<u64> {
        output.room(ahead, self.credits, [spacing, self.offer_delay])
    }

    /// Promises room for words of which `limit` make a result, `done` of the next one's being there: none before cycle `from`,
    /// the last of each when the result's credit is back; at most `most`.
    fn promise(&self, input: &mut Channel, output: &Channel, [done, limit]: [u64; 2], from: u64, most: u64) {
        let words = done + input.promised();
        let (mut result, mut word) = (words / limit, words % limit);
        input.promise_runs(1, most, |_| {
            if word + 1 < limit {
                let before_last = limit - 1 - word;
                word = limit - 1;
                return Some((from, before_last));
            }
            let credit = self.room(output, result, limit)?;
            (result, word) = (result + 1, 0);
            Some((credit.max(from), 1))
        });
    }

    /// How many of so many results that enter from cycle `from` on, one a cycle, find their credits back and move when they
    /// are offered.
    #[inline]
    pub(super) fn run(&self, from: u64, words: u64, output: &Channel) -> u64 {
        let words = output.run_from(from + self.offer_delay, words);
        // A result that has moved so gives its credit back one cycle after its offer.
        if self.credits < self.offer_delay + 1 {
            return 0;
        }
        let is_back =
            |ahead: u64| output.freed(output.offered + ahead, self.credits).is_some_and(|c| c <= from + ahead);
        if (0..words.min(self.credits)).all(is_back) { words } else { 0 }
    }

    /// As many results, the first in cycle `from`, where they are no part of what the module holds.
    pub(super) fn offer_run(&self, from: u64, words: u64, output: &mut Channel) {
        output.offer_run(from + self.offer_delay, words);
    }

    /// A result enters in `cycle`, where it is no part of what the module holds.
    #[inline]
    pub(super) fn offer(&self, cycle: u64, output: &mut Channel) {
        output.offer(cycle + self.offer_delay);
    }

    /// A result enters in `cycle`.
    #[inline]
    pub(super) fn enter(&self, cycle: u64, output: &mut Channel, level: &mut Level) {
        self.offer(cycle, output);
        level.up(cycle);
    }
}

/// [`Matrix`]: the passes over a vector, the first of which takes its words.
#[derive(Clone, Debug)]
pub(super) struct MatrixDates {
    input_steps: u64,
    output_steps: u64,
    step: u64,
    pass: u64,
    /// First cycle of the next step.
    next: u64,
    pipe: Pipe,
}

impl MatrixDates {
    pub(super) fn new(twin: &Matrix) -> Self {
        Self {
            input_steps: u64::from(twin.input_step.limit()),
            output_steps: u64::from(twin.output_step.limit()),
            step: 0,
            pass: 0,
            next: 0,
            pipe: Pipe::new(&twin.pipe),
        }
    }

    pub(super) fn outstanding(&self) -> u64 {
        self.pipe.outstanding()
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn advance(&mut self, input: &mut Channel, output: &mut Channel, level: &mut Level) {
        loop {
            if self.pass == 0 {
                let mut next = self.next;
                let known = input.known().min(self.input_steps - 1 - self.step);
                if known > 0 {
                    next = input.take_known(known) + 1;
                    self.step += known;
                }
                while self.step + 1 < self.input_steps && input.waits() {
                    next = input.take(next) + 1;
                    self.step += 1;
                }
                self.next = next;
                if self.step + 1 < self.input_steps || !input.waits() {
                    return;
                }
                let Some(available) = self.pipe.available(output) else { return };
                let cycle = input.take(next.max(available));
                self.finish(cycle, output, level);
            } else if !self.replay(output, level) {
                return;
            }
        }
    }

    /// Whether it passes over a kept vector, for which no word is missing.
    pub(super) fn replays(&self) -> bool {
        self.pass != 0
    }

    /// Whether each vector is passed once.
    pub(super) fn passes_once(&self) -> bool {
        self.output_steps == 1
    }

    /// Promises room for a vector, or for several where each is passed once.
    pub(super) fn open(&self, input: &mut Channel, output: &Channel) {
        if self.pass != 0 {
            return;
        }
        let steps = self.input_steps;
        let most = if self.output_steps == 1 { OPEN_WORDS } else { steps - self.step };
        self.pipe.promise(input, output, [self.step, steps], self.next, most);
    }

    /// Promises room at the input that words are missing at: for as many as wait at all others.
    pub(super) fn open_join(&self, inputs: &[usize], output: usize, channels: &mut [Channel]) {
        if self.input_steps > 1 || self.output_steps > 1 {
            return;
        }
        let mut missing = inputs.iter().copied().filter(|&input| !channels[input].waits());
        let (Some(port), None) = (missing.next(), missing.next()) else { return };
        let mut taken = std::mem::take(&mut channels[port]);
        taken.promise(1, OPEN_WORDS, |ahead| {
            let mut from = self.next.max(self.pipe.room(&channels[output], ahead, 1)?);
            for &input in inputs.iter().filter(|&&input| input != port) {
                let other = &channels[input];
                from = from.max((ahead < other.untaken()).then(|| other.ahead(ahead))?);
            }
            Some(from)
        });
        channels[port] = taken;
    }

    /// A whole pass over the kept vector; false: its credit is not back yet.
    fn replay(&mut self, output: &mut Channel, level: &mut Level) -> bool {
        let Some(available) = self.pipe.available(output) else { return false };
        let cycle = (self.next + self.input_steps - 1).max(available);
        self.finish(cycle, output, level);
        true
    }

    fn finish(&mut self, cycle: u64, output: &mut Channel, level: &mut Level) {
        self.pipe.enter(cycle, output, level);
        self.next = cycle + 1;
        self.step = 0;
        self.pass = if self.pass + 1 == self.output_steps { 0 } else { self.pass + 1 };
    }

    /// Words of several streams at once, as [`crate::timing::Join`] takes them.
    pub(super) fn advance_join(
        &mut self,
        inputs: &[usize],
        output: usize,
        channels: &mut [Channel],
        level: &mut Level,
    ) {
        loop {
            if self.pass != 0 {
                if !self.replay(&mut channels[output], level) {
                    return;
                }
                continue;
            }
            let last = self.step + 1 == self.input_steps;
            let mut from = self.next;
            if last {
                let Some(available) = self.pipe.available(&channels[output]) else { return };
                from = from.max(available);
            }
            for &input in inputs {
                if !channels[input].waits() {
                    return;
                }
                from = from.max(channels[input].seen());
            }
            for &input in inputs {
                channels[input].take(from);
            }
            self.next = from + 1;
            if last {
                self.finish(from, &mut channels[output], level);
            } else {
                self.step += 1;
            }
        }
    }

    pub(super) fn is_ready(&self, output: &Channel) -> bool {
        self.pass == 0 && (self.step + 1 < self.input_steps || self.pipe.available(output).is_some())
    }

    pub(super) fn visit(&mut self, visitor: &mut Visitor<'_>) {
        visitor.count(self.step);
        visitor.count(self.pass);
        visitor.date(&mut self.next, 0);
    }
}

/// [`MaxPool`]: a word that ends a window needs a credit.
#[derive(Clone, Debug)]
pub(super) struct PoolDates {
    channel: Counter,
    place: PoolPlace,
    pipe: Pipe,
}

impl PoolDates {
    pub(super) fn new(twin: &MaxPool) -> Self {
        Self { channel: twin.channel, place: twin.place.clone(), pipe: Pipe::new(&twin.pipe) }
    }

    pub(super) fn outstanding(&self) -> u64 {
        self.pipe.outstanding()
    }

    pub(super) fn advance(&mut self, input: &mut Channel, output: &mut Channel, level: &mut Level) {
        while input.waits() {
            if self.place.ends_window() {
                let Some(available) = self.pipe.available(output) else { return };
                let cycle = input.take(available);
                self.pipe.enter(cycle, output, level);
            } else {
                input.take(0);
            }
            if self.channel.advance() {
                self.place.advance();
            }
        }
    }

    /// Promises room for the rest of a pixel.
    pub(super) fn open(&self, input: &mut Channel, output: &Channel) {
        let pixel = u64::from(self.channel.limit() - self.channel.value());
        let ends = self.place.ends_window();
        input.promise(1, pixel, |ahead| if ends { self.pipe.room(output, ahead, 1) } else { Some(0) });
    }

    pub(super) fn is_ready(&self, output: &Channel) -> bool {
        !self.place.ends_window() || self.pipe.available(output).is_some()
    }

    pub(super) fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.count(u64::from(self.channel.value()));
        for count in self.place.counts() {
            visitor.count(u64::from(count));
        }
    }
}

/// [`Reduction`]: the last of so many words needs a credit.
#[derive(Clone, Debug)]
pub(super) struct ReductionDates {
    word: Counter,
    pipe: Pipe,
}

impl ReductionDates {
    pub(super) fn new(twin: &Reduction) -> Self {
        Self { word: twin.word, pipe: Pipe::new(&twin.pipe) }
    }

    pub(super) fn outstanding(&self) -> u64 {
        self.pipe.outstanding()
    }

    pub(super) fn advance(&mut self, input: &mut Channel, output: &mut Channel, level: &mut Level) {
        while input.waits() {
            let known = input.known().min(u64::from(self.word.limit() - 1 - self.word.value()));
            if known > 0 {
                input.take_known(known);
                self.word.skip(known as u32);
                continue;
            }
            if self.word.is_last() {
                let Some(available) = self.pipe.available(output) else { return };
                let cycle = input.take(available);
                self.pipe.enter(cycle, output, level);
            } else {
                input.take(0);
            }
            self.word.advance();
        }
    }

    /// Promises room.
    pub(super) fn open(&self, input: &mut Channel, output: &Channel) {
        let words = [self.word.value(), self.word.limit()].map(u64::from);
        self.pipe.promise(input, output, words, 0, OPEN_WORDS);
    }

    pub(super) fn is_ready(&self, output: &Channel) -> bool {
        !self.word.is_last() || self.pipe.available(output).is_some()
    }

    pub(super) fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.count(u64::from(self.word.value()));
    }
}
