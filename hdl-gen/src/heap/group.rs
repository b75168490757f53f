//! Carry groups: which bits share a few neighbouring columns of a carry chain, and their counting functions.

use super::netlist::{Netlist, SignalId, majority, parity};
use super::{Bit, Heap};
use crate::verilog::{BinaryOp, Expr, Function, Statement};
use std::sync::OnceLock;

/// Worth of absorbing a partial product without first making it a net, in LUTs.
const SMALL_CREDIT: f64 = 0.67;

/// A choice of bits for `columns` neighbouring columns of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Group {
    /// Columns covered, which is also the number of LUTs.
    pub columns: usize,
    /// Two-input partial products of the lowest column in the function.
    pub small: usize,
    /// Direct bits of the columns in the function, lowest first.
    pub function: [usize; 3],
    /// Which columns have a bit on the carry multiplexer.
    pub direct: [bool; 3],
}

impl Group {
    /// Bits taken from the heap.
    pub fn taken(&self) -> usize {
        self.small + self.function.iter().sum::<usize>() + self.direct.iter().filter(|&&taken| taken).count()
    }

    /// Bits removed from the heap, with a credit for partial products.
    pub fn gain(&self) -> f64 {
        let credit = SMALL_CREDIT * f64::from(u32::try_from(self.small).unwrap_or(0));
        let taken = f64::from(u32::try_from(self.taken()).unwrap_or(0));
        taken + credit - f64::from(u32::try_from(self.columns).unwrap_or(0))
    }
}

/// All that the choice of a group depends on: what a function cannot take in any more makes no difference.
#[derive(Clone, Copy)]
struct Case {
    /// Inputs of the function.
    inputs: usize,
    /// Two-input partial products of the lowest column, as many as the function takes.
    small: usize,
    /// Direct bits of the columns: one more than the function takes in the lower two, any in the third.
    height: [usize; 3],
    /// Columns that the group may cover.
    columns: usize,
    /// The last of them is the heap's last.
    reaches_top: bool,
    needs_small: bool,
}

/// Inputs of the widest function, and the cases of one target's function.
const MAX_INPUTS: usize = 5;
const CASES: usize = (MAX_INPUTS / 2 + 1) * (MAX_INPUTS + 2) * (MAX_INPUTS + 2) * 2 * 3 * 2 * 2;

/// Choices by [`Case::number`], for functions of one input and of several.
static CHOICES: [[OnceLock<Option<Group>>; CASES]; 2] = [const { [const { OnceLock::new() }; CASES] }; 2];

/// The group with the largest gain per column that starts at `column`, or none that gains anything.
pub(super) fn best(heap: &Heap, column: usize, columns_left: usize, needs_small: bool) -> Option<Group> {
    let inputs = heap.target.function_inputs() as usize;
    let heap_columns_left = heap.direct.len() - column;
    let columns = columns_left.min(3).min(heap_columns_left);
    if columns == 0 {
        return None;
    }
    let case = Case {
        inputs,
        small: heap.small.get(column).map_or(0, Vec::len).min(inputs / 2),
        height: [
            heap.height(column).min(inputs + 1),
            heap.height(column + 1).min(inputs + 1),
            heap.height(column + 2).min(1),
        ],
        columns,
        reaches_top: columns == heap_columns_left,
        needs_small,
    };
    *CHOICES[usize::from(inputs > 1)][case.number()].get_or_init(|| case.best())
}

impl Case {
    /// Different for different cases of one target.
    fn number(self) -> usize {
        let digits = [
            (self.height[0], MAX_INPUTS + 2),
            (self.height[1], MAX_INPUTS + 2),
            (self.height[2], 2),
            (self.columns - 1, 3),
            (usize::from(self.reaches_top), 2),
            (usize::from(self.needs_small), 2),
        ];
        digits.into_iter().fold(self.small, |number, (digit, base)| number * base + digit)
    }

