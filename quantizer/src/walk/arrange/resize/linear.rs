//! Linear resizing by whole factors as exact sums: elements are repeated or picked, and then averaged.
//!
//! To s times the length, with half pixels: linear interpolation is the average of as many places of the repeated elements
//! as an element has, centred on the result. For odd s these are s places; for even s the centre lies between two places,
//! so elements are repeated 2s times, and every other place is a centre. Places beyond an edge are not counted, which
//! repeats the edge.

use crate::fault::{Checked, Fault};
use crate::float::Rules;
use crate::layout::Layout;
use crate::model::Node;
use crate::walk::Walk;
use crate::walk::stream::Stream;
use network::Shape;
use network::average::Counted;
use network::op::Loop;
use network::shape::Window;

/// How one axis is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    /// First element that is read.
    start: u64,
    /// So many groups of elements, and the elements from one to the next.
    groups: (u64, u64),
    /// Places in a group, and the elements from one to the next.
    places: (u64, u64),
    /// Places that are averaged, those from one average to the next, and those beyond the edges.
    average: (u64, u64, u64, u64),
}

/// Models state scales in single precision.
fn is_near(scale: f64, factor: f64) -> bool {
    (scale - factor).abs() < 1e-6 * factor
}

impl Axis {
    /// # Errors
    /// The factor is no whole one, or corners are aligned.
    pub fn new(node: &Node, from: u64, to: u64, scale: f64) -> Checked<Axis> {
        let coordinate = Rules::of(node)?.transformation;
        let is_half = coordinate == "half_pixel" || coordinate == "pytorch_half_pixel" && to > 1;
        let refuse = || {
            Fault::operator(
                format!("linear `{}` of {from} to {to} elements with coordinates `{coordinate}`", node.op),
                "linear resizing by whole factors with half_pixel or asymmetric coordinates can be built",
            )
        };
        let same = Axis { start: 0, groups: (to, 1), places: (1, 0), average: (1, 1, 0, 0) };
        let is_known = is_half || matches!(coordinate, "asymmetric" | "pytorch_half_pixel" | "align_corners");
        if from == to && scale == 1.0 && is_known {
            return Ok(same);
        }
        let is_asymmetric = coordinate == "asymmetric" || coordinate == "pytorch_half_pixel" && to == 1;
        if !is_half && !is_asymmetric {
            return Err(refuse());
        }
        let larger = to / from.max(1);
        let smaller = from / to.max(1);
        if larger > 1 && to == from * larger && is_near(scale, larger as f64) && to < 1 << 20 {
            let (repeats, average) = match (is_half, larger % 2) {
                (true, 0) => (2 * larger, (2 * larger, 2, larger - 1, larger - 1)),
                (true, _) => (larger, (larger, 1, (larger - 1) / 2, (larger - 1) / 2)),
                (false, _) => (larger, (larger, 1, 0, larger - 1)),
            };
            return Ok(Axis { groups: (from, 1), places: (repeats, 0), average, ..same });
        }
        let is_blurred = node.attributes.int("antialias", 0)? != 0;
        if smaller > 1 && !is_blurred && from == to * smaller && is_near(scale, 1.0 / smaller as f64) {
            // A place lies on an element, or with half pixels and an even factor between two.
            let groups = (to, smaller);
            return Ok(match (is_half, smaller % 2) {
                (true, 0) => Axis { start: smaller / 2 - 1, groups, places: (2, 1), average: (2, 2, 0, 0) },
                (true, _) => Axis { start: smaller / 2, groups, ..same },
                (false, _) => Axis { groups, ..same },
            });
        }
        Err(refuse())
    }

    fn loops(&self, stride: u64) -> Option<[Loop; 2]> {
        let of =
            |(count, step): (u64, u64)| Some(Loop { count, stride: i64::try_from(step.checked_mul(stride)?).ok()? });
        Some([of(self.groups)?, of(self.places)?])
    }

    fn length(&self) -> u64 {
        self.groups.0 * self.places.0
    }
}

impl Walk<'_> {
    /// An image with both axes resized.
    pub(super) fn resize_linear(&mut self, node: &Node, stream: Stream, rows: Axis, columns: Axis) -> Checked<Stream> {
        let (_, stream) = self.affine(stream, &node.op)?;
        let channels = stream.shape.channels;
        let width = stream.shape.columns * channels;
        let large = || Fault::shape("a tensor is resized to too large a one", "use smaller frames");
        let mut loops = rows.loops(width).ok_or_else(large)?.to_vec();
        loops.extend(columns.loops(channels).ok_or_else(large)?);
        loops.push(Loop { count: channels, stride: 1 });
        let shape = Shape::new(rows.length(), columns.length(), channels).ok_or_else(large)?;
        let start = rows.start * width + columns.start * channels;
        let mut stream = self.move_positions(stream, shape, start, loops, &node.name)?;
        stream.layout = Layout::channels_first(shape);
        let window = Window {
            kernel: [rows.average.0, columns.average.0],
            stride: [rows.average.1, columns.average.1],
            dilation: [1, 1],
            padding_before: [rows.average.2, columns.average.2],
            padding_after: [rows.average.3, columns.average.3],
        };
        let counted = window.is_padded().then_some(Counted { before: [0, 0], after: [0, 0] });
        self.averaged(stream, &window, counted, node)
    }
}
