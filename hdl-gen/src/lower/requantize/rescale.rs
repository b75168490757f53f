//! Requantization by multiply, add and shift: one unit for each lane, constants from one memory.

use super::code_tables::CodeTables;
use super::lanes_apart::stand_apart;
use super::{Results, lane_sum};
use crate::datapath::{Multiplier, Rescale, RescaleFactor, RescaleSpec, ShiftRounding};
use crate::heap::{Cost, Target};
use crate::image::Image;
use crate::lower::chain::{memory_style, number, string};
use crate::lower::wiring::{address_bits, delay, instance, lane, wire};
use crate::lower::{Fault, Lowering};
use crate::requantize::ChannelRescale;
use crate::verilog::{Expr, Item};
use network::Range;
use network::graph::Memory;

/// What the units compute: code = clamp((raw * multiplier + offset) >> shift).
pub(in crate::lower) struct Rescaling {
    /// Multiplier and offset of each channel, over raw sums.
    pub constants: Vec<ChannelRescale>,
    /// Range of (raw * multiplier + offset) over all channels.
    pub values: Range,
    pub shift: u32,
    pub rounding: ShiftRounding,
    /// Clamp.
    pub codes: Range,
    pub multiplier: Multiplier,
    /// Bits of a lane of the result, at least those of the clamp's range.
    pub code_bits: u32,
    /// Stands in front of the names of nets and instances, where a module has two of these.
    pub prefix: &'static str,
}

impl Rescaling {
    /// Multiplies and adds, exactly: the results are `values`, all that can come out.
    pub fn exact(constants: Vec<ChannelRescale>, values: Range) -> Self {
        Rescaling {
            constants,
            values,
            shift: 0,
            rounding: ShiftRounding::Floor,
            codes: values,
            multiplier: Multiplier::Lut,
            code_bits: values.bits(),
            prefix: "",
        }
    }

    /// Whether all channels have the same constants.
    pub fn is_uniform(&self) -> bool {
        are_alike(&self.constants)
    }
}

/// Whether all channels have the same constants.
pub(super) fn are_alike(constants: &[ChannelRescale]) -> bool {
    constants.iter().all(|constant| Some(constant) == constants.first())
}

impl Lowering<'_> {
    /// Adds the units and their constants behind the sums, into the net `code` (with the prefix); returns their latency in cycles.
    pub(in crate::lower) fn rescale_lanes(
        &mut self,
        layer: &str,
        name: &str,
        rescaling: &Rescaling,
        results: &Results<'_>,
        items: &mut Vec<Item>,
    ) -> Result<u32, Fault> {
        let constants = Constants::of(rescaling);
        let lane_bits = constants.lane_bits();
        let spec = spec(format!("{}_{name}_rescale", self.names.top()), &constants, rescaling, results);
        let unit = self.rescale(spec)?;
        let tables = CodeTables::of(rescaling, results)
            .filter(|tables| tables.weight(rescaling, results.signed) < unit.cost().weight() + results.sum_bits);
        if let Some(tables) = tables {
            return Ok(self.code_tables((layer, name), rescaling, &tables, results, items));
        }
        if lane_bits > 0 && stand_apart(rescaling, results) {
            return self.rescale_apart(name, rescaling, results, items);
        }
        let net = |name: &str| format!("{}{name}", rescaling.prefix);
        let (stored, late_sum) = (net("constants"), net("late_sum"));
        if lane_bits > 0 {
            items.push(wire(&stored, results.lanes * lane_bits));
        }
        items.push(wire(&late_sum, results.lanes * results.sum_bits));
        if lane_bits > 0 {
            let path = format!("mem/{name}_rescale.mem");
            self.memories.insert(path.clone(), image(layer, rescaling, results, &constants));
            items.push(instance(
                "hwgen_rom",
                &stored,
                vec![
                    ("DATA_BITS", number(results.lanes * lane_bits)),
                    ("DEPTH", number(results.steps)),
                    ("IMAGE", string(&path)),
                    ("STYLE", memory_style(Memory::Lut)),
                ],
                false,
                vec![("address_i", Expr::name(results.step)), ("data_o", Expr::name(stored.as_str()))],
            ));
            self.uses(&["hwgen_rom"]);
        } else {
            items.push(Item::wire(&net("unused_group"), address_bits(results.steps), Expr::name(results.step)));
        }
        items.push(delay(&late_sum, results.lanes * results.sum_bits, 1, false, Expr::name(results.sums), &late_sum));
        let late = Results { sums: &late_sum, ..*results };
        for index in 0..results.lanes {
            let mut ports = vec![("accumulator_i", lane_sum(&late, index))];
            let mut low = index * lane_bits;
            for (port, bits) in [("multiplier_i", constants.port_bits()), ("offset_i", constants.offset_bits)] {
                let Some(bits) = bits else { continue };
                ports.push((port, Expr::part(&stored, results.lanes * lane_bits, low + bits - 1, low)));
                low += bits;
            }
            ports.push(("code_o", code_net(rescaling, results, index, unit.code_bits(), items)));
            let own = net(&format!("rescale_{index}"));
            items.push(instance(&unit.spec().module_name, &own, Vec::new(), false, ports));
        }
        let cost = constants.cost(rescaling, results, &unit);
        self.add_datapath(&unit.spec().module_name, cost, unit.modules());
        self.uses(&["hwgen_delay"]);
        Ok(1 + unit.latency_cycles())
    }
}

