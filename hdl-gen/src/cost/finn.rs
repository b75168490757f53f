//! The look-up tables that FINN's formula counts for a dense or convolution layer, for comparison.
//!
//! The formula is that of FINN's matrix-vector unit (`MVAU`, its resource estimation for look-up tables): per PE the
//! multipliers, the adder tree, the accumulator and the thresholds with their comparators, and the weights where they
//! lie in look-up tables. It knows neither registers, nor weight values, nor sharing.

/// What the formula depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FinnLayer {
    /// Outputs computed at once.
    pub pe: u64,
    /// Inputs taken at once.
    pub simd: u64,
    /// Bits of a weight.
    pub weight_bits: u64,
    /// Bits of an activation.
    pub activation_bits: u64,
    /// Whether activations are signed.
    pub signed_input: bool,
    /// Bits of an output code; absent where sums leave.
    pub output_bits: Option<u64>,
    /// Length of a dot product.
    pub length: u64,
    /// Outputs.
    pub outputs: u64,
    /// Bits of the accumulator.
    pub accumulator_bits: u64,
    /// Products are made in DSP blocks.
    pub dsp: bool,
    /// Weights lie in look-up tables.
    pub lut_weights: bool,
}

impl FinnLayer {
    /// Look-up tables.
    pub fn lut(&self) -> u64 {
        let real = |number: u64| number as f64;
        let (pe, simd) = (real(self.pe), real(self.simd));
        let both = self.weight_bits + self.activation_bits;
        let multipliers = if self.dsp { 0.0 } else { simd * real((2 * both.div_ceil(6)).saturating_sub(1) * both) };
        let tree = real(both) * (2.0 * simd - 1.0);
        let lower = real(self.length).log2() + real(both) - 1.0 - f64::from(u8::from(self.signed_input));
        let accumulator = real(self.accumulator_bits).min((lower + (1.0 + (-lower).exp2()).log2() + 1.0).ceil());
        let thresholds = self.output_bits.map_or(0.0, |bits| {
            let steps = real((1 << bits.min(62)) - 1);
            steps * accumulator * real((self.outputs / self.pe).div_ceil(64)) + steps * accumulator
        });
        let words = (self.length * self.outputs / (self.pe * self.simd)).div_ceil(64);
        let weights = if self.lut_weights { pe * simd * real(self.weight_bits * words) } else { 0.0 };
        (300.0 + 1.1 * pe * (multipliers + tree + accumulator + thresholds) + weights) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked by hand: 4 bits by 4 bits, 8 lanes, one PE, accumulator of 12 bits, no codes, weights in block RAM.
    #[test]
    fn the_formula_by_hand() {
        let layer = FinnLayer {
            pe: 1,
            simd: 8,
            weight_bits: 4,
            activation_bits: 4,
            signed_input: false,
            output_bits: None,
            length: 64,
            outputs: 16,
            accumulator_bits: 12,
            dsp: false,
            lut_weights: false,
        };
        // 8 lanes x (2 x 2 - 1) x 8 = 192; tree 8 x 15 = 120; accumulator 12: 300 + 1.1 x 324 = 656.4.
        assert_eq!(layer.lut(), 656);
        // 3 thresholds of 12 bits with their comparators: 72 more; 128 words in look-up tables: 8 x 4 x 2 = 64 more.
        assert_eq!(FinnLayer { output_bits: Some(2), lut_weights: true, ..layer }.lut(), 799);
    }
}
