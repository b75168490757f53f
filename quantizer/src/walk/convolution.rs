//! Convolutions: one and two axes, groups, and transposed ones.

mod transposed;

use super::linear::{add_bias, sum_ranges};
use super::stream::{Base, Stream};
use super::{Walk, pool};
use crate::constant::Constant;
use crate::exact::{Exact, Piece, to_i64};
use crate::fault::{Checked, Fault};
use crate::layout::Layout;
use crate::model::Node;
use network::format::Kind;
use network::graph::Encoding;
use network::op::{Op, Weights};
use network::shape::Window;
use network::{Format, Range, Shape};
use num_traits::{One, Zero};

impl Walk<'_> {
    /// Conv over one or two axes.
    pub(super) fn conv(&mut self, node: &Node, stream: Stream, constants: &[Option<&Constant>]) -> Checked<Stream> {
        let weights = image_weights(node, constants)?;
        let &[outputs, channels, rows, columns] = weights.array.dims.as_slice() else {
            return Err(Fault::shape("a Conv without weights", "store its weights in the model"));
        };
        let (_, stream) = self.settle(stream, "Conv")?;
        let (mut stream, rank) = self.image(stream, "Conv")?;
        let groups = groups(node)?;
        let split = |count: usize| u64::try_from(count).ok().filter(|count| *count > 0 && count % groups == 0);
        let is_whole = split(outputs).is_some() && (channels as u64).checked_mul(groups) == Some(stream.shape.channels);
        if !is_whole || weights.array.len() == 0 {
            return Err(Fault::shape(
                format!(
                    "a Conv over {} channels in {groups} groups with weights of shape {:?}",
                    stream.shape.channels, weights.array.dims
                ),
                "weights are (outputs, channels of a group, rows, columns)",
            ));
        }
        let kernel = [rows as u64, columns as u64];
        let axes = rank - 2;
        if node.attributes.ints("kernel_shape")?.is_some()
            && node.attributes.spatial("kernel_shape", 1, 1, axes)? != kernel
        {
            return Err(Fault::shape(format!("kernel_shape is not {kernel:?}"), "it must be that of the weights"));
        }
        let mut window = window(node, kernel, stream.shape, axes)?;
        if let Some(pads) = node.inputs.first().copied().flatten().and_then(|id| self.pads.get(&id).copied()) {
            stream = self.with_pads(stream, pads, &mut window, &node.name)?;
        }
        let mut result = self.convolve(stream, &weights, window, groups, &node.name)?;
        result.layout = of_rank(&result, rank)?;
        if let Some(bias) = constants.get(2).copied().flatten() {
            let mut dims = vec![bias.array.len()];
            dims.extend(std::iter::repeat_n(1, axes));
            add_bias(&mut result, bias, &dims, &Exact::one())?;
        }
        Ok(result)
    }

    /// Padding that stood before a convolution: part of its window where that may have so much, else a layer.
    fn with_pads(&mut self, stream: Stream, pads: [u64; 4], window: &mut Window, origin: &str) -> Checked<Stream> {
        let mut wider = *window;
        for axis in 0..2 {
            wider.padding_before[axis] += pads[axis];
            wider.padding_after[axis] += pads[axis + 2];
        }
        let span = wider.span();
        if (0..2).all(|axis| wider.padding_before[axis].max(wider.padding_after[axis]) < span[axis]) {
            *window = wider;
            return Ok(stream);
        }
        self.padded(stream, pads, &Exact::zero(), origin)
    }

    /// A convolution of an image with weights of shape (outputs, channels of a group, rows, columns).
    pub(super) fn convolve(
        &mut self,
        stream: Stream,
        weights: &Constant,
        window: Window,
        groups: u64,
        origin: &str,
    ) -> Checked<Stream> {
        let (id, stream) = self.settle(stream, "Conv")?;
        let &[outputs, channels, rows, columns] = weights.array.dims.as_slice() else {
            return Err(Fault::shape("weights without four axes", "export the model again"));
        };
        let shape = pool::output_shape(&window, stream.shape, outputs as u64)?;
        // Hardware order is rows, columns, channels; the model's is channels, rows, columns.
        let taps = rows * columns;
        let order: Vec<usize> = (0..taps * channels).map(|place| place % channels * taps + place / channels).collect();
        let in_group = (outputs / groups as usize).max(1);
        let first = |output: usize| output / in_group * channels;
        let (weights, function) = self.rows(&stream, weights, &order, (channels, &first))?;
        let encoding = self.tensor(id).encoding;
        let padding_value = if window.is_padded() { value_of(encoding, &stream.function, &Exact::zero())? } else { 0 };
        let mut values = encoding.values();
        if window.is_padded() {
            values = values.union(Range::new(padding_value, padding_value));
        }
        let sums = sum_ranges(&weights, values)?;
        let op = Op::Conv2d { weights, window, padding_value, groups };
        let id = self.add_sums("conv", vec![id], op, shape, sums, origin);
        let layout = Layout::channels_first(shape);
        Ok(Stream { base: Base::Tensor(id), shape, layout, function, curve: None, pooled: None, host: stream.host })
    }

    /// An image with rows above and below and columns left and right (pads: top, left, bottom, right) that mean
    /// `real`: a convolution of each channel with a single 1.
    pub(super) fn padded(&mut self, stream: Stream, pads: [u64; 4], real: &Exact, origin: &str) -> Checked<Stream> {
        let (id, stream) = self.settle(stream, "Pad")?;
        let [top, left, bottom, right] = pads;
        let kernel = [top + bottom + 1, left + right + 1];
        let around = [top + bottom, left + right];
        let window = Window { kernel, stride: [1, 1], dilation: [1, 1], padding_before: around, padding_after: around };
        let shape = pool::output_shape(&window, stream.shape, stream.shape.channels)?;
        let channels = stream.shape.channels;
        let encoding = self.tensor(id).encoding;
        let padding_value = value_of(encoding, &stream.function, real)?;
        let (length, one) = ((kernel[0] * kernel[1]) as usize, (bottom * kernel[1] + right) as usize);
        let format = Format::unsigned(1).ok_or_else(|| Fault::shape("no format of one bit", "leave out the Pad"))?;
        if length.saturating_mul(channels as usize) > MAX_PAD_WEIGHTS {
            return Err(Fault::shape(format!("a Pad by {pads:?}"), "pad less, or in a convolution"));
        }
        let values = (0..length * channels as usize).map(|place| i32::from(place % length == one)).collect();
        let weights = Weights::plain(format, channels as usize, length, values);
        let range = encoding.values().union(Range::new(padding_value, padding_value));
        let op = Op::Conv2d { weights, window, padding_value, groups: channels };
        let id = self.add_sums("pad", vec![id], op, shape, vec![range; channels as usize], origin);
        let id = self.narrow(id, origin).unwrap_or(id);
        Ok(Stream { base: Base::Tensor(id), shape, layout: Layout::channels_first(shape), ..stream })
    }
}

