//! The shapes of layers' outputs.

use super::Checked;
use crate::average::border_places;
use crate::diagnostic::{Code, Diagnostic};
use crate::graph::{Layer, Tensor};
use crate::op::{MAX_LOOPS, MAX_TOP, Op, Weights};
use crate::requantization::MAX_SHIFT_FORM_BITS;
use crate::shape::{Shape, Window};

/// Largest kernel, stride or dilation along one axis.
const MAX_WINDOW_SIDE: u64 = 1 << 16;

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

pub(super) fn output_shape(layer: &Layer, inputs: &[&Tensor]) -> Checked<Shape> {
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
