//! The unit that makes codes of a layer's sums.

use super::{MAX_THRESHOLD_SUM_BITS, MAX_THRESHOLDS, folding, wrong};
use network::diagnostic::{Code, Diagnostic, Diagnostics};
use network::graph::{Layer, RequantizeUnit};
use network::requantization::{Form, Requantization};

/// The unit that makes codes: as wished where it can, else the one with fewer look-up tables.
pub(super) fn requantize_unit(
    layer: &Layer,
    requantization: &Requantization,
    channel_groups: u64,
    sum_bits: u32,
) -> Result<RequantizeUnit, Diagnostics> {
    let thresholds = folding::thresholds(requantization);
    if let Some(at) = &layer.hardware.requantize {
        let reason = match at.value {
            RequantizeUnit::Rescale if !matches!(requantization.form, Form::Shift(_)) => {
                Some("no multiply and shift equals this layer's rule".to_owned())
            }
            RequantizeUnit::Thresholds if !folding::fits_thresholds(requantization, sum_bits) => Some(format!(
                "a search handles {MAX_THRESHOLDS} thresholds and sums of {MAX_THRESHOLD_SUM_BITS} bits, not {thresholds} thresholds and {sum_bits} bits"
            )),
            RequantizeUnit::Rescale | RequantizeUnit::Thresholds => None,
        };
        return match reason {
            None => Ok(at.value),
            Some(reason) => Err(Diagnostic::new(
                Code::Hardware,
                at.place.clone(),
                format!("`{}`: {reason}", layer.name),
                "leave `requantize` out to have it chosen",
            )
            .into()),
        };
    }
    let chosen = folding::cheapest_unit(requantization, None, channel_groups, sum_bits);
    chosen.map(|(unit, _)| unit).ok_or_else(|| {
        wrong(
            layer,
            Code::Hardware,
            &format!(
                "a search handles {MAX_THRESHOLDS} thresholds and sums of {MAX_THRESHOLD_SUM_BITS} bits, not {thresholds} thresholds and {sum_bits} bits, and no multiply and shift equals this layer's rule"
            ),
            "narrow the output format",
        )
        .into()
    })
}
