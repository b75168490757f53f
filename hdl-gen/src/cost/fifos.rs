//! FIFOs, and the choice among the cells of deep memories in look-up tables.

use super::terms::{counter_registers, log2};
use super::{Counts, Family, Term, memory};

impl Counts {
    pub(super) fn fifo(&mut self, bits: u64, depth: u64, n: f64, family: Family) {
        self.queue([bits, depth], true, n, family);
    }

    /// A FIFO of so many bits and words; credits in front leave less of its logic.
    fn queue(&mut self, [bits, depth]: [u64; 2], alone: bool, n: f64, family: Family) {
        let word = self.word(bits);
        if depth <= 2 {
            // A word that may come from two places is chosen; one register alone has a load enable.
            if depth == 2 {
                self.add(Term::FifoTwo, n);
                self.add(Term::FifoTwoBits, n * word as f64);
            }
            self.exact.ff += n * if depth == 1 { word + 1 } else { 2 * word + 4 } as f64;
            return;
        }
        let rest = depth - 1;
        let count = log2(rest + 1);
        self.add(Term::FifoBits, n * word as f64);
        // Yosys takes the register of the read address into the read port and makes it anew.
        self.exact.ff += n * (word + count + 3 + log2(rest)) as f64;
        let glue = glue(rest, family);
        match glue.filter(|_| alone) {
            Some(luts) => self.add(Term::FifoGlue, n * luts),
            None => {
                self.add(Term::Fifo, n);
                self.add(Term::FifoCount, n * count as f64);
            }
        }
        match glue {
            Some(_) => self.exact.ff += 2.0 * n * counter_registers(rest) as f64,
            None => self.counter(rest, 2.0 * n),
        }
        self.exact.add(&memory::lut_ram(family, word, rest), n);
        self.banks([word, rest], Port::Open, n, family);
    }

    /// Bits of a word with its mark.
    fn word(&self, bits: u64) -> u64 {
        bits + u64::from(self.marked)
    }

    /// Its parts: head, skid, two counts, two addresses, the RAM with a register in front of and behind it.
    pub(super) fn block_fifo(&mut self, bits: u64, depth: u64, n: f64, family: Family) {
        let (word, count) = (self.word(bits), log2(depth + 1));
        self.credit_fifo(bits, 16, n, family);
        self.fifo(bits, 4, n, family);
        self.add(Term::Fifo, n);
        self.add(Term::FifoBits, n * word as f64);
        self.add(Term::FifoCount, 2.0 * n * count as f64);
        self.exact.ff += n * (2 * word + 2 * count + 6) as f64;
        self.counter(depth, 2.0 * n);
        let ram = memory::block_ram(family, word, depth, true);
        self.exact.add(&ram.resources, n);
        self.add(Term::BlockChoice, n * ram.chosen_bits as f64);
    }

    pub(super) fn credit_fifo(&mut self, bits: u64, depth: u64, n: f64, family: Family) {
        let count = log2(depth + 1);
        self.queue([bits, depth], false, n, family);
        self.add(Term::Credit, n);
        self.add(Term::CreditCount, n * count as f64);
        self.exact.ff += n * (count + 1) as f64;
    }

    /// The choice among the cells of a memory whose word goes to a register; a block RAM needs none, but there are none in standard cells.
    pub(super) fn stored_banks(&mut self, size: [u64; 2], block: bool, n: f64, family: Family) {
        if !block || family == Family::Asic {
            self.banks(size, Port::Registered, n, family);
        }
    }

    /// Look-up tables that choose among the cells of a deep memory of so many bits and words in look-up tables.
    fn banks(&mut self, [bits, words]: [u64; 2], port: Port, n: f64, family: Family) {
        let bank = memory::bank_words(family);
        if words > bank {
            self.add(Term::RamBanks, n * bits as f64 * choice(words.div_ceil(bank), port, family));
        }
    }
}

/// What stands behind the read port of a memory in look-up tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    /// A register that takes nothing else.
    Registered,
    /// A choice between what is read and what comes.
    Open,
}

/// Look-up tables of a FIFO's counts, addresses and handshakes, by the words behind the first: a FIFO of one bit as Yosys 0.23 maps
/// it alone, less what grows with its width. Between the places a straight line.
const GLUE6: [(f64, f64); 12] = [
    (2.0, 11.0),
    (3.0, 15.0),
    (4.0, 19.0),
    (5.0, 24.0),
    (7.0, 24.0),
    (8.0, 22.0),
    (15.0, 26.0),
    (16.0, 27.0),
    (32.0, 32.0),
    (64.0, 36.0),
    (128.0, 44.0),
    (512.0, 64.0),
];
/// The same for look-up tables of four inputs on ECP5, where counts of three bits miss the carry chains.
const GLUE4: [(f64, f64); 11] = [
    (2.0, 27.0),
    (3.0, 33.0),
    (4.0, 49.0),
    (5.0, 59.0),
    (7.0, 59.0),
    (8.0, 27.0),
    (9.0, 32.0),
    (17.0, 37.0),
    (64.0, 44.0),
    (112.0, 55.0),
    (208.0, 68.0),
];