    /// The best group, by trying all.
    fn best(self) -> Option<Group> {
        let Case { inputs, height, .. } = self;
        let mut found: Option<(f64, Group)> = None;
        for columns in 1..=self.columns {
            let top = self.reaches_top && columns == self.columns;
            for small in 0..=self.small {
                for ones in 0..=height[0].min(inputs - 2 * small) {
                    let twos_limit = if columns > 1 { height[1].min(inputs - 2 * small - ones) } else { 0 };
                    for twos in 0..=twos_limit {
                        if small + ones + 2 * twos >= 1 << columns && !top {
                            continue;
                        }
                        if small == 0 && self.needs_small {
                            continue;
                        }
                        let function = [ones, twos, 0];
                        let mut direct = [false; 3];
                        for index in 0..columns {
                            direct[index] = height[index] > function[index];
                        }
                        let group = Group { columns, small, function, direct };
                        let score = group.gain() / f64::from(u32::try_from(columns).unwrap_or(1));
                        if score > 0.0 && found.is_none_or(|(best, _)| score > best + 1e-9) {
                            found = Some((score, group));
                        }
                    }
                }
            }
        }
        found.map(|(_, group)| group)
    }
}

/// The binary digits of the sum of `columns[i]` bits of weight 2^i, lowest first: `digits` of them. A single bit is
/// itself; anything else becomes a counting function of the module.
pub(super) fn digits(netlist: &mut Netlist, time: u32, columns: &[Vec<Bit>], digits: usize) -> Vec<Option<Bit>> {
    let mut result = vec![None; digits];
    if columns.iter().all(|column| column.len() <= 1) {
        for (digit, column) in result.iter_mut().zip(columns) {
            *digit = column.first().copied();
        }
        return result;
    }
    let useful = digits.min(digits_of(columns.iter().map(Vec::len)));
    let call = if netlist.is_counting() {
        Expr::zero(1)
    } else {
        let counts: Vec<usize> = columns.iter().map(Vec::len).collect();
        let bits: Vec<Bit> = columns.iter().flatten().copied().collect();
        let function = counting_function(&counts, useful);
        let reversed: Vec<Option<Bit>> = bits.iter().rev().map(|bit| Some(*bit)).collect();
        let call = Expr::Call(function.name.clone(), vec![netlist.vector(&reversed)]);
        netlist.function(function);
        call
    };
    let wire: SignalId = netlist.wire(time, "digits", u32::try_from(useful).unwrap_or(0), call);
    for (index, digit) in (0..).zip(result.iter_mut().take(useful)) {
        *digit = Some(Bit::direct(wire, index));
    }
    result
}

/// A number plus a bit of its lowest weight, as a function of the module; both have as many digits.
pub(super) fn incremented(netlist: &mut Netlist, time: u32, number: &[Option<Bit>], bit: Bit) -> Vec<Option<Bit>> {
    let bits = u32::try_from(number.len()).unwrap_or(0);
    if netlist.is_counting() {
        let wire = netlist.wire(time, "digits", bits, Expr::zero(1));
        return (0..bits).map(|index| Some(Bit::direct(wire, index))).collect();
    }
    let name = format!("increment_{bits}");
    let digit = |index: u32| Expr::part("number", bits, index, index);
    let mut digits = Vec::new();
    let mut carry = Expr::name("bit_in");
    for index in 0..bits {
        digits.push(digit(index).binary(BinaryOp::Xor, carry.clone()));
        carry = digit(index).binary(BinaryOp::And, carry);
    }
    digits.reverse();
    netlist.function(Function {
        name: name.clone(),
        bits,
        inputs: vec![("number".to_owned(), bits), ("bit_in".to_owned(), 1)],
        variables: vec![],
        body: vec![Statement::Blocking(Expr::name(name.as_str()), Expr::concat(digits))],
    });
    let reversed: Vec<Option<Bit>> = number.iter().rev().copied().collect();
    let call = Expr::Call(name, vec![netlist.vector(&reversed), netlist.bit(bit)]);
    let wire = netlist.wire(time, "digits", bits, call);
    (0..bits).map(|index| Some(Bit::direct(wire, index))).collect()
}

/// Digits that the largest sum of `counts[i]` bits of weight 2^i has.
fn digits_of(counts: impl Iterator<Item = usize>) -> usize {
    let largest: usize = counts.enumerate().map(|(index, count)| count << index).sum();
    (usize::BITS - largest.leading_zeros()) as usize
}

