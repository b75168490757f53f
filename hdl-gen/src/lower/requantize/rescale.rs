//! Requantization by multiply, add and shift: one unit for each lane, constants from one memory.

use super::{Results, lane_sum};
use crate::datapath::{Multiplier, Rescale, RescaleFactor, RescaleSpec, ShiftRounding};
use crate::heap::{Cost, Target};
use crate::image::Image;
use crate::lower::chain::{memory_style, number, string};
use crate::lower::wiring::{delay, instance, lane, wire};
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
        let all_one = rescaling.constants.iter().all(|constant| constant.multiplier == 1);
        let multipliers = extent(rescaling.constants.iter().map(|constant| constant.multiplier));
        let offsets = extent(rescaling.constants.iter().map(|constant| constant.offset));
        let multiplier_bits = if all_one { 0 } else { multipliers.bits() };
        let offset_bits = Range::new(offsets.min(), offsets.max().max(0)).union(Range::new(-1, 0)).bits();
        let unit = self.rescale(RescaleSpec {
            module_name: format!("{}_{name}_rescale", self.names.top()),
            accumulator_bits: results.sum_bits,
            accumulator_signed: results.signed,
            factor: if all_one {
                RescaleFactor::One
            } else {
                RescaleFactor::Port { bits: multiplier_bits, signed: multipliers.is_signed() }
            },
            offset_bits: Some(offset_bits),
            value_range: (rescaling.values.min(), rescaling.values.max()),
            shift: rescaling.shift,
            rounding: rescaling.rounding,
            code_range: (rescaling.codes.min(), rescaling.codes.max()),
            multiplier: rescaling.multiplier,
            target: Target::Lut6,
        })?;
        let lane_bits = multiplier_bits + offset_bits;
        let path = format!("mem/{name}_rescale.mem");
        self.memories.insert(path.clone(), image(layer, rescaling, results, multiplier_bits, offset_bits));
        let net = |name: &str| format!("{}{name}", rescaling.prefix);
        let (constants, late_sum, code) = (net("constants"), net("late_sum"), net("code"));
        items.extend([
            wire(&constants, results.lanes * lane_bits),
            wire(&late_sum, results.lanes * results.sum_bits),
            instance(
                "hwgen_rom",
                &constants,
                vec![
                    ("DATA_BITS", number(results.lanes * lane_bits)),
                    ("DEPTH", number(results.steps)),
                    ("IMAGE", string(&path)),
                    ("STYLE", memory_style(Memory::Lut)),
                ],
                false,
                vec![("address_i", Expr::name(results.step)), ("data_o", Expr::name(constants.as_str()))],
            ),
            delay(&late_sum, results.lanes * results.sum_bits, 1, false, Expr::name(results.sums), &late_sum),
        ]);
        let late = Results { sums: &late_sum, ..*results };
        let constants_bits = results.lanes * lane_bits;
        for index in 0..results.lanes {
            let low = index * lane_bits;
            let mut ports = vec![("accumulator_i", lane_sum(&late, index))];
            if !all_one {
                let high = low + multiplier_bits - 1;
                ports.push(("multiplier_i", Expr::part(&constants, constants_bits, high, low)));
            }
            let (from, to) = (low + multiplier_bits, low + lane_bits - 1);
            ports.push(("offset_i", Expr::part(&constants, constants_bits, to, from)));
            let narrow = unit.code_bits();
            if narrow == rescaling.code_bits {
                ports.push(("code_o", lane(&code, results.lanes, index, rescaling.code_bits)));
            } else {
                // The clamp leaves fewer bits than the format has.
                let net = net(&format!("narrow_code_{index}"));
                items.push(wire(&net, narrow));
                ports.push(("code_o", Expr::name(net.as_str())));
                let fill = if rescaling.codes.is_signed() {
                    Expr::part(&net, narrow, narrow - 1, narrow - 1)
                } else {
                    Expr::zero(1)
                };
                let fill = Expr::Repeat(rescaling.code_bits - narrow, Box::new(fill));
                items.push(Item::Assign(
                    lane(&code, results.lanes, index, rescaling.code_bits),
                    Expr::concat(vec![fill, Expr::name(net.as_str())]),
                ));
            }
            let own = net(&format!("rescale_{index}"));
            items.push(instance(&unit.spec().module_name, &own, Vec::new(), false, ports));
        }
        let multiplier = rescaling.constants.first().map(|constant| constant.multiplier);
        let alike = rescaling.constants.iter().all(|constant| Some(constant.multiplier) == multiplier);
        let constant_operand = results.steps == 1 || (alike && !all_one);
        let rows_left = match constant_operand {
            true => rows_left(&unit, &rescaling.constants),
            false => columns_left(&rescaling.constants, results.lanes as usize, multiplier_bits, offset_bits),
        };
        let idle = all_one && unit.latency_cycles() == 1 && offsets == Range::new(0, 0);
        let cost = match idle {
            // Synthesis leaves a register, behind those of the sum and of the step, of what only gets another width.
            true => Cost { ff: results.sum_bits, edge: results.sum_bits, scales: true, ..Cost::default() },
            false => {
                let rows = product_rows(&rescaling.constants, results.lanes as usize, multiplier_bits);
                let product_rows = unit.cost().product_rows.min(rows);
                Cost { constant_operand, scales: true, rows_left, product_rows, ..unit.cost() }
            }
        };
        self.add_datapath(&unit.spec().module_name, cost, unit.modules());
        self.uses(&["hwgen_rom", "hwgen_delay"]);
        Ok(1 + unit.latency_cycles())
    }
}

/// One word for each group of channels: for each lane its multiplier, then its offset above.
fn image(layer: &str, rescaling: &Rescaling, results: &Results<'_>, multiplier_bits: u32, offset_bits: u32) -> String {
    let lanes = results.lanes as usize;
    let title = format!(
        "layer {layer}, rescale constants: {} groups; a word holds {lanes} x (multiplier {multiplier_bits} bits, offset {offset_bits} bits above)",
        results.steps
    );
    let lane_bits = multiplier_bits + offset_bits;
    let mut image = Image::new(&title, lanes, lane_bits);
    for channels in rescaling.constants.chunks(lanes) {
        image.push_wide(channels.iter().map(|constant| word(constant, multiplier_bits)));
    }
    image.into_text()
}

/// A channel's multiplier, with its offset above.
fn word(constant: &ChannelRescale, multiplier_bits: u32) -> i128 {
    let mask = (1i128 << multiplier_bits) - 1;
    (i128::from(constant.offset) << multiplier_bits) | (i128::from(constant.multiplier) & mask)
}

/// Of a thousand bits of the constants those that change from group to group of channels.
fn columns_left(constants: &[ChannelRescale], lanes: usize, multiplier_bits: u32, offset_bits: u32) -> u32 {
    let lane_bits = multiplier_bits + offset_bits;
    let mask = (1i128 << lane_bits.min(126)) - 1;
    let changing = |lane: usize| {
        let mut words =
            constants.iter().skip(lane).step_by(lanes.max(1)).map(|constant| word(constant, multiplier_bits));
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
        assert_eq!(columns_left(&constants, 2, 4, 4), 1000 * 5 / 16);
        assert_eq!(columns_left(&constants[..2], 2, 4, 4), 0);
        // 2, 0, 10, 12, 10 and 0 change in three bits; of 2, 10 and 10 in one lane one changes and one stands, of 0, 12 and 0 two.
        assert_eq!([1, 2].map(|lanes| product_rows(&constants, lanes, 4)), [3 + 1, 2 + 1]);
        assert_eq!(product_rows(&[channel(0, 0b1011)], 1, 4), 2);
    }
}
