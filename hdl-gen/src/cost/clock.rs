//! The clock that a routed design reaches, from the structure of its slowest paths.
//!
//! Every block names its paths between two registers: levels of look-up tables, a carry chain and its bits, doublings of the words
//! that it chooses among and of the bits that one control bit moves, a multiplier, a block RAM. A path takes the sum of what it is
//! made of, and the design's size stands for its wires; the longest path of the design is its period. The nanoseconds are fitted to
//! routed designs.

use super::block::{SerialBlock, WindowBlock};
use super::terms::log2;
use super::{Block, Family, Fault, Inventory, StatedError, memory};
use crate::heap::Cost;

/// What a path is made of, in the order of [`Path`].
pub const PATH_PARTS: [&str; 10] =
    ["path", "level", "chain", "carry", "table", "memory", "fan_out", "multiplier", "block", "size"];

/// A path between two registers: one for what all have; levels of look-up tables; whether it enters a carry chain, which takes
/// something where adders are no part of look-up tables, and the bits along it; doublings of the words of a constant table beyond
/// one look-up table, of the cells of a memory, and of the bits that one control bit moves; a multiplier, or where look-up tables
/// multiply, bits of an operand, on Gowin doublings of the rows that they sum beyond two; whether it comes from a block RAM;
/// doublings of the design's look-up tables.
pub type Path = [f64; PATH_PARTS.len()];

/// The paths of a design that may be its longest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Paths(pub Vec<Path>);

impl Paths {
    /// The paths of a design of so many look-up tables. One that another has all parts of, and more, is left out.
    pub fn of<'a>(inventories: impl Iterator<Item = &'a Inventory>, lut: f64, family: Family) -> Self {
        let size = lut.max(1.0).log2();
        let mut found: Vec<Path> = Vec::new();
        for (block, _) in inventories.flat_map(Inventory::blocks) {
            for depth in depths(block, family) {
                let path = depth.path(size);
                let within = |one: &Path, other: &Path| one.iter().zip(other).all(|(one, other)| one <= other);
                if !found.iter().any(|other| within(&path, other)) {
                    found.retain(|other| !within(other, &path));
                    found.push(path);
                }
            }
        }
        Paths(found)
    }
}

/// How deep one path is.
#[derive(Clone, Copy, Debug, Default)]
struct Depth {
    level: u64,
    carry: u64,
    table: f64,
    memory: u64,
    fan_out: u64,
    multiplier: f64,
    block: bool,
}

impl Depth {
    fn path(self, size: f64) -> Path {
        let Depth { level, carry, table, memory, fan_out, multiplier, block } = self;
        let real = |depth: u64| depth as f64;
        let chain = real(carry.min(1));
        let [level, carry, memory, fan_out] = [level, carry, memory, fan_out].map(real);
        [1.0, level, chain, carry, table, memory, fan_out, multiplier, f64::from(u8::from(block)), size]
    }
}

/// Most words of a table that a search step compares with in the same cycle.
const DIRECT_WORDS: u64 = 64;
/// Bits at which chains of sums are cut.
const MOST_CARRY: u64 = 16;

/// What families differ in.
struct Cells {
    family: Family,
    /// Inputs of a look-up table, with the multiplexers beside it.
    inputs: u64,
}

impl Cells {
    /// Whether adders are cells of their own (ALU), with a wire from the look-up table in front; elsewhere a look-up table has one.
    fn has_alu(&self) -> bool {
        self.family == Family::Gowin
    }

    /// Levels of look-up tables on a path with a carry chain, of so many where the chain is in one of them.
    fn beside_chain(&self, level: u64) -> u64 {
        level - u64::from(self.has_alu())
    }

    /// Constant words, behind a sum or a comparison or not. A multiplexer beside a look-up table of Gowin is half a step.
    fn table(&self, words: u64) -> f64 {
        let doublings = log2(words).saturating_sub(self.inputs) as f64;
        if self.has_alu() { doublings / 2.0 } else { doublings }
    }

