//! Logic between registers of a synthesised design: LUT levels and carry chains of every path.
//!
//! Input: the flat netlist that Yosys writes after `synth_xilinx -family xc7` without `-abc9`: the mapper that minimises
//! levels, where abc9 minimises picoseconds and takes several narrow LUTs for a wide one. A path runs from a register,
//! memory, DSP block or port to the next. Each LUT, inverter and asynchronous read of a LUT RAM is a level (MUXF7 and
//! MUXF8 belong to the LUTs before them); a chain of n CARRY4 counts 4n bits, whatever part of it a path takes.

use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Most LUT levels, carry bits and carry chains that any one path has; each may be of another path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    pub lut_levels: u32,
    pub carry_bits: u32,
    pub carry_chains: u32,
    /// The nets of a path with the most LUT levels, last net first.
    pub deepest: Vec<String>,
}

impl Depth {
    /// Three LUT levels and one carry chain of 16 bits.
    pub fn is_within_rule(&self) -> bool {
        self.lut_levels <= 3 && self.carry_bits <= 16 && self.carry_chains <= 1
    }
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Depth { lut_levels, carry_bits, carry_chains, deepest } = self;
        write!(
            f,
            "{lut_levels} LUT levels, {carry_bits} carry bits, {carry_chains} carry chains; {}",
            deepest.join(" <- ")
        )
    }
}

/// Depth of module `top` of a netlist.
pub fn depth_of(json: &str, top: &str) -> Depth {
    let netlist: Netlist = serde_json::from_str(json).unwrap();
    let module = &netlist.modules[top];
    let mut paths = Paths { drivers: HashMap::new(), names: HashMap::new(), known: HashMap::new() };
    for cell in module.cells.values() {
        for (port, bits) in &cell.connections {
            if cell.port_directions[port] == "output" {
                paths.drivers.extend(bits.iter().filter_map(Bit::net).map(|net| (net, (cell, port.as_str()))));
            }
        }
    }
    for (name, net) in &module.netnames {
        for (index, bit) in net.bits.iter().enumerate() {
            // A name from the source before one that a tool made.
            if let Some(bit) = bit.net().filter(|bit| net.hide_name == 0 || !paths.names.contains_key(bit)) {
                paths.names.insert(bit, format!("{name}[{index}]"));
            }
        }
    }
    let inputs = module.cells.values().filter(|cell| !is_logic(cell)).flat_map(|cell| {
        cell.connections.iter().filter(|(port, _)| cell.port_directions[*port] == "input").flat_map(|(_, bits)| bits)
    });
    let outputs = module.ports.values().filter(|port| port.direction == "output").flat_map(|port| &port.bits);
    let mut worst = Arrival::default();
    let mut end = None;
    for net in inputs.chain(outputs).filter_map(Bit::net) {
        let arrival = paths.arrival(net);
        if arrival.lut_levels > worst.lut_levels {
            end = Some(net);
        }
        worst = worst.max(arrival);
    }
    Depth {
        lut_levels: worst.lut_levels,
        carry_bits: 4 * worst.carry_cells,
        carry_chains: worst.carry_chains,
        deepest: end.map(|net| paths.trace(net)).unwrap_or_default(),
    }
}

/// What the paths to one net have at most.
#[derive(Clone, Copy, Default)]
struct Arrival {
    lut_levels: u32,
    carry_cells: u32,
    carry_chains: u32,
    /// Where the LUT levels come from.
    from: Option<u64>,
}

impl Arrival {
    fn max(self, other: Self) -> Self {
        let deeper = if other.lut_levels > self.lut_levels { other } else { self };
        Self {
            lut_levels: deeper.lut_levels,
            from: deeper.from,
            carry_cells: self.carry_cells.max(other.carry_cells),
            carry_chains: self.carry_chains.max(other.carry_chains),
        }
    }
}

struct Paths<'a> {
    drivers: HashMap<u64, (&'a Cell, &'a str)>,
    names: HashMap<u64, String>,
    known: HashMap<u64, Arrival>,
}

impl Paths<'_> {
    fn arrival(&mut self, net: u64) -> Arrival {
        if let Some(&known) = self.known.get(&net) {
            return known;
        }
        let Some(&(cell, output)) = self.drivers.get(&net) else { return Arrival::default() };
        let mut worst = Arrival::default();
        let is_carry = cell.kind == "CARRY4";
        for (port, bits) in &cell.connections {
            if cell.port_directions[port] != "input" || !reaches(cell, port, output) {
                continue;
            }
            for source in bits.iter().filter_map(Bit::net) {
                let continues =
                    port == "CI" && self.drivers.get(&source).is_some_and(|(from, _)| from.kind == "CARRY4");
                let before = self.arrival(source);
                worst = worst.max(Arrival {
                    lut_levels: before.lut_levels + u32::from(is_level(cell)),
                    carry_cells: before.carry_cells + u32::from(is_carry),
                    carry_chains: before.carry_chains + u32::from(is_carry && !continues),
                    from: Some(source),
                });
            }
        }
        self.known.insert(net, worst);
        worst
    }

    fn trace(&self, end: u64) -> Vec<String> {
        std::iter::successors(Some(end), |net| self.known.get(net).and_then(|arrival| arrival.from))
            .map(|net| self.names.get(&net).cloned().unwrap_or_else(|| net.to_string()))
            .collect()
    }
}

/// LUTs, RAMs of LUTs: what a path takes one level for.
fn is_level(cell: &Cell) -> bool {
    cell.kind.starts_with("LUT") || cell.kind == "INV" || is_lut_ram(cell)
}

