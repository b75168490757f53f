//! When whole frames end, where a design has several outputs.

use super::Report;

impl Report {
    /// For each frame that every sink has, the cycle in which the last of them took its last word.
    pub fn complete_frame_ends(&self) -> Vec<u64> {
        let ends = &self.frame_end_cycles;
        let frames = ends.iter().map(Vec::len).min().unwrap_or(0);
        (0..frames).map(|frame| ends.iter().filter_map(|ends| ends.get(frame).copied()).max().unwrap_or(0)).collect()
    }

    /// Distance between the ends of the last two whole frames; none with fewer than two frames.
    pub fn complete_interval(&self) -> Option<u64> {
        match self.complete_frame_ends().as_slice() {
            [.., before, last] => Some(last - before),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_ends_at_its_last_sink() {
        let report = Report {
            first_input_cycle: 0,
            last_output_cycle: 30,
            frame_end_cycles: vec![vec![5, 9, 30], vec![4, 12]],
            word_cycles: Vec::new(),
            occupancy_max: Vec::new(),
        };
        assert_eq!((report.complete_frame_ends(), report.complete_interval()), (vec![5, 12], Some(7)));
    }
}
