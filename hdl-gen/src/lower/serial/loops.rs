//! The loops of a bit-serial array and the schedule of its planes.

use super::images::{schedule_image, weight_image};
use super::{SerialSite, Sizes, rom_cycles};
use crate::lower::Lowering;
use crate::lower::chain::{memory_style, number, string};
use crate::lower::matrix::BLOCK_REPLAY_WORDS;
use crate::lower::wiring::{address_bits, instance, wire};
use crate::serial::Schedule;
use crate::verilog::{Expr, Item};
use network::graph::Memory;

impl Lowering<'_> {
    /// The loops, and where they stand in the module's streams.
    pub(super) fn serial_control(
        &mut self,
        site: &SerialSite<'_>,
        schedule: &Schedule,
        sizes: &Sizes,
        has_borders: bool,
        items: &mut Vec<Item>,
    ) {
        let input_bits = site.matrix.input_lanes() as u32 * site.activation.bits();
        let counts = schedule.modes.iter().rev().map(|mode| mode.passes.len() as u128 - 1);
        let last_pass = Expr::concat(counts.map(|count| Expr::constant(sizes.pass_bits, count)).collect());
        let replay = if sizes.input_steps >= BLOCK_REPLAY_WORDS { Memory::Block } else { Memory::Lut };
        let single = site.modes.is_none();
        let step_bits = address_bits(sizes.result_steps);
        let output_step = if site.matrix.unit.is_some() || has_borders { "step_output" } else { "unused_step_output" };
        items.extend([wire("available", 1), wire("reserve", 1)]);
        items.extend(
            ["step", "step_first", "step_last", "step_pass_first", "step_frame_last"].map(|name| wire(name, 1)),
        );
        items.extend([
            wire("step_data", input_bits),
            wire("step_input", address_bits(sizes.input_steps)),
            wire("step_pass", sizes.pass_bits),
            wire("step_mode", sizes.mode_bits),
            wire(output_step, step_bits),
            wire("step_base", sizes.address_bits),
        ]);
        let (valid, ready, data, last, mode_data) = if single {
            items.push(wire("unused_mode_ready", 1));
            let port = Expr::name;
            let mode_data = Expr::zero(sizes.mode_bits);
            (port("s_valid_i"), port("s_ready_o"), port("s_data_i"), port("s_last_i"), mode_data)
        } else {
            let bits = input_bits + sizes.mode_bits;
            let bit = |name: &str| Expr::part(name, 2, 0, 0);
            items.push(Item::wire("unused_mode_last", 1, Expr::part("s_last_i", 2, 1, 1)));
            (
                bit("s_valid_i"),
                bit("s_ready_o"),
                Expr::part("s_data_i", bits, input_bits - 1, 0),
                bit("s_last_i"),
                Expr::part("s_data_i", bits, bits - 1, input_bits),
            )
        };
        let token = |name: &str| Expr::part(name, 2, 1, 1);
        items.push(Item::Blank);
        items.push(instance(
            "hwgen_serial_control",
            "control",
            vec![
                ("DATA_BITS", number(input_bits)),
                ("INPUT_STEPS", number(sizes.input_steps)),
                ("OUTPUT_STEPS", number(sizes.output_steps)),
                ("SETS", number(site.matrix.sets)),
                ("VECTORS_PER_FRAME", number(sizes.vectors)),
                ("MODES", number(schedule.modes.len() as u64)),
                ("MODE_BITS", number(sizes.mode_bits)),
                ("PASSES", number(schedule.most_passes() as u64)),
                ("PASS_BITS", number(sizes.pass_bits)),
                ("LAST_PASS", last_pass),
                ("WEIGHT_STRIDE", number(sizes.stride)),
                ("BASE_BITS", number(sizes.address_bits)),
                ("MEMORY", memory_style(replay)),
            ],
            true,
            vec![
                ("s_valid_i", valid),
                ("s_ready_o", ready),
                ("s_data_i", data),
                ("s_last_i", last),
                ("mode_valid_i", if single { Expr::constant(1, 1) } else { token("s_valid_i") }),
                ("mode_ready_o", if single { Expr::name("unused_mode_ready") } else { token("s_ready_o") }),
                ("mode_i", mode_data),
                ("available_i", Expr::name("available")),
                ("reserve_o", Expr::name("reserve")),
                ("step_o", Expr::name("step")),
                ("first_o", Expr::name("step_first")),
                ("last_o", Expr::name("step_last")),
                ("pass_first_o", Expr::name("step_pass_first")),
                ("data_o", Expr::name("step_data")),
                ("input_step_o", Expr::name("step_input")),
                ("pass_o", Expr::name("step_pass")),
                ("mode_o", Expr::name("step_mode")),
                ("output_step_o", Expr::name(output_step)),
                ("weight_base_o", Expr::name("step_base")),
                ("frame_last_o", Expr::name("step_frame_last")),
            ],
        ));
        self.uses(&["hwgen_serial_control"]);
    }

    /// Planes and weights of each step.
    pub(super) fn serial_schedule(
        &mut self,
        site: &SerialSite<'_>,
        schedule: &Schedule,
        sizes: &Sizes,
        items: &mut Vec<Item>,
    ) {
        let layer = self.bound.network().layers()[site.index].name.clone();
        let (pe, simd) = (site.matrix.pe as u32, site.matrix.simd as u32);
        let path = format!("mem/{}_schedule.mem", site.name);
        // It is small, and what it holds decides what the array costs, so it is made even where no image else is.
        self.memories.insert(path.clone(), schedule_image(&layer, schedule, sizes));
        let shift = if schedule.most_shift() > 0 { "shift" } else { "unused_shift" };
        let negate = if schedule.negates() { "negate" } else { "unused_negate" };
        items.extend([
            wire("plane", sizes.plane_bits),
            wire(shift, sizes.shift_bits),
            wire(negate, 1),
            wire("weight_address", sizes.address_bits),
            wire("weight", pe * simd),
            Item::Blank,
            instance(
                "hwgen_serial_schedule",
                "schedule",
                vec![
                    ("MODE_BITS", number(sizes.mode_bits)),
                    ("PASS_BITS", number(sizes.pass_bits)),
                    ("USE_MODE", number(u8::from(site.modes.is_some()))),
                    ("USE_PASS", number(u8::from(schedule.most_passes() > 1))),
                    ("INPUT_STEP_BITS", number(address_bits(sizes.input_steps))),
                    ("ADDRESS_BITS", number(sizes.address_bits)),
                    ("PLANE_BITS", number(sizes.plane_bits)),
                    ("SHIFT_BITS", number(sizes.shift_bits)),
                    ("IMAGE", string(&path)),
                ],
                false,
                vec![
                    ("mode_i", Expr::name("step_mode")),
                    ("pass_i", Expr::name("step_pass")),
                    ("pass_first_i", Expr::name("step_pass_first")),
                    ("input_step_i", Expr::name("step_input")),
                    ("weight_base_i", Expr::name("step_base")),
                    ("activation_plane_o", Expr::name("plane")),
                    ("shift_o", Expr::name(shift)),
                    ("negate_o", Expr::name(negate)),
                    ("weight_address_o", Expr::name("weight_address")),
                ],
            ),
        ]);
        let image = format!("mem/{}_weights.mem", site.name);
        items.push(instance(
            "hwgen_rom",
            "weights",
            vec![
                ("DATA_BITS", number(pe * simd)),
                ("DEPTH", number(sizes.result_steps * sizes.stride)),
                ("IMAGE", string(&image)),
                ("STYLE", memory_style(site.matrix.memory)),
                ("CYCLES", number(rom_cycles(site))),
            ],
            false,
            vec![("address_i", Expr::name("weight_address")), ("data_o", Expr::name("weight"))],
        ));
        if self.images.has(site.matrix.memory, sizes.result_steps * sizes.stride, u64::from(pe * simd)) {
            self.memories.insert(image, weight_image(&layer, site, schedule, sizes));
        }
        self.uses(&["hwgen_serial_schedule", "hwgen_rom"]);
    }
}
