//! The clock that a routed design reaches, from the structure of its slowest paths.
//!
//! Every block says how deep its logic between two registers is: bits on a carry chain, words that a look-up table or a memory
//! of look-up tables chooses among, and how many bits one control bit moves. The deepest of each in the design, and the
//! design's size for its wires, add up to the period of its logic. A multiplier or a block RAM takes a period of its own, and the
//! longest of the three is the design's. The nanoseconds are fitted to routed designs.

use super::block::{SerialBlock, WindowBlock};
use super::terms::log2;
use super::{Block, Family, Fault, Inventory, StatedError, memory};

/// What a clock period is counted in, in the order of [`Paths`].
pub const PATHS: [&str; 8] = ["path", "carry", "table", "memory", "fan_out", "size", "multiplier", "block"];
/// The first of them add up.
const ADDED: usize = 6;

/// The deepest paths of a design: one for what all have, bits on a carry chain, levels of multiplexers behind constant tables,
/// and behind memories, doublings of the bits that one control bit moves, and of the design's look-up tables; whether there are
/// multipliers, and block RAM.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paths(pub [f64; 8]);

impl Paths {
    /// The deepest paths of a design of so many look-up tables.
    pub fn of<'a>(inventories: impl Iterator<Item = &'a Inventory>, lut: f64, family: Family) -> Self {
        let mut deepest = [0.0_f64; 8];
        deepest[0] = 1.0;
        for inventory in inventories {
            for (block, _) in inventory.blocks() {
                let depths = depths(block, family);
                let place = [1, 2, 3, 4, 6, 7];
                place.iter().zip(depths).for_each(|(&place, depth)| deepest[place] = deepest[place].max(depth));
            }
        }
        deepest[5] = lut.max(1.0).log2();
        Paths(deepest)
    }
}

/// Carry bits, levels behind tables, levels behind memories, doublings of moved bits, multipliers, block RAM.
fn depths(block: &Block, family: Family) -> [f64; 6] {
    let inputs = if memory::has_six_inputs(family) { 6 } else { 4 };
    let table = |words: u64| log2(words).saturating_sub(inputs);
    let banks = |words: u64, block: bool| if block { 0 } else { log2(words.div_ceil(memory::bank_words(family))) };
    let moved = |bits: u64| log2(bits.max(1));
    let found = match block {
        // Chains of netlists are cut at 16 bits.
        Block::Datapath(cost) => {
            let multiplier = match family {
                Family::Ecp5 => cost.dsp18,
                Family::Xc7 | Family::Xcup | Family::Ice40 | Family::Gowin | Family::Asic => cost.product_bits,
            };
            [if cost.carry > 0 { 16 } else { 0 }, 0, 0, 0, u64::from(multiplier > 0), 0]
        }
        Block::Rom { depth, block: true, .. } if *depth > 1 => [0, 0, 0, 0, 0, 1],
        Block::Rom { depth, .. } => [0, table(*depth), 0, 0, 0, 0],
        Block::Fifo { bits, depth } => [0, 0, banks(*depth, false), moved(*bits), 0, 0],
        Block::CreditFifo { bits, depth } => [log2(depth + 1), 0, banks(*depth, false), moved(*bits), 0, 0],
        Block::BlockFifo { bits, depth } => [log2(depth + 1), 0, 0, moved(*bits), 0, 1],
        Block::Adapter { lane_bits, from, to, .. } => [0, 0, 0, moved(lane_bits * from.max(to)), 0, 0],
        Block::Fork { bits, .. } | Block::Concat { bits, .. } => [0, 0, 0, moved(*bits), 0, 0],
        Block::Window(window) | Block::LineWindow(window) => {
            let WindowBlock { bits, words, block, .. } = **window;
            [log2(words) + 2, 0, banks(words, block), moved(bits), 0, u64::from(block)]
        }
        Block::Rearrange { bits, span, words, block, .. } => {
            [log2(words + span) + 1, 0, banks(*words, *block), moved(*bits), 0, u64::from(*block)]
        }
        Block::Control { bits, inputs, outputs, block, .. } => {
            let replays = *outputs > 1 && *inputs > 1;
            let memory = if replays { banks(*inputs, *block) } else { 0 };
            [0, 0, memory, moved(*bits), 0, u64::from(replays && *block)]
        }
        Block::SerialControl(serial) => {
            let SerialBlock { bits, inputs, outputs, stride, block, .. } = *serial;
            let replays = inputs > 1;
            let memory = if replays { banks(inputs, block) } else { 0 };
            [log2(outputs * stride), 0, memory, moved(bits), 0, u64::from(replays && block)]
        }
        Block::SerialSchedule { depth, .. } => [0, table(*depth), 0, 0, 0, 0],
        Block::PlaneSelect { lanes, lane_bits, .. } => [0, table(lane_bits + 1), 0, moved(*lanes), 0, 0],
        // Chains are cut at 16 bits.
        Block::ShiftAccumulate { bits, .. } => [(*bits).min(16), 0, 0, moved(*bits), 0, 0],
        Block::BorderAdd { sum_bits, .. } => [(*sum_bits).min(16), 0, 0, 0, 0, 0],
        Block::ModeGate { bits, frames, .. } => [log2(*frames), 0, banks(*frames, false), moved(*bits), 0, 0],
        Block::Threshold { bits, groups, code_bits, .. } => [*bits, table((groups << code_bits) / 2), 0, 0, 0, 0],
        Block::Search { bits, block, .. } => [*bits, 0, 0, 0, 0, u64::from(*block)],
        // What compares chooses behind it.
        Block::MaxPool(pool) => [pool.lane_bits, 1, 0, moved(pool.lane_bits * pool.lanes), 0, 0],
        Block::SumPool { pool, sum_bits, block } => {
            [(*sum_bits).min(16), 0, 0, moved(sum_bits * pool.lanes), 0, u64::from(*block)]
        }
        Block::MaxReduce { lane_bits, lanes, .. } => [*lane_bits, 1, 0, moved(lane_bits * lanes), 0, 0],
        Block::Argmax { bits, .. } | Block::TopK { bits, .. } => [*bits, 1, 0, moved(*bits), 0, 0],
        Block::SharedOperand { .. }
        | Block::ControlStages { .. }
        | Block::Delay { .. }
        | Block::Join { .. }
        | Block::Groups { .. }
        | Block::ShiftControl { .. }
        | Block::ModeRegister { .. }
        | Block::Zone { .. }
        | Block::Unknown { .. } => [0; 6],
    };
    found.map(|depth| depth as f64)
}

