//! A network written down as a plan and its arrays.
//!
//! One line for each layer, its parts in aligned columns; keys with their default value are left out. The same
//! network gives the same bytes.

mod layer;

use super::fields::check_name;
use super::read::{AXES, HOST_STEPS, PLAN_NAME_EXTRA, ROUNDINGS, ZERO_POINT_ORDERS};
use super::{PLAN_VERSION, Provenance, Target};
use crate::arrays::{ArraysWriter, sha256_hex};
use crate::coding::Coding;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics, Place};
use crate::graph::{HostStep, Input, InputQuantizer, Layer, NetworkParts, Output};
use crate::op::{Op, Weights};
use crate::requantization::{Form, Requantization};
use crate::rounding::Rounding;
use crate::shape::{AxisOrder, Shape};
use std::fmt::Write;

/// What a plan says beside its network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteOptions {
    /// Name of the sidecar file as the plan shall state it: relative to the plan.
    pub arrays_file: String,
    /// The model that the network was made from.
    pub model: Option<Provenance>,
    /// What the hardware is for.
    pub target: Target,
    /// The seed that all constants come from, for a network that was built from one, and whether its weights are
    /// extremes: the plan then states both and has no arrays.
    pub random: Option<(u64, bool)>,
    /// For each layer where its numbers came from, as a comment; none, or one for each layer.
    pub origins: Vec<String>,
}

/// A plan and its arrays, ready for two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Text of `plan.yaml`.
    pub plan: String,
    /// Bytes of the sidecar file; empty where constants come from a seed.
    pub arrays: Vec<u8>,
    /// SHA-256 of the sidecar file, as the plan states it.
    pub arrays_sha256: String,
}

/// Writes a network down. [`super::Plan::parse`] and [`super::Plan::build`] give the same network back, places aside.
///
/// # Errors
/// `PlanValue` where a name is not legal in a plan, `PlanReference` where a layer reads what is not there, `ArrayShape`
/// where an array's length is not what its matrix says, `PlanRange` where a scale is not finite.
pub fn write(parts: &NetworkParts, options: &WriteOptions) -> Result<Written, Diagnostics> {
    check(parts, options)?;
    let arrays = if options.random.is_some() { Vec::new() } else { arrays(parts).finish()? };
    let arrays_sha256 = sha256_hex(&arrays);
    let mut plan = format!("hwgen: {PLAN_VERSION}\nname: {}\n", text(&parts.name));
    if let Some(model) = &options.model {
        let mut fields = vec![("file", text(&model.file))];
        fields.extend(model.sha256.as_ref().map(|sha256| ("sha256", text(sha256))));
        line(&mut plan, "model", &fields);
    }
    match options.random {
        Some((seed, extreme)) => {
            let mut fields = vec![("seed", seed.to_string())];
            fields.extend(extreme.then(|| ("weights", "extreme".to_owned())));
            line(&mut plan, "random", &fields);
        }
        None => line(&mut plan, "arrays", &[("file", text(&options.arrays_file)), ("sha256", text(&arrays_sha256))]),
    }
    let target = target_fields(&options.target);
    if !target.is_empty() {
        line(&mut plan, "target", &target);
    }
    match &parts.inputs[..] {
        [input] => line(&mut plan, "input", &input_fields(input)),
        inputs => list(&mut plan, "inputs", inputs.iter().map(input_fields)),
    }
    for (layer, origin) in parts.layers.iter().zip(&options.origins) {
        let printable: String = origin.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = writeln!(plan, "# {}: {printable}", layer.name);
    }
    plan.push_str("layers:\n");
    plan.push_str(&layer::lines(parts));
    match &parts.outputs[..] {
        [output] => line(&mut plan, "output", &output_fields(parts, output)),
        outputs => list(&mut plan, "outputs", outputs.iter().map(|output| output_fields(parts, output))),
    }
    Ok(Written { plan, arrays, arrays_sha256 })
}

fn line(plan: &mut String, key: &str, fields: &[(&str, String)]) {
    // Writing into a String cannot fail.
    let _ = writeln!(plan, "{key}: {}", map(fields));
}

