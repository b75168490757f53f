//! Transposed convolutions: an ordinary convolution that makes all phases of an output block as channels, then the
//! blocks are spread over rows and columns.
//!
//! Output y = stride q + r (phase r) sums input i with weight k where y + pad = stride i + dilation k. For a phase and a
//! k with stride | r + pad - dilation k that is i = q + (r + pad - dilation k) / stride, the same step from q for every
//! block, so the phases together are one convolution over the steps that occur.

use super::{groups, image_weights, of_rank, pads};
use crate::constant::Constant;
use crate::exact::Exact;
use crate::fault::{Checked, Fault};
use crate::model::Node;
use crate::walk::Walk;
use crate::walk::linear::add_bias;
use crate::walk::stream::{Stream, widen};
use network::Shape;
use network::op::Loop;
use network::shape::Window;
use num_traits::One;

/// One axis of a transposed convolution.
#[derive(Clone, Copy, Debug)]
struct Phases {
    stride: i64,
    dilation: i64,
    kernel: i64,
    pad: i64,
    /// Least and greatest step from a block to an input.
    steps: (i64, i64),
    /// Output elements, and blocks of `stride` that cover them.
    length: u64,
    blocks: u64,
    padding: (u64, u64),
}

impl Phases {
    fn new(stride: u64, dilation: u64, kernel: u64, pads: (u64, u64), extra: u64, input: u64) -> Option<Self> {
        let span = (kernel.checked_sub(1)?).checked_mul(dilation)? + 1;
        let full = (input - 1).checked_mul(stride)?.checked_add(span)?.checked_add(extra)?;
        let length = full.checked_sub(pads.0)?.checked_sub(pads.1).filter(|length| *length > 0)?;
        let (stride, dilation, kernel, pad) = (stride as i64, dilation as i64, kernel as i64, pads.0 as i64);
        let mut steps = (0i64, 0i64);
        for phase in 0..stride {
            for tap in 0..kernel {
                let way = phase + pad - dilation * tap;
                if way % stride == 0 {
                    steps = (steps.0.min(way / stride), steps.1.max(way / stride));
                }
            }
        }
        let blocks = length.div_ceil(stride as u64);
        // Inputs that are not there count as zeros: blocks beyond the input need padding behind.
        let after = (blocks as i64 + steps.1 - input as i64).max(0);
        // A window never lies in padding alone: a longer kernel with zeros in front reaches back.
        while after > steps.1 - steps.0 {
            steps.0 -= 1;
        }
        let padding = ((-steps.0) as u64, after as u64);
        Some(Phases { stride, dilation, kernel, pad, steps, length, blocks, padding })
    }

    /// Taps of the convolution.
    fn taps(&self) -> u64 {
        (self.steps.1 - self.steps.0 + 1) as u64
    }

    /// The weight that a phase has at a tap.
    fn weight(&self, phase: u64, tap: u64) -> Option<usize> {
        let way = phase as i64 + self.pad - self.stride * (self.steps.0 + tap as i64);
        (way % self.dilation == 0)
            .then_some(way / self.dilation)
            .filter(|k| (0..self.kernel).contains(k))
            .map(|k| k as usize)
    }
}

