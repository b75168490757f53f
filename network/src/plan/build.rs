//! From a plan and its constants to the typed network.

mod random;

use super::{Constants, InputPlan, LayerPlan, OpPlan, Plan};
use crate::arrays::Arrays;
use crate::coding::{Coding, Tagged, WeightFormat};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics, Place};
use crate::graph::{Input, Layer, Network, NetworkParts, Output, TensorId};
use crate::modes::{Mode, OutputMeaning};
use crate::op::{Op, Weights};
use crate::requantization::{Form, RealRule, Requantization, Shift, Table, Thresholds};

type Checked<T> = Result<T, Diagnostic>;

impl Plan {
    /// The network that the plan describes.
    ///
    /// `arrays` is the sidecar file that [`Plan::arrays_file`] names; a plan with weights from a seed needs none.
    ///
    /// # Errors
    /// `ArrayHash` alone where the file is another one; else every array that is missing or malformed; else every
    /// fault that [`Network::build`] finds. Places are those of the plan's layers and keys.
    pub fn build(&self, arrays: Option<&Arrays>) -> Result<Network, Diagnostics> {
        let layers = match (&self.constants, arrays) {
            (Constants::Random { seed, extreme }, _) => random::layers(self, seed.value, *extreme)?,
            (Constants::Arrays { file, .. }, None) => {
                let message = format!("the plan needs the arrays of {}", file.value);
                return Err(
                    Diagnostic::new(Code::ArrayMissing, file.place.clone(), message, "give the sidecar file").into()
                );
            }
            (Constants::Arrays { sha256, .. }, Some(arrays)) => {
                check_hash(sha256, arrays)?;
                self.stored_layers(arrays)?
            }
        };
        let outputs = self.outputs(arrays.filter(|_| matches!(self.constants, Constants::Arrays { .. })))?;
        let inputs = self.inputs.iter().map(InputPlan::input).collect();
        Network::build(NetworkParts { name: self.name.clone(), inputs, layers, outputs }).map_err(|mut faults| {
            // A fault that names no layer is one of the output.
            for fault in faults.0.iter_mut().filter(|fault| fault.place == Place::default()) {
                fault.place = self.outputs.first().map_or_else(Place::default, |output| output.place.clone());
            }
            faults.in_file(&self.file)
        })
    }

    /// The name of the sidecar file, relative to the plan; `None` where constants come from a seed.
    pub fn arrays_file(&self) -> Option<&At<String>> {
        match &self.constants {
            Constants::Arrays { file, .. } => Some(file),
            Constants::Random { .. } => None,
        }
    }

    fn stored_layers(&self, arrays: &Arrays) -> Result<Vec<Layer>, Diagnostics> {
        let mut faults = Diagnostics::default();
        let mut layers = Vec::with_capacity(self.layers.len());
        for plan in &self.layers {
            let op = stored_op(plan, arrays);
            let stored = |codes, prefix: &str| stored_requantization(plan, prefix, codes, arrays);
            let requantization = plan.output.map(|codes| stored(codes, "")).transpose();
            match (op, requantization) {
                (Ok(op), Ok(requantization)) => {
                    let mut layer = plan.layer(op, requantization);
                    for (number, mode) in layer.modes.iter_mut().enumerate().skip(1) {
                        match plan.output.map(|codes| stored(codes, &format!("modes.{number}."))).transpose() {
                            Ok(requantization) => mode.requantization = requantization,
                            Err(fault) => faults.push(fault),
                        }
                    }
                    layers.push(layer);
                }
                (op, requantization) => {
                    op.err().into_iter().chain(requantization.err()).for_each(|fault| faults.push(fault));
                }
            }
        }
        faults.or(layers)
    }

