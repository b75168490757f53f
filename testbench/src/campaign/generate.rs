//! Random sketches: layers are proposed one after the other; one that the network or the binder refuses is dropped.

use super::{Sketch, SketchLayer};
use hdl_gen::{BindOptions, bind, lower};
use network::Network;
use network::graph::{Encoding, Tensor};
use network::random::Stream;

/// Proposals for one sketch.
const PROPOSALS: usize = 14;
/// Layers of one sketch.
const MOST_LAYERS: u64 = 8;
/// Elements of a tensor beyond which no layer makes it larger.
const MANY_ELEMENTS: u64 = 700;

/// Dice over the project's own generator.
struct Dice(Stream);

impl Dice {
    /// From 0 to `count - 1`.
    fn below(&mut self, count: u64) -> u64 {
        self.0.next_word() % count.max(1)
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len() as u64) as usize]
    }

    /// Narrow formats more often than wide ones.
    fn format(&mut self) -> String {
        let bits = if self.one_in(6) { self.between(9, 16) } else { self.between(1, 8) };
        match self.below(4) {
            0 => format!("s{bits}"),
            1 => format!("bipolar{}", bits.min(self.between(1, 8)).min(4)),
            _ => format!("u{bits}"),
        }
    }

    /// A format of weights: mostly plain, now and then coded piecewise or by sub-bands.
    fn weight(&mut self) -> String {
        match self.below(12) {
            0 => {
                let regions = self.between(2, 4);
                let bits: Vec<u64> = (0..regions).map(|_| self.between(1, 6)).collect();
                let multipliers: Vec<u64> = (0..regions).map(|_| self.between(1, 9)).collect();
                let group = self.between(1, 3);
                format!("{{ piecewise: {bits:?}, multipliers: {multipliers:?}, group: {group} }}")
            }
            1 => {
                let bits: Vec<u64> = (0..4).map(|band| self.between(u64::from(band == 0), 5)).collect();
                let transform = self.pick(&["haar", "lifting"]);
                format!("{{ wavelet: {bits:?}, transform: {transform} }}")
            }
            _ => self.format(),
        }
    }

    fn divisor(&mut self, number: u64) -> u64 {
        let divisors: Vec<u64> = (1..=number).filter(|d| number.is_multiple_of(*d)).collect();
        divisors[self.below(divisors.len() as u64) as usize]
    }
}

/// The sketch of a seed.
pub(super) fn sketch(seed: u64) -> Sketch {
    let mut dice = Dice(Stream::for_layer(seed, "campaign"));
    let (rows, columns) = match dice.below(5) {
        0 => (1, 1),
        1 => (1, dice.between(2, 12)),
        _ => (dice.between(2, 9), dice.between(2, 9)),
    };
    let channels = dice.between(1, if rows * columns == 1 { 24 } else { 6 });
    let mut inputs = vec![format!("shape: [{rows}, {columns}, {channels}], format: {}", dice.format())];
    for _ in 0..if dice.one_in(4) { dice.between(1, 2) } else { 0 } {
        // Of the same shape, of one position, or with channels of its own.
        let shape = match dice.below(3) {
            0 => [1, 1, channels],
            1 => [rows, columns, dice.between(1, 6)],
            _ => [rows, columns, channels],
        };
        inputs.push(format!("shape: {shape:?}, format: {}", dice.format()));
    }
    let extreme = dice.one_in(4);
    let mut sketch = Sketch { seed, extreme, inputs, layers: Vec::new() };
    let wanted = dice.between(2, MOST_LAYERS);
    for proposal in 0..PROPOSALS {
        if sketch.layers.len() as u64 >= wanted {
            break;
        }
        let Some(tensors) = tensors(&sketch) else { break };
        let Some(layer) = propose(&mut dice, proposal, &tensors) else { continue };
        sketch.layers.push(layer);
        // What no unit can hold is refused with a diagnostic; that is tested elsewhere.
        let bound = built(&sketch).and_then(|network| bind(&network, &BindOptions::default()).ok());
        let legal = bound.is_some_and(|bound| lower(&bound).is_ok());
        if !legal {
            sketch.layers.pop();
        }
    }
    let mut ends = sketch.ends();
    if dice.one_in(2) {
        // One output: the last one.
        ends.drain(..ends.len().saturating_sub(1));
    }
    with_kinds(with_modes(sketch.leading_to(&ends)))
}

