//! Operators that join streams of data: sums, differences and products of tensors, and concatenations.

mod concat;

use super::Walk;
use super::stream::{Base, Stream, entry, widen};
use crate::constant::Constant;
use crate::exact::{Exact, Functions, Piece, gcd, integer, to_i64};
use crate::fault::{Checked, Fault};
use crate::layout::{Axis, Digit};
use crate::model::Node;
use crate::quantization;
use crate::solve::collapse;
use network::graph::{Encoding, HostStep, Tensor, TensorId};
use network::op::{MAX_INPUTS, Op};
use network::requantization::{Form, MAX_SHIFT_FORM_BITS, Requantization, Shift};
use network::{Format, Range};
use num_traits::{One, ToPrimitive, Zero};

/// Factors above this are worth a note: each costs a multiplier of so many bits.
const LARGE_FACTOR: i64 = 1 << 12;

impl Walk<'_> {
    /// A node that reads several streams; `constants` are its other inputs.
    pub(super) fn join(
        &mut self,
        node: &Node,
        streams: Vec<Stream>,
        constants: &[Option<&Constant>],
    ) -> Checked<Stream> {
        if quantization::is_quantizer(node) {
            return Err(Fault::quantizer(
                "a quantizer's parameter depends on the input",
                "quantizer parameters must be constants of the model",
            ));
        }
        for stream in &streams {
            stream.check_host(&node.op)?;
        }
        if constants.iter().any(Option::is_some) {
            return Err(Fault::operator(
                format!("`{}` joins streams of data and constants", node.op),
                "join the streams first, then add or multiply the constant",
            ));
        }
        if let Some(stream) = self.combined(node, &streams)? {
            return Ok(stream);
        }
        match node.op.as_str() {
            "Add" | "Sum" => self.sum(node, streams, false),
            "Sub" => self.sum(node, streams, true),
            "Mul" => self.product(node, streams),
            "Concat" => self.concat(node, streams),
            other => Err(Fault::operator(
                format!("`{other}` joins {} streams of data", streams.len()),
                "Add, Sub, Mul and Concat can join streams",
            )),
        }
    }

    /// The sum of all streams, or the first less the second: exact integer factors over a common measure.
    fn sum(&mut self, node: &Node, streams: Vec<Stream>, is_difference: bool) -> Checked<Stream> {
        let mut parts: Vec<(TensorId, Stream)> = Vec::new();
        for (index, stream) in streams.into_iter().enumerate() {
            let (id, mut stream) = self.affine(stream, &node.op)?;
            if is_difference && index == 1 {
                stream.then_affine(&[(-Exact::one(), Exact::zero())]);
            }
            match parts.iter_mut().find(|(other, part)| *other == id && part.layout == stream.layout) {
                // The same tensor again: its functions are added.
                Some((_, part)) => add_functions(&mut part.function, &stream.function),
                None => parts.push((id, stream)),
            }
        }
        if let [(_, only)] = parts.as_slice() {
            return Ok(only.clone());
        }
        if parts.len() > MAX_INPUTS {
            return Err(Fault::operator(format!("a sum of {} tensors", parts.len()), "add them in several steps"));
        }
        let first = self.aligned(&mut parts, &node.op)?;
        parts.swap(0, first);
        let (shape, layout) = (parts[0].1.shape, parts[0].1.layout.clone());
        let channels = shape.channels as usize;
        let uniform = parts.iter().all(|(_, part)| part.function.len() == 1);
        let mut factors = vec![Vec::new(); parts.len()];
        let mut function = Functions::new();
        for channel in 0..if uniform { 1 } else { channels } {
            let pieces: Vec<&Piece> = parts.iter().map(|(_, part)| entry(&part.function, channel)).collect();
            let measure = pieces.iter().fold(Exact::zero(), |measure, piece| gcd(&measure, &piece.gain));
            let measure = if measure.is_zero() { Exact::one() } else { measure };
            for (row, piece) in factors.iter_mut().zip(&pieces) {
                row.push(to_i64(&(&piece.gain / &measure)).ok_or_else(|| too_far_apart(node))?);
            }
            let offset = pieces.iter().fold(Exact::zero(), |offset, piece| offset + &piece.offset);
            function.push(Piece::affine(measure, offset));
        }
        let largest = factors.iter().flatten().map(|factor| factor.saturating_abs()).max().unwrap_or(0);
        let factors: Vec<Vec<i64>> = factors.into_iter().map(collapse).collect();
        let ranges: Vec<Vec<Range>> = parts.iter().map(|(id, _)| self.ranges(*id)).collect();
        let sums: Option<Vec<Range>> = (0..channels)
            .map(|channel| {
                let (mut min, mut max) = (0i64, 0i64);
                for (row, ranges) in factors.iter().zip(&ranges) {
                    let (factor, range) = (*entry(row, channel), entry(ranges, channel));
                    let (a, b) = (range.min().checked_mul(factor)?, range.max().checked_mul(factor)?);
                    (min, max) = (min.checked_add(a.min(b))?, max.checked_add(a.max(b))?);
                }
                fits(Range::new(min, max))
            })
            .collect();
        let sums = sums.ok_or_else(|| too_far_apart(node))?;
        if largest > LARGE_FACTOR {
            self.notes.push(format!(
                "`{}` adds tensors whose scales have no small ratio: exact factors up to {largest}; one scale for both would be cheaper",
                node.name
            ));
        }
        let inputs = parts.iter().map(|(id, _)| *id).collect();
        let id = self.add_sums("add", inputs, Op::Add { factors }, shape, sums, &node.name);
        Ok(Stream { base: Base::Tensor(id), shape, layout, function, curve: None, pooled: None, host: HostStep::None })
    }

    /// The product of two streams.
    fn product(&mut self, node: &Node, streams: Vec<Stream>) -> Checked<Stream> {
        let mut parts = Vec::new();
        for stream in streams {
            let (id, stream) = self.affine(stream, &node.op)?;
            parts.push(self.proportional(id, stream, node)?);
        }
        let first = self.aligned(&mut parts, &node.op)?;
        parts.swap(0, first);
        let [(a, left), (b, right)] = parts.as_slice() else {
            return Err(Fault::operator(format!("a product of {} tensors", parts.len()), "multiply two at a time"));
        };
        let shape = left.shape;
        let channels = shape.channels as usize;
        let count = left.function.len().max(right.function.len());
        let gain = |channel| &entry(&left.function, channel).gain * &entry(&right.function, channel).gain;
        let function = (0..count).map(|channel| Piece::affine(gain(channel), Exact::zero())).collect();
        let (left_ranges, right_ranges) = (self.ranges(*a), self.ranges(*b));
        let sums: Option<Vec<Range>> = (0..channels)
            .map(|channel| {
                let (x, y) = (entry(&left_ranges, channel), entry(&right_ranges, channel));
                let ends = [(x.min(), y.min()), (x.min(), y.max()), (x.max(), y.min()), (x.max(), y.max())];
                let products: Option<Vec<i64>> = ends.iter().map(|(a, b)| a.checked_mul(*b)).collect();
                let products = products?;
                fits(Range::new(*products.iter().min()?, *products.iter().max()?))
            })
            .collect();
        let sums =
            sums.ok_or_else(|| Fault::operator("a product of more than 62 bits", "put a Quant on its inputs"))?;
        let (layout, inputs) = (left.layout.clone(), vec![*a, *b]);
        let id = self.add_sums("mul", inputs, Op::Multiply, shape, sums, &node.name);
        Ok(Stream { base: Base::Tensor(id), shape, layout, function, curve: None, pooled: None, host: HostStep::None })
    }

    /// Codes whose value 0 means real 0: an offset becomes a requantization that moves the codes.
    pub(super) fn proportional(
        &mut self,
        mut id: TensorId,
        mut stream: Stream,
        node: &Node,
    ) -> Checked<(TensorId, Stream)> {
        let wide = || {
            Fault::operator(
                format!("`{}` multiplies values that no codes of 16 bits around real zero are", node.op),
                "put a Quant with a whole zero point on each of its inputs",
            )
        };
        let Tensor { shape, encoding } = *self.tensor(id);
        if stream.function.iter().all(|piece| piece.offset.is_zero()) {
            if matches!(encoding, Encoding::Sums { .. }) {
                id = self.narrow(id, &node.name).ok_or_else(wide)?;
                stream.base = Base::Tensor(id);
            }
            return Ok((id, stream));
        }
        let (mut multipliers, mut offsets) = (Vec::new(), Vec::new());
        for piece in &mut stream.function {
            // g v + o = (g / d) (d v + n) where o / g = n / d.
            let (multiplier, offset) = if piece.gain.is_zero() {
                *piece = Piece::affine(piece.offset.clone(), Exact::zero());
                (0, i64::from(!piece.gain.is_zero()))
            } else {
                let ratio = &piece.offset / &piece.gain;
                let (numerator, denominator) = (ratio.numer().to_i64(), ratio.denom().to_i64());
                let (numerator, denominator) = numerator.zip(denominator).ok_or_else(wide)?;
                *piece = Piece::affine(&piece.gain / integer(denominator), Exact::zero());
                (denominator, numerator)
            };
            multipliers.push(multiplier);
            offsets.push(offset);
        }
        let ranges = self.ranges(id);
        let count = ranges.len().max(multipliers.len());
        let moved: Option<Vec<Range>> = (0..count)
            .map(|channel| {
                let (range, multiplier, offset) =
                    (entry(&ranges, channel), *entry(&multipliers, channel), *entry(&offsets, channel));
                let at = |value: i64| value.checked_mul(multiplier)?.checked_add(offset);
                Some(Range::new(at(range.min())?, at(range.max())?))
            })
            .collect();
        let range = moved.and_then(|all| all.into_iter().reduce(Range::union)).ok_or_else(wide)?;
        let format = Format::integer_for(range).ok_or_else(wide)?;
        let form = Form::Shift(Shift {
            multipliers: collapse(multipliers),
            offsets: collapse(offsets),
            shift: 0,
            half_even: false,
        });
        let requantization = Requantization { output: format, codes: range, form, rule: None };
        let tensor = Tensor { shape, encoding: super::codes(format, range) };
        id = self.add_layer("quant", vec![id], Op::Identity, Some(requantization), tensor, &node.name);
        stream.base = Base::Tensor(id);
        Ok((id, stream))
    }

    /// Brings all parts into one order, element by element, and says which of them has the shape of the result: the
    /// others have it too, or a single position with as many channels.
    fn aligned(&mut self, parts: &mut [(TensorId, Stream)], op: &str) -> Checked<usize> {
        let rank = parts.iter().map(|(_, part)| part.layout.axes().len()).max().unwrap_or(0);
        let mut largest = 0;
        for index in 0..parts.len() {
            let part = &mut parts[index].1;
            let mut dims = vec![1; rank - part.layout.axes().len()];
            dims.extend(part.layout.dims());
            part.layout = part.layout.reshape(&dims)?;
            if part.shape.elements() > parts[largest].1.shape.elements() {
                largest = index;
            }
        }
        for index in 0..parts.len() {
            let (reference, part) = (&parts[largest].1, &parts[index].1);
            let same_positions =
                [part.shape.rows, part.shape.columns] == [reference.shape.rows, reference.shape.columns];
            if part.shape.channels == 1 && reference.shape.channels > 1 && same_positions {
                let channels = reference.shape.channels;
                let is_channel_axis = |axis: &Axis| *axis == [Digit { size: channels, stride: 1 }];
                let place = reference.layout.axes().iter().position(is_channel_axis);
                if let Some(layout) = place.and_then(|place| part.layout.with_channels_at(place, 1, channels)) {
                    let mut stream = self.repeated(parts[index].1.clone(), channels, op)?;
                    stream.layout = layout;
                    parts[index] = (base_of(&stream, parts[index].0), stream);
                }
            }
        }
        if !alike(parts, largest) {
            for part in parts.iter_mut() {
                let stream = self.canonical(part.1.clone(), op)?;
                *part = (base_of(&stream, part.0), stream);
            }
        }
        if alike(parts, largest) {
            return Ok(largest);
        }
        let shapes: Vec<String> = parts.iter().map(|(_, part)| format!("{:?}", part.layout.dims())).collect();
        Err(Fault::shape(
            format!("`{op}` joins tensors of shape {}", shapes.join(" and ")),
            "both must have one shape, or one of them a single position with as many channels",
        ))
    }
}

