//! Parts of a tensor: Slice, Split, Gather; and blocks moved between channels and positions.

use super::Order;
use crate::constant::Constant;
use crate::constant::evaluate::slices;
use crate::fault::{Checked, Fault};
use crate::layout::{Axis, Digit, Layout};
use crate::model::Node;
use crate::walk::Walk;
use crate::walk::stream::{Base, Stream};

impl Walk<'_> {
    /// `count` elements of an axis from `start` on, every `step`-th.
    fn part(
        &mut self,
        stream: Stream,
        axis: usize,
        (start, count, step): (u64, u64, u64),
        op: &str,
    ) -> Checked<Stream> {
        let dims = stream.layout.dims();
        if (start, count, step) == (0, dims[axis], 1) {
            return Ok(stream);
        }
        let is_list = dims.len() <= 2;
        if matches!(stream.base, Base::Input(_)) || !is_list && self.open_input(&stream.base).is_some() {
            // The input's rows and columns must be known before it is cut.
            let (image, _) = self.image(stream, op)?;
            return Err(Fault::operator(
                format!("`{op}` cuts the network's input ({})", image.shape),
                "put a Quant on the input, and cut after the first layer",
            ));
        }
        let stream = self.canonical(stream, op)?;
        let mut axes = stream.layout.axes().to_vec();
        let [digit] = axes[axis].as_slice() else {
            return Err(Fault::shape(
                format!("`{op}` cuts axis {axis} of {dims:?}, which is in another order than hardware holds it"),
                "cut before the Transpose or Reshape",
            ));
        };
        let first = start * digit.stride;
        axes[axis] = if count == 1 { Axis::new() } else { vec![Digit { size: count, stride: digit.stride * step }] };
        let layout = Layout::of_axes(axes);
        let mut stream = Stream { layout, ..stream };
        let cut = stream.layout.dims();
        let (order, places) = order_of(&stream, first);
        stream = self.arranged(stream, &order, op)?;
        stream.layout = places.map_or_else(|| Layout::row_major(&cut), |places| places.layout(&stream, &cut));
        Ok(stream)
    }

    /// Slice with constant starts, ends, axes and steps.
    pub(in crate::walk) fn slice(
        &mut self,
        node: &Node,
        mut stream: Stream,
        constants: &[Option<&Constant>],
    ) -> Checked<Stream> {
        for (start, end, axis, step) in slices(constants, node)? {
            let axis = stream.layout.axis_index(axis)?;
            let length = stream.layout.dims()[axis];
            let step = u64::try_from(step).ok().filter(|step| *step > 0);
            let step = step.ok_or_else(|| {
                Fault::operator("a Slice that counts backwards", "only slices with positive steps can be built")
            })?;
            let place = |value: i64| {
                (if value < 0 { value.saturating_add(length as i64) } else { value }).clamp(0, length as i64) as u64
            };
            let (start, end) = (place(start), place(end));
            let count = end.saturating_sub(start).div_ceil(step);
            if count == 0 {
                return Err(Fault::shape("a Slice of no elements", "check starts and ends"));
            }
            stream = self.part(stream, axis, (start, count, step), "Slice")?;
        }
        Ok(stream)
    }

    /// Split into as many streams as the node has outputs.
    pub(in crate::walk) fn split(
        &mut self,
        node: &Node,
        stream: &Stream,
        constants: &[Option<&Constant>],
    ) -> Checked<Vec<Stream>> {
        let axis = stream.layout.axis_index(node.attributes.int("axis", 0)?)?;
        let length = stream.layout.dims()[axis];
        let sizes: Vec<u64> = match (constants.get(1).copied().flatten(), node.attributes.ints("split")?) {
            (Some(sizes), _) => sizes.ints()?.iter().map(|&size| u64::try_from(size).unwrap_or(0)).collect(),
            (None, Some(sizes)) => sizes.iter().map(|&size| u64::try_from(size).unwrap_or(0)).collect(),
            (None, None) => {
                let size = length.div_ceil(node.outputs.len().max(1) as u64);
                (0..node.outputs.len() as u64).map(|index| size.min(length.saturating_sub(index * size))).collect()
            }
        };
        let total = sizes.iter().try_fold(0u64, |total, &size| total.checked_add(size));
        if sizes.len() != node.outputs.len() || total != Some(length) || sizes.contains(&0) {
            return Err(Fault::shape(
                format!("a Split of {length} elements into {sizes:?}"),
                "the parts must make up the whole axis",
            ));
        }
        let mut first = 0;
        let mut parts = Vec::with_capacity(sizes.len());
        for size in sizes {
            parts.push(self.part(stream.clone(), axis, (first, size, 1), "Split")?);
            first += size;
        }
        Ok(parts)
    }

    /// Gather of evenly spaced constant indices.
    pub(in crate::walk) fn gather(
        &mut self,
        node: &Node,
        stream: Stream,
        constants: &[Option<&Constant>],
    ) -> Checked<Stream> {
        let axis = stream.layout.axis_index(node.attributes.int("axis", 0)?)?;
        let length = stream.layout.dims()[axis];
        let indices = constants.get(1).copied().flatten().ok_or_else(|| {
            Fault::operator("a Gather whose indices are no constants", "only constant indices can be built")
        })?;
        let places: Vec<u64> = indices
            .ints()?
            .iter()
            .map(|&index| crate::layout::axis_index(index, length as usize).map(|index| index as u64))
            .collect::<Checked<_>>()?;
        let (Some(&first), second) = (places.first(), places.get(1)) else {
            return Err(Fault::shape("a Gather of nothing", "check its indices"));
        };
        let step = second.map_or(1, |second| second.wrapping_sub(first));
        let at = |index: usize| (index as u64).checked_mul(step).and_then(|way| first.checked_add(way));
        let regular = places.iter().enumerate().all(|(index, &place)| at(index) == Some(place));
        if !regular || step == 0 || step > length {
            return Err(Fault::operator(
                "a Gather of indices that are not evenly spaced",
                "order the channels in the weights of the layer before",
            ));
        }
        let mut stream = self.part(stream, axis, (first, places.len() as u64, step), "Gather")?;
        let mut dims = stream.layout.dims();
        let new: Vec<u64> = indices.array.dims.iter().map(|&dim| dim as u64).collect();
        dims.splice(axis..=axis, new);
        stream.layout = stream.layout.reshape(&dims)?;
        Ok(stream)
    }

    /// DepthToSpace and SpaceToDepth: a matter of layout.
    pub(in crate::walk) fn blocks(&mut self, node: &Node, mut stream: Stream) -> Checked<Stream> {
        let size = u64::try_from(node.attributes.int("blocksize", 1)?).unwrap_or(0);
        let dims = stream.layout.dims();
        let is_depth = node.op == "DepthToSpace";
        let wrong = || Fault::shape(format!("`{}` of {dims:?} by blocks of {size}", node.op), "check its blocksize");
        let &[batch, channels, rows, columns] = dims.as_slice() else { return Err(wrong()) };
        let square = size.checked_mul(size).filter(|square| *square > 0).ok_or_else(wrong)?;
        let (cut, permutation, target) = if is_depth {
            if channels % square != 0 {
                return Err(wrong());
            }
            let depth = channels / square;
            let (cut, permutation) = match node.attributes.text("mode", "DCR")? {
                "DCR" => (vec![batch, size, size, depth, rows, columns], [0, 3, 4, 1, 5, 2]),
                "CRD" => (vec![batch, depth, size, size, rows, columns], [0, 1, 4, 2, 5, 3]),
                other => {
                    return Err(Fault::operator(format!("DepthToSpace in mode `{other}`"), "DCR and CRD can be built"));
                }
            };
            (cut, permutation, vec![batch, depth, rows * size, columns * size])
        } else {
            if rows % size != 0 || columns % size != 0 {
                return Err(wrong());
            }
            let cut = vec![batch, channels, rows / size, size, columns / size, size];
            let permutation = match node.attributes.text("mode", "DCR")? {
                "DCR" => [0, 3, 5, 1, 2, 4],
                "CRD" => [0, 1, 3, 5, 2, 4],
                other => {
                    return Err(Fault::operator(format!("SpaceToDepth in mode `{other}`"), "DCR and CRD can be built"));
                }
            };
            (cut, permutation, vec![batch, channels * square, rows / size, columns / size])
        };
        stream = self.reshaped_to(stream, &cut, &node.op)?;
        stream.layout = stream.layout.transpose(&permutation);
        self.reshaped_to(stream, &target, &node.op)
    }
}

