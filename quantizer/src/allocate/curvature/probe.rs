//! Trace and largest eigenvalue of a matrix that is known by its products with vectors.

use super::dot;
use crate::post_training::Generator;

/// An estimate of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trace {
    /// The mean over all probes.
    pub trace: f64,
    /// Probes taken.
    pub probes: usize,
}

/// The eigenvalue of largest magnitude.
#[derive(Clone, Debug, PartialEq)]
pub struct Eigenvalue {
    /// The Rayleigh quotient at the end.
    pub value: f64,
    /// A vector of length 1 of its direction.
    pub vector: Vec<f64>,
    /// Products taken.
    pub steps: usize,
}

/// The product of a matrix with a vector.
pub type Product<'a, E> = dyn FnMut(&[f64]) -> Result<Vec<f64>, E> + 'a;

/// Hutchinson's estimate: the mean of v' H v over random signs v, until the mean moves by less than `tolerance` of
/// itself, or `most` probes are taken. One probe is exact for a diagonal matrix.
///
/// # Errors
/// What `product` refuses.
pub fn trace<E>(size: usize, seed: u64, most: usize, tolerance: f64, product: &mut Product<'_, E>) -> Result<Trace, E> {
    let mut random = Generator(seed);
    let (mut sum, mut mean) = (0.0, 0.0);
    for probe in 1..=most {
        let signs: Vec<f64> = (0..size).map(|_| sign(&mut random)).collect();
        sum += dot(&signs, &product(&signs)?);
        let now = sum / probe as f64;
        let moved = (now - mean).abs() / (mean.abs() + 1e-6);
        mean = now;
        if probe > 1 && moved < tolerance {
            return Ok(Trace { trace: mean, probes: probe });
        }
    }
    Ok(Trace { trace: mean, probes: most })
}

/// Power iteration from a random start, until the quotient moves by less than `tolerance` of itself.
///
/// # Errors
/// What `product` refuses.
pub fn largest_eigenvalue<E>(
    size: usize,
    seed: u64,
    most: usize,
    tolerance: f64,
    product: &mut Product<'_, E>,
) -> Result<Eigenvalue, E> {
    let mut random = Generator(seed);
    let scale = 1.0 / (size.max(1) as f64).sqrt();
    let mut vector: Vec<f64> = (0..size).map(|_| sign(&mut random) * scale).collect();
    let mut value = 0.0;
    for step in 1..=most {
        let made = product(&vector)?;
        let now = dot(&vector, &made);
        let length = dot(&made, &made).sqrt();
        if length == 0.0 {
            return Ok(Eigenvalue { value: 0.0, vector, steps: step });
        }
        vector = made.iter().map(|part| part / length).collect();
        let moved = (now - value).abs() / (now.abs() + 1e-12);
        value = now;
        if step > 1 && moved < tolerance {
            return Ok(Eigenvalue { value, vector, steps: step });
        }
    }
    Ok(Eigenvalue { value, vector, steps: most })
}

/// A random sign.
fn sign(generator: &mut Generator) -> f64 {
    if generator.next() & 1 == 1 { 1.0 } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn times(matrix: &[Vec<f64>]) -> impl FnMut(&[f64]) -> Result<Vec<f64>, Infallible> + '_ {
        |v| Ok(matrix.iter().map(|row| dot(row, v)).collect())
    }

    fn diagonal(entries: &[f64]) -> Vec<Vec<f64>> {
        let row = |i: usize| (0..entries.len()).map(|j| if i == j { entries[i] } else { 0.0 }).collect();
        (0..entries.len()).map(row).collect()
    }

    #[test]
    fn one_probe_is_exact_on_a_diagonal() {
        let matrix = diagonal(&[3.0, -1.5, 0.25, 7.0]);
        for seed in 0..20 {
            assert_eq!(trace(4, seed, 1, 0.0, &mut times(&matrix)).unwrap().trace, 8.75);
        }
    }

    #[test]
    fn probes_scatter_as_twice_the_squares_beside_the_diagonal() {
        let matrix = vec![vec![2.0, 1.0, -0.5], vec![1.0, 4.0, 0.25], vec![-0.5, 0.25, 1.0]];
        let count = 4000;
        let found: Vec<f64> =
            (0..count).map(|seed| trace(3, seed * 7919, 1, 0.0, &mut times(&matrix)).unwrap().trace).collect();
        let mean = found.iter().sum::<f64>() / count as f64;
        let variance = found.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count as f64;
        // 2 * (sum over i != j of H_ij^2) = 2 * 2 * (1 + 0.25 + 0.0625).
        assert!((mean - 7.0).abs() < 0.15, "{mean}");
        assert!((variance / 5.25 - 1.0).abs() < 0.08, "{variance}");
    }

    #[test]
    fn the_mean_over_probes_stops_where_it_stands_still() {
        let found = trace(4, 1, 100, 1e-3, &mut times(&diagonal(&[1.0, 2.0, 3.0, 4.0]))).unwrap();
        assert_eq!(found, Trace { trace: 10.0, probes: 2 });
    }

    #[test]
    fn power_iteration_finds_the_largest_eigenvalue() {
        // Eigenvalues 3 and 1 with vectors (1, 1) and (1, -1).
        let matrix = vec![vec![2.0, 1.0], vec![1.0, 2.0]];
        for seed in 0..8 {
            let found = largest_eigenvalue(2, seed, 200, 1e-12, &mut times(&matrix)).unwrap();
            let near = |value: f64| (found.value - value).abs() < 1e-6;
            // A start that is the other eigenvector stays there.
            assert!(near(3.0) || near(1.0) && found.vector[0] * found.vector[1] < 0.0, "{found:?}");
        }
        let found = largest_eigenvalue(3, 5, 500, 1e-13, &mut times(&diagonal(&[0.5, -6.0, 2.0]))).unwrap();
        assert!((found.value + 6.0).abs() < 1e-6, "{found:?}");
    }
}
