//! The hardware of initial sums: a position counter and a memory of constants.

use super::Parts;
use crate::image::Image;
use crate::lower::Lowering;
use crate::lower::border::Borders;
use crate::lower::chain::{memory_style, number, string};
use crate::lower::wiring::{address_bits, instance, wire};
use crate::verilog::{BinaryOp, Expr, Item};
use network::graph::Memory;

impl Lowering<'_> {
    /// The constants of the current border zone, one for each PE; they arrive one cycle after the step.
    pub(super) fn initial_sums(&mut self, parts: &Parts<'_>, borders: &Borders, items: &mut Vec<Item>) {
        let layer = &self.bound.network().layers()[parts.index].name;
        let pe = parts.matrix.pe as usize;
        let (bits, low_bits) = (borders.initial_bits(), borders.low_bits());
        // Low bits that all PEs miss alike stand once, below the others.
        let shared = borders.shares_low_bits(pe);
        let (low_field, lane_bits) = if shared { (low_bits, bits) } else { (0, bits + low_bits) };
        let word_bits = pe as u32 * lane_bits + low_field;
        let title = format!(
            "layer {layer}, initial sums: {} x {} border zones x {} output steps; a word holds {pe} PEs x {lane_bits} bits above {low_field} common low bits",
            borders.axes[0].count(),
            borders.axes[1].count(),
            parts.result_steps,
        );
        let mut image = Image::with_low_bits(&title, low_field, pe, lane_bits);
        // A zone's words fill a power of two, so that an address is zone and output step side by side.
        let zone_words = if parts.result_steps > 1 { 1 << address_bits(parts.result_steps) } else { 1 };
        for zone in borders.zones() {
            for channels in zone.chunks(pe) {
                let low = channels.first().copied().unwrap_or(0);
                image.push_with_low_bits(low, channels.iter().map(|constant| constant >> low_field));
            }
            for _ in parts.result_steps..zone_words {
                image.push_with_low_bits(0, (0..pe).map(|_| 0));
            }
        }
        let zones = borders.axes[0].count() * borders.axes[1].count();
        let words = zones * zone_words;
        let (zone_bits, step_bits) = (address_bits(zones), address_bits(parts.result_steps));
        let address_bits = address_bits(words);
        let path = format!("mem/{}_initial.mem", parts.name);
        let vector_ends = Expr::name("step_last").binary(
            BinaryOp::And,
            Expr::name("step_output")
                .binary(BinaryOp::Equal, Expr::constant(step_bits, u128::from(parts.result_steps - 1))),
        );
        // A single zone needs no count of positions.
        if zones > 1 {
            items.push(wire("zone", zone_bits));
            items.push(self.zone_counter("zone", borders.axes, zone_bits, vector_ends));
        }
        let address = if zones == 1 {
            Expr::name("step_output")
        } else if parts.result_steps == 1 {
            Expr::name("zone")
        } else {
            Expr::concat(vec![Expr::name("zone"), Expr::name("step_output")])
        };
        items.push(Item::wire("initial_address", address_bits, address));
        items.push(wire("initial_word", word_bits));
        items.push(instance(
            "hwgen_rom",
            "initial",
            vec![
                ("DATA_BITS", number(word_bits)),
                ("DEPTH", number(words)),
                ("IMAGE", string(&path)),
                ("STYLE", memory_style(Memory::Lut)),
            ],
            false,
            vec![("address_i", Expr::name("initial_address")), ("data_o", Expr::name("initial_word"))],
        ));
        self.memories.insert(path, image.into_text());
        let part = |high: u32, low: u32| Expr::part("initial_word", word_bits, high, low);
        if shared {
            items.push(Item::wire("border_sum", pe as u32 * bits, part(word_bits - 1, low_bits)));
            if low_bits > 0 {
                items.push(Item::wire("initial_low", low_bits, part(low_bits - 1, 0)));
            }
        } else {
            let each = |high: u32, low: u32| {
                let lanes = (0..pe as u32).rev().map(|lane| part(lane * lane_bits + high, lane * lane_bits + low));
                Expr::concat(lanes.collect())
            };
            items.push(Item::wire("border_sum", pe as u32 * bits, each(lane_bits - 1, low_bits)));
            items.push(Item::wire("initial_low", pe as u32 * low_bits, each(low_bits - 1, 0)));
        }
        self.uses(&["hwgen_rom"]);
    }
}
