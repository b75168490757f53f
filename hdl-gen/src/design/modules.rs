//! What a design tells about its modules: the FIFOs in front of joins with their cost, and every stage.

use super::{Design, SkewCause, Stage};
use crate::timing::{RunError, Twin};
use network::manifest::input_prefix;

/// A FIFO in front of a join, as deep as the branches' different delays ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinBuffer {
    /// Name of its stream.
    pub name: String,
    /// The plan's layer that joins, and so needs it.
    pub join: String,
    /// Words that it holds.
    pub depth: u32,
    /// Bits of one word, with the bit that marks a frame's last word.
    pub word_bits: u32,
    /// Number of the join's input behind it.
    pub input: usize,
    /// Its words lie in block RAM.
    pub block: bool,
    /// Why it is needed.
    pub cause: Option<SkewCause>,
}

impl JoinBuffer {
    /// Bits of storage.
    pub fn bits(&self) -> u64 {
        u64::from(self.depth) * u64::from(self.word_bits)
    }
}

/// A module of the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageRow {
    /// Instance name without `u_`.
    pub name: String,
    /// The plan's layer.
    pub layer: String,
    /// Name of the Verilog module.
    pub module: String,
    /// Words that leave it in a frame, at each of its ports.
    pub words_per_frame: u64,
    /// Words that it holds at most, where it is a FIFO.
    pub depth: Option<u32>,
}

impl Design {
    /// The FIFOs in front of joins.
    pub fn join_buffers(&self) -> Vec<JoinBuffer> {
        let rows = self.buffers.iter().filter_map(|buffer| {
            let stage = self.stages.get(buffer.stage)?;
            Some(JoinBuffer {
                name: stage.name.clone(),
                join: stage.layer.clone(),
                depth: stage.depth().unwrap_or(0),
                word_bits: stage.word.bits() + 1,
                input: buffer.input,
                block: stage.module == "hwgen_block_fifo",
                cause: self.skew_cause(buffer.stage),
            })
        });
        rows.collect()
    }

    /// The depths of the FIFOs in front of a layer's inputs, as a plan gives them; none where it joins nothing.
    pub fn fifo_depths(&self, layer: &str) -> Option<Vec<u64>> {
        let of_layer = |stage: &usize| self.stages.get(*stage).is_some_and(|stage| stage.layer == layer);
        let mut depths: Vec<(usize, u64)> = Vec::new();
        for buffer in self.buffers.iter().filter(|buffer| of_layer(&buffer.stage)) {
            let depth = self.stages.get(buffer.stage).and_then(Stage::depth).unwrap_or(0);
            depths.push((buffer.input, u64::from(depth)));
        }
        depths.sort_unstable();
        (!depths.is_empty()).then(|| depths.into_iter().map(|(_, depth)| depth).collect())
    }

    /// The modules of the top, in the order of [`crate::timing::Report::occupancy_max`].
    pub fn stage_rows(&self) -> Vec<StageRow> {
        let row = |stage: &Stage| StageRow {
            name: stage.name.clone(),
            layer: stage.layer.clone(),
            module: stage.module.clone(),
            words_per_frame: stage.words_per_frame,
            depth: stage.depth(),
        };
        self.stages.iter().map(row).collect()
    }

    /// The same fault with the ends called as the top's ports are.
    pub(super) fn name_ends(&self, mut fault: RunError) -> RunError {
        let RunError::Deadlock { waits, .. } = &mut fault else { return fault };
        let ports = self.output_ports();
        for wait in waits {
            let source = wait.from.strip_prefix("source ").and_then(|number| number.parse::<usize>().ok());
            if let Some(number) = source {
                wait.from = input_prefix(number, self.inputs.len());
            }
            let sink = wait.to.strip_prefix("sink ").and_then(|number| number.parse::<usize>().ok());
            if let Some(port) = sink.and_then(|number| ports.get(number)) {
                wait.to = port.prefix.clone();
            }
        }
        fault
    }
}

impl Stage {
    /// Words that a FIFO holds.
    fn depth(&self) -> Option<u32> {
        match &self.twin {
            Twin::Fifo(fifo) => Some(fifo.depth()),
            _ => None,
        }
    }
}
