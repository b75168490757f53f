//! Operators whose inputs are all constant, evaluated in float32 (or 64-bit integers) as numpy does.

use super::Constant;
use super::grid::rescale;
use super::numbers::{self, compare, fold_operands, logic};
use super::parts::{self, Reduction};
use crate::fault::{Checked, Fault};
use crate::float::{self, Operands};
use crate::layout::axis_index;
use crate::model::{Array, Attribute, Data, Node, elements};
use crate::{qdq, quantization};

/// The outputs of a node over constants; `None` inputs are absent.
///
/// # Errors
/// The operator is not known, or its inputs do not fit it.
pub(crate) fn evaluate_all(node: &Node, inputs: &[Option<&Constant>]) -> Checked<Vec<Constant>> {
    if node.op == "Split" { parts::split(node, inputs) } else { Ok(vec![evaluate(node, inputs)?]) }
}

/// The first output of a node over constants.
///
/// # Errors
/// As [`evaluate_all`].
pub(crate) fn evaluate(node: &Node, inputs: &[Option<&Constant>]) -> Checked<Constant> {
    if quantization::is_quantizer(node) {
        let quantizer = quantization::parse(node, inputs.get(1..).unwrap_or(&[]))?;
        return quantization::apply(&quantizer, input(node, inputs, 0)?);
    }
    let first = || input(node, inputs, 0);
    if qdq::is_dequantizer(node) {
        return qdq::dequantize(node, first()?, inputs.get(1..).unwrap_or(&[]));
    }
    let unary = |f: fn(f32) -> f32| first().map(|x| numbers::unary(x, f));
    match node.op.as_str() {
        "Constant" => constant(node),
        "Identity" | "Dropout" => first().cloned(),
        "Cast" => cast(node, first()?),
        "Add" => binary(node, inputs, |a, b| a + b, i64::checked_add),
        "Sub" => binary(node, inputs, |a, b| a - b, i64::checked_sub),
        "Mul" => binary(node, inputs, |a, b| a * b, i64::checked_mul),
        "Div" => binary(node, inputs, |a, b| a / b, |a, b| a.checked_div(b)),
        "Pow" => binary(node, inputs, f32::powf, |a, b| u32::try_from(b).ok().and_then(|b| a.checked_pow(b))),
        "Mod" if node.attributes.int("fmod", 0)? != 0 => binary(node, inputs, |a, b| a % b, i64::checked_rem),
        "Mod" => binary(node, inputs, numbers::modulo, numbers::modulo_of_integers),
        "Neg" if is_int(first()?) => Ok(negated(first()?)),
        "Neg" => unary(|x| -x),
        "Min" => fold_operands(node, inputs, f32::min, |a, b| Some(a.min(b))),
        "Max" => fold_operands(node, inputs, f32::max, |a, b| Some(a.max(b))),
        "Sum" => fold_operands(node, inputs, |a, b| a + b, i64::checked_add),
        "Equal" => compare(node, inputs, PartialEq::eq, PartialEq::eq),
        "Greater" => compare(node, inputs, PartialOrd::gt, PartialOrd::gt),
        "GreaterOrEqual" => compare(node, inputs, PartialOrd::ge, PartialOrd::ge),
        "Less" => compare(node, inputs, PartialOrd::lt, PartialOrd::lt),
        "LessOrEqual" => compare(node, inputs, PartialOrd::le, PartialOrd::le),
        "And" => logic(node, inputs, |a, b| a && b),
        "Or" => logic(node, inputs, |a, b| a || b),
        "Xor" => logic(node, inputs, |a, b| a != b),
        "Not" => {
            let x = &first()?.array;
            let values = (0..x.len()).map(|index| i64::from(x.f32(index) == 0.0)).collect();
            Ok(Constant::plain(Array::int(x.dims.clone(), values)))
        }
        "Where" => numbers::choose(node, inputs),
        "Range" => numbers::range(node, inputs),
        "Abs" => unary(f32::abs),
        "Log" => unary(f32::ln),
        "Sin" => unary(f32::sin),
        "Cos" => unary(f32::cos),
        "Sqrt" => unary(f32::sqrt),
        "Exp" => unary(f32::exp),
        "Reciprocal" => unary(|x| 1.0 / x),
        "Floor" => unary(f32::floor),
        "Ceil" => unary(f32::ceil),
        "Round" => unary(f32::round_ties_even),
        "Sign" => unary(|x| if x == 0.0 { 0.0 } else { x.signum() }),
        "Relu" => unary(|x| x.max(0.0)),
        "Clip" => clip(node, inputs),
        "Transpose" => {
            let x = first()?;
            Ok(x.transpose(&permutation(node, x.array.dims.len())?))
        }
        "Reshape" => {
            let (x, shape) = (first()?, input(node, inputs, 1)?.ints()?);
            let dims: Vec<u64> = x.array.dims.iter().map(|&dim| dim as u64).collect();
            let target = reshape_target(&dims, &shape, node.attributes.int("allowzero", 0)? != 0)?;
            x.with_dims(target.into_iter().map(|dim| dim as usize).collect())
        }
        "Flatten" => {
            let x = first()?;
            let axis = flatten_axis(node, x.array.dims.len())?;
            let (outer, inner) = x.array.dims.split_at(axis);
            x.with_dims(vec![outer.iter().product(), inner.iter().product()])
        }
        "Squeeze" | "Unsqueeze" => {
            let x = first()?;
            let dims: Vec<u64> = x.array.dims.iter().map(|&dim| dim as u64).collect();
            let made = squeezed(node, inputs.get(1).copied().flatten(), &dims)?;
            x.with_dims(made.into_iter().map(|dim| dim as usize).collect())
        }
        "Concat" => concat(node, inputs),
        "Gather" => gather(node, first()?, input(node, inputs, 1)?),
        "GatherElements" => parts::gather_elements(node, inputs),
        "Slice" => parts::slice(node, inputs),
        "Expand" => parts::expand(node, inputs),
        "Tile" => parts::tile(node, inputs),
        "ReduceSum" => parts::reduce(node, inputs, Reduction::Sum),
        "ReduceMean" => parts::reduce(node, inputs, Reduction::Mean),
        "ReduceProd" => parts::reduce(node, inputs, Reduction::Product),
        "ReduceMax" => parts::reduce(node, inputs, Reduction::Max),
        "ReduceMin" => parts::reduce(node, inputs, Reduction::Min),
        "Size" => Ok(Constant::plain(Array::int(vec![], vec![first()?.array.len() as i64]))),
        "Shape" => {
            let dims = &first()?.array.dims;
            Ok(Constant::plain(Array::int(vec![dims.len()], dims.iter().map(|&dim| dim as i64).collect())))
        }
        "ConstantOfShape" => {
            let dims = first()?.ints()?;
            let dims: Option<Vec<usize>> = dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
            let dims = dims.ok_or_else(|| Fault::shape("a negative dimension", "check the operator's shape"))?;
            let count = elements(&dims)?;
            let data = match node.attributes.get("value") {
                Some(Attribute::Tensor(array)) => match &array.clone()?.data {
                    Data::Int(values) => Data::Int(vec![values.first().copied().unwrap_or(0); count]),
                    Data::Float(values) => Data::Float(vec![values.first().copied().unwrap_or(0.0); count]),
                },
                _ => Data::Float(vec![0.0; count]),
            };
            Ok(Constant::plain(Array { dims, data }))
        }
        _ => as_data(node, inputs),
    }
}

