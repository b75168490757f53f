//! Random networks that are right, with every operator, format and form.

use network::average::Counted;
use network::coding::{Piecewise, Transform, Wavelet, WeightFormat};
use network::format::{Format, Kind};
use network::graph::{
    HardwareRequest, HostStep, Input, InputQuantizer, Layer, Memory, Multiplier, NetworkParts, Output, PeForm, PeKind,
    RequantizeUnit, TensorId, WindowForm,
};
use network::op::{Loop, Op, Rearrangement, TopGives, Weights};
use network::requantization::{Form, RealRule, Requantization, Shift, Table, Thresholds};
use network::rounding::Rounding;
use network::shape::{AxisOrder, Shape, Window};
use network::{At, Place, Range, random};

/// A small generator of its own, so that the tests share nothing with the code under test.
struct Dice(u64);

impl Dice {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let word = self.0 ^ (self.0 >> 29);
        word.wrapping_mul(0xff51afd7ed558ccd) >> 16
    }

    /// From `least` to `most`, both included.
    fn roll(&mut self, least: i64, most: i64) -> i64 {
        least + (self.word() % (most - least + 1) as u64) as i64
    }

    fn coin(&mut self) -> bool {
        self.roll(0, 1) == 1
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.roll(0, items.len() as i64 - 1) as usize]
    }

    /// Any finite double.
    fn real(&mut self) -> f64 {
        loop {
            let value = f64::from_bits((self.word() << 20) ^ self.word());
            if value.is_finite() {
                return value;
            }
        }
    }

    fn format(&mut self) -> Format {
        match self.roll(0, 2) {
            0 => Format::unsigned(self.roll(1, 16) as u32),
            1 => Format::signed(self.roll(1, 16) as u32),
            _ => Format::bipolar(self.roll(1, 8) as u32),
        }
        .unwrap()
    }

    fn codes(&mut self, format: Format) -> Range {
        let all = format.code_range();
        if self.coin() { all } else { Range::new(self.roll(all.min(), all.max()), self.roll(all.min(), all.max())) }
    }

    fn some<T>(&mut self, value: T) -> Option<At<T>> {
        self.coin().then(|| At::new(value, Place::default()))
    }
}

/// A network of `layers` layers.
pub fn random_parts(seed: u64, layers: usize) -> NetworkParts {
    let mut dice = Dice(seed);
    let shape = Shape::new(dice.roll(1, 7) as u64, dice.roll(1, 7) as u64, dice.roll(1, 4) as u64).unwrap();
    let format = dice.format();
    let quantizer = dice.coin().then(|| {
        let codes = dice.codes(format);
        let zero_point = if dice.coin() { dice.roll(-9, 9) as f32 * 0.5 } else { 0.0 };
        InputQuantizer {
            scale: f32::from_bits(dice.roll(1, 0x7f7f_ffff) as u32),
            zero_point,
            rounds_first: dice.coin() && zero_point.fract() == 0.0,
            rounding: dice.pick(&[
                Rounding::HalfEven,
                Rounding::HalfUp,
                Rounding::HalfDown,
                Rounding::Ceil,
                Rounding::Floor,
                Rounding::Up,
                Rounding::Down,
            ]),
            code_min: codes.min(),
            code_max: codes.max(),
        }
    });
    let names = ["input", "global_in", "onnx::Conv 1", "a: b", "no", "7", "\"q\"", "bär", "x/y#z"];
    let axes = [AxisOrder::ChannelsFirst, AxisOrder::ChannelsLast];
    let input = Input { name: dice.pick(&names).to_owned(), shape, format, axes: dice.pick(&axes), quantizer };
    let mut made = Vec::new();
    let mut tensors = vec![(shape, Some(format))];
    for index in 0..layers {
        let source = if dice.roll(0, 3) == 0 { dice.roll(0, index as i64) as usize } else { index };
        let (layer, shape, format) = layer(&mut dice, index, source, &tensors);
        made.push(layer);
        tensors.push((shape, format));
    }
    let is_read = |tensor: usize| made.iter().any(|layer: &Layer| layer.inputs.contains(&TensorId(tensor)));
    let ends: Vec<usize> = (1..=layers).filter(|&tensor| !is_read(tensor)).collect();
    let outputs = ends.into_iter().map(|tensor| {
        let channels = tensors[tensor].0.channels as usize;
        let count = |dice: &mut Dice| if dice.coin() { 1 } else { channels };
        let scales = (0..count(&mut dice)).map(|_| dice.real()).collect();
        let offsets = (0..count(&mut dice)).map(|_| dice.real()).collect();
        Output {
            tensor: TensorId(tensor),
            name: dice.pick(&names).to_owned(),
            axes: dice.pick(&axes),
            scales,
            offsets,
            modes: Vec::new(),
            host: dice.pick(&[HostStep::None, HostStep::Relu, HostStep::Sigmoid, HostStep::Softmax]),
        }
    });
    let outputs = outputs.collect();
    let name = dice.pick(&["tiny", "mnist-cnn", "no", "net_1.v2"]).to_owned();
    NetworkParts { name, inputs: vec![input], layers: made, outputs }
}