fn glue(rest: u64, family: Family) -> Option<f64> {
    let places: &[(f64, f64)] = match family {
        Family::Xc7 => &GLUE6,
        Family::Ecp5 => &GLUE4,
        Family::Xcup | Family::Ice40 | Family::Gowin | Family::Asic => return None,
    };
    Some(between(places, rest as f64))
}

/// Look-up tables for each bit that is chosen among so many cells, beside the one that an open port has anyway.
fn choice(cells: u64, port: Port, family: Family) -> f64 {
    match (family, port, cells) {
        // Multiplexers of two and four tables' outputs are free.
        (Family::Xc7, _, 0..=2) => 0.0,
        (Family::Xc7, _, 3..=8) => 2.0,
        (Family::Xc7, _, cells) => cells as f64 / 4.0,
        (Family::Ecp5, port, cells) => {
            let places: &[(f64, f64)] = if port == Port::Open { &OPEN4 } else { &REGISTERED4 };
            // A memory by itself is mapped for speed; inside a design a tree is enough.
            between(places, cells as f64).min(TREE4 * cells as f64)
        }
        (Family::Xcup | Family::Ice40 | Family::Gowin | Family::Asic, _, cells) => (cells - 1) as f64,
    }
}

/// Look-up tables of a tree for each cell that a bit is chosen among, as large designs on ECP5 have them.
const TREE4: f64 = 0.9;

/// As Yosys 0.23 maps the choice of a bit of a FIFO among so many cells of 16 words on ECP5.
const OPEN4: [(f64, f64); 8] =
    [(1.0, 0.0), (2.0, 1.0), (3.0, 2.0), (4.0, 2.0), (5.0, 9.0), (6.0, 6.0), (7.0, 9.0), (8.0, 12.0)];

/// The same of a memory whose word goes to a register, where no multiplexer of a FIFO is in the way.
const REGISTERED4: [(f64, f64); 8] =
    [(1.0, 0.0), (2.0, 1.0), (3.0, 2.0), (4.0, 4.0), (5.0, 5.0), (7.0, 5.0), (8.0, 7.0), (9.0, 12.3)];

/// The value at a place between those that are known; beyond the last it goes on as it did before.
fn between(places: &[(f64, f64)], at: f64) -> f64 {
    let above = places.iter().position(|place| place.0 >= at).unwrap_or(places.len() - 1).max(1);
    match places.get(above - 1..=above) {
        Some([(x0, y0), (x1, y1)]) => y0 + (at - x0).max(0.0) * (y1 - y0) / (x1 - x0),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::{Block, Inventory};

    #[test]
    fn between_two_places_runs_a_straight_line() {
        let places = [(2.0, 10.0), (4.0, 20.0), (8.0, 0.0)];
        for (at, value) in [(1.0, 10.0), (2.0, 10.0), (3.0, 15.0), (4.0, 20.0), (6.0, 10.0), (10.0, -10.0)] {
            assert_eq!(between(&places, at), value, "{at}");
        }
    }

    /// A FIFO of one word needs no look-up table for its bits, one of two has one for each.
    #[test]
    fn a_bit_costs_what_its_depth_says() {
        let lut = |bits: u64, depth: u64| {
            let mut counts = Counts::none();
            counts.fifo(bits, depth, 1.0, Family::Ecp5);
            counts.term(Term::FifoTwoBits) + counts.term(Term::FifoBits) + counts.term(Term::RamBanks)
        };
        let of_a_bit = |depth: u64| lut(17, depth) - lut(16, depth);
        assert_eq!([1, 2, 17, 33, 65].map(of_a_bit), [0.0, 1.0, 1.0, 2.0, 3.0]);
    }

    /// A design reads no marks of frames' ends: of 8 bits and 17 words behind the first, two cells of 16 words of 4 bits each and
    /// one register are left out.
    #[test]
    fn marks_cost_nothing_inside_a_design() {
        let mut inventory = Inventory::default();
        inventory.add(Block::Fifo { bits: 8, depth: 18 }, 1);
        let [inside, alone] = [Counts::of, Counts::alone].map(|count| count(&inventory, Family::Ecp5).exact);
        assert_eq!([inside.lut_memory, alone.lut_memory], [4.0 * 4.0, 4.0 * 6.0]);
        assert_eq!(alone.ff - inside.ff, 1.0);
    }
}