    /// A memory that is read: from block RAM, where rows side by side are chosen among behind it, or from look-up tables.
    fn read(&self, bits: u64, words: u64, block: bool, written: bool) -> Depth {
        let blocks = memory::block_ram(self.family, bits, words, written);
        if block && blocks.resources.bram18 > 0.0 {
            let table = log2(blocks.chosen_bits / bits.max(1) + 1) as f64;
            return Depth { block: true, table, ..Depth::default() };
        }
        Depth { level: 1, memory: log2(words.div_ceil(memory::bank_words(self.family))), ..Depth::default() }
    }
}

/// The paths of a block.
fn depths(block: &Block, family: Family) -> Vec<Depth> {
    let cells = Cells { family, inputs: if memory::has_six_inputs(family) { 6 } else { 4 } };
    let none = Depth::default();
    let moves = |bits: u64| Depth { level: 2, fan_out: log2(bits.max(1)), ..none };
    let counts = |words: u64| Depth { level: 2, carry: log2(words), ..none };
    let adds = |level: u64, bits: u64| Depth { level, carry: bits.min(MOST_CARRY), ..none };
    match block {
        Block::Datapath(cost) => datapath(&cells, cost),
        Block::Rom { bits, depth, block: true, .. } if *depth > 1 => vec![cells.read(*bits, *depth, true, false)],
        Block::Rom { depth, .. } => vec![Depth { level: 1, table: cells.table(*depth), ..none }],
        Block::Fifo { bits, depth } => vec![cells.read(*bits, *depth, false, true), moves(*bits)],
        Block::CreditFifo { bits, depth } => {
            vec![cells.read(*bits, *depth, false, true), moves(*bits), counts(depth + 1)]
        }
        Block::BlockFifo { bits, depth } => {
            vec![cells.read(bits + 1, *depth, true, true), moves(*bits), counts(depth + 1)]
        }
        Block::Adapter { lane_bits, from, to, .. } => vec![moves(lane_bits * from.max(to))],
        Block::Fork { bits, .. } | Block::Concat { bits, .. } => vec![moves(*bits)],
        Block::Window(window) | Block::LineWindow(window) => {
            let WindowBlock { bits, words, block, .. } = **window;
            let fill = Depth { level: cells.beside_chain(3), carry: log2(words) + 2, ..none };
            vec![fill, cells.read(bits, words, block, true), moves(bits)]
        }
        Block::Rearrange { bits, span, words, block, .. } => {
            let fill = Depth { level: cells.beside_chain(3), carry: log2(words + span) + 1, ..none };
            vec![fill, cells.read(*bits, *words, *block, true), moves(*bits)]
        }
        Block::Control { bits, inputs, outputs, sets, block, .. } => {
            control(&cells, *bits, *inputs, inputs * outputs * sets, *outputs > 1, *block)
        }
        Block::SerialControl(serial) => {
            let SerialBlock { bits, inputs, outputs, stride, block, .. } = *serial;
            control(&cells, bits, inputs, outputs * stride, true, block)
        }
        Block::SerialSchedule { depth, .. } => vec![Depth { level: 1, table: cells.table(*depth), ..none }],
        Block::PlaneSelect { lanes, lane_bits, .. } => {
            vec![Depth { level: 1, table: cells.table(lane_bits + 1), fan_out: log2((*lanes).max(1)), ..none }]
        }
        Block::ShiftAccumulate { bits, .. } => {
            vec![Depth { level: 2, carry: (*bits).min(MOST_CARRY), fan_out: log2((*bits).max(1)), ..none }]
        }
        Block::BorderAdd { sum_bits, .. } => vec![adds(1, *sum_bits)],
        Block::ModeGate { bits, frames, .. } => {
            // What comes next hangs on two streams that may stall.
            let gates = Depth { level: if cells.has_alu() { 3 } else { 2 }, ..moves(*bits) };
            vec![cells.read(*bits, *frames, false, true), gates, counts(*frames)]
        }
        Block::Threshold { bits, groups, code_bits, .. } => {
            searches(&cells, *bits, groups.checked_shl(*code_bits as u32).unwrap_or(u64::MAX) / 2)
        }
        Block::Search { block: true, .. } => vec![Depth { block: true, ..none }, adds(2, MOST_CARRY)],
        Block::Search { bits, stage, groups, .. } => {
            searches(&cells, (*bits).min(MOST_CARRY), groups.checked_shl(*stage as u32).unwrap_or(u64::MAX))
        }
        // What compares chooses in front of it and behind it.
        Block::MaxPool(pool) => vec![adds(cells.beside_chain(3), pool.lane_bits), moves(pool.lane_bits * pool.lanes)],
        Block::SumPool { pool, sum_bits, block } => {
            vec![adds(2, *sum_bits), moves(sum_bits * pool.lanes), Depth { block: *block, ..none }]
        }
        Block::MaxReduce { lane_bits, lanes, .. } => {
            vec![adds(cells.beside_chain(2), *lane_bits), moves(lane_bits * lanes)]
        }
        Block::Argmax { bits, .. } | Block::TopK { bits, .. } => {
            vec![Depth { level: 2, carry: *bits, fan_out: log2((*bits).max(1)), ..none }]
        }
        Block::SharedOperand { .. }
        | Block::ControlStages { .. }
        | Block::Delay { .. }
        | Block::Join { .. }
        | Block::Groups { .. }
        | Block::ShiftControl { .. }
        | Block::ModeRegister { .. }
        | Block::Zone { .. }
        | Block::Unknown { .. } => vec![none],
    }
}

