//! The document's parts outside the layers.

use super::fields::{Fields, Reader};
use super::node::{self, Content, Node};
use super::{Budget, Constants, InputPlan, LayerPlan, OutputPlan, PLAN_VERSION, Plan, Provenance, Target, read_layer};
use crate::diagnostic::{At, Code, Diagnostics, Place};
use crate::format::Format;
use crate::graph::{HostStep, InputQuantizer};
use crate::range::Range;
use crate::rounding::Rounding;
use crate::shape::{AxisOrder, MAX_ELEMENTS, Shape};

const KEYS: &[&str] =
    &["hwgen", "name", "model", "arrays", "random", "target", "input", "inputs", "layers", "output", "outputs"];

/// Most layers of a plan.
const MAX_LAYERS: usize = 4096;

/// Words for axis orders.
pub(super) const AXES: &[(&str, AxisOrder)] = &[("chw", AxisOrder::ChannelsFirst), ("hwc", AxisOrder::ChannelsLast)];

/// Whether the input is rounded before its zero point is added.
pub(super) const ZERO_POINT_ORDERS: &[(&str, bool)] = &[("before_rounding", false), ("after_rounding", true)];

/// Whether weights from a seed are extremes.
const RANDOM_WEIGHTS: &[(&str, bool)] = &[("any", false), ("extreme", true)];

/// Words for rounding modes.
pub(super) const ROUNDINGS: &[(&str, Rounding)] = &[
    ("half_even", Rounding::HalfEven),
    ("half_up", Rounding::HalfUp),
    ("half_down", Rounding::HalfDown),
    ("ceil", Rounding::Ceil),
    ("floor", Rounding::Floor),
    ("up", Rounding::Up),
    ("down", Rounding::Down),
];

/// Words for steps on the host.
pub(super) const HOST_STEPS: &[(&str, HostStep)] = &[
    ("none", HostStep::None),
    ("relu", HostStep::Relu),
    ("sigmoid", HostStep::Sigmoid),
    ("softmax", HostStep::Softmax),
];

/// Characters that plan names may have beside letters, digits and `_`.
pub(super) const PLAN_NAME_EXTRA: &[char] = &['-', '.'];

/// Reads a whole plan.
pub(super) fn plan(text: &str, file: &str) -> Result<Plan, Diagnostics> {
    let tree = node::parse(text, file)?;
    let mut reader = Reader { file, layer: None, faults: Diagnostics::default() };
    if matches!(tree.content, Content::Null) {
        reader.fault(Code::PlanMissingKey, (1, 1), "the plan is empty", "start with `hwgen: 1`");
        return Err(reader.faults);
    }
    check_version(&mut reader, &tree)?;
    let plan = document(&mut reader, &tree);
    match (reader.faults.or(())?, plan) {
        ((), Some(plan)) => Ok(plan),
        ((), None) => Err(crate::diagnostic::Diagnostic::new(
            Code::PlanValue,
            Place::file(file),
            "the plan cannot be read",
            "compare it with the reference page",
        )
        .into()),
    }
}

/// Stops at a document of another version before its other keys are judged.
fn check_version(reader: &mut Reader<'_>, tree: &node::Node) -> Result<(), Diagnostics> {
    let Content::Map(pairs) = &tree.content else { return Ok(()) };
    let version = pairs.iter().find(|(key, _)| key.content == Content::Text("hwgen".to_owned()));
    match version.map(|(_, value)| value) {
        Some(value) if value.content != Content::Integer(i128::from(PLAN_VERSION)) => {
            let message = match &value.content {
                Content::Integer(number) => {
                    format!("the plan is of version {number}; this hwgen reads version {PLAN_VERSION}")
                }
                other => format!("`hwgen` of the plan must be the version {PLAN_VERSION}, not {}", other.kind()),
            };
            reader.fault(
                Code::PlanVersion,
                value.at,
                message,
                format!("write `hwgen: {PLAN_VERSION}`, or use another version of hwgen"),
            );
            Err(std::mem::take(&mut reader.faults))
        }
        _ => Ok(()),
    }
}

