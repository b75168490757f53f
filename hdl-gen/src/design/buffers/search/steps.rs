//! Which numbers a search tries next.

use super::super::LEAST;
use super::PredictError;

/// The least depth that `keeps`, where `enough` does and all above the least: a single word, or down in growing steps and then
/// between what does not and what does. Most FIFOs need a single word or nearly all that they held.
pub(super) fn descend(enough: u32, keeps: impl Fn(u32) -> bool) -> u32 {
    if enough <= LEAST || keeps(LEAST) {
        return enough.min(LEAST);
    }
    let (low, mut high, mut step) = (LEAST + 1, enough, 1);
    while low < high {
        let depth = high - step.min(high - low);
        if keeps(depth) {
            (high, step) = (depth, step.saturating_mul(4));
        } else {
            return between(depth, high, keeps);
        }
    }
    high
}

/// The least depth that `keeps`, where `fails` does not and `high` does.
pub(super) fn between(fails: u32, high: u32, mut keeps: impl FnMut(u32) -> bool) -> u32 {
    let (mut low, mut high) = (fails + 1, high);
    while low < high {
        let middle = low + (high - low) / 2;
        if keeps(middle) { high = middle } else { low = middle + 1 }
    }
    high
}

/// The least depth that `keeps`, where `fails` does not and `enough` does: up in growing steps, then between.
pub(super) fn ascend(fails: u32, enough: u32, mut keeps: impl FnMut(u32) -> bool) -> u32 {
    let (mut low, mut step) = (fails, 1);
    while enough - low > step {
        let depth = low + step;
        if keeps(depth) {
            return between(low, depth, keeps);
        }
        (low, step) = (depth, step.saturating_mul(4));
    }
    between(low, enough, keeps)
}

/// Two depths to try between one that is `late` and one that is not, from trials that were late by so many cycles.
pub(super) fn next_depths(points: &[(u32, u64)], late: u32, high: u32) -> [u32; 2] {
    let inside = |depth: u32| depth.clamp(late + 1, high - 1);
    let span = high - late;
    if let [.., (far, far_late), (near, near_late)] = *points
        && far < near
        && far_late > near_late
    {
        let words = (near_late * u64::from(near - far)).div_ceil(far_late - near_late);
        let guess = near.saturating_add(u32::try_from(words).unwrap_or(u32::MAX));
        // Too far: how steep it is nearer to the end.
        let guess = if guess < high { guess } else { late + span / 4 * 3 };
        return [inside(guess.saturating_sub(1)), inside(guess)];
    }
    match points {
        // How steep it is there, and whether it is far.
        [(point, _)] if *point == late => [inside(late + 1), inside(late + span / 2)],
        _ => [inside(late + span / 3), inside(late + span / 3 * 2)],
    }
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
                assert_eq!(descend(enough, |depth| depth >= least), least, "of {enough}");
                if least > 1 {
                    assert_eq!(between(1, enough, |depth| depth >= least), least, "of {enough}");
                    assert_eq!(ascend(1, enough, |depth| depth >= least), least, "of {enough}");
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

    #[test]
    fn a_straight_line_of_lateness_leads_to_its_end() {
        // Late by 25 cycles for each word below 13,324.
        let points = [(11_901, 35_575), (12_990, 8_350)];
        assert_eq!(next_depths(&points, 12_990, 14_081), [13_323, 13_324]);
        // A line that leads past what is enough says nothing but that it is steeper.
        assert_eq!(next_depths(&points, 12_990, 13_100), [13_070, 13_071]);
        assert_eq!(next_depths(&[], 1, 10), [4, 7]);
        // A single trial has no slope yet.
        assert_eq!(next_depths(&[(1, 932)], 1, 4_000), [2, 2_000]);
        assert_eq!(next_depths(&[], 8, 10), [9, 9]);
    }
}