/// Any other operator over float constants, as it is evaluated over data.
fn as_data(node: &Node, inputs: &[Option<&Constant>]) -> Checked<Constant> {
    let unknown = || {
        let name = if node.domain.is_empty() { node.op.clone() } else { format!("{}.{}", node.domain, node.op) };
        Fault::operator(
            format!("operator `{name}` on constants is not evaluated"),
            "fold constants before export (onnxsim, or qonnx-cleanup)",
        )
    };
    if inputs.first().copied().flatten().is_none_or(is_int) {
        return Err(unknown());
    }
    let tensors = inputs.iter().map(|constant| {
        constant.map(|constant| float::tensor(constant.array.floats(), &constant.array.dims)).transpose()
    });
    let tensors = tensors.collect::<Checked<_>>()?;
    let operands = Operands { node, tensors, constants: inputs.to_vec(), batch: 1, shapes_only: false };
    let made = float::apply(&operands)?.into_iter().next().ok_or_else(unknown)?;
    let values = made.flatten_all().and_then(|flat| flat.to_vec1()).map_err(float::fault)?;
    elements(made.dims())?;
    Ok(Constant::plain(Array::float(made.dims().to_vec(), values)))
}

fn is_int(x: &Constant) -> bool {
    matches!(x.array.data, Data::Int(_))
}