/// One sketch in four with bit-serial layers, most of these with modes. Its dice are its own, so that the other sketches
/// do not depend on it.
fn with_modes(mut sketch: Sketch) -> Sketch {
    let mut dice = Dice(Stream::for_layer(sketch.seed, "campaign modes"));
    if !dice.one_in(4) {
        return sketch;
    }
    let modes = if dice.one_in(4) { 0 } else { dice.between(1, 8) };
    for index in 0..sketch.layers.len() {
        let Ok(network) = sketch.network() else { break };
        let name = &sketch.layers[index].name;
        let Some(layer) = network.layers().iter().find(|layer| layer.name == *name) else { continue };
        let (Some(weights), Encoding::Codes { format, .. }) = (layer.op.weights(), network.layer_input(layer).encoding)
        else {
            continue;
        };
        if dice.one_in(3) {
            continue;
        }
        let mut serial = sketch.clone();
        let target = &mut serial.layers[index];
        let wishes = target.hardware.take().unwrap_or_default();
        let kept =
            wishes.split(", ").filter(|wish| !wish.is_empty() && !wish.starts_with("kind") && !wish.starts_with("mul"));
        target.hardware = Some(std::iter::once("kind: serial").chain(kept).collect::<Vec<_>>().join(", "));
        if modes > 0 {
            let (weight, activation) = (u64::from(weights.format.bits()), u64::from(format.bits()));
            let planes: Vec<[u64; 2]> =
                (0..modes).map(|_| [dice.between(1, weight), dice.between(1, activation)]).collect();
            target.keys.push_str(&format!(", modes: {planes:?}"));
        }
        let bound = serial.network().ok().and_then(|network| bind(&network, &BindOptions::default()).ok());
        if bound.is_some_and(|bound| lower(&bound).is_ok()) {
            sketch = serial;
        }
    }
    sketch
}

/// Layers of coded weights as kinds for them, in any form; integers on the xnor array; codes that use a part of their
/// format. The dice are their own again.
fn with_kinds(mut sketch: Sketch) -> Sketch {
    let mut dice = Dice(Stream::for_layer(sketch.seed, "campaign kinds"));
    for index in 0..sketch.layers.len() {
        let mut changed = sketch.clone();
        let target = &mut changed.layers[index];
        let forms = match (target.keys.contains("piecewise:"), target.keys.contains("wavelet:")) {
            (true, _) => Some(("piecewise", ["decompress", "accumulators"])),
            (_, true) => Some(("wavelet", ["decompress", "products"])),
            _ => None,
        };
        let kind = match forms {
            _ if target.keys.contains("modes:") || dice.one_in(4) => None,
            Some((kind, forms)) => Some(format!("kind: {kind}, form: {}", dice.pick(&forms))),
            None if target.keys.contains("weight:") && dice.one_in(4) => Some("kind: xnor".to_owned()),
            None => None,
        };
        if let Some(kind) = kind {
            let wishes = target.hardware.take().unwrap_or_default();
            let kept = wishes.split(", ").filter(|wish| {
                !wish.is_empty() && !["kind", "form", "multiplier"].iter().any(|key| wish.starts_with(key))
            });
            let all: Vec<&str> = std::iter::once(kind.as_str()).chain(kept).collect();
            target.hardware = Some(all.join(", "));
        }
        if let Some(codes) = target.keys.split_once("output: ").and_then(|(_, rest)| part_of(&mut dice, rest)) {
            target.keys.push_str(&codes);
        }
        let bound = changed.network().ok().and_then(|network| bind(&network, &BindOptions::default()).ok());
        if bound.is_some_and(|bound| lower(&bound).is_ok()) {
            sketch = changed;
        }
    }
    sketch
}

