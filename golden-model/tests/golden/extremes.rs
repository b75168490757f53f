//! The ends of all ranges: widest formats, sums at the ends of 32 bits and beyond.

use crate::build::{self, format, network, shape};
use golden_model::kernel::Instructions;
use golden_model::{Evaluator, Scratch};
use network::op::{Op, Weights};

/// A dense layer of equal weights over equal codes; the sum is written out by hand.
#[track_caller]
fn check(input: &str, code: i32, weight: &str, value: i32, length: usize, sum: i64) {
    let weights = Weights::plain(format(weight), 2, length, vec![value; 2 * length]);
    let input = format(input);
    let network = network(shape(1, 1, length as u64), input, input.code_range(), vec![(Op::Dense { weights }, None)]);
    for instructions in Instructions::available() {
        let evaluator = Evaluator::with_instructions(&network, instructions);
        let trace = evaluator.evaluate(&vec![code; length]).unwrap();
        assert_eq!(trace.last(), [sum, sum], "{instructions:?}");
        assert_eq!(trace.layers[0].sums.as_deref(), Some(&[sum, sum][..]));
        assert_eq!(evaluator.output(&vec![code; length], &mut Scratch::default()).unwrap(), [sum, sum]);
    }
}

#[test]
fn sixteen_by_sixteen_bits() {
    check("s16", -32768, "s16", -32768, 1, 1 << 30);
    check("s16", -32768, "s16", -32768, 2, 1 << 31);
    check("s16", -32768, "s16", -32768, 4, 1 << 32);
    check("s16", -32768, "s16", 32767, 2, -2_147_418_112);
    check("s16", -32768, "s16", 32767, 3, -3_221_127_168);
    check("u16", 65535, "u16", 65535, 1, 4_294_836_225);
    check("u16", 65535, "u16", 65535, 1000, 4_294_836_225_000);
    check("u16", 65535, "s16", -32768, 1, -2_147_450_880);
    check("u16", 0, "s16", -32768, 5, 0);
}

#[test]
fn sums_at_the_ends_of_the_byte_and_word_kernels() {
    check("u8", 255, "s8", -128, 60_000, -1_958_400_000);
    check("u8", 255, "s8", -128, 70_000, -2_284_800_000);
    check("s8", -128, "s8", -128, 70_000, 1_146_880_000);
    check("s8", -128, "s8", -128, 140_000, 2_293_760_000);
    check("u8", 255, "u8", 255, 33_000, 2_145_825_000);
    check("bipolar8", 255, "s8", -128, 10, -326_400);
    check("bipolar8", 0, "bipolar8", 255, 10, -650_250);
    check("bipolar7", 0, "s8", 127, 3, -48_387);
    check("s1", -1, "s1", -1, 9, 9);
    check("u1", 1, "bipolar1", -1, 9, -9);
}

#[test]
fn a_span_one_wider_than_a_byte() {
    for (least, most) in [(-1, 254), (-1, 255), (-128, 128), (-129, 126)] {
        let weights = Weights::plain(format("s8"), 1, 2, vec![127, -128]);
        let layers = vec![(Op::Dense { weights }, None)];
        let network = network(shape(1, 1, 2), format("s16"), network::Range::new(least, most), layers);
        let frame = [most as i32, least as i32];
        for instructions in Instructions::available() {
            let trace = Evaluator::with_instructions(&network, instructions).evaluate(&frame).unwrap();
            assert_eq!(trace.last(), [127 * most - 128 * least], "{least} {most}");
        }
    }
}

#[test]
fn padding_with_a_code_that_is_not_zero() {
    // A single pixel 5 in a frame of 9s: kernel 3x3 of ones.
    let window =
        network::shape::Window { kernel: [3, 3], padding_before: [1, 1], padding_after: [1, 1], ..build::POINT };
    let weights = Weights::plain(format("s4"), 1, 9, vec![1; 9]);
    let op = Op::Conv2d { weights, window, padding_value: 9, groups: 1 };
    let input = format("u4");
    let network = network(shape(1, 1, 1), input, input.code_range(), vec![(op, None)]);
    assert_eq!(Evaluator::new(&network).evaluate(&[5]).unwrap().last(), [77]);
}
