//! Bit heaps: sums of many weighted bits as pipelined adders.
//!
//! A heap is a set of bits, each with a weight 2^column, whose sum modulo 2^width is wanted. [`stage`] and
//! [`finish`] turn a heap, fed by rows of partial products, into pipeline stages of *carry groups* and one last adder,
//! possibly an accumulator. A carry group covers `k` neighbouring columns of a carry chain. Each column of a chain adds one bit
//! that feeds the carry multiplexer directly (the *direct* bit) and one bit that is any function of up to five inputs,
//! because both share the six-input LUT in front of the carry. The function bits of a group are the binary digits of
//! the sum of the group's other bits: two partial products and a bit in two columns, or five bits in three columns.
//! So a group of three columns removes five bits with three LUTs where a 6:3 counter removes three.
//!
//! What it does not do: choose partial products (that is [`crate::datapath`]), or infer widths.

mod carry_adder;
mod compress;
mod cost;
mod decided;
mod finish;
mod group;
mod netlist;
mod product_counter;
mod used_bits;

pub use carry_adder::carry_adder;
pub use compress::{make_nets, stage};
pub use cost::{Cost, Source};
pub use decided::Decided;
pub use finish::{Accumulator, Finished, finish};
pub use netlist::{Netlist, SignalId};
pub use product_counter::ProductTable;

/// What the generated logic is mapped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Six-input LUTs with carry chains whose operands pass through the LUT.
    Lut6,
    /// Four-input LUTs with carry chains.
    Lut4,
    /// A standard-cell library: full adders and short ripple adders.
    StandardCells,
}

impl Target {
    /// Inputs that the function bit of a carry group may have.
    fn function_inputs(self) -> u32 {
        match self {
            Target::Lut6 => 5,
            Target::Lut4 | Target::StandardCells => 1,
        }
    }

    /// Least number of bits per LUT that a carry chain must remove to be worth building.
    fn threshold(self) -> f64 {
        match self {
            Target::Lut6 => 1.2,
            Target::Lut4 | Target::StandardCells => 0.9,
        }
    }
}

/// Longest carry chain in bits, carry-in and carry-out positions included.
pub const CHAIN_BITS: u32 = 16;

/// One bit of a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bit {
    /// The net.
    pub net: Net,
    /// Number of LUT inputs that this bit costs where it is absorbed into a function: 1 for a register or the output of
    /// an adder, the number of operand bits for a partial product.
    pub inputs: u32,
}

/// Where a bit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Net {
    /// A bit of a signal.
    Signal(SignalId, u32),
    /// A constant one.
    One,
}

impl Bit {
    /// A bit that may feed a carry multiplexer.
    pub fn direct(signal: SignalId, index: u32) -> Self {
        Bit { net: Net::Signal(signal, index), inputs: 1 }
    }

    fn is_direct(self) -> bool {
        self.inputs <= 1
    }
}

/// A row of partial products: neighbouring columns from `column` upwards, one bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Column of the first bit.
    pub column: u32,
    /// One bit per column.
    pub bits: Vec<Bit>,
    /// The row's number leaves room for one more, and its inputs together for one more LUT input: a bit of its lowest
    /// column can be counted into it.
    pub takes_bit: bool,
}

/// The bits whose weighted sum modulo 2^width is wanted, at one pipeline stage.
#[derive(Clone, Debug)]
pub struct Heap {
    /// Bits that may feed a carry multiplexer, per column.
    direct: Vec<Vec<Bit>>,
    /// Partial products of two inputs, per column.
    small: Vec<Vec<Bit>>,
    /// Partial products of three to five inputs, as rows.
    rows: Vec<Row>,
    target: Target,
    /// Least number of bits per LUT that a carry chain must remove to be worth building.
    threshold: f64,
}

impl Heap {
    /// An empty heap of `width` columns.
    pub fn new(width: u32, target: Target) -> Self {
        Heap {
            direct: vec![Vec::new(); width as usize],
            small: vec![Vec::new(); width as usize],
            rows: Vec::new(),
            target,
            threshold: target.threshold(),
        }
    }

    /// The same heap with another least number of bits that a carry chain removes per LUT, in percent.
    #[must_use]
    pub fn with_threshold(mut self, percent: u32) -> Self {
        self.threshold = f64::from(percent) / 100.0;
        self
    }

    /// Number of columns.
    pub fn width(&self) -> u32 {
        u32::try_from(self.direct.len()).unwrap_or(u32::MAX)
    }

    /// Adds a bit of weight 2^column; a column beyond the width vanishes, as the sum is modulo 2^width.
    pub fn push(&mut self, column: u32, bit: Bit) {
        let list = if bit.is_direct() { &mut self.direct } else { &mut self.small };
        if let Some(bits) = list.get_mut(column as usize) {
            bits.push(bit);
        }
    }

    /// Adds a row of partial products.
    pub fn push_row(&mut self, mut row: Row) {
        let left = self.width().saturating_sub(row.column) as usize;
        row.takes_bit &= row.bits.len() <= left;
        row.bits.truncate(left);
        if row.bits.iter().all(|bit| bit.inputs <= 2) {
            for (column, bit) in (row.column..).zip(row.bits) {
                self.push(column, bit);
            }
        } else {
            self.rows.push(row);
        }
    }

    /// Number of direct bits.
    pub fn direct_bits(&self) -> usize {
        self.direct.iter().map(Vec::len).sum()
    }

    fn soft_bits(&self) -> usize {
        self.small.iter().map(Vec::len).sum::<usize>() + self.rows.iter().map(|row| row.bits.len()).sum::<usize>()
    }

    fn height(&self, column: usize) -> usize {
        self.direct.get(column).map_or(0, Vec::len)
    }
}
