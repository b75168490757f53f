//! Requantization by a chain of search steps, a module for each lane: many thresholds, wide sums, tables of codes.
//!
//! ```text
//!     sum ─▶ step 0 ─▶ step 1 ─▶ ... ─▶ step N-1 ─▶ count ─▶ table of codes, or an added constant ─▶ code
//! ```

use super::{Results, lane_sum};
use crate::image::Image;
use crate::lower::chain::{memory_style, number, string};
use crate::lower::wiring::{address_bits, instance, lane, wire};
use crate::lower::{Fault, Images, Lowering};
use crate::requantize::ChannelThresholds;
use crate::threshold::{ThresholdChannel, ThresholdUnit};
use crate::verilog::{BinaryOp, Expr, Item, Module, Port};
use network::Range;
use network::graph::Memory;
use network::requantization::{Form, Requantization};

/// Bits of a table from which on it lies in block RAM when its words are many.
const BLOCK_TABLE_BITS: u64 = 8192;
/// Fewest words of such a table.
const BLOCK_TABLE_WORDS: u64 = 256;

/// What the lanes of one layer search in.
struct Search {
    unit: ThresholdUnit,
    /// For each channel its codes by count; a single row stands for all. Empty where code = count + least.
    codes: Vec<Vec<i64>>,
    /// The code of count 0, where there is no table.
    least: i64,
    /// All channels are searched alike, so that the group does not matter.
    alike: bool,
}