/// The paths of a netlist: a sum, and a product where its family has no multiplier.
fn datapath(cells: &Cells, cost: &Cost) -> Vec<Depth> {
    let none = Depth::default();
    // Functions of more inputs than a look-up table has take two; beside an ALU those of digits that choose take one with a
    // multiplexer, and only where most of a rescaler is such is there a second one.
    let wide = cells.inputs < 6 && cost.lut4 > cost.lut;
    let second = if cells.has_alu() { cost.scales && 5 * cost.lut4 > 6 * cost.lut } else { wide };
    let table = if cells.has_alu() && wide && !cost.scales { 0.5 } else { 0.0 };
    let carry = (4 * u64::from(cost.carry)).min(MOST_CARRY);
    let mut found = vec![Depth { level: 1 + u64::from(second), carry, table, ..none }];
    found.extend(product(cells.family, cost));
    found
}

/// The path of a netlist's product for a DSP block.
fn product(family: Family, cost: &Cost) -> Option<Depth> {
    let products = u64::from(cost.dsp18);
    let bits = u64::from(cost.product_bits).div_ceil(products.max(1));
    let depth = match family {
        Family::Ecp5 => Depth { multiplier: products.min(1) as f64, ..Depth::default() },
        Family::Gowin => {
            // Compressors halve the rows until an adder takes the last two. Rows of an operand that never changes are no more
            // than wires.
            let all = u64::from(cost.product_rows);
            let rows = if cost.constant_operand && !cost.scales { all / 2 + 1 } else { all };
            let carry = (bits / rows.max(1)).min(MOST_CARRY);
            Depth { multiplier: (rows as f64 / 2.0).log2().max(0.0), carry, ..Depth::default() }
        }
        Family::Xc7 | Family::Xcup | Family::Ice40 | Family::Asic => {
            Depth { multiplier: bits.isqrt() as f64, ..Depth::default() }
        }
    };
    (depth.multiplier > 0.0).then_some(depth)
}

