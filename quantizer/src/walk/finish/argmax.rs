//! ArgMax and TopK on a common grid of integers.
//!
//! Channels mean g_c v_c + o_c. With one gain for all, v_c + o_c / g is compared: its whole part and the rank of its
//! fraction decide exactly, so a multiplier of a power of two and small offsets are exact. With several gains the
//! constants are brought over one denominator where that fits 62 bits, else rounded as finely as fits.

use super::{Walk, widened};
use crate::constant::Constant;
use crate::exact::{Exact, Piece, integer};
use crate::fault::{Checked, Fault};
use crate::layout::Layout;
use crate::model::{Node, ValueId};
use crate::walk::stream::{Base, Stream};
use network::graph::{Encoding, HostStep, Tensor, TensorId};
use network::op::{Loop, MAX_TOP, Op, Rearrangement, TopGives};
use network::requantization::MAX_SHIFT_FORM_BITS;
use network::{Format, Range, Shape};
use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// Channels of a stream that are compared.
struct Compared {
    id: TensorId,
    stream: Stream,
    /// The model's dimensions, and the axis of the channels in them.
    dims: Vec<u64>,
    axis: usize,
    /// Whether a step in front was left out that keeps the order of its inputs.
    is_bare: bool,
}

impl Walk<'_> {
    /// ArgMax over the channels of each position.
    pub(crate) fn arg_max(&mut self, node: &Node, stream: Stream) -> Checked<Stream> {
        let takes_last = node.attributes.int("select_last_index", 0)? != 0;
        let axis = stream.layout.axis_index(node.attributes.int("axis", 0)?)?;
        let mut compared = self.compared(node, stream, axis)?;
        if takes_last {
            // The last of equal channels is the first where they stand in falling order.
            let shape = compared.stream.shape;
            let (positions, channels) = (shape.positions(), shape.channels);
            let loops = vec![Loop { count: positions, stride: channels as i64 }, Loop { count: channels, stride: -1 }];
            let tensor = self.tensor(compared.id).clone();
            let reversed = Rearrangement { shape, start: channels - 1, loops };
            compared.id = self.add_layer("move", vec![compared.id], Op::Rearrange(reversed), None, tensor, &node.name);
            compared.stream.base = Base::Tensor(compared.id);
            compared.stream.function.reverse();
        }
        let (multipliers, offsets, note) = grid(&widened(&compared.stream), self.values(compared.id))?;
        self.notes.extend(note);
        let op = Op::Argmax { multipliers, offsets };
        let keeps = node.attributes.int("keepdims", 1)? != 0;
        let mut made = self.indices(&compared, op, 1, keeps, "argmax", &node.name)?;
        if takes_last {
            let last = integer(compared.stream.shape.channels - 1);
            made.function = vec![Piece::affine(-Exact::one(), last)];
        }
        Ok(made)
    }

    /// TopK along the channels of each position: values and indices.
    pub(crate) fn top_k(
        &mut self,
        node: &Node,
        stream: Stream,
        constants: &[Option<&Constant>],
    ) -> Checked<[Stream; 2]> {
        let axis = stream.layout.axis_index(node.attributes.int("axis", -1)?)?;
        let stated = match constants.get(1).copied().flatten() {
            Some(counts) => counts.ints()?.first().copied(),
            None => node.attributes.ints("k")?.map_or(Some(node.attributes.int("k", 1)?), |list| list.first().copied()),
        };
        let mut compared = self.compared(node, stream, axis)?;
        let channels = compared.stream.shape.channels;
        let count = stated.and_then(|count| u64::try_from(count).ok());
        let count = count.filter(|count| (1..=channels.min(MAX_TOP)).contains(count)).ok_or_else(|| {
            Fault::operator(
                format!("a TopK of {} among {channels} channels", stated.unwrap_or(0)),
                format!("1 to {MAX_TOP} can be built, and no more than there are"),
            )
        })?;
        let is_read = |id: Option<&ValueId>| {
            id.is_some_and(|id| {
                let reads = |node: &Node| node.inputs.contains(&Some(*id));
                self.model.outputs.contains(id) || self.model.nodes.iter().any(reads)
            })
        };
        if compared.is_bare && is_read(node.outputs.first()) {
            return Err(Fault::operator(
                "the values of a TopK behind a step that stays on the host",
                "read its indices alone",
            ));
        }
        // The least are the greatest of the negated.
        let falls = node.attributes.int("largest", 1)? == 0;
        if falls {
            compared.stream.function.iter_mut().for_each(|piece| *piece = negated(piece));
        }
        let (multipliers, offsets, note) = grid(&widened(&compared.stream), self.values(compared.id))?;
        let op = Op::TopK { count, gives: TopGives::Indices, multipliers, offsets };
        let indices = self.indices(&compared, op, count, true, "top", &node.name)?;
        let (multipliers, offsets, unit) = value_grid(&compared.stream.function, self.values(compared.id))?;
        self.notes.extend(note);
        let sign = if falls { -Exact::one() } else { Exact::one() };
        let function = vec![Piece::affine(&sign * unit.0, &sign * unit.1)];
        let ends = |multiplier: &i64, offset: &i64| {
            let values = self.values(compared.id);
            Range::new(values.min() * multiplier + offset, values.max() * multiplier + offset)
        };
        let ranges =
            multipliers.iter().zip(offsets.iter().cycle()).map(|(multiplier, offset)| ends(multiplier, offset));
        let range = ranges.reduce(Range::union).unwrap_or(Range::new(0, 0));
        let op = Op::TopK { count, gives: TopGives::Values, multipliers, offsets };
        let shape = Shape { channels: count, ..compared.stream.shape };
        let tensor = Tensor { shape, encoding: Encoding::Sums { range } };
        let id = self.add_layer("top", vec![compared.id], op, None, tensor.clone(), &node.name);
        let layout = compared.layout(shape, true)?;
        Ok([Stream::of_tensor(id, &tensor, layout, function), indices])
    }

    /// Values that can occur in a tensor.
    fn values(&self, id: TensorId) -> Range {
        self.tensor(id).encoding.values()
    }

    /// The stream whose channels are the elements along an axis.
    fn compared(&mut self, node: &Node, mut stream: Stream, axis: usize) -> Checked<Compared> {
        let dims = stream.layout.dims();
        let mut is_bare = false;
        if let Some(function) = stream.under_sigmoid() {
            stream.function = function.to_vec();
            (stream.curve, stream.host) = (None, HostStep::Sigmoid);
        }
        if stream.host != HostStep::None {
            self.notes.push(format!("the step before the {} keeps the order of its inputs and was left out", node.op));
            (stream.host, is_bare) = (HostStep::None, true);
        }
        let is_sums = |id: TensorId| matches!(self.tensor(id).encoding, Encoding::Sums { .. });
        if matches!(stream.base, Base::Tensor(id) if is_sums(id)) && !stream.function.iter().all(Piece::is_affine) {
            return Err(Fault::operator(
                format!("a Relu or Clip between the last sums and the {}", node.op),
                "leave it out, or put a Quant after it",
            ));
        }
        let (mut id, mut stream) = self.affine(stream, &node.op)?;
        if stream.shape.positions() != 1 || dims[axis] != stream.shape.channels {
            if !matches!(dims.len(), 3 | 4) || dims[0] != 1 || axis == 0 {
                return Err(Fault::operator(
                    format!("`{}` over axis {axis} of {dims:?}", node.op),
                    "channels of tensors with a batch axis and up to two axes of positions can be compared",
                ));
            }
            stream.layout = stream.layout.transpose(&channels_second(axis, dims.len()));
            (stream, _) = self.image(stream, &node.op)?;
            (id, stream) = self.affine(stream, &node.op)?;
        }
        Ok(Compared { id, stream, dims, axis, is_bare })
    }

    /// Indices that leave a comparison.
    fn indices(
        &mut self,
        compared: &Compared,
        op: Op,
        count: u64,
        keeps: bool,
        kind: &'static str,
        origin: &str,
    ) -> Checked<Stream> {
        let indices = Range::new(0, compared.stream.shape.channels as i64 - 1);
        let format = Format::integer_for(indices)
            .ok_or_else(|| Fault::shape("more than 65536 classes", "make the layer smaller"))?;
        let shape = Shape { channels: count, ..compared.stream.shape };
        let tensor = Tensor { shape, encoding: Encoding::Codes { format, range: indices } };
        let id = self.add_layer(kind, vec![compared.id], op, None, tensor.clone(), origin);
        let layout = compared.layout(shape, keeps)?;
        Ok(Stream::of_tensor(id, &tensor, layout, vec![Piece::identity()]))
    }
}

