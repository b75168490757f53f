//! Products in DSP blocks, inferred from `*` between registers.

use super::operand::Operand;
use super::recode::DotProductForm;
use crate::heap::{Bit, Heap, Netlist, SignalId};
use crate::verilog::{BinaryOp, Expr};

/// Register stages of a product: operands, then product.
pub(super) const STAGES: u32 = 2;

/// Puts one product per lane into the heap, its sign bit inverted.
pub(super) fn products(
    netlist: &mut Netlist,
    lanes: u32,
    form: &DotProductForm,
    activation: SignalId,
    weight: SignalId,
    heap: &mut Heap,
) {
    let bits = form.product_bits();
    let weight_bits = netlist.bits(weight);
    let activation_bits = netlist.bits(activation);
    let value = netlist.whole(activation);
    let x = netlist.register(0, "s1_activation_q", activation_bits, value);
    let value = netlist.whole(weight);
    let w = netlist.register(0, "s1_weight_q", weight_bits, value);
    for lane in 0..lanes {
        let left = number(netlist, x, lane, form.activation, false);
        let right = number(netlist, w, lane, form.weight, true);
        let product = Expr::Call("$signed".to_owned(), vec![left])
            .binary(BinaryOp::Multiply, Expr::Call("$signed".to_owned(), vec![right]));
        let full_bits = number_bits(form.activation) + number_bits(form.weight);
        let register = netlist.register(1, &format!("s2_product{lane}_q"), full_bits, product);
        netlist.cost.ff -= full_bits;
        let signed = form.product_is_signed();
        for index in 0..bits - u32::from(signed) {
            heap.push(index, Bit::direct(register, index));
        }
        if signed {
            let sign = netlist.slice(register, bits - 1, bits - 1).inverted();
            let wire = netlist.wire(STAGES, "sign", 1, sign);
            heap.push(bits - 1, Bit::direct(wire, 0));
        }
    }
}

/// Bits of [`number`].
fn number_bits(operand: Operand) -> u32 {
    match operand {
        Operand::Signed { bits } => bits,
        Operand::Unsigned { bits } => bits + 1,
        Operand::Bipolar { planes } => planes + 1,
    }
}

/// A lane's operand as a signed number; a bipolar activation is its level index, a bipolar weight its odd value.
fn number(netlist: &Netlist, signal: SignalId, lane: u32, operand: Operand, is_weight: bool) -> Expr {
    let bits = operand.bits();
    let (high, low) = (lane * bits + bits - 1, lane * bits);
    let code = netlist.slice(signal, high, low);
    match operand {
        Operand::Signed { .. } => code,
        Operand::Bipolar { .. } if is_weight => {
            let mut parts = vec![netlist.slice(signal, high, high).inverted()];
            if bits > 1 {
                parts.push(netlist.slice(signal, high - 1, low));
            }
            parts.push(Expr::constant(1, 1));
            Expr::concat(parts)
        }
        Operand::Unsigned { .. } | Operand::Bipolar { .. } => Expr::concat(vec![Expr::zero(1), code]),
    }
}

/// Bits of the unsigned parts of a wide product's operands: a signed 25 by 18 multiplier takes one bit more.
const PART_BITS: [u32; 2] = [24, 17];

/// The product of two numbers of any width, cut into parts that a DSP block multiplies, in the heap at time
/// [`STAGES`]. Gives the constant that the inverted sign bits take away.
pub(super) fn wide_product(netlist: &mut Netlist, operands: [(SignalId, bool); 2], heap: &mut Heap) -> i128 {
    let mut parts: Vec<Vec<(u32, u32, Expr)>> = Vec::new();
    for ((signal, signed), (name, part_bits)) in operands.into_iter().zip([("accumulator", PART_BITS[0]), ("multiplier", PART_BITS[1])]) {
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
                list.push((low, taken, slice));
            } else {
                list.push((low, taken + 1, Expr::concat(vec![Expr::zero(1), slice])));
            }
            low += taken;
        }
        parts.push(list);
    }
    let mut constant = 0;
    for (left_low, left_bits, left) in parts.first().into_iter().flatten() {
        for (right_low, right_bits, right) in parts.get(1).into_iter().flatten() {
            let bits = left_bits + right_bits;
            let signed = |expr: &Expr| Expr::Call("$signed".to_owned(), vec![expr.clone()]);
            let product = signed(left).binary(BinaryOp::Multiply, signed(right));
            let position = left_low + right_low;
            let visible = bits.min(heap.width().saturating_sub(position));
            if visible == 0 {
                continue;
            }
            let register = netlist.register(1, &format!("s2_product{left_low}_{right_low}_q"), bits, product);
            netlist.cost.ff -= bits;
            for index in 0..visible.min(bits - 1) {
                heap.push(position + index, Bit::direct(register, index));
            }
            if visible == bits {
                let sign = netlist.slice(register, bits - 1, bits - 1).inverted();
                let wire = netlist.wire(STAGES, "sign", 1, sign);
                heap.push(position + bits - 1, Bit::direct(wire, 0));
                constant -= 1_i128 << (position + bits - 1);
            }
        }
    }
    constant
}
