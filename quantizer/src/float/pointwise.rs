//! Operators that work on each element: arithmetic, normalisation, activation functions.

use super::operator::{Operands, fault, unknown};
use super::tensor;
use crate::fault::{Checked, Fault};
use crate::model::Array;
use candle_core::Tensor;

/// Any element-wise operator.
pub(super) fn pointwise(operands: &Operands<'_>) -> Checked<Tensor> {
    let node = operands.node;
    let x = operands.tensor(0)?;
    let number = |name: &str, default: f32| node.attributes.float(name, default).map(f64::from);
    let made = match node.op.as_str() {
        "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Sum" => return arithmetic(operands),
        "BatchNormalization" => return batch_normalization(operands),
        "Clip" => return clip(operands),
        "Pow" => return pow(operands),
        "Relu" => x.relu(),
        "Neg" => x.neg(),
        "Abs" => x.abs(),
        "Sqrt" => x.sqrt(),
        "Exp" => x.exp(),
        "Log" => x.log(),
        "Erf" => x.erf(),
        "Tanh" => x.tanh(),
        "Reciprocal" => x.recip(),
        "Sigmoid" => sigmoid(x),
        "Softplus" => softplus(x),
        "LeakyRelu" => leaky(x, number("alpha", 0.01)?),
        "PRelu" => {
            let slope = operands.tensor(1)?;
            x.neg().and_then(|neg| x.relu()? - neg.relu()?.broadcast_mul(slope)?)
        }
        "HardSigmoid" => hard_sigmoid(x, number("alpha", 0.2)?, number("beta", 0.5)?),
        "HardSwish" => hard_sigmoid(x, 1.0 / 6.0, 0.5).and_then(|gate| x * gate),
        "Elu" => x.elu(number("alpha", 1.0)?),
        "Mish" => softplus(x).and_then(|x| x.tanh()).and_then(|gate| x * gate),
        "Gelu" if node.attributes.text("approximate", "none")? == "tanh" => x.gelu(),
        "Gelu" => x.gelu_erf(),
        "Softsign" => x.abs().and_then(|magnitude| x / (magnitude + 1.0)?),
        "Floor" => x.floor(),
        "Ceil" => x.ceil(),
        _ => return Err(unknown(node)),
    };
    made.map_err(fault)
}

fn sigmoid(x: &Tensor) -> candle_core::Result<Tensor> {
    (x.neg()?.exp()? + 1.0)?.recip()
}

/// ln(1 + e^x), without overflow.
fn softplus(x: &Tensor) -> candle_core::Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}

fn leaky(x: &Tensor, alpha: f64) -> candle_core::Result<Tensor> {
    x.relu()? - (x.neg()?.relu()? * alpha)?
}

fn hard_sigmoid(x: &Tensor, alpha: f64, beta: f64) -> candle_core::Result<Tensor> {
    x.affine(alpha, beta)?.clamp(0f32, 1f32)
}

/// Operators of two inputs, or (Max, Min, Sum) of any number.
fn arithmetic(operands: &Operands<'_>) -> Checked<Tensor> {
    let mut made = operands.tensor(0)?.clone();
    for index in 1..operands.tensors.len() {
        let right = operands.tensor(index)?;
        made = match operands.node.op.as_str() {
            "Add" | "Sum" => made.broadcast_add(right),
            "Sub" => made.broadcast_sub(right),
            "Mul" => made.broadcast_mul(right),
            "Div" => made.broadcast_div(right),
            "Max" => made.broadcast_maximum(right),
            _ => made.broadcast_minimum(right),
        }
        .map_err(fault)?;
    }
    Ok(made)
}

/// Gain and offset of a batch normalisation for each channel, from its four constants.
pub(crate) fn normalisation(parameters: [&Array; 4], epsilon: f32) -> Checked<Vec<(f64, f64)>> {
    let [scale, bias, mean, variance] = parameters;
    let channels = scale.len();
    if parameters.iter().any(|array| array.len() != channels) {
        return Err(Fault::shape("batch normalisation with constants of different lengths", "export the model again"));
    }
    (0..channels)
        .map(|channel| {
            let at = |array: &Array| f64::from(array.f32(channel));
            let gain = at(scale) / (at(variance) + f64::from(epsilon)).sqrt();
            let offset = at(bias) - at(mean) * gain;
            if gain.is_finite() && offset.is_finite() {
                return Ok((gain, offset));
            }
            Err(Fault::constant(
                format!("batch normalisation of channel {channel} has no finite gain"),
                "repair the variance, mean, scale or bias",
            ))
        })
        .collect()
}

fn batch_normalization(operands: &Operands<'_>) -> Checked<Tensor> {
    let x = operands.tensor(0)?;
    let mut parameters = Vec::new();
    for index in 1..5 {
        let constant = operands.constant(index)?;
        let missing = || Fault::constant("batch normalisation without its constants", "export in evaluation mode");
        parameters.push(&constant.ok_or_else(missing)?.array);
    }
    let epsilon = operands.node.attributes.float("epsilon", 1e-5)?;
    let pairs = normalisation([parameters[0], parameters[1], parameters[2], parameters[3]], epsilon)?;
    let mut dims = vec![1; x.rank()];
    *dims.get_mut(1).ok_or_else(|| Fault::shape("batch normalisation of a vector", "it needs channels"))? = pairs.len();
    let gains = tensor(pairs.iter().map(|pair| pair.0 as f32).collect(), &dims)?;
    let offsets = tensor(pairs.iter().map(|pair| pair.1 as f32).collect(), &dims)?;
    x.broadcast_mul(&gains).and_then(|x| x.broadcast_add(&offsets)).map_err(fault)
}

fn clip(operands: &Operands<'_>) -> Checked<Tensor> {
    let low = operands.number(1, "min", f32::MIN)?;
    let high = operands.number(2, "max", f32::MAX)?;
    if low.is_nan() || high.is_nan() {
        return Err(Fault::constant("a Clip to NaN", "give finite bounds"));
    }
    // The upper bound wins where the two are crossed.
    let x = operands.tensor(0)?;
    x.maximum(low).and_then(|x| x.minimum(high)).map_err(fault)
}

fn pow(operands: &Operands<'_>) -> Checked<Tensor> {
    let x = operands.tensor(0)?;
    match operands.constants.get(1).copied().flatten() {
        Some(exponent) if exponent.array.len() == 1 => x.powf(f64::from(exponent.array.f32(0))).map_err(fault),
        _ => x.broadcast_pow(operands.tensor(1)?).map_err(fault),
    }
}