/// The paths of a search step: a comparison, in front of it a small table that may be part of it, and the choice behind it; a
/// larger table is read a cycle before.
fn searches(cells: &Cells, bits: u64, words: u64) -> Vec<Depth> {
    let none = Depth::default();
    let direct = words.min(DIRECT_WORDS);
    let table = cells.table(direct);
    let mut found = if cells.has_alu() {
        // Whether both are equal is found beside the chain, in look-up tables with multiplexers that take in the table.
        vec![Depth { level: 1, carry: bits, table: 1.0 + log2(direct) as f64 / 2.0, ..none }]
    } else {
        vec![Depth { level: 2 + u64::from(table > 0.0), carry: bits, table, ..none }]
    };
    if words > DIRECT_WORDS {
        found.push(Depth { level: 1, table: cells.table(words), ..none });
    }
    found
}

/// The paths of a layer's control: what it issues moves the operand, weights have addresses, and a vector is read again.
fn control(cells: &Cells, bits: u64, inputs: u64, addresses: u64, replays: bool, block: bool) -> Vec<Depth> {
    let none = Depth::default();
    let mut found = vec![
        Depth { level: 2, fan_out: log2(bits.max(1)), ..none },
        Depth { level: 2, carry: log2(addresses), ..none },
    ];
    if replays && inputs > 1 {
        let read = cells.read(bits, inputs, block, true);
        found.push(Depth { level: read.level + 1, ..read });
    }
    found
}

/// A part that is slower or quicker than the one that its family's model was fitted on.
#[derive(Clone, Debug, PartialEq)]
struct Grade {
    part: String,
    /// Its period for that of the family's.
    factor: f64,
    error: StatedError,
}

/// Nanoseconds of each part of a path of one family, with the error on routed designs that were never fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockModel {
    nanoseconds: Path,
    error: StatedError,
    grades: Vec<Grade>,
}

/// The clock that a design is likely to reach.
#[derive(Clone, Debug, PartialEq)]
pub struct Clock {
    /// In MHz.
    pub mhz: f64,
    /// Its error.
    pub error: StatedError,
}

impl ClockModel {
    /// The fitted model of a family; none where no open tool places and routes it.
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
        ClockModel::parse(family, text).map(Some)
    }

    /// Reads `PART OF A PATH,nanoseconds` lines, one `error fmax,mean,percentile 90,designs` line, and a
    /// `part NAME,factor,mean,percentile 90,designs` line for each part of another speed.
    ///
    /// # Errors
    /// A line is none of these, or one is missing.
    pub fn parse(family: Family, text: &str) -> Result<Self, Fault> {
        let mut nanoseconds = [None; PATH_PARTS.len()];
        let mut error = None;
        let mut grades = Vec::new();
        let stated = |[mean_percent, percentile_90, designs]: [f64; 3]| StatedError {
            figure: "fmax".to_owned(),
            mean_percent,
            percentile_90,
            designs: designs as u64,
        };
        for (index, line) in text.lines().enumerate() {
            let wrong = |what: &str| Fault::File { family, line: index + 1, what: what.to_owned() };
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, numbers) = line.split_once(',').ok_or_else(|| wrong("no comma"))?;
            let numbers: Vec<f64> =
                numbers.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong("not a number"))?;
            if name == "error fmax" {
                let numbers = numbers.try_into().map_err(|_| wrong("three numbers are needed"))?;
                error = Some(stated(numbers));
            } else if let Some(part) = name.strip_prefix("part ") {
                let [factor, mean, percentile, designs] = numbers[..] else {
                    return Err(wrong("four numbers are needed"));
                };
                let error = stated([mean, percentile, designs]);
                grades.push(Grade { part: part.to_owned(), factor, error });
            } else {
                let place = PATH_PARTS.iter().position(|part| *part == name);
                let place = place.ok_or_else(|| wrong("no such part of a path"))?;
                let [value] = numbers[..] else { return Err(wrong("one number is needed")) };
                nanoseconds[place] = Some(value);
            }
        }
        let end = |what: &str| Fault::File { family, line: text.lines().count(), what: what.to_owned() };
        let error = error.ok_or_else(|| end("no error is stated"))?;
        if nanoseconds.contains(&None) {
            return Err(end("a part of a path is missing"));
        }
        Ok(ClockModel { nanoseconds: nanoseconds.map(Option::unwrap_or_default), error, grades })
    }

    /// The clock that a design with these paths is likely to reach on a part.
    pub fn clock(&self, paths: &Paths, part: &str) -> Clock {
        let along = |path: &Path| path.iter().zip(&self.nanoseconds).map(|(depth, each)| depth * each).sum();
        let period = paths.0.iter().map(along).fold(LEAST_PERIOD, f64::max);
        let part = part.to_lowercase();
        let grade = self.grades.iter().find(|grade| part.contains(&grade.part));
        let (factor, error) = grade.map_or((1.0, &self.error), |grade| (grade.factor, &grade.error));
        Clock { mhz: 1000.0 / (factor * period), error: error.clone() }
    }
}