/// A list of maps, one on a line.
fn list(plan: &mut String, key: &str, items: impl Iterator<Item = Vec<(&'static str, String)>>) {
    let _ = writeln!(plan, "{key}:");
    for fields in items {
        let _ = writeln!(plan, "  - {}", map(&fields));
    }
}

/// A map on one line.
fn map(fields: &[(&str, String)]) -> String {
    let entries: Vec<String> = fields.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    format!("{{ {} }}", entries.join(", "))
}

fn check(parts: &NetworkParts, options: &WriteOptions) -> Result<(), Diagnostics> {
    let mut faults = Diagnostics::default();
    let mut fault =
        |code, place, message: String, help: String| faults.push(Diagnostic::new(code, place, message, help));
    if let Err(help) = check_name(&parts.name, PLAN_NAME_EXTRA) {
        fault(Code::PlanValue, Place::default(), format!("`{}` is no legal name of a plan", parts.name), help);
    }
    let printable = [(&options.arrays_file, "file name")];
    let inputs = parts.inputs.iter().map(|input| (&input.name, "input name"));
    let outputs = parts.outputs.iter().map(|output| (&output.name, "output name"));
    for (text, what) in printable.into_iter().chain(inputs).chain(outputs) {
        if text.is_empty() || text.chars().count() > 256 || text.chars().any(char::is_control) {
            let help = "write 1 to 256 printable characters".to_owned();
            fault(Code::PlanValue, Place::default(), format!("the {what} cannot stand in a plan"), help);
        }
    }
    for (index, layer) in parts.layers.iter().enumerate() {
        if let Err(help) = check_name(&layer.name, &[]) {
            fault(Code::PlanValue, layer.place.clone(), format!("`{}` is no legal name of a layer", layer.name), help);
        } else if super::read_layer::RESERVED_NAMES.contains(&layer.name.as_str()) {
            let help = "`input` and `output` are the network's ends".to_owned();
            fault(Code::PlanValue, layer.place.clone(), format!("a layer cannot be named `{}`", layer.name), help);
        }
        if let Some(id) = layer.inputs.iter().find(|id| id.0 >= parts.inputs.len() + index) {
            let message = format!("`{}` reads tensor {}, which no earlier layer makes", layer.name, id.0);
            fault(
                Code::PlanReference,
                layer.place.clone(),
                message,
                "let a layer read the input or an earlier layer".to_owned(),
            );
        }
        let rule = layer.requantization.as_ref().and_then(|requantization| requantization.rule.as_ref());
        if rule.is_some_and(|rule| !all_finite(&rule.gains) || !all_finite(&rule.offsets)) {
            let message = format!("`{}` has a gain or an offset that is not finite", layer.name);
            fault(Code::PlanRange, layer.place.clone(), message, "check the model's scales".to_owned());
        }
    }
    let sound = |q: InputQuantizer| q.scale.is_finite() && q.scale > 0.0 && q.zero_point.is_finite();
    if !parts.inputs.iter().all(|input| input.quantizer.is_none_or(sound))
        || !parts.outputs.iter().all(|output| all_finite(&output.scales) && all_finite(&output.offsets))
    {
        let help = "check the model's scales".to_owned();
        fault(
            Code::PlanRange,
            Place::default(),
            "a scale or an offset of the input or output is not finite".to_owned(),
            help,
        );
    }
    faults.or(())
}

fn all_finite(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_finite())
}

fn arrays(parts: &NetworkParts) -> ArraysWriter {
    let mut arrays = ArraysWriter::default();
    for layer in &parts.layers {
        layer_arrays(&mut arrays, layer);
    }
    for (index, output) in parts.outputs.iter().enumerate() {
        let first = if parts.outputs.len() == 1 { "output".to_owned() } else { format!("outputs.{index}") };
        for (values, suffix) in [(&output.scales, "scale"), (&output.offsets, "offset")] {
            if values.len() != 1 {
                arrays.reals(format!("{first}.{suffix}"), values);
            }
        }
        for (mode, meaning) in output.modes.iter().enumerate() {
            let Some(meaning) = meaning else { continue };
            arrays.reals(format!("{first}.modes.{mode}.scale"), &meaning.scales);
            arrays.reals(format!("{first}.modes.{mode}.offset"), &meaning.offsets);
        }
    }
    arrays
}

