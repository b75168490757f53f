//! What onnxruntime's integer kernels do with a sum, in float32: monotone, so it is given by its boundaries.

/// code = zero_point + half-even(clamp(f32(f32(n) * multiplier) / divisor)), as MLAS requantizes (n is the sum with
/// its bias, multiplier f32(f32(sx * sw) / sy), divisor 1) and as QuantizeLinear follows DequantizeLinear (n is the
/// code less its zero point, multiplier sx, divisor sy).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Kernel {
    /// Positive and finite.
    pub multiplier: f32,
    /// Positive and finite.
    pub divisor: f32,
    /// Code of real zero; inside `low` to `high`.
    pub zero_point: i64,
    /// Least code.
    pub low: i64,
    /// Greatest code.
    pub high: i64,
}

/// Beyond every sum.
const FAR: i64 = 1 << 40;

impl Kernel {
    /// The code of an integer.
    pub fn code(&self, n: i64) -> i64 {
        let value = n as f32 * self.multiplier / self.divisor;
        let clamped = value.clamp((self.low - self.zero_point) as f32, (self.high - self.zero_point) as f32);
        clamped.round_ties_even() as i64 + self.zero_point
    }

    /// For each code above the least one the least integer that reaches it, in ascending order; beyond 2^40 where
    /// that is always, or never, so.
    pub fn boundaries(&self) -> Vec<i64> {
        let step = f64::from(self.divisor) / f64::from(self.multiplier);
        let guess = |code: i64| ((code - self.zero_point) as f64 - 0.5) * step;
        (self.low + 1..=self.high).map(|code| self.boundary(code, guess(code))).collect()
    }

    /// The least integer that reaches `code`, searched from a guess outwards.
    fn boundary(&self, code: i64, guess: f64) -> i64 {
        let start = guess.clamp(-FAR as f64, FAR as f64) as i64;
        let (mut missed, mut reached) = (start, start);
        let mut stride = 1;
        while missed > -FAR && self.code(missed) >= code {
            reached = missed;
            missed = (missed - stride).max(-FAR);
            stride *= 2;
        }
        if self.code(missed) >= code {
            return -FAR;
        }
        stride = 1;
        while reached < FAR && self.code(reached) < code {
            missed = reached;
            reached = (reached + stride).min(FAR);
            stride *= 2;
        }
        while reached - missed > 1 {
            let middle = missed + (reached - missed) / 2;
            if self.code(middle) >= code { reached = middle } else { missed = middle }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn boundaries_count_to_the_code(
            multiplier in 1e-4f32..2.0, divisor in prop_oneof![Just(1.0f32), 0.01f32..3.0],
            zero_point in -20i64..20, span in 1i64..40, below in 0i64..20,
        ) {
            let low = zero_point - below;
            let kernel = Kernel { multiplier, divisor, zero_point, low, high: (low + span).max(zero_point) };
            let boundaries = kernel.boundaries();
            for n in -3000i64..3000 {
                let value = (n as f32 * multiplier / divisor).round_ties_even() as i64 + zero_point;
                let expected = value.clamp(kernel.low, kernel.high);
                let counted = low + boundaries.iter().filter(|boundary| n >= **boundary).count() as i64;
                prop_assert_eq!(counted, expected, "{} {:?}", n, kernel);
            }
        }
    }

    #[test]
    fn boundaries_that_are_never_met() {
        let kernel = Kernel { multiplier: 1e-30, divisor: 1.0, zero_point: 0, low: -1, high: 1 };
        assert_eq!(kernel.boundaries(), [-FAR, FAR]);
    }
}
