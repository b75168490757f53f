//! Elements of a tensor in another order, some repeated or left out: what a model's Transpose, Reshape, Slice and the
//! like become where the next layer needs hardware's order.

mod pad;
mod resize;
mod slice;

use super::Walk;
use super::Wanted;
use super::stream::{Base, Stream, widen};
use crate::curve::Curve;
use crate::fault::{Checked, Fault};
use crate::layout::{Axis, Digit, Layout, length, offset};
use network::graph::{Encoding, Tensor, TensorId};
use network::op::{Loop, MAX_LOOPS, Op, Rearrangement};
use network::shape::AxisOrder;
use network::{Range, Shape};
use std::sync::Arc;

/// Rows, columns and channels of a new tensor, as digits of the elements of an old one.
pub(super) struct Order {
    pub start: u64,
    pub rows: Axis,
    pub columns: Axis,
    pub channels: Axis,
}

impl Walk<'_> {
    /// Adds a rearrangement; nothing where it changes nothing.
    fn rearranged(&mut self, id: TensorId, arrangement: Rearrangement, origin: &str) -> TensorId {
        let Tensor { shape, encoding } = *self.tensor(id);
        let arrangement = arrangement.simplified();
        let is_identity = arrangement.start == 0
            && arrangement.shape == shape
            && matches!(arrangement.loops.as_slice(), [] | [Loop { stride: 1, .. }]);
        if is_identity {
            return id;
        }
        let tensor = Tensor { shape: arrangement.shape, encoding };
        self.add_layer("move", vec![id], Op::Rearrange(arrangement), None, tensor, origin)
    }

    /// Applies a rearrangement of positions to a stream whose channels stay.
    pub(super) fn move_positions(
        &mut self,
        stream: Stream,
        shape: Shape,
        start: u64,
        loops: Vec<Loop>,
        origin: &str,
    ) -> Checked<Stream> {
        let (id, stream) = self.whole(stream, origin)?;
        let made = self.rearranged(id, Rearrangement { shape, start, loops }, origin);
        if made != id {
            self.sums[made.0] = self.sums[id.0].clone();
        }
        Ok(Stream { base: Base::Tensor(made), shape, ..stream })
    }

    /// A stream's elements as a tensor of another order; its layout is left to the caller.
    pub(super) fn arranged(&mut self, stream: Stream, order: &Order, origin: &str) -> Checked<Stream> {
        let (id, stream) = self.whole(stream, origin)?;
        let large = || Fault::shape("a tensor in another order is too large", "use smaller frames");
        let shape = Shape::new(length(&order.rows), length(&order.columns), length(&order.channels));
        let shape = shape.ok_or_else(large)?;
        let mut loops = Vec::new();
        for digit in order.rows.iter().chain(&order.columns).chain(&order.channels) {
            let stride = i64::try_from(digit.stride).map_err(|_| large())?;
            loops.push(Loop { count: digit.size, stride });
        }
        let arrangement = Rearrangement { shape, start: order.start, loops };
        if arrangement.clone().simplified().loops.len() > MAX_LOOPS {
            return Err(Fault::operator(
                format!("an order of elements that takes more than {MAX_LOOPS} loops"),
                "leave out some Transposes and Reshapes",
            ));
        }
        let made = self.rearranged(id, arrangement, origin);
        let mut stream = Stream { base: Base::Tensor(made), shape, ..stream };
        let is_uniform = stream.function.len() == 1 && stream.curve.as_ref().is_none_or(|curve| curve.channels() == 1);
        if made == id || (is_uniform && self.sums[id.0].is_none()) {
            return Ok(stream);
        }
        let old_channels = self.tensor(id).shape.channels;
        let sources = sources(order, old_channels);
        if let Some(ranges) = self.sums[id.0].clone() {
            let union = |sources: &Vec<usize>| {
                sources.iter().filter_map(|&source| ranges.get(source).copied()).reduce(Range::union)
            };
            self.sums[made.0] = sources.iter().map(union).collect();
        }
        if is_uniform {
            return Ok(stream);
        }
        let refuse = || {
            Fault::operator(
                "channels with scales of their own come to lie in one channel",
                "use one scale for the tensor that is reordered",
            )
        };
        if stream.function.len() > 1 {
            widen(&mut stream.function, old_channels as usize);
            let old = stream.function;
            let piece = |sources: &Vec<usize>| {
                let first = &old[*sources.first()?];
                sources.iter().all(|&source| old[source] == *first).then(|| first.clone())
            };
            stream.function = sources.iter().map(piece).collect::<Option<_>>().ok_or_else(refuse)?;
        }
        if let Some(curve) = stream.curve.take() {
            let channel = |sources: &Vec<usize>| match sources.as_slice() {
                [only] => Some(*only),
                [first, ..] if curve.channels() == 1 => Some(*first),
                _ => None,
            };
            let channels = sources.iter().map(channel).collect::<Option<Vec<usize>>>().ok_or_else(refuse)?;
            stream.curve = Some(Arc::new(Curve::Channels(curve, Arc::new(channels))));
        }
        Ok(stream)
    }

    /// The stream as the image (1, channels, rows, columns) that hardware holds, and the model's rank of it: 3 where it
    /// has a single axis of positions. A tensor in another order is rearranged; for the network's input, whose rows
    /// and columns are open, the shape is asked for that makes it so.
    pub(super) fn image(&mut self, mut stream: Stream, op: &str) -> Checked<(Stream, usize)> {
        let dims = stream.layout.dims();
        let rank = dims.len();
        if let [1, channels, columns] = *dims.as_slice() {
            stream.layout = stream.layout.reshape(&[1, channels, 1, columns])?;
        }
        if stream.layout.is_channels_first(stream.shape) {
            return Ok((stream, rank));
        }
        let (&[1, channels, rows, columns], [_, channel_axis, row_axis, column_axis]) =
            (stream.layout.dims().as_slice(), stream.layout.axes())
        else {
            return Err(Fault::shape(
                format!("`{op}` reads a tensor of shape {dims:?}"),
                "images (1, channels, rows, columns) and (1, channels, columns) can be built",
            ));
        };
        let order =
            Order { start: 0, rows: row_axis.clone(), columns: column_axis.clone(), channels: channel_axis.clone() };
        self.want(&stream, Shape::new(rows, columns, channels));
        let is_open = matches!(stream.base, Base::Input(_));
        if self.wanted.is_some() || is_open {
            return Err(Fault::shape(
                format!("`{op}` reads {dims:?} in another order than hardware holds it ({})", stream.shape),
                "put a Quant on the input, or keep (channels, rows, columns) between convolutions",
            ));
        }
        let mut stream = self.arranged(stream, &order, op)?;
        stream.layout = Layout::channels_first(stream.shape);
        Ok((stream, rank))
    }

    /// Asks for the input as an image of a shape, where the stream is the flat input.
    fn want(&mut self, stream: &Stream, shape: Option<Shape>) {
        let Some((input, shape)) = self.open_input(&stream.base).zip(shape) else { return };
        if stream.pooled.is_some() {
            return;
        }
        // While the input is flat, its layout counts elements in the model's own order.
        if stream.layout == Layout::row_major(&stream.layout.dims()) {
            self.wanted = Some(Wanted { input, shape, axes: AxisOrder::ChannelsFirst });
        } else if stream.layout == Layout::channels_first(shape) {
            self.wanted = Some(Wanted { input, shape, axes: AxisOrder::ChannelsLast });
        }
    }

    /// The stream in the order that hardware would choose for its axes: an image, or a sequence whose channels are the
    /// axis that now varies fastest, or one position.
    pub(super) fn canonical(&mut self, stream: Stream, op: &str) -> Checked<Stream> {
        let axes = stream.layout.axes().to_vec();
        let dims = stream.layout.dims();
        let order = |rows: &Axis, columns: &Axis, channels: &Axis| Order {
            start: 0,
            rows: rows.clone(),
            columns: columns.clone(),
            channels: channels.clone(),
        };
        let fastest = |axis: &Axis| axis.last().is_some_and(|digit| digit.stride == 1);
        let none = Axis::new();
        let (order, places) = match axes.as_slice() {
            [batch, rows, columns, channels] if batch.is_empty() && fastest(channels) => {
                (order(rows, columns, channels), [1, 2, 3])
            }
            [batch, channels, rows, columns] if batch.is_empty() => (order(rows, columns, channels), [2, 3, 1]),
            [batch, columns, channels] if batch.is_empty() && fastest(channels) => {
                (order(&none, columns, channels), [9, 1, 2])
            }
            [batch, channels, columns] if batch.is_empty() => (order(&none, columns, channels), [9, 2, 1]),
            _ => (order(&none, &none, &axes.concat()), [9, 9, 9]),
        };
        let mut stream = self.arranged(stream, &order, op)?;
        let Shape { rows, columns, channels } = stream.shape;
        stream.layout = if places == [9, 9, 9] {
            Layout::row_major(&dims)
        } else {
            let single = |size: u64, stride: u64| if size == 1 { Vec::new() } else { vec![Digit { size, stride }] };
            let mut made = vec![Axis::new(); dims.len()];
            let sizes = [(rows, columns * channels), (columns, channels), (channels, 1)];
            for (place, (size, stride)) in places.into_iter().zip(sizes) {
                if let Some(axis) = made.get_mut(place) {
                    *axis = single(size, stride);
                }
            }
            Layout::of_axes(made)
        };
        Ok(stream)
    }

    /// The stream as a tensor whose channels are the model's last axis.
    pub(super) fn channels_last(&mut self, stream: Stream, op: &str) -> Checked<(TensorId, Stream)> {
        let axes = stream.layout.axes().to_vec();
        let dims = stream.layout.dims();
        let (channels, others) = axes.split_last().ok_or_else(|| Fault::shape("a scalar", "give it an axis"))?;
        let (rows, columns) = match others {
            [batch, rows, columns] if batch.is_empty() => (rows.clone(), columns.clone()),
            _ => (Axis::new(), others.concat()),
        };
        let order = Order { start: 0, rows, columns, channels: channels.clone() };
        let mut stream = self.arranged(stream, &order, op)?;
        stream.layout = Layout::row_major(&dims);
        let Base::Tensor(id) = stream.base else {
            return Err(Fault::quantizer(format!("`{op}` reads the network's input"), "put a Quant on the input"));
        };
        Ok((id, stream))
    }

    /// A stream that leaves: in an order that users can be told, channels first or last.
    pub(super) fn orderly(&mut self, stream: Stream) -> Checked<Stream> {
        if matches!(stream.base, Base::Input(_)) {
            return Ok(stream);
        }
        let dims = stream.layout.dims();
        if dims.len() == 3 || dims.len() == 4 {
            match self.image(stream.clone(), "the output") {
                // Channels of several scales that would have to lie in one leave as elements of a list.
                Err(fault) if fault.code == network::Code::ModelOperator && self.wanted.is_none() => {}
                made => return Ok(made?.0),
            }
        }
        let channels = stream.layout.axes().concat();
        let order = Order { start: 0, rows: Axis::new(), columns: Axis::new(), channels };
        let mut stream = self.arranged(stream, &order, "the output")?;
        stream.layout = Layout::row_major(&dims);
        Ok(stream)
    }

    /// The layout with other axes over the same elements; where hardware's order cannot be seen so, the elements are
    /// brought into the model's order first.
    pub(super) fn reshaped_to(&mut self, mut stream: Stream, dims: &[u64], op: &str) -> Checked<Stream> {
        match stream.layout.reshape(dims) {
            Ok(layout) => stream.layout = layout,
            Err(fault) => {
                let same_count =
                    dims.iter().try_fold(1u64, |n, &dim| n.checked_mul(dim)) == Some(stream.shape.elements());
                let is_real = matches!(stream.base, Base::Input(_));
                if is_real || self.open_input(&stream.base).is_some() || !same_count {
                    return Err(fault);
                }
                let channels = stream.layout.axes().concat();
                let order = Order { start: 0, rows: Axis::new(), columns: Axis::new(), channels };
                stream = self.arranged(stream, &order, op)?;
                stream.layout = Layout::row_major(dims);
            }
        }
        Ok(stream)
    }

    /// The single channel of every position repeated to `channels`.
    pub(super) fn repeated(&mut self, stream: Stream, channels: u64, op: &str) -> Checked<Stream> {
        let Shape { rows, columns, .. } = stream.shape;
        let shape = Shape::new(rows, columns, channels)
            .ok_or_else(|| Fault::shape("a broadcast makes too many channels", "use fewer"))?;
        let loops = vec![Loop { count: rows * columns, stride: 1 }, Loop { count: channels, stride: 0 }];
        let (id, mut stream) = self.whole(stream, op)?;
        let made = self.rearranged(id, Rearrangement { shape, start: 0, loops }, op);
        if matches!(self.tensor(id).encoding, Encoding::Sums { .. }) {
            self.sums[made.0] = Some(vec![self.tensor(id).encoding.values(); channels as usize]);
        }
        stream.base = Base::Tensor(made);
        stream.shape = shape;
        Ok(stream)
    }
}

/// For each new channel the old channels whose elements come to lie in it.
fn sources(order: &Order, old_channels: u64) -> Vec<Vec<usize>> {
    let modulus = old_channels.max(1);
    let mut residues = vec![order.start % modulus];
    for digit in order.rows.iter().chain(&order.columns).filter(|digit| digit.stride % modulus != 0) {
        let mut seen = vec![false; modulus as usize];
        let mut grown = Vec::new();
        for step in 0..digit.size.min(modulus) {
            for residue in &residues {
                let place = (residue + step * (digit.stride % modulus)) % modulus;
                if !std::mem::replace(&mut seen[place as usize], true) {
                    grown.push(place);
                }
            }
        }
        residues = grown;
    }
    (0..length(&order.channels))
        .map(|channel| {
            let at = offset(&order.channels, channel) % modulus;
            residues.iter().map(|residue| ((residue + at) % modulus) as usize).collect()
        })
        .collect()
}
