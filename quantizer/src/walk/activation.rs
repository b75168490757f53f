//! Activation functions: they bend what integers mean until the next quantizer.

use super::Walk;
use super::stream::{Base, Stream};
use crate::constant::Constant;
use crate::curve::{Curve, Kind};
use crate::exact::{Exact, Piece, from_f32, integer, to_f64};
use crate::fault::{Checked, Fault};
use crate::model::Node;
use num_traits::{One, Zero};
use std::sync::Arc;

/// Operators that bend a stream.
pub(crate) const ACTIVATIONS: &[&str] = &[
    "Sigmoid",
    "Tanh",
    "Exp",
    "Erf",
    "Softplus",
    "Softsign",
    "Abs",
    "LeakyRelu",
    "PRelu",
    "Elu",
    "Selu",
    "Celu",
    "HardSigmoid",
    "HardSwish",
    "Swish",
    "Gelu",
    "Mish",
    "Pow",
];

/// Most nodes of a curve.
const MAX_WEIGHT: usize = 256;

impl Walk<'_> {
    /// An activation function of a stream.
    pub(super) fn activation(
        &mut self,
        node: &Node,
        stream: Stream,
        constants: &[Option<&Constant>],
    ) -> Checked<Stream> {
        let float = |name: &str, default: f32| node.attributes.float(name, default);
        let exact = |value: f32| from_f32(value).unwrap_or_else(Exact::zero);
        let exponential = |scale: f32, alpha: f32, width: f32| Kind::Exponential {
            scale: f64::from(scale),
            alpha: f64::from(alpha),
            width: f64::from(width),
        };
        let kind = match node.op.as_str() {
            "Sigmoid" => Kind::Sigmoid,
            "Tanh" => Kind::Tanh,
            "Exp" => Kind::Exp,
            "Erf" => Kind::Erf,
            "Softplus" => Kind::Softplus,
            "Softsign" => Kind::Softsign,
            "Abs" => Kind::Abs,
            "LeakyRelu" => Kind::Leaky(vec![f64::from(float("alpha", 0.01)?)]),
            "PRelu" => Kind::Leaky(slopes(&stream, constants)?),
            "Elu" => exponential(1.0, float("alpha", 1.0)?, 1.0),
            "Selu" => exponential(float("gamma", 1.050_701)?, float("alpha", 1.673_263_2)?, 1.0),
            "Celu" => {
                let alpha = float("alpha", 1.0)?;
                if alpha == 0.0 {
                    return Err(Fault::constant("a Celu with alpha 0", "check the model"));
                }
                exponential(1.0, alpha, alpha)
            }
            "HardSigmoid" => {
                let mut stream = stream;
                stream.then_affine(&[(exact(float("alpha", 0.2)?), exact(float("beta", 0.5)?))]);
                stream.then_clamp(Some(&integer(0)), Some(&integer(1)));
                return Ok(stream);
            }
            op => {
                let stream = self.unpooled(stream, &node.op)?;
                let x = stream.as_curve();
                let curve = match op {
                    "HardSwish" => {
                        let sixth = Arc::new(Curve::Affine(Arc::clone(&x), vec![(1.0 / 6.0, 0.5)]));
                        Curve::Multiply(x, Arc::new(Curve::Clamp(sixth, 0.0, 1.0)))
                    }
                    "Swish" => {
                        let scaled = Curve::Affine(Arc::clone(&x), vec![(f64::from(float("alpha", 1.0)?), 0.0)]);
                        Curve::Multiply(x, Arc::new(Curve::Apply(Arc::new(scaled), Kind::Sigmoid)))
                    }
                    "Mish" => {
                        let softplus = Arc::new(Curve::Apply(Arc::clone(&x), Kind::Softplus));
                        Curve::Multiply(x, Arc::new(Curve::Apply(softplus, Kind::Tanh)))
                    }
                    "Gelu" => gelu(&x, node.attributes.text("approximate", "none")? == "tanh"),
                    _ => power(&x, constants)?,
                };
                return stream.bent(curve);
            }
        };
        let mut stream = stream;
        if !kind.rises() {
            stream = self.unpooled(stream, &node.op)?;
        }
        if let Some(pooled) = &mut stream.pooled {
            pooled.is_bent = true;
        }
        let curve = Curve::Apply(stream.as_curve(), kind);
        stream.bent(curve)
    }

    /// Two streams that are functions of the same integers, joined by an operator: one function of them. `None` where
    /// they are not, or where both are lines and their sum is one too.
    pub(super) fn combined(&mut self, node: &Node, streams: &[Stream]) -> Checked<Option<Stream>> {
        let [left, right] = streams else { return Ok(None) };
        let same_base = match (&left.base, &right.base) {
            (Base::Tensor(a), Base::Tensor(b)) => a == b,
            (Base::Joined(a), Base::Joined(b)) => a == b,
            (Base::Input(a), Base::Input(b)) => a == b,
            _ => false,
        };
        let is_line = |stream: &Stream| stream.curve.is_none() && stream.function.iter().all(Piece::is_affine);
        let is_sum = matches!(node.op.as_str(), "Add" | "Sum" | "Sub");
        if !same_base || left.layout != right.layout || (is_sum && is_line(left) && is_line(right)) {
            return Ok(None);
        }
        let left = self.unpooled(left.clone(), &node.op)?;
        let right = self.unpooled(right.clone(), &node.op)?;
        let (Base::Tensor(_) | Base::Joined(_) | Base::Input(_), a, b) =
            (&left.base, left.as_curve(), right.as_curve());
        let curve = match node.op.as_str() {
            "Add" | "Sum" => Curve::Add(a, b),
            "Sub" => Curve::Add(a, Arc::new(Curve::Affine(b, vec![(-1.0, 0.0)]))),
            "Mul" => Curve::Multiply(a, b),
            "Div" => Curve::Divide(a, b),
            _ => return Ok(None),
        };
        left.bent(curve).map(Some)
    }
}