impl Compared {
    /// The model's view of a result with so many channels, with or without their axis.
    fn layout(&self, shape: Shape, keeps: bool) -> Checked<Layout> {
        let mut target = self.dims.clone();
        target[self.axis] = shape.channels;
        if shape.positions() == 1 {
            if !keeps {
                target.remove(self.axis);
            }
            return Ok(Layout::row_major(&target));
        }
        let order = channels_second(self.axis, self.dims.len());
        let seen: Vec<u64> = order.iter().map(|&axis| target[axis]).collect();
        let back: Vec<usize> =
            (0..order.len()).map(|axis| order.iter().position(|&o| o == axis).unwrap_or(0)).collect();
        let layout = Layout::channels_first(shape).reshape(&seen)?.transpose(&back);
        if keeps {
            return Ok(layout);
        }
        target.remove(self.axis);
        layout.reshape(&target)
    }
}

/// The order of axes in which `axis` stands behind the batch.
fn channels_second(axis: usize, rank: usize) -> Vec<usize> {
    [0, axis].into_iter().chain((1..rank).filter(|&other| other != axis)).collect()
}

fn negated(piece: &Piece) -> Piece {
    Piece::affine(-piece.gain.clone(), -piece.offset.clone())
}

/// Integer multipliers and offsets of one grid, with the real gain and offset of its integers.
type ValueGrid = (Vec<i64>, Vec<i64>, (Exact, Exact));

