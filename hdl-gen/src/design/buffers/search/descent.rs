//! The search for the least depth of one FIFO in runs of the whole design, one or two depths at a time.

use super::super::LEAST;
use super::Late;

/// A line through two late trials misses the least depth by about one in so many of the words that it is long.
const LINE_ERROR: u32 = 64;
/// A line through one late trial, which rests on the reader's mean pitch, by one in so many.
const PITCH_ERROR: u32 = 2;
/// Each step down from a line's end is so many times as long as the one before.
const LONGER: u32 = 4;
/// After so many trials in a row that left more than half of what was between late and in time, the rest is halved.
const SLOW_TRIALS: u32 = 4;

/// What is known of one FIFO.
///
/// Most FIFOs cannot spare a word; others need what parts of the design have shown, or hardly any. Else a line from a trial that was
/// late leads to the least depth: each word less makes a frame late by as many cycles as the FIFO's reader takes for one, or by
/// as many as two late trials show.
#[derive(Clone, Debug)]
pub(super) struct Descent {
    pub stage: usize,
    /// The deepest that is known to be late; one word less than the least where none is.
    late: u32,
    /// The least that is known to be in time.
    pub high: u32,
    /// Depths to try first as long as nothing is known of them, the first one behind.
    wishes: Vec<u32>,
    /// Cycles in which the FIFO's reader takes a word, in the mean.
    pitch: u64,
    /// Trials that were late: depth, sink and frame, cycles.
    points: Vec<(u32, (usize, usize), u64)>,
    /// Where the last line ended, and by how many words it may have missed.
    line: Option<(u32, u32)>,
    /// How far below what is in time to try next; 0: no line has ended there.
    step: u32,
    /// Trials in a row that left more than half of what was between late and in time.
    slow: u32,
}

impl Descent {
    /// Below a depth that is in time, and tight where a word less is likely to be late; `hint` is perhaps a little too few.
    pub(super) fn new(stage: usize, depth: u32, is_tight: bool, hint: Option<u32>, pitch: u64) -> Self {
        let hinted = hint.into_iter().flat_map(|hint| [hint, hint.saturating_sub(1)]);
        let tight = is_tight.then_some(depth - 1);
        let mut wishes: Vec<u32> = tight.into_iter().chain(hinted).chain([LEAST, LEAST + 1]).collect();
        wishes.reverse();
        let (late, pitch) = (LEAST - 1, pitch.max(1));
        Self { stage, late, high: depth, wishes, pitch, points: Vec::new(), line: None, step: 0, slow: 0 }
    }

    /// Between a depth that is late and one that is in time.
    pub(super) fn between(stage: usize, late: u32, depth: u32, pitch: u64) -> Self {
        Self { late, wishes: Vec::new(), ..Self::new(stage, depth, false, None, pitch) }
    }

    /// Whether a word less is late.
    pub(super) fn is_done(&self) -> bool {
        self.late + 1 >= self.high
    }

    /// The depths to try next, unless it is done: one, or one or two to be tried side by side.
    pub(super) fn next_depths(&mut self, pairs: bool) -> Vec<u32> {
        let (late, high, most) = (self.late, self.high, 1 + usize::from(pairs));
        self.wishes.retain(|&wish| late < wish && wish < high);
        let mut depths: Vec<u32> = if self.wishes.is_empty() {
            let [one, other] = self.next_two(pairs);
            [one, other.clamp(late + 1, high - 1)].into_iter().take(if one == other { 1 } else { most }).collect()
        } else {
            self.wishes.split_off(self.wishes.len().saturating_sub(most)).into_iter().rev().collect()
        };
        depths.dedup();
        depths
    }

