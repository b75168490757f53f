//! The judge: does every word on every edge say what the golden model says, and does each frame end when predicted?
//!
//! Input: a design's [`Manifest`], the [`Network`] it was made from, the golden [`Trace`] of each frame in order, and the
//! words of a simulation as they come. Output: a [`Verdict`] with every difference counted and the first ones named by
//! layer, frame, element, expected and found integer, and cycle. Memory holds one frame of expected words for each edge
//! and the traces of frames in flight; nothing grows with the number of frames.
//!
//! The judge builds no design and runs nothing.

mod expected;
mod verdict;

pub use verdict::{CycleDifference, EdgeVerdict, ElementPlace, Mismatch, Verdict};

#[cfg(test)]
mod tests;

use expected::EdgeStream;
use golden_model::Trace;
use network::Network;
use network::graph::TensorId;
use network::manifest::{Edge, EdgeContent, EdgeTensor, Manifest, OutputPort};
use std::collections::VecDeque;
use std::sync::Arc;

/// Differences that are kept with all details, for each edge.
const DETAILS_PER_EDGE: usize = 8;

/// Why a manifest cannot be judged against a network: the two do not belong together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("edge {edge}: {problem}")]
pub struct JudgeError {
    /// Name of the edge, or prefix of the output port.
    pub edge: String,
    /// What does not fit.
    pub problem: String,
}

/// Compares the words of one run as they come.
pub struct Judge<'a> {
    /// The manifest's edges, then the output ports.
    streams: Vec<Progress>,
    /// How many of them are edges.
    edges: usize,
    truths: Truths<'a>,
}

/// One stream on its way through the frames.
struct Progress {
    stream: EdgeStream,
    words: u64,
    /// The frame that `expected` belongs to.
    frame: Option<u64>,
    expected: Vec<u8>,
    verdict: EdgeVerdict,
}

/// Golden traces of the frames in flight.
struct Truths<'a> {
    source: Box<dyn FnMut() -> Option<Trace> + 'a>,
    /// Traces of the frames from `first` on.
    traces: VecDeque<Arc<Trace>>,
    first: u64,
}

impl Truths<'_> {
    fn get(&mut self, frame: u64) -> Option<Arc<Trace>> {
        while self.first + self.traces.len() as u64 <= frame {
            self.traces.push_back(Arc::new((self.source)()?));
        }
        self.traces.get(usize::try_from(frame.checked_sub(self.first)?).ok()?).cloned()
    }

    fn forget_before(&mut self, frame: u64) {
        while self.first < frame && self.traces.pop_front().is_some() {
            self.first += 1;
        }
    }
}

impl<'a> Judge<'a> {
    /// A judge of one run. `traces` gives the golden trace of each frame in order, when it is first needed.
    ///
    /// # Errors
    /// When an edge names a layer that the network does not have, or its words do not add up to its tensor.
    pub fn new(
        manifest: &Manifest,
        network: &Network,
        traces: impl FnMut() -> Option<Trace> + 'a,
    ) -> Result<Judge<'a>, JudgeError> {
        if manifest.outputs.len() != network.outputs().len() {
            let (found, expected) = (manifest.outputs.len(), network.outputs().len());
            let problem = format!("the manifest has {found} outputs, the network {expected}");
            return Err(JudgeError { edge: "m_axis".to_owned(), problem });
        }
        let edges = manifest.edges.len();
        let mut streams = Vec::with_capacity(edges + manifest.outputs.len());
        for edge in &manifest.edges {
            streams.push(Progress::new(edge, network)?);
        }
        for (port, output) in manifest.outputs.iter().zip(network.outputs()) {
            streams.push(Progress::new(&output_edge(port, output.tensor, manifest, network), network)?);
        }
        let truths = Truths { source: Box::new(traces), traces: VecDeque::new(), first: 0 };
        Ok(Judge { streams, edges, truths })
    }

    /// A word moved on an edge: `index` counts the edge's words, `data` is the word, element 0 lowest.
    pub fn word(&mut self, edge: usize, index: u64, cycle: u64, data: &[u8]) {
        if edge < self.edges {
            self.stream_word(edge, index, cycle, data);
        }
    }

    /// A word left the design at an output; bits above the word are ignored.
    pub fn output(&mut self, output: usize, index: u64, cycle: u64, data: &[u8]) {
        self.stream_word(self.edges.saturating_add(output), index, cycle, data);
    }

    fn stream_word(&mut self, at: usize, index: u64, cycle: u64, data: &[u8]) {
        let Some(progress) = self.streams.get_mut(at) else { return };
        let words_per_frame = progress.stream.words_per_frame();
        let (frame, word) = (index / words_per_frame, index % words_per_frame);
        progress.words = progress.words.max(index + 1);
        if progress.frame != Some(frame) {
            progress.enter(frame, &mut self.truths);
            let oldest = self.streams.iter().map(|p| p.words / p.stream.words_per_frame()).min().unwrap_or(0);
            self.truths.forget_before(oldest);
        }
        if let Some(progress) = self.streams.get_mut(at) {
            progress.compare(frame, word, cycle, data);
        }
    }

    /// Ends the run: `frames` is what should have passed every edge.
    pub fn finish(self, frames: u64) -> Verdict {
        let edges = self.streams.into_iter().map(|progress| progress.finish(frames)).collect();
        Verdict { frames, edges, cycle_differences: Vec::new() }
    }
}