impl Walk<'_> {
    /// ConvTranspose over one or two axes.
    pub(in crate::walk) fn conv_transpose(
        &mut self,
        node: &Node,
        stream: Stream,
        constants: &[Option<&Constant>],
    ) -> Checked<Stream> {
        let weights = image_weights(node, constants)?;
        let &[inputs, per_group, rows, columns] = weights.array.dims.as_slice() else {
            return Err(Fault::shape("a ConvTranspose without weights", "store its weights in the model"));
        };
        // Phases have other weights each: a zero point would mean another offset in each of them.
        let (id, stream) = self.settle(stream, "ConvTranspose")?;
        let (_, stream) = self.proportional(id, stream, node)?;
        let (stream, rank) = self.image(stream, "ConvTranspose")?;
        let groups = groups(node)?;
        if inputs as u64 != stream.shape.channels || !(inputs as u64).is_multiple_of(groups) || weights.array.len() == 0
        {
            return Err(Fault::shape(
                format!(
                    "a ConvTranspose over {} channels in {groups} groups with weights of shape {:?}",
                    stream.shape.channels, weights.array.dims
                ),
                "weights are (channels, outputs of a group, rows, columns)",
            ));
        }
        let axes = rank - 2;
        let [row_phases, column_phases] = phases(node, [rows as u64, columns as u64], stream.shape, axes)?;
        let (kernel, blocks) = ([row_phases.taps(), column_phases.taps()], [row_phases.blocks, column_phases.blocks]);
        let strides = [row_phases.stride as u64, column_phases.stride as u64];
        // Weights (group, row phase, column phase, output) x (channel of the group, row tap, column tap).
        let group_inputs = inputs / groups as usize;
        let block = (strides[0] * strides[1]) as usize * per_group;
        let outputs = groups as usize * block;
        let total = outputs.checked_mul(group_inputs).and_then(|n| n.checked_mul((kernel[0] * kernel[1]) as usize));
        if total.is_none_or(|total| total > 1 << 28) {
            return Err(Fault::shape("a ConvTranspose with too many weights", "use smaller strides or fewer channels"));
        }
        let mut places = Vec::with_capacity(total.unwrap_or(0));
        for output in 0..outputs {
            let (group, within) = (output / block, output % block);
            let (phase, channel) = (within / per_group, within % per_group);
            let (row, column) = (phase as u64 / strides[1], phase as u64 % strides[1]);
            for inner in 0..group_inputs {
                for row_tap in 0..kernel[0] {
                    for column_tap in 0..kernel[1] {
                        let weight = row_phases.weight(row, row_tap).zip(column_phases.weight(column, column_tap));
                        let input = group * group_inputs + inner;
                        places.push(weight.map(|(r, c)| ((input * per_group + channel) * rows + r) * columns + c));
                    }
                }
            }
        }
        let dims = vec![outputs, group_inputs, kernel[0] as usize, kernel[1] as usize];
        let weights = weights.spread(dims, &places)?;
        let window = Window {
            kernel,
            stride: [1, 1],
            dilation: [1, 1],
            padding_before: [row_phases.padding.0, column_phases.padding.0],
            padding_after: [row_phases.padding.1, column_phases.padding.1],
        };
        let made = self.convolve(stream, &weights, window, groups, &node.name)?;
        let mut result = self.spread_blocks(made, blocks, strides, (groups, per_group as u64), &node.name)?;
        let (height, width) = (row_phases.length, column_phases.length);
        if [result.shape.rows, result.shape.columns] != [height, width] {
            let Shape { columns, channels, .. } = result.shape;
            let loops = [(height, columns * channels), (width, channels), (channels, 1)];
            let loops = loops.map(|(count, stride)| Loop { count, stride: stride as i64 }).to_vec();
            let shape = Shape::new(height, width, channels)
                .ok_or_else(|| Fault::shape("a ConvTranspose to nothing", "check its pads"))?;
            result = self.move_positions(result, shape, 0, loops, &node.name)?;
        }
        result.layout = of_rank(&result, rank)?;
        if let Some(bias) = constants.get(2).copied().flatten() {
            let mut dims = vec![bias.array.len()];
            dims.extend(std::iter::repeat_n(1, axes));
            add_bias(&mut result, bias, &dims, &Exact::one())?;
        }
        Ok(result)
    }

    /// Blocks of (group, row phase, column phase, output) channels spread over rows and columns.
    fn spread_blocks(
        &mut self,
        mut stream: Stream,
        blocks: [u64; 2],
        strides: [u64; 2],
        (groups, per_group): (u64, u64),
        origin: &str,
    ) -> Checked<Stream> {
        let Shape { columns, channels, .. } = stream.shape;
        let phases = strides[0] * strides[1];
        let loops = [
            (blocks[0], columns * channels),
            (strides[0], strides[1] * per_group),
            (blocks[1], channels),
            (strides[1], per_group),
            (groups, phases * per_group),
            (per_group, 1),
        ];
        let outputs = groups * per_group;
        let shape = Shape::new(blocks[0] * strides[0], blocks[1] * strides[1], outputs)
            .ok_or_else(|| Fault::shape("a ConvTranspose makes too large a tensor", "use smaller frames"))?;
        // Every phase of an output has the same scale: its weights are those of one output of the model.
        widen(&mut stream.function, channels as usize);
        let source = |output: u64| (output / per_group * phases * per_group + output % per_group) as usize;
        let alike = (0..outputs).all(|output| {
            (0..phases).all(|phase| {
                stream.function[source(output)] == stream.function[source(output) + (phase * per_group) as usize]
            })
        });
        if !alike {
            return Err(Fault::operator(
                "a ConvTranspose whose weight scales differ inside an output channel",
                "use one scale for each output channel",
            ));
        }
        let function = (0..outputs).map(|output| stream.function[source(output)].clone()).collect();
        let loops = loops.map(|(count, stride)| Loop { count, stride: stride as i64 }).to_vec();
        let sums = stream_sums(self, &stream, outputs, phases, &source, per_group);
        let mut made = self.move_positions(stream, shape, 0, loops, origin)?;
        made.function = function;
        if let crate::walk::stream::Base::Tensor(id) = made.base {
            self.sums[id.0] = sums;
        }
        Ok(made)
    }
}

