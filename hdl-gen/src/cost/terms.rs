//! What the blocks are counted in: exact registers and memories, and the terms that look-up tables are fitted over.

use super::block::PoolBlock;
use super::{Block, Family, Inventory, Resources, StageInventory, memory};
use num_integer::gcd;

macro_rules! terms {
    ($($name:ident: $text:literal),+ $(,)?) => {
        /// A term of the fitted models: what look-up tables, carry cells and left-over registers are proportional to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is named as the text beside it")]
        pub enum Term { $($name),+ }

        /// All terms with their names, in the order of [`Term`].
        pub const TERMS: &[&str] = &[$($text),+];
    };
}

terms! {
    DatapathLut: "datapath.lut", DatapathCarry: "datapath.carry", DatapathFf: "datapath.ff", Datapath: "datapath",
    DatapathDsp: "datapath.dsp", UnitDsp: "unit.dsp", DatapathShift: "datapath.shift",
    DatapathProduct: "datapath.product",
    Unit: "unit", UnitLut: "unit.lut", UnitFf: "unit.ff", UnitSpare: "unit.spare", UnitSpareFf: "unit.spare.ff", UnitCarry: "unit.carry", UnitShift: "unit.shift",
    DatapathLut4: "datapath.lut4", UnitLut4: "unit.lut4", ConstantLut4: "constant.lut4",
    Constant: "constant", ConstantLut: "constant.lut", ConstantFf: "constant.ff", ConstantCarry: "constant.carry",
    ConstantShift: "constant.shift", ConstantSpare: "constant.spare", ConstantSpare4: "constant.spare4", ConstantSpareFf: "constant.spare.ff",
    ConstantFirst: "constant.first", ConstantRest: "constant.rest", ConstantFirst4: "constant.first4", ConstantRest4: "constant.rest4",
    ConstantProduct: "constant.product",
    Control: "control", ControlReplay: "control.replay", ControlNext: "control.next", ControlStages: "control.stages",
    Counter: "counter", CounterBits: "counter.bits",
    Fifo: "fifo", FifoGlue: "fifo.glue", Edge: "edge", FifoBits: "fifo.bits", FifoCount: "fifo.count", FifoTwo: "fifo.two", FifoTwoBits: "fifo.two.bits",
    Credit: "credit", CreditCount: "credit.count",
    RamBanks: "ram.banks", BlockChoice: "block.choice",
    Rom2: "rom.2", Rom4: "rom.4", Rom16: "rom.16", Rom64: "rom.64", Rom256: "rom.256", RomWide: "rom.wide", Delay: "delay",
    Adapter: "adapter", AdapterCount: "adapter.count", AdapterScatter: "adapter.scatter", AdapterBarrel: "adapter.barrel",
    AdapterSelect: "adapter.select", AdapterMerged: "adapter.merged",
    Fork: "fork", Join: "join", Concat: "concat", ConcatBits: "concat.bits", ConcatCount: "concat.count",
    Window: "window", WindowFill: "window.fill", WindowAddress: "window.address", WindowWrap: "window.wrap",
    LineWindow: "line_window", WindowPad: "window.pad", WindowPadded: "window.padded",
    WindowColumns: "window.columns",
    Rearrange: "rearrange", RearrangeAddress: "rearrange.address", RearrangeFill: "rearrange.fill",
    Threshold: "threshold", ThresholdConstant: "threshold.constant", ThresholdTable: "threshold.table",
    Threshold16: "threshold.16", Threshold64: "threshold.64",
    ThresholdWide: "threshold.wide", ThresholdCompare: "threshold.compare", ThresholdChoice: "threshold.choice",
    Search: "search", SearchCompare: "search.compare",
    Pool: "pool", PoolAddress: "pool.address", MaxBits: "max.bits", MaxReduce: "max_reduce", MaxReduceBits: "max_reduce.bits",
    SumPool: "sum_pool", SumPoolBits: "sum_pool.bits", Argmax: "argmax", ArgmaxBits: "argmax.bits",
    Zone: "zone", ZoneBits: "zone.bits",
    Serial: "serial", SerialPass: "serial.pass", SerialAddress: "serial.address", PlaneSelect: "plane_select.lanes",
    ShiftAdd: "shift_add.bits", ShiftAddChoice: "shift_add.choice", ShiftAddNegate: "shift_add.negate", BorderAdd: "border_add.bits",
    ModeGate: "mode_gate", ModeRegister: "mode_register", ModeRegisterBits: "mode_register.bits",
}

