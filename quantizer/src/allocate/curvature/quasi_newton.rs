//! A limited-memory BFGS approximation of a Hessian, in the compact form of Byrd, Nocedal and Schnabel (1994).
//!
//! B = delta I - [delta S, Y] [[delta S'S, L], [L', -D]]^-1 [delta S, Y]', with S the last steps, Y the changes of the
//! gradient along them, L the lower part of S'Y and D its diagonal. After a step, B s = y holds for the newest pair.

use super::dot;
use std::collections::VecDeque;

/// The approximation.
#[derive(Clone, Debug)]
pub struct QuasiNewton {
    pairs: VecDeque<(Vec<f64>, Vec<f64>)>,
    memory: usize,
    /// Curvature before the first pair.
    start: f64,
}

/// Least curvature along a step, in parts of the square of its length, that a pair is taken with as it is.
const LEAST_CURVATURE: f64 = 1e-8;
/// Part of s'Bs that a damped pair has at least (Powell 1978).
const DAMPING: f64 = 0.2;

impl QuasiNewton {
    /// No pairs yet: B = `start` I. At most `memory` pairs are kept.
    pub fn new(memory: usize, start: f64) -> Self {
        QuasiNewton { pairs: VecDeque::new(), memory: memory.max(1), start }
    }

    /// Takes a step `s` and the change `y` of the gradient along it. A pair of too little curvature is damped after
    /// Powell: y becomes theta y + (1 - theta) B s. Returns whether it was.
    pub fn push(&mut self, s: &[f64], y: &[f64]) -> bool {
        let length = dot(s, s);
        if length == 0.0 || !length.is_finite() || !dot(s, y).is_finite() {
            return false;
        }
        let mut y = y.to_vec();
        let is_damped = dot(s, &y) <= LEAST_CURVATURE * length;
        if is_damped {
            let product = self.product(s);
            let (sy, sbs) = (dot(s, &y), dot(s, &product));
            if sbs <= LEAST_CURVATURE * length {
                return true;
            }
            let theta = (1.0 - DAMPING) * sbs / (sbs - sy);
            for (y, product) in y.iter_mut().zip(product) {
                *y = theta * *y + (1.0 - theta) * product;
            }
        }
        if self.pairs.len() == self.memory {
            self.pairs.pop_front();
        }
        self.pairs.push_back((s.to_vec(), y));
        is_damped
    }

    /// Number of pairs.
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// B v.
    pub fn product(&self, v: &[f64]) -> Vec<f64> {
        let count = self.pairs.len();
        let Some((s, y)) = self.pairs.back() else { return v.iter().map(|part| self.start * part).collect() };
        let delta = dot(y, y) / dot(s, y);
        let mut matrix = vec![vec![0.0; 2 * count]; 2 * count];
        let mut right = vec![0.0; 2 * count];
        for (i, (s_i, y_i)) in self.pairs.iter().enumerate() {
            for (j, (s_j, y_j)) in self.pairs.iter().enumerate() {
                matrix[i][j] = delta * dot(s_i, s_j);
                if i > j {
                    matrix[i][count + j] = dot(s_i, y_j);
                    matrix[count + j][i] = matrix[i][count + j];
                }
            }
            matrix[count + i][count + i] = -dot(s_i, y_i);
            (right[i], right[count + i]) = (delta * dot(s_i, v), dot(y_i, v));
        }
        let mut made: Vec<f64> = v.iter().map(|part| delta * part).collect();
        let Some(weights) = solved(matrix, right) else { return made };
        for (i, (s_i, y_i)) in self.pairs.iter().enumerate() {
            for (place, part) in made.iter_mut().enumerate() {
                *part -= delta * weights[i] * s_i[place] + weights[count + i] * y_i[place];
            }
        }
        made
    }
}

