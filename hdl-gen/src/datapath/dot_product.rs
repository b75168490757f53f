//! A dot product of `lanes` lanes a cycle, summed over one or several cycles, as one pipelined module.

use super::dsp;
use super::memo::{Memo, best_order};
use super::operand::{DatapathError, Multiplier, Operand, within};
use super::product::{Lanes, Operands, Order};
use super::recode::{DotProductForm, bits_for};
use crate::heap::{Accumulator, Bit, Cost, Finished, Heap, Netlist, SignalId, Source};
use crate::verilog::{BinaryOp, Expr, Item, Module, ModuleText, Port, Statement};

/// What a dot product is generated for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DotProductSpec {
    /// Module name, `hwgen_...`.
    pub module_name: String,
    /// Products per cycle (SIMD), 1 to 4096.
    pub lanes: u32,
    /// How one lane is multiplied.
    pub form: DotProductForm,
    /// A dot product takes more than one step: the module has `rst_i`, `step_i` and `last_i`.
    pub accumulate: bool,
    /// Bits of a signed value that is added once per dot product, given with its last step; at most 62.
    pub initial_bits: Option<u32>,
    /// Least and largest raw result over everything reachable, the initial value included.
    pub result_range: (i64, i64),
}

/// A generated dot product.
#[derive(Clone, Debug)]
pub struct DotProduct {
    spec: DotProductSpec,
    /// What is added to the raw result so that it fits its wires best.
    shift: i64,
    result_bits: u32,
    latency: u32,
    cost: Cost,
    modules: Vec<ModuleText>,
}

impl DotProduct {
    /// Chooses the cheapest pipeline and generates the module.
    ///
    /// # Errors
    /// A number of the specification is out of range.
    pub fn new(spec: DotProductSpec) -> Result<Self, DatapathError> {
        Self::made(spec, None)
    }

    /// The same without text: [`Self::modules`] is empty, and figures found before are taken from the memo.
    ///
    /// # Errors
    /// A number of the specification is out of range.
    pub fn counted(spec: DotProductSpec, memo: &Memo) -> Result<Self, DatapathError> {
        Self::made(spec, Some(memo))
    }

    fn made(spec: DotProductSpec, memo: Option<&Memo>) -> Result<Self, DatapathError> {
        within("lanes", i64::from(spec.lanes), 1, 4096)?;
        let (low, high) = spec.result_range;
        within("result range", high, low, i64::MAX)?;
        within("least result", low, -(1 << 61), 1 << 61)?;
        within("largest result", high, -(1 << 61), 1 << 61)?;
        if let Some(bits) = spec.initial_bits {
            within("initial value bits", i64::from(bits), 1, 62)?;
        }
        let initial_shift = spec.initial_bits.map_or(0, |bits| 1_i64 << (bits - 1));
        let shift = if spec.accumulate { -low } else { initial_shift };
        let (low, high) = (low + shift, high + shift);
        let result_bits = if low < 0 { 1 + bits_for((-low - 1).max(high)) } else { bits_for(high).max(1) };
        let start = if spec.accumulate { shift - initial_shift } else { 0 };
        let orders =
            if spec.form.multiplier == Multiplier::Dsp { vec![Order::default()] } else { products(&spec).orders() };
        let counted = |order: &Order, limit: u32| {
            let mut netlist = Netlist::counting(limit);
            let finished = build(&spec, result_bits, start, order, &mut netlist);
            let cost = netlist.cost;
            (finished.map(|finished| (cost.weight(), (order.clone(), finished.latency, cost))), netlist.decided)
        };
        let text = memo.is_none();
        // Designs that are only counted are counted on several threads anyway.
        let rows = if text { spec.lanes as usize * spec.form.digits.len() } else { 1 };
        let find = || match &orders[..] {
            [only] if text => Some((only.clone(), 0, Cost::default())),
            _ => best_order(&orders, rows, counted),
        };
        let (order, latency, cost) = match memo {
            None => find(),
            Some(memo) => memo.dot_product(&spec, result_bits, find),
        }
        .ok_or(DatapathError::Unreduced)?;
        let mut product = DotProduct { spec, shift, result_bits, latency, cost, modules: Vec::new() };
        if text {
            let mut netlist = Netlist::default();
            let finished = build(&product.spec, result_bits, start, &order, &mut netlist);
            let finished = finished.ok_or(DatapathError::Unreduced)?;
            (product.latency, product.cost) = (finished.latency, netlist.cost);
            product.modules = product.print(netlist, &finished);
        }
        Ok(product)
    }

