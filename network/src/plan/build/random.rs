//! Layers whose constants come from a seed.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::format::Format;
use crate::graph::{Encoding, Layer};
use crate::op::{Op, Weights};
use crate::plan::{CodesPlan, LayerPlan, MAX_RANDOM_WEIGHTS, OpPlan, Plan};
use crate::random::{self, Spread, Stream};
use crate::range::Range;
use crate::shape::Shape;

/// What is known of a tensor while layers are made.
#[derive(Clone)]
struct Known {
    shape: Shape,
    encoding: Encoding,
    spread: Spread,
}

/// All layers of a plan. Where a layer cannot be, it is left for the network's own checks, and layers behind it are
/// made without constants, since those checks skip them.
pub(super) fn layers(plan: &Plan, seed: u64) -> Result<Vec<Layer>, Diagnostics> {
    let input = &plan.input;
    let range = input.quantizer.map_or(input.format.code_range(), |q| Range::new(q.code_min, q.code_max));
    let encoding = Encoding::Codes { format: input.format, range };
    let mut tensors = vec![Some(Known { shape: input.shape, encoding, spread: Spread::uniform(encoding) })];
    let mut layers = Vec::with_capacity(plan.layers.len());
    let mut faults = Diagnostics::default();
    let mut weights_left = MAX_RANDOM_WEIGHTS;
    for plan in &plan.layers {
        let source = tensors.get(plan.input).cloned().flatten();
        let (layer, tensor) = match source.map(|source| layer(plan, &source, seed, &mut weights_left)) {
            Some(Ok(made)) => made,
            Some(Err(fault)) => {
                faults.push(fault);
                (plan.layer(Op::Identity, None), None)
            }
            None => (plan.layer(Op::Identity, None), None),
        };
        layers.push(layer);
        tensors.push(tensor);
    }
    faults.or(layers)
}

fn layer(
    plan: &LayerPlan,
    source: &Known,
    seed: u64,
    weights_left: &mut u64,
) -> Result<(Layer, Option<Known>), Diagnostic> {
    let mut stream = Stream::for_layer(seed, &plan.name);
    let from = source.shape;
    let mut matrix = |outputs: u64, length: Option<u64>, format: Format| {
        let count = length.and_then(|length| length.checked_mul(outputs)).filter(|count| *count <= *weights_left);
        let Some((length, count)) = length.zip(count) else {
            let message = format!("layer {} takes the plan beyond {MAX_RANDOM_WEIGHTS} weights", plan.name);
            return Err(Diagnostic::new(
                Code::PlanRange,
                plan.place.clone(),
                message,
                "weights from a seed are for smaller networks",
            ));
        };
        *weights_left -= count;
        Ok(random::weights(&mut stream, format, outputs as usize, length as usize))
    };
    let op = match &plan.op {
        OpPlan::Dense { outputs, weight } => {
            Op::Dense { weights: matrix(outputs.value, Some(from.elements()), *weight)? }
        }
        OpPlan::Conv2d { outputs, weight, window, padding_value } => Op::Conv2d {
            weights: matrix(outputs.value, window.taps().checked_mul(from.channels), *weight)?,
            window: *window,
            padding_value: *padding_value,
        },
        OpPlan::MaxPool { window } => Op::MaxPool { window: *window },
        OpPlan::Requantize => Op::Identity,
        OpPlan::Argmax => Op::Argmax { multipliers: vec![1], offsets: vec![0] },
    };
    let shape = shape(&op, from);
    let sums = sums(&op, source);
    let spread = op.weights().map_or_else(|| source.spread.clone(), |weights| source.spread.of_sums(weights));
    let requantization = plan
        .output
        .zip(sums)
        .map(|(CodesPlan { format, range }, sums)| random::requantization(&spread, sums, format, range));
    let encoding = match (&requantization, &op, sums) {
        (Some(made), _, _) => Some(Encoding::Codes { format: made.output, range: made.codes }),
        (None, Op::Dense { .. } | Op::Conv2d { .. }, Some(range)) => Some(Encoding::Sums { range }),
        (None, Op::Argmax { .. }, _) => {
            let range = Range::new(0, from.channels as i64 - 1);
            Format::integer_for(range).map(|format| Encoding::Codes { format, range })
        }
        (None, Op::MaxPool { .. }, _) => Some(source.encoding),
        (None, Op::Identity | Op::Dense { .. } | Op::Conv2d { .. }, _) => None,
    };
    let spread = match (&requantization, &op, encoding) {
        (Some(_), _, Some(encoding)) | (None, Op::Argmax { .. }, Some(encoding)) => Spread::uniform(encoding),
        _ => spread,
    };
    let tensor = shape.zip(encoding).map(|(shape, encoding)| Known { shape, encoding, spread });
    Ok((plan.layer(op, requantization), tensor))
}

fn shape(op: &Op, from: Shape) -> Option<Shape> {
    let windowed = |window: &crate::shape::Window, channels: u64| {
        let [rows, columns] = window.positions(from)?;
        Shape::new(rows, columns, channels)
    };
    match op {
        Op::Dense { weights } => Shape::new(1, 1, weights.outputs as u64),
        Op::Conv2d { weights, window, .. } => windowed(window, weights.outputs as u64),
        Op::MaxPool { window } => windowed(window, from.channels),
        Op::Identity => Some(from),
        Op::Argmax { .. } => Shape::new(1, 1, 1),
    }
}

/// The range of the values that are requantized; `None` where there are none, or they leave 62 bits.
fn sums(op: &Op, source: &Known) -> Option<Range> {
    let values = source.encoding.values();
    let all = |weights: &Weights, values: Range| {
        let mut ranges = (0..weights.outputs).map(|output| weights.sum_range(output, values));
        ranges.try_fold(Range::new(0, 0), |all, range| Some(all.union(range?)))
    };
    match op {
        Op::Dense { weights } => all(weights, values),
        Op::Conv2d { weights, window, padding_value } => {
            let padding = Range::new(*padding_value, *padding_value);
            all(weights, if window.is_padded() { values.union(padding) } else { values })
        }
        Op::Identity => Some(values),
        Op::MaxPool { .. } | Op::Argmax { .. } => None,
    }
}