/// A layer over `source`; a format is absent where a tensor holds sums.
fn layer(
    dice: &mut Dice,
    index: usize,
    source: usize,
    tensors: &[(Shape, Option<Format>)],
) -> (Layer, Shape, Option<Format>) {
    let (from, format) = tensors[source];
    let name = dice.pick(&["conv", "fc", "Layer_", "true", "null", "e"]).to_owned()
        + &if index == 0 { String::new() } else { index.to_string() };
    let (op, shape, inputs) = match join(dice, source, tensors) {
        Some(joined) => joined,
        None => {
            let (op, shape) = operator(dice, from, format);
            (op, shape, vec![source])
        }
    };
    let requantizes = match op {
        Op::Dense { .. } | Op::Conv2d { .. } | Op::SumPool { .. } | Op::Add { .. } | Op::Multiply => {
            dice.roll(0, 3) > 0
        }
        Op::Identity => true,
        Op::MaxPool { .. } | Op::Argmax { .. } | Op::TopK { .. } | Op::Concat | Op::Rearrange(_) => false,
    };
    let requantization = requantizes.then(|| requantization(dice, shape.channels as usize));
    let format = match (&requantization, &op) {
        (Some(made), _) => Some(made.output),
        (None, Op::Argmax { .. } | Op::TopK { gives: TopGives::Indices, .. }) => {
            Some(Format::integer_for(Range::new(0, from.channels as i64 - 1)).unwrap())
        }
        (None, Op::MaxPool { .. } | Op::Concat | Op::Rearrange(_)) => format,
        (None, _) => None,
    };
    let weighted = op.weights().is_some();
    let unit = dice.pick(&[RequantizeUnit::Thresholds, RequantizeUnit::Rescale]);
    let kind = dice.pick(&[PeKind::Mac, PeKind::Xnor, PeKind::Depthwise, PeKind::Piecewise, PeKind::Wavelet]);
    let form = dice.pick(&[PeForm::Decompress, PeForm::Accumulators, PeForm::Products]);
    let multiplier = dice.pick(&[Multiplier::Lut, Multiplier::Dsp]);
    let memory = dice.pick(&[Memory::Lut, Memory::Block]);
    let window = dice.pick(&[WindowForm::Serial(2), WindowForm::Parallel]);
    let depths: Vec<u64> = inputs.iter().map(|_| dice.pick(&[1, 2, 77, 1 << 24])).collect();
    let hardware = HardwareRequest {
        pe: dice.some(3),
        simd: dice.some(12),
        kind: dice.some(kind).filter(|_| weighted),
        form: dice.some(form).filter(|_| weighted),
        multiplier: dice.some(multiplier).filter(|_| weighted),
        memory: dice.some(memory).filter(|_| weighted),
        requantize: dice.some(unit).filter(|_| requantizes),
        window: dice.some(window).filter(|_| matches!(op, Op::Conv2d { .. })),
        fifo: dice.some(depths).filter(|_| matches!(op, Op::Add { .. } | Op::Multiply | Op::Concat)),
    };
    let layer = Layer {
        name,
        place: Place::default(),
        inputs: inputs.into_iter().map(TensorId).collect(),
        op,
        requantization,
        modes: Vec::new(),
        hardware,
    };
    (layer, shape, format)
}

