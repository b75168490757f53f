//! DequantizeLinear over a stream of codes: real = (code - zero point) * scale.

use super::stream::{Base, Stream};
use crate::constant::Constant;
use crate::exact::{Exact, Piece, from_f32, integer};
use crate::fault::{Checked, Fault};
use crate::model::{Array, Node};
use crate::qdq;

/// The stream with the real numbers that its codes stand for.
pub(super) fn dequantize(node: &Node, mut stream: Stream, constants: &[Option<&Constant>]) -> Checked<Stream> {
    let parameters = qdq::affine(node, constants.get(1..).unwrap_or(&[]))?;
    let whole = |piece: &Piece| piece.gain.is_integer() && piece.offset.is_integer();
    if matches!(stream.base, Base::Input(_)) || stream.curve.is_some() || !stream.function.iter().all(whole) {
        return Err(Fault::quantizer(
            "`DequantizeLinear` reads real numbers, no codes",
            "put a QuantizeLinear before it, or give the network an input of an integer type",
        ));
    }
    if parameters.block != 0 {
        return Err(Fault::quantizer("data with blocks of scales", "use one scale for the tensor"));
    }
    let rank = stream.layout.dims().len();
    let mut dims = vec![1; rank];
    let axis = parameters.axis_of(rank)?;
    if let Some(dim) = dims.get_mut(axis).filter(|_| parameters.scale.len() != 1) {
        *dim = parameters.scale.len();
    }
    let scales: &Array = &parameters.scale;
    let same = |a: usize, b: usize| scales.f32(a) == scales.f32(b) && parameters.zero(a) == parameters.zero(b);
    let indices = stream.layout.channel_indices(&dims, stream.shape.channels, same)?;
    let pairs: Vec<(Exact, Exact)> = indices
        .into_iter()
        .map(|index| {
            let scale = from_f32(scales.f32(index));
            let scale = scale.ok_or_else(|| Fault::quantizer("a scale that is not finite", "retrain"))?;
            let offset = -&scale * integer(parameters.zero(index));
            Ok((scale, offset))
        })
        .collect::<Checked<_>>()?;
    stream.then_affine(&pairs);
    Ok(stream)
}
