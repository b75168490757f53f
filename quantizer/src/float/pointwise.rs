//! Operators that work on each element: arithmetic, normalisation, activation functions.

use super::operator::{Operands, fault, unknown};
use super::{bounded, tensor};
use crate::fault::{Checked, Fault};
use crate::model::Array;
use candle_core::{Storage, Tensor};
use rayon::prelude::*;

/// Elements from which on several cores work on a tensor.
const MANY_ELEMENTS: usize = 1 << 16;

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
        "Relu" => return map(x, |x| if x < 0.0 { 0.0 } else { x }, Tensor::relu),
        "Neg" => return map(x, |x| -x, Tensor::neg),
        "Abs" => return map(x, f32::abs, Tensor::abs),
        "Sqrt" => x.sqrt(),
        "Exp" => x.exp(),
        "Log" => x.log(),
        "Erf" => x.erf(),
        "Tanh" => return map(x, f32::tanh, Tensor::tanh),
        "Reciprocal" => x.recip(),
        "Sigmoid" => return map(x, |x| 1.0 / (1.0 + (-x).exp()), sigmoid),
        "Softplus" => softplus(x),
        "LeakyRelu" => {
            let alpha = node.attributes.float("alpha", 0.01)?;
            let leaky = |x: &Tensor| x.relu()? - (x.neg()?.relu()? * f64::from(alpha))?;
            return map(x, |x| if x < 0.0 { alpha * x } else { x }, leaky);
        }
        "PRelu" => {
            let slope = operands.tensor(1)?;
            let tracked = |x: &Tensor, slope: &Tensor| x.relu()? - x.neg()?.relu()?.broadcast_mul(slope)?;
            return meet(x, slope, |x, slope| if x < 0.0 { slope * x } else { x }, tracked);
        }
        "HardSigmoid" => {
            let (alpha, beta) = (node.attributes.float("alpha", 0.2)?, node.attributes.float("beta", 0.5)?);
            let gate = |x: &Tensor| hard_sigmoid(x, f64::from(alpha), f64::from(beta));
            return map(x, |x| (alpha * x + beta).clamp(0.0, 1.0), gate);
        }
        "HardSwish" => {
            let tracked = |x: &Tensor| x * hard_sigmoid(x, 1.0 / 6.0, 0.5)?;
            return map(x, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0), tracked);
        }
        "Elu" => x.elu(number("alpha", 1.0)?),
        "Selu" => {
            let (alpha, gamma) =
                (node.attributes.float("alpha", 1.673_263_2)?, node.attributes.float("gamma", 1.050_701)?);
            let tracked = |x: &Tensor| x.elu(f64::from(alpha))? * f64::from(gamma);
            return map(x, |x| gamma * if x <= 0.0 { alpha * x.exp_m1() } else { x }, tracked);
        }
        "Celu" => {
            let alpha = node.attributes.float("alpha", 1.0)?;
            // Only what lies below zero enters the exponential: the rest is the identity's.
            let tracked = |x: &Tensor| {
                let below = x.minimum(0.0)?.affine(1.0 / f64::from(alpha), 0.0)?.exp()?;
                x.relu()? + (below - 1.0)?.affine(f64::from(alpha), 0.0)?
            };
            return map(x, |x| x.max(0.0) + (alpha * (x / alpha).exp_m1()).min(0.0), tracked);
        }
        "Swish" => {
            let alpha = node.attributes.float("alpha", 1.0)?;
            let tracked = |x: &Tensor| x * sigmoid(&x.affine(f64::from(alpha), 0.0)?)?;
            return map(x, |x| x / (1.0 + (-alpha * x).exp()), tracked);
        }
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

/// 1 / (1 + e^-x), as a hyperbolic tangent, whose gradient never overflows.
fn sigmoid(x: &Tensor) -> candle_core::Result<Tensor> {
    x.affine(0.5, 0.0)?.tanh()?.affine(0.5, 0.5)
}

fn hard_sigmoid(x: &Tensor, alpha: f64, beta: f64) -> candle_core::Result<Tensor> {
    x.affine(alpha, beta)?.clamp(0f32, 1f32)
}

/// ln(1 + e^x), without overflow.
fn softplus(x: &Tensor) -> candle_core::Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}

