//! The search for the least depth of one FIFO in runs of the whole design, one or two depths at a time.

use super::super::LEAST;
use super::Late;

/// Steps up from a hint that was too few.
const STEPS: [u32; 2] = [32, 1024];

/// What is known of one FIFO.
///
/// Most FIFOs cannot spare a word; others need what parts of the design have shown or hardly more, or hardly any. Else a line
/// through two trials that were late leads to the least depth: near it each word less makes a frame late by as many cycles as the
/// FIFO's reader takes for one.
#[derive(Clone, Debug)]
pub(super) struct Descent {
    pub stage: usize,
    /// The deepest that is known to be late; one word less than the least where none is.
    late: u32,
    /// The least that is known to be in time.
    pub high: u32,
    /// Depths to try first as long as nothing is known of them, the first one behind.
    wishes: Vec<u32>,
    /// Trials that were late: depth, sink and frame, cycles.
    points: Vec<(u32, (usize, usize), u64)>,
    /// The last trial left less than half of what was between late and in time.
    is_quick: bool,
}

impl Descent {
    /// Below a depth that is in time; `hint` is perhaps a little too few.
    pub(super) fn new(stage: usize, depth: u32, hint: Option<u32>) -> Self {
        let hinted = hint.into_iter().flat_map(|hint| {
            let [near, far] = STEPS.map(|step| hint.saturating_add(step));
            [hint, hint.saturating_sub(1), near, far]
        });
        let mut wishes: Vec<u32> = [depth - 1].into_iter().chain(hinted).chain([LEAST, LEAST + 1]).collect();
        wishes.reverse();
        Self { stage, late: LEAST - 1, high: depth, wishes, points: Vec::new(), is_quick: true }
    }

    /// Between a depth that is late and one that is in time.
    pub(super) fn between(stage: usize, late: u32, depth: u32) -> Self {
        Self { late, wishes: Vec::new(), ..Self::new(stage, depth, None) }
    }

    /// Whether a word less is late.
    pub(super) fn is_done(&self) -> bool {
        self.late + 1 >= self.high
    }

    /// The depth to try next, unless it is done.
    pub(super) fn next_depth(&mut self) -> u32 {
        while let Some(wish) = self.wishes.pop() {
            if self.late < wish && wish < self.high {
                return wish;
            }
        }
        let span = self.high - self.late;
        if let [.., (far, place, far_late), (near, near_place, near_late)] = self.points[..]
            && place == near_place
            && far < near
            && far_late > near_late
            && self.is_quick
        {
            let words = (u128::from(near_late) * u128::from(near - far)).div_ceil(u128::from(far_late - near_late));
            let guess = near.saturating_add(u32::try_from(words).unwrap_or(u32::MAX));
            // Too far: how steep it is nearer to the end.
            return if guess <= self.high {
                guess.clamp(self.late + 1, self.high - 1)
            } else {
                self.high - (span / 4).max(1)
            };
        }
        self.late + span / 2
    }

    /// The same and one beside it, if there is another.
    pub(super) fn next_pair(&mut self) -> Vec<u32> {
        let depth = self.next_depth();
        let above = depth + (self.high - depth) / 2;
        let beside = if depth - 1 > self.late { depth - 1 } else { above };
        [depth, beside].into_iter().take(if beside == depth { 1 } else { 2 }).collect()
    }

    /// Enters a trial.
    pub(super) fn note(&mut self, depth: u32, late: Late) {
        let span = self.high - self.late;
        match late {
            Late::No => self.high = self.high.min(depth),
            Late::Frame { sink, frame, cycles } if depth > self.late => {
                self.late = depth;
                self.points.push((depth, (sink, frame), cycles));
            }
            Late::Frame { .. } | Late::Never => self.late = self.late.max(depth),
        }
        self.is_quick = (self.high - self.late) <= span / 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A FIFO whose frames are late by so many cycles a word, and less so far from the least depth.
    fn trial(depth: u32, least: u32) -> Late {
        let missing = u64::from(least.saturating_sub(depth));
        match missing {
            0 => Late::No,
            1..=1000 => Late::Frame { sink: 0, frame: 1, cycles: missing * 24 },
            _ => Late::Frame { sink: 0, frame: 0, cycles: missing * 7 },
        }
    }

    #[test]
    fn the_least_depth_is_found_whatever_the_hint() {
        for enough in [2, 3, 50, 10_000] {
            let around = |depth: u32| [depth.saturating_sub(40), depth, depth + 1].map(|d| d.clamp(LEAST, enough));
            for least in [1, 2, 3, 17, 4000, 9999, 10_000].into_iter().filter(|&least| least <= enough) {
                for hint in around(least).map(Some).into_iter().chain([None, Some(LEAST), Some(enough / 2)]) {
                    for pairs in [false, true] {
                        let mut descent = Descent::new(0, enough, hint);
                        let mut runs = 0;
                        while !descent.is_done() {
                            let depths = if pairs { descent.next_pair() } else { vec![descent.next_depth()] };
                            for depth in depths {
                                assert!((LEAST..enough).contains(&depth), "{depth} of {enough}");
                                descent.note(depth, trial(depth, least));
                            }
                            runs += 1;
                        }
                        assert_eq!(descent.high, least, "of {enough} with {hint:?}");
                        assert!(runs <= 22, "{runs} runs for {least} of {enough} with {hint:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn one_run_shows_that_no_word_can_be_spared() {
        let mut descent = Descent::new(0, 3000, Some(2000));
        let depth = descent.next_depth();
        assert_eq!(depth, 2999);
        descent.note(depth, Late::Never);
        assert!(descent.is_done());
    }

    /// Between two trials that were late by so many cycles a word, the third one is the least depth and the fourth shows it.
    #[test]
    fn a_line_leads_to_the_least_depth() {
        let mut descent = Descent::between(0, 5000, 9000);
        let mut depths = Vec::new();
        while !descent.is_done() {
            let depth = descent.next_depth();
            let late = match 8500_u64.saturating_sub(depth.into()) {
                0 => Late::No,
                missing => Late::Frame { sink: 0, frame: 0, cycles: missing * 24 },
            };
            descent.note(depth, late);
            depths.push(depth);
        }
        assert_eq!(depths, [7000, 8000, 8500, 8499]);
    }
}
