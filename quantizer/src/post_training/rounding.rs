//! Rounding that is fitted to the data: each row of weights is rounded so that its sums on the frames change least.
//!
//! AdaRound (Nagel et al. 2020) states the problem for each layer alone: choose for every weight the grid point below or
//! above so that the mean square change of the layer's sums is least. Here it is solved by descent over single weights:
//! with e the rounding errors of a row and G the products of its inputs summed over the frames, the change is e' G e, and
//! a weight goes to its other neighbour whenever that makes it less.

use super::grid::Grid;
use super::statistics::Frames;
use super::weights::{Layer, nearest};
use crate::float::{Program, elements, patches};
use network::Diagnostics;
use rayon::prelude::*;

/// Longest row whose products are summed.
const MAX_ROW: usize = 2304;
/// Frames whose products are in memory at once.
const CHUNK: usize = 4;
/// Passes over a row at most.
const PASSES: usize = 12;

/// Fits the rounding of every layer that [`patches`] knows; longer rows stay rounded to the nearest.
pub(super) fn fit(program: &Program<'_>, frames: &Frames, layers: &mut [Layer]) -> Result<(), Diagnostics> {
    for layer in layers {
        let node = &program.model.nodes[layer.node];
        let longest = layer.rows.iter().map(Vec::len).max().unwrap_or(0);
        if !matches!(node.op.as_str(), "Conv" | "Gemm" | "MatMul") || layer.input != 1 || longest > MAX_ROW {
            continue;
        }
        let products = products(program, frames, layer.node)?;
        let id = node.inputs.get(1).copied().flatten();
        let Some(constant) = id.and_then(|id| program.constants.get(&id)) else { continue };
        let before = constant.array.floats();
        let (rows, scales, grid) = (&layer.rows, layer.scales.floats(), layer.grid);
        let start = layer.weights.floats();
        let fitted: Vec<Vec<f32>> = (0..rows.len())
            .into_par_iter()
            .map(|row| {
                let group = row * products.len() / rows.len();
                let of_row =
                    |values: &[f32]| rows[row].iter().map(|&place| f64::from(values[place])).collect::<Vec<_>>();
                let (wanted, mut made) = (of_row(&before), of_row(&start));
                if products[group].len() == wanted.len() * wanted.len() {
                    descend(&wanted, &mut made, &products[group], scales[row], &grid);
                }
                made.into_iter().map(|value| value as f32).collect()
            })
            .collect();
        let mut weights = start;
        for (row, values) in fitted.iter().enumerate() {
            rows[row].iter().zip(values).for_each(|(&place, &value)| weights[place] = value);
        }
        layer.weights = crate::model::Array::float(layer.weights.dims.clone(), weights);
    }
    Ok(())
}

/// Sums of products of a row's inputs over all frames and positions, one square matrix for each group.
fn products(program: &Program<'_>, frames: &Frames, node: usize) -> Result<Vec<Vec<f64>>, Diagnostics> {
    let of_frame = |index: usize| -> Result<Vec<Vec<f32>>, Diagnostics> {
        let mut made = Ok(Vec::new());
        program.run_nodes(&frames.frame(index), &mut |at, operands, _| {
            if at != node {
                return;
            }
            made = patches(operands).and_then(|groups| {
                let square = |x: &candle_core::Tensor| x.t().and_then(|t| x.matmul(&t.contiguous()?));
                let squares = groups.iter().map(|x| square(&x.contiguous()?)).collect::<candle_core::Result<Vec<_>>>();
                Ok(squares.map_err(crate::float::fault)?.iter().map(elements).collect())
            });
        })?;
        made.map_err(|fault| fault.at(program.file(), &program.model.nodes[node].name).into())
    };
    let mut sums: Vec<Vec<f64>> = Vec::new();
    let all: Vec<usize> = (0..frames.count()).collect();
    for chunk in all.chunks(CHUNK) {
        let made: Result<Vec<Vec<Vec<f32>>>, Diagnostics> = chunk.par_iter().map(|&index| of_frame(index)).collect();
        for frame in made? {
            sums.resize(frame.len(), Vec::new());
            for (sum, square) in sums.iter_mut().zip(frame) {
                sum.resize(square.len(), 0.0);
                sum.iter_mut().zip(square).for_each(|(sum, value)| *sum += f64::from(value));
            }
        }
    }
    Ok(sums)
}

