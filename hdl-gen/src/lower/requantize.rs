//! Requantization of raw sums inside a layer's module, and layers that do nothing else.

use super::wiring::{delay, lane, wire};
use super::{Fault, Lowering};
use crate::requantize::RawMap;
use crate::verilog::{Expr, Item};
use network::graph::{Multiplier, RequantizeUnit};
use network::manifest::Word;
use network::requantization::{Form, Requantization};

mod layer;
mod rescale;
mod thresholds;

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
    /// Its bits.
    pub step_bits: u32,
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
        let (Some(unit), Some(requantization)) = (unit, &layer.requantization) else {
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
        let latency_cycles = match (unit.unit, &requantization.form) {
            (RequantizeUnit::Rescale, Form::Shift(shift)) => {
                self.rescale_lanes(index, name, requantization, shift, results, unit.multiplier, items)?
            }
            (RequantizeUnit::Rescale, Form::Thresholds(_)) | (RequantizeUnit::Thresholds, _) => {
                self.threshold_lanes(index, name, requantization, results, items)
            }
        };
        items.extend([
            wire("code_valid", 1),
            wire("code_last", 1),
            delay("code_valid", 1, latency_cycles, true, Expr::name(results.valid), "code_valid"),
            delay("code_last", 1, latency_cycles, true, Expr::name(results.last), "code_last"),
        ]);
        self.uses(&["hwgen_delay"]);
        Ok(Pushed {
            valid: "code_valid".to_owned(),
            last: "code_last".to_owned(),
            data: "code".to_owned(),
            word,
            latency_cycles,
        })
    }

    /// Exact sums of one channel of the layer at `index`.
    fn channel_sums(&self, index: usize, channel: usize) -> network::Range {
        let sums = self.bound.network().sums(index);
        sums.and_then(|sums| sums.channels.get(channel).copied()).unwrap_or(network::Range::new(0, 0))
    }
}

/// The sum of one lane.
fn lane_sum(results: &Results<'_>, index: u32) -> Expr {
    lane(results.sums, results.lanes, index, results.sum_bits)
}

/// Least code of a requantization's format, which the units count from.
fn format_least(requantization: &Requantization) -> i64 {
    requantization.output.code_range().min()
}
