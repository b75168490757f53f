//! Dense layers and convolutions: their weights in hardware order, and what their sums mean.

mod rows;

use super::stream::{Base, Pending, Stream};
use super::{Walk, pool};
use crate::constant::Constant;
use crate::exact::{Exact, Functions, Piece, from_f32, to_i64};
use crate::fault::{Checked, Fault};
use crate::layout::{Layout, length, offset};
use crate::model::Node;
use network::format::Kind;
use network::graph::{Encoding, TensorId};
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
        let extra = dims.len().saturating_sub(2);
        if dims.len() < 2 || dims[..extra].iter().any(|&dim| dim != 1) {
            return Err(Fault::shape(format!("a MatMul with weights of shape {dims:?}"), "weights must be a matrix"));
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
        let (weights, function) = self.rows(&stream, weights, &order)?;
        let shape = Shape::new(1, 1, outputs as u64)
            .ok_or_else(|| Fault::shape("too many outputs", "make the layer smaller"))?;
        let values = self.tensor(id).encoding.values();
        let sums = sum_ranges(&weights, values)?;
        let mut target = dims;
        if let Some(last) = target.last_mut() {
            *last = outputs as u64;
        }
        let layout = Layout::row_major(&target);
        let pending =
            Pending { kind: "fc", input: id, op: Op::Dense { weights }, shape, sums, origin: node.name.clone() };
        Ok(Stream { base: Base::Sums(Box::new(pending)), shape, layout, function, pooled: None, host: stream.host })
    }

    /// The same weights at every position: a 1x1 convolution over channels-last data.
    fn position_wise(&mut self, node: &Node, id: TensorId, stream: Stream, weights: &Constant) -> Checked<Stream> {
        let outputs = weights.array.dims[0];
        let Some(layout) = stream.layout.with_channels(stream.shape.channels, outputs as u64) else {
            self.want_channels_last(id, &stream.layout.dims());
            return Err(Fault::shape(
                format!(
                    "`{}` multiplies the last axis of {:?}, which is not the channels of {}",
                    node.op,
                    stream.layout.dims(),
                    stream.shape
                ),
                "flatten the data before the layer, or use a convolution",
            ));
        };
        let order: Vec<usize> = (0..weights.array.dims[1]).collect();
        let (weights, function) = self.rows(&stream, weights, &order)?;
        let sums = sum_ranges(&weights, self.tensor(id).encoding.values())?;
        let window =
            Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding_before: [0, 0], padding_after: [0, 0] };
        let shape = pool::output_shape(&window, stream.shape, outputs as u64)?;
        let op = Op::Conv2d { weights, window, padding_value: 0, groups: 1 };
        let pending = Pending { kind: "conv", input: id, op, shape, sums, origin: node.name.clone() };
        Ok(Stream { base: Base::Sums(Box::new(pending)), shape, layout, function, pooled: None, host: stream.host })
    }

    /// A two-dimensional convolution of one group.
    pub(super) fn conv(&mut self, node: &Node, stream: Stream, constants: &[Option<&Constant>]) -> Checked<Stream> {
        let weights = constants.get(1).copied().flatten();
        let weights = weights
            .ok_or_else(|| Fault::operator("a Conv without constant weights", "store its weights in the model"))?;
        let &[outputs, channels, rows, columns] = weights.array.dims.as_slice() else {
            return Err(Fault::operator(
                format!("a Conv with weights of shape {:?}", weights.array.dims),
                "two-dimensional convolutions (outputs, channels, rows, columns) can be built",
            ));
        };
        let (id, stream) = self.settle(stream, "Conv")?;
        self.check_image(&stream, "Conv")?;
        if channels as u64 != stream.shape.channels || weights.array.len() == 0 {
            return Err(Fault::shape(
                format!(
                    "a Conv over {} channels with weights of shape {:?}",
                    stream.shape.channels, weights.array.dims
                ),
                "weights are (outputs, channels, rows, columns)",
            ));
        }
        let kernel = [rows as u64, columns as u64];
        if node.attributes.ints("kernel_shape")?.is_some() && node.attributes.pair("kernel_shape", 1, 1)? != kernel {
            return Err(Fault::shape(format!("kernel_shape is not {kernel:?}"), "it must be that of the weights"));
        }
        let window = window(node, kernel, stream.shape)?;
        let shape = pool::output_shape(&window, stream.shape, outputs as u64)?;
        // Hardware order is rows, columns, channels; the model's is channels, rows, columns.
        let taps = rows * columns;
        let order: Vec<usize> = (0..taps * channels).map(|place| place % channels * taps + place / channels).collect();
        let (weights, function) = self.rows(&stream, weights, &order)?;
        let encoding = self.tensor(id).encoding;
        let padding_value = if window.is_padded() { padding_value(encoding, &stream.function)? } else { 0 };
        let mut values = encoding.values();
        if window.is_padded() {
            values = values.union(Range::new(padding_value, padding_value));
        }
        let sums = sum_ranges(&weights, values)?;
        let op = Op::Conv2d { weights, window, padding_value, groups: 1 };
        let pending = Pending { kind: "conv", input: id, op, shape, sums, origin: node.name.clone() };
        let layout = Layout::channels_first(shape);
        let mut result =
            Stream { base: Base::Sums(Box::new(pending)), shape, layout, function, pooled: None, host: stream.host };
        if let Some(bias) = constants.get(2).copied().flatten() {
            add_bias(&mut result, bias, &[bias.array.len(), 1, 1], &Exact::one())?;
        }
        Ok(result)
    }

    /// Weights in hardware order, and for each output what its sum means.
    fn rows(&mut self, stream: &Stream, weights: &Constant, order: &[usize]) -> Checked<(Weights, Functions)> {
        let made = rows::build(weights, order, &stream.function, stream.channels())?;
        if let Some(note) = made.note {
            self.notes.push(note);
        }
        Ok((made.weights, made.functions))
    }
}

