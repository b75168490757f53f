//! Random frames and weights from a seed.

use crate::model::{Array, Data, MATRIX_OPERATORS, Model};
use network::Format;

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) struct Generator(pub u64);

impl Generator {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in (0, 1].
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal, by Box and Muller.
    fn normal(&mut self) -> f32 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        (radius * (std::f64::consts::TAU * self.unit()).cos()) as f32
    }
}

/// Standard normal numbers.
pub(crate) fn normal(seed: u64, count: usize) -> Vec<f32> {
    let mut generator = Generator(seed);
    (0..count).map(|_| generator.normal()).collect()
}

/// Uniform values of a format.
pub(super) fn codes(seed: u64, count: usize, format: Format) -> Vec<f32> {
    let (mut generator, range) = (Generator(seed), format.value_range());
    let span = (range.max() - range.min() + 1).max(1) as u64;
    (0..count).map(|_| (range.min() + (generator.next() % span) as i64) as f32).collect()
}

/// Replaces the weights of every matrix operator by normal ones whose sums keep the size of their inputs (He 2015).
pub(super) fn replace_weights(model: &mut Model, seed: u64) {
    let mut generator = Generator(seed);
    for node in model.nodes.iter().filter(|node| MATRIX_OPERATORS.contains(&node.op.as_str())) {
        for &id in node.inputs.iter().take(2).flatten() {
            let Some(Array { dims, data: Data::Float(data) }) = model.constants.get_mut(&id) else { continue };
            let inputs: usize = match node.op.as_str() {
                "Conv" => dims.iter().skip(1).product(),
                _ => dims.first().copied().unwrap_or(1),
            };
            let size = (2.0 / inputs.max(1) as f32).sqrt();
            data.iter_mut().for_each(|value| *value = generator.normal() * size);
        }
    }
}
