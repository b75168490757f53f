//! Concatenation of channels: parts stay apart until it is known what they become.

use super::super::{Walk, codes};
use crate::curve::Curve;
use crate::exact::Piece;
use crate::fault::{Checked, Fault};
use crate::layout::{Digit, Layout};
use crate::model::Node;
use crate::walk::stream::{Base, Stream, widen};
use network::graph::{Encoding, HostStep, Tensor, TensorId};
use network::op::{MAX_INPUTS, Op};
use network::requantization::{Form, Requantization, Shift};
use network::{Format, Range, Shape};
use std::sync::Arc;

impl Walk<'_> {
    /// Concat over the channels.
    pub(super) fn concat(&mut self, node: &Node, streams: Vec<Stream>) -> Checked<Stream> {
        let nothing = || Fault::operator("a Concat of nothing", "export the model again");
        let axis = node.attributes.int("axis", 1)?;
        let axis = streams.first().ok_or_else(nothing)?.layout.axis_index(axis)?;
        let streams = if streams.iter().all(|stream| is_channel_axis(stream, axis)) {
            streams
        } else {
            streams.into_iter().map(|stream| self.canonical(stream, &node.op)).collect::<Checked<Vec<Stream>>>()?
        };
        let first = streams.first().ok_or_else(nothing)?;
        let (rows, columns) = (first.shape.rows, first.shape.columns);
        let own_axes = first.layout.axes().to_vec();
        let mut ids = Vec::new();
        let mut function = Vec::new();
        let is_bent = streams.iter().any(|stream| stream.curve.is_some());
        let mut curves = Vec::new();
        for stream in streams {
            let stream = self.unpooled(stream, &node.op)?;
            let dims = stream.layout.dims();
            let is_channels = is_channel_axis(&stream, axis);
            let alike = [stream.shape.rows, stream.shape.columns] == [rows, columns] && dims.len() == own_axes.len();
            if !is_channels || !alike {
                return Err(Fault::shape(
                    format!("a Concat over axis {axis} of a tensor of shape {dims:?} ({})", stream.shape),
                    "only channels of tensors with the same rows and columns can be joined; end the network before it (--outputs)",
                ));
            }
            if is_bent {
                curves.push((stream.channels(), stream.as_curve()));
            }
            let mut pieces = stream.function.clone();
            widen(&mut pieces, stream.channels());
            function.extend(pieces);
            match stream.base {
                Base::Input(_) => {
                    return Err(Fault::quantizer("a Concat reads the network's input", "put a Quant on the input"));
                }
                Base::Tensor(id) => ids.push(id),
                Base::Joined(parts) => ids.extend(parts),
            }
        }
        if ids.len() > MAX_INPUTS {
            return Err(Fault::operator(format!("a Concat of {} tensors", ids.len()), "join them in several steps"));
        }
        let shape = Shape::new(rows, columns, function.len() as u64)
            .ok_or_else(|| Fault::shape("a Concat makes too many channels", "join fewer tensors"))?;
        // Rows and columns of a hardware tensor step by its channels.
        let layout = own_layout(&own_axes, axis, shape).ok_or_else(|| {
            Fault::shape(
                "a Concat of tensors whose positions are in another order than hardware holds them",
                "keep (channels, rows, columns), or transpose after the Concat",
            )
        })?;
        let curve = is_bent.then(|| Arc::new(Curve::Parts(curves)));
        if is_bent {
            function = vec![Piece::identity()];
        }
        if function.iter().all(|piece: &Piece| *piece == function[0]) {
            function.truncate(1);
        }
        let stream =
            Stream { base: Base::Joined(ids), shape, layout, function, curve, pooled: None, host: HostStep::None };
        // Codes of one format are joined at once; a quantizer that follows is a single one.
        let Base::Joined(ids) = &stream.base else { return Ok(stream) };
        let mut formats = ids.iter().map(|id| match self.tensor(*id).encoding {
            Encoding::Codes { format, .. } => Some(format),
            Encoding::Sums { .. } => None,
        });
        let format = formats.next().flatten();
        if format.is_some() && formats.all(|other| other == format) {
            return self.joined(stream, &node.name);
        }
        Ok(stream)
    }

    /// A stream without a waiting pool.
    pub(in crate::walk) fn unpooled(&mut self, stream: Stream, reader: &str) -> Checked<Stream> {
        if stream.pooled.is_some() { Ok(self.whole(stream, reader)?.1) } else { Ok(stream) }
    }

    /// The parts of a concatenation as one tensor: of one format, or all sums.
    pub(in crate::walk) fn joined(&mut self, stream: Stream, reader: &str) -> Checked<Stream> {
        let Base::Joined(ids) = &stream.base else { return Ok(stream) };
        let id = self.join_tensors(ids.clone(), stream.shape, reader)?;
        Ok(Stream { base: Base::Tensor(id), ..stream })
    }

    /// The channels of several tensors one after the other; tensors of different formats are given the narrowest
    /// that holds the values of all.
    pub(in crate::walk) fn join_tensors(
        &mut self,
        mut ids: Vec<TensorId>,
        shape: Shape,
        reader: &str,
    ) -> Checked<TensorId> {
        if let [only] = ids.as_slice() {
            return Ok(*only);
        }
        let encodings: Vec<Encoding> = ids.iter().map(|id| self.tensor(*id).encoding).collect();
        let all = encodings.iter().map(|encoding| encoding.values()).reduce(Range::union).unwrap_or(Range::new(0, 0));
        let formats: Vec<Option<Format>> = encodings
            .iter()
            .map(|encoding| match encoding {
                Encoding::Codes { format, .. } => Some(*format),
                Encoding::Sums { .. } => None,
            })
            .collect();
        let is_one = formats.windows(2).all(|pair| pair[0] == pair[1]);
        let holds_all = |format: &Format| {
            format.kind() != network::format::Kind::Bipolar && format.code_range().contains_range(all)
        };
        if !is_one {
            let common = formats.iter().flatten().copied().find(holds_all).or_else(|| Format::integer_for(all));
            let common = common.ok_or_else(|| {
                Fault::quantizer(
                    format!("`{reader}` reads joined sums and codes that no format of 16 bits holds ({all})"),
                    "put a Quant after the Concat, or on each of its inputs",
                )
            })?;
            for (id, encoding) in ids.iter_mut().zip(&encodings) {
                let Tensor { shape, .. } = *self.tensor(*id);
                let same = matches!(encoding, Encoding::Codes { format, .. } if *format == common);
                if !same {
                    let form =
                        Form::Shift(Shift { multipliers: vec![1], offsets: vec![0], shift: 0, half_even: false });
                    let range = encoding.values();
                    let requantization = Requantization { output: common, codes: range, form, rule: None };
                    let tensor = Tensor { shape, encoding: codes(common, range) };
                    *id = self.add_layer("quant", vec![*id], Op::Identity, Some(requantization), tensor, reader);
                }
            }
        }
        let mut sums = Vec::new();
        for id in &ids {
            let mut ranges = self.ranges(*id);
            widen(&mut ranges, self.tensor(*id).shape.channels as usize);
            sums.extend(ranges);
        }
        let tensors: Vec<Encoding> = ids.iter().map(|id| self.tensor(*id).encoding).collect();
        let range = tensors.iter().map(|encoding| encoding.integers()).reduce(Range::union).unwrap_or(all);
        let encoding = match tensors.first() {
            Some(Encoding::Codes { format, .. }) => codes(*format, range),
            _ => Encoding::Sums { range },
        };
        let id = self.add_layer("concat", ids, Op::Concat, None, Tensor { shape, encoding }, reader);
        if matches!(encoding, Encoding::Sums { .. }) {
            self.sums[id.0] = Some(sums);
        }
        Ok(id)
    }
}

/// Whether an axis is all channels of the stream's tensor.
fn is_channel_axis(stream: &Stream, axis: usize) -> bool {
    stream.layout.axes().get(axis).is_some_and(|digits| match digits.as_slice() {
        [] => stream.shape.channels == 1,
        [digit] => *digit == Digit { size: stream.shape.channels, stride: 1 },
        _ => false,
    })
}

/// The layout of a concatenation: like that of its first part, with more channels.
fn own_layout(axes: &[Vec<Digit>], channel_axis: usize, shape: Shape) -> Option<Layout> {
    let channels: u64 = axes.get(channel_axis)?.iter().map(|digit| digit.size).product();
    Layout::of_axes(axes.to_vec()).with_channels_at(channel_axis, channels, shape.channels)
}
