//! Requantization of narrow sums by tables: each lane looks up the code of its sum, and of its group of channels where that
//! changes the constants.

use super::rescale::{Rescaling, are_alike};
use super::{Results, lane_sum};
use crate::datapath::ShiftRounding;
use crate::image::Image;
use crate::lower::Lowering;
use crate::lower::chain::{memory_style, number, string};
use crate::lower::wiring::{address_bits, instance, lane};
use crate::requantize::ChannelRescale;
use crate::verilog::{Expr, Item};
use network::graph::Memory;
use std::collections::BTreeMap;

/// Most bits of a sum, with those of its group of channels, that a table is addressed by.
const MOST_ADDRESS_BITS: u32 = 8;

/// The tables of a rescaling's lanes.
pub(super) struct CodeTables {
    /// For each lane the constants by its groups of channels; one where they are all the same.
    lanes: Vec<Vec<ChannelRescale>>,
    sum_bits: u32,
}

impl CodeTables {
    /// The tables, where sums are narrow enough.
    pub fn of(rescaling: &Rescaling, results: &Results<'_>) -> Option<Self> {
        let stride = results.lanes as usize;
        let constants = |lane: usize| {
            let mut constants: Vec<ChannelRescale> =
                rescaling.constants.iter().skip(lane).step_by(stride).copied().collect();
            if are_alike(&constants) {
                constants.truncate(1);
            }
            constants
        };
        if results.sum_bits > MOST_ADDRESS_BITS {
            return None;
        }
        let tables = CodeTables { lanes: (0..stride).map(constants).collect(), sum_bits: results.sum_bits };
        let fits = |lane: &Vec<ChannelRescale>| {
            !lane.is_empty() && ((lane.len() as u64) << tables.sum_bits) <= 1 << MOST_ADDRESS_BITS
        };
        tables.lanes.iter().all(fits).then_some(tables)
    }

    /// What a lane weighs in the mean as [`crate::heap::Cost::weight`] weighs netlists: a look-up table of six inputs for 64
    /// words of a bit of the code that changes, twice since many devices have smaller ones, and its register.
    pub fn weight(&self, rescaling: &Rescaling, signed: bool) -> u32 {
        let lane = |constants: &Vec<ChannelRescale>| {
            let words = self.words(rescaling, constants, signed);
            let first = words.first().copied().unwrap_or(0);
            let changed = words.iter().fold(0, |changed, word| changed | (word ^ first));
            let mask = (1_i64 << rescaling.code_bits) - 1;
            let pieces = u32::try_from(words.len().div_ceil(64)).unwrap_or(u32::MAX);
            (changed & mask).count_ones() * (16 * pieces + 1)
        };
        self.lanes.iter().map(lane).sum::<u32>() / u32::try_from(self.lanes.len()).unwrap_or(1).max(1)
    }

    /// The code of every sum as it stands on the wires, for one group after the other.
    fn words(&self, rescaling: &Rescaling, constants: &[ChannelRescale], signed: bool) -> Vec<i64> {
        let span = 1_i64 << self.sum_bits;
        let sum = move |word: i64| if signed && word >= span / 2 { word - span } else { word };
        let codes =
            constants.iter().flat_map(|constant| (0..span).map(move |word| code(rescaling, constant, sum(word))));
        codes.collect()
    }
}

/// code = clamp((raw * multiplier + offset) >> shift).
pub(super) fn code(rescaling: &Rescaling, constant: &ChannelRescale, raw: i64) -> i64 {
    let value = i128::from(raw) * i128::from(constant.multiplier) + i128::from(constant.offset);
    let floor = value >> rescaling.shift;
    let rest = value - (floor << rescaling.shift);
    let half = 1_i128 << rescaling.shift >> 1;
    let up = match rescaling.rounding {
        ShiftRounding::HalfEven if rescaling.shift > 0 => rest > half || (rest == half && floor & 1 == 1),
        ShiftRounding::HalfEven | ShiftRounding::Floor => false,
    };
    let (low, high) = (i128::from(rescaling.codes.min()), i128::from(rescaling.codes.max()));
    let rounded = (floor + i128::from(up)).clamp(low, high);
    i64::try_from(rounded).unwrap_or(0)
}

impl Lowering<'_> {
    /// Adds the tables behind the sums, into the net `code` (with the prefix); returns their latency in cycles.
    pub(super) fn code_tables(
        &mut self,
        (layer, name): (&str, &str),
        rescaling: &Rescaling,
        tables: &CodeTables,
        results: &Results<'_>,
        items: &mut Vec<Item>,
    ) -> u32 {
        let net = |name: &str| format!("{}{name}", rescaling.prefix);
        let mut paths: BTreeMap<&[ChannelRescale], String> = BTreeMap::new();
        for (index, constants) in (0..).zip(&tables.lanes) {
            let path = paths.entry(constants).or_insert_with(|| format!("mem/{name}_codes_{index}.mem"));
            let words = tables.words(rescaling, constants, results.signed);
            let depth = words.len() as u64;
            if !self.memories.contains_key(path) {
                let title = format!(
                    "layer {layer}, codes of sums of {} bits: {} groups of channels",
                    tables.sum_bits,
                    constants.len()
                );
                let mut image = Image::new(&title, 1, rescaling.code_bits);
                words.into_iter().for_each(|word| image.push([word]));
                self.memories.insert(path.clone(), image.into_text());
            }
            let sum = lane_sum(results, index);
            let address = match constants.len() {
                1 => sum,
                _ => Expr::concat(vec![Expr::name(results.step), sum]),
            };
            items.push(instance(
                "hwgen_rom",
                &net(&format!("codes_{index}")),
                vec![
                    ("DATA_BITS", number(rescaling.code_bits)),
                    ("DEPTH", number(depth)),
                    ("IMAGE", string(path)),
                    ("STYLE", memory_style(Memory::Lut)),
                ],
                false,
                vec![("address_i", address), ("data_o", lane(&net("code"), results.lanes, index, rescaling.code_bits))],
            ));
        }
        if tables.lanes.iter().all(|constants| constants.len() == 1) {
            items.push(Item::wire(&net("unused_group"), address_bits(results.steps), Expr::name(results.step)));
        }
        self.uses(&["hwgen_rom"]);
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use network::Range;

    #[test]
    fn codes_are_rounded_and_clamped() {
        let rescaling = |rounding| Rescaling {
            shift: 2,
            rounding,
            codes: Range::new(-2, 3),
            ..Rescaling::exact(Vec::new(), Range::new(-2, 3))
        };
        let constant = ChannelRescale { multiplier: 3, offset: 1 };
        let codes = |rounding| [-8, -3, -1, 0, 1, 3, 5, 9].map(|raw| code(&rescaling(rounding), &constant, raw));
        // -23, -8, -2, 1, 4, 10, 16 and 28 quarters.
        assert_eq!(codes(ShiftRounding::Floor), [-2, -2, -1, 0, 1, 2, 3, 3]);
        assert_eq!(codes(ShiftRounding::HalfEven), [-2, -2, 0, 0, 1, 2, 3, 3]);
    }
}
