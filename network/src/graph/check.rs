//! The checks behind [`Network::build`].

use super::{Encoding, Layer, Network, NetworkParts, SumRanges, Tensor, TensorId};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use crate::op::{Op, Weights};
use crate::range::Range;
use crate::requantization::{Form, MAX_SHIFT_FORM_BITS, Requantization};
use crate::shape::{Shape, Window};
use std::collections::BTreeSet;

type Checked<T> = Result<T, Diagnostic>;

/// Largest kernel, stride or dilation along one axis.
const MAX_WINDOW_SIDE: u64 = 1 << 16;

/// Derives all tensors of `parts` or reports every fault; after a faulty layer the layers that read it are skipped.
pub(super) fn check(parts: NetworkParts) -> Result<Network, Diagnostics> {
    let mut faults = Diagnostics::default();
    let input = &parts.input;
    let mut tensors = vec![Some(Tensor {
        shape: input.shape,
        encoding: Encoding::Codes {
            format: input.format,
            range: input.quantizer.map_or(input.format.code_range(), |q| Range::new(q.code_min, q.code_max)),
        },
    })];
    if let Some(quantizer) = input.quantizer {
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
            return Err(faults);
        }
    }
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
    if let Some(Some(last)) = tensors.last() {
        let channels = last.shape.channels as usize;
        for (what, count) in [("scales", parts.output.scales.len()), ("offsets", parts.output.offsets.len())] {
            if count != 1 && count != channels {
                faults.push(Diagnostic::new(
                    Code::ArrayShape,
                    Place::default(),
                    format!("the output has {channels} channels but {count} {what}"),
                    "give one number for each output channel, or one for all",
                ));
            }
        }
    }
    faults.or(())?;
    let tensors = tensors.into_iter().flatten().collect();
    Ok(Network { parts, tensors, sums })
}

/// The layer's tensor and sum ranges; `None` where an earlier fault leaves its input unknown.
fn derive_layer(layer: &Layer, tensors: &[Option<Tensor>]) -> Checked<Option<(Tensor, Option<SumRanges>)>> {
    let fault = |code, message: String, help: &str| Err(Diagnostic::new(code, layer.place.clone(), message, help));
    let TensorId(source) = layer.input;
    let Some(input) = tensors.get(source) else {
        return fault(
            Code::PlanReference,
            format!("`{}` reads tensor {source}, which no earlier layer makes", layer.name),
            "let a layer read the input or an earlier layer",
        );
    };
    let Some(input) = input else { return Ok(None) };
    let shape = output_shape(layer, input)?;
    if let Some(weights) = layer.op.weights() {
        check_weights(layer, weights)?;
    }
    let ranges = sum_ranges(layer, input, shape)?;
    let encoding = match (&layer.requantization, &layer.op, &ranges) {
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
        (None, Op::MaxPool { .. }, _) => input.encoding,
        (None, Op::Argmax { .. }, _) => {
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
        (None, Op::Dense { .. } | Op::Conv2d { .. }, Some(ranges)) => Encoding::Sums { range: ranges.all },
        (None, Op::Dense { .. } | Op::Conv2d { .. }, None) => return Ok(None),
    };
    Ok(Some((Tensor { shape, encoding }, ranges)))
}

fn output_shape(layer: &Layer, input: &Tensor) -> Checked<Shape> {
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
        Op::Conv2d { weights, window, .. } => {
            let length = window.taps().saturating_mul(from.channels);
            let shape = windowed(window, weights.outputs as u64)?;
            length_must_be(weights, length)?;
            Ok(shape)
        }
        Op::MaxPool { window } => {
            let shape = windowed(window, from.channels)?;
            let has_taps = |axis: usize, positions: u64, length: u64| {
                (0..positions).all(|position| {
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
        Op::Identity => Ok(from),
        Op::Argmax { multipliers, offsets } => {
            let channels = from.channels as usize;
            if from.positions() != 1 {
                return Err(wrong(format!("argmax over {from}"), "only a single position has an argmax"));
            }
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
            Shape::new(1, 1, 1).ok_or_else(|| wrong("no output".to_owned(), "give at least one channel"))
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
    let stray = weights.values.iter().enumerate().find(|&(_, &value)| weights.format.code(i64::from(value)).is_none());
    match stray {
        None => Ok(()),
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

fn sum_ranges(layer: &Layer, input: &Tensor, shape: Shape) -> Checked<Option<SumRanges>> {
    let values = input.encoding.values();
    let (weights, values) = match &layer.op {
        Op::Dense { weights } => (weights, values),
        Op::Conv2d { weights, window, padding_value } => {
            check_padding(layer, input, *padding_value)?;
            let padding = Range::new(*padding_value, *padding_value);
            (weights, if window.is_padded() { values.union(padding) } else { values })
        }
        Op::Identity => {
            let channels = vec![values; shape.channels as usize];
            return Ok(Some(SumRanges { channels, all: values }));
        }
        Op::MaxPool { .. } | Op::Argmax { .. } => return Ok(None),
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
            let bound = 1i64 << MAX_SHIFT_FORM_BITS;
            let sorted = (0..form.falling.len()).all(|channel| form.row(channel).is_sorted());
            if !sorted || form.values.iter().any(|v| *v <= -bound || *v >= bound) {
                return wrong(
                    "thresholds are not in ascending order or too large".to_owned(),
                    "sort the thresholds of each channel",
                );
            }
        }
    }
    Ok(())
}