/// Nanoseconds of each path of one family, with the error on routed designs that were never fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockModel {
    nanoseconds: [f64; 8],
    /// The error of the clock.
    pub error: StatedError,
}

impl ClockModel {
    /// The fitted model of a family; none where no open tool places and routes it, or too little has been measured.
    ///
    /// # Errors
    /// Its file is wrong.
    pub fn of(family: Family) -> Result<Option<Self>, Fault> {
        let text = match family {
            Family::Ecp5 => include_str!("../../fit/ecp5-clock-model.csv"),
            Family::Ice40 => include_str!("../../fit/ice40-clock-model.csv"),
            Family::Gowin => include_str!("../../fit/gowin-clock-model.csv"),
            Family::Xc7 | Family::Xcup | Family::Asic => return Ok(None),
        };
        let has_lines = text.lines().any(|line| !line.is_empty() && !line.starts_with('#'));
        if has_lines { ClockModel::parse(family, text).map(Some) } else { Ok(None) }
    }

    /// Reads `PATH,nanoseconds` lines and one `error fmax,mean,percentile 90,designs` line.
    ///
    /// # Errors
    /// A line is neither, or one is missing.
    pub fn parse(family: Family, text: &str) -> Result<Self, Fault> {
        let mut nanoseconds = [None; 8];
        let mut error = None;
        for (index, line) in text.lines().enumerate() {
            let wrong = |what: &str| Fault::File { family, line: index + 1, what: what.to_owned() };
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, numbers) = line.split_once(',').ok_or_else(|| wrong("no comma"))?;
            let numbers: Vec<f64> =
                numbers.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong("not a number"))?;
            if name == "error fmax" {
                let [mean_percent, percentile_90, designs] = numbers[..] else {
                    return Err(wrong("three numbers are needed"));
                };
                let designs = designs as u64;
                error = Some(StatedError { figure: "fmax".to_owned(), mean_percent, percentile_90, designs });
            } else {
                let place = PATHS.iter().position(|path| *path == name).ok_or_else(|| wrong("no such path"))?;
                let [value] = numbers[..] else { return Err(wrong("one number is needed")) };
                nanoseconds[place] = Some(value);
            }
        }
        let end = |what: &str| Fault::File { family, line: text.lines().count(), what: what.to_owned() };
        let error = error.ok_or_else(|| end("no error is stated"))?;
        if nanoseconds.contains(&None) {
            return Err(end("a path is missing"));
        }
        Ok(ClockModel { nanoseconds: nanoseconds.map(Option::unwrap_or_default), error })
    }

    /// The clock in MHz that a design with these paths is likely to reach.
    pub fn mhz(&self, paths: &Paths) -> f64 {
        let each = |place: usize| paths.0[place] * self.nanoseconds[place];
        let logic: f64 = (0..ADDED).map(each).sum();
        1000.0 / (ADDED..PATHS.len()).map(each).fold(logic, f64::max).max(0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_is_the_period() {
        let text = "# t\nerror fmax,7,11,9\npath,2\ncarry,0.1\ntable,0\nmemory,0\nfan_out,0\nsize,0.5\nmultiplier,6\nblock,9\n";
        let model = ClockModel::parse(Family::Ecp5, text).unwrap();
        let check = |paths: [f64; 8], period: f64| assert!((model.mhz(&Paths(paths)) - 1000.0 / period).abs() < 1e-9);
        // 2 + 16 * 0.1 + 0.5 * log2(1024) ns, which a multiplier of 6 ns does not exceed, but a block RAM of 9 ns.
        check([1.0, 16.0, 3.0, 0.0, 5.0, 10.0, 1.0, 0.0], 8.6);
        check([1.0, 16.0, 3.0, 0.0, 5.0, 10.0, 0.0, 1.0], 9.0);
        assert_eq!((model.error.mean_percent, model.error.designs), (7.0, 9));
        for wrong in [text.replace("carry,0.1", "carry"), text.replace("size,0.5", ""), text.replace("error", "path")] {
            assert!(ClockModel::parse(Family::Ecp5, &wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_deepest_of_each_counts() {
        let mut one = Inventory::default();
        one.add(Block::Rom { bits: 4, depth: 200, block: false, cycles: 1, contents: None }, 3);
        one.add(Block::Rom { bits: 4, depth: 5000, block: true, cycles: 1, contents: None }, 1);
        let mut other = Inventory::default();
        other.add(Block::Fork { bits: 64, outputs: 2 }, 1);
        let paths = Paths::of([&one, &other].into_iter(), 512.0, Family::Ecp5);
        assert_eq!(paths.0, [1.0, 0.0, 4.0, 0.0, 6.0, 9.0, 0.0, 1.0]);
        assert_eq!(Paths::of([&one].into_iter(), 512.0, Family::Xc7).0[2], 2.0);
    }
}
