//! How a lane multiplies: the weight is recoded into digits of at most three bits and values -2 to 2, each of which
//! gives one row of partial products.
//!
//! A digit `d` at position `p` turns the activation `x` into the row `|d|·x` where `d >= 0` and `|d|·~x` where `d < 0`,
//! with `~x` the bitwise complement (2^k - 1 - x for k unsigned bits, -x - 1 for signed ones). So a row is `d·x` plus a
//! constant that depends on the digit alone: the sum of these constants over a dot product is a constant of the output
//! channel and never appears in hardware. Signs need no extension for the same reason, and a bipolar activation is its
//! level index with a factor of two. The digits are chosen to need the fewest LUTs (radix-4 Booth digits, single bits,
//! or the planes of a bipolar code, whatever costs least for the pair of widths).

use super::operand::{DatapathError, Multiplier, Operand};
use crate::heap::Target;

/// One digit of a weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digit {
    /// The digit's weight is 2^position.
    pub position: u32,
    /// Bits of the weight that it looks at, lowest first; at most three.
    pub inputs: Vec<u32>,
    /// Value for each combination of those bits, -2 to 2.
    pub values: Vec<i64>,
    /// Where its highest input is set, the row holds the complement of the whole multiple, one less than its negative,
    /// instead of the multiple of the operand's complement.
    pub complements_row: bool,
}

impl Digit {
    /// Its value for a constant.
    pub(super) fn value_of(&self, constant: i64) -> i64 {
        let bit = |at: &u32| (constant >> (*at).min(63) & 1) as usize;
        let code = self.inputs.iter().enumerate().fold(0, |code, (place, at)| code | bit(at) << place);
        self.values.get(code).copied().unwrap_or(0)
    }
}

/// Radix-4 Booth digits of an operand of `bits` bits. A digit whose highest input is set is negative (or zero), and its
/// row is one too small: that input, added at the digit's position, completes it.
pub(super) fn booth_digits(bits: u32, signed: bool) -> Vec<Digit> {
    let length = if signed { bits } else { bits + 1 };
    (0..length.div_ceil(2))
        .map(|index| {
            let position = 2 * index;
            let factors = [(position.checked_sub(1), 1), (Some(position), 1), (Some(position + 1), -2)];
            let mut terms: Vec<(u32, i64)> = Vec::new();
            for (wire, factor) in factors {
                let Some(wire) = wire else { continue };
                if wire < bits {
                    terms.push((wire, factor));
                } else if signed {
                    // The sign bit repeats above the top.
                    if let Some(last) = terms.last_mut().filter(|last| last.0 == bits - 1) {
                        last.1 += factor;
                    }
                }
            }
            let values = (0..1_u32 << terms.len())
                .map(|code| (0..).zip(&terms).map(|(at, term)| if (code >> at) & 1 == 1 { term.1 } else { 0 }).sum())
                .collect();
            let complements_row = terms.last().is_some_and(|term| term.1 < 0);
            Digit { position, inputs: terms.into_iter().map(|term| term.0).collect(), values, complements_row }
        })
        .collect()
}

/// How one lane of a dot product is multiplied, and what its raw result leaves out.
///
/// With `A` the sum of weight value times activation value over all taps, and `R` the raw sum,
/// `A = gain·R + offset(weights)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DotProductForm {
    pub(super) activation: Operand,
    pub(super) weight: Operand,
    pub(super) multiplier: Multiplier,
    pub(super) target: Target,
    pub(super) digits: Vec<Digit>,
}

/// A bit of a weight seen as a two's complement number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WeightBit {
    /// A wire, possibly inverted.
    Wire { index: u32, inverted: bool },
    /// A constant one.
    One,
}

impl DotProductForm {
    /// Chooses the digits for a pair of formats.
    ///
    /// # Errors
    /// A width outside its range.
    pub fn new(
        activation: Operand,
        weight: Operand,
        multiplier: Multiplier,
        target: Target,
    ) -> Result<Self, DatapathError> {
        activation.check("activation bits")?;
        weight.check("weight bits")?;
        let digits = match multiplier {
            Multiplier::Dsp => Vec::new(),
            Multiplier::Lut => {
                let (bits, negative_top) = weight_bits(weight);
                let mut search = Search { bits: &bits, negative_top, activation, target, cheapest: Vec::new() };
                let mut best = search.run();
                if let Operand::Bipolar { planes } = weight {
                    let digits = (0..planes)
                        .map(|plane| Digit {
                            position: plane,
                            inputs: vec![plane],
                            values: vec![-1, 1],
                            complements_row: false,
                        })
                        .collect::<Vec<_>>();
                    let cost = digits.iter().map(|digit| search.cost(digit)).sum();
                    if best.as_ref().is_none_or(|(least, _)| cost <= *least) {
                        best = Some((cost, digits));
                    }
                }
                best.map(|(_, digits)| digits).unwrap_or_default()
            }
        };
        Ok(DotProductForm { activation, weight, multiplier, target, digits })
    }

