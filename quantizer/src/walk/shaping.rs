//! Operators that only change how the model sees a tensor.

use super::stream::{Base, Stream};
use super::{Value, Walk};
use crate::constant::{
    Constant,
    evaluate::{flatten_axis, permutation, reshape_target, squeezed},
};
use crate::exact::Piece;
use crate::fault::{Checked, Fault};
use crate::model::{Array, Node, ValueId};
use network::shape::AxisOrder;
use network::{Shape, graph::TensorId};
use std::rc::Rc;

impl Walk<'_> {
    /// Flatten, Reshape, Transpose, Squeeze, Unsqueeze, Identity, Dropout and Cast to a float.
    pub(super) fn reshape(
        &mut self,
        node: &Node,
        mut stream: Stream,
        constants: &[Option<&Constant>],
    ) -> Checked<Stream> {
        let dims = stream.layout.dims();
        match node.op.as_str() {
            "Transpose" => stream.layout = stream.layout.transpose(&permutation(node, dims.len())?),
            "Flatten" => {
                let (outer, inner) = dims.split_at(flatten_axis(node, dims.len())?);
                stream.layout = stream.layout.reshape(&[outer.iter().product(), inner.iter().product()])?;
            }
            "Reshape" => {
                let shape = match constants.get(1).copied().flatten() {
                    Some(shape) => shape.ints()?,
                    None => node.attributes.ints("shape")?.unwrap_or(&[]).to_vec(),
                };
                let target = self.reshaped(&dims, shape, node)?;
                stream.layout = stream.layout.reshape(&target)?;
            }
            "Squeeze" | "Unsqueeze" => {
                let target = squeezed(node, constants.get(1).copied().flatten(), &dims)?;
                stream.layout = stream.layout.reshape(&target)?;
            }
            "Dropout" if constants.get(2).copied().flatten().is_some_and(|training| training.array.f32(0) != 0.0) => {
                return Err(Fault::operator("a Dropout in training mode", "export the model in evaluation mode"));
            }
            // A cast to integers changes nothing where every number already is one.
            "Cast" if matches!(node.attributes.int("to", 1)?, 6 | 7) => {
                let whole = |piece: &Piece| piece.is_affine() && piece.gain.is_integer() && piece.offset.is_integer();
                if matches!(stream.base, Base::Input) || !stream.function.iter().all(whole) {
                    return Err(Fault::operator("a Cast of numbers that are not whole", "use a quantizer"));
                }
            }
            "Cast" if !matches!(node.attributes.int("to", 1)?, 1 | 10 | 11 | 16) => {
                return Err(Fault::operator("a Cast to a narrow type", "use a quantizer"));
            }
            _ => {}
        }
        Ok(stream)
    }

    /// The target of a Reshape; a batch that was exported with the shape becomes 1.
    fn reshaped(&self, dims: &[u64], mut shape: Vec<i64>, node: &Node) -> Checked<Vec<u64>> {
        let allow_zero = node.attributes.int("allowzero", 0)? != 0;
        if self.batch > 1 && shape.first() == Some(&(self.batch as i64)) {
            shape[0] = 1;
        }
        reshape_target(dims, &shape, allow_zero)
    }

    /// The Shape of a stream: a constant, since shapes are static.
    pub(super) fn shape_of(&self, id: ValueId) -> Checked<Value> {
        let Value::Stream(stream) = &self.values[id] else {
            return Err(Fault::operator(
                "the Shape of a tensor that was already taken",
                "fold shapes before export (onnxsim)",
            ));
        };
        let dims: Vec<i64> = stream.layout.dims().iter().map(|&dim| dim as i64).collect();
        Ok(Value::Constant(Rc::new(Constant::plain(Array::int(vec![dims.len()], dims)))))
    }

    /// Checks that the model sees the stream as (1, channels, rows, columns) of its hardware shape.
    ///
    /// For the network's input, whose rows and columns are open, asks for the shape that makes it so.
    pub(super) fn check_image(&mut self, stream: &Stream, op: &str) -> Checked<()> {
        if stream.layout.is_channels_first(stream.shape) {
            return Ok(());
        }
        let dims = stream.layout.dims();
        let &[1, channels, rows, columns] = dims.as_slice() else {
            return Err(Fault::shape(
                format!("`{op}` reads a tensor of shape {dims:?}"),
                "two-dimensional images (1, channels, rows, columns) can be built",
            ));
        };
        let is_input = match &stream.base {
            Base::Input => true,
            Base::Tensor(id) => self.is_open_input(*id),
            Base::Sums(_) => false,
        };
        if let Some(shape) = Shape::new(rows, columns, channels).filter(|_| is_input && stream.pooled.is_none()) {
            // While the input is flat, its layout counts elements in the model's own order.
            use crate::layout::Layout;
            if stream.layout == Layout::row_major(&dims) {
                self.wanted = Some((shape, AxisOrder::ChannelsFirst));
            } else if stream.layout == Layout::channels_first(shape) {
                self.wanted = Some((shape, AxisOrder::ChannelsLast));
            }
        }
        Err(Fault::shape(
            format!("`{op}` reads {dims:?} in another order than hardware holds it ({})", stream.shape),
            "this needs a reorder buffer, which cannot be built yet; keep (channels, rows, columns) between convolutions",
        ))
    }

    /// Asks for the input as an image of positions with `channels` each, the model's last axis.
    pub(super) fn want_channels_last(&mut self, id: TensorId, dims: &[u64]) {
        if !self.is_open_input(id) {
            return;
        }
        if let [1, columns, channels] = *dims {
            self.wanted = Shape::new(1, columns, channels).map(|shape| (shape, AxisOrder::ChannelsLast));
        }
        if let [1, rows, columns, channels] = *dims {
            self.wanted = Shape::new(rows, columns, channels).map(|shape| (shape, AxisOrder::ChannelsLast));
        }
    }
}
