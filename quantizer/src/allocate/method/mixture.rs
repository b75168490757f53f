//! Mixtures of widths, trained and decided one after another (after SSPS; the abstract alone is published, so all
//! formulas are worked out here).
//!
//! Every decision has logits. A layer computes once, with the softmax mean of its quantized weights and of its quantized
//! inputs. The loss on the frames plus the excess of the expected costs over their limits is descended in the logits
//! alone; weights stay as they are. Then the decisions of which the softmax is most certain are frozen, and the rest is
//! trained on, until all are decided; decisions that break the limits are lowered, the least certain ones first.

use super::super::problem::{Choice, Problem, Subject};
use super::super::study::{Ended, Study};
use crate::fault::Checked;
use crate::float::{elements, fault, tensor};
use candle_core::{Tensor, Var};
use network::Diagnostic;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Rounds of training and freezing.
const ROUNDS: usize = 5;
/// Steps in each round.
const STEPS: usize = 8;
/// Rate of the logits.
const RATE: f64 = 0.3;
/// Weight of a limit's relative excess, in parts of the loss at the start.
const PENALTY: f64 = 5.0;

/// A loss and its gradient in the probabilities.
type Slope = (f64, Vec<Vec<f64>>);

/// Probabilities of the options of each decision.
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let parts: Vec<f64> = logits.iter().map(|x| (x - most).exp()).collect();
    let sum: f64 = parts.iter().sum();
    parts.iter().map(|part| part / sum).collect()
}

/// The expectation of a cost under independent choices, and its gradient in the probabilities.
pub fn expected(problem: &Problem<'_>, cost: usize, probabilities: &[Vec<f64>]) -> (f64, Vec<Vec<f64>>) {
    let mut gradient: Vec<Vec<f64>> = probabilities.iter().map(|p| vec![0.0; p.len()]).collect();
    let mut sum = 0.0;
    for (decisions, values) in problem.terms(cost) {
        match *decisions.as_slice() {
            [d] => {
                for (i, value) in values.iter().enumerate() {
                    sum += probabilities[d][i] * value;
                    gradient[d][i] += value;
                }
            }
            [d, e] => {
                let columns = probabilities[e].len();
                for (place, value) in values.iter().enumerate() {
                    let (i, j) = (place / columns, place % columns);
                    sum += probabilities[d][i] * probabilities[e][j] * value;
                    gradient[d][i] += probabilities[e][j] * value;
                    gradient[e][j] += probabilities[d][i] * value;
                }
            }
            _ => sum += values.iter().sum::<f64>(),
        }
    }
    (sum, gradient)
}

