//! Whether a requantization fits the sums that it meets.

use super::Checked;
use crate::diagnostic::{Code, Diagnostic};
use crate::graph::{Layer, SumRanges};
use crate::requantization::{Form, MAX_SHIFT_FORM_BITS, Requantization};

pub(super) fn check_requantization(layer: &Layer, requantization: &Requantization, sums: &SumRanges) -> Checked<()> {
    let wrong = |message: String, help: &str| {
        Err(Diagnostic::new(Code::Requantization, layer.place.clone(), format!("`{}`: {message}", layer.name), help))
    };
    let channels = sums.channels.len();
    let count_fits = |count: usize| count == 1 || count == channels;
    if !requantization.output.code_range().contains_range(requantization.codes) {
        return wrong(
            format!("codes {} leave the format {}", requantization.codes, requantization.output),
            "widen the output format",
        );
    }
    match &requantization.form {
        Form::Shift(form) => {
            if !count_fits(form.multipliers.len()) || !count_fits(form.offsets.len()) {
                return wrong(
                    format!(
                        "{} multipliers and {} offsets for {channels} channels",
                        form.multipliers.len(),
                        form.offsets.len()
                    ),
                    "give one of each for each channel, or one for all",
                );
            }
            let largest = |values: &[i64]| values.iter().map(|v| i128::from(*v).abs()).max().unwrap_or(0);
            let sum = i128::from(sums.all.min()).abs().max(i128::from(sums.all.max()).abs());
            let value = sum * largest(&form.multipliers) + largest(&form.offsets);
            let half = 1i128 << form.shift.min(100);
            if form.shift > MAX_SHIFT_FORM_BITS || value + half >= 1i128 << MAX_SHIFT_FORM_BITS {
                return wrong(
                    format!(
                        "sums up to {sum} times {} and a shift of {} leave {MAX_SHIFT_FORM_BITS} bits",
                        largest(&form.multipliers),
                        form.shift
                    ),
                    "use a smaller shift, or thresholds",
                );
            }
        }
        Form::Thresholds(form) => {
            let steps = requantization.codes.max() - requantization.codes.min();
            if !count_fits(form.falling.len())
                || form.count as i64 != steps
                || form.values.len() != form.count * form.falling.len()
            {
                return wrong(
                    format!(
                        "{} thresholds in {} channels for codes {}",
                        form.values.len(),
                        form.falling.len(),
                        requantization.codes
                    ),
                    "give each channel one threshold for each code above the least",
                );
            }
            check_thresholds(layer, (0..form.falling.len()).map(|channel| form.row(channel)))?;
        }
        Form::Table(form) => {
            let rows = form.channels();
            let whole = form.values.len() == rows * form.count && form.codes.len() == rows * (form.count + 1);
            if rows == 0 || !count_fits(rows) || !whole {
                return wrong(
                    format!("{} thresholds and {} codes for {channels} channels", form.values.len(), form.codes.len()),
                    "give each channel its thresholds and one code more",
                );
            }
            if let Some(code) = form.codes.iter().find(|code| !requantization.codes.contains(**code)) {
                return wrong(
                    format!("code {code} of the table lies outside {}", requantization.codes),
                    "widen `codes`",
                );
            }
            check_thresholds(layer, (0..rows).map(|channel| form.row(channel).0))?;
        }
    }
    Ok(())
}

fn check_thresholds<'a>(layer: &Layer, mut rows: impl Iterator<Item = &'a [i64]>) -> Checked<()> {
    let bound = 1i64 << MAX_SHIFT_FORM_BITS;
    let legal = |row: &[i64]| row.is_sorted() && row.iter().all(|v| -bound < *v && *v < bound);
    if rows.all(legal) {
        return Ok(());
    }
    Err(Diagnostic::new(
        Code::Requantization,
        layer.place.clone(),
        format!("`{}`: thresholds are not in ascending order or too large", layer.name),
        "sort the thresholds of each channel",
    ))
}
