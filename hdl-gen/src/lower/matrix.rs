//! A dense or convolution layer as a module: loop control, weights, dot products, requantization, output FIFO.
//!
//! ```text
//!       words ─▶ control ─▶ PE 0..P-1 ─▶ sums ─▶ thresholds or rescale ─▶ FIFO ─▶ words
//!                   │          ▲
//!                   └─ address ┴ weights
//! ```
//!
//! One module for each layer. The pipeline after the control never stops; the control starts a result only when the
//! FIFO at the end has room for it.

use super::border::Borders;
use super::chain::{NewStage, WindowStage, memory_style, number, string};
use super::requantize::{Results, UnitChoice};
use super::wiring::{address_bits, credit_fifo, delay, instance, lane, stream_ports, wire};
use super::{Fault, Lowering, padding_code};
use crate::bind::{MatrixLayer, as_convolution};
use crate::datapath::{self, DotProduct, DotProductForm, DotProductSpec, Operand};
use crate::heap::{Cost, Target};
use crate::image::Image;
use crate::requantize::RawMap;
use crate::timing::{Matrix, Twin};
use crate::verilog::{BinaryOp, Expr, Item, Module};
use network::format::Kind;
use network::graph::{Encoding, Memory, Multiplier, PeKind};
use network::manifest::{Edge, EdgeContent, EdgeOrder, EdgeTensor, Word};
use network::op::{Op, Weights};
use network::{Format, Range};

mod initial;

/// Words of a replay buffer from which on it lies in block RAM.
const BLOCK_REPLAY_WORDS: u64 = 256;

/// Everything about one matrix layer that its parts share.
struct Parts<'a> {
    index: usize,
    /// Legal name of the layer.
    name: String,
    weights: &'a Weights,
    matrix: &'a MatrixLayer,
    activation: Format,
    product: DotProduct,
    maps: Vec<RawMap>,
    borders: Option<Borders>,
    input_steps: u64,
    /// Results of one vector.
    output_steps: u64,
    /// Results of one position: those of the vectors of all its groups.
    result_steps: u64,
    vectors: u64,
}

impl<'a> Lowering<'a> {
    pub(super) fn matrix(&mut self, index: usize, matrix: &'a MatrixLayer) -> Result<(), Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[index];
        let input = network.layer_input(layer);
        let op = as_convolution(&layer.op, input.shape);
        let (Some(weights), Encoding::Codes { format: activation, .. }) = (op.weights(), input.encoding) else {
            return Ok(());
        };
        let name = self.names.layer(&layer.name);
        if let (Op::Conv2d { window, .. }, Some(form)) = (op.as_ref(), matrix.window) {
            let lanes = matrix.first_lanes(input.shape.channels);
            self.chain.adapt(&name, &layer.name, lanes)?;
            self.chain.window(&WindowStage {
                name: &name,
                layer: &layer.name,
                window,
                input: input.shape,
                form,
                padding_code: padding_code(&op, input.encoding),
                channels_outer: matrix.side * matrix.sets > 1,
            })?;
        }
        self.chain.adapt(&name, &layer.name, matrix.input_lanes())?;
        if (weights.outputs as u64) > matrix.pe * matrix.sets && self.chain.is_slow() {
            // The array takes a vector in its first pass alone; the next vector arrives here during the others.
            self.chain.buffer(&name, &layer.name, weights.length as u64 / matrix.simd)?;
        }
        let parts = self.parts(index, name, &op, weights, matrix, activation)?;
        let constant_operand = parts.input_steps * parts.result_steps == 1;
        let cost = Cost { constant_operand, ..parts.product.cost() };
        self.add_datapath(&parts.product.spec().module_name, cost, parts.product.modules());
        self.matrix_module(&parts)
    }