/// Now and then a part of a format's codes: half of them, or a few.
fn part_of(dice: &mut Dice, format: &str) -> Option<String> {
    let format: network::Format = format.split([',', ' ']).next()?.parse().ok()?;
    let (least, most) = (format.code_range().min(), format.code_range().max());
    if format.bits() < 2 || !dice.one_in(3) {
        return None;
    }
    let middle = (least + most + 1) / 2;
    let few = least + dice.below((most - least) as u64) as i64;
    let [from, to] = match dice.below(3) {
        0 => [middle, most],
        1 => [least, middle - 1],
        _ => [few, (few + 1 + dice.below(6) as i64).min(most)],
    };
    Some(format!(", codes: [{from}, {to}]"))
}

/// The tensors so far; the input alone where there is no layer yet.
fn tensors(sketch: &Sketch) -> Option<Vec<Tensor>> {
    if sketch.layers.is_empty() {
        let keys = "op: rearrange, shape: [1, 1, 1], loops: []".to_owned();
        let inputs = 0..sketch.inputs.len();
        let layers = inputs.map(|number| SketchLayer {
            name: format!("probe{number}"),
            keys: keys.clone(),
            inputs: vec![number],
            joins: false,
            hardware: None,
        });
        let probe = Sketch { layers: layers.collect(), ..sketch.clone() };
        return probe.network().ok().map(|network| network.input_tensors().to_vec());
    }
    built(sketch).map(|network| network.tensors().to_vec())
}

/// The network, though some inputs may have no reader yet.
fn built(sketch: &Sketch) -> Option<Network> {
    let first = sketch.inputs.len();
    let mut whole = sketch.clone();
    for number in (0..first).filter(|number| !sketch.layers.iter().any(|layer| layer.inputs.contains(number))) {
        let keys = "op: rearrange, shape: [1, 1, 1], loops: []".to_owned();
        let name = format!("probe{number}");
        whole.layers.push(SketchLayer { name, keys, inputs: vec![number], joins: false, hardware: None });
    }
    whole.network().ok()
}

