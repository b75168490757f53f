//! One requantization for all modes of a layer: tables that hold the constants of each mode after one another.

use super::{RawMap, channel_thresholds};
use network::Range;
use network::graph::Layer;
use network::requantization::{Form, MAX_SHIFT_FORM_BITS, Requantization, Shift, Table, Thresholds, per_channel};

/// Bits of a multiplier that all modes share; rescale units take 40 with what the raw sums' gain adds.
const MULTIPLIER_BITS: u32 = 36;

/// A layer's requantization with an entry for each mode, group of channels and lane.
pub struct MergedModes {
    /// The rule; its channels are those of `entries`.
    pub requantization: Option<Requantization>,
    /// Mode and channel that each entry stands for.
    pub entries: Vec<(usize, usize)>,
    /// Groups of channels of a mode, a power of two where there are several modes.
    pub groups: u64,
}

/// Joins the modes of a layer of `channels`, `lanes` of them side by side; `sums` are those of each mode by channel.
///
/// A group of channels has the number (mode, group), each mode filled up to a power of two with copies of the last
/// group. Shift forms are brought to one shift, which multiplies constants by powers of two and changes nothing; where
/// they do not fit together, each mode's rule becomes the thresholds that equal it on its own sums.
pub fn merged(layer: &Layer, channels: usize, lanes: usize, sums: &[Vec<Range>]) -> MergedModes {
    let modes = sums.len();
    let real_groups = (channels / lanes.max(1)).max(1);
    let groups = if modes > 1 { real_groups.next_power_of_two() } else { real_groups };
    let entries: Vec<(usize, usize)> = (0..modes)
        .flat_map(|mode| (0..groups * lanes).map(move |entry| (mode, entry / lanes, entry % lanes)))
        .map(|(mode, group, lane)| (mode, group.min(real_groups - 1) * lanes + lane))
        .collect();
    let rules: Vec<&Requantization> = (0..modes).filter_map(|mode| layer.requantization_in(mode)).collect();
    let requantization = match rules.first() {
        Some(first) if rules.len() == modes => {
            let form = if modes == 1 { first.form.clone() } else { joined(&rules, &entries, sums) };
            Some(Requantization { form, rule: None, ..(*first).clone() })
        }
        _ => None,
    };
    MergedModes { requantization, entries, groups: groups as u64 }
}

fn joined(rules: &[&Requantization], entries: &[(usize, usize)], sums: &[Vec<Range>]) -> Form {
    let shifts: Option<Vec<&Shift>> = rules.iter().map(|rule| as_shift(rule)).collect();
    if let Some(form) = shifts.and_then(|shifts| joined_shifts(&shifts, entries, sums)) {
        return Form::Shift(form);
    }
    if rules.iter().all(|rule| !matches!(rule.form, Form::Table(_))) {
        return Form::Thresholds(joined_thresholds(rules, entries, sums));
    }
    Form::Table(joined_tables(rules, entries, sums))
}

fn as_shift(rule: &Requantization) -> Option<&Shift> {
    match &rule.form {
        Form::Shift(shift) => Some(shift),
        Form::Thresholds(_) | Form::Table(_) => None,
    }
}

/// Shift forms at the greatest shift; `None` where they round differently or leave the bits of a shift form.
fn joined_shifts(shifts: &[&Shift], entries: &[(usize, usize)], sums: &[Vec<Range>]) -> Option<Shift> {
    let first = shifts.first()?;
    let shift = shifts.iter().map(|form| form.shift).max()?;
    if shifts.iter().any(|form| form.half_even != first.half_even) {
        return None;
    }
    let (mut multipliers, mut offsets) = (Vec::new(), Vec::new());
    for &(mode, channel) in entries {
        let form = shifts.get(mode)?;
        let range = sums.get(mode)?.get(channel)?;
        let factor = 1i128 << (shift - form.shift);
        let multiplier = i128::from(per_channel(&form.multipliers, channel)?) * factor;
        let offset = i128::from(per_channel(&form.offsets, channel)?) * factor;
        let sum = i128::from(range.min()).abs().max(i128::from(range.max()).abs());
        // The map from raw sums moves up to as much again into the offset.
        if multiplier.abs() >= 1i128 << MULTIPLIER_BITS
            || 4 * (sum * multiplier.abs() + offset.abs()) + (1i128 << shift) >= 1i128 << MAX_SHIFT_FORM_BITS
        {
            return None;
        }
        multipliers.push(i64::try_from(multiplier).ok()?);
        offsets.push(i64::try_from(offset).ok()?);
    }
    Some(Shift { multipliers, offsets, shift, half_even: first.half_even })
}

fn joined_thresholds(rules: &[&Requantization], entries: &[(usize, usize)], sums: &[Vec<Range>]) -> Thresholds {
    let count = rules.first().map_or(0, |rule| rule.codes.max() - rule.codes.min()) as usize;
    let mut all = Thresholds { values: Vec::new(), count, falling: Vec::new() };
    for &(mode, channel) in entries {
        let thresholds = channel_thresholds(rules[mode], channel, sums[mode][channel], RawMap::IDENTITY);
        all.values.extend(thresholds.values);
        all.falling.push(thresholds.falling);
    }
    all
}

