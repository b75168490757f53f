//! The counter of a heap's first level: three two-input partial products into two bits with two six-input LUTs.

use crate::verilog::{BinaryOp, Expr, Item, Module, ModuleText, Parameter, Port, Width};

/// A function of an operand bit `x` and a digit bit `w` as a truth table: bit `x + 2w` is its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductTable(pub u8);

impl ProductTable {
    /// The function of two expressions.
    pub fn apply(self, x: Expr, w: Expr) -> Expr {
        match self.0 & 15 {
            0b1000 => x.binary(BinaryOp::And, w),
            0b0100 => x.inverted().binary(BinaryOp::And, w),
            0b0010 => x.binary(BinaryOp::And, w.inverted()),
            0b0001 => x.binary(BinaryOp::Or, w).inverted(),
            0b1001 => x.binary(BinaryOp::Xor, w).inverted(),
            0b0110 => x.binary(BinaryOp::Xor, w),
            0b1110 => x.binary(BinaryOp::Or, w),
            0b0111 => x.binary(BinaryOp::And, w).inverted(),
            0b1011 => x.binary(BinaryOp::Or, w.inverted()),
            0b1101 => x.inverted().binary(BinaryOp::Or, w),
            0b1010 => x,
            0b0101 => x.inverted(),
            0b1100 => w,
            0b0011 => w.inverted(),
            other => {
                let pick = |row: u8| Expr::constant(1, u128::from((other >> row) & 1));
                w.select(x.clone().select(pick(3), pick(2)), x.select(pick(1), pick(0)))
            }
        }
    }

    /// Name of the module that counts three such products.
    pub(super) fn counter_name(self) -> String {
        let word = match self.0 & 15 {
            0b1000 => "and".to_owned(),
            0b0100 => "not_x_and".to_owned(),
            0b0010 => "and_not_w".to_owned(),
            0b1001 => "xnor".to_owned(),
            0b0110 => "xor".to_owned(),
            0b0111 => "nand".to_owned(),
            other => format!("table{other}"),
        };
        format!("hwgen_counter_{word}_3_2")
    }

    /// The module that counts three such products, `COUNT` times side by side.
    pub fn counter(self) -> ModuleText {
        let top = |factor: i64| {
            let count = || Expr::name("COUNT");
            let bits = if factor == 1 { count() } else { Expr::Integer(factor).binary(BinaryOp::Multiply, count()) };
            Width::Top(bits.binary(BinaryOp::Subtract, Expr::Integer(1)))
        };
        let port = |mut port: Port, factor: i64| {
            port.width = top(factor);
            port
        };
        let vector = |name: &str, width: Width, value: Option<Expr>| Item::Net {
            kind: crate::verilog::NetKind::Wire,
            signed: false,
            width,
            name: name.to_owned(),
            depth: None,
            value,
        };
        let names = ["c", "b", "a"].map(Expr::name);
        let [c, b, a] = names.clone();
        let parity = a.clone().binary(BinaryOp::Xor, b.clone()).binary(BinaryOp::Xor, c.clone());
        let and = |x: &Expr, y: &Expr| x.clone().binary(BinaryOp::And, y.clone());
        let majority = and(&a, &b).binary(BinaryOp::Or, and(&a, &c)).binary(BinaryOp::Or, and(&b, &c));
        Module {
            name: self.counter_name(),
            header: vec![
                "Counts three partial products of two inputs each, COUNT times side by side.".to_owned(),
                format!(
                    "p = {}, bit by bit; result j: 2 * carry_o[j] + sum_o[j] = p[j] + p[COUNT + j] + p[2 * COUNT + j];",
                    self.apply(Expr::name("x_i"), Expr::name("w_i"))
                ),
                "combinational; COUNT from 1. Mapped on its own, as two six-input LUTs a counter.".to_owned(),
            ],
            keep_hierarchy: true,
            parameters: vec![Parameter { name: "COUNT".to_owned(), value: Expr::Integer(1) }],
            ports: vec![
                port(Port::input("x_i", 1), 3),
                port(Port::input("w_i", 1), 3),
                port(Port::output("sum_o", 1), 1),
                port(Port::output("carry_o", 1), 1),
            ],
            items: vec![
                vector("a", top(1), None),
                vector("b", top(1), None),
                vector("c", top(1), None),
                Item::Blank,
                Item::Assign(Expr::concat(names.to_vec()), self.apply(Expr::name("x_i"), Expr::name("w_i"))),
                Item::Assign(Expr::name("sum_o"), parity),
                Item::Assign(Expr::name("carry_o"), majority),
            ],
        }
        .print()
    }
}
