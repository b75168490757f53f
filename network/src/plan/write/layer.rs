//! The lines of the layers, in aligned columns.

use super::{map, text, word};
use crate::average::Counted;
use crate::coding::{Transform, WeightFormat};
use crate::diagnostic::At;
use crate::graph::{HardwareRequest, Layer, NetworkParts, TensorId, WindowForm};
use crate::op::{Op, Rearrangement, Weights};
use crate::plan::read_hardware::{FORMS, KINDS, MEMORIES, MULTIPLIERS, REQUANTIZE_UNITS};
use crate::plan::read_layer::GIVES;
use crate::plan::read_weight::TRANSFORMS;
use crate::shape::{Shape, Window};

/// Cells longer than this do not make their column wider.
const MAX_COLUMN: usize = 72;

/// One line for each layer.
pub(super) fn lines(parts: &NetworkParts) -> String {
    let rows: Vec<[String; 5]> =
        parts.layers.iter().enumerate().map(|(index, layer)| columns(parts, index, layer)).collect();
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            let length = cell.chars().count();
            *width = length.min(MAX_COLUMN).max(*width);
        }
    }
    rows.iter().map(|row| format!("  - {{ {} }}\n", join(row, &widths))).collect()
}

/// Cells with a comma behind all but the last, padded to their columns.
fn join(row: &[String; 5], widths: &[usize; 5]) -> String {
    let last = row.iter().rposition(|cell| !cell.is_empty()).unwrap_or(0);
    let mut line = String::new();
    for (index, (cell, width)) in row.iter().zip(widths).enumerate().take(last + 1) {
        if *width == 0 {
            continue;
        }
        let comma = if cell.is_empty() || index == last { "" } else { "," };
        let cell = format!("{cell}{comma}");
        line.push_str(&cell);
        if index != last {
            let pad = (width + 2).saturating_sub(cell.chars().count()).max(1);
            line.extend(std::iter::repeat_n(' ', pad));
        }
    }
    line
}

/// The name by which layers and outputs of a plan call a tensor.
pub(super) fn source(parts: &NetworkParts, id: TensorId) -> String {
    match (id.0.checked_sub(parts.inputs.len()), &parts.inputs[..]) {
        (Some(index), _) => parts.layers.get(index).map_or(String::new(), |layer| text(&layer.name)),
        (None, [_]) => "input".to_owned(),
        (None, inputs) => inputs.get(id.0).map_or(String::new(), |input| text(&input.name)),
    }
}

/// Name, operator, shape, formats, hardware.
fn columns(parts: &NetworkParts, index: usize, layer: &Layer) -> [String; 5] {
    let mut shape = Vec::new();
    let source = |id: &TensorId| source(parts, *id);
    // The layer before is read where nothing else is said; several inputs have no such order.
    let before = TensorId(parts.inputs.len() + index).0.checked_sub(1).filter(|_| index > 0 || parts.inputs.len() == 1);
    if *layer.op.inputs().end() > 1 {
        let sources: Vec<String> = layer.inputs.iter().map(source).collect();
        shape.push(("inputs", format!("[{}]", sources.join(", "))));
    } else if Some(layer.input().0) != before {
        shape.push(("input", source(&layer.input())));
    }
    match &layer.op {
        Op::Dense { weights } => shape.push(("outputs", weights.outputs.to_string())),
        Op::Conv2d { weights, window, padding_value, groups } => {
            shape.push(("outputs", weights.outputs.to_string()));
            window_fields(&mut shape, window, [1, 1]);
            if *padding_value != 0 {
                shape.push(("padding_value", padding_value.to_string()));
            }
            if *groups != 1 {
                shape.push(("groups", groups.to_string()));
            }
        }
        Op::SumPool { window, padding_value, counted } => {
            window_fields(&mut shape, window, window.kernel);
            if *padding_value != 0 {
                shape.push(("padding_value", padding_value.to_string()));
            }
            if let Some(Counted { before: [top, left], after: [bottom, right] }) = counted {
                shape.push(("counted_padding", format!("[{top}, {left}, {bottom}, {right}]")));
            }
        }
        Op::TopK { count, gives, .. } => {
            shape.push(("count", count.to_string()));
            shape.push(("gives", word(GIVES, *gives)));
        }
        Op::Rearrange(Rearrangement { shape: Shape { rows, columns, channels }, start, loops }) => {
            shape.push(("shape", format!("[{rows}, {columns}, {channels}]")));
            if *start != 0 {
                shape.push(("start", start.to_string()));
            }
            let loops: Vec<String> = loops.iter().map(|l| format!("[{}, {}]", l.count, l.stride)).collect();
            shape.push(("loops", format!("[{}]", loops.join(", "))));
        }
        Op::MaxPool { window } => window_fields(&mut shape, window, window.kernel),
        Op::Identity | Op::Add { .. } | Op::Multiply | Op::Concat | Op::Argmax { .. } => {}
    }
    let mut formats = Vec::new();
    if let Some(weights) = layer.op.weights() {
        formats.push(("weight", weight(weights)));
    }
    if let Some(requantization) = &layer.requantization {
        formats.push(("output", requantization.output.to_string()));
        let codes = requantization.codes;
        if codes != requantization.output.code_range() {
            formats.push(("codes", format!("[{}, {}]", codes.min(), codes.max())));
        }
    }
    if !layer.modes.is_empty() {
        let planes = layer.modes.iter().map(|mode| format!("[{}, {}]", mode.planes.weight, mode.planes.activation));
        formats.push(("modes", format!("[{}]", planes.collect::<Vec<_>>().join(", "))));
    }
    let hardware = hardware_fields(&layer.hardware);
    let hardware = if hardware.is_empty() { String::new() } else { format!("hw: {}", map(&hardware)) };
    [format!("name: {}", text(&layer.name)), format!("op: {}", layer.op.name()), bare(&shape), bare(&formats), hardware]
}

