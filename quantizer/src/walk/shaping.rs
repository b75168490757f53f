//! Operators that only change how the model sees a tensor.

use super::stream::{Base, Stream};
use super::{Value, Walk, Wanted};
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
                let target = [outer.iter().product(), inner.iter().product()];
                stream = self.reshaped_to(stream, &target, &node.op)?;
            }
            "Reshape" => {
                let shape = match constants.get(1).copied().flatten() {
                    Some(shape) => shape.ints()?,
                    None => node.attributes.ints("shape")?.unwrap_or(&[]).to_vec(),
                };
                let target = self.reshaped(&dims, shape, node)?;
                stream = self.reshaped_to(stream, &target, &node.op)?;
            }
            "Squeeze" | "Unsqueeze" => {
                let target = squeezed(node, constants.get(1).copied().flatten(), &dims)?;
                stream.layout = stream.layout.reshape(&target)?;
            }
            "Expand" => {
                let shape = constants.get(1).copied().flatten().map(Constant::ints).transpose()?.unwrap_or_default();
                let grows = shape.len() > dims.len()
                    || shape.iter().rev().zip(dims.iter().rev()).any(|(&to, &dim)| to != 1 && to != dim as i64);
                if grows {
                    return Err(Fault::operator(
                        format!("an Expand of {dims:?} to {shape:?}"),
                        "leave it out: sums and products broadcast by themselves",
                    ));
                }
            }
            "Dropout" if constants.get(2).copied().flatten().is_some_and(|training| training.array.f32(0) != 0.0) => {
                return Err(Fault::operator("a Dropout in training mode", "export the model in evaluation mode"));
            }
            // A cast to integers changes nothing where every number already is one.
            "Cast" if matches!(node.attributes.int("to", 1)?, 6 | 7) => {
                let whole = |piece: &Piece| piece.is_affine() && piece.gain.is_integer() && piece.offset.is_integer();
                if matches!(stream.base, Base::Input(_)) || stream.curve.is_some() || !stream.function.iter().all(whole)
                {
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
        let stream = self.stream(id)?;
        let dims: Vec<i64> = stream.layout.dims().iter().map(|&dim| dim as i64).collect();
        Ok(Value::Constant(Rc::new(Constant::plain(Array::int(vec![dims.len()], dims)))))
    }

    /// Asks for the input as an image of positions with `channels` each, the model's last axis.
    pub(super) fn want_channels_last(&mut self, id: TensorId, dims: &[u64]) {
        let Some(input) = self.open_input(&Base::Tensor(id)) else { return };
        let shape = match *dims {
            [1, columns, channels] => Shape::new(1, columns, channels),
            [1, rows, columns, channels] => Shape::new(rows, columns, channels),
            _ => None,
        };
        if let Some(shape) = shape {
            self.wanted = Some(Wanted { input, shape, axes: AxisOrder::ChannelsLast });
        }
    }
}