    /// Wires of an activation.
    pub fn activation_bits(&self) -> u32 {
        self.activation.bits()
    }

    /// Wires of a weight.
    pub fn weight_bits(&self) -> u32 {
        self.weight.bits()
    }

    /// The power of two by which a raw result is multiplied.
    pub fn gain(&self) -> i64 {
        match self.activation {
            Operand::Bipolar { .. } => 2,
            Operand::Unsigned { .. } | Operand::Signed { .. } => 1,
        }
    }

    /// What one weight adds to the raw sum beside its product with the activation's code value.
    fn constant(&self, weight: i64) -> i64 {
        let code = self.weight.code(weight);
        match self.multiplier {
            Multiplier::Dsp => 0,
            Multiplier::Lut => {
                self.digits.iter().map(|digit| self.row_constant(digit, digit.value(code)) << digit.position).sum()
            }
        }
    }

    /// Least and largest product of a lane, with a bipolar activation as its level index.
    pub(super) fn product_range(&self) -> (i64, i64) {
        let (weight_low, weight_high) = self.weight.value_range();
        let (low, high) = self.code_range();
        let corners = [weight_low * low, weight_low * high, weight_high * low, weight_high * high];
        (corners.iter().copied().min().unwrap_or(0), corners.iter().copied().max().unwrap_or(0))
    }

    /// What a row holds beside `digit·x`.
    fn row_constant(&self, digit: &Digit, value: i64) -> i64 {
        let bits = self.activation.bits();
        match self.activation {
            Operand::Signed { .. } => {
                let sign = 1 << (digit.row_bits(self.activation) - 1);
                sign + if value < 0 { value } else { 0 }
            }
            Operand::Unsigned { .. } | Operand::Bipolar { .. } => {
                if value < 0 {
                    -value * ((1 << bits) - 1)
                } else {
                    0
                }
            }
        }
    }

    /// Least and largest activation as the datapath sees it: the value, or the level index of a bipolar code.
    pub(super) fn code_range(&self) -> (i64, i64) {
        match self.activation {
            Operand::Bipolar { planes } => (0, (1 << planes) - 1),
            Operand::Unsigned { .. } | Operand::Signed { .. } => self.activation.value_range(),
        }
    }

    /// `offset` of `A = gain·R + offset` for the weight values of one output channel, padded taps included. A tap whose
    /// activation wires are zero adds nothing to `R` beyond its constant, so for integer activations it counts as a
    /// zero, for bipolar ones as the lowest level.
    pub fn offset(&self, weights: &[i32]) -> i64 {
        weights.iter().map(|&weight| self.weight_offset(i64::from(weight))).sum()
    }

    /// What one weight of an output channel adds to its [`offset`](Self::offset).
    pub fn weight_offset(&self, weight: i64) -> i64 {
        let level = match self.activation {
            Operand::Bipolar { planes } => -((1 << planes) - 1) * weight,
            Operand::Unsigned { .. } | Operand::Signed { .. } => 0,
        };
        level - self.gain() * self.constant(weight)
    }

    /// Of a thousand partial products of a lane those that a constant weight leaves: rows whose digit is zero vanish.
    pub fn rows_left(&self, weight: i64) -> i64 {
        let code = i64::from(self.weight.code(weight));
        let bits = |digit: &Digit| i64::from(digit.row_bits(self.activation));
        let all: i64 = self.digits.iter().map(bits).sum();
        let left: i64 = self.digits.iter().filter(|digit| digit.value_of(code) != 0).map(bits).sum();
        if all == 0 { 1000 } else { 1000 * left / all }
    }

    /// Least and largest raw result of one output channel, exact over all activation values in `activations` (for
    /// bipolar activations their odd values).
    pub fn raw_range(&self, weights: &[i32], activations: (i64, i64)) -> (i64, i64) {
        let code = |value: i64| match self.activation {
            Operand::Bipolar { planes } => (value + (1 << planes) - 1) >> 1,
            Operand::Unsigned { .. } | Operand::Signed { .. } => value,
        };
        let (low, high) = (code(activations.0), code(activations.1));
        weights.iter().fold((0, 0), |(least, largest), &weight| {
            let weight = i64::from(weight);
            let constant = self.constant(weight);
            let (a, b) = (weight * low + constant, weight * high + constant);
            (least + a.min(b), largest + a.max(b))
        })
    }

