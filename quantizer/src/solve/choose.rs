//! The choice among integer forms, for all channels of a layer together.

use super::hull::Corridor;
use super::line::{Line, MAX_SHIFT};
use super::threshold::Rising;
use super::{Channel, Solved};
use crate::exact::{dyadic_exponent, integer};
use crate::fault::{Checked, Fault};
use crate::quantization::Stairs;
use network::Range;
use network::requantization::{Form, MAX_SHIFT_FORM_BITS, Shift, Table, Thresholds};
use network::rounding::Rounding;
use num_traits::{One, Signed, ToPrimitive};

/// Most thresholds of a layer.
const MAX_THRESHOLDS: usize = 1 << 24;

/// Finds the cheapest form: a pure shift (rounding down, else half to even), a multiplier with the least shift that
/// serves every channel, a half-even shift with multipliers, and thresholds where nothing else is equal.
///
/// # Errors
/// Thresholds would be needed, but there would be more than [`MAX_THRESHOLDS`].
pub(crate) fn solve(channels: &[Channel]) -> Checked<Solved> {
    let rising: Vec<Rising> = channels.iter().map(Rising::new).collect();
    let least = rising.iter().map(|channel| channel.codes.0).min().unwrap_or(0);
    let greatest = rising.iter().map(|channel| channel.codes.1).max().unwrap_or(0);
    let codes = Range::new(least, greatest);
    let corridors: Vec<Corridor> =
        rising.iter().zip(channels).map(|(channel, rule)| corridor(channel, &rule.stairs, codes)).collect();
    let form = pure(&rising, &corridors)
        .or_else(|| half_even(&rising, channels, &corridors, codes, true))
        .or_else(|| multiplied(&rising, &corridors))
        .or_else(|| half_even(&rising, channels, &corridors, codes, false));
    if let Some(form) = form {
        return Ok(Solved { codes, form: Form::Shift(form) });
    }
    let count = (greatest - least) as usize * channels.len();
    if count > MAX_THRESHOLDS {
        return Err(Fault::quantizer(
            format!(
                "no multiplier and shift inside {MAX_SHIFT_FORM_BITS} bits equals the quantizer, and it has {count} thresholds"
            ),
            "use fewer bits, or scales without exact ties",
        ));
    }
    let thresholds = tabulated(&rising, channels, codes);
    let form = skipping(&thresholds, codes).map_or(Form::Thresholds(thresholds), Form::Table);
    Ok(Solved { codes, form })
}

/// Where a line must pass so that, clamped to `codes`, it equals the channel's rule.
fn corridor(channel: &Rising, stairs: &Stairs, codes: Range) -> Corridor {
    let mut corridor = Corridor::default();
    let (first, last) = channel.codes;
    if first > codes.min() {
        corridor.reach(channel.sums.0, first);
    }
    for (code, sum) in (first + 1..=last).zip(channel.thresholds(stairs)) {
        corridor.reach(sum, code);
        corridor.miss(sum - 1, code);
    }
    if last < codes.max() {
        corridor.miss(channel.sums.1, last + 1);
    }
    corridor
}

/// A shift form of lines over rising channels, or `None` where its numbers could leave the legal width.
fn shift_form(rising: &[Rising], lines: &[Line], shift: u32, half_even: bool) -> Option<Shift> {
    let sum =
        rising.iter().map(|channel| i128::from(channel.sums.0).abs().max(i128::from(channel.sums.1).abs())).max()?;
    let multiplier = lines.iter().map(|line| line.multiplier.abs()).max()?;
    let offset = lines.iter().map(|line| line.offset.abs()).max()?;
    let largest = sum.checked_mul(multiplier)?.checked_add(offset)?.checked_add(1 << shift)?;
    if largest >= 1 << MAX_SHIFT_FORM_BITS {
        return None;
    }
    let signed = |(channel, line): (&Rising, &Line)| if channel.falling { -line.multiplier } else { line.multiplier };
    Some(Shift {
        multipliers: collapse(rising.iter().zip(lines).map(signed).map(|value| value as i64).collect()),
        offsets: collapse(lines.iter().map(|line| line.offset as i64).collect()),
        shift,
        half_even,
    })
}

/// A single entry where all are equal.
pub(crate) fn collapse<T: PartialEq>(mut entries: Vec<T>) -> Vec<T> {
    if entries.iter().all(|entry| *entry == entries[0]) {
        entries.truncate(1);
    }
    entries
}

/// (sum + B) >> n, with the least n.
fn pure(rising: &[Rising], corridors: &[Corridor]) -> Option<Shift> {
    (0..=MAX_SHIFT).find_map(|shift| {
        let lines: Option<Vec<Line>> = corridors.iter().map(|corridor| corridor.line(1, shift)).collect();
        shift_form(rising, &lines?, shift, false)
    })
}

/// (sum * M + B) >> n, with the least n that serves every channel.
fn multiplied(rising: &[Rising], corridors: &[Corridor]) -> Option<Shift> {
    let mut shift = 0;
    for corridor in corridors {
        shift = shift.max(corridor.least_shift()?);
    }
    let lines: Option<Vec<Line>> = corridors.iter().map(|corridor| best_line(corridor, shift)).collect();
    shift_form(rising, &lines?, shift, false)
}

fn best_line(corridor: &Corridor, shift: u32) -> Option<Line> {
    if corridor.below.is_empty() && corridor.above.is_empty() {
        return Some(Line { multiplier: 0, offset: 0 });
    }
    corridor.least(shift)
}

