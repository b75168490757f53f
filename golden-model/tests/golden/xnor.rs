//! The multi-branch kernel: definition, worked vector and identities of {-1,+1} codes, all widths, odd lengths, masks.

use crate::build::{self, Random, format, network, shape};
use golden_model::kernel::xnor::{PackedPlanes, WindowPlanes, plane_word, plane_word_scalar};
use golden_model::kernel::{Instructions, planes};
use golden_model::{Evaluator, define};
use network::op::Op;
use network::shape::Window;
use network::{Format, Range};
use proptest::prelude::*;

fn values(codes: &[i32], planes: u32) -> Vec<i64> {
    codes.iter().map(|&code| 2 * i64::from(code) - ((1 << planes) - 1)).collect()
}

/// The kernel's sums over one window, on every instruction set, are the plain integer dot products of valid elements;
/// so is the bit-level definition.
#[track_caller]
fn check(activations: &[i32], m: u32, weights: &[Vec<i32>], k: u32, valid: &[bool], half_range: bool) {
    let x = values(activations, m);
    let expected: Vec<i64> = weights
        .iter()
        .map(|row| values(row, k).iter().zip(&x).zip(valid).map(|((w, x), &valid)| if valid { w * x } else { 0 }).sum())
        .collect();
    let packed = PackedPlanes::new(weights, k).unwrap();
    let window_planes = planes::pack(activations, m);
    let valid: planes::Plane = valid.iter().collect();
    let words: Vec<u64> = window_planes.iter().flat_map(|plane| plane.as_raw_slice().to_vec()).collect();
    let window = WindowPlanes { planes: &words, valid: valid.as_raw_slice(), half_range };
    for instructions in Instructions::available() {
        let mut sums = vec![0; weights.len()];
        packed.sums(instructions, window, &mut sums);
        assert_eq!(sums, expected, "{instructions:?} M={m} K={k} N={}", activations.len());
    }
    let mut sums = vec![0; weights.len()];
    packed.sums_scalar(window, &mut sums);
    assert_eq!(sums, expected);
    let defined = planes::product(&window_planes, &planes::pack(&weights[0], k), &valid);
    assert_eq!(defined, expected[0], "definition M={m} K={k} N={}", activations.len());
}

#[test]
fn all_widths_and_lengths() {
    let mut random = Random(1);
    for m in 1..=8 {
        for k in 1..=8 {
            for length in (1..=200).chain([255, 256, 257, 1000]) {
                let activations = random.codes(Range::new(0, (1 << m) - 1), length);
                let outputs = 1 + length % 10;
                let weights: Vec<_> = (0..outputs).map(|_| random.codes(Range::new(0, (1 << k) - 1), length)).collect();
                let valid: Vec<bool> = match length % 3 {
                    0 => (0..length).map(|_| !random.next().is_multiple_of(3)).collect(),
                    _ => vec![true; length],
                };
                check(&activations, m, &weights, k, &valid, false);
            }
        }
    }
}

#[test]
fn half_range_codes_with_and_without_masked_taps() {
    let mut random = Random(2);
    for m in 1..=8 {
        for k in 1..=8 {
            for length in [1, 5, 63, 64, 65, 130, 200] {
                let activations = random.codes(Range::new(1 << (m - 1), (1 << m) - 1), length);
                let weights: Vec<_> = (0..9).map(|_| random.codes(Range::new(0, (1 << k) - 1), length)).collect();
                check(&activations, m, &weights, k, &vec![true; length], true);
                let valid: Vec<bool> = (0..length).map(|_| random.next().is_multiple_of(2)).collect();
                check(&activations, m, &weights, k, &valid, true);
            }
        }
    }
}

#[test]
fn worked_vector() {
    let (activations, weights) = (planes::pack(&[0, 1, 2, 3], 2), planes::pack(&[3, 1, 0, 2], 2));
    let matches = |m: usize, k: usize| (!(activations[m].clone() ^ &weights[k])).count_ones();
    assert_eq!([matches(0, 0), matches(0, 1), matches(1, 0), matches(1, 1)], [2, 2, 0, 2]);
    let valid: planes::Plane = [true; 4].iter().collect();
    assert_eq!(planes::product(&activations, &weights, &valid), -8);
    check(&[0, 1, 2, 3], 2, &[vec![3, 1, 0, 2]], 2, &[true; 4], false);
    // The same through a network: values -3 -1 1 3 and 3 -1 -3 1.
    let network = build::dense("bipolar2", "bipolar2", &[&[3, -1, -3, 1]], None);
    assert_eq!(Evaluator::new(&network).evaluate(&[0, 1, 2, 3]).unwrap().last(), [-8]);
}

