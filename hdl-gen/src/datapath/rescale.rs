//! Requantization by multiply, add, shift and clamp, as one pipelined module.

use super::dsp::{self, push_constant};
use super::memo::{Memo, best_order};
use super::operand::{DatapathError, Multiplier, within};
use super::product::{Operands, Order};
use super::rescale_product::Product;
use super::signed_digits::{Number, push_multiple};
use crate::heap::{Bit, Cost, Finished, Heap, Net, Netlist, SignalId, Source, Target, finish};
use crate::verilog::{BinaryOp, Expr, Item, Module, ModuleText, Port, UnaryOp};

/// How the shift rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShiftRounding {
    /// `v >>> n`, towards minus infinity.
    Floor,
    /// To the nearest, ties to even.
    HalfEven,
}

/// What the accumulator is multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RescaleFactor {
    /// One: shift only, no multiplier and no port.
    One,
    /// A factor on the port `multiplier_i`.
    Port {
        /// Bits, 1 to 40.
        bits: u32,
        /// Two's complement.
        signed: bool,
    },
    /// A constant that is not zero: shifted sums and differences, no multiplier and no port.
    Constant(i64),
}

/// What a rescaler is generated for: `code_o = clamp((accumulator_i * multiplier_i + offset_i + constant) >> shift)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RescaleSpec {
    /// Module name, `hwgen_...`.
    pub module_name: String,
    /// Wires of the accumulator, 1 to 48.
    pub accumulator_bits: u32,
    /// The accumulator is two's complement.
    pub accumulator_signed: bool,
    /// The factor.
    pub factor: RescaleFactor,
    /// Wires of the signed offset, 1 to 62; none leaves it out.
    pub offset_bits: Option<u32>,
    /// Added besides.
    pub constant: i64,
    /// Least and largest `accumulator * multiplier + offset + constant` over everything reachable; at most 62 bits.
    pub value_range: (i64, i64),
    /// Right shift in bits, 0 to 62.
    pub shift: u32,
    /// Rounding of the shift.
    pub rounding: ShiftRounding,
    /// Least and largest code. Below 0 the code is two's complement.
    pub code_range: (i64, i64),
    /// What multiplies.
    pub multiplier: Multiplier,
    /// What the logic is mapped to.
    pub target: Target,
}

/// A generated rescaler.
#[derive(Clone, Debug)]
pub struct Rescale {
    spec: RescaleSpec,
    latency: u32,
    code_bits: u32,
    cost: Cost,
    modules: Vec<ModuleText>,
}

/// Bits of a two's complement number that holds a range.
fn signed_bits((low, high): (i64, i64)) -> u32 {
    let magnitude = if low < 0 { (-(low + 1)).max(high) } else { high.max(0) };
    1 + (i64::BITS - magnitude.leading_zeros())
}

impl Rescale {
    /// Generates the module.
    ///
    /// # Errors
    /// A number of the specification is out of range.
    pub fn new(spec: RescaleSpec) -> Result<Self, DatapathError> {
        Self::made(spec, None)
    }

    /// The same without text: [`Self::modules`] is empty, and figures found before are taken from the memo.
    ///
    /// # Errors
    /// A number of the specification is out of range.
    pub fn counted(spec: RescaleSpec, memo: &Memo) -> Result<Self, DatapathError> {
        Self::made(spec, Some(memo))
    }