/// Adds `factor` times a constant of shape `dims` to the stream.
fn add_bias(stream: &mut Stream, bias: &Constant, dims: &[usize], factor: &Exact) -> Checked<()> {
    let same = |a: usize, b: usize| bias.array.f32(a) == bias.array.f32(b);
    let indices = stream.layout.channel_indices(dims, stream.shape.channels, same)?;
    let pairs: Vec<(Exact, Exact)> =
        indices.into_iter().map(|index| Ok((Exact::one(), bias.exact(index)? * factor))).collect::<Checked<_>>()?;
    stream.then_affine(&pairs);
    Ok(())
}

/// The range of every output's sums.
fn sum_ranges(weights: &Weights, values: Range) -> Checked<Vec<Range>> {
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

/// The integer that a padded tap (real 0) stands for.
fn padding_value(encoding: Encoding, function: &[Piece]) -> Checked<i64> {
    let refuse = |what: String| {
        Err(Fault::operator(
            format!("zero padding of codes that have no zero: {what}"),
            "use a whole zero point inside the codes, the same for every channel, or no padding",
        ))
    };
    let Encoding::Codes { format, .. } = encoding else { return refuse("sums".to_owned()) };
    let zeros: Vec<Exact> =
        function.iter().filter(|piece| !piece.gain.is_zero()).map(|piece| -&piece.offset / &piece.gain).collect();
    let Some(zero) = zeros.first() else { return Ok(0) };
    if zeros.iter().any(|other| other != zero) {
        return refuse("the zero points of the channels differ".to_owned());
    }
    match to_i64(zero) {
        Some(0) if format.kind() == Kind::Bipolar => Ok(0),
        Some(value) if format.kind() != Kind::Bipolar && format.value_range().contains(value) => Ok(value),
        _ => refuse(format!("real zero is {format} code {zero}")),
    }
}

/// Kernel, stride, dilation and padding of a Conv or MaxPool node.
pub(super) fn window(node: &Node, kernel: [u64; 2], input: Shape) -> Checked<Window> {
    let stride = node.attributes.pair("strides", 1, 1)?;
    let dilation = node.attributes.pair("dilations", 1, 1)?;
    let mut window = Window { kernel, stride, dilation, padding_before: [0, 0], padding_after: [0, 0] };
    let auto = node.attributes.text("auto_pad", "NOTSET")?;
    match auto {
        "NOTSET" | "" => {
            if let Some(pads) = node.attributes.ints("pads")? {
                let numbers: Vec<u64> =
                    pads.iter().filter_map(|&pad| u64::try_from(pad).ok().filter(|&pad| pad < 1 << 24)).collect();
                let &[top, left, bottom, right] = numbers.as_slice() else {
                    return Err(Fault::shape(
                        format!("pads are {pads:?}"),
                        "four numbers (top, left, bottom, right), none negative",
                    ));
                };
                (window.padding_before, window.padding_after) = ([top, left], [bottom, right]);
            }
        }
        "VALID" => {}
        "SAME_UPPER" | "SAME_LOWER" => {
            let span = window.span();
            for (axis, length) in [input.rows, input.columns].into_iter().enumerate() {
                let positions = length.div_ceil(stride[axis]);
                let padding = ((positions - 1) * stride[axis] + span[axis]).saturating_sub(length);
                let small = padding / 2;
                let (before, after) =
                    if auto == "SAME_UPPER" { (small, padding - small) } else { (padding - small, small) };
                (window.padding_before[axis], window.padding_after[axis]) = (before, after);
            }
        }
        other => {
            return Err(Fault::operator(
                format!("auto_pad `{other}`"),
                "NOTSET, VALID, SAME_UPPER and SAME_LOWER can be built",
            ));
        }
    }
    Ok(window)
}
