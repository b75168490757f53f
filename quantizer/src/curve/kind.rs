//! Activation functions with their slopes, as ONNX defines them.

use super::entry;
use super::interval::{Interval, Tangent};

/// An activation function of one number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    Tanh,
    Exp,
    /// The error function.
    Erf,
    /// ln(1 + exp(x)).
    Softplus,
    /// x / (1 + |x|).
    Softsign,
    /// |x|.
    Abs,
    /// x, below zero slope * x; one slope for each channel or one for all.
    Leaky(Vec<f64>),
    /// scale * x, below zero scale * alpha * (exp(x / width) - 1).
    Exponential {
        scale: f64,
        alpha: f64,
        width: f64,
    },
}

impl Kind {
    /// Channels that there are parameters for.
    pub fn channels(&self) -> usize {
        match self {
            Kind::Leaky(slopes) => slopes.len(),
            _ => 1,
        }
    }

    /// Whether the function never falls.
    pub fn rises(&self) -> bool {
        match self {
            Kind::Sigmoid | Kind::Tanh | Kind::Exp | Kind::Erf | Kind::Softplus | Kind::Softsign => true,
            Kind::Abs => false,
            Kind::Leaky(slopes) => slopes.iter().all(|slope| *slope >= 0.0),
            Kind::Exponential { scale, alpha, width } => *scale >= 0.0 && alpha * width >= 0.0,
        }
    }

    /// The function's value.
    pub fn at(&self, channel: usize, x: f64) -> f64 {
        match self {
            Kind::Sigmoid => sigmoid(x),
            Kind::Tanh => x.tanh(),
            Kind::Exp => x.exp(),
            Kind::Erf => erf(x),
            Kind::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Kind::Softsign => x / (1.0 + x.abs()),
            Kind::Abs => x.abs(),
            Kind::Leaky(slopes) => {
                if x < 0.0 {
                    x * entry(slopes, channel)
                } else {
                    x
                }
            }
            Kind::Exponential { scale, alpha, width } => {
                if x < 0.0 {
                    scale * alpha * (x / width).exp_m1()
                } else {
                    scale * x
                }
            }
        }
    }

    /// Bounds over an interval.
    pub fn over(&self, channel: usize, x: Tangent) -> Tangent {
        let Interval { low, high } = x.value;
        let (below, above) = (low < 0.0, high >= 0.0);
        let mut value = Interval::new(self.at(channel, low), self.at(channel, high));
        // Slopes that are greatest at zero and fall to both sides.
        let peaked = |slope: &dyn Fn(f64) -> f64| {
            let ends = Interval::new(slope(low), slope(high));
            if x.value.contains(0.0) { ends.union(Interval::new(slope(0.0), slope(0.0))) } else { ends }
        };
        let sides = |left: Interval, right: Interval| match (below, above) {
            (true, true) => left.union(right),
            (true, false) => left,
            (false, _) => right,
        };
        let one = |number: f64| Interval::new(number, number);
        let slope = match self {
            Kind::Sigmoid => peaked(&|x| sigmoid(x) * sigmoid(-x)),
            Kind::Tanh => peaked(&|x| 1.0 / (x.cosh() * x.cosh())),
            Kind::Exp => Interval::new(low.exp(), high.exp()),
            Kind::Erf => peaked(&|x| 2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp()),
            Kind::Softplus => Interval::new(sigmoid(low), sigmoid(high)),
            Kind::Softsign => peaked(&|x: f64| (1.0 + x.abs()).powi(-2)),
            Kind::Abs => {
                if x.value.contains(0.0) {
                    value = value.union(one(0.0));
                }
                sides(one(-1.0), one(1.0))
            }
            Kind::Leaky(slopes) => {
                if x.value.contains(0.0) {
                    value = value.union(one(0.0));
                }
                sides(one(*entry(slopes, channel)), one(1.0))
            }
            Kind::Exponential { scale, alpha, width } => {
                if x.value.contains(0.0) {
                    value = value.union(one(0.0));
                }
                let left = |x: f64| scale * alpha / width * (x / width).exp();
                sides(Interval::new(left(low), left(high.min(0.0))), one(*scale))
            }
        };
        x.then(value, slope)
    }
}

fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let power = x.exp();
        power / (1.0 + power)
    }
}

/// 2 / sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (1 3 5 .. (2n+1)) (DLMF 7.6.2), whose terms all have one sign; 1 beyond 6.
fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut divisor) = (x, x, 1.0);
    while term.abs() > sum.abs() * 1e-17 {
        divisor += 2.0;
        term *= 2.0 * x * x / divisor;
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values() {
        // Abramowitz and Stegun, tables 7.1 and 4.4; 1 / (1 + e^-1) and ln(1 + e) to 12 digits.
        for (x, expected) in
            [(0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265_0), (-1.0, -0.842_700_792_9)]
        {
            assert!((erf(x) - expected).abs() < 1e-10, "{x}");
        }
        assert!((Kind::Sigmoid.at(0, 1.0) - 0.731_058_578_630).abs() < 1e-12);
        assert!((Kind::Softplus.at(0, 1.0) - 1.313_261_687_518).abs() < 1e-12);
        let elu = Kind::Exponential { scale: 1.0, alpha: 1.0, width: 1.0 };
        assert!((elu.at(0, -1.0) + 0.632_120_558_829).abs() < 1e-12);
    }

    #[test]
    fn bounds_hold_values_and_slopes() {
        let kinds = [
            Kind::Sigmoid,
            Kind::Tanh,
            Kind::Exp,
            Kind::Erf,
            Kind::Softplus,
            Kind::Softsign,
            Kind::Abs,
            Kind::Leaky(vec![0.1]),
            Kind::Leaky(vec![-0.3]),
            Kind::Exponential { scale: 1.05, alpha: 1.67, width: 2.0 },
        ];
        for kind in kinds {
            for (low, high) in [(-3.0, -1.0), (-2.0, 1.5), (-0.5, 4.0), (0.25, 2.0), (-20.0, 30.0)] {
                let bounds = kind.over(0, Tangent::identity(Interval::new(low, high)));
                for step in 0..1000 {
                    let (x, next) = (
                        low + (high - low) * f64::from(step) / 1000.0,
                        low + (high - low) * f64::from(step + 1) / 1000.0,
                    );
                    let (y, z) = (kind.at(0, x), kind.at(0, next));
                    let slack = 1e-9 * (1.0 + y.abs());
                    assert!(bounds.value.low - slack <= y && y <= bounds.value.high + slack, "{kind:?} at {x}");
                    let slope = (z - y) / (next - x);
                    assert!(
                        bounds.slope.low - 1e-6 <= slope && slope <= bounds.slope.high + 1e-6 * (1.0 + slope.abs()),
                        "{kind:?} at {x}"
                    );
                }
            }
        }
    }
}
