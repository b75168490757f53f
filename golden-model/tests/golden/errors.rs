//! Wrong input is an error, never a panic.

use crate::build::{self, format, network, shape};
use golden_model::evaluator::FrameError;
use golden_model::{EvaluateError, Evaluator, Flip, Scratch, define};
use network::op::{Op, Weights};
use network::shape::Window;
use network::{Format, Range};

#[test]
fn frames_of_the_wrong_length() {
    let network = build::dense("u4", "s2", &[&[1, 1]], None);
    let evaluator = Evaluator::new(&network);
    let expected = Err(EvaluateError::InputLength { expected: 2, found: 3 });
    assert_eq!(evaluator.evaluate(&[1, 2, 3]), expected);
    assert_eq!(define::evaluate(&network, &[1, 2, 3]), expected);
    assert!(evaluator.output(&[], &mut Scratch::default()).is_err());
}

#[test]
fn codes_outside_the_format_or_the_quantizer() {
    let network = build::dense("u4", "s2", &[&[1, 1]], None);
    let fault = |element, code| Err(EvaluateError::InputCode { element, code, range: Range::new(0, 15) });
    for (frame, element, code) in [([0, 16], 1, 16), ([-1, 0], 0, -1), ([i32::MAX, 0], 0, i64::from(i32::MAX))] {
        assert_eq!(Evaluator::new(&network).evaluate(&frame), fault(element, code));
        assert_eq!(define::evaluate(&network, &frame), fault(element, code));
    }
    // A narrow quantizer leaves out the least code of the format.
    let weights = Weights::plain(format("s2"), 1, 1, vec![1]);
    let narrow =
        build::network(shape(1, 1, 1), format("s8"), Range::new(-127, 127), vec![(Op::Dense { weights }, None)]);
    assert!(Evaluator::new(&narrow).evaluate(&[-128]).is_err());
    assert_eq!(Evaluator::new(&narrow).evaluate(&[-127]).unwrap().last(), [-127]);
    let last = Evaluator::new(&narrow).outputs(&[vec![1], vec![2], vec![-128]]);
    assert!(matches!(last, Err(FrameError { frame: 2, .. })));
}

#[test]
fn flips_that_name_nothing() {
    let network = build::dense("u4", "s2", &[&[1, 1]], None);
    let evaluator = Evaluator::new(&network);
    for (layer, element, to) in [(1, 0, 0), (usize::MAX, 0, 0), (0, 1, 0), (0, 0, 31), (0, 0, -1)] {
        let flips = [Flip { layer, element, from: 0, to }];
        assert_eq!(
            evaluator.evaluate_with_flips(&[0, 0], &flips),
            Err(EvaluateError::Flip { layer, element, code: to }),
        );
    }
}

#[test]
fn tensors_too_large_for_memory() {
    let pool = || Op::MaxPool { window: build::POINT };
    let format = Format::unsigned(1).unwrap();
    let network = network(shape(1 << 20, 1 << 20, 1), format, format.code_range(), vec![(pool(), None)]);
    assert!(matches!(Evaluator::new(&network).evaluate(&[0]), Err(EvaluateError::TooLarge { .. })));
    assert!(Evaluator::new(&network).output(&[0], &mut Scratch::default()).is_err());
    // The padded image of a small input can be too large as well.
    let window = Window {
        kernel: [2, 2],
        stride: [1 << 16, 1 << 16],
        dilation: [1 << 16, 1 << 16],
        padding_before: [1 << 16, 1 << 16],
        padding_after: [0, 0],
    };
    let weights = Weights::plain(build::format("s2"), 1, 4, vec![1; 4]);
    let op = Op::Conv2d { weights, window, padding_value: 0, groups: 1 };
    let network = build::network(shape(1, 1, 1), format, format.code_range(), vec![(op, None)]);
    assert!(matches!(Evaluator::new(&network).evaluate(&[0]), Err(EvaluateError::TooLarge { .. })));
}

#[test]
fn a_scratch_serves_any_evaluator() {
    let first = Evaluator::new(&build::dense("u4", "s2", &[&[1, 1]], None));
    let second = Evaluator::new(&build::dense("u4", "s3", &[&[2, -3], &[1, 0]], None));
    let mut scratch = Scratch::default();
    assert_eq!(first.output(&[3, 4], &mut scratch).unwrap(), [7]);
    assert_eq!(second.output(&[3, 4], &mut scratch).unwrap(), [-6, 3]);
    assert_eq!(first.output(&[1, 1], &mut scratch).unwrap(), [2]);
}

#[test]
fn argmax_takes_the_lowest_index_of_a_tie() {
    let rows: [&[i32]; 4] = [&[1, 0], &[0, 1], &[1, 1], &[1, 1]];
    let weights = Weights::plain(format("s2"), 4, 2, rows.concat());
    let argmax = |multipliers: Vec<i64>, offsets: Vec<i64>| {
        let layers = vec![(Op::Dense { weights: weights.clone() }, None), (Op::Argmax { multipliers, offsets }, None)];
        Evaluator::new(&network(shape(1, 1, 2), format("s4"), Range::new(-8, 7), layers))
    };
    let index = |evaluator: &Evaluator, frame: [i32; 2]| evaluator.evaluate(&frame).unwrap().last().to_vec();
    let plain = argmax(vec![1], vec![0]);
    assert_eq!(index(&plain, [1, 2]), [2]);
    assert_eq!(index(&plain, [-1, -1]), [0]);
    assert_eq!(index(&plain, [0, 0]), [0]);
    assert_eq!(index(&plain, [-5, 0]), [1]);
    assert_eq!(index(&argmax(vec![-1], vec![0]), [1, 2]), [0]);
    assert_eq!(index(&argmax(vec![1, 1, 1, 1], vec![0, 0, 0, 1]), [1, 2]), [3]);
    assert_eq!(index(&argmax(vec![1 << 55], vec![1 << 60]), [7, 7]), [2]);
}

#[test]
fn padding_never_wins_a_max_pool() {
    let window =
        Window { kernel: [2, 2], stride: [2, 2], padding_before: [1, 1], padding_after: [1, 1], ..build::POINT };
    let pool = vec![(Op::MaxPool { window }, None)];
    let network = network(shape(2, 2, 1), format("s4"), Range::new(-8, 7), pool);
    assert_eq!(Evaluator::new(&network).evaluate(&[-8, -7, -6, -5]).unwrap().last(), [-8, -7, -6, -5]);
}