    /// The module, and the shared ones that it instantiates, which are the same text wherever they are used.
    pub fn modules(&self) -> &[ModuleText] {
        &self.modules
    }

    /// The specification.
    pub fn spec(&self) -> &DotProductSpec {
        &self.spec
    }

    /// Cycles from the last step of a dot product at the inputs to its result at `result_o`.
    pub fn latency_cycles(&self) -> u32 {
        self.latency
    }

    /// Width of `result_o`.
    pub fn result_bits(&self) -> u32 {
        self.result_bits
    }

    /// Whether `result_o` is two's complement.
    pub fn result_is_signed(&self) -> bool {
        self.spec.result_range.0 + self.shift < 0
    }

    /// Least and largest number on `result_o`.
    pub fn output_range(&self) -> (i64, i64) {
        (self.spec.result_range.0 + self.shift, self.spec.result_range.1 + self.shift)
    }

    /// `gain` of `A = gain·result_o + offset`, where `A` is the dot product plus `gain` times the initial value.
    pub fn gain(&self) -> i64 {
        self.spec.form.gain()
    }

    /// `offset` of `A = gain·result_o + offset` for the weight values of one channel, padded taps included.
    pub fn offset(&self, weights: &[i32]) -> i64 {
        self.shifted_offset(self.spec.form.offset(weights))
    }

    /// The same from the sum of [`DotProductForm::weight_offset`] over the channel's weights.
    pub fn shifted_offset(&self, offset: i64) -> i64 {
        offset - self.gain() * self.shift
    }

    /// What the schedule counts on six-input LUTs.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// LUTs that the schedule counts on six-input LUTs; the mapped figure is close to it.
    pub fn lut_estimate(&self) -> u32 {
        self.cost.lut
    }

    /// Registers of the module.
    pub fn ff_estimate(&self) -> u32 {
        self.cost.ff
    }

    fn print(&self, netlist: Netlist, finished: &Finished) -> Vec<ModuleText> {
        let spec = &self.spec;
        let mut ports = vec![Port::input("clk_i", 1)];
        if spec.accumulate {
            ports.extend(["rst_i", "step_i", "last_i"].map(|name| Port::input(name, 1)));
        }
        ports.push(Port::input("activation_i", spec.lanes * spec.form.activation.bits()));
        ports.push(Port::input("weight_i", spec.lanes * spec.form.weight.bits()));
        if let Some(bits) = spec.initial_bits {
            let port = Port::input("initial_i", bits);
            ports.push(if bits > 1 { port.signed() } else { port });
        }
        let result = Port::output("result_o", self.result_bits);
        ports.push(if self.result_is_signed() { result.signed() } else { result });
        let submodules = netlist.submodules();
        let reversed: Vec<Option<Bit>> = finished.result.iter().rev().copied().collect();
        let value = netlist.vector(&reversed);
        let items = netlist.into_items(&ports, "result_o", value);
        let module = Module {
            name: spec.module_name.clone(),
            header: self.header(),
            keep_hierarchy: false,
            parameters: vec![],
            ports,
            items,
        };
        let mut modules = vec![module.print()];
        modules.extend(submodules);
        modules
    }

