//! Seeded frames of input codes, the extremes of the format included.

use network::{Format, Shape};

/// A stream of codes of one format from a seed.
#[derive(Clone, Debug)]
pub struct Codes {
    state: u64,
    format: Format,
}

impl Codes {
    /// The stream of `seed`.
    pub fn new(seed: u64, format: Format) -> Self {
        Codes { state: seed, format }
    }

    /// One frame in hardware order. Every eighth frame or so is constant at an extreme.
    pub fn frame(&mut self, shape: Shape) -> Vec<i32> {
        let range = self.format.code_range();
        let span = (range.max() - range.min() + 1) as u64;
        let extreme = match self.next() % 16 {
            0 => Some(range.min()),
            1 => Some(range.max()),
            _ => None,
        };
        (0..shape.elements())
            .map(|_| {
                let code = range.min() + (self.next() % span) as i64;
                extreme.unwrap_or(code) as i32
            })
            .collect()
    }

    /// The SplitMix64 generator (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
