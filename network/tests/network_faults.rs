//! Faults that `Network::build` finds in parts that came from no plan.

#![allow(clippy::unwrap_used)]

use network::average::Counted;
use network::graph::{HardwareRequest, HostStep, Input, InputQuantizer, Layer, NetworkParts, Output, TensorId};
use network::op::{Op, TopGives};
use network::rounding::Rounding;
use network::shape::{AxisOrder, Window};
use network::{Code, Format, Network, Place, Shape};

fn parts(op: Op) -> NetworkParts {
    NetworkParts {
        name: "n".to_owned(),
        inputs: vec![Input {
            name: "x".to_owned(),
            shape: Shape::new(2, 2, 1).unwrap(),
            format: Format::unsigned(4).unwrap(),
            axes: AxisOrder::default(),
            quantizer: Some(InputQuantizer {
                scale: 1.0,
                zero_point: 0.0,
                rounding: Rounding::HalfEven,
                code_min: 0,
                code_max: 15,
                rounds_first: false,
            }),
        }],
        layers: vec![Layer {
            name: "layer".to_owned(),
            place: Place::layer("layer"),
            inputs: vec![TensorId(0)],
            op,
            requantization: None,
            modes: Vec::new(),
            hardware: HardwareRequest::default(),
        }],
        outputs: vec![Output {
            tensor: TensorId(1),
            name: "y".to_owned(),
            axes: AxisOrder::default(),
            scales: vec![1.0],
            offsets: vec![0.0],
            modes: Vec::new(),
            host: HostStep::None,
        }],
    }
}

fn pool(kernel: u64, dilation: u64, padding: u64) -> Op {
    Op::MaxPool {
        window: Window {
            kernel: [kernel, 1],
            stride: [1, 1],
            dilation: [dilation, 1],
            padding_before: [padding, 0],
            padding_after: [padding, 0],
        },
    }
}

#[track_caller]
fn check(parts: NetworkParts, code: Code) {
    let faults = Network::build(parts).unwrap_err();
    assert_eq!(faults.0.iter().map(|fault| fault.code).collect::<Vec<_>>(), [code], "{faults}");
}

#[test]
fn faults() {
    assert!(Network::build(parts(pool(2, 1, 0))).is_ok());
    check(parts(pool(2, 5, 3)), Code::LayerShape);
    check(parts(pool(0, 1, 0)), Code::LayerShape);
    check(parts(pool(u64::MAX, 1, 0)), Code::LayerShape);
    let top = |count| {
        let (multipliers, offsets) = (vec![1], vec![0]);
        parts(Op::TopK { count, gives: TopGives::Indices, multipliers, offsets })
    };
    assert!(Network::build(top(1)).is_ok());
    for count in [0, 2000, u64::MAX] {
        check(top(count), Code::LayerShape);
    }
    let average = |window: [u64; 2], counted: u64| {
        let window = Window {
            kernel: [window[0], 1],
            stride: [1, 1],
            dilation: [1, 1],
            padding_before: [window[1], 0],
            padding_after: [0, 0],
        };
        let counted = Some(Counted { before: [counted, 0], after: [0, 0] });
        parts(Op::SumPool { window, padding_value: 0, counted })
    };
    assert!(Network::build(average([3, 2], 1)).is_ok());
    check(average([3, 2], 3), Code::LayerShape);
    let mut crossed = parts(pool(2, 1, 0));
    crossed.inputs[0].quantizer.as_mut().unwrap().code_min = 16;
    check(crossed, Code::PlanRange);
    let mut scaleless = parts(pool(2, 1, 0));
    scaleless.inputs[0].quantizer.as_mut().unwrap().scale = f32::NAN;
    check(scaleless, Code::PlanRange);
    let mut vector = parts(Op::Argmax { multipliers: vec![1 << 60], offsets: vec![0] });
    vector.inputs[0].shape = Shape::new(1, 1, 4).unwrap();
    check(vector, Code::LayerShape);
}
