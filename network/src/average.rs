//! Averages whose windows at the border count fewer taps than the others.
//!
//! An average over n taps divides by n. Where n differs from position to position, every sum is multiplied by L / n, with
//! L the least common multiple of all n: all products then stand on one scale, and the division by L is part of what
//! they mean. Rows and columns count apart, so that n, L and the factor are products of one number for each axis.

use crate::shape::{Shape, Window};

/// Which taps of a sum over windows count: those on the input, and those on so many rows and columns of padding around
/// it. Pairs are (rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Counted padding above and to the left; at most the window's.
    pub before: [u64; 2],
    /// Counted padding below and to the right; at most the window's.
    pub after: [u64; 2],
}

/// Counts and factors of all positions of a window, rows and columns apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountFactors {
    axes: [AxisFactors; 2],
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct AxisFactors {
    positions: u64,
    /// Positions at the start whose windows reach padding.
    before: u64,
    /// Those at the end.
    after: u64,
    /// Counted taps of each of them, with those of the positions between, where there are any, in their place.
    counts: Vec<i64>,
    common: i64,
}

impl Counted {
    /// Taps along one axis that count at a position over so many rows or columns of input.
    pub fn taps(&self, window: &Window, axis: usize, position: u64, length: u64) -> u64 {
        let first = window.padding_before[axis].saturating_sub(self.before[axis]);
        let end = window.padding_before[axis] + length + self.after[axis];
        let place = |tap: u64| position * window.stride[axis] + tap * window.dilation[axis];
        (0..window.kernel[axis]).filter(|&tap| (first..end).contains(&place(tap))).count() as u64
    }

    /// Counts and factors of a window that fits; `None` where a window counts no tap, or a number leaves 62 bits.
    pub fn factors(&self, window: &Window, input: Shape) -> Option<CountFactors> {
        let [rows, columns] = window.positions(input)?;
        let axis = |axis: usize, positions: u64, length: u64| -> Option<AxisFactors> {
            let [before, after] = window.border(axis, positions, length);
            let places = border_places(positions, before, after);
            let counts = places.map(|position| self.taps(window, axis, position, length) as i64).collect::<Vec<i64>>();
            let common = counts.iter().try_fold(1, |common, &count| least_common_multiple(common, count))?;
            Some(AxisFactors { positions, before, after, counts, common })
        };
        let factors = CountFactors { axes: [axis(0, rows, input.rows)?, axis(1, columns, input.columns)?] };
        let [rows, columns] = &factors.axes;
        rows.common.checked_mul(columns.common).filter(|&common| common < 1 << 62).map(|_| factors)
    }
}

impl CountFactors {
    /// The common multiple L of all counts.
    pub fn common(&self) -> i64 {
        self.axes[0].common * self.axes[1].common
    }

    /// Counted taps of the window at a position.
    pub fn count(&self, position: [u64; 2]) -> i64 {
        [0, 1].into_iter().map(|axis| self.axes[axis].count(position[axis])).product()
    }

    /// What the sum at a position is multiplied by.
    pub fn factor(&self, position: [u64; 2]) -> i64 {
        self.common() / self.count(position)
    }
}

impl AxisFactors {
    fn count(&self, position: u64) -> i64 {
        let place = if position < self.before {
            position
        } else if position + self.after >= self.positions {
            self.counts.len() as u64 - (self.positions - position)
        } else {
            self.before
        };
        self.counts.get(place as usize).copied().unwrap_or(1)
    }
}

/// The positions at both ends, with one of those between in their place.
pub fn border_places(positions: u64, before: u64, after: u64) -> impl Iterator<Item = u64> {
    let shared = (before + after < positions).then_some(before);
    (0..before).chain(shared).chain(positions - after..positions)
}

/// `None` where it is zero or leaves 62 bits.
fn least_common_multiple(a: i64, b: i64) -> Option<i64> {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a.checked_div(x)?.checked_mul(b).filter(|&multiple| (1..1 << 62).contains(&multiple))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(kernel: [u64; 2], stride: [u64; 2], before: [u64; 2], after: [u64; 2]) -> Window {
        Window { kernel, stride, dilation: [1, 1], padding_before: before, padding_after: after }
    }

    #[test]
    fn corners_count_four_of_nine() {
        let counted = Counted { before: [0, 0], after: [0, 0] };
        let window = window([3, 3], [1, 1], [1, 1], [1, 1]);
        let factors = counted.factors(&window, Shape::new(4, 5, 1).unwrap()).unwrap();
        assert_eq!(factors.common(), 36);
        assert_eq!([[0, 0], [0, 2], [3, 4], [1, 3]].map(|position| factors.factor(position)), [9, 6, 9, 4]);
    }

    #[test]
    fn padding_counts_as_far_as_it_is_declared() {
        // Three columns and one of padding behind; rounding up adds another that does not count.
        let counted = Counted { before: [0, 0], after: [0, 1] };
        let window = window([1, 3], [1, 2], [0, 0], [0, 2]);
        let factors = counted.factors(&window, Shape::new(1, 3, 1).unwrap()).unwrap();
        assert_eq!([0, 1].map(|column| factors.count([0, column])), [3, 2]);
    }

    #[test]
    fn a_window_that_counts_nothing_has_no_factor() {
        let counted = Counted { before: [0, 0], after: [0, 0] };
        let mut window = window([2, 1], [1, 1], [2, 0], [0, 0]);
        window.dilation = [3, 1];
        assert_eq!(counted.factors(&window, Shape::new(4, 1, 1).unwrap()).map(|f| f.count([0, 0])), Some(1));
        window.padding_before = [3, 0];
        window.dilation = [2, 1];
        assert_eq!(counted.factors(&window, Shape::new(4, 1, 1).unwrap()), None);
    }
}