/// A function that counts weighted bits by full and half adders.
fn counting_function(counts: &[usize], digits: usize) -> Function {
    let trimmed = counts.iter().rposition(|&count| count > 0).map_or(0, |index| index + 1);
    let label: Vec<String> = counts[..trimmed].iter().map(ToString::to_string).collect();
    let full = digits == digits_of(counts.iter().copied());
    let suffix = if full { String::new() } else { format!("_low{digits}") };
    let name = format!("count_{}{suffix}", label.join("_"));
    let total: usize = counts.iter().sum();
    let mut columns: Vec<Vec<Expr>> = vec![Vec::new(); digits];
    let mut next_input = 0;
    for (column, &count) in counts.iter().enumerate() {
        for _ in 0..count {
            if let Some(list) = columns.get_mut(column) {
                list.push(Expr::Bit("bits".to_owned(), next_input));
            }
            next_input += 1;
        }
    }
    let mut body = Vec::new();
    let mut variables = Vec::new();
    let mut results = Vec::new();
    for column in 0..digits {
        let mut step = 0;
        while columns[column].len() > 1 {
            let a = columns[column].remove(0);
            let b = columns[column].remove(0);
            let c = if columns[column].is_empty() { None } else { Some(columns[column].remove(0)) };
            let (sum, carry) = match &c {
                Some(c) => (parity(&a, &b, c), majority(&a, &b, c)),
                None => (a.clone().binary(BinaryOp::Xor, b.clone()), a.clone().binary(BinaryOp::And, b.clone())),
            };
            for (stem, value, target) in [("sum", sum, column), ("carry", carry, column + 1)] {
                if target < digits {
                    let name = format!("{stem}{column}_{step}");
                    variables.push((name.clone(), 1));
                    body.push(Statement::Blocking(Expr::name(name.as_str()), value));
                    columns[target].push(Expr::name(name));
                }
            }
            step += 1;
        }
        results.push(columns[column].first().cloned().unwrap_or(Expr::zero(1)));
    }
    results.reverse();
    body.push(Statement::Blocking(Expr::name(name.as_str()), Expr::concat(results)));
    Function {
        name,
        bits: u32::try_from(digits).unwrap_or(0),
        inputs: vec![("bits".to_owned(), u32::try_from(total).unwrap_or(0))],
        variables,
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::*;

    /// A heap with so many direct bits in its columns and so many products in the lowest one.
    fn heap(target: Target, direct: &[usize], small: usize) -> Heap {
        let mut heap = Heap::new(direct.len() as u32, target);
        for (column, &count) in (0..).zip(direct) {
            (0..count).for_each(|_| heap.push(column, Bit { net: super::super::Net::One, inputs: 1 }));
        }
        (0..small).for_each(|_| heap.push(0, Bit { net: super::super::Net::One, inputs: 2 }));
        heap
    }

    /// What a function cannot take in any more makes no difference, so that the kept choices are those of the heap as it is.
    #[test]
    fn kept_choices_are_those_that_trying_all_gives() {
        let mut cases = 0;
        for target in [Target::Lut6, Target::Lut4] {
            for width in 1..=4 {
                for number in 0..9_usize.pow(width) {
                    let direct: Vec<usize> = (0..width).map(|column| number / 9_usize.pow(column) % 9).collect();
                    if direct.iter().skip(2).any(|&height| height > 1) {
                        continue;
                    }
                    for (small, needs_small) in [(0, false), (1, true), (2, false), (4, true)] {
                        let heap = heap(target, &direct, small);
                        for room in 1..=3 {
                            let whole = Case {
                                inputs: target.function_inputs() as usize,
                                small: small.min(target.function_inputs() as usize / 2),
                                height: [0, 1, 2].map(|column| heap.height(column)),
                                columns: room.min(direct.len()),
                                reaches_top: room.min(direct.len()) == direct.len(),
                                needs_small,
                            };
                            assert_eq!(best(&heap, 0, room, needs_small), whole.best(), "{direct:?} {small} {room}");
                            cases += 1;
                        }
                    }
                }
            }
        }
        assert!(cases > 1000);
    }
}