/// An inventory in numbers, for one family.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    /// What is known exactly: registers, memories, DSP blocks.
    pub exact: Resources,
    /// How often each term occurs, in the order of [`TERMS`].
    pub terms: Vec<f64>,
    /// Modules that no model counts.
    pub unknown: Vec<String>,
    /// Whether streams carry the mark of a frame's last word, which nothing reads inside a design.
    pub(super) marked: bool,
    /// Whether the logic that makes these marks is left: where a memory of look-up tables holds one beside other bits too.
    pub(super) lives: bool,
}

impl Counts {
    /// Counts an inventory as part of a design, in which synthesis leaves out what nothing reads.
    pub fn of(inventory: &Inventory, family: Family) -> Self {
        Counts::with(inventory, family, [false; 2])
    }

    /// Counts a module of the top as part of its design.
    pub fn of_stage(stage: &StageInventory, family: Family) -> Self {
        let lives = stage.stored.iter().any(|&(bits, depth)| memory::keeps_mark(family, bits, depth));
        Counts::with(&stage.inventory, family, [stage.ends, stage.ends || lives])
    }

    /// Adds what another counted.
    pub fn extend(&mut self, other: &Counts) {
        self.exact.add(&other.exact, 1.0);
        self.terms.iter_mut().zip(&other.terms).for_each(|(sum, count)| *sum += count);
        self.unknown.extend(other.unknown.iter().cloned());
    }

    /// Counts an inventory that is synthesised as a module by itself.
    pub fn alone(inventory: &Inventory, family: Family) -> Self {
        Counts::with(inventory, family, [true; 2])
    }

    fn with(inventory: &Inventory, family: Family, [marked, lives]: [bool; 2]) -> Self {
        let mut counts = Counts { marked, lives, ..Counts::none() };
        for (block, count) in inventory.blocks() {
            counts.block(block, count as f64, family);
        }
        counts
    }

    pub(super) fn none() -> Self {
        Counts {
            exact: Resources::default(),
            terms: vec![0.0; TERMS.len()],
            unknown: Vec::new(),
            marked: true,
            lives: true,
        }
    }

    /// A term's number.
    pub fn term(&self, term: Term) -> f64 {
        self.terms.get(term as usize).copied().unwrap_or(0.0)
    }

    pub(super) fn add(&mut self, term: Term, count: f64) {
        if let Some(own) = self.terms.get_mut(term as usize) {
            *own += count;
        }
    }

