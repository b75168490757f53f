//! Widths that fall as classes come apart: separability by its definition, and the choice by exhaustive search.

use crate::builder::Net;
use quantizer::allocate::problem::Problem;
use quantizer::allocate::{
    Budget, Ended, LossKind, Method, Sensitivities, Study, StudyOptions, Unwatched, allocate, study,
};
use quantizer::{Calibration, PostTraining};

/// Frames of two elements; the first one tells the class, the second is as large and tells nothing.
const FRAMES: [[f32; 2]; 8] =
    [[1.0, 3.0], [-1.0, 3.0], [1.5, -3.0], [-1.5, -3.0], [0.75, 1.0], [-0.75, -1.0], [1.25, 0.5], [-1.25, -0.5]];
/// First all of both, then a mixture in which classes are no farther apart, then the first alone with little of the second.
const A: [f32; 4] = [1.0, 0.0, 0.0, 1.0];
const B: [f32; 4] = [0.5, 0.25, 0.25, 2.0];
const C: [f32; 6] = [1.0, -1.0, 0.25, -0.125, 0.125, 0.0625];

fn studied<T>(
    loss: LossKind,
    frames: &[[f32; 2]],
    work: &mut dyn FnMut(&Study<'_>) -> Result<T, Ended>,
) -> Result<T, Ended> {
    let net = Net::new(&[1, 2]).floats("a", &[2, 2], &A).floats("b", &[2, 2], &B).floats("c", &[2, 3], &C);
    let bytes = net.node("MatMul", &["x", "a"], "s", &[]).node("MatMul", &["s", "b"], "t", &[]);
    let bytes = bytes.node("MatMul", &["t", "c"], "y", &[]).bytes();
    // The first half is measured on; the rest of the frames is the same again.
    let values: Vec<f32> = frames.iter().chain(frames).flatten().copied().collect();
    let calibration = Calibration::Frames { values, shape: vec![2 * frames.len() as u64, 2], integers: false };
    let given = PostTraining { calibration, ..PostTraining::default() };
    let options = StudyOptions {
        weight_bits: vec![2, 3, 4, 8],
        activation_bits: vec![8],
        loss: Some(loss),
        labels: None,
        frames: frames.len(),
        seed: 3,
        reading: quantizer::Reading::default(),
    };
    study(&bytes, "net.onnx", &given, &options, &Unwatched, work)
}

/// The features of the three layers for each frame, and the class of the greatest of the last.
fn features() -> Vec<(usize, [Vec<f64>; 3])> {
    let times = |x: &[f64], w: &[f32]| -> Vec<f64> {
        let columns = w.len() / 2;
        (0..columns).map(|k| x[0] * f64::from(w[k]) + x[1] * f64::from(w[columns + k])).collect()
    };
    let of = |x: &[f32; 2]| {
        let first = times(&x.map(f64::from), &A);
        let second = times(&first, &B);
        let third = times(&second, &C);
        let class = (0..3).max_by(|&a, &b| third[a].total_cmp(&third[b])).unwrap();
        (class, [first, second, third])
    };
    FRAMES.iter().map(of).collect()
}

/// Trace of the scatter between classes over that within them, from sums of squares: all less those within.
fn by_definition(layer: usize) -> f64 {
    let all = features();
    let scatter = |of: &dyn Fn(usize) -> bool| -> f64 {
        let own: Vec<&Vec<f64>> = all.iter().filter(|(class, _)| of(*class)).map(|(_, f)| &f[layer]).collect();
        let squares = |k: usize| {
            let sum: f64 = own.iter().map(|f| f[k]).sum();
            own.iter().map(|f| f[k] * f[k]).sum::<f64>() - sum * sum / own.len() as f64
        };
        (0..own[0].len()).map(squares).sum()
    };
    let within: f64 = (0..3).map(|class| scatter(&|own| own == class)).sum();
    (scatter(&|_| true) - within) / within
}

#[test]
fn separability_is_that_of_the_scatters() {
    let found = studied(LossKind::Classes, &FRAMES, &mut |study| study.separabilities());
    let found = found.unwrap_or_else(|ended| panic!("{ended:?}"));
    for (layer, own) in found.iter().enumerate() {
        let expected = by_definition(layer);
        assert!((own / expected - 1.0).abs() < 1e-4, "layer {layer}: {own} instead of {expected}");
    }
    assert!(found[1] < found[0] && found[2] > found[0], "{found:?}");
}

/// The first two layers are level after projection, so they have one width, and the last is no wider: the choice is the
/// best of those, while `pdb` may have a width more for the first.
#[test]
fn level_stages_share_the_best_width() {
    let checked = studied(LossKind::Classes, &FRAMES, &mut |study| {
        for share in ["size=40%", "size=55%", "size=70%"] {
            let budget = Budget::parse(share).map_err(Ended::from)?;
            let known = Sensitivities::default();
            let base = study.tables("toy");
            let found = allocate(study, Method::PdbSeparability, &budget, &base, &known)?;
            let tables = quantizer::allocate::measured(study, &base, &known)?;
            let problem = Problem::new(&tables, &budget).map_err(Ended::from)?;
            let mut best = (f64::INFINITY, Vec::new());
            for first in 0..4 {
                for last in 0..=first {
                    let place = |name: &str| if name == tables.layers[2].name { last } else { first };
                    let choice: Vec<usize> = problem
                        .decisions()
                        .iter()
                        .map(|decision| if decision.bits.len() > 1 { place(&decision.name) } else { 0 })
                        .collect();
                    if problem.is_feasible(&choice) && problem.loss(&choice) < best.0 {
                        let bits = [2, 3, 4, 8];
                        best = (problem.loss(&choice), vec![Some(bits[first]), Some(bits[first]), Some(bits[last])]);
                    }
                }
            }
            assert_eq!(found.widths.weights, best.1, "{share}");
        }
        Ok(())
    });
    checked.unwrap_or_else(|ended| panic!("{ended:?}"));
}

#[test]
fn frames_without_classes_are_refused() {
    #[track_caller]
    fn check(loss: LossKind, frames: &[[f32; 2]]) {
        let refused = studied(loss, frames, &mut |study| study.separated_stages());
        let Err(Ended::Faults(faults)) = refused else { panic!("{refused:?}") };
        assert_eq!(faults.0[0].code, network::Code::AllocationMethod);
        assert!(faults.0[0].message.contains("two classes"), "{faults}");
    }
    check(LossKind::Squares, &FRAMES);
    check(LossKind::Classes, &FRAMES[..1]);
}
