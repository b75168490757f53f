//! How float frames enter: through the model's input quantizer.

use crate::rounding::Rounding;

/// The model's input quantizer, evaluated in float32 as QONNX's executor does:
/// code = round(clamp(x / scale + zero_point)), or code = clamp(round(x / scale) + zero_point) as onnxruntime's
/// QuantizeLinear does; they differ at ties where the zero point is odd.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputQuantizer {
    /// Real step of one code; positive and finite.
    pub scale: f32,
    /// Code (perhaps fractional) of real zero.
    pub zero_point: f32,
    /// Rounding mode.
    pub rounding: Rounding,
    /// Least code; above the format's own for narrow ranges.
    pub code_min: i64,
    /// Greatest code.
    pub code_max: i64,
    /// Whether x / scale is rounded before the zero point (a whole one) is added.
    pub rounds_first: bool,
}

impl InputQuantizer {
    /// The code of a real number; `None` for NaN.
    pub fn code(&self, value: f32) -> Option<i64> {
        let steps = value / self.scale;
        if self.rounds_first {
            // The cast saturates far from every code.
            let code = (self.rounding.apply(steps) as i64).saturating_add(self.zero_point as i64);
            return (!steps.is_nan()).then(|| code.clamp(self.code_min, self.code_max));
        }
        let scaled = steps + self.zero_point;
        if scaled.is_nan() {
            return None;
        }
        let clamped = scaled.clamp(self.code_min as f32, self.code_max as f32);
        Some(self.rounding.apply(clamped) as i64)
    }

    /// The real number that a code stands for.
    pub fn real(&self, code: i64) -> f64 {
        (code as f64 - f64::from(self.zero_point)) * f64::from(self.scale)
    }
}
