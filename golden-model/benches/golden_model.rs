//! Speed of the golden model on one core: images per second of a network shaped like a small MNIST CNN, and bits per
//! second of the multi-branch xnor kernel. Weights and images are random; run with `cargo bench -p golden-model`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use golden_model::kernel::xnor::{PackedPlanes, WindowPlanes};
use golden_model::kernel::{Instructions, planes};
use golden_model::{Evaluator, Scratch};
use network::diagnostic::{Diagnostics, Place};
use network::graph::{HostStep, Input, Layer, NetworkParts, Output, TensorId};
use network::op::{Op, Weights};
use network::requantization::{Form, Requantization, Shift};
use network::shape::{AxisOrder, Window};
use network::{Format, Network, Range, Shape};
use std::hint::black_box;

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn codes(&mut self, range: Range, count: usize) -> Vec<i32> {
        let span = range.max().abs_diff(range.min()) + 1;
        (0..count).map(|_| (range.min() + self.below(span) as i64) as i32).collect()
    }

    fn weights(&mut self, format: Format, outputs: usize, length: usize) -> Weights {
        let codes = self.codes(format.code_range(), outputs * length);
        let values = codes.iter().map(|&code| format.value(code.into()) as i32).collect();
        Weights::plain(format, outputs, length, values)
    }
}

fn window(kernel: u64, stride: u64, padding: u64) -> Window {
    Window {
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        padding_before: [padding; 2],
        padding_after: [padding; 2],
    }
}

/// A rescaling of sums of about so many bits to all codes of the format, with a 20-bit multiplier.
fn rescale(random: &mut Random, output: Format, channels: usize, sum_bits: u32) -> Option<Requantization> {
    let shift = 20 + sum_bits - output.bits();
    let form = Shift {
        multipliers: (0..channels).map(|_| (1 << 19) + random.below(1 << 19) as i64).collect(),
        offsets: (0..channels).map(|_| random.below(1 << shift) as i64).collect(),
        shift,
        half_even: false,
    };
    Some(Requantization { output, codes: output.code_range(), form: Form::Shift(form), rule: None })
}

/// conv 3x3 8 channels w8 a8, pool, conv 3x3 16 channels, pool, dense 32 w2 a2, dense 10 w2; the formats of the second
/// convolution's input and weights are given, so that it can be one of plane codes.
fn mnist_cnn(input: Format, first: Format, second: Format, third: Format) -> Option<Result<Network, Diagnostics>> {
    let random = &mut Random(1);
    let [s8, s2, u2] = [Format::signed(8)?, Format::signed(2)?, Format::unsigned(2)?];
    let convolution = |weights| Op::Conv2d { weights, window: window(3, 1, 1), padding_value: 0, groups: 1 };
    let pool = || Op::MaxPool { window: window(2, 2, 0) };
    let conv1 = convolution(random.weights(s8, 8, 9));
    let conv2 = convolution(random.weights(second, 16, 72));
    let dense1 = Op::Dense { weights: random.weights(s2, 32, 784) };
    let dense2 = Op::Dense { weights: random.weights(s2, 10, 32) };
    let layers = [
        (conv1, rescale(random, first, 8, 17)),
        (pool(), None),
        (conv2, rescale(random, third, 16, 13)),
        (pool(), None),
        (dense1, rescale(random, u2, 32, 12)),
        (dense2, None),
    ];
    let last = TensorId(layers.len());
    let layers = layers.into_iter().enumerate().map(|(index, (op, requantization))| Layer {
        name: format!("layer{index}"),
        place: Place::default(),
        inputs: vec![TensorId(index)],
        op,
        requantization,
        modes: Vec::new(),
        hardware: Default::default(),
    });
    let axes = AxisOrder::ChannelsFirst;
    Some(Network::build(NetworkParts {
        name: "mnist-cnn".to_owned(),
        inputs: vec![Input {
            name: "x".to_owned(),
            shape: Shape::new(28, 28, 1)?,
            format: input,
            axes,
            quantizer: None,
        }],
        layers: layers.collect(),
        outputs: vec![Output {
            tensor: last,
            name: "y".to_owned(),
            axes,
            scales: vec![1.0],
            offsets: vec![0.0],
            modes: Vec::new(),
            host: HostStep::None,
        }],
    }))
}

fn images(criterion: &mut Criterion) {
    let format = |text: &str| text.parse::<Format>().ok();
    let cases = [("integers", "u8", "s4", "u4"), ("planes", "bipolar2", "bipolar2", "u4")];
    for (name, first, second, third) in cases {
        let formats = (format("u8"), format(first), format(second), format(third));
        let (Some(input), Some(first), Some(second), Some(third)) = formats else { continue };
        let Some(Ok(network)) = mnist_cnn(input, first, second, third) else { continue };
        let frames: Vec<Vec<i32>> = (0..100).map(|seed| Random(seed).codes(Range::new(0, 255), 784)).collect();
        let mut group = criterion.benchmark_group(format!("images/{name}"));
        group.throughput(Throughput::Elements(frames.len() as u64));
        for instructions in Instructions::available() {
            let evaluator = Evaluator::with_instructions(&network, instructions);
            let mut scratch = Scratch::default();
            group.bench_function(format!("output/{:?}", instructions.level()), |bencher| {
                bencher.iter(|| {
                    for frame in &frames {
                        let _ = black_box(evaluator.output(black_box(frame), &mut scratch));
                    }
                });
            });
        }
        let evaluator = Evaluator::new(&network);
        group.bench_function("evaluate", |bencher| {
            bencher.iter(|| frames.iter().map(|frame| evaluator.evaluate(frame).is_ok()).collect::<Vec<_>>());
        });
    }
}

fn xnor(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("xnor");
    for (m, k, length, outputs) in
        [(1, 1, 4096, 64), (2, 2, 72, 16), (2, 2, 1152, 64), (3, 3, 576, 64), (8, 8, 576, 64)]
    {
        let random = &mut Random(2);
        let activations = random.codes(Range::new(0, (1 << m) - 1), length);
        let rows: Vec<Vec<i32>> = (0..outputs).map(|_| random.codes(Range::new(0, (1 << k) - 1), length)).collect();
        let Some(packed) = PackedPlanes::new(&rows, k) else { continue };
        let words: Vec<u64> =
            planes::pack(&activations, m).iter().flat_map(|plane| plane.as_raw_slice().to_vec()).collect();
        let valid: planes::Plane = (0..length).map(|_| true).collect();
        let window = WindowPlanes { planes: &words, valid: valid.as_raw_slice(), half_range: false };
        let mut sums = vec![0; outputs];
        // One element of throughput is one bit of one branch.
        group.throughput(Throughput::Elements(u64::from(m * k) * (length * outputs) as u64));
        for instructions in Instructions::available() {
            group.bench_function(format!("M{m}K{k} N={length} x{outputs}/{:?}", instructions.level()), |bencher| {
                bencher.iter(|| packed.sums(instructions, black_box(window), &mut sums));
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30);
    targets = images, xnor
}
criterion_main!(benches);
