//! Quantizers applied to constants, in float32 as QONNX's executor does.

use super::{Quantizer, planes};
use crate::constant::shaping::{broadcast, broadcast_indices};
use crate::constant::{Constant, Grid};
use crate::exact::{Exact, fraction, from_f32, integer};
use crate::fault::{Checked, Fault};
use crate::model::Array;
use network::rounding::Rounding;
use network::{Format, Range};

/// The quantized constant: float32 values, and the exact integers behind them.
pub(crate) fn apply(quantizer: &Quantizer, constant: &Constant) -> Checked<Constant> {
    let array = &constant.array;
    if let Some(value) = (0..array.len()).map(|index| array.f32(index)).find(|value| value.is_nan()) {
        return Err(Fault::constant(format!("a weight is {value}"), "repair the weights"));
    }
    match quantizer {
        Quantizer::Uniform { scale, zero_point, bits, signed, low, high, rounding } => {
            let code = |x: f32| rounding.apply(x.clamp(*low as f32, *high as f32));
            let uniform_planes = |zero: f32| planes(*bits, *low, *high, zero);
            let declared = if *signed { Format::signed(*bits) } else { Format::unsigned(*bits) };
            quantize(array, [scale, zero_point], [scale, zero_point], &code, declared, &uniform_planes)
        }
        Quantizer::Bipolar { scale, zero_point } => {
            let code = |x: f32| if x >= 0.0 { 1.0 } else { -1.0 };
            quantize(array, [scale, zero_point], [scale, zero_point], &code, Format::bipolar(1), &|_| None)
        }
        Quantizer::Trunc { scale, zero_point, shift, bits, clamp, output_scale, rounding } => {
            let step = 2f32.powi(*shift as i32);
            let code = |x: f32| {
                let finer = x.round_ties_even() / step;
                rounding.apply(clamp.map_or(finer, |(low, high)| finer.clamp(low as f32, high as f32)))
            };
            let output_zero = match clamp {
                None => zero_point.clone(),
                Some(_) => {
                    Array::float(zero_point.dims.clone(), zero_point.floats().iter().map(|zero| zero / step).collect())
                }
            };
            let declared = match clamp {
                Some((low, _)) if *low >= 0 => Format::unsigned(*bits),
                _ => Format::signed(*bits),
            };
            quantize(array, [scale, zero_point], [output_scale, &output_zero], &code, declared, &|_| None)
        }
        Quantizer::Linear(parameters) => crate::qdq::quantize(parameters, constant),
        Quantizer::Thresholds { .. } | Quantizer::Float32 { .. } => Err(Fault::operator(
            "MultiThreshold on a constant",
            "fold it before export; only Quant, BipolarQuant and Trunc are applied to constants",
        )),
    }
}

/// q = code(x / scale + zero), real = (q - output zero) * output scale; pairs are (scale, zero).
fn quantize(
    array: &Array,
    [scale, zero]: [&Array; 2],
    [output_scale, output_zero]: [&Array; 2],
    code: &dyn Fn(f32) -> f32,
    declared: Option<Format>,
    planes: &dyn Fn(f32) -> Option<u32>,
) -> Checked<Constant> {
    let parameters = broadcast(&broadcast(&scale.dims, &zero.dims)?, &output_scale.dims)?;
    let dims = broadcast(&array.dims, &parameters)?;
    if dims.iter().product::<usize>() != array.len() {
        return Err(Fault::shape(
            format!("a scale or zero point of shape {parameters:?} widens weights of shape {:?}", array.dims),
            "one scale for each channel, or one for all, can be built",
        ));
    }
    let (scale_of, zero_of) = (broadcast_indices(&scale.dims, &dims), broadcast_indices(&zero.dims, &dims));
    let output_scale_of = broadcast_indices(&output_scale.dims, &dims);
    let zeros: Vec<f32> = output_zero.floats();
    if let Some(zero) = zeros.iter().find(|zero| (**zero * 2.0).fract() != 0.0 || zero.abs() > 65536.0) {
        return Err(Fault::quantizer(
            format!("a weight zero point of {zero}"),
            "whole and half zero points can be built",
        ));
    }
    // Half-odd zero points make every integer twice as large over half the scale.
    let doubled = zeros.iter().any(|zero| zero.fract() != 0.0);
    let factor = if doubled { 2.0 } else { 1.0 };
    let mut values = Vec::with_capacity(array.len());
    let mut floats = Vec::with_capacity(array.len());
    for index in 0..array.len() {
        let (zero, output_zero) = (zero.f32(zero_of[index]), zeros[zero_of[index]]);
        let q = code(array.f32(index) / scale.f32(scale_of[index]) + zero);
        if q.is_nan() || q.abs() >= 1e6 {
            return Err(Fault::quantizer(format!("a quantized weight of {q}"), "weights have at most 16 bits"));
        }
        values.push(((q - output_zero) * factor) as i32);
        floats.push((q - output_zero) * output_scale.f32(output_scale_of[index]));
    }
    let half: Exact = if doubled { fraction(1, 2) } else { integer(1) };
    let exact =
        |scale: f32| from_f32(scale).ok_or_else(|| Fault::quantizer(format!("scale {scale}"), "it must be finite"));
    let scales: Vec<Exact> =
        output_scale.floats().into_iter().map(|scale| Ok(exact(scale)? * &half)).collect::<Checked<_>>()?;
    let format = weight_format(&values, declared, &zeros, planes)?;
    let scale_of = output_scale_of.into_iter().map(|index| index as u32).collect();
    let grid = Grid { values, scale_of, scales, format };
    Ok(Constant { array: Array::float(array.dims.clone(), floats), grid: Some(grid) })
}

/// The declared format where the zero point is 0, planes on an odd grid, else the narrowest that holds the values.
fn weight_format(
    values: &[i32],
    declared: Option<Format>,
    zeros: &[f32],
    planes: &dyn Fn(f32) -> Option<u32>,
) -> Checked<Format> {
    let holds = |format: &Format| values.iter().all(|&value| format.code(i64::from(value)).is_some());
    let common_planes = zeros.iter().map(|&zero| planes(zero)).reduce(|a, b| if a == b { a } else { None }).flatten();
    if let Some(format) = common_planes.and_then(Format::bipolar).filter(holds) {
        return Ok(format);
    }
    if let Some(format) = declared.filter(|_| zeros.iter().all(|&zero| zero == 0.0)).filter(holds) {
        return Ok(format);
    }
    let (min, max) = (values.iter().min().copied().unwrap_or(0), values.iter().max().copied().unwrap_or(0));
    Format::integer_for(Range::new(i64::from(min), i64::from(max))).ok_or_else(|| {
        Fault::quantizer(format!("weights from {min} to {max} after their zero point"), "weights have at most 16 bits")
    })
}

/// Whether the rounding mode commutes with adding even numbers, also below zero.
pub(crate) fn ignores_sign(rounding: Rounding) -> bool {
    matches!(rounding, Rounding::HalfEven | Rounding::Ceil | Rounding::Floor)
}