/// Nanoseconds that every design takes.
const LEAST_PERIOD: f64 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "# t\nerror fmax,7,11,9\npath,2\nlevel,0.5\nchain,0\ncarry,0.1\ntable,0\nmemory,0\nfan_out,0\nmultiplier,4\nblock,5\nsize,0.1\npart slow,2.5,8,12,3\n";

    #[test]
    fn the_longest_path_is_the_period() {
        let model = ClockModel::parse(Family::Ice40, MODEL).unwrap();
        let sum = [1.0, 3.0, 1.0, 16.0, 2.0, 0.0, 0.0, 0.0, 0.0, 10.0];
        let block = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 10.0];
        let check = |paths: &[Path], part: &str, period: f64| {
            let clock = model.clock(&Paths(paths.to_vec()), part);
            assert!((clock.mhz - 1000.0 / period).abs() < 1e-9, "{clock:?}");
            clock.error.designs
        };
        // 2 + 3 * 0.5 + 16 * 0.1 + 10 * 0.1 ns of a sum; 2 + 5 + 10 * 0.1 ns behind a block RAM.
        assert_eq!(check(&[sum], "quick", 6.1), 9);
        assert_eq!(check(&[sum, block], "quick", 8.0), 9);
        assert_eq!(check(&[sum, block], "SLOW-1", 20.0), 3);
        check(&[], "quick", LEAST_PERIOD);
        let changes = [
            ("carry,0.1", "carry"),
            ("size,0.1", ""),
            ("error", "path"),
            ("part slow,2.5", "part slow"),
            ("level", "lever"),
        ];
        for (from, to) in changes {
            let wrong = MODEL.replace(from, to);
            assert!(ClockModel::parse(Family::Ice40, &wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_deeper_in_nothing_is_left_out() {
        let rom = |depth, block| Block::Rom { bits: 8, depth, block, cycles: 1, contents: None };
        let paths = |blocks: &[Block], family| {
            let mut inventory = Inventory::default();
            blocks.iter().for_each(|block| inventory.add(block.clone(), 1));
            Paths::of([&inventory].into_iter(), 512.0, family).0
        };
        let deep = [1.0, 1.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 9.0];
        assert_eq!(paths(&[rom(20, false), rom(200, false), rom(100, false)], Family::Ecp5), [deep]);
        assert_eq!([Family::Xc7, Family::Gowin].map(|family| paths(&[rom(200, false)], family)[0][4]), [2.0, 2.0]);
        assert_eq!(paths(&[rom(100, false)], Family::Gowin)[0][4], 1.5);
        let forked = [1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 6.0, 0.0, 0.0, 9.0];
        let found = paths(&[rom(200, false), Block::Fork { bits: 64, outputs: 2 }], Family::Ecp5);
        assert!(found.len() == 2 && found.contains(&deep) && found.contains(&forked), "{found:?}");
    }

    /// 6272 words of 8 bits lie in 13 rows of 512 words side by side, of which one is chosen; 2048 words need no choice.
    #[test]
    fn rows_of_a_block_ram_are_chosen_among_behind_it() {
        let behind = |depth| {
            let rom = Block::Rom { bits: 8, depth, block: true, cycles: 2, contents: None };
            depths(&rom, Family::Ecp5).pop().map(|depth| (depth.block, depth.table))
        };
        assert_eq!([2048, 6272].map(behind), [Some((true, 0.0)), Some((true, 4.0))]);
    }

    /// On Gowin a product of look-up tables halves its rows until two are left: eight rows twice; where the narrower operand is a
    /// constant, four of them and one. ECP5 has a block for it; iCE40 counts bits of an operand.
    #[test]
    fn products_without_a_block_are_as_deep_as_their_rows() {
        let deep = |family, cost: Cost| {
            let found = depths(&Block::Datapath(Cost { dsp18: 1, ..cost }), family);
            found.get(1).map(|depth| (depth.multiplier, depth.carry))
        };
        let cost = Cost { product_bits: 80, product_rows: 8, ..Cost::default() };
        assert_eq!(deep(Family::Gowin, cost), Some((2.0, 10)));
        let constant = Cost { constant_operand: true, ..cost };
        assert_eq!(deep(Family::Gowin, constant), Some((2.5_f64.log2(), 16)));
        assert_eq!(deep(Family::Gowin, Cost { product_rows: 2, ..cost }), None);
        assert_eq!(deep(Family::Ecp5, cost), Some((1.0, 0)));
        assert_eq!(deep(Family::Ice40, cost), Some((8.0, 0)));
    }

    /// Beside an ALU a comparison takes the table in with what finds equality; elsewhere both are levels. A window's count has
    /// one level less, and so has what compares lanes, but not what is added up.
    #[test]
    fn a_chain_beside_look_up_tables_is_no_level() {
        let longest = |block: &Block, family| {
            let found = depths(block, family);
            (found[0].level, found[0].table)
        };
        let search = Block::Search { bits: 10, stage: 3, groups: 8, block: false };
        assert_eq!([Family::Gowin, Family::Ecp5].map(|family| longest(&search, family)), [(1, 4.0), (3, 2.0)]);
        let rearrange = Block::Rearrange { bits: 8, counts: vec![2], span: 4, most_jump: 1, words: 40, block: false };
        assert_eq!([Family::Gowin, Family::Ecp5].map(|family| longest(&rearrange, family)), [(2, 0.0), (3, 0.0)]);
        let border = Block::BorderAdd { sum_bits: 9, low_bits: 0, constant_bits: 4 };
        assert_eq!([Family::Gowin, Family::Ecp5].map(|family| longest(&border, family)), [(1, 0.0); 2]);
        let paths = |family| depths(&border, family)[0].path(8.0);
        assert_eq!(paths(Family::Gowin)[2..4], [1.0, 9.0]);
    }

    /// A rescaler most of which are functions of five and six inputs has two look-up tables in front of its ALU; another netlist
    /// one with a multiplexer. Where the adder is in the look-up table, both take two.
    #[test]
    fn wide_functions_take_two_look_up_tables() {
        let level = |family, scales, lut4| {
            let cost = Cost { lut: 40, lut4, carry: 3, scales, ..Cost::default() };
            depths(&Block::Datapath(cost), family).pop().map(|depth| (depth.level, depth.table))
        };
        let found = |family| {
            [(true, 49), (true, 48), (false, 49), (false, 40)].map(|(scales, lut4)| level(family, scales, lut4))
        };
        assert_eq!(found(Family::Gowin), [(2, 0.0), (1, 0.0), (1, 0.5), (1, 0.0)].map(Some));
        assert_eq!(found(Family::Ecp5), [(2, 0.0), (2, 0.0), (2, 0.0), (1, 0.0)].map(Some));
    }

    #[test]
    fn every_family_that_is_placed_has_a_clock() {
        for family in Family::ALL {
            assert_eq!(ClockModel::of(family).unwrap().is_some(), family.aim_mhz().is_some(), "{family:?}");
        }
    }
}
