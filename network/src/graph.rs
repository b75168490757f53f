//! The typed integer network: what golden model and generator take.
//!
//! A [`Network`] can only be made by [`Network::build`], which checks that shapes and formats fit, that weights fit
//! their declared formats and that no sum can overflow. Later stages never check again.

pub(crate) mod check;
mod input;

pub use input::InputQuantizer;

use crate::diagnostic::{At, Diagnostics, Place};
use crate::format::Format;
use crate::modes::{Mode, OutputMeaning};
use crate::op::Op;
use crate::range::Range;
use crate::requantization::Requantization;
use crate::shape::{AxisOrder, Shape};

/// Index of a tensor: first the network's inputs, then one for each layer. Layer `i` of a network with `n` inputs makes
/// tensor `n + i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(pub usize);

/// A tensor on the way through the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Shape in hardware order.
    pub shape: Shape,
    /// What its integers are.
    pub encoding: Encoding,
}

/// What the integers of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Codes of a format, inside a range of codes.
    Codes {
        /// The format.
        format: Format,
        /// Codes that can occur.
        range: Range,
    },
    /// Exact sums.
    Sums {
        /// Sums that can occur in any channel.
        range: Range,
    },
}

impl Encoding {
    /// Range of the integers themselves (codes or sums).
    pub fn integers(self) -> Range {
        match self {
            Encoding::Codes { range, .. } | Encoding::Sums { range } => range,
        }
    }

    /// Range of the values they mean.
    pub fn values(self) -> Range {
        match self {
            Encoding::Codes { format, range } => Range::new(format.value(range.min()), format.value(range.max())),
            Encoding::Sums { range } => range,
        }
    }

    /// The value of one integer of the tensor.
    pub fn value(self, integer: i64) -> i64 {
        match self {
            Encoding::Codes { format, .. } => format.value(integer),
            Encoding::Sums { .. } => integer,
        }
    }

    /// Width of an element on wires.
    pub fn bits(self) -> u32 {
        match self {
            Encoding::Codes { format, .. } => format.bits(),
            Encoding::Sums { range } => range.bits(),
        }
    }

    /// Whether an element on wires is two's complement.
    pub fn is_signed(self) -> bool {
        match self {
            Encoding::Codes { format, .. } => format.code_is_signed(),
            Encoding::Sums { range } => range.is_signed(),
        }
    }

    /// The encoding as tables show it.
    pub fn label(self) -> String {
        match self {
            Encoding::Codes { format, .. } => format.to_string(),
            Encoding::Sums { range } => format!("sum{}", range.bits()),
        }
    }
}

/// One of the network's inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The name that the model gave it; the default name of the array that holds frames.
    pub name: String,
    /// Shape in hardware order.
    pub shape: Shape,
    /// Format of the codes that enter.
    pub format: Format,
    /// How users order the axes of a frame.
    pub axes: AxisOrder,
    /// How float frames become codes; absent where only codes are taken.
    pub quantizer: Option<InputQuantizer>,
}

impl Input {
    /// The tensor that enters.
    pub fn tensor(&self) -> Tensor {
        let range = self.quantizer.map_or(self.format.code_range(), |q| crate::Range::new(q.code_min, q.code_max));
        Tensor { shape: self.shape, encoding: Encoding::Codes { format: self.format, range } }
    }
}

/// What a tensor that leaves the network means to the user.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The tensor that leaves.
    pub tensor: TensorId,
    /// The name that the model gave it.
    pub name: String,
    /// How users order the axes of a result.
    pub axes: AxisOrder,
    /// real = scale * integer + offset, one scale for each channel or one for all.
    pub scales: Vec<f64>,
    /// One offset for each channel or one for all.
    pub offsets: Vec<f64>,
    /// For each mode what is different from scales and offsets above; missing entries are not different.
    pub modes: Vec<Option<OutputMeaning>>,
    /// A step that stays on the host.
    pub host: HostStep,
}

/// An element-wise end of a model that stays on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HostStep {
    /// Nothing.
    #[default]
    None,
    /// Negative results become zero.
    Relu,
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// exp(x) normalised over the channels of a position.
    Softmax,
}

