//! Ours, and the default: weights and activations at once, exact, and judged by real evaluation.
//!
//! Candidates are the exact optima for the measured losses (of weights and of activations, alone and with what narrow
//! neighbours cost together) and for the other methods' sensitivities, and the choices of the methods that keep an order. The best on the measured frames is improved by
//! swaps that are evaluated for real. Of the finalists the one of least loss on the held-out frames is taken: so no
//! method that was a candidate beats it on these frames.

mod neighbours;

use super::super::Budget;
use super::super::problem::{Choice, Problem};
use super::super::study::{Ended, Study};
use super::super::tables::Tables;
use super::choose::{Allocation, Candidate, choose, exact, losses, unmet};
use super::{Method, Sensitivities};
use std::collections::BTreeMap;

/// Methods whose choices are candidates.
const RIVALS: &[Method] = &[
    Method::Uniform,
    Method::Pdb,
    Method::PdbSeparability,
    Method::Spmix,
    Method::HawqV2,
    Method::HawqV3,
    Method::FirstOrder,
    Method::Hmptq,
    Method::HmptqRatio,
    Method::HmptqA,
    Method::Zeroq,
    Method::AdaquantIp,
    Method::HawqV1,
    Method::Dhmq,
    Method::Ssps,
];
/// Rivals that need no gradients; above [`MOST_MACS`] they are the only ones.
const CHEAP: &[Method] = &[Method::Uniform, Method::Pdb, Method::PdbSeparability, Method::Spmix];
/// Multiply-accumulates of a frame up to which gradients are quick.
const MOST_MACS: u64 = 300_000_000;
/// Real evaluations of swaps.
const SWAPS: usize = 48;
/// Powers that measured losses are taken to, so that large ones count less or more than their sum says.
const POWERS: &[f64] = &[1.0, 0.75, 0.5];

