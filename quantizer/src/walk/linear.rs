//! Dense layers: their weights in hardware order, and what their sums mean.

mod rows;

use super::stream::{Base, Stream};
use super::{Walk, pool};
use crate::constant::Constant;
use crate::exact::{Exact, Functions, from_f32};
use crate::fault::{Checked, Fault};
use crate::layout::{Layout, length, offset};
use crate::model::Node;
use network::graph::TensorId;
use network::op::{Op, Weights};
use network::shape::Window;
use network::{Range, Shape};
use num_traits::{One, Zero};

impl Walk<'_> {
    /// MatMul with a constant on either side.
    pub(super) fn mat_mul(
        &mut self,
        node: &Node,
        stream: Stream,
        index: usize,
        constants: &[Option<&Constant>],
    ) -> Checked<Stream> {
        let weights = constants.get(1 - index.min(1)).copied().flatten();
        let weights = weights.ok_or_else(|| {
            Fault::operator("a MatMul without a constant side", "only weights times data can be built")
        })?;
        let dims = &weights.array.dims;
        if let (0, &[inputs]) = (index, dims.as_slice()) {
            // A row of numbers: its axis of one output is left out.
            let mut target = stream.layout.dims();
            target.pop();
            let made = self.dense(node, stream, &weights.with_dims(vec![1, inputs])?)?;
            return self.reshaped_to(made, &target, &node.op);
        }
        let extra = dims.len().saturating_sub(2);
        if dims.len() < 2 || index != 0 && dims[..extra].iter().any(|&dim| dim != 1) {
            return Err(Fault::shape(format!("a MatMul with weights of shape {dims:?}"), "weights must be a matrix"));
        }
        if dims[..extra].iter().any(|&dim| dim != 1) {
            return self.stacked(node, stream, weights);
        }
        let matrix = weights.with_dims(dims[extra..].to_vec())?;
        if index == 0 {
            return self.dense(node, stream, &matrix.transpose(&[1, 0]));
        }
        // W x is the transpose of x^T W^T; only a single column has no positions to exchange.
        let dims = stream.layout.dims();
        let &[.., rows, 1] = dims.as_slice() else {
            return Err(Fault::operator(
                format!("a MatMul of weights with data of shape {dims:?}"),
                "put the data first, or make it one column",
            ));
        };
        let mut turned = stream;
        turned.layout = turned.layout.reshape(&[1, rows])?;
        let mut result = self.dense(node, turned, &matrix)?;
        let mut target = dims.clone();
        let last = target.len() - 2;
        target[last] = result.shape.channels;
        result.layout = result.layout.reshape(&target)?;
        Ok(result)
    }

    /// A matrix of weights of its own for each index of the axes in front of the last two: a 1x1 convolution in groups.
    fn stacked(&mut self, node: &Node, mut stream: Stream, weights: &Constant) -> Checked<Stream> {
        let (dims, of_weights) = (stream.layout.dims(), weights.array.dims.clone());
        let rank = dims.len();
        let refuse = || {
            Fault::shape(
                format!("a MatMul of {dims:?} with weights of shape {of_weights:?}"),
                "each index of the leading axes needs a matrix of its own, and the data a batch axis in front",
            )
        };
        let (&[inputs, outputs], leading) = (&of_weights[of_weights.len() - 2..], &of_weights[..of_weights.len() - 2])
        else {
            return Err(refuse());
        };
        let stack: Vec<u64> = leading.iter().map(|&dim| dim as u64).skip_while(|&dim| dim == 1).collect();
        let count: u64 = stack.iter().product();
        let in_data = rank.checked_sub(2 + stack.len()).and_then(|first| dims.get(first..rank - 2));
        let front = rank.saturating_sub(2 + stack.len());
        if in_data != Some(stack.as_slice()) || dims[..front].iter().any(|&dim| dim != 1) || front == 0 {
            return Err(refuse());
        }
        let (rows, last) = (dims[rank - 2], dims[rank - 1]);
        if last != inputs as u64 || outputs == 0 {
            return Err(refuse());
        }
        // (batch, stack, inputs, rows): channels in groups at each row.
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank - 2, rank - 1);
        stream.layout = stream.layout.transpose(&order).reshape(&[1, count * last, 1, rows])?;
        let (stream, _) = self.image(stream, &node.op)?;
        let matrices = weights.with_dims(vec![count as usize, inputs, outputs])?.transpose(&[0, 2, 1]);
        let matrices = matrices.with_dims(vec![count as usize * outputs, inputs, 1, 1])?;
        let point =
            Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding_before: [0, 0], padding_after: [0, 0] };
        let mut made = self.convolve(stream, &matrices, point, count, &node.name)?;
        let mut target = dims;
        (target[rank - 2], target[rank - 1]) = (outputs as u64, rows);
        made.layout = made.layout.reshape(&target)?.transpose(&order);
        Ok(made)
    }

    /// Gemm: alpha * A B + beta * C.
    pub(super) fn gemm(&mut self, node: &Node, mut stream: Stream, constants: &[Option<&Constant>]) -> Checked<Stream> {
        let weights = constants.get(1).copied().flatten();
        let weights = weights.ok_or_else(|| {
            Fault::operator("a Gemm without constant weights", "only weights times data can be built")
        })?;
        if weights.array.dims.len() != 2 || stream.layout.dims().len() != 2 {
            return Err(Fault::shape(
                format!("a Gemm of {:?} with weights of shape {:?}", stream.layout.dims(), weights.array.dims),
                "both must be matrices",
            ));
        }
        if node.attributes.int("transA", 0)? != 0 {
            stream.layout = stream.layout.transpose(&[1, 0]);
        }
        let weights = if node.attributes.int("transB", 0)? != 0 { weights.clone() } else { weights.transpose(&[1, 0]) };
        let exact = |name: &str| -> Checked<Exact> {
            Ok(from_f32(node.attributes.float(name, 1.0)?).unwrap_or_else(Exact::zero))
        };
        let (alpha, beta) = (exact("alpha")?, exact("beta")?);
        let mut result = self.dense(node, stream, &weights)?;
        if !alpha.is_one() {
            result.then_affine(&[(alpha, Exact::zero())]);
        }
        let Some(bias) = constants.get(2).copied().flatten() else { return Ok(result) };
        add_bias(&mut result, bias, &bias.array.dims, &beta)?;
        Ok(result)
    }

    /// Weights of shape (outputs, inputs) over the last axis: a dense layer, or a 1x1 convolution where the axis is
    /// repeated over positions.
    fn dense(&mut self, node: &Node, stream: Stream, weights: &Constant) -> Checked<Stream> {
        let (id, stream) = self.settle(stream, &node.op)?;
        let dims = stream.layout.dims();
        let (outputs, inputs) = (weights.array.dims[0], weights.array.dims[1]);
        let last = dims.last().copied().unwrap_or(1);
        if last != inputs as u64 || outputs == 0 {
            return Err(Fault::shape(
                format!("`{}` multiplies {dims:?} with weights for {inputs} inputs and {outputs} outputs", node.op),
                "the last axis must have as many elements as a row of weights",
            ));
        }
        let Some(axis) = stream.layout.axes().last().filter(|axis| length(axis) == stream.shape.elements()) else {
            return self.position_wise(node, id, stream, weights);
        };
        let mut order = vec![0; inputs];
        for place in 0..inputs {
            order[offset(axis, place as u64) as usize] = place;
        }
        let (weights, function) = self.rows(&stream, weights, &order, (stream.channels(), &|_| 0))?;
        let shape = Shape::new(1, 1, outputs as u64)
            .ok_or_else(|| Fault::shape("too many outputs", "make the layer smaller"))?;
        let values = self.tensor(id).encoding.values();
        let sums = sum_ranges(&weights, values)?;
        let mut target = dims;
        if let Some(last) = target.last_mut() {
            *last = outputs as u64;
        }
        let layout = Layout::row_major(&target);
        let id = self.add_sums("fc", vec![id], Op::Dense { weights }, shape, sums, &node.name);
        Ok(Stream { base: Base::Tensor(id), shape, layout, function, curve: None, pooled: None, host: stream.host })
    }

    /// The same weights at every position: a 1x1 convolution over channels-last data.
    fn position_wise(&mut self, node: &Node, id: TensorId, stream: Stream, weights: &Constant) -> Checked<Stream> {
        let outputs = weights.array.dims[0];
        let mut stream = stream;
        let mut id = id;
        let layout = match stream.layout.with_channels(stream.shape.channels, outputs as u64) {
            Some(layout) => layout,
            None => {
                let dims = stream.layout.dims();
                self.want_channels_last(id, &dims);
                if self.wanted.is_some() {
                    return Err(Fault::shape(
                        format!("`{}` reads the last axis of {dims:?}", node.op),
                        "see the input",
                    ));
                }
                (id, stream) = self.channels_last(stream, &node.op)?;
                stream.layout.with_channels(stream.shape.channels, outputs as u64).ok_or_else(|| {
                    Fault::shape(
                        format!("`{}` multiplies the last axis of {dims:?}, which is not the channels", node.op),
                        "flatten the data before the layer, or use a convolution",
                    )
                })?
            }
        };
        let order: Vec<usize> = (0..weights.array.dims[1]).collect();
        let (weights, function) = self.rows(&stream, weights, &order, (stream.channels(), &|_| 0))?;
        let sums = sum_ranges(&weights, self.tensor(id).encoding.values())?;
        let window =
            Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding_before: [0, 0], padding_after: [0, 0] };
        let shape = pool::output_shape(&window, stream.shape, outputs as u64)?;
        let op = Op::Conv2d { weights, window, padding_value: 0, groups: 1 };
        let id = self.add_sums("conv", vec![id], op, shape, sums, &node.name);
        Ok(Stream { base: Base::Tensor(id), shape, layout, function, curve: None, pooled: None, host: stream.host })
    }

    /// Weights in hardware order, and for each output what its sum means.
    ///
    /// Place `k` of an output's row reads channel `first(output) + k % channels`.
    pub(super) fn rows(
        &mut self,
        stream: &Stream,
        weights: &Constant,
        order: &[usize],
        channels: (usize, &dyn Fn(usize) -> usize),
    ) -> Checked<(Weights, Functions)> {
        let made = rows::build(weights, order, &stream.function, channels)?;
        if let Some(note) = made.note {
            self.notes.push(note);
        }
        Ok((made.weights, made.functions))
    }
}

/// Adds `factor` times a constant of shape `dims` to the stream.
pub(super) fn add_bias(stream: &mut Stream, bias: &Constant, dims: &[usize], factor: &Exact) -> Checked<()> {
    let same = |a: usize, b: usize| bias.array.f32(a) == bias.array.f32(b);
    let indices = stream.layout.channel_indices(dims, stream.shape.channels, same)?;
    let pairs: Vec<(Exact, Exact)> =
        indices.into_iter().map(|index| Ok((Exact::one(), bias.exact(index)? * factor))).collect::<Checked<_>>()?;
    stream.then_affine(&pairs);
    Ok(())
}

/// The range of every output's sums.
pub(super) fn sum_ranges(weights: &Weights, values: Range) -> Checked<Vec<Range>> {
    (0..weights.outputs)
        .map(|output| {
            weights.sum_range(output, values).ok_or_else(|| {
                Fault::new(
                    network::Code::AccumulatorRange,
                    format!("the sum of output {output} can leave 62 bits"),
                    "use narrower formats or shorter dot products",
                )
            })
        })
        .collect()
}
