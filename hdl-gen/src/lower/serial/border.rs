//! Initial sums of a bit-serial array with padded bipolar activations: a constant for each mode, border zone and channel.

use super::{SerialSite, Sizes, sum_parts};
use crate::bind::mode_planes;
use crate::image::Image;
use crate::lower::Lowering;
use crate::lower::border::Borders;
use crate::lower::chain::{memory_style, number, string};
use crate::lower::wiring::{address_bits, delay, instance, lane, wire};
use crate::serial::Schedule;
use crate::verilog::{BinaryOp, Expr, Item};
use network::graph::Memory;
use network::modes::truncated_weights;
use network::op::Weights;

impl Lowering<'_> {
    /// The initial sums of each mode; none where the layer needs none.
    pub(super) fn borders_in_modes(&self, site: &SerialSite<'_>, schedule: &Schedule) -> Vec<Borders> {
        let network = self.bound.network();
        let layer = &network.layers()[site.index];
        let planes = mode_planes(layer, site.weights, site.activation);
        let weights: Vec<Weights> =
            planes.iter().map(|planes| truncated_weights(site.weights, planes.weight)).collect();
        let modes: Vec<(&Weights, i64)> = weights.iter().zip(schedule.padded.iter().copied()).collect();
        let gain = schedule.modes.first().and_then(|mode| mode.maps.first()).map_or(1, |map| map.gain);
        let (input, output) = (network.layer_input(layer).shape, network.layer_output(site.index).shape);
        Borders::in_modes(site.op, input, output, site.activation, &modes, gain).unwrap_or_default()
    }

    /// Puts the constant of mode, zone and channel on top of `plain_sum`, the sums of all PEs, which come `latency` cycles
    /// after a result's last step; returns the cycles that this takes.
    pub(super) fn serial_borders(
        &mut self,
        site: &SerialSite<'_>,
        sizes: &Sizes,
        borders: &[Borders],
        latency: u32,
        items: &mut Vec<Item>,
    ) -> u32 {
        let Some(first) = borders.first() else { return 0 };
        let pe = site.matrix.pe as u32;
        let low_bits = first.low_bits();
        let plain_bits = sizes.sum_bits - low_bits;
        let constant_bits = borders.iter().map(Borders::initial_bits).max().unwrap_or(1).min(plain_bits);
        let lane_bits = constant_bits + low_bits;
        let zones = first.axes[0].count() * first.axes[1].count();
        let path = format!("mem/{}_initial.mem", site.name);
        let words = border_words(borders.len(), zones, sizes.result_steps);
        if self.images.has(Memory::Lut, words.len() as u64, u64::from(pe * lane_bits)) {
            let layer = &self.bound.network().layers()[site.index].name;
            let title = format!(
                "layer {layer}, initial sums: {} modes x {zones} border zones x {} output steps, zones and steps filled to powers of two; a word holds {pe} PEs x {lane_bits} bits",
                borders.len(),
                sizes.result_steps,
            );
            let mut image = Image::new(&title, pe as usize, lane_bits);
            for word in words.iter().copied() {
                let channels = word.and_then(|(mode, zone, _)| borders.get(mode)?.zones().nth(zone)).unwrap_or(&[]);
                let first = word.map_or(0, |(.., step)| step * pe as usize);
                image.push(channels.iter().skip(first).take(pe as usize).copied());
            }
            self.memories.insert(path.clone(), image.into_text());
        }
        let (zone_bits, step_bits) = (address_bits(zones), address_bits(sizes.result_steps));
        let mut fields = Vec::new();
        if borders.len() > 1 {
            fields.push((Expr::name("step_mode"), sizes.mode_bits));
        }
        if zones > 1 {
            let ends = Expr::name("step_output")
                .binary(BinaryOp::Equal, Expr::constant(step_bits, u128::from(sizes.result_steps - 1)));
            items.push(wire("zone", zone_bits));
            let ends = Expr::name("step_last").binary(BinaryOp::And, ends);
            items.push(self.zone_counter("zone", first.axes, zone_bits, ends));
            fields.push((Expr::name("zone"), zone_bits));
        }
        if sizes.result_steps > 1 || fields.is_empty() {
            fields.push((Expr::name("step_output"), step_bits));
        }
        let address_bits = fields.iter().map(|(_, bits)| bits).sum();
        let address = Expr::concat(fields.into_iter().map(|(field, _)| field).collect());
        items.push(wire("initial_address", address_bits));
        items.push(wire("initial_word", pe * lane_bits));
        items.push(delay("initial_address", address_bits, latency - 1, false, address, "initial_address"));
        items.push(instance(
            "hwgen_rom",
            "initial_word",
            vec![
                ("DATA_BITS", number(pe * lane_bits)),
                ("DEPTH", number(words.len() as u64)),
                ("IMAGE", string(&path)),
                ("STYLE", memory_style(Memory::Lut)),
            ],
            false,
            vec![("address_i", Expr::name("initial_address")), ("data_o", Expr::name("initial_word"))],
        ));
        items.push(wire("sum", pe * sizes.sum_bits));
        for index in 0..pe {
            items.push(instance(
                "hwgen_border_add",
                &format!("border_{index}"),
                vec![
                    ("SUM_BITS", number(plain_bits)),
                    ("LOW_BITS", number(low_bits)),
                    ("CONSTANT_BITS", number(lane_bits)),
                ],
                false,
                vec![
                    ("sum_i", lane("plain_sum", pe, index, plain_bits)),
                    ("constant_i", lane("initial_word", pe, index, lane_bits)),
                    ("result_o", lane("sum", pe, index, sizes.sum_bits)),
                ],
            ));
        }
        self.uses(&["hwgen_border_add", "hwgen_delay", "hwgen_rom"]);
        sum_parts(plain_bits)
    }
}

/// Mode, zone and output step of each word of constants; `None` stands in places that are never read.
fn border_words(modes: usize, zones: u64, result_steps: u64) -> Vec<Option<(usize, usize, usize)>> {
    let filled = |count: u64| if count > 1 { 1 << address_bits(count) } else { 1 };
    let steps = filled(result_steps);
    // Zones are filled where modes stand above them, modes never.
    let zone_words = if modes > 1 { filled(zones) } else { zones };
    let word = |word: u64| {
        let (mode, zone, step) = (word / steps / zone_words, word / steps % zone_words, word % steps);
        (zone < zones && step < result_steps).then_some((mode as usize, zone as usize, step as usize))
    };
    (0..modes as u64 * zone_words * steps).map(word).collect()
}
