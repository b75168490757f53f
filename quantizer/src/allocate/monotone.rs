//! Widths that fall with depth: progressively decreasing (PDB) and, for encoder-decoder networks, symmetric (SPMix-Q).
//!
//! Both name an order that widths keep; within it the best sequence under the budget is found by trying them all, which
//! is exact and, with a handful of stages and widths, small. Which sequence is best is judged by the table's losses;
//! the publications judge by training, so this rule is ours.

use super::problem::{Choice, Decision, Problem};
use std::collections::BTreeSet;

/// Most choices that are tried; beyond it activations take the sequence of the weights.
const MAX_TRIES: usize = 400_000;
/// Most sequences that are listed.
const MAX_SEQUENCES: usize = 60_000;

/// Sequences that an order allows, each with one width for every stage.
pub type Sequences = Vec<Vec<u32>>;

/// All sequences of `stages` widths that never rise, in order. Fewer widths (the lowest ones go first) where they would
/// be more than some ten thousand.
pub fn non_increasing(stages: usize, widths: &[u32]) -> Sequences {
    let mut widths: Vec<u32> = widths.to_vec();
    loop {
        let mut made: Sequences = vec![Vec::new()];
        for _ in 0..stages {
            let mut longer = Vec::new();
            for sequence in &made {
                let most = sequence.last().copied().unwrap_or(u32::MAX);
                for &width in widths.iter().filter(|&&width| width <= most) {
                    longer.push(sequence.iter().copied().chain([width]).collect());
                }
            }
            made = longer;
            if made.len() > MAX_SEQUENCES {
                break;
            }
        }
        if made.len() <= MAX_SEQUENCES || widths.len() < 2 {
            made.sort_unstable();
            return made;
        }
        widths.remove(0);
    }
}

/// Symmetric sequences for `depths` levels: the encoder's widths from the surface down, the bottleneck's, and the
/// decoder's from the surface down. The encoder never rises with depth, nor does the decoder; the decoder is nowhere
/// wider than the encoder at its depth; the bottleneck is nowhere wider than what surrounds it.
pub fn symmetric(depths: usize, widths: &[u32]) -> Sequences {
    let sides = non_increasing(depths, widths);
    let mut made = Vec::new();
    for encoder in &sides {
        for decoder in sides.iter().filter(|decoder| decoder.iter().zip(encoder).all(|(d, e)| d <= e)) {
            let most = encoder.last().into_iter().chain(decoder.last()).min().copied().unwrap_or(u32::MAX);
            for &bottleneck in widths.iter().filter(|&&width| width <= most) {
                let sequence: Vec<u32> = encoder.iter().copied().chain([bottleneck]).chain(decoder.clone()).collect();
                made.push(sequence);
                if made.len() > MAX_SEQUENCES {
                    return made;
                }
            }
        }
    }
    made
}

/// Which stage a decision belongs to; `None` for those that stay at their widest.
pub type StageOf<'a> = &'a dyn Fn(&Decision) -> Option<usize>;

/// The feasible choice of least loss whose weights follow one of the sequences and whose activations another; the
/// cheapest in the first limit among equals. `None` where no sequence is feasible.
pub fn best(problem: &Problem<'_>, sequences: &Sequences, stage_of: StageOf<'_>) -> Option<Choice> {
    use super::problem::Subject;
    let is_weights = |decision: &Decision| matches!(decision.subject, Subject::Weights(_));
    let place = |decision: &Decision, weights: &[u32], activations: &[u32]| match stage_of(decision) {
        None => u32::MAX,
        Some(stage) => if is_weights(decision) { weights } else { activations }.get(stage).copied().unwrap_or(u32::MAX),
    };
    let decides_activations = problem.decisions().iter().any(|d| !is_weights(d) && stage_of(d).is_some());
    let every = decides_activations && sequences.len().saturating_mul(sequences.len()) <= MAX_TRIES;
    let mut best: Option<(f64, Choice)> = None;
    let mut seen = BTreeSet::new();
    for weights in sequences {
        let rivals = if every { sequences.as_slice() } else { std::slice::from_ref(weights) };
        for activations in rivals {
            let choice = problem.choice(&|decision| place(decision, weights, activations));
            if !seen.insert(choice.clone()) || !problem.is_feasible(&choice) {
                continue;
            }
            let loss = problem.loss(&choice);
            if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                best = Some((loss, choice));
            }
        }
    }
    best.map(|(_, choice)| choice)
}

/// The nearest sequence that never falls, in the sense of least squares (pool adjacent violators).
pub fn isotonic(values: &[f64]) -> Vec<f64> {
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for &value in values {
        blocks.push((value, 1));
        while let [.., (before, m), (last, n)] = blocks.as_slice()
            && before > last
        {
            let merged = ((before * *m as f64 + last * *n as f64) / (m + n) as f64, m + n);
            blocks.truncate(blocks.len() - 2);
            blocks.push(merged);
        }
    }
    blocks.into_iter().flat_map(|(value, count)| std::iter::repeat_n(value, count)).collect()
}