fn layer_arrays(arrays: &mut ArraysWriter, layer: &Layer) {
    let name = |suffix: &str| format!("{}.{suffix}", layer.name);
    match &layer.op {
        Op::Dense { weights } | Op::Conv2d { weights, .. } => {
            let Weights { coding, outputs, length, values, .. } = weights;
            arrays.weights(name("weight"), [*outputs, *length], values);
            if let Coding::Piecewise(tagged) = coding {
                arrays.matrix_of_bytes(name("tag"), [*outputs, tagged.row_groups(*length)], &tagged.tags);
            }
        }
        Op::Argmax { multipliers, offsets } | Op::TopK { multipliers, offsets, .. } => {
            arrays.integers(name("multiplier"), &[multipliers.len()], multipliers);
            arrays.integers(name("offset"), &[offsets.len()], offsets);
        }
        Op::Add { factors } => {
            if factors.iter().any(|row| row[..] != [1]) {
                let columns = factors.iter().map(Vec::len).max().unwrap_or(1);
                let spread = |row: &Vec<i64>| if row.len() == 1 { vec![row[0]; columns] } else { row.clone() };
                let values: Vec<i64> = factors.iter().flat_map(spread).collect();
                arrays.integers(name("factor"), &[factors.len(), columns], &values);
            }
        }
        Op::MaxPool { .. } | Op::SumPool { .. } | Op::Identity | Op::Multiply | Op::Concat | Op::Rearrange(_) => {}
    }
    if let Some(requantization) = &layer.requantization {
        requantization_arrays(arrays, &layer.name, requantization);
    }
    for (number, mode) in layer.modes.iter().enumerate() {
        if let Some(requantization) = &mode.requantization {
            requantization_arrays(arrays, &format!("{}.modes.{number}", layer.name), requantization);
        }
    }
}

fn requantization_arrays(arrays: &mut ArraysWriter, stem: &str, requantization: &Requantization) {
    let name = |suffix: &str| format!("{stem}.{suffix}");
    let Requantization { form, rule, .. } = requantization;
    match form {
        Form::Shift(form) => {
            arrays.integers(name("multiplier"), &[form.multipliers.len()], &form.multipliers);
            arrays.integers(name("offset"), &[form.offsets.len()], &form.offsets);
            arrays.bytes(name("shift"), &[u8::try_from(form.shift).unwrap_or(u8::MAX)]);
            arrays.bytes(name("half_even"), &[u8::from(form.half_even)]);
        }
        Form::Thresholds(form) => {
            arrays.integers(name("thresholds"), &[form.falling.len(), form.count], &form.values);
            let falling: Vec<u8> = form.falling.iter().map(|&falling| u8::from(falling)).collect();
            arrays.bytes(name("falling"), &falling);
        }
        Form::Table(form) => {
            let rows = form.channels();
            arrays.integers(name("thresholds"), &[rows, form.count], &form.values);
            arrays.integers(name("codes"), &[rows, form.count + 1], &form.codes);
        }
    }
    if let Some(rule) = rule {
        arrays.reals(name("gain"), &rule.gains);
        arrays.reals(name("bias"), &rule.offsets);
    }
}

fn target_fields(target: &Target) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    fields.extend(target.device.as_ref().map(|at| ("device", text(&at.value))));
    fields.extend(target.clock_mhz.as_ref().map(|at| ("clock_mhz", plain(at.value))));
    fields.extend(target.fps.as_ref().map(|at| ("fps", plain(at.value))));
    let count = |key: &'static str, limit: &Option<At<u64>>| limit.as_ref().map(|at| (key, at.value.to_string()));
    let budget = &target.budget;
    let limits = [
        count("lut", &budget.lut),
        count("ff", &budget.ff),
        count("dsp", &budget.dsp),
        count("bram36", &budget.bram36),
    ];
    let limits: Vec<_> = limits.into_iter().flatten().collect();
    if !limits.is_empty() {
        fields.push(("budget", map(&limits)));
    }
    fields
}

