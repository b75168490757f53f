//! One layer of the document.

use super::fields::{Fields, Reader};
use super::node::{Content, Node};
use super::read_hardware::hardware;
use super::{CodesPlan, InputPlan, LayerPlan, OpPlan, read, read_weight};
use crate::average::Counted;
use crate::coding::WeightFormat;
use crate::diagnostic::{At, Code};
use crate::format::MAX_INTEGER_BITS;
use crate::modes::{MAX_MODES, Planes};
use crate::op::{Loop, MAX_LOOPS, MAX_TOP, Rearrangement, TopGives};
use crate::shape::{MAX_ELEMENTS, Shape, Window};

/// Most output channels of a layer.
const MAX_OUTPUTS: i64 = 1 << 20;
/// Longest side of a kernel, a stride, a dilation or a padding.
const MAX_WINDOW: i64 = 4096;

/// Keys that every layer may have.
const COMMON: &[&str] = &["name", "op", "input", "inputs", "hw"];

/// Words for what leaves of the greatest channels.
pub(super) const GIVES: &[(&str, TopGives)] = &[("values", TopGives::Values), ("indices", TopGives::Indices)];

/// The operators in the order of the reference page.
#[derive(Clone, Copy, PartialEq)]
enum Word {
    Dense,
    Conv2d,
    MaxPool,
    SumPool,
    Requantize,
    Add,
    Multiply,
    Concat,
    Rearrange,
    Argmax,
    TopK,
}

const OPS: &[(&str, Word)] = &[
    ("dense", Word::Dense),
    ("conv2d", Word::Conv2d),
    ("max_pool", Word::MaxPool),
    ("sum_pool", Word::SumPool),
    ("requantize", Word::Requantize),
    ("add", Word::Add),
    ("multiply", Word::Multiply),
    ("concat", Word::Concat),
    ("rearrange", Word::Rearrange),
    ("argmax", Word::Argmax),
    ("top_k", Word::TopK),
];

impl Word {
    /// Keys of this operator beside the common ones.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Word::Dense => &["outputs", "weight", "output", "codes", "modes"],
            Word::Conv2d => &[
                "outputs",
                "kernel",
                "stride",
                "dilation",
                "padding",
                "padding_value",
                "groups",
                "weight",
                "output",
                "codes",
                "modes",
            ],
            Word::SumPool => {
                &["kernel", "stride", "dilation", "padding", "padding_value", "counted_padding", "output", "codes"]
            }
            Word::MaxPool => &["kernel", "stride", "dilation", "padding"],
            Word::Requantize | Word::Add | Word::Multiply => &["output", "codes"],
            Word::Rearrange => &["shape", "start", "loops"],
            Word::TopK => &["count", "gives"],
            Word::Argmax | Word::Concat => &[],
        }
    }

    /// Keys of `hw` that have a meaning for this operator.
    fn hardware_keys(self) -> &'static [&'static str] {
        match self {
            Word::Dense => &["kind", "form", "multiplier", "pe", "simd", "memory", "requantize"],
            Word::Conv2d => &["kind", "form", "multiplier", "pe", "simd", "memory", "requantize", "window"],
            Word::MaxPool | Word::Argmax | Word::TopK | Word::Rearrange => &["pe", "simd"],
            Word::Concat => &["pe", "simd", "fifo"],
            Word::SumPool => &["pe", "simd", "requantize"],
            Word::Requantize => &["multiplier", "pe", "simd", "requantize"],
            Word::Add | Word::Multiply => &["multiplier", "pe", "simd", "requantize", "fifo"],
        }
    }

    /// Whether the operator reads several tensors.
    fn joins(self) -> bool {
        matches!(self, Word::Add | Word::Multiply | Word::Concat)
    }
}

