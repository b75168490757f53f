//! The most words that a module holds, from the dates at which they come and go.

use super::channel::Channel;
use super::visit::Visitor;

/// What waits to be merged, in the order of cycles; read as a slice.
#[derive(Clone, Debug)]
struct Queue<T> {
    items: Vec<T>,
    /// Items before this one are done.
    done: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { items: Vec::new(), done: 0 }
    }
}

impl<T> Queue<T> {
    /// So many items that are done are thrown away together.
    const KEPT: usize = 1024;

    fn waiting(&self) -> &[T] {
        &self.items[self.done..]
    }

    fn finish(&mut self, items: usize) {
        self.done += items;
        if self.done == self.items.len() {
            self.items.clear();
            self.done = 0;
        } else if self.done >= Self::KEPT {
            self.items.drain(..self.done);
            self.done = 0;
        }
    }
}

/// Rises and falls of what a module holds, as far as they can tell a new most.
///
/// A rise makes a new most where a fall without which it would is later than the rise. So each rise is compared with one fall,
/// and a module that has held all it can is done with.
#[derive(Clone, Debug)]
pub(super) struct Level {
    on: bool,
    rise: i64,
    fall: i64,
    /// What it can hold.
    capacity: i64,
    /// What it held at the last merged rise if of the falls those waiting came later: at most what was ever held.
    now: i64,
    /// The cycle of that rise.
    last: u64,
    rises: Queue<u64>,
    falls: Queue<(u64, i64)>,
    /// Words of the output whose moves were entered as falls.
    seen: u64,
    /// For 1, 2, 3, ... words the cycle in which that many were first held.
    reached: Vec<u64>,
}

impl Level {
    /// From `start` on, each rise adds `rise` and each word that leaves takes `fall`; never more than `capacity`. Nothing is kept
    /// unless `on`.
    pub(super) fn new(on: bool, start: i64, [rise, fall]: [i64; 2], capacity: i64) -> Self {
        Self {
            on,
            rise,
            fall,
            capacity,
            now: start,
            last: 0,
            rises: Queue::default(),
            falls: Queue::default(),
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
            self.rises.items.push(cycle);
        }
    }

    /// Rises at the last words that the taker of a stream came to.
    #[inline]
    pub(super) fn up_with(&mut self, input: &Channel, words: u64) {
        if self.on {
            self.rises.items.extend((0..words).rev().map(|back| input.taken_date(back)));
        }
    }

    /// A fall by `amount`.
    #[inline]
    pub(super) fn down(&mut self, cycle: u64, amount: i64) {
        if self.on {
            self.falls.items.push((cycle, amount));
        }
    }

    /// Enters the moves of a module's output that are new.
    #[inline]
    pub(super) fn see(&mut self, output: &Channel) {
        if self.on {
            let fall = self.fall;
            self.falls.items.extend((self.seen..output.moved).map(|word| (output.date(word), fall)));
            self.seen = output.moved;
            self.merge();
        }
    }

    /// Counts on as far as both sides are known.
    pub(super) fn merge(&mut self) {
        if !self.on || self.rises.waiting().is_empty() {
            return;
        }
        let (rises, falls) = (self.rises.waiting(), self.falls.waiting());
        let (mut risen, mut fallen, mut now) = (0, 0, self.now);
        let mut most = self.most_held();
        for &rise in rises {
            let (before, mut level) = (fallen, now + self.rise);
            // Falls without which it would be a new most.
            while level > most && fallen < falls.len() {
                level -= falls[fallen].1;
                fallen += 1;
            }
            // Those that come later.
            while fallen > before && falls[fallen - 1].0 > rise {
                fallen -= 1;
                level += falls[fallen].1;
            }
            if level > most {
                if fallen == falls.len() {
                    // Whether one comes in time is not known yet.
                    fallen = before;
                    break;
                }
                reach(&mut self.reached, level, rise);
                most = level;
            }
            (now, self.last) = (level, rise);
            risen += 1;
        }
        self.now = now;
        self.rises.finish(risen);
        self.falls.finish(fallen);
        if self.most_held() >= self.capacity {
            self.on = false;
            (self.rises, self.falls) = Default::default();
        }
    }

    fn most_held(&self) -> i64 {
        self.reached.len() as i64
    }

    /// The most that was held up to the edge that ends `cycle`; nothing comes any more.
    pub(super) fn most(&mut self, cycle: u64) -> u32 {
        self.merge();
        let (mut level, mut falls) = (self.now, self.falls.waiting().iter().peekable());
        for &rise in self.rises.waiting() {
            level += self.rise;
            while let Some(fall) = falls.next_if(|fall| fall.0 <= rise) {
                level -= fall.1;
            }
            reach(&mut self.reached, level, rise);
        }
        u32::try_from(self.reached.partition_point(|&reached| reached <= cycle)).unwrap_or(u32::MAX)
    }

    /// All that later levels depend on.
    pub(super) fn visit(&mut self, visitor: &mut Visitor<'_>) {
        if !self.on {
            return;
        }
        let compares = visitor.compares();
        // Falls that no later rise comes before.
        let past = if compares { self.falls.waiting().partition_point(|fall| fall.0 <= self.last) } else { 0 };
        let past_amount: i64 = self.falls.waiting()[..past].iter().map(|fall| fall.1).sum();
        visitor.difference(self.now - past_amount);
        visitor.count(self.rises.waiting().len() as u64);
        for rise in &mut self.rises.items[self.rises.done..] {
            visitor.date(rise, 0);
        }
        for (fall, amount) in &mut self.falls.items[self.falls.done + past..] {
            visitor.date(fall, 0);
            visitor.difference(*amount);
        }
        if !compares {
            visitor.date(&mut self.last, 0);
        }
    }
}

/// Notes that so many words are held from `cycle` on.
fn reach(reached: &mut Vec<u64>, words: i64, cycle: u64) {
    while (reached.len() as i64) < words {
        reached.push(cycle);
    }
}
