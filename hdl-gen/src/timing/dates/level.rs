//! The most words that a module holds, from the dates at which they come and go.

use super::channel::Channel;
use super::visit::Visitor;
use std::collections::VecDeque;

/// Rises and falls of what a module holds, merged in the order of their cycles.
#[derive(Clone, Debug)]
pub(super) struct Level {
    on: bool,
    rise: i64,
    fall: i64,
    now: i64,
    rises: VecDeque<u64>,
    falls: VecDeque<(u64, i64)>,
    /// Words of the giver's stream whose moves are entered as falls.
    seen: u64,
    /// For 1, 2, 3, ... words the cycle in which that many were first held.
    reached: Vec<u64>,
}

impl Level {
    /// From `start` on, each rise adds `rise` and each word that leaves takes `fall`. Nothing is kept unless `on`.
    pub(super) fn new(on: bool, start: i64, rise: i64, fall: i64) -> Self {
        Self {
            on,
            rise,
            fall,
            now: start,
            rises: VecDeque::new(),
            falls: VecDeque::new(),
            seen: 0,
            reached: Vec::new(),
        }
    }

    /// Whether anything is kept.
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// A rise at the edge that ends `cycle`.
    #[inline]
    pub(super) fn up(&mut self, cycle: u64) {
        if self.on {
            self.rises.push_back(cycle);
        }
    }

    /// Rises at the last words that the taker of a stream came to.
    #[inline]
    pub(super) fn up_with(&mut self, input: &Channel, words: u64) {
        if self.on {
            self.rises.extend((0..words).rev().map(|back| input.taken_date(back)));
        }
    }

    /// A fall by `amount`.
    #[inline]
    pub(super) fn down(&mut self, cycle: u64, amount: i64) {
        if self.on {
            self.falls.push_back((cycle, amount));
        }
    }

    /// Enters the moves of a module's output that are new.
    #[inline]
    pub(super) fn see(&mut self, output: &Channel) {
        if self.on {
            while self.seen < output.moved {
                self.falls.push_back((output.date(self.seen), self.fall));
                self.seen += 1;
            }
            self.merge();
        }
    }

    /// Counts on as far as both sides are known.
    pub(super) fn merge(&mut self) {
        if !self.on {
            return;
        }
        while let (Some(&rise), Some(&(fall, amount))) = (self.rises.front(), self.falls.front()) {
            if fall <= rise {
                self.now -= amount;
                self.falls.pop_front();
            } else {
                self.rises.pop_front();
                self.raise(rise);
            }
        }
    }

    fn raise(&mut self, cycle: u64) {
        self.now += self.rise;
        while (self.reached.len() as i64) < self.now {
            self.reached.push(cycle);
        }
    }

    /// The most that was held up to the edge that ends `cycle`; nothing comes any more.
    pub(super) fn most(&mut self, cycle: u64) -> u32 {
        self.merge();
        while let Some(rise) = self.rises.pop_front() {
            self.raise(rise);
        }
        u32::try_from(self.reached.partition_point(|&reached| reached <= cycle)).unwrap_or(u32::MAX)
    }

    /// All that later levels depend on.
    pub(super) fn visit(&mut self, visitor: &mut Visitor<'_>) {
        if !self.on {
            return;
        }
        visitor.difference(self.now);
        visitor.count(self.rises.len() as u64);
        for rise in &mut self.rises {
            visitor.date(rise, 0);
        }
        for (fall, amount) in &mut self.falls {
            visitor.date(fall, 0);
            visitor.difference(*amount);
        }
    }
}
