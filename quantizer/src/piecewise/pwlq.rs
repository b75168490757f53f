//! PWLQ: two regions of equal width, the middle [-p, p] and the two tails beyond, cut at a breakpoint p.

use super::magnitudes::Magnitudes;
use super::{CodedWeights, Matrix, RoundScale, normal_cdf, quantize};
use network::coding::Piecewise;

/// How the breakpoint is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BreakpointRule {
    /// The stationary point for normal weights.
    Gaussian,
    /// The closed approximation for Laplace weights.
    Laplace,
    /// Least error over all breakpoints that integer multipliers can state.
    Search,
    /// A part of the largest magnitude, above 0 and below 1.
    Fixed(f64),
}

/// The best breakpoint for a standard normal cut at `m`: the root of p - 2m + 2m F(p) + m f(p) (2p - m).
pub fn gaussian_breakpoint(m: f64) -> f64 {
    let density = |p: f64| (-p * p / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let slope = |p: f64| p - 2.0 * m + 2.0 * m * normal_cdf(p) + m * density(p) * (2.0 * p - m);
    // Below the root the slope of the error is negative, above it positive, up to half the range.
    let (mut low, mut high) = (1e-9, m / 2.0);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if slope(middle) < 0.0 { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// The approximation for Laplace weights of unit variance: 0.80304483 sqrt(m) - 0.3166786.
pub fn laplace_breakpoint(m: f64) -> f64 {
    (0.803_044_83 * m.sqrt() - 0.316_678_6).clamp(1e-6, m / 2.0)
}

/// Error of the two regions relative to plain codes of the same width, for a standard normal cut at `m`:
/// ([F(p) - F(-p)] p^2 + 2 [F(m) - F(p)] (m - p)^2) / m^2.
pub fn relative_error(m: f64, p: f64) -> f64 {
    let inside = normal_cdf(p) - normal_cdf(-p);
    // As the paper has it, all of the density lies inside the range.
    ((inside * p * p) + (1.0 - inside) * (m - p).powi(2)) / (m * m)
}

/// Quantizes a layer with regions of `bits` each and a tag of one bit; `None` where plain codes of `bits` are as good
/// or `bits` is outside 2 to 8.
///
/// The middle has a step of `fine` base steps, the tails start at its last code and have an integer step, so the
/// breakpoint is fine / (fine + step) of the range. Where several weights share a tag, the outer region holds small ones
/// too, so it spans the whole range with steps of fine + step: the paper's overlapping variant.
pub fn pwlq(
    matrix: Matrix<'_>,
    bits: u32,
    rule: BreakpointRule,
    group: u64,
    round_scale: RoundScale<'_>,
) -> Option<CodedWeights<Piecewise>> {
    let fine: i64 = match bits {
        2..=4 => 4,
        5..=6 => 2,
        7..=8 => 1,
        _ => return None,
    };
    let levels = (1i64 << (bits - 1)) - 1;
    let magnitudes = Magnitudes::of(matrix);
    let steps = 1..=16 * fine;
    let error = |step: i64| {
        let unit = 1.0 / ((fine + step) * levels) as f64;
        let (edge, levels) = (fine as f64 * unit * levels as f64, levels as f64);
        magnitudes.error((0.0, edge), 0.0, fine as f64 * unit, levels)
            + magnitudes.error((edge, f64::INFINITY), edge, step as f64 * unit, levels)
    };
    let of_breakpoint = |part: f64| {
        let step = (fine as f64 * (1.0 / part - 1.0)).round();
        (step as i64).clamp(*steps.start(), *steps.end())
    };
    let coded = |step: i64| {
        let outer = if group > 1 { (fine + step, 0) } else { (step, fine * levels) };
        let format = Piecewise::new(vec![bits; 2], vec![fine, outer.0], vec![0, outer.1], group).ok()?;
        let part = fine as f64 / (fine + step) as f64;
        Some(quantize(matrix, &format, &[part], (fine + step) * levels, round_scale))
    };
    let whole_error = |coded: &CodedWeights<Piecewise>| coded.mean_squared_error(matrix) * matrix.values.len() as f64;
    if group > 1 && rule == BreakpointRule::Search {
        let found = steps.clone().filter_map(coded).map(|coded| (whole_error(&coded), coded));
        let (error, coded) = found.min_by(|a, b| a.0.total_cmp(&b.0))?;
        return (error < magnitudes.plain_error(bits)).then_some(coded);
    }
    let step = match rule {
        BreakpointRule::Search => steps.clone().min_by(|a, b| error(*a).total_cmp(&error(*b)))?,
        BreakpointRule::Fixed(part) if part > 0.0 && part < 1.0 => of_breakpoint(part),
        BreakpointRule::Fixed(_) => return None,
        BreakpointRule::Gaussian | BreakpointRule::Laplace => {
            // The range in standard deviations, rows divided by their largest magnitude.
            let squares = matrix.rows().flat_map(|row| {
                let most = row.iter().fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
                row.iter().map(move |value| (value / most).powi(2))
            });
            let m = 1.0 / (squares.sum::<f64>() / matrix.values.len().max(1) as f64).sqrt().max(1e-9);
            let p = if rule == BreakpointRule::Gaussian { gaussian_breakpoint(m) } else { laplace_breakpoint(m) };
            of_breakpoint(p / m)
        }
    };
    if group > 1 {
        return coded(step).filter(|coded| whole_error(coded) < magnitudes.plain_error(bits));
    }
    if error(step) < magnitudes.plain_error(bits) { coded(step) } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::tests::normal_numbers;
    use super::*;

    /// Breakpoints and errors for a Gaussian, as solved from the paper's condition.
    #[test]
    fn published_breakpoints() {
        for (m, p, error) in [(4.0, 1.3920, 0.171), (6.0, 1.7547, 0.118)] {
            assert!((gaussian_breakpoint(m) - p).abs() < 1e-4, "{m}");
            assert!((relative_error(m, p) - error).abs() < 1e-3, "{m} {}", relative_error(m, p));
        }
        // The paper's closed form is near it: p = ln(0.86143114 m + 0.6079011).
        assert!((gaussian_breakpoint(4.0) - (0.86143114f64 * 4.0 + 0.6079011).ln()).abs() < 0.01);
        // In the middle of the range both regions have half its step: a quarter of the error.
        assert!((relative_error(4.0, 2.0) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn a_breakpoint_beats_plain_codes_of_the_same_width() {
        let values = normal_numbers(6000);
        let matrix = Matrix { values: &values, length: 6000 };
        for bits in [3, 4, 6, 8] {
            let searched = pwlq(matrix, bits, BreakpointRule::Search, 1, &|scale| scale).unwrap();
            let gaussian = pwlq(matrix, bits, BreakpointRule::Gaussian, 1, &|scale| scale).unwrap();
            let error = searched.mean_squared_error(matrix);
            assert!(error <= gaussian.mean_squared_error(matrix) * 1.02, "{bits}");
            let most = values.iter().fold(0f64, |most, value| most.max(value.abs()));
            let step = most / f64::from((1 << (bits - 1)) - 1);
            assert!(error < 0.6 * step * step / 12.0, "{bits}: {error}");
            assert_eq!(searched.bits.total(), u64::from(bits + 1) * 6000);
        }
        assert!(pwlq(matrix, 9, BreakpointRule::Search, 1, &|scale| scale).is_none());
        assert!(pwlq(matrix, 4, BreakpointRule::Fixed(1.0), 1, &|scale| scale).is_none());
    }

    /// Groups of weights whose magnitudes go together: the tag of a group costs less than a bit for each weight.
    #[test]
    fn groups_share_a_region_that_spans_the_range() {
        let values: Vec<f64> = normal_numbers(4096)
            .into_iter()
            .enumerate()
            .map(|(index, value)| if index / 8 % 4 == 0 { 4.0 * value } else { value })
            .collect();
        let matrix = Matrix { values: &values, length: 1024 };
        let coded = pwlq(matrix, 4, BreakpointRule::Search, 8, &|scale| scale).unwrap();
        assert_eq!(coded.format.offsets(), [0, 0]);
        assert_eq!((coded.bits.payload, coded.bits.tags), (4 * 4096, 512));
        // By trying: plain codes of the same width, each row with the reach of least error.
        let of_row = |row: &[f64]| {
            let errors = (1..=400).map(|reach| {
                let step = f64::from(reach) * 0.05 / 7.0;
                row.iter().map(|v| (v - (v / step).round().clamp(-7.0, 7.0) * step).powi(2)).sum::<f64>()
            });
            errors.fold(f64::INFINITY, f64::min)
        };
        let plain: f64 = matrix.rows().map(of_row).sum::<f64>() / 4096.0;
        let error = coded.mean_squared_error(matrix);
        assert!(error < 0.8 * plain, "{error} {plain}");
        let gaussian = pwlq(matrix, 4, BreakpointRule::Gaussian, 8, &|scale| scale).unwrap();
        assert!(gaussian.mean_squared_error(matrix) >= error);
    }
}
