//! Differences that a float executor's rounding explains, and differences that it does not.

use crate::build::{format, network, shape};
use golden_model::explain::NEAR;
use golden_model::{Evaluator, Explanation, Flip, Tolerance};
use network::Range;
use network::op::{Op, Weights};
use network::requantization::{Form, RealRule, Requantization, Shift};

/// Two codes 0..15 pass through a rule code = round(sum * gain), then meet the weights 3 and 5.
fn two_codes(gain: f64) -> Evaluator {
    let requantization = Requantization {
        output: format("u4"),
        codes: Range::new(0, 15),
        form: Form::Shift(Shift { multipliers: vec![1], offsets: vec![1], shift: 1, half_even: false }),
        rule: Some(RealRule { gains: vec![gain], offsets: vec![0.0] }),
    };
    let weights = Weights::plain(format("s4"), 1, 2, vec![3, 5]);
    let layers = vec![(Op::Identity, Some(requantization)), (Op::Dense { weights }, None)];
    Evaluator::new(&network(shape(1, 1, 2), format("u5"), Range::new(0, 31), layers))
}

/// A gain a hair below one half: odd sums lie just below a boundary; the integer rule rounds them up.
const NEAR_HALF: f64 = 0.5 * (1.0 - 1e-7);

#[test]
fn equal_within_the_tolerance() {
    let evaluator = two_codes(NEAR_HALF);
    // Codes 3 and 2: 9 + 10.
    let explanation = evaluator.explain(&[5, 4], &[19.0001], Tolerance::Relative(1e-5)).unwrap();
    assert!(matches!(explanation, Explanation::Equal { largest } if largest > 0.00009));
    let explanation = evaluator.explain(&[5, 4], &[19.1], Tolerance::Absolute(0.2)).unwrap();
    assert!(matches!(explanation, Explanation::Equal { .. }));
}

#[test]
fn one_flip_and_two_flips() {
    let evaluator = two_codes(NEAR_HALF);
    let first = Flip { layer: 0, element: 0, from: 3, to: 2 };
    let second = Flip { layer: 0, element: 1, from: 2, to: 1 };
    let explain =
        |input: [i32; 2], reference: f64| evaluator.explain(&input, &[reference], Tolerance::default()).unwrap();
    assert_eq!(explain([5, 4], 16.0), Explanation::ByFlips(vec![first]));
    assert_eq!(explain([5, 3], 14.0), Explanation::ByFlips(vec![Flip { to: 1, ..second }]));
    assert_eq!(explain([5, 3], 11.0), Explanation::ByFlips(vec![first, second]));
    assert_eq!(evaluator.evaluate_with_flips(&[5, 3], &[first, second]).unwrap().last(), [11],);
}

#[test]
fn what_no_near_boundary_explains() {
    let explain = |evaluator: Evaluator, input: [i32; 2], reference: &[f64]| {
        evaluator.explain(&input, reference, Tolerance::default()).unwrap()
    };
    // An even sum lies in the middle of its step.
    assert_eq!(explain(two_codes(NEAR_HALF), [4, 4], &[13.0]), Explanation::Unexplained { largest: 3.0 });
    // Further than NEAR from the boundary.
    assert_eq!(
        explain(two_codes(0.5 * (1.0 - 3.0 * NEAR)), [5, 4], &[16.0]),
        Explanation::Unexplained { largest: 3.0 }
    );
    assert_eq!(explain(two_codes(NEAR_HALF), [5, 4], &[15.0]), Explanation::Unexplained { largest: 4.0 });
    let infinite = Explanation::Unexplained { largest: f64::INFINITY };
    assert_eq!(explain(two_codes(NEAR_HALF), [5, 4], &[19.0, 0.0]), infinite);
    assert_eq!(explain(two_codes(NEAR_HALF), [5, 4], &[f64::NAN]), infinite);
}

#[test]
fn a_tie_of_an_argmax_is_a_flip() {
    let weights = Weights::plain(format("s2"), 3, 1, vec![-1, 1, 1]);
    let argmax = Op::Argmax { multipliers: vec![1], offsets: vec![0] };
    let layers = vec![(Op::Dense { weights }, None), (argmax, None)];
    let evaluator = Evaluator::new(&network(shape(1, 1, 1), format("u4"), Range::new(0, 15), layers));
    let tie = Flip { layer: 1, element: 0, from: 1, to: 2 };
    assert_eq!(evaluator.explain(&[3], &[2.0], Tolerance::default()).unwrap(), Explanation::ByFlips(vec![tie]));
    let other = evaluator.explain(&[3], &[0.0], Tolerance::default()).unwrap();
    assert_eq!(other, Explanation::Unexplained { largest: 1.0 });
}
