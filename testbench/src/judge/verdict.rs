//! What the judge found.

use serde::Serialize;
use std::fmt;

/// The judgement of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Frames that should have passed.
    pub frames: u64,
    /// The manifest's edges in their order, then the output ports.
    pub edges: Vec<EdgeVerdict>,
    /// Frames that did not end in the predicted cycle; see [`Verdict::compare_cycles`].
    pub cycle_differences: Vec<CycleDifference>,
}

/// The judgement of one edge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EdgeVerdict {
    /// Name of the edge.
    pub name: String,
    /// The plan's layer.
    pub layer: String,
    /// Words that were compared.
    pub words: u64,
    /// Elements that differ.
    pub mismatches: u64,
    /// Words that did not come.
    pub missing_words: u64,
    /// Words that came beyond the frames.
    pub extra_words: u64,
    /// An integer that the edge cannot carry at all.
    pub problem: Option<String>,
    /// The first elements that differ.
    pub first: Vec<Mismatch>,
}

/// One element that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Frame, from 0.
    pub frame: u64,
    /// Number of the element in its frame, in the order of travel.
    pub element: u64,
    /// What that element is.
    pub place: ElementPlace,
    /// The golden model's integer.
    pub expected: i64,
    /// The integer that the wires mean; rounded towards zero where they mean none.
    pub got: i64,
    /// The element that should have been on the wires.
    pub expected_raw: i64,
    /// The element on the wires.
    pub got_raw: i64,
    /// The rising edge at which the word moved.
    pub cycle: u64,
}

/// What an element is in its tensor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ElementPlace {
    /// Output row and column of its window, where it travels in windows.
    pub position: Option<[u64; 2]>,
    /// Row and column of its tap, where it travels in windows.
    pub tap: Option<[u64; 2]>,
    /// Row in the tensor; absent for a padded tap.
    pub row: Option<u64>,
    /// Column in the tensor; absent for a padded tap.
    pub column: Option<u64>,
    /// Channel.
    pub channel: u64,
}

/// A frame that ended too early or too late at an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CycleDifference {
    /// Prefix of the output port.
    pub output: String,
    /// Frame, from 0; the number of frames where the whole run is meant.
    pub frame: u64,
    /// Predicted cycle, counted from the first accepted word.
    pub predicted: Option<u64>,
    /// Simulated cycle.
    pub simulated: Option<u64>,
}

impl Verdict {
    /// Elements that differ, words that are missing or too many, and edges that cannot say their integers.
    pub fn mismatches(&self) -> u64 {
        self.edges.iter().map(EdgeVerdict::faults).sum()
    }

    /// Whether nothing differs, cycles included.
    pub fn is_good(&self) -> bool {
        self.mismatches() == 0 && self.cycle_differences.is_empty()
    }

    /// The first difference: of the earliest frame on the edge nearest to the input.
    pub fn first(&self) -> Option<(&EdgeVerdict, &Mismatch)> {
        let details = self.edges.iter().filter_map(|edge| edge.first.first().map(|mismatch| (edge, mismatch)));
        details.min_by_key(|(_, mismatch)| mismatch.frame)
    }

    /// Notes every frame whose predicted and simulated ends at an output differ; ends count from cycle 0 of the same clock.
    pub fn compare_cycles(&mut self, output: &str, predicted: &[u64], simulated: &[u64]) {
        for frame in 0..predicted.len().max(simulated.len()) {
            let (predicted, simulated) = (predicted.get(frame).copied(), simulated.get(frame).copied());
            if predicted != simulated {
                let (output, frame) = (output.to_owned(), frame as u64);
                self.cycle_differences.push(CycleDifference { output, frame, predicted, simulated });
            }
        }
    }
}

impl EdgeVerdict {
    pub(super) fn new(name: &str, layer: &str) -> EdgeVerdict {
        EdgeVerdict { name: name.to_owned(), layer: layer.to_owned(), ..EdgeVerdict::default() }
    }

    /// Everything that is wrong on this edge, counted.
    pub fn faults(&self) -> u64 {
        self.mismatches + self.missing_words + self.extra_words + u64::from(self.problem.is_some())
    }
}

impl fmt::Display for ElementPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.row, self.column) {
            (Some(row), Some(column)) => write!(f, "row {row}, column {column}, channel {}", self.channel)?,
            _ => write!(f, "padding, channel {}", self.channel)?,
        }
        if let (Some([row, column]), Some([tap_row, tap_column])) = (self.position, self.tap) {
            write!(f, " (window {row},{column}, tap {tap_row},{tap_column})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "frame {}, element {} ({}): expected {}, got {}, in cycle {}",
            self.frame, self.element, self.place, self.expected, self.got, self.cycle
        )?;
        if (self.expected, self.got) != (self.expected_raw, self.got_raw) {
            write!(f, " (on the wires: {} and {})", self.expected_raw, self.got_raw)?;
        }
        Ok(())
    }
}

/// One line for each edge where something is wrong, with its first differences below.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for edge in self.edges.iter().filter(|edge| edge.faults() > 0) {
            writeln!(
                f,
                "layer {}, edge {}: {} elements differ, {} words missing, {} words too many",
                edge.layer, edge.name, edge.mismatches, edge.missing_words, edge.extra_words
            )?;
            if let Some(problem) = &edge.problem {
                writeln!(f, "  {problem}")?;
            }
            for mismatch in &edge.first {
                writeln!(f, "  {mismatch}")?;
            }
        }
        for difference in self.cycle_differences.iter().take(8) {
            let show = |cycle: Option<u64>| cycle.map_or("never".to_owned(), |cycle| cycle.to_string());
            writeln!(
                f,
                "{}: frame {} ends in cycle {}, predicted {}",
                difference.output,
                difference.frame,
                show(difference.simulated),
                show(difference.predicted)
            )?;
        }
        Ok(())
    }
}
