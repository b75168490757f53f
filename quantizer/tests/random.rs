//! Random tables of tests.

/// Random numbers that are the same everywhere.
pub struct Random(pub u64);

impl Random {
    /// From 0 to below 1.
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64
    }

    /// From 0 to below `most`.
    pub fn below(&mut self, most: usize) -> usize {
        (self.next() * most as f64) as usize
    }
}
