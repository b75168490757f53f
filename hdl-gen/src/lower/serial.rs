//! A dense or convolution layer on a bit-serial array.
//!
//! ```text
//!   words ─▶ control ─▶ plane select ─▶ PE 0..P-1: count ─▶ shift, accumulate ─▶ sums ─▶ requantization ─▶ FIFO
//!   modes ─▶    │ ▲            ▲             ▲                     ▲                        ▲
//!               │ replay       └─ schedule ──┴ weight planes ──────┘     tables by (mode, group)
//! ```
//!
//! The formula stands in [`crate::serial`]. Each PE has one popcount of SIMD bits; a vector is passed once for each
//! pair of planes that the frame's mode reads, so cycles are proportional to the product of the two widths.

use super::border::Borders;
use super::chain::NewStage;
use super::matrix::fifo_words;
use super::requantize::{Pushed, Results, UnitChoice};
use super::wiring::{address_bits, credit_fifo};
use super::{Fault, Lowering};
use crate::bind::MatrixLayer;
use crate::design::StreamId;
use crate::requantize::{RawMap, merged};
use crate::serial::{Gate, Schedule};
use crate::timing::{Serial, SerialShape, Twin};
use crate::verilog::{Item, Module, Port};
use network::graph::Memory;
use network::manifest::{Edge, EdgeContent, EdgeTensor, ModeContent, Word};
use network::op::{Op, Weights};
use network::{Format, Range};

mod border;
mod images;
mod loops;
mod sums;

/// Cycles from a step to the address of its weights.
const ADDRESS_CYCLES: u32 = 3;

/// A layer and what is known of it before it is lowered.
pub(super) struct SerialSite<'a> {
    pub index: usize,
    /// Legal name of the layer.
    pub name: String,
    pub op: &'a Op,
    pub weights: &'a Weights,
    pub matrix: &'a MatrixLayer,
    pub activation: Format,
    /// The stream of modes, where there are several.
    pub modes: Option<StreamId>,
}

/// Numbers that the parts of the module share.
struct Sizes {
    input_steps: u64,
    output_steps: u64,
    /// Results of a position.
    result_steps: u64,
    vectors: u64,
    mode_bits: u32,
    pass_bits: u32,
    /// Weight words of one output step.
    stride: u64,
    address_bits: u32,
    plane_bits: u32,
    shift_bits: u32,
    sum_bits: u32,
    signed: bool,
    /// What the gain of the raw sums is divided by so that the initial sums are whole.
    division: i64,
}