/// Integers with the other sign; the least one stays.
fn negated(x: &Constant) -> Constant {
    let values = x.array.ints().unwrap_or_default().into_iter().map(i64::wrapping_neg).collect();
    Constant::plain(Array::int(x.array.dims.clone(), values))
}

/// An input that must be there.
pub(super) fn input<'a>(node: &Node, inputs: &[Option<&'a Constant>], index: usize) -> Checked<&'a Constant> {
    inputs
        .get(index)
        .copied()
        .flatten()
        .ok_or_else(|| Fault::operator(format!("`{}` has no input {index}", node.op), "export the model again"))
}

fn constant(node: &Node) -> Checked<Constant> {
    let attribute = |name: &str| node.attributes.get(name);
    let array = if let Some(Attribute::Tensor(array)) = attribute("value") {
        array.clone()?
    } else if let Some(Attribute::Float(value)) = attribute("value_float") {
        Array::float(vec![], vec![*value])
    } else if let Some(Attribute::Int(value)) = attribute("value_int") {
        Array::int(vec![], vec![*value])
    } else if let Some(Attribute::Floats(values)) = attribute("value_floats") {
        Array::float(vec![values.len()], values.clone())
    } else if let Some(Attribute::Ints(values)) = attribute("value_ints") {
        Array::int(vec![values.len()], values.clone())
    } else {
        return Err(Fault::constant("a Constant without a value that can be read", "store it as a dense tensor"));
    };
    Ok(Constant::plain(array))
}

fn clip(node: &Node, inputs: &[Option<&Constant>]) -> Checked<Constant> {
    let x = input(node, inputs, 0)?;
    let bound = |index: usize, name: &str, default: f32| match inputs.get(index).copied().flatten() {
        Some(bound) => Ok(bound.array.f32(0)),
        None => node.attributes.float(name, default),
    };
    let (low, high) = (bound(1, "min", f32::MIN)?, bound(2, "max", f32::MAX)?);
    let data = match &x.array.data {
        Data::Int(data) => Data::Int(data.iter().map(|&value| value.max(low as i64).min(high as i64)).collect()),
        Data::Float(data) => Data::Float(data.iter().map(|value| value.max(low).min(high)).collect()),
    };
    Ok(Constant::plain(Array { dims: x.array.dims.clone(), data }))
}

fn cast(node: &Node, x: &Constant) -> Checked<Constant> {
    match node.attributes.int("to", 1)? {
        1 | 10 | 11 | 16 => {
            Ok(Constant { array: Array::float(x.array.dims.clone(), x.array.floats()), grid: x.grid.clone() })
        }
        9 => {
            let values = (0..x.array.len()).map(|index| i64::from(x.array.f32(index) != 0.0)).collect();
            Ok(Constant::plain(Array::int(x.array.dims.clone(), values)))
        }
        _ => {
            let data = match &x.array.data {
                Data::Int(data) => data.clone(),
                Data::Float(data) => data.iter().map(|&value| value as i64).collect(),
            };
            Ok(Constant::plain(Array::int(x.array.dims.clone(), data)))
        }
    }
}

