//! Argmax and top-k: channels brought to a common grid, then a tree of comparisons, or places in order.

use super::chain::{NewStage, number};
use super::requantize::layer::ElementUnit;
use super::requantize::rescale::Rescaling;
use super::wiring::address_bits;
use super::{Fault, Lowering};
use crate::requantize::{ChannelRescale, RawMap, rescaled_range};
use crate::timing::{Reduction, Twin};
use network::Range;
use network::graph::Encoding;
use network::manifest::{EdgeContent, Word};
use network::op::{Op, TopGives};
use network::requantization::per_channel;

impl Lowering<'_> {
    pub(super) fn greatest(&mut self, index: usize, lanes: u64) -> Result<(), Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[index];
        let input = network.layer_input(layer).shape;
        let output = network.layer_output(index);
        let name = self.names.layer(&layer.name);
        self.chain.adapt(&name, &layer.name, lanes)?;
        let grid = self.common_grid(index, &name)?;
        let value_bits = self.chain.word.lane_bits;
        let words = input.channels / lanes;
        let index_bits = address_bits(input.channels);
        let mut parameters = vec![
            ("VALUE_BITS", number(value_bits)),
            ("WORDS", number(words)),
            ("POSITIONS", number(input.positions())),
        ];
        let (module, word, content) = match &layer.op {
            Op::TopK { count, gives, .. } => {
                let gives_values = *gives == TopGives::Values;
                parameters.extend([
                    ("COUNT", number(*count)),
                    ("INDEX_BITS", number(index_bits)),
                    ("INDICES", number(u8::from(!gives_values))),
                ]);
                let (lane_bits, signed) = if gives_values { (value_bits, true) } else { (index_bits, false) };
                let content = match gives {
                    TopGives::Values => self.output_content(index, grid.gain, vec![grid.offset]),
                    TopGives::Indices => self.output_content(index, 1, vec![0]),
                };
                ("hwgen_top_k", Word { lanes: *count as u32, lane_bits, signed }, content)
            }
            _ => {
                let word = Word { lanes: 1, lane_bits: output.encoding.bits(), signed: false };
                parameters.extend([("LANES", number(lanes)), ("INDEX_BITS", number(word.lane_bits))]);
                ("hwgen_argmax", word, self.output_content(index, 1, vec![0]))
            }
        };
        self.chain.push(NewStage {
            name,
            module: module.to_owned(),
            parameters,
            layer: layer.name.clone(),
            word,
            words_per_frame: input.positions(),
            content,
            twin: Twin::Reduction(Reduction::argmax(words as u32, lanes as u32)?),
        });
        Ok(())
    }

    /// Brings channels to the common signed grid that they are compared on, unless they already stand on one that only
    /// differs by a power of two and a constant; gives what the elements of the stream then mean on the grid.
    fn common_grid(&mut self, index: usize, name: &str) -> Result<RawMap, Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[index];
        let (Op::Argmax { multipliers, offsets } | Op::TopK { multipliers, offsets, .. }) = &layer.op else {
            return Ok(RawMap::IDENTITY);
        };
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
        let is_power = u64::try_from(first.multiplier).is_ok_and(u64::is_power_of_two);
        if self.chain.word.signed && is_power && constants.iter().all(|constant| *constant == first) {
            return Ok(RawMap { gain: first.multiplier, offset: first.offset });
        }
        let values = rescaled_range(&constants, &maps, |_| encoding.values()).union(Range::new(-1, 0));
        let rescaling = Rescaling::exact(constants, values);
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
        self.element_stage(index, &format!("{name}_grid"), content, ElementUnit::Rescale(rescaling))?;
        Ok(RawMap::IDENTITY)
    }
}