fn input_fields(input: &Input) -> Vec<(&'static str, String)> {
    let mut fields =
        vec![("name", text(&input.name)), ("shape", shape(input.shape)), ("format", input.format.to_string())];
    if input.axes != AxisOrder::default() {
        fields.push(("axes", word(AXES, input.axes)));
    }
    if let Some(quantizer) = &input.quantizer {
        fields.push(("scale", single(quantizer.scale)));
        if quantizer.zero_point.to_bits() != 0 {
            fields.push(("zero_point", single(quantizer.zero_point)));
        }
        if quantizer.rounding != Rounding::default() {
            fields.push(("rounding", word(ROUNDINGS, quantizer.rounding)));
        }
        if quantizer.rounds_first {
            fields.push(("zero_point_order", word(ZERO_POINT_ORDERS, true)));
        }
        let all = input.format.code_range();
        if (quantizer.code_min, quantizer.code_max) != (all.min(), all.max()) {
            fields.push(("codes", format!("[{}, {}]", quantizer.code_min, quantizer.code_max)));
        }
    }
    fields
}

fn output_fields(parts: &NetworkParts, output: &Output) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    if output.tensor.0 + 1 != parts.inputs.len() + parts.layers.len() {
        fields.push(("layer", layer::source(parts, output.tensor)));
    }
    fields.push(("name", text(&output.name)));
    if output.axes != AxisOrder::default() {
        fields.push(("axes", word(AXES, output.axes)));
    }
    if output.host != HostStep::default() {
        fields.push(("host", word(HOST_STEPS, output.host)));
    }
    for (key, values) in [("scale", &output.scales), ("offset", &output.offsets)] {
        if let [value] = values[..] {
            fields.push((key, real(value)));
        }
    }
    fields
}

fn shape(shape: Shape) -> String {
    match shape {
        Shape { rows: 1, columns: 1, channels } => format!("[{channels}]"),
        Shape { rows, columns, channels } => format!("[{rows}, {columns}, {channels}]"),
    }
}

/// The word for a value.
fn word<T: PartialEq>(words: &[(&str, T)], value: T) -> String {
    words.iter().find(|(_, candidate)| *candidate == value).map_or("", |(name, _)| name).to_owned()
}

/// A double with the fewest digits that give it back.
fn real(value: f64) -> String {
    format!("{value:?}")
}

/// A double as people write it: without a fraction where there is none.
fn plain(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { real(value) }
}

/// A float with the fewest digits that give it back through a double.
fn single(value: f32) -> String {
    let short = format!("{value:?}");
    let back = short.parse::<f64>().map(|value| value as f32);
    if back.is_ok_and(|back| back.to_bits() == value.to_bits()) { short } else { real(f64::from(value)) }
}

/// A text, quoted where YAML could read it as anything else.
fn text(value: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let lower = value.to_ascii_lowercase();
    let is_word = matches!(lower.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "null");
    let starts_as_text = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_no_number =
        !["0x", "0o", "0b"].iter().any(|prefix| lower.starts_with(prefix)) && lower.contains(['a', 'c', 'd', 'f']);
    let starts_as_number = value.starts_with(|c: char| c.is_ascii_digit());
    if (starts_as_text || starts_as_number && is_no_number) && !is_word && value.chars().all(legal) {
        return value.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            // Writing into a String cannot fail.
            c => drop(write!(quoted, "\\U{:08X}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(value: &str, expected: &str) {
        assert_eq!(text(value), expected);
    }

    #[test]
    fn numbers() {
        assert_eq!([0.1, 0.003921569, -0.0, 3.4028235e38].map(single), ["0.1", "0.003921569", "-0.0", "3.4028235e38"]);
        assert_eq!([200.0, 29.97, 1e-7, 1e20].map(plain), ["200", "29.97", "1e-7", "1e20"]);
    }

    #[test]
    fn quoting() {
        check_text("conv1", "conv1");
        check_text("a/b-c.onnx", "a/b-c.onnx");
        check_text("no", "\"no\"");
        check_text("Null", "\"Null\"");
        check_text("1e3", "\"1e3\"");
        check_text("", "\"\"");
        check_text("17e9", "\"17e9\"");
        check_text("0x1a", "\"0x1a\"");
        check_text("17ea", "17ea");
        check_text("a: b", "\"a: b\"");
        check_text("a\"b\\", "\"a\\\"b\\\\\"");
        check_text("ü", "\"\\U000000FC\"");
    }
}
