//! Kernel density of weights: how much of them lies inside a range.

/// Bins of magnitudes beyond which samples are gathered.
const BINS: usize = 1024;

/// Silverman's bandwidth for `count` samples of standard deviation `sigma` (HMPTQ equation 16):
/// (4 sigma^5 / (3 N))^(1/5).
pub fn silverman_bandwidth(sigma: f64, count: usize) -> f64 {
    (4.0 * sigma.powi(5) / (3.0 * count.max(1) as f64)).powf(0.2)
}

/// The distribution function of the standard normal.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// A symmetric kernel density with Gaussian kernels (HMPTQ equation 15). More than 1024 samples are gathered in so many
/// bins of their magnitude, each at its mean.
#[derive(Clone, Debug)]
pub struct Density {
    /// Magnitudes with their number.
    samples: Vec<(f64, f64)>,
    count: f64,
    bandwidth: f64,
}

impl Density {
    /// The density of samples, with Silverman's bandwidth; `None` where they are all equal, since they have no
    /// bandwidth then.
    pub fn new(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let bandwidth = silverman_bandwidth(variance.sqrt(), values.len());
        let most = values.iter().fold(0f64, |most, value| most.max(value.abs()));
        if bandwidth.is_nan() || bandwidth <= 0.0 || !most.is_finite() {
            return None;
        }
        let samples = if values.len() <= BINS {
            values.iter().map(|value| (value.abs(), 1.0)).collect()
        } else {
            let mut bins = vec![(0.0, 0.0); BINS];
            for value in values {
                let bin = ((value.abs() / most * BINS as f64) as usize).min(BINS - 1);
                bins[bin].0 += value.abs();
                bins[bin].1 += 1.0;
            }
            bins.into_iter().filter(|bin| bin.1 > 0.0).map(|(sum, number)| (sum / number, number)).collect()
        };
        Some(Density { samples, count, bandwidth })
    }

    /// The bandwidth.
    pub fn bandwidth(&self) -> f64 {
        self.bandwidth
    }

    /// The part that lies between -b and b: F(b) - F(-b) with F(r) the mean of Phi((r - r_i) / h).
    pub fn mass(&self, b: f64) -> f64 {
        let part = |&(at, number): &(f64, f64)| {
            number * (normal_cdf((b - at) / self.bandwidth) - normal_cdf((-b - at) / self.bandwidth))
        };
        self.samples.iter().map(part).sum::<f64>() / self.count
    }

    /// The b between whose negative and itself the part `mass` lies.
    pub fn symmetric_quantile(&self, mass: f64) -> f64 {
        let most = self.samples.iter().fold(0f64, |most, sample| most.max(sample.0));
        let (mut low, mut high) = (0.0, most + 10.0 * self.bandwidth);
        for _ in 0..40 {
            let middle = (low + high) / 2.0;
            if self.mass(middle) < mass { low = middle } else { high = middle }
        }
        (low + high) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::normal_numbers;
    use super::*;

    /// Figures of HMPTQ's rule: h = 1.05922 sigma N^(-1/5).
    #[test]
    fn silvermans_constants() {
        assert!((silverman_bandwidth(1.0, 1000) - 0.26606).abs() < 1e-5);
        assert!((silverman_bandwidth(1.0, 100_000) - 0.10592).abs() < 1e-5);
        assert!((silverman_bandwidth(2.5, 1000) / 2.5 - 1.05922 * 1000f64.powf(-0.2)).abs() < 1e-5);
    }

    /// Quantiles of a Gaussian, which a density over N samples of it widens by sqrt(1 + (h / sigma)^2).
    #[track_caller]
    fn check(count: usize, mass: f64, expected: f64) {
        let density = Density::new(&normal_numbers(count)).unwrap();
        let widened = expected * (1.0 + density.bandwidth().powi(2)).sqrt();
        let found = density.symmetric_quantile(mass);
        assert!((found - widened).abs() < 0.01 * widened, "{count} {mass}: {found}, {widened}");
        assert!((density.mass(found) - mass).abs() < 1e-9);
    }

    #[test]
    fn quantiles_of_a_gaussian() {
        for count in [2000, 20_000] {
            check(count, 0.85, 1.4395);
            check(count, 0.95, 1.9600);
            check(count, 0.15, 0.1891);
            check(count, 0.05, 0.0627);
        }
    }

    #[test]
    fn equal_samples_have_no_density() {
        assert!(Density::new(&[0.5; 10]).is_none());
        assert!(Density::new(&[]).is_none());
    }
}
