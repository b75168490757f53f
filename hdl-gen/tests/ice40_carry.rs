//! The map for iCE40 cells that an emitted design brings: Yosys proves the mapped cells equal by its own models of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run has failed")]

#[path = "rtl_bench/harness.rs"]
mod harness;

use harness::{must_pass, work_folder};
use serde_json::Value;
use std::fmt::Write as _;
use std::process::Command;

/// Cells with one net on the two operands of a sum, by the nets on the inputs: two of one net, two of different nets, and a table
/// whose second operand is tied already.
const CELLS: &[(&str, &str)] = &[
    ("carry", "a a c"),
    ("carry", "a b c"),
    ("lut", "a b b c"),
    ("lut", "a b d c"),
    ("lut", "a 1'b0 1'b0 c"),
    ("lut", "d a a 1'b1"),
];

/// A module of all cells; tables with several contents, in which every entry is set and unset somewhere.
fn module() -> String {
    let mut outputs = 0;
    let mut text = String::new();
    for (kind, nets) in CELLS {
        let nets: Vec<&str> = nets.split(' ').collect();
        let contents: &[u16] = if *kind == "lut" { &[0x6996, 0x9669, 0xC3A5, 0x3C5A, 0x8001, 0x1234] } else { &[0] };
        for content in contents {
            match *kind {
                "carry" => writeln!(
                    text,
                    "SB_CARRY u_{outputs} (.CO(y[{outputs}]), .I0({}), .I1({}), .CI({}));",
                    nets[0], nets[1], nets[2]
                ),
                _ => writeln!(
                    text,
                    "SB_LUT4 #(.LUT_INIT(16'd{content})) u_{outputs} (.O(y[{outputs}]), .I0({}), .I1({}), .I2({}), .I3({}));",
                    nets[0], nets[1], nets[2], nets[3]
                ),
            }
            .unwrap();
            outputs += 1;
        }
    }
    format!("module gold (input a, b, c, d, output [{}:0] y);\n{text}endmodule\n", outputs - 1)
}

#[test]
fn no_cell_keeps_one_net_on_both_operands_and_all_do_the_same() {
    let folder = work_folder("ice40_carry");
    std::fs::write(folder.join("gold.v"), module()).unwrap();
    let map = concat!(env!("CARGO_MANIFEST_DIR"), "/src/emit/flow/ice40_carry.v");
    let mut yosys = Command::new("yosys");
    let script = format!(
        "read_verilog -lib +/ice40/cells_sim.v; read_verilog gold.v; copy gold gate; cd gate; techmap -map {map}; clean; cd ..; \
         json -o mapped.json gold gate; miter -equiv -make_outputs gold gate both; delete =SB_*; \
         read_verilog -defer +/ice40/cells_sim.v; hierarchy -top both; proc; flatten; sat -verify -prove trigger 0 both"
    );
    yosys.current_dir(&folder).args(["-q", "-p", &script]);
    must_pass(yosys);

    let mapped: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("mapped.json")).unwrap()).unwrap();
    let nets = |module: &str, kind: &str, inputs: [&str; 2]| -> Vec<[Value; 2]> {
        let cells = mapped["modules"][module]["cells"].as_object().unwrap();
        let of_kind = cells.values().filter(|cell| cell["type"] == kind);
        of_kind.map(|cell| inputs.map(|input| cell["connections"][input][0].clone())).collect()
    };
    let alike = |pairs: &[[Value; 2]]| pairs.iter().filter(|[one, other]| one == other && one.is_number()).count();
    let [before, after] = ["gold", "gate"].map(|module| nets(module, "SB_CARRY", ["I0", "I1"]));
    assert_eq!((before.len(), alike(&before), after.len(), alike(&after)), (2, 1, 1, 0));
    let [before, after] = ["gold", "gate"].map(|module| nets(module, "SB_LUT4", ["I1", "I2"]));
    assert_eq!((before.len(), alike(&before), after.len(), alike(&after)), (24, 12, 24, 0));
}
