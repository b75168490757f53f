//! The checks behind [`Network::build`].

mod coding;
mod modes;
mod requantization;
mod shape;
mod sums;

pub(crate) use modes::in_mode;

use super::{Encoding, Layer, Network, NetworkParts, SumRanges, Tensor, TensorId};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use crate::op::{Op, TopGives, Weights};
use crate::range::Range;
use crate::requantization::per_channel;
use crate::shape::Shape;
use modes::{check_mode_counts, check_modes};
use requantization::check_requantization;
use shape::output_shape;
use std::collections::BTreeSet;
use sums::sum_ranges;

type Checked<T> = Result<T, Diagnostic>;

/// Derives all tensors of `parts` or reports every fault; after a faulty layer the layers that read it are skipped.
pub(super) fn check(parts: NetworkParts) -> Result<Network, Diagnostics> {
    let mut faults = Diagnostics::default();
    check_inputs(&parts, &mut faults);
    faults.or(())?;
    let mut faults = Diagnostics::default();
    let mut tensors: Vec<Option<Tensor>> = parts.inputs.iter().map(|input| Some(input.tensor())).collect();
    let mut sums = Vec::new();
    let mut names = BTreeSet::new();
    for layer in &parts.layers {
        if !names.insert(layer.name.as_str()) {
            faults.push(Diagnostic::new(
                Code::PlanDuplicateLayer,
                layer.place.clone(),
                format!("two layers are named `{}`", layer.name),
                "give every layer its own name",
            ));
        }
        let (tensor, ranges) = match derive_layer(layer, &tensors) {
            Ok(Some((tensor, ranges))) => (Some(tensor), ranges),
            Ok(None) => (None, None),
            Err(fault) => {
                faults.push(fault);
                (None, None)
            }
        };
        tensors.push(tensor);
        sums.push(ranges);
    }
    if parts.layers.is_empty() {
        faults.push(Diagnostic::new(
            Code::PlanValue,
            Place::default(),
            "the network has no layers",
            "describe at least one layer",
        ));
    }
    check_outputs(&parts, &tensors, &mut faults);
    check_mode_counts(&parts, &mut faults);
    faults.or(())?;
    let tensors = tensors.into_iter().flatten().collect();
    Ok(Network { parts, tensors, sums })
}

/// Inputs that are missing, or have a quantizer that makes no codes.
fn check_inputs(parts: &NetworkParts, faults: &mut Diagnostics) {
    if parts.inputs.is_empty() {
        faults.push(Diagnostic::new(
            Code::PlanValue,
            Place::default(),
            "the network has no input",
            "describe at least one input",
        ));
    }
    for input in &parts.inputs {
        let Some(quantizer) = input.quantizer else { continue };
        let fits = |code| input.format.code_range().contains(code);
        let whole = quantizer.code_min <= quantizer.code_max && fits(quantizer.code_min) && fits(quantizer.code_max);
        if !whole || !quantizer.scale.is_finite() || quantizer.scale <= 0.0 || !quantizer.zero_point.is_finite() {
            faults.push(Diagnostic::new(
                Code::PlanRange,
                Place::default(),
                format!(
                    "the input quantizer has scale {}, zero point {} and codes {} to {} of {}",
                    quantizer.scale, quantizer.zero_point, quantizer.code_min, quantizer.code_max, input.format
                ),
                "use a positive scale, a finite zero point and ascending codes inside the format",
            ));
        }
    }
}

