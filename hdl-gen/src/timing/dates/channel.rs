//! One stream of a graph as the dates of its words.

use super::visit::Visitor;

/// Words that a taker can be ahead with its room.
pub(super) const OPEN_WORDS: u64 = 255;

/// The words of a stream in order: for each the cycle from which on it is offered, then the cycle in which it moved.
///
/// A taker that knows from when on it will have room for its next words, whatever happens, says so ([`Channel::promise`]): such a
/// word moves as soon as it is offered and that cycle has come, without asking the taker, which finds it moved when it comes
/// to it. Promises are handed on: a taker whose own words are promised room knows that it will have room itself
/// ([`Channel::room`]), so that words pass a chain of modules many at a time.
///
/// Dates of words that nobody asks for any more are written over: a giver looks back no further than the words that it may have
/// outstanding and those that it offered when it last went on, and a taker promises room for no more than [`OPEN_WORDS`].
#[derive(Clone, Debug, Default)]
pub(super) struct Channel {
    /// Behind the words that are offered, for words with promised room, the cycles from which on there is room.
    dates: Box<[u64]>,
    /// Words offered so far.
    pub(super) offered: u64,
    /// Words whose moves are known.
    pub(super) moved: u64,
    /// Words that the taker has come to; not more than those that moved.
    taken: u64,
    /// Words below this number have promised room.
    open: u64,
    /// Such words move at least so many cycles apart.
    pitch: u64,
    /// The first cycle in which the next word may move: one after the last.
    pub(super) next: u64,
}

impl Channel {
    /// A stream whose giver has at most `outstanding` words offered and not yet moved, or looks back as far.
    pub(super) fn new(outstanding: u64) -> Self {
        let words = usize::try_from(outstanding.saturating_add(2 * OPEN_WORDS + 2)).unwrap_or(usize::MAX / 2);
        let dates = vec![0; words.next_power_of_two()].into_boxed_slice();
        Self { dates, offered: 0, moved: 0, taken: 0, open: 0, pitch: 1, next: 0 }
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
        if self.is_open() {
            let cycle = from.max(self.after(self.pitch)).max(self.dates[place]);
            self.dates[place] = cycle;
            self.moved += 1;
            self.next = cycle + 1;
        } else {
            self.dates[place] = from;
        }
        self.offered += 1;
    }

    /// So many cycles after the last word's move.
    #[inline]
    fn after(&self, cycles: u64) -> u64 {
        if self.moved == 0 { 0 } else { self.next - 1 + cycles }
    }

    /// Whether the next word that is offered has promised room.
    #[inline]
    fn is_open(&self) -> bool {
        self.offered < self.open && self.moved == self.offered
    }

    /// How many words may be offered from cycle `from` on, one a cycle, that all move in the very cycles of their offers; at
    /// most `most`.
    #[inline]
    pub(super) fn run_from(&self, from: u64, most: u64) -> u64 {
        if !self.is_open() || self.pitch > 1 || self.next > from {
            return 0;
        }
        let words = most.min(self.open - self.offered);
        let fits = |ahead: u64| self.date(self.offered + ahead) <= from + ahead;
        // Cycles of promised room rise by a cycle or more, so that what does not fit is followed by what does not fit.
        if words > 0 && fits(words - 1) {
            return words;
        }
        (0..words).take_while(|&ahead| fits(ahead)).count() as u64
    }

    /// Offers so many words, at most [`Channel::run_from`], the first from cycle `from` on.
    pub(super) fn offer_run(&mut self, from: u64, words: u64) {
        let first = self.place(self.offered);
        let (behind, before) = self.dates.split_at_mut(first);
        let fill = |dates: &mut [u64], from: u64| dates.iter_mut().zip(from..).for_each(|(date, cycle)| *date = cycle);
        let count = (words as usize).min(before.len());
        fill(&mut before[..count], from);
        fill(&mut behind[..words as usize - count], from + count as u64);
        self.offered += words;
        self.moved += words;
        self.next = from + words;
    }