/// Moves single weights to their other neighbour while that makes e' G e less.
fn descend(wanted: &[f64], made: &mut [f64], products: &[f64], scale: f32, grid: &Grid) {
    let count = wanted.len();
    let step = f64::from(scale);
    let mut pull: Vec<f64> =
        (0..count).map(|row| (0..count).map(|at| products[row * count + at] * (made[at] - wanted[at])).sum()).collect();
    for _ in 0..PASSES {
        let mut moved = false;
        for place in 0..count {
            let other = match (grid.is_bipolar(), wanted[place] > made[place]) {
                (true, _) => -made[place],
                (false, true) => made[place] + step,
                (false, false) => made[place] - step,
            };
            let is_neighbour = grid.is_bipolar() || (other - wanted[place]).abs() < step;
            if !is_neighbour || (nearest(other, scale, grid) - other).abs() > step * 1e-3 {
                continue;
            }
            let change = other - made[place];
            let gain = 2.0 * change * pull[place] + change * change * products[place * count + place];
            if gain < -1e-12 * products[place * count + place] * step * step {
                made[place] = other;
                let column = &products[place * count..(place + 1) * count];
                pull.iter_mut().zip(column).for_each(|(pull, product)| *pull += product * change);
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AdaRound's checks: codes differ from the floor by 0 or 1, and the error is never above that of nearest rounding.
    #[test]
    fn fitted_codes_are_neighbours_and_no_worse_than_nearest() {
        let grid = Grid { scale: 1.0, zero_point: 0.0, bits: 4, signed: true };
        let mut state = 17u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / (1u64 << 31) as f64
        };
        for _ in 0..60 {
            let mut wanted: Vec<f64> = (0..9).map(|_| next() * 10.0 - 5.0).collect();
            // A weight that is a code already has no other neighbour.
            wanted[4] = wanted[4].round();
            let frames: Vec<Vec<f64>> = (0..6).map(|_| (0..9).map(|_| next()).collect()).collect();
            let mut products = vec![0.0; 81];
            frames.iter().for_each(|f| (0..81).for_each(|at| products[at] += f[at / 9] * f[at % 9]));
            let cost = |made: &[f64]| -> f64 {
                frames.iter().map(|f| (0..9).map(|k| f[k] * (made[k] - wanted[k])).sum::<f64>().powi(2)).sum()
            };
            let mut made: Vec<f64> = wanted.iter().map(|value| value.round()).collect();
            let nearest = cost(&made);
            descend(&wanted, &mut made, &products, 1.0, &grid);
            assert!(cost(&made) <= nearest * (1.0 + 1e-9), "{} above {nearest}", cost(&made));
            assert!(made.iter().zip(&wanted).all(|(code, value)| [0.0, 1.0].contains(&(code - value.floor()))));
        }
    }

    /// All roundings of a row of five, tried one by one.
    #[test]
    fn descent_is_near_the_best_rounding() {
        let grid = Grid { scale: 1.0, zero_point: 0.0, bits: 4, signed: true };
        let wanted = [0.4, -1.3, 2.45, 0.1, -0.55];
        let frames = [
            [1.0, 0.9, 1.1, 0.2, 0.0],
            [0.5, 0.6, 0.4, 1.0, 0.3],
            [0.0, 0.2, 0.1, 0.4, 2.0],
            [1.0, 1.0, 1.0, 0.0, 0.1],
        ];
        let mut products = vec![0.0; 25];
        for frame in frames {
            (0..25).for_each(|at| products[at] += frame[at / 5] * frame[at % 5]);
        }
        let cost = |made: &[f64]| -> f64 {
            frames.iter().map(|f| (0..5).map(|k| f[k] * (made[k] - wanted[k])).sum::<f64>().powi(2)).sum()
        };
        let all = (0..32u32).map(|up| {
            (0..5).map(|k| if up >> k & 1 == 1 { wanted[k].ceil() } else { wanted[k].floor() }).collect::<Vec<f64>>()
        });
        let best = all.map(|made| cost(&made)).fold(f64::INFINITY, f64::min);
        let mut made = wanted.map(f64::round);
        let nearest = cost(&made);
        descend(&wanted, &mut made, &products, 1.0, &grid);
        assert!(cost(&made) < 0.7 * nearest, "{} of {nearest}", cost(&made));
        assert!(cost(&made) <= best * 1.5, "{} instead of {best}", cost(&made));
    }
}