    fn header(&self) -> Vec<String> {
        let spec = &self.spec;
        let form = &spec.form;
        let (low, high) = self.output_range();
        let shift = if self.shift == 0 {
            String::new()
        } else {
            format!(" {} {}", if self.shift < 0 { '-' } else { '+' }, self.shift.abs())
        };
        let steps = if spec.accumulate { "steps and lanes" } else { "lanes" };
        let mut lines = vec![
            format!("Dot product of {} lanes: activation {}, weight {}.", spec.lanes, form.activation, form.weight),
            format!("result_o = sum over {steps} of (x * w + k(w)){shift}, {low} to {high};"),
            "x is the activation's wires as a number; k(w) depends on the weight alone, so it is a constant of each output".to_owned(),
            "channel and part of the thresholds that follow.".to_owned(),
            "Lane 0 sits in the lowest bits of activation_i and weight_i.".to_owned(),
        ];
        if spec.accumulate {
            lines.push(
                "A cycle with step_i counts; last_i with it ends a dot product, and the next one may start at once."
                    .to_owned(),
            );
        }
        if spec.initial_bits.is_some() {
            let when = if spec.accumulate { "with the last step" } else { "with the lanes" };
            lines.push(format!("initial_i is added to the result; it is taken {when}."));
        }
        lines.push(format!(
            "Latency: {} cycles from the {} to result_o, which holds for one cycle. No stall; inputs come from registers.",
            self.latency,
            if spec.accumulate { "last step" } else { "lanes" }
        ));
        lines
    }
}

impl std::fmt::Display for Operand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Operand::Unsigned { bits } => write!(f, "unsigned {bits}-bit"),
            Operand::Signed { bits } => write!(f, "signed {bits}-bit"),
            Operand::Bipolar { planes } => write!(f, "bipolar {planes}-plane"),
        }
    }
}

fn build(
    spec: &DotProductSpec,
    result_bits: u32,
    start: i64,
    order: &Order,
    netlist: &mut Netlist,
) -> Option<Finished> {
    let form = &spec.form;
    let activation = netlist.port("activation_i", spec.lanes * form.activation.bits());
    let weight = netlist.port("weight_i", spec.lanes * form.weight.bits());
    netlist.note_input(activation, Source::Shared);
    netlist.note_input(weight, Source::Factor);
    let accumulator = spec.accumulate.then(|| controls(netlist, start, result_bits));
    let mut heap = Heap::new(result_bits, form.target);
    let mut initial = match spec.initial_bits {
        Some(bits) if spec.accumulate => masked_initial(netlist, bits),
        Some(bits) => plain_initial(netlist, bits),
        None => Vec::new(),
    };
    let dsp = form.multiplier == Multiplier::Dsp;
    if dsp {
        dsp::products(netlist, spec.lanes, form, activation, weight, &mut heap);
        for at in u32::from(spec.accumulate)..dsp::STAGES {
            initial = netlist.advance(at, &initial);
        }
    }
    if !spec.accumulate || dsp {
        (0..).zip(initial.drain(..)).for_each(|(column, bit)| heap.push(column, bit));
    }
    let (time, heap) = if dsp {
        (dsp::STAGES, heap)
    } else {
        let operands = Operands { lanes: products(spec), multiplicand: activation, recoded: weight };
        operands.join(netlist, heap, order, initial)
    };
    crate::heap::finish(netlist, time, heap, accumulator, 0)
}

/// The products of a dot product's lanes.
fn products(spec: &DotProductSpec) -> Lanes<'_> {
    Lanes {
        count: spec.lanes,
        digits: &spec.form.digits,
        multiplicand: spec.form.activation,
        recoded_bits: spec.form.weight.bits(),
        target: spec.form.target,
    }
}

/// The two control bits of an accumulator, at the inputs.
fn controls(netlist: &mut Netlist, start: i64, result_bits: u32) -> Accumulator {
    let step = netlist.port("step_i", 1);
    let ends = Expr::name("step_i").binary(BinaryOp::And, Expr::name("last_i"));
    netlist.item(0, Item::wire("clear", 1, Expr::name("rst_i").binary(BinaryOp::Or, ends)));
    let clear = netlist.port("clear", 1);
    let mask = (1_u128 << result_bits) - 1;
    let start = u128::from_le_bytes(i128::from(start).to_le_bytes()) & mask;
    Accumulator { start, step: Bit::direct(step, 0), clear: Bit::direct(clear, 0) }
}

