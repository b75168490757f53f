//! The format of a layer's weights: a word for a plain format, a map for a coding.

use super::fields::Fields;
use super::fields::Reader;
use super::node::Content;
use crate::coding::{
    MAX_CODE_BITS, MAX_GROUP, MAX_MULTIPLIER, MAX_SUBBAND_BITS, Piecewise, Transform, Wavelet, WeightFormat,
};
use crate::diagnostic::Code;

/// Words for transforms.
pub(super) const TRANSFORMS: &[(&str, Transform)] = &[("haar", Transform::Haar), ("lifting", Transform::Lifting)];

/// What stands under `weight` of a layer.
pub(super) fn weight_format(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<WeightFormat> {
    let node = fields.get("weight")?;
    if !matches!(node.content, Content::Map(_)) {
        return reader.format(fields, "weight").map(|at| WeightFormat::Plain(at.value));
    }
    let what = format!("`weight` of {}", fields.what);
    let map =
        reader.fields(node, what.clone(), &["piecewise", "wavelet", "multipliers", "offsets", "group", "transform"])?;
    let (kind, other, strange) = match (map.has("piecewise"), map.has("wavelet")) {
        (true, false) => ("piecewise", "wavelet", &["transform"][..]),
        (false, true) => ("wavelet", "piecewise", &["offsets", "group"][..]),
        (both, _) => {
            let message = format!("{what} has {} of `piecewise` and `wavelet`", if both { "both" } else { "none" });
            reader.fault(Code::PlanConflict, node.at, message, "write one of them, or a format such as s4");
            return None;
        }
    };
    if let Some(key) = strange.iter().find(|key| map.has(key)) {
        let message = format!("`{key}` of {what} belongs to `{other}`");
        reader.fault(Code::PlanConflict, node.at, message, "leave it out");
        return None;
    }
    let made = if kind == "piecewise" { piecewise(reader, &map)? } else { wavelet(reader, &map)? };
    match made {
        Ok(format) => Some(format),
        Err(reason) => {
            reader.fault(Code::PlanRange, node.at, format!("{what}: {reason}"), "the reference page lists what can be");
            None
        }
    }
}

/// The format, or in words why there is none; `None` where a fault is told already.
type Made = Option<Result<WeightFormat, String>>;

fn piecewise(reader: &mut Reader<'_>, map: &Fields<'_>) -> Made {
    let lengths = [2, 3, 4];
    let widths = reader.numbers(map, "piecewise", &lengths, "2 to 4 widths", 1..=i64::from(MAX_CODE_BITS))?.value;
    let regions = [widths.len()];
    let form = "one number for each region";
    let mut list = |key: &str, least: i64| {
        if map.has(key) {
            Some(reader.numbers(map, key, &regions, form, least..=MAX_MULTIPLIER)?.value)
        } else {
            Some(vec![least; widths.len()])
        }
    };
    let (multipliers, offsets) = (list("multipliers", 1)?, list("offsets", 0)?);
    let group = if map.has("group") { reader.count(map, "group", 1..=MAX_GROUP as i64)?.value } else { 1 };
    let widths = widths.into_iter().map(|width| width as u32).collect();
    Some(Piecewise::new(widths, multipliers, offsets, group).map(WeightFormat::Piecewise))
}

fn wavelet(reader: &mut Reader<'_>, map: &Fields<'_>) -> Made {
    let form = "four numbers, for the sub-bands A, H, V, D";
    let widths = reader.numbers(map, "wavelet", &[4], form, 0..=i64::from(MAX_SUBBAND_BITS))?.value;
    let multipliers = if map.has("multipliers") {
        reader.numbers(map, "multipliers", &[4], form, 1..=MAX_MULTIPLIER)?.value
    } else {
        vec![1; 4]
    };
    let transform =
        if map.has("transform") { reader.word(map, "transform", TRANSFORMS)?.value } else { Transform::Haar };
    let (&[a, h, v, d], &[ma, mh, mv, md]) = (widths.as_slice(), multipliers.as_slice()) else { return None };
    let widths = [a, h, v, d].map(|width| width as u32);
    Some(Wavelet::new(widths, [ma, mh, mv, md], transform).map(WeightFormat::Wavelet))
}