/// Outputs that are no tensors or have a wrong number of scales, and layers that nobody reads.
fn check_outputs(parts: &NetworkParts, tensors: &[Option<Tensor>], faults: &mut Diagnostics) {
    if parts.outputs.is_empty() {
        faults.push(Diagnostic::new(
            Code::PlanValue,
            Place::default(),
            "the network has no output",
            "let at least one layer leave the network",
        ));
    }
    for output in &parts.outputs {
        let Some(tensor) = tensors.get(output.tensor.0) else {
            faults.push(Diagnostic::new(
                Code::PlanReference,
                Place::default(),
                format!("output `{}` is tensor {}, which no layer makes", output.name, output.tensor.0),
                "name a layer of the network",
            ));
            continue;
        };
        let Some(tensor) = tensor else { continue };
        let channels = tensor.shape.channels as usize;
        let meanings = output.modes.iter().flatten();
        let modes = meanings.flat_map(|mode| [("scales", mode.scales.len()), ("offsets", mode.offsets.len())]);
        for (what, count) in
            [("scales", output.scales.len()), ("offsets", output.offsets.len())].into_iter().chain(modes)
        {
            if count != 1 && count != channels {
                faults.push(Diagnostic::new(
                    Code::ArrayShape,
                    Place::default(),
                    format!("output `{}` has {channels} channels but {count} {what}", output.name),
                    "give one number for each output channel, or one for all",
                ));
            }
        }
    }
    let mut is_read = vec![false; tensors.len()];
    let ends = parts.outputs.iter().map(|output| output.tensor);
    for TensorId(id) in parts.layers.iter().flat_map(|layer| layer.inputs.iter().copied()).chain(ends) {
        if let Some(read) = is_read.get_mut(id) {
            *read = true;
        }
    }
    for (input, _) in parts.inputs.iter().zip(&is_read).filter(|(_, read)| !**read) {
        faults.push(Diagnostic::new(
            Code::PlanConflict,
            Place::default(),
            format!("nothing reads the input `{}`, and it is no output", input.name),
            "let a layer read it, or leave it out",
        ));
    }
    for (layer, _) in parts.layers.iter().zip(&is_read[parts.inputs.len()..]).filter(|(_, read)| !**read) {
        faults.push(Diagnostic::new(
            Code::PlanConflict,
            layer.place.clone(),
            format!("nothing reads `{}`, and it is no output", layer.name),
            "let a layer read it, name it as an output, or leave it out",
        ));
    }
}

/// The layer's tensor and sum ranges; `None` where an earlier fault leaves its input unknown.
fn derive_layer(layer: &Layer, tensors: &[Option<Tensor>]) -> Checked<Option<(Tensor, Option<SumRanges>)>> {
    let fault = |code, message: String, help: &str| Err(Diagnostic::new(code, layer.place.clone(), message, help));
    let mut inputs = Vec::with_capacity(layer.inputs.len());
    for TensorId(source) in &layer.inputs {
        match tensors.get(*source) {
            Some(Some(input)) => inputs.push(input),
            Some(None) => return Ok(None),
            None => {
                return fault(
                    Code::PlanReference,
                    format!("`{}` reads tensor {source}, which no earlier layer makes", layer.name),
                    "let a layer read the input or an earlier layer",
                );
            }
        }
    }
    let wanted = layer.op.inputs();
    if !wanted.contains(&layer.inputs.len()) {
        return fault(
            Code::PlanConflict,
            format!(
                "`{}` ({}) reads {} tensors, not {} to {}",
                layer.name,
                layer.op.name(),
                layer.inputs.len(),
                wanted.start(),
                wanted.end()
            ),
            "name as many inputs as the operator takes",
        );
    }
    let (shape, ranges) = shape_and_sums(layer, &inputs)?;
    check_modes(layer, &inputs)?;
    let encoding = encoding(layer, &inputs, ranges.as_ref())?;
    Ok(Some((Tensor { shape, encoding }, ranges)))
}

/// The shape of what a layer makes from its inputs, as many as its operator takes, and its exact sums if it makes any.
pub(crate) fn shape_and_sums(layer: &Layer, inputs: &[&Tensor]) -> Checked<(Shape, Option<SumRanges>)> {
    let shape = output_shape(layer, inputs)?;
    if let Some(weights) = layer.op.weights() {
        check_weights(layer, weights)?;
    }
    let mut ranges = sum_ranges(layer, inputs, shape)?;
    for mode in &layer.modes {
        let Some((truncated, input)) = inputs.first().and_then(|input| in_mode(layer, input, mode.planes)) else {
            break;
        };
        let Some(other) = sum_ranges(&truncated, &[&input], shape)? else { break };
        ranges = ranges.map(|ranges| ranges.union(&other));
    }
    Ok((shape, ranges))
}

