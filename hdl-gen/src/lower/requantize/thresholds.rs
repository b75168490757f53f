//! Requantization by a search among thresholds, one unit for each lane.

use super::{Results, channel_sums, lane_sum};
use crate::cost::inventory_reads_thresholds;
use crate::image::Image;
use crate::lower::chain::{number, string};
use crate::lower::wiring::{instance, lane, wire};
use crate::lower::{Fault, Images, Lowering};
use crate::requantize::{ChannelThresholds, channel_thresholds};
use crate::threshold::{ThresholdChannel, ThresholdUnit};
use crate::verilog::{BinaryOp, Expr, Item};
use network::Range;
use network::requantization::Requantization;

impl Lowering<'_> {
    /// Adds one threshold unit for each lane; returns their latency in cycles.
    pub(super) fn threshold_lanes(
        &mut self,
        index: usize,
        name: &str,
        requantization: &Requantization,
        results: &Results<'_>,
        items: &mut Vec<Item>,
    ) -> Result<u32, Fault> {
        let (unit, reached) = self.threshold_unit(requantization, results)?;
        let layer = &self.bound.network().layers()[index].name;
        // Units count from 0; codes count from the format's least, which only turns the sign bit.
        let (code_bits, count_bits) = (requantization.output.bits(), unit.code_bits());
        let signed = requantization.output.code_is_signed();
        let counts_are_codes = !signed && count_bits == code_bits;
        let counted = if counts_are_codes { "code" } else { "count" };
        if !counts_are_codes {
            items.push(wire(counted, results.lanes * count_bits));
        }
        for index in 0..results.lanes {
            let path = format!("mem/{name}_thresholds_{index}.mem");
            let title = format!(
                "layer {layer}, thresholds of lane {index} over raw sums {reached}: {} groups x 2^{count_bits} words x {} bits",
                unit.groups(),
                unit.threshold_bits(),
            );
            // What a small table holds decides its cost, and is quickly written down.
            if self.images == Images::All || inventory_reads_thresholds(results.steps, count_bits) {
                let mut image = Image::new(&title, 1, unit.threshold_bits());
                for word in unit.lane_words(index as usize) {
                    image.push([word as i64]);
                }
                self.memories.insert(path.clone(), image.into_text());
            }
            items.push(instance(
                "hwgen_threshold",
                &format!("threshold_{index}"),
                vec![
                    ("ACCUMULATOR_BITS", number(results.sum_bits)),
                    ("SIGNED", number(u8::from(results.signed))),
                    ("THRESHOLD_BITS", number(unit.threshold_bits())),
                    ("CODE_BITS", number(count_bits)),
                    ("GROUPS", number(results.steps)),
                    ("FALLING", number(u8::from(unit.falling()))),
                    ("IMAGE", string(&path)),
                ],
                false,
                vec![
                    ("accumulator_i", lane_sum(results, index)),
                    ("group_i", Expr::name(results.step)),
                    ("code_o", lane(counted, results.lanes, index, count_bits)),
                ],
            ));
            if !counts_are_codes {
                let count = lane(counted, results.lanes, index, count_bits);
                let wide = match code_bits - count_bits {
                    0 => count,
                    fill => Expr::concat(vec![Expr::zero(fill), count]),
                };
                let sign = Expr::constant(code_bits, 1 << (code_bits - 1));
                let code = if signed { wide.binary(BinaryOp::Xor, sign) } else { wide };
                items.push(Item::Assign(lane("code", results.lanes, index, code_bits), code));
            }
        }
        self.uses(&["hwgen_threshold"]);
        Ok(unit.latency_cycles())
    }

    /// Thresholds of all channels over raw sums, those that no sum of a channel reaches beyond all that occur, and the
    /// range of raw sums. `always` are added that every sum reaches.
    pub(super) fn reached_thresholds(
        &self,
        requantization: &Requantization,
        results: &Results<'_>,
        always: usize,
    ) -> (Vec<ChannelThresholds>, Range) {
        let raw_of = |channel: usize| results.maps[channel].raw_range(channel_sums(results, channel));
        let channels = 0..results.maps.len();
        let reached = channels.clone().map(raw_of).reduce(Range::union).unwrap_or(Range::new(0, 0));
        let thresholds = channels
            .map(|channel| {
                let sums = channel_sums(results, channel);
                let mut thresholds = channel_thresholds(requantization, channel, sums, results.maps[channel]);
                let values = &mut thresholds.values;
                // A channel's own "never" may lie inside the range of another.
                let own = raw_of(channel);
                if thresholds.falling {
                    values.iter_mut().filter(|value| **value < own.min()).for_each(|value| *value = reached.min() - 1);
                    values.extend(std::iter::repeat_n(reached.max(), always));
                } else {
                    values.iter_mut().filter(|value| **value > own.max()).for_each(|value| *value = reached.max() + 1);
                    values.iter_mut().filter(|value| **value <= own.min()).for_each(|value| *value = reached.min());
                    values.splice(0..0, std::iter::repeat_n(reached.min(), always));
                }
                thresholds
            })
            .collect();
        (thresholds, reached)
    }

    /// The units' parameters and images, and the range of raw sums.
    fn threshold_unit(
        &self,
        requantization: &Requantization,
        results: &Results<'_>,
    ) -> Result<(ThresholdUnit, Range), Fault> {
        // Codes below the least that occurs are counted as reached by every sum.
        let always = (requantization.codes.min() - requantization.output.code_range().min()) as usize;
        let (thresholds, reached) = self.reached_thresholds(requantization, results, always);
        let channels: Vec<ThresholdChannel<'_>> = thresholds
            .iter()
            .map(|channel| ThresholdChannel { values: &channel.values, falling: channel.falling })
            .collect();
        let unit = ThresholdUnit::new(
            &channels,
            results.lanes as usize,
            results.sum_bits,
            results.signed,
            (reached.min(), reached.max()),
        )?;
        Ok((unit, reached))
    }
}