    /// Offers so many words, at most [`Channel::promised`], each from the cycle on that `from` tells.
    #[inline]
    pub(super) fn offer_promised(&mut self, words: u64, mut from: impl FnMut() -> u64) {
        let mut least = self.after(self.pitch);
        for word in self.offered..self.offered + words {
            let place = self.place(word);
            let cycle = from().max(least).max(self.dates[place]);
            self.dates[place] = cycle;
            least = cycle + self.pitch;
        }
        self.offered += words;
        self.moved = self.offered;
        if words > 0 {
            self.next = self.date(self.offered - 1) + 1;
        }
    }

    /// How many of the giver's next words, several and at most `words`, are done with by the dates of their offers alone: each has a
    /// place among `places` when it comes, and either all of them move when they are offered or none does yet. The first is
    /// taken by the giver in cycle `first` and offered in the next one; the others follow by a cycle or more.
    #[inline]
    pub(super) fn bulk(&self, places: u64, first: u64, words: u64) -> u64 {
        if words < 2 {
            return 0;
        }
        if self.is_open() {
            // A word leaves one cycle after it came, so with two places there is always one.
            return if places > 1 { self.run_from(first + 1, words) } else { 0 };
        }
        let words = words.min(self.moved + places - self.offered);
        // The last place is the last to be free.
        let is_free = words > 0 && self.freed(self.offered + words - 1, places).is_some_and(|from| from <= first);
        if is_free { words } else { 0 }
    }

    /// The giver offers as many words as [`Channel::bulk`] allows, each one cycle after it took it at `input`: the last words
    /// that it came to there.
    pub(super) fn offer_after(&mut self, input: &Channel, words: u64) {
        let moves = self.is_open();
        let (mask, from_mask) = (self.dates.len() - 1, input.dates.len() - 1);
        let (to, from) = (self.offered as usize, (input.taken - words) as usize);
        for word in 0..words as usize {
            self.dates[(to + word) & mask] = input.dates[(from + word) & from_mask] + 1;
        }
        self.offered += words;
        if moves {
            self.moved = self.offered;
            self.next = self.date(self.offered - 1) + 1;
        }
    }