/// What `read` makes of a tensor's elements in row-major order.
pub(super) fn with_elements<T>(x: &Tensor, read: impl FnOnce(&[f32]) -> T) -> Checked<T> {
    let x = x.contiguous().map_err(fault)?;
    let (storage, layout) = x.storage_and_layout();
    let elements = match &*storage {
        Storage::Cpu(storage) => storage.as_slice::<f32>().map_err(fault)?,
        Storage::Cuda(_) | Storage::Metal(_) => &[],
    };
    let (start, end) = layout.contiguous_offsets().unwrap_or((0, 0));
    Ok(read(&elements[start..end]))
}

/// A function of each element. `tracked` says the same in operations of the tensor library, through which gradients go
/// back; it is slower, so that it stands in only where gradients are asked for.
fn map(
    x: &Tensor,
    function: impl Fn(f32) -> f32 + Sync,
    tracked: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>,
) -> Checked<Tensor> {
    if x.track_op() {
        return tracked(x).map_err(fault);
    }
    let made = with_elements(x, |elements| {
        if elements.len() < MANY_ELEMENTS {
            return elements.iter().map(|&x| function(x)).collect::<Vec<f32>>();
        }
        elements.par_iter().with_min_len(MANY_ELEMENTS / 4).map(|&x| function(x)).collect()
    })?;
    tensor(made, x.dims())
}

/// A function of the elements of two tensors, one of them perhaps repeated along some axes; `tracked` as for [`map`].
pub(super) fn meet(
    a: &Tensor,
    b: &Tensor,
    function: impl Fn(f32, f32) -> f32 + Sync,
    tracked: impl FnOnce(&Tensor, &Tensor) -> candle_core::Result<Tensor>,
) -> Checked<Tensor> {
    let shape = a.shape().broadcast_shape_binary_op(b.shape(), "meet").map_err(fault)?;
    let dims = shape.dims();
    bounded(dims)?;
    if a.track_op() || b.track_op() {
        return tracked(a, b).map_err(fault);
    }
    // One number for each channel, as a bias is.
    let is_by_channel = b.rank() == dims.len()
        && a.dims() == dims
        && b.rank() >= 2
        && b.dims()[0] == 1
        && b.dims()[1] == dims[1]
        && dims[0] == 1
        && b.dims()[2..].iter().all(|&dim| dim == 1);
    let made = if is_by_channel {
        let positions = dims[2..].iter().product::<usize>().max(1);
        with_elements(a, |a| {
            with_elements(b, |b| {
                let mut made = vec![0f32; a.len()];
                let channels = made.par_chunks_mut(positions).zip(a.par_chunks(positions)).zip(b);
                channels.for_each(|((made, a), &b)| made.iter_mut().zip(a).for_each(|(to, &a)| *to = function(a, b)));
                made
            })
        })??
    } else {
        let (a, b) = (a.broadcast_as(dims).map_err(fault)?, b.broadcast_as(dims).map_err(fault)?);
        with_elements(&a, |a| {
            with_elements(&b, |b| {
                if a.len() < MANY_ELEMENTS {
                    return a.iter().zip(b).map(|(&a, &b)| function(a, b)).collect::<Vec<f32>>();
                }
                a.par_iter().zip(b).with_min_len(MANY_ELEMENTS / 4).map(|(&a, &b)| function(a, b)).collect()
            })
        })??
    };
    tensor(made, dims)
}

