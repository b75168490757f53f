//! One layer of the document.

use super::fields::{Fields, Reader};
use super::node::{Content, Node};
use super::{CodesPlan, LayerPlan, OpPlan, read};
use crate::diagnostic::{At, Code};
use crate::graph::{HardwareRequest, Memory, Multiplier, PeKind, RequantizeUnit};
use crate::shape::Window;

/// Most output channels of a layer.
const MAX_OUTPUTS: i64 = 1 << 20;
/// Longest side of a kernel, a stride, a dilation or a padding.
const MAX_WINDOW: i64 = 4096;
/// Largest folding.
const MAX_FOLDING: i64 = 1 << 24;

/// Keys that every layer may have.
const COMMON: &[&str] = &["name", "op", "input", "hw"];

/// Words for PE kinds.
pub(super) const KINDS: &[(&str, PeKind)] = &[("mac", PeKind::Mac), ("xnor", PeKind::Xnor)];
/// Words for multipliers.
pub(super) const MULTIPLIERS: &[(&str, Multiplier)] = &[("lut", Multiplier::Lut), ("dsp", Multiplier::Dsp)];
/// Words for memories.
pub(super) const MEMORIES: &[(&str, Memory)] = &[("lut", Memory::Lut), ("block", Memory::Block)];
/// Words for requantization units.
pub(super) const REQUANTIZE_UNITS: &[(&str, RequantizeUnit)] =
    &[("thresholds", RequantizeUnit::Thresholds), ("rescale", RequantizeUnit::Rescale)];

/// The operators in the order of the reference page.
#[derive(Clone, Copy, PartialEq)]
enum Word {
    Dense,
    Conv2d,
    MaxPool,
    Requantize,
    Argmax,
}

const OPS: &[(&str, Word)] = &[
    ("dense", Word::Dense),
    ("conv2d", Word::Conv2d),
    ("max_pool", Word::MaxPool),
    ("requantize", Word::Requantize),
    ("argmax", Word::Argmax),
];

impl Word {
    /// Keys of this operator beside the common ones.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Word::Dense => &["outputs", "weight", "output", "codes"],
            Word::Conv2d => {
                &["outputs", "kernel", "stride", "dilation", "padding", "padding_value", "weight", "output", "codes"]
            }
            Word::MaxPool => &["kernel", "stride", "dilation", "padding"],
            Word::Requantize => &["output", "codes"],
            Word::Argmax => &[],
        }
    }

    /// Keys of `hw` that have a meaning for this operator.
    fn hardware_keys(self) -> &'static [&'static str] {
        match self {
            Word::Dense | Word::Conv2d => &["kind", "multiplier", "pe", "simd", "memory", "requantize"],
            Word::MaxPool | Word::Argmax => &["pe", "simd"],
            Word::Requantize => &["pe", "simd", "requantize"],
        }
    }
}

/// Reads the layer at `index`; `names` are the names of the layers before it, and takes this one's.
pub(super) fn layer(
    reader: &mut Reader<'_>,
    node: &Node,
    index: usize,
    names: &mut Vec<Option<String>>,
) -> Option<LayerPlan> {
    let mut known: Vec<&str> = COMMON.to_vec();
    for (_, word) in OPS {
        known.extend(word.keys().iter().filter(|key| !COMMON.contains(key)));
    }
    known.sort_unstable();
    known.dedup();
    reader.layer = peek_name(node);
    let what = reader.layer.as_ref().map_or_else(|| format!("layer {}", index + 1), |name| format!("layer {name}"));
    let fields = reader.fields(node, what, &known);
    let Some(fields) = fields else {
        names.push(None);
        return None;
    };
    let name = layer_name(reader, &fields, names);
    let input = layer_input(reader, &fields, names);
    let written = fields.get("name").map(|node| &node.content);
    names.push(if let Some(Content::Text(text)) = written { Some(text.clone()) } else { None });
    reader.required(&fields, "op", "conv2d");
    let word = reader.word(&fields, "op", OPS)?.value;
    check_keys(reader, &fields, word, &known);
    let output = layer_output(reader, &fields, word);
    let hardware = hardware(reader, &fields, word);
    let op = operator(reader, &fields, word);
    Some(LayerPlan { name: name?, place: reader.place(node.at), input: input?, op: op?, output: output?, hardware })
}