/// How a canonical stream's axes, one of them cut, are rows, columns and channels.
fn order_of(stream: &Stream, start: u64) -> (Order, Option<Places>) {
    let axes = stream.layout.axes();
    let old = stream.shape;
    // Which of the model's axes steps by channels, columns or rows of the tensor.
    let place = |least: u64, most: u64| {
        axes.iter().position(|axis| axis.iter().any(|digit| digit.stride >= least && digit.stride < most))
    };
    let channels = place(1, old.channels);
    let columns = place(old.channels, old.channels * old.columns).filter(|place| Some(*place) != channels);
    let rows =
        place(old.channels * old.columns, u64::MAX).filter(|place| Some(*place) != channels && Some(*place) != columns);
    let placed = [rows, columns, channels].iter().flatten().count();
    if axes.iter().filter(|axis| !axis.is_empty()).count() != placed {
        // More axes than hardware has: one position with all elements.
        let order = Order { start, rows: Axis::new(), columns: Axis::new(), channels: axes.concat() };
        return (order, None);
    }
    let axis = |place: Option<usize>| place.and_then(|place| axes.get(place).cloned()).unwrap_or_default();
    let order = Order { start, rows: axis(rows), columns: axis(columns), channels: axis(channels) };
    (order, Some(Places { rows, columns, channels }))
}

/// The model's axes that are rows, columns and channels.
struct Places {
    rows: Option<usize>,
    columns: Option<usize>,
    channels: Option<usize>,
}

impl Places {
    /// The layout of a new tensor with these axes.
    fn layout(&self, stream: &Stream, dims: &[u64]) -> Layout {
        let shape = stream.shape;
        let mut axes = vec![Axis::new(); dims.len()];
        let sizes = [
            (self.rows, shape.rows, shape.columns * shape.channels),
            (self.columns, shape.columns, shape.channels),
            (self.channels, shape.channels, 1),
        ];
        for (place, size, stride) in sizes {
            if let Some(axis) = place.and_then(|place| axes.get_mut(place)).filter(|_| size > 1) {
                *axis = vec![Digit { size, stride }];
            }
        }
        Layout::of_axes(axes)
    }
}
