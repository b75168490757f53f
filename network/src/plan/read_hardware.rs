//! The hardware that a layer asks for: `hw`.

use super::fields::{Fields, Reader};
use super::node::Content;
use crate::diagnostic::{At, Code};
use crate::graph::{HardwareRequest, Memory, Multiplier, PeForm, PeKind, RequantizeUnit, WindowForm};

/// Largest folding.
const MAX_FOLDING: i64 = 1 << 24;

/// Words for PE kinds.
pub(super) const KINDS: &[(&str, PeKind)] = &[
    ("mac", PeKind::Mac),
    ("xnor", PeKind::Xnor),
    ("depthwise", PeKind::Depthwise),
    ("piecewise", PeKind::Piecewise),
    ("wavelet", PeKind::Wavelet),
    ("serial", PeKind::Serial),
];
/// Words for what becomes of coded weights.
pub(super) const FORMS: &[(&str, PeForm)] =
    &[("decompress", PeForm::Decompress), ("accumulators", PeForm::Accumulators), ("products", PeForm::Products)];
/// Words for multipliers.
pub(super) const MULTIPLIERS: &[(&str, Multiplier)] = &[("lut", Multiplier::Lut), ("dsp", Multiplier::Dsp)];
/// Words for memories.
pub(super) const MEMORIES: &[(&str, Memory)] = &[("lut", Memory::Lut), ("block", Memory::Block)];
/// Words for requantization units.
pub(super) const REQUANTIZE_UNITS: &[(&str, RequantizeUnit)] =
    &[("thresholds", RequantizeUnit::Thresholds), ("rescale", RequantizeUnit::Rescale)];

pub(super) fn hardware(reader: &mut Reader<'_>, fields: &Fields<'_>, meant: &[&str]) -> HardwareRequest {
    let keys = &["kind", "form", "multiplier", "pe", "simd", "memory", "requantize", "window", "fifo"];
    let what = format!("`hw` of {}", fields.what);
    let Some(hw) = fields.get("hw").and_then(|node| reader.fields(node, what, keys)) else {
        return HardwareRequest::default();
    };
    for key in keys {
        let Some(node) = hw.get(key) else { continue };
        let requantizes = *key != "requantize" || fields.has("output");
        if !meant.contains(key) || !requantizes {
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
        form: reader.word(&hw, "form", FORMS),
        pe: reader.count(&hw, "pe", 1..=MAX_FOLDING),
        simd: reader.count(&hw, "simd", 1..=MAX_FOLDING),
        multiplier: reader.word(&hw, "multiplier", MULTIPLIERS),
        memory: reader.word(&hw, "memory", MEMORIES),
        requantize: reader.word(&hw, "requantize", REQUANTIZE_UNITS),
        window: window_form(reader, &hw),
        fifo: fifo_depths(reader, fields, &hw),
    }
}

/// Words of the FIFO in front of each input.
fn fifo_depths(reader: &mut Reader<'_>, fields: &Fields<'_>, hw: &Fields<'_>) -> Option<At<Vec<u64>>> {
    let inputs = match fields.get("inputs").map(|node| &node.content) {
        Some(Content::List(names)) => names.len(),
        _ => return None,
    };
    let form = "a list with a number of words, 1 to 16777216, for each input";
    let At { value, place } = reader.numbers(hw, "fifo", &[inputs], form, 1..=MAX_FOLDING)?;
    Some(At::new(value.into_iter().filter_map(|depth| u64::try_from(depth).ok()).collect(), place))
}

/// `parallel`, or the channels side by side of a serial window.
fn window_form(reader: &mut Reader<'_>, hw: &Fields<'_>) -> Option<At<WindowForm>> {
    let node = hw.get("window")?;
    if matches!(node.content, Content::Integer(_)) {
        let At { value, place } = reader.count(hw, "window", 1..=MAX_FOLDING)?;
        return Some(At::new(WindowForm::Serial(value), place));
    }
    reader.word(hw, "window", &[("parallel", WindowForm::Parallel)])
}