fn binary(
    node: &Node,
    inputs: &[Option<&Constant>],
    float: fn(f32, f32) -> f32,
    int: fn(i64, i64) -> Option<i64>,
) -> Checked<Constant> {
    let (left, right) = (input(node, inputs, 0)?, input(node, inputs, 1)?);
    let made = numbers::binary(left, right, float, int)?;
    let dims = &made.array.dims;
    let grid = match node.op.as_str() {
        "Mul" => rescale(left, right, dims, false).or_else(|| rescale(right, left, dims, false)),
        "Div" => rescale(left, right, dims, true),
        _ => None,
    };
    Ok(Constant { grid, ..made })
}

/// The permutation of a Transpose over `rank` axes.
pub(crate) fn permutation(node: &Node, rank: usize) -> Checked<Vec<usize>> {
    let Some(permutation) = node.attributes.ints("perm")? else { return Ok((0..rank).rev().collect()) };
    let wrong = || Fault::shape(format!("permutation {permutation:?} of {rank} axes"), "name every axis once");
    let chosen: Option<Vec<usize>> =
        permutation.iter().map(|&axis| usize::try_from(axis).ok().filter(|&a| a < rank)).collect();
    let chosen = chosen.filter(|chosen| chosen.len() == rank).ok_or_else(wrong)?;
    let mut seen = vec![false; rank];
    chosen.iter().for_each(|&axis| seen[axis] = true);
    if seen.contains(&false) { Err(wrong()) } else { Ok(chosen) }
}

/// The shape that a Reshape asks for, with its 0 (as before) and -1 (what is left) resolved.
pub(crate) fn reshape_target(dims: &[u64], shape: &[i64], allow_zero: bool) -> Checked<Vec<u64>> {
    let wrong = || Fault::shape(format!("{dims:?} cannot be reshaped to {shape:?}"), "check the model's Reshape");
    let total: u64 = dims.iter().product();
    let mut target = Vec::with_capacity(shape.len());
    let mut open = None;
    for (axis, &dim) in shape.iter().enumerate() {
        target.push(match dim {
            0 if !allow_zero => *dims.get(axis).ok_or_else(wrong)?,
            -1 if open.is_none() => {
                open = Some(axis);
                1
            }
            dim => u64::try_from(dim).map_err(|_| wrong())?,
        });
    }
    let known = target.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim)).ok_or_else(wrong)?;
    if let Some(axis) = open {
        target[axis] = total.checked_div(known).filter(|left| left * known == total).ok_or_else(wrong)?;
    }
    Ok(target)
}

/// The axis of a Flatten; the rank itself is allowed.
pub(crate) fn flatten_axis(node: &Node, rank: usize) -> Checked<usize> {
    let axis = node.attributes.int("axis", 1)?;
    if axis == rank as i64 { Ok(rank) } else { axis_index(axis, rank) }
}

/// The shape after Squeeze or Unsqueeze, with axes as attribute (old) or input (new).
pub(crate) fn squeezed(node: &Node, axes: Option<&Constant>, dims: &[u64]) -> Checked<Vec<u64>> {
    let axes = match (node.attributes.ints("axes")?, axes) {
        (Some(axes), _) => Some(axes.to_vec()),
        (None, Some(axes)) => Some(axes.ints()?),
        (None, None) => None,
    };
    if node.op == "Squeeze" {
        let Some(axes) = axes else { return Ok(dims.iter().copied().filter(|&dim| dim != 1).collect()) };
        let axes: Vec<usize> = axes.iter().map(|&axis| axis_index(axis, dims.len())).collect::<Checked<_>>()?;
        if let Some(&axis) = axes.iter().find(|&&axis| dims[axis] != 1) {
            return Err(Fault::shape(format!("axis {axis} of {dims:?} is not 1"), "squeeze only axes of length 1"));
        }
        return Ok((0..dims.len()).filter(|axis| !axes.contains(axis)).map(|axis| dims[axis]).collect());
    }
    let axes = axes.ok_or_else(|| Fault::shape("Unsqueeze without axes", "export the model again"))?;
    let rank = dims.len() + axes.len();
    let axes: Vec<usize> = axes.iter().map(|&axis| axis_index(axis, rank)).collect::<Checked<_>>()?;
    let mut old = dims.iter();
    let made: Vec<u64> =
        (0..rank).map(|axis| if axes.contains(&axis) { 1 } else { old.next().copied().unwrap_or(1) }).collect();
    if old.next().is_some() {
        return Err(Fault::shape("Unsqueeze names an axis twice", "name every axis once"));
    }
    Ok(made)
}

