//! One stream of a graph as the dates of its words.

use super::visit::Visitor;

/// The words of a stream in order: for each the cycle from which on it is offered, then the cycle in which it moved.
///
/// Dates of words that nobody asks for any more are written over: a giver looks back no further than the words
/// that it may have outstanding.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    dates: Box<[u64]>,
    /// Words offered so far.
    pub(super) offered: u64,
    /// Words moved so far.
    pub(super) moved: u64,
    /// The first cycle in which the next word may move: one after the last.
    pub(super) next: u64,
}

impl Channel {
    /// A stream whose giver has at most `outstanding` words offered and not yet moved, or looks back as far.
    pub(super) fn new(outstanding: u64) -> Self {
        let words = usize::try_from(outstanding.saturating_add(1)).unwrap_or(usize::MAX / 2).next_power_of_two();
        Self { dates: vec![0; words].into_boxed_slice(), offered: 0, moved: 0, next: 0 }
    }

    #[inline]
    fn place(&self, word: u64) -> usize {
        word as usize & (self.dates.len() - 1)
    }

    /// The date of a word: of its move, or of its offer where it has not moved.
    #[inline]
    pub(super) fn date(&self, word: u64) -> u64 {
        self.dates[self.place(word)]
    }

    /// The giver offers its next word from cycle `from` on, or from the move of the word before.
    #[inline]
    pub(super) fn offer(&mut self, from: u64) {
        let place = self.place(self.offered);
        self.dates[place] = from;
        self.offered += 1;
    }

    /// Whether a word is offered and not yet moved.
    #[inline]
    pub(super) fn waits(&self) -> bool {
        self.moved < self.offered
    }

    /// The first cycle in which the waiting word is seen.
    #[inline]
    pub(super) fn seen(&self) -> u64 {
        self.date(self.moved).max(self.next)
    }

    /// The waiting word moves as soon as it is seen and `from` has come; its cycle.
    #[inline]
    pub(super) fn take(&mut self, from: u64) -> u64 {
        let cycle = self.seen().max(from);
        let place = self.place(self.moved);
        self.dates[place] = cycle;
        self.moved += 1;
        self.next = cycle + 1;
        cycle
    }

    /// From when on word number `word` has a place among `places` of the giver: one cycle after the word that held it
    /// left. None: not known yet.
    #[inline]
    pub(super) fn freed(&self, word: u64, places: u64) -> Option<u64> {
        if word < places {
            Some(0)
        } else if self.moved > word - places {
            Some(self.date(word - places) + 1)
        } else {
            None
        }
    }

    /// All that later dates depend on: what waits, and which places are freed after cycle `since`.
    pub(super) fn visit(&mut self, since: u64, visitor: &mut Visitor<'_>) {
        visitor.date(&mut self.next, 0);
        visitor.count(self.offered - self.moved);
        for word in self.moved..self.offered {
            let place = self.place(word);
            visitor.date(&mut self.dates[place], self.next);
        }
        let oldest = self.offered.saturating_sub(self.dates.len() as u64);
        let mut word = self.moved;
        while word > oldest {
            let place = self.place(word - 1);
            if visitor.compares() && self.dates[place] < since {
                break;
            }
            visitor.date(&mut self.dates[place], 0);
            word -= 1;
        }
    }
}