impl Stream {
    /// What the integers mean, as a curve.
    pub fn as_curve(&self) -> Arc<Curve> {
        self.curve.clone().unwrap_or_else(|| Curve::leaf(self.function.clone()))
    }

    /// The stream with another meaning.
    pub fn bent(mut self, curve: Curve) -> Checked<Self> {
        if curve.weight() > MAX_WEIGHT {
            return Err(Fault::operator(
                format!("an activation function of more than {MAX_WEIGHT} operators"),
                "put a Quant between",
            ));
        }
        self.curve = Some(Arc::new(curve));
        self.function = vec![Piece::identity()];
        Ok(self)
    }

    /// Exact functions under a last sigmoid alone.
    pub fn under_sigmoid(&self) -> Option<&[Piece]> {
        match self.curve.as_deref() {
            Some(Curve::Apply(inner, Kind::Sigmoid)) => match &**inner {
                Curve::Leaf(leaf) => Some(&leaf.exact),
                _ => None,
            },
            _ => None,
        }
    }
}

/// x / 2 (1 + erf(x / sqrt 2)), or its approximation by tanh.
fn gelu(x: &Arc<Curve>, by_tanh: bool) -> Curve {
    let affine = |curve: Curve, gain: f64, offset: f64| Arc::new(Curve::Affine(Arc::new(curve), vec![(gain, offset)]));
    let inner = if by_tanh {
        let square = Arc::new(Curve::Multiply(Arc::clone(x), Arc::clone(x)));
        let cube = affine(Curve::Multiply(square, Arc::clone(x)), 0.044715, 0.0);
        let root = (2.0 / std::f64::consts::PI).sqrt();
        Curve::Apply(affine(Curve::Add(Arc::clone(x), cube), root, 0.0), Kind::Tanh)
    } else {
        let scaled = Arc::new(Curve::Affine(Arc::clone(x), vec![(std::f64::consts::FRAC_1_SQRT_2, 0.0)]));
        Curve::Apply(scaled, Kind::Erf)
    };
    Curve::Multiply(Arc::clone(x), affine(inner, 0.5, 0.5))
}

/// x to a small whole power.
fn power(x: &Arc<Curve>, constants: &[Option<&Constant>]) -> Checked<Curve> {
    let exponent = constants.get(1).copied().flatten().map(Constant::scalar).transpose()?;
    let exponent = exponent.map_or(0.0, |exponent| to_f64(&exponent));
    let product = |a: &Arc<Curve>, b: &Arc<Curve>| Arc::new(Curve::Multiply(Arc::clone(a), Arc::clone(b)));
    let square = product(x, x);
    match exponent {
        2.0 => Ok(Curve::Multiply(Arc::clone(x), Arc::clone(x))),
        3.0 => Ok(Curve::Multiply(square, Arc::clone(x))),
        4.0 => Ok(Curve::Multiply(Arc::clone(&square), square)),
        _ => Err(Fault::operator(format!("a Pow of {exponent}"), "powers of 2, 3 and 4 can be built")),
    }
}

/// The slopes of a PRelu, one for each channel or one for all.
fn slopes(stream: &Stream, constants: &[Option<&Constant>]) -> Checked<Vec<f64>> {
    let slope = constants.get(1).copied().flatten();
    let slope = slope.ok_or_else(|| Fault::constant("a PRelu without constant slopes", "store them in the model"))?;
    let same = |a: usize, b: usize| slope.array.f32(a) == slope.array.f32(b);
    let indices = stream.layout.channel_indices(&slope.array.dims, stream.shape.channels, same)?;
    let finite = |index: usize| {
        let value = slope.array.f32(index);
        from_f32(value)
            .map(|_| f64::from(value))
            .ok_or_else(|| Fault::constant(format!("a PRelu with slope {value}"), "only finite numbers can be built"))
    };
    indices.into_iter().map(finite).collect()
}

/// Exact pairs in double precision.
pub(super) fn doubles(pairs: &[(Exact, Exact)]) -> Vec<(f64, f64)> {
    pairs.iter().map(|(gain, offset)| (to_f64(gain), to_f64(offset))).collect()
}

/// Whether a pair changes nothing.
pub(super) fn is_neutral((gain, offset): &(Exact, Exact)) -> bool {
    gain.is_one() && offset.is_zero()
}
