//! Piecewise activations: three regions cut at two breakpoints, each with a step of its own (HMPTQ, Remote Sensing 2024,
//! 16(21), 4042, section 3.3: R1 = [min, b1], R2 = (b1, b2), R3 = [b2, max]; PWLQ's idea, Fang et al. 2020, on
//! activations).
//!
//! Steps are integer multiples of one base step, so a level is one exact integer and travels as such: whatever reads it
//! is an ordinary layer. Making codes is one comparison with a merged list of thresholds, the middles between
//! neighbouring levels of all regions; at run time no region is told apart. What is gained are fewer thresholds and
//! less error than equal steps have for as many levels; what it costs are wires as wide as the base grid.
//!
//! The search takes the breakpoints among quantiles of the histogram and the multipliers of least squared error, with no
//! more levels than asked for. The papers give no rule for steps of activations; this one is hwgen's own.

/// Multipliers of the base step that are tried.
const MULTIPLIERS: [i64; 15] = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 40, 48, 64];
/// Quantiles among which breakpoints are looked for.
const QUANTILES: usize = 24;

/// Values gathered in bins, as parts of the base step: position and how many there are, ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    bins: Vec<(f64, f64)>,
    /// Sums of counts, of values and of squares up to each bin.
    sums: Vec<[f64; 3]>,
}

/// Three regions of levels.
#[derive(Clone, Debug, PartialEq)]
pub struct Regions {
    /// The least level, the two breakpoints and the greatest level, in base steps; each is a level.
    pub bounds: [i64; 4],
    /// Step of each region in base steps.
    pub multipliers: [i64; 3],
    /// Sum of squared errors over the histogram, in squared base steps.
    pub error: f64,
}

impl Histogram {
    /// From positions and counts in any order; positions that are no numbers are left out.
    pub fn new(bins: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut bins: Vec<(f64, f64)> = bins.into_iter().filter(|bin| bin.0.is_finite() && bin.1 > 0.0).collect();
        bins.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut sums = vec![[0.0; 3]];
        for &(at, count) in &bins {
            let [counts, values, squares] = sums.last().copied().unwrap_or_default();
            sums.push([counts + count, values + at * count, squares + at * at * count]);
        }
        Histogram { bins, sums }
    }

    /// Squared error of the values from `low` up to below `high` that all become `level`.
    fn error(&self, low: f64, high: f64, level: f64) -> f64 {
        let from = self.bins.partition_point(|bin| bin.0 < low);
        let to = self.bins.partition_point(|bin| bin.0 < high).max(from);
        let [count, sum, squares] = std::array::from_fn(|index| self.sums[to][index] - self.sums[from][index]);
        (squares - 2.0 * level * sum + level * level * count).max(0.0)
    }

    /// Squared error where values become the nearest of ascending levels.
    pub fn error_of(&self, levels: &[i64]) -> f64 {
        let middle = |a: i64, b: i64| (a + b) as f64 / 2.0;
        let ends = |index: usize| {
            let low = if index == 0 { f64::NEG_INFINITY } else { middle(levels[index - 1], levels[index]) };
            (low, levels.get(index + 1).map_or(f64::INFINITY, |&next| middle(levels[index], next)))
        };
        (0..levels.len()).map(|index| self.error(ends(index).0, ends(index).1, levels[index] as f64)).sum()
    }

    /// The position below which a part of all values lies.
    fn quantile(&self, part: f64) -> f64 {
        let total = self.sums.last().map_or(0.0, |sums| sums[0]);
        let at = self.sums.partition_point(|sums| sums[0] < part * total).saturating_sub(1);
        self.bins.get(at.min(self.bins.len().saturating_sub(1))).map_or(0.0, |bin| bin.0)
    }
}

impl Regions {
    /// All levels, ascending.
    pub fn levels(&self) -> Vec<i64> {
        let mut levels = vec![self.bounds[0]];
        for (region, multiplier) in self.multipliers.into_iter().enumerate() {
            let mut next = self.bounds[region] + multiplier;
            while next <= self.bounds[region + 1] {
                levels.push(next);
                next += multiplier;
            }
        }
        levels
    }

