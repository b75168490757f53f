//! Frames of users: axis order, quantizer, real results.

use crate::build::{self, format, shape};
use golden_model::frames::{FrameFault, codes_from_integers, codes_from_reals, reals};
use golden_model::{EvaluateError, Evaluator};
use network::graph::{HostStep, InputQuantizer, NetworkParts};
use network::op::Op;
use network::rounding::Rounding;
use network::shape::AxisOrder;
use network::{Network, Range};

/// A network of 1 x 2 positions with 3 channels that changes nothing, and its parts to be changed.
fn pass_through(change: impl FnOnce(&mut NetworkParts)) -> Network {
    let pool = vec![(Op::MaxPool { window: build::POINT }, None)];
    let mut parts = build::parts(shape(1, 2, 3), format("s8"), Range::new(-127, 127), pool);
    change(&mut parts);
    Network::build(parts).unwrap()
}

#[test]
fn axis_orders() {
    let first = pass_through(|_| {});
    // Channels first: channel 0 is 1 2, channel 1 is 3 4, channel 2 is 5 6.
    let codes = codes_from_integers(&first.inputs()[0], &[1, 2, 3, 4, 5, 6]).unwrap();
    assert_eq!(codes, [1, 3, 5, 2, 4, 6]);
    let output = Evaluator::new(&first).evaluate(&codes).unwrap();
    assert_eq!(reals(&first, output.last()), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let last = pass_through(|parts| parts.inputs[0].axes = AxisOrder::ChannelsLast);
    assert_eq!(codes_from_integers(&last.inputs()[0], &[1, 2, 3, 4, 5, 6]).unwrap(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn quantized_reals() {
    let quantizer = InputQuantizer {
        scale: 0.25,
        zero_point: 1.0,
        rounding: Rounding::HalfEven,
        code_min: -127,
        code_max: 127,
        rounds_first: false,
    };
    let network = pass_through(|parts| {
        parts.inputs[0].axes = AxisOrder::ChannelsLast;
        parts.inputs[0].quantizer = Some(quantizer);
    });
    let codes = codes_from_reals(&network.inputs()[0], &[0.0, 0.125, 0.375, -100.0, 1e30, f32::NEG_INFINITY]).unwrap();
    assert_eq!(codes, [1, 2, 2, -127, 127, -127]);
    let fault = codes_from_reals(&network.inputs()[0], &[0.0, 0.0, f32::NAN, 0.0, 0.0, 0.0]);
    assert!(matches!(fault, Err(FrameFault::NoCode { element: 2, .. })));
}

#[test]
fn wrong_frames() {
    let network = pass_through(|_| {});
    let fault = codes_from_integers(&network.inputs()[0], &[0; 5]).unwrap_err();
    assert_eq!(fault, EvaluateError::InputLength { expected: 6, found: 5 }.into());
    assert!(codes_from_integers(&network.inputs()[0], &[0, 0, 0, 0, 0, -128]).is_err());
    assert!(codes_from_integers(&network.inputs()[0], &[0, 0, 0, 0, 0, i64::MAX]).is_err());
    assert!(codes_from_reals(&network.inputs()[0], &[0.0; 7]).is_err());
    let codes_only = pass_through(|parts| parts.inputs[0].quantizer = None);
    assert_eq!(codes_from_reals(&codes_only.inputs()[0], &[0.0; 6]), Err(FrameFault::NoQuantizer));
}

#[test]
fn scales_and_host_steps() {
    let integers = [1, -2, 3, 0, 0, 0];
    let network = |host| {
        pass_through(|parts| {
            parts.outputs[0].axes = AxisOrder::ChannelsLast;
            parts.outputs[0].scales = vec![0.5, 1.0, 2.0];
            parts.outputs[0].offsets = vec![0.25];
            parts.outputs[0].host = host;
        })
    };
    assert_eq!(reals(&network(HostStep::None), &integers), [0.75, -1.75, 6.25, 0.25, 0.25, 0.25]);
    assert_eq!(reals(&network(HostStep::Relu), &integers), [0.75, 0.0, 6.25, 0.25, 0.25, 0.25]);
    let sigmoid = reals(&network(HostStep::Sigmoid), &integers);
    assert!((sigmoid[0] - 0.679_178_699_175_393).abs() < 1e-12);
    let softmax = reals(&network(HostStep::Softmax), &integers);
    // exp(-5.5) / (1 + exp(-5.5) + exp(-8)).
    assert!((softmax[0] - 0.004_068_778_348_244).abs() < 1e-12, "{softmax:?}");
    assert!((softmax[..3].iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert_eq!(softmax[3..], [1.0 / 3.0; 3]);
}