fn propose(dice: &mut Dice, number: usize, tensors: &[Tensor]) -> Option<SketchLayer> {
    // The newest tensor most often, so that networks grow deep.
    let source = if dice.one_in(4) { dice.below(tensors.len() as u64) as usize } else { tensors.len() - 1 };
    let from = &tensors[source];
    let shape = from.shape;
    let is_codes = matches!(from.encoding, Encoding::Codes { .. });
    let output = if dice.one_in(5) { String::new() } else { format!(", output: {}", dice.format()) };
    let mut layer = SketchLayer {
        name: format!("l{number}"),
        keys: String::new(),
        inputs: vec![source],
        joins: false,
        hardware: None,
    };
    let pe = |dice: &mut Dice, channels: u64| dice.one_in(2).then(|| format!("pe: {}", dice.divisor(channels)));
    match dice.below(if is_codes { 12 } else { 8 }) {
        0 => {
            layer.keys = format!("op: requantize, output: {}", dice.format());
            layer.hardware = pe(dice, shape.channels);
        }
        1 => {
            let stride = if dice.one_in(2) { ", stride: [1, 1]".to_owned() } else { String::new() };
            let kernel = [dice.between(1, shape.rows.min(3)), dice.between(1, shape.columns.min(3))];
            let spread = if dice.one_in(4) { steps(dice) } else { stride };
            layer.keys = format!("op: max_pool, kernel: {kernel:?}{spread}{}", padding(dice, kernel));
            layer.hardware = pe(dice, shape.channels);
        }
        2 => {
            let all = dice.one_in(2);
            let kernel = if all {
                [shape.rows, shape.columns]
            } else {
                [dice.between(1, shape.rows.min(3)), dice.between(1, shape.columns.min(3))]
            };
            // Windows that overlap, leave gaps or reach padding, which has the value 0.
            let window = if is_codes && dice.one_in(3) {
                format!("{}{}", steps(dice), padding(dice, kernel))
            } else {
                String::new()
            };
            // Padding that counts in part.
            let counted = match window.split_once("padding: ").filter(|_| dice.one_in(2)) {
                Some((_, padding)) => {
                    let sides = padding.trim_matches(['[', ']']).split(", ");
                    let sides = sides.filter_map(|side| side.parse::<u64>().ok());
                    let sides: Vec<u64> = sides.map(|side| dice.below(side + 1)).collect();
                    format!(", counted_padding: {sides:?}")
                }
                None => String::new(),
            };
            layer.keys = format!("op: sum_pool, kernel: {kernel:?}{window}{counted}{output}");
            layer.hardware = pe(dice, shape.channels);
        }
        3 | 4 => {
            // One shape, or a single position that stands for all.
            let fits = |other: &Tensor| {
                other.shape == shape || other.shape.positions() == 1 && other.shape.channels == shape.channels
            };
            let others: Vec<usize> = (0..tensors.len()).filter(|&other| fits(&tensors[other])).collect();
            let other = others[dice.below(others.len() as u64) as usize];
            layer.inputs.push(other);
            layer.joins = true;
            let op = if dice.one_in(3) { "multiply" } else { "add" };
            if op == "add" && dice.one_in(4) {
                layer.inputs.push(source);
            }
            layer.keys = format!("op: {op}{output}");
            layer.hardware = pe(dice, shape.channels);
        }
        5 => {
            let fits = |other: &Tensor| {
                other.shape.rows == shape.rows && other.shape.columns == shape.columns && same_kind(other, from)
            };
            let others: Vec<usize> = (0..tensors.len()).filter(|&other| fits(&tensors[other])).collect();
            for _ in 0..dice.between(1, 2) {
                layer.inputs.push(others[dice.below(others.len() as u64) as usize]);
            }
            layer.joins = true;
            layer.keys = "op: concat".to_owned();
        }
        6 => layer.keys = rearrangement(dice, from)?,
        7 if dice.one_in(2) => layer.keys = "op: argmax".to_owned(),
        7 => {
            let (count, gives) = (dice.between(1, shape.channels), dice.pick(&["values", "indices"]));
            layer.keys = format!("op: top_k, count: {count}, gives: {gives}");
        }
        8 if shape.elements() <= MANY_ELEMENTS => {
            let outputs = dice.between(1, 10);
            let weight = dice.weight();
            layer.keys = format!("op: dense, outputs: {outputs}, weight: {weight}{output}");
            layer.hardware = folding(dice, outputs, shape.elements());
        }
        9..=11 => {
            let groups = match dice.below(4) {
                0 => shape.channels,
                1 => dice.divisor(shape.channels),
                _ => 1,
            };
            let outputs = groups * dice.between(1, (10 / groups).max(1));
            let kernel = [dice.between(1, shape.rows.min(3)), dice.between(1, shape.columns.min(4))];
            let stride = if dice.one_in(3) {
                format!(", stride: {:?}", [dice.between(1, 3), dice.between(1, 3)])
            } else {
                String::new()
            };
            let dilation = if dice.one_in(5) {
                format!(", dilation: {:?}", [dice.between(1, 2), dice.between(1, 2)])
            } else {
                String::new()
            };
            let groups_key = if groups == 1 { String::new() } else { format!(", groups: {groups}") };
            let weight = dice.weight();
            layer.keys = format!(
                "op: conv2d, outputs: {outputs}, kernel: {kernel:?}{stride}{dilation}{}{groups_key}, weight: {weight}{output}",
                padding(dice, kernel),
            );
            layer.hardware = folding(dice, outputs / groups, kernel[0] * kernel[1] * shape.channels / groups);
            if groups == 1 && dice.one_in(5) {
                let wishes = layer.hardware.get_or_insert_with(String::new);
                let comma = if wishes.is_empty() { "" } else { ", " };
                wishes.push_str(&match dice.below(3) {
                    0 => format!("{comma}window: {}", dice.divisor(shape.channels)),
                    _ => format!("{comma}window: parallel"),
                });
            }
        }
        _ => return None,
    }
    Some(layer)
}

