//! Max pooling: on codes at once, on sums after the next quantizer.

mod average;

use super::Walk;
use super::convolution::{of_rank, window};
use super::stream::{Base, Pooled, Stream};
use crate::constant::Constant;
use crate::exact::Piece;
use crate::fault::{Checked, Fault};
use crate::model::Node;
use network::Shape;
use network::graph::{Encoding, Tensor, TensorId};
use network::op::Op;
use network::shape::Window;
use num_traits::Signed;

impl Walk<'_> {
    /// MaxPool, GlobalMaxPool and ReduceMax.
    pub(super) fn max_pool(&mut self, node: &Node, stream: Stream, constants: &[Option<&Constant>]) -> Checked<Stream> {
        let (mut stream, target) = self.reduced(node, stream, constants)?;
        if matches!(stream.base, Base::Joined(_)) {
            stream = self.joined(stream, &node.op)?;
        }
        let (mut stream, rank) = self.image(stream, &node.op)?;
        let window = match node.op.as_str() {
            "MaxPool" => max_window(node, stream.shape, rank - 2)?,
            _ => average::global([stream.shape.rows, stream.shape.columns]),
        };
        let shape = output_shape(&window, stream.shape, stream.shape.channels)?;
        let rising = stream.function.iter().all(|piece| !piece.gain.is_negative());
        let id = match stream.base {
            Base::Tensor(id)
                if rising && stream.curve.is_none() && matches!(self.tensor(id).encoding, Encoding::Codes { .. }) =>
            {
                Some(id)
            }
            _ => None,
        };
        if let (Some(id), None) = (id, &stream.pooled) {
            let id = self.add_pool(id, window, shape, &node.name);
            stream.base = Base::Tensor(id);
        } else {
            let function = stream.function.clone();
            let is_bent = stream.curve.is_some();
            let pooled = stream.pooled.get_or_insert_with(|| Pooled {
                windows: Vec::new(),
                before: function,
                after: vec![Piece::identity()],
                falls: false,
                is_bent,
                origin: String::new(),
            });
            pooled.windows.push(window);
            pooled.origin.clone_from(&node.name);
        }
        stream.shape = shape;
        stream.layout = of_rank(&stream, rank)?;
        let Some(dims) = target else { return Ok(stream) };
        stream.layout = stream.layout.reshape(&dims)?;
        Ok(stream)
    }

    /// Adds a pool layer over codes or sums.
    pub(super) fn add_pool(&mut self, id: TensorId, window: Window, shape: Shape, origin: &str) -> TensorId {
        let encoding = self.tensor(id).encoding;
        let sums = self.sums[id.0].clone();
        let made = self.add_layer("pool", vec![id], Op::MaxPool { window }, None, Tensor { shape, encoding }, origin);
        self.sums[made.0] = sums;
        made
    }
}

/// The shape behind a window.
pub(super) fn output_shape(window: &Window, input: Shape, channels: u64) -> Checked<Shape> {
    let refuse = |why: &str| {
        Fault::shape(
            format!(
                "a window of {:?} over {input}, padded by {:?} and {:?}, {why}",
                window.kernel, window.padding_before, window.padding_after
            ),
            "check kernel, strides, dilations and pads",
        )
    };
    let span = window.span();
    if (0..2).any(|axis| window.padding_before[axis].max(window.padding_after[axis]) >= span[axis]) {
        return Err(refuse("would lie in padding alone"));
    }
    let [rows, columns] = window.positions(input).ok_or_else(|| refuse("does not fit"))?;
    Shape::new(rows, columns, channels).ok_or_else(|| refuse("makes too large a tensor"))
}

/// The window of a pooling node with its declared kernel.
fn kernel_window(node: &Node, input: Shape, axes: usize) -> Checked<Window> {
    let kernel = node.attributes.ints("kernel_shape")?;
    let kernel = kernel.map(|_| node.attributes.spatial("kernel_shape", 1, 1, axes)).transpose()?;
    let kernel =
        kernel.ok_or_else(|| Fault::shape(format!("a {} without kernel_shape", node.op), "export the model again"))?;
    window(node, kernel, input, axes)
}

fn max_window(node: &Node, input: Shape, axes: usize) -> Checked<Window> {
    if node.attributes.int("storage_order", 0)? != 0 {
        return Err(Fault::operator(
            "a MaxPool with storage_order 1",
            "only the pooled values can be built, not their indices",
        ));
    }
    let mut window = kernel_window(node, input, axes)?;
    if node.attributes.int("ceil_mode", 0)? != 0 {
        round_up(&mut window, input);
    }
    Ok(window)
}

/// Widens the padding behind so that rounding down gives the positions that rounding up would: every one that begins
/// inside the input or the padding before it.
fn round_up(window: &mut Window, input: Shape) {
    let span = window.span();
    for (axis, length) in [input.rows, input.columns].into_iter().enumerate() {
        let (before, after, stride) = (window.padding_before[axis], window.padding_after[axis], window.stride[axis]);
        let Some(room) = (length + before + after).checked_sub(span[axis]) else { continue };
        let mut positions = room.div_ceil(stride) + 1;
        if (positions - 1) * stride >= length + before {
            positions -= 1;
        }
        window.padding_after[axis] = ((positions - 1) * stride + span[axis]).saturating_sub(length + before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceil_mode_becomes_padding() {
        let input = Shape::new(5, 6, 1).unwrap();
        let mut window =
            Window { kernel: [2, 3], stride: [2, 2], dilation: [1, 1], padding_before: [0, 0], padding_after: [0, 0] };
        round_up(&mut window, input);
        assert_eq!(window.padding_after, [1, 1]);
        assert_eq!(window.positions(input), Some([3, 3]));
        let mut window =
            Window { kernel: [1, 1], stride: [3, 3], dilation: [1, 1], padding_before: [0, 0], padding_after: [0, 0] };
        round_up(&mut window, input);
        assert_eq!(window.positions(input), Some([2, 2]));
    }
}
