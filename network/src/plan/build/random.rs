//! Layers whose constants come from a seed.

use crate::coding::WeightFormat;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::graph::{Layer, Tensor, check};
use crate::op::Op;
use crate::plan::{CodesPlan, LayerPlan, MAX_RANDOM_WEIGHTS, OpPlan, Plan};
use crate::random::{self, Spread, Stream};
use crate::requantization::per_channel;
use crate::shape::Shape;

/// What is known of a tensor while layers are made.
#[derive(Clone)]
struct Known {
    tensor: Tensor,
    spread: Spread,
}

/// All layers of a plan. Where a layer cannot be, it is left for the network's own checks, and layers behind it are
/// made without constants, since those checks skip them.
pub(super) fn layers(plan: &Plan, seed: u64, extreme: bool) -> Result<Vec<Layer>, Diagnostics> {
    let known = |tensor: Tensor| Some(Known { spread: Spread::uniform(tensor.encoding), tensor });
    let mut tensors: Vec<Option<Known>> = plan.inputs.iter().map(|input| known(input.input().tensor())).collect();
    let mut layers = Vec::with_capacity(plan.layers.len());
    let mut faults = Diagnostics::default();
    let mut weights_left = MAX_RANDOM_WEIGHTS;
    for plan in &plan.layers {
        let sources: Option<Vec<Known>> = plan.inputs.iter().map(|&id| tensors.get(id).cloned().flatten()).collect();
        let made = sources.filter(|sources| !sources.is_empty());
        let (layer, tensor) = match made.map(|sources| layer(plan, &sources, (seed, extreme), &mut weights_left)) {
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
    sources: &[Known],
    (seed, extreme): (u64, bool),
    weights_left: &mut u64,
) -> Result<(Layer, Option<Known>), Diagnostic> {
    let mut stream = Stream::for_layer(seed, &plan.name);
    let from = sources[0].tensor.shape;
    let mut matrix = |outputs: u64, length: Option<u64>, format: &WeightFormat| {
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
        let spread = if extreme { random::extreme_weights } else { random::weights };
        Ok(spread(&mut stream, format, outputs as usize, length as usize))
    };
    let op = match &plan.op {
        OpPlan::Dense { outputs, weight } => {
            Op::Dense { weights: matrix(outputs.value, Some(from.elements()), weight)? }
        }
        OpPlan::Conv2d { outputs, weight, window, padding_value, groups } => Op::Conv2d {
            weights: matrix(outputs.value, window.taps().checked_mul(from.channels / groups), weight)?,
            window: *window,
            padding_value: *padding_value,
            groups: *groups,
        },
        OpPlan::MaxPool { window } => Op::MaxPool { window: *window },
        OpPlan::SumPool { window, padding_value, counted } => {
            Op::SumPool { window: *window, padding_value: *padding_value, counted: *counted }
        }
        OpPlan::Requantize => Op::Identity,
        OpPlan::Add => Op::Add { factors: vec![vec![1]; sources.len()] },
        OpPlan::Multiply => Op::Multiply,
        OpPlan::Concat => Op::Concat,
        OpPlan::Rearrange(rearrangement) => Op::Rearrange(rearrangement.clone()),
        OpPlan::Argmax => Op::Argmax { multipliers: vec![1], offsets: vec![0] },
        &OpPlan::TopK { count, gives } => Op::TopK { count, gives, multipliers: vec![1], offsets: vec![0] },
    };
    let mut layer = plan.layer(op, None);
    let tensors: Vec<&Tensor> = sources.iter().map(|source| &source.tensor).collect();
    // A fault of the layer is found again, and told, by the network's own checks.
    let Ok((shape, sums)) = check::shape_and_sums(&layer, &tensors) else { return Ok((layer, None)) };
    let spread = spread(&layer.op, sources, shape);
    layer.requantization = plan
        .output
        .zip(sums.as_ref())
        .map(|(CodesPlan { format, range }, sums)| random::requantization(&spread, sums.all, format, range));
    for number in 0..layer.modes.len() {
        let planes = layer.modes[number].planes;
        let (Some(codes), Some((mode, input))) = (plan.output, check::in_mode(&layer, tensors[0], planes)) else {
            break;
        };
        let Ok((_, Some(sums))) = check::shape_and_sums(&mode, &[&input]) else { break };
        let dropped = tensors[0].encoding.bits().saturating_sub(planes.activation);
        let spread = sources[0].spread.halved(dropped);
        let sources = [Known { tensor: input, spread }];
        let spread = self::spread(&mode.op, &sources, shape);
        let requantization = Some(random::requantization(&spread, sums.all, codes.format, codes.range));
        if number == 0 {
            layer.requantization = requantization;
        } else {
            layer.modes[number].requantization = requantization;
        }
    }
    let Ok(encoding) = check::encoding(&layer, &tensors, sums.as_ref()) else { return Ok((layer, None)) };
    let fresh = layer.requantization.is_some() || matches!(layer.op, Op::Argmax { .. } | Op::TopK { .. });
    let spread = if fresh { Spread::uniform(encoding) } else { spread };
    Ok((layer, Some(Known { tensor: Tensor { shape, encoding }, spread })))
}

/// Mean and deviation of what an operator makes.
fn spread(op: &Op, sources: &[Known], shape: Shape) -> Spread {
    let first = &sources[0].spread;
    let by_channel =
        |of: &dyn Fn(usize) -> (f64, f64)| Spread { channels: (0..shape.channels as usize).map(of).collect() };
    let entry = |known: &Known, channel: usize| {
        let channels = &known.spread.channels;
        channels[channel % channels.len()]
    };
    match op {
        Op::Dense { weights } | Op::Conv2d { weights, .. } => first.of_sums(weights),
        Op::SumPool { window, counted, .. } => {
            let taps = window.taps() as f64;
            let factors = counted.and_then(|counted| counted.factors(window, sources[0].tensor.shape));
            let scale = factors.map_or(1.0, |factors| factors.common() as f64 / taps);
            let sum = |&(mean, deviation): &(f64, f64)| (mean * taps * scale, deviation * taps.sqrt() * scale);
            Spread { channels: first.channels.iter().map(sum).collect() }
        }
        Op::Add { factors } => by_channel(&|channel| {
            let terms = sources.iter().zip(factors).map(|(source, factors)| {
                let factor = per_channel(factors, channel).unwrap_or(0) as f64;
                let (mean, deviation) = entry(source, channel);
                (factor * mean, (factor * deviation).powi(2))
            });
            let (mean, variance) = terms.fold((0.0, 0.0), |sum, term| (sum.0 + term.0, sum.1 + term.1));
            (mean, f64::sqrt(variance))
        }),
        Op::Multiply => by_channel(&|channel| {
            let ((a, da), (b, db)) = (entry(&sources[0], channel), entry(&sources[sources.len() - 1], channel));
            (a * b, f64::sqrt((a * db).powi(2) + (b * da).powi(2) + (da * db).powi(2)))
        }),
        Op::Concat => {
            let all = |source: &Known| {
                let count = source.tensor.shape.channels as usize;
                source.spread.channels.iter().copied().cycle().take(count).collect::<Vec<_>>()
            };
            Spread { channels: sources.iter().flat_map(all).collect() }
        }
        Op::Rearrange(_) => {
            let count = first.channels.len() as f64;
            let mean = first.channels.iter().map(|channel| channel.0).sum::<f64>() / count;
            let square =
                first.channels.iter().map(|channel| channel.0.powi(2) + channel.1.powi(2)).sum::<f64>() / count;
            Spread { channels: vec![(mean, f64::sqrt((square - mean * mean).max(0.0)))] }
        }
        Op::MaxPool { .. } | Op::Identity | Op::Argmax { .. } | Op::TopK { .. } => first.clone(),
    }
}