/// How far classes stand apart in features: the trace of the scatter between classes over that within them. Each sample
/// is a class and its features.
pub fn separability(samples: &[(usize, Vec<f64>)]) -> f64 {
    let size = samples.first().map_or(0, |(_, features)| features.len());
    let mean = |of: &[&Vec<f64>]| -> Vec<f64> {
        (0..size).map(|k| of.iter().map(|features| features[k]).sum::<f64>() / of.len().max(1) as f64).collect()
    };
    let all: Vec<&Vec<f64>> = samples.iter().map(|(_, features)| features).collect();
    let center = mean(&all);
    let classes: BTreeSet<usize> = samples.iter().map(|(class, _)| *class).collect();
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let (mut between, mut within) = (0.0, 0.0);
    for class in classes {
        let members: Vec<&Vec<f64>> = samples.iter().filter(|(own, _)| *own == class).map(|(_, f)| f).collect();
        let of_class = mean(&members);
        between += members.len() as f64 * distance(&of_class, &center);
        within += members.iter().map(|features| distance(features, &of_class)).sum::<f64>();
    }
    if within > 0.0 { between / within } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocate::tables::{LayerTable, OptionTable, Tables};
    use crate::allocate::{Budget, Limit};

    /// Parameters of the four stages of a ResNet-18, without its first and last layer.
    const STAGES: [u64; 4] = [147_456, 524_288, 2_097_152, 8_388_608];

    fn table(losses: &dyn Fn(usize, u32) -> f64) -> Tables {
        let layer = |(stage, &parameters): (usize, &u64)| {
            let by_weights = (1..=4).map(|bits| (bits, losses(stage, bits))).collect();
            let loss = OptionTable { by_weights, ..OptionTable::default() };
            LayerTable { name: format!("stage{stage}"), parameters, bits: vec![1, 2, 3, 4], loss, ..Default::default() }
        };
        Tables { layers: STAGES.iter().enumerate().map(layer).collect(), ..Tables::default() }
    }

    #[track_caller]
    fn check_reduction(widths: [u32; 4], reference: u32, percent: f64) {
        let tables = table(&|_, _| 0.0);
        let problem = Problem::new(&tables, &Budget::default()).unwrap();
        let choice = problem.choice(&|decision| widths[decision.name[5..].parse::<usize>().unwrap()]);
        let uniform = problem.choice(&|_| reference);
        let reduction = 100.0 * (1.0 - problem.total(0, &choice) / problem.total(0, &uniform));
        assert!((reduction - percent).abs() < 0.005, "{reduction} instead of {percent}");
        assert!(non_increasing(4, &[1, 2, 3, 4]).contains(&widths.to_vec()));
    }

    #[test]
    fn published_reductions() {
        check_reduction([3, 3, 3, 2], 3, 25.06);
        check_reduction([3, 3, 2, 2], 3, 31.33);
        check_reduction([4, 4, 4, 2], 4, 37.59);
        check_reduction([4, 4, 3, 3], 4, 23.49);
        check_reduction([2, 2, 2, 1], 2, 37.59);
        check_reduction([3, 3, 3, 3], 3, 0.0);
    }

    #[test]
    fn sequences_never_rise_and_none_is_missing() {
        // Multisets of 4 out of 3 widths: 15.
        let all = non_increasing(4, &[2, 4, 8]);
        assert_eq!(all.len(), 15);
        assert!(all.iter().all(|sequence| sequence.windows(2).all(|pair| pair[0] >= pair[1])));
        let symmetric = symmetric(2, &[2, 4, 8]);
        for sequence in &symmetric {
            let &[e0, e1, bottom, d0, d1] = sequence.as_slice() else { panic!("{sequence:?}") };
            assert!(e0 >= e1 && d0 >= d1 && d0 <= e0 && d1 <= e1 && bottom <= e1.min(d1), "{sequence:?}");
        }
        let by_hand = (0..3u32.pow(5)).filter(|code| {
            let w = |k: u32| [2, 4, 8][(code / 3u32.pow(k) % 3) as usize];
            w(0) >= w(1) && w(3) >= w(4) && w(3) <= w(0) && w(4) <= w(1) && w(2) <= w(1).min(w(4))
        });
        assert_eq!(symmetric.len(), by_hand.count());
    }

    #[test]
    fn the_best_sequence_is_that_of_all_monotone_choices() {
        let losses = |stage: usize, bits: u32| [0.3, 2.0, 0.7, 1.1][stage] * 0.25f64.powi(bits as i32);
        let tables = table(&losses);
        for share in [0.3, 0.45, 0.5, 0.63, 0.8, 1.0] {
            let most = crate::allocate::budget::Amount::Share(share);
            let budget = Budget { limits: vec![Limit { cost: "size".to_owned(), most }] };
            let problem = Problem::new(&tables, &budget).unwrap();
            let stage_of = |decision: &Decision| decision.name[5..].parse().ok();
            let found = best(&problem, &non_increasing(4, &[1, 2, 3, 4]), &stage_of).unwrap();
            let all = (0..256usize).map(|code| (0..4).map(|k| code >> (2 * k) & 3).collect::<Vec<_>>());
            let monotone = all.filter(|c| c.windows(2).all(|pair| pair[0] >= pair[1]) && problem.is_feasible(c));
            let least = monotone.map(|choice| problem.loss(&choice)).fold(f64::INFINITY, f64::min);
            assert_eq!(problem.loss(&found), least, "{share}");
        }
    }

    #[test]
    fn isotonic_projections() {
        assert_eq!(isotonic(&[1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]);
        assert_eq!(isotonic(&[3.0, 1.0, 2.0, 4.0]), [2.0, 2.0, 2.0, 4.0]);
        assert_eq!(isotonic(&[1.0, 5.0, 3.0, 2.0]), [1.0, 10.0 / 3.0, 10.0 / 3.0, 10.0 / 3.0]);
    }

    #[test]
    fn separability_of_two_classes_on_a_line() {
        // Means 1 and 5 around 3: between 4 * 4 = 16; within 4 * 1 = 4.
        let samples = [(0, vec![0.0]), (0, vec![2.0]), (1, vec![4.0]), (1, vec![6.0])];
        assert_eq!(separability(&samples), 4.0);
        assert_eq!(separability(&[(0, vec![1.0]), (1, vec![1.0])]), 0.0);
    }
}