proptest! {
    #![proptest_config(build::config(200))]

    /// A = N mod 2, 0 <= S <= N C, and the form over {0,1} codes with its three extra terms.
    #[test]
    fn identities((m, k) in (1u32..=8, 1u32..=8), length in 1usize..200, seed in any::<u64>()) {
        let random = &mut Random(seed);
        let x = random.codes(Range::new(0, (1 << m) - 1), length);
        let w = random.codes(Range::new(0, (1 << k) - 1), length);
        let valid: planes::Plane = (0..length).map(|_| true).collect();
        let product = planes::product(&planes::pack(&x, m), &planes::pack(&w, k), &valid);
        let (n, full_x, full_w) = (length as i64, (1i64 << m) - 1, (1i64 << k) - 1);
        prop_assert_eq!(product.rem_euclid(2), n % 2);
        let matches = (product + n * full_x * full_w) / 2;
        prop_assert!((0..=n * full_x * full_w).contains(&matches));
        let sum = |codes: &[i32]| codes.iter().map(|&q| i64::from(q)).sum::<i64>();
        let dot: i64 = x.iter().zip(&w).map(|(&x, &w)| i64::from(x) * i64::from(w)).sum();
        prop_assert_eq!(product, 4 * dot - 2 * full_w * sum(&x) - 2 * full_x * sum(&w) + n * full_x * full_w);
    }

    #[test]
    fn planes_are_packed_and_unpacked(m in 1u32..=8, length in 1usize..200, seed in any::<u64>()) {
        let format = Format::bipolar(m).unwrap();
        let codes = Random(seed).codes(format.code_range(), length);
        let packed = planes::pack(&codes, m);
        prop_assert_eq!(planes::unpack(&packed), &codes[..]);
        for (element, &code) in codes.iter().enumerate() {
            let signs: Vec<i8> = packed.iter().map(|plane| if plane[element] { 1 } else { -1 }).collect();
            prop_assert_eq!(&signs, &define::planes(format, code.into()).collect::<Vec<_>>());
        }
    }

    /// Padded convolutions of plane codes, half-range or not.
    #[test]
    fn padded_convolutions(
        (m, k) in (1u32..=8, 1u32..=8),
        (rows, columns, channels) in (1u64..=6, 1u64..=6, 1u64..=40),
        outputs in 1usize..=18,
        half in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let random = &mut Random(seed);
        let (input, weight) = (Format::bipolar(m).unwrap(), Format::bipolar(k).unwrap());
        let window = Window {
            kernel: [3, 3],
            stride: [1, 1 + random.next() % 2],
            dilation: [1, 1 + random.next() % 2],
            padding_before: [random.next() % 3, 2],
            padding_after: [2, random.next() % 3],
        };
        let window = if window.positions(shape(rows, columns, 1)).is_some() { window } else { build::POINT };
        let codes = if half { build::upper_half(input) } else { input.code_range() };
        let weights = random.weights(weight, outputs, (window.taps() * channels) as usize);
        let op = Op::Conv2d { weights, window, padding_value: 0, groups: 1 };
        let network = network(shape(rows, columns, channels), input, codes, vec![(op, None)]);
        let frame = random.codes(codes, (rows * columns * channels) as usize);
        let expected = define::evaluate(&network, &frame).unwrap();
        for instructions in Instructions::available() {
            prop_assert_eq!(Evaluator::with_instructions(&network, instructions).evaluate(&frame).unwrap(), expected.clone());
        }
    }
}

#[test]
fn words_of_planes() {
    let mut random = Random(3);
    for plane in 0..8 {
        for _ in 0..20 {
            let codes: [i32; 64] = random.codes(Range::new(0, 255), 64).try_into().unwrap();
            let expected = planes::pack(&codes, 8)[plane as usize].as_raw_slice()[0];
            assert_eq!(plane_word_scalar(&codes, plane), expected);
            for instructions in Instructions::available() {
                assert_eq!(plane_word(instructions, &codes, plane), expected, "{instructions:?}");
            }
        }
    }
}

#[test]
fn padded_taps_contribute_nothing_at_all() {
    // One tap row above the image: of three taps with weights 1, 1, 3 only the lower two count.
    let window = Window { kernel: [3, 1], padding_before: [1, 0], padding_after: [1, 0], ..build::POINT };
    let weights = network::op::Weights::plain(format("bipolar2"), 1, 3, vec![1, 1, 3]);
    let op = Op::Conv2d { weights, window, padding_value: 0, groups: 1 };
    let bipolar = format("bipolar1");
    let network = network(shape(2, 1, 1), bipolar, bipolar.code_range(), vec![(op, None)]);
    // Values +1 -1: first 1*1 - 3*1, second 1*1 - 1*1.
    assert_eq!(Evaluator::new(&network).evaluate(&[1, 0]).unwrap().last(), [-2, 0]);
}
