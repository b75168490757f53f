//! `manifest.json`: what an emitted design is and how to drive and observe it.
//!
//! Written by the generator, read by the simulator and by a user's scripts; the simulator knows nothing else of a
//! design. Paths are relative to the folder of the manifest and use `/`.

use crate::requantization::per_channel;
use serde::{Deserialize, Serialize};

/// The version this build writes and reads.
pub const MANIFEST_VERSION: u32 = 3;

/// One emitted design.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this document, [`MANIFEST_VERSION`].
    pub hwgen: u32,
    /// The plan's name.
    pub name: String,
    /// SHA-256 of the plan document and its arrays, in hex.
    pub plan_sha256: String,
    /// Name of the top module.
    pub top: String,
    /// Verilog files, in an order that reads without forward references.
    pub sources: Vec<String>,
    /// Memory images that the sources read with `$readmemh`.
    pub memories: Vec<String>,
    /// The AXI4-Stream inputs, in the network's order; at least one.
    pub inputs: Vec<InputPort>,
    /// The AXI4-Stream outputs, in the network's order; at least one.
    pub outputs: Vec<OutputPort>,
    /// Every stream between two modules, from input to output.
    pub edges: Vec<Edge>,
    /// Modes of run-time precision, where there are several: an AXI4-Lite slave `s_axil_*` of 4 address bits whose
    /// register at 0 chooses one for frames to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modes: Option<u32>,
    /// What was predicted for runs without stalls, in mode 0.
    pub timing: Timing,
    /// One row for each layer, as shown to people.
    pub layers: Vec<LayerRow>,
}

/// One AXI4-Stream port of the top.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamPort {
    /// How elements are packed into words; element 0 is in the lowest bits.
    pub word: Word,
    /// Width of `tdata`: the word padded to whole bytes.
    pub tdata_bits: u32,
    /// Words in one frame; `tlast` marks the last.
    pub words_per_frame: u64,
}

/// One AXI4-Stream input of the top.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputPort {
    /// The model's name for the input.
    pub name: String,
    /// What the names of its ports begin with: `s_axis` where there is one input, else `s0_axis`, `s1_axis`, ...
    pub prefix: String,
    /// Packing.
    pub port: StreamPort,
}

/// The prefix of input `index` of `count`.
pub fn input_prefix(index: usize, count: usize) -> String {
    if count == 1 { "s_axis".to_owned() } else { format!("s{index}_axis") }
}

/// One AXI4-Stream output of the top.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputPort {
    /// The model's name for the output.
    pub name: String,
    /// What the names of its ports begin with: `m_axis` where there is one output, else `m0_axis`, `m1_axis`, ...
    pub prefix: String,
    /// Packing.
    pub port: StreamPort,
    /// What the elements mean.
    pub content: EdgeContent,
}

/// The prefix of output `index` of `count`.
pub fn output_prefix(index: usize, count: usize) -> String {
    if count == 1 { "m_axis".to_owned() } else { format!("m{index}_axis") }
}

/// How the elements of a stream are packed into one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// Elements in one word.
    pub lanes: u32,
    /// Bits of one element.
    pub lane_bits: u32,
    /// Whether an element is two's complement.
    pub signed: bool,
}

impl Word {
    /// Bits of one word.
    pub fn bits(&self) -> u32 {
        self.lanes * self.lane_bits
    }
}

/// A stream inside the design that the simulator observes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// Unique name: the producing instance, for example `conv1.window`.
    pub name: String,
    /// The plan's layer that the producer belongs to.
    pub layer: String,
    /// Name of the module whose nets carry the stream.
    pub module: String,
    /// Instance path below the top, for example `u_conv1`; empty when the nets are the top's own.
    pub path: Vec<String>,
    /// Net that is high when a word is offered.
    pub valid: String,
    /// Net that is high when a word is taken; absent where a word is taken whenever it is offered.
    pub ready: Option<String>,
    /// Net that carries the word.
    pub data: String,
    /// Packing of the word.
    pub word: Word,
    /// Words in one frame.
    pub words_per_frame: u64,
    /// What the elements mean.
    pub content: EdgeContent,
}