/// Rounding half to even, exact where A and C are integers over 2^n. Other channels take their floor line at n - 1,
/// doubled, with an odd offset that can never tie.
fn half_even(
    rising: &[Rising],
    channels: &[Channel],
    corridors: &[Corridor],
    codes: Range,
    pure: bool,
) -> Option<Shift> {
    let exact: Vec<Option<u32>> =
        rising.iter().zip(channels).map(|(channel, rule)| dyadic(channel, &rule.stairs, codes)).collect();
    let mut shift = exact.iter().flatten().copied().max()?;
    if shift > MAX_SHIFT {
        return None;
    }
    if !pure {
        for (corridor, _) in corridors.iter().zip(&exact).filter(|(_, exact)| exact.is_none()) {
            shift = shift.max(corridor.least_shift()? + 1);
        }
    }
    let mut lines = Vec::with_capacity(rising.len());
    for (((channel, rule), corridor), exact) in rising.iter().zip(channels).zip(corridors).zip(&exact) {
        let line = if exact.is_some() {
            let scaled = |value: &crate::exact::Exact| {
                (value * integer(num_bigint::BigInt::one() << shift)).to_integer().to_i128()
            };
            let code_shift = match &*rule.stairs {
                Stairs::Steps(steps) => i128::from(steps.code_shift) << shift,
                Stairs::Table { .. } => 0,
            };
            Line { multiplier: scaled(&channel.piece.gain)?, offset: scaled(&channel.piece.offset)? + code_shift }
        } else {
            let floor_shift = shift.checked_sub(1)?;
            let line = if pure { return None } else { best_line(corridor, floor_shift)? };
            Line { multiplier: 2 * line.multiplier, offset: 2 * line.offset + 1 - (1 << shift >> 1) }
        };
        if pure && line.multiplier != 1 {
            return None;
        }
        lines.push(line);
    }
    shift_form(rising, &lines, shift, true)
}

/// The n for which a channel's own rule is a half-even shift: dyadic constants, plain rounding, and clamps that the
/// clamp to `codes` repeats.
fn dyadic(channel: &Rising, stairs: &Stairs, codes: Range) -> Option<u32> {
    let Stairs::Steps(steps) = stairs else { return None };
    if steps.rounding != Rounding::HalfEven || steps.truncation.is_some() || steps.code_shift % 2 != 0 {
        return None;
    }
    let piece = &channel.piece;
    let exponent = dyadic_exponent(&piece.gain)?.max(dyadic_exponent(&piece.offset)?);
    let mut free = piece.clone();
    (free.low, free.high) = (None, None);
    let unclamped = |sum: i64| stairs.code(&free.at(sum)).clamp(codes.min(), codes.max());
    let agrees = |sum: i64, code: i64| unclamped(sum) == code;
    let ends = agrees(channel.sums.0, channel.codes.0) && agrees(channel.sums.1, channel.codes.1);
    (ends && !piece.gain.is_negative()).then(|| u32::try_from(exponent).ok()).flatten()
}

/// Thresholds for every channel; those that are never or always reached lie just outside the reachable sums.
fn tabulated(rising: &[Rising], channels: &[Channel], codes: Range) -> Thresholds {
    let rows: Vec<(bool, Vec<i64>)> = rising
        .iter()
        .zip(channels)
        .map(|(channel, rule)| {
            let (first, last) = channel.codes;
            let mut row = vec![channel.sums.0; (first - codes.min()) as usize];
            row.extend(channel.thresholds(&rule.stairs));
            row.extend(std::iter::repeat_n(channel.sums.1 + 1, (codes.max() - last) as usize));
            if channel.falling {
                row = row.into_iter().rev().map(|sum| -sum).collect();
            }
            (channel.falling, row)
        })
        .collect();
    let rows = collapse(rows);
    Thresholds {
        count: (codes.max() - codes.min()) as usize,
        falling: rows.iter().map(|(falling, _)| *falling).collect(),
        values: rows.into_iter().flat_map(|(_, row)| row).collect(),
    }
}

/// The same as a table, where every channel skips so many codes that it has at most half as many different thresholds.
fn skipping(thresholds: &Thresholds, codes: Range) -> Option<Table> {
    let rows: Vec<(bool, &[i64])> = thresholds
        .values
        .chunks(thresholds.count.max(1))
        .enumerate()
        .map(|(row, values)| (thresholds.falling.get(row).copied().unwrap_or(false), values))
        .collect();
    let distinct = |values: &[i64]| {
        let mut distinct = values.to_vec();
        distinct.dedup();
        distinct
    };
    let count = rows.iter().map(|(_, values)| distinct(values).len()).max()?;
    if 2 * count > thresholds.count {
        return None;
    }
    let (mut starts, mut entries) = (Vec::new(), Vec::new());
    for (falls, values) in rows {
        let reached = |sum: i64| match falls {
            false => values.partition_point(|&value| value <= sum) as i64,
            true => (values.len() - values.partition_point(|&value| value < sum)) as i64,
        };
        let mut row: Vec<i64> = distinct(values).into_iter().map(|value| value + i64::from(falls)).collect();
        entries.push(codes.min() + if falls { values.len() as i64 } else { 0 });
        entries.extend(row.iter().map(|&start| codes.min() + reached(start)));
        let last = (row.last().copied().unwrap_or(0), entries.last().copied().unwrap_or(codes.min()));
        entries.extend(std::iter::repeat_n(last.1, count - row.len()));
        row.resize(count, last.0);
        starts.extend(row);
    }
    Some(Table { values: starts, count, codes: entries })
}
