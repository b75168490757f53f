//! Random layers of every kind, on every instruction set, equal to the plain definition.

use crate::build::{self, Random, format, network, shape};
use golden_model::kernel::Instructions;
use golden_model::{Evaluator, Scratch, define};
use network::average::Counted;
use network::op::{Op, TopGives};
use network::shape::Window;
use network::{Format, Network, Range};
use proptest::prelude::*;

/// Traces, and the last tensors of the fast path, are the definition's for `frames` random frames.
#[track_caller]
fn check(network: &Network, random: &mut Random, frames: usize) {
    let input = &network.tensors()[0];
    for instructions in Instructions::available() {
        let evaluator = Evaluator::with_instructions(network, instructions);
        let mut scratch = Scratch::default();
        let mut codes = Vec::new();
        for _ in 0..frames {
            let frame = random.codes(input.encoding.integers(), input.shape.elements() as usize);
            let expected = define::evaluate(network, &frame).unwrap();
            assert_eq!(evaluator.evaluate(&frame).unwrap(), expected, "{instructions:?}");
            assert_eq!(evaluator.output(&frame, &mut scratch).unwrap(), expected.last(), "{instructions:?}");
            codes.push(frame);
        }
        let outputs = evaluator.outputs(&codes).unwrap();
        for (frame, output) in codes.iter().zip(outputs) {
            assert_eq!(output, define::evaluate(network, frame).unwrap().last());
        }
    }
}

fn any_format() -> impl Strategy<Value = Format> {
    prop_oneof![
        (1u32..=16).prop_map(|bits| Format::unsigned(bits).unwrap()),
        (1u32..=16).prop_map(|bits| Format::signed(bits).unwrap()),
        (1u32..=8).prop_map(|planes| Format::bipolar(planes).unwrap()),
        (1u32..=8).prop_map(|bits| Format::unsigned(bits).unwrap()),
        (1u32..=8).prop_map(|bits| Format::signed(bits).unwrap()),
    ]
}

fn any_output() -> impl Strategy<Value = Format> {
    prop_oneof![
        (1u32..=9).prop_map(|bits| Format::unsigned(bits).unwrap()),
        (1u32..=9).prop_map(|bits| Format::signed(bits).unwrap()),
        (1u32..=8).prop_map(|planes| Format::bipolar(planes).unwrap()),
    ]
}

/// A window that fits an input of so many rows and columns.
fn any_window(rows: u64, columns: u64) -> impl Strategy<Value = Window> {
    let numbers = (1u64..=4, 1u64..=3, 1u64..=3, 0u64..=4, 0u64..=4);
    (numbers.clone(), numbers).prop_map(move |(row, column)| {
        let axis = |(kernel, stride, dilation, before, after): (u64, u64, u64, u64, u64), length: u64| {
            let dilation = if kernel == 1 { 1 } else { dilation };
            let span = (kernel - 1) * dilation + 1;
            let (before, after) = (before.min(span - 1), after.min(span - 1));
            if before + length + after < span {
                (1, stride, 1, 0, 0)
            } else {
                (kernel, stride, dilation, before, after)
            }
        };
        let (a, b) = (axis(row, rows), axis(column, columns));
        Window {
            kernel: [a.0, b.0],
            stride: [a.1, b.1],
            dilation: [a.2, b.2],
            padding_before: [a.3, b.3],
            padding_after: [a.4, b.4],
        }
    })
}

fn window_over_input() -> impl Strategy<Value = (u64, u64, Window)> {
    (1u64..=9, 1u64..=9).prop_flat_map(|(rows, columns)| (Just(rows), Just(columns), any_window(rows, columns)))
}

/// Some codes of the format: all, the upper half of bipolar codes, or a random run.
fn some_codes(format: Format, choice: u8, random: &mut Random) -> Range {
    let codes = format.code_range();
    match choice {
        0 => codes,
        1 => build::upper_half(format),
        _ => Range::new(random.between(codes.min(), codes.max()), random.between(codes.min(), codes.max())),
    }
}