    fn outputs(&self, arrays: Option<&Arrays>) -> Result<Vec<Output>, Diagnostics> {
        let mut faults = Diagnostics::default();
        let mut outputs = Vec::with_capacity(self.outputs.len());
        for plan in &self.outputs {
            let mut entries = |inline: &Option<At<f64>>, suffix: &str, default: f64| match (inline, arrays) {
                (Some(at), _) => vec![at.value],
                (None, None) => vec![default],
                (None, Some(arrays)) => {
                    let name = format!("{}.{suffix}", plan.arrays);
                    arrays.reals(&name, &plan.place).unwrap_or_else(|fault| {
                        faults.push(fault);
                        Vec::new()
                    })
                }
            };
            let scales = entries(&plan.scale, "scale", 1.0);
            let offsets = entries(&plan.offset, "offset", 0.0);
            let mut modes = Vec::new();
            for mode in 1..self.layers.iter().map(|layer| layer.modes.len()).max().unwrap_or(0) {
                let name = |suffix: &str| format!("{}.modes.{mode}.{suffix}", plan.arrays);
                let Some(arrays) = arrays.filter(|arrays| arrays.has(&name("scale")) || arrays.has(&name("offset")))
                else {
                    continue;
                };
                let mut meaning = |suffix: &str| {
                    arrays.reals(&name(suffix), &plan.place).unwrap_or_else(|fault| {
                        faults.push(fault);
                        Vec::new()
                    })
                };
                modes.resize(mode, None);
                modes.push(Some(OutputMeaning { scales: meaning("scale"), offsets: meaning("offset") }));
            }
            outputs.push(Output {
                tensor: TensorId(plan.tensor),
                name: plan.name.clone(),
                axes: plan.axes,
                scales,
                offsets,
                modes,
                host: plan.host,
            });
        }
        faults.or(outputs)
    }
}

impl InputPlan {
    /// The input of the network.
    fn input(&self) -> Input {
        Input {
            name: self.name.clone(),
            shape: self.shape,
            format: self.format,
            axes: self.axes,
            quantizer: self.quantizer,
        }
    }
}

impl LayerPlan {
    /// The layer with its constants.
    fn layer(&self, op: Op, requantization: Option<Requantization>) -> Layer {
        Layer {
            name: self.name.clone(),
            place: self.place.clone(),
            inputs: self.inputs.iter().copied().map(TensorId).collect(),
            op,
            requantization,
            modes: self.modes.iter().map(|&planes| Mode { planes, requantization: None }).collect(),
            hardware: self.hardware.clone(),
        }
    }
}

fn check_hash(expected: &At<String>, arrays: &Arrays) -> Result<(), Diagnostics> {
    if expected.value == arrays.sha256() {
        return Ok(());
    }
    let message = format!("{} has the SHA-256 {}, the plan names {}", arrays.file(), arrays.sha256(), expected.value);
    let help = "bring back the file that the plan was written with, or write both again";
    Err(Diagnostic::new(Code::ArrayHash, expected.place.clone(), message, help).into())
}

fn stored_op(plan: &LayerPlan, arrays: &Arrays) -> Checked<Op> {
    Ok(match &plan.op {
        OpPlan::Dense { outputs, weight } => Op::Dense { weights: stored_weights(plan, outputs, weight, arrays)? },
        OpPlan::Conv2d { outputs, weight, window, padding_value, groups } => Op::Conv2d {
            weights: stored_weights(plan, outputs, weight, arrays)?,
            window: *window,
            padding_value: *padding_value,
            groups: *groups,
        },
        OpPlan::SumPool { window, padding_value, counted } => {
            Op::SumPool { window: *window, padding_value: *padding_value, counted: *counted }
        }
        OpPlan::MaxPool { window } => Op::MaxPool { window: *window },
        OpPlan::Requantize => Op::Identity,
        OpPlan::Add => Op::Add { factors: stored_factors(plan, arrays)? },
        OpPlan::Multiply => Op::Multiply,
        OpPlan::Concat => Op::Concat,
        OpPlan::Rearrange(rearrangement) => Op::Rearrange(rearrangement.clone()),
        OpPlan::Argmax => Op::Argmax {
            multipliers: stored_integers(plan, "multiplier", arrays)?,
            offsets: stored_integers(plan, "offset", arrays)?,
        },
        OpPlan::TopK { count, gives } => Op::TopK {
            count: *count,
            gives: *gives,
            multipliers: stored_integers(plan, "multiplier", arrays)?,
            offsets: stored_integers(plan, "offset", arrays)?,
        },
    })
}

