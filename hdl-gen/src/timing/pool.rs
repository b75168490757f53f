//! Timing twins of the units that take many words for one: `hwgen_max_pool`,
//! `hwgen_sum_pool`, `hwgen_max_reduce`, `hwgen_argmax`.

use super::TimingError;
use super::credit::{Counter, CreditPipe};

/// Twin of `hwgen_max_pool` and `hwgen_sum_pool`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MaxPool {
    pub(super) channel: Counter,
    pub(super) place: PoolPlace,
    pub(super) pipe: CreditPipe,
}

/// A pixel of the frame, and whether it ends a window.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PoolPlace {
    column: Counter,
    row: Counter,
    kernel_rows: u32,
    kernel_columns: u32,
    kept_rows: u32,
    kept_columns: u32,
    ends_window: bool,
}

impl PoolPlace {
    fn new([rows, columns, kernel_rows, kernel_columns]: [u32; 4]) -> Self {
        let mut place = Self {
            column: Counter::new(columns),
            row: Counter::new(rows),
            kernel_rows,
            kernel_columns,
            kept_rows: rows / kernel_rows * kernel_rows,
            kept_columns: columns / kernel_columns * kernel_columns,
            ends_window: false,
        };
        place.look();
        place
    }

    fn look(&mut self) {
        let (row, column) = (self.row.value(), self.column.value());
        self.ends_window = row < self.kept_rows
            && column < self.kept_columns
            && row % self.kernel_rows == self.kernel_rows - 1
            && column % self.kernel_columns == self.kernel_columns - 1;
    }

    /// Whether the pixel is the last of a window.
    #[inline]
    pub(super) fn ends_window(&self) -> bool {
        self.ends_window
    }

    /// Row and column.
    pub(super) fn counts(&self) -> [u32; 2] {
        [self.row.value(), self.column.value()]
    }

    /// Goes on to the next pixel.
    #[inline]
    pub(super) fn advance(&mut self) {
        if self.column.advance() {
            self.row.advance();
        }
        self.look();
    }
}

impl MaxPool {
    /// `channel_words` words a pixel, `rows` x `columns` pixels, windows of
    /// `kernel_rows` x `kernel_columns` side by side; all 1 or more, the kernel
    /// no larger than the frame.
    pub fn new(
        channel_words: u32,
        rows: u32,
        columns: u32,
        kernel_rows: u32,
        kernel_columns: u32,
    ) -> Result<Self, TimingError> {
        Self::with_latency([channel_words, rows, columns, kernel_rows, kernel_columns], 2)
    }

    /// The same geometry for sums of `sum_bits`, which from 17 on are cut into slices of 14 that work one cycle after the other.
    pub fn of_sums(extent: [u32; 3], kernel: [u32; 2], sum_bits: u32) -> Result<Self, TimingError> {
        super::require("sum_bits", u64::from(sum_bits), 1)?;
        let [channel_words, rows, columns] = extent;
        Self::with_latency(
            [channel_words, rows, columns, kernel[0], kernel[1]],
            1 + if sum_bits > 16 { sum_bits.div_ceil(14) } else { 1 },
        )
    }

    /// `latency_cycles` from taking the last word of a window to the push of its result, into a FIFO of two words more.
    fn with_latency(
        [channel_words, rows, columns, kernel_rows, kernel_columns]: [u32; 5],
        latency_cycles: u32,
    ) -> Result<Self, TimingError> {
        super::require("channel_words", u64::from(channel_words), 1)?;
        super::require("kernel_rows", u64::from(kernel_rows), 1)?;
        super::require("kernel_columns", u64::from(kernel_columns), 1)?;
        super::require("rows", u64::from(rows), u64::from(kernel_rows))?;
        super::require("columns", u64::from(columns), u64::from(kernel_columns))?;
        Ok(Self {
            channel: Counter::new(channel_words),
            place: PoolPlace::new([rows, columns, kernel_rows, kernel_columns]),
            pipe: CreditPipe::new(latency_cycles, latency_cycles + 2),
        })
    }

    pub(super) fn valid(&self) -> bool {
        self.pipe.valid()
    }

    pub(super) fn ready(&self) -> bool {
        !self.place.ends_window() || self.pipe.available()
    }

    pub(super) fn occupancy(&self) -> u32 {
        self.pipe.occupancy()
    }

    pub(super) fn step(&mut self, took: bool, gave: bool) {
        self.pipe.step(took && self.place.ends_window(), gave);
        if took && self.channel.advance() {
            self.place.advance();
        }
    }
}

/// Twin of a unit that gives one word for a fixed number of words taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reduction {
    pub(super) word: Counter,
    pub(super) pipe: CreditPipe,
}

impl Reduction {
    /// Twin of `hwgen_max_reduce` over `taps` words, 1 or more.
    pub fn max_reduce(taps: u32) -> Result<Self, TimingError> {
        Self::new(taps, 1)
    }

    /// Twin of `hwgen_argmax` over frames of `words` words of `lanes` values,
    /// both 1 or more.
    pub fn argmax(words: u32, lanes: u32) -> Result<Self, TimingError> {
        super::require("lanes", u64::from(lanes), 1)?;
        Self::new(words, lanes.next_power_of_two().trailing_zeros() + 1)
    }

    /// One result for `words` words, pushed `latency_cycles` after the last is
    /// taken, into a FIFO just deep enough for a word a cycle, 2 at least.
    fn new(words: u32, latency_cycles: u32) -> Result<Self, TimingError> {
        super::require("words", u64::from(words), 1)?;
        let fifo_words = (latency_cycles + 2).div_ceil(words).max(2);
        Ok(Self { word: Counter::new(words), pipe: CreditPipe::new(latency_cycles, fifo_words) })
    }

    pub(super) fn valid(&self) -> bool {
        self.pipe.valid()
    }

    pub(super) fn ready(&self) -> bool {
        !self.word.is_last() || self.pipe.available()
    }

    pub(super) fn occupancy(&self) -> u32 {
        self.pipe.occupancy()
    }

    pub(super) fn step(&mut self, took: bool, gave: bool) {
        let finished = took && self.word.advance();
        self.pipe.step(finished, gave);
    }
}
