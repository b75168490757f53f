//! Rows of partial products as nets: one Verilog function per kind of digit.

use super::operand::Operand;
use super::recode::Digit;
use crate::heap::{Bit, Netlist, ProductTable, Row, SignalId};
use crate::verilog::{
    Arm, BinaryOp, Connection, Expr, Function, Item, Module, ModuleText, Parameter, Port, Statement, Width,
};

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
pub(super) fn row(
    netlist: &mut Netlist,
    time: u32,
    digit: &Digit,
    activation: Operand,
    x: Place,
    weight: Place,
) -> Row {
    let doubled = digit.values.iter().any(|value| value.abs() == 2);
    let bits = activation.bits() + u32::from(doubled);
    let signed = matches!(activation, Operand::Signed { .. });
    let selector: Vec<Option<Bit>> = digit.inputs.iter().rev().map(|&input| weight.bit(input)).collect();
    let low = x.low.saturating_sub(x.from);
    let operand = netlist.slice(x.signal, low + activation.bits() - 1, low);
    let value = match (bits, signed, digit.values.as_slice()) {
        _ if netlist.is_counting() => operand,
        (1, false, [0, 1]) => operand.binary(BinaryOp::And, netlist.vector(&selector)),
        (1, false, [-1, 1]) => operand.binary(BinaryOp::Xor, netlist.vector(&selector)).inverted(),
        _ => {
            let function = multiple(digit, activation.bits(), bits, signed, "");
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
    for (index, product) in (0..).zip(small_products(digit, activation, x, weight).into_iter().flatten()) {
        netlist.note_product(Bit::direct(wire, index), product.table, product.x, product.w);
    }
    let inputs = digit.column_inputs();
    let bits = (0..bits).map(|index| Bit { inputs, ..Bit::direct(wire, index) }).collect();
    Row { column: digit.position, bits, takes_bit: takes_bit(digit, activation) }
}

/// The rows of one digit for several lanes as nets, in a module that is mapped on its own.
pub(super) fn rows_as_nets(
    netlist: &mut Netlist,
    digit: &Digit,
    operand: Operand,
    places: &[(Place, Place)],
) -> Vec<Row> {
    let bits = digit.row_bits(operand);
    if netlist.is_counting() {
        let signal = netlist.port("", bits * u32::try_from(places.len()).unwrap_or(0));
        return net_rows(digit, signal, bits, places.len());
    }
    let signed = matches!(operand, Operand::Signed { .. });
    // A name of its own: lint takes the parent's function of the same name for hidden.
    let function = multiple(digit, operand.bits(), bits, signed, "_row");
    let count = u32::try_from(places.len()).unwrap_or(0);
    let digits: Vec<Option<Bit>> =
        places.iter().rev().flat_map(|(_, weight)| digit.inputs.iter().rev().map(|&input| weight.bit(input))).collect();
    let values: Vec<Option<Bit>> =
        places.iter().rev().flat_map(|(x, _)| (0..operand.bits()).rev().map(|index| x.bit(index))).collect();
    let ports =
        vec![Connection::new("digit_i", netlist.vector(&digits)), Connection::new("value_i", netlist.vector(&values))];
    let parameters = vec![Connection::new("COUNT", Expr::Integer(i64::from(count)))];
    let module = multiples(digit, function);
    let signal = netlist.instance(0, "rows", module, parameters, ports, ("row_o", bits * count));
    net_rows(digit, signal, bits, places.len())
}

/// Rows of `bits` bits side by side in a signal, the first lowest.
fn net_rows(digit: &Digit, signal: SignalId, bits: u32, count: usize) -> Vec<Row> {
    let row = |lane: u32| Row {
        column: digit.position,
        bits: (0..bits).map(|index| Bit::direct(signal, lane * bits + index)).collect(),
        takes_bit: false,
    };
    (0..).take(count).map(row).collect()
}

/// The module of [`rows_as_nets`].
fn multiples(digit: &Digit, function: Function) -> ModuleText {
    let [(_, digit_bits), (_, value_bits)] =
        [function.inputs.first(), function.inputs.get(1)].map(|input| input.cloned().unwrap_or_default());
    let part = |name: &str, bits: u32| Expr::IndexedPart {
        name: name.to_owned(),
        low: Box::new(Expr::Integer(i64::from(bits)).binary(BinaryOp::Multiply, Expr::name("i"))),
        bits,
    };
    let port = |mut port: Port, bits: u32| {
        let all = Expr::Integer(i64::from(bits)).binary(BinaryOp::Multiply, Expr::name("COUNT"));
        port.width = Width::Top(all.binary(BinaryOp::Subtract, Expr::Integer(1)));
        port
    };
    let call = Expr::Call(function.name.clone(), vec![part("digit_i", digit_bits), part("value_i", value_bits)]);
    let values: Vec<String> = digit.values.iter().map(ToString::to_string).collect();
    Module {
        name: format!("hwgen_{}", function.name),
        header: vec![
            "Rows of partial products, COUNT side by side.".to_owned(),
            format!("row_o = d * value_i plus a constant of d, d = {} for digit_i = 0, 1, ...;", values.join(", ")),
            "combinational; COUNT from 1. Mapped on its own, so that adders find its outputs as nets.".to_owned(),
        ],
        keep_hierarchy: true,
        parameters: vec![Parameter { name: "COUNT".to_owned(), value: Expr::Integer(1) }],
        ports: vec![
            port(Port::input("digit_i", 1), digit_bits),
            port(Port::input("value_i", 1), value_bits),
            port(Port::output("row_o", 1), function.bits),
        ],
        items: vec![
            Item::Function(function.clone()),
            Item::Blank,
            Item::Repeat {
                variable: "i".to_owned(),
                count: Expr::name("COUNT"),
                label: "gen_row".to_owned(),
                items: vec![Item::Assign(part("row_o", function.bits), call)],
            },
        ],
    }
    .print()
}

/// Whether a row can count one more bit of its lowest column: see [`Row::takes_bit`].
pub(super) fn takes_bit(digit: &Digit, operand: Operand) -> bool {
    let inputs = u32::try_from(digit.inputs.len()).unwrap_or(0) + operand.bits();
    let largest =
        digit.values.iter().map(|value| value.unsigned_abs()).max().unwrap_or(0) * ((1 << operand.bits()) - 1);
    let unsigned = !matches!(operand, Operand::Signed { .. });
    digit.column_inputs() > 2
        && inputs <= 4
        && unsigned
        && !digit.complements_row
        && largest + 1 < 1 << digit.row_bits(operand)
}

/// A partial product of two inputs, not yet a net.
#[derive(Clone, Copy, Debug)]
pub(super) struct SmallProduct {
    pub column: u32,
    pub table: ProductTable,
    pub x: Bit,
    pub w: Bit,
}

/// The partial products of a digit that looks at one bit and whose values are -1, 0 and 1; none for other digits.
pub(super) fn small_products(digit: &Digit, operand: Operand, x: Place, weight: Place) -> Option<Vec<SmallProduct>> {
    let ([input], [low, high]) = (digit.inputs.as_slice(), digit.values.as_slice()) else { return None };
    if low.abs() > 1 || high.abs() > 1 || digit.complements_row {
        return None;
    }
    let bits = operand.bits();
    let signed = matches!(operand, Operand::Signed { .. });
    (0..bits)
        .map(|index| {
            let inverted = signed && index + 1 == bits;
            let value = |factor: i64, x: bool| match factor {
                0 => inverted,
                1 => x != inverted,
                _ => x == inverted,
            };
            let table = [(*low, false), (*low, true), (*high, false), (*high, true)]
                .into_iter()
                .enumerate()
                .map(|(row, (factor, x))| u8::from(value(factor, x)) << row)
                .sum();
            Some(SmallProduct {
                column: digit.position + index,
                table: ProductTable(table),
                x: x.bit(index)?,
                w: weight.bit(*input)?,
            })
        })
        .collect()
}

/// The multiple of an operand that a digit selects, as a case over the digit's bits.
fn multiple(digit: &Digit, operand_bits: u32, bits: u32, signed: bool, ending: &str) -> Function {
    let label: Vec<String> =
        digit.values.iter().map(|value| if *value < 0 { format!("m{}", -value) } else { value.to_string() }).collect();
    let sign = if signed { "s" } else { "u" };
    let form = if digit.complements_row { "complement" } else { "multiple" };
    let name = format!("{form}_{}_{sign}{operand_bits}{ending}", label.join("_"));
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
                    labels: if code + 1 == several.len() {
                        vec![]
                    } else {
                        vec![Expr::constant(selector_bits, code as u128)]
                    },
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
