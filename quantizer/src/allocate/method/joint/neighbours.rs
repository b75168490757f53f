//! What two narrow neighbours cost beside what each costs alone.
//!
//! Measured where it can matter: for the weights of adjacent layers, and for the weights of a layer with the activations
//! that it reads, at the widths of a choice and the next narrower ones; only for neighbours that have a part in the
//! loss of that choice. Everything else counts nothing, as without the terms.

use super::super::super::problem::{Problem, Subject};
use super::super::super::study::{Ended, Study, Widths};
use super::super::super::tables::{PairTable, Tables};
use super::super::Sensitivities;
use std::collections::BTreeMap;

/// Neighbours that are measured at most; those of greatest loss.
const MOST: usize = 24;
/// Part of a choice's loss below which a neighbour does not matter.
const LEAST_PART: f64 = 0.02;

/// A width that is chosen: of a layer's weights, or of a group of activations.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Weights(usize),
    Activations(usize),
}

/// One of two neighbours: its name in tables, where it stands, its widths to look at, and its loss at the chosen one.
struct Side {
    name: String,
    place: Place,
    widths: Vec<u32>,
    loss: f64,
}

/// The terms of a choice.
pub(super) fn pairs(
    study: &Study<'_>,
    known: &Sensitivities,
    tables: &Tables,
    problem: &Problem<'_>,
    choice: &[usize],
) -> Result<Vec<PairTable>, Ended> {
    let total = problem.loss(choice).abs().max(f64::MIN_POSITIVE);
    let near = |bits: &[u32], chosen: u32| -> Vec<u32> {
        let at = bits.iter().position(|&own| own == chosen).unwrap_or(0);
        bits[at.saturating_sub(1)..=at].to_vec()
    };
    let weights = |layer: usize| {
        let (table, chosen) = (&tables.layers[layer], problem.widths(layer, choice).0);
        let loss = table.loss.by_weights.get(&chosen).copied().unwrap_or(0.0);
        let widths = near(&table.bits, chosen);
        Side { name: table.name.clone(), place: Place::Weights(layer), widths, loss }
    };
    let free = study.free_groups();
    let reads = |layer: usize| -> Option<Side> {
        let decision = &problem.decisions()[problem.reads_decision(layer)?];
        let Subject::Shared(index) = decision.subject else { return None };
        let (table, chosen) = (&tables.activations[index], problem.widths(layer, choice).1);
        let loss = table.loss.get(&chosen).copied().unwrap_or(0.0);
        let place = Place::Activations(*free.get(index)?);
        Some(Side { name: table.name.clone(), place, widths: near(&table.bits, chosen), loss })
    };
    let count = tables.layers.len();
    let mut all: Vec<(Side, Side)> = (1..count).map(|layer| (weights(layer - 1), weights(layer))).collect();
    all.extend((0..count).filter_map(|layer| Some((weights(layer), reads(layer)?))));
    all.retain(|(a, b)| a.loss.min(b.loss) > LEAST_PART * total);
    all.sort_by(|a, b| (b.0.loss + b.1.loss).total_cmp(&(a.0.loss + a.1.loss)).then_with(|| a.0.name.cmp(&b.0.name)));
    all.truncate(MOST);
    study.watch.begin("neighbours", all.len() as u64);
    let base = known.loss(study, &study.float())?;
    let mut made = Vec::new();
    for (a, b) in &all {
        let mut loss = BTreeMap::new();
        for &first in &a.widths {
            for &second in &b.widths {
                let with = |own: &[(Place, u32)]| {
                    let mut widths = study.float();
                    own.iter().for_each(|(place, bits)| put(&mut widths, *place, *bits));
                    known.loss(study, &widths)
                };
                let both = with(&[(a.place, first), (b.place, second)])?;
                let alone = with(&[(a.place, first)])? + with(&[(b.place, second)])?;
                loss.insert((first, second), both - alone + base);
            }
        }
        made.push(PairTable { between: [a.name.clone(), b.name.clone()], loss });
        study.watch.step();
    }
    Ok(made)
}

fn put(widths: &mut Widths, place: Place, bits: u32) {
    match place {
        Place::Weights(layer) => widths.weights[layer] = Some(bits),
        Place::Activations(group) => widths.activations[group] = Some(bits),
    }
}
