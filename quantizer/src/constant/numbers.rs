//! Pointwise operators over constants: numpy's broadcasting, 64-bit integers where all operands are integers, else
//! float32.

use super::Constant;
use super::evaluate::input;
use super::shaping::{broadcast, broadcast_indices};
use crate::fault::{Checked, Fault};
use crate::model::{Array, Data, Node, elements};

/// An operator of one float.
pub(super) fn unary(x: &Constant, f: fn(f32) -> f32) -> Constant {
    let values = x.array.floats().into_iter().map(f).collect();
    Constant::plain(Array::float(x.array.dims.clone(), values))
}

/// A comparison, whose truth values are integers.
pub(super) fn compare(
    node: &Node,
    inputs: &[Option<&Constant>],
    float: fn(&f32, &f32) -> bool,
    int: fn(&i64, &i64) -> bool,
) -> Checked<Constant> {
    let (a, b) = (&input(node, inputs, 0)?.array, &input(node, inputs, 1)?.array);
    let dims = broadcast(&a.dims, &b.dims)?;
    let pairs = broadcast_indices(&a.dims, &dims).into_iter().zip(broadcast_indices(&b.dims, &dims));
    let values = match (&a.data, &b.data) {
        (Data::Int(a), Data::Int(b)) => pairs.map(|(i, j)| i64::from(int(&a[i], &b[j]))).collect(),
        _ => pairs.map(|(i, j)| i64::from(float(&a.f32(i), &b.f32(j)))).collect(),
    };
    Ok(Constant::plain(Array::int(dims, values)))
}

/// An operator of truth values.
pub(super) fn logic(node: &Node, inputs: &[Option<&Constant>], f: fn(bool, bool) -> bool) -> Checked<Constant> {
    let (a, b) = (&input(node, inputs, 0)?.array, &input(node, inputs, 1)?.array);
    let dims = broadcast(&a.dims, &b.dims)?;
    let pairs = broadcast_indices(&a.dims, &dims).into_iter().zip(broadcast_indices(&b.dims, &dims));
    let values = pairs.map(|(i, j)| i64::from(f(a.f32(i) != 0.0, b.f32(j) != 0.0))).collect();
    Ok(Constant::plain(Array::int(dims, values)))
}

/// `Where`: elements of the second input where the first is true, else of the third.
pub(super) fn choose(node: &Node, inputs: &[Option<&Constant>]) -> Checked<Constant> {
    let [condition, yes, no] = [input(node, inputs, 0)?, input(node, inputs, 1)?, input(node, inputs, 2)?];
    let dims = broadcast(&broadcast(&condition.array.dims, &yes.array.dims)?, &no.array.dims)?;
    let [c, y, n] = [condition, yes, no].map(|operand| broadcast_indices(&operand.array.dims, &dims));
    let is_true = |place: usize| condition.array.f32(c[place]) != 0.0;
    let data = match (&yes.array.data, &no.array.data) {
        (Data::Int(yes), Data::Int(no)) => {
            Data::Int((0..c.len()).map(|i| if is_true(i) { yes[y[i]] } else { no[n[i]] }).collect())
        }
        _ => {
            let value = |i: usize| if is_true(i) { yes.array.f32(y[i]) } else { no.array.f32(n[i]) };
            Data::Float((0..c.len()).map(value).collect())
        }
    };
    Ok(Constant::plain(Array { dims, data }))
}

/// `Mod`: the sign of the divisor, or with `fmod` that of the dividend.
pub(super) fn modulo(a: f32, b: f32) -> f32 {
    let rest = a % b;
    if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
}

/// The same of integers; `None` for a divisor of 0.
pub(super) fn modulo_of_integers(a: i64, b: i64) -> Option<i64> {
    let rest = a.checked_rem(b)?;
    Some(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
}

/// `Range`: numbers from a start in equal steps, the limit excluded.
pub(super) fn range(node: &Node, inputs: &[Option<&Constant>]) -> Checked<Constant> {
    let [start, limit, step] = [input(node, inputs, 0)?, input(node, inputs, 1)?, input(node, inputs, 2)?];
    let wrong = || Fault::shape("a Range of endless or too many numbers", "check its start, limit and step");
    let single = |constant: &Constant| constant.array.len() == 1;
    if ![start, limit, step].into_iter().all(single) {
        return Err(Fault::shape("a Range whose start, limit or step is no single number", "use scalars"));
    }
    let whole = [start, limit, step].map(|constant| match &constant.array.data {
        Data::Int(values) => values.first().copied(),
        Data::Float(_) => None,
    });
    if let [Some(start), Some(limit), Some(step)] = whole {
        let span = i128::from(limit) - i128::from(start);
        let step = i128::from(step);
        if step == 0 {
            return Err(wrong());
        }
        let count = if (span > 0) == (step > 0) { (span.abs() + step.abs() - 1) / step.abs() } else { 0 };
        let dims = vec![usize::try_from(count).map_err(|_| wrong())?];
        let count = elements(&dims)? as i128;
        let values = (0..count).map(|index| (i128::from(start) + index * step) as i64).collect();
        return Ok(Constant::plain(Array::int(dims, values)));
    }
    let [start, limit, step] = [start, limit, step].map(|constant| constant.array.f32(0));
    let count = ((f64::from(limit) - f64::from(start)) / f64::from(step)).ceil().max(0.0);
    if !count.is_finite() || count > 1e12 {
        return Err(wrong());
    }
    let dims = vec![count as usize];
    let count = elements(&dims)?;
    Ok(Constant::plain(Array::float(dims, (0..count).map(|index| start + index as f32 * step).collect())))
}

/// All operands of `Min`, `Max`, `Sum` or `Mean` one after the other.
pub(super) fn fold_operands(
    node: &Node,
    inputs: &[Option<&Constant>],
    float: fn(f32, f32) -> f32,
    int: fn(i64, i64) -> Option<i64>,
) -> Checked<Constant> {
    let mut made = Constant::plain(input(node, inputs, 0)?.array.clone());
    for index in 1..inputs.len() {
        made = binary(&made, input(node, inputs, index)?, float, int)?;
    }
    Ok(made)
}

/// An operator of two numbers; a fault where integers overflow.
pub(super) fn binary(
    left: &Constant,
    right: &Constant,
    float: fn(f32, f32) -> f32,
    int: fn(i64, i64) -> Option<i64>,
) -> Checked<Constant> {
    let (a, b) = (&left.array, &right.array);
    let dims = broadcast(&a.dims, &b.dims)?;
    let pairs = broadcast_indices(&a.dims, &dims).into_iter().zip(broadcast_indices(&b.dims, &dims));
    let data = match (&a.data, &b.data) {
        (Data::Int(a), Data::Int(b)) => {
            let values: Option<Vec<i64>> = pairs.map(|(i, j)| int(a[i], b[j])).collect();
            Data::Int(values.ok_or_else(|| {
                Fault::constant("integer arithmetic overflows or divides by 0", "check the model's constants")
            })?)
        }
        _ => Data::Float(pairs.map(|(i, j)| float(a.f32(i), b.f32(j))).collect()),
    };
    Ok(Constant::plain(Array { dims, data }))
}