fn concat(node: &Node, inputs: &[Option<&Constant>]) -> Checked<Constant> {
    let first = input(node, inputs, 0)?;
    let axis = axis_index(node.attributes.int("axis", 0)?, first.array.dims.len())?;
    let mut dims = first.array.dims.clone();
    dims[axis] = 0;
    let outer: usize = dims[..axis].iter().product();
    let mut parts = Vec::new();
    for index in 0..inputs.len() {
        let part = input(node, inputs, index)?;
        let mut others = part.array.dims.clone();
        if others.len() != dims.len() {
            return Err(Fault::shape("Concat of different ranks", "check the model's Concat"));
        }
        dims[axis] += std::mem::replace(&mut others[axis], dims[axis]);
        if others.iter().zip(&dims).enumerate().any(|(index, (a, b))| index != axis && a != b) {
            return Err(Fault::shape("Concat of shapes that do not fit", "check the model's Concat"));
        }
        parts.push(&part.array);
    }
    elements(&dims)?;
    let rows = |part: &Array| part.len() / outer.max(1);
    let data = if parts.iter().all(|part| matches!(part.data, Data::Int(_))) {
        let all: Vec<Vec<i64>> = parts.iter().filter_map(|part| part.ints()).collect();
        Data::Int(
            (0..outer)
                .flat_map(|row| {
                    all.iter()
                        .zip(&parts)
                        .flat_map(move |(data, part)| data[row * rows(part)..(row + 1) * rows(part)].to_vec())
                })
                .collect(),
        )
    } else {
        let all: Vec<Vec<f32>> = parts.iter().map(|part| part.floats()).collect();
        Data::Float(
            (0..outer)
                .flat_map(|row| {
                    all.iter()
                        .zip(&parts)
                        .flat_map(move |(data, part)| data[row * rows(part)..(row + 1) * rows(part)].to_vec())
                })
                .collect(),
        )
    };
    Ok(Constant::plain(Array { dims, data }))
}

fn gather(node: &Node, x: &Constant, indices: &Constant) -> Checked<Constant> {
    let axis = axis_index(node.attributes.int("axis", 0)?, x.array.dims.len())?;
    let chosen: Vec<usize> =
        indices.ints()?.iter().map(|&index| axis_index(index, x.array.dims[axis])).collect::<Checked<_>>()?;
    let mut dims = x.array.dims.clone();
    dims[axis] = chosen.len();
    elements(&dims)?;
    let taken = x.take(axis, &chosen);
    dims.splice(axis..=axis, indices.array.dims.iter().copied());
    taken.with_dims(dims)
}

/// Start, end, axis and step of every axis that a Slice cuts.
pub(crate) fn slices(inputs: &[Option<&Constant>], node: &Node) -> Checked<Vec<(i64, i64, i64, i64)>> {
    let list = |index: usize, name: &str| -> Checked<Option<Vec<i64>>> {
        match inputs.get(index).copied().flatten() {
            Some(constant) => Ok(Some(constant.ints()?)),
            None => Ok(node.attributes.ints(name)?.map(<[i64]>::to_vec)),
        }
    };
    let missing = || Fault::shape("Slice without constant starts and ends", "export the model again");
    let (starts, ends) = (list(1, "starts")?.ok_or_else(missing)?, list(2, "ends")?.ok_or_else(missing)?);
    let axes = list(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if starts.len() != ends.len() || starts.len() != axes.len() || starts.len() != steps.len() {
        return Err(missing());
    }
    let bounds = starts.into_iter().zip(ends).zip(axes.into_iter().zip(steps));
    Ok(bounds.map(|((start, end), (axis, step))| (start, end, axis, step)).collect())
}
