//! The exact ranges of sums, for each channel and for all.

use super::Checked;
use crate::average::Counted;
use crate::diagnostic::{Code, Diagnostic};
use crate::graph::{Encoding, Layer, SumRanges, Tensor};
use crate::op::Op;
use crate::range::Range;
use crate::requantization::{MAX_SHIFT_FORM_BITS, per_channel};
use crate::shape::Shape;

pub(super) fn sum_ranges(layer: &Layer, inputs: &[&Tensor], shape: Shape) -> Checked<Option<SumRanges>> {
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