fn operator(dice: &mut Dice, from: Shape, format: Option<Format>) -> (Op, Shape) {
    let Some(format) = format else { return (Op::Identity, from) };
    match dice.roll(0, 8) {
        0 => (Op::Identity, from),
        6 => {
            let window = window(dice, from);
            let [rows, columns] = window.positions(from).unwrap();
            // Padding that counts in part, or a window that it cannot leave empty.
            let before = window.padding_before.map(|most| dice.roll(0, most as i64) as u64);
            let counted = Counted { before, after: window.padding_after };
            let counted = dice.coin().then_some(counted).filter(|counted| counted.factors(&window, from).is_some());
            let op = Op::SumPool { window, padding_value: 0, counted };
            (op, Shape::new(rows, columns, from.channels).unwrap())
        }
        7 => rearrangement(dice, from),
        8 => {
            let (multipliers, offsets) =
                (constants(dice, from.channels as usize), constants(dice, from.channels as usize));
            let count = dice.roll(1, from.channels as i64) as u64;
            let gives = dice.pick(&[TopGives::Values, TopGives::Indices]);
            let shape = Shape::new(from.rows, from.columns, count).unwrap();
            (Op::TopK { count, gives, multipliers, offsets }, shape)
        }
        1 => {
            let (multipliers, offsets) =
                (constants(dice, from.channels as usize), constants(dice, from.channels as usize));
            (Op::Argmax { multipliers, offsets }, Shape::new(from.rows, from.columns, 1).unwrap())
        }
        2 => {
            let window = window(dice, from);
            let [rows, columns] = window.positions(from).unwrap();
            (Op::MaxPool { window }, Shape::new(rows, columns, from.channels).unwrap())
        }
        3 | 4 => {
            let window = window(dice, from);
            let [rows, columns] = window.positions(from).unwrap();
            let groups = if from.channels == 1 || dice.coin() { 1 } else { from.channels };
            let mut weights = weights(dice, (window.taps() * from.channels / groups) as usize);
            if groups > 1 {
                // As many outputs as groups, and again.
                weights.values = weights.values.repeat(groups as usize).into();
                weights.outputs *= groups as usize;
                // Repeated rows neither keep their pairs nor bring tags.
                weights = Weights::plain(weights.format, weights.outputs, weights.length, weights.values.to_vec());
            }
            let padding_value =
                if format.kind() == Kind::Bipolar || dice.coin() { 0 } else { format.code_range().max() };
            let shape = Shape::new(rows, columns, weights.outputs as u64).unwrap();
            (Op::Conv2d { weights, window, padding_value, groups }, shape)
        }
        _ => {
            let weights = weights(dice, from.elements() as usize);
            let shape = Shape::new(1, 1, weights.outputs as u64).unwrap();
            (Op::Dense { weights }, shape)
        }
    }
}

/// The whole input transposed, a part of it, or parts again and again.
fn rearrangement(dice: &mut Dice, from: Shape) -> (Op, Shape) {
    let all = from.elements() as i64;
    let count = dice.roll(1, all);
    let repeats = dice.roll(1, 3);
    let step = if count > 1 { (all - 1) / (count - 1) } else { 0 };
    let (start, stride) = if dice.coin() { (0, step) } else { (step * (count - 1), -step) };
    let shape = Shape::new(count as u64, 1, repeats as u64).unwrap();
    let loops = vec![Loop { count: count as u64, stride }, Loop { count: repeats as u64, stride: 0 }];
    (Op::Rearrange(Rearrangement { shape, start: start as u64, loops }), shape)
}

/// An operator of several tensors, where there is a second one that fits.
fn join(dice: &mut Dice, source: usize, tensors: &[(Shape, Option<Format>)]) -> Option<(Op, Shape, Vec<usize>)> {
    if dice.roll(0, 3) > 0 {
        return None;
    }
    let other = dice.roll(0, tensors.len() as i64 - 1) as usize;
    let ((from, format), (shape, other_format)) = (tensors[source], tensors[other]);
    let alike = shape == from || shape.positions() == 1 && shape.channels == from.channels;
    let format = format.filter(|_| alike && other_format.is_some())?;
    Some(match dice.roll(0, 2) {
        0 if shape == from && other_format == Some(format) => {
            let channels = from.channels * 2;
            (Op::Concat, Shape { channels, ..from }, vec![source, other])
        }
        1 => (Op::Multiply, from, vec![source, other]),
        _ => {
            let factors = if dice.coin() {
                vec![vec![1]; 2]
            } else {
                (0..2).map(|_| (0..from.channels).map(|_| dice.roll(-300, 300)).collect()).collect()
            };
            (Op::Add { factors }, from, vec![source, other])
        }
    })
}

