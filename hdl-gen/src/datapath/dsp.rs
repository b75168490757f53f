//! Products in DSP blocks, inferred from `*` between registers.

use super::operand::Operand;
use super::recode::{DotProductForm, bits_for};
use crate::heap::{Bit, Heap, Net, Netlist, SignalId};
use crate::verilog::{BinaryOp, Expr};

/// Register stages of a product: operands, then product.
pub(super) const STAGES: u32 = 2;

/// Inputs of a DSP48E1's signed multiplier.
const INPUT_BITS: [u32; 2] = [25, 18];

/// Puts the products of all lanes into the heap at time [`STAGES`], two lanes a DSP block where they fit.
///
/// Two lanes share a block as `(x1 + x2·2^s)·(w2 + w1·2^s)`, whose middle part is `x1·w1 + x2·w2`. With `s` the bits of
/// that sum, the part below borrows one from the middle exactly where it is negative, which is its own top bit.
pub(super) fn products(
    netlist: &mut Netlist,
    lanes: u32,
    form: &DotProductForm,
    activation: SignalId,
    weight: SignalId,
    heap: &mut Heap,
) {
    let (low, high) = form.product_range();
    let operand_bits = |signal, operand, is_weight| Number::new(netlist, signal, operand, 0, is_weight).bits;
    let single = signed_bits(low, high).max(operand_bits(activation, form.activation, false)).max(operand_bits(
        weight,
        form.weight,
        true,
    ));
    let paired = single.max(signed_bits(2 * low - 1, 2 * high));
    let mut constant = 0_i128;
    let mut lane = 0;
    while lane < lanes {
        let x = |lane| Number::new(netlist, activation, form.activation, lane, false);
        let w = |lane| Number::new(netlist, weight, form.weight, lane, true);
        let (x1, w1) = (x(lane), w(lane));
        let pair = (lane + 1 < lanes).then(|| {
            let (x2, w2) = (x(lane + 1), w(lane + 1));
            (x2.above(&x1, paired), w1.above(&w2, paired))
        });
        let pair = pair.filter(|(x, w)| fits(x.bits, w.bits));
        let (left, right, skipped, bits, taken) = match pair {
            Some((x, w)) => (x, w, paired, paired, 2),
            None => (x1, w1, 0, single, 1),
        };
        let used_bits = skipped + bits.min(heap.width());
        let product = registered_product(netlist, &format!("{lane}"), &left, &right, used_bits);
        if skipped > 0 {
            heap.push(0, Bit::direct(product, skipped - 1));
        }
        constant += push_signed(netlist, heap, product, 0, skipped, bits);
        lane += taken;
    }
    push_constant(heap, constant);
}

fn fits(x_bits: u32, w_bits: u32) -> bool {
    let [wide, narrow] = INPUT_BITS;
    (x_bits <= wide && w_bits <= narrow) || (x_bits <= narrow && w_bits <= wide)
}

/// Fewest bits of a product that Yosys makes in a DSP block.
const LEAST_DSP_BITS: u32 = 9;

/// Counts a product of which so many bits are used: a DSP block that holds so many registers, or look-up tables. Of those
/// registers some may be `live` alone.
fn count_product(netlist: &mut Netlist, [registers, live]: [u32; 2], used_bits: u32, [left, right]: [u32; 2]) {
    netlist.cost.product_bits += product_bits(left, right);
    if used_bits >= LEAST_DSP_BITS {
        netlist.cost.ff -= registers;
        netlist.cost.dsp_ff += live;
        netlist.cost.dsp += 1;
    } else {
        let luts = (left * right).min(used_bits * 3);
        netlist.cost.lut += luts;
        netlist.cost.dsp_lut += luts;
    }
}

/// Counts the rows that a product has in look-up tables: a bit of the narrower operand each.
fn count_rows(netlist: &mut Netlist, rows: u32) {
    netlist.cost.product_rows = netlist.cost.product_rows.max(rows);
}

/// Pairs of operand bits that cost what a multiplier of look-up tables takes for one; with an operand of two bits it is one
/// adder, whose bits count a sixth.
fn product_bits(left: u32, right: u32) -> u32 {
    if left.min(right) <= 2 { (left + right).div_ceil(6) } else { left * right }
}

/// Bits of an operand of a block of 18 by 18 bits.
const SMALL_BLOCK_BITS: u32 = 18;

/// Blocks of 18 by 18 bits that Yosys cuts a product into; a part of a single bit takes none. Operands have so many bits, and
/// so many without one that is always zero: where both have such a bit, the product is unsigned.
fn blocks18(left: [u32; 2], right: [u32; 2]) -> u32 {
    let unsigned = [left, right].iter().all(|[bits, live]| live < bits);
    let [left, right] = [left, right].map(|[bits, live]| if unsigned { live } else { bits });
    let parts = |bits: u32| {
        let whole = bits.saturating_sub(SMALL_BLOCK_BITS).div_ceil(SMALL_BLOCK_BITS);
        whole + u32::from(bits - SMALL_BLOCK_BITS * whole >= 2)
    };
    parts(left) * parts(right)
}

