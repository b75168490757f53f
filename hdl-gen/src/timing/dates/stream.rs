//! Dates of the stream parts: FIFO, width adapter, fork, concatenation.

use super::channel::{Channel, OPEN_WORDS};
use super::level::Level;
use super::visit::Visitor;
use crate::timing::{Concat, Fifo, Fork, WidthAdapter};

/// More words than any run has.
const ENDLESS: u64 = u64::MAX / 4;

/// Passes as many words on as [`Channel::bulk`] allows, none taken before `from`.
fn pass(words: u64, from: u64, input: &mut Channel, output: &mut Channel, level: &mut Level) {
    input.take_many(words, from);
    output.offer_after(input, words);
    level.up_with(input, words);
}

/// [`Fifo`]: word k is taken when word k - depth has left, and offered one cycle after it came.
#[derive(Clone, Debug)]
pub(super) struct FifoDates {
    depth: u64,
    /// It never fills, and the stream behind it grows as it needs.
    is_endless: bool,
}

impl FifoDates {
    pub(super) fn new(twin: &Fifo) -> Self {
        let is_endless = twin.capacity_words == Fifo::ENDLESS;
        Self { depth: if is_endless { ENDLESS } else { u64::from(twin.capacity_words) }, is_endless }
    }

    pub(super) fn outstanding(&self) -> u64 {
        if self.is_endless { 0 } else { self.depth }
    }

    pub(super) fn advance(&self, input: &mut Channel, output: &mut Channel, level: &mut Level) {
        if self.is_endless {
            output.grow(input.untaken());
        }
        while input.waits() {
            let words = output.bulk(self.depth, input.seen(), input.untaken());
            if words > 1 {
                pass(words, 0, input, output, level);
                continue;
            }
            let Some(from) = output.freed(output.offered, self.depth) else { break };
            let cycle = input.take(from);
            output.offer(cycle + 1);
            level.up(cycle);
        }
    }

    /// Promises room.
    pub(super) fn open(&self, input: &mut Channel, output: &Channel) {
        // A single place is taken again two cycles later.
        let pitch = if self.depth == 1 { 2 } else { 1 };
        input.promise(pitch, OPEN_WORDS, |ahead| output.room(ahead, self.depth, [pitch, 1]));
    }

    pub(super) fn is_ready(&self, output: &Channel) -> bool {
        output.freed(output.offered, self.depth).is_some()
    }
}

/// [`WidthAdapter`]: a word is taken in the cycle in which what it leaves too little room for leaves.
#[derive(Clone, Debug)]
pub(super) struct AdapterDates {
    in_units: u64,
    out_units: u64,
    /// Units taken that belong to no offered word.
    rest: u64,
}

impl AdapterDates {
    pub(super) fn new(twin: &WidthAdapter) -> Self {
        Self { in_units: u64::from(twin.in_units), out_units: u64::from(twin.out_units), rest: 0 }
    }

    pub(super) fn outstanding(&self) -> u64 {
        (self.in_units + self.out_units) / self.out_units + 1
    }

    /// Words of the input that complete the next word of the output.
    fn missing(&self) -> u64 {
        (self.out_units - self.rest).div_ceil(self.in_units)
    }

    /// Units of a word of each side.
    pub(super) fn amounts(&self) -> [i64; 2] {
        [self.in_units as i64, self.out_units as i64]
    }

    pub(super) fn advance(&mut self, input: &mut Channel, output: &mut Channel, level: &mut Level) {
        while input.waits() {
            if output.is_full() {
                return;
            }
            let many = self.many(input, output);
            if many > 1 {
                self.pass(many, input, output, level);
                continue;
            }
            // Words before the one that completes a word of the output.
            let known = input.known().min(self.missing() - 1);
            if known > 0 && !level.is_on() {
                input.take_known(known);
                self.rest += known * self.in_units;
                continue;
            }
            // All offered words have left, the last one perhaps in the very cycle in which this one comes.
            let from = output.next.saturating_sub(1);
            let cycle = input.take(from);
            level.up(cycle);
            self.rest += self.in_units;
            let run = output.run_from(cycle + 1, self.rest / self.out_units);
            if run > 0 {
                output.offer_run(cycle + 1, run);
                self.rest -= run * self.out_units;
            }
            while self.rest >= self.out_units {
                self.rest -= self.out_units;
                output.offer(cycle + 1);
            }
        }
    }

