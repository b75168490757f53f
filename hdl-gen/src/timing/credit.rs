//! Timing of a free-running pipeline that ends in a credit-guarded FIFO
//! (`hwgen_credit_fifo`), and of the loop counters in front of it.

/// A pipeline of fixed latency, and the FIFO whose room guards its entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CreditPipe {
    credits: u32,
    held: u32,
    /// Bit i: a result entered i + 1 cycles ago.
    flight: u128,
    push_bit: u32,
}

impl CreditPipe {
    /// The longest latency from reservation to push, in cycles.
    pub(crate) const LATENCY_LIMIT: u32 = 127;

    /// `latency_cycles` from reservation to push (1 to [`Self::LATENCY_LIMIT`]),
    /// `fifo_words` of room.
    pub(crate) fn new(latency_cycles: u32, fifo_words: u32) -> Self {
        Self { credits: fifo_words, held: 0, flight: 0, push_bit: latency_cycles.clamp(1, Self::LATENCY_LIMIT) - 1 }
    }

    /// Results that may be on the way or held at once, of a pipe in its state after reset.
    pub(super) fn credits(&self) -> u32 {
        self.credits
    }

    /// Cycles from reservation to push.
    pub(super) fn latency_cycles(&self) -> u32 {
        self.push_bit + 1
    }

    /// A result may enter in this cycle.
    #[inline]
    pub(crate) fn available(&self) -> bool {
        self.credits > 0
    }

    /// A word is offered in this cycle.
    #[inline]
    pub(crate) fn valid(&self) -> bool {
        self.held > 0
    }

    /// Words in the FIFO and on the way to it.
    #[inline]
    pub(crate) fn occupancy(&self) -> u32 {
        self.held + self.flight.count_ones()
    }

    /// One clock edge: whether a result entered and whether a word was taken.
    #[inline]
    pub(crate) fn step(&mut self, reserve: bool, taken: bool) {
        let pushed = (self.flight >> self.push_bit) & 1;
        let reached = (2u128 << self.push_bit) - 1;
        self.flight = ((self.flight << 1) & reached) | u128::from(reserve);
        self.held = self.held + pushed as u32 - u32::from(taken);
        self.credits = self.credits + u32::from(taken) - u32::from(reserve);
    }
}

/// A loop counter that wraps at its limit (`hwgen_counter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Counter {
    value: u32,
    limit: u32,
}

impl Counter {
    /// Counts 0 to `limit` - 1; a limit of 0 counts as 1.
    pub(crate) fn new(limit: u32) -> Self {
        Self { value: 0, limit: limit.max(1) }
    }

    #[inline]
    pub(crate) fn value(&self) -> u32 {
        self.value
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    #[inline]
    pub(crate) fn is_last(&self) -> bool {
        self.value + 1 == self.limit
    }

    /// Moves on by so many places, at most to the end; true when it wrapped to 0.
    #[inline]
    pub(crate) fn skip(&mut self, places: u32) -> bool {
        let place = self.value + places;
        self.value = if place == self.limit { 0 } else { place };
        place == self.limit
    }

    /// Goes to a place below the limit.
    #[inline]
    pub(crate) fn set(&mut self, place: u32) {
        self.value = place;
    }

    /// Moves on; true when it wrapped to 0.
    #[inline]
    pub(crate) fn advance(&mut self) -> bool {
        let last = self.is_last();
        self.value = if last { 0 } else { self.value + 1 };
        last
    }
}
