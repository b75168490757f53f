//! Layers with weights: their kind, form, folding, memories and windows.

use super::groups::{Groups, as_convolution, group_faults};
use super::serial::{mode_sums, serial_schedule};
use super::unit::requantize_unit;
use super::{MAX_LANES, MatrixLayer, coded, divisor_list, folding, needs_window, wrong, xnor_takes};
use crate::live_wires::LiveWires;
use crate::requantize::merged;
use network::diagnostic::{At, Code, Diagnostic, Diagnostics};
use network::format::{Kind, MAX_PLANES};
use network::graph::{Layer, Memory, Multiplier, PeKind, WindowForm};
use network::{Format, Network};

/// Binds one; reports every fault of its wishes.
pub(super) fn bind_matrix(
    network: &Network,
    index: usize,
    layer: &Layer,
    activation: Format,
    target: u64,
) -> Result<MatrixLayer, Diagnostics> {
    let mut faults = Diagnostics::default();
    let wish = &layer.hardware;
    let input = network.layer_input(layer).shape;
    let output = network.layer_output(index).shape;
    let op = as_convolution(&layer.op, input);
    let Some(weights) = op.weights() else {
        return Err(wrong(layer, Code::Hardware, "there are no weights", "give the layer weights").into());
    };
    let groups = Groups::of(&op, input, weights.outputs as u64);
    let wished = (wish.pe.as_ref().map(|at| at.value), wish.simd.as_ref().map(|at| at.value));
    let blocks_fit = folding::any_blocks(weights, groups, wished);
    let coded_kind = coded::default_kind(weights, blocks_fit);
    let both_bipolar = activation.kind() == Kind::Bipolar && weights.format.kind() == Kind::Bipolar;
    let live = LiveWires::of_layer(&layer.op, network.layer_input(layer), activation).format;
    let kind = match &wish.kind {
        Some(At { value: PeKind::Xnor, place }) if !xnor_takes(weights, live) => {
            faults.push(Diagnostic::new(
                Code::PeKind,
                place.clone(),
                format!(
                    "`{}`: kind xnor takes at most {MAX_PLANES} planes of each side, not {} weights and {live} activations",
                    layer.name, weights.format
                ),
                "use `kind: mac`, which takes any mix of integers and bipolar codes",
            ));
            PeKind::Mac
        }
        Some(At { value: PeKind::Depthwise, place }) if !groups.is_depthwise() => {
            faults.push(Diagnostic::new(
                Code::PeKind,
                place.clone(),
                format!(
                    "`{}`: kind depthwise takes as many groups as channels, not {} groups of {} channels",
                    layer.name, groups.count, input.channels
                ),
                "use `kind: mac`",
            ));
            PeKind::Mac
        }
        Some(At { value, place }) if *value != PeKind::Serial && !layer.modes.is_empty() => {
            faults.push(Diagnostic::new(
                Code::PeKind,
                place.clone(),
                format!("`{}`: only kind serial reads other planes in each mode", layer.name),
                "use `kind: serial`, or give the layer no modes",
            ));
            PeKind::Serial
        }
        Some(At { value, place }) => match coded::wrong_kind(layer, weights, *value, place) {
            Some(fault) => {
                faults.push(fault);
                PeKind::Mac
            }
            None => *value,
        },
        None if !layer.modes.is_empty() => PeKind::Serial,
        None if coded_kind.is_some() => coded_kind.unwrap_or(PeKind::Mac),
        None if groups.is_depthwise() => PeKind::Depthwise,
        None if both_bipolar => PeKind::Xnor,
        None => PeKind::Mac,
    };
    let form = coded::form(layer, weights, kind, live, &mut faults);
    let multiplier = wish.multiplier.as_ref().map_or(Multiplier::Lut, |at| at.value);
    if let (Some(at), Multiplier::Dsp, PeKind::Xnor | PeKind::Serial) = (&wish.multiplier, multiplier, kind) {
        faults.push(Diagnostic::new(
            Code::PeKind,
            at.place.clone(),
            format!("`{}`: kinds xnor and serial have no products for DSP blocks", layer.name),
            "leave `multiplier` out, or use `kind: mac`",
        ));
    }
    for (what, wished, folded, of) in [
        ("pe", &wish.pe, weights.outputs as u64, "output channels"),
        ("simd", &wish.simd, weights.length as u64, "inputs of a dot product"),
    ] {
        if let Some(at) = wished.as_ref().filter(|at| at.value == 0 || !folded.is_multiple_of(at.value)) {
            faults.push(Diagnostic::new(
                Code::Folding,
                at.place.clone(),
                format!("`{}`: {what} {} does not divide the {folded} {of}", layer.name, at.value),
                format!("use a divisor of {folded}: {}", divisor_list(folded)),
            ));
        }
    }
    group_faults(layer, groups, &mut faults);
    if kind == PeKind::Wavelet && !blocks_fit && faults.0.is_empty() {
        faults.push(coded::blocks_fault(layer, weights, groups));
    }
    faults.or(())?;
    let schedule = (kind == PeKind::Serial).then(|| serial_schedule(network, index, &op, weights, activation));
    let passes =
        schedule.as_ref().and_then(|schedule| schedule.modes.first()).map_or(1, |mode| mode.passes.len() as u64);
    let joined = (kind == PeKind::Serial).then(|| merged(layer, weights.outputs, 1, &mode_sums(network, index)));
    let requantization = match &joined {
        Some(joined) => joined.requantization.as_ref(),
        None => layer.requantization.as_ref(),
    };
    let mode_count = layer.modes.len().max(1) as u64;
    let sum_bits = network.sums(index).map_or(32, |sums| sums.all.bits());
    let choice = folding::MatrixChoice {
        op: &op,
        blocks: kind == PeKind::Wavelet,
        weights,
        groups,
        activation: LiveWires::of_kind(Some(kind), &layer.op, network.layer_input(layer), activation).format,
        input,
        output,
        sum_bits,
        requantization,
        unit: wish.requantize.as_ref().map(|at| at.value),
        folded: wish.pe.is_some() && wish.simd.is_some(),
        target,
        passes: schedule.is_some().then_some(passes),
        in_modes: layer.modes.len() > 1,
    };
    let (pe, simd) =
        folding::choose(&choice, wish.pe.as_ref().map(|at| at.value), wish.simd.as_ref().map(|at| at.value));
    // Codes and tags together must be fewer bits than plain codes.
    let (kind, form) = match (&wish.kind, kind) {
        (None, PeKind::Piecewise) if !coded::pays(weights, pe, simd) && wish.form.is_none() => {
            (if groups.is_depthwise() { PeKind::Depthwise } else { PeKind::Mac }, None)
        }
        _ => (kind, form),
    };
    if pe.saturating_mul(simd) > MAX_LANES {
        return Err(wrong(
            layer,
            Code::Folding,
            &format!("pe {pe} times simd {simd} is more than {MAX_LANES} lanes"),
            "fold the layer more",
        )
        .into());
    }
    let unit = match requantization {
        Some(r) => Some(requantize_unit(layer, r, output.channels / pe * mode_count, sum_bits)?),
        None => None,
    };
    let (planes, word_bits) = match &schedule {
        Some(schedule) => (schedule.stored.len() as u64, pe * simd),
        None => (1, u64::from(weights.format.bits()) * pe * simd),
    };
    let words = weights.outputs as u64 * weights.length as u64 / (pe * simd) * planes;
    let memory = wish.memory.as_ref().map_or_else(
        || {
            if layer.op.weights().is_some() && words >= 512 && words * word_bits >= 8192 {
                Memory::Block
            } else {
                Memory::Lut
            }
        },
        |at| at.value,
    );
    let side = groups.side(pe);
    let window = match needs_window(&op) {
        true => Some(window_form(layer, &choice, pe, simd)?),
        false => None,
    };
    let sets = groups.count / side;
    Ok(MatrixLayer { kind, form, passes, pe, simd, side, sets, multiplier, memory, unit, window })
}

/// The sliding window: as wished, else one that keeps up with the array.
fn window_form(layer: &Layer, choice: &folding::MatrixChoice, pe: u64, simd: u64) -> Result<WindowForm, Diagnostics> {
    let chosen = folding::window_form(choice, pe, simd);
    let Some(At { value, place }) = &layer.hardware.window else { return Ok(chosen) };
    let channels = choice.input.channels;
    let (message, help) = match (*value, chosen) {
        (WindowForm::Serial(lanes), _) if lanes == 0 || !channels.is_multiple_of(lanes) => (
            format!("`{}`: a window of {lanes} lanes does not divide the {channels} input channels", layer.name),
            format!("use a divisor of {channels}: {}", divisor_list(channels)),
        ),
        (form, WindowForm::Serial(lanes)) if choice.groups.count > 1 && form != chosen => (
            format!("`{}`: with groups, pe {pe} takes its window in words of {lanes} channels", layer.name),
            "leave `window` out".to_owned(),
        ),
        (form, _) => return Ok(form),
    };
    Err(Diagnostic::new(Code::Folding, place.clone(), message, help).into())
}
