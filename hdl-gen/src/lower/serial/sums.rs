//! Counts and sums of a bit-serial array.

use super::{ADDRESS_CYCLES, SerialSite, Sizes, rom_cycles, sum_parts};
use crate::datapath::{DotProductForm, DotProductSpec, Multiplier, Operand};
use crate::heap::Target;
use crate::lower::border::Borders;
use crate::lower::chain::number;
use crate::lower::matrix::seen_by;
use crate::lower::wiring::{address_bits, delay, instance, lane, wire};
use crate::lower::{Fault, Lowering};
use crate::serial::{Gate, Schedule};
use crate::verilog::{Expr, Item};

impl Lowering<'_> {
    /// Counts and sums of all PEs; returns the cycles from a result's last step to its sum.
    pub(super) fn serial_sums(
        &mut self,
        site: &SerialSite<'_>,
        schedule: &Schedule,
        sizes: &Sizes,
        borders: &[Borders],
        items: &mut Vec<Item>,
    ) -> Result<u32, Fault> {
        let (pe, simd) = (site.matrix.pe as u32, site.matrix.simd as u32);
        let lanes = site.matrix.input_lanes() as u32;
        let operand = match schedule.gate {
            Gate::Xnor => Operand::Bipolar { planes: 1 },
            Gate::And => Operand::Unsigned { bits: 1 },
        };
        let count = self.dot_product(DotProductSpec {
            module_name: format!("{}_{}_pe", self.names.top(), site.name),
            lanes: simd,
            form: DotProductForm::new(operand, operand, Multiplier::Lut, Target::Lut6)?,
            accumulate: false,
            initial_bits: None,
            result_range: (0, i64::from(simd)),
        })?;
        let cost = seen_by(site.matrix, count.cost());
        self.add_datapath(&count.spec().module_name, cost, count.modules());
        let count_bits = count.result_bits();
        // The plane of a step is known a cycle after it, its bits another one later; its weights later still.
        let fetch = ADDRESS_CYCLES + rom_cycles(site);
        let counted = fetch + count.latency_cycles();
        items.push(Item::Blank);
        let data_bits = lanes * site.activation.bits();
        items.extend([wire("early_data", data_bits), wire("bits", lanes)]);
        items.push(delay("early_data", data_bits, 1, false, Expr::name("step_data"), "early_data"));
        items.push(instance(
            "hwgen_plane_select",
            "bits",
            vec![
                ("LANES", number(lanes)),
                ("LANE_BITS", number(site.activation.bits())),
                ("PLANE_BITS", number(sizes.plane_bits)),
                ("CYCLES", number(fetch - 1)),
                ("INVERT_TOP", number(u8::from(site.activation.code_is_signed()))),
            ],
            false,
            vec![
                ("data_i", Expr::name("early_data")),
                ("plane_i", Expr::name("plane")),
                ("plane_o", Expr::name("bits")),
            ],
        ));
        let (shifts, negates) = (schedule.most_shift() > 0, schedule.negates());
        for (name, bits, cycles, reset, from, changes) in [
            ("count_step", 1, counted, true, "step", true),
            ("count_first", 1, counted, false, "step_first", true),
            ("count_shift", sizes.shift_bits, counted - 1, false, "shift", shifts),
            ("count_negate", 1, counted - 1, false, "negate", negates),
        ] {
            if changes {
                items.push(wire(name, bits));
                items.push(delay(name, bits, cycles, reset, Expr::name(from), name));
            }
        }
        let or_zero = |name: &str, bits, changes| if changes { Expr::name(name) } else { Expr::zero(bits) };
        let sum_bits = sizes.sum_bits - borders.first().map_or(0, Borders::low_bits);
        let sums = if borders.is_empty() { "sum" } else { "plain_sum" };
        items.extend([wire("plane_count", pe * count_bits), wire(sums, pe * sum_bits)]);
        let side = site.matrix.side as u32;
        for index in 0..pe {
            let bits = if side == 1 { Expr::name("bits") } else { lane("bits", side, index / (pe / side), simd) };
            let module = count.spec().module_name.clone();
            items.push(instance(
                &module,
                &format!("pe_{index}"),
                Vec::new(),
                false,
                vec![
                    ("activation_i", bits),
                    ("weight_i", lane("weight", pe, index, simd)),
                    ("result_o", lane("plane_count", pe, index, count_bits)),
                ],
            ));
            items.push(instance(
                "hwgen_shift_accumulate",
                &format!("sum_{index}"),
                vec![
                    ("COUNT_BITS", number(count_bits)),
                    ("RESULT_BITS", number(sum_bits)),
                    ("SHIFT_BITS", number(sizes.shift_bits)),
                    ("SHIFT_MOST", number(schedule.most_shift().max(1))),
                ],
                false,
                vec![
                    ("step_i", Expr::name("count_step")),
                    ("first_i", Expr::name("count_first")),
                    ("shift_i", or_zero("count_shift", sizes.shift_bits, shifts)),
                    ("negate_i", or_zero("count_negate", 1, negates)),
                    ("count_i", lane("plane_count", pe, index, count_bits)),
                    ("result_o", lane(sums, pe, index, sum_bits)),
                ],
            ));
        }
        let plain = counted + 1 + sum_parts(sum_bits);
        let latency = plain + self.serial_borders(site, sizes, borders, plain, items);
        items.extend([
            Item::Blank,
            wire("sum_valid", 1),
            wire("sum_last", 1),
            delay("sum_valid", 1, latency, true, Expr::name("step_last"), "sum_valid"),
            delay("sum_last", 1, latency, true, Expr::name("step_frame_last"), "sum_last"),
        ]);
        if site.matrix.unit.is_some() {
            let step_bits = address_bits(sizes.result_steps);
            let (bits, step) = match (site.modes.is_some(), sizes.result_steps) {
                (false, _) => (step_bits, Expr::name("step_output")),
                (true, 1) => {
                    items.push(Item::wire("unused_output", 1, Expr::name("step_output")));
                    (sizes.mode_bits, Expr::name("step_mode"))
                }
                (true, _) => (
                    sizes.mode_bits + step_bits,
                    Expr::concat(vec![Expr::name("step_mode"), Expr::name("step_output")]),
                ),
            };
            items.push(wire("sum_step", bits));
            items.push(delay("sum_step", bits, latency, false, step, "sum_step"));
        }
        self.uses(&["hwgen_plane_select", "hwgen_shift_accumulate", "hwgen_delay"]);
        Ok(latency)
    }
}