proptest! {
    #![proptest_config(build::config(600))]

    #[test]
    fn convolutions(
        (rows, columns, window) in window_over_input(),
        channels in 1u64..=20,
        outputs in 1usize..=20,
        input in any_format(),
        weight in any_format(),
        output in any_output(),
        (choice, rule) in (0u8..3, 0u8..5),
        seed in any::<u64>(),
    ) {
        let random = &mut Random(seed);
        let weights = random.weights(weight, outputs, (window.taps() * channels) as usize);
        let is_bipolar = input.kind() == network::format::Kind::Bipolar;
        let codes = some_codes(input, choice, random);
        let padding_value = if is_bipolar { 0 } else { random.between(input.value_range().min(), input.value_range().max()) };
        let op = Op::Conv2d { weights, window, padding_value, groups: 1 };
        let shape = shape(rows, columns, channels);
        let sums = build::sum_range(shape, input, codes, &op);
        let requantization = (rule < 4).then(|| random.requantization(rule, output, outputs, sums));
        check(&network(shape, input, codes, vec![(op, requantization)]), random, 2);
    }

    #[test]
    fn dense_layers(
        channels in 1u64..=300,
        outputs in 1usize..=40,
        input in any_format(),
        weight in any_format(),
        output in any_output(),
        (choice, rule) in (0u8..3, 0u8..5),
        seed in any::<u64>(),
    ) {
        let random = &mut Random(seed);
        let op = Op::Dense { weights: random.weights(weight, outputs, channels as usize) };
        let shape = shape(1, 1, channels);
        let codes = some_codes(input, choice, random);
        let sums = build::sum_range(shape, input, codes, &op);
        let requantization = (rule < 4).then(|| random.requantization(rule, output, outputs, sums));
        check(&network(shape, input, codes, vec![(op, requantization)]), random, 2);
    }

    #[test]
    fn averages(
        (rows, columns, window) in window_over_input(),
        channels in 1u64..=9,
        input in any_format(),
        output in any_output(),
        (choice, rule) in (0u8..3, 0u8..5),
        seed in any::<u64>(),
    ) {
        let random = &mut Random(seed);
        let shape = shape(rows, columns, channels);
        let is_bipolar = input.kind() == network::format::Kind::Bipolar;
        let codes = some_codes(input, choice, random);
        let padding_value = if is_bipolar { 0 } else { random.between(input.value_range().min(), input.value_range().max()) };
        let mut some = |most: [u64; 2]| most.map(|most| random.between(0, most as i64) as u64);
        let counted = Counted { before: some(window.padding_before), after: some(window.padding_after) };
        prop_assume!(counted.factors(&window, shape).is_some_and(|factors| factors.common() < 1 << 24));
        let op = Op::SumPool { window, padding_value, counted: Some(counted) };
        let sums = build::sum_range(shape, input, codes, &op);
        let requantization = (rule < 4).then(|| random.requantization(rule, output, channels as usize, sums));
        check(&network(shape, input, codes, vec![(op, requantization)]), random, 2);
    }

    #[test]
    fn greatest(
        (rows, columns, channels) in (1u64..=4, 1u64..=4, 1u64..=40),
        input in any_format(),
        (count, constants, values) in (1u64..=40, 0u8..3, any::<bool>()),
        seed in any::<u64>(),
    ) {
        let random = &mut Random(seed);
        let mut numbers = |count: u64, most: i64| (0..count).map(|_| random.between(-most, most)).collect::<Vec<_>>();
        let (multipliers, offsets) = match constants {
            0 => (vec![1], vec![0]),
            1 => (vec![-3], numbers(channels, 9)),
            _ => (numbers(channels, 1 << 40), numbers(channels, 1 << 50)),
        };
        let gives = if values { TopGives::Values } else { TopGives::Indices };
        let op = Op::TopK { count: count.min(channels), gives, multipliers, offsets };
        let shape = shape(rows, columns, channels);
        check(&network(shape, input, input.code_range(), vec![(op, None)]), random, 2);
    }

    #[test]
    fn chains(
        (rows, columns, window) in window_over_input(),
        channels in 1u64..=12,
        input in any_format(),
        output in any_output(),
        (rule, last) in (0u8..4, 0u8..3),
        seed in any::<u64>(),
    ) {
        let random = &mut Random(seed);
        let shape = shape(rows, columns, channels);
        let codes = input.code_range();
        let pool = Op::MaxPool { window };
        // Pooling, requantization of what was pooled, a dense layer, and an argmax or a pooling of sums.
        let identity = input.value_range();
        let requantization = random.requantization(rule, output, channels as usize, identity);
        let [pooled_rows, pooled_columns] = window.positions(shape).unwrap();
        // A window wholly in the padding has no greatest code.
        let has_taps = |axis: usize, positions: u64, length: u64| {
            (0..positions).all(|at| (0..window.kernel[axis]).any(|tap| window.source(axis, at, tap, length).is_some()))
        };
        prop_assume!(has_taps(0, pooled_rows, rows) && has_taps(1, pooled_columns, columns));
        let length = (pooled_rows * pooled_columns * channels) as usize;
        let weights = random.weights(format("s5"), 7, length);
        let mut layers = vec![(pool, None), (Op::Identity, Some(requantization)), (Op::Dense { weights }, None)];
        match last {
            0 => {}
            1 => layers.push((Op::MaxPool { window: build::POINT }, None)),
            _ => layers.push((
                Op::Argmax {
                    multipliers: (0..7).map(|_| random.between(-3, 3)).collect(),
                    offsets: (0..7).map(|_| random.between(-9, 9)).collect(),
                },
                None,
            )),
        }
        check(&network(shape, input, codes, layers), random, 2);
    }
}
