//! Requantization by a search among thresholds, one unit for each lane.

use super::{Results, format_least, lane_sum};
use crate::image::Image;
use crate::lower::Lowering;
use crate::lower::chain::{memory_style, number, string};
use crate::lower::wiring::{instance, lane, wire};
use crate::requantize::{ChannelThresholds, channel_thresholds};
use crate::verilog::{BinaryOp, Expr, Item};
use network::graph::Memory;
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
    ) -> u32 {
        let code_bits = requantization.output.bits();
        // The unit takes two's complement.
        let value_bits = results.sum_bits + u32::from(!results.signed);
        let lanes = results.lanes as usize;
        let channel_of = |step: u64, lane: u32| step as usize * lanes + lane as usize;
        let all: Vec<ChannelThresholds> = (0..results.maps.len())
            .map(|channel| channel_thresholds(requantization, channel, self.channel_sums(index, channel), results.maps[channel]))
            .collect();
        let falling = all.iter().any(|channel| channel.falling);
        let front = falling || results.steps > 64;
        let signed = requantization.output.code_is_signed();
        let counted = if signed { "count" } else { "code" };
        if signed {
            items.push(wire(counted, results.lanes * code_bits));
        }
        for unit in 0..results.lanes {
            let channels: Vec<&ChannelThresholds> =
                (0..results.steps).filter_map(|step| all.get(channel_of(step, unit))).collect();
            let threshold_bits = value_bits + 1;
            let path = format!("mem/{name}_thresholds_{unit}.mem");
            let layer = &self.bound.network().layers()[index].name;
            let title = format!(
                "layer {layer}, thresholds of lane {unit}: {} groups x 2^{code_bits} words x {threshold_bits} bits",
                results.steps
            );
            let mut image = Image::new(&title, 1, threshold_bits);
            for channel in channels {
                let always = requantization.codes.min() - format_least(requantization);
                for word in channel_words(channel, always as usize, code_bits, value_bits) {
                    image.push([word]);
                }
            }
            self.memories.insert(path.clone(), image.into_text());
            let sum = lane_sum(results, unit);
            let sum = if results.signed { sum } else { Expr::concat(vec![Expr::zero(1), sum]) };
            items.push(instance(
                "hwgen_threshold",
                &format!("threshold_{unit}"),
                vec![
                    ("ACCUMULATOR_BITS", number(value_bits)),
                    ("THRESHOLD_BITS", number(threshold_bits)),
                    ("CODE_BITS", number(code_bits)),
                    ("GROUPS", number(results.steps)),
                    ("FALLING", number(u8::from(falling))),
                    ("IMAGE", string(&path)),
                    ("STYLE", memory_style(Memory::Lut)),
                ],
                false,
                vec![
                    ("accumulator_i", sum),
                    ("group_i", Expr::name(results.step)),
                    ("code_o", lane(counted, results.lanes, unit, code_bits)),
                ],
            ));
        }
        if signed {
            // Counting starts at the least code: only the sign bit differs from two's complement.
            let sign = Expr::constant(code_bits, 1 << (code_bits - 1));
            let signs = Expr::Repeat(results.lanes, Box::new(sign));
            let turned = Expr::name(counted).binary(BinaryOp::Xor, signs);
            items.push(Item::Assign(Expr::name("code"), turned));
        }
        self.uses(&["hwgen_threshold"]);
        code_bits + u32::from(front)
    }
}

/// The image words of one channel: whether it falls, then its thresholds in ascending order, as unsigned numbers.
fn channel_words(channel: &ChannelThresholds, always: usize, code_bits: u32, value_bits: u32) -> Vec<i64> {
    let turn = 1i64 << (value_bits - 1);
    let never = (1i64 << (value_bits + 1)) - 1;
    let mut words = vec![i64::from(channel.falling)];
    words.extend(std::iter::repeat_n(0, always));
    let mut thresholds: Vec<i64> =
        channel.values.iter().map(|&threshold| if channel.falling { !threshold } else { threshold } + turn).collect();
    thresholds.sort_unstable();
    words.extend(thresholds.into_iter().map(|word| if word >= 2 * turn { never } else { word.max(0) }));
    words.resize(1 << code_bits, never);
    words
}
