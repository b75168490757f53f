//! Rearrangements: a cyclic buffer that is read in another order; nothing at all where the order stays.

use super::chain::{NewStage, buffer_memory, memory_style, number};
use super::{Fault, Lowering};
use crate::design::StreamId;
use crate::rearrange::Reorder;
use crate::timing::Twin;
use crate::verilog::Expr;
use network::manifest::EdgeContent;
use num_integer::gcd;

/// Words of the FIFO that an input passes where nothing else is done with it.
const PASSED_WORDS: u64 = 2;

impl Lowering<'_> {
    pub(super) fn rearrange(&mut self, index: usize, lanes: u64, reorder: Option<&Reorder>) -> Result<(), Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[index];
        let name = self.names.layer(&layer.name);
        if self.chain.content.offset.windows(2).any(|pair| pair[0] != pair[1]) {
            // Channels move, so that raw sums with offsets of their own would lose them.
            let channels = network.layer_input(layer).shape.channels;
            let common = gcd(u64::from(self.chain.word.lanes), channels);
            self.chain.adapt(&name, &layer.name, common)?;
            self.same_raw(index, 0, &name)?;
        }
        let offset = self.chain.content.offset.first().copied().unwrap_or(0);
        let content = self.output_content(index, self.chain.content.gain, vec![offset]);
        let Some(reorder) = reorder else {
            self.chain.content = content;
            if matches!(self.chain.stream, StreamId::Input(_)) {
                // What leaves comes from a module.
                self.chain.buffer(&name, &layer.name, PASSED_WORDS)?;
            }
            return Ok(());
        };
        self.chain.adapt(&name, &layer.name, lanes)?;
        self.reorder_stage(name, &layer.name, reorder, content)
    }

    /// A cyclic buffer that is read in another order; the stream already has its lanes.
    pub(super) fn reorder_stage(
        &mut self,
        name: String,
        layer: &str,
        reorder: &Reorder,
        content: EdgeContent,
    ) -> Result<(), Fault> {
        let word = self.chain.word;
        let vector = |values: Vec<u64>| {
            Expr::concat(values.into_iter().rev().map(|value| Expr::constant(32, u128::from(value))).collect())
        };
        let parameters = vec![
            ("DATA_BITS", number(word.bits())),
            ("LOOPS", number(reorder.counts().count() as u64)),
            ("COUNTS", vector(reorder.counts().collect())),
            ("ADDS", vector(reorder.adds())),
            ("JUMPS", vector(reorder.padded_jumps())),
            ("BLOCK_LOOP", number(reorder.block_loop() as u64)),
            ("START", number(reorder.start())),
            ("FIRST", number(reorder.first())),
            ("SPAN", number(reorder.span())),
            ("MOST_JUMP", number(reorder.most_jump())),
            ("BUFFER_WORDS", number(reorder.buffer_words())),
            ("WORDS_PER_FRAME", number(reorder.input_words())),
            ("MEMORY", memory_style(buffer_memory(reorder.buffer_words(), word.bits()))),
        ];
        let twin = Twin::Rearrange(reorder.twin()?);
        self.chain.push(NewStage {
            name,
            module: "hwgen_rearrange".to_owned(),
            parameters,
            layer: layer.to_owned(),
            word,
            words_per_frame: reorder.output_words(),
            content,
            twin,
        });
        Ok(())
    }
}
