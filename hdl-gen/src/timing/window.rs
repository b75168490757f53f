//! Timing twin of `hwgen_sliding_window`, and the buffer sizes it can have.

use super::TimingError;
use super::credit::{Counter, CreditPipe};

/// Geometry of a serial sliding window. Rows, columns, strides and dilations
/// count pixels; `channel_words` = channels / lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WindowShape {
    /// Words of one pixel.
    pub channel_words: u32,
    /// Input rows without padding.
    pub rows: u32,
    /// Input columns without padding.
    pub columns: u32,
    /// Padding rows above.
    pub pad_top: u32,
    /// Padding columns at the left.
    pub pad_left: u32,
    /// Padding rows below.
    pub pad_bottom: u32,
    /// Padding columns at the right.
    pub pad_right: u32,
    /// Taps down.
    pub kernel_rows: u32,
    /// Taps across.
    pub kernel_columns: u32,
    /// Rows from one window to the next.
    pub stride_rows: u32,
    /// Columns from one window to the next.
    pub stride_columns: u32,
    /// Rows from one tap to the next.
    pub dilation_rows: u32,
    /// Columns from one tap to the next.
    pub dilation_columns: u32,
}

/// Distances of a shape in words of the padded frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Distances {
    pub(super) span: i64,
    pub(super) column_jump: i64,
    pub(super) row_jump: i64,
    pub(super) frame_jump: i64,
    out_rows: u32,
    out_columns: u32,
}

impl WindowShape {
    /// Output rows: floor((rows with padding - reach of the taps) / stride) + 1,
    /// 0 when the window does not fit.
    pub fn out_rows(&self) -> u32 {
        places(
            self.rows.saturating_add(self.pad_top).saturating_add(self.pad_bottom),
            self.kernel_rows,
            self.dilation_rows,
            self.stride_rows,
        )
    }

    /// Output columns, as [`Self::out_rows`].
    pub fn out_columns(&self) -> u32 {
        places(
            self.columns.saturating_add(self.pad_left).saturating_add(self.pad_right),
            self.kernel_columns,
            self.dilation_columns,
            self.stride_columns,
        )
    }

    /// The least legal `BUFFER_WORDS`: one whole window, from its first word to its last.
    pub fn minimum_buffer_words(&self) -> Result<u32, TimingError> {
        self.buffer_words(self.distances()?.span)
    }

    /// A `BUFFER_WORDS` with which writing runs ahead by the jump from the end of
    /// one output row to the next, so that a fast source leaves no gap at row
    /// ends; gaps between frames may remain.
    pub fn recommended_buffer_words(&self) -> Result<u32, TimingError> {
        let distances = self.distances()?;
        self.buffer_words(distances.span + distances.row_jump.max(distances.column_jump))
    }

    /// Words in one frame of the output stream.
    pub fn output_words_per_frame(&self) -> u64 {
        u64::from(self.out_rows())
            * u64::from(self.out_columns())
            * u64::from(self.kernel_rows)
            * u64::from(self.kernel_columns)
            * u64::from(self.channel_words)
    }

    /// Words in one frame of the input stream.
    pub fn input_words_per_frame(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.columns) * u64::from(self.channel_words)
    }

    fn buffer_words(&self, words: i64) -> Result<u32, TimingError> {
        u32::try_from(words).map_err(|_| TimingError::TooLarge {
            parameter: "buffer_words",
            value: words.unsigned_abs(),
            limit: u64::from(u32::MAX),
        })
    }

    fn distances(&self) -> Result<Distances, TimingError> {
        for (parameter, value) in [
            ("channel_words", self.channel_words),
            ("rows", self.rows),
            ("columns", self.columns),
            ("kernel_rows", self.kernel_rows),
            ("kernel_columns", self.kernel_columns),
            ("stride_rows", self.stride_rows),
            ("stride_columns", self.stride_columns),
            ("dilation_rows", self.dilation_rows),
            ("dilation_columns", self.dilation_columns),
            ("out_rows", self.out_rows()),
            ("out_columns", self.out_columns()),
        ] {
            super::require(parameter, u64::from(value), 1)?;
            super::limit(parameter, u64::from(value), 1 << 16)?;
        }
        for (parameter, value) in [
            ("pad_top", self.pad_top),
            ("pad_left", self.pad_left),
            ("pad_bottom", self.pad_bottom),
            ("pad_right", self.pad_right),
        ] {
            super::limit(parameter, u64::from(value), 1 << 16)?;
        }
        let channel_words = i64::from(self.channel_words);
        let row = i64::from(self.pad_left + self.columns + self.pad_right) * channel_words;
        let frame_rows = i64::from(self.pad_top + self.rows + self.pad_bottom);
        let column_jump = i64::from(self.stride_columns) * channel_words;
        let last_column = i64::from(self.out_columns() - 1) * column_jump;
        let stride = i64::from(self.stride_rows) * row;
        Ok(Distances {
            span: i64::from(self.kernel_rows - 1) * i64::from(self.dilation_rows) * row
                + i64::from(self.kernel_columns - 1) * i64::from(self.dilation_columns) * channel_words
                + channel_words,
            column_jump,
            row_jump: stride - last_column,
            frame_jump: frame_rows * row - i64::from(self.out_rows() - 1) * stride - last_column,
            out_rows: self.out_rows(),
            out_columns: self.out_columns(),
        })
    }
}