    /// Least and largest raw result of `taps` taps over every weight and activation of the formats.
    pub fn widest_raw_range(&self, taps: u32) -> (i64, i64) {
        let (low, high) = self.weight.value_range();
        let step = if matches!(self.weight, Operand::Bipolar { .. }) { 2 } else { 1 };
        let (least, largest) = self.code_range();
        let mut range = (i64::MAX, i64::MIN);
        let mut weight = low;
        while weight <= high {
            let constant = self.constant(weight);
            for activation in [least, largest] {
                let raw = weight * activation + constant;
                range = (range.0.min(raw), range.1.max(raw));
            }
            weight += step;
        }
        (range.0.saturating_mul(i64::from(taps)), range.1.saturating_mul(i64::from(taps)))
    }
}

impl Digit {
    /// Columns of the digit's row.
    pub fn row_bits(&self, multiplicand: Operand) -> u32 {
        multiplicand.bits() + u32::from(self.values.iter().any(|value| value.abs() == 2))
    }

    /// The digit's value in a weight code.
    pub fn value(&self, code: u32) -> i64 {
        let index = self.inputs.iter().enumerate().map(|(at, input)| ((code >> input) & 1) << at).sum::<u32>();
        self.values.get(index as usize).copied().unwrap_or(0)
    }

    /// Operand bits that each column of its row looks at.
    pub fn column_inputs(&self) -> u32 {
        let any = |wanted: i64| self.values.iter().any(|value| value.abs() == wanted);
        u32::try_from(self.inputs.len()).unwrap_or(3) + if any(1) && any(2) { 2 } else { 1 }
    }
}

/// Bits that an unsigned number up to `value` takes.
pub(super) fn bits_for(value: i64) -> u32 {
    i64::BITS - value.max(0).leading_zeros()
}

/// A weight as a list of bits, lowest first, and whether the top one counts negative.
fn weight_bits(weight: Operand) -> (Vec<WeightBit>, bool) {
    let wire = |index| WeightBit::Wire { index, inverted: false };
    match weight {
        Operand::Unsigned { bits } => ((0..bits).map(wire).collect(), false),
        Operand::Signed { bits } => ((0..bits).map(wire).collect(), true),
        Operand::Bipolar { planes } => {
            let mut bits = vec![WeightBit::One];
            bits.extend((0..planes).map(|index| WeightBit::Wire { index, inverted: index + 1 == planes }));
            (bits, true)
        }
    }
}

/// The search over all ways to cut a weight into digits.
struct Search<'a> {
    bits: &'a [WeightBit],
    negative_top: bool,
    activation: Operand,
    target: Target,
    /// Cheapest digits from each bit upwards, without and with the bit below still owed.
    cheapest: Vec<[Option<Costed>; 2]>,
}

/// Digits with their cost in hundredths of a LUT.
type Costed = (u32, Vec<Digit>);

