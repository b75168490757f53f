//! Layers that several tensors enter: element-wise sums and products, and concatenation of channels.
//!
//! ```text
//!   stream 0 ─▶ adapter ─▶ grid ─▶ FIFO ─┐
//!   stream 1 ─▶ adapter ─▶ grid ─▶ FIFO ─┴▶ join ─▶ adders ─▶ requantization ─▶ FIFO
//! ```
//!
//! The FIFOs hold what arrives earlier on one branch than on the other; their depths are found afterwards
//! ([`crate::design::buffers`]). In front of a FIFO for an input of a single position stands a stage that repeats it. A grid stage multiplies where factors differ; with equal factors there is none.

use super::chain::{Flow, NewStage, number};
use super::requantize::UnitChoice;
use super::requantize::layer::{Combine, Element, ElementUnit};
use super::requantize::rescale::Rescaling;
use super::{Fault, Lowering};
use crate::rearrange::Reorder;
use crate::requantize::{ChannelRescale, RawMap};
use crate::timing::{Concat, Twin};
use crate::verilog::Expr;
use network::graph::RequantizeUnit;
use network::manifest::{EdgeContent, EdgeOrder};
use network::op::{Loop, Op, Rearrangement};
use network::requantization::per_channel;
use network::{Format, Range};

/// The hardware of a layer that adds or multiplies.
#[derive(Clone, Copy)]
pub(super) struct JoinChoice {
    pub lanes: u64,
    pub unit: Option<RequantizeUnit>,
    pub multiplier: network::graph::Multiplier,
}

/// One input of a join: how its raw elements enter the sum.
struct Term {
    /// Multiplier of the raw element, for each channel.
    multipliers: Vec<i64>,
    /// What is left of the value: sum += multiplier * raw + constant.
    constants: Vec<i64>,
    /// Raw elements that occur.
    raw: Range,
}