/// Searches widths.
pub(super) fn search(study: &Study<'_>, problem: &Problem<'_>) -> Result<Choice, Ended> {
    let allowed: Vec<Vec<bool>> = problem.decisions().iter().map(|decision| decision.allowed.clone()).collect();
    let mut logits: Vec<Vec<f64>> =
        allowed.iter().map(|own| own.iter().map(|ok| if *ok { 0.0 } else { -1e9 }).collect()).collect();
    let mut frozen: Vec<Option<usize>> =
        allowed.iter().map(|own| (own.iter().filter(|ok| **ok).count() == 1).then(|| position(own))).collect();
    study.watch.begin("mixtures", (ROUNDS * STEPS) as u64);
    let mut scale = None;
    for round in 0..ROUNDS {
        for _ in 0..STEPS {
            let p = probabilities(&logits, &frozen);
            let (loss, mut gradient) = study.mixture(problem, &p)?;
            let weight = PENALTY * *scale.get_or_insert(loss.max(1e-9));
            for &(cost, most) in problem.limits() {
                let (value, slope) = expected(problem, cost, &p);
                if value > most {
                    for (own, slope) in gradient.iter_mut().zip(slope) {
                        own.iter_mut().zip(slope).for_each(|(g, s)| *g += weight * s / most.max(f64::MIN_POSITIVE));
                    }
                }
            }
            for (decision, own) in logits.iter_mut().enumerate().filter(|(decision, _)| frozen[*decision].is_none()) {
                let p = &p[decision];
                let mean: f64 = p.iter().zip(&gradient[decision]).map(|(p, g)| p * g).sum();
                let turned: Vec<f64> = p.iter().zip(&gradient[decision]).map(|(p, g)| p * (g - mean)).collect();
                let length = turned.iter().map(|x| x * x).sum::<f64>().sqrt();
                if length > 0.0 {
                    own.iter_mut().zip(turned).for_each(|(x, t)| *x -= RATE * t / length);
                }
            }
            study.watch.step();
        }
        let p = probabilities(&logits, &frozen);
        let mut open: Vec<usize> = (0..p.len()).filter(|&decision| frozen[decision].is_none()).collect();
        open.sort_by(|&a, &b| certainty(&p[b]).total_cmp(&certainty(&p[a])).then(a.cmp(&b)));
        let count = if round + 1 == ROUNDS { open.len() } else { open.len().div_ceil(ROUNDS - round) };
        for &decision in open.iter().take(count) {
            frozen[decision] = Some(greatest(&p[decision]));
        }
    }
    let mut choice: Choice = frozen.iter().map(|option| option.unwrap_or(0)).collect();
    let p: Vec<Vec<f64>> = logits.iter().map(|own| softmax(own)).collect();
    let mut order: Vec<usize> = (0..choice.len()).collect();
    order.sort_by(|&a, &b| certainty(&p[a]).total_cmp(&certainty(&p[b])).then(a.cmp(&b)));
    while !problem.is_feasible(&choice) {
        let lower = |decision: usize| (0..choice[decision]).rev().find(|&option| allowed[decision][option]);
        let helps = |&decision: &usize| {
            lower(decision).is_some_and(|option| {
                let mut trial = choice.clone();
                trial[decision] = option;
                let broken = |&&(cost, most): &&(usize, f64)| problem.total(cost, &choice) > most;
                let saves = |&(cost, _): &(usize, f64)| problem.total(cost, &trial) < problem.total(cost, &choice);
                problem.limits().iter().filter(broken).any(saves)
            })
        };
        let Some(decision) = order.iter().copied().find(helps) else { break };
        let option = lower(decision).unwrap_or(0);
        choice[decision] = option;
        // The next one takes its turn before this one is lowered again.
        order.retain(|&other| other != decision);
        order.push(decision);
    }
    Ok(choice)
}

fn position(own: &[bool]) -> usize {
    own.iter().position(|ok| *ok).unwrap_or(0)
}

fn certainty(p: &[f64]) -> f64 {
    p.iter().copied().fold(0.0, f64::max)
}

fn greatest(p: &[f64]) -> usize {
    (0..p.len()).fold(0, |best, at| if p[at] > p[best] { at } else { best })
}

/// Softmax of the logits; one for what is frozen.
fn probabilities(logits: &[Vec<f64>], frozen: &[Option<usize>]) -> Vec<Vec<f64>> {
    let own = |(logits, frozen): (&Vec<f64>, &Option<usize>)| match frozen {
        Some(option) => (0..logits.len()).map(|at| if at == *option { 1.0 } else { 0.0 }).collect(),
        None => softmax(logits),
    };
    logits.iter().zip(frozen).map(own).collect()
}

