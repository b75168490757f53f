//! Average pooling and sums over positions: exact sums whose division is part of what they mean.

use super::output_shape;
use crate::constant::Constant;
use crate::exact::{Exact, Piece, integer};
use crate::fault::{Checked, Fault};
use crate::layout::{Axis, Layout, length};
use crate::model::Node;
use crate::walk::Walk;
use crate::walk::arrange::Order;
use crate::walk::convolution::{of_rank, value_of};
use crate::walk::stream::{Base, Stream, entry};
use network::Range;
use network::average::Counted;
use network::op::Op;
use network::requantization::MAX_SHIFT_FORM_BITS;
use network::shape::Window;
use num_traits::Zero;

impl Walk<'_> {
    /// AveragePool, GlobalAveragePool, ReduceMean and ReduceSum.
    pub(in crate::walk) fn average_pool(
        &mut self,
        node: &Node,
        stream: Stream,
        constants: &[Option<&Constant>],
    ) -> Checked<Stream> {
        let (stream, target) = self.reduced(node, stream, constants)?;
        let (_, stream) = self.affine(stream, &node.op)?;
        let (stream, rank) = self.image(stream, &node.op)?;
        let (window, counted) = match node.op.as_str() {
            "AveragePool" => average_window(node, &stream, rank - 2)?,
            _ => (global([stream.shape.rows, stream.shape.columns]), None),
        };
        let mut made = self.averaged(stream, &window, counted, node)?;
        made.layout = of_rank(&made, rank)?;
        match target {
            Some(dims) => self.reshaped_to(made, &dims, &node.op),
            None => Ok(made),
        }
    }

    /// The average over each window of an image's elements, or for `ReduceSum` their sum.
    pub(in crate::walk) fn averaged(
        &mut self,
        stream: Stream,
        window: &Window,
        counted: Option<Counted>,
        node: &Node,
    ) -> Checked<Stream> {
        let Base::Tensor(id) = stream.base else {
            return Err(Fault::quantizer("an average of the network's input", "put a Quant on the input"));
        };
        // Sums stand for so many taps each.
        let taps = match counted {
            Some(counted) => counted.factors(window, stream.shape).map(|factors| factors.common().unsigned_abs()),
            None => Some(window.taps()),
        };
        let taps = taps.ok_or_else(|| {
            Fault::operator(
                "an average whose windows count no element, or so many different numbers that no scale holds them all",
                "use less padding or a smaller kernel",
            )
        })?;
        let shape = output_shape(window, stream.shape, stream.shape.channels)?;
        let divisor = if node.op == "ReduceSum" { integer(1) } else { integer(taps) };
        // real = (gain * sum + taps * offset) / divisor.
        let piece = |piece: &Piece| Piece::affine(&piece.gain / &divisor, &piece.offset * integer(taps) / &divisor);
        let function = stream.function.iter().map(piece).collect();
        let encoding = self.tensor(id).encoding;
        let padding_value = if window.is_padded() { value_of(encoding, &stream.function, &Exact::zero())? } else { 0 };
        let mut made = Stream { function, shape, layout: Layout::channels_first(shape), ..stream };
        if window.taps() > 1 {
            let ranges = self.ranges(id);
            let padding = Range::new(padding_value, padding_value);
            let sums = (0..shape.channels as usize)
                .map(|channel| {
                    let range = *entry(&ranges, channel);
                    let range = if window.is_padded() { range.union(padding) } else { range };
                    let taps = i64::try_from(taps).ok()?;
                    let range = Range::new(range.min().checked_mul(taps)?, range.max().checked_mul(taps)?);
                    (range.bits() <= MAX_SHIFT_FORM_BITS).then_some(range)
                })
                .collect::<Option<Vec<Range>>>()
                .ok_or_else(|| Fault::operator("an average whose sum leaves 62 bits", "put a Quant before it"))?;
            let op = Op::SumPool { window: *window, padding_value, counted };
            made.base = Base::Tensor(self.add_sums("pool", vec![id], op, shape, sums, &node.name));
        }
        Ok(made)
    }

    /// A stream whose positions alone are reduced, as the image it is, and the dimensions of the result; those of
    /// pooling nodes follow from the window.
    pub(super) fn reduced(
        &mut self,
        node: &Node,
        mut stream: Stream,
        constants: &[Option<&Constant>],
    ) -> Checked<(Stream, Option<Vec<u64>>)> {
        if !node.op.starts_with("Reduce") {
            return Ok((stream, None));
        }
        let dims = stream.layout.dims();
        let axes = match (constants.get(1).copied().flatten(), node.attributes.ints("axes")?) {
            (Some(axes), _) => axes.ints()?,
            (None, Some(axes)) => axes.to_vec(),
            (None, None) => Vec::new(),
        };
        let mut axes: Vec<usize> = axes.iter().map(|&axis| stream.layout.axis_index(axis)).collect::<Checked<_>>()?;
        axes.sort_unstable();
        axes.dedup();
        if axes.is_empty() && node.attributes.int("noop_with_empty_axes", 0)? == 0 {
            axes = (0..dims.len()).collect();
        }
        let keeps = node.attributes.int("keepdims", 1)? != 0;
        let target = dims.iter().enumerate().filter(|(axis, _)| keeps || !axes.contains(axis));
        let mut target: Vec<u64> = target.map(|(axis, &dim)| if axes.contains(&axis) { 1 } else { dim }).collect();
        if target.is_empty() {
            target.push(1);
        }
        let permutation: Option<&[usize]> = match (dims.len(), axes.as_slice()) {
            (4, [2, 3]) => Some(&[0, 1, 2, 3]),
            (4, [1, 2]) => Some(&[0, 3, 1, 2]),
            (3, [2]) => Some(&[0, 1, 2]),
            (3, [1]) => Some(&[0, 2, 1]),
            _ => None,
        };
        if let Some(permutation) = permutation {
            stream.layout = stream.layout.transpose(permutation);
            return Ok((stream, Some(target)));
        }
        // What is reduced become positions, all else channels.
        let own = stream.layout.axes().to_vec();
        let mut gone = axes.iter().map(|&axis| own[axis].clone()).filter(|axis| length(axis) > 1);
        let rows = gone.next().unwrap_or_default();
        let columns = gone.collect::<Vec<Axis>>().concat();
        let stays = own.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, axis)| axis.clone());
        let order = Order { start: 0, rows, columns, channels: stays.collect::<Vec<Axis>>().concat() };
        let mut stream = self.arranged(stream, &order, &node.op)?;
        stream.layout = Layout::channels_first(stream.shape);
        Ok((stream, Some(target)))
    }
}

/// A window over all positions.
pub(super) fn global(kernel: [u64; 2]) -> Window {
    Window { kernel, stride: [1, 1], dilation: [1, 1], padding_before: [0, 0], padding_after: [0, 0] }
}

/// The window of an AveragePool, and which taps count where not all of them do.
fn average_window(node: &Node, stream: &Stream, axes: usize) -> Checked<(Window, Option<Counted>)> {
    let plain = super::kernel_window(node, stream.shape, axes)?;
    let mut window = plain;
    if node.attributes.int("ceil_mode", 0)? != 0 {
        super::round_up(&mut window, stream.shape);
    }
    let smaller = |a: [u64; 2], b: [u64; 2]| [a[0].min(b[0]), a[1].min(b[1])];
    let counted = if node.attributes.int("count_include_pad", 0)? != 0 {
        // Rounding up adds positions whose windows reach beyond the declared padding; there is nothing to count there.
        Counted { before: window.padding_before, after: smaller(window.padding_after, plain.padding_after) }
    } else {
        Counted { before: [0, 0], after: [0, 0] }
    };
    let counts_all = counted.before == window.padding_before && counted.after == window.padding_after;
    Ok((window, (!counts_all).then_some(counted)))
}
