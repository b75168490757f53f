//! QONNX's quantizers as data: `Quant`, `IntQuant`, `BipolarQuant`, `Trunc`, `MultiThreshold`.
//!
//! Meanings are those of QONNX's reference executor: y = round(clamp(x / scale + zero point)), real = (y - zero
//! point) * scale; a signed 1-bit Quant is bipolar; an unsigned narrow range ends at 2^b - 2.

mod apply;
mod stairs;

pub(crate) use apply::{apply, ignores_sign};
pub(crate) use stairs::{Stairs, Steps};

use crate::constant::{Constant, check_scales};
use crate::fault::{Checked, Fault};
use crate::model::{Array, Node};
use crate::qdq::{self, Affine};
use network::Format;
use network::format::{MAX_INTEGER_BITS, MAX_PLANES};
use network::rounding::Rounding;

/// A quantizer node with its constant inputs.
#[derive(Clone, Debug)]
pub(crate) enum Quantizer {
    /// Quant and IntQuant.
    Uniform { scale: Array, zero_point: Array, bits: u32, signed: bool, low: i64, high: i64, rounding: Rounding },
    /// BipolarQuant, and Quant with one signed bit: +1 where x / scale + zero point >= 0, else -1.
    Bipolar { scale: Array, zero_point: Array },
    /// Trunc: the integers of a finer quantizer lose their low bits.
    Trunc {
        scale: Array,
        zero_point: Array,
        shift: u32,
        bits: u32,
        clamp: Option<(i64, i64)>,
        output_scale: Array,
        rounding: Rounding,
    },
    /// MultiThreshold: out_scale * (number of thresholds reached) + out_bias.
    Thresholds { rows: Array, scale: f32, bias: f32, data_type: String, channel_axis: usize },
    /// QuantizeLinear: its codes are what it means.
    Linear(Affine),
    /// The float32 rule of an integer kernel, see [`crate::qdq::Kernel`].
    Float32 { multiplier: Array, divisor: f32, zero_point: i64, limits: (i64, i64) },
}

/// Whether the node is a quantizer, and in a domain that QONNX uses.
pub(crate) fn is_quantizer(node: &Node) -> bool {
    if qdq::is_quantizer(node) {
        return true;
    }
    matches!(node.op.as_str(), "Quant" | "IntQuant" | "BipolarQuant" | "Trunc" | "MultiThreshold")
        && matches!(node.domain.as_str(), "" | "qonnx.custom_op.general" | "onnx.brevitas" | "finn.custom_op.general")
}

/// Reads a quantizer; `parameters` are its inputs after the first, constants all.
pub(crate) fn parse(node: &Node, parameters: &[Option<&Constant>]) -> Checked<Quantizer> {
    if qdq::is_quantizer(node) {
        return qdq::parse(node, parameters);
    }
    let parameter = |index: usize, what: &str| {
        parameters.get(index).copied().flatten().map(|constant| constant.array.clone()).ok_or_else(|| {
            Fault::quantizer(
                format!("`{}` has no constant {what}", node.op),
                "quantizer parameters must be constants of the model",
            )
        })
    };
    match node.op.as_str() {
        "Quant" | "IntQuant" => {
            uniform(node, parameter(0, "scale")?, parameter(1, "zero point")?, &parameter(2, "bit width")?)
        }
        "BipolarQuant" => {
            let scale = parameter(0, "scale")?;
            check_scales(&scale)?;
            Ok(Quantizer::Bipolar { scale, zero_point: Array::float(vec![], vec![0.0]) })
        }
        "Trunc" => trunc(node, &parameter),
        _ => thresholds(node, parameter(0, "thresholds")?),
    }
}

fn rounding(node: &Node, default: &str) -> Checked<Rounding> {
    let name = node.attributes.text("rounding_mode", default)?;
    Rounding::from_qonnx(name).ok_or_else(|| {
        Fault::quantizer(
            format!("rounding mode `{name}`"),
            "QONNX knows ROUND, HALF_EVEN, HALF_UP, HALF_DOWN, CEIL, FLOOR, UP, DOWN and ROUND_TO_ZERO",
        )
    })
}

/// The only element of `array` as a whole number of bits.
fn bits(array: &Array) -> Checked<u32> {
    let width = array.f32(0);
    let most = MAX_INTEGER_BITS as f32;
    if array.len() != 1 || width.fract() != 0.0 || !(1.0..=most).contains(&width) {
        return Err(Fault::quantizer(
            format!("a bit width of {width}{}", if array.len() == 1 { "" } else { ", or several" }),
            format!("one whole width from 1 to {MAX_INTEGER_BITS} for a tensor can be built"),
        ));
    }
    Ok(width as u32)
}

fn finite(array: &Array, what: &str) -> Checked<()> {
    match (0..array.len()).map(|index| array.f32(index)).find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) => Err(Fault::quantizer(format!("{what} {value}"), "it must be finite")),
    }
}