    /// Where there are no wishes: a depth, and one that may be tried beside it.
    fn next_two(&mut self, pairs: bool) -> [u32; 2] {
        let (high, span) = (self.high, self.high - self.late);
        if self.slow < SLOW_TRIALS {
            if self.step > 0 && self.step < span {
                return [high - self.step, high.saturating_sub(self.step.saturating_mul(LONGER))];
            }
            if let Some((words, error)) = self.line_words().filter(|_| self.step == 0) {
                let (end, error) = (self.late.saturating_add(words), (words / error).max(1));
                if end <= high {
                    // What is in time where the line ends is shown to be the least by a word less.
                    let end = end.min(high - 1);
                    self.line = Some((end, error));
                    return [end, end.saturating_sub(error)];
                }
                // Too far: how steep it is nearer to the end.
                return [high - (span / 4).max(1), self.late + span / 2];
            }
        }
        let parts = if pairs { 3 } else { 2 };
        [self.late + (span / parts).max(1), self.late + 2 * span / parts]
    }

    /// The words that are missing by the last late trial, and which part of them may be an error.
    fn line_words(&self) -> Option<(u32, u32)> {
        let &(near, place, cycles) = self.points.last().filter(|point| point.0 == self.late)?;
        let (words, cycles_less, error) = match self.points.iter().rev().nth(1) {
            Some(&(far, far_place, far_cycles)) if far_place == place && far_cycles > cycles => {
                (u64::from(near - far), far_cycles - cycles, LINE_ERROR)
            }
            _ => (1, self.pitch, PITCH_ERROR),
        };
        let missing = (u128::from(cycles) * u128::from(words)).div_ceil(u128::from(cycles_less));
        Some((u32::try_from(missing).unwrap_or(u32::MAX), error))
    }

    /// Enters a trial.
    pub(super) fn note(&mut self, depth: u32, late: Late) {
        let span = self.high - self.late;
        match late {
            Late::No if depth < self.high => {
                self.step = match self.line {
                    Some((end, error)) if end == depth => error,
                    _ => self.step.saturating_mul(LONGER),
                };
                self.high = depth;
            }
            Late::No => {}
            Late::Frame { sink, frame, cycles } if depth > self.late => {
                (self.late, self.step) = (depth, 0);
                self.points.push((depth, (sink, frame), cycles));
            }
            Late::Frame { .. } | Late::Never => {
                self.late = self.late.max(depth);
                self.step = 0;
            }
        }
        self.slow = if self.high - self.late > span / 2 { self.slow + 1 } else { 0 };
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
                        let mut descent = Descent::new(0, enough, pairs, hint, 24);
                        let mut runs = 0;
                        while !descent.is_done() {
                            for depth in descent.next_depths(pairs) {
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
        let mut descent = Descent::new(0, 3000, true, Some(2000), 24);
        assert_eq!(descent.next_depths(false), [2999]);
        descent.note(2999, Late::Never);
        assert!(descent.is_done());
    }

    /// From trials that were late by so many cycles a word a line ends at the least depth, and a trial of a word less shows it.
    #[test]
    fn a_line_leads_to_the_least_depth() {
        let trials = |cycles: u64, pitch: u64| {
            let mut descent = Descent::between(0, 5000, 9000, pitch);
            let mut depths = Vec::new();
            while !descent.is_done() {
                let [depth] = descent.next_depths(false)[..] else { panic!("one at a time") };
                let late = match 8500_u64.saturating_sub(depth.into()) {
                    0 => Late::No,
                    missing => Late::Frame { sink: 0, frame: 0, cycles: missing * cycles },
                };
                descent.note(depth, late);
                depths.push(depth);
            }
            depths
        };
        // By the reader's pitch, which is checked from half as far.
        assert_eq!(trials(24, 24), [7000, 8500, 7750, 8499]);
        // Less steep than that: from two trials.
        assert_eq!(trials(24, 48), [7000, 7750, 8500, 8489, 8499]);
        // Steeper: the line ends too far away.
        assert_eq!(trials(24, 12), [7000, 8500, 8125, 8499]);
    }
}
