//! A quantizer over a curve: thresholds where every channel is monotone, else thresholds with a table of codes.

use super::Target;
use crate::curve::{Curve, MAX_STEPS, Staircase, steps};
use crate::exact::to_f64;
use crate::fault::Checked;
use crate::quantization::Stairs;
use crate::walk::stream::entry;
use network::Range;
use network::requantization::{Form, Requantization, Table, Thresholds};
use rayon::prelude::*;

/// Thresholds of a channel that need no look at how many codes are skipped.
const FEW_COUNT: i64 = 1 << 12;
/// Most steps of all channels of a layer together, so that the arrays of a plan stay within a hundred megabytes.
const LAYER_STEPS: usize = 1 << 23;

impl Target {
    /// The requantization of sums that mean real numbers by a curve; one range for each channel, or one for all.
    pub(super) fn curved(&self, curve: &Curve, sums: &[Range]) -> Checked<Requantization> {
        let count = curve.channels().max(sums.len()).max(self.numbers.len()).max(self.stairs.len());
        let numbers: Vec<(f64, f64)> =
            self.numbers.iter().map(|(gain, offset)| (to_f64(gain), to_f64(offset))).collect();
        let stairs: Vec<&Stairs> = self.stairs.iter().map(|stairs| &**stairs).collect();
        let made = (0..count)
            .into_par_iter()
            .map(|channel| {
                steps(
                    curve,
                    channel,
                    *entry(&numbers, channel),
                    entry::<&Stairs>(&stairs, channel),
                    *entry(sums, channel),
                    MAX_STEPS.min(LAYER_STEPS / count.max(1)),
                )
            })
            .collect::<Checked<Vec<Staircase>>>()?;
        let ranges: Vec<Range> = (0..count).map(|channel| *entry(sums, channel)).collect();
        let least = made.iter().flat_map(Staircase::codes).min().unwrap_or(0);
        let most = made.iter().flat_map(Staircase::codes).max().unwrap_or(0);
        let codes = Range::new(least, most);
        let directions: Option<Vec<bool>> = made.iter().map(falls).collect();
        // A table needs fewer thresholds where many codes are skipped.
        let longest = made.iter().map(|staircase| staircase.steps.len()).max().unwrap_or(0) as i64;
        let is_dense = most - least <= FEW_COUNT.max(longest.saturating_mul(2));
        let form = match directions.filter(|_| is_dense) {
            Some(falling) => Form::Thresholds(thresholds(&made, &falling, &ranges, codes)),
            None => Form::Table(table(&made, &ranges)),
        };
        Ok(Requantization { output: self.format(codes)?, codes, form, rule: None })
    }
}

/// Whether a staircase falls; `None` where it neither rises nor falls all the way.
fn falls(staircase: &Staircase) -> Option<bool> {
    let codes: Vec<i64> = staircase.codes().collect();
    if codes.is_sorted() {
        Some(false)
    } else if codes.iter().rev().is_sorted() {
        Some(true)
    } else {
        None
    }
}

fn thresholds(made: &[Staircase], falling: &[bool], sums: &[Range], codes: Range) -> Thresholds {
    let mut rows: Vec<(bool, Vec<i64>)> = Vec::with_capacity(made.len());
    for ((staircase, &falls), range) in made.iter().zip(falling).zip(sums) {
        let mut row = Vec::new();
        if falls {
            // Ascending thresholds are those of falling codes: the last sum that still has a code.
            let mut code = staircase.first;
            let mut ends = Vec::new();
            for &(start, next) in &staircase.steps {
                ends.extend((next..code).rev().map(|_| start - 1));
                code = next;
            }
            row.extend((staircase.first..codes.max()).map(|_| range.min() - 1));
            row.extend(ends);
            row.extend((codes.min()..code).map(|_| range.max()));
        } else {
            row.extend((codes.min()..staircase.first).map(|_| range.min()));
            let mut code = staircase.first;
            for &(start, next) in &staircase.steps {
                row.extend((code..next).map(|_| start));
                code = next;
            }
            row.extend((code..codes.max()).map(|_| range.max() + 1));
        }
        rows.push((falls, row));
    }
    let rows = crate::solve::collapse(rows);
    Thresholds {
        count: (codes.max() - codes.min()) as usize,
        falling: rows.iter().map(|(falls, _)| *falls).collect(),
        values: rows.into_iter().flat_map(|(_, row)| row).collect(),
    }
}

fn table(made: &[Staircase], sums: &[Range]) -> Table {
    let count = made.iter().map(|staircase| staircase.steps.len()).max().unwrap_or(0);
    let rows = made.iter().zip(sums).map(|(staircase, range)| {
        let mut values: Vec<i64> = staircase.steps.iter().map(|(start, _)| *start).collect();
        let mut codes: Vec<i64> = staircase.codes().collect();
        values.resize(count, range.max() + 1);
        codes.resize(count + 1, codes.last().copied().unwrap_or(staircase.first));
        (values, codes)
    });
    let rows = crate::solve::collapse(rows.collect());
    Table {
        values: rows.iter().flat_map(|(values, _)| values.iter().copied()).collect(),
        count,
        codes: rows.iter().flat_map(|(_, codes)| codes.iter().copied()).collect(),
    }
}
