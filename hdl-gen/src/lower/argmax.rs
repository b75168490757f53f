//! Argmax: channels brought to a common grid, then a tree of comparisons.

use super::chain::{NewStage, number};
use super::requantize::layer::ElementUnit;
use super::requantize::rescale::Rescaling;
use super::{Fault, Lowering};
use crate::datapath::{Multiplier, ShiftRounding};
use crate::requantize::ChannelRescale;
use crate::timing::{Reduction, Twin};
use network::Range;
use network::manifest::{EdgeContent, Word};
use network::op::Op;
use network::requantization::per_channel;

impl Lowering<'_> {
    pub(super) fn argmax(&mut self, index: usize, lanes: u64) -> Result<(), Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[index];
        let channels = network.layer_input(layer).shape.channels;
        let output = network.layer_output(index);
        let name = self.names.layer(&layer.name);
        self.chain.adapt(&name, &layer.name, lanes)?;
        self.common_grid(index, &name)?;
        let arriving = self.chain.word;
        let words = channels / lanes;
        let word = Word { lanes: 1, lane_bits: output.encoding.bits(), signed: false };
        let content = self.output_content(index, 1, vec![0]);
        self.chain.push(NewStage {
            name,
            module: "hwgen_argmax".to_owned(),
            parameters: vec![
                ("VALUE_BITS", number(arriving.lane_bits)),
                ("LANES", number(lanes)),
                ("WORDS", number(words)),
                ("INDEX_BITS", number(word.lane_bits)),
            ],
            layer: layer.name.clone(),
            word,
            words_per_frame: 1,
            content,
            twin: Twin::Reduction(Reduction::argmax(words as u32, lanes as u32)?),
        });
        Ok(())
    }
    /// Brings channels to the common signed grid that they are compared on, unless they already stand on one.
    fn common_grid(&mut self, index: usize, name: &str) -> Result<(), Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[index];
        let Op::Argmax { multipliers, offsets } = &layer.op else { return Ok(()) };
        let values = network.layer_input(layer).encoding.values();
        let maps = self.arriving_maps(index, 0);
        let constants: Vec<ChannelRescale> = maps
            .iter()
            .enumerate()
            .map(|(channel, map)| {
                let multiplier = per_channel(multipliers, channel).unwrap_or(1);
                let offset = per_channel(offsets, channel).unwrap_or(0);
                ChannelRescale { multiplier: multiplier * map.gain, offset: multiplier * map.offset + offset }
            })
            .collect();
        let first = constants.first().copied().unwrap_or(ChannelRescale { multiplier: 1, offset: 0 });
        if self.chain.word.signed && first.multiplier > 0 && constants.iter().all(|constant| *constant == first) {
            return Ok(());
        }
        let ranges = constants.iter().zip(&maps).map(|(constant, map)| {
            let raw = map.raw_range(values);
            let grid = |raw: i64| raw * constant.multiplier + constant.offset;
            Range::new(grid(raw.min()), grid(raw.max()))
        });
        let values = ranges.reduce(Range::union).unwrap_or(Range::new(0, 0)).union(Range::new(-1, 0));
        let rescaling = Rescaling {
            constants,
            values,
            shift: 0,
            rounding: ShiftRounding::Floor,
            codes: values,
            multiplier: Multiplier::Lut,
            code_bits: values.bits(),
        };
        let content = EdgeContent {
            scale: multipliers.clone(),
            offset: offsets.iter().map(|offset| -offset).collect(),
            gain: 1,
            ..self.chain.content.clone()
        };
        self.element_stage(index, &format!("{name}_grid"), content, ElementUnit::Rescale(rescaling))
    }
}
