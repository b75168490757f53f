//! The products of a layer's array: one dot product for each PE, or one for each part of its weights.

use super::split::{Source, Split};
use super::{Parts, reads_step, step_output};
use crate::bind::MatrixLayer;
use crate::datapath::{DotProduct, Operand};
use crate::heap::Cost;
use crate::lower::Lowering;
use crate::lower::wiring::{address_bits, delay, instance, lane, wire};
use crate::requantize::RawMap;
use crate::verilog::{BinaryOp, Expr, Item, ModuleText};
use network::Format;
use network::format::Kind;
use network::op::Weights;

/// A generated module by name: its cost, and its text with those of the modules that it instantiates.
pub(super) type Netlist = (String, Cost, Vec<ModuleText>);

/// The cost of a PE's netlist, of which PEs that see the same operand share a part; those of groups side by side see their own.
pub fn seen_by(matrix: &MatrixLayer, cost: Cost) -> Cost {
    if matrix.side > 1 { cost.apart() } else { cost }
}

/// How a format enters a product.
pub(super) fn operand(format: Format) -> Operand {
    match format.kind() {
        Kind::Unsigned => Operand::Unsigned { bits: format.bits() },
        Kind::Signed => Operand::Signed { bits: format.bits() },
        Kind::Bipolar => Operand::Bipolar { planes: format.bits() },
    }
}

/// What multiplies and adds.
pub(super) enum Arithmetic {
    /// A dot product for each PE, and what its raw sums mean.
    Single(Box<DotProduct>, Vec<RawMap>),
    /// Several for each PE or pair of PEs.
    Split(Box<Split>),
}

impl Arithmetic {
    pub fn result_bits(&self) -> u32 {
        match self {
            Arithmetic::Single(product, _) => product.result_bits(),
            Arithmetic::Split(split) => split.result_bits,
        }
    }

    pub fn result_is_signed(&self) -> bool {
        match self {
            Arithmetic::Single(product, _) => product.result_is_signed(),
            Arithmetic::Split(split) => split.result_is_signed,
        }
    }

    pub fn latency_cycles(&self) -> u32 {
        match self {
            Arithmetic::Single(product, _) => product.latency_cycles(),
            Arithmetic::Split(split) => split.latency_cycles(),
        }
    }

    /// How the raw sums of each channel map to exact ones.
    pub fn maps(&self) -> &[RawMap] {
        match self {
            Arithmetic::Single(_, maps) => maps,
            Arithmetic::Split(split) => &split.maps,
        }
    }

    /// Generated modules with their cost and those that they instantiate.
    pub fn netlists(&self) -> Vec<Netlist> {
        match self {
            Arithmetic::Single(product, _) => {
                vec![(product.spec().module_name.clone(), product.cost(), product.modules().to_vec())]
            }
            Arithmetic::Split(split) => split.netlists(),
        }
    }

    /// Of a thousand partial products those that constant weights leave, in the mean.
    pub fn rows_left(&self, weights: &Weights) -> u32 {
        match self {
            Arithmetic::Single(product, _) => {
                let form = &product.spec().form;
                let of = |channel| weights.row_total(channel, |weight| form.rows_left(weight));
                let left: i64 = (0..weights.outputs).map(of).sum();
                u32::try_from(left / (weights.outputs * weights.length).max(1) as i64).unwrap_or(1000)
            }
            Arithmetic::Split(_) => 1000,
        }
    }

    /// Whether activations reach the products as sums and differences.
    pub fn pairs(&self) -> Option<&Split> {
        match self {
            Arithmetic::Split(split) if split.pairs.is_some() => Some(split),
            Arithmetic::Single(..) | Arithmetic::Split(_) => None,
        }
    }
}