/// Most weights of a layer that only pads.
const MAX_PAD_WEIGHTS: usize = 1 << 24;

/// The layout of an image as the model sees it: with one axis of positions or two.
pub(super) fn of_rank(stream: &Stream, rank: usize) -> Checked<Layout> {
    let layout = Layout::channels_first(stream.shape);
    if rank == 4 { Ok(layout) } else { layout.reshape(&[1, stream.shape.channels, stream.shape.columns]) }
}

/// The number of groups.
fn groups(node: &Node) -> Checked<u64> {
    let groups = node.attributes.int("group", 1)?;
    u64::try_from(groups).ok().filter(|groups| *groups > 0).ok_or_else(|| {
        Fault::operator(format!("`{}` in {groups} groups", node.op), "a group holds at least one channel")
    })
}

/// Weights with rows and columns; those of one axis have one row.
fn image_weights(node: &Node, constants: &[Option<&Constant>]) -> Checked<Constant> {
    let weights = constants.get(1).copied().flatten();
    let weights = weights.ok_or_else(|| {
        Fault::operator(format!("a {} without constant weights", node.op), "store its weights in the model")
    })?;
    match *weights.array.dims.as_slice() {
        [_, _, _, _] => Ok(weights.clone()),
        [a, b, columns] => weights.with_dims(vec![a, b, 1, columns]),
        _ => Err(Fault::operator(
            format!("a {} with weights of shape {:?}", node.op, weights.array.dims),
            "convolutions over one or two axes can be built",
        )),
    }
}

