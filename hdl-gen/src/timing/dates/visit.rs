//! Compares and moves the state of a run: every date that later dates depend on.

/// Walks through all dates and counts of a state, in a fixed order.
pub(super) enum Visitor<'a> {
    /// Writes the state down, dates relative to cycle `base`.
    Record {
        /// Cycle that counts as 0.
        base: u64,
        /// The state so far.
        state: &'a mut Vec<i64>,
    },
    /// Writes down what does not depend on dates: which words are where.
    Untimed(&'a mut Vec<i64>),
    /// Lets everything happen so many cycles later.
    Shift(u64),
}

impl Visitor<'_> {
    /// Whether the state is being written down: dates without effect are left out.
    pub(super) fn compares(&self) -> bool {
        matches!(self, Visitor::Record { .. })
    }

    /// A date; one before `least` acts as `least` does.
    pub(super) fn date(&mut self, date: &mut u64, least: u64) {
        match self {
            Visitor::Record { base, state } => state.push((*date).max(least) as i64 - *base as i64),
            Visitor::Untimed(_) => {}
            Visitor::Shift(cycles) => *date += *cycles,
        }
    }

    /// A number that is no date.
    pub(super) fn count(&mut self, count: u64) {
        self.difference(count as i64);
    }

    /// A signed number that is no date.
    pub(super) fn difference(&mut self, difference: i64) {
        match self {
            Visitor::Record { state, .. } | Visitor::Untimed(state) => state.push(difference),
            Visitor::Shift(_) => {}
        }
    }
}
