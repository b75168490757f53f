//! Argmax: channels brought to a common grid, then a tree of comparisons.

use super::chain::number;
use super::{Fault, Lowering};
use crate::design::Stage;
use crate::timing::{Reduction, Twin};
use network::manifest::Word;

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
        self.chain.push(Stage {
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
}