/// Registers two operands and their product; both are DSP registers where a block multiplies.
fn registered_product(netlist: &mut Netlist, label: &str, left: &Number, right: &Number, used_bits: u32) -> SignalId {
    let mut operand = |name: &str, number: &Number| {
        let register = netlist.register(0, &format!("s1_{name}{label}_q"), number.bits, number.expr.clone());
        Expr::Call("$signed".to_owned(), vec![netlist.whole(register)])
    };
    let product = operand("left", left).binary(BinaryOp::Multiply, operand("right", right));
    let bits = left.bits + right.bits;
    let register = netlist.register(1, &format!("s2_product{label}_q"), bits, product);
    let [wide, narrow] = [left, right].map(|number| number.bits - u32::from(number.sign.is_none()));
    netlist.cost.dsp18 += blocks18([left.bits, wide], [right.bits, narrow]);
    // Constant bits, copies, and bits of the product that nothing reads are left out by synthesis.
    let live = left.live + right.live + used_bits.min(bits);
    let held = netlist.cost.dsp_ff;
    count_product(netlist, [2 * bits, live], used_bits, [left.live, right.live]);
    count_rows(netlist, left.changing.min(right.changing));
    netlist.cost.dsp_shared_ff += (netlist.cost.dsp_ff - held).min(left.live);
    register
}

/// Pushes bits `from..from + bits` of a signed product to the columns from `column` upwards, the sign bit inverted.
/// Gives the constant that this takes away.
fn push_signed(netlist: &mut Netlist, heap: &mut Heap, product: SignalId, column: u32, from: u32, bits: u32) -> i128 {
    let visible = bits.min(heap.width().saturating_sub(column));
    for index in 0..visible.min(bits - 1) {
        heap.push(column + index, Bit::direct(product, from + index));
    }
    if visible < bits {
        return 0;
    }
    let sign = netlist.slice(product, from + bits - 1, from + bits - 1).inverted();
    let wire = netlist.wire(STAGES, "sign", 1, sign);
    heap.push(column + bits - 1, Bit::direct(wire, 0));
    -(1_i128 << (column + bits - 1))
}

/// Pushes a constant, modulo 2^width.
pub(super) fn push_constant(heap: &mut Heap, constant: i128) {
    for column in (0..heap.width().min(127)).filter(|column| (constant >> column) & 1 == 1) {
        heap.push(column, Bit { net: Net::One, inputs: 1 });
    }
}

/// Bits of a two's complement number that holds a range.
fn signed_bits(low: i64, high: i64) -> u32 {
    1 + bits_for((-(low + 1)).max(high))
}

/// A two's complement number as an expression.
#[derive(Clone, Debug)]
struct Number {
    expr: Expr,
    /// Its sign bit, where it can be negative.
    sign: Option<Expr>,
    bits: u32,
    /// Its bits that change and are no copies of others.
    live: u32,
    /// Its bits that change, copies among them.
    changing: u32,
}

impl Number {
    /// A lane's operand: a bipolar activation is its level index, a bipolar weight its odd value.
    fn new(netlist: &Netlist, signal: SignalId, operand: Operand, lane: u32, is_weight: bool) -> Self {
        let bits = operand.bits();
        let (high, low) = (lane * bits + bits - 1, lane * bits);
        let code = netlist.slice(signal, high, low);
        let top = netlist.slice(signal, high, high);
        match operand {
            Operand::Signed { .. } => Number { expr: code, sign: Some(top), bits, live: bits, changing: bits },
            Operand::Bipolar { .. } if is_weight => {
                let mut parts = vec![top.clone().inverted()];
                if bits > 1 {
                    parts.push(netlist.slice(signal, high - 1, low));
                }
                parts.push(Expr::constant(1, 1));
                Number {
                    expr: Expr::concat(parts),
                    sign: Some(top.inverted()),
                    bits: bits + 1,
                    live: bits,
                    changing: bits,
                }
            }
            Operand::Unsigned { .. } | Operand::Bipolar { .. } => {
                let expr = Expr::concat(vec![Expr::zero(1), code]);
                Number { expr, sign: None, bits: bits + 1, live: bits, changing: bits }
            }
        }
    }

    /// `self·2^shift + low`.
    fn above(&self, low: &Number, shift: u32) -> Number {
        let extension = shift.saturating_sub(low.bits);
        let copies = if low.sign.is_some() { extension } else { 0 };
        let (mut parts, bits, live) = match (&low.sign, &self.sign) {
            (Some(borrow), Some(sign)) => {
                let wide = Expr::concat(vec![sign.clone(), self.expr.clone()]);
                let one = Expr::concat(vec![Expr::zero(self.bits), borrow.clone()]);
                (vec![wide.binary(BinaryOp::Subtract, one)], self.bits + 1, self.bits + 1)
            }
            _ => (vec![self.expr.clone()], self.bits, self.live),
        };
        if extension > 0 {
            parts.push(match &low.sign {
                Some(sign) => Expr::Repeat(extension, Box::new(sign.clone())),
                None => Expr::zero(extension),
            });
        }
        parts.push(low.expr.clone());
        Number {
            expr: Expr::concat(parts),
            sign: self.sign.clone(),
            bits: bits + shift,
            live: live + low.live,
            changing: live + copies + low.changing,
        }
    }
}