/// The name of a layer before it is checked, for the places of its faults.
fn peek_name(node: &Node) -> Option<String> {
    let Content::Map(pairs) = &node.content else { return None };
    let (_, value) = pairs.iter().find(|(key, _)| key.content == Content::Text("name".to_owned()))?;
    match &value.content {
        Content::Text(text) if super::fields::check_name(text, &[]).is_ok() => Some(text.clone()),
        _ => None,
    }
}

fn layer_name(reader: &mut Reader<'_>, fields: &Fields<'_>, names: &[Option<String>]) -> Option<String> {
    reader.required(fields, "name", "conv1");
    let At { value: name, place } = reader.name(fields, "name", &[])?;
    if RESERVED_NAMES.contains(&name.as_str()) {
        reader.fault_at(
            Code::PlanValue,
            place,
            format!("a layer cannot be named `{name}`"),
            "`input` and `output` are the network's ends",
        );
        return None;
    }
    if names.iter().flatten().any(|earlier| *earlier == name) {
        reader.fault_at(
            Code::PlanDuplicateLayer,
            place,
            format!("two layers are named `{name}`"),
            "give every layer its own name",
        );
    }
    Some(name)
}

/// Names that no layer may have.
pub(super) const RESERVED_NAMES: &[&str] = &["input", "output"];

fn layer_input(reader: &mut Reader<'_>, fields: &Fields<'_>, names: &[Option<String>]) -> Option<usize> {
    if !fields.has("input") {
        return Some(names.len());
    }
    let At { value: name, place } = reader.text(fields, "input")?;
    if name == "input" {
        return Some(0);
    }
    let found = names.iter().position(|earlier| earlier.as_deref() == Some(name.as_str()));
    if found.is_none() {
        let message = format!("{} reads `{name}`, which is no earlier layer", fields.what);
        reader.fault_at(Code::PlanReference, place, message, "name an earlier layer, or `input`");
    }
    found.map(|index| index + 1)
}

/// Faults for keys that belong to other operators.
fn check_keys(reader: &mut Reader<'_>, fields: &Fields<'_>, word: Word, known: &[&str]) {
    let own = word.keys();
    for key in known.iter().filter(|key| !COMMON.contains(key) && !own.contains(key)) {
        if let Some(node) = fields.get(key) {
            let message = format!("`{key}` of {} has no meaning for its operator", fields.what);
            let keys = if own.is_empty() { "no keys of its own".to_owned() } else { own.join(", ") };
            reader.fault(Code::PlanConflict, node.at, message, format!("leave it out; this operator has {keys}"));
        }
    }
}

fn layer_output(reader: &mut Reader<'_>, fields: &Fields<'_>, word: Word) -> Option<Option<CodesPlan>> {
    if !word.keys().contains(&"output") {
        return Some(None);
    }
    if word == Word::Requantize {
        reader.required(fields, "output", "u4");
    }
    if !fields.has("output") {
        if let Some(node) = fields.get("codes") {
            reader.fault(
                Code::PlanConflict,
                node.at,
                format!("`codes` of {} has no meaning without `output`", fields.what),
                "add an `output` format, or leave it out",
            );
        }
        return Some(None);
    }
    let format = reader.format(fields, "output")?.value;
    Some(Some(CodesPlan { format, range: read::codes(reader, fields, format) }))
}