fn stored_weights(plan: &LayerPlan, outputs: &At<u64>, format: &WeightFormat, arrays: &Arrays) -> Checked<Weights> {
    let name = format!("{}.weight", plan.name);
    let array = arrays.integers(&name, 2, i64::from(i32::MIN)..=i64::from(i32::MAX), &plan.place)?;
    match array.shape {
        &[rows, length] if rows as u64 == outputs.value => {
            let values: Vec<i32> = array.values.iter().map(|&value| value as i32).collect();
            let coding = stored_coding(plan, format, length, &values, arrays)?;
            Ok(Weights { format: format.plain(), coding, outputs: rows, length, values: values.into() })
        }
        shape => Err(Diagnostic::new(
            Code::ArrayShape,
            outputs.place.clone(),
            format!("array `{name}` has the shape {shape:?}, but the layer has {} outputs", outputs.value),
            "store one row of weights for each output",
        )),
    }
}

/// The coding of weights; region tags are those of fewest bits where the file has none.
fn stored_coding(
    plan: &LayerPlan,
    format: &WeightFormat,
    length: usize,
    values: &[i32],
    arrays: &Arrays,
) -> Checked<Coding> {
    let regions = match format {
        WeightFormat::Plain(_) => return Ok(Coding::Plain),
        WeightFormat::Wavelet(wavelet) => return Ok(Coding::Wavelet(wavelet.clone())),
        WeightFormat::Piecewise(regions) => regions.clone(),
    };
    let name = format!("{}.tag", plan.name);
    if arrays.has(&name) {
        let tags = arrays.integers(&name, 2, 0..=255, &plan.place)?.values;
        return Ok(Coding::Piecewise(Tagged { regions, tags: tags.into_iter().map(|tag| tag as u8).collect() }));
    }
    let tagged = Tagged::fewest_bits(regions, length, values).map_err(|(row, place)| {
        Diagnostic::new(
            Code::WeightRange,
            plan.place.clone(),
            format!("no region of `{}` has all weights of the group at row {row}, place {place}", plan.name),
            "widen a region or quantize the weights again",
        )
    })?;
    Ok(Coding::Piecewise(tagged))
}

/// Factors of an `add` layer, one row for each input; all 1 where the file has none.
fn stored_factors(plan: &LayerPlan, arrays: &Arrays) -> Checked<Vec<Vec<i64>>> {
    let name = format!("{}.factor", plan.name);
    if !arrays.has(&name) {
        return Ok(vec![vec![1]; plan.inputs.len()]);
    }
    let array = arrays.integers(&name, 2, i64::MIN..=i64::MAX, &plan.place)?;
    match array.shape {
        &[rows, columns] if rows == plan.inputs.len() && columns > 0 => {
            Ok(array.values.chunks(columns).map(<[i64]>::to_vec).collect())
        }
        shape => Err(wrong_count(&plan.place, &name, shape.first().copied().unwrap_or(0), plan.inputs.len())),
    }
}

/// One-dimensional I64 values of any size.
fn stored_integers(plan: &LayerPlan, suffix: &str, arrays: &Arrays) -> Checked<Vec<i64>> {
    let name = format!("{}.{suffix}", plan.name);
    Ok(arrays.integers(&name, 1, i64::MIN..=i64::MAX, &plan.place)?.values)
}

