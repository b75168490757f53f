//! A layer made ready for evaluation: its operator, its working space, its integers.

use crate::argmax::Argmax;
use crate::elementwise::{Moves, Sums};
use crate::kernel::Instructions;
use crate::max_pool::MaxPool;
use crate::product::{Product, Staging};
use crate::requantize::Requantizer;
use crate::trace::EvaluateError;
use network::graph::Layer;
use network::op::Op;
use network::{Network, Range};

/// The integers of a tensor, in the narrower of two types that holds its range.
#[derive(Clone, Debug)]
pub(crate) enum Integers {
    /// Codes, and sums that fit.
    Narrow(Vec<i32>),
    /// Sums beyond 32 bits.
    Wide(Vec<i64>),
}

impl Integers {
    /// Zeros for a tensor of `elements` integers in `range`.
    pub(crate) fn new(range: Range, elements: usize) -> Self {
        if fits_32_bits(range) { Integers::Narrow(vec![0; elements]) } else { Integers::Wide(vec![0; elements]) }
    }

    /// All integers in 64 bits.
    pub(crate) fn to_vec(&self) -> Vec<i64> {
        match self {
            Integers::Narrow(integers) => integers.iter().copied().map(i64::from).collect(),
            Integers::Wide(integers) => integers.clone(),
        }
    }

    /// Puts one integer in place; it lies in the tensor's range.
    pub(crate) fn set(&mut self, element: usize, integer: i64) {
        match self {
            Integers::Narrow(integers) => integers[element] = integer as i32,
            Integers::Wide(integers) => integers[element] = integer,
        }
    }
}

/// Whether sums of a range can be kept (and turned round) in 32 bits.
pub(crate) fn fits_32_bits(range: Range) -> bool {
    range.min() > i64::from(i32::MIN) && range.max() <= i64::from(i32::MAX)
}

/// A layer made ready.
pub(crate) struct PreparedLayer {
    /// Indices of the tensors it reads.
    pub(crate) sources: Vec<usize>,
    work: Work,
}

enum Work {
    Product(Box<Product>),
    MaxPool(MaxPool),
    Argmax(Argmax),
    Sums(Box<SumWork>),
    Moves(Moves),
}

/// Working space of one layer for one frame at a time.
#[derive(Debug)]
pub(crate) enum Space {
    Staging(Staging),
    Row(Vec<i32>),
    Sums(Vec<i64>),
    None,
}

/// Sums made one by one, and what becomes of them.
struct SumWork {
    sums: Sums,
    requantizer: Option<Requantizer>,
    narrow_sums: bool,
}

impl PreparedLayer {
    /// Prepares the layer at `index`.
    pub(crate) fn new(
        network: &Network,
        index: usize,
        layer: &Layer,
        instructions: Instructions,
    ) -> Result<Self, EvaluateError> {
        let (input, output) = (network.layer_input(layer), network.layer_output(index));
        let too_large = |elements| EvaluateError::TooLarge { layer: layer.name.clone(), elements };
        let channels = output.shape.channels as usize;
        let sums = network.sums(index).map_or(Range::new(0, 0), |sums| sums.all);
        let requantizer = layer.requantization.as_ref().map(|r| Requantizer::new(r, channels, sums));
        let inputs: Vec<_> = network.layer_inputs(layer).collect();
        let work = match &layer.op {
            Op::Dense { .. } | Op::Conv2d { groups: 1, .. } => {
                let product = Product::new(&layer.op, input, output.shape, sums, requantizer, instructions);
                Work::Product(Box::new(product.map_err(too_large)?))
            }
            Op::MaxPool { window } => {
                Work::MaxPool(MaxPool::new(window, input.shape, output.shape, input.encoding.integers().min()))
            }
            Op::Argmax { multipliers, offsets } => Work::Argmax(Argmax::new(multipliers, offsets, input.encoding)),
            Op::Concat => {
                Work::Moves(Moves::Concat { channels: inputs.iter().map(|t| t.shape.channels as usize).collect() })
            }
            Op::Rearrange(rearrangement) => Work::Moves(Moves::Rearrange(rearrangement.clone())),
            Op::Conv2d { .. } | Op::SumPool { .. } | Op::Add { .. } | Op::Multiply | Op::Identity => {
                Work::Sums(Box::new(SumWork {
                    sums: Sums::new(&layer.op, &inputs, output.shape).ok_or_else(|| too_large(0))?,
                    requantizer,
                    narrow_sums: fits_32_bits(sums),
                }))
            }
        };
        Ok(PreparedLayer { sources: layer.inputs.iter().map(|id| id.0).collect(), work })
    }