impl Lowering<'_> {
    /// The dot products and, beside them, what the control said about each result. Returns their latency.
    pub(super) fn dot_products(&mut self, parts: &Parts<'_>, items: &mut Vec<Item>) -> u32 {
        let pe = parts.matrix.pe as u32;
        let result_bits = parts.arithmetic.result_bits();
        let mut latency = parts.arithmetic.latency_cycles();
        let mut operands = operands(parts);
        let mut result = "sum";
        items.push(Item::Blank);
        if let Some(borders) = &parts.borders {
            if parts.input_steps == 1 {
                // The initial sums come one cycle after the step; so must everything else.
                for (name, bits) in &mut operands {
                    let late = format!("late_{}", name.trim_start_matches("step_"));
                    items.push(wire(&late, *bits));
                    items.push(delay(&late, *bits, 1, false, Expr::name(name.as_str()), &late));
                    *name = late;
                }
                latency += 1;
            }
            if borders.gain_division > 1 {
                result = "inner_sum";
            }
            self.initial_sums(parts, borders, items);
            items.push(Item::Blank);
        }
        let names: Vec<&str> = operands.iter().map(|(name, _)| name.as_str()).collect();
        items.push(wire(result, pe * result_bits));
        match &parts.arithmetic {
            Arithmetic::Single(product, _) => single(parts, product, &names, result, items),
            Arithmetic::Split(split) => several(parts, split, &names, result, items),
        }
        if let Some(borders) = parts.borders.as_ref().filter(|borders| borders.gain_division > 1) {
            let low_bits = borders.low_bits();
            let low_lanes = if borders.shares_low_bits(pe as usize) { 1 } else { pe };
            let all = low_lanes * low_bits;
            items.push(wire("sum_low", all));
            let own = parts.arithmetic.latency_cycles();
            items.push(delay("sum_low", all, own, false, Expr::name("initial_low"), "sum_low"));
            let lanes = (0..pe).rev().flat_map(|index| {
                let low = lane("sum_low", low_lanes, index.min(low_lanes - 1), low_bits);
                [lane("inner_sum", pe, index, result_bits), low]
            });
            items.push(Item::wire("sum", pe * (result_bits + low_bits), Expr::concat(lanes.collect())));
        }
        let step_bits = address_bits(parts.result_steps);
        let ends = Expr::name("step").binary(BinaryOp::And, Expr::name("step_last"));
        items.extend([
            Item::Blank,
            wire("sum_valid", 1),
            wire("sum_last", 1),
            delay("sum_valid", 1, latency, true, ends, "sum_valid"),
            delay("sum_last", 1, latency, true, Expr::name("step_frame_last"), "sum_last"),
        ]);
        if reads_step(parts) {
            items.push(wire("sum_step", step_bits));
            items.push(delay("sum_step", step_bits, latency, false, Expr::name(step_output(parts)), "sum_step"));
        }
        latency
    }
}

impl Lowering<'_> {
    /// Sums and differences of the activations of a step, a cycle after it is issued.
    pub(super) fn paired_activations(&mut self, parts: &Parts<'_>, split: &Split, items: &mut Vec<Item>) {
        let Some((module, _)) = &split.pairs else { return };
        let module = &module.name;
        let mut ports = vec![("activation_i", Expr::name("issued_activation"))];
        for (port, (name, bits)) in ["sum_o", "difference_o"].into_iter().zip(operands(parts)) {
            if name == "step_sum" || name == "step_difference" {
                items.push(wire(&name, bits));
                ports.push((port, Expr::name(name)));
            }
        }
        items.push(instance(module, "pairs", Vec::new(), false, ports));
    }
}

/// Nets of activations and weights with their bits: activations first, or sums and differences; then all weights.
fn operands(parts: &Parts<'_>) -> Vec<(String, u32)> {
    let pe = parts.matrix.pe as u32;
    let activation = ("step_activation".to_owned(), parts.matrix.input_lanes() as u32 * parts.live.format.bits());
    match &parts.arithmetic {
        Arithmetic::Single(..) => {
            let weight_bits = pe * parts.matrix.simd as u32 * parts.weights.format.bits();
            vec![activation, ("step_weight".to_owned(), weight_bits)]
        }
        Arithmetic::Split(split) => {
            let mut list = Vec::new();
            if split.pairs.is_some() {
                let bits = (parts.matrix.side * parts.matrix.simd.div_ceil(2)) as u32 * split.paired_bits;
                list.push(("step_sum".to_owned(), bits));
                if split.parts.iter().any(|part| part.source == Source::Difference) {
                    list.push(("step_difference".to_owned(), bits));
                }
            } else {
                list.push(activation);
            }
            list.extend(parts.store.term_nets());
            list
        }
    }
}

/// Ports that a dot product of several steps has.
fn control_ports(parts: &Parts<'_>) -> Vec<(&'static str, Expr)> {
    if parts.input_steps == 1 {
        return Vec::new();
    }
    vec![("rst_i", Expr::name("rst_i")), ("step_i", Expr::name("step")), ("last_i", Expr::name("step_last"))]
}

/// The activations of the group that unit `index` of `units` works on.
fn of_side(parts: &Parts<'_>, net: &str, index: u32, units: u32, bits: u32) -> Expr {
    match parts.matrix.side as u32 {
        1 => Expr::name(net),
        side => lane(net, side, index * side / units, bits),
    }
}

/// A dot product for each PE.
fn single(parts: &Parts<'_>, product: &DotProduct, names: &[&str], result: &str, items: &mut Vec<Item>) {
    let (pe, result_bits) = (parts.matrix.pe as u32, product.result_bits());
    let weight_bits = parts.matrix.simd as u32 * parts.weights.format.bits();
    let activation_bits = parts.matrix.simd as u32 * parts.live.format.bits();
    let &[activation, weight] = names else { return };
    for index in 0..pe {
        let mut ports = control_ports(parts);
        ports.push(("activation_i", of_side(parts, activation, index, pe, activation_bits)));
        ports.push(("weight_i", lane(weight, pe, index, weight_bits)));
        if let Some(bits) = product.spec().initial_bits {
            ports.push(("initial_i", lane("border_sum", pe, index, bits)));
        }
        ports.push(("result_o", lane(result, pe, index, result_bits)));
        let module = product.spec().module_name.clone();
        items.push(instance(&module, &format!("pe_{index}"), Vec::new(), false, ports));
    }
}

