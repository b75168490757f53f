//! The one adder module that all heaps share.

use crate::verilog::{BinaryOp, Expr, Item, Module, ModuleText, Parameter, Port, Width};

/// Module name of the adder.
pub(super) const NAME: &str = "hwgen_carry_adder";

/// The adder: `sum = direct + other + carry`, written so that the direct operand feeds the carry multiplexers.
pub fn carry_adder() -> ModuleText {
    let top = || Width::Top(Expr::name("WIDTH").binary(BinaryOp::Subtract, Expr::Integer(1)));
    let vector = |mut port: Port| {
        port.width = top();
        port
    };
    let with_carry = |name: &str| Expr::concat(vec![Expr::name(name), Expr::name("carry_i")]);
    Module {
        name: NAME.to_owned(),
        header: vec![
            "Adder of two operands and a carry, to be dissolved into its parent.".to_owned(),
            "sum_o = direct_i + other_i + carry_i, modulo 2^WIDTH; combinational; WIDTH from 1 to 16.".to_owned(),
            "x + y + c is written as {x, c} - ~{y, c}, in which x - ~y = x + y + 1: a subtraction keeps the order of its".to_owned(),
            "operands in synthesis, so that direct_i feeds the carry multiplexers and the logic in front of other_i shares".to_owned(),
            "the LUT of the sum.".to_owned(),
        ],
        keep_hierarchy: false,
        parameters: vec![Parameter { name: "WIDTH".to_owned(), value: Expr::Integer(4) }],
        ports: vec![
            vector(Port::input("direct_i", 1)),
            vector(Port::input("other_i", 1)),
            Port::input("carry_i", 1),
            vector(Port::output("sum_o", 1)),
        ],
        items: vec![
            Item::open_wire("lowest_unused", 1),
            Item::Assign(
                Expr::concat(vec![Expr::name("sum_o"), Expr::name("lowest_unused")]),
                with_carry("direct_i").binary(BinaryOp::Subtract, with_carry("other_i").inverted()),
            ),
        ],
    }
    .print()
}
