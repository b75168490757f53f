use super::*;

#[track_caller]
fn check(expr: Expr, expected: &str) {
    assert_eq!(expr.to_string(), expected);
}

#[test]
fn expressions_keep_the_tree() {
    let a = || Expr::name("a");
    let b = || Expr::name("b");
    let sum = a().binary(BinaryOp::Add, b());
    check(sum.clone().binary(BinaryOp::Multiply, Expr::name("c")), "(a + b) * c");
    check(Expr::name("c").binary(BinaryOp::Subtract, sum.clone()), "c - (a + b)");
    check(sum.clone().inverted(), "~(a + b)");
    check(a().inverted().inverted(), "~(~a)");
    check(a().unary(UnaryOp::ReduceAnd).binary(BinaryOp::And, b()), "(&a) & b");
    check(sum.select(a(), b().inverted()), "(a + b) ? a : (~b)");
    check(Expr::constant(3, 5), "3'b101");
    check(Expr::constant(10, 5), "10'h005");
    check(Expr::Repeat(3, Box::new(Expr::Bit("a".into(), 2))), "{3{a[2]}}");
    check(Expr::concat(vec![Expr::part("a", 4, 3, 0)]), "a");
    check(Expr::concat(vec![Expr::part("a", 4, 3, 1), Expr::part("a", 4, 0, 0)]), "{a[3:1], a[0]}");
    check(Expr::Integer(4).binary(BinaryOp::Subtract, Expr::Integer(-1)), "4 - (-1)");
}

#[test]
fn a_generate_loop_prints_its_block() {
    let part = |name: &str| Expr::IndexedPart {
        name: name.into(),
        low: Box::new(Expr::Integer(2).binary(BinaryOp::Multiply, Expr::name("i"))),
        bits: 2,
    };
    let module = Module {
        name: "hwgen_loop".into(),
        header: vec![],
        keep_hierarchy: false,
        parameters: vec![],
        ports: vec![Port::input("a_i", 8), Port::output("b_o", 8)],
        items: vec![Item::Repeat {
            variable: "i".into(),
            count: Expr::Integer(4),
            label: "gen_part".into(),
            items: vec![Item::Assign(part("b_o"), part("a_i").inverted())],
        }],
    };
    let text = module.print().text;
    let expected = "  genvar i;
  generate
    for (i = 0; i < 4; i = i + 1) begin : gen_part
      assign b_o[2 * i +: 2] = ~a_i[2 * i +: 2];
    end
  endgenerate
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_module_prints_aligned() {
    let module = Module {
        name: "hwgen_example".into(),
        header: vec!["An example.".into(), String::new(), "sum_o = a_i + 1.".into()],
        keep_hierarchy: true,
        parameters: vec![Parameter { name: "WIDTH".into(), value: Expr::Integer(4) }],
        ports: vec![
            Port::input("clk_i", 1),
            Port {
                direction: Direction::Input,
                signed: true,
                width: Width::Top(Expr::name("WIDTH").binary(BinaryOp::Subtract, Expr::Integer(1))),
                name: "a_i".into(),
            },
            Port::output("sum_o", 5),
        ],
        items: vec![
            Item::reg("sum_q", 5),
            Item::wire("flag", 1, Expr::Bit("a_i".into(), 0)),
            Item::Blank,
            Item::Clocked(
                Expr::name("clk_i"),
                vec![Statement::If(
                    Expr::name("flag"),
                    vec![Statement::NonBlocking(Expr::name("sum_q"), Expr::zero(5))],
                    vec![],
                )],
            ),
            Item::Assign(Expr::name("sum_o"), Expr::name("sum_q")),
        ],
    };
    let expected = "\
// SPDX-License-Identifier: MIT OR Apache-2.0
// An example.
//
// sum_o = a_i + 1.
`default_nettype none

(* keep_hierarchy = \"yes\" *)
module hwgen_example #(
  parameter WIDTH = 4
) (
  input  wire                      clk_i,
  input  wire signed [WIDTH - 1:0] a_i,
  output wire                [4:0] sum_o
);
";
    let text = module.print().text;
    let head: String = text.split_inclusive('\n').take(14).collect();
    assert_eq!(head, expected);
    assert!(text.contains("  reg  [4:0] sum_q;\n  wire       flag = a_i[0];\n\n"), "{text}");
    assert!(text.contains("    if (flag) begin\n      sum_q <= 5'b00000;\n    end\n"), "{text}");
    assert!(text.ends_with("endmodule\n\n`default_nettype wire\n"));
}
