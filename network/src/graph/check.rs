//! The checks behind [`Network::build`].

mod coding;

use super::{Encoding, Layer, Network, NetworkParts, SumRanges, Tensor, TensorId};
use crate::average::{Counted, border_places};
use crate::coding::Coding;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use crate::modes::{MAX_MODES, Planes, truncated_op, truncated_tensor};
use crate::op::{MAX_LOOPS, MAX_TOP, Op, TopGives, Weights};
use crate::range::Range;
use crate::requantization::{Form, MAX_SHIFT_FORM_BITS, Requantization, per_channel};
use crate::shape::{Shape, Window};
use std::collections::BTreeSet;

type Checked<T> = Result<T, Diagnostic>;

/// Largest kernel, stride or dilation along one axis.
const MAX_WINDOW_SIDE: u64 = 1 << 16;

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

/// Layers with different numbers of modes, and sums of layers with modes that do not leave the network at once.
fn check_mode_counts(parts: &NetworkParts, faults: &mut Diagnostics) {
    let mut first: Option<&Layer> = None;
    for (index, layer) in parts.layers.iter().enumerate().filter(|(_, layer)| !layer.modes.is_empty()) {
        let other = *first.get_or_insert(layer);
        if layer.modes.len() != other.modes.len() || layer.modes.len() > MAX_MODES {
            faults.push(Diagnostic::new(
                Code::Modes,
                layer.place.clone(),
                format!(
                    "`{}` has {} modes, `{}` has {}; at most {MAX_MODES} are possible",
                    layer.name,
                    layer.modes.len(),
                    other.name,
                    other.modes.len()
                ),
                "all layers with modes have those of the network, one entry for each",
            ));
        }
        let readers = parts.layers.iter().find(|reader| reader.inputs.contains(&TensorId(parts.inputs.len() + index)));
        if let (None, Some(reader)) = (&layer.requantization, readers)
            && layer.modes.len() > 1
        {
            faults.push(Diagnostic::new(
                Code::Modes,
                layer.place.clone(),
                format!("`{}` reads the sums of `{}`, which mean something else in each mode", reader.name, layer.name),
                "give the layer an `output:` format, or no modes",
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

/// The layer and its input as a mode sees them; `None` where it has fewer planes than the mode reads.
pub(crate) fn in_mode(layer: &Layer, input: &Tensor, planes: Planes) -> Option<(Layer, Tensor)> {
    let Encoding::Codes { format, .. } = input.encoding else { return None };
    format.truncated(planes.activation)?;
    layer.op.weights()?.format.truncated(planes.weight)?;
    let op = truncated_op(layer.op.clone(), input, planes);
    let truncated = Layer { op, modes: Vec::new(), ..layer.clone() };
    Some((truncated, truncated_tensor(input, planes.activation)))
}

/// Modes that read planes which are not there, and requantizations of modes that do not fit.
fn check_modes(layer: &Layer, inputs: &[&Tensor]) -> Checked<()> {
    if layer.modes.is_empty() {
        return Ok(());
    }
    let fault = |code, message: String, help: &str| Err(Diagnostic::new(code, layer.place.clone(), message, help));
    let (Some(weights), Some(&input)) = (layer.op.weights(), inputs.first()) else {
        let message = format!("`{}` ({}) has modes but no weights", layer.name, layer.op.name());
        return fault(Code::PlanConflict, message, "only `dense` and `conv2d` layers have modes");
    };
    if weights.coding != Coding::Plain {
        let message = format!("`{}` has modes, but its weights are coded otherwise than plane by plane", layer.name);
        return fault(Code::Modes, message, "give the weights a plain format, or the layer no modes");
    }
    let Encoding::Codes { format, .. } = input.encoding else { return Ok(()) };
    for (number, mode) in layer.modes.iter().enumerate() {
        let Planes { weight, activation } = mode.planes;
        for (what, format, planes) in [("weight", weights.format, weight), ("activation", format, activation)] {
            if format.truncated(planes).is_none() {
                let message = format!(
                    "`{}`: mode {number} reads {planes} {what} planes, but {format} has {}",
                    layer.name,
                    format.bits()
                );
                return fault(Code::Modes, message, "read at most the planes that are stored, and at least one");
            }
        }
        let Some(requantization) = &mode.requantization else { continue };
        let own = layer.requantization.as_ref();
        if own.is_none_or(|own| (own.output, own.codes) != (requantization.output, requantization.codes)) {
            let message = format!("`{}`: mode {number} makes other codes than mode 0", layer.name);
            return fault(Code::Modes, message, "a tensor keeps its format and its codes in every mode");
        }
        let Some((truncated, tensor)) = in_mode(layer, input, mode.planes) else { continue };
        let shape = output_shape(&truncated, &[&tensor])?;
        if let Some(sums) = sum_ranges(&truncated, &[&tensor], shape)? {
            check_requantization(layer, requantization, &sums)?;
        }
    }
    Ok(())
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

/// The shape of element-wise results: all inputs alike, or with a single position.
fn joined_shape(layer: &Layer, inputs: &[&Tensor]) -> Checked<Shape> {
    let shapes: Vec<Shape> = inputs.iter().map(|tensor| tensor.shape).collect();
    let full = shapes.iter().copied().max_by_key(|shape| shape.positions());
    let fits = |shape: &Shape, full: Shape| *shape == full || shape.positions() == 1 && shape.channels == full.channels;
    match (full, shapes.first()) {
        (Some(full), Some(first)) if *first == full && shapes.iter().all(|shape| fits(shape, full)) => Ok(full),
        _ => {
            let list: Vec<String> = shapes.iter().map(Shape::to_string).collect();
            Err(Diagnostic::new(
                Code::LayerShape,
                layer.place.clone(),
                format!("`{}` joins inputs of {}", layer.name, list.join(", ")),
                "inputs have one shape; all but the first may have one row and one column instead",
            ))
        }
    }
}

fn output_shape(layer: &Layer, inputs: &[&Tensor]) -> Checked<Shape> {
    let Some(&input) = inputs.first() else { return joined_shape(layer, inputs) };
    let wrong = |message: String, help: &str| {
        Diagnostic::new(Code::LayerShape, layer.place.clone(), format!("`{}`: {message}", layer.name), help)
    };
    let from = input.shape;
    let length_must_be = |weights: &Weights, length: u64| {
        if weights.length as u64 == length {
            return Ok(());
        }
        Err(wrong(
            format!("a dot product has {} weights but {length} inputs ({from})", weights.length),
            "weights must be ordered output, kernel row, kernel column, channel",
        ))
    };
    let windowed = |window: &Window, channels: u64| {
        let sides = [window.kernel, window.stride, window.dilation].concat();
        let illegal = sides.iter().any(|side| !(1..=MAX_WINDOW_SIDE).contains(side));
        let padded_away = || {
            [0, 1]
                .into_iter()
                .any(|axis| window.padding_before[axis].max(window.padding_after[axis]) >= window.span()[axis])
        };
        if illegal || padded_away() {
            return Err(wrong(
                format!(
                    "kernel {:?}, stride {:?}, dilation {:?} or padding makes no sense",
                    window.kernel, window.stride, window.dilation
                ),
                "every number is 1 to 65536 and padding is smaller than the window",
            ));
        }
        window.positions(from).and_then(|[rows, columns]| Shape::new(rows, columns, channels)).ok_or_else(|| {
            wrong(
                format!("a window of {:?} does not fit into an input of {from}", window.span()),
                "make the kernel smaller or pad the input",
            )
        })
    };
    match &layer.op {
        Op::Dense { weights } => {
            length_must_be(weights, from.elements())?;
            Shape::new(1, 1, weights.outputs as u64)
                .ok_or_else(|| wrong("no outputs".to_owned(), "give at least one output"))
        }
        Op::Conv2d { weights, window, groups, .. } => {
            let outputs = weights.outputs as u64;
            if *groups == 0 || !from.channels.is_multiple_of(*groups) || !outputs.is_multiple_of(*groups) {
                return Err(wrong(
                    format!("{groups} groups do not divide {} input and {outputs} output channels", from.channels),
                    "use a common divisor of both",
                ));
            }
            let length = window.taps().saturating_mul(from.channels / groups);
            let shape = windowed(window, outputs)?;
            length_must_be(weights, length)?;
            Ok(shape)
        }
        Op::MaxPool { window } => {
            let shape = windowed(window, from.channels)?;
            let has_taps = |axis: usize, positions: u64, length: u64| {
                let [before, after] = window.border(axis, positions, length);
                border_places(positions, before, after).all(|position| {
                    (0..window.kernel[axis]).any(|tap| window.source(axis, position, tap, length).is_some())
                })
            };
            if !has_taps(0, shape.rows, from.rows) || !has_taps(1, shape.columns, from.columns) {
                return Err(wrong(
                    "a window lies wholly in the padding".to_owned(),
                    "use less padding or less dilation",
                ));
            }
            Ok(shape)
        }
        Op::SumPool { window, counted, .. } => {
            let shape = windowed(window, from.channels)?;
            let Some(counted) = counted else { return Ok(shape) };
            let declared = [(counted.before, window.padding_before), (counted.after, window.padding_after)];
            if declared.iter().any(|(counted, padding)| counted[0] > padding[0] || counted[1] > padding[1]) {
                return Err(wrong("counts more padding than it has".to_owned(), "count at most the padding"));
            }
            if counted.factors(window, from).is_none() {
                return Err(wrong(
                    "a window counts no tap, or the common multiple of all counts leaves 62 bits".to_owned(),
                    "use less padding, less dilation or a smaller kernel",
                ));
            }
            Ok(shape)
        }
        Op::Identity => Ok(from),
        Op::Add { factors } => {
            let shape = joined_shape(layer, inputs)?;
            if factors.len() != inputs.len() {
                return Err(wrong(
                    format!("{} rows of factors for {} inputs", factors.len(), inputs.len()),
                    "give one row of factors for each input",
                ));
            }
            let channels = shape.channels as usize;
            match factors.iter().find(|row| row.len() != 1 && row.len() != channels) {
                Some(row) => Err(wrong(
                    format!("{} factors for {channels} channels", row.len()),
                    "give one factor for each channel, or one for all",
                )),
                None => Ok(shape),
            }
        }
        Op::Multiply => joined_shape(layer, inputs),
        Op::Concat => {
            let alike = |tensor: &&&Tensor| [tensor.shape.rows, tensor.shape.columns] == [from.rows, from.columns];
            if let Some(other) = inputs.iter().find(|tensor| !alike(tensor)) {
                return Err(wrong(
                    format!("joins channels of {from} and {}", other.shape),
                    "all inputs need the same rows and columns",
                ));
            }
            let channels = inputs.iter().try_fold(0u64, |sum, tensor| sum.checked_add(tensor.shape.channels));
            channels
                .and_then(|channels| Shape::new(from.rows, from.columns, channels))
                .ok_or_else(|| wrong("too many channels".to_owned(), "join fewer inputs"))
        }
        Op::Rearrange(rearrangement) => {
            let shape = Shape::new(rearrangement.shape.rows, rearrangement.shape.columns, rearrangement.shape.channels);
            let turns = rearrangement.loops.iter().try_fold(1u64, |turns, next| turns.checked_mul(next.count));
            let inside = rearrangement.reach().is_some_and(|(_, most)| most < from.elements());
            if rearrangement.loops.len() > MAX_LOOPS || shape.map(Shape::elements) != turns || !inside {
                return Err(wrong(
                    format!(
                        "loops of {} turns make {} out of {from}, or reach beyond it",
                        turns.unwrap_or(0),
                        rearrangement.shape
                    ),
                    "the turns multiply to the output's elements, and every element taken lies in the input",
                ));
            }
            Ok(rearrangement.shape)
        }
        Op::Argmax { multipliers, offsets } | Op::TopK { multipliers, offsets, .. } => {
            let channels = from.channels as usize;
            let largest = |values: &[i64]| values.iter().map(|v| i128::from(*v).abs()).max().unwrap_or(0);
            let values = input.encoding.values();
            let value = i128::from(values.min()).abs().max(i128::from(values.max()).abs());
            if value * largest(multipliers) + largest(offsets) >= 1i128 << MAX_SHIFT_FORM_BITS {
                return Err(wrong(
                    format!("compared values leave {MAX_SHIFT_FORM_BITS} bits"),
                    "use smaller multipliers and offsets",
                ));
            }
            for count in [multipliers.len(), offsets.len()] {
                if count != 1 && count != channels {
                    return Err(wrong(
                        format!("{count} constants for {channels} channels"),
                        "give one for each channel, or one for all",
                    ));
                }
            }
            let count = if let Op::TopK { count, .. } = layer.op { count } else { 1 };
            if !(1..=from.channels.min(MAX_TOP)).contains(&count) {
                return Err(wrong(
                    format!("gives the greatest {count} of {} channels", from.channels),
                    "ask for 1 to 1024, and no more than there are",
                ));
            }
            Shape::new(from.rows, from.columns, count)
                .ok_or_else(|| wrong("no output".to_owned(), "give at least one channel"))
        }
    }
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

fn sum_ranges(layer: &Layer, inputs: &[&Tensor], shape: Shape) -> Checked<Option<SumRanges>> {
    let Some(&input) = inputs.first() else { return Ok(None) };
    let values = input.encoding.values();
    let (weights, values) = match &layer.op {
        Op::Dense { weights } => (weights, values),
        Op::Conv2d { weights, window, padding_value, .. } => {
            check_padding(layer, input, *padding_value)?;
            let padding = Range::new(*padding_value, *padding_value);
            (weights, if window.is_padded() { values.union(padding) } else { values })
        }
        Op::Identity => {
            let channels = vec![values; shape.channels as usize];
            return Ok(Some(SumRanges { channels, all: values }));
        }
        Op::SumPool { window, padding_value, counted } => {
            check_padding(layer, input, *padding_value)?;
            let padding = Range::new(*padding_value, *padding_value);
            let is_added =
                counted.map_or(window.is_padded(), |Counted { before, after }| [before, after] != [[0; 2]; 2]);
            let values = if is_added { values.union(padding) } else { values };
            let taps = match counted {
                Some(counted) => counted.factors(window, input.shape).map(|factors| factors.common()),
                None => i64::try_from(window.taps()).ok(),
            };
            let all = taps.and_then(|taps| scaled(values, taps)).ok_or_else(|| leaves_62_bits(layer))?;
            return Ok(Some(SumRanges { channels: vec![all; shape.channels as usize], all }));
        }
        Op::Add { factors } => {
            let channels = (0..shape.channels as usize)
                .map(|channel| {
                    inputs.iter().zip(factors).try_fold(Range::new(0, 0), |sum, (tensor, factors)| {
                        let term = scaled(tensor.encoding.values(), per_channel(factors, channel)?)?;
                        bounded(sum.min().checked_add(term.min())?, sum.max().checked_add(term.max())?)
                    })
                })
                .collect::<Option<Vec<Range>>>()
                .ok_or_else(|| leaves_62_bits(layer))?;
            let all = channels.iter().copied().reduce(Range::union).unwrap_or(Range::new(0, 0));
            return Ok(Some(SumRanges { channels, all }));
        }
        Op::Multiply => {
            let other = inputs.get(1).map_or(values, |tensor| tensor.encoding.values());
            let all = scaled(values, other.min())
                .zip(scaled(values, other.max()))
                .map(|(a, b)| a.union(b))
                .ok_or_else(|| leaves_62_bits(layer))?;
            return Ok(Some(SumRanges { channels: vec![all; shape.channels as usize], all }));
        }
        Op::MaxPool { .. } | Op::Concat | Op::Rearrange(_) | Op::Argmax { .. } | Op::TopK { .. } => return Ok(None),
    };
    if matches!(input.encoding, Encoding::Sums { .. }) {
        return Err(Diagnostic::new(
            Code::LayerFormat,
            layer.place.clone(),
            format!("`{}` reads sums; only codes can be multiplied", layer.name),
            "give the layer before it an `output:` format",
        ));
    }
    let mut channels = Vec::with_capacity(weights.outputs);
    for output in 0..weights.outputs {
        let range = weights.sum_range(output, values).ok_or_else(|| {
            Diagnostic::new(
                Code::AccumulatorRange,
                layer.place.clone(),
                format!("`{}`: the sum of output {output} can leave 62 bits", layer.name),
                "use narrower formats or shorter dot products",
            )
        })?;
        channels.push(range);
    }
    let all = channels.iter().copied().reduce(Range::union).unwrap_or(Range::new(0, 0));
    Ok(Some(SumRanges { channels, all }))
}

/// A range times a factor; `None` where it leaves 62 bits.
fn scaled(range: Range, factor: i64) -> Option<Range> {
    bounded(range.min().checked_mul(factor)?, range.max().checked_mul(factor)?)
}

/// The range between two ends; `None` where it leaves 62 bits.
fn bounded(a: i64, b: i64) -> Option<Range> {
    let range = Range::new(a, b);
    (range.bits() <= MAX_SHIFT_FORM_BITS).then_some(range)
}

fn leaves_62_bits(layer: &Layer) -> Diagnostic {
    Diagnostic::new(
        Code::AccumulatorRange,
        layer.place.clone(),
        format!("`{}`: its sums can leave {MAX_SHIFT_FORM_BITS} bits", layer.name),
        "use narrower formats or smaller factors",
    )
}

fn check_padding(layer: &Layer, input: &Tensor, padding_value: i64) -> Checked<()> {
    let legal = match input.encoding {
        Encoding::Codes { format, .. } if format.kind() == crate::format::Kind::Bipolar => padding_value == 0,
        Encoding::Codes { format, .. } => format.value_range().contains(padding_value),
        Encoding::Sums { .. } => true,
    };
    if legal {
        return Ok(());
    }
    Err(Diagnostic::new(
        Code::LayerFormat,
        layer.place.clone(),
        format!("`{}` pads {} codes with {padding_value}", layer.name, input.encoding.label()),
        "pad integers with one of their codes and bipolar codes with 0 (no contribution)",
    ))
}

fn check_requantization(layer: &Layer, requantization: &Requantization, sums: &SumRanges) -> Checked<()> {
    let wrong = |message: String, help: &str| {
        Err(Diagnostic::new(Code::Requantization, layer.place.clone(), format!("`{}`: {message}", layer.name), help))
    };
    let channels = sums.channels.len();
    let count_fits = |count: usize| count == 1 || count == channels;
    if !requantization.output.code_range().contains_range(requantization.codes) {
        return wrong(
            format!("codes {} leave the format {}", requantization.codes, requantization.output),
            "widen the output format",
        );
    }
    match &requantization.form {
        Form::Shift(form) => {
            if !count_fits(form.multipliers.len()) || !count_fits(form.offsets.len()) {
                return wrong(
                    format!(
                        "{} multipliers and {} offsets for {channels} channels",
                        form.multipliers.len(),
                        form.offsets.len()
                    ),
                    "give one of each for each channel, or one for all",
                );
            }
            let largest = |values: &[i64]| values.iter().map(|v| i128::from(*v).abs()).max().unwrap_or(0);
            let sum = i128::from(sums.all.min()).abs().max(i128::from(sums.all.max()).abs());
            let value = sum * largest(&form.multipliers) + largest(&form.offsets);
            let half = 1i128 << form.shift.min(100);
            if form.shift > MAX_SHIFT_FORM_BITS || value + half >= 1i128 << MAX_SHIFT_FORM_BITS {
                return wrong(
                    format!(
                        "sums up to {sum} times {} and a shift of {} leave {MAX_SHIFT_FORM_BITS} bits",
                        largest(&form.multipliers),
                        form.shift
                    ),
                    "use a smaller shift, or thresholds",
                );
            }
        }
        Form::Thresholds(form) => {
            let steps = requantization.codes.max() - requantization.codes.min();
            if !count_fits(form.falling.len())
                || form.count as i64 != steps
                || form.values.len() != form.count * form.falling.len()
            {
                return wrong(
                    format!(
                        "{} thresholds in {} channels for codes {}",
                        form.values.len(),
                        form.falling.len(),
                        requantization.codes
                    ),
                    "give each channel one threshold for each code above the least",
                );
            }
            check_thresholds(layer, (0..form.falling.len()).map(|channel| form.row(channel)))?;
        }
        Form::Table(form) => {
            let rows = form.channels();
            let whole = form.values.len() == rows * form.count && form.codes.len() == rows * (form.count + 1);
            if rows == 0 || !count_fits(rows) || !whole {
                return wrong(
                    format!("{} thresholds and {} codes for {channels} channels", form.values.len(), form.codes.len()),
                    "give each channel its thresholds and one code more",
                );
            }
            if let Some(code) = form.codes.iter().find(|code| !requantization.codes.contains(**code)) {
                return wrong(
                    format!("code {code} of the table lies outside {}", requantization.codes),
                    "widen `codes`",
                );
            }
            check_thresholds(layer, (0..rows).map(|channel| form.row(channel).0))?;
        }
    }
    Ok(())
}

fn check_thresholds<'a>(layer: &Layer, mut rows: impl Iterator<Item = &'a [i64]>) -> Checked<()> {
    let bound = 1i64 << MAX_SHIFT_FORM_BITS;
    let legal = |row: &[i64]| row.is_sorted() && row.iter().all(|v| -bound < *v && *v < bound);
    if rows.all(legal) {
        return Ok(());
    }
    Err(Diagnostic::new(
        Code::Requantization,
        layer.place.clone(),
        format!("`{}`: thresholds are not in ascending order or too large", layer.name),
        "sort the thresholds of each channel",
    ))
}
