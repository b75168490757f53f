//! `hwgen plan --modes`: modes of run-time precision for a network of full precision.
//!
//! Every layer whose sums become codes, or leave the network, gets the modes. What its sums mean in a mode is measured:
//! on the calibration frames the network runs in full precision and in the mode, layer by layer, and each output
//! channel gets the line (least squares) that takes the mode's sums to the real numbers that the full sums stand for.
//! Where an integer code is read by layers that drop planes, half of the coarsest step that all of them share is added,
//! so that dropping planes rounds to the nearest. Bipolar codes need no such step: their bins lie around their values.

use crate::cli::Widths;
use crate::failure::{Outcome, cannot_evaluate};
use golden_model::{Evaluator, Trace};
use network::format::Kind;
use network::graph::{Encoding, NetworkParts, TensorId};
use network::modes::{MAX_MODES, Mode, OutputMeaning, Planes};
use network::op::Op;
use network::requantization::{Form, Requantization, Shift, per_channel};
use network::{Code, Diagnostic, Network, Place};

/// Integers of all traces that are held at once.
const MOST_INTEGERS: u64 = 1 << 25;
/// Widest multiplier of a fitted line.
const MULTIPLIER_BITS: u32 = 20;

/// The network with modes; `frames` are the codes of calibration frames.
pub fn add_modes(network: &Network, wanted: &[Widths], frames: &[Vec<i32>]) -> Outcome<NetworkParts> {
    let integers: u64 = network.tensors().iter().map(|tensor| 2 * tensor.shape.elements()).sum();
    let most = (MOST_INTEGERS / integers.max(1)).max(1) as usize;
    let frames = frames.get(..most).unwrap_or(frames);
    let layers: Vec<usize> = (0..network.layers().len()).filter(|&index| can_have_modes(network, index)).collect();
    if layers.is_empty() {
        return Err(Diagnostic::new(
            Code::Modes,
            Place::default(),
            "no layer of this network can have modes",
            "modes are for dense and convolution layers that read codes",
        )
        .into());
    }
    check(network, &layers, wanted)?;
    let full = traces(network, frames)?;
    let mut parts = network.clone().into_parts();
    for &index in &layers {
        let planes = |widths: &Widths| layer_planes(network, index, *widths);
        parts.layers[index].modes =
            wanted.iter().map(|widths| Mode { planes: planes(widths), requantization: None }).collect();
    }
    for mode in 0..wanted.len() {
        let truncates = |index: &usize| parts.layers[*index].modes[mode].planes != all_planes(network, *index);
        if !layers.iter().any(truncates) {
            if mode > 0 {
                for &index in &layers {
                    parts.layers[index].modes[mode].requantization = network.layers()[index].requantization.clone();
                }
            }
            continue;
        }
        for &index in &layers {
            // Layers in front have their lines already; those behind do not count here.
            let plain = Network::build(parts.clone())?.in_mode(mode)?;
            let position = plain.layers.iter().position(|layer| *layer == Some(index)).unwrap_or(0);
            let reduced = traces(&plain.network, frames)?;
            let sums = full.iter().zip(&reduced).filter_map(|(full, reduced)| {
                let full = full.layers.get(index)?.sums.as_deref()?;
                Some((full, reduced.layers.get(position)?.sums.as_deref()?))
            });
            let channels = network.layer_output(index).shape.channels as usize;
            match &network.layers()[index].requantization {
                Some(rule) => {
                    let target = |channel: usize, sum: i64| before_floor(rule, channel, sum);
                    let lines = fit(sums, channels, &target);
                    let half_step = half_step(&parts, index, mode, rule);
                    let largest = plain
                        .network
                        .sums(position)
                        .map_or(1, |sums| sums.all.min().unsigned_abs().max(sums.all.max().unsigned_abs()));
                    let fitted = shift_form(rule, &lines, half_step, largest);
                    if mode == 0 {
                        parts.layers[index].requantization = Some(fitted);
                    } else {
                        parts.layers[index].modes[mode].requantization = Some(fitted);
                    }
                }
                None => {
                    let sums: Vec<(&[i64], &[i64])> = sums.collect();
                    let outputs = parts.outputs.iter_mut().zip(network.outputs());
                    for (output, own) in outputs.filter(|(_, own)| own.tensor == network.layer_tensor(index)) {
                        let target = |channel: usize, sum: i64| {
                            let scale = per_channel(&own.scales, channel).unwrap_or(1.0);
                            scale * sum as f64 + per_channel(&own.offsets, channel).unwrap_or(0.0)
                        };
                        let lines = fit(sums.iter().copied(), channels, &target);
                        let (scales, offsets) = lines.into_iter().unzip();
                        if mode == 0 {
                            (output.scales, output.offsets) = (scales, offsets);
                        } else {
                            output.modes.resize(mode, None);
                            output.modes.push(Some(OutputMeaning { scales, offsets }));
                        }
                    }
                }
            }
        }
    }
    Ok(parts)
}