fn same_kind(a: &Tensor, b: &Tensor) -> bool {
    match (a.encoding, b.encoding) {
        (Encoding::Codes { format, .. }, Encoding::Codes { format: other, .. }) => format == other,
        (Encoding::Sums { .. }, Encoding::Sums { .. }) => true,
        _ => false,
    }
}

/// A stride and a dilation.
fn steps(dice: &mut Dice) -> String {
    let [rows, columns] = [dice.between(1, 3), dice.between(1, 3)];
    let dilation = if dice.one_in(3) {
        format!(", dilation: {:?}", [dice.between(1, 2), dice.between(1, 2)])
    } else {
        String::new()
    };
    format!(", stride: [{rows}, {columns}]{dilation}")
}

fn padding(dice: &mut Dice, kernel: [u64; 2]) -> String {
    if dice.one_in(2) {
        return String::new();
    }
    let side = |dice: &mut Dice, taps: u64| dice.below(taps);
    let sides = [side(dice, kernel[0]), side(dice, kernel[1]), side(dice, kernel[0]), side(dice, kernel[1])];
    format!(", padding: {sides:?}")
}

fn folding(dice: &mut Dice, outputs: u64, length: u64) -> Option<String> {
    if dice.one_in(3) {
        return None;
    }
    let mut wishes = vec![format!("pe: {}", dice.divisor(outputs)), format!("simd: {}", dice.divisor(length))];
    if dice.one_in(4) {
        wishes.push(format!("memory: {}", dice.pick(&["lut", "block"])));
    }
    if dice.one_in(6) {
        wishes.push("multiplier: dsp".to_owned());
    }
    if dice.one_in(6) {
        wishes.push(format!("kind: {}", dice.pick(&["mac", "xnor", "depthwise"])));
    }
    if dice.one_in(6) {
        wishes.push(format!("requantize: {}", dice.pick(&["thresholds", "rescale"])));
    }
    Some(wishes.join(", "))
}

/// Nearest upsampling, a part of the channels or columns, a transpose, or depth to space.
fn rearrangement(dice: &mut Dice, from: &Tensor) -> Option<String> {
    let (rows, columns, channels) = (from.shape.rows, from.shape.columns, from.shape.channels);
    Some(match dice.below(4) {
        0 if from.shape.elements() * 4 <= MANY_ELEMENTS => {
            let [r, c] = [dice.between(1, 2), dice.between(1, 2)];
            format!(
                "op: rearrange, shape: [{}, {}, {channels}], loops: [[{rows}, {}], [{r}, 0], [{columns}, {channels}], [{c}, 0], [{channels}, 1]]",
                rows * r,
                columns * c,
                columns * channels
            )
        }
        1 if channels > 1 => {
            let first = dice.below(channels - 1);
            let count = dice.between(1, channels - first);
            format!(
                "op: rearrange, shape: [{rows}, {columns}, {count}], start: {first}, loops: [[{}, {channels}], [{count}, 1]]",
                rows * columns
            )
        }
        2 => format!(
            "op: rearrange, shape: [{columns}, {rows}, {channels}], loops: [[{columns}, {channels}], [{rows}, {}], [{channels}, 1]]",
            columns * channels
        ),
        _ if channels.is_multiple_of(2) => {
            let half = channels / 2;
            format!(
                "op: rearrange, shape: [{}, {columns}, {half}], loops: [[{rows}, {}], [2, {half}], [{columns}, {channels}], [{half}, 1]]",
                rows * 2,
                columns * channels
            )
        }
        _ => return None,
    })
}
