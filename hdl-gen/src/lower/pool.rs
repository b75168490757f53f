//! Max pooling: in place where windows lie side by side, else a sliding window and a running maximum.

use super::chain::{NewStage, WindowStage, number};
use super::{Fault, Lowering};
use crate::bind::pools_in_place;
use crate::timing::{MaxPool, Reduction, Twin};
use network::graph::WindowForm;
use network::op::Op;

impl Lowering<'_> {
    pub(super) fn pool(&mut self, index: usize, lanes: u64) -> Result<(), Fault> {
        let network = self.bound.network();
        let layer = &network.layers()[index];
        let Op::MaxPool { window } = &layer.op else { return Ok(()) };
        let input = network.layer_input(layer);
        let output = network.layer_output(index).shape;
        let name = self.names.layer(&layer.name);
        self.chain.adapt(&name, &layer.name, lanes)?;
        let channel_words = input.shape.channels / lanes;
        let word = self.chain.word;
        let mut parameters = vec![
            ("LANE_BITS", number(word.lane_bits)),
            ("SIGNED", number(u8::from(word.signed))),
            ("LANES", number(lanes)),
        ];
        let (module, twin) = if pools_in_place(&layer.op) {
            parameters.extend([
                ("CHANNEL_WORDS", number(channel_words)),
                ("ROWS", number(input.shape.rows)),
                ("COLUMNS", number(input.shape.columns)),
                ("KERNEL_ROWS", number(window.kernel[0])),
                ("KERNEL_COLUMNS", number(window.kernel[1])),
            ]);
            let twin = MaxPool::new(
                channel_words as u32,
                input.shape.rows as u32,
                input.shape.columns as u32,
                window.kernel[0] as u32,
                window.kernel[1] as u32,
            )?;
            ("hwgen_max_pool", Twin::MaxPool(twin))
        } else {
            // The least code never wins against a tap that is there.
            let least = if word.signed { -(1i64 << (word.lane_bits - 1)) } else { 0 };
            self.chain.window(&WindowStage {
                name: &name,
                layer: &layer.name,
                window,
                input: input.shape,
                form: WindowForm::Serial(lanes),
                padding_code: least,
                channels_outer: true,
                rows_at_once: self.rows_at_once[layer.input().0],
            })?;
            parameters.push(("TAPS", number(window.taps())));
            ("hwgen_max_reduce", Twin::Reduction(Reduction::max_reduce(window.taps() as u32)?))
        };
        let content = self.output_content(index, self.chain.content.gain, self.chain.content.offset.clone());
        self.chain.push(NewStage {
            name,
            module: module.to_owned(),
            parameters,
            layer: layer.name.clone(),
            word,
            words_per_frame: output.positions() * channel_words,
            content,
            twin,
        });
        Ok(())
    }
}
