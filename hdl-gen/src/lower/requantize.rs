//! Requantization of raw sums inside a layer's module, and layers that do nothing else.

use self::rescale::Rescaling;
use super::wiring::{delay, lane, wire};
use super::{Fault, Lowering};
use crate::datapath::ShiftRounding;
use crate::requantize::{RawMap, rescale as raw_rescale, rescaled_range};
use crate::verilog::{Expr, Item};
use network::Range;
use network::graph::{Multiplier, RequantizeUnit};
use network::manifest::Word;
use network::requantization::{Form, Requantization, Shift};

mod code_tables;
mod lanes_apart;
pub(super) mod layer;
pub(super) mod rescale;
mod search;
mod thresholds;

/// Widest code and sum of `hwgen_threshold`; beyond, and for tables, a chain of search steps stands in its place.
const THRESHOLD_UNIT_CODE_BITS: u32 = 8;
const THRESHOLD_UNIT_SUM_BITS: u32 = 31;

/// Raw sums as they leave a pipeline, one word for each group of channels.
pub(super) struct Results<'a> {
    /// Net of the sums, lane 0 lowest.
    pub sums: &'a str,
    /// Net that is high when a word is there.
    pub valid: &'a str,
    /// Net that is high with a frame's last word.
    pub last: &'a str,
    /// Net of the group of channels that the word holds.
    pub step: &'a str,
    /// Groups of channels.
    pub steps: u64,
    /// Channels side by side.
    pub lanes: u32,
    /// Bits of a sum.
    pub sum_bits: u32,
    /// Whether a raw sum is two's complement.
    pub signed: bool,
    /// What raw sums mean, for each channel.
    pub maps: &'a [RawMap],
    /// Exact sums that each channel makes.
    pub ranges: &'a [Range],
    /// How they become codes, where they do.
    pub requantization: Option<&'a Requantization>,
}

/// The unit that a layer requantizes with.
#[derive(Clone, Copy)]
pub(super) struct UnitChoice {
    pub unit: RequantizeUnit,
    pub multiplier: Multiplier,
}

/// What is pushed into the output FIFO.
pub(super) struct Pushed {
    pub valid: String,
    pub last: String,
    pub data: String,
    pub word: Word,
    /// Cycles from the sums to here.
    pub latency_cycles: u32,
}

impl Lowering<'_> {
    /// Adds the requantization of the layer at `index` behind its sums; without a unit the sums themselves leave.
    pub(super) fn requantize_results(
        &mut self,
        index: usize,
        name: &str,
        results: &Results<'_>,
        unit: Option<UnitChoice>,
        items: &mut Vec<Item>,
    ) -> Result<Pushed, Fault> {
        let layer = &self.bound.network().layers()[index];
        let (Some(unit), Some(requantization)) = (unit, results.requantization) else {
            return Ok(Pushed {
                valid: results.valid.to_owned(),
                last: results.last.to_owned(),
                data: results.sums.to_owned(),
                word: Word { lanes: results.lanes, lane_bits: results.sum_bits, signed: results.signed },
                latency_cycles: 0,
            });
        };
        let format = requantization.output;
        let word = Word { lanes: results.lanes, lane_bits: format.bits(), signed: format.code_is_signed() };
        items.push(Item::Blank);
        items.push(wire("code", word.bits()));
        let latency = match (unit.unit, &requantization.form) {
            (RequantizeUnit::Rescale, Form::Shift(shift)) => {
                let rescaling = rescaling(requantization, shift, results, unit.multiplier);
                self.rescale_lanes(&layer.name, name, &rescaling, results, items)?
            }
            (RequantizeUnit::Rescale, Form::Thresholds(_) | Form::Table(_)) | (RequantizeUnit::Thresholds, _) => {
                let is_table = matches!(requantization.form, Form::Table(_));
                if is_table || format.bits() > THRESHOLD_UNIT_CODE_BITS || results.sum_bits > THRESHOLD_UNIT_SUM_BITS {
                    self.search_lanes(index, name, requantization, results, items)?
                } else {
                    self.threshold_lanes(index, name, requantization, results, items)?
                }
            }
        };
        Ok(self.pushed_codes(word, latency, results, items))
    }

    /// Adds a given multiply and add behind the sums.
    fn rescaled_results(
        &mut self,
        layer: &str,
        name: &str,
        rescaling: &Rescaling,
        results: &Results<'_>,
        items: &mut Vec<Item>,
    ) -> Result<Pushed, Fault> {
        let word = Word { lanes: results.lanes, lane_bits: rescaling.code_bits, signed: rescaling.codes.is_signed() };
        items.push(Item::Blank);
        items.push(wire("code", word.bits()));
        let latency = self.rescale_lanes(layer, name, rescaling, results, items)?;
        Ok(self.pushed_codes(word, latency, results, items))
    }

    /// The net `code` with valid and last beside it, as late as the unit that makes it.
    fn pushed_codes(
        &mut self,
        word: Word,
        latency_cycles: u32,
        results: &Results<'_>,
        items: &mut Vec<Item>,
    ) -> Pushed {
        items.extend([
            wire("code_valid", 1),
            wire("code_last", 1),
            delay("code_valid", 1, latency_cycles, true, Expr::name(results.valid), "code_valid"),
            delay("code_last", 1, latency_cycles, true, Expr::name(results.last), "code_last"),
        ]);
        self.uses(&["hwgen_delay"]);
        Pushed {
            valid: "code_valid".to_owned(),
            last: "code_last".to_owned(),
            data: "code".to_owned(),
            word,
            latency_cycles,
        }
    }

    /// Exact sums of each channel of the layer at `index`.
    pub(super) fn sum_ranges(&self, index: usize) -> Vec<Range> {
        self.bound.network().sums(index).map_or_else(Vec::new, |sums| sums.channels.clone())
    }
}

/// The rescale unit's constants for a shift form.
fn rescaling(
    requantization: &Requantization,
    shift: &Shift,
    results: &Results<'_>,
    multiplier: Multiplier,
) -> Rescaling {
    let (shift_bits, constants) = raw_rescale(shift, results.maps.len(), results.maps);
    let values = rescaled_range(&constants, results.maps, |channel| channel_sums(results, channel));
    Rescaling {
        values,
        constants,
        shift: shift_bits,
        rounding: if shift.half_even { ShiftRounding::HalfEven } else { ShiftRounding::Floor },
        codes: requantization.codes,
        multiplier: match multiplier {
            Multiplier::Lut => crate::datapath::Multiplier::Lut,
            Multiplier::Dsp => crate::datapath::Multiplier::Dsp,
        },
        code_bits: requantization.output.bits(),
        prefix: "",
    }
}

/// Exact sums of one channel.
fn channel_sums(results: &Results<'_>, channel: usize) -> Range {
    results.ranges.get(channel).copied().unwrap_or(Range::new(0, 0))
}

/// The sum of one lane.
fn lane_sum(results: &Results<'_>, index: u32) -> Expr {
    lane(results.sums, results.lanes, index, results.sum_bits)
}
