//! Greedy lowering with a Hessian that is updated on the way (after DHMQ, VCIP 2021; the formulas are worked out here).
//!
//! Every step lowers the decision that is predicted to hurt least for what it saves: with D the change of its weights,
//! g the gradient at the current quantized weights and B the quasi-Newton approximation, the change of the loss is
//! g'D + D'BD / 2. Then the gradient is taken anew and B updated with the step that was made.

use super::curvature::{dot, quasi_newton::QuasiNewton};
use super::problem::{Choice, Problem};

/// What the descent asks of a network.
pub trait Weights {
    /// Why an evaluation fails.
    type Error;
    /// The weights of a decision at one of its options; empty for a decision that is not about weights.
    fn at(&mut self, decision: usize, option: usize) -> Result<Vec<f64>, Self::Error>;
    /// The gradient of the loss at these weights, one part for each decision.
    fn gradient(&mut self, weights: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Self::Error>;
}

/// How a descent went.
#[derive(Clone, Debug, PartialEq)]
pub struct Descent {
    /// Where it ended.
    pub choice: Choice,
    /// The decision that each step lowered, and the loss change that was predicted for it.
    pub steps: Vec<(usize, f64)>,
    /// Whether the end keeps every limit.
    pub is_feasible: bool,
}

/// Pairs that the approximation keeps.
const MEMORY: usize = 8;

/// Lowers from `start` until the limits hold. Each step's score is the predicted change over the part of all limits
/// that it saves; `curvature` is B before the first pair.
///
/// # Errors
/// What the network refuses.
pub fn lower<W: Weights>(
    problem: &Problem<'_>,
    start: Choice,
    curvature: f64,
    weights: &mut W,
) -> Result<Descent, W::Error> {
    let mut choice = start;
    let count = problem.decisions().len();
    let mut now: Vec<Vec<f64>> =
        (0..count).map(|decision| weights.at(decision, choice[decision])).collect::<Result<_, _>>()?;
    let mut hessian = QuasiNewton::new(MEMORY, curvature);
    let mut gradient = weights.gradient(&now)?;
    let mut steps = Vec::new();
    while !problem.is_feasible(&choice) {
        let before = excess(problem, &choice);
        let mut best: Option<(f64, f64, usize, Vec<f64>)> = None;
        for decision in 0..count {
            let allowed = &problem.decisions()[decision].allowed;
            let Some(next) = (0..choice[decision]).rev().find(|&option| allowed[option]) else { continue };
            if now[decision].is_empty() {
                continue;
            }
            let lowered = weights.at(decision, next)?;
            let change: Vec<f64> = lowered.iter().zip(&now[decision]).map(|(after, before)| after - before).collect();
            let predicted = dot(&gradient[decision], &change) + 0.5 * curved(&hessian, &now, decision, &change);
            let mut trial = choice.clone();
            trial[decision] = next;
            let saved = before - excess(problem, &trial);
            if saved <= 0.0 {
                continue;
            }
            let score = predicted / saved;
            if best.as_ref().is_none_or(|(least, ..)| score < *least) {
                best = Some((score, predicted, decision, lowered));
            }
        }
        let Some((_, predicted, decision, lowered)) = best else {
            return Ok(Descent { choice, steps, is_feasible: false });
        };
        let allowed = &problem.decisions()[decision].allowed;
        choice[decision] = (0..choice[decision]).rev().find(|&option| allowed[option]).unwrap_or(0);
        steps.push((decision, predicted));
        let moved = std::mem::replace(&mut now[decision], lowered);
        let mut step: Vec<Vec<f64>> = now.iter().map(|part| vec![0.0; part.len()]).collect();
        step[decision] = now[decision].iter().zip(moved).map(|(after, before)| after - before).collect();
        let after = weights.gradient(&now)?;
        let flat = |parts: &[Vec<f64>]| parts.concat();
        let turned: Vec<f64> = flat(&after).iter().zip(flat(&gradient)).map(|(a, b)| a - b).collect();
        hessian.push(&flat(&step), &turned);
        gradient = after;
    }
    Ok(Descent { choice, steps, is_feasible: true })
}

/// How far limits are exceeded, each in parts of itself.
fn excess(problem: &Problem<'_>, choice: &[usize]) -> f64 {
    let over = |&(cost, most): &(usize, f64)| {
        let total: f64 = problem.total(cost, choice);
        (total - most).max(0.0) / most.max(f64::MIN_POSITIVE)
    };
    problem.limits().iter().map(over).sum()
}

/// D'BD of a change of one decision's weights.
fn curved(hessian: &QuasiNewton, now: &[Vec<f64>], decision: usize, change: &[f64]) -> f64 {
    let start: usize = now[..decision].iter().map(Vec::len).sum();
    let size: usize = now.iter().map(Vec::len).sum();
    let mut whole = vec![0.0; size];
    whole[start..start + change.len()].copy_from_slice(change);
    dot(&hessian.product(&whole)[start..start + change.len()], change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocate::Budget;
    use crate::allocate::tables::{LayerTable, OptionTable, Tables};
    use std::convert::Infallible;

    /// Three layers of one weight each; the loss is h (w - 1)^2 / 2 with h of 1, 10 and 100. Options move the weight.
    struct Toy {
        curvatures: [f64; 3],
        options: [[f64; 3]; 3],
    }

    impl Weights for Toy {
        type Error = Infallible;

        fn at(&mut self, decision: usize, option: usize) -> Result<Vec<f64>, Infallible> {
            Ok(vec![self.options[decision][option]])
        }

        fn gradient(&mut self, weights: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Infallible> {
            Ok((0..3).map(|at| vec![self.curvatures[at] * (weights[at][0] - 1.0)]).collect())
        }
    }

    fn tables() -> Tables {
        let loss = OptionTable { by_weights: [(2, 0.0), (4, 0.0), (8, 0.0)].into(), ..OptionTable::default() };
        let layer = |name: &str| LayerTable {
            name: name.to_owned(),
            parameters: 100,
            bits: vec![2, 4, 8],
            loss: loss.clone(),
            ..LayerTable::default()
        };
        Tables { layers: ["a", "b", "c"].map(layer).into(), ..Tables::default() }
    }

    #[test]
    fn the_order_is_the_one_worked_out_by_hand() {
        // All at 8 bits take 300 bytes. From w = 1 the gradient is 0 and B is I: a change of d costs d^2 / 2.
        // Per saved byte (4 bits: 50; 2 bits: 25 more): a .02/50, b .005/50, c .0002/50 (d of .2, .1, .02).
        let options = [[0.5, 0.8, 1.0], [0.7, 0.9, 1.0], [0.9, 0.98, 1.0]];
        let mut toy = Toy { curvatures: [1.0, 1.0, 1.0], options };
        let tables = tables();
        let budget = Budget::parse("size=125").unwrap();
        let problem = Problem::new(&tables, &budget).unwrap();
        let found = lower(&problem, problem.widest(), 1.0, &mut toy).unwrap();
        // c first, then c to 2 bits: g -.02, D -.08: .0016 + .0032 = .0048 for 25 against .005 for 50 of b: b first;
        // then c (.0048 / 25 = 1.92e-4) against a (.02 / 50 = 4e-4): c, then a.
        assert_eq!(found.steps.iter().map(|step| step.0).collect::<Vec<_>>(), [2, 1, 2, 0]);
        assert_eq!(found.choice, [1, 1, 0]);
        assert!(found.is_feasible);
        // A quadratic of the same curvature everywhere: predictions are the true changes.
        let predicted: Vec<f64> = found.steps.iter().map(|step| step.1).collect();
        for (found, expected) in predicted.iter().zip([0.0002, 0.005, 0.0048, 0.02]) {
            assert!((found - expected).abs() < 1e-12, "{predicted:?}");
        }
    }

    #[test]
    fn the_size_falls_with_every_step_and_the_end_is_reached() {
        let options = [[0.5, 0.8, 1.0], [0.7, 0.9, 1.0], [0.9, 0.98, 1.0]];
        let mut toy = Toy { curvatures: [1.0, 10.0, 100.0], options };
        let tables = tables();
        let problem = Problem::new(&tables, &Budget::parse("size=75").unwrap()).unwrap();
        let found = lower(&problem, problem.widest(), 1.0, &mut toy).unwrap();
        assert_eq!((found.steps.len(), found.choice.as_slice()), (6, [0, 0, 0].as_slice()));
        let problem = Problem::new(&tables, &Budget::parse("size=70").unwrap()).unwrap();
        assert!(!lower(&problem, problem.widest(), 1.0, &mut toy).unwrap().is_feasible);
    }
}
