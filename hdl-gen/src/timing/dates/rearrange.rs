//! Dates of a rearrangement.

use super::channel::Channel;
use super::level::Level;
use super::pipe::Pipe;
use super::visit::Visitor;
use crate::timing::Rearrange;
use crate::timing::credit::Counter;
use std::collections::VecDeque;

/// [`Rearrange`]: what is written and what ends a block counts two cycles later.
#[derive(Clone, Debug)]
pub(super) struct RearrangeDates {
    outer: Vec<Counter>,
    word: Counter,
    jumps: Vec<u32>,
    first: i64,
    span: i64,
    buffer_words: i64,
    /// Words written, and the first word of the block that is read, without `first`.
    written: i64,
    base: i64,
    /// Dates of the last writes, by number.
    writes: Box<[u64]>,
    last_write: Option<u64>,
    /// Ends of blocks: the base behind it, and its cycle.
    ends: VecDeque<(i64, u64)>,
    next_read: u64,
    /// First cycle in which a block may begin.
    next_block: u64,
    pipe: Pipe,
}

impl RearrangeDates {
    pub(super) fn new(twin: &Rearrange) -> Self {
        let words = usize::try_from(twin.buffer_words + 2).unwrap_or(1).next_power_of_two();
        Self {
            outer: twin.outer.clone(),
            word: twin.word,
            jumps: twin.jumps.clone(),
            first: -twin.fill,
            span: twin.span,
            buffer_words: twin.buffer_words,
            written: 0,
            base: 0,
            writes: vec![0; words].into_boxed_slice(),
            last_write: None,
            ends: VecDeque::new(),
            next_read: 1,
            next_block: 1,
            pipe: Pipe::new(&twin.pipe),
        }
    }

    pub(super) fn outstanding(&self) -> u64 {
        self.pipe.outstanding()
    }

    pub(super) fn next(&self) -> u64 {
        self.next_read
    }

    pub(super) fn advance(&mut self, input: &mut Channel, output: &mut Channel, level: &mut Level) {
        loop {
            let written = self.write(input, level);
            let read = self.read(output, level);
            if !(written || read) {
                return;
            }
        }
    }

    /// Whether words of the output must move before more can be read.
    pub(super) fn is_held(&self) -> bool {
        self.word.value() != 0 || self.written >= self.first + self.base + self.span
    }

    /// The cycle of the block end that brings the base to `base`, 0 where it is there from the start; none: not
    /// known yet.
    fn reached(&self, base: i64) -> Option<u64> {
        if base <= 0 {
            return Some(0);
        }
        self.ends.iter().find(|end| end.0 >= base).map(|end| end.1)
    }

    fn write(&mut self, input: &mut Channel, level: &mut Level) -> bool {
        let before = self.written;
        while input.waits() {
            let Some(cycle) = self.write_cycle(input) else { break };
            input.take(cycle);
            let place = self.written as usize & (self.writes.len() - 1);
            self.writes[place] = cycle;
            self.written += 1;
            self.last_write = Some(cycle);
            level.up(cycle);
        }
        self.written != before
    }

    /// When the waiting word is taken. In the cycle after a write that write does not count yet.
    fn write_cycle(&mut self, input: &Channel) -> Option<u64> {
        let strict = self.written + 2 - self.first - self.buffer_words;
        while self.ends.front().is_some_and(|end| end.0 < strict - 1) {
            self.ends.pop_front();
        }
        let seen = input.seen();
        let mut from = 0;
        if let Some(last) = self.last_write {
            if seen == last + 1 && (self.reached(strict - 1)? < last || strict <= 1) {
                return Some(seen);
            }
            from = last + 2;
        }
        let settled = if strict <= 0 { 0 } else { self.reached(strict)? + 2 };
        Some(seen.max(from).max(settled))
    }

    fn read(&mut self, output: &mut Channel, level: &mut Level) -> bool {
        let before = output.offered;
        loop {
            let mut from = self.next_read;
            if self.word.value() == 0 {
                let last = self.first + self.base + self.span - 1;
                if self.written <= last {
                    break;
                }
                let write = if last < 0 { 0 } else { self.writes[last as usize & (self.writes.len() - 1)] + 2 };
                from = from.max(self.next_block).max(write);
            }
            let Some(available) = self.pipe.available(output) else { break };
            let cycle = from.max(available);
            self.pipe.offer(cycle, output);
            self.next_read = cycle + 1;
            if self.word.advance() {
                // The innermost loop that goes on.
                let goes_on = (0..self.outer.len()).rev().find(|&index| !self.outer[index].advance());
                let jump = self.jumps.get(goes_on.unwrap_or(self.outer.len())).copied().unwrap_or(0);
                self.next_block = cycle + 2;
                self.base += i64::from(jump);
                if jump > 0 {
                    self.ends.push_back((self.base, cycle));
                    level.down(cycle, i64::from(jump));
                }
            }
        }
        output.offered != before
    }

    pub(super) fn is_ready(&self) -> bool {
        let strict = self.written + 2 - self.first - self.buffer_words;
        self.reached(strict).is_some()
    }

    pub(super) fn visit(&mut self, visitor: &mut Visitor<'_>) {
        for counter in self.outer.iter().chain([&self.word]) {
            visitor.count(u64::from(counter.value()));
        }
        visitor.difference(self.written - self.base);
        visitor.date(&mut self.next_read, 0);
        visitor.date(&mut self.next_block, 0);
        if let Some(last) = &mut self.last_write {
            visitor.date(last, 0);
        }
        let compares = visitor.compares();
        let least = self.last_write.unwrap_or(0).saturating_sub(1);
        for (base, cycle) in &mut self.ends {
            if !compares || *cycle > least {
                visitor.difference(*base - self.base);
                visitor.date(cycle, 0);
            }
        }
        let oldest =
            if compares { self.first + self.base + self.span - 1 } else { self.written - self.writes.len() as i64 };
        for word in oldest.max(0)..self.written {
            let place = word as usize & (self.writes.len() - 1);
            visitor.date(&mut self.writes[place], if compares { self.next_read.saturating_sub(2) } else { 0 });
        }
    }
}