/// The format of weights as a word or a map; what is as by default is left out.
fn weight(weights: &Weights) -> String {
    let list = |numbers: &[i64]| {
        let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
        format!("[{}]", texts.join(", "))
    };
    let wide = |widths: &[u32]| list(&widths.iter().map(|&width| i64::from(width)).collect::<Vec<_>>());
    match weights.weight_format() {
        WeightFormat::Plain(format) => format.to_string(),
        WeightFormat::Piecewise(regions) => {
            let mut fields = vec![("piecewise", wide(regions.widths()))];
            if regions.multipliers().iter().any(|&multiplier| multiplier != 1) {
                fields.push(("multipliers", list(regions.multipliers())));
            }
            if regions.offsets().iter().any(|&offset| offset != 0) {
                fields.push(("offsets", list(regions.offsets())));
            }
            if regions.group() != 1 {
                fields.push(("group", regions.group().to_string()));
            }
            map(&fields)
        }
        WeightFormat::Wavelet(wavelet) => {
            let mut fields = vec![("wavelet", wide(&wavelet.widths()))];
            if wavelet.multipliers() != [1; 4] {
                fields.push(("multipliers", list(&wavelet.multipliers())));
            }
            if wavelet.transform() != Transform::Haar {
                fields.push(("transform", word(TRANSFORMS, wavelet.transform())));
            }
            map(&fields)
        }
    }
}

fn bare(fields: &[(&str, String)]) -> String {
    let entries: Vec<String> = fields.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    entries.join(", ")
}

fn window_fields(fields: &mut Vec<(&'static str, String)>, window: &Window, default_stride: [u64; 2]) {
    let pair = |[rows, columns]: [u64; 2]| format!("[{rows}, {columns}]");
    fields.push(("kernel", pair(window.kernel)));
    if window.stride != default_stride {
        fields.push(("stride", pair(window.stride)));
    }
    if window.dilation != [1, 1] {
        fields.push(("dilation", pair(window.dilation)));
    }
    if window.is_padded() {
        let ([top, left], [bottom, right]) = (window.padding_before, window.padding_after);
        fields.push(("padding", format!("[{top}, {left}, {bottom}, {right}]")));
    }
}

fn hardware_fields(hardware: &HardwareRequest) -> Vec<(&'static str, String)> {
    fn choice<T: PartialEq + Copy>(
        key: &'static str,
        words: &[(&str, T)],
        wish: &Option<At<T>>,
    ) -> Option<(&'static str, String)> {
        wish.as_ref().map(|at| (key, word(words, at.value)))
    }
    let count = |key: &'static str, wish: &Option<At<u64>>| wish.as_ref().map(|at| (key, at.value.to_string()));
    let fields = [
        choice("kind", KINDS, &hardware.kind),
        choice("form", FORMS, &hardware.form),
        choice("multiplier", MULTIPLIERS, &hardware.multiplier),
        count("pe", &hardware.pe),
        count("simd", &hardware.simd),
        choice("memory", MEMORIES, &hardware.memory),
        choice("requantize", REQUANTIZE_UNITS, &hardware.requantize),
        hardware.window.as_ref().map(|at| ("window", window_form(at.value))),
        hardware.fifo.as_ref().map(|at| {
            let depths: Vec<String> = at.value.iter().map(u64::to_string).collect();
            ("fifo", format!("[{}]", depths.join(", ")))
        }),
    ];
    fields.into_iter().flatten().collect()
}

fn window_form(form: WindowForm) -> String {
    match form {
        WindowForm::Serial(lanes) => lanes.to_string(),
        WindowForm::Parallel => "parallel".to_owned(),
    }
}
