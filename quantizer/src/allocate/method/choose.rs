//! From a method and a budget to widths.

use super::super::descent::{Weights, lower};
use super::super::problem::{Choice, Decision, Problem, Subject};
use super::super::study::{Ended, Role, Study, Widths};
use super::super::tables::{PairTable, Tables};
use super::super::{Budget, Infeasible, monotone};
use super::sensitivity::ByWidth;
use super::{Measure, Method, Sensitivities, joint, mixture};
use network::{Code, Diagnostic, Place};
use std::collections::BTreeMap;

/// What a method chose.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// The method.
    pub method: Method,
    /// The widths.
    pub widths: Widths,
    /// All costs by name.
    pub costs: Vec<(String, f64)>,
    /// Loss on the frames that were measured on.
    pub loss: f64,
    /// Loss on the frames that were held out.
    pub held_out: f64,
    /// Whether the choice is proved to be the best for the method's own sensitivities.
    pub proved: bool,
    /// The rivals, where there were some.
    pub candidates: Vec<Candidate>,
    /// What should be known.
    pub notes: Vec<String>,
}

/// A choice that was judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Where it came from.
    pub name: String,
    /// The widths.
    pub widths: Widths,
    /// All costs, in the order of the allocation's.
    pub costs: Vec<f64>,
    /// Loss on the frames that were measured on.
    pub loss: f64,
    /// Loss on the frames that were held out.
    pub held_out: f64,
}

/// A choice before it is judged.
pub(super) struct Chosen {
    pub choice: Choice,
    pub proved: bool,
    pub notes: Vec<String>,
}

/// Allocates. `base` are the study's tables with named costs beside (see [`Study::tables`]); losses in it are ignored.
///
/// # Errors
/// The user stopped it; a budget that cannot be met; a method that does not fit the network.
pub fn allocate(
    study: &Study<'_>,
    method: Method,
    budget: &Budget,
    base: &Tables,
    known: &Sensitivities,
) -> Result<Allocation, Ended> {
    if method == Method::Joint {
        return joint::allocate(study, budget, base, known);
    }
    let tables = losses(study, method, base, known)?;
    let mut problem = Problem::new(&tables, budget)?;
    let chosen = choose(study, method, &mut problem)?;
    let widths = study.widths(&problem, &chosen.choice);
    let (loss, held_out) = (known.loss(study, &widths)?, known.judged(study, &widths)?);
    let costs = problem.costs().iter().cloned().zip(problem.totals(&chosen.choice)).collect();
    let (proved, notes) = (chosen.proved, chosen.notes);
    Ok(Allocation { method, widths, costs, loss, held_out, proved, candidates: Vec::new(), notes })
}

/// The tables with the losses that a method measures.
pub(super) fn losses(study: &Study<'_>, method: Method, base: &Tables, known: &Sensitivities) -> Result<Tables, Ended> {
    let measure = match method {
        Method::Uniform | Method::Pdb | Method::PdbSeparability | Method::Spmix => Measure::Loss,
        Method::Dhmq | Method::Ssps | Method::Joint => Measure::Loss,
        Method::Hmptq | Method::HmptqRatio | Method::HmptqA => Measure::Reconstruction,
        Method::HawqV1 => Measure::Eigenvalue,
        Method::HawqV2 | Method::HawqV3 => Measure::Trace,
        Method::Zeroq => Measure::Distilled,
        Method::FirstOrder => Measure::FirstOrder,
        Method::AdaquantIp => Measure::Fitted,
    };
    let mut tables = base.clone();
    for (layer, own) in tables.layers.iter_mut().zip(known.weights(study, measure)?) {
        layer.loss = super::super::tables::OptionTable { by_weights: own, ..Default::default() };
    }
    if measure == Measure::Loss && method != Method::Dhmq {
        for (activation, own) in tables.activations.iter_mut().zip(known.activations(study)?) {
            activation.loss = own;
        }
    }
    if method == Method::HmptqA {
        for (activation, own) in tables.activations.iter_mut().zip(known.activation_errors(study)?) {
            activation.loss = own;
        }
    }
    Ok(tables)
}

/// The tables with the measured losses of weights and activations, as they are written to a file.
///
/// # Errors
/// The user stopped it.
pub fn measured(study: &Study<'_>, base: &Tables, known: &Sensitivities) -> Result<Tables, Ended> {
    losses(study, Method::Joint, base, known)
}