/// Refuses more modes than a network has room for, and planes that no layer has. A layer with fewer planes than a mode
/// reads gives all of them.
fn check(network: &Network, layers: &[usize], wanted: &[Widths]) -> Result<(), Diagnostic> {
    let refused = |message: String, help: &str| Err(Diagnostic::new(Code::Modes, Place::default(), message, help));
    if wanted.len() > MAX_MODES {
        return refused(format!("--modes lists {} modes", wanted.len()), "a network has 1 to 8 modes");
    }
    let all: Vec<Planes> = layers.iter().map(|&index| all_planes(network, index)).collect();
    let most = |of: fn(&Planes) -> u32| all.iter().map(of).max().unwrap_or(0);
    let (weights, activations) = (most(|planes| planes.weight), most(|planes| planes.activation));
    for Widths { weights: w, activations: a } in wanted {
        if *w > weights || *a > activations {
            return refused(
                format!(
                    "the mode {w}x{a} reads more planes than any layer has: weights have {weights}, activations {activations}"
                ),
                "read at most these, or store more with --weight-bits and --activation-bits",
            );
        }
    }
    Ok(())
}

fn traces(network: &Network, frames: &[Vec<i32>]) -> Result<Vec<Trace>, Diagnostic> {
    let evaluator = Evaluator::new(network);
    let evaluate = |frame: &Vec<i32>| evaluator.evaluate(frame).map_err(|error| cannot_evaluate(&error));
    frames.iter().map(evaluate).collect()
}

/// Dense and convolution layers over codes whose rule is monotone, and whose sums nobody but the user reads.
fn can_have_modes(network: &Network, index: usize) -> bool {
    let layer = &network.layers()[index];
    let reads_codes = matches!(network.layer_input(layer).encoding, Encoding::Codes { .. });
    let fits = reads_codes && matches!(&layer.op, Op::Dense { .. } | Op::Conv2d { .. });
    fits && match &layer.requantization {
        Some(rule) => !matches!(rule.form, Form::Table(_)),
        None => network.readers(network.layer_tensor(index)).next().is_none(),
    }
}

fn all_planes(network: &Network, index: usize) -> Planes {
    layer_planes(network, index, Widths { weights: u32::MAX, activations: u32::MAX })
}

fn layer_planes(network: &Network, index: usize, widths: Widths) -> Planes {
    let layer = &network.layers()[index];
    let weight = layer.op.weights().map_or(1, |weights| weights.format.bits());
    let activation = network.layer_input(layer).encoding.bits();
    Planes { weight: widths.weights.min(weight), activation: widths.activations.min(activation) }
}

/// The real number whose floor, clamped, is the code of a sum.
fn before_floor(rule: &Requantization, channel: usize, sum: i64) -> f64 {
    if let Some(real) = &rule.rule {
        let gain = per_channel(&real.gains, channel).unwrap_or(0.0);
        return gain * sum as f64 + per_channel(&real.offsets, channel).unwrap_or(0.0) + 0.5;
    }
    match &rule.form {
        Form::Shift(form) => {
            let multiplier = per_channel(&form.multipliers, channel).unwrap_or(0) as f64;
            let offset = per_channel(&form.offsets, channel).unwrap_or(0) as f64;
            let value = (multiplier * sum as f64 + offset) / (form.shift as f64).exp2();
            if form.half_even { value + 0.5 } else { value }
        }
        Form::Thresholds(form) => {
            let falls = per_channel(&form.falling, channel).unwrap_or(false);
            let reached = |threshold: &&i64| if falls { sum <= **threshold } else { sum >= **threshold };
            let count = form.row(channel).iter().filter(reached).count();
            rule.codes.min() as f64 + count as f64 + 0.5
        }
        Form::Table(table) => table.code(channel, sum) as f64 + 0.5,
    }
}

