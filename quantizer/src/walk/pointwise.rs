//! Element-wise operators: they change what integers mean, and cost no hardware of their own.

use super::stream::Stream;
use crate::constant::Constant;
use crate::exact::{Exact, from_f32, integer, sqrt};
use crate::fault::{Checked, Fault};
use crate::model::Node;
use num_traits::{One, Signed, Zero};

/// The input at `index`, which must be a constant.
fn parameter<'a>(node: &str, constants: &[Option<&'a Constant>], index: usize) -> Checked<&'a Constant> {
    constants.get(index).copied().flatten().ok_or_else(|| {
        Fault::constant(format!("`{node}` has no constant input {index}"), "store its parameters in the model")
    })
}

/// For each channel (or all) the exact element of a constant that is broadcast to the stream.
fn per_channel(stream: &Stream, constant: &Constant, dims: &[usize]) -> Checked<Vec<Exact>> {
    let same = |a: usize, b: usize| constant.array.f32(a) == constant.array.f32(b);
    let indices = stream.layout.channel_indices(dims, stream.shape.channels, same)?;
    indices.into_iter().map(|index| constant.exact(index)).collect()
}

/// Refuses a constant that would make the stream larger.
fn check_not_wider(stream: &Stream, constant: &Constant) -> Checked<()> {
    let (own, other) = (stream.layout.dims(), &constant.array.dims);
    let wider = (1..=other.len().min(own.len()))
        .any(|from_end| other[other.len() - from_end] != 1 && own[own.len() - from_end] == 1);
    if wider || other.iter().rev().skip(own.len()).any(|&dim| dim != 1) {
        return Err(Fault::shape(
            format!("a constant of shape {other:?} widens a tensor of shape {own:?}"),
            "one constant for each channel, or one for all, can be built",
        ));
    }
    Ok(())
}

/// Add, Sub, Mul and Div with a constant, and Neg; `index` says which input the stream is.
pub(super) fn arithmetic(
    op: &str,
    mut stream: Stream,
    index: usize,
    constants: &[Option<&Constant>],
) -> Checked<Stream> {
    if op == "Neg" {
        stream.then_affine(&[(-Exact::one(), Exact::zero())]);
        return Ok(stream);
    }
    let constant = parameter(op, constants, 1 - index.min(1))?;
    check_not_wider(&stream, constant)?;
    let values = per_channel(&stream, constant, &constant.array.dims)?;
    let pair = |value: Exact| match (op, index) {
        ("Add", _) => Ok((Exact::one(), value)),
        ("Sub", 0) => Ok((Exact::one(), -value)),
        ("Sub", _) => Ok((-Exact::one(), value)),
        ("Mul", _) => Ok((value, Exact::zero())),
        ("Div", 0) if value.is_zero() => Err(Fault::constant("a division by 0", "repair the model's constants")),
        ("Div", 0) => Ok((value.recip(), Exact::zero())),
        _ => Err(Fault::operator("a constant divided by a stream", "only affine functions of the data can be built")),
    };
    let pairs: Vec<(Exact, Exact)> = values.into_iter().map(pair).collect::<Checked<_>>()?;
    stream.then_affine(&pairs);
    Ok(stream)
}

/// y = scale * (x - mean) / sqrt(var + epsilon) + bias, exactly (the root to more than 80 digits).
pub(super) fn batch_normalization(node: &Node, mut stream: Stream, constants: &[Option<&Constant>]) -> Checked<Stream> {
    let epsilon = from_f32(node.attributes.float("epsilon", 1e-5)?).unwrap_or_else(Exact::zero);
    let rank = stream.layout.dims().len();
    let parameters: Vec<Vec<Exact>> = (1..5)
        .map(|index| {
            let constant = parameter("BatchNormalization", constants, index)?;
            let &[channels] = constant.array.dims.as_slice() else {
                return Err(Fault::shape(
                    format!("BatchNormalization parameters of shape {:?}", constant.array.dims),
                    "one number for each channel is expected",
                ));
            };
            // The channel axis is the second one, whatever follows it.
            let mut dims = vec![channels];
            dims.extend(std::iter::repeat_n(1, rank.saturating_sub(2)));
            if stream.layout.dims().get(1) != Some(&(channels as u64)) {
                return Err(Fault::shape(
                    format!("BatchNormalization over {channels} channels of {:?}", stream.layout.dims()),
                    "its parameters must match the second axis",
                ));
            }
            per_channel(&stream, constant, &dims)
        })
        .collect::<Checked<_>>()?;
    let count = parameters.iter().map(Vec::len).max().unwrap_or(1);
    let at = |which: usize, channel: usize| super::stream::entry(&parameters[which], channel);
    let pairs: Vec<(Exact, Exact)> = (0..count)
        .map(|channel| {
            let (scale, bias, mean, variance) =
                (at(0, channel), at(1, channel), at(2, channel), at(3, channel) + &epsilon);
            if !variance.is_positive() {
                return Err(Fault::constant(
                    format!("the variance of channel {channel} is not positive"),
                    "repair the batch normalisation's statistics",
                ));
            }
            let gain = scale / sqrt(&variance);
            let offset = bias - mean * &gain;
            Ok((gain, offset))
        })
        .collect::<Checked<_>>()?;
    stream.then_affine(&pairs);
    Ok(stream)
}

/// max(x, 0).
pub(super) fn relu(mut stream: Stream) -> Stream {
    stream.then_clamp(Some(&integer(0)), None);
    stream
}

/// Max or Min with one number.
pub(super) fn bound(op: &str, mut stream: Stream, index: usize, constants: &[Option<&Constant>]) -> Checked<Stream> {
    let bound = parameter(op, constants, 1 - index.min(1))?.scalar()?;
    match op {
        "Max" => stream.then_clamp(Some(&bound), None),
        _ => stream.then_clamp(None, Some(&bound)),
    }
    Ok(stream)
}

/// Clip with bounds as inputs (new) or attributes (old).
pub(super) fn clip(node: &Node, mut stream: Stream, constants: &[Option<&Constant>]) -> Checked<Stream> {
    let bound = |index: usize, name: &str| -> Checked<Option<Exact>> {
        if let Some(constant) = constants.get(index).copied().flatten() {
            let value = constant.array.f32(0);
            // An infinite bound is none.
            return if constant.array.len() == 1 && value.is_infinite() {
                Ok(None)
            } else {
                constant.scalar().map(Some)
            };
        }
        match node.attributes.get(name) {
            None => Ok(None),
            // The default of old files, the largest float, is exact and never met.
            Some(_) => Ok(from_f32(node.attributes.float(name, 0.0)?)),
        }
    };
    let (low, high) = (bound(1, "min")?, bound(2, "max")?);
    stream.then_clamp(low.as_ref(), high.as_ref());
    Ok(stream)
}
