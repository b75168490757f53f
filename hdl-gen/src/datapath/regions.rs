//! Modules behind a memory of piecewise weights: tags and codes become weights, or the operands of one dot product for
//! each region.

use crate::heap::Cost;
use crate::verilog::{Arm, BinaryOp, Expr, Function, Item, Module, ModuleText, Port, Statement};
use network::coding::Piecewise;

/// Code bits that one look-up covers; the bits above add their own part.
const LOW_BITS: u32 = 6;

/// Tags and codes to weights: lanes that share a tag.
#[derive(Clone, Debug)]
pub struct Decompressor {
    /// The module.
    pub module: ModuleText,
    /// Cycles from tag and codes to weights.
    pub latency_cycles: u32,
    /// Look-up tables by the inputs of each bit, and registers.
    pub cost: Cost,
}

impl Decompressor {
    /// A decompressor of `lanes` lanes.
    pub fn new(module_name: &str, regions: &Piecewise, lanes: u32) -> Self {
        let (tag_bits, code_bits, weight_bits) = widths(regions);
        let low_bits = code_bits.min(LOW_BITS);
        let wide: Vec<usize> = (0..regions.regions()).filter(|&region| regions.widths()[region] > low_bits).collect();
        // Wide regions whose step is a power of two are wires.
        let is_wires = wide
            .iter()
            .all(|&region| regions.offsets()[region] == 0 && regions.multipliers()[region].count_ones() == 1);
        let low = |tag: usize, code: u32| low_part(regions, tag, code, low_bits, is_wires);
        let mut items = vec![table("low_part", regions, tag_bits, low_bits, weight_bits, &low)];
        let latency_cycles = if is_wires { 1 } else { 2 };
        let high_bits = code_bits - low_bits;
        if !is_wires {
            let high = |tag: usize, code: u32| high_part(regions, tag, code, low_bits);
            items.push(Item::Blank);
            items.push(table("high_part", regions, tag_bits, high_bits, weight_bits, &high));
        }
        items.push(Item::Blank);
        items.push(Item::reg("weight_q", lanes * weight_bits));
        if !is_wires {
            items.push(Item::reg("low_q", lanes * weight_bits));
            items.push(Item::reg("high_q", lanes * weight_bits));
        }
        let mut statements = Vec::new();
        for lane in 0..lanes {
            let code = |high: u32, low: u32| {
                Expr::part("code_i", lanes * code_bits, lane * code_bits + high, lane * code_bits + low)
            };
            let of =
                |name: &str| Expr::part(name, lanes * weight_bits, (lane + 1) * weight_bits - 1, lane * weight_bits);
            let index = |code: Expr| Expr::concat(vec![Expr::name("tag_i"), code]);
            let low = Expr::Call("low_part".to_owned(), vec![index(code(low_bits - 1, 0))]);
            if is_wires {
                let value = wide.iter().fold(low, |otherwise, &region| {
                    let shift = regions.multipliers()[region].trailing_zeros();
                    let width = regions.widths()[region];
                    let mut parts = Vec::new();
                    if weight_bits > width + shift {
                        parts.push(Expr::Repeat(weight_bits - width - shift, Box::new(code(width - 1, width - 1))));
                    }
                    parts.push(code(width - 1, 0));
                    if shift > 0 {
                        parts.push(Expr::zero(shift));
                    }
                    tag_is(tag_bits, region).select(Expr::concat(parts), otherwise)
                });
                statements.push(Statement::NonBlocking(of("weight_q"), value));
            } else {
                let high = Expr::Call("high_part".to_owned(), vec![index(code(code_bits - 1, low_bits))]);
                statements.push(Statement::NonBlocking(of("low_q"), low));
                statements.push(Statement::NonBlocking(of("high_q"), high));
                let sum = of("low_q").binary(BinaryOp::Add, of("high_q"));
                statements.push(Statement::NonBlocking(of("weight_q"), sum));
            }
        }
        items.push(Item::Clocked(Expr::name("clk_i"), statements));
        items.push(Item::Assign(Expr::name("weight_o"), Expr::name("weight_q")));
        let mut header = vec![format!("Region tags and codes to weights, {lanes} lanes with one tag.")];
        header.extend(formula(regions));
        header.push("Lane 0 sits in the lowest bits of code_i and weight_o.".to_owned());
        header.push(format!(
            "Latency: {latency_cycles} cycles; a word every cycle; no stall; inputs come from registers."
        ));
        let module = Module {
            name: module_name.to_owned(),
            header,
            keep_hierarchy: false,
            parameters: Vec::new(),
            ports: vec![
                Port::input("clk_i", 1),
                Port::input("tag_i", tag_bits),
                Port::input("code_i", lanes * code_bits),
                Port::output("weight_o", lanes * weight_bits),
            ],
            items,
        };
        let bits = lanes * weight_bits;
        let inputs = tag_bits + low_bits;
        let tables = if inputs > LOW_BITS { 1 << (inputs - LOW_BITS) } else { 1 };
        let (added, registers) = if is_wires { (u32::from(!wide.is_empty()), 1) } else { (2, 3) };
        let cost = Cost { lut: bits * (tables + added), ff: bits * registers, ..Cost::default() };
        Decompressor { module: module.print(), latency_cycles, cost }
    }
}

