//! Requantization: hand-worked ties, signs, clamps and thresholds, and equality with the definition on random rules.

use crate::build::{self, Random, format};
use golden_model::kernel::Instructions;
use golden_model::{Evaluator, define};
use network::requantization::{Form, Requantization, Shift, Thresholds};
use network::{Network, Range};
use proptest::prelude::*;

/// A layer that passes one s16 code on as the sum, requantized.
fn layer(output: &str, codes: Range, form: Form) -> Network {
    let requantization = Requantization { output: format(output), codes, form, rule: None };
    build::dense("s16", "s2", &[&[1]], Some(requantization))
}

#[track_caller]
fn check(network: &Network, cases: &[(i32, i64)]) {
    for instructions in Instructions::available() {
        let evaluator = Evaluator::with_instructions(network, instructions);
        for &(sum, code) in cases {
            assert_eq!(evaluator.evaluate(&[sum]).unwrap().last(), [code], "sum {sum}, {instructions:?}");
            assert_eq!(define::evaluate(network, &[sum]).unwrap().last(), [code], "definition, sum {sum}");
        }
    }
}

fn shift(multiplier: i64, offset: i64, shift: u32, half_even: bool) -> Form {
    Form::Shift(Shift { multipliers: vec![multiplier], offsets: vec![offset], shift, half_even })
}

#[test]
fn half_even_ties() {
    let network = layer("s4", Range::new(-8, 7), shift(1, 0, 1, true));
    check(&network, &[(-5, -2), (-3, -2), (-1, 0), (0, 0), (1, 0), (2, 1), (3, 2), (5, 2), (7, 4), (9, 4), (11, 6)]);
    let network = layer("s4", Range::new(-8, 7), shift(1, 0, 3, true));
    check(
        &network,
        &[(4, 0), (5, 1), (11, 1), (12, 2), (13, 2), (20, 2), (21, 3), (-4, 0), (-5, -1), (-12, -2), (-20, -2)],
    );
}

#[test]
fn floor_offset_and_falling_multiplier() {
    let network = layer("s4", Range::new(-8, 7), shift(3, 2, 2, false));
    check(&network, &[(0, 0), (1, 1), (-1, -1), (2, 2), (-2, -1), (-3, -2), (9, 7), (-11, -8)]);
    let network = layer("s4", Range::new(-8, 7), shift(-1, 0, 1, false));
    check(&network, &[(1, -1), (2, -1), (3, -2), (-1, 0), (-3, 1)]);
}

#[test]
fn no_shift_at_all() {
    check(&layer("s4", Range::new(-8, 7), shift(1, 0, 0, true)), &[(3, 3), (8, 7), (-9, -8)]);
    check(&layer("s4", Range::new(-8, 7), shift(1, 1, 0, false)), &[(3, 4), (7, 7)]);
}

#[test]
fn clamps_to_codes_inside_the_format() {
    let network = layer("s4", Range::new(-7, 5), shift(1, 0, 0, false));
    check(&network, &[(-8, -7), (-7, -7), (5, 5), (6, 5), (32767, 5), (-32768, -7)]);
}

#[test]
fn wide_multipliers() {
    // 1.5 in 33 fraction bits does not fit a 32-bit multiplier.
    let network = layer("s6", Range::new(-32, 31), shift(3 << 32, 0, 33, true));
    check(&network, &[(1, 2), (2, 3), (3, 4), (5, 8), (-1, -2), (-3, -4), (20, 30), (21, 31)]);
}

#[test]
fn rising_and_falling_thresholds() {
    let form = |falling| Form::Thresholds(Thresholds { values: vec![-3, 4, 4], count: 3, falling: vec![falling] });
    check(&layer("u2", Range::new(0, 3), form(false)), &[(-4, 0), (-3, 1), (3, 1), (4, 3), (32767, 3)]);
    check(&layer("u2", Range::new(0, 3), form(true)), &[(5, 0), (4, 2), (-2, 2), (-3, 3), (-32768, 3)]);
    // One plane: +1 where the sum is at least 0; the code is the level index.
    let sign = Form::Thresholds(Thresholds { values: vec![0], count: 1, falling: vec![false] });
    check(&layer("bipolar1", Range::new(0, 1), sign), &[(-1, 0), (0, 1), (1, 1)]);
}

#[test]
fn thresholds_of_sums_beyond_32_bits() {
    // Sums are 65535 times the code.
    let network = |falling| {
        let form =
            Form::Thresholds(Thresholds { values: vec![3 * 65535, 5 * 65535], count: 2, falling: vec![falling] });
        let requantization = Requantization { output: format("u2"), codes: Range::new(1, 3), form, rule: None };
        build::dense("u16", "u16", &[&[65535]], Some(requantization))
    };
    check(&network(false), &[(2, 1), (3, 2), (4, 2), (5, 3), (65535, 3)]);
    check(&network(true), &[(2, 3), (3, 3), (4, 2), (5, 2), (6, 1), (65535, 1)]);
}

#[test]
fn thresholds_beyond_the_reachable_sums() {
    let huge = 1i64 << 61;
    let form =
        |falling| Form::Thresholds(Thresholds { values: vec![-huge, 0, huge], count: 3, falling: vec![falling] });
    check(&layer("s2", Range::new(-2, 1), form(false)), &[(-32768, -1), (-1, -1), (0, 0), (32767, 0)]);
    check(&layer("s2", Range::new(-2, 1), form(true)), &[(-32768, 0), (0, 0), (1, -1), (32767, -1)]);
}

proptest! {
    #![proptest_config(build::config(300))]

    /// Many sums of several channels at once, and thresholds from few to many.
    #[test]
    fn rows(
        (bits, is_signed) in (1u32..=12, any::<bool>()),
        (channels, kind) in (1usize..=70, 0u8..3),
        narrow in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let random = &mut Random(seed);
        let output = if is_signed { network::Format::signed(bits) } else { network::Format::unsigned(bits) }.unwrap();
        // Sums of 16 bits, or of 17 where the products are wide.
        let (input, weight) = if narrow { ("s9", "s8") } else { ("u16", "u16") };
        let (input, weight) = (format(input), format(weight));
        let op = network::op::Op::Dense { weights: random.weights(weight, channels, 2) };
        let shape = build::shape(1, 1, 2);
        let sums = build::sum_range(shape, input, input.code_range(), &op);
        let requantization = random.requantization(kind, output, channels, sums);
        let network = build::network(shape, input, input.code_range(), vec![(op, Some(requantization))]);
        for _ in 0..5 {
            let frame = random.codes(input.code_range(), 2);
            let expected = define::evaluate(&network, &frame).unwrap();
            for instructions in Instructions::available() {
                prop_assert_eq!(Evaluator::with_instructions(&network, instructions).evaluate(&frame).unwrap(), expected.clone());
            }
        }
    }
}