fn window(dice: &mut Dice, from: Shape) -> Window {
    let mut window =
        Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], padding_before: [0; 2], padding_after: [0; 2] };
    for (axis, length) in [from.rows, from.columns].into_iter().enumerate() {
        let span = dice.roll(1, length.min(5) as i64) as u64;
        let dilation = if span > 2 && span % 2 == 1 && dice.coin() { 2 } else { 1 };
        window.kernel[axis] = (span - 1) / dilation + 1;
        window.dilation[axis] = dilation;
        window.stride[axis] = dice.roll(1, 3) as u64;
        if dice.coin() {
            window.padding_before[axis] = dice.roll(0, span as i64 - 1) as u64;
            window.padding_after[axis] = dice.roll(0, span as i64 - 1) as u64;
        }
    }
    window
}

fn weights(dice: &mut Dice, length: usize) -> Weights {
    let outputs = dice.roll(1, 5) as usize;
    if dice.roll(0, 2) == 0 {
        let format = coding(dice);
        return random::weights(&mut random::Stream::for_layer(dice.word(), "w"), &format, outputs, length);
    }
    let format = dice.format();
    let codes = format.code_range();
    let values = (0..outputs * length).map(|_| format.value(dice.roll(codes.min(), codes.max())) as i32).collect();
    Weights::plain(format, outputs, length, values)
}

fn coding(dice: &mut Dice) -> WeightFormat {
    if dice.coin() {
        let mut four = |least, most| [0; 4].map(|_| dice.roll(least, most));
        let (widths, multipliers) = (four(1, 6).map(|width| width as u32), four(1, 9));
        let transform = if dice.coin() { Transform::Haar } else { Transform::Lifting };
        return WeightFormat::Wavelet(Wavelet::new(widths, multipliers, transform).unwrap());
    }
    let regions = dice.roll(2, 4);
    let mut list = |least, most| -> Vec<i64> { (0..regions).map(|_| dice.roll(least, most)).collect() };
    let (widths, multipliers, offsets) = (list(1, 8), list(1, 20), list(-9, 9));
    let widths = widths.into_iter().map(|width| width as u32).collect();
    let offsets = offsets.into_iter().map(|offset| offset.max(0)).collect();
    WeightFormat::Piecewise(Piecewise::new(widths, multipliers, offsets, dice.roll(1, 6) as u64).unwrap())
}

fn constants(dice: &mut Dice, channels: usize) -> Vec<i64> {
    let count = if dice.coin() { 1 } else { channels };
    (0..count).map(|_| dice.roll(-4000, 4000)).collect()
}

fn requantization(dice: &mut Dice, channels: usize) -> Requantization {
    let small = dice.coin();
    let output = if small { Format::unsigned(dice.roll(1, 3) as u32).unwrap() } else { dice.format() };
    let codes = dice.codes(output);
    let form = if small && dice.coin() {
        let count = (codes.max() - codes.min()) as usize;
        let falling: Vec<bool> = (0..if dice.coin() { 1 } else { channels }).map(|_| dice.coin()).collect();
        let mut values = Vec::new();
        for _ in &falling {
            let mut row: Vec<i64> = (0..count).map(|_| dice.roll(-(1 << 40), 1 << 40)).collect();
            row.sort_unstable();
            values.extend(row);
        }
        Form::Thresholds(Thresholds { values, count, falling })
    } else if dice.roll(0, 3) == 0 {
        let (rows, count) = (if dice.coin() { 1 } else { channels }, dice.roll(1, 9) as usize);
        let mut values = Vec::new();
        for _ in 0..rows {
            let mut row: Vec<i64> = (0..count).map(|_| dice.roll(-(1 << 40), 1 << 40)).collect();
            row.sort_unstable();
            values.extend(row);
        }
        let codes = (0..rows * (count + 1)).map(|_| dice.roll(codes.min(), codes.max())).collect();
        Form::Table(Table { values, count, codes })
    } else {
        let (multipliers, offsets) = (constants(dice, channels), constants(dice, channels));
        Form::Shift(Shift { multipliers, offsets, shift: dice.roll(0, 40) as u32, half_even: dice.coin() })
    };
    let rule = dice
        .coin()
        .then(|| RealRule { gains: vec![dice.real()], offsets: (0..channels).map(|_| dice.real()).collect() });
    Requantization { output, codes, form, rule }
}