    /// Chooses the datapath and derives what its raw sums mean.
    fn parts<'p>(
        &self,
        index: usize,
        name: String,
        op: &Op,
        weights: &'p Weights,
        matrix: &'p MatrixLayer,
        activation: Format,
    ) -> Result<Parts<'p>, Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[index];
        let input = network.layer_input(layer);
        let output = network.layer_output(index).shape;
        let multiplier = match (matrix.kind, matrix.multiplier) {
            (PeKind::Mac | PeKind::Depthwise, Multiplier::Dsp) => datapath::Multiplier::Dsp,
            (PeKind::Mac | PeKind::Depthwise, Multiplier::Lut) | (PeKind::Xnor, _) => datapath::Multiplier::Lut,
        };
        let form = DotProductForm::new(operand(activation), operand(weights.format), multiplier, Target::Lut6)?;
        let gain = form.gain();
        let borders = Borders::of(op, input.shape, output, weights, activation, gain);
        let sums = network.sums(index);
        let sums_of =
            |channel: usize| sums.and_then(|sums| sums.channels.get(channel).copied()).unwrap_or(Range::new(0, 0));
        let ranges = (0..weights.outputs).map(|channel| {
            let map = RawMap { gain, offset: form.offset(weights.row(channel)) };
            map.raw_range(sums_of(channel))
        });
        let raw = ranges.reduce(Range::union).unwrap_or(Range::new(0, 0));
        let input_steps = weights.length as u64 / matrix.simd;
        let product = DotProduct::new(DotProductSpec {
            module_name: format!("{}_{name}_pe", self.names.top()),
            lanes: matrix.simd as u32,
            form,
            accumulate: input_steps > 1,
            initial_bits: borders.as_ref().map(Borders::initial_bits),
            result_range: (raw.min(), raw.max()),
        })?;
        let divided = borders.as_ref().map_or(1, |borders| borders.gain_division);
        let maps = (0..weights.outputs)
            .map(|channel| RawMap { gain: gain / divided, offset: product.offset(weights.row(channel)) })
            .collect();
        Ok(Parts {
            index,
            name,
            weights,
            matrix,
            activation,
            product,
            maps,
            borders,
            input_steps,
            output_steps: weights.outputs as u64 / matrix.pe / matrix.sets,
            result_steps: weights.outputs as u64 / matrix.pe,
            vectors: output.positions() * matrix.sets,
        })
    }

    fn matrix_module(&mut self, parts: &Parts<'_>) -> Result<(), Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[parts.index];
        let (pe, simd) = (parts.matrix.pe as u32, parts.matrix.simd as u32);
        let input_bits = parts.matrix.input_lanes() as u32 * parts.activation.bits();
        let weight_bits = simd * parts.weights.format.bits();
        let module_name = format!("{}_{}", self.names.top(), parts.name);
        let step_bits = address_bits(parts.result_steps);
        let words = parts.input_steps * parts.result_steps;

        let late = weights_late_cycles(parts);
        // A sum over windows has weights of 1, which need no memory.
        let ones = layer.op.weights().is_none();
        let address = if ones { "unused_address" } else { "weight_address" };
        let steps = [
            ("step", 1, true),
            ("step_last", 1, true),
            ("step_frame_last", 1, true),
            ("step_activation", input_bits, false),
            (step_output(parts), step_bits, false),
        ];
        let issued = |name: &str| if late > 0 { name.replacen("step", "issued", 1) } else { name.to_owned() };
        let mut items = vec![wire("available", 1), wire("reserve", 1), wire(address, address_bits(words))];
        if ones {
            items.push(Item::wire(
                "step_weight",
                pe * weight_bits,
                Expr::Repeat(pe * weight_bits, Box::new(Expr::constant(1, 1))),
            ));
        } else {
            items.push(wire("step_weight", pe * weight_bits));
        }
        items.extend(steps.iter().map(|&(name, bits, _)| wire(&issued(name), bits)));
        items.push(Item::Blank);
        let replay = if parts.input_steps >= BLOCK_REPLAY_WORDS { Memory::Block } else { Memory::Lut };
        items.push(instance(
            "hwgen_matrix_control",
            "control",
            vec![
                ("DATA_BITS", number(input_bits)),
                ("INPUT_STEPS", number(parts.input_steps)),
                ("OUTPUT_STEPS", number(parts.output_steps)),
                ("SETS", number(parts.matrix.sets)),
                ("VECTORS_PER_FRAME", number(parts.vectors)),
                ("MEMORY", memory_style(replay)),
            ],
            true,
            vec![
                ("s_valid_i", Expr::name("s_valid_i")),
                ("s_ready_o", Expr::name("s_ready_o")),
                ("s_data_i", Expr::name("s_data_i")),
                ("s_last_i", Expr::name("s_last_i")),
                ("available_i", Expr::name("available")),
                ("reserve_o", Expr::name("reserve")),
                ("weight_address_o", Expr::name(address)),
                ("step_o", Expr::name(issued("step"))),
                ("last_o", Expr::name(issued("step_last"))),
                ("data_o", Expr::name(issued("step_activation"))),
                ("output_step_o", Expr::name(issued(step_output(parts)))),
                ("frame_last_o", Expr::name(issued("step_frame_last"))),
            ],
        ));
        if !ones {
            let image = format!("mem/{}_weights.mem", parts.name);
            items.push(Item::Blank);
            items.push(instance(
                "hwgen_rom",
                "weights",
                vec![
                    ("DATA_BITS", number(pe * weight_bits)),
                    ("DEPTH", number(words)),
                    ("IMAGE", string(&image)),
                    ("STYLE", memory_style(parts.matrix.memory)),
                    ("CYCLES", number(1 + late)),
                ],
                false,
                vec![("address_i", Expr::name("weight_address")), ("data_o", Expr::name("step_weight"))],
            ));
            if self.images {
                self.memories.insert(image, weight_image(&layer.name, parts));
            }
            self.uses(&["hwgen_rom"]);
        }
        if late > 0 {
            items.push(Item::Blank);
            for (name, bits, reset) in steps.iter().filter(|(name, ..)| !name.starts_with("unused")).copied() {
                items.push(wire(name, bits));
                items.push(delay(name, bits, late, reset, Expr::name(issued(name)), name));
            }
        }
        self.uses(&["hwgen_matrix_control", "hwgen_delay"]);
        let sum_latency = self.dot_products(parts, &mut items);

        let results = Results {
            sums: "sum",
            valid: "sum_valid",
            last: "sum_last",
            step: "sum_step",
            steps: parts.result_steps,
            lanes: pe,
            sum_bits: sum_bits(parts),
            signed: parts.product.result_is_signed(),
            maps: &parts.maps,
        };
        let unit = parts.matrix.unit.map(|unit| UnitChoice { unit, multiplier: parts.matrix.multiplier });
        let output = self.requantize_results(parts.index, &parts.name, &results, unit, &mut items)?;
        let latency = 1 + late + sum_latency + output.latency_cycles;
        let depth = fifo_words(latency, parts.input_steps);
        let word = output.word;
        items.push(Item::Blank);
        items.push(credit_fifo(&output, depth));
        self.uses(&["hwgen_credit_fifo"]);

        let offsets: Vec<i64> = parts.maps.iter().map(|map| map.offset).collect();
        let gain = parts.maps.first().map_or(1, |map| map.gain);
        let content = if parts.matrix.unit.is_some() {
            self.output_content(parts.index, 1, vec![0])
        } else {
            self.output_content(parts.index, gain, offsets.clone())
        };
        let words_per_frame = parts.vectors * parts.output_steps;
        if parts.matrix.unit.is_some() {
            self.inner_edges.push((
                self.chain.stages.len(),
                Edge {
                    name: format!("{}.sum", parts.name),
                    layer: layer.name.clone(),
                    module: module_name.clone(),
                    path: vec![format!("u_{}", parts.name)],
                    valid: "sum_valid".to_owned(),
                    ready: None,
                    data: "sum".to_owned(),
                    word: Word { lanes: pe, lane_bits: results.sum_bits, signed: results.signed },
                    words_per_frame,
                    content: EdgeContent {
                        tensor: EdgeTensor::Accumulator(layer.name.clone()),
                        order: EdgeOrder::Raster,
                        gain,
                        scale: vec![1],
                        offset: offsets,
                    },
                },
            ));
        }
        let header = self.matrix_header(parts, latency);
        self.add_modules(vec![
            Module {
                name: module_name.clone(),
                header,
                keep_hierarchy: false,
                parameters: Vec::new(),
                ports: stream_ports(input_bits, word.bits()),
                items,
            }
            .print(),
        ]);
        let twin = Matrix::new(parts.input_steps as u32, parts.output_steps as u32, latency, depth)?;
        self.chain.push(NewStage {
            name: parts.name.clone(),
            module: module_name,
            parameters: Vec::new(),
            layer: layer.name.clone(),
            word,
            words_per_frame,
            content,
            twin: Twin::Matrix(twin),
        });
        Ok(())
    }

    /// The dot products and, beside them, what the control said about each result. Returns their latency.
    fn dot_products(&mut self, parts: &Parts<'_>, items: &mut Vec<Item>) -> u32 {
        let pe = parts.matrix.pe as u32;
        let weight_bits = parts.matrix.simd as u32 * parts.weights.format.bits();
        let activation_bits = parts.matrix.simd as u32 * parts.activation.bits();
        let result_bits = parts.product.result_bits();
        let mut latency = parts.product.latency_cycles();
        let mut names = ["step_activation", "step_weight"].map(str::to_owned);
        let mut result = "sum";
        items.push(Item::Blank);
        if let Some(borders) = &parts.borders {
            if parts.input_steps == 1 {
                // The initial sums come one cycle after the step; so must everything else.
                let widths = [parts.matrix.input_lanes() as u32 * parts.activation.bits(), pe * weight_bits];
                for (name, bits) in names.iter_mut().zip(widths) {
                    let late = name.replacen("step", "late", 1);
                    items.push(wire(&late, bits));
                    items.push(delay(&late, bits, 1, false, Expr::name(name.as_str()), &late));
                    *name = late;
                }
                latency += 1;
            }
            if borders.gain_division > 1 {
                result = "inner_sum";
            }
            self.initial_sums(parts, borders, items);
            items.push(Item::Blank);
        }
        let [activation, weight] = names;
        items.push(wire(result, pe * result_bits));
        for index in 0..pe {
            let mut ports = Vec::new();
            if parts.input_steps > 1 {
                ports.push(("rst_i", Expr::name("rst_i")));
                ports.push(("step_i", Expr::name("step")));
                ports.push(("last_i", Expr::name("step_last")));
            }
            let side = parts.matrix.side as u32;
            ports.push((
                "activation_i",
                match side {
                    1 => Expr::name(activation.as_str()),
                    _ => lane(&activation, side, index / (pe / side), activation_bits),
                },
            ));
            ports.push(("weight_i", lane(&weight, pe, index, weight_bits)));
            if let Some(bits) = parts.product.spec().initial_bits {
                ports.push(("initial_i", lane("border_sum", pe, index, bits)));
            }
            ports.push(("result_o", lane(result, pe, index, result_bits)));
            let module = parts.product.spec().module_name.clone();
            items.push(instance(&module, &format!("pe_{index}"), Vec::new(), false, ports));
        }
        if let Some(borders) = parts.borders.as_ref().filter(|borders| borders.gain_division > 1) {
            let low_bits = borders.low_bits();
            let lows = if borders.shares_low_bits(pe as usize) { 1 } else { pe };
            let (field, low) = (lows * low_bits, Expr::name("initial_low"));
            items.push(wire("sum_low", field));
            items.push(delay("sum_low", field, parts.product.latency_cycles(), false, low, "sum_low"));
            let low = |index| if lows == 1 { Expr::name("sum_low") } else { lane("sum_low", pe, index, low_bits) };
            let lanes = (0..pe).rev().flat_map(|index| [lane("inner_sum", pe, index, result_bits), low(index)]);
            items.push(Item::wire("sum", pe * (result_bits + low_bits), Expr::concat(lanes.collect())));
        }
        let step_bits = address_bits(parts.result_steps);
        let ends = Expr::name("step").binary(BinaryOp::And, Expr::name("step_last"));
        items.extend([
            Item::Blank,
            wire("sum_valid", 1),
            wire("sum_last", 1),
            delay("sum_valid", 1, latency, true, ends, "sum_valid"),
            delay("sum_last", 1, latency, true, Expr::name("step_frame_last"), "sum_last"),
        ]);
        if parts.matrix.unit.is_some() {
            items.push(wire("sum_step", step_bits));
            items.push(delay("sum_step", step_bits, latency, false, Expr::name(step_output(parts)), "sum_step"));
        }
        latency
    }

    fn matrix_header(&self, parts: &Parts<'_>, latency: u32) -> Vec<String> {
        let network = self.bound.network();
        let layer = &network.layers()[parts.index];
        let kind = match parts.matrix.kind {
            PeKind::Mac => "mac",
            PeKind::Xnor => "xnor",
            PeKind::Depthwise => "depthwise",
        };
        let requantization = layer.requantization.as_ref();
        vec![
            format!(
                "Layer {}: {}, {} PEs of kind {kind} with {} lanes each.",
                layer.name,
                layer.op.name(),
                parts.matrix.pe,
                parts.matrix.simd
            ),
            format!(
                "Output channel o = sum of {} products of {} weights and {} activations{}.",
                parts.weights.length,
                parts.weights.format,
                parts.activation,
                requantization.map_or(String::new(), |r| format!(
                    ", then {} codes {} by {}",
                    r.output,
                    r.codes,
                    r.form_name()
                )),
            ),
            format!(
                "Stream in: {} words a vector, {} lanes each. Stream out: {} words a vector, {} channels each.",
                parts.input_steps,
                parts.matrix.input_lanes(),
                parts.output_steps,
                parts.matrix.pe
            ),
            format!(
                "Timing: {} cycles a vector, {} vectors a frame; a result is pushed {latency} cycles after its last step.",
                parts.input_steps * parts.output_steps,
                parts.vectors
            ),
        ]
    }
}