impl Progress {
    fn new(edge: &Edge, network: &Network) -> Result<Progress, JudgeError> {
        let stream =
            EdgeStream::new(edge, network).map_err(|problem| JudgeError { edge: edge.name.clone(), problem })?;
        let verdict = EdgeVerdict::new(&edge.name, &edge.layer);
        Ok(Progress { stream, words: 0, frame: None, expected: Vec::new(), verdict })
    }

    fn enter(&mut self, frame: u64, truths: &mut Truths<'_>) {
        self.frame = Some(frame);
        self.expected.clear();
        if let Some(trace) = truths.get(frame) {
            let impossible = self.stream.expect(&trace, &mut self.expected);
            if let (Some(problem), None) = (impossible, &self.verdict.problem) {
                self.verdict.problem = Some(format!("frame {frame}: {problem}"));
            }
        }
    }

    fn compare(&mut self, frame: u64, word: u64, cycle: u64, data: &[u8]) {
        let bytes = self.stream.word_bytes();
        let start = usize::try_from(word).unwrap_or(usize::MAX).saturating_mul(bytes);
        let Some(expected) = self.expected.get(start..start.saturating_add(bytes)) else {
            self.verdict.extra_words += 1;
            return;
        };
        self.verdict.words += 1;
        let data = data.get(..bytes).unwrap_or(data);
        if expected == data || self.stream.equal_below_padding(expected, data) {
            return;
        }
        for difference in self.stream.differences(word, expected, data) {
            self.verdict.mismatches += 1;
            if self.verdict.first.len() < DETAILS_PER_EDGE {
                self.verdict.first.push(Mismatch { frame, cycle, ..difference });
            }
        }
    }

    fn finish(mut self, frames: u64) -> EdgeVerdict {
        let expected = frames.saturating_mul(self.stream.words_per_frame());
        self.verdict.missing_words = expected.saturating_sub(self.words);
        self.verdict.extra_words = self.verdict.extra_words.max(self.words.saturating_sub(expected));
        self.verdict
    }
}

/// An output port as an edge. Which tensor it must carry is the network's word alone, how its elements mean it the
/// manifest's.
fn output_edge(output: &OutputPort, tensor: TensorId, manifest: &Manifest, network: &Network) -> Edge {
    let made_by = network.maker(tensor).and_then(|index| network.layers().get(index));
    let tensor = made_by.map_or(EdgeTensor::Input(tensor.0), |layer| EdgeTensor::Output(layer.name.clone()));
    Edge {
        name: output.prefix.clone(),
        layer: made_by.map_or_else(|| "input".to_owned(), |layer| layer.name.clone()),
        module: manifest.top.clone(),
        path: Vec::new(),
        valid: String::new(),
        ready: None,
        data: String::new(),
        word: output.port.word,
        words_per_frame: output.port.words_per_frame,
        content: EdgeContent { tensor, ..output.content.clone() },
    }
}
