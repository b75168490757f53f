//! How families build memories: what Yosys maps a memory of so many words and bits to.

use super::{Family, Resources};

/// One way to use a block RAM: so many words of so many bits, and what it counts in halves of the family's block.
struct Aspect {
    words: u64,
    bits: u64,
    halves: f64,
    /// Yosys's own cost of the cell, by which it chooses.
    cost: u64,
}

/// Share of a block RAM that Yosys uses at least.
const LEAST_USE: f64 = 0.02;
const ICE40_BLOCK_BITS: f64 = 4096.0;

/// A memory that is written, with a read port that needs no clock.
pub fn lut_ram(family: Family, bits: u64, words: u64) -> Resources {
    let mut resources = Resources { memory_bits: (bits * words) as f64, ..Resources::default() };
    match family {
        // RAM32M holds 32 words of 6 bits, RAM64M 64 words of 3 bits; both take four look-up tables.
        Family::Xc7 => {
            let cells = if words <= 32 { bits.div_ceil(6) } else { words.div_ceil(64) * bits.div_ceil(3) };
            resources.lut_memory = 4.0 * cells as f64;
        }
        // RAM32M16 holds 32 words of 14 bits, RAM64M8 64 words of 7 bits; both take eight.
        Family::Xcup => {
            let cells = if words <= 32 { bits.div_ceil(14) } else { words.div_ceil(64) * bits.div_ceil(7) };
            resources.lut_memory = 8.0 * cells as f64;
        }
        // TRELLIS_DPR16X4 and RAM16SDP4 hold 16 words of 4 bits in four look-up tables.
        Family::Ecp5 | Family::Gowin => {
            resources.lut_memory = 4.0 * (bits.div_ceil(4) * words.div_ceil(16)) as f64;
        }
        // No look-up table is a memory here: a block RAM that is used well enough takes the words, else registers do.
        Family::Ice40 => {
            let block = block_ram(family, bits, words, true).resources;
            match (bits * words) as f64 >= LEAST_USE * block.bram18 * ICE40_BLOCK_BITS {
                true => resources.bram18 = block.bram18,
                false => resources.ff = (bits * words) as f64,
            }
        }
        Family::Asic => resources.ff = (bits * words) as f64,
    }
    resources
}

/// A memory that lies in block RAM: what it takes, and the bits that choose among its rows.
pub struct BlockRam {
    /// What it takes.
    pub resources: Resources,
    /// Bits of a word times the rows beyond the first that the word is chosen from.
    pub chosen_bits: u64,
}

/// A memory in block RAM. Where it has more words than a block, Yosys stores several rows side by side and chooses
/// behind the block; what is written needs whole bytes of nine bits for each row.
pub fn block_ram(family: Family, bits: u64, words: u64, written: bool) -> BlockRam {
    let mut resources = Resources { memory_bits: (bits * words) as f64, ..Resources::default() };
    let use_of = |aspect: &Aspect| {
        let rows = words.div_ceil(aspect.words);
        let row_bits = match (written && rows > 1, aspect.bits.is_multiple_of(9)) {
            (false, _) => bits,
            (true, true) => bits.next_multiple_of(9),
            (true, false) => bits.next_multiple_of(aspect.bits),
        };
        ((rows * row_bits).div_ceil(aspect.bits), (rows - 1) * bits)
    };
    let score = |aspect: &Aspect| {
        let (cells, chosen_bits) = use_of(aspect);
        2 * cells * aspect.cost + chosen_bits
    };
    let aspects = aspects(family);
    let Some(best) = aspects.iter().min_by_key(|aspect| score(aspect)) else {
        resources.ff = (bits * words) as f64;
        return BlockRam { resources, chosen_bits: 0 };
    };
    let (cells, chosen_bits) = use_of(best);
    resources.bram18 = cells as f64 * best.halves;
    BlockRam { resources, chosen_bits }
}