impl Lowering<'_> {
    /// Adds one search for each lane; returns their latency in cycles.
    pub(super) fn search_lanes(
        &mut self,
        index: usize,
        name: &str,
        requantization: &Requantization,
        results: &Results<'_>,
        items: &mut Vec<Item>,
    ) -> Result<u32, Fault> {
        let (thresholds, reached) = self.reached_thresholds(requantization, results, 0);
        let search = Search::new(requantization, thresholds, reached, results)?;
        let code_bits = requantization.output.bits();
        for lane_index in 0..results.lanes {
            self.search_module(index, name, requantization, results, &search, lane_index);
            let mut ports = vec![("sum_i", lane_sum(results, lane_index))];
            if search.needs_group() {
                ports.push(("group_i", Expr::name(results.step)));
            }
            ports.push(("code_o", lane("code", results.lanes, lane_index, code_bits)));
            let module = format!("{}_{name}_search_{lane_index}", self.names.top());
            items.push(instance(&module, &format!("search_{lane_index}"), Vec::new(), false, ports));
        }
        if !search.needs_group() {
            items.push(Item::wire("unused_step", address_bits(results.steps), Expr::name(results.step)));
        }
        self.uses(&["hwgen_search_stage", "hwgen_rom", "hwgen_delay"]);
        Ok(search.latency_cycles())
    }

    /// The module of one lane with its images.
    fn search_module(
        &mut self,
        index: usize,
        name: &str,
        requantization: &Requantization,
        results: &Results<'_>,
        search: &Search,
        lane: u32,
    ) {
        let unit = &search.unit;
        let (sum_bits, value_bits, steps) = (results.sum_bits, unit.threshold_bits(), unit.code_bits());
        let groups = unit.groups() as u64;
        let group_bits = address_bits(groups);
        let code_bits = requantization.output.bits();
        let layer = self.bound.network().layers()[index].name.clone();
        let group = if search.needs_group() { Expr::name("group_i") } else { Expr::zero(1) };

        // Order as unsigned numbers: the sign bit turned, and everything in a falling channel.
        let turned = match (results.signed, sum_bits) {
            (false, _) => Expr::name("sum_i"),
            (true, _) => Expr::name("sum_i").binary(BinaryOp::Xor, Expr::constant(sum_bits, 1 << (sum_bits - 1))),
        };
        let mut items = vec![wire("value_0", value_bits), wire("group_0", group_bits), Item::Blank];
        let widened = |value: Expr| match value_bits - sum_bits {
            0 => value,
            fill => Expr::concat(vec![Expr::zero(fill), value]),
        };
        if unit.falling() {
            let path = format!("mem/{name}_falling_{lane}.mem");
            let mut image = Image::new(&format!("layer {layer}, falling channels of lane {lane}"), 1, 1);
            unit.lane_falling(lane as usize).iter().for_each(|&falls| image.push([i64::from(falls)]));
            self.memories.insert(path.clone(), image.into_text());
            items.extend([wire("falls", 1), wire("turned", sum_bits)]);
            items.push(table("direction", &path, 1, groups, Memory::Lut, group.clone(), "falls"));
            items.push(plain_delay("turned", sum_bits, turned, "turned"));
            items.push(plain_delay("group", group_bits, group, "group_0"));
            let all = Expr::Repeat(sum_bits, Box::new(Expr::name("falls")));
            items.push(Item::Assign(Expr::name("value_0"), widened(Expr::name("turned").binary(BinaryOp::Xor, all))));
        } else {
            items.push(Item::Assign(Expr::name("value_0"), widened(turned)));
            items.push(Item::Assign(Expr::name("group_0"), group));
        }
        for stage in 0..steps {
            let last = stage + 1 == steps;
            let value = if last { "unused_value".to_owned() } else { format!("value_{}", stage + 1) };
            let found_group = match last && !search.codes_need_group() {
                true => "unused_group".to_owned(),
                false => format!("group_{}", stage + 1),
            };
            let prefix = format!("prefix_{}", stage + 1);
            let path = format!("mem/{name}_thresholds_{lane}_{stage}.mem");
            let words = groups << stage;
            let title = format!(
                "layer {layer}, thresholds of lane {lane} in search step {stage}: {groups} groups x 2^{stage} words x {value_bits} bits"
            );
            if self.images == Images::All {
                let mut image = Image::new(&title, 1, value_bits);
                unit.search_words(lane as usize, stage).iter().for_each(|&word| image.push([word as i64]));
                self.memories.insert(path.clone(), image.into_text());
            }
            let before = if stage == 0 { Expr::zero(1) } else { Expr::name(format!("prefix_{stage}")) };
            items.extend([wire(&value, value_bits), wire(&found_group, group_bits), wire(&prefix, stage + 1)]);
            items.push(instance(
                "hwgen_search_stage",
                &format!("step_{stage}"),
                vec![
                    ("VALUE_BITS", number(value_bits)),
                    ("STAGE", number(stage)),
                    ("GROUPS", number(groups)),
                    ("IMAGE", string(&path)),
                    ("STYLE", memory_style(table_memory(words, value_bits))),
                ],
                false,
                vec![
                    ("value_i", Expr::name(format!("value_{stage}"))),
                    ("group_i", Expr::name(format!("group_{stage}"))),
                    ("prefix_i", before),
                    ("value_o", Expr::name(value)),
                    ("group_o", Expr::name(found_group)),
                    ("prefix_o", Expr::name(prefix)),
                ],
            ));
        }
        items.push(Item::Blank);
        let count = format!("prefix_{steps}");
        if search.codes.is_empty() {
            let sum = match i64::from(code_bits) - i64::from(steps) {
                0 => Expr::name(count.as_str()),
                fill if fill > 0 => Expr::concat(vec![Expr::zero(fill as u32), Expr::name(count.as_str())]),
                _ => Expr::part(&count, steps, code_bits - 1, 0),
            };
            let least = (search.least as u64 & ((1u64 << code_bits) - 1)) as u128;
            let code = if least == 0 { sum } else { sum.binary(BinaryOp::Add, Expr::constant(code_bits, least)) };
            items.push(Item::Assign(Expr::name("code_o"), code));
            if code_bits < steps {
                let rest = Expr::part(&count, steps, steps - 1, code_bits);
                items.push(Item::wire("unused_count", steps - code_bits, rest));
            }
        } else {
            let path = format!("mem/{name}_codes_{lane}.mem");
            let rows: Vec<&Vec<i64>> = match search.codes_need_group() {
                true => search.codes.iter().skip(lane as usize).step_by(results.lanes as usize).collect(),
                false => search.codes.iter().take(1).collect(),
            };
            let title = format!("layer {layer}, codes of lane {lane}: {} groups x 2^{steps} words", rows.len());
            let mut image = Image::new(&title, 1, code_bits);
            for row in &rows {
                let last = row.last().copied().unwrap_or(0);
                (0..1usize << steps).for_each(|count| image.push([row.get(count).copied().unwrap_or(last)]));
            }
            self.memories.insert(path.clone(), image.into_text());
            let address = match (search.codes_need_group(), groups) {
                (true, 2..) => Expr::concat(vec![Expr::name(format!("group_{steps}")), Expr::name(count)]),
                _ => Expr::name(count),
            };
            let words = (rows.len() as u64) << steps;
            items.push(table("codes", &path, code_bits, words, table_memory(words, code_bits), address, "code_o"));
        }
        let mut ports = vec![Port::input("clk_i", 1), Port::input("sum_i", sum_bits)];
        if search.needs_group() {
            ports.push(Port::input("group_i", group_bits));
        }
        ports.push(Port::output("code_o", code_bits));
        let what = if search.codes.is_empty() { "that number plus a constant" } else { "looked up by that number" };
        let module = Module {
            name: format!("{}_{name}_search_{lane}", self.names.top()),
            header: vec![
                format!(
                    "Layer {layer}, lane {lane}: how many of up to {} thresholds the raw sum has reached;",
                    (1u64 << steps) - 1
                ),
                format!("the code is {what}."),
                format!(
                    "{groups} groups of channels in turn. Latency: {} cycles, one sum a cycle.",
                    search.latency_cycles()
                ),
            ],
            keep_hierarchy: false,
            parameters: Vec::new(),
            ports,
            items,
        };
        let printed = self.printed(&module);
        self.add_modules(vec![printed]);
    }
}