/// For each channel slope and constant of the line from reduced sums to the target of full sums.
fn fit<'t>(
    sums: impl Iterator<Item = (&'t [i64], &'t [i64])>,
    channels: usize,
    target: &dyn Fn(usize, i64) -> f64,
) -> Vec<(f64, f64)> {
    let mut moments = vec![[0.0f64; 5]; channels];
    for (full, reduced) in sums {
        for (element, (&full, &reduced)) in full.iter().zip(reduced).enumerate() {
            let (x, y) = (reduced as f64, target(element % channels, full));
            let moment = &mut moments[element % channels];
            for (sum, term) in moment.iter_mut().zip([1.0, x, y, x * x, x * y]) {
                *sum += term;
            }
        }
    }
    let line = |&[count, x, y, xx, xy]: &[f64; 5]| {
        let variance = count * xx - x * x;
        let slope = if variance > 0.0 { (count * xy - x * y) / variance } else { 0.0 };
        (slope, if count > 0.0 { (y - slope * x) / count } else { 0.0 })
    };
    moments.iter().map(line).collect()
}

/// Half of the step that all layers behind this one leave of its integer codes in the mode, less the half that a code's
/// own rounding has added; 0 for bipolar codes and where a reader takes all planes.
fn half_step(parts: &NetworkParts, index: usize, mode: usize, rule: &Requantization) -> f64 {
    if rule.output.kind() == Kind::Bipolar {
        return 0.0;
    }
    let dropped = planes_dropped(parts, TensorId(parts.inputs.len() + index), mode, rule.output.bits());
    if dropped == 0 { 0.0 } else { f64::from(1u32 << (dropped - 1)) - 0.5 }
}

/// The fewest planes that a reader of a tensor drops, seen through layers that pass codes on.
fn planes_dropped(parts: &NetworkParts, tensor: TensorId, mode: usize, bits: u32) -> u32 {
    let is_output = parts.outputs.iter().any(|output| output.tensor == tensor);
    let readers = parts.layers.iter().enumerate().filter(|(_, layer)| layer.inputs.contains(&tensor));
    let dropped = readers.map(|(index, layer)| match &layer.op {
        Op::MaxPool { .. } | Op::Rearrange(_) | Op::Concat => {
            planes_dropped(parts, TensorId(parts.inputs.len() + index), mode, bits)
        }
        _ => layer.modes.get(mode).map_or(0, |mode| bits - mode.planes.activation),
    });
    if is_output { 0 } else { dropped.min().unwrap_or(0) }
}

/// The lines as one shift form. The shift is one at which rounded multipliers move no sum by more than a thirty-second
/// of a code; constants of all modes meet at the greatest shift, so more would only widen the multiplier.
fn shift_form(rule: &Requantization, lines: &[(f64, f64)], add: f64, largest_sum: u64) -> Requantization {
    let fits = |shift: u32| {
        let factor = f64::from(shift).exp2();
        lines.iter().all(|(slope, constant)| {
            let multiplier = (slope * factor).abs();
            let reach = multiplier * largest_sum as f64 + ((constant + add) * factor).abs();
            multiplier < f64::from(MULTIPLIER_BITS).exp2() && reach < 54f64.exp2()
        })
    };
    let enough = (64 - largest_sum.leading_zeros() + 4).min(40);
    let shift = (0..=enough).rev().find(|&shift| fits(shift)).unwrap_or(0);
    let factor = f64::from(shift).exp2();
    Requantization {
        form: Form::Shift(Shift {
            multipliers: lines.iter().map(|(slope, _)| (slope * factor).round() as i64).collect(),
            offsets: lines.iter().map(|(_, constant)| ((constant + add) * factor).round() as i64).collect(),
            shift,
            half_even: false,
        }),
        rule: None,
        ..rule.clone()
    }
}