impl Study<'_> {
    /// Mean loss of a mixture and its gradient in the probabilities.
    ///
    /// Where every decision is certain, that is the loss of the choice (on the frames that gradients are taken on).
    ///
    /// # Errors
    /// The user stopped it; an operator without a gradient.
    pub fn mixture(&self, problem: &Problem<'_>, p: &[Vec<f64>]) -> Result<(f64, Vec<Vec<f64>>), Ended> {
        self.check()?;
        let frames = self.gradient_frames();
        let all: Result<Vec<Slope>, Diagnostic> =
            frames.par_iter().map(|(frame, target)| self.mixture_of(problem, p, frame, target)).collect();
        let all = all?;
        let count = all.len().max(1) as f64;
        let mut gradient: Vec<Vec<f64>> = p.iter().map(|own| vec![0.0; own.len()]).collect();
        let mut loss = 0.0;
        for (own, parts) in all {
            loss += own / count;
            for (sum, part) in gradient.iter_mut().zip(parts) {
                sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part / count);
            }
        }
        Ok((loss, gradient))
    }

    fn mixture_of(
        &self,
        problem: &Problem<'_>,
        p: &[Vec<f64>],
        frame: &[f32],
        target: &super::super::study::Target,
    ) -> Result<(f64, Vec<Vec<f64>>), Diagnostic> {
        let at = |found| self.at(found);
        let variable = |own: &Vec<f64>| -> Checked<Var> {
            let values: Vec<f32> = own.iter().map(|&value| value as f32).collect();
            Var::from_tensor(&tensor(values, &[1, own.len()])?).map_err(fault)
        };
        let variables: Vec<Var> = p.iter().map(variable).collect::<Checked<_>>().map_err(at)?;
        let mut weights: BTreeMap<usize, Tensor> = BTreeMap::new();
        let mut of_group: BTreeMap<usize, usize> = BTreeMap::new();
        let free = self.free_groups();
        for (decision, subject) in problem.decisions().iter().enumerate() {
            match &subject.subject {
                Subject::Weights(layers) => {
                    for &layer in layers {
                        let mixed = self.mixed_weights(layer, &subject.bits, &variables[decision]).map_err(at)?;
                        weights.insert(layer, mixed);
                    }
                }
                Subject::Shared(place) => drop(free.get(*place).map(|&group| of_group.insert(group, decision))),
                Subject::Own(_) => {}
            }
        }
        let mix = |group: usize, x: Tensor| -> Checked<Tensor> {
            let Some(&decision) = of_group.get(&group) else {
                return match self.trial.groups[group].fixed {
                    Some(bits) => self.through(&x, &self.trial.on_grid(group, bits, &x)?),
                    None => Ok(x),
                };
            };
            let bits = problem.decisions()[decision].bits.iter();
            let made: Vec<Tensor> = bits.map(|&bits| self.trial.on_grid(group, bits, &x)).collect::<Checked<_>>()?;
            // The gradient passes to x as if nothing were rounded, and to each width by what it makes of x; the value is
            // the mean of what widths make, which is exact where one of them is certain.
            let mean = mean_of(&made, variables[decision].as_tensor()).map_err(fault)?;
            x.sub(&x.detach()).and_then(|nothing| mean + nothing).map_err(fault)
        };
        let (loss, gradients) = self.mixed(frame, target, &weights, &mix)?;
        let of = |(variable, own): (&Var, &Vec<f64>)| match gradients.get(variable.as_tensor()) {
            Some(gradient) => elements(gradient).into_iter().map(f64::from).collect(),
            None => vec![0.0; own.len()],
        };
        Ok((loss, variables.iter().zip(p).map(of).collect()))
    }

    /// The mean of a layer's weights over widths.
    fn mixed_weights(&self, layer: usize, bits: &[u32], p: &Var) -> Checked<Tensor> {
        let layer = &self.trial.layers[layer];
        let made = bits.iter().map(|bits| layer.quantized.get(bits).unwrap_or(&layer.weights).clone());
        mean_of(&made.collect::<Vec<_>>(), p.as_tensor()).map_err(fault)
    }

    /// `made` in value, with the gradient of `x`.
    fn through(&self, x: &Tensor, made: &Tensor) -> Checked<Tensor> {
        made.sub(&x.detach()).and_then(|error| x + error).map_err(fault)
    }
}