    /// Working space for this layer.
    pub(crate) fn space(&self) -> Space {
        match &self.work {
            Work::Product(product) => Space::Staging(product.staging()),
            Work::MaxPool(_) => Space::Row(Vec::new()),
            Work::Sums(_) => Space::Sums(Vec::new()),
            Work::Argmax(_) | Work::Moves(_) => Space::None,
        }
    }

    /// The argmax, where the layer is one.
    pub(crate) fn argmax(&self) -> Option<&Argmax> {
        match &self.work {
            Work::Argmax(argmax) => Some(argmax),
            Work::Product(_) | Work::MaxPool(_) | Work::Sums(_) | Work::Moves(_) => None,
        }
    }

    /// Evaluates the layer; its exact sums go to `keep` where that is given and the layer makes sums.
    pub(crate) fn run(
        &self,
        instructions: Instructions,
        inputs: &[&Integers],
        space: &mut Space,
        output: &mut Integers,
        keep: Option<&mut Vec<i64>>,
    ) {
        let Some(&input) = inputs.first() else { return };
        match (&self.work, input, output, space) {
            (Work::Product(product), Integers::Narrow(input), output, Space::Staging(staging)) => {
                product.run(instructions, input, staging, output, keep);
            }
            (Work::MaxPool(pool), Integers::Narrow(input), Integers::Narrow(output), Space::Row(row)) => {
                pool.narrow(instructions, input, row, output);
            }
            (Work::MaxPool(pool), Integers::Wide(input), Integers::Wide(output), _) => pool.wide(input, output),
            (Work::Argmax(argmax), Integers::Narrow(input), Integers::Narrow(output), _) => {
                output[0] = argmax.index(input);
            }
            (Work::Argmax(argmax), Integers::Wide(input), Integers::Narrow(output), _) => {
                output[0] = argmax.index(input);
            }
            (Work::Moves(moves), _, output, _) => moves.run(inputs, output),
            (Work::Sums(work), _, output, Space::Sums(sums)) => {
                work.sums.run(inputs, sums);
                if let Some(keep) = keep {
                    keep.extend_from_slice(sums);
                }
                finish(instructions, work.requantizer.as_ref(), work.narrow_sums, sums, output);
            }
            // A product reads codes, which are narrow; pooling keeps the type; argmax gives a code.
            (Work::Product(_) | Work::MaxPool(_) | Work::Argmax(_) | Work::Sums(_), ..) => {}
        }
    }
}

/// Sums become the integers that leave.
fn finish(
    instructions: Instructions,
    requantizer: Option<&Requantizer>,
    narrow_sums: bool,
    sums: &[i64],
    output: &mut Integers,
) {
    match (output, requantizer) {
        (Integers::Narrow(output), Some(requantizer)) if !narrow_sums => requantizer.wide(sums, output),
        (Integers::Narrow(output), requantizer) => {
            for (to, &sum) in output.iter_mut().zip(sums) {
                *to = sum as i32;
            }
            if let Some(requantizer) = requantizer {
                requantizer.narrow(instructions, output);
            }
        }
        (Integers::Wide(output), _) => output.copy_from_slice(sums),
    }
}
