//! What a run showed, as plain data that can be written as JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Summary of one run.
///
/// Cycles count rising edges; cycle 0 is the first one with reset released.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimReport {
    /// The design's name.
    pub design: String,
    /// How the run ended.
    pub end: End,
    /// Frames that every output has finished.
    pub frames: u64,
    /// Words taken at the input.
    pub input_words: u64,
    /// Words taken at all outputs together.
    pub output_words: u64,
    /// Rising edges from the first accepted input word to the last accepted word of any output, both included; 0 without output.
    pub cycles: u64,
    /// Cycle of the first accepted input word.
    pub first_input_cycle: Option<u64>,
    /// For each output and each frame that it finished, the cycle in which its last word was taken.
    pub frame_end_cycles: Vec<Vec<u64>>,
    /// Distance between the ends of consecutive frames where it is the same for all, with at least two frames; a frame
    /// ends with its last word at any output.
    pub initiation_interval: Option<u64>,
    /// Rising edges simulated in all, without reset.
    pub simulated_cycles: u64,
    /// Words that moved on each edge of the manifest, in its order.
    pub edges: Vec<EdgeReport>,
    /// Broken rules, in order; at most the first hundred.
    pub violations: Vec<Violation>,
    /// Broken rules in all.
    pub violations_count: u64,
    /// Who waits on whom, when the run ended as [`End::Hang`].
    pub hang: Option<Hang>,
    /// The end of what the design printed.
    pub messages: String,
}

impl SimReport {
    /// Whether all frames passed and no rule was broken.
    pub fn is_clean(&self) -> bool {
        self.end == End::Complete && self.violations_count == 0
    }

    /// For each finished frame, the cycle of its last word at any output.
    pub fn complete_frame_ends(&self) -> Vec<u64> {
        complete_ends(&self.frame_end_cycles)
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// All frames passed every edge and left the design.
    Complete,
    /// No word moved for the asked number of cycles while work was pending.
    Hang,
    /// The asked number of cycles was reached.
    CycleLimit,
    /// The design ended the run: an assertion, `$stop` or `$finish`; the last violation says where.
    DesignStopped,
    /// Verilator's run-time library gave up, for example because combinational logic does not settle.
    ModelFailed,
    /// The caller had seen enough.
    Stopped,
}

/// Words on one edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeReport {
    /// The edge's name in the manifest.
    pub name: String,
    /// Words that moved.
    pub words: u64,
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which rule.
    pub kind: ViolationKind,
    /// When it was seen.
    pub cycle: u64,
    /// Name of the edge, prefix of the output port, or nothing.
    pub edge: Option<String>,
    /// The details.
    pub text: String,
}

/// The rules that are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// valid fell before the word was taken.
    ValidDropped,
    /// The data changed while the word waited.
    DataChanged,
    /// `tlast` of an output changed while the word waited.
    LastChanged,
    /// `tlast` of an output does not mark exactly the last word of each frame.
    LastWrong,
    /// More words moved than the frames have.
    ExtraWord,
    /// An assertion or `$stop` of the design.
    Assertion,
    /// `$finish` of the design.
    Finished,
    /// A warning of Verilator's run-time library, for example a memory image that does not fit.
    Warning,
    /// The model cannot be run on.
    Fatal,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.edge.as_deref().map(|edge| format!("{edge}: ")).unwrap_or_default();
        write!(out, "cycle {}: {place}{}", self.cycle, self.text)
    }
}

/// The state of every stream when nothing moved any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hang {
    /// The last cycle.
    pub cycle: u64,
    /// Input port, edges in the manifest's order, output ports.
    pub streams: Vec<StreamState>,
}

/// The state of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// Name of the edge, or prefix of the port: `s_axis`, `m_axis`, `m0_axis`, ...
    pub name: String,
    /// A word is offered.
    pub valid: bool,
    /// The consumer would take one.
    pub ready: bool,
    /// Words that moved.
    pub words: u64,
    /// Words in one frame.
    pub words_per_frame: u64,
}

impl fmt::Display for StreamState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (self.valid, self.ready) {
            (true, false) => "offers a word that its consumer does not take",
            (false, true) => "waits for its producer",
            (false, false) => "has no word, and its consumer is not ready",
            (true, true) => "moves",
        };
        let frames = self.words.checked_div(self.words_per_frame).unwrap_or(0);
        let rest = self.words.checked_rem(self.words_per_frame).unwrap_or(0);
        write!(out, "{} {state}, after {frames} frames and {rest} of {} words", self.name, self.words_per_frame)
    }
}

/// One line for each stream, from input to output.
impl fmt::Display for Hang {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "no word has moved up to cycle {}:", self.cycle)?;
        self.streams.iter().try_for_each(|stream| writeln!(out, "  {stream}"))
    }
}

/// The cycles in which frames ended at the last of all outputs.
pub(crate) fn complete_ends(ends: &[Vec<u64>]) -> Vec<u64> {
    let frames = ends.iter().map(Vec::len).min().unwrap_or(0);
    (0..frames).map(|frame| ends.iter().filter_map(|ends| ends.get(frame).copied()).max().unwrap_or(0)).collect()
}

/// The distance between consecutive values where it is the same throughout and there are at least two.
pub(crate) fn constant_distance(values: &[u64]) -> Option<u64> {
    let mut distances = values.windows(2).map(|pair| pair[1].checked_sub(pair[0]));
    let first = distances.next()??;
    distances.all(|distance| distance == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_ends_at_its_last_output() {
        assert_eq!(complete_ends(&[vec![3, 9, 20], vec![7, 8]]), [7, 9]);
        assert!(complete_ends(&[vec![3], vec![]]).is_empty());
        assert!(complete_ends(&[]).is_empty());
    }

    #[test]
    fn initiation_interval_is_a_constant_distance() {
        assert_eq!(constant_distance(&[]), None);
        assert_eq!(constant_distance(&[9]), None);
        assert_eq!(constant_distance(&[9, 19]), Some(10));
        assert_eq!(constant_distance(&[9, 19, 29]), Some(10));
        assert_eq!(constant_distance(&[9, 19, 28]), None);
    }
}
