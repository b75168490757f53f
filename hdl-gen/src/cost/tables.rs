//! Memories of constants: tables in look-up tables, by what they hold, or block RAM.

use super::inventory::BLOCK_WORDS;
use super::{Counts, Family, TableContents, Term};

impl Counts {
    /// A memory of so many bits, words and register stages, in block RAM or in look-up tables.
    pub(super) fn rom(
        &mut self,
        [bits, depth, cycles]: [u64; 3],
        block: bool,
        contents: Option<TableContents>,
        n: f64,
        family: Family,
    ) {
        if depth <= 1 {
            return;
        }
        // Standard cells have no memories: constants become logic.
        if block && family != Family::Asic {
            // Synthesis leaves out bits that are the same in all words; an image has whole digits of four bits.
            let kept = contents
                .filter(|_| depth <= BLOCK_WORDS)
                .map_or(bits, |contents| bits.next_multiple_of(4).saturating_sub(contents.constant));
            if kept > 0 {
                self.store(kept, depth, true, false, n, family);
            }
            self.exact.ff += n * (kept * (cycles - 1)) as f64;
            return;
        }
        let real = |number: u64| number as f64;
        let live = contents.map_or_else(|| likely_live(bits, depth), |contents| real(contents.live));
        // Pieces of random words hardly ever repeat.
        let likely = [16, 64, 256].map(|words| live * real(depth.div_ceil(words)));
        let [small, middle, large] = contents.map_or(likely, |contents| contents.pieces.map(real));
        self.exact.ff += n * live * real(cycles);
        self.exact.memory_bits += n * real(bits * depth);
        match depth {
            2 => self.add(Term::Rom2, n * live),
            3..=4 => self.add(Term::Rom4, n * live),
            _ => self.add(Term::Rom16, n * small.min(live * real(depth.div_ceil(16)))),
        }
        if depth > 16 {
            self.add(Term::Rom64, n * middle);
        }
        if depth > 64 {
            self.add(Term::Rom256, n * large);
        }
        if depth > 256 {
            self.add(Term::RomWide, n * live * real(depth) / 256.0);
        }
    }
}

/// Columns of random words that differ: those with the same constants are one, and of 2^depth there are two that never change.
fn likely_live(bits: u64, depth: u64) -> f64 {
    let kinds = 2f64.powi(depth.min(60) as i32);
    let columns = bits as f64;
    // 1 - (1 - 1/kinds)^columns, where 1/kinds may vanish beside 1.
    ((kinds - 2.0) * -(columns * (-1.0 / kinds).ln_1p()).exp_m1()).min(columns)
}