/// The choice of any method but the joint one.
pub(super) fn choose(study: &Study<'_>, method: Method, problem: &mut Problem<'_>) -> Result<Chosen, Ended> {
    let plain = |choice: Choice| Chosen { choice, proved: true, notes: Vec::new() };
    match method {
        Method::Uniform => uniform(problem).map(plain),
        Method::Pdb => decreasing(study, problem, &study.structure().stages).map(plain),
        Method::PdbSeparability => decreasing(study, problem, &study.separated_stages()?).map(plain),
        Method::Spmix => spmix(study, problem).map(plain),
        Method::Hmptq => hmptq(study, problem, false),
        Method::HmptqRatio => hmptq(study, problem, true),
        Method::HmptqA => hmptq_with_activations(study, problem),
        Method::Dhmq => {
            let kept = problem.clone();
            with_uniform_activations(problem, &mut |problem| {
                let narrowest = problem.choice(&|decision| if is_weights(decision) { 0 } else { u32::MAX });
                let narrowest = allowed(problem, narrowest);
                if !problem.is_feasible(&narrowest) {
                    return Ok(None);
                }
                let start = allowed(problem, problem.widest());
                let found = lower(problem, start, 1.0, &mut Lowered { study, problem: &kept })?;
                let chosen = Chosen { choice: found.choice, proved: false, notes: Vec::new() };
                Ok(Some(chosen).filter(|_| found.is_feasible))
            })
        }
        Method::HawqV3 => {
            let last = study.layers().len().saturating_sub(1);
            let of_layer = |decision: &Decision, layer: usize| matches!(&decision.subject, Subject::Weights(layers) if layers.contains(&layer));
            problem.restrict(&|decision, bits| {
                if of_layer(decision, 0) || of_layer(decision, last) {
                    return Some(&bits) == decision.bits.iter().filter(|&&bits| bits <= 8).max();
                }
                !is_weights(decision) || bits == 4 || bits == 8
            });
            with_uniform_activations(problem, &mut |problem| Ok(exact(problem)))
        }
        Method::HawqV1 | Method::HawqV2 | Method::Zeroq | Method::FirstOrder | Method::AdaquantIp => {
            with_uniform_activations(problem, &mut |problem| Ok(exact(problem)))
        }
        Method::Ssps => {
            let choice = mixture::search(study, problem)?;
            if !problem.is_feasible(&choice) {
                return Err(unmet(problem));
            }
            Ok(Chosen { choice, proved: false, notes: Vec::new() })
        }
        Method::Joint => exact(problem).ok_or_else(|| unmet(problem)),
    }
}

pub(super) fn exact(problem: &Problem<'_>) -> Option<Chosen> {
    let solution = problem.solve().ok()?;
    Some(Chosen { choice: solution.choice, proved: solution.proved, notes: Vec::new() })
}

/// Why no choice of this problem keeps the budget.
pub(super) fn unmet(problem: &Problem<'_>) -> Ended {
    let found: Result<_, Infeasible> = problem.solve();
    match found {
        Err(infeasible) => infeasible.diagnostic().into(),
        Ok(_) => Ended::from(Diagnostic::new(
            Code::AllocationInfeasible,
            Place::default(),
            "the order or the widths that the method keeps to leave no plan within the budget, though others would",
            "raise the budget, or take `--method joint`, which keeps to no order",
        )),
    }
}

pub(super) fn is_weights(decision: &Decision) -> bool {
    matches!(decision.subject, Subject::Weights(_))
}

fn every_width(problem: &Problem<'_>) -> Vec<u32> {
    let mut widths: Vec<u32> = problem.decisions().iter().flat_map(|decision| decision.bits.clone()).collect();
    widths.sort_unstable();
    widths.dedup();
    widths
}

/// The stage of a decision: of its layers' first, or of the first layer that reads an activation.
fn stage(study: &Study<'_>, decision: &Decision, of: &dyn Fn(usize) -> Option<usize>) -> Option<usize> {
    match &decision.subject {
        Subject::Weights(layers) => layers.first().and_then(|&layer| of(layer)),
        Subject::Shared(place) => {
            let group = study.free_groups().get(*place).copied()?;
            (0..study.layers().len()).find(|&layer| study.reads(layer) == Some(group)).and_then(of)
        }
        Subject::Own(layer) => of(*layer),
    }
}

/// The feasible pair of widths of least predicted loss.
fn uniform(problem: &Problem<'_>) -> Result<Choice, Ended> {
    let widths = every_width(problem);
    let mut best: Option<(f64, Choice)> = None;
    for &w in &widths {
        for &a in &widths {
            let choice = problem.choice(&|decision| if is_weights(decision) { w } else { a });
            let loss = problem.loss(&choice);
            if problem.is_feasible(&choice) && best.as_ref().is_none_or(|(least, _)| loss < *least) {
                best = Some((loss, choice));
            }
        }
    }
    best.map(|(_, choice)| choice).ok_or_else(|| unmet(problem))
}

