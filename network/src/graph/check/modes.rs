//! Modes of run-time precision: which layers may have them, and what a layer is in one.

use super::Checked;
use super::requantization::check_requantization;
use super::shape::output_shape;
use super::sums::sum_ranges;
use crate::coding::Coding;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::graph::{Encoding, Layer, NetworkParts, Tensor, TensorId};
use crate::modes::{MAX_MODES, Planes, truncated_op, truncated_tensor};

/// Layers with different numbers of modes, and sums of layers with modes that do not leave the network at once.
pub(super) fn check_mode_counts(parts: &NetworkParts, faults: &mut Diagnostics) {
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
pub(super) fn check_modes(layer: &Layer, inputs: &[&Tensor]) -> Checked<()> {
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