/// Least and greatest integer of a width, as QONNX has them.
fn limits(bits: u32, signed: bool, narrow: bool) -> (i64, i64) {
    let (span, narrow) = (1i64 << bits, i64::from(narrow));
    if signed { (-span / 2 + narrow, span / 2 - 1) } else { (0, span - 1 - narrow) }
}

fn uniform(node: &Node, scale: Array, zero_point: Array, width: &Array) -> Checked<Quantizer> {
    check_scales(&scale)?;
    finite(&zero_point, "zero point")?;
    let bits = bits(width)?;
    let signed = node.attributes.int("signed", 1)? != 0;
    let narrow = node.attributes.int("narrow", 0)? != 0;
    let rounding = rounding(node, "ROUND")?;
    if bits == 1 && signed {
        return Ok(Quantizer::Bipolar { scale, zero_point });
    }
    let (low, high) = limits(bits, signed, narrow);
    if low >= high {
        return Err(Fault::quantizer("a narrow unsigned width of 1 has a single value", "use two bits, or narrow = 0"));
    }
    Ok(Quantizer::Uniform { scale, zero_point, bits, signed, low, high, rounding })
}

fn trunc(node: &Node, parameter: &dyn Fn(usize, &str) -> Checked<Array>) -> Checked<Quantizer> {
    let (scale, zero_point) = (parameter(0, "scale")?, parameter(1, "zero point")?);
    check_scales(&scale)?;
    finite(&zero_point, "zero point")?;
    let input_bits = bits(&parameter(2, "input bit width")?)?;
    let rounding = rounding(node, "FLOOR")?;
    let widens =
        || Fault::quantizer("a Trunc that adds bits", "its output must have at most as many bits as its input");
    if node.inputs.len() <= 5 {
        let bits = bits(&parameter(3, "output bit width")?)?;
        let shift = input_bits.checked_sub(bits).ok_or_else(widens)?;
        return Ok(Quantizer::Trunc {
            output_scale: scale.clone(),
            scale,
            zero_point,
            shift,
            bits,
            clamp: None,
            rounding,
        });
    }
    let output_scale = parameter(3, "output scale")?;
    check_scales(&output_scale)?;
    let bits = bits(&parameter(4, "output bit width")?)?;
    if scale.len() != 1 || output_scale.len() != 1 {
        return Err(Fault::quantizer("a Trunc with a scale for each channel", "use one scale for the tensor"));
    }
    let power = (output_scale.f32(0) / scale.f32(0)).log2().round_ties_even();
    if !(0.0..=32.0).contains(&power) {
        return Err(widens());
    }
    let signed = node.attributes.int("signed", 1)? != 0;
    let narrow = node.attributes.int("narrow", 0)? != 0;
    let clamp = Some(limits(bits, signed, narrow));
    Ok(Quantizer::Trunc { scale, zero_point, shift: power as u32, bits, clamp, output_scale, rounding })
}

fn thresholds(node: &Node, rows: Array) -> Checked<Quantizer> {
    let &[_, count] = rows.dims.as_slice() else {
        return Err(Fault::quantizer(
            format!("thresholds of shape {:?}", rows.dims),
            "thresholds are a matrix of channels and steps",
        ));
    };
    if count == 0 || count > 0xffff || (0..rows.len()).any(|index| rows.f32(index).is_nan()) {
        return Err(Fault::quantizer(
            format!("{count} thresholds a channel, or NaN among them"),
            "1 to 65535 numbers can be built",
        ));
    }
    let (scale, bias) = (node.attributes.float("out_scale", 1.0)?, node.attributes.float("out_bias", 0.0)?);
    if scale == 0.0 {
        return Err(Fault::quantizer("an out_scale of 0", "the output would be constant"));
    }
    let layout = node.attributes.text("data_layout", "")?;
    let channel_axis = layout.find('C').unwrap_or(usize::MAX);
    let data_type = node.attributes.text("out_dtype", "")?.to_owned();
    Ok(Quantizer::Thresholds { rows, scale, bias, data_type, channel_axis })
}

/// The format of one of FINN's data type names, where it is an integer or bipolar type.
pub(crate) fn declared(data_type: &str) -> Option<Format> {
    let bits = |text: &str| text.parse::<u32>().ok();
    match data_type {
        "BINARY" => Format::unsigned(1),
        "BIPOLAR" => Format::bipolar(1),
        "TERNARY" => Format::signed(2),
        other => match other.strip_prefix('U') {
            Some(rest) => rest.strip_prefix("INT").and_then(bits).and_then(Format::unsigned),
            None => other.strip_prefix("INT").and_then(bits).and_then(Format::signed),
        },
    }
}

/// The number of planes of an odd-integer grid: codes 0..2^M-1 (counted from the least) around a zero point in their
/// middle.
pub(crate) fn planes(bits: u32, low: i64, high: i64, zero_point: f32) -> Option<u32> {
    let full = high - low == (1i64 << bits) - 1;
    (full && bits <= MAX_PLANES && f64::from(zero_point) * 2.0 == (low + high) as f64).then_some(bits)
}