fn joined_tables(rules: &[&Requantization], entries: &[(usize, usize)], sums: &[Vec<Range>]) -> Table {
    let rows: Vec<(Vec<i64>, Vec<i64>)> = entries
        .iter()
        .map(|&(mode, channel)| match &rules[mode].form {
            Form::Table(table) => {
                let (thresholds, codes) = table.row(channel);
                (thresholds.to_vec(), codes.to_vec())
            }
            Form::Shift(_) | Form::Thresholds(_) => rising(rules[mode], channel, sums[mode][channel]),
        })
        .collect();
    let count = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let mut table = Table { values: Vec::new(), count, codes: Vec::new() };
    for (row, &(mode, channel)) in rows.into_iter().zip(entries) {
        let (mut thresholds, mut codes) = row;
        let last = codes.last().copied().unwrap_or(0);
        let never = thresholds.last().copied().unwrap_or(i64::MIN).max(sums[mode][channel].max() + 1);
        thresholds.resize(count, never);
        codes.resize(count + 1, last);
        table.values.extend(thresholds);
        table.codes.extend(codes);
    }
    table
}

/// A monotone rule as thresholds that sums rise past, with the codes between them.
fn rising(rule: &Requantization, channel: usize, sums: Range) -> (Vec<i64>, Vec<i64>) {
    let thresholds = channel_thresholds(rule, channel, sums, RawMap::IDENTITY);
    let codes = rule.codes.min()..=rule.codes.max();
    if thresholds.falling {
        (thresholds.values.iter().map(|value| value + 1).collect(), codes.rev().collect())
    } else {
        (thresholds.values, codes.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use network::Format;
    use network::diagnostic::Place;
    use network::graph::{HardwareRequest, TensorId};
    use network::modes::{Mode, Planes};
    use network::op::Op;

    fn layer(forms: Vec<Form>) -> Layer {
        let output = Format::unsigned(2).unwrap();
        let rule = |form| Requantization { output, codes: Range::new(0, 3), form, rule: None };
        let planes = Planes { weight: 1, activation: 1 };
        let own = forms.first().cloned().map(rule);
        let modes = forms.into_iter().map(|form| Mode { planes, requantization: Some(rule(form)) }).collect();
        Layer {
            name: "test".to_owned(),
            place: Place::default(),
            inputs: vec![TensorId(0)],
            op: Op::Identity,
            requantization: own,
            modes,
            hardware: HardwareRequest::default(),
        }
    }

    /// The code by the definition of each form.
    fn code(rule: &Requantization, channel: usize, sum: i64) -> i64 {
        match &rule.form {
            Form::Shift(shift) => shift.unclamped(channel, sum).clamp(rule.codes.min(), rule.codes.max()),
            Form::Thresholds(form) => {
                let falls = per_channel(&form.falling, channel).unwrap();
                let reached = form.row(channel).iter().filter(|t| if falls { sum <= **t } else { sum >= **t });
                rule.codes.min() + reached.count() as i64
            }
            Form::Table(table) => table.code(channel, sum),
        }
    }

    #[track_caller]
    fn check(forms: Vec<Form>) {
        let layer = layer(forms);
        let sums: Vec<Vec<Range>> =
            (0..layer.modes.len() as i64).map(|mode| vec![Range::new(-20 - mode, 30 + mode); 6]).collect();
        let merged = merged(&layer, 6, 2, &sums);
        assert_eq!((merged.groups, merged.entries.len()), (4, layer.modes.len() * 8));
        let all = merged.requantization.unwrap();
        for (entry, &(mode, channel)) in merged.entries.iter().enumerate() {
            let range = sums[mode][channel];
            for sum in range.min()..=range.max() {
                let expected = code(layer.requantization_in(mode).unwrap(), channel, sum);
                assert_eq!(code(&all, entry, sum), expected, "entry {entry}, sum {sum}");
            }
        }
    }

    fn shift(multiplier: i64, shift: u32, half_even: bool) -> Form {
        let offsets = (0..6).map(|channel| channel * 3 - 4).collect();
        Form::Shift(Shift { multipliers: vec![multiplier], offsets, shift, half_even })
    }

    #[test]
    fn modes_keep_their_rules() {
        let falling = Form::Thresholds(Thresholds { values: vec![-3, 5, 9], count: 3, falling: vec![true] });
        let table = Form::Table(Table { values: vec![-9, 2], count: 2, codes: vec![3, 0, 2] });
        check(vec![shift(3, 4, false), shift(-1, 2, false), shift(5, 6, false)]);
        check(vec![shift(3, 4, true), shift(1, 2, true)]);
        check(vec![shift(3, 4, true), shift(1, 2, false)]);
        check(vec![shift(3, 4, false), falling.clone()]);
        check(vec![table.clone(), falling, shift(-3, 4, true)]);
        check(vec![shift(1, 0, false), shift(1 << 40, 40, false), table]);
    }
}
