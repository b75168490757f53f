//! Dates of the sliding windows, serial and parallel.

use super::channel::Channel;
use super::level::Level;
use super::pipe::Pipe;
use super::visit::Visitor;
use crate::timing::credit::Counter;
use crate::timing::window::PaddedAxis;
use crate::timing::{LineWindow, SlidingWindow};
use std::collections::VecDeque;

/// [`SlidingWindow`]: word n of the padded frames is written when the window has left what it writes over; a
/// window is read when its last word is written.
#[derive(Clone, Debug)]
pub(super) struct SlidingDates {
    channel: Counter,
    column: PaddedAxis,
    row: PaddedAxis,
    inside: bool,
    waits: bool,
    buffer_words: i64,
    span: i64,
    jumps: [i64; 3],
    /// Words written, and the first word of the window that is read.
    written: i64,
    base: i64,
    /// Dates of the last writes, by number.
    writes: Box<[u64]>,
    next_write: u64,
    /// Writes below this number have room from the date on; later ones from the dates behind.
    room: (i64, u64),
    rooms: VecDeque<(i64, u64)>,
    tap: Counter,
    out_column: Counter,
    out_row: Counter,
    next_read: u64,
    pipe: Pipe,
}

impl SlidingDates {
    pub(super) fn new(twin: &SlidingWindow) -> Self {
        let words = usize::try_from(twin.buffer_words + 1).unwrap_or(1).next_power_of_two();
        Self {
            channel: twin.channel,
            column: twin.column,
            row: twin.row,
            inside: twin.inside,
            waits: twin.waits,
            buffer_words: twin.buffer_words,
            span: twin.distances.span,
            jumps: [twin.distances.column_jump, twin.distances.row_jump, twin.distances.frame_jump],
            written: 0,
            base: 0,
            writes: vec![0; words].into_boxed_slice(),
            next_write: 0,
            room: (twin.buffer_words, 0),
            rooms: VecDeque::new(),
            tap: twin.tap,
            out_column: twin.out_column,
            out_row: twin.out_row,
            next_read: 0,
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
        self.tap.value() != 0 || self.written >= self.base + self.span
    }

    /// Promises room for the rest of a row.
    pub(super) fn open(&self, input: &mut Channel) {
        if self.inside {
            let row = u64::from(self.column.places_inside_left()) * u64::from(self.channel.limit());
            let row = row - u64::from(self.channel.value());
            let mut rooms = self.rooms.iter();
            let mut room = self.room;
            input.promise_runs(1, row, |ahead| {
                let word = self.written + ahead as i64;
                while word >= room.0 {
                    room = *rooms.next()?;
                }
                Some((room.1.max(self.next_write), (room.0 - word).unsigned_abs()))
            });
        }
    }

    fn at_frame_start(&self) -> bool {
        self.channel.value() == 0 && self.column.value() == 0 && self.row.value() == 0
    }

    /// Writes what can be written; whether anything was.
    fn write(&mut self, input: &mut Channel, level: &mut Level) -> bool {
        let before = self.written;
        loop {
            while self.written >= self.room.0 {
                let Some(room) = self.rooms.pop_front() else { return self.written != before };
                self.room = room;
            }
            let from = self.next_write.max(self.room.1);
            if !level.is_on() && self.write_many(from, input) {
                continue;
            }
            let cycle = if self.inside {
                if !input.waits() {
                    break;
                }
                input.take(from)
            } else if self.waits && self.at_frame_start() {
                if !input.waits() {
                    break;
                }
                from.max(input.seen())
            } else {
                from
            };
            let place = self.written as usize & (self.writes.len() - 1);
            self.writes[place] = cycle;
            self.written += 1;
            self.next_write = cycle + 1;
            level.up(cycle);
            if self.channel.advance() {
                if self.column.advance() {
                    self.row.advance();
                }
                self.inside = self.column.is_inside() && self.row.is_inside();
            }
        }
        self.written != before
    }

    /// Writes words of which nothing is left to be found out: padding, and words that moved when they were offered; whether
    /// there are several.
    fn write_many(&mut self, from: u64, input: &mut Channel) -> bool {
        let room = (self.room.0 - self.written).unsigned_abs();
        let pixel = u64::from(self.channel.limit() - self.channel.value());
        let mask = self.writes.len() - 1;
        let first = self.written as usize;
        let words = if self.inside {
            let row = pixel + u64::from(self.column.places_inside_left() - 1) * u64::from(self.channel.limit());
            let words = input.known().min(row).min(room);
            if words < 2 {
                return false;
            }
            input.take_into(words, &mut self.writes, first);
            words
        } else {
            let words = pixel.min(room);
            if words < 2 || self.waits && self.at_frame_start() {
                return false;
            }
            for (word, cycle) in (0..words as usize).zip(from..) {
                self.writes[(first + word) & mask] = cycle;
            }
            words
        };
        self.written += words as i64;
        self.next_write = self.writes[(first + words as usize - 1) & mask] + 1;
        let (limit, words) = (u64::from(self.channel.limit()), u64::from(self.channel.value()) + words);
        for _ in 0..words / limit {
            if self.column.advance() {
                self.row.advance();
            }
        }
        self.channel.set((words % limit) as u32);
        self.inside = self.column.is_inside() && self.row.is_inside();
        true
    }

    /// Reads what can be read; whether anything was.
    fn read(&mut self, output: &mut Channel, level: &mut Level) -> bool {
        let before = output.offered;
        loop {
            let mut from = self.next_read;
            if self.tap.value() == 0 {
                let last = self.base + self.span - 1;
                if self.written <= last {
                    break;
                }
                from = from.max(self.writes[last as usize & (self.writes.len() - 1)] + 1);
            }
            let Some(available) = self.pipe.available(output) else { break };
            let mut cycle = from.max(available);
            let many = self.pipe.run(cycle, u64::from(self.tap.limit() - self.tap.value()), output);
            let words = if many > 1 {
                self.pipe.offer_run(cycle, many, output);
                cycle += many - 1;
                many
            } else {
                self.pipe.offer(cycle, output);
                1
            };
            self.next_read = cycle + 1;
            if self.tap.skip(words as u32) {
                let jump = if !self.out_column.advance() {
                    self.jumps[0]
                } else if !self.out_row.advance() {
                    self.jumps[1]
                } else {
                    self.jumps[2]
                };
                self.base += jump;
                self.rooms.push_back((self.base + self.buffer_words, cycle + 1));
                level.down(cycle, jump);
            }
        }
        output.offered != before
    }

    pub(super) fn is_ready(&self) -> bool {
        self.inside && (self.written < self.room.0 || !self.rooms.is_empty())
    }

    pub(super) fn visit(&mut self, visitor: &mut Visitor<'_>) {
        for counter in [self.channel, self.tap, self.out_column, self.out_row] {
            visitor.count(u64::from(counter.value()));
        }
        visitor.count(u64::from(self.column.value()));
        visitor.count(u64::from(self.row.value()));
        visitor.difference(self.written - self.base);
        visitor.date(&mut self.next_write, 0);
        visitor.date(&mut self.next_read, 0);
        let compares = visitor.compares();
        // Room that is free before the next write can come: only how far it reaches counts.
        while compares && self.rooms.front().is_some_and(|room| room.1 <= self.next_write || room.0 <= self.written) {
            self.room = self.rooms.pop_front().unwrap_or(self.room);
        }
        visitor.difference(self.room.0 - self.written);
        visitor.date(&mut self.room.1, self.next_write);
        for (limit, date) in &mut self.rooms {
            visitor.difference(*limit - self.written);
            visitor.date(date, 0);
        }
        // Writes that a window still waits for; those before the next read no longer matter.
        let oldest = if compares { self.base + self.span - 1 } else { self.written - self.writes.len() as i64 };
        for word in oldest.max(0)..self.written {
            let place = word as usize & (self.writes.len() - 1);
            visitor.date(&mut self.writes[place], if compares { self.next_read.saturating_sub(1) } else { 0 });
        }
    }
}

/// [`LineWindow`]: a step for each place of the padded frames; one that ends a window needs a credit.
#[derive(Clone, Debug)]
pub(super) struct LineDates {
    twin: LineWindow,
    next: u64,
    pipe: Pipe,
}

impl LineDates {
    pub(super) fn new(twin: &LineWindow) -> Self {
        Self { twin: twin.clone(), next: 0, pipe: Pipe::new(twin.pipe()) }
    }

    pub(super) fn outstanding(&self) -> u64 {
        self.pipe.outstanding()
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn advance(&mut self, input: &mut Channel, output: &mut Channel, level: &mut Level) {
        loop {
            let mut cycle = self.next;
            if self.twin.ends() {
                let Some(available) = self.pipe.available(output) else { return };
                cycle = cycle.max(available);
            }
            if self.twin.is_inside() || self.twin.held_at_start() {
                if !input.waits() {
                    return;
                }
                cycle = if self.twin.is_inside() { input.take(cycle) } else { cycle.max(input.seen()) };
            }
            if self.twin.ends() {
                self.pipe.enter(cycle, output, level);
            }
            self.next = cycle + 1;
            self.twin.advance_place();
        }
    }

    pub(super) fn is_ready(&self, output: &Channel) -> bool {
        self.twin.is_inside() && (!self.twin.ends() || self.pipe.available(output).is_some())
    }

    pub(super) fn visit(&mut self, visitor: &mut Visitor<'_>) {
        for count in self.twin.place() {
            visitor.count(u64::from(count));
        }
        visitor.date(&mut self.next, 0);
    }
}
