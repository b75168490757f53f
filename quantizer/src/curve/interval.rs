//! Intervals of doubles, and intervals of a function's value and slope together.

/// All numbers from `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    pub low: f64,
    pub high: f64,
}

/// Bounds of a function and of its slope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tangent {
    pub value: Interval,
    pub slope: Interval,
}

impl Interval {
    /// From one number to another, in any order; everything where one is no number.
    pub fn new(a: f64, b: f64) -> Self {
        if a.is_nan() || b.is_nan() {
            return Interval { low: f64::NEG_INFINITY, high: f64::INFINITY };
        }
        Interval { low: a.min(b), high: a.max(b) }
    }

    pub fn plus(self, other: Self) -> Self {
        Interval::new(self.low + other.low, self.high + other.high)
    }

    pub fn times(self, other: Self) -> Self {
        let product = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
        let ends = [
            product(self.low, other.low),
            product(self.low, other.high),
            product(self.high, other.low),
            product(self.high, other.high),
        ];
        let low = ends.iter().copied().fold(f64::INFINITY, f64::min);
        let high = ends.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Interval::new(low, high)
    }

    /// The reciprocals; everything where 0 is among the numbers.
    pub fn reciprocal(self) -> Self {
        if self.low <= 0.0 && self.high >= 0.0 {
            return Interval::new(f64::NAN, f64::NAN);
        }
        Interval::new(1.0 / self.low, 1.0 / self.high)
    }

    pub fn union(self, other: Self) -> Self {
        Interval { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    pub fn contains(self, number: f64) -> bool {
        self.low <= number && number <= self.high
    }
}

impl Tangent {
    /// The integers themselves.
    pub fn identity(integers: Interval) -> Self {
        Tangent { value: integers, slope: Interval::new(1.0, 1.0) }
    }

    /// Nothing is known.
    pub fn unknown() -> Self {
        let all = Interval::new(f64::NAN, f64::NAN);
        Tangent { value: all, slope: all }
    }

    pub fn affine(self, gain: f64, offset: f64) -> Self {
        let gains = Interval::new(gain, gain);
        Tangent { value: self.value.times(gains).plus(Interval::new(offset, offset)), slope: self.slope.times(gains) }
    }

    pub fn clamp(self, low: f64, high: f64) -> Self {
        let clamp = |number: f64| number.max(low).min(high);
        let Interval { low: least, high: most } = self.value;
        let slope = if least >= low && most <= high {
            self.slope
        } else if most <= low || least >= high {
            Interval::new(0.0, 0.0)
        } else {
            self.slope.union(Interval::new(0.0, 0.0))
        };
        Tangent { value: Interval::new(clamp(least), clamp(most)), slope }
    }

    pub fn plus(self, other: Self) -> Self {
        Tangent { value: self.value.plus(other.value), slope: self.slope.plus(other.slope) }
    }

    pub fn times(self, other: Self) -> Self {
        Tangent {
            value: self.value.times(other.value),
            slope: self.slope.times(other.value).plus(self.value.times(other.slope)),
        }
    }

    pub fn over(self, other: Self) -> Self {
        let reciprocal = other.value.reciprocal();
        let square = reciprocal.times(reciprocal);
        let fall = square.times(other.slope).times(Interval::new(-1.0, -1.0));
        self.times(Tangent { value: reciprocal, slope: fall })
    }

    /// Follows with a function that is `value` on the interval and has slopes `slope` there.
    pub fn then(self, value: Interval, slope: Interval) -> Self {
        Tangent { value, slope: self.slope.times(slope) }
    }
}
