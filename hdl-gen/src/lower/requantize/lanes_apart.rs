//! Requantization by multiply, add and shift where each lane stands for one channel: its constants are written into a unit
//! of its own.

use super::code_tables::code;
use super::rescale::{Constants, Rescaling, code_net, spec};
use super::{Results, lane_sum};
use crate::datapath::{Multiplier, Rescale};
use crate::heap::Cost;
use crate::lower::wiring::{address_bits, delay, instance, lane, wire};
use crate::lower::{Fault, Lowering};
use crate::requantize::ChannelRescale;
use crate::verilog::{Expr, Item};
use std::collections::BTreeMap;

/// Most lanes that get units of their own.
const MOST_LANES: u32 = 64;

/// Whether each lane has one channel, whose constants its unit is made for.
pub(super) fn stand_apart(rescaling: &Rescaling, results: &Results<'_>) -> bool {
    results.steps == 1
        && results.lanes <= MOST_LANES
        && rescaling.constants.len() == results.lanes as usize
        && rescaling.multiplier == Multiplier::Lut
}

impl Lowering<'_> {
    /// Adds a unit for each lane behind the sums, into the net `code` (with the prefix); returns their latency in cycles.
    pub(super) fn rescale_apart(
        &mut self,
        name: &str,
        rescaling: &Rescaling,
        results: &Results<'_>,
        items: &mut Vec<Item>,
    ) -> Result<u32, Fault> {
        let net = |name: &str| format!("{}{name}", rescaling.prefix);
        let late_sum = net("late_sum");
        let sums_bits = results.lanes * results.sum_bits;
        items.push(wire(&late_sum, sums_bits));
        items.push(Item::wire(&net("unused_group"), address_bits(results.steps), Expr::name(results.step)));
        items.push(delay(&late_sum, sums_bits, 1, false, Expr::name(results.sums), &late_sum));
        let late = Results { sums: &late_sum, ..*results };
        let mut units: BTreeMap<ChannelRescale, Rescale> = BTreeMap::new();
        for (index, &channel) in rescaling.constants.iter().enumerate() {
            if channel.multiplier != 0 && !units.contains_key(&channel) {
                let module_name = format!("{}_{name}_rescale_{index}", self.names.top());
                let unit = self.rescale(spec(module_name, &Constants::of_channel(channel), rescaling, results))?;
                units.insert(channel, unit);
            }
        }
        let latency = units.values().map(Rescale::latency_cycles).max().unwrap_or(0);
        for (index, channel) in (0..).zip(&rescaling.constants) {
            let Some(unit) = units.get(channel) else {
                self.constant_lane(rescaling, &late, (index, *channel), items);
                continue;
            };
            let made = code_net(rescaling, results, index, unit.code_bits(), items);
            let early_by = latency - unit.latency_cycles();
            let early = net(&format!("early_code_{index}"));
            let code_o = if early_by > 0 { Expr::name(early.as_str()) } else { made.clone() };
            if early_by > 0 {
                items.push(wire(&early, unit.code_bits()));
                items.push(late_code(&early, unit.code_bits(), early_by, made));
            }
            let ports = vec![("accumulator_i", lane_sum(&late, index)), ("code_o", code_o)];
            items.push(instance(&unit.spec().module_name, &net(&format!("rescale_{index}")), Vec::new(), false, ports));
        }
        for unit in units.values() {
            let cost = Cost { scales: true, rows_left: 1000, ..unit.cost() };
            self.add_datapath(&unit.spec().module_name, cost, unit.modules());
        }
        self.uses(&["hwgen_delay"]);
        Ok(1 + latency)
    }

    /// A lane whose channel has one code alone.
    fn constant_lane(
        &mut self,
        rescaling: &Rescaling,
        late: &Results<'_>,
        (index, channel): (u32, ChannelRescale),
        items: &mut Vec<Item>,
    ) {
        let unread = format!("{}unused_sum_{index}", rescaling.prefix);
        items.push(Item::wire(&unread, late.sum_bits, lane_sum(late, index)));
        let mask = (1_i64 << rescaling.code_bits) - 1;
        let word = u128::try_from(code(rescaling, &channel, 0) & mask).unwrap_or(0);
        items.push(Item::Assign(
            lane(&format!("{}code", rescaling.prefix), late.lanes, index, rescaling.code_bits),
            Expr::constant(rescaling.code_bits, word),
        ));
    }
}

/// The code of a lane that is ready so many cycles before the slowest.
fn late_code(early: &str, bits: u32, cycles: u32, code: Expr) -> Item {
    let parameters = vec![
        ("BITS", Expr::Integer(i64::from(bits))),
        ("CYCLES", Expr::Integer(i64::from(cycles))),
        ("RESET", Expr::Integer(0)),
    ];
    instance("hwgen_delay", early, parameters, true, vec![("data_i", Expr::name(early)), ("data_o", code)])
}
