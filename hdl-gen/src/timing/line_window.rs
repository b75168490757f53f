//! Timing twin of `hwgen_line_window`.

use super::TimingError;
use super::credit::CreditPipe;
use super::window::{PaddedAxis, WindowShape};

/// Twin of `hwgen_line_window`: one step for each place of the padded frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LineWindow {
    column: PaddedAxis,
    row: PaddedAxis,
    /// Place of the first window's last tap, and the stride, across and down.
    first: [u32; 2],
    stride: [u32; 2],
    inside: bool,
    ends: bool,
    /// The first window holds padding alone: a frame waits for its first word.
    waits: bool,
    pipe: CreditPipe,
    places: u64,
}

impl LineWindow {
    /// Cycles from the step that ends a window to its push.
    const LATENCY_CYCLES: u32 = 2;
    /// Depth of the output FIFO.
    const FIFO_WORDS: u32 = 4;

    /// A parallel window over `shape`, whose `channel_words` is 1.
    pub fn new(shape: &WindowShape) -> Result<Self, TimingError> {
        super::limit("channel_words", u64::from(shape.channel_words), 1)?;
        let minimum = shape.minimum_buffer_words()?;
        let column = PaddedAxis::new(shape.pad_left, shape.columns, shape.pad_right);
        let row = PaddedAxis::new(shape.pad_top, shape.rows, shape.pad_bottom);
        let columns = u64::from(column.places());
        let mut window = Self {
            column,
            row,
            first: [(shape.kernel_columns - 1) * shape.dilation_columns, (shape.kernel_rows - 1) * shape.dilation_rows],
            stride: [shape.stride_columns, shape.stride_rows],
            inside: false,
            ends: false,
            waits: u64::from(minimum) <= u64::from(shape.pad_top) * columns + u64::from(shape.pad_left),
            pipe: CreditPipe::new(Self::LATENCY_CYCLES, Self::FIFO_WORDS),
            places: columns * u64::from(row.places()),
        };
        window.look();
        Ok(window)
    }

    /// What the current place is.
    fn look(&mut self) {
        let ends = |place: u32, first: u32, stride: u32| place >= first && (place - first).is_multiple_of(stride);
        self.inside = self.column.is_inside() && self.row.is_inside();
        self.ends = ends(self.column.value(), self.first[0], self.stride[0])
            && ends(self.row.value(), self.first[1], self.stride[1]);
    }

    /// Places of the padded frame up to the end of the first window.
    pub(crate) fn first_words(&self) -> u64 {
        u64::from(self.first[1]) * u64::from(self.column.places()) + u64::from(self.first[0]) + 1
    }

    /// The pipeline behind the steps.
    pub(super) fn pipe(&self) -> &CreditPipe {
        &self.pipe
    }

    /// The current place ends a window.
    pub(super) fn ends(&self) -> bool {
        self.ends
    }

    /// The current place takes a word.
    pub(super) fn is_inside(&self) -> bool {
        self.inside
    }

    /// The current place is a frame's first and waits until a word is offered.
    pub(super) fn held_at_start(&self) -> bool {
        self.waits && self.column.value() == 0 && self.row.value() == 0
    }

    /// Column and row of the current place.
    pub(super) fn place(&self) -> [u32; 2] {
        [self.column.value(), self.row.value()]
    }

    /// Goes on to the next place.
    pub(super) fn advance_place(&mut self) {
        if self.column.advance() {
            self.row.advance();
        }
        self.look();
    }

    fn allowed(&self) -> bool {
        !self.ends || self.pipe.available()
    }

    pub(super) fn valid(&self) -> bool {
        self.pipe.valid()
    }

    pub(super) fn ready(&self) -> bool {
        self.inside && self.allowed()
    }

    pub(super) fn occupancy(&self) -> u32 {
        self.pipe.occupancy()
    }

    pub(super) fn quiet_cycles(&self) -> u64 {
        self.places + 8
    }

    pub(super) fn step(&mut self, offered: bool, took: bool, gave: bool) {
        let held_back = !offered && self.held_at_start();
        let stepped = took || (!self.inside && !held_back && self.allowed());
        self.pipe.step(stepped && self.ends, gave);
        if stepped {
            self.advance_place();
        }
    }
}