/// The grid on which the real numbers of all channels lie; rounded where none is exact.
fn value_grid(functions: &[Piece], values: Range) -> Checked<ValueGrid> {
    let first = &functions[0];
    if functions.iter().all(|piece| piece.gain == first.gain && piece.offset == first.offset) {
        let sign = if first.gain.is_negative() { -1 } else { 1 };
        return Ok((vec![sign], vec![0], (first.gain.abs(), first.offset.clone())));
    }
    let largest = BigInt::from(values.min().abs().max(values.max().abs()).max(1));
    let denominator =
        functions.iter().fold(BigInt::one(), |lcm, piece| lcm.lcm(piece.gain.denom()).lcm(piece.offset.denom()));
    let reach = functions.iter().map(|piece| piece.gain.abs() * integer(largest.clone()) + piece.offset.abs()).max();
    let reach = reach.unwrap_or_else(Exact::one);
    let exact = integer(denominator);
    let by = if (&reach * &exact).to_integer().bits() < u64::from(MAX_SHIFT_FORM_BITS) - 2 {
        exact
    } else {
        let bits = 45 - (reach.numer().bits() as i64 - reach.denom().bits() as i64);
        let power = integer(BigInt::one() << bits.unsigned_abs().min(4000));
        if bits < 0 { power.recip() } else { power }
    };
    let round = |value: &Exact| (value * &by).round().to_integer();
    let gains: Vec<BigInt> = functions.iter().map(|piece| round(&piece.gain)).collect();
    let offsets: Vec<BigInt> = functions.iter().map(|piece| round(&piece.offset)).collect();
    Ok((small(&gains)?, small(&offsets)?, (by.recip(), Exact::zero())))
}

type Grid = (Vec<i64>, Vec<i64>, Option<String>);