/// Gauss's elimination with the largest pivot; `None` where the matrix is singular.
fn solved(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let size = right.len();
    for column in 0..size {
        let pivot = (column..size).max_by(|&a, &b| matrix[a][column].abs().total_cmp(&matrix[b][column].abs()))?;
        if matrix[pivot][column].abs() < f64::MIN_POSITIVE {
            return None;
        }
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        let (head, tail) = matrix.split_at_mut(column + 1);
        let row = &head[column];
        for (offset, other) in tail.iter_mut().enumerate() {
            let factor = other[column] / row[column];
            other.iter_mut().zip(row).skip(column).for_each(|(a, b)| *a -= factor * b);
            right[column + 1 + offset] -= factor * right[column];
        }
    }
    for column in (0..size).rev() {
        let rest: f64 = (column + 1..size).map(|at| matrix[column][at] * right[at]).sum();
        right[column] = (right[column] - rest) / matrix[column][column];
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: u64, count: usize) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / (1u64 << 31) as f64 * 2.0 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// The recursion that the compact form stands for: B - B s s' B / s'Bs + y y' / y's, from delta I.
    fn recursion(pairs: &[(Vec<f64>, Vec<f64>)], size: usize) -> Vec<Vec<f64>> {
        let (s, y) = pairs.last().unwrap();
        let delta = dot(y, y) / dot(s, y);
        let mut b: Vec<Vec<f64>> =
            (0..size).map(|i| (0..size).map(|j| if i == j { delta } else { 0.0 }).collect()).collect();
        for (s, y) in pairs {
            let bs: Vec<f64> = b.iter().map(|row| dot(row, s)).collect();
            let (sbs, sy) = (dot(s, &bs), dot(s, y));
            for i in 0..size {
                for j in 0..size {
                    b[i][j] += y[i] * y[j] / sy - bs[i] * bs[j] / sbs;
                }
            }
        }
        b
    }

    /// Pairs of a quadratic loss with a positive Hessian A'A + I.
    fn pairs(size: usize, count: usize) -> Vec<(Vec<f64>, Vec<f64>)> {
        let a: Vec<Vec<f64>> = (0..size).map(|row| random(row as u64 + 1, size)).collect();
        let product = |v: &[f64]| -> Vec<f64> {
            let av: Vec<f64> = a.iter().map(|row| dot(row, v)).collect();
            (0..size).map(|j| v[j] + (0..size).map(|i| a[i][j] * av[i]).sum::<f64>()).collect()
        };
        (0..count).map(|k| random(100 + k as u64, size)).map(|s| (s.clone(), product(&s))).collect()
    }

    #[test]
    fn the_newest_secant_holds_and_the_form_is_the_recursion() {
        let (size, count) = (7, 4);
        let pairs = pairs(size, count);
        let mut form = QuasiNewton::new(10, 1.0);
        for (s, y) in &pairs {
            assert!(!form.push(s, y));
            let made = form.product(s);
            assert!(made.iter().zip(y).all(|(a, b)| (a - b).abs() < 1e-9), "{made:?} {y:?}");
        }
        let matrix = recursion(&pairs, size);
        let v = random(999, size);
        for (row, part) in matrix.iter().zip(form.product(&v)) {
            assert!((dot(row, &v) - part).abs() < 1e-9);
        }
    }

    #[test]
    fn memory_forgets_the_oldest() {
        let pairs = pairs(6, 5);
        let mut short = QuasiNewton::new(3, 1.0);
        pairs.iter().for_each(|(s, y)| {
            short.push(s, y);
        });
        assert_eq!(short.pairs(), 3);
        let matrix = recursion(&pairs[2..], 6);
        let v = random(5, 6);
        assert!(matrix.iter().zip(short.product(&v)).all(|(row, part)| (dot(row, &v) - part).abs() < 1e-9));
    }

    #[test]
    fn negative_curvature_is_damped() {
        let mut form = QuasiNewton::new(4, 2.0);
        assert_eq!(form.product(&[1.0, 3.0]), [2.0, 6.0]);
        assert!(form.push(&[1.0, 0.0], &[-1.0, 0.5]));
        // theta = 0.8 * 2 / (2 + 1): s'y becomes a fifth of s'Bs, 0.4.
        let made = form.product(&[1.0, 0.0]);
        assert!((made[0] - 0.4).abs() < 1e-12, "{made:?}");
        assert!(!form.push(&[0.0, 0.0], &[1.0, 1.0]));
        assert_eq!(form.pairs(), 1);
    }
}
