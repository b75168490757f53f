//! Short forms for the Verilog that layer modules are wired with.

use super::requantize::Pushed;
use crate::verilog::{Connection, Expr, Instance, Item, Port};

/// An instance with clock, parameters and ports by name.
pub(super) fn instance(
    module: &str,
    name: &str,
    parameters: Vec<(&str, Expr)>,
    has_reset: bool,
    ports: Vec<(&str, Expr)>,
) -> Item {
    let mut connections = vec![Connection::new("clk_i", Expr::name("clk_i"))];
    if has_reset {
        connections.push(Connection::new("rst_i", Expr::name("rst_i")));
    }
    connections.extend(ports.into_iter().map(|(port, value)| Connection::new(port, value)));
    Item::Instance(Instance {
        module: module.to_owned(),
        name: format!("u_{name}"),
        parameters: parameters.into_iter().map(|(name, value)| Connection::new(name, value)).collect(),
        ports: connections,
    })
}

/// `name`, `bits` wide.
pub(super) fn wire(name: &str, bits: u32) -> Item {
    Item::open_wire(name, bits)
}

/// Bits of lane `lane` of a vector of `lanes` lanes.
pub(super) fn lane(vector: &str, lanes: u32, lane: u32, lane_bits: u32) -> Expr {
    Expr::part(vector, lanes * lane_bits, (lane + 1) * lane_bits - 1, lane * lane_bits)
}

/// The ports of a module between two streams.
pub(super) fn stream_ports(input_bits: u32, output_bits: u32) -> Vec<Port> {
    vec![
        Port::input("clk_i", 1),
        Port::input("rst_i", 1),
        Port::input("s_valid_i", 1),
        Port::output("s_ready_o", 1),
        Port::input("s_data_i", input_bits),
        Port::input("s_last_i", 1),
        Port::output("m_valid_o", 1),
        Port::input("m_ready_i", 1),
        Port::output("m_data_o", output_bits),
        Port::output("m_last_o", 1),
    ]
}

/// Bits of an address into `words` words, as the library's memories and counters take it.
pub(super) fn address_bits(words: u64) -> u32 {
    if words > 1 { 64 - (words - 1).leading_zeros() } else { 1 }
}

/// A register chain: `output` is `input` some cycles later. Control registers are reset, data registers are not.
pub(super) fn delay(name: &str, bits: u32, cycles: u32, reset: bool, input: Expr, output: &str) -> Item {
    let parameters = vec![
        ("BITS", Expr::Integer(i64::from(bits))),
        ("CYCLES", Expr::Integer(i64::from(cycles))),
        ("RESET", Expr::Integer(i64::from(reset))),
    ];
    let ports = vec![("data_i", input), ("data_o", Expr::name(output))];
    instance("hwgen_delay", name, parameters, true, ports)
}

/// The FIFO at the end of a layer's pipeline, between the nets of the pipeline and the module's output stream.
pub(super) fn credit_fifo(pushed: &Pushed, depth_words: u32) -> Item {
    instance(
        "hwgen_credit_fifo",
        "output",
        vec![
            ("DATA_BITS", Expr::Integer(i64::from(pushed.word.bits()))),
            ("DEPTH", Expr::Integer(i64::from(depth_words))),
        ],
        true,
        vec![
            ("reserve_i", Expr::name("reserve")),
            ("available_o", Expr::name("available")),
            ("push_i", Expr::name(pushed.valid.as_str())),
            ("push_data_i", Expr::name(pushed.data.as_str())),
            ("push_last_i", Expr::name(pushed.last.as_str())),
            ("m_valid_o", Expr::name("m_valid_o")),
            ("m_ready_i", Expr::name("m_ready_i")),
            ("m_data_o", Expr::name("m_data_o")),
            ("m_last_o", Expr::name("m_last_o")),
        ],
    )
}