/// The mean of tensors of one shape under probabilities (1, tensors); bit by bit one of them where that is certain.
fn mean_of(tensors: &[Tensor], p: &Tensor) -> candle_core::Result<Tensor> {
    let Some(first) = tensors.first() else { candle_core::bail!("a mean of nothing") };
    let rows: Vec<Tensor> =
        tensors.iter().map(|x| x.reshape((1, x.elem_count()))).collect::<candle_core::Result<_>>()?;
    p.matmul(&Tensor::cat(&rows, 0)?)?.reshape(first.dims())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocate::Budget;
    use crate::allocate::tables::{LayerTable, OptionTable, Reads, Tables};

    /// As the method has it: a certain mixture is plain quantization, bit by bit.
    #[test]
    fn a_certain_mixture_is_one_of_its_tensors() {
        let mut random = crate::post_training::Generator(11);
        let mut number = || ((random.next() >> 40) as f32 - 8.0e6) * 2f32.powi((random.next() % 40) as i32 - 30);
        let made: Vec<Tensor> =
            (0..5).map(|_| tensor((0..210).map(|_| number()).collect(), &[3, 7, 10]).unwrap()).collect();
        for certain in 0..made.len() {
            let hot = (0..made.len()).map(|at| if at == certain { 1.0 } else { 0.0 }).collect();
            let mean = mean_of(&made, &tensor(hot, &[1, made.len()]).unwrap()).unwrap();
            assert_eq!(mean.dims(), [3, 7, 10]);
            assert_eq!(elements(&mean), elements(&made[certain]));
        }
        // Half of one and a quarter of two others.
        let p = tensor(vec![0.5, 0.0, 0.25, 0.25, 0.0], &[1, 5]).unwrap();
        let mean = elements(&mean_of(&made, &p).unwrap());
        let all: Vec<Vec<f32>> = made.iter().map(elements).collect();
        for (at, value) in mean.into_iter().enumerate() {
            let expected = 0.5 * f64::from(all[0][at]) + 0.25 * f64::from(all[2][at]) + 0.25 * f64::from(all[3][at]);
            let scale = all.iter().map(|own| f64::from(own[at].abs())).fold(0.0, f64::max);
            assert!((f64::from(value) - expected).abs() <= 1e-6 * scale, "{value} {expected}");
        }
    }

    #[test]
    fn the_expected_cost_has_the_gradient_of_its_differences() {
        let layer = |name: &str, macs: u64| LayerTable {
            name: name.to_owned(),
            parameters: macs / 7,
            macs,
            bits: vec![2, 4, 8],
            reads: Reads::Own(vec![4, 8]),
            loss: OptionTable { by_weights: [(2, 1.0), (4, 0.5), (8, 0.0)].into(), ..OptionTable::default() },
            ..LayerTable::default()
        };
        let tables = Tables { layers: vec![layer("a", 700), layer("b", 1400)], ..Tables::default() };
        let problem = Problem::new(&tables, &Budget::default()).unwrap();
        let p: Vec<Vec<f64>> = problem
            .decisions()
            .iter()
            .enumerate()
            .map(|(k, d)| softmax(&(0..d.bits.len()).map(|i| (k + 2 * i) as f64 * 0.3 % 1.1).collect::<Vec<_>>()))
            .collect();
        for cost in 0..2 {
            let (value, gradient) = expected(&problem, cost, &p);
            for decision in 0..p.len() {
                for option in 0..p[decision].len() {
                    let mut moved = p.clone();
                    moved[decision][option] += 1e-4;
                    let slope = (expected(&problem, cost, &moved).0 - value) / 1e-4;
                    assert!((slope - gradient[decision][option]).abs() < 1e-5 * value, "{slope}");
                }
            }
            // One-hot probabilities are a choice.
            let choice = [1, 0, 2, 1];
            let hot: Vec<Vec<f64>> = problem
                .decisions()
                .iter()
                .zip(choice)
                .map(|(d, c)| (0..d.bits.len()).map(|i| if i == c { 1.0 } else { 0.0 }).collect())
                .collect();
            let value = expected(&problem, cost, &hot).0;
            assert!((value - problem.total(cost, &choice)).abs() < 1e-9 * value.max(1.0));
        }
    }
}
