//! Networks large enough that their layers are cut into tasks, equal to the plain definition.

use crate::build::{self, Random};
use golden_model::kernel::Instructions;
use golden_model::{Evaluator, define};
use network::Plan;
use proptest::prelude::*;

proptest! {
    #![proptest_config(build::config(12))]

    #[test]
    fn layers_in_tasks(
        (rows, columns, channels) in (30u64..=50, 20u64..=40, prop_oneof![Just(3u64), Just(16), Just(20)]),
        (input, weight, code) in (0usize..4, 0usize..4, 0usize..4),
        (kernel, stride, dilation) in (1u64..=3, 1u64..=3, 1u64..=2),
        seed in any::<u32>(),
    ) {
        let format = |index: usize| ["u8", "s8", "s5", "s16"][index];
        let pad = kernel / 2;
        let text = format!(
            "hwgen: 1\nname: t\nrandom: {{ seed: {seed} }}\n\
             input: {{ shape: [{rows}, {columns}, {channels}], format: {input} }}\n\
             layers:\n\
             \x20 - {{ name: wide, op: conv2d, outputs: 24, kernel: [{kernel}, {kernel}], padding: [{pad}, {pad}, {pad}, {pad}], weight: {weight}, output: {code} }}\n\
             \x20 - {{ name: depthwise, op: conv2d, outputs: 24, groups: 24, kernel: [3, 3], dilation: [{dilation}, {dilation}], padding: [{dilation}, {dilation}, {dilation}, {dilation}], weight: {weight}, output: {code} }}\n\
             \x20 - {{ name: sum, op: add, inputs: [wide, depthwise], output: {code} }}\n\
             \x20 - {{ name: pool, op: max_pool, kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1] }}\n\
             \x20 - {{ name: grouped, op: conv2d, outputs: 36, groups: 3, kernel: [2, 3], stride: [{stride}, 1], weight: {weight}, output: u9 }}\n\
             \x20 - {{ name: both, op: concat, inputs: [sum, pool] }}\n\
             \x20 - {{ name: product, op: multiply, inputs: [pool, sum], output: {code} }}\n\
             \x20 - {{ name: turned, op: rearrange, input: both, shape: [{columns}, {rows}, 48], loops: [[{columns}, 48], [{rows}, {pitch}], [48, 1]] }}\n\
             \x20 - {{ name: average, op: sum_pool, input: turned, kernel: [4, 4], stride: [1, 2], output: {code} }}\n\
             \x20 - {{ name: sums, op: conv2d, input: product, outputs: 5, kernel: [1, 1], stride: [{stride}, {stride}], weight: {weight} }}\n\
             outputs: [{{ layer: grouped }}, {{ layer: average }}, {{ layer: sums, scale: 0.5 }}]\n",
            input = format(input), weight = format(weight), code = format(code), pitch = columns * 48,
        );
        let network = Plan::parse(&text, "plan.yaml").unwrap().build(None).unwrap();
        let mut random = Random(u64::from(seed));
        let codes = network.inputs()[0].format.code_range();
        let frames: Vec<Vec<i32>> =
            (0..2).map(|_| random.codes(codes, network.inputs()[0].shape.elements() as usize)).collect();
        let expected: Vec<_> = frames.iter().map(|frame| define::evaluate(&network, frame).unwrap()).collect();
        // Several cores even on a machine with one.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for instructions in Instructions::available() {
            let evaluator = Evaluator::with_instructions(&network, instructions);
            let outputs = pool.install(|| evaluator.outputs(&frames)).unwrap();
            let many = pool.install(|| evaluator.outputs(&[&frames[0][..]; 7])).unwrap();
            for (frame, expected) in frames.iter().zip(&expected) {
                prop_assert_eq!(&pool.install(|| evaluator.evaluate(frame)).unwrap(), expected);
            }
            for (outputs, expected) in outputs.iter().zip(&expected) {
                prop_assert_eq!(outputs, &expected.outputs(&network), "{:?}", instructions);
            }
            prop_assert!(many.iter().all(|output| output == &outputs[0]));
        }
    }
}
