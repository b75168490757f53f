//! `plan.yaml`, version 1: what a network computes and which hardware each layer asks for.
//!
//! [`Plan::parse`] reads the text and reports every fault of it with line and column; [`Plan::build`] joins it with
//! its arrays (or with weights from a seed) to the typed [`Network`](crate::Network); [`write`] writes a network down as
//! a plan and its arrays. `docs/plan.md` is the reference. Files are opened elsewhere.

mod build;
mod fields;
mod node;
mod read;
mod read_hardware;
mod read_layer;
mod read_weight;
mod write;

pub use write::{WriteOptions, Written, write};

use crate::average::Counted;
use crate::coding::WeightFormat;
use crate::diagnostic::{At, Diagnostics, Place};
use crate::format::Format;
use crate::graph::{HardwareRequest, HostStep};
use crate::modes::Planes;
use crate::op::{Rearrangement, TopGives};
use crate::range::Range;
use crate::shape::{AxisOrder, Shape, Window};

/// The version of the document that this build reads and writes.
pub const PLAN_VERSION: u32 = 1;

/// Most weights that a plan may take from a seed.
pub const MAX_RANDOM_WEIGHTS: u64 = 1 << 27;

/// A plan whose keys, words and ranges are right and whose names resolve.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// File name as the user gave it; every place names it.
    pub file: String,
    /// Name of the plan and of the design.
    pub name: String,
    /// The model it was made from.
    pub model: Option<Provenance>,
    /// Where weights and other constants come from.
    pub constants: Constants,
    /// What the hardware is for.
    pub target: Target,
    /// The inputs, at least one.
    pub inputs: Vec<InputPlan>,
    /// The layers, in order.
    pub layers: Vec<LayerPlan>,
    /// The outputs, at least one.
    pub outputs: Vec<OutputPlan>,
}

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// Every fault of the text, each with line and column and `file_name`. Text that is no YAML gives a single
    /// `PlanSyntax`, another version a single `PlanVersion`.
    pub fn parse(text: &str, file_name: &str) -> Result<Plan, Diagnostics> {
        read::plan(text, file_name)
    }
}

/// Where a plan's model came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// File name of the model.
    pub file: String,
    /// SHA-256 of the model file, 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
}

/// Where the constants of a plan come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Constants {
    /// A sidecar file.
    Arrays {
        /// Its name, relative to the plan.
        file: At<String>,
        /// Its SHA-256, 64 lower-case hexadecimal digits.
        sha256: At<String>,
    },
    /// Pseudo-random numbers ([`crate::random`]).
    Random {
        /// The seed.
        seed: At<u64>,
        /// Whether plain weights are the least, the greatest or none alone.
        extreme: bool,
    },
}

/// What the hardware is for; what is absent is chosen or not limited.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// Device or part.
    pub device: Option<At<String>>,
    /// Clock in MHz; positive.
    pub clock_mhz: Option<At<f64>>,
    /// Wanted frames per second; positive.
    pub fps: Option<At<f64>>,
    /// Resources that may be used.
    pub budget: Budget,
}

/// Resources that a design may use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Budget {
    /// Look-up tables.
    pub lut: Option<At<u64>>,
    /// Flip-flops.
    pub ff: Option<At<u64>>,
    /// DSP blocks.
    pub dsp: Option<At<u64>>,
    /// Block RAMs of 36 Kibit.
    pub bram36: Option<At<u64>>,
}

/// An input as a plan states it.
#[derive(Clone, Debug, PartialEq)]
pub struct InputPlan {
    /// Name of the model's input.
    pub name: String,
    /// Shape in hardware order.
    pub shape: Shape,
    /// Format of the codes.
    pub format: Format,
    /// How users order the axes of a frame.
    pub axes: AxisOrder,
    /// How float frames become codes.
    pub quantizer: Option<crate::graph::InputQuantizer>,
    /// Where the plan describes it.
    pub place: Place,
}

/// A layer as a plan states it.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerPlan {
    /// Unique name.
    pub name: String,
    /// Where the plan describes it.
    pub place: Place,
    /// What it reads: tensors, first the network's inputs, then one for each layer.
    pub inputs: Vec<usize>,
    /// The operator without its arrays.
    pub op: OpPlan,
    /// Format and range of the codes that leave; absent where sums (or the operator's own codes) leave.
    pub output: Option<CodesPlan>,
    /// Planes read in each mode; none where there are no modes.
    pub modes: Vec<Planes>,
    /// What the plan asks of the hardware.
    pub hardware: HardwareRequest,
}

/// Codes that leave a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodesPlan {
    /// Format of the codes.
    pub format: Format,
    /// Range that codes are clamped to.
    pub range: Range,
}

/// An operator without its arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpPlan {
    /// Dot products over the whole input.
    Dense {
        /// Outputs.
        outputs: At<u64>,
        /// Format of the weights.
        weight: WeightFormat,
    },
    /// Dot products over windows.
    Conv2d {
        /// Output channels.
        outputs: At<u64>,
        /// Format of the weights.
        weight: WeightFormat,
        /// Kernel, stride, dilation, padding.
        window: Window,
        /// Value of a padded tap.
        padding_value: i64,
        /// Groups of channels.
        groups: u64,
    },
    /// Sums over windows.
    SumPool {
        /// Kernel, stride, dilation, padding.
        window: Window,
        /// Value of a padded tap.
        padding_value: i64,
        /// Which taps count, where some do not.
        counted: Option<Counted>,
    },
    /// Greatest code over windows.
    MaxPool {
        /// Kernel, stride, dilation, padding.
        window: Window,
    },
    /// Requantization alone.
    Requantize,
    /// Element-wise weighted sums.
    Add,
    /// Element-wise products.
    Multiply,
    /// Channels side by side.
    Concat,
    /// Elements in another order.
    Rearrange(Rearrangement),
    /// Index of the greatest channel.
    Argmax,
    /// The greatest channels.
    TopK {
        /// How many.
        count: u64,
        /// What leaves of each.
        gives: TopGives,
    },
}

/// The output as a plan states it.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputPlan {
    /// The tensor that leaves: first the network's inputs, then one for each layer.
    pub tensor: usize,
    /// First part of the names of its arrays in the sidecar file.
    pub arrays: String,
    /// Name of the model's output.
    pub name: String,
    /// How users order the axes of a result.
    pub axes: AxisOrder,
    /// A step that stays on the host.
    pub host: HostStep,
    /// Real step of one integer, where it is one for all channels and stands in the plan.
    pub scale: Option<At<f64>>,
    /// Real value of the integer 0, where it is one for all channels and stands in the plan.
    pub offset: Option<At<f64>>,
    /// Where the plan describes it.
    pub place: Place,
}