    fn made(spec: RescaleSpec, memo: Option<&Memo>) -> Result<Self, DatapathError> {
        within("accumulator bits", i64::from(spec.accumulator_bits), 1, 48)?;
        if let RescaleFactor::Port { bits, .. } = spec.factor {
            within("multiplier bits", i64::from(bits), 1, 40)?;
        }
        if let RescaleFactor::Constant(factor) = spec.factor {
            within("factor", factor, -(1 << 40), 1 << 40)?;
        }
        within("constant", spec.constant, -(1 << 61), 1 << 61)?;
        if let Some(bits) = spec.offset_bits {
            within("offset bits", i64::from(bits), 1, 62)?;
        }
        within("shift", i64::from(spec.shift), 0, 61)?;
        within("least value", spec.value_range.0, -(1 << 61), spec.value_range.1)?;
        within("largest value", spec.value_range.1, spec.value_range.0, 1 << 61)?;
        within("least code", spec.code_range.0, -(1 << 61), spec.code_range.1)?;
        within("largest code", spec.code_range.1, spec.code_range.0, (1 << 61) - 1)?;
        let half = rounding_constant(&spec);
        let range = (spec.value_range.0 + half, spec.value_range.1 + half);
        let width = signed_bits(range).max(spec.shift + 1).max(constant_product_bits(&spec));
        let quotient = (range.0 >> spec.shift, range.1 >> spec.shift);
        let code_bits = code_bits(spec.code_range);
        let constant_digits = Product::new(&spec).is_some_and(|product| product.recodes_multiplier);
        let build = |order: &Order, netlist: &mut Netlist| {
            let finished = multiply_add(&spec, width, order, netlist)?;
            if !constant_digits {
                (netlist.cost.first_lut, netlist.cost.first_lut4) = (0, 0);
            }
            let weight = netlist.cost.weight();
            let (code, latency) = round_and_clamp(netlist, &spec, &finished, quotient, code_bits);
            Some((weight, code, latency))
        };
        let orders = orders(&spec);
        let counted = |order: &Order, limit: u32| {
            let mut netlist = Netlist::counting(limit);
            let built = build(order, &mut netlist);
            (built.map(|(weight, _, latency)| (weight, (order.clone(), latency, netlist.cost))), netlist.decided)
        };
        let text = memo.is_none();
        let find = || match &orders[..] {
            [only] if text => Some((only.clone(), 0, Cost::default())),
            _ => best_order(&orders, 1, counted),
        };
        let clamps = (quotient.0 < spec.code_range.0, quotient.1 > spec.code_range.1);
        let (order, latency, cost) = match memo {
            None => find(),
            Some(memo) => memo.rescale(&spec, width, clamps, find),
        }
        .ok_or(DatapathError::Unreduced)?;
        if !text {
            return Ok(Rescale { spec, latency, code_bits, cost, modules: Vec::new() });
        }
        let mut netlist = Netlist::default();
        let (_, code, latency) = build(&order, &mut netlist).ok_or(DatapathError::Unreduced)?;
        let cost = netlist.cost;
        let mut rescale = Rescale { spec, latency, code_bits, cost, modules: Vec::new() };
        rescale.modules = rescale.print(netlist, code);
        Ok(rescale)
    }

    /// The module, and the shared ones that it instantiates, which are the same text wherever they are used.
    pub fn modules(&self) -> &[ModuleText] {
        &self.modules
    }

    /// The specification.
    pub fn spec(&self) -> &RescaleSpec {
        &self.spec
    }

    /// Cycles from the inputs to `code_o`.
    pub fn latency_cycles(&self) -> u32 {
        self.latency
    }

    /// Width of `code_o`; two's complement where the least code is negative.
    pub fn code_bits(&self) -> u32 {
        self.code_bits
    }

    /// What the schedule counts on six-input LUTs.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// LUTs that the schedule counts on six-input LUTs.
    pub fn lut_estimate(&self) -> u32 {
        self.cost.lut
    }

    /// Registers of the module.
    pub fn ff_estimate(&self) -> u32 {
        self.cost.ff
    }

