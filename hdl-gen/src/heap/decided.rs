//! How far the choice of carry chains depends on the threshold of a heap, so that larger thresholds need not be tried.

/// What would decide the same with another threshold.
#[derive(Clone, Copy, Debug)]
pub struct Decided {
    /// Largest threshold that was compared with a figure at least as large.
    up_to: f64,
}

impl Default for Decided {
    fn default() -> Self {
        Decided { up_to: f64::INFINITY }
    }
}

impl Decided {
    /// Notes whether a figure was enough for the heap's threshold, and passes it on; a threshold of 0 is nobody's choice.
    pub(super) fn note(&mut self, enough: bool, figure: f64, threshold: f64) -> bool {
        if enough && threshold > 0.0 {
            self.up_to = self.up_to.min(figure);
        }
        enough
    }

    /// Whether all was decided as with a larger threshold, in percent. What is near enough to depend on rounding counts as not.
    pub fn holds_to(&self, percent: u32) -> bool {
        f64::from(percent) / 100.0 < self.up_to - 1e-6
    }
}