/// Bits of the unsigned parts of a wide product's operands: a signed 25 by 18 multiplier takes one bit more.
const PART_BITS: [u32; 2] = [24, 17];

/// The product of two numbers of any width, cut into parts that a DSP block multiplies, in the heap at time
/// [`STAGES`]. Gives the constant that the inverted sign bits take away.
pub(super) fn wide_product(netlist: &mut Netlist, operands: [(SignalId, bool); 2], heap: &mut Heap) -> i128 {
    let mut parts: Vec<Vec<(u32, [u32; 2], Expr)>> = Vec::new();
    for ((signal, signed), (name, part_bits)) in
        operands.into_iter().zip([("accumulator", PART_BITS[0]), ("multiplier", PART_BITS[1])])
    {
        let bits = netlist.bits(signal);
        let value = netlist.whole(signal);
        let register = netlist.register(0, &format!("s1_{name}_q"), bits, value);
        let mut list = Vec::new();
        let mut low = 0;
        while low < bits {
            let rest = bits - low;
            let last = rest <= part_bits + u32::from(signed);
            let taken = if last { rest } else { part_bits };
            let slice = netlist.slice(register, low + taken - 1, low);
            if last && signed {
                list.push((low, [taken; 2], slice));
            } else {
                list.push((low, [taken + 1, taken], Expr::concat(vec![Expr::zero(1), slice])));
            }
            low += taken;
        }
        parts.push(list);
    }
    let mut constant = 0;
    for (left_low, left_bits, left) in parts.first().into_iter().flatten() {
        for (right_low, right_bits, right) in parts.get(1).into_iter().flatten() {
            let position = left_low + right_low;
            if position >= heap.width() {
                continue;
            }
            let bits = left_bits[0] + right_bits[0];
            let signed = |expr: &Expr| Expr::Call("$signed".to_owned(), vec![expr.clone()]);
            let product = signed(left).binary(BinaryOp::Multiply, signed(right));
            let register = netlist.register(1, &format!("s2_product{left_low}_{right_low}_q"), bits, product);
            let used_bits = bits.min(heap.width() - position);
            netlist.cost.dsp18 += blocks18(*left_bits, *right_bits);
            count_product(netlist, [bits, bits], used_bits, [left_bits[0], right_bits[0]]);
            count_rows(netlist, left_bits[1].min(right_bits[1]));
            constant += push_signed(netlist, heap, register, position, 0, bits);
        }
    }
    constant
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two codes of eight bits with zeros between them have sixteen; of two weights of one bit, {w, 1}, the upper one borrows
    /// and has three, the lower one and all its copies one.
    #[test]
    fn constant_bits_and_copies_are_not_live() {
        let mut netlist = Netlist::counting(u32::MAX);
        let live = |netlist: &mut Netlist, operand: Operand, is_weight: bool| {
            let signal = netlist.port("x", 2 * operand.bits());
            let [low, high] = [0, 1].map(|lane| Number::new(netlist, signal, operand, lane, is_weight));
            let number = high.above(&low, 12);
            [number.live, number.changing]
        };
        assert_eq!(live(&mut netlist, Operand::Unsigned { bits: 8 }, false), [16; 2]);
        assert_eq!(live(&mut netlist, Operand::Bipolar { planes: 1 }, true), [4, 4 + 10]);
        assert_eq!(live(&mut netlist, Operand::Signed { bits: 4 }, true), [5 + 4, 5 + 4 + 8]);
    }

    /// Two bits times ten are one adder of twelve bits, a sixth of which counts; three times four are as many pairs.
    #[test]
    fn a_product_with_two_bits_is_one_adder() {
        assert_eq!([[2, 10], [10, 2], [1, 6], [3, 4]].map(|[left, right]| product_bits(left, right)), [2, 2, 2, 12]);
    }

    /// As Yosys 0.23 maps them: the nineteenth bit of an operand is a part by itself, which takes no block, and a zero above it
    /// matters unless both operands have one.
    #[test]
    fn a_part_of_one_bit_takes_no_block() {
        let (signed, unsigned) = (|bits: u32| [bits; 2], |bits: u32| [bits + 1, bits]);
        let found = [18, 19, 20, 36].map(|bits| blocks18(signed(bits), signed(12)));
        assert_eq!(found, [1, 1, 2, 2]);
        assert_eq!([18, 19, 36].map(|bits| blocks18(unsigned(bits), signed(12))), [1, 2, 2]);
        assert_eq!([19, 20, 36].map(|bits| blocks18(unsigned(bits), unsigned(8))), [1, 2, 2]);
        assert_eq!(blocks18(unsigned(1), signed(12)), 1);
        assert_eq!(blocks18(signed(20), signed(6)), 2);
    }
}