/// Several dot products for each PE or pair of PEs, and what adds them up.
fn several(parts: &Parts<'_>, split: &Split, names: &[&str], result: &str, items: &mut Vec<Item>) {
    let (pe, results) = (parts.matrix.pe as u32, split.combinations.len() as u32);
    let units = pe.div_ceil(results);
    let own = split.parts.iter().filter(|part| !part.is_shared).count();
    let weights = &names[names.len() - own..];
    let sides = parts.matrix.side as u32;
    // What all units share comes in time for the slowest part.
    let initial = split.initial_bits;
    if let Some(bits) = initial {
        let name = "late_border_sum";
        items.push(wire(name, pe * bits));
        items.push(delay(name, pe * bits, split.parts_latency, false, Expr::name("border_sum"), name));
    }
    for (part, index) in split.parts.iter().zip(0u32..) {
        let spec = part.product.spec();
        let activation = match part.source {
            Source::Activation | Source::Sum => names[0],
            Source::Difference => names[1],
        };
        let activation_bits = spec.lanes * spec.form.activation_bits();
        let weight_bits = spec.lanes * spec.form.weight_bits();
        let bits = part.product.result_bits();
        let net = format!("part{index}");
        let late = split.parts_latency - part.product.latency_cycles();
        let early = if late > 0 { format!("{net}_early") } else { net.clone() };
        let count = if part.is_shared { sides } else { units };
        items.push(wire(&early, count * bits));
        for unit in 0..count {
            let mut ports = control_ports(parts);
            ports.push(("activation_i", of_side(parts, activation, unit, count, activation_bits)));
            let weight = match part.is_shared {
                true => Expr::Repeat(weight_bits, Box::new(Expr::constant(1, 1))),
                false => lane(weights[index as usize], units, unit, weight_bits),
            };
            ports.push(("weight_i", weight));
            ports.push(("result_o", lane(&early, count, unit, bits)));
            items.push(instance(&spec.module_name, &format!("{net}_{unit}"), Vec::new(), false, ports));
        }
        if late > 0 {
            items.push(wire(&net, count * bits));
            items.push(delay(&net, count * bits, late, false, Expr::name(early), &net));
        }
    }
    for index in 0..pe {
        let (module, combination) = &split.combinations[(index % results) as usize];
        let unit = index / results;
        let mut ports: Vec<(String, Expr)> = Vec::new();
        for (part, number) in split.parts.iter().zip(0u32..) {
            let net = format!("part{number}");
            let (count, at) = if part.is_shared { (sides, unit * sides / units) } else { (units, unit) };
            ports.push((format!("{net}_i"), lane(&net, count, at, part.product.result_bits())));
        }
        if let Some(bits) = initial {
            ports.push(("initial_i".to_owned(), lane("late_border_sum", pe, index, bits)));
        }
        let late = split.sum_latency - combination.latency_cycles();
        let target = lane(result, pe, index, split.result_bits);
        let net = format!("total_{index}");
        let made_bits = split.result_bits + u32::from(split.halved);
        if late > 0 || split.halved {
            items.push(wire(&net, made_bits));
        }
        let made = if late > 0 || split.halved { Expr::name(net.as_str()) } else { target.clone() };
        ports.push(("result_o".to_owned(), made));
        let ports = ports.iter().map(|(port, value)| (port.as_str(), value.clone())).collect();
        items.push(combine(module, &net, combination.latency_cycles() > 0, ports));
        if split.halved {
            items.push(Item::Assign(target, Expr::part(&net, made_bits, made_bits - 1, 1)));
            items.push(Item::wire(&format!("unused_parity_{index}"), 1, Expr::part(&net, made_bits, 0, 0)));
        } else if late > 0 {
            let input = Expr::name(net.as_str());
            items.push(late_result(&net, split.result_bits, late, input, target));
        }
    }
}

/// An instance of a combination, which has a clock only where it has registers.
fn combine(module: &str, name: &str, clocked: bool, ports: Vec<(&str, Expr)>) -> Item {
    match instance(module, name, Vec::new(), false, ports) {
        Item::Instance(mut instance) if !clocked => {
            instance.ports.retain(|port| port.name != "clk_i");
            Item::Instance(instance)
        }
        item => item,
    }
}

/// A delay into part of a vector.
fn late_result(name: &str, bits: u32, cycles: u32, input: Expr, target: Expr) -> Item {
    let parameters = vec![
        ("BITS", Expr::Integer(i64::from(bits))),
        ("CYCLES", Expr::Integer(i64::from(cycles))),
        ("RESET", Expr::Integer(0)),
    ];
    instance("hwgen_delay", &format!("{name}_delay"), parameters, true, vec![("data_i", input), ("data_o", target)])
}