pub(super) fn allocate(
    study: &Study<'_>,
    budget: &Budget,
    base: &Tables,
    known: &Sensitivities,
) -> Result<Allocation, Ended> {
    let tables = losses(study, Method::Joint, base, known)?;
    let problem = Problem::new(&tables, budget)?;
    let solved = exact(&problem).ok_or_else(|| unmet(&problem))?;
    let mut with_pairs = tables.clone();
    with_pairs.pairs = neighbours::pairs(study, known, &tables, &problem, &solved.choice)?;
    let mut named: Vec<(String, Choice)> = vec![("joint".to_owned(), solved.choice)];
    if let Some(found) = exact(&problem.over(&with_pairs)) {
        named.push(("joint, with neighbours".to_owned(), found.choice));
    }
    for &power in POWERS.iter().skip(1) {
        let mut bent = tables.clone();
        let bend = |map: &mut BTreeMap<u32, f64>| map.values_mut().for_each(|v| *v = v.max(0.0).powf(power));
        bent.layers.iter_mut().for_each(|layer| bend(&mut layer.loss.by_weights));
        bent.activations.iter_mut().for_each(|activation| bend(&mut activation.loss));
        if let Some(found) = exact(&Problem::new(&bent, budget)?) {
            named.push((format!("joint, losses to the power {power}"), found.choice));
        }
    }
    let macs: u64 = base.layers.iter().map(|layer| layer.macs).sum();
    for &rival in RIVALS.iter().filter(|rival| macs <= MOST_MACS || CHEAP.contains(rival)) {
        let found = (|| {
            let tables = losses(study, rival, base, known)?;
            let mut own = Problem::new(&tables, budget)?;
            choose(study, rival, &mut own)
        })();
        match found {
            Ok(chosen) => named.push((rival.name().to_owned(), chosen.choice)),
            Err(Ended::Stopped) => return Err(Ended::Stopped),
            // A method that does not apply, or that keeps to an order that the budget forbids, is no rival.
            Err(Ended::Faults(_)) => {}
        }
    }
    study.watch.begin("judging candidates", (named.len() + SWAPS) as u64);
    let mut seen: BTreeMap<Choice, f64> = BTreeMap::new();
    let mut candidates = Vec::new();
    let mut best: Option<(f64, Choice)> = None;
    for (name, choice) in named {
        study.watch.step();
        let widths = study.widths(&problem, &choice);
        let loss = match seen.get(&choice) {
            Some(&loss) => loss,
            None => known.loss(study, &widths)?,
        };
        seen.insert(choice.clone(), loss);
        let held_out = known.judged(study, &widths)?;
        let costs = problem.totals(&choice);
        candidates.push((Candidate { name, widths, costs, loss, held_out }, choice.clone()));
        if best.as_ref().is_none_or(|(least, _)| loss < *least) {
            best = Some((loss, choice));
        }
    }
    if let Some((loss, choice)) = best {
        let improved = improve(study, known, &problem, choice, loss, &mut seen)?;
        let widths = study.widths(&problem, &improved.1);
        let held_out = known.judged(study, &widths)?;
        let name = "joint, improved by swaps".to_owned();
        let costs = problem.totals(&improved.1);
        candidates.push((Candidate { name, widths, costs, loss: improved.0, held_out }, improved.1));
    }
    let judged = |candidate: &Candidate| (candidate.held_out, candidate.loss);
    let winner = candidates.iter().min_by(|(a, _), (b, _)| {
        let (a, b) = (judged(a), judged(b));
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let Some((winner, choice)) = winner.cloned() else { return Err(unmet(&problem)) };
    let mut notes = vec![format!("chosen among {} candidates: {}", candidates.len(), winner.name)];
    if macs > MOST_MACS {
        notes.push("the network is large: methods that need gradients were no rivals".to_owned());
    }
    if !study.has_held_out() {
        notes.push("too few calibration frames to hold some out; the judge saw what was measured".to_owned());
    }
    Ok(Allocation {
        method: Method::Joint,
        costs: problem.costs().iter().cloned().zip(problem.totals(&choice)).collect(),
        loss: winner.loss,
        held_out: winner.held_out,
        widths: winner.widths,
        proved: solved.proved && winner.name == "joint",
        candidates: candidates.into_iter().map(|(candidate, _)| candidate).collect(),
        notes,
    })
}

/// Raises one decision, lowering another where the budget asks for it, while that lessens the real loss. Swaps are
/// tried in the order of what the measured losses promise.
fn improve(
    study: &Study<'_>,
    known: &Sensitivities,
    problem: &Problem<'_>,
    start: Choice,
    loss: f64,
    seen: &mut BTreeMap<Choice, f64>,
) -> Result<(f64, Choice), Ended> {
    let (mut at, mut least) = (start, loss);
    let mut left = SWAPS;
    while left > 0 {
        let before = problem.loss(&at);
        let mut moves: Vec<(f64, Choice)> = Vec::new();
        let count = at.len();
        for up in 0..count {
            if at[up] + 1 >= problem.decisions()[up].bits.len() {
                continue;
            }
            let mut raised = at.clone();
            raised[up] += 1;
            if problem.is_feasible(&raised) {
                moves.push((problem.loss(&raised) - before, raised));
                continue;
            }
            for down in (0..count).filter(|&down| down != up && at[down] > 0) {
                let mut swapped = raised.clone();
                swapped[down] -= 1;
                if problem.is_feasible(&swapped) {
                    moves.push((problem.loss(&swapped) - before, swapped));
                }
            }
        }
        moves.retain(|(_, choice)| !seen.contains_key(choice));
        moves.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        let mut moved = false;
        for (_, choice) in moves {
            if left == 0 {
                break;
            }
            left -= 1;
            study.watch.step();
            let loss = known.loss(study, &study.widths(problem, &choice))?;
            seen.insert(choice.clone(), loss);
            if loss < least {
                (at, least, moved) = (choice, loss, true);
                break;
            }
        }
        if !moved {
            break;
        }
    }
    Ok((least, at))
}