/// What the integers are that leave a layer.
pub(crate) fn encoding(layer: &Layer, inputs: &[&Tensor], ranges: Option<&SumRanges>) -> Checked<Encoding> {
    let fault = |code, message: String, help: &str| Err(Diagnostic::new(code, layer.place.clone(), message, help));
    let Some(&input) = inputs.first() else {
        return fault(Code::PlanConflict, format!("`{}` reads nothing", layer.name), "name its input");
    };
    Ok(match (&layer.requantization, &layer.op, ranges) {
        (Some(requantization), _, Some(ranges)) => {
            check_requantization(layer, requantization, ranges)?;
            Encoding::Codes { format: requantization.output, range: requantization.codes }
        }
        (Some(_), op, None) => {
            return fault(
                Code::PlanConflict,
                format!("`{}` ({}) makes codes itself and cannot be requantized", layer.name, op.name()),
                "requantize in a layer of its own (`op: requantize`)",
            );
        }
        (None, Op::Identity, _) => {
            return fault(
                Code::PlanMissingKey,
                format!("`{}` has no output format, so it does nothing", layer.name),
                "give it an `output:` format or leave it out",
            );
        }
        (None, Op::MaxPool { .. } | Op::Rearrange(_), _) => input.encoding,
        (None, Op::Concat, _) => concat_encoding(layer, inputs)?,
        (None, Op::Argmax { .. } | Op::TopK { gives: TopGives::Indices, .. }, _) => {
            let indices = Range::new(0, input.shape.channels as i64 - 1);
            let Some(format) = crate::format::Format::integer_for(indices) else {
                return fault(
                    Code::LayerShape,
                    format!("`{}` chooses among {} channels", layer.name, input.shape.channels),
                    "an index has at most 16 bits",
                );
            };
            Encoding::Codes { format, range: indices }
        }
        (None, Op::TopK { gives: TopGives::Values, multipliers, offsets, .. }, _) => {
            let values = input.encoding.values();
            let channels = 0..multipliers.len().max(offsets.len());
            let grid = channels.filter_map(|channel| {
                let (multiplier, offset) = (per_channel(multipliers, channel)?, per_channel(offsets, channel)?);
                let end = |value: i64| value.checked_mul(multiplier)?.checked_add(offset);
                Some(Range::new(end(values.min())?, end(values.max())?))
            });
            Encoding::Sums { range: grid.reduce(Range::union).unwrap_or(values) }
        }
        (
            None,
            Op::Dense { .. } | Op::Conv2d { .. } | Op::SumPool { .. } | Op::Add { .. } | Op::Multiply,
            Some(ranges),
        ) => Encoding::Sums { range: ranges.all },
        (None, Op::Dense { .. } | Op::Conv2d { .. } | Op::SumPool { .. } | Op::Add { .. } | Op::Multiply, None) => {
            return fault(Code::AccumulatorRange, format!("`{}` has no sums", layer.name), "describe its operands");
        }
    })
}

/// What the integers of a concatenation are: those of its inputs, which must be alike.
fn concat_encoding(layer: &Layer, inputs: &[&Tensor]) -> Checked<Encoding> {
    let mut inputs = inputs.iter().map(|tensor| tensor.encoding);
    let Some(first) = inputs.next() else { return Ok(Encoding::Sums { range: Range::new(0, 0) }) };
    inputs.try_fold(first, |all, next| match (all, next) {
        (Encoding::Codes { format, range }, Encoding::Codes { format: other, range: more }) if format == other => {
            Ok(Encoding::Codes { format, range: range.union(more) })
        }
        (Encoding::Sums { range }, Encoding::Sums { range: more }) => Ok(Encoding::Sums { range: range.union(more) }),
        _ => Err(Diagnostic::new(
            Code::LayerFormat,
            layer.place.clone(),
            format!("`{}` joins {} and {} channels", layer.name, first.label(), next.label()),
            "requantize the inputs to one format in front of it",
        )),
    })
}

fn check_weights(layer: &Layer, weights: &Weights) -> Checked<()> {
    if weights.outputs.checked_mul(weights.length) != Some(weights.values.len()) || weights.values.is_empty() {
        return Err(Diagnostic::new(
            Code::ArrayShape,
            layer.place.clone(),
            format!(
                "`{}` has {} weights, not {} x {}",
                layer.name,
                weights.values.len(),
                weights.outputs,
                weights.length
            ),
            "store one row of weights for each output",
        ));
    }
    let strays = |&(_, &value): &(usize, &i32)| weights.format.code(i64::from(value)).is_none();
    let stray = match weights.values.are_drawn_from(weights.format) {
        true => None,
        false => weights.values.iter().enumerate().find(strays),
    };
    match stray {
        None => coding::check_coding(layer, weights),
        Some((index, value)) => Err(Diagnostic::new(
            Code::WeightRange,
            layer.place.clone(),
            format!(
                "`{}`: weight {value} at row {}, place {} is no {} value",
                layer.name,
                index / weights.length,
                index % weights.length,
                weights.format
            ),
            "widen the weight format or quantize the weights again",
        )),
    }
}