impl Lowering<'_> {
    pub(super) fn serial(&mut self, site: &SerialSite<'_>) -> Result<(), Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[site.index];
        let (pe, matrix) = (site.matrix.pe as u32, site.matrix);
        let schedule = crate::bind::serial_schedule(network, site.index, site.op, site.weights, site.activation);
        let sums = crate::bind::mode_sums(network, site.index);
        let channels = site.weights.outputs;
        let joined = merged(layer, channels, matrix.pe as usize, &sums);
        let of_entries = |of: &dyn Fn(usize, usize) -> RawMap| -> Vec<RawMap> {
            joined.entries.iter().map(|&(mode, channel)| of(mode, channel)).collect()
        };
        let borders = self.borders_in_modes(site, &schedule);
        let division = borders.first().map_or(1, |borders| borders.gain_division);
        let divided = |map: RawMap| RawMap { gain: map.gain / division, ..map };
        let maps = of_entries(&|mode, channel| divided(schedule.modes[mode].maps[channel]));
        let ranges: Vec<Range> = joined.entries.iter().map(|&(mode, channel)| sums[mode][channel]).collect();
        let raw = maps.iter().zip(&ranges).map(|(map, &range)| map.raw_range(range)).reduce(Range::union);
        let raw = raw.unwrap_or(Range::new(0, 0));
        let output = network.layer_output(site.index).shape;
        let input_steps = site.weights.length as u64 / matrix.simd;
        let result_steps = channels as u64 / matrix.pe;
        let stride = schedule.stored.len() as u64 * input_steps;
        let modes = schedule.modes.len();
        let sizes = Sizes {
            input_steps,
            output_steps: result_steps / matrix.sets,
            result_steps,
            vectors: output.positions() * matrix.sets,
            mode_bits: address_bits(modes as u64),
            pass_bits: address_bits(schedule.most_passes() as u64),
            stride,
            address_bits: address_bits(result_steps * stride),
            plane_bits: address_bits(u64::from(site.activation.bits())),
            shift_bits: 32 - schedule.most_shift().max(1).leading_zeros(),
            sum_bits: raw.bits().max(borders.first().map_or(0, Borders::low_bits) + 1),
            signed: raw.is_signed(),
            division,
        };

        let mut items = Vec::new();
        self.serial_control(site, &schedule, &sizes, !borders.is_empty(), &mut items);
        self.serial_schedule(site, &schedule, &sizes, &mut items);
        let sum_latency = self.serial_sums(site, &schedule, &sizes, &borders, &mut items)?;
        let results = Results {
            sums: "sum",
            valid: "sum_valid",
            last: "sum_last",
            step: "sum_step",
            steps: joined.groups * modes as u64,
            lanes: pe,
            sum_bits: sizes.sum_bits,
            signed: sizes.signed,
            maps: &maps,
            ranges: &ranges,
            requantization: joined.requantization.as_ref(),
        };
        let unit = matrix.unit.map(|unit| UnitChoice { unit, multiplier: matrix.multiplier });
        let pushed = self.requantize_results(site.index, &site.name, &results, unit, &mut items)?;
        let latency = 1 + sum_latency + pushed.latency_cycles;
        let depth = fifo_words(latency, input_steps);
        items.push(Item::Blank);
        items.push(credit_fifo(&pushed, depth));
        self.uses(&["hwgen_credit_fifo"]);
        self.serial_stage(site, &schedule, &sizes, pushed, (latency, depth), items)
    }

    /// The module and its place in the graph.
    fn serial_stage(
        &mut self,
        site: &SerialSite<'_>,
        schedule: &Schedule,
        sizes: &Sizes,
        pushed: Pushed,
        (latency, depth): (u32, u32),
        items: Vec<Item>,
    ) -> Result<(), Fault> {
        let layer = &self.bound.network().layers()[site.index];
        let pe = site.matrix.pe as u32;
        let module_name = format!("{}_{}", self.names.top(), site.name);
        let meaning = |tensor: EdgeTensor| {
            let contents: Vec<ModeContent> = schedule
                .modes
                .iter()
                .map(|mode| ModeContent {
                    gain: mode.maps.first().map_or(1, |map| map.gain) / sizes.division,
                    offset: mode.maps.iter().map(|map| map.offset).collect(),
                })
                .collect();
            let (gain, offset) = contents.first().map_or((1, vec![0]), |first| (first.gain, first.offset.clone()));
            let modes = if contents.len() > 1 { contents } else { Vec::new() };
            EdgeContent { gain, offset, modes, ..EdgeContent::plain(tensor) }
        };
        let words_per_frame = sizes.vectors * sizes.output_steps;
        let content = if site.matrix.unit.is_some() {
            self.inner_edges.push((
                self.chain.stages.len(),
                Edge {
                    name: format!("{}.sum", site.name),
                    layer: layer.name.clone(),
                    module: module_name.clone(),
                    path: vec![format!("u_{}", site.name)],
                    valid: "sum_valid".to_owned(),
                    ready: None,
                    data: "sum".to_owned(),
                    word: Word { lanes: pe, lane_bits: sizes.sum_bits, signed: sizes.signed },
                    words_per_frame,
                    content: meaning(EdgeTensor::Accumulator(layer.name.clone())),
                },
            ));
            self.output_content(site.index, 1, vec![0])
        } else {
            meaning(EdgeTensor::Output(layer.name.clone()))
        };
        let inputs: Vec<StreamId> = std::iter::once(self.chain.stream).chain(site.modes).collect();
        let mode_bits = if site.modes.is_some() { sizes.mode_bits } else { 0 };
        let input_bits = site.matrix.input_lanes() as u32 * site.activation.bits() + mode_bits;
        let mut ports = super::wiring::stream_ports(input_bits, pushed.word.bits());
        let streams = inputs.len() as u32;
        for port in ports.iter_mut().filter(|port| ["s_valid_i", "s_ready_o", "s_last_i"].contains(&port.name.as_str()))
        {
            port.width = Port::input("", streams).width;
        }
        let passes: Vec<u32> = schedule.modes.iter().map(|mode| mode.passes.len() as u32).collect();
        let header = header(layer, site, schedule, sizes, &passes, latency);
        let module =
            Module { name: module_name.clone(), header, keep_hierarchy: false, parameters: Vec::new(), ports, items };
        let printed = self.printed(&module);
        self.add_modules(vec![printed]);
        let twin = Serial::new(SerialShape {
            input_steps: sizes.input_steps as u32,
            output_steps: sizes.output_steps as u32,
            vectors: sizes.vectors as u32,
            passes,
            latency_cycles: latency,
            fifo_words: depth,
        })?;
        self.chain.push_join(
            inputs,
            NewStage {
                name: site.name.clone(),
                module: module_name,
                parameters: Vec::new(),
                layer: layer.name.clone(),
                word: pushed.word,
                words_per_frame,
                content,
                twin: Twin::Serial(twin),
            },
        );
        Ok(())
    }
}

fn header(
    layer: &network::graph::Layer,
    site: &SerialSite<'_>,
    schedule: &Schedule,
    sizes: &Sizes,
    passes: &[u32],
    latency: u32,
) -> Vec<String> {
    let gate = match schedule.gate {
        Gate::Xnor => "xnor",
        Gate::And => "and",
    };
    let mut lines = vec![
        format!(
            "Layer {}: {}, {} bit-serial PEs that count {} {gate} bits a cycle.",
            layer.name,
            layer.op.name(),
            site.matrix.pe,
            site.matrix.simd
        ),
        format!(
            "Output channel o = sum of {} products of {} weights and {} activations, a pair of planes in a pass.",
            site.weights.length, site.weights.format, site.activation
        ),
    ];
    for (mode, count) in passes.iter().enumerate() {
        let planes = layer.modes.get(mode).map(|mode| mode.planes);
        let read = planes.map_or_else(
            || "all planes".to_owned(),
            |planes| format!("{} weight and {} activation planes", planes.weight, planes.activation),
        );
        lines.push(format!(
            "Mode {mode}: {read} in {count} passes; {} cycles a vector.",
            sizes.input_steps * sizes.output_steps * u64::from(*count)
        ));
    }
    lines.push(format!(
        "Timing: {} vectors a frame; a result is pushed {latency} cycles after its last step. Stream 1 of the input, where it is there, has the mode of each frame.",
        sizes.vectors
    ));
    lines
}

/// Cycles from the address of weights to the weights.
fn rom_cycles(site: &SerialSite<'_>) -> u32 {
    match site.matrix.memory {
        Memory::Block => 2,
        Memory::Lut => 1,
    }
}

/// Parts of a sum that `hwgen_shift_accumulate` works on one after the other.
fn sum_parts(bits: u32) -> u32 {
    if bits > 16 { bits.div_ceil(15) } else { 1 }
}