    /// Makes place for so many words more of a giver that never looks back, and for the room that is promised behind them.
    pub(super) fn grow(&mut self, words: u64) {
        let end = self.offered.max(self.open);
        let needed = end + words - self.taken + OPEN_WORDS;
        if needed <= self.dates.len() as u64 {
            return;
        }
        let size = usize::try_from(needed).unwrap_or(usize::MAX / 2).next_power_of_two();
        let mut dates = vec![0; size].into_boxed_slice();
        for word in end.saturating_sub(self.dates.len() as u64)..end {
            dates[word as usize & (size - 1)] = self.date(word);
        }
        self.dates = dates;
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

    /// The date of the word so many words behind the taker's next.
    #[inline]
    pub(super) fn ahead(&self, words: u64) -> u64 {
        self.date(self.taken + words)
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

    /// The taker's next words move as soon as they are seen and `from` has come.
    pub(super) fn take_many(&mut self, words: u64, from: u64) {
        let end = self.taken + words;
        let mask = self.dates.len() - 1;
        let mut next = self.next.max(from);
        for word in self.moved..end {
            let date = &mut self.dates[word as usize & mask];
            *date = (*date).max(next);
            next = *date + 1;
        }
        if self.moved < end {
            (self.moved, self.next) = (end, next);
        }
        self.taken = end;
    }

    /// The date of one of the last words that the taker came to, `back` words before the last.
    #[inline]
    pub(super) fn taken_date(&self, back: u64) -> u64 {
        self.date(self.taken - 1 - back)
    }

    /// Copies the dates of the taker's next words, whose moves are known, into a ring from a place on; the date of the last.
    pub(super) fn take_into(&mut self, words: u64, ring: &mut [u64], place: usize) -> u64 {
        let (mask, ring_mask) = (self.dates.len() - 1, ring.len() - 1);
        let (mut from, mut to, mut left) = (self.taken as usize & mask, place & ring_mask, words as usize);
        while left > 0 {
            let count = left.min(self.dates.len() - from).min(ring.len() - to);
            ring[to..to + count].copy_from_slice(&self.dates[from..from + count]);
            (from, to, left) = ((from + count) & mask, (to + count) & ring_mask, left - count);
        }
        self.take_known(words)
    }

    /// Words whose moves are known and to which the taker has not come.
    #[inline]
    pub(super) fn known(&self) -> u64 {
        self.moved - self.taken
    }

    /// The taker comes to so many words whose moves are known, one or more; the cycle of the last.
    #[inline]
    pub(super) fn take_known(&mut self, words: u64) -> u64 {
        self.taken += words;
        self.date(self.taken - 1)
    }

    /// How many of the next words have promised room.
    #[inline]
    pub(super) fn promised(&self) -> u64 {
        if self.moved == self.offered { self.open.saturating_sub(self.offered) } else { 0 }
    }

    /// The taker, which has come to all words, promises room for more: `room` tells from when on there is room for the word so
    /// many behind the next one, or that it is not known. Words then move when they are offered and there is room, at least
    /// `pitch` cycles apart.
    #[inline]
    pub(super) fn promise(&mut self, pitch: u64, most: u64, mut room: impl FnMut(u64) -> Option<u64>) {
        self.promise_runs(pitch, most, |ahead| Some((room(ahead)?, 1)));
    }

    /// The same where `room` tells it for one or more words in a row that have room from the same cycle on.
    #[inline]
    pub(super) fn promise_runs(&mut self, pitch: u64, most: u64, mut room: impl FnMut(u64) -> Option<(u64, u64)>) {
        let before = self.open.max(self.taken);
        if before > self.taken && pitch != self.pitch {
            return;
        }
        let most = self.taken + most.min(OPEN_WORDS);
        let mut least = if before > self.taken { self.date(before - 1) + pitch } else { self.after(pitch) };
        let mut word = before;
        while word < most {
            let Some((from, words)) = room(word - self.taken) else { break };
            let end = word.saturating_add(words).min(most);
            least = least.max(from);
            while word < end {
                let place = self.place(word);
                self.dates[place] = least;
                least += pitch;
                word += 1;
            }
        }
        if word > before {
            (self.open, self.pitch) = (word, pitch);
        }
    }

    /// From when on there is room among `places` for the giver's word so many behind the next one: where that is known,
    /// however late the words before it come, `spacing` cycles or more apart. They are offered `delay` cycles later.
    ///
    /// A place is free one cycle after its word left. Word j, which came at t(j), leaves at max(t(j) + delay, F(j)), where F is the
    /// cycle that is promised, and one pitch or more after the one before. So word k has room from the maximum of t(j) + delay +
    /// pitch·(k - places - j) + 1 and F(k - places) + 1 on, for all j up to k - places. The former are no later than t(j) +
    /// spacing·(k - j), which is when it comes at the earliest, if spacing·places > delay and spacing is not below the pitch.
    #[inline]
    pub(super) fn room(&self, ahead: u64, places: u64, [spacing, delay]: [u64; 2]) -> Option<u64> {
        let word = self.offered + ahead;
        let from = self.freed(word, places);
        if from.is_some() || self.moved < self.offered || word - places >= self.open {
            return from;
        }
        (spacing * places > delay && spacing >= self.pitch).then(|| self.date(word - places) + 1)
    }

    /// From when on the giver's word so many behind the next one can move.
    #[inline]
    pub(super) fn promised_from(&self, ahead: u64) -> Option<u64> {
        (ahead < self.promised()).then(|| self.date(self.offered + ahead))
    }

    /// The least cycles between words with promised room.
    #[inline]
    pub(super) fn pitch(&self) -> u64 {
        self.pitch
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
        let end = self.offered.max(self.open);
        (self.open, self.pitch) = (0, 1);
        visitor.date(&mut self.next, 0);
        visitor.count(self.offered - self.moved);
        for word in self.moved..self.offered {
            let place = self.place(word);
            visitor.date(&mut self.dates[place], self.next);
        }
        let oldest = end.saturating_sub(self.dates.len() as u64);
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
