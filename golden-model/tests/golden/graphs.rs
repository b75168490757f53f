//! Operators that join, pool and move tensors: worked by hand, and kernels against the definition on random networks.

use crate::build::{self, Random};
use golden_model::{Evaluator, define};
use network::{Network, Plan};
use proptest::prelude::*;

fn plan(text: &str) -> Network {
    Plan::parse(text, "plan.yaml").unwrap().build(None).unwrap()
}

#[track_caller]
fn check(layer: &str, input: &str, frame: &[i32], expected: &[i64]) {
    let network = plan(&format!(
        "hwgen: 1\nname: t\nrandom: {{ seed: 1 }}\ninput: {input}\nlayers:\n  - {{ name: a, {layer} }}\n"
    ));
    assert_eq!(define::evaluate(&network, frame).unwrap().last(), expected);
    assert_eq!(Evaluator::new(&network).evaluate(frame).unwrap().last(), expected);
}

#[test]
fn worked_by_hand() {
    let image = "{ shape: [2, 2, 2], format: s5 }";
    let frame = [1, -2, 3, -4, 5, -6, 7, -8];
    check("op: sum_pool, kernel: [2, 2]", image, &frame, &[16, -20]);
    check(
        "op: sum_pool, kernel: [1, 2], padding: [0, 1, 0, 0], padding_value: 9, stride: [1, 2]",
        image,
        &frame,
        &[10, 7, 14, 3],
    );
    check("op: add, inputs: [input, input]", image, &frame, &[2, -4, 6, -8, 10, -12, 14, -16]);
    check("op: multiply, inputs: [input, input]", image, &frame, &[1, 4, 9, 16, 25, 36, 49, 64]);
    check(
        "op: concat, inputs: [input, input]",
        "{ shape: [1, 2, 2], format: s5 }",
        &[1, 2, 3, 4],
        &[1, 2, 1, 2, 3, 4, 3, 4],
    );
    // Columns turned round, the second channel alone.
    check("op: rearrange, shape: [2, 2, 1], start: 3, loops: [[2, 4], [2, -2]]", image, &frame, &[-4, -2, -8, -6]);
    // Plane codes stand for odd numbers.
    check("op: sum_pool, kernel: [2, 1]", "{ shape: [2, 1, 1], format: bipolar2 }", &[0, 3], &[0]);
    check("op: multiply, inputs: [input, input]", "{ shape: [2], format: bipolar2 }", &[0, 2], &[9, 1]);
}

#[test]
fn grouped_weights_see_their_own_channels() {
    let network = plan(
        "hwgen: 1\nname: t\nrandom: { seed: 5 }\ninput: { shape: [1, 1, 4], format: s4 }\nlayers:\n  - { name: a, op: conv2d, outputs: 6, kernel: [1, 1], groups: 2, weight: s4 }\n",
    );
    let weights = network.layers()[0].op.weights().unwrap().values.clone();
    let frame = [1, -2, 3, 5];
    let row = |output: usize| {
        let first = if output < 3 { 0 } else { 2 };
        (0..2).map(|i| i64::from(weights[output * 2 + i]) * i64::from(frame[first + i])).sum::<i64>()
    };
    let expected: Vec<i64> = (0..6).map(row).collect();
    assert_eq!(define::evaluate(&network, &frame).unwrap().last(), expected);
}

proptest! {
    #![proptest_config(build::config(300))]

    #[test]
    fn kernels_equal_the_definition(
        (rows, columns) in (1u64..=6, 1u64..=6),
        (inputs, outputs, groups) in (1u64..=3, 1u64..=3, 1u64..=4),
        (kernel, padding) in ((1u64..=3, 1u64..=3), 0u64..=1),
        formats in (0usize..5, 0usize..5, 0usize..5, 0usize..5),
        seed in any::<u32>(),
    ) {
        let format = |index: usize| ["u3", "s4", "bipolar2", "u16", "s16"][index];
        let (kernel_rows, kernel_columns) = (kernel.0.min(rows), kernel.1.min(columns));
        let padding = [padding.min(kernel_rows - 1), padding.min(kernel_columns - 1)];
        let text = format!(
            "hwgen: 1\nname: t\nrandom: {{ seed: {seed} }}\n\
             input: {{ shape: [{rows}, {columns}, {channels}], format: {} }}\n\
             layers:\n\
             \x20 - {{ name: a, op: conv2d, outputs: {wide}, kernel: [{kernel_rows}, {kernel_columns}], padding: [{p}, {q}, {p}, {q}], groups: {groups}, weight: {}, output: {} }}\n\
             \x20 - {{ name: b, op: sum_pool, kernel: [{kernel_rows}, {kernel_columns}], padding: [{p}, {q}, {p}, {q}], stride: [1, 1], input: input, output: {} }}\n\
             \x20 - {{ name: c, op: add, inputs: [b, b, b] }}\n\
             \x20 - {{ name: d, op: multiply, inputs: [b, b], output: u4 }}\n\
             \x20 - {{ name: e, op: requantize, input: c, output: u4 }}\n\
             \x20 - {{ name: f, op: concat, inputs: [d, e, d] }}\n\
             \x20 - {{ name: g, op: sum_pool, kernel: [1, 1], input: c }}\n\
             outputs: [{{ layer: a, name: codes }}, {{ layer: f }}, {{ layer: g, name: sums, scale: 0.5 }}]\n",
            format(formats.0), format(formats.1), format(formats.2), format(formats.3),
            channels = inputs * groups, wide = outputs * groups, p = padding[0], q = padding[1],
        );
        let network = plan(&text);
        let mut random = Random(u64::from(seed));
        let codes = network.inputs()[0].format.code_range();
        for _ in 0..2 {
            let frame: Vec<i32> =
                (0..network.inputs()[0].shape.elements()).map(|_| random.between(codes.min(), codes.max()) as i32).collect();
            let expected = define::evaluate(&network, &frame).unwrap();
            prop_assert_eq!(&Evaluator::new(&network).evaluate(&frame).unwrap(), &expected);
            let outputs = Evaluator::new(&network).outputs(&[frame]).unwrap();
            prop_assert_eq!(&outputs[0], &expected.outputs(&network));
        }
    }
}