/// One operand of the accumulators that a tag selects codes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionTerm {
    /// The region.
    pub region: usize,
    /// What of its weights is summed up.
    pub part: RegionPart,
    /// What the sum is multiplied by.
    pub coefficient: i64,
}

/// What of a region's weights is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionPart {
    /// The codes themselves, two's complement.
    Codes,
    /// 1 for every weight of the region.
    Presence,
    /// 1 for every weight of the region with a negative code.
    Negatives,
}

impl RegionTerm {
    /// The sums that a piecewise dot product consists of: with codes c and an offset o the weights of a region are
    /// m * c + o, and m - 2 * o more where c is negative.
    pub fn of(regions: &Piecewise) -> Vec<RegionTerm> {
        let mut terms = Vec::new();
        for region in 0..regions.regions() {
            let (multiplier, offset) = (regions.multipliers()[region], regions.offsets()[region]);
            terms.push(RegionTerm { region, part: RegionPart::Codes, coefficient: multiplier });
            if offset != 0 {
                terms.push(RegionTerm { region, part: RegionPart::Presence, coefficient: offset });
                let coefficient = multiplier - 2 * offset;
                terms.push(RegionTerm { region, part: RegionPart::Negatives, coefficient });
            }
        }
        terms.retain(|term| term.coefficient != 0);
        terms
    }

    /// Bits of an operand of this sum.
    pub fn bits(self, regions: &Piecewise) -> u32 {
        match self.part {
            RegionPart::Codes => regions.widths()[self.region],
            RegionPart::Presence | RegionPart::Negatives => 1,
        }
    }

    /// The operand that a tag and a code give.
    pub fn operand(self, tag: usize, code: i64) -> i64 {
        match self.part {
            _ if tag != self.region => 0,
            RegionPart::Codes => code,
            RegionPart::Presence => 1,
            RegionPart::Negatives => i64::from(code < 0),
        }
    }
}

/// Selects the operands of every sum from tags and codes: one register stage.
pub fn selector(module_name: &str, regions: &Piecewise, terms: &[RegionTerm], lanes: u32) -> (ModuleText, Cost) {
    let (tag_bits, code_bits, _) = widths(regions);
    let mut ports =
        vec![Port::input("clk_i", 1), Port::input("tag_i", tag_bits), Port::input("code_i", lanes * code_bits)];
    let (mut items, mut statements, mut assigns) = (Vec::new(), Vec::new(), Vec::new());
    for (index, term) in terms.iter().enumerate() {
        let bits = term.bits(regions);
        let register = format!("term{index}_q");
        ports.push(Port::output(&format!("term{index}_o"), lanes * bits));
        items.push(Item::reg(&register, lanes * bits));
        for lane in 0..lanes {
            let sign = regions.widths()[term.region] - 1;
            let code = |high: u32, low: u32| {
                Expr::part("code_i", lanes * code_bits, lane * code_bits + high, lane * code_bits + low)
            };
            let value = match term.part {
                RegionPart::Codes => tag_is(tag_bits, term.region).select(code(bits - 1, 0), Expr::zero(bits)),
                RegionPart::Presence => tag_is(tag_bits, term.region),
                RegionPart::Negatives => tag_is(tag_bits, term.region).binary(BinaryOp::And, code(sign, sign)),
            };
            let target = Expr::part(&register, lanes * bits, (lane + 1) * bits - 1, lane * bits);
            statements.push(Statement::NonBlocking(target, value));
        }
        assigns.push(Item::Assign(Expr::name(format!("term{index}_o")), Expr::name(register)));
    }
    items.push(Item::Blank);
    items.push(Item::Clocked(Expr::name("clk_i"), statements));
    items.extend(assigns);
    let mut header = vec![format!("Operands of one sum for each region, {lanes} lanes with one tag.")];
    for (index, term) in terms.iter().enumerate() {
        let what = match term.part {
            RegionPart::Codes => "the code",
            RegionPart::Presence => "1",
            RegionPart::Negatives => "1 if the code is negative",
        };
        header.push(format!(
            "term{index}_o: {what} where the tag is {}, else 0; its sum counts {} times.",
            term.region, term.coefficient
        ));
    }
    header.push("Latency: 1 cycle; a word every cycle; no stall; inputs come from registers.".to_owned());
    let bits: u32 = terms.iter().map(|term| lanes * term.bits(regions)).sum();
    let module =
        Module { name: module_name.to_owned(), header, keep_hierarchy: false, parameters: Vec::new(), ports, items };
    (module.print(), Cost { lut: bits, ff: bits, ..Cost::default() })
}