/// What a unit is generated for.
pub(super) fn spec(
    module_name: String,
    constants: &Constants,
    rescaling: &Rescaling,
    results: &Results<'_>,
) -> RescaleSpec {
    RescaleSpec {
        module_name,
        accumulator_bits: results.sum_bits,
        accumulator_signed: results.signed,
        factor: constants.factor,
        offset_bits: constants.offset_bits,
        constant: constants.added,
        value_range: (rescaling.values.min(), rescaling.values.max()),
        shift: rescaling.shift,
        rounding: rescaling.rounding,
        code_range: (rescaling.codes.min(), rescaling.codes.max()),
        multiplier: rescaling.multiplier,
        target: Target::Lut6,
    }
}

/// What the code of a lane, of so many bits as its unit makes, is connected to.
pub(super) fn code_net(
    rescaling: &Rescaling,
    results: &Results<'_>,
    index: u32,
    narrow_bits: u32,
    items: &mut Vec<Item>,
) -> Expr {
    let code = lane(&format!("{}code", rescaling.prefix), results.lanes, index, rescaling.code_bits);
    if narrow_bits == rescaling.code_bits {
        return code;
    }
    // The clamp leaves fewer bits than the format has.
    let net = format!("{}narrow_code_{index}", rescaling.prefix);
    items.push(wire(&net, narrow_bits));
    let fill = match rescaling.codes.is_signed() {
        true => Expr::part(&net, narrow_bits, narrow_bits - 1, narrow_bits - 1),
        false => Expr::zero(1),
    };
    let fill = Expr::Repeat(rescaling.code_bits - narrow_bits, Box::new(fill));
    items.push(Item::Assign(code, Expr::concat(vec![fill, Expr::name(net.as_str())])));
    Expr::name(net)
}

/// How the channels' constants reach the units: written into them where they are alike, else from a memory.
pub(super) struct Constants {
    pub factor: RescaleFactor,
    /// Bits of the offsets that come from the memory.
    pub offset_bits: Option<u32>,
    /// The offset of all channels.
    pub added: i64,
}

impl Constants {
    fn of(rescaling: &Rescaling) -> Self {
        let multipliers = extent(rescaling.constants.iter().map(|constant| constant.multiplier));
        let offsets = extent(rescaling.constants.iter().map(|constant| constant.offset));
        let factor = match (multipliers.min(), multipliers.max()) {
            (1, 1) => RescaleFactor::One,
            (low, high) if low == high && low != 0 && rescaling.multiplier == Multiplier::Lut => {
                RescaleFactor::Constant(low)
            }
            _ => RescaleFactor::Port { bits: multipliers.bits(), signed: multipliers.is_signed() },
        };
        if offsets.min() == offsets.max() {
            return Constants { factor, offset_bits: None, added: offsets.min() };
        }
        let offset_bits = Range::new(offsets.min(), offsets.max().max(0)).union(Range::new(-1, 0)).bits();
        Constants { factor, offset_bits: Some(offset_bits), added: 0 }
    }

    /// Those of one channel, which are written into its unit.
    pub fn of_channel(channel: ChannelRescale) -> Self {
        let factor = match channel.multiplier {
            1 => RescaleFactor::One,
            factor => RescaleFactor::Constant(factor),
        };
        Constants { factor, offset_bits: None, added: channel.offset }
    }

    /// Bits of the multipliers that come from the memory.
    fn port_bits(&self) -> Option<u32> {
        match self.factor {
            RescaleFactor::Port { bits, .. } => Some(bits),
            RescaleFactor::One | RescaleFactor::Constant(_) => None,
        }
    }

    /// Bits of the memory for each lane.
    fn lane_bits(&self) -> u32 {
        self.port_bits().unwrap_or(0) + self.offset_bits.unwrap_or(0)
    }

    /// A channel's multiplier, with its offset above.
    fn word(&self, constant: &ChannelRescale) -> i128 {
        let multiplier_bits = self.port_bits().unwrap_or(0);
        let mask = (1i128 << multiplier_bits) - 1;
        let offset = if self.offset_bits.is_some() { constant.offset } else { 0 };
        (i128::from(offset) << multiplier_bits) | (i128::from(constant.multiplier) & mask)
    }

