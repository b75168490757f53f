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

use super::average::{Averaging, plain_sums};
use super::border::Borders;
use super::chain::{NewStage, WindowStage, memory_style, number};
use super::requantize::{Results, UnitChoice};
use super::serial::SerialSite;
use super::wiring::{address_bits, credit_fifo, delay, instance, stream_ports, wire};
use super::{Fault, Lowering, padding_code};
use crate::bind::{MatrixLayer, as_convolution};
use crate::datapath::{self, DotProductForm, DotProductSpec};
use crate::heap::{Cost, Target};
use crate::live_wires::LiveWires;
use crate::requantize::RawMap;
use crate::timing::{Matrix, Twin};
use crate::verilog::{Expr, Item, Module};
use network::format::Kind;
use network::graph::{Encoding, Memory, Multiplier, PeKind};
use network::manifest::{Edge, EdgeContent, EdgeTensor, Word};
use network::op::{Op, Weights};
use network::{Format, Range};
use std::collections::BTreeSet;

mod initial;
mod levels;
mod products;
mod split;
mod store;

pub(super) use products::seen_by;
use products::{Arithmetic, operand};
use split::SplitSpec;
use store::Store;

/// Words of a replay buffer from which on it lies in block RAM.
pub(super) const BLOCK_REPLAY_WORDS: u64 = 256;

/// Everything about one matrix layer that its parts share.
pub(super) struct Parts<'a> {
    pub(super) index: usize,
    /// Legal name of the layer.
    pub(super) name: String,
    weights: &'a Weights,
    matrix: &'a MatrixLayer,
    activation: Format,
    /// What the array multiplies of it.
    live: LiveWires,
    arithmetic: Arithmetic,
    store: Store,
    borders: Option<Borders>,
    averaging: Option<Averaging>,
    input_steps: u64,
    /// Results of one vector.
    output_steps: u64,
    /// Results of one position: those of the vectors of all its groups.
    result_steps: u64,
    vectors: u64,
}