/// Sums of each output channel over all its phases.
fn stream_sums(
    walk: &Walk<'_>,
    stream: &Stream,
    outputs: u64,
    phases: u64,
    source: &dyn Fn(u64) -> usize,
    per_group: u64,
) -> Option<Vec<network::Range>> {
    let crate::walk::stream::Base::Tensor(id) = stream.base else { return None };
    let ranges = walk.sums[id.0].as_ref()?;
    (0..outputs)
        .map(|output| {
            (0..phases)
                .filter_map(|phase| ranges.get(source(output) + (phase * per_group) as usize).copied())
                .reduce(network::Range::union)
        })
        .collect()
}

/// Both axes' phases.
fn phases(node: &Node, kernel: [u64; 2], input: Shape, axes: usize) -> Checked<[Phases; 2]> {
    let strides = node.attributes.spatial("strides", 1, 1, axes)?;
    let dilations = node.attributes.spatial("dilations", 1, 1, axes)?;
    let mut extra = match node.attributes.ints("output_padding")? {
        None => [0, 0],
        Some(_) => node.attributes.spatial("output_padding", 0, 0, axes)?,
    };
    let given = match node.attributes.ints("output_shape")? {
        None => None,
        Some(_) => Some(node.attributes.spatial("output_shape", 1, 1, axes)?),
    };
    let auto = node.attributes.text("auto_pad", "NOTSET")?;
    let pads = pads(node, axes)?.unwrap_or([0; 4]);
    let lengths = [input.rows, input.columns];
    let mut made = Vec::new();
    for axis in 0..2 {
        let refuse = || {
            Fault::shape(
                format!("`{}` of {} elements with pads {pads:?}", node.op, lengths[axis]),
                "check kernel, strides, dilations, pads and output_padding",
            )
        };
        if strides[axis] > 64 || kernel[axis] > 4096 {
            return Err(refuse());
        }
        let full = (lengths[axis] - 1) * strides[axis] + (kernel[axis].max(1) - 1) * dilations[axis] + 1 + extra[axis];
        let wanted = match (given, auto) {
            (Some(given), _) => Some(given[axis]),
            (None, "SAME_UPPER" | "SAME_LOWER") => Some(lengths[axis] * strides[axis]),
            _ => None,
        };
        let (before, after) = match wanted {
            None => (pads[axis], pads[axis + 2]),
            Some(wanted) => {
                // A longer output than the input reaches is bias alone behind, as output_padding makes it.
                extra[axis] += wanted.saturating_sub(full);
                let total = full.saturating_sub(wanted);
                // The greater half stands behind with SAME_UPPER, else in front.
                let small = total / 2;
                if auto == "SAME_UPPER" { (small, total - small) } else { (total - small, small) }
            }
        };
        let phases =
            Phases::new(strides[axis], dilations[axis], kernel[axis], (before, after), extra[axis], lengths[axis]);
        made.push(phases.ok_or_else(refuse)?);
    }
    match made.as_slice() {
        [rows, columns] => Ok([*rows, *columns]),
        _ => Err(Fault::shape("a ConvTranspose without axes", "export the model again")),
    }
}