/// One layer with all its constants.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Unique name.
    pub name: String,
    /// Where the plan describes it.
    pub place: Place,
    /// The tensors it reads, as many as its operator takes.
    pub inputs: Vec<TensorId>,
    /// Operator with its weights.
    pub op: Op,
    /// How sums become codes; absent where sums (or the operator's own codes) leave.
    pub requantization: Option<Requantization>,
    /// What it reads in each mode of the network, as many as the network has modes; none where it always reads all.
    pub modes: Vec<Mode>,
    /// What the plan asks of the hardware.
    pub hardware: HardwareRequest,
}

impl Layer {
    /// The first tensor it reads.
    pub fn input(&self) -> TensorId {
        self.inputs.first().copied().unwrap_or(TensorId(0))
    }
}

/// The plan's wishes for one layer's hardware; what is absent is chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HardwareRequest {
    /// PE kind.
    pub kind: Option<At<PeKind>>,
    /// What becomes of coded weights.
    pub form: Option<At<PeForm>>,
    /// Output channels computed at once.
    pub pe: Option<At<u64>>,
    /// Input elements taken at once.
    pub simd: Option<At<u64>>,
    /// Where products are made.
    pub multiplier: Option<At<Multiplier>>,
    /// Where weights lie.
    pub memory: Option<At<Memory>>,
    /// Which unit requantizes.
    pub requantize: Option<At<RequantizeUnit>>,
    /// How a sliding window gives out its taps.
    pub window: Option<At<WindowForm>>,
    /// Words of the FIFO in front of each input of a join.
    pub fifo: Option<At<Vec<u64>>>,
}

/// How a sliding window gives out its taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowForm {
    /// One tap after the other, so many channels of it at once; divides the channels.
    Serial(u64),
    /// A whole window at once.
    Parallel,
}

/// A kind of processing element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeKind {
    /// Integer products of any widths, summed in one bit heap or in DSP blocks.
    Mac,
    /// M·K binary branches by xnor and bit count.
    Xnor,
    /// A PE for each channel of a depthwise convolution, with products of any formats.
    Depthwise,
    /// Piecewise weights behind a memory of region tags and codes.
    Piecewise,
    /// Wavelet weights behind a memory of sub-band codes.
    Wavelet,
    /// Bit planes one after the other, most significant first, over one popcount; as many as the mode reads.
    Serial,
}

impl PeKind {
    /// The word in plans and tables.
    pub fn name(self) -> &'static str {
        match self {
            PeKind::Mac => "mac",
            PeKind::Xnor => "xnor",
            PeKind::Depthwise => "depthwise",
            PeKind::Piecewise => "piecewise",
            PeKind::Wavelet => "wavelet",
            PeKind::Serial => "serial",
        }
    }
}

/// What becomes of coded weights behind their memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeForm {
    /// They become integers in front of an ordinary PE.
    Decompress,
    /// One accumulator for each region, scaled and added at the end.
    Accumulators,
    /// Sums and differences of activations meet sub-band codes: four narrow products serve two output channels.
    Products,
}

impl PeForm {
    /// The word in plans.
    pub fn name(self) -> &'static str {
        match self {
            PeForm::Decompress => "decompress",
            PeForm::Accumulators => "accumulators",
            PeForm::Products => "products",
        }
    }
}

/// Where products are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multiplier {
    /// In look-up tables.
    Lut,
    /// In DSP blocks.
    Dsp,
}

/// Where a memory lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// In look-up tables.
    Lut,
    /// In block RAM.
    Block,
}

/// Which unit requantizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequantizeUnit {
    /// A pipelined search among thresholds.
    Thresholds,
    /// Multiply, add, shift.
    Rescale,
}

/// All parts of a network, unchecked.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkParts {
    /// The plan's name.
    pub name: String,
    /// The inputs, at least one; a frame is a tensor of each.
    pub inputs: Vec<Input>,
    /// The layers in order; a layer reads only earlier tensors.
    pub layers: Vec<Layer>,
    /// The outputs, at least one.
    pub outputs: Vec<Output>,
}

