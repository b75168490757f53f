//! Argmax: channels brought to a common grid, then a tree of comparisons.

use super::chain::{NewStage, number};
use super::requantize::layer::ElementUnit;
use super::requantize::rescale::Rescaling;
use super::{Fault, Lowering};
use crate::datapath::{Multiplier, ShiftRounding};
use crate::requantize::{ChannelRescale, rescaled_range};
use crate::timing::{Reduction, Twin};
use network::Range;
use network::graph::Encoding;
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
        let encoding = network.layer_input(layer).encoding;
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
        let values = rescaled_range(&constants, &maps, |_| encoding.values()).union(Range::new(-1, 0));
        let rescaling = Rescaling {
            constants,
            values,
            shift: 0,
            rounding: ShiftRounding::Floor,
            codes: values,
            multiplier: Multiplier::Lut,
            code_bits: values.bits(),
        };
        // The grid is over values; the network's integers are values of sums, but codes of codes.
        let (step, least) = match encoding {
            Encoding::Codes { format, .. } => (format.value(1) - format.value(0), format.value(0)),
            Encoding::Sums { .. } => (1, 0),
        };
        let offset = |channel: usize| {
            let multiplier = per_channel(multipliers, channel).unwrap_or(1);
            -(multiplier * least + per_channel(offsets, channel).unwrap_or(0))
        };
        let content = EdgeContent {
            scale: multipliers.iter().map(|multiplier| multiplier * step).collect(),
            offset: (0..multipliers.len().max(offsets.len())).map(offset).collect(),
            gain: 1,
            ..self.chain.content.clone()
        };
        self.element_stage(index, &format!("{name}_grid"), content, ElementUnit::Rescale(rescaling))
    }
}