    /// How many words of the output are complete by words that have moved, and move themselves when they are offered.
    fn many(&self, input: &Channel, output: &Channel) -> u64 {
        if self.in_units > self.out_units {
            return 0;
        }
        let complete = (self.rest + input.known() * self.in_units) / self.out_units;
        if complete < 2 {
            return 0;
        }
        complete.min(output.promised())
    }

    /// Takes and offers what makes so many words of the output, as [`AdapterDates::many`] allows.
    fn pass(&mut self, words: u64, input: &mut Channel, output: &mut Channel, level: &mut Level) {
        let (mut parts, mut taken) = (self.missing(), 0);
        output.offer_promised(words, || {
            taken += parts;
            if self.in_units == 1 {
                // Nothing is left over.
                (self.rest, parts) = (0, self.out_units);
            } else {
                self.rest = self.rest + parts * self.in_units - self.out_units;
                parts = self.missing();
            }
            input.ahead(taken - 1) + 1
        });
        input.take_known(taken);
        level.up_with(input, taken);
    }

    /// Promises room.
    pub(super) fn open(&self, input: &mut Channel, output: &Channel) {
        if output.is_full() {
            return;
        }
        // A word is taken in the cycle in which the last word before it leaves.
        let left = output.next.saturating_sub(1);
        let leaves = |words: u64| if words == 0 { Some(left) } else { output.promised_from(words - 1) };
        if self.in_units <= self.out_units {
            // A word of the output has left when the next one is complete.
            let is_apart = output.pitch() <= self.out_units / self.in_units;
            let units = self.rest + input.promised() * self.in_units;
            let (mut complete, mut rest) = (units / self.out_units, units % self.out_units);
            input.promise_runs(1, OPEN_WORDS, |_| {
                let from = leaves(complete).filter(|_| complete == 0 || is_apart)?;
                let parts = (self.out_units - rest).div_ceil(self.in_units);
                (complete, rest) = (complete + 1, rest + parts * self.in_units - self.out_units);
                Some((from, parts))
            });
        } else if self.rest == 0 && self.in_units.is_multiple_of(self.out_units) {
            let each = self.in_units / self.out_units;
            let room = |ahead: u64| leaves(ahead * each).filter(|_| ahead == 0 || output.pitch() == 1);
            input.promise(each, OPEN_WORDS, room);
        } else {
            input.promise(1, 1, |_| Some(left));
        }
    }

    /// At rest nothing leaves, so that what has not left counts.
    pub(super) fn is_ready(&self, output: &Channel) -> bool {
        !output.is_full()
    }

    pub(super) fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.count(self.rest);
    }
}

/// [`Fork`]: two words at each output; a word is taken when all have room.
#[derive(Clone, Debug)]
pub(super) struct ForkDates {
    levels: Vec<Level>,
}

impl ForkDates {
    /// Words of each output's register slice.
    const WORDS: u64 = 2;

    pub(super) fn new(twin: &Fork, on: bool) -> Self {
        Self { levels: vec![Level::new(on, 0, [1; 2], Self::WORDS as i64); twin.outputs()] }
    }

    pub(super) fn outstanding(&self) -> u64 {
        Self::WORDS
    }

    pub(super) fn advance(&mut self, input: usize, outputs: &[usize], channels: &mut [Channel]) {
        for (level, &output) in self.levels.iter_mut().zip(outputs) {
            level.see(&channels[output]);
        }
        while channels[input].waits() {
            let (first, mut words) = (channels[input].seen(), channels[input].untaken());
            for &output in outputs {
                words = channels[output].bulk(Self::WORDS, first, words);
            }
            if words > 1 {
                channels[input].take_many(words, 0);
                for (level, &output) in self.levels.iter_mut().zip(outputs) {
                    let Ok([input, output]) = channels.get_disjoint_mut([input, output]) else { return };
                    output.offer_after(input, words);
                    level.up_with(input, words);
                }
                continue;
            }
            let mut from = Some(0);
            for &output in outputs {
                let output = &channels[output];
                from = from.zip(output.freed(output.offered, Self::WORDS)).map(|(a, b)| a.max(b));
            }
            let Some(from) = from else { break };
            let cycle = channels[input].take(from);
            for (level, &output) in self.levels.iter_mut().zip(outputs) {
                channels[output].offer(cycle + 1);
                level.up(cycle);
            }
        }
    }