    fn print(&self, netlist: Netlist, code: Expr) -> Vec<ModuleText> {
        let spec = &self.spec;
        let signed = |port: Port, bits: u32, signed: bool| if signed && bits > 1 { port.signed() } else { port };
        let bits = spec.accumulator_bits;
        let mut ports =
            vec![Port::input("clk_i", 1), signed(Port::input("accumulator_i", bits), bits, spec.accumulator_signed)];
        if let RescaleFactor::Port { bits, signed: is_signed } = spec.factor {
            ports.push(signed(Port::input("multiplier_i", bits), bits, is_signed));
        }
        if let Some(bits) = spec.offset_bits {
            ports.push(signed(Port::input("offset_i", bits), bits, true));
        }
        ports.push(signed(Port::output("code_o", self.code_bits), self.code_bits, spec.code_range.0 < 0));
        let submodules = netlist.submodules();
        let items = netlist.into_items(&ports, "code_o", code);
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
        let factor = match spec.factor {
            RescaleFactor::One => String::new(),
            RescaleFactor::Port { .. } => " * multiplier_i".to_owned(),
            RescaleFactor::Constant(factor) => format!(" * {factor}"),
        };
        let mut offset = if spec.offset_bits.is_some() { " + offset_i".to_owned() } else { String::new() };
        if spec.constant != 0 {
            let sign = if spec.constant < 0 { '-' } else { '+' };
            offset.push_str(&format!(" {sign} {}", spec.constant.abs()));
        }
        let rounding = match spec.rounding {
            ShiftRounding::Floor => "rounded down",
            ShiftRounding::HalfEven => "rounded to the nearest, ties to even",
        };
        let (low, high) = spec.code_range;
        vec![
            "Rescales an accumulator to a code.".to_owned(),
            format!(
                "code_o = (accumulator_i{factor}{offset}) / 2^{}, {rounding}, clamped to {low}..{high}.",
                spec.shift
            ),
            format!(
                "Legal where the sum before the shift lies between {} and {}.",
                spec.value_range.0, spec.value_range.1
            ),
            format!("Latency: {} cycles; a word every cycle; no stall; inputs come from registers.", self.latency),
        ]
    }
}

/// Bits of a code.
fn code_bits((low, high): (i64, i64)) -> u32 {
    if low < 0 { signed_bits((low, high)) } else { (signed_bits((low, high)) - 1).max(1) }
}

/// Columns that each bit of the accumulator needs to stand in one of, where it is multiplied by a constant.
fn constant_product_bits(spec: &RescaleSpec) -> u32 {
    match spec.factor {
        RescaleFactor::Constant(factor) => factor.trailing_zeros() + spec.accumulator_bits,
        RescaleFactor::One | RescaleFactor::Port { .. } => 0,
    }
}

/// What is added before the shift so that it rounds to the nearest.
fn rounding_constant(spec: &RescaleSpec) -> i64 {
    match spec.rounding {
        ShiftRounding::HalfEven if spec.shift > 0 => 1 << (spec.shift - 1),
        ShiftRounding::HalfEven | ShiftRounding::Floor => 0,
    }
}

fn orders(spec: &RescaleSpec) -> Vec<Order> {
    match (spec.multiplier, Product::new(spec)) {
        (Multiplier::Lut, Some(product)) => product.lanes(spec).orders(),
        (Multiplier::Lut, None) if matches!(spec.factor, RescaleFactor::Constant(_)) => {
            Order::of_thresholds(spec.target)
        }
        _ => vec![Order::default()],
    }
}

/// `accumulator * multiplier + offset + rounding`, modulo 2^width; bits below the shift only where rounding needs them.
fn multiply_add(spec: &RescaleSpec, width: u32, order: &Order, netlist: &mut Netlist) -> Option<Finished> {
    let mut heap = order.applied(Heap::new(width, spec.target));
    let mut constant = i128::from(rounding_constant(spec)) + i128::from(spec.constant);
    let accumulator = netlist.port("accumulator_i", spec.accumulator_bits);
    // A product reads it in every stage; a shift alone only passes it on, and registers it arrives in have no other reader.
    let passes = spec.factor == RescaleFactor::One;
    netlist.note_input(accumulator, if passes { Source::Early } else { Source::Input });
    let mut offset = match spec.offset_bits {
        Some(bits) => {
            let port = netlist.port("offset_i", bits);
            netlist.note_input(port, Source::Factor);
            (0..width).map(|column| Bit::direct(port, column.min(bits - 1))).collect()
        }
        None => Vec::new(),
    };
    let (time, heap) = match (spec.factor, Product::new(spec), spec.multiplier) {
        (RescaleFactor::Port { .. }, Some(product), Multiplier::Lut) => {
            offset = inverted_sign(netlist, 0, &offset, spec.offset_bits, &mut constant);
            push_all(&mut heap, &offset);
            lut_product(netlist, spec, &product, accumulator, heap, constant, order)
        }
        (RescaleFactor::Port { bits, signed }, _, _) => {
            let factor = netlist.port("multiplier_i", bits);
            let wide = [(accumulator, spec.accumulator_signed), (factor, signed)];
            constant += dsp::wide_product(netlist, wide, &mut heap);
            for at in 0..dsp::STAGES {
                offset = netlist.advance(at, &offset);
            }
            offset = inverted_sign(netlist, dsp::STAGES, &offset, spec.offset_bits, &mut constant);
            push_all(&mut heap, &offset);
            push_constant(&mut heap, constant);
            (dsp::STAGES, heap)
        }
        (RescaleFactor::Constant(factor), ..) => {
            offset = inverted_sign(netlist, 0, &offset, spec.offset_bits, &mut constant);
            push_all(&mut heap, &offset);
            let (bits, signed) = (spec.accumulator_bits, spec.accumulator_signed);
            let number = Number { signal: accumulator, name: "accumulator", bits, signed };
            constant += push_multiple(netlist, &mut heap, number, factor);
            push_constant(&mut heap, constant);
            (0, heap)
        }
        (RescaleFactor::One, ..) => {
            let top = spec.accumulator_bits - 1;
            let sign = |column: u32| spec.accumulator_signed || column <= top;
            (0..width)
                .filter(|&column| sign(column))
                .for_each(|column| heap.push(column, Bit::direct(accumulator, column.min(top))));
            push_all(&mut heap, &offset);
            push_constant(&mut heap, constant);
            (0, heap)
        }
    };
    let needed_from = if spec.rounding == ShiftRounding::HalfEven { 0 } else { spec.shift };
    finish(netlist, time, heap, None, needed_from)
}