    /// The regions of least error with at most `most_levels` levels from `low` on, none above `high`; `None` where the
    /// range has no room for three.
    pub fn search(histogram: &Histogram, (low, high): (i64, i64), most_levels: usize) -> Option<Self> {
        let most = most_levels as i64;
        let mut cuts: Vec<i64> =
            (1..QUANTILES).map(|step| histogram.quantile(step as f64 / QUANTILES as f64).round() as i64).collect();
        // Long tails hold few values but need a breakpoint.
        cuts.extend((1..QUANTILES as i64).map(|step| low + (high - low) * step / QUANTILES as i64));
        cuts.retain(|cut| (low + 1..high).contains(cut));
        cuts.sort_unstable();
        cuts.dedup();
        // For each end of the first region its step and error, the best first region that ends there.
        let mut best: Option<Regions> = None;
        let region = |from: i64, to: i64, multiplier: i64| -> f64 {
            // Values up to half a step beyond the last level belong to the next region.
            let mut sum = 0.0;
            let mut level = from;
            while level < to {
                let next = level + multiplier;
                let middle = (level + next) as f64 / 2.0;
                sum += histogram.error(level as f64, middle, level as f64);
                sum += histogram.error(middle, next as f64, next as f64);
                level = next;
            }
            sum
        };
        let below = histogram.error(f64::NEG_INFINITY, low as f64, low as f64);
        let mut firsts: Vec<(i64, i64, i64, f64)> = Vec::new();
        for &cut in &cuts {
            for multiplier in MULTIPLIERS {
                let count = ((cut - low) as f64 / multiplier as f64).round() as i64;
                let end = low + count * multiplier;
                if count >= 1
                    && count < most - 2
                    && end < high
                    && !firsts.iter().any(|f| f.0 == end && f.1 == multiplier)
                {
                    firsts.push((end, multiplier, count, region(low, end, multiplier)));
                }
            }
        }
        let mut lasts: std::collections::BTreeMap<i64, Vec<(i64, i64, i64, f64)>> = std::collections::BTreeMap::new();
        for &(first_end, first_multiplier, first_count, first_error) in &firsts {
            for &cut in cuts.iter().filter(|&&cut| cut > first_end) {
                for multiplier in MULTIPLIERS {
                    let count = ((cut - first_end) as f64 / multiplier as f64).round() as i64;
                    let end = first_end + count * multiplier;
                    let left = most - 1 - first_count - count;
                    if count < 1 || left < 1 || end >= high {
                        continue;
                    }
                    let bound = best.as_ref().map_or(f64::INFINITY, |best| best.error) - below - first_error;
                    if bound <= 0.0 {
                        continue;
                    }
                    let tails = lasts.entry(end).or_insert_with(|| {
                        let tail = |multiplier: i64| {
                            let count = (high - end) / multiplier;
                            let last = end + count * multiplier;
                            let beyond = histogram.error(last as f64, f64::INFINITY, last as f64);
                            (count >= 1).then(|| (last, multiplier, count, region(end, last, multiplier) + beyond))
                        };
                        MULTIPLIERS.into_iter().filter_map(tail).collect()
                    });
                    let tail = tails.iter().filter(|tail| tail.2 <= left).min_by(|a, b| a.3.total_cmp(&b.3));
                    let Some(&(last, last_multiplier, _, last_error)) = tail else { continue };
                    if last_error >= bound {
                        continue;
                    }
                    let error = below + first_error + last_error + region(first_end, end, multiplier);
                    if best.as_ref().is_none_or(|best| error < best.error) {
                        best = Some(Regions {
                            bounds: [low, first_end, end, last],
                            multipliers: [first_multiplier, multiplier, last_multiplier],
                            error,
                        });
                    }
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::normal_numbers;
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Histogram {
        Histogram::new(values.into_iter().map(|value| (value, 1.0)))
    }

    /// By brute force over all values: the error that the search states is that of the nearest level.
    #[track_caller]
    fn check(values: &[f64], (low, high): (i64, i64), most_levels: usize) -> Regions {
        let regions = Regions::search(&of(values.iter().copied()), (low, high), most_levels).unwrap();
        let levels = regions.levels();
        assert!(levels.len() <= most_levels && levels.is_sorted() && levels[0] == low, "{regions:?}");
        assert!(levels.last().unwrap() <= &high);
        for bound in regions.bounds {
            assert!(levels.contains(&bound), "{regions:?}");
        }
        let nearest =
            |value: f64| levels.iter().map(|&level| (value - level as f64).powi(2)).fold(f64::INFINITY, f64::min);
        let error: f64 = values.iter().map(|&value| nearest(value)).sum();
        assert!((error - regions.error).abs() <= 1e-6 * error.max(1.0), "{error} {regions:?}");
        assert!((of(values.iter().copied()).error_of(&levels) - error).abs() <= 1e-6 * error.max(1.0));
        regions
    }

    #[test]
    fn half_a_gaussian_has_fine_steps_first() {
        let values: Vec<f64> = normal_numbers(3000).into_iter().map(|value| value.abs() * 64.0).collect();
        let regions = check(&values, (0, 255), 16);
        assert!(regions.multipliers.is_sorted(), "{regions:?}");
        // Equal steps of any reach are worse.
        let uniform =
            |step: i64| of(values.iter().copied()).error_of(&(0..16).map(|code| code * step).collect::<Vec<_>>());
        let plain = (1..=17).map(uniform).fold(f64::INFINITY, f64::min);
        assert!(regions.error < plain, "{} {plain}", regions.error);
    }

    #[test]
    fn a_gaussian_is_fine_in_the_middle() {
        let values: Vec<f64> = normal_numbers(3000).into_iter().map(|value| value * 32.0).collect();
        let regions = check(&values, (-128, 127), 16);
        let [first, middle, last] = regions.multipliers;
        assert!(middle < first && middle < last, "{regions:?}");
    }

    #[test]
    fn small_ranges_and_few_levels() {
        check(&[0.0, 1.0, 2.0, 3.0], (0, 3), 4);
        check(&[0.2, 5.0, 6.9, 30.0], (0, 15), 5);
        assert!(Regions::search(&of([1.0, 2.0]), (0, 2), 4).is_none());
        assert!(Regions::search(&of([1.0, 2.0]), (0, 100), 3).is_none());
    }
}
