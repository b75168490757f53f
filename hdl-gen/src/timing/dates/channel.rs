//! One stream of a graph as the dates of its words.

use super::visit::Visitor;

/// Words that a taker can be ahead with its room.
pub(super) const OPEN_WORDS: u64 = 63;

/// The words of a stream in order: for each the cycle from which on it is offered, then the cycle in which it moved.
///
/// A taker that will have room for its next words whatever happens says so ([`Channel::open`]): such a word moves as soon as
/// it is offered, without asking the taker, which finds it moved when it comes to it.
///
/// Dates of words that nobody asks for any more are written over: a giver looks back no further than the words
/// that it may have outstanding, and a taker opens no more than [`OPEN_WORDS`].
#[derive(Clone, Debug)]
pub(super) struct Channel {
    dates: Box<[u64]>,
    /// Words offered so far.
    pub(super) offered: u64,
    /// Words whose moves are known.
    pub(super) moved: u64,
    /// Words that the taker has come to; not more than those that moved.
    taken: u64,
    /// Words below this number move as soon as they are offered, and not before cycle `open_from`.
    open: u64,
    open_from: u64,
    /// The first cycle in which the next word may move: one after the last.
    pub(super) next: u64,
}

impl Channel {
    /// A stream whose giver has at most `outstanding` words offered and not yet moved, or looks back as far.
    pub(super) fn new(outstanding: u64) -> Self {
        let words =
            usize::try_from(outstanding.saturating_add(OPEN_WORDS + 1)).unwrap_or(usize::MAX / 2).next_power_of_two();
        Self {
            dates: vec![0; words].into_boxed_slice(),
            offered: 0,
            moved: 0,
            taken: 0,
            open: 0,
            open_from: 0,
            next: 0,
        }
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
        if self.offered < self.open && self.moved == self.offered {
            let cycle = from.max(self.next).max(self.open_from);
            self.dates[place] = cycle;
            self.moved += 1;
            self.next = cycle + 1;
        } else {
            self.dates[place] = from;
        }
        self.offered += 1;
    }

    /// Whether a word is offered whose move is not known.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.moved < self.offered
    }

    /// Whether there is a word for the taker.
    #[inline]
    pub(super) fn waits(&self) -> bool {
        self.taken < self.offered
    }

    /// Words that are offered and that the taker has not come to.
    pub(super) fn untaken(&self) -> u64 {
        self.offered - self.taken
    }

    /// The first cycle in which the taker's next word is seen.
    #[inline]
    pub(super) fn seen(&self) -> u64 {
        if self.taken < self.moved { self.date(self.taken) } else { self.date(self.taken).max(self.next) }
    }

    /// The taker's next word moves as soon as it is seen and `from` has come; its cycle.
    #[inline]
    pub(super) fn take(&mut self, from: u64) -> u64 {
        let place = self.place(self.taken);
        if self.taken < self.moved {
            self.taken += 1;
            return self.dates[place];
        }
        let cycle = self.dates[place].max(self.next).max(from);
        self.dates[place] = cycle;
        self.moved += 1;
        self.taken += 1;
        self.next = cycle + 1;
        cycle
    }

    /// The taker, which has come to all words, has room for `words` more from cycle `from` on.
    #[inline]
    pub(super) fn open(&mut self, words: u64, from: u64) {
        self.open = self.taken + words.min(OPEN_WORDS);
        self.open_from = from;
    }

    /// How many of the giver's words from the next one on have a place among `places` by the time that they can come, the
    /// first of them not before `next`; at most `most`.
    #[inline]
    pub(super) fn places_ahead(&self, places: u64, next: u64, most: u64) -> u64 {
        let known = (self.moved + places - self.offered).min(most);
        let fits = |ahead: u64| self.freed(self.offered + ahead, places).is_some_and(|from| from <= next + ahead);
        if known == 0 || fits(known - 1) { known } else { (0..known).take_while(|&ahead| fits(ahead)).count() as u64 }
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
        (self.open, self.open_from) = (0, 0);
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