fn push_all(heap: &mut Heap, bits: &[Bit]) {
    (0..).zip(bits).for_each(|(column, bit)| heap.push(column, *bit));
}

/// A signed number without its sign extension: the sign bit inverted, and the constant that this takes away.
fn inverted_sign(
    netlist: &mut Netlist,
    time: u32,
    extended: &[Bit],
    bits: Option<u32>,
    constant: &mut i128,
) -> Vec<Bit> {
    let Some(bits) = bits else { return Vec::new() };
    let mut list: Vec<Bit> = extended.iter().take(bits as usize).copied().collect();
    if list.len() == bits as usize
        && extended.len() > bits as usize
        && let Some(sign) = list.last_mut()
    {
        let value = netlist.bit(*sign).inverted();
        let wire = netlist.wire(time, "sign", 1, value);
        *sign = Bit::direct(wire, 0);
        *constant -= 1 << (bits - 1);
    }
    list
}

/// The product by Booth rows in the heap, with the bits and constants that complete negative rows.
fn lut_product(
    netlist: &mut Netlist,
    spec: &RescaleSpec,
    product: &Product,
    accumulator: SignalId,
    mut heap: Heap,
    mut constant: i128,
    order: &Order,
) -> (u32, Heap) {
    let RescaleFactor::Port { bits, signed } = spec.factor else { return (0, heap) };
    let factor = netlist.port("multiplier_i", bits);
    netlist.note_input(factor, Source::Factor);
    let (recoded, other, other_signed) = if product.recodes_multiplier {
        (factor, accumulator, spec.accumulator_signed)
    } else {
        (accumulator, factor, signed)
    };
    let multiplicand = if other_signed {
        other
    } else {
        let value = Expr::concat(vec![Expr::zero(1), netlist.whole(other)]);
        netlist.wire(0, "multiplicand", product.multiplicand.bits(), value)
    };
    for digit in &product.digits {
        constant -= 1 << (digit.position + digit.row_bits(product.multiplicand) - 1);
        if let (true, Some(&negative)) = (digit.complements_row, digit.inputs.last()) {
            heap.push(digit.position, Bit::direct(recoded, negative));
        }
    }
    push_constant(&mut heap, constant);
    let operands = Operands { lanes: product.lanes(spec), multiplicand, recoded };
    operands.join(netlist, heap, order, Vec::new())
}