fn operator(reader: &mut Reader<'_>, fields: &Fields<'_>, word: Word) -> Option<OpPlan> {
    match word {
        Word::Dense => {
            let (outputs, weight) = matrix(reader, fields);
            Some(OpPlan::Dense { outputs: outputs?, weight: weight? })
        }
        Word::Conv2d => {
            let (outputs, weight) = matrix(reader, fields);
            let window = window(reader, fields, |_| [1, 1]);
            let limit = 1 << 16;
            let padding_value = if fields.has("padding_value") {
                reader.signed(fields, "padding_value", -limit..=limit).map(|at| at.value)
            } else {
                Some(0)
            };
            Some(OpPlan::Conv2d { outputs: outputs?, weight: weight?, window: window?, padding_value: padding_value? })
        }
        Word::MaxPool => Some(OpPlan::MaxPool { window: window(reader, fields, |kernel| kernel)? }),
        Word::Requantize => Some(OpPlan::Requantize),
        Word::Argmax => Some(OpPlan::Argmax),
    }
}

fn matrix(reader: &mut Reader<'_>, fields: &Fields<'_>) -> (Option<At<u64>>, Option<crate::Format>) {
    reader.required(fields, "outputs", "32");
    reader.required(fields, "weight", "s4");
    (reader.count(fields, "outputs", 1..=MAX_OUTPUTS), reader.format(fields, "weight").map(|at| at.value))
}

fn window(reader: &mut Reader<'_>, fields: &Fields<'_>, default_stride: fn([u64; 2]) -> [u64; 2]) -> Option<Window> {
    reader.required(fields, "kernel", "[3, 3]");
    let mut pair = |key: &str| {
        let numbers = reader.numbers(fields, key, &[2], "[rows, columns]", 1..=MAX_WINDOW)?;
        two(&numbers.value, 0)
    };
    let kernel = pair("kernel");
    let stride = if fields.has("stride") { pair("stride") } else { kernel.map(default_stride) };
    let dilation = if fields.has("dilation") { pair("dilation") } else { Some([1, 1]) };
    let padding = if fields.has("padding") {
        reader.numbers(fields, "padding", &[4], "[top, left, bottom, right]", 0..=MAX_WINDOW).map(|at| at.value)
    } else {
        Some(vec![0; 4])
    };
    let padding = padding?;
    Some(Window {
        kernel: kernel?,
        stride: stride?,
        dilation: dilation?,
        padding_before: two(&padding, 0)?,
        padding_after: two(&padding, 2)?,
    })
}

fn two(values: &[i64], from: usize) -> Option<[u64; 2]> {
    let at = |index| values.get(index).and_then(|&value| u64::try_from(value).ok());
    Some([at(from)?, at(from + 1)?])
}

fn hardware(reader: &mut Reader<'_>, fields: &Fields<'_>, word: Word) -> HardwareRequest {
    let keys = &["kind", "multiplier", "pe", "simd", "memory", "requantize"];
    let what = format!("`hw` of {}", fields.what);
    let Some(hw) = fields.get("hw").and_then(|node| reader.fields(node, what, keys)) else {
        return HardwareRequest::default();
    };
    for key in keys {
        let Some(node) = hw.get(key) else { continue };
        let requantizes = *key != "requantize" || fields.has("output");
        if !word.hardware_keys().contains(key) || !requantizes {
            reader.fault(
                Code::PlanConflict,
                node.at,
                format!("`{key}` of {} has no meaning for this layer", hw.what),
                "leave it out",
            );
        }
    }
    HardwareRequest {
        kind: reader.word(&hw, "kind", KINDS),
        pe: reader.count(&hw, "pe", 1..=MAX_FOLDING),
        simd: reader.count(&hw, "simd", 1..=MAX_FOLDING),
        multiplier: reader.word(&hw, "multiplier", MULTIPLIERS),
        memory: reader.word(&hw, "memory", MEMORIES),
        requantize: reader.word(&hw, "requantize", REQUANTIZE_UNITS),
    }
}
