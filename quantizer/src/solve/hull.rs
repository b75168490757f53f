//! The few thresholds that matter to a straight line.

/// A point (sum, code).
pub(crate) type Point = (i64, i64);

/// A line that may pass through or above every point of `below` and must pass below every point of `above`: both
/// reduced to their convex hulls, which no line that passes the hull's corners can miss.
#[derive(Clone, Debug, Default)]
pub(crate) struct Corridor {
    pub below: Vec<Point>,
    pub above: Vec<Point>,
}

impl Corridor {
    /// Adds a sum where at least `code` must be reached; sums and codes must not fall from call to call.
    pub fn reach(&mut self, sum: i64, code: i64) {
        push(&mut self.below, (sum, code), 1);
    }

    /// Adds a sum where `code` must not be reached yet; sums and codes must not fall from call to call.
    pub fn miss(&mut self, sum: i64, code: i64) {
        push(&mut self.above, (sum, code), -1);
    }
}

/// Appends to an upper (`side` 1) or lower (`side` -1) hull of points with ascending sums.
fn push(hull: &mut Vec<Point>, point: Point, side: i128) {
    let wide = |value: i64| i128::from(value);
    if let Some(last) = hull.last().copied().filter(|last| last.0 == point.0) {
        if wide(point.1 - last.1) * side <= 0 {
            return;
        }
        hull.pop();
    }
    while let [.., a, b] = hull[..] {
        // b lies on or inside the segment from a to the new point.
        let turn = (wide(b.0) - wide(a.0)) * (wide(point.1) - wide(a.1))
            - (wide(b.1) - wide(a.1)) * (wide(point.0) - wide(a.0));
        if turn * side < 0 {
            break;
        }
        hull.pop();
    }
    hull.push(point);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hulls_keep_corners_only() {
        let mut corridor = Corridor::default();
        for (sum, code) in [(0, 1), (4, 2), (5, 3), (10, 4), (11, 5)] {
            corridor.miss(sum - 1, code);
            corridor.reach(sum, code);
        }
        assert_eq!(corridor.below, [(0, 1), (5, 3), (11, 5)]);
        assert_eq!(corridor.above, [(-1, 1), (3, 2), (9, 4), (10, 5)]);
    }
}