/// The initial value with its sign bit inverted, which adds 2^(bits-1) and needs no sign extension.
fn initial_value(netlist: &Netlist, initial: SignalId, bits: u32) -> Expr {
    let mut parts = vec![netlist.slice(initial, bits - 1, bits - 1).inverted()];
    if bits > 1 {
        parts.push(netlist.slice(initial, bits - 2, 0));
    }
    Expr::concat(parts)
}

/// The bits of the initial value at the inputs.
fn plain_initial(netlist: &mut Netlist, bits: u32) -> Vec<Bit> {
    let initial = netlist.port("initial_i", bits);
    let value = initial_value(netlist, initial, bits);
    let wire = netlist.wire(0, "initial", bits, value);
    (0..bits).map(|index| Bit::direct(wire, index)).collect()
}

/// Registers the initial value for the last step of a dot product, zero for all others; its bits are there at time 1.
fn masked_initial(netlist: &mut Netlist, bits: u32) -> Vec<Bit> {
    let initial = netlist.port("initial_i", bits);
    let value = initial_value(netlist, initial, bits);
    let ends = Expr::name("step_i").binary(BinaryOp::And, Expr::name("last_i"));
    let register = netlist.register_with(0, "s1_initial_q", bits, |target| {
        vec![Statement::If(
            ends,
            vec![Statement::NonBlocking(target.clone(), value)],
            vec![Statement::NonBlocking(target, Expr::zero(bits))],
        )]
    });
    (0..bits).map(|index| Bit::direct(register, index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::Target;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The order of least weight, the first of several, found by counting every order to its end; the search leaves out some.
    #[test]
    fn the_search_finds_what_trying_all_orders_finds() {
        let unsigned = |bits| Operand::Unsigned { bits };
        let signed = |bits| Operand::Signed { bits };
        let (tried, all) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let check = |lanes: u32, activation: Operand, weight: Operand, accumulate: bool| {
            let form = DotProductForm::new(activation, weight, Multiplier::Lut, Target::Lut6).unwrap();
            let spec = DotProductSpec {
                module_name: "hwgen_dot".to_owned(),
                lanes,
                form,
                accumulate,
                initial_bits: None,
                result_range: (-70_000, 70_000),
            };
            let result_bits = 18;
            let count = |order: &Order, limit: u32| {
                let mut netlist = Netlist::counting(limit);
                let finished = build(&spec, result_bits, 0, order, &mut netlist);
                let found =
                    finished.map(|finished| (netlist.cost.weight(), (order.clone(), finished.latency, netlist.cost)));
                (found, netlist.decided)
            };
            let orders = products(&spec).orders();
            let by_hand = orders.iter().filter_map(|order| count(order, u32::MAX).0).min_by_key(|found| found.0);
            let counted = |order: &Order, limit: u32| {
                tried.fetch_add(1, Ordering::Relaxed);
                count(order, limit)
            };
            all.fetch_add(orders.len(), Ordering::Relaxed);
            assert_eq!(best_order(&orders, 1, counted), by_hand.map(|found| found.1), "{lanes} {activation} {weight}");
        };
        for lanes in [1, 2, 5, 8, 9, 16, 27, 40] {
            for bits in [1, 2, 3, 4, 6, 8] {
                check(lanes, unsigned(bits), signed(bits.max(2)), lanes > 8);
                check(lanes, signed(bits), unsigned(9 - bits), lanes > 5);
                check(lanes, Operand::Bipolar { planes: bits.min(4) }, signed(4), false);
            }
        }
        let (tried, all) = (tried.into_inner(), all.into_inner());
        assert!(tried < all, "{tried} of {all}");
    }
}