/// A checked network: ordered, every tensor with shape and exact range, no overflow possible.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    parts: NetworkParts,
    tensors: Vec<Tensor>,
    sums: Vec<Option<SumRanges>>,
}

/// Exact ranges of a layer's sums before requantization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumRanges {
    /// One range for each output channel.
    pub channels: Vec<Range>,
    /// The smallest range that holds them all.
    pub all: Range,
}

impl SumRanges {
    /// The ranges that hold both, channel by channel.
    fn union(&self, other: &SumRanges) -> SumRanges {
        let channels = self.channels.iter().zip(&other.channels).map(|(a, b)| a.union(*b)).collect();
        SumRanges { channels, all: self.all.union(other.all) }
    }
}

impl Network {
    /// Checks all parts and derives shapes and ranges; reports every fault found.
    pub fn build(parts: NetworkParts) -> Result<Network, Diagnostics> {
        check::check(parts)
    }

    /// The plan's name.
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// The inputs, at least one, in the model's order.
    pub fn inputs(&self) -> &[Input] {
        &self.parts.inputs
    }

    /// Tensors of the inputs alone, in their order.
    pub fn input_tensors(&self) -> &[Tensor] {
        &self.tensors[..self.parts.inputs.len()]
    }

    /// Elements of all inputs: a frame holds their codes one input after the other.
    pub fn frame_elements(&self) -> u64 {
        self.input_tensors().iter().map(|tensor| tensor.shape.elements()).sum()
    }

    /// The tensor that the layer at `index` makes.
    pub fn layer_tensor(&self, index: usize) -> TensorId {
        TensorId(self.parts.inputs.len() + index)
    }

    /// The layer that makes a tensor, by index; none for an input.
    pub fn maker(&self, tensor: TensorId) -> Option<usize> {
        tensor.0.checked_sub(self.parts.inputs.len())
    }

    /// The outputs, at least one, in the model's order.
    pub fn outputs(&self) -> &[Output] {
        &self.parts.outputs
    }

    /// The layers in order.
    pub fn layers(&self) -> &[Layer] {
        &self.parts.layers
    }

    /// All tensors: the inputs, then one for each layer.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The first tensor that a layer reads.
    pub fn layer_input(&self, layer: &Layer) -> &Tensor {
        &self.tensors[layer.input().0]
    }

    /// All tensors that a layer reads.
    pub fn layer_inputs<'a>(&'a self, layer: &'a Layer) -> impl Iterator<Item = &'a Tensor> {
        layer.inputs.iter().map(|id| &self.tensors[id.0])
    }

    /// The tensor that the layer at `index` makes.
    pub fn layer_output(&self, index: usize) -> &Tensor {
        &self.tensors[self.layer_tensor(index).0]
    }

    /// The tensor that leaves at an output.
    pub fn output_tensor(&self, output: &Output) -> &Tensor {
        &self.tensors[output.tensor.0]
    }

    /// Layers that read a tensor, once for each time they do, by index.
    pub fn readers(&self, tensor: TensorId) -> impl Iterator<Item = usize> {
        let reads = move |(index, layer): (usize, &Layer)| {
            std::iter::repeat_n(index, layer.inputs.iter().filter(|&&id| id == tensor).count())
        };
        self.parts.layers.iter().enumerate().flat_map(reads)
    }

    /// Exact ranges of the sums of the layer at `index`, where it makes sums.
    pub fn sums(&self, index: usize) -> Option<&SumRanges> {
        self.sums.get(index).and_then(Option::as_ref)
    }

    /// The same in one mode.
    pub fn mode_sums(&self, index: usize, mode: usize) -> Option<SumRanges> {
        let layer = self.parts.layers.get(index)?;
        let Some(mode) = layer.modes.get(mode) else { return self.sums(index).cloned() };
        let (truncated, input) = check::in_mode(layer, self.layer_input(layer), mode.planes)?;
        check::shape_and_sums(&truncated, &[&input]).ok()?.1
    }

    /// The unchecked parts, for example to change hardware wishes and build again.
    pub fn into_parts(self) -> NetworkParts {
        self.parts
    }
}