    fn block(&mut self, block: &Block, n: f64, family: Family) {
        let real = |number: u64| number as f64;
        match block {
            Block::Datapath(cost) => self.datapath(cost, n, family),
            Block::ControlStages { stages } => {
                self.add(Term::ControlStages, n);
                self.delay(2, *stages, false, n, family);
            }
            Block::SharedOperand { registers, dsp_registers, shifts, shifted, edges } => {
                let apart = if memory::has_dsp_registers(family) { 0 } else { *dsp_registers };
                self.exact.ff += n * real(registers + apart);
                self.shifts(n * real(*shifts), n * real(*shifted), family);
                self.add(Term::Edge, n * real(*edges));
            }
            // Two of them stand side by side: whether there is a word, and whether it is the last of its frame.
            Block::Delay { bits: 1, cycles, reset: true } if !self.lives => {
                self.delay(1, *cycles, true, n / 2.0, family)
            }
            Block::Delay { bits, cycles, reset } => self.delay(*bits, *cycles, *reset, n, family),
            Block::Rom { bits, depth, block, cycles, contents } => {
                self.rom([*bits, *depth, *cycles], *block, *contents, n, family);
            }
            Block::Fifo { bits, depth } => self.fifo(*bits, *depth, n, family),
            Block::BlockFifo { bits, depth } => self.block_fifo(*bits, *depth, n, family),
            Block::CreditFifo { bits, depth } => self.credit_fifo(*bits, *depth, n, family),
            Block::Adapter { lane_bits, from, to, words } => self.adapter([*lane_bits, *from, *to, *words], n),
            Block::Fork { bits, outputs } => {
                self.add(Term::Fork, n);
                self.fifo(*bits, 2, n * real(*outputs), family);
            }
            Block::Join { inputs } => self.add(Term::Join, n * real(*inputs)),
            Block::Concat { bits, inputs, most_words } => {
                let count = address_bits(*most_words) + 1;
                self.add(Term::Concat, n);
                self.add(Term::ConcatBits, n * real(bits * (inputs - 1)));
                self.add(Term::ConcatCount, n * real(count));
                self.exact.ff += n * real(inputs + count + 1);
                self.fifo(*bits, 2, n, family);
            }
            Block::Window(window) => self.window(window, n, family),
            Block::LineWindow(window) => self.line_window(window, n, family),
            Block::Groups { groups, stages } => self.exact.ff += n * real(log2(*groups) * stages),
            Block::Rearrange { bits, counts, span, most_jump, words, block } => {
                let (address, fill) = (log2(*words), log2(words + span + most_jump + 2) + 1);
                counts.iter().for_each(|&count| self.counter(count.cast_unsigned(), n));
                self.counter(*words, n);
                self.add(Term::Rearrange, n);
                self.add(Term::RearrangeAddress, n * real(address));
                self.add(Term::RearrangeFill, n * real(fill));
                self.exact.ff += n * real(3 * address + 1 + 4 * fill + 8);
                self.ram(*bits, *words, *block, n, family);
                self.credit_fifo(*bits, 4, n, family);
            }
            Block::Control { bits, inputs, outputs, sets, vectors, block, addressed, stepped } => {
                self.add(Term::Control, n);
                [*inputs, *outputs].into_iter().for_each(|limit| self.counter(limit, n));
                self.mark_counter(*vectors, n);
                let results = outputs * sets;
                if *addressed {
                    self.counter(inputs * results, n);
                }
                if *stepped && *sets > 1 {
                    self.counter(results, n);
                }
                let step_bits = if *stepped && results > 1 { log2(results) } else { 0 };
                let marks = u64::from(self.lives);
                self.exact.ff += n * real(bits + 1 + marks + u64::from(*inputs > 1) + step_bits);
                if *outputs > 1 {
                    self.exact.ff += n;
                    self.replay(*bits, *inputs, *block, n, family);
                }
            }
            Block::SerialControl(_)
            | Block::SerialSchedule { .. }
            | Block::PlaneSelect { .. }
            | Block::ShiftAccumulate { .. }
            | Block::ShiftControl { .. }
            | Block::BorderAdd { .. }
            | Block::ModeGate { .. }
            | Block::ModeRegister { .. } => self.serial(block, n, family),
            Block::Threshold { sum_bits, bits, code_bits, groups, falling, tables, registers } => {
                self.threshold([*bits, *code_bits, *groups], tables, n);
                self.threshold_registers([*sum_bits, *code_bits, *groups], *falling, *registers, n, family);
            }
            Block::Search { bits, stage, groups, block } => {
                let depth = groups << stage;
                let found = bits + log2(*groups).max(1) + (*stage).max(1);
                let registered = depth > 64 || *bits > 16;
                self.add(Term::Search, n);
                self.add(Term::SearchCompare, n * real(*bits));
                self.exact.ff += n * real(1 + found + if registered { found } else { 0 });
                self.rom([*bits, depth, 1], *block && registered, None, n, family);
                if !registered && depth > 1 {
                    self.exact.ff -= n * real(*bits);
                }
            }
            Block::MaxPool(pool) => {
                let bits = pool.lane_bits * pool.lanes;
                let row = self.pool(pool, n);
                self.add(Term::MaxBits, n * real(bits));
                self.exact.ff += n * real(2 * bits + 5);
                if row > 1 {
                    self.ram(bits, row, false, n, family);
                }
                self.credit_fifo(bits, 4, n, family);
            }
            Block::SumPool { pool, sum_bits, block } => {
                let slices = if *sum_bits > 16 { sum_bits.div_ceil(14) } else { 1 };
                let bits = sum_bits * pool.lanes;
                let row = self.pool(pool, n);
                self.add(Term::SumPool, n);
                self.add(Term::SumPoolBits, n * real(bits));
                self.exact.ff += n * real(bits + pool.lane_bits * pool.lanes + 2 + 4 * slices + log2(row) * slices);
                if row > 1 {
                    self.ram(bits, row, *block, n, family);
                }
                self.credit_fifo(bits, 3 + slices, n, family);
            }
            Block::MaxReduce { lane_bits, lanes, taps } => {
                let bits = lane_bits * lanes;
                self.add(Term::MaxReduce, n);
                self.add(Term::MaxReduceBits, n * real(bits));
                self.counter(*taps, n);
                self.exact.ff += n * real(bits + 2 + u64::from(self.lives));
                self.credit_fifo(bits, if *taps == 1 { 3 } else { 2 }, n, family);
            }
            Block::Argmax { bits, lanes, words, index_bits } => {
                let (compared, registers) = tree(*bits, *lanes);
                self.add(Term::Argmax, n);
                self.add(Term::ArgmaxBits, n * (compared + real(*bits)));
                self.counter(*words, n);
                // What the results of a frame's words start from stays zero where there is one word.
                let base = if *words > 1 { *index_bits } else { 0 };
                self.exact.ff += n * real(registers + 2 * log2(*lanes) + bits + index_bits + base + 2);
                let room = (log2(*lanes) + 3).div_ceil(*words).max(2);
                self.credit_fifo(*index_bits, room, n, family);
            }
            Block::TopK { bits, count, words, positions, index_bits } => {
                // An entry compares and chooses as a lane of the argmax does.
                self.add(Term::Argmax, n);
                self.add(Term::ArgmaxBits, n * real(bits * count));
                self.counter(*words, n);
                self.mark_counter(*positions, n);
                self.exact.ff += n * real(count * (bits + index_bits + 1) + 2 + u64::from(self.lives));
                let leaves = if *index_bits > 0 { index_bits } else { bits };
                self.credit_fifo(leaves * count, 3u64.div_ceil(*words).max(2), n, family);
            }
            Block::Zone { rows, columns, zone_bits } => {
                self.add(Term::Zone, n);
                self.add(Term::ZoneBits, n * real(*zone_bits));
                self.counter(*rows, n);
                self.counter(*columns, n);
                self.exact.ff += n * real(2 * zone_bits + 2);
            }
            Block::Unknown { module } => self.unknown.push(module.clone()),
        }
    }

