//! ArgMax on a common grid of integers.
//!
//! Channels mean g_c v_c + o_c. With one gain for all, v_c + o_c / g is compared: its whole part and the rank of its
//! fraction decide exactly, so a multiplier of a power of two and small offsets are exact. With several gains the
//! constants are brought over one denominator where that fits 62 bits, else rounded as finely as fits.

use super::{Walk, widened};
use crate::constant::Constant;
use crate::exact::{Exact, Piece, integer};
use crate::fault::{Checked, Fault};
use crate::layout::Layout;
use crate::model::Node;
use crate::walk::stream::{Base, Stream};
use network::graph::{Encoding, HostStep, Tensor, TensorId};
use network::op::Op;
use network::requantization::MAX_SHIFT_FORM_BITS;
use network::{Format, Range, Shape};
use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{One, Signed, ToPrimitive, Zero};

impl Walk<'_> {
    /// ArgMax, or TopK of one, over all channels of the only position.
    pub(crate) fn arg_max(
        &mut self,
        node: &Node,
        mut stream: Stream,
        constants: &[Option<&Constant>],
    ) -> Checked<Stream> {
        let dims = stream.layout.dims();
        let is_top = node.op == "TopK";
        let axis = stream.layout.axis_index(node.attributes.int("axis", if is_top { -1 } else { 0 })?)?;
        if stream.shape.positions() != 1 || dims[axis] != stream.shape.channels {
            return Err(Fault::operator(
                format!("`{}` over axis {axis} of {dims:?}", node.op),
                "an argmax over all channels of a single position can be built",
            ));
        }
        if node.attributes.int("select_last_index", 0)? != 0 || node.attributes.int("largest", 1)? == 0 {
            return Err(Fault::operator(
                format!("`{}` of the last or least", node.op),
                "only the first index of the greatest can be built",
            ));
        }
        let top_count = constants
            .get(1)
            .copied()
            .flatten()
            .map(Constant::ints)
            .transpose()?
            .and_then(|counts| counts.first().copied());
        if is_top && top_count.unwrap_or(node.attributes.int("k", 1)?) != 1 {
            return Err(Fault::operator("a TopK of more than one", "use k = 1"));
        }
        if let Some(function) = stream.under_sigmoid() {
            stream.function = function.to_vec();
            (stream.curve, stream.host) = (None, HostStep::Sigmoid);
        }
        if stream.host != HostStep::None {
            self.notes.push("the step before the ArgMax keeps the order of its inputs and was left out".to_owned());
            stream.host = HostStep::None;
        }
        let is_sums = |id: TensorId| matches!(self.tensor(id).encoding, Encoding::Sums { .. });
        if matches!(stream.base, Base::Tensor(id) if is_sums(id)) && !stream.function.iter().all(Piece::is_affine) {
            return Err(Fault::operator(
                "a Relu or Clip between the last sums and the ArgMax",
                "leave it out, or put a Quant after it",
            ));
        }
        let (id, stream) = self.affine(stream, &node.op)?;
        let Tensor { encoding, .. } = *self.tensor(id);
        let (multipliers, offsets, note) = grid(&widened(&stream), encoding.values())?;
        self.notes.extend(note);
        let last = stream.shape.channels as i64 - 1;
        let shape = Shape::new(1, 1, 1).ok_or_else(|| Fault::shape("no output", "check the model"))?;
        let indices = Range::new(0, last);
        let format = Format::integer_for(indices)
            .ok_or_else(|| Fault::shape("more than 65536 classes", "make the layer smaller"))?;
        let tensor = Tensor { shape, encoding: Encoding::Codes { format, range: indices } };
        let id =
            self.add_layer("argmax", vec![id], Op::Argmax { multipliers, offsets }, None, tensor.clone(), &node.name);
        let mut target = dims;
        target[axis] = 1;
        if !is_top && node.attributes.int("keepdims", 1)? == 0 {
            target.remove(axis);
        }
        Ok(Stream::of_tensor(id, &tensor, Layout::row_major(&target), vec![Piece::identity()]))
    }
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