impl<'a> Lowering<'a> {
    pub(super) fn matrix(&mut self, index: usize, matrix: &'a MatrixLayer) -> Result<(), Fault> {
        let modes = (matrix.kind == PeKind::Serial).then(|| self.mode_stream(index));
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
                rows_at_once: self.rows_at_once[layer.input().0],
            })?;
        }
        self.chain.adapt(&name, &layer.name, matrix.input_lanes())?;
        if (weights.outputs as u64) > matrix.pe * matrix.sets && self.chain.is_slow() {
            // The array takes a vector in its first pass alone; the next vector arrives here during the others.
            self.chain.buffer(&name, &layer.name, weights.length as u64 / matrix.simd)?;
        }
        if let Some(modes) = modes {
            return self.serial(&SerialSite { index, name, op: &op, weights, matrix, activation, modes });
        }
        let parts = self.parts(index, name, &op, weights, matrix, activation)?;
        let constant_operand = parts.input_steps * parts.result_steps == 1;
        for (name, cost, modules) in parts.arithmetic.netlists() {
            let cost = seen_by(matrix, cost);
            let rows_left = if constant_operand { parts.arithmetic.rows_left(weights) } else { 1000 };
            let spared = if constant_operand && parts.borders.is_none() { spared(weights, matrix) } else { 0 };
            self.add_datapath(&name, Cost { constant_operand, rows_left, spared, ..cost }, &modules);
        }
        for (name, cost, modules) in &parts.store.netlists {
            self.add_datapath(name, *cost, modules);
        }
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
            (PeKind::Xnor | PeKind::Serial, _) | (_, Multiplier::Lut) => datapath::Multiplier::Lut,
            (_, Multiplier::Dsp) => datapath::Multiplier::Dsp,
        };
        let prefix = format!("{}_{name}", self.names.top());
        let live = LiveWires::of_layer(&layer.op, input, activation);
        let form = DotProductForm::new(operand(live.format), operand(weights.format), multiplier, Target::Lut6)?;
        let gain = if levels::takes(weights, matrix) { 1 } else { form.gain() };
        // The sums of averages take back padding that does not count when they are brought to one scale.
        let plain = plain_sums(&layer.op, input);
        let borders = match plain {
            Some(_) => None,
            None => Borders::of(op, input.shape, output, weights, live, gain),
        };
        let sums = network.sums(index);
        let sums_of = |channel: usize| {
            let own = || sums.and_then(|sums| sums.channels.get(channel).copied());
            plain.or_else(own).unwrap_or(Range::new(0, 0))
        };
        let split = split::of_layer(
            &SplitSpec {
                prefix: &prefix,
                weights,
                matrix,
                live,
                multiplier,
                borders: borders.as_ref(),
                sums: &sums_of,
            },
            operand(live.format),
        )?;
        let (output_steps, input_steps) = steps_of(weights, matrix);
        let arithmetic = match split {
            Some(split) => Arithmetic::Split(Box::new(split)),
            None => {
                let offsets: Vec<i64> = (0..weights.outputs)
                    .map(|channel| {
                        weights.row_total(channel, |weight| form.weight_offset(weight) + live.constant * weight)
                    })
                    .collect();
                let ranges = offsets.iter().enumerate().map(|(channel, &offset)| {
                    let map = RawMap { gain, offset };
                    map.raw_range(sums_of(channel))
                });
                let raw = ranges.reduce(Range::union).unwrap_or(Range::new(0, 0));
                let product = self.dot_product(DotProductSpec {
                    module_name: format!("{prefix}_pe"),
                    lanes: matrix.simd as u32,
                    form,
                    accumulate: input_steps > 1,
                    initial_bits: borders.as_ref().map(Borders::initial_bits),
                    result_range: (raw.min(), raw.max()),
                })?;
                let divided = borders.as_ref().map_or(1, |borders| borders.gain_division);
                let map = |&offset: &i64| RawMap { gain: gain / divided, offset: product.shifted_offset(offset) };
                let maps = offsets.iter().map(map).collect();
                Arithmetic::Single(Box::new(product), maps)
            }
        };
        let map = arithmetic.maps().first().copied().unwrap_or(RawMap::IDENTITY);
        Ok(Parts {
            index,
            averaging: Averaging::of(&layer.op, input, [output.rows, output.columns], map),
            name,
            weights,
            matrix,
            activation,
            live,
            arithmetic,
            store: Store::new(weights, matrix, &prefix)?,
            borders,
            input_steps,
            output_steps: weights.outputs as u64 / matrix.pe / matrix.sets,
            result_steps: output_steps,
            vectors: output.positions() * matrix.sets,
        })
    }

    fn matrix_module(&mut self, parts: &Parts<'_>) -> Result<(), Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[parts.index];
        let pe = parts.matrix.pe as u32;
        let input_bits = parts.matrix.input_lanes() as u32 * parts.activation.bits();
        let live_bits = parts.matrix.input_lanes() as u32 * parts.live.format.bits();
        let weight_bits = parts.matrix.simd as u32 * parts.weights.format.bits();
        let (store, pairs) = (&parts.store, parts.arithmetic.pairs());
        let module_name = format!("{}_{}", self.names.top(), parts.name);
        let step_bits = address_bits(parts.result_steps);
        let words = parts.input_steps * parts.result_steps;

        let late = store.late_cycles;
        // A sum over windows has weights of 1, which need no memory.
        let ones = layer.op.weights().is_none();
        let address = if ones { "unused_address" } else { "weight_address" };
        let steps = [
            ("step", 1, true),
            ("step_last", 1, true),
            ("step_frame_last", 1, true),
            ("step_activation", live_bits, false),
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
            items.push(wire(store.net, store.word_bits as u32));
            if store.net != "step_weight" && matches!(parts.arithmetic, Arithmetic::Single(..)) {
                items.push(wire("step_weight", pe * weight_bits));
            }
        }
        items.extend(steps.iter().map(|&(name, bits, _)| wire(&issued(name), bits)));
        items.push(Item::Blank);
        let data = live_data(parts, &mut items);
        let replay = if parts.input_steps >= BLOCK_REPLAY_WORDS { Memory::Block } else { Memory::Lut };
        items.push(instance(
            "hwgen_matrix_control",
            "control",
            vec![
                ("DATA_BITS", number(live_bits)),
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
                ("s_data_i", data),
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
            items.push(Item::Blank);
            let roms = store.roms(&parts.name, parts.matrix.memory, words);
            items.extend(roms.iter().map(|rom| rom.instance(store, parts.matrix.memory, words)));
            if self.images.has(parts.matrix.memory, words, store.word_bits) {
                let whole = store.image(&layer.name, parts.weights, parts.matrix);
                self.memories.extend(roms.into_iter().map(|rom| rom.file(&whole)));
            }
            self.uses(&["hwgen_rom"]);
            store.items(parts.weights, &mut items);
            store.block_weights(parts.weights, parts.matrix, &mut items);
        }
        if late > 0 {
            items.push(Item::Blank);
            if let Some(split) = pairs {
                self.paired_activations(parts, split, &mut items);
            }
            let is_delayed = |name: &str| !name.starts_with("unused") && (pairs.is_none() || name != "step_activation");
            for (name, bits, reset) in steps.iter().filter(|(name, ..)| is_delayed(name)).copied() {
                items.push(wire(name, bits));
                items.push(delay(name, bits, late, reset, Expr::name(issued(name)), name));
            }
        }
        self.uses(&["hwgen_matrix_control", "hwgen_delay"]);
        let mut sum_latency = self.dot_products(parts, &mut items);

        let mut results = Results {
            sums: "sum",
            valid: "sum_valid",
            last: "sum_last",
            step: "sum_step",
            steps: parts.result_steps,
            lanes: pe,
            sum_bits: sum_bits(parts),
            signed: parts.arithmetic.result_is_signed(),
            maps: parts.arithmetic.maps(),
            ranges: &self.sum_ranges(parts.index),
            requantization: layer.requantization.as_ref(),
        };
        let unit = parts.matrix.unit.map(|unit| UnitChoice { unit, multiplier: parts.matrix.multiplier });
        let whole = vec![RawMap::IDENTITY; parts.weights.outputs];
        if let Some(averaging) = &parts.averaging {
            let averaged = self.averaged_sums(parts, averaging, &results, unit.is_some(), &mut items)?;
            sum_latency += averaged.latency_cycles;
            results = Results {
                sums: "average_code",
                valid: "average_valid",
                last: "average_last",
                step: "average_step",
                sum_bits: averaged.sum_bits,
                signed: averaged.signed,
                maps: &whole,
                ..results
            };
        }
        let output = self.requantize_results(parts.index, &parts.name, &results, unit, &mut items)?;
        let latency = 1 + late + sum_latency + output.latency_cycles;
        let depth = fifo_words(latency, parts.input_steps);
        let word = output.word;
        items.push(Item::Blank);
        items.push(credit_fifo(&output, depth));
        self.uses(&["hwgen_credit_fifo"]);

        let offsets: Vec<i64> = results.maps.iter().map(|map| map.offset).collect();
        let gain = results.maps.first().map_or(1, |map| map.gain);
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
                    valid: results.valid.to_owned(),
                    ready: None,
                    data: results.sums.to_owned(),
                    word: Word { lanes: pe, lane_bits: results.sum_bits, signed: results.signed },
                    words_per_frame,
                    content: EdgeContent {
                        gain,
                        offset: offsets,
                        ..EdgeContent::plain(EdgeTensor::Accumulator(layer.name.clone()))
                    },
                },
            ));
        }
        let header = self.matrix_header(parts, latency);
        let module = Module {
            name: module_name.clone(),
            header,
            keep_hierarchy: false,
            parameters: Vec::new(),
            ports: stream_ports(input_bits, word.bits()),
            items,
        };
        let printed = self.printed(&module);
        self.add_modules(vec![printed]);
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

    fn matrix_header(&self, parts: &Parts<'_>, latency: u32) -> Vec<String> {
        let network = self.bound.network();
        let layer = &network.layers()[parts.index];
        let kind = parts.matrix.kind.name();
        let form = parts.matrix.form.map_or(String::new(), |form| format!(" ({})", form.name()));
        let requantization = layer.requantization.as_ref();
        vec![
            format!(
                "Layer {}: {}, {} PEs of kind {kind}{form} with {} lanes each.",
                layer.name,
                layer.op.name(),
                parts.matrix.pe,
                parts.matrix.simd
            ),
            format!(
                "Output channel o = sum of {} products of {} weights and {} activations{}{}.",
                parts.weights.length,
                parts.weights.weight_format(),
                parts.activation,
                match parts.live.format.bits() {
                    live if live < parts.activation.bits() => format!(" (whose {live} lowest wires change)"),
                    _ => String::new(),
                },
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

/// The live wires of a word, where these are not all; level indices have the sign of two's complement turned.
fn live_data(parts: &Parts<'_>, items: &mut Vec<Item>) -> Expr {
    let (bits, live) = (parts.activation.bits(), parts.live.format.bits());
    let turned = levels::takes(parts.weights, parts.matrix) && parts.live.format.kind() == Kind::Signed;
    if live == bits && !turned {
        return Expr::name("s_data_i");
    }
    let lanes = parts.matrix.input_lanes() as u32;
    let wires =
        |lane: u32, high: u32, low: u32| Expr::part("s_data_i", lanes * bits, lane * bits + high, lane * bits + low);
    let of_lane = |lane: u32| match turned {
        true if live == 1 => vec![wires(lane, 0, 0).inverted()],
        true => vec![wires(lane, live - 1, live - 1).inverted(), wires(lane, live - 2, 0)],
        false => vec![wires(lane, live - 1, 0)],
    };
    let all = (0..lanes).rev().flat_map(of_lane).collect();
    items.push(Item::wire("live_data", lanes * live, Expr::concat(all)));
    if live < bits {
        let rest = (0..lanes).rev().map(|lane| wires(lane, bits - 1, live)).collect();
        items.push(Item::wire("unused_wires", lanes * (bits - live), Expr::concat(rest)));
    }
    Expr::name("live_data")
}

/// Of a thousand PEs that see the same activations, those whose weights, which never change, are zero or another PE's.
fn spared(weights: &Weights, matrix: &MatrixLayer) -> u32 {
    if matrix.side > 1 {
        return 0;
    }
    let zero = |row: &&[i32]| row.iter().all(|&weight| weight == 0);
    let rows = || (0..weights.outputs).map(|output| weights.row(output));
    let kept: BTreeSet<&[i32]> = rows().filter(|row| !zero(row)).collect();
    (1000 * (weights.outputs - kept.len()) / weights.outputs.max(1)) as u32
}

/// Results of a position, and steps of a result.
fn steps_of(weights: &Weights, matrix: &MatrixLayer) -> (u64, u64) {
    (weights.outputs as u64 / matrix.pe, weights.length as u64 / matrix.simd)
}

/// Net of the current group of output channels; its name tells lint where nobody reads it.
fn step_output(parts: &Parts<'_>) -> &'static str {
    if reads_step(parts) || parts.borders.is_some() { "step_output" } else { "unused_step_output" }
}

/// Whether something behind the sums asks for their group of output channels.
fn reads_step(parts: &Parts<'_>) -> bool {
    // An average counts positions by the last step of each, where there are zones to be told apart.
    let counts_zones = parts.averaging.as_ref().is_some_and(|averaging| averaging.zones() > 1);
    parts.matrix.unit.is_some() || counts_zones && parts.result_steps > 1
}

/// Bits of one raw sum as the requantization takes it.
fn sum_bits(parts: &Parts<'_>) -> u32 {
    let appended = parts.borders.as_ref().map_or(0, Borders::low_bits);
    parts.arithmetic.result_bits() + appended
}

/// Words that the output FIFO needs so that the pipeline never waits for credits alone.
pub(super) fn fifo_words(latency_cycles: u32, steps_per_result: u64) -> u32 {
    let in_flight = u64::from(latency_cycles + 2).div_ceil(steps_per_result);
    in_flight as u32 + 1
}