/// Cells without a register, but for LUT RAMs, which paths run through and end at.
fn is_logic(cell: &Cell) -> bool {
    let is_lut = cell.kind.starts_with("LUT");
    is_lut || matches!(cell.kind.as_str(), "INV" | "CARRY4" | "MUXF7" | "MUXF8" | "BUFG" | "IBUF" | "OBUF")
}

fn is_lut_ram(cell: &Cell) -> bool {
    cell.kind.starts_with("RAM") && !cell.kind.starts_with("RAMB")
}

/// Whether an input has a path to an output inside a cell: all have in logic; in a LUT RAM the address of that output.
fn reaches(cell: &Cell, input: &str, output: &str) -> bool {
    if is_lut_ram(cell) {
        return match output {
            "DPO" => input.starts_with("DPRA"),
            _ => match output.strip_prefix("DO") {
                Some(port) => input == format!("ADDR{port}"),
                None => input.starts_with('A'),
            },
        };
    }
    is_logic(cell)
}

#[derive(Deserialize)]
struct Netlist {
    modules: BTreeMap<String, Module>,
}

#[derive(Deserialize)]
struct Module {
    ports: BTreeMap<String, Port>,
    cells: BTreeMap<String, Cell>,
    netnames: BTreeMap<String, Net>,
}

#[derive(Deserialize)]
struct Port {
    direction: String,
    bits: Vec<Bit>,
}

#[derive(Deserialize)]
struct Cell {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    port_directions: BTreeMap<String, String>,
    connections: BTreeMap<String, Vec<Bit>>,
}

#[derive(Deserialize)]
struct Net {
    #[serde(default)]
    hide_name: u32,
    bits: Vec<Bit>,
}

/// A net's number, or a constant.
#[derive(Deserialize)]
#[serde(untagged)]
enum Bit {
    Net(u64),
    Constant(#[allow(dead_code, reason = "only told from a net")] String),
}

impl Bit {
    fn net(&self) -> Option<u64> {
        match self {
            Bit::Net(net) => Some(*net),
            Bit::Constant(_) => None,
        }
    }
}

/// A hand-drawn netlist: register, four LUTs, a carry chain of two cells, a LUT, register; beside it a LUT RAM's read.
#[test]
fn levels_and_chains_are_counted() {
    let lut = |name: &str, from: u32, to: u32| {
        format!(
            r#""{name}": {{ "type": "LUT2", "port_directions": {{ "I0": "input", "I1": "input", "O": "output" }},
            "connections": {{ "I0": [{from}], "I1": ["0"], "O": [{to}] }} }}"#
        )
    };
    let register = |name: &str, from: u32, to: u32| {
        format!(
            r#""{name}": {{ "type": "FDRE", "port_directions": {{ "D": "input", "Q": "output" }},
            "connections": {{ "D": [{from}], "Q": [{to}] }} }}"#
        )
    };
    let carry = |name: &str, below: &str, select: u32, to: u32| {
        format!(
            r#""{name}": {{ "type": "CARRY4", "port_directions": {{ "CI": "input", "S": "input", "CO": "output" }},
            "connections": {{ "CI": [{below}], "S": [{select}], "CO": [{to}] }} }}"#
        )
    };
    let ram = r#""ram": { "type": "RAM64M", "port_directions": { "ADDRA": "input", "DIA": "input", "DOA": "output" },
        "connections": { "ADDRA": [3], "DIA": [7], "DOA": [20] } }"#;
    let depth = |cells: &[String]| {
        let netnames = r#"{ "start": { "bits": [2] }, "end": { "bits": [10] } }"#;
        let cells = cells.join(",");
        depth_of(
            &format!(
                r#"{{ "modules": {{ "top": {{ "ports": {{}}, "cells": {{ {cells} }}, "netnames": {netnames} }} }} }}"#
            ),
            "top",
        )
    };
    let four = [lut("a", 2, 3), lut("b", 3, 4), lut("c", 4, 5), lut("d", 5, 6)];
    let chain = [carry("e", "\"0\"", 6, 7), carry("f", "7", 3, 8)];
    let ends = [lut("g", 8, 10), register("r", 10, 2)];

    let deep = depth(&[four.as_slice(), &chain, &ends].concat());
    assert_eq!((deep.lut_levels, deep.carry_bits, deep.carry_chains), (5, 8, 1));
    assert!(!deep.is_within_rule());
    assert_eq!(deep.deepest.first().map(String::as_str), Some("end[0]"));
    assert_eq!(deep.deepest.last().map(String::as_str), Some("start[0]"));

    // The chain entered from its second cell, and behind it another that starts anew.
    let twice = depth(&[
        lut("a", 2, 3),
        carry("f", "\"0\"", 3, 8),
        lut("g", 8, 9),
        carry("h", "\"0\"", 9, 10),
        register("r", 10, 2),
    ]);
    assert_eq!((twice.lut_levels, twice.carry_bits, twice.carry_chains), (2, 8, 2));
    assert!(!twice.is_within_rule());

    // A LUT RAM's read is a level behind its address; what it stores ends a path.
    let read = depth(&[lut("a", 2, 3), ram.to_owned(), lut("b", 2, 7), lut("c", 20, 10), register("r", 10, 2)]);
    assert_eq!((read.lut_levels, read.carry_bits, read.carry_chains), (3, 0, 0));
    assert!(read.is_within_rule());
}