fn aspects(family: Family) -> Vec<Aspect> {
    let powers = |least_bits: u64, most: u32, words: u64, ninth: bool, halves: f64, cost: u64| -> Vec<Aspect> {
        let aspect = |step: u32| {
            let plain = least_bits << step;
            let bits = if ninth && plain >= 8 { plain / 8 * 9 } else { plain };
            Aspect { words: words >> step, bits, halves, cost }
        };
        (0..=most).map(aspect).collect()
    };
    match family {
        Family::Xc7 | Family::Xcup => {
            let mut all = powers(1, 5, 1 << 14, true, 1.0, 129);
            all.extend(powers(1, 6, 1 << 15, true, 2.0, 257));
            all
        }
        Family::Ecp5 | Family::Gowin => powers(1, 5, 1 << 14, true, 1.0, 128),
        Family::Ice40 => powers(2, 3, 1 << 11, false, 1.0, 64),
        Family::Asic => Vec::new(),
    }
}

/// Whether a FIFO of so many bits and words keeps a mark beside them that nothing reads: its memory has a cell that holds the mark
/// and other bits.
pub fn keeps_mark(family: Family, bits: u64, depth: u64) -> bool {
    let words = depth.saturating_sub(1);
    let cell_bits = match (family, words <= 32) {
        (Family::Xc7, true) => 6,
        (Family::Xc7, false) => 3,
        (Family::Xcup, true) => 14,
        (Family::Xcup, false) => 7,
        (Family::Ecp5 | Family::Gowin, _) => 4,
        (Family::Ice40 | Family::Asic, _) => return false,
    };
    words > 1 && !bits.is_multiple_of(cell_bits)
}

/// Whether registers in a row without reset become a shift register in look-up tables.
pub fn has_shift_registers(family: Family) -> bool {
    matches!(family, Family::Xc7 | Family::Xcup)
}

/// Words that one memory cell of look-up tables holds; several are chosen among behind them. Registers hold one.
pub fn bank_words(family: Family) -> u64 {
    match family {
        Family::Xc7 | Family::Xcup => 64,
        Family::Ecp5 | Family::Gowin => 16,
        // Block RAM takes what is large.
        Family::Ice40 => u64::MAX,
        Family::Asic => 1,
    }
}

/// Whether DSP blocks hold the registers of their operands and of their product.
pub fn has_dsp_registers(family: Family) -> bool {
    matches!(family, Family::Xc7 | Family::Xcup)
}

/// Whether look-up tables have six inputs.
pub fn has_six_inputs(family: Family) -> bool {
    matches!(family, Family::Xc7 | Family::Xcup)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bits: u64, words: u64, halves: f64) {
        let found = block_ram(Family::Xc7, bits, words, false).resources.bram18;
        assert_eq!(found, halves, "{words} words of {bits} bits");
    }

    /// As Yosys 0.23 maps the weights of an example: 13 rows of 512 words side by side in three blocks of 36 bits.
    #[test]
    fn ecp5_stores_rows_side_by_side() {
        assert_eq!(block_ram(Family::Ecp5, 8, 6272, false).resources.bram18, 3.0);
        assert_eq!(block_ram(Family::Ecp5, 36, 512, false).resources.bram18, 1.0);
    }

    /// Five bits and a mark share a cell of six bits, six do not; a FIFO of two words has no memory.
    #[test]
    fn a_mark_is_kept_beside_other_bits() {
        let kept = |family, bits| keeps_mark(family, bits, 5);
        assert_eq!([5, 6, 8, 12].map(|bits| kept(Family::Xc7, bits)), [true, false, true, false]);
        assert_eq!([5, 6, 8, 12].map(|bits| kept(Family::Ecp5, bits)), [true, true, false, false]);
        assert!(!keeps_mark(Family::Xc7, 5, 2) && keeps_mark(Family::Xc7, 5, 3) && keeps_mark(Family::Xc7, 4, 40));
    }

    /// As Yosys 0.23 maps them: RAMB18E1 counts one half, RAMB36E1 two.
    #[test]
    fn block_ram_takes_the_cheapest_aspect() {
        check(36, 512, 1.0);
        check(37, 512, 2.0);
        check(72, 512, 2.0);
        check(18, 1024, 1.0);
        check(18, 1025, 2.0);
        check(48, 24, 2.0);
        check(1, 16384, 1.0);
        // 13 rows of 512 words stand side by side in three blocks of 36 bits.
        check(8, 6272, 3.0);
    }
}