/// Reads the layer at `index`; `names` are the names of the layers before it, and takes this one's.
pub(super) fn layer(
    reader: &mut Reader<'_>,
    node: &Node,
    index: usize,
    ends: &[InputPlan],
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
    let name = layer_name(reader, &fields, ends, names);
    let earlier = names.len();
    let written = fields.get("name").map(|node| &node.content);
    names.push(if let Some(Content::Text(text)) = written { Some(text.clone()) } else { None });
    reader.required(&fields, "op", "conv2d");
    let word = reader.word(&fields, "op", OPS)?.value;
    let inputs = layer_inputs(reader, &fields, word, (ends, &names[..earlier]));
    check_keys(reader, &fields, word, &known);
    let output = layer_output(reader, &fields, word);
    let modes = modes(reader, &fields);
    let hardware = hardware(reader, &fields, word.hardware_keys());
    let op = operator(reader, &fields, word);
    Some(LayerPlan {
        name: name?,
        place: reader.place(node.at),
        inputs: inputs?,
        op: op?,
        output: output?,
        modes: modes?,
        hardware,
    })
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

fn layer_name(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    ends: &[InputPlan],
    names: &[Option<String>],
) -> Option<String> {
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
    if ends.len() > 1 && end(ends, &name).is_some() {
        let message = format!("a layer and an input are named `{name}`");
        reader.fault_at(Code::PlanDuplicateLayer, place.clone(), message, "give every layer its own name");
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

/// What a layer reads: `inputs` where its operator joins several tensors, else `input` or the layer before.
fn layer_inputs(reader: &mut Reader<'_>, fields: &Fields<'_>, word: Word, known: Known<'_>) -> Option<Vec<usize>> {
    let (wanted, other) = if word.joins() { ("inputs", "input") } else { ("input", "inputs") };
    if let Some(node) = fields.get(other) {
        let message = format!("`{other}` of {} has no meaning for its operator", fields.what);
        reader.fault(Code::PlanConflict, node.at, message, format!("use `{wanted}`"));
        return None;
    }
    if !word.joins() {
        if !fields.has("input") {
            let (ends, names) = known;
            if names.is_empty() && ends.len() > 1 {
                reader.required(fields, "input", &ends.first().map_or(String::new(), |end| end.name.clone()));
                return None;
            }
            return (ends.len() + names.len()).checked_sub(1).map(|before| vec![before]);
        }
        let name = reader.text(fields, "input")?;
        return Some(vec![tensor(reader, fields, name, known)?]);
    }
    let node = reader.required(fields, "inputs", "[conv1, conv2]")?;
    let Content::List(items) = &node.content else {
        reader.fault(
            Code::PlanValue,
            node.at,
            format!("`inputs` of {} is no list", fields.what),
            "write [conv1, conv2]",
        );
        return None;
    };
    let mut inputs = Vec::with_capacity(items.len());
    for item in items {
        let Content::Text(name) = &item.content else {
            let message = format!("`inputs` of {} has an entry that is {}", fields.what, item.content.kind());
            reader.fault(Code::PlanValue, item.at, message, "name an earlier layer, or `input`");
            return None;
        };
        let name = At::new(name.clone(), reader.place(item.at));
        inputs.push(tensor(reader, fields, name, known)?);
    }
    Some(inputs)
}

/// The inputs, and the names of the layers so far.
type Known<'k> = (&'k [InputPlan], &'k [Option<String>]);

/// The tensor that a name stands for.
fn tensor(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    At { value: name, place }: At<String>,
    (ends, names): Known<'_>,
) -> Option<usize> {
    if let Some(end) = end(ends, &name) {
        return Some(end);
    }
    let found = names.iter().position(|earlier| earlier.as_deref() == Some(name.as_str()));
    if found.is_none() {
        let message = format!("{} reads `{name}`, which is no earlier layer", fields.what);
        let help = match ends {
            [_] | [] => "name an earlier layer, or `input`",
            _ => "name an earlier layer, or one of the inputs",
        };
        reader.fault_at(Code::PlanReference, place, message, help);
    }
    found.map(|index| ends.len() + index)
}

/// The input that a name stands for: `input` where there is one, else its own name.
pub(super) fn end(ends: &[InputPlan], name: &str) -> Option<usize> {
    match ends {
        [_] => (name == "input").then_some(0),
        ends => ends.iter().position(|end| end.name == name),
    }
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
            let padding_value = padding_value(reader, fields);
            let groups = if fields.has("groups") { reader.count(fields, "groups", 1..=MAX_OUTPUTS)?.value } else { 1 };
            Some(OpPlan::Conv2d {
                outputs: outputs?,
                weight: weight?,
                window: window?,
                padding_value: padding_value?,
                groups,
            })
        }
        Word::SumPool => {
            let window = window(reader, fields, |kernel| kernel);
            let counted = if fields.has("counted_padding") { Some(counted_padding(reader, fields)?) } else { None };
            Some(OpPlan::SumPool { padding_value: padding_value(reader, fields)?, window: window?, counted })
        }
        Word::Add => Some(OpPlan::Add),
        Word::Multiply => Some(OpPlan::Multiply),
        Word::Concat => Some(OpPlan::Concat),
        Word::Rearrange => Some(OpPlan::Rearrange(rearrangement(reader, fields)?)),
        Word::MaxPool => Some(OpPlan::MaxPool { window: window(reader, fields, |kernel| kernel)? }),
        Word::Requantize => Some(OpPlan::Requantize),
        Word::Argmax => Some(OpPlan::Argmax),
        Word::TopK => {
            reader.required(fields, "count", "5");
            reader.required(fields, "gives", "indices");
            let count = reader.count(fields, "count", 1..=MAX_TOP as i64);
            let gives = reader.word(fields, "gives", GIVES);
            Some(OpPlan::TopK { count: count?.value, gives: gives?.value })
        }
    }
}

/// Planes of weights and activations in each mode; none where the key is missing.
fn modes(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Vec<Planes>> {
    let Some(node) = fields.get("modes") else { return Some(Vec::new()) };
    let Content::List(items) = &node.content else {
        let message = format!("`modes` of {} is no list", fields.what);
        reader.fault(Code::PlanValue, node.at, message, "write [[8, 8], [4, 4]]");
        return None;
    };
    if items.is_empty() || items.len() > MAX_MODES {
        let message = format!("`modes` of {} has {} entries", fields.what, items.len());
        reader.fault(Code::PlanRange, node.at, message, format!("a network has 1 to {MAX_MODES} modes"));
        return None;
    }
    let mut modes = Vec::with_capacity(items.len());
    for item in items {
        let numbers: Vec<Option<u32>> = match &item.content {
            Content::List(pair) => pair.iter().map(|node| plane_count(&node.content)).collect(),
            _ => Vec::new(),
        };
        let &[Some(weight), Some(activation)] = numbers.as_slice() else {
            let message =
                format!("`modes` of {} has an entry that is no [weight planes, activation planes]", fields.what);
            reader.fault(Code::PlanValue, item.at, message, format!("write two numbers from 1 to {MAX_INTEGER_BITS}"));
            return None;
        };
        modes.push(Planes { weight, activation });
    }
    Some(modes)
}

fn plane_count(content: &Content) -> Option<u32> {
    let Content::Integer(value) = content else { return None };
    u32::try_from(*value).ok().filter(|planes| (1..=MAX_INTEGER_BITS).contains(planes))
}

fn padding_value(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<i64> {
    let limit = 1 << 16;
    if fields.has("padding_value") {
        reader.signed(fields, "padding_value", -limit..=limit).map(|at| at.value)
    } else {
        Some(0)
    }
}

fn counted_padding(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Counted> {
    let form = "[top, left, bottom, right]";
    let numbers = reader.numbers(fields, "counted_padding", &[4], form, 0..=MAX_WINDOW)?.value;
    Some(Counted { before: two(&numbers, 0)?, after: two(&numbers, 2)? })
}

fn rearrangement(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Rearrangement> {
    reader.required(fields, "shape", "[14, 14, 4]");
    let node = reader.required(fields, "loops", "[[14, 8], [4, 1]]")?;
    let most = MAX_ELEMENTS as i64;
    let shape = reader.numbers(fields, "shape", &[3], "[rows, columns, channels]", 1..=most);
    let start = if fields.has("start") { reader.count(fields, "start", 0..=most)?.value } else { 0 };
    let Content::List(items) = &node.content else {
        let message = format!("`loops` of {} is no list", fields.what);
        reader.fault(Code::PlanValue, node.at, message, "write [[count, stride], ...]");
        return None;
    };
    let mut loops = Vec::with_capacity(items.len().min(MAX_LOOPS));
    for item in items {
        let Content::List(pair) = &item.content else { return wrong_loop(reader, fields, item) };
        let number = |index: usize| match pair.get(index).map(|node| &node.content) {
            Some(Content::Integer(value)) => i64::try_from(*value).ok().filter(|value| value.abs() <= most),
            _ => None,
        };
        match (pair.len(), number(0).and_then(|count| u64::try_from(count).ok()), number(1)) {
            (2, Some(count), Some(stride)) if count > 0 => loops.push(Loop { count, stride }),
            _ => return wrong_loop(reader, fields, item),
        }
    }
    let &[rows, columns, channels] = shape?.value.as_slice() else { return None };
    let shape = Shape { rows: rows as u64, columns: columns as u64, channels: channels as u64 };
    Some(Rearrangement { shape, start, loops })
}

fn wrong_loop(reader: &mut Reader<'_>, fields: &Fields<'_>, item: &Node) -> Option<Rearrangement> {
    let message = format!("`loops` of {} has an entry that is no [count, stride]", fields.what);
    reader.fault(Code::PlanValue, item.at, message, "write two whole numbers; the count is at least 1");
    None
}

fn matrix(reader: &mut Reader<'_>, fields: &Fields<'_>) -> (Option<At<u64>>, Option<WeightFormat>) {
    reader.required(fields, "outputs", "32");
    reader.required(fields, "weight", "s4");
    (reader.count(fields, "outputs", 1..=MAX_OUTPUTS), read_weight::weight_format(reader, fields))
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