impl Lowering<'_> {
    /// `add` and `multiply`.
    pub(super) fn element_join(&mut self, index: usize, choice: JoinChoice) -> Result<(), Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[index];
        let channels = network.layer_output(index).shape.channels as usize;
        let name = self.names.layer(&layer.name);
        let mut flows = Vec::with_capacity(layer.inputs.len());
        let mut terms = Vec::with_capacity(layer.inputs.len());
        for (number, id) in layer.inputs.iter().enumerate() {
            if number > 0 {
                let flow = self.take(*id);
                self.chain.resume(flow);
            }
            self.chain.adapt(&name, &layer.name, choice.lanes)?;
            if network.tensors()[id.0].shape != network.layer_output(index).shape {
                self.repeat(index, &name, choice.lanes)?;
            }
            let maps = self.arriving_maps(index, number);
            let values = network.tensors()[id.0].encoding.values();
            let ranges = maps.iter().map(|map| map.raw_range(values));
            let raw = ranges.reduce(Range::union).unwrap_or(Range::new(0, 0));
            let factor = |channel: usize| match &layer.op {
                Op::Add { factors } => factors.get(number).and_then(|row| per_channel(row, channel)).unwrap_or(0),
                _ => 1,
            };
            terms.push(Term {
                multipliers: (0..channels).map(|c| factor(c) * maps[c].gain).collect(),
                constants: (0..channels).map(|c| factor(c) * maps[c].offset).collect(),
                raw,
            });
            flows.push(self.chain.flow());
        }
        let (combine, maps) = match &layer.op {
            Op::Multiply => {
                self.plain_operands(index, &name, &mut flows, &mut terms)?;
                (Combine::Product, vec![RawMap::IDENTITY; channels])
            }
            _ => {
                let gain = self.common_factors(index, &name, &mut flows, &mut terms)?;
                let offset = |channel: usize| terms.iter().map(|term| term.constants[channel]).sum();
                (Combine::Sum, (0..channels).map(|channel| RawMap { gain, offset: offset(channel) }).collect())
            }
        };
        for (input, flow) in flows.iter_mut().enumerate() {
            self.chain.resume(flow.clone());
            self.chain.skew_buffer(&name, layer, input)?;
            *flow = self.chain.flow();
        }
        let content = match choice.unit {
            Some(_) => self.output_content(index, 1, vec![0]),
            None => {
                let gain = maps.first().map_or(1, |map: &RawMap| map.gain);
                self.output_content(index, gain, maps.iter().map(|map| map.offset).collect())
            }
        };
        let unit = choice.unit.map(|unit| ElementUnit::Requantize(UnitChoice { unit, multiplier: choice.multiplier }));
        self.element_module(Element {
            index,
            name: &name,
            content,
            operands: flows.into_iter().zip(terms.iter().map(|term| term.raw)).collect(),
            combine,
            maps,
            unit,
        })
    }

    /// Sends the words of a single position once for each position of the layer's output.
    fn repeat(&mut self, index: usize, name: &str, lanes: u64) -> Result<(), Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[index];
        let shape = network.layer_output(index).shape;
        let loops = vec![Loop { count: shape.positions(), stride: 0 }, Loop { count: shape.channels, stride: 1 }];
        let repeated = Rearrangement { shape, start: 0, loops };
        let reorder = Reorder::new(&repeated, shape.channels, lanes, shape.elements() / lanes);
        // A window of one tap that never moves on.
        let content = EdgeContent {
            order: EdgeOrder::Windows {
                positions: [shape.rows, shape.columns],
                kernel: [1, 1],
                stride: [0, 0],
                dilation: [1, 1],
                padding_before: [0, 0],
                padding_code: 0,
                channel_groups: 1,
            },
            ..self.chain.content.clone()
        };
        let stage_name = self.chain.free_name(&format!("{name}_repeat"));
        self.reorder_stage(stage_name, &layer.name, &reorder, content)
    }

    /// Brings all terms of a sum to one gain, a power of two that is returned: factors that are left over are multiplied by stages
    /// of their own.
    fn common_factors(
        &mut self,
        index: usize,
        name: &str,
        flows: &mut [Flow],
        terms: &mut [Term],
    ) -> Result<i64, Fault> {
        let multipliers = terms.iter().flat_map(|term| &term.multipliers).filter(|multiplier| **multiplier != 0);
        let gain = multipliers.map(|multiplier| multiplier.trailing_zeros()).min().map_or(1, |shift| 1 << shift);
        for (flow, term) in flows.iter_mut().zip(terms) {
            if term.multipliers.iter().all(|multiplier| *multiplier == gain) {
                continue;
            }
            let constants: Vec<ChannelRescale> =
                term.multipliers.iter().map(|m| ChannelRescale { multiplier: m / gain, offset: 0 }).collect();
            self.chain.resume(flow.clone());
            let content = &self.chain.content;
            let channels = constants.len();
            let entry = |values: &[i64], channel: usize| per_channel(values, channel).unwrap_or(0);
            // raw = (scale * integer - offset) / gain, times the factor.
            let factor = |channel: usize| constants[channel].multiplier;
            let content = EdgeContent {
                scale: (0..channels).map(|c| entry(&content.scale, c) * factor(c)).collect(),
                offset: (0..channels).map(|c| entry(&content.offset, c) * factor(c)).collect(),
                ..content.clone()
            };
            term.raw = self.grid_stage(index, name, content, constants, term.raw)?;
            term.multipliers.fill(gain);
            *flow = self.chain.flow();
        }
        Ok(gain)
    }

    /// Operands of a product as values, where they are not: (gain * raw + offset) by stages of their own.
    fn plain_operands(
        &mut self,
        index: usize,
        name: &str,
        flows: &mut [Flow],
        terms: &mut [Term],
    ) -> Result<(), Fault> {
        for (number, (flow, term)) in flows.iter_mut().zip(terms).enumerate() {
            let pairs = term.multipliers.iter().zip(&term.constants);
            let constants: Vec<ChannelRescale> =
                pairs.map(|(&multiplier, &offset)| ChannelRescale { multiplier, offset }).collect();
            if constants.iter().all(|c| (c.multiplier, c.offset) == (1, 0)) {
                continue;
            }
            self.chain.resume(flow.clone());
            let input = self.bound.network().layers()[index].inputs[number];
            let encoding = self.bound.network().tensors()[input.0].encoding;
            // On the wires stands the value itself: 2 q - (2^M - 1) for plane codes, the sum for sums.
            let (scale, offset) = match encoding {
                network::graph::Encoding::Codes { format, .. } => plane_content(format),
                network::graph::Encoding::Sums { .. } => (1, 0),
            };
            let content =
                EdgeContent { gain: 1, scale: vec![scale], offset: vec![offset], ..self.chain.content.clone() };
            term.raw = self.grid_stage(index, name, content, constants, term.raw)?;
            *flow = self.chain.flow();
        }
        Ok(())
    }

    /// A stage that sends raw * multiplier + offset of each channel; returns the range of what it sends.
    fn grid_stage(
        &mut self,
        index: usize,
        name: &str,
        content: EdgeContent,
        constants: Vec<ChannelRescale>,
        raw: Range,
    ) -> Result<Range, Fault> {
        let value = |raw: i64, constant: &ChannelRescale| raw * constant.multiplier + constant.offset;
        let ranges =
            constants.iter().map(|constant| Range::new(value(raw.min(), constant), value(raw.max(), constant)));
        let values = ranges.reduce(Range::union).unwrap_or(Range::new(0, 0));
        let maps = vec![RawMap::IDENTITY; constants.len()];
        let rescaling = Rescaling::exact(constants, values);
        let stage_name = self.chain.free_name(&format!("{name}_grid"));
        let flow = self.chain.flow();
        self.element_module(Element {
            index,
            name: &stage_name,
            content,
            operands: vec![(flow, raw)],
            combine: Combine::One,
            maps,
            unit: Some(ElementUnit::Rescale(rescaling)),
        })?;
        Ok(values)
    }

    /// `concat`: the inputs in turn at every position.
    pub(super) fn concat(&mut self, index: usize, lanes: u64) -> Result<(), Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[index];
        let output = network.layer_output(index);
        let name = self.names.layer(&layer.name);
        let mut inputs = Vec::with_capacity(layer.inputs.len());
        let mut words = Vec::with_capacity(layer.inputs.len());
        let (mut gain, mut offsets) = (1, Vec::new());
        let mut word = self.chain.word;
        for (number, id) in layer.inputs.iter().enumerate() {
            if number > 0 {
                let flow = self.take(*id);
                self.chain.resume(flow);
            }
            self.chain.adapt(&name, &layer.name, lanes)?;
            let channels = network.tensors()[id.0].shape.channels;
            self.same_raw(index, number, &name)?;
            self.chain.skew_buffer(&name, layer, number)?;
            let content = &self.chain.content;
            gain = content.gain;
            offsets.extend((0..channels as usize).map(|c| per_channel(&content.offset, c).unwrap_or(0)));
            words.push(u32::try_from(channels / lanes).unwrap_or(u32::MAX));
            word = self.chain.word;
            inputs.push(self.chain.stream);
        }
        let counts: Vec<Expr> = words.iter().rev().map(|&count| Expr::constant(32, u128::from(count))).collect();
        let content = self.output_content(index, gain, offsets);
        self.chain.push_join(
            inputs,
            NewStage {
                name,
                module: "hwgen_concat".to_owned(),
                parameters: vec![
                    ("INPUTS", number(words.len() as u64)),
                    ("DATA_BITS", number(word.bits())),
                    ("WORDS", Expr::concat(counts)),
                ],
                layer: layer.name.clone(),
                word,
                words_per_frame: output.shape.elements() / lanes,
                content,
                twin: Twin::Concat(Concat::new(words)?),
            },
        );
        Ok(())
    }

    /// Raw sums of several layers stand on the wires with gains of their own; a concatenation needs one: the sum itself
    /// in the width of the output. Codes pass as they are.
    pub(super) fn same_raw(&mut self, index: usize, number: usize, name: &str) -> Result<(), Fault> {
        let network = self.bound.network();
        let encoding = network.layer_output(index).encoding;
        if matches!(encoding, network::graph::Encoding::Codes { .. }) {
            return Ok(());
        }
        let maps = self.arriving_maps(index, number);
        let input = network.layers()[index].inputs[number];
        let values = network.tensors()[input.0].encoding.values();
        let ranges = maps.iter().map(|map| map.raw_range(values));
        let raw = ranges.reduce(Range::union).unwrap_or(Range::new(0, 0));
        let constants: Vec<ChannelRescale> =
            maps.iter().map(|map| ChannelRescale { multiplier: map.gain, offset: map.offset }).collect();
        let content = EdgeContent { gain: 1, scale: vec![1], offset: vec![0], ..self.chain.content.clone() };
        let all = encoding.integers();
        let rescaling = Rescaling::exact(constants, all);
        let stage_name = self.chain.free_name(&format!("{name}_grid"));
        let flow = self.chain.flow();
        self.element_module(Element {
            index,
            name: &stage_name,
            content,
            operands: vec![(flow, raw)],
            combine: Combine::One,
            maps: vec![RawMap::IDENTITY; network.tensors()[input.0].shape.channels as usize],
            unit: Some(ElementUnit::Rescale(rescaling)),
        })
    }
}

/// Scale and offset of an edge that carries the values of a format's codes.
fn plane_content(format: Format) -> (i64, i64) {
    if format.kind() == network::format::Kind::Bipolar { (2, -format.value(0)) } else { (1, 0) }
}