/// Bits of a tag, a code and a weight.
fn widths(regions: &Piecewise) -> (u32, u32, u32) {
    (regions.tag_bits(), regions.code_bits(), regions.plain().bits())
}

fn tag_is(tag_bits: u32, region: usize) -> Expr {
    Expr::name("tag_i").binary(BinaryOp::Equal, Expr::constant(tag_bits, region as u128))
}

/// What the low bits of a code contribute: the whole weight of a narrow region.
fn low_part(regions: &Piecewise, tag: usize, low: u32, low_bits: u32, is_wires: bool) -> i64 {
    let Some(&width) = regions.widths().get(tag) else { return 0 };
    if width > low_bits {
        return if is_wires { 0 } else { regions.multipliers()[tag] * i64::from(low) };
    }
    let code = sign_extended(low, width);
    regions.value(tag, code).unwrap_or(0)
}

/// What the bits above contribute, the sign's part of an offset included.
fn high_part(regions: &Piecewise, tag: usize, high: u32, low_bits: u32) -> i64 {
    let Some(&width) = regions.widths().get(tag) else { return 0 };
    if width <= low_bits {
        return 0;
    }
    let (multiplier, offset) = (regions.multipliers()[tag], regions.offsets()[tag]);
    let high = sign_extended(high, width - low_bits);
    let constant = match (offset, high < 0) {
        (0, _) => 0,
        (_, false) => offset,
        (_, true) => multiplier - offset,
    };
    multiplier * (high << low_bits) + constant
}

/// The low `bits` bits of a number as two's complement.
fn sign_extended(number: u32, bits: u32) -> i64 {
    let number = i64::from(number) & ((1 << bits) - 1);
    if number >> (bits - 1) == 1 { number - (1 << bits) } else { number }
}

/// A function of tag and part of a code.
fn table(
    name: &str,
    regions: &Piecewise,
    tag_bits: u32,
    code_bits: u32,
    weight_bits: u32,
    value: &dyn Fn(usize, u32) -> i64,
) -> Item {
    let mask = (1u128 << weight_bits) - 1;
    let constant = |value: i64| Expr::constant(weight_bits, i128::from(value).cast_unsigned() & mask);
    let index_bits = tag_bits + code_bits;
    let assign = |value: i64| Statement::Blocking(Expr::name(name), constant(value));
    let mut arms = Vec::new();
    for tag in 0..regions.regions() {
        for code in 0..1u32 << code_bits {
            let value = value(tag, code);
            if value != 0 {
                let label = Expr::constant(index_bits, (tag as u128) << code_bits | u128::from(code));
                arms.push(Arm { labels: vec![label], statement: assign(value) });
            }
        }
    }
    arms.push(Arm { labels: Vec::new(), statement: assign(0) });
    Item::Function(Function {
        name: name.to_owned(),
        bits: weight_bits,
        inputs: vec![("index".to_owned(), index_bits)],
        variables: Vec::new(),
        body: vec![Statement::Case(Expr::name("index"), arms)],
    })
}

/// What each tag's codes mean.
fn formula(regions: &Piecewise) -> Vec<String> {
    (0..regions.regions())
        .map(|region| {
            let (bits, multiplier, offset) =
                (regions.widths()[region], regions.multipliers()[region], regions.offsets()[region]);
            match offset {
                0 => format!("Tag {region}: a code c of {bits} bits means {multiplier} * c."),
                _ => format!(
                    "Tag {region}: a code c of {bits} bits means {offset} + {multiplier} * c, below 0 -({offset} + {multiplier} * (-1 - c))."
                ),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Low and high part of every code add up to its weight, and so do the sums of the accumulators.
    #[test]
    fn parts_add_up_to_weights() {
        for (widths, multipliers, offsets) in [
            (vec![2, 4, 8], vec![20, 9, 3], vec![0, 0, 0]),
            (vec![8, 7, 3], vec![1, 5, 4], vec![0, 11, 7]),
            (vec![4, 4], vec![1, 6], vec![0, 8]),
        ] {
            let regions = Piecewise::new(widths, multipliers, offsets, 1).unwrap();
            let terms = RegionTerm::of(&regions);
            for region in 0..regions.regions() {
                let width = regions.widths()[region];
                for raw in 0..1u32 << width {
                    let code = sign_extended(raw, width);
                    let expected = regions.value(region, code).unwrap();
                    let low_bits = regions.code_bits().min(LOW_BITS);
                    let mut found = low_part(&regions, region, raw & ((1 << low_bits) - 1), low_bits, false);
                    found += high_part(&regions, region, raw >> low_bits, low_bits);
                    assert_eq!(found, expected, "{region} {code}");
                    let sums = terms.iter().map(|term| term.coefficient * term.operand(region, code));
                    assert_eq!(sums.sum::<i64>(), expected, "{region} {code}");
                }
            }
        }
    }
}