/// Widths that never rise from stage to stage.
fn decreasing(study: &Study<'_>, problem: &Problem<'_>, stages: &[usize]) -> Result<Choice, Ended> {
    let count = stages.last().map_or(1, |last| last + 1);
    let sequences = monotone::non_increasing(count, &every_width(problem));
    let stage_of = |decision: &Decision| stage(study, decision, &|layer| Some(stages[layer]));
    monotone::best(problem, &sequences, &stage_of).ok_or_else(|| unmet(problem))
}

fn spmix(study: &Study<'_>, problem: &Problem<'_>) -> Result<Choice, Ended> {
    let structure = study.structure();
    let Some(roles) = &structure.roles else {
        return Err(Ended::from(Diagnostic::new(
            Code::AllocationMethod,
            Place::default(),
            "spmix needs an encoder and a decoder with skips between them; this network's resolutions do not fall and rise so",
            "take `--method pdb`, or `joint`",
        )));
    };
    let levels = structure.levels;
    let sequences = monotone::symmetric(levels, &every_width(problem));
    let last = roles.len().saturating_sub(1);
    let of = |layer: usize| match roles[layer] {
        // First and last layer stay wide.
        _ if layer == 0 || layer == last => None,
        Role::Encoder(level) => Some(level),
        Role::Bottleneck => Some(levels),
        Role::Decoder(level) => Some(levels + 1 + level),
    };
    let stage_of = |decision: &Decision| stage(study, decision, &of);
    monotone::best(problem, &sequences, &stage_of).ok_or_else(|| unmet(problem))
}

/// Tries activations of one width, the widest first, until one leaves a choice.
fn with_uniform_activations(
    problem: &mut Problem<'_>,
    solve: &mut dyn FnMut(&Problem<'_>) -> Result<Option<Chosen>, Ended>,
) -> Result<Chosen, Ended> {
    let widths: Vec<u32> = {
        let own = problem.decisions().iter().filter(|decision| !is_weights(decision));
        let mut all: Vec<u32> = own.flat_map(|decision| decision.bits.clone()).collect();
        all.sort_unstable();
        all.dedup();
        if all.is_empty() { vec![8] } else { all }
    };
    let kept = problem.clone();
    for &bits in widths.iter().rev() {
        *problem = kept.clone();
        problem.restrict(&|decision, width| {
            let at = decision.bits.iter().position(|own| *own == width);
            let was = at.and_then(|at| decision.allowed.get(at).copied()).unwrap_or(true);
            was && (is_weights(decision) || width == bits)
        });
        if let Some(mut chosen) = solve(problem)? {
            if bits != widths.last().copied().unwrap_or(bits) {
                chosen.notes.push(format!("activations of {bits} bits, the widest that the budget leaves"));
            }
            return Ok(chosen);
        }
    }
    Err(unmet(&kept))
}

/// The choice with every option that is not allowed replaced by the nearest that is.
fn allowed(problem: &Problem<'_>, choice: Choice) -> Choice {
    let nearest = |(decision, option): (&Decision, usize)| {
        let open = |at: &usize| decision.allowed[*at];
        (0..=option).rev().find(open).or_else(|| (0..decision.bits.len()).find(open)).unwrap_or(option)
    };
    problem.decisions().iter().zip(choice).map(nearest).collect()
}

/// HMPTQ: two widths, half the parameters at each being the published limit; the pair of widths that the budget leaves.
fn hmptq(study: &Study<'_>, problem: &mut Problem<'_>, is_ratio: bool) -> Result<Chosen, Ended> {
    let kept = problem.clone();
    for widths in [[4, 8], [2, 4]] {
        let mut tables = kept.tables().clone();
        tables.pairs = adjacent(study, &tables, widths, is_ratio)?;
        let mut paired = kept.over(&tables);
        paired.restrict(&|decision, bits| !is_weights(decision) || widths.contains(&bits));
        let found = with_uniform_activations(&mut paired, &mut |problem| Ok(exact(problem)));
        match found {
            Ok(mut chosen) => {
                chosen.notes.push(format!("weights of {} and {} bits", widths[1], widths[0]));
                return Ok(chosen);
            }
            Err(Ended::Stopped) => return Err(Ended::Stopped),
            Err(_) => {}
        }
    }
    Err(unmet(problem))
}

/// HMPTQ with widths of activations chosen by the same error and program: 8 and 4 bits of both, then 4 and 2 bits of
/// weights, then of both, as the budget leaves it.
fn hmptq_with_activations(study: &Study<'_>, problem: &Problem<'_>) -> Result<Chosen, Ended> {
    for (weights, activations) in [([4, 8], [4, 8]), ([2, 4], [4, 8]), ([2, 4], [2, 4])] {
        let mut tables = problem.tables().clone();
        tables.pairs = adjacent(study, &tables, weights, false)?;
        let mut paired = problem.over(&tables);
        paired.restrict(&|decision, bits| (if is_weights(decision) { weights } else { activations }).contains(&bits));
        let keeps_pair = paired.decisions().iter().all(|decision| {
            let pair = if is_weights(decision) { weights } else { activations };
            decision.bits.iter().zip(&decision.allowed).all(|(bits, ok)| !ok || pair.contains(bits))
        });
        if let Some(mut chosen) = exact(&paired).filter(|_| keeps_pair) {
            let said = |pair: [u32; 2]| format!("{} and {}", pair[1], pair[0]);
            chosen.notes.push(format!("weights of {} bits, activations of {} bits", said(weights), said(activations)));
            return Ok(chosen);
        }
    }
    Err(unmet(problem))
}

/// Loss of neighbouring layers beside their own: both quantized against the worse of each alone, scaled so that for
/// each layer its mean is that of the reconstruction error.
fn adjacent(study: &Study<'_>, tables: &Tables, widths: [u32; 2], is_ratio: bool) -> Result<Vec<PairTable>, Ended> {
    let count = tables.layers.len();
    study.watch.begin("adjacent layers", (count * 6) as u64);
    let mut alone: ByWidth = Vec::new();
    for layer in 0..count {
        let mut own = BTreeMap::new();
        for bits in widths {
            let mut trial = study.float();
            trial.weights[layer] = Some(bits);
            own.insert(bits, study.loss(&trial)?);
            study.watch.step();
        }
        alone.push(own);
    }
    let mut pairs = Vec::new();
    for second in 1..count {
        let first = second - 1;
        let mut loss = BTreeMap::new();
        for a in widths {
            for b in widths {
                let mut trial = study.float();
                (trial.weights[first], trial.weights[second]) = (Some(a), Some(b));
                let (both, most) = (study.loss(&trial)?, alone[first][&a].max(alone[second][&b]));
                loss.insert((a, b), if is_ratio { both / most.max(1e-12) } else { both - most });
                study.watch.step();
            }
        }
        let mean = loss.values().sum::<f64>() / loss.len() as f64;
        let own = &tables.layers[second].loss.by_weights;
        let error = widths.iter().filter_map(|bits| own.get(bits)).sum::<f64>() / widths.len() as f64;
        // A mean of zero or below says nothing about the scale; then the term is left out.
        let lambda = if mean > 1e-12 { error / mean } else { 0.0 };
        loss.values_mut().for_each(|value| *value *= lambda);
        let between = [tables.layers[first].name.clone(), tables.layers[second].name.clone()];
        pairs.push(PairTable { between, loss });
    }
    Ok(pairs)
}

/// The network's weights as the descent asks for them.
struct Lowered<'a, 'p, 't> {
    study: &'a Study<'p>,
    problem: &'a Problem<'t>,
}