/// The tensor of a stream.
fn base_of(stream: &Stream, other: TensorId) -> TensorId {
    match stream.base {
        Base::Tensor(id) => id,
        Base::Input(_) | Base::Joined(_) => other,
    }
}

/// Whether all parts have the layout of one of them, or a single position with as many channels.
fn alike(parts: &[(TensorId, Stream)], largest: usize) -> bool {
    let reference = &parts[largest].1;
    parts.iter().all(|(_, part)| {
        let is_single = part.shape.positions() == 1;
        let fits = |(own, other): (&Axis, &Axis)| own == other || (own.is_empty() && is_single);
        let same_shape = is_single || part.shape == reference.shape;
        part.shape.channels == reference.shape.channels
            && same_shape
            && part.layout.axes().iter().zip(reference.layout.axes()).all(fits)
    })
}

/// Adds functions of the same integers.
fn add_functions(functions: &mut Functions, others: &[Piece]) {
    widen(functions, others.len());
    for (channel, piece) in functions.iter_mut().enumerate() {
        let other = entry(others, channel);
        piece.gain += &other.gain;
        piece.offset += &other.offset;
    }
}

fn fits(range: Range) -> Option<Range> {
    (range.bits() <= MAX_SHIFT_FORM_BITS).then_some(range)
}

fn too_far_apart(node: &Node) -> Fault {
    Fault::operator(
        format!("`{}` joins tensors whose scales have no common measure inside 62 bits", node.op),
        "give both inputs Quants, of one scale if possible",
    )
}