/// Integer multipliers and offsets that order values inside `values` as the functions do.
fn grid(functions: &[Piece], values: Range) -> Checked<Grid> {
    let largest = BigInt::from(values.min().abs().max(values.max().abs()).max(1));
    let fits = |multiplier: &BigInt, offset: &BigInt| {
        multiplier.abs() * &largest + offset.abs() < BigInt::one() << (MAX_SHIFT_FORM_BITS - 1)
    };
    let gain = &functions[0].gain;
    if functions.iter().all(|piece| piece.gain == *gain) && !gain.is_zero() {
        let shifts: Vec<Exact> = functions.iter().map(|piece| &piece.offset / gain.abs()).collect();
        let mut fractions: Vec<Exact> = shifts.iter().map(|shift| shift - shift.floor()).collect();
        fractions.sort();
        fractions.dedup();
        let scale = fractions.len().next_power_of_two() as i64;
        let offset = |shift: &Exact| {
            let fraction = shift - shift.floor();
            let rank = fractions.partition_point(|other| *other < fraction);
            shift.floor().numer() * scale + rank
        };
        let offsets: Vec<BigInt> = shifts.iter().map(offset).collect();
        // Only differences count: the least whole part becomes 0.
        let least = offsets.iter().min().cloned().unwrap_or_default().div_floor(&BigInt::from(scale)) * scale;
        let offsets: Vec<BigInt> = offsets.into_iter().map(|offset| offset - &least).collect();
        let multiplier = if gain.is_negative() { -scale } else { scale };
        if offsets.iter().all(|offset| fits(&BigInt::from(scale), offset)) {
            return Ok((vec![multiplier], small(&offsets)?, None));
        }
    }
    let denominator =
        functions.iter().fold(BigInt::one(), |lcm, piece| lcm.lcm(piece.gain.denom()).lcm(piece.offset.denom()));
    let scaled = |by: &Exact| -> (Vec<BigInt>, Vec<BigInt>) {
        let round = |value: &Exact| (value * by).round().to_integer();
        functions.iter().map(|piece| (round(&piece.gain), round(&piece.offset))).unzip()
    };
    let (gains, offsets) = scaled(&integer(denominator));
    let measure = gains.iter().chain(&offsets).fold(BigInt::zero(), |gcd, value| gcd.gcd(value)).max(BigInt::one());
    let (gains, offsets): (Vec<BigInt>, Vec<BigInt>) =
        (gains.iter().map(|gain| gain / &measure).collect(), offsets.iter().map(|offset| offset / &measure).collect());
    if gains.iter().zip(&offsets).all(|(gain, offset)| fits(gain, offset)) {
        return Ok((small(&gains)?, small(&offsets)?, None));
    }
    // As many fraction bits as keep sums, products and offsets inside 48 bits: far finer than float32.
    let reach = functions
        .iter()
        .map(|piece| piece.gain.abs() * integer(largest.clone()) + piece.offset.abs())
        .max()
        .unwrap_or_else(Exact::one);
    if reach.is_zero() {
        return Ok((vec![0], vec![0], None));
    }
    let bits = 47 - (reach.numer().bits() as i64 - reach.denom().bits() as i64);
    let power = integer(BigInt::one() << bits.unsigned_abs().min(4000));
    let (gains, offsets) = scaled(&if bits < 0 { power.recip() } else { power });
    let note = format!(
        "the argmax compares with constants rounded to 2^{} (channels have scales of their own): classes whose results differ by less than {largest} times that may be exchanged",
        -bits
    );
    Ok((small(&gains)?, small(&offsets)?, Some(note)))
}

fn small(values: &[BigInt]) -> Checked<Vec<i64>> {
    let values: Option<Vec<i64>> = values.iter().map(ToPrimitive::to_i64).collect();
    values.ok_or_else(|| Fault::operator("an argmax over constants of more than 62 bits", "rescale the last layer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::fraction;

    /// Every pair of values in every pair of channels must compare as the exact functions do.
    #[track_caller]
    fn check(functions: &[(i64, i64, i64, i64)], is_exact: bool) {
        let pieces: Vec<Piece> =
            functions.iter().map(|&(a, b, c, d)| Piece::affine(fraction(a, b), fraction(c, d))).collect();
        let (multipliers, offsets, note) = grid(&pieces, Range::new(-9, 9)).unwrap();
        assert_eq!(note.is_none(), is_exact);
        let at = |channel: usize, value: i64| {
            multipliers[if multipliers.len() == 1 { 0 } else { channel }] * value + offsets[channel]
        };
        for a in 0..pieces.len() {
            for b in 0..pieces.len() {
                for x in -9..=9 {
                    for y in -9..=9 {
                        assert_eq!(at(a, x).cmp(&at(b, y)), pieces[a].at(x).cmp(&pieces[b].at(y)), "{a} {x} {b} {y}");
                    }
                }
            }
        }
    }

    #[test]
    fn grids_order_like_the_functions() {
        check(&[(1, 3, 1, 7), (1, 3, -1, 9), (1, 3, 1, 7), (1, 3, 5, 1)], true);
        check(&[(-2, 3, 1, 7), (-2, 3, 2, 7)], true);
        check(&[(1, 3, 1, 7), (2, 5, -1, 9), (-1, 2, 0, 1)], true);
        check(&[(1, 1, 0, 1), (1, 1, 0, 1)], true);
        let prime = 1_000_000_007;
        check(&[(1, prime, 1, 998_244_353), (3, 998_244_353, 1, prime), (1, 1_000_000_009, 0, 1)], false);
    }
}