    /// Promises room.
    pub(super) fn open(&self, input: usize, outputs: &[usize], channels: &mut [Channel]) {
        let mut taken = std::mem::take(&mut channels[input]);
        taken.promise(1, OPEN_WORDS, |ahead| {
            let rooms = outputs.iter().map(|&output| channels[output].room(ahead, Self::WORDS, [1, 1]));
            rooms.reduce(|all, room| Some(all?.max(room?))).flatten()
        });
        channels[input] = taken;
    }

    pub(super) fn is_ready(&self, outputs: &[usize], channels: &[Channel]) -> bool {
        outputs.iter().all(|&output| channels[output].freed(channels[output].offered, Self::WORDS).is_some())
    }

    pub(super) fn most(&mut self, cycle: u64, outputs: &[usize], channels: &[Channel]) -> u32 {
        for (level, &output) in self.levels.iter_mut().zip(outputs) {
            level.see(&channels[output]);
        }
        self.levels.iter_mut().map(|level| level.most(cycle)).max().unwrap_or(0)
    }

    pub(super) fn visit(&mut self, visitor: &mut Visitor<'_>) {
        self.levels.iter_mut().for_each(|level| level.visit(visitor));
    }
}

/// [`Concat`]: its inputs in turn, through a register slice.
#[derive(Clone, Debug)]
pub(super) struct ConcatDates {
    words: Vec<u64>,
    input: usize,
    position: u64,
    next: u64,
}

impl ConcatDates {
    /// Words of the register slice.
    const WORDS: u64 = 2;

    pub(super) fn new(twin: &Concat) -> Self {
        Self { words: twin.words.iter().map(|&words| u64::from(words)).collect(), input: 0, position: 0, next: 0 }
    }

    pub(super) fn outstanding(&self) -> u64 {
        Self::WORDS
    }

    pub(super) fn advance(&mut self, inputs: &[usize], output: usize, channels: &mut [Channel], level: &mut Level) {
        let Some(&input) = inputs.get(self.input) else { return };
        let mut input = input;
        while channels[input].waits() {
            let turn = self.words.get(self.input).map_or(0, |&words| words - self.position);
            let first = channels[input].seen().max(self.next);
            let words = channels[output].bulk(Self::WORDS, first, channels[input].untaken().min(turn));
            if words > 1 {
                let Ok([from, to]) = channels.get_disjoint_mut([input, output]) else { return };
                pass(words, self.next, from, to, level);
                self.next = from.taken_date(0) + 1;
                if self.count(words)
                    && let Some(&next) = inputs.get(self.input)
                {
                    input = next;
                }
                continue;
            }
            let out = &channels[output];
            let Some(from) = out.freed(out.offered, Self::WORDS) else { break };
            let cycle = channels[input].take(from.max(self.next));
            self.next = cycle + 1;
            channels[output].offer(cycle + 1);
            level.up(cycle);
            if self.count(1)
                && let Some(&next) = inputs.get(self.input)
            {
                input = next;
            }
        }
    }

    /// Counts words of an input's turn; whether that was the last.
    fn count(&mut self, words: u64) -> bool {
        self.position += words;
        let is_last = self.words.get(self.input) == Some(&self.position);
        if is_last {
            self.position = 0;
            self.input = (self.input + 1) % self.words.len();
        }
        is_last
    }

    /// Promises room for the rest of the turn of one input.
    pub(super) fn open(&self, inputs: &[usize], output: usize, channels: &mut [Channel]) {
        let Some(&input) = inputs.get(self.input).filter(|&&input| !channels[input].waits()) else { return };
        let turn = self.words.get(self.input).map_or(0, |&words| words - self.position);
        let Ok([input, output]) = channels.get_disjoint_mut([input, output]) else { return };
        input.promise(1, turn, |ahead| Some(output.room(ahead, Self::WORDS, [1, 1])?.max(self.next)));
    }

    pub(super) fn is_ready(&self, port: usize, output: &Channel) -> bool {
        port == self.input && output.freed(output.offered, Self::WORDS).is_some()
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn visit(&mut self, visitor: &mut Visitor<'_>) {
        visitor.count(self.input as u64);
        visitor.count(self.position);
        visitor.date(&mut self.next, 0);
    }
}