    pub(super) fn counter(&mut self, limit: u64, n: f64) {
        if limit > 1 {
            let bits = log2(limit);
            self.add(Term::Counter, n);
            self.add(Term::CounterBits, n * bits as f64);
            self.exact.ff += n * counter_registers(limit) as f64;
        }
    }

    /// A counter that only marks a frame's last word.
    pub(super) fn mark_counter(&mut self, limit: u64, n: f64) {
        if self.lives {
            self.counter(limit, n);
        }
    }

    /// The words of a vector that are read again, behind the register of the first pass.
    pub(super) fn replay(&mut self, bits: u64, inputs: u64, block: bool, n: f64, family: Family) {
        if inputs > 1 {
            self.add(Term::ControlReplay, n * bits as f64);
            self.add(Term::ControlNext, if block { n * log2(inputs) as f64 } else { 0.0 });
            self.store(bits, inputs, block, true, n, family);
            // Yosys takes the address register into the read port and makes it anew.
            self.exact.ff += if block { 0.0 } else { n * log2(inputs) as f64 };
            self.stored_banks([bits, inputs], block, n, family);
        }
    }

    pub(super) fn delay(&mut self, bits: u64, cycles: u64, reset: bool, n: f64, family: Family) {
        if !reset && cycles >= 3 && memory::has_shift_registers(family) {
            self.exact.lut_memory += n * (bits * cycles.div_ceil(32)) as f64;
            self.add(Term::Delay, n * bits as f64);
        } else {
            self.exact.ff += n * (bits * cycles) as f64;
        }
    }

    pub(super) fn ram(&mut self, bits: u64, words: u64, block: bool, n: f64, family: Family) {
        if words <= 1 {
            self.exact.ff += n * (2 * bits) as f64;
            return;
        }
        self.store(bits, words, block, true, n, family);
        self.exact.ff += if block { 0.0 } else { n * bits as f64 };
        self.stored_banks([bits, words], block, n, family);
    }

