//! Adam (Kingma and Ba 2015) for lists of numbers.

/// The state of one list.
#[derive(Clone, Debug)]
pub(crate) struct Adam {
    rate: f64,
    first: Vec<f64>,
    second: Vec<f64>,
    steps: i32,
}

impl Adam {
    /// For so many numbers.
    pub fn new(count: usize, rate: f64) -> Self {
        Adam { rate, first: vec![0.0; count], second: vec![0.0; count], steps: 0 }
    }

    /// One step against the gradient.
    pub fn step(&mut self, values: &mut [f32], gradient: &[f32]) {
        self.steps += 1;
        let (early, late) = (1.0 - 0.9f64.powi(self.steps), 1.0 - 0.999f64.powi(self.steps));
        for (place, (value, &slope)) in values.iter_mut().zip(gradient).enumerate() {
            let slope = f64::from(slope);
            self.first[place] = 0.9 * self.first[place] + 0.1 * slope;
            self.second[place] = 0.999 * self.second[place] + 0.001 * slope * slope;
            let (mean, square) = (self.first[place] / early, self.second[place] / late);
            *value -= (self.rate * mean / (square.sqrt() + 1e-12)) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Adam;

    /// The first step has the length of the rate, whatever the gradient's; a quadratic's minimum is reached.
    #[test]
    fn steps() {
        let mut values = [3.0f32, -1.0];
        let mut adam = Adam::new(2, 0.1);
        adam.step(&mut values, &[250.0, -0.004]);
        assert!((values[0] - 2.9).abs() < 1e-6 && (values[1] + 0.9).abs() < 1e-6, "{values:?}");
        for _ in 0..600 {
            let gradient = [20.0 * (values[0] - 0.5), 0.2 * (values[1] - 0.25)];
            adam.step(&mut values, &gradient);
        }
        assert!((values[0] - 0.5).abs() < 1e-2 && (values[1] - 0.25).abs() < 1e-2, "{values:?}");
    }
}
