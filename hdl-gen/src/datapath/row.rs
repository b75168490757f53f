//! Rows of partial products as nets: one Verilog function per kind of digit.

use super::operand::Operand;
use super::recode::Digit;
use crate::heap::{Bit, Netlist, Row, SignalId};
use crate::verilog::{Arm, BinaryOp, Expr, Function, Statement};

/// Where a lane's operands are: a signal and the index of the lane's lowest bit in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub signal: SignalId,
    /// Index of the lane's lowest bit in the input vector.
    pub low: u32,
    /// Index in the input vector of the signal's own lowest bit.
    pub from: u32,
}

impl Place {
    fn bit(self, index: u32) -> Option<Bit> {
        Some(Bit::direct(self.signal, (self.low + index).saturating_sub(self.from)))
    }
}

/// The row of one digit of one lane, as a wire of the stage that starts at `time`.
pub(super) fn row(netlist: &mut Netlist, time: u32, digit: &Digit, activation: Operand, x: Place, weight: Place) -> Row {
    let doubled = digit.values.iter().any(|value| value.abs() == 2);
    let bits = activation.bits() + u32::from(doubled);
    let signed = matches!(activation, Operand::Signed { .. });
    let selector: Vec<Option<Bit>> = digit.inputs.iter().rev().map(|&input| weight.bit(input)).collect();
    let low = x.low.saturating_sub(x.from);
    let operand = netlist.slice(x.signal, low + activation.bits() - 1, low);
    let value = match (bits, signed, digit.values.as_slice()) {
        (1, false, [0, 1]) => operand.binary(BinaryOp::And, netlist.vector(&selector)),
        (1, false, [-1, 1]) => operand.binary(BinaryOp::Xor, netlist.vector(&selector)).inverted(),
        _ => {
            let function = multiple(digit, activation.bits(), bits, signed);
            let mut arguments = Vec::new();
            if !selector.is_empty() {
                arguments.push(netlist.vector(&selector));
            }
            arguments.push(operand);
            let call = Expr::Call(function.name.clone(), arguments);
            netlist.function(function);
            call
        }
    };
    let wire = netlist.wire(time, "row", bits, value);
    let inputs = digit.column_inputs();
    Row { column: digit.position, bits: (0..bits).map(|index| Bit { inputs, ..Bit::direct(wire, index) }).collect() }
}

/// The multiple of an operand that a digit selects, as a case over the digit's bits.
fn multiple(digit: &Digit, operand_bits: u32, bits: u32, signed: bool) -> Function {
    let label: Vec<String> = digit
        .values
        .iter()
        .map(|value| if *value < 0 { format!("m{}", -value) } else { value.to_string() })
        .collect();
    let sign = if signed { "s" } else { "u" };
    let form = if digit.complements_row { "complement" } else { "multiple" };
    let name = format!("{form}_{}_{sign}{operand_bits}", label.join("_"));
    let target = || Expr::name(name.as_str());
    let selector_bits = u32::try_from(digit.inputs.len()).unwrap_or(0);
    let half = digit.values.len() / 2;
    let values: Vec<Expr> = digit
        .values
        .iter()
        .enumerate()
        .map(|(code, &value)| {
            if digit.complements_row && code >= half {
                scaled(-value, operand_bits, bits, signed).inverted()
            } else {
                scaled(value, operand_bits, bits, signed)
            }
        })
        .collect();
    let body = match values.as_slice() {
        [only] => vec![Statement::Blocking(target(), only.clone())],
        several => {
            let arms = (0..)
                .zip(several)
                .map(|(code, value)| Arm {
                    labels: if code + 1 == several.len() { vec![] } else { vec![Expr::constant(selector_bits, code as u128)] },
                    statement: Statement::Blocking(target(), value.clone()),
                })
                .collect();
            vec![Statement::Case(Expr::name("digit"), arms)]
        }
    };
    let mut inputs = vec![("value".to_owned(), operand_bits)];
    if selector_bits > 0 {
        inputs.insert(0, ("digit".to_owned(), selector_bits));
    }
    Function { name: name.clone(), bits, inputs, variables: vec![], body }
}

/// `|factor|·value` or `|factor|·~value`; the sign bit of a signed operand is inverted.
fn scaled(factor: i64, operand_bits: u32, bits: u32, signed: bool) -> Expr {
    let top = operand_bits - 1;
    let sign = 1_u128 << (bits - 1);
    if factor == 0 {
        return Expr::constant(bits, if signed { sign } else { 0 });
    }
    let inverted = factor < 0;
    let part = |expr: Expr, invert: bool| if invert { expr.inverted() } else { expr };
    let mut parts = Vec::new();
    let doubled = factor.abs() == 2;
    if signed {
        parts.push(part(Expr::part("value", operand_bits, top, top), !inverted));
        let copies = bits - operand_bits - u32::from(doubled);
        for _ in 0..copies {
            parts.push(part(Expr::part("value", operand_bits, top, top), inverted));
        }
        if top > 0 {
            parts.push(part(Expr::part("value", operand_bits, top - 1, 0), inverted));
        }
    } else {
        let zeros = bits - operand_bits - u32::from(doubled);
        if zeros > 0 {
            parts.push(Expr::zero(zeros));
        }
        parts.push(part(Expr::name("value"), inverted));
    }
    if doubled {
        parts.push(Expr::zero(1));
    }
    Expr::concat(parts)
}