    /// The cells of a memory.
    pub(super) fn store(&mut self, bits: u64, words: u64, block: bool, written: bool, n: f64, family: Family) {
        if block {
            let ram = memory::block_ram(family, bits, words, written);
            self.exact.add(&ram.resources, n);
            self.add(Term::BlockChoice, n * ram.chosen_bits as f64);
        } else {
            self.exact.add(&memory::lut_ram(family, bits, words), n);
        }
    }

    fn adapter(&mut self, [lane_bits, from, to, words]: [u64; 4], n: f64) {
        let unit_lanes = gcd(from, to).max(1);
        let (unit, from, to) = (lane_bits * unit_lanes, from / unit_lanes, to / unit_lanes);
        let count = log2(from + to);
        self.add(Term::Adapter, n);
        self.add(Term::AdapterCount, n * count as f64);
        self.mark_counter(words, n);
        let data = match (from, to) {
            (1, to) => unit * to,
            (from, 1) => {
                // Where the counts are small, synthesis for ECP5 repeats their logic in front of every bit.
                let merged = log2(words) <= 6 && count <= 3;
                let term = if merged { Term::AdapterMerged } else { Term::AdapterScatter };
                self.add(term, n * (unit * (from - 1)) as f64);
                unit * from
            }
            (from, to) => {
                let held = unit * (from + to - 1);
                self.add(Term::AdapterBarrel, n * held as f64);
                self.add(Term::AdapterSelect, n * (held * log2(to)) as f64);
                held + log2(to)
            }
        };
        self.exact.ff += n * (count + 1 + data) as f64;
    }

    /// The place of a pool in place; gives the words of a row of results.
    fn pool(&mut self, pool: &PoolBlock, n: f64) -> u64 {
        let PoolBlock { channel_words, places, kernel, .. } = *pool;
        let row = places[1] / kernel[1] * channel_words;
        [channel_words, places[0], places[1]].into_iter().for_each(|limit| self.counter(limit, n));
        self.mark_counter(places[0] / kernel[0] * row, n);
        for axis in 0..2 {
            if kernel[axis] > 1 {
                self.exact.ff += n * (log2(kernel[axis]) + 2) as f64;
            }
            if !places[axis].is_multiple_of(kernel[axis]) {
                self.exact.ff += n;
            }
        }
        self.add(Term::Pool, n);
        if row > 1 {
            self.add(Term::PoolAddress, n * log2(row) as f64);
            self.exact.ff += n * (2 * log2(row)) as f64;
        }
        row
    }
}

/// What the nodes of a tree over so many lanes compare and choose, in bits, and their registers. A lane without a partner is only
/// delayed, and so is the last one, once, beside nodes that none has left.
fn tree(bits: u64, lanes: u64) -> (f64, u64) {
    let (mut compared, mut registers) = (0.0, 0);
    for level in 1..=log2(lanes) {
        let nodes = lanes.div_ceil(1 << level);
        let alone = (nodes - 1) << level == lanes - 1;
        let beside = lanes.next_power_of_two() >> level > nodes;
        let meeting = nodes - u64::from(alone);
        // A winner's lane has as many bits as levels were met.
        compared += (meeting * (2 * bits + level)) as f64 / 2.0;
        registers += meeting * (bits + level) + if alone || beside { bits } else { 0 };
    }
    (compared, registers)
}

/// Registers of a counter of so many things; of two the count and its last one are the same.
pub(super) fn counter_registers(limit: u64) -> u64 {
    match limit {
        0..=1 => 0,
        2 => 1,
        _ => log2(limit) + 1,
    }
}

/// Bits that count so many things: `$clog2`.
pub(super) fn log2(number: u64) -> u64 {
    u64::from(64 - number.max(1).wrapping_sub(1).leading_zeros())
}

fn address_bits(words: u64) -> u64 {
    log2(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of five lanes of 5 bits two pairs meet, and one lane waits for two levels: 2 * 6 + 5, 7 + 5 and 8 registers. Of twelve
    /// lanes of 9 bits the last one waits beside full pairs for two levels.
    #[test]
    fn a_tree_holds_what_meets_and_what_waits() {
        assert_eq!(tree(5, 5), (2.0 * 5.5 + 6.0 + 6.5, 37));
        assert_eq!(tree(9, 12).1, (60 + 9) + (33 + 9) + 2 * 12 + 13);
        assert_eq!(tree(7, 1), (0.0, 0));
    }
}