impl Search<'_> {
    /// Cheapest digits of the whole weight, found from the top bit downwards.
    fn run(&mut self) -> Option<Costed> {
        self.cheapest = vec![[None, None]; self.bits.len() + 1];
        for at in (0..=self.bits.len()).rev() {
            let carry = at.checked_sub(1).and_then(|below| self.bits.get(below)).copied();
            let free = self.cheapest_from(at, None);
            let owing = carry.and_then(|carry| self.cheapest_from(at, Some(carry)));
            self.cheapest[at] = [free, owing];
        }
        self.cheapest.first_mut().and_then(|entry| entry[0].take())
    }

    /// Cheapest digits from bit `at` upwards, where `carry` is the bit below, still owed with its full weight.
    fn cheapest_from(&self, at: usize, carry: Option<WeightBit>) -> Option<Costed> {
        if at == self.bits.len() {
            return match carry {
                None => Some((0, Vec::new())),
                Some(bit) => self.with(at, &[(bit, 1)], None, None),
            };
        }
        let first = self.bits[at];
        let owed: Vec<(WeightBit, i64)> = carry.map(|bit| (bit, 1)).into_iter().collect();
        let terms = |more: &[(WeightBit, i64)]| [owed.as_slice(), more].concat();
        let is_top = |index: usize| self.negative_top && index + 1 == self.bits.len();
        let mut options = Vec::new();
        if is_top(at) {
            options.push(self.with(at, &terms(&[(first, -1)]), Some(at + 1), None));
        } else {
            options.push(self.with(at, &terms(&[(first, 1)]), Some(at + 1), None));
            options.push(self.with(at, &terms(&[(first, -1)]), Some(at + 1), Some(first)));
        }
        if let Some(&second) = self.bits.get(at + 1) {
            let carry = if is_top(at + 1) { None } else { Some(second) };
            options.push(self.with(at, &terms(&[(first, 1), (second, -2)]), Some(at + 2), carry));
        }
        options.into_iter().flatten().min_by_key(|option| option.0)
    }

    /// A digit of the given terms at `at`, followed by the cheapest rest.
    fn with(
        &self,
        at: usize,
        terms: &[(WeightBit, i64)],
        next: Option<usize>,
        carry: Option<WeightBit>,
    ) -> Option<Costed> {
        let mut inputs: Vec<u32> = terms
            .iter()
            .filter_map(|(bit, _)| match bit {
                WeightBit::Wire { index, .. } => Some(*index),
                WeightBit::One => None,
            })
            .collect();
        inputs.sort_unstable();
        inputs.dedup();
        let values: Vec<i64> = (0..1_u32 << inputs.len())
            .map(|code| {
                terms
                    .iter()
                    .map(|(bit, factor)| match bit {
                        WeightBit::One => *factor,
                        WeightBit::Wire { index, inverted } => {
                            let at = inputs.iter().position(|input| input == index).unwrap_or(0);
                            if ((code >> at) & 1 == 1) == *inverted { 0 } else { *factor }
                        }
                    })
                    .sum()
            })
            .collect();
        if values.iter().any(|value| value.abs() > 2) {
            return None;
        }
        let mut digit = Digit { position: u32::try_from(at).ok()?, inputs, values, complements_row: false };
        if digit.values.iter().all(|value| value % 2 == 0) {
            digit.position += 1;
            digit.values.iter_mut().for_each(|value| *value /= 2);
        }
        let (rest_cost, rest) = match next {
            Some(next) => self.cheapest.get(next)?[usize::from(carry.is_some())].clone()?,
            None => (0, Vec::new()),
        };
        if digit.values.iter().all(|&value| value == 0) {
            return Some((rest_cost, rest));
        }
        let cost = self.cost(&digit) + rest_cost;
        let mut digits = vec![digit];
        digits.extend(rest);
        Some((cost, digits))
    }

    /// Cost of a digit's row in hundredths of a LUT, its share of the adders included.
    fn cost(&self, digit: &Digit) -> u32 {
        let doubled = digit.values.iter().any(|value| value.abs() == 2);
        let columns = self.activation.bits() + u32::from(doubled);
        let inputs = digit.column_inputs();
        let each = match self.target {
            Target::Lut6 => match inputs {
                0..=2 => 86,
                3..=5 => 100,
                _ => 200,
            },
            Target::Lut4 => match inputs {
                0..=4 => 200,
                _ => 400,
            },
            Target::StandardCells => 100 + 60 * inputs,
        };
        columns * each
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked vector of the {-1,+1} encoding: X = [-3,-1,1,3], W = [3,-1,-3,1], A = -8.
    #[test]
    fn the_worked_vector_of_the_bipolar_encoding_holds() {
        let bipolar = Operand::Bipolar { planes: 2 };
        let form = DotProductForm::new(bipolar, bipolar, Multiplier::Lut, Target::Lut6).unwrap();
        let (activations, weights) = ([-3, -1, 1, 3], [3, -1, -3, 1]);
        let raw: i64 = activations.iter().zip(&weights).map(|(&x, &w)| form.raw_range(&[w], (x, x)).0).sum();
        assert_eq!(raw, 14, "S of the worked vector");
        assert_eq!(form.gain() * raw + form.offset(&weights), -8);
    }

    /// Of four Booth digits of eight bits 0000_0001 has one that is not zero, 0101_0101 four; a plane of a bipolar code is never zero.
    #[test]
    fn constants_leave_the_rows_of_their_digits() {
        let form = |weight| DotProductForm::new(Operand::Unsigned { bits: 8 }, weight, Multiplier::Lut, Target::Lut6);
        let signed = form(Operand::Signed { bits: 8 }).unwrap();
        assert_eq!([0, 1, 0b0101_0101].map(|weight| signed.rows_left(weight)), [0, 250, 1000]);
        let bipolar = form(Operand::Bipolar { planes: 1 }).unwrap();
        assert_eq!([-1, 1].map(|weight| bipolar.rows_left(weight)), [1000, 1000]);
    }

    /// Eight-bit weights against eight-bit activations take four Booth digits, bipolar single planes one xnor.
    #[test]
    fn digits_are_the_cheapest() {
        let digits = |activation, weight| {
            DotProductForm::new(activation, weight, Multiplier::Lut, Target::Lut6).unwrap().digits.len()
        };
        assert_eq!(digits(Operand::Unsigned { bits: 8 }, Operand::Signed { bits: 8 }), 4);
        assert_eq!(digits(Operand::Bipolar { planes: 1 }, Operand::Bipolar { planes: 1 }), 1);
        assert_eq!(digits(Operand::Unsigned { bits: 1 }, Operand::Signed { bits: 8 }), 8);
    }
}
