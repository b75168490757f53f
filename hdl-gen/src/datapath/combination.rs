//! A sum of integers times constants, as one pipelined module: dot products of regions or sub-bands come together here.

use super::dsp::push_constant;
use super::operand::{DatapathError, within};
use super::recode::bits_for;
use super::signed_digits::{Number, push_multiple};
use crate::heap::{Bit, Cost, Heap, Netlist, Target, finish};
use crate::verilog::{Module, ModuleText, Port};

/// One operand of a combination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CombinationTerm {
    /// Name of its port without `_i`.
    pub name: String,
    /// Bits, 1 to 62.
    pub bits: u32,
    /// Two's complement.
    pub signed: bool,
    /// The constant that multiplies it.
    pub coefficient: i64,
}

/// What a combination is generated for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CombinationSpec {
    /// Module name, `hwgen_...`.
    pub module_name: String,
    /// Operands, at least one.
    pub terms: Vec<CombinationTerm>,
    /// Least and largest sum that can occur; the sum is exact modulo 2^bits, so no part of it need lie inside.
    pub result_range: (i64, i64),
    /// The FPGA or cell library.
    pub target: Target,
}

/// A generated combination.
#[derive(Clone, Debug)]
pub struct Combination {
    result_bits: u32,
    latency: u32,
    cost: Cost,
    modules: Vec<ModuleText>,
}

impl Combination {
    /// Generates the module.
    ///
    /// # Errors
    /// A number of the specification is out of range.
    pub fn new(spec: &CombinationSpec) -> Result<Self, DatapathError> {
        let (low, high) = spec.result_range;
        within("least sum", low, -(1 << 61), 1 << 61)?;
        within("largest sum", high, low, 1 << 61)?;
        let result_bits = if low < 0 { 1 + bits_for((-low - 1).max(high)) } else { bits_for(high).max(1) };
        let mut netlist = Netlist::default();
        let mut heap = Heap::new(result_bits, spec.target);
        let mut constant = 0i128;
        for term in &spec.terms {
            within("term bits", i64::from(term.bits), 1, 62)?;
            within("coefficient", term.coefficient, -(1 << 20), 1 << 20)?;
            constant += push_term(&mut netlist, &mut heap, term);
        }
        push_constant(&mut heap, constant);
        let finished = finish(&mut netlist, 0, heap, None, 0).ok_or(DatapathError::Unreduced)?;
        let cost = netlist.cost;
        let mut ports = vec![Port::input("clk_i", 1)];
        for term in &spec.terms {
            let port = Port::input(&format!("{}_i", term.name), term.bits);
            ports.push(if term.signed && term.bits > 1 { port.signed() } else { port });
        }
        let result = Port::output("result_o", result_bits);
        ports.push(if low < 0 && result_bits > 1 { result.signed() } else { result });
        let submodules = netlist.submodules();
        let reversed: Vec<Option<Bit>> = finished.result.iter().rev().copied().collect();
        let value = netlist.vector(&reversed);
        let header = header(spec, finished.latency);
        if finished.latency == 0 {
            // Nothing is registered, so that nothing reads the clock.
            ports.retain(|port| port.name != "clk_i");
        }
        let items = netlist.into_items(&ports, "result_o", value);
        let module =
            Module { name: spec.module_name.clone(), header, keep_hierarchy: false, parameters: vec![], ports, items };
        let mut modules = vec![module.print()];
        modules.extend(submodules);
        let latency = finished.latency;
        Ok(Combination { result_bits, latency, cost, modules })
    }

    /// The module, and the shared ones that it instantiates.
    pub fn modules(&self) -> &[ModuleText] {
        &self.modules
    }

    /// Cycles from the operands to the sum; where it is 0 the module has no clock.
    pub fn latency_cycles(&self) -> u32 {
        self.latency
    }

    /// Width of `result_o`; two's complement where the least sum is negative.
    pub fn result_bits(&self) -> u32 {
        self.result_bits
    }

    /// What the schedule counts.
    pub fn cost(&self) -> Cost {
        self.cost
    }
}

/// Puts coefficient * operand into the heap; gives the constant that inverted bits take away.
fn push_term(netlist: &mut Netlist, heap: &mut Heap, term: &CombinationTerm) -> i128 {
    let signal = netlist.port(&format!("{}_i", term.name), term.bits);
    let number = Number { signal, name: &term.name, bits: term.bits, signed: term.signed };
    push_multiple(netlist, heap, number, term.coefficient)
}

fn header(spec: &CombinationSpec, latency: u32) -> Vec<String> {
    let mut formula = String::new();
    for (index, term) in spec.terms.iter().enumerate() {
        let sign = match (term.coefficient < 0, index) {
            (true, 0) => "-",
            (true, _) => " - ",
            (false, 0) => "",
            (false, _) => " + ",
        };
        let factor = if term.coefficient.abs() == 1 { String::new() } else { format!("{} * ", term.coefficient.abs()) };
        formula.push_str(&format!("{sign}{factor}{}_i", term.name));
    }
    let (low, high) = spec.result_range;
    vec![
        "Sum of integers times constants.".to_owned(),
        format!("result_o = {formula}, {low} to {high}."),
        format!("Latency: {latency} cycles; a sum every cycle; no stall; inputs come from registers."),
    ]
}
