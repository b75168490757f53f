//! A layer made ready for evaluation: its operator and what becomes of its sums.

use crate::elementwise::Sums;
use crate::greatest::Greatest;
use crate::kernel::Instructions;
use crate::max_pool::MaxPool;
use crate::moves::Moves;
use crate::product::{Planes, Product};
use crate::requantize::Requantizer;
use crate::tasks::Tasks;
use crate::tensor::{Source, Target};
use crate::trace::EvaluateError;
use network::graph::{Layer, Tensor};
use network::op::{Op, TopGives};
use network::{Network, Range};

/// A layer made ready.
pub(crate) struct PreparedLayer {
    /// Indices of the tensors it reads.
    pub(crate) sources: Vec<usize>,
    work: Work,
}

enum Work {
    Product(Box<Product>),
    MaxPool(MaxPool),
    Greatest(Greatest),
    Sums(Box<Sums>),
    Moves(Moves),
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
        let requantizer = match &layer.requantization {
            Some(form) => Some(Requantizer::new(form, channels, sums).ok_or_else(|| too_large(0))?),
            None => None,
        };
        let inputs: Vec<_> = network.layer_inputs(layer).collect();
        let work = match &layer.op {
            Op::Dense { .. } | Op::Conv2d { .. } => {
                let product = Product::new(&layer.op, input, output.shape, sums, requantizer, instructions);
                Work::Product(Box::new(product.map_err(too_large)?))
            }
            Op::MaxPool { window } => {
                Work::MaxPool(MaxPool::new(window, input.shape, output.shape, input.encoding.integers().min()))
            }
            Op::Argmax { multipliers, offsets } => greatest(input, (1, TopGives::Indices), multipliers, offsets),
            Op::TopK { count, gives, multipliers, offsets } => {
                greatest(input, (*count as usize, *gives), multipliers, offsets)
            }
            Op::Concat => {
                Work::Moves(Moves::Concat { channels: inputs.iter().map(|t| t.shape.channels as usize).collect() })
            }
            Op::Rearrange(rearrangement) => Work::Moves(Moves::Rearrange(rearrangement.clone())),
            Op::SumPool { .. } | Op::Add { .. } | Op::Multiply | Op::Identity => {
                let made = Sums::new(&layer.op, &inputs, output.shape, sums, requantizer);
                Work::Sums(Box::new(made.ok_or_else(|| too_large(0))?))
            }
        };
        Ok(PreparedLayer { sources: layer.inputs.iter().map(|id| id.0).collect(), work })
    }

    /// Room for bit planes, where the layer needs it.
    pub(crate) fn planes(&self) -> Option<Planes> {
        match &self.work {
            Work::Product(product) => product.planes(),
            Work::MaxPool(_) | Work::Greatest(_) | Work::Sums(_) | Work::Moves(_) => None,
        }
    }

    /// How channels are compared, where only the index of the greatest leaves.
    pub(crate) fn argmax(&self) -> Option<&Greatest> {
        match &self.work {
            Work::Greatest(greatest) if greatest.count == 1 && greatest.gives == TopGives::Indices => Some(greatest),
            Work::Greatest(_) => None,
            Work::Product(_) | Work::MaxPool(_) | Work::Sums(_) | Work::Moves(_) => None,
        }
    }

    /// Evaluates the layer; its exact sums go to `keep` where that is given and the layer makes sums.
    pub(crate) fn run(
        &self,
        tasks: Tasks<'_>,
        inputs: &[Source<'_>],
        planes: Option<&mut Planes>,
        target: Target<'_>,
        keep: Option<&mut [i64]>,
    ) {
        let Some(&input) = inputs.first() else { return };
        match (&self.work, input, target) {
            (Work::Product(product), Source::Narrow(input), target) => product.run(tasks, input, planes, target, keep),
            (Work::MaxPool(pool), input, target) => pool.run(tasks, input, target),
            (Work::Greatest(greatest), input, target) => greatest.run(input, target),
            (Work::Moves(moves), _, target) => moves.run(inputs, target),
            (Work::Sums(sums), _, target) => sums.run(tasks, inputs, target, keep),
            // A product reads codes, which are narrow.
            (Work::Product(_), ..) => {}
        }
    }
}

fn greatest(input: &Tensor, (count, gives): (usize, TopGives), multipliers: &[i64], offsets: &[i64]) -> Work {
    let channels = input.shape.channels as usize;
    let (multipliers, offsets) = (multipliers.to_vec(), offsets.to_vec());
    Work::Greatest(Greatest { channels, count, gives, multipliers, offsets, encoding: input.encoding })
}