impl Weights for Lowered<'_, '_, '_> {
    type Error = Ended;

    fn at(&mut self, decision: usize, option: usize) -> Result<Vec<f64>, Ended> {
        let decision = &self.problem.decisions()[decision];
        Ok(match &decision.subject {
            Subject::Weights(layers) => {
                layers.iter().flat_map(|&layer| self.study.quantized_weights(layer, decision.bits[option])).collect()
            }
            Subject::Shared(_) | Subject::Own(_) => Vec::new(),
        })
    }

    fn gradient(&mut self, weights: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Ended> {
        let mut by_layer = self.study.float_weights();
        let mut parts: Vec<Vec<f64>> = weights.iter().map(|part| vec![0.0; part.len()]).collect();
        let places = self.places();
        for &(index, layer, start) in &places {
            let length = by_layer[layer].len();
            by_layer[layer].copy_from_slice(&weights[index][start..start + length]);
        }
        let made = self.study.gradient(&by_layer)?;
        for (index, layer, start) in places {
            parts[index][start..start + made[layer].len()].copy_from_slice(&made[layer]);
        }
        Ok(parts)
    }
}

impl Lowered<'_, '_, '_> {
    /// Where each layer's weights stand: its decision, itself, and the first of its elements there.
    fn places(&self) -> Vec<(usize, usize, usize)> {
        let mut places = Vec::new();
        for (index, decision) in self.problem.decisions().iter().enumerate() {
            let Subject::Weights(layers) = &decision.subject else { continue };
            let mut start = 0;
            for &layer in layers {
                places.push((index, layer, start));
                start += self.study.trial.layers[layer].weights.elem_count();
            }
        }
        places
    }
}