/// Rounds ties to even and clamps; gives the code as an expression on registers, and the whole latency.
fn round_and_clamp(
    netlist: &mut Netlist,
    spec: &RescaleSpec,
    finished: &Finished,
    quotient: (i64, i64),
    code_bits: u32,
) -> (Expr, u32) {
    let mut time = finished.latency;
    let shift = spec.shift as usize;
    let low: Vec<Option<Bit>> = finished.result.iter().take(shift).rev().copied().collect();
    let mut bits: Vec<Option<Bit>> = finished.result.iter().skip(shift).copied().collect();
    let clamps_low = quotient.0 < spec.code_range.0;
    let clamps_high = quotient.1 > spec.code_range.1;
    let ties = spec.rounding == ShiftRounding::HalfEven && shift > 0;
    let is_tie = ties.then(|| netlist.vector(&low).unary(UnaryOp::ReduceOr).inverted());
    let vector =
        |netlist: &Netlist, bits: &[Option<Bit>]| netlist.vector(&bits.iter().rev().copied().collect::<Vec<_>>());
    if !clamps_low && !clamps_high {
        bits.truncate(code_bits as usize);
        let sign = bits.last().copied().flatten();
        while bits.len() < code_bits as usize {
            bits.push(sign);
        }
        let Some(is_tie) = is_tie else { return (vector(netlist, &bits), time) };
        let value = even(vector(netlist, &bits), is_tie, code_bits);
        let register = netlist.register(time, "code_q", code_bits, value);
        return (netlist.whole(register), time + 1);
    }
    let sign_bit = bits.last().copied().flatten();
    while bits.len() < code_bits as usize + 1 {
        bits.push(sign_bit);
    }
    let count = bits.len();
    let kept = code_bits as usize;
    let code_signed = spec.code_range.0 < 0;
    let upper_from = if code_signed { kept - 1 } else { kept };
    let upper = vector(netlist, &bits[upper_from..count]);
    let low_part = vector(netlist, &bits[..kept]);
    netlist.comment(time, "Does the quotient fit the code, and is it exactly half way?".to_owned());
    let sign = netlist.bit(sign_bit.unwrap_or(Bit { net: Net::One, inputs: 1 }));
    let none = upper.clone().unary(UnaryOp::ReduceOr).inverted();
    let fits = if code_signed { none.binary(BinaryOp::Or, upper.unary(UnaryOp::ReduceAnd)) } else { none };
    let mut value = low_part;
    if let Some(is_tie) = is_tie {
        value = even(value, is_tie, code_bits);
    }
    let stage = time;
    let value = netlist.register(stage, "quotient_q", code_bits, value);
    let negative = netlist.register(stage, "negative_q", 1, sign);
    let fits = netlist.register(stage, "fits_q", 1, fits);
    time += 1;
    let (negative, fits) = (netlist.whole(negative), netlist.whole(fits));
    let mask = (1_i64 << code_bits) - 1;
    let constant = |code: i64| Expr::constant(code_bits, u128::try_from(code & mask).unwrap_or(0));
    let full_low = if code_signed { -(1 << (code_bits - 1)) } else { 0 };
    let full_high = if code_signed { (1 << (code_bits - 1)) - 1 } else { mask };
    let compared = |op: BinaryOp, code: i64| {
        let signed = |expr: Expr| if code_signed { Expr::Call("$signed".to_owned(), vec![expr]) } else { expr };
        signed(Expr::name("quotient_q")).binary(op, signed(constant(code)))
    };
    let outside = fits.clone().inverted();
    let mut below = negative.clone().binary(BinaryOp::And, outside.clone());
    let mut above = negative.inverted().binary(BinaryOp::And, outside);
    if spec.code_range.0 > full_low {
        below =
            below.binary(BinaryOp::Or, fits.clone().binary(BinaryOp::And, compared(BinaryOp::Less, spec.code_range.0)));
    }
    if spec.code_range.1 < full_high {
        above = above.binary(BinaryOp::Or, fits.binary(BinaryOp::And, compared(BinaryOp::Greater, spec.code_range.1)));
    }
    let mut selected = netlist.whole(value);
    if clamps_high {
        netlist.item(time, Item::wire("above", 1, above));
        selected = Expr::name("above").select(constant(spec.code_range.1), selected);
    }
    if clamps_low {
        netlist.item(time, Item::wire("below", 1, below));
        selected = Expr::name("below").select(constant(spec.code_range.0), selected);
    }
    let register = netlist.register(time, "code_q", code_bits, selected);
    (netlist.whole(register), time + 1)
}

/// A number whose lowest bit is cleared on a tie.
fn even(value: Expr, is_tie: Expr, bits: u32) -> Expr {
    let mask = if bits > 1 { Expr::concat(vec![Expr::zero(bits - 1), is_tie]) } else { is_tie };
    value.binary(BinaryOp::And, mask.inverted())
}