/// Cycles that weights come after the step they belong to: block RAM has a register behind its output, so that neither
/// its own delay nor the choice between several blocks stands in front of the datapath.
fn weights_late_cycles(parts: &Parts<'_>) -> u32 {
    match parts.matrix.memory {
        Memory::Block => 1,
        Memory::Lut => 0,
    }
}

/// Net of the current group of output channels; its name tells lint where nobody reads it.
fn step_output(parts: &Parts<'_>) -> &'static str {
    if parts.matrix.unit.is_some() || parts.borders.is_some() { "step_output" } else { "unused_step_output" }
}

/// Bits of one raw sum as the requantization takes it.
fn sum_bits(parts: &Parts<'_>) -> u32 {
    let appended = parts.borders.as_ref().map_or(0, Borders::low_bits);
    parts.product.result_bits() + appended
}

/// Words that the output FIFO needs so that the pipeline never waits for credits alone.
pub(super) fn fifo_words(latency_cycles: u32, steps_per_result: u64) -> u32 {
    let in_flight = u64::from(latency_cycles + 2).div_ceil(steps_per_result);
    in_flight as u32 + 1
}

/// The weights in the order in which steps read them: one word a step, PE by PE, lane by lane.
fn weight_image(layer: &str, parts: &Parts<'_>) -> String {
    let (pe, simd) = (parts.matrix.pe as usize, parts.matrix.simd as usize);
    let format = parts.weights.format;
    let title = format!(
        "layer {layer}, weights [{}, {}] as {format}: {} output steps x {} input steps; a word holds {pe} PEs x {simd} lanes x {} bits",
        parts.weights.outputs,
        parts.weights.length,
        parts.result_steps,
        parts.input_steps,
        format.bits(),
    );
    let mut image = Image::new(&title, pe * simd, format.bits());
    for output_step in 0..parts.result_steps as usize {
        for input_step in 0..parts.input_steps as usize {
            let lanes = (0..pe).flat_map(|index| {
                let row = parts.weights.row(output_step * pe + index);
                row.iter().skip(input_step * simd).take(simd)
            });
            image.push(lanes.map(|&value| format.code(i64::from(value)).unwrap_or(0)));
        }
    }
    image.into_text()
}

fn operand(format: Format) -> Operand {
    match format.kind() {
        Kind::Unsigned => Operand::Unsigned { bits: format.bits() },
        Kind::Signed => Operand::Signed { bits: format.bits() },
        Kind::Bipolar => Operand::Bipolar { planes: format.bits() },
    }
}