/// Places a kernel takes along one axis.
fn places(extent: u32, kernel: u32, dilation: u32, stride: u32) -> u32 {
    let reach = u64::from(kernel.saturating_sub(1)) * u64::from(dilation) + 1;
    match u64::from(extent).checked_sub(reach) {
        Some(free) if stride > 0 => u32::try_from(free / u64::from(stride) + 1).unwrap_or(u32::MAX),
        _ => 0,
    }
}

/// Position along one axis with padding at its ends (`hwgen_padded_axis`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PaddedAxis {
    place: Counter,
    before: u32,
    end: u32,
}

impl PaddedAxis {
    pub(super) fn new(before: u32, inside: u32, after: u32) -> Self {
        Self { place: Counter::new(before + inside + after), before, end: before + inside }
    }

    #[inline]
    pub(super) fn is_inside(&self) -> bool {
        (self.before..self.end).contains(&self.place.value())
    }

    #[inline]
    pub(super) fn value(&self) -> u32 {
        self.place.value()
    }

    /// Places from this one on to the end of those without padding, where it is one of them.
    pub(super) fn places_inside_left(&self) -> u32 {
        self.end - self.place.value()
    }

    /// Moves on; true when it wrapped to the first place.
    #[inline]
    pub(super) fn advance(&mut self) -> bool {
        self.place.advance()
    }

    /// Places of the axis, padding included.
    pub(super) fn places(&self) -> u32 {
        self.place.limit()
    }
}

/// Twin of `hwgen_sliding_window`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SlidingWindow {
    pub(super) distances: Distances,
    pub(super) buffer_words: i64,
    /// Words written since the current window's first word.
    fill: i64,
    pub(super) channel: Counter,
    pub(super) column: PaddedAxis,
    pub(super) row: PaddedAxis,
    pub(super) inside: bool,
    pub(super) tap: Counter,
    pub(super) out_column: Counter,
    pub(super) out_row: Counter,
    pub(super) pipe: CreditPipe,
    padded_words: u64,
    /// The first window holds padding alone: a frame's padding waits for its first word.
    pub(super) waits: bool,
}

impl SlidingWindow {
    /// Cycles from the read of a word to its push into the output FIFO.
    const LATENCY_CYCLES: u32 = 1;
    /// Depth of the output FIFO.
    const FIFO_WORDS: u32 = 4;

    /// A window over `shape` with a cyclic buffer of `buffer_words`, at least
    /// [`WindowShape::minimum_buffer_words`]. The tap order does not matter here.
    pub fn new(shape: &WindowShape, buffer_words: u32) -> Result<Self, TimingError> {
        let distances = shape.distances()?;
        super::require("buffer_words", u64::from(buffer_words), distances.span.unsigned_abs())?;
        let taps = u64::from(shape.kernel_rows) * u64::from(shape.kernel_columns) * u64::from(shape.channel_words);
        super::limit("words of a window", taps, 1 << 31)?;
        let first_real = (i64::from(shape.pad_top) * i64::from(shape.pad_left + shape.columns + shape.pad_right)
            + i64::from(shape.pad_left))
            * i64::from(shape.channel_words);
        let column = PaddedAxis::new(shape.pad_left, shape.columns, shape.pad_right);
        let row = PaddedAxis::new(shape.pad_top, shape.rows, shape.pad_bottom);
        Ok(Self {
            distances,
            buffer_words: i64::from(buffer_words),
            fill: 0,
            channel: Counter::new(shape.channel_words),
            column,
            row,
            inside: column.is_inside() && row.is_inside(),
            tap: Counter::new(taps as u32),
            out_column: Counter::new(distances.out_columns),
            out_row: Counter::new(distances.out_rows),
            pipe: CreditPipe::new(Self::LATENCY_CYCLES, Self::FIFO_WORDS),
            waits: distances.span <= first_real,
            padded_words: u64::from(shape.pad_left + shape.columns + shape.pad_right)
                * u64::from(shape.pad_top + shape.rows + shape.pad_bottom)
                * u64::from(shape.channel_words),
        })
    }

    /// Words of the padded frame up to the end of the first window.
    pub(crate) fn first_words(&self) -> u64 {
        self.distances.span.unsigned_abs()
    }

    pub(super) fn valid(&self) -> bool {
        self.pipe.valid()
    }

    pub(super) fn ready(&self) -> bool {
        self.inside && self.fill < self.buffer_words
    }

    pub(super) fn occupancy(&self) -> u32 {
        self.fill.max(0) as u32
    }

    pub(super) fn quiet_cycles(&self) -> u64 {
        self.padded_words + 8
    }

    fn at_frame_start(&self) -> bool {
        self.channel.value() == 0 && self.column.value() == 0 && self.row.value() == 0
    }

    pub(super) fn step(&mut self, offered: bool, took: bool, gave: bool) {
        let read = self.pipe.available() && (self.tap.value() != 0 || self.fill >= self.distances.span);
        let held_back = self.waits && !offered && self.at_frame_start();
        let write = took || (!self.inside && !held_back && self.fill < self.buffer_words);
        if write {
            self.fill += 1;
            if self.channel.advance() {
                if self.column.advance() {
                    self.row.advance();
                }
                self.inside = self.column.is_inside() && self.row.is_inside();
            }
        }
        if read && self.tap.advance() {
            self.fill -= if !self.out_column.advance() {
                self.distances.column_jump
            } else if !self.out_row.advance() {
                self.distances.row_jump
            } else {
                self.distances.frame_jump
            };
        }
        self.pipe.step(read, gave);
    }
}