/// Operators of two inputs, or (Max, Min, Sum) of any number.
fn arithmetic(operands: &Operands<'_>) -> Checked<Tensor> {
    let mut made = operands.tensor(0)?.clone();
    for index in 1..operands.tensors.len() {
        let right = operands.tensor(index)?;
        made = match operands.node.op.as_str() {
            "Add" | "Sum" => meet(&made, right, |a, b| a + b, Tensor::broadcast_add),
            "Sub" => meet(&made, right, |a, b| a - b, Tensor::broadcast_sub),
            "Mul" => meet(&made, right, |a, b| a * b, Tensor::broadcast_mul),
            "Div" => meet(&made, right, |a, b| a / b, Tensor::broadcast_div),
            "Max" => meet(&made, right, |a, b| if a.is_nan() || a > b { a } else { b }, Tensor::broadcast_maximum),
            _ => meet(&made, right, |a, b| if a.is_nan() || a < b { a } else { b }, Tensor::broadcast_minimum),
        }?;
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
            let whole = parameters.iter().all(|array| array.f32(channel).is_finite());
            if whole && gain.is_finite() && offset.is_finite() {
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
    let scaled = meet(x, &gains, |x, gain| x * gain, Tensor::broadcast_mul)?;
    meet(&scaled, &offsets, |x, offset| x + offset, Tensor::broadcast_add)
}

fn clip(operands: &Operands<'_>) -> Checked<Tensor> {
    let low = operands.number(1, "min", f32::MIN)?;
    let high = operands.number(2, "max", f32::MAX)?;
    if low.is_nan() || high.is_nan() {
        return Err(Fault::constant("a Clip to NaN", "give finite bounds"));
    }
    // The upper bound wins where the two are crossed.
    let x = operands.tensor(0)?;
    map(
        x,
        |x| {
            let x = if x < low { low } else { x };
            if x > high { high } else { x }
        },
        |x| x.maximum(low)?.minimum(high),
    )
}

fn pow(operands: &Operands<'_>) -> Checked<Tensor> {
    let x = operands.tensor(0)?;
    match operands.constants.get(1).copied().flatten() {
        Some(exponent) if exponent.array.len() == 1 => x.powf(f64::from(exponent.array.f32(0))).map_err(fault),
        _ => x.broadcast_pow(operands.tensor(1)?).map_err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::elements;
    use crate::model::{Attributes, Node, Refused};
    use candle_core::Var;

    fn evaluate(op: &str, tensors: Vec<Tensor>) -> Tensor {
        let node = Node {
            name: op.to_owned(),
            op: op.to_owned(),
            domain: String::new(),
            inputs: vec![None; tensors.len()],
            outputs: Vec::new(),
            attributes: Attributes::default(),
            constant_element: None,
            refused: Refused::default(),
        };
        let constants = vec![None; tensors.len()];
        let tensors = tensors.into_iter().map(Some).collect();
        pointwise(&Operands { node: &node, tensors, constants, batch: 1, shapes_only: false }).unwrap()
    }

    /// What gradients go through has the values of the quick form, and its slopes.
    #[test]
    fn gradients_are_those_of_the_quick_form() {
        let xs = [-6.3f32, -2.9, -1.1, -0.4, 0.3, 0.8, 2.7, 3.4, 7.9];
        let other = tensor(xs.iter().map(|x| 0.3 * x + 1.7).collect(), &[1, 9]).unwrap();
        let one = |op: &str, x: Tensor| {
            let is_pair = ["Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu"].contains(&op);
            evaluate(op, if is_pair { vec![x, other.clone()] } else { vec![x] })
        };
        for op in [
            "Relu",
            "Neg",
            "Abs",
            "Tanh",
            "Sigmoid",
            "LeakyRelu",
            "HardSigmoid",
            "HardSwish",
            "Selu",
            "Celu",
            "Swish",
            "PRelu",
            "Add",
            "Sub",
            "Mul",
            "Div",
            "Max",
            "Min",
            "Clip",
        ] {
            let quick = |by: f32| elements(&one(op, tensor(xs.iter().map(|x| x + by).collect(), &[1, 9]).unwrap()));
            let variable = Var::from_tensor(&tensor(xs.to_vec(), &[1, 9]).unwrap()).unwrap();
            let tracked = one(op, variable.as_tensor().clone());
            let gradients = tracked.sum_all().unwrap().backward().unwrap();
            let gradient = elements(gradients.get(variable.as_tensor()).unwrap());
            let (above, below, at) = (quick(1e-2), quick(-1e-2), quick(0.0));
            for place in 0..xs.len() {
                assert!((elements(&tracked)[place] - at[place]).abs() < 1e-5, "{op} of {}", xs[place]);
                let slope = (above[place] - below[place]) / 2e-2;
                assert!((slope - gradient[place]).abs() < 1e-2, "{op} of {}: {slope}", xs[place]);
            }
        }
    }
}
