//! Where windows lie in a padded image.

use crate::kernel::packed::{Positions, Segment};
use crate::trace::MAX_ELEMENTS;
use network::Shape;
use network::shape::Window;
use std::ops::Range;

/// A padded image (rows, columns, channels, without gaps), the windows over it and how the input comes into it.
pub(super) struct Geometry {
    /// Output rows and columns.
    positions: [usize; 2],
    /// Elements from one window to the next below, and to the next on the right.
    steps: [usize; 2],
    image_elements: usize,
    /// Elements of the image rows that a window reaches over.
    span_elements: usize,
    /// Input channels that one group sees.
    group: usize,
    /// Output rows and output columns whose windows see no padding.
    inside: [Range<usize>; 2],
    segments: Vec<Segment>,
    runs: Vec<Run>,
}

/// Input elements that are neighbours in the image too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// First element in the input.
    pub(super) from: usize,
    /// First element in the image.
    pub(super) to: usize,
    /// Elements.
    pub(super) count: usize,
}

impl Geometry {
    /// A dense layer: one window that is the whole input. The error is the number of elements that are too many.
    pub(super) fn dense(input: Shape) -> Result<Self, u64> {
        let elements = bounded(input.elements())?;
        Ok(Geometry {
            positions: [1, 1],
            steps: [0, 0],
            image_elements: elements,
            span_elements: elements,
            group: elements,
            inside: [0..1, 0..1],
            segments: vec![Segment { offset: 0, length: elements }],
            runs: vec![Run { from: 0, to: 0, count: elements }],
        })
    }

    /// A convolution of a checked network. The error is the number of elements that are too many.
    pub(super) fn conv2d(window: &Window, groups: u64, input: Shape, output: Shape) -> Result<Self, u64> {
        let span = window.span();
        // Only what some window reads is staged.
        let needed = |axis: usize, positions: u64| {
            (positions - 1).checked_mul(window.stride[axis]).and_then(|n| n.checked_add(span[axis])).ok_or(u64::MAX)
        };
        let (image_rows, image_columns) = (needed(0, output.rows)?, needed(1, output.columns)?);
        let pitch = image_columns.checked_mul(input.channels).ok_or(u64::MAX)?;
        let image_elements = bounded(pitch.checked_mul(image_rows).ok_or(u64::MAX)?)?;
        let inside = |axis: usize, length: u64, positions: u64| {
            let (stride, before) = (window.stride[axis], window.padding_before[axis]);
            let first = before.div_ceil(stride).min(positions);
            let end = (length + before).checked_sub(span[axis]).map_or(0, |last| last / stride + 1).min(positions);
            first as usize..end as usize
        };
        let (pitch, channels) = (pitch as usize, input.channels as usize);
        let [before_rows, before_columns] = window.padding_before.map(|n| n as usize);
        let rows = input.rows.min(image_rows.saturating_sub(window.padding_before[0])) as usize;
        let columns = input.columns.min(image_columns.saturating_sub(window.padding_before[1])) as usize;
        let input_pitch = input.columns as usize * channels;
        let runs = (0..rows).map(|row| Run {
            from: row * input_pitch,
            to: (before_rows + row) * pitch + before_columns * channels,
            count: columns * channels,
        });
        let [dilation_rows, dilation_columns] = window.dilation.map(|n| n as usize);
        let group = (input.channels / groups) as usize;
        let is_whole = window.dilation[1] == 1 && groups == 1;
        let taps_together = if is_whole { window.kernel[1] as usize } else { 1 };
        let segments = (0..window.kernel[0] as usize).flat_map(|row| {
            (0..window.kernel[1] as usize).step_by(taps_together).map(move |column| Segment {
                offset: row * dilation_rows * pitch + column * dilation_columns * channels,
                length: taps_together * group,
            })
        });
        Ok(Geometry {
            positions: [output.rows as usize, output.columns as usize],
            steps: [window.stride[0] as usize * pitch, window.stride[1] as usize * channels],
            image_elements,
            span_elements: span[0] as usize * pitch,
            group,
            inside: [inside(0, input.rows, output.rows), inside(1, input.columns, output.columns)],
            segments: merge(segments),
            runs: runs.filter(|run| run.count > 0).collect(),
        })
    }

    /// Output rows.
    pub(super) fn rows(&self) -> usize {
        self.positions[0]
    }

    /// Output columns.
    pub(super) fn columns(&self) -> usize {
        self.positions[1]
    }

    /// Elements of the image.
    pub(super) fn image_elements(&self) -> usize {
        self.image_elements
    }

    /// Elements of the image from one output row to the next.
    pub(super) fn row_elements(&self) -> usize {
        self.steps[0].max(1)
    }

    /// Input channels that one group sees.
    pub(super) fn group(&self) -> usize {
        self.group
    }

    /// Whether some of the image is padding.
    pub(super) fn is_padded(&self) -> bool {
        self.runs.iter().map(|run| run.count).sum::<usize>() < self.image_elements
    }

    /// The part of the image that some output rows read, and what of the input comes into it.
    pub(super) fn part(&self, rows: &Range<usize>) -> (Range<usize>, &[Run]) {
        let start = rows.start * self.steps[0];
        let end = rows.end.saturating_sub(1) * self.steps[0] + self.span_elements;
        let first = self.runs.partition_point(|run| run.to < start);
        let last = self.runs.partition_point(|run| run.to < end);
        (start..end.max(start), &self.runs[first..last.max(first)])
    }

    /// Whether the window of an output position sees no padding.
    pub(super) fn is_inside(&self, row: usize, column: usize) -> bool {
        self.inside[0].contains(&row) && self.inside[1].contains(&column)
    }

    /// Runs of a window, in the order of the weights.
    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// How the input comes into the image.
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The windows of one output row.
    pub(super) fn positions(&self, row: usize) -> Positions {
        Positions { base: row * self.steps[0], step: self.steps[1], count: self.positions[1] }
    }
}

/// Joins segments that follow each other without a gap.
fn merge(segments: impl Iterator<Item = Segment>) -> Vec<Segment> {
    let mut merged: Vec<Segment> = Vec::new();
    for segment in segments {
        match merged.last_mut() {
            Some(last) if last.offset + last.length == segment.offset => last.length += segment.length,
            _ => merged.push(segment),
        }
    }
    merged
}

fn bounded(elements: u64) -> Result<usize, u64> {
    if elements > MAX_ELEMENTS { Err(elements) } else { Ok(elements as usize) }
}