impl Search {
    fn new(
        requantization: &Requantization,
        mut thresholds: Vec<ChannelThresholds>,
        reached: Range,
        results: &Results<'_>,
    ) -> Result<Self, Fault> {
        let mut codes: Vec<Vec<i64>> = match &requantization.form {
            Form::Table(table) => (0..thresholds.len()).map(|channel| table.row(channel).1.to_vec()).collect(),
            Form::Shift(_) | Form::Thresholds(_) => Vec::new(),
        };
        let mut least = requantization.codes.min();
        if thresholds.iter().all(|channel| !channel.falling) {
            // What every sum of every channel has reached, and what none ever does, needs no search.
            let always = |channel: &ChannelThresholds| channel.values.partition_point(|&value| value <= reached.min());
            let ever = |channel: &ChannelThresholds| channel.values.partition_point(|&value| value <= reached.max());
            let first = thresholds.iter().map(always).min().unwrap_or(0);
            let end = thresholds.iter().map(ever).max().unwrap_or(0).max(first + 1);
            for channel in &mut thresholds {
                channel.values.truncate(end);
                channel.values.drain(..first.min(channel.values.len()));
            }
            codes.iter_mut().for_each(|row| {
                row.truncate(end + 1);
                row.drain(..first.min(row.len().saturating_sub(1)));
            });
            least += first as i64;
        }
        let same_codes = codes.windows(2).all(|pair| pair[0] == pair[1]);
        let alike = same_codes && thresholds.windows(2).all(|pair| pair[0] == pair[1]);
        if alike {
            thresholds.truncate(results.lanes as usize);
        }
        if same_codes {
            codes.truncate(1);
        }
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
        Ok(Search { unit, codes, least, alike })
    }

    fn needs_group(&self) -> bool {
        !self.alike
    }

    fn codes_need_group(&self) -> bool {
        self.codes.len() > 1
    }

    fn latency_cycles(&self) -> u32 {
        u32::from(self.unit.falling()) + self.unit.search_latency_cycles() + u32::from(!self.codes.is_empty())
    }
}

/// Where a table of so many words lies.
fn table_memory(words: u64, bits: u32) -> Memory {
    if words >= BLOCK_TABLE_WORDS && words * u64::from(bits) >= BLOCK_TABLE_BITS { Memory::Block } else { Memory::Lut }
}

/// A memory of constants whose word appears a cycle after its address.
fn table(name: &str, path: &str, bits: u32, words: u64, memory: Memory, address: Expr, output: &str) -> Item {
    let parameters = vec![
        ("DATA_BITS", number(bits)),
        ("DEPTH", number(words)),
        ("IMAGE", string(path)),
        ("STYLE", memory_style(memory)),
    ];
    instance("hwgen_rom", name, parameters, false, vec![("address_i", address), ("data_o", Expr::name(output))])
}

/// A register without reset.
fn plain_delay(name: &str, bits: u32, input: Expr, output: &str) -> Item {
    let parameters = vec![("BITS", number(bits)), ("CYCLES", number(1u32)), ("RESET", number(0u32))];
    let ports = vec![("rst_i", Expr::zero(1)), ("data_i", input), ("data_o", Expr::name(output))];
    instance("hwgen_delay", name, parameters, false, ports)
}