fn document(reader: &mut Reader<'_>, tree: &node::Node) -> Option<Plan> {
    let fields = reader.fields(tree, "the plan", KEYS)?;
    reader.required(&fields, "hwgen", &PLAN_VERSION.to_string());
    reader.required(&fields, "name", "my-network");
    let name = reader.name(&fields, "name", PLAN_NAME_EXTRA);
    let model = fields.get("model").map(|_| provenance(reader, &fields));
    let constants = constants(reader, &fields);
    let target = target(reader, &fields);
    let inputs = inputs(reader, &fields);
    let ends = inputs.as_deref().unwrap_or(&[]);
    let layers = layers(reader, &fields, ends);
    let outputs = outputs(reader, &fields, (ends, layers.as_deref().unwrap_or(&[])), tree.at);
    Some(Plan {
        file: reader.file.to_owned(),
        name: name?.value,
        model: model.flatten(),
        constants: constants?,
        target,
        inputs: inputs?,
        layers: layers?,
        outputs: outputs?,
    })
}

fn provenance(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Provenance> {
    let model = reader.fields(fields.get("model")?, "`model`", &["file", "sha256"])?;
    reader.required(&model, "file", "network.onnx");
    let sha256 = reader.sha256(&model, "sha256");
    Some(Provenance { file: reader.text(&model, "file")?.value, sha256: sha256.map(|at| at.value) })
}

fn constants(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Constants> {
    match (fields.get("arrays"), fields.get("random")) {
        (Some(node), None) => {
            let arrays = reader.fields(node, "`arrays`", &["file", "sha256"])?;
            reader.required(&arrays, "file", "network.arrays.safetensors");
            reader.required(&arrays, "sha256", "…");
            let (file, sha256) = (reader.text(&arrays, "file"), reader.sha256(&arrays, "sha256"));
            Some(Constants::Arrays { file: file?, sha256: sha256? })
        }
        (None, Some(node)) => {
            let random = reader.fields(node, "`random`", &["seed", "weights"])?;
            reader.required(&random, "seed", "1");
            let extreme = reader.word(&random, "weights", RANDOM_WEIGHTS).is_some_and(|at| at.value);
            Some(Constants::Random { seed: reader.count(&random, "seed", 0..=i64::MAX)?, extreme })
        }
        (Some(_), Some(node)) => {
            reader.fault(Code::PlanConflict, node.at, "the plan has both `arrays` and `random`", "keep one of the two");
            None
        }
        (None, None) => {
            reader.required(fields, "arrays", "{ file: …, sha256: … }` for trained weights, or `random: { seed: 1 }");
            None
        }
    }
}

fn target(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Target {
    let target = fields
        .get("target")
        .and_then(|node| reader.fields(node, "`target`", &["device", "clock_mhz", "fps", "budget"]));
    let Some(target) = target else { return Target::default() };
    let budget = target.get("budget").and_then(|node| reader.fields(node, "`budget`", &["lut", "ff", "dsp", "bram36"]));
    let budget = budget.map_or_else(Budget::default, |budget| {
        let mut limit = |key| reader.count(&budget, key, 0..=1 << 40);
        Budget { lut: limit("lut"), ff: limit("ff"), dsp: limit("dsp"), bram36: limit("bram36") }
    });
    Target {
        device: reader.text(&target, "device"),
        clock_mhz: reader.real(&target, "clock_mhz", true),
        fps: reader.real(&target, "fps", true),
        budget,
    }
}

/// Most inputs of a network.
const MAX_INPUTS: usize = 64;

/// `input`, or the list `inputs`.
fn inputs(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Vec<InputPlan>> {
    let Some(list) = fields.get("inputs") else {
        let node = reader.required(fields, "input", "{ shape: [28, 28, 1], format: u8 }")?;
        return Some(vec![input(reader, node, "`input`")?]);
    };
    if let Some(node) = fields.get("input") {
        let message = "`input` has no meaning beside `inputs`";
        reader.fault(Code::PlanConflict, node.at, message, "describe every input in the list");
    }
    let Content::List(items) = &list.content else {
        reader.fault(Code::PlanValue, list.at, "`inputs` of the plan is no list", "write a list of maps");
        return None;
    };
    if items.is_empty() || items.len() > MAX_INPUTS {
        let message = format!("`inputs` of the plan has {} entries", items.len());
        reader.fault(Code::PlanValue, list.at, message, format!("write 1 to {MAX_INPUTS} inputs"));
        return None;
    }
    let mut inputs: Vec<Option<InputPlan>> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let made = input(reader, item, &format!("input {}", index + 1));
        let name = made.as_ref().map(|input| &input.name);
        if let Some(name) = name.filter(|name| inputs.iter().flatten().any(|input| input.name == **name)) {
            let message = format!("two inputs are named `{name}`");
            reader.fault(Code::PlanDuplicateLayer, item.at, message, "give every input its own `name`");
        }
        inputs.push(made);
    }
    inputs.into_iter().collect()
}

fn input(reader: &mut Reader<'_>, node: &node::Node, what: &str) -> Option<InputPlan> {
    const KEYS: &[&str] =
        &["name", "shape", "format", "axes", "scale", "zero_point", "rounding", "zero_point_order", "codes"];
    let fields = reader.fields(node, what, KEYS)?;
    reader.required(&fields, "shape", "[28, 28, 1]");
    reader.required(&fields, "format", "u8");
    let name = if fields.has("name") { reader.text(&fields, "name")?.value } else { "input".to_owned() };
    let shape = shape(reader, &fields);
    let format = reader.format(&fields, "format");
    let axes = reader.word(&fields, "axes", AXES);
    let quantizer = quantizer(reader, &fields, format.as_ref().map(|at| at.value));
    Some(InputPlan {
        name,
        shape: shape?,
        format: format?.value,
        axes: axes.map_or(AxisOrder::default(), |at| at.value),
        quantizer,
        place: reader.place(node.at),
    })
}

fn shape(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Shape> {
    let form = "[rows, columns, channels] or [elements]";
    let sides = reader.numbers(fields, "shape", &[1, 3], form, 1..=MAX_ELEMENTS as i64)?;
    let counts: Vec<u64> = sides.value.iter().filter_map(|&side| u64::try_from(side).ok()).collect();
    let shape = match counts[..] {
        [channels] => Shape::new(1, 1, channels),
        [rows, columns, channels] => Shape::new(rows, columns, channels),
        _ => None,
    };
    if shape.is_none() {
        let message = format!("`shape` of {} has more than {MAX_ELEMENTS} elements", fields.what);
        reader.fault_at(Code::PlanRange, sides.place, message, "make it smaller");
    }
    shape
}

fn quantizer(reader: &mut Reader<'_>, fields: &Fields<'_>, format: Option<Format>) -> Option<InputQuantizer> {
    if !fields.has("scale") {
        for key in ["zero_point", "rounding", "zero_point_order", "codes"] {
            if let Some(node) = fields.get(key) {
                reader.fault(
                    Code::PlanConflict,
                    node.at,
                    format!("`{key}` of {} has no meaning without `scale`", fields.what),
                    "add a `scale`, or leave it out",
                );
            }
        }
    }
    let scale = single(reader, fields, "scale", true);
    let zero_point = if fields.has("zero_point") { single(reader, fields, "zero_point", false) } else { Some(0.0) };
    let rounding = reader.word(fields, "rounding", ROUNDINGS);
    let order = reader.word(fields, "zero_point_order", ZERO_POINT_ORDERS);
    let codes = codes(reader, fields, format?);
    fields.get("scale")?;
    Some(InputQuantizer {
        scale: scale?,
        zero_point: zero_point?,
        rounding: rounding.map_or(Rounding::default(), |at| at.value),
        code_min: codes.min(),
        code_max: codes.max(),
        rounds_first: order.is_some_and(|at| at.value),
    })
}

/// A number in single precision; positive where asked.
fn single(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str, positive: bool) -> Option<f32> {
    let number = reader.real(fields, key, positive)?;
    let value = number.value as f32;
    if value.is_finite() && (!positive || value > 0.0) {
        return Some(value);
    }
    let message = format!("`{key}` of {} is {:e}, which single precision does not hold", fields.what, number.value);
    reader.fault_at(Code::PlanRange, number.place, message, "write a number between about 1e-38 and 3e38");
    None
}

/// The `codes` of a map whose codes have the format `format`; all codes where the key is absent or wrong.
pub(super) fn codes(reader: &mut Reader<'_>, fields: &Fields<'_>, format: Format) -> Range {
    let all = format.code_range();
    let Some(ends) = reader.numbers(fields, "codes", &[2], "[least, greatest]", i64::MIN..=i64::MAX) else {
        return all;
    };
    match ends.value[..] {
        [least, greatest] if least <= greatest && all.contains(least) && all.contains(greatest) => {
            Range::new(least, greatest)
        }
        _ => {
            let message = format!("`codes` of {} are {:?}, no range inside {all} ({format})", fields.what, ends.value);
            reader.fault_at(
                Code::PlanRange,
                ends.place,
                message,
                format!("write [least, greatest] inside [{}, {}]", all.min(), all.max()),
            );
            all
        }
    }
}

fn layers(reader: &mut Reader<'_>, fields: &Fields<'_>, ends: &[InputPlan]) -> Option<Vec<LayerPlan>> {
    let node = reader.required(fields, "layers", "")?;
    let items = match &node.content {
        Content::List(items) if items.len() > MAX_LAYERS => {
            let message = format!("the plan has {} layers, more than {MAX_LAYERS}", items.len());
            reader.fault(Code::PlanRange, node.at, message, "split the network");
            return None;
        }
        Content::List(items) if !items.is_empty() => items,
        other => {
            let message = match other {
                Content::List(_) => "the plan has no layers".to_owned(),
                other => format!("`layers` must be a list, not {}", other.kind()),
            };
            reader.fault(Code::PlanValue, node.at, message, "write one line `- { name: …, op: … }` for each layer");
            return None;
        }
    };
    let mut names = Vec::with_capacity(items.len());
    let mut layers = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        layers.push(read_layer::layer(reader, item, index, ends, &mut names));
        reader.layer = None;
    }
    layers.into_iter().collect()
}

/// Most outputs of a network.
const MAX_OUTPUTS: usize = 64;

/// `output`, or the list `outputs`; without either the last layer leaves.
fn outputs(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    known: (&[InputPlan], &[LayerPlan]),
    at: (u64, u64),
) -> Option<Vec<OutputPlan>> {
    let Some(list) = fields.get("outputs") else {
        return Some(vec![output(reader, fields.get("output"), "`output`", "output".to_owned(), known, at)?]);
    };
    if let Some(node) = fields.get("output") {
        reader.fault(
            Code::PlanConflict,
            node.at,
            "`output` has no meaning beside `outputs`",
            "describe every output in the list",
        );
    }
    let Content::List(items) = &list.content else {
        reader.fault(Code::PlanValue, list.at, "`outputs` of the plan is no list", "write a list of maps");
        return None;
    };
    if items.is_empty() || items.len() > MAX_OUTPUTS {
        let message = format!("`outputs` of the plan has {} entries", items.len());
        reader.fault(Code::PlanValue, list.at, message, format!("write 1 to {MAX_OUTPUTS} outputs"));
        return None;
    }
    let read = |(index, item): (usize, &Node)| {
        let what = format!("output {}", index + 1);
        output(reader, Some(item), &what, format!("outputs.{index}"), known, item.at)
    };
    let outputs: Vec<Option<OutputPlan>> = items.iter().enumerate().map(read).collect();
    outputs.into_iter().collect()
}

fn output(
    reader: &mut Reader<'_>,
    node: Option<&Node>,
    what: &str,
    arrays: String,
    (ends, layers): (&[InputPlan], &[LayerPlan]),
    at: (u64, u64),
) -> Option<OutputPlan> {
    let keys = &["layer", "name", "axes", "host", "scale", "offset"];
    let map = node.and_then(|node| reader.fields(node, what, keys));
    let mut plan = OutputPlan {
        tensor: (ends.len() + layers.len()).saturating_sub(1),
        name: "output".to_owned(),
        axes: AxisOrder::default(),
        host: HostStep::default(),
        scale: None,
        offset: None,
        arrays,
        place: reader.place(node.map_or(at, |node| node.at)),
    };
    if let Some(map) = map {
        if let Some(At { value: name, place }) = reader.text(&map, "layer") {
            let found = layers.iter().position(|layer| layer.name == name);
            if found.is_none() && !layers.is_empty() {
                let message = format!("{what} is `{name}`, which is no layer");
                reader.fault_at(Code::PlanReference, place, message, "name a layer of the plan");
            }
            plan.tensor = ends.len() + found?;
        }
        if let Some(name) = reader.text(&map, "name") {
            plan.name = name.value;
        }
        plan.axes = reader.word(&map, "axes", AXES).map_or(plan.axes, |at| at.value);
        plan.host = reader.word(&map, "host", HOST_STEPS).map_or(plan.host, |at| at.value);
        plan.scale = reader.real(&map, "scale", false);
        plan.offset = reader.real(&map, "offset", false);
    }
    Some(plan)
}
