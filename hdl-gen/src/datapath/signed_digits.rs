//! A product with a constant: the operand, shifted and added or subtracted for each digit of the constant.

use crate::heap::{Bit, Heap, Netlist, SignalId};

/// A number on wires.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    pub signal: SignalId,
    /// Stands in the names of nets made from it.
    pub name: &'a str,
    pub bits: u32,
    /// Two's complement.
    pub signed: bool,
}

/// Puts coefficient * number into a heap of time 0, digit by signed digit, without sign extensions; gives the constant
/// that inverted bits take away.
pub(super) fn push_multiple(netlist: &mut Netlist, heap: &mut Heap, number: Number<'_>, coefficient: i64) -> i128 {
    let digits = signed_digits(coefficient);
    let is_inverted = |negative: bool, index: u32| negative != (number.signed && index + 1 == number.bits);
    let needs_inverted = digits.iter().any(|&(_, negative)| (0..number.bits).any(|index| is_inverted(negative, index)));
    let inverted = needs_inverted.then(|| {
        let value = netlist.whole(number.signal).inverted();
        netlist.wire(0, &format!("not_{}", number.name), number.bits, value)
    });
    let mut constant = 0;
    for (position, negative) in digits {
        for index in 0..number.bits {
            // A bit of weight -2^k is its complement of weight 2^k, less 2^k.
            let signal = if is_inverted(negative, index) {
                constant -= 1i128 << (position + index);
                inverted.unwrap_or(number.signal)
            } else {
                number.signal
            };
            heap.push(position + index, Bit::direct(signal, index));
        }
    }
    constant
}

/// The digits of a number in the form with fewest non-zero ones, as position and sign, lowest first.
fn signed_digits(number: i64) -> Vec<(u32, bool)> {
    let (mut rest, mut position, mut digits) = (number, 0, Vec::new());
    while rest != 0 {
        if rest & 1 == 1 {
            let negative = rest & 3 == 3;
            digits.push((position, negative));
            rest += if negative { 1 } else { -1 };
        }
        rest >>= 1;
        position += 1;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::signed_digits;

    #[test]
    fn digits_add_up_and_no_two_stand_side_by_side() {
        for number in -300..300 {
            let digits = signed_digits(number);
            let sum: i64 = digits.iter().map(|&(at, negative)| if negative { -(1 << at) } else { 1 << at }).sum();
            assert_eq!(sum, number);
            assert!(digits.windows(2).all(|pair| pair[1].0 > pair[0].0 + 1), "{number}: {digits:?}");
        }
    }
}