/// A single number from 0 to `most`.
fn stored_number(plan: &LayerPlan, suffix: &str, most: i64, arrays: &Arrays) -> Checked<i64> {
    let name = format!("{}.{suffix}", plan.name);
    match arrays.integers(&name, 1, 0..=most, &plan.place)?.values[..] {
        [value] => Ok(value),
        ref values => Err(wrong_count(&plan.place, &name, values.len(), 1)),
    }
}

fn wrong_count(place: &Place, name: &str, found: usize, needed: usize) -> Diagnostic {
    let message = format!("array `{name}` has {found} entries, not {needed}");
    Diagnostic::new(Code::ArrayShape, place.clone(), message, "the reference page lists the shape of each array")
}

/// The requantization whose arrays' names go on with `prefix` behind the layer's name.
fn stored_requantization(
    plan: &LayerPlan,
    prefix: &str,
    codes: super::CodesPlan,
    arrays: &Arrays,
) -> Checked<Requantization> {
    let own = |suffix: &str| format!("{prefix}{suffix}");
    let has = |suffix: &str| arrays.has(&format!("{}.{prefix}{suffix}", plan.name));
    let form = match (has("thresholds"), has("multiplier")) {
        (true, false) if has("codes") => Form::Table(stored_table(plan, prefix, arrays)?),
        (true, false) => Form::Thresholds(stored_thresholds(plan, prefix, arrays)?),
        (false, _) => Form::Shift(Shift {
            multipliers: stored_integers(plan, &own("multiplier"), arrays)?,
            offsets: stored_integers(plan, &own("offset"), arrays)?,
            shift: stored_number(plan, &own("shift"), 62, arrays)? as u32,
            half_even: stored_number(plan, &own("half_even"), 1, arrays)? == 1,
        }),
        (true, true) => {
            let message = format!("layer {} has arrays for both requantization forms", plan.name);
            return Err(Diagnostic::new(
                Code::Requantization,
                plan.place.clone(),
                message,
                "keep `.thresholds` or `.multiplier`",
            ));
        }
    };
    let rule = if has("gain") || has("bias") {
        let reals = |suffix: &str| arrays.reals(&format!("{}.{prefix}{suffix}", plan.name), &plan.place);
        Some(RealRule { gains: reals("gain")?, offsets: reals("bias")? })
    } else {
        None
    };
    Ok(Requantization { output: codes.format, codes: codes.range, form, rule })
}

fn stored_table(plan: &LayerPlan, prefix: &str, arrays: &Arrays) -> Checked<Table> {
    let name = |suffix: &str| format!("{}.{prefix}{suffix}", plan.name);
    let thresholds = arrays.integers(&name("thresholds"), 2, i64::MIN..=i64::MAX, &plan.place)?;
    let codes = arrays.integers(&name("codes"), 2, -65536..=65536, &plan.place)?;
    match (thresholds.shape, codes.shape) {
        (&[channels, count], &[rows, entries]) if channels == rows && entries == count + 1 => {
            Ok(Table { values: thresholds.values, count, codes: codes.values })
        }
        (_, shape) => {
            Err(wrong_count(&plan.place, &name("codes"), codes.values.len(), thresholds.values.len() + shape[0]))
        }
    }
}

fn stored_thresholds(plan: &LayerPlan, prefix: &str, arrays: &Arrays) -> Checked<Thresholds> {
    let name = format!("{}.{prefix}thresholds", plan.name);
    let array = arrays.integers(&name, 2, i64::MIN..=i64::MAX, &plan.place)?;
    let falling_name = format!("{}.{prefix}falling", plan.name);
    let falling = arrays.integers(&falling_name, 1, 0..=1, &plan.place)?.values;
    match array.shape {
        &[channels, count] if channels == falling.len() => {
            let falling = falling.into_iter().map(|flag| flag == 1).collect();
            Ok(Thresholds { values: array.values, count, falling })
        }
        shape => Err(wrong_count(&plan.place, &falling_name, falling.len(), shape.first().copied().unwrap_or(0))),
    }
}
