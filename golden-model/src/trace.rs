//! What an evaluation gives: all integers of one frame, or the reason why there are none.

use network::Network;
use network::range::Range;

/// All integers of one frame, every tensor in hardware order (rows, columns, channels).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The codes of each input.
    pub inputs: Vec<Vec<i64>>,
    /// One entry for each layer of the network.
    pub layers: Vec<LayerTrace>,
    /// The mode it was evaluated in.
    pub mode: usize,
}

/// The integers of one layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerTrace {
    /// Exact sums before requantization; absent for max pooling and argmax, which make none.
    pub sums: Option<Vec<i64>>,
    /// What the layer sends on: codes, or sums where it has no requantization.
    pub output: Vec<i64>,
}

impl Trace {
    /// The tensor at `index`: first the inputs, then one for each layer.
    pub fn tensor(&self, index: usize) -> Option<&[i64]> {
        match index.checked_sub(self.inputs.len()) {
            None => self.inputs.get(index).map(Vec::as_slice),
            Some(layer) => self.layers.get(layer).map(|layer| layer.output.as_slice()),
        }
    }

    /// The tensor of the last layer.
    pub fn last(&self) -> &[i64] {
        self.layers.last().map_or(&[], |layer| layer.output.as_slice())
    }

    /// The codes of all inputs, one input after the other.
    pub fn frame(&self) -> Vec<i64> {
        self.inputs.concat()
    }

    /// The output tensors of the network, one after the other.
    pub fn outputs(&self, network: &Network) -> Vec<i64> {
        let tensors = network.outputs().iter().filter_map(|output| self.tensor(output.tensor.0));
        tensors.flatten().copied().collect()
    }
}

/// Most elements of all tensors together, and of one padded copy: a bound on memory, some gigabytes for a trace.
pub const MAX_ELEMENTS: u64 = 1 << 27;

/// Why a frame was not evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// The frame has the wrong number of codes.
    #[error("a frame has {found} codes, the network takes {expected}")]
    InputLength {
        /// What the network takes.
        expected: u64,
        /// What was given.
        found: u64,
    },
    /// A code that the input's format (or its quantizer) does not have.
    #[error("input code {code} at element {element} (rows, columns, channels) lies outside {range}")]
    InputCode {
        /// Index in hardware order.
        element: usize,
        /// The code.
        code: i64,
        /// Legal codes.
        range: Range,
    },
    /// Tensors that would need too much memory.
    #[error("up to layer `{layer}` tensors have {elements} elements; at most {MAX_ELEMENTS} are evaluated")]
    TooLarge {
        /// Name of the layer, or `input`.
        layer: String,
        /// Elements of all tensors up to here, or of this layer's padded input.
        elements: u64,
    },
    /// A flip that names no element, or a code that the layer cannot send.
    #[error("no code {code} at element {element} of layer {layer}")]
    Flip {
        /// Index of the layer.
        layer: usize,
        /// Index of the element in hardware order.
        element: usize,
        /// The code that was to be put there.
        code: i64,
    },
}