    /// What a unit costs where it stands.
    fn cost(&self, rescaling: &Rescaling, results: &Results<'_>, unit: &Rescale) -> Cost {
        let one = self.factor == RescaleFactor::One;
        if one && unit.latency_cycles() == 1 && self.offset_bits.is_none() && self.added == 0 {
            // Synthesis leaves a register, behind those of the sum and of the step, of what only gets another width.
            return Cost { ff: results.sum_bits, edge: results.sum_bits, scales: true, ..Cost::default() };
        }
        let multiplier = rescaling.constants.first().map(|constant| constant.multiplier);
        let alike = rescaling.constants.iter().all(|constant| Some(constant.multiplier) == multiplier);
        let constant_operand = self.port_bits().is_some() && (results.steps == 1 || alike);
        let rows_left = match constant_operand {
            true => rows_left(unit, &rescaling.constants),
            false => columns_left(&rescaling.constants, results.lanes as usize, self),
        };
        let product_rows = match self.port_bits() {
            Some(bits) => {
                unit.cost().product_rows.min(product_rows(&rescaling.constants, results.lanes as usize, bits))
            }
            None => unit.cost().product_rows,
        };
        Cost { constant_operand, scales: true, rows_left, product_rows, ..unit.cost() }
    }
}

/// One word for each group of channels: for each lane its multiplier, then its offset above.
fn image(layer: &str, rescaling: &Rescaling, results: &Results<'_>, constants: &Constants) -> String {
    let lanes = results.lanes as usize;
    let title = format!(
        "layer {layer}, rescale constants: {} groups; a word holds {lanes} x (multiplier {} bits, offset {} bits above)",
        results.steps,
        constants.port_bits().unwrap_or(0),
        constants.offset_bits.unwrap_or(0)
    );
    let mut image = Image::new(&title, lanes, constants.lane_bits());
    for channels in rescaling.constants.chunks(lanes) {
        image.push_wide(channels.iter().map(|constant| constants.word(constant)));
    }
    image.into_text()
}

/// Of a thousand bits of the memory those that change from group to group of channels.
fn columns_left(channels: &[ChannelRescale], lanes: usize, constants: &Constants) -> u32 {
    let lane_bits = constants.lane_bits();
    if lane_bits == 0 {
        return 1000;
    }
    let mask = (1i128 << lane_bits.min(126)) - 1;
    let changing = |lane: usize| {
        let mut words = channels.iter().skip(lane).step_by(lanes.max(1)).map(|channel| constants.word(channel));
        let first = words.next().unwrap_or(0);
        (words.fold(0, |changed, word| changed | (word ^ first)) & mask).count_ones()
    };
    let changing: u32 = (0..lanes).map(changing).sum();
    1000 * changing / (lanes as u32 * lane_bits).max(1)
}

/// Rows that a product with a lane's multipliers has in look-up tables: one for each bit that changes from channel to channel, and
/// one for two that never do, which are no more than wires, rounded up beyond the first. Of the lane that has most.
fn product_rows(constants: &[ChannelRescale], lanes: usize, multiplier_bits: u32) -> u32 {
    let mask = (1i128 << multiplier_bits) - 1;
    let of = |lane: usize| {
        let multipliers = || {
            let lane = constants.iter().skip(lane).step_by(lanes.max(1));
            lane.map(|constant| i128::from(constant.multiplier) & mask)
        };
        let (some, all) =
            (multipliers().fold(0, |some, one| some | one), multipliers().fold(mask, |all, one| all & one));
        (some & !all).count_ones() + (all.count_ones() + 2) / 2
    };
    (0..lanes).map(of).max().unwrap_or(0)
}

/// Of a product's rows those in a thousand that the channels' multipliers leave, in the mean.
fn rows_left(unit: &Rescale, constants: &[ChannelRescale]) -> u32 {
    let sum: f64 = constants.iter().map(|constant| unit.rows_left(constant.multiplier)).sum();
    (1000.0 * sum / constants.len().max(1) as f64).round() as u32
}

fn extent(values: impl Iterator<Item = i64>) -> Range {
    values.map(|value| Range::new(value, value)).reduce(Range::union).unwrap_or(Range::new(0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two lanes with words of 4 + 4 bits: 0x12 and twice 0x1a differ in one bit, 0x30 and 0x0c in four.
    #[test]
    fn bits_that_change_are_left() {
        let channel = |offset: i64, multiplier: i64| ChannelRescale { multiplier, offset };
        let constants = [channel(1, 2), channel(3, 0), channel(1, 10), channel(0, 12), channel(1, 10), channel(3, 0)];
        let wires =
            Constants { factor: RescaleFactor::Port { bits: 4, signed: false }, offset_bits: Some(4), added: 0 };
        assert_eq!(columns_left(&constants, 2, &wires), 1000 * 5 / 16);
        assert_eq!(columns_left(&constants[..2], 2, &wires), 0);
        // 2, 0, 10, 12, 10 and 0 change in three bits; of 2, 10 and 10 in one lane one changes and one stands, of 0, 12 and 0 two.
        assert_eq!([1, 2].map(|lanes| product_rows(&constants, lanes, 4)), [3 + 1, 2 + 1]);
        assert_eq!(product_rows(&[channel(0, 0b1011)], 1, 4), 2);
    }
}