/// What a stream carries, in terms of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeContent {
    /// Which integers of the network.
    pub tensor: EdgeTensor,
    /// In which order the elements travel.
    pub order: EdgeOrder,
    /// Raw element on the wires = (scale * integer - offset) / gain; scale and gain are 1 and offset 0 for codes.
    pub gain: i64,
    /// One scale per channel, or a single one for all channels.
    #[serde(default = "unit_scale", skip_serializing_if = "is_unit_scale")]
    pub scale: Vec<i64>,
    /// One offset per channel, or a single one for all channels.
    pub offset: Vec<i64>,
    /// Gain and offset in each mode, where they differ between modes; else nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<ModeContent>,
}

/// What raw elements mean in one mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeContent {
    /// As [`EdgeContent::gain`].
    pub gain: i64,
    /// As [`EdgeContent::offset`].
    pub offset: Vec<i64>,
}

fn unit_scale() -> Vec<i64> {
    vec![1]
}

fn is_unit_scale(scale: &[i64]) -> bool {
    scale == [1]
}

impl EdgeContent {
    /// The integers of a tensor themselves, row by row.
    pub fn plain(tensor: EdgeTensor) -> Self {
        EdgeContent {
            tensor,
            order: EdgeOrder::Raster,
            gain: 1,
            scale: unit_scale(),
            offset: vec![0],
            modes: Vec::new(),
        }
    }

    /// Gain and offsets in a mode.
    pub fn meaning(&self, mode: usize) -> (i64, &[i64]) {
        self.modes.get(mode).map_or((self.gain, &self.offset), |mode| (mode.gain, &mode.offset))
    }

    /// The raw element that stands for an integer of a channel, or `None` where the integer is on no raw element.
    pub fn raw(&self, channel: usize, integer: i64) -> Option<i64> {
        let scale = per_channel(&self.scale, channel)?;
        let offset = per_channel(&self.offset, channel)?;
        let scaled = integer.checked_mul(scale)?.checked_sub(offset)?;
        (self.gain > 0 && scaled % self.gain == 0).then(|| scaled / self.gain)
    }
}

/// Integers of the network that a stream carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeTensor {
    /// The codes of the network's input with this number.
    Input(usize),
    /// The codes (or, without requantization, the integers) that the named layer sends on.
    Output(String),
    /// The exact sums of the named layer before its requantization.
    Accumulator(String),
    /// The mode of the frame.
    Mode,
}

/// The order in which elements of a tensor travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeOrder {
    /// Row by row, channels last.
    Raster,
    /// Sliding windows: for each output position, row by row, the taps row by row, channels last.
    /// With `channel_groups` > 1 the groups of channels are the outer loop within a position.
    Windows {
        /// Rows and columns of output positions.
        positions: [u64; 2],
        /// Kernel rows and columns.
        kernel: [u64; 2],
        /// Step between positions, rows and columns.
        stride: [u64; 2],
        /// Step between taps, rows and columns.
        dilation: [u64; 2],
        /// Padding above and to the left.
        padding_before: [u64; 2],
        /// Raw element that stands for a padded tap.
        padding_code: i64,
        /// Groups into which channels are cut for the outer loop.
        channel_groups: u64,
    },
}

/// Predicted timing of the design when neither end stalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Clock edges from the first accepted input word to the last accepted output word of one frame, both included.
    pub first_frame_cycles: u64,
    /// Distance between the ends of consecutive frames once the pipeline is full.
    pub initiation_interval_cycles: u64,
}

/// One row of the layer table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRow {
    /// The plan's layer.
    pub name: String,
    /// Operator, for example `conv2d`.
    pub op: String,
    /// Output shape: rows, columns, channels.
    pub shape: [u64; 3],
    /// Format of what enters.
    pub input: String,
    /// Format of the weights, where there are any.
    pub weight: Option<String>,
    /// Format of what leaves.
    pub output: String,
    /// PE kind, where there is one.
    pub kind: Option<String>,
    /// Output channels computed at once.
    pub pe: u64,
    /// Input elements taken at once.
    pub simd: u64,
    /// Hardware form of the requantization, where there is one.
    pub requantize: Option<String>,
    /// Cycles that one frame occupies the layer.
    pub cycles: u64,
    /// Weight bits stored.
    pub weight_bits: u64,
}