/// The integer of a tensor that means a real number in every channel, for padding.
pub(super) fn value_of(encoding: Encoding, function: &[Piece], real: &Exact) -> Checked<i64> {
    let refuse = |what: String| {
        let zero = if real.is_zero() { "zero padding of codes that have no zero" } else { "padding with no code" };
        Err(Fault::operator(
            format!("{zero}: {what}"),
            "use a whole zero point inside the codes, the same for every channel, or no padding",
        ))
    };
    let values: Vec<Exact> = function
        .iter()
        .filter(|piece| !piece.gain.is_zero())
        .map(|piece| (real - &piece.offset) / &piece.gain)
        .collect();
    let Some(value) = values.first() else { return Ok(0) };
    if values.iter().any(|other| other != value) {
        return refuse("the zero points of the channels differ".to_owned());
    }
    let whole = to_i64(value).filter(|value| value.abs() <= 1 << 16);
    match (encoding, whole) {
        (Encoding::Sums { .. }, Some(value)) => Ok(value),
        (Encoding::Codes { format, .. }, Some(0)) if format.kind() == Kind::Bipolar => Ok(0),
        (Encoding::Codes { format, .. }, Some(value))
            if format.kind() != Kind::Bipolar && format.value_range().contains(value) =>
        {
            Ok(value)
        }
        _ => refuse(format!("real {} is {} {value}", crate::exact::to_f64(real), encoding.label())),
    }
}

/// Kernel, stride, dilation and padding of a node over one or two axes.
pub(super) fn window(node: &Node, kernel: [u64; 2], input: Shape, axes: usize) -> Checked<Window> {
    let stride = node.attributes.spatial("strides", 1, 1, axes)?;
    let dilation = node.attributes.spatial("dilations", 1, 1, axes)?;
    let mut window = Window { kernel, stride, dilation, padding_before: [0, 0], padding_after: [0, 0] };
    let auto = node.attributes.text("auto_pad", "NOTSET")?;
    match auto {
        "NOTSET" | "" => {
            if let Some([top, left, bottom, right]) = pads(node, axes)? {
                (window.padding_before, window.padding_after) = ([top, left], [bottom, right]);
            }
        }
        "VALID" => {}
        "SAME_UPPER" | "SAME_LOWER" => {
            let span = window.span();
            for (axis, length) in [input.rows, input.columns].into_iter().enumerate() {
                let positions = length.div_ceil(stride[axis]);
                let padding = ((positions - 1) * stride[axis] + span[axis]).saturating_sub(length);
                let small = padding / 2;
                let (before, after) =
                    if auto == "SAME_UPPER" { (small, padding - small) } else { (padding - small, small) };
                (window.padding_before[axis], window.padding_after[axis]) = (before, after);
            }
        }
        other => {
            return Err(Fault::operator(
                format!("auto_pad `{other}`"),
                "NOTSET, VALID, SAME_UPPER and SAME_LOWER can be built",
            ));
        }
    }
    Ok(window)
}

/// The `pads` attribute as top, left, bottom, right.
pub(super) fn pads(node: &Node, axes: usize) -> Checked<Option<[u64; 4]>> {
    let Some(pads) = node.attributes.ints("pads")? else { return Ok(None) };
    let numbers: Vec<u64> =
        pads.iter().filter_map(|&pad| u64::try_from(pad).ok().filter(|&pad| pad < 1 << 24)).collect();
    match *numbers.as_slice() {
        [top, left, bottom, right] if axes == 2 => Ok(Some([top, left, bottom, right])),
        [left, right] if axes == 1 => Ok(Some([0, left, 0, right])),
        _ => Err(Fault::shape(
            format!("pads are {pads:?}"),
            "four numbers (top, left, bottom, right), or two for one axis, none negative",
        )),
    }
}
