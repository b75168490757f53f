//! Which numbers a search tries next.

use super::super::LEAST;
use super::PredictError;

/// Words that most FIFOs can spare of those with which they never refuse one.
const SPARE: u32 = 3;
/// Each step away is so many times as long as the one before.
const LONGER: u32 = 4;

/// The least depth that `keeps`, where `enough` does and all above the least: a word or two, or down in growing steps and then
/// halving. Most FIFOs need so few, or what they held but [`SPARE`].
pub(super) fn descend(enough: u32, keeps: impl Fn(u32) -> bool) -> u32 {
    if let Some(few) = (LEAST..enough.min(LEAST + 2)).find(|&few| keeps(few)) {
        return few;
    }
    let (mut low, mut high, mut step) = ((LEAST + 2).min(enough), enough, SPARE);
    while low < high {
        // Once a depth was too few, halving; before, a step down.
        let depth = if step > 0 { high - step.min(high - low) } else { low + (high - low) / 2 };
        if keeps(depth) {
            (high, step) = (depth, if high == enough { 1.min(step) } else { step.saturating_mul(LONGER) });
        } else {
            (low, step) = (depth + 1, 0);
        }
    }
    high
}

/// The least depth that `keeps`, where `fails` does not and `enough` does: up in growing steps, then halving.
pub(super) fn ascend(fails: u32, enough: u32, mut keeps: impl FnMut(u32) -> bool) -> u32 {
    let (mut low, mut high, mut step) = (fails + 1, enough, 1);
    while low < high {
        let depth = if step > 0 { low - 1 + step.min(high - low) } else { low + (high - low) / 2 };
        if keeps(depth) {
            (high, step) = (depth, 0);
        } else {
            (low, step) = (depth + 1, step.saturating_mul(LONGER));
        }
    }
    high
}

/// The last number below `bad` that is good, where 0 is, `bad` is not, and what is below a good one is good: by trials of
/// two numbers side by side.
pub(super) fn last_good(
    bad: u32,
    is_good: impl Fn(u32) -> Result<bool, PredictError> + Sync,
) -> Result<u32, PredictError> {
    let (mut good, mut bad) = (0, bad);
    while good + 1 < bad {
        let span = bad - good;
        let (first, second) = (good + span.div_ceil(3), good + (2 * u64::from(span) / 3).max(1) as u32);
        if first == second {
            if is_good(first)? {
                good = first
            } else {
                bad = first
            }
            continue;
        }
        let (one, two) = rayon::join(|| is_good(first), || is_good(second));
        match (one?, two?) {
            (_, true) => good = second,
            (true, false) => (good, bad) = (first, second),
            (false, false) => bad = first,
        }
    }
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn the_least_depth_is_found_wherever_it_is() {
        for enough in [1, 2, 3, 50, 1000] {
            for least in 1..=enough {
                let keeps = |depth| {
                    assert!((LEAST..=enough).contains(&depth), "{depth} of {enough}");
                    depth >= least
                };
                assert_eq!(descend(enough, keeps), least, "of {enough}");
                for fails in 0..least {
                    assert_eq!(ascend(fails, enough, keeps), least, "from {fails} to {enough}");
                }
            }
        }
    }

    #[test]
    fn the_last_good_number_is_found_by_few_pairs() {
        for bad in 1..200 {
            for last in 0..bad {
                let trials = AtomicU32::new(0);
                let found = last_good(bad, |number| {
                    trials.fetch_add(1, Ordering::Relaxed);
                    Ok(number <= last)
                });
                assert_eq!(found.unwrap(), last, "below {bad}");
                assert!(trials.into_inner() <= 12, "{bad}, {last}");
            }
        }
    }
}
