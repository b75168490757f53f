//! How coded weights lie in the words of a layer's weight memory, one word for each step.

use network::coding::{Piecewise, Wavelet};
use num_integer::gcd;

/// A word of piecewise weights: codes of all lanes, PE by PE, each as wide as the widest region, then tags.
///
/// Lanes of a step that belong to one group whatever the step share a tag: as many as group and SIMD have as greatest
/// common divisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TagLayout {
    pub pe: u64,
    pub simd: u64,
    /// Lanes that share a tag.
    pub shared: u64,
    pub tag_bits: u32,
    pub code_bits: u32,
}

impl TagLayout {
    pub fn new(regions: &Piecewise, pe: u64, simd: u64) -> Self {
        let shared = gcd(regions.group(), simd);
        TagLayout { pe, simd, shared, tag_bits: regions.tag_bits(), code_bits: regions.code_bits() }
    }

    /// Tags of a word.
    pub fn tags(&self) -> u64 {
        self.pe * self.simd / self.shared
    }

    pub fn word_bits(&self) -> u64 {
        self.pe * self.simd * u64::from(self.code_bits) + self.tags() * u64::from(self.tag_bits)
    }
}

/// A word of wavelet weights: the codes of one sub-band for all blocks of the step, then those of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockLayout {
    /// Blocks above each other, and side by side.
    pub rows: u64,
    pub columns: u64,
    pub widths: [u32; 4],
}

impl BlockLayout {
    pub fn new(wavelet: &Wavelet, pe: u64, simd: u64) -> Self {
        BlockLayout { rows: pe.div_ceil(2), columns: simd.div_ceil(2), widths: wavelet.widths() }
    }

    pub fn blocks(&self) -> u64 {
        self.rows * self.columns
    }

    pub fn word_bits(&self) -> u64 {
        self.blocks() * self.widths.iter().map(|&width| u64::from(width)).sum::<u64>()
    }

    /// Lowest bit of a sub-band's codes.
    pub fn start(&self, band: usize) -> u64 {
        self.blocks() * self.widths.iter().take(band).map(|&width| u64::from(width)).sum::<u64>()
    }
}
