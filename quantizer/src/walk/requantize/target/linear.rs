//! QuantizeLinear, and the float32 rule of integer kernels, over a stream: the codes are what they mean.

use super::{Output, Parameters, Target};
use crate::exact::{Exact, Piece, integer};
use crate::fault::{Checked, Fault};
use crate::model::Array;
use crate::qdq::{Affine, Kernel};
use crate::quantization::{Stairs, Steps};
use crate::walk::stream::Stream;
use network::graph::InputQuantizer;
use network::rounding::Rounding;
use network::{Format, Range};
use num_traits::{One, Zero};
use std::rc::Rc;

/// code = clamp(half-even(x / scale) + zero point).
pub(super) fn linear(stream: &Stream, affine: &Affine) -> Checked<Target> {
    let rank = stream.layout.dims().len();
    let axis = affine.axis_of(rank)?;
    if affine.block != 0 {
        return Err(Fault::quantizer("a quantizer of data with blocks of scales", "use one scale for the tensor"));
    }
    let along = |array: &Array| {
        let mut dims = vec![1; rank];
        if let Some(dim) = dims.get_mut(axis).filter(|_| array.len() != 1) {
            *dim = array.len();
        }
        Array::float(dims, array.floats())
    };
    let parameters = Parameters::new(stream, &along(&affine.scale), &along(&affine.zero_point))?;
    let (low, high) = affine.limits;
    let stairs = parameters
        .zero_points
        .iter()
        .map(|&zero| {
            let steps = Steps { rounding: Rounding::HalfEven, truncation: None, low, high, code_shift: zero as i64 };
            Rc::new(Stairs::Steps(steps))
        })
        .collect();
    let input = parameters.only().map(|(scale, zero_point)| InputQuantizer {
        scale,
        zero_point,
        rounding: Rounding::HalfEven,
        code_min: low,
        code_max: high,
        rounds_first: true,
    });
    Ok(Target {
        numbers: parameters.map(|scale, _| (scale.recip(), Exact::zero())),
        stairs,
        reals: vec![Piece::identity()],
        output: output(low, high)?,
        input,
        steps: Vec::new(),
    })
}

/// code = clamp(half-even(f32(f32(n) * multiplier) / divisor)) + zero point.
pub(super) fn float32(
    stream: &Stream,
    multiplier: &Array,
    divisor: f32,
    zero_point: i64,
    (low, high): (i64, i64),
) -> Checked<Target> {
    let same = |a: usize, b: usize| multiplier.f32(a) == multiplier.f32(b);
    let indices = stream.layout.channel_indices(&multiplier.dims, stream.shape.channels, same)?;
    let kernels: Vec<Kernel> = indices
        .into_iter()
        .map(|index| Kernel { multiplier: multiplier.f32(index), divisor, zero_point, low, high })
        .collect();
    let stairs = kernels
        .iter()
        .map(|kernel| {
            let boundaries = kernel.boundaries().into_iter().map(integer).collect();
            Rc::new(Stairs::Table { boundaries, first: low, last: high })
        })
        .collect();
    let step = |kernel: &Kernel| (f64::from(kernel.multiplier) / f64::from(divisor), zero_point as f64);
    Ok(Target {
        numbers: vec![(Exact::one(), Exact::zero())],
        stairs,
        reals: vec![Piece::identity()],
        output: output(low, high)?,
        input: None,
        steps: kernels.iter().map(step).collect(),
    })
}

fn output(low: i64, high: i64) -> Checked<Output> {
    let format = Format::integer_for(Range::new(low, high));
    let format =
        format.ok_or_else(|| Fault::quantizer(format!("codes from {low} to {high}"), "use at most 16 bits"))?;
    Ok(Output::Fixed(format))
}
