//! Sums over windows side by side, in place; their requantization is a module of its own.

use super::chain::{NewStage, buffer_memory, memory_style, number};
use super::requantize::UnitChoice;
use super::requantize::layer::{Combine, Element, ElementUnit};
use super::{Fault, Lowering};
use crate::requantize::RawMap;
use crate::timing::{MaxPool, Twin};
use network::Range;
use network::graph::{Multiplier, RequantizeUnit};
use network::manifest::{EdgeContent, EdgeTensor, Word};
use network::op::Op;

impl Lowering<'_> {
    pub(super) fn sum_pool(&mut self, index: usize, lanes: u64, unit: Option<RequantizeUnit>) -> Result<(), Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[index];
        let Op::SumPool { window, .. } = &layer.op else { return Ok(()) };
        let input = network.layer_input(layer);
        let output = network.layer_output(index).shape;
        let name = self.names.layer(&layer.name);
        self.chain.adapt(&name, &layer.name, lanes)?;
        let channel_words = input.shape.channels / lanes;
        let arriving = self.chain.word;
        // Every value of a window has its channel's offset, so the sum has it once for each tap.
        let taps = window.taps() as i64;
        let input_maps = self.arriving_maps(index, 0);
        let values = input.encoding.values();
        let raw = input_maps.iter().map(|map| map.raw_range(values)).reduce(Range::union).unwrap_or(Range::new(0, 0));
        let sums = Range::new(raw.min() * taps, raw.max() * taps);
        let lowest = if arriving.signed { -1 } else { 0 };
        let sum_bits = sums.union(Range::new(lowest, 0)).bits().max(arriving.lane_bits);
        let word = Word { lanes: lanes as u32, lane_bits: sum_bits, signed: arriving.signed };
        let maps: Vec<RawMap> =
            input_maps.iter().map(|map| RawMap { gain: map.gain, offset: map.offset * taps }).collect();
        let gain = maps.first().map_or(1, |map| map.gain);
        let offset: Vec<i64> = maps.iter().map(|map| map.offset).collect();
        let content = match unit {
            None => self.output_content(index, gain, offset),
            Some(_) => EdgeContent { gain, offset, ..EdgeContent::plain(EdgeTensor::Accumulator(layer.name.clone())) },
        };
        let (rows, columns) = (input.shape.rows, input.shape.columns);
        let twin = MaxPool::of_sums(
            [channel_words as u32, rows as u32, columns as u32],
            window.kernel.map(|side| side as u32),
            sum_bits,
        )?;
        self.chain.push(NewStage {
            name: if unit.is_some() { format!("{name}_sums") } else { name.clone() },
            module: "hwgen_sum_pool".to_owned(),
            parameters: vec![
                ("LANE_BITS", number(arriving.lane_bits)),
                ("SIGNED", number(u8::from(arriving.signed))),
                ("SUM_BITS", number(sum_bits)),
                ("LANES", number(lanes)),
                ("CHANNEL_WORDS", number(channel_words)),
                ("ROWS", number(rows)),
                ("COLUMNS", number(columns)),
                ("KERNEL_ROWS", number(window.kernel[0])),
                ("KERNEL_COLUMNS", number(window.kernel[1])),
                ("MEMORY", memory_style(buffer_memory(columns / window.kernel[1] * channel_words, word.bits()))),
            ],
            layer: layer.name.clone(),
            word,
            words_per_frame: output.positions() * channel_words,
            content,
            twin: Twin::MaxPool(twin),
        });
        let Some(unit) = unit else { return Ok(()) };
        let content = self.output_content(index, 1, vec![0]);
        let operands = vec![(self.chain.flow(), sums)];
        let unit = Some(ElementUnit::Requantize(UnitChoice { unit, multiplier: Multiplier::Lut }));
        self.element_module(Element { index, name: &name, content, operands, combine: Combine::One, maps, unit })
    }
}
