//! Which numbers a search tries next.

use super::super::LEAST;
use super::PredictError;

/// Each step away is so many times as long as the one before.
const LONGER: u32 = 4;

/// The least depth that `keeps`, where `enough` does and all above the least: a single word, or down in growing steps and then
/// between what does not and what does. Most FIFOs need a single word or nearly all that they held. `pairs`: two depths are
/// asked for at a time.
pub(super) fn descend(enough: u32, pairs: bool, mut keeps: impl FnMut(&[u32]) -> Vec<bool>) -> u32 {
    if enough <= LEAST || keeps(&[LEAST])[0] {
        return enough.min(LEAST);
    }
    let (low, mut high, mut step) = (LEAST + 1, enough, 1);
    while low < high {
        let near = high - step.min(high - low);
        let far = near - step.saturating_mul(LONGER).min(near - low);
        let depths: &[u32] = if pairs && far < near { &[near, far] } else { &[near] };
        let kept = keeps(depths);
        for (&depth, kept) in depths.iter().zip(kept) {
            if !kept {
                return between(depth, high, pairs, keeps);
            }
            (high, step) = (depth, step.saturating_mul(LONGER));
        }
    }
    high
}

/// The least depth that `keeps`, where `fails` does not and `high` does.
pub(super) fn between(fails: u32, high: u32, pairs: bool, mut keeps: impl FnMut(&[u32]) -> Vec<bool>) -> u32 {
    let (mut low, mut high) = (fails + 1, high);
    while low < high {
        let span = high - low;
        let depths: &[u32] =
            if pairs && span > 1 { &[low + span / 3, low + span / 3 * 2 + 1] } else { &[low + span / 2] };
        let kept = keeps(depths);
        for (&depth, kept) in depths.iter().zip(kept) {
            if kept {
                high = high.min(depth);
            } else {
                low = low.max(depth + 1);
            }
        }
    }
    high
}

/// The least depth that `keeps`, where `fails` does not and `enough` does: up in growing steps, then between.
pub(super) fn ascend(fails: u32, enough: u32, pairs: bool, mut keeps: impl FnMut(&[u32]) -> Vec<bool>) -> u32 {
    let (mut low, mut step) = (fails, 1);
    while enough - low > step {
        let near = low + step;
        let far = near.saturating_add(step.saturating_mul(LONGER));
        let depths: &[u32] = if pairs && far < enough { &[near, far] } else { &[near] };
        let kept = keeps(depths);
        for (&depth, kept) in depths.iter().zip(kept) {
            if kept {
                return between(low, depth, pairs, keeps);
            }
            (low, step) = (depth, step.saturating_mul(LONGER));
        }
    }
    between(low, enough, pairs, keeps)
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
                for pairs in [false, true] {
                    let keeps = |depths: &[u32]| -> Vec<bool> {
                        assert!(depths.iter().all(|depth| (LEAST..=enough).contains(depth)), "{depths:?} of {enough}");
                        depths.iter().map(|&depth| depth >= least).collect()
                    };
                    assert_eq!(descend(enough, pairs, keeps), least, "of {enough}");
                    if least > 1 {
                        assert_eq!(between(1, enough, pairs, keeps), least, "of {enough}");
                        assert_eq!(ascend(1, enough, pairs, keeps), least, "of {enough}");
                    }
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
