//! A lowered design: modules, memories, and the graph of streams between them.
//!
//! A [`Design`] is made by [`crate::lower`]; both ends of every stream agree in lanes, order and format by
//! construction. It can predict its own cycles and be written as an [`Artifact`].

mod buffers;
mod modules;
mod reading;
mod skew;

pub(crate) use buffers::Buffer;
pub use buffers::{LONG_FRAME_WORDS, ShallowBuffer};
pub use modules::{JoinBuffer, StageRow};
pub(crate) use reading::reading;
pub use skew::SkewCause;

use crate::heap::Cost;
use crate::library::LibraryModule;
use crate::timing::{
    Graph, GraphBuilder, GraphError, ModuleId, Report, Run, RunError, Stalls, Twin, TwinFault, Untimed,
};
use crate::verilog::{Expr, ModuleText};
use network::manifest::{
    Edge, EdgeContent, EdgeTensor, InputPort, LayerRow, OutputPort, StreamPort, Timing, Word, input_prefix,
    output_prefix,
};
use std::collections::BTreeMap;

/// Frames after which an untimed run must have come back to an earlier state, or nothing is proved.
const UNTIMED_FRAMES: u64 = 4;

/// Frames after which the last two ends give the interval, though frames may not yet repeat.
const FRAMES_TO_TIME: u64 = 4;
/// The same for a design whose frames take long to run.
const LARGE_FRAMES_TO_TIME: u64 = 3;
/// Words that move in a frame of such a design.
const LARGE_FRAME: u64 = 20_000_000;

/// A lowered network.
#[derive(Clone, Debug)]
pub struct Design {
    /// The plan's name.
    pub(crate) name: String,
    /// Name of the top module.
    pub(crate) top: String,
    /// Library modules in use, each after the ones it instantiates.
    pub(crate) library: Vec<LibraryModule>,
    /// Generated modules by name, without the top: datapaths and layers.
    pub(crate) modules: Vec<ModuleText>,
    /// What generated netlists cost, by module, as their schedules counted it.
    pub(crate) costs: BTreeMap<String, Cost>,
    /// Memory images by path.
    pub(crate) memories: BTreeMap<String, String>,
    /// The modules of the top, each behind those that feed it.
    pub(crate) stages: Vec<Stage>,
    /// FIFOs in front of joins.
    pub(crate) buffers: Vec<Buffer>,
    /// The streams that leave the top.
    pub(crate) outputs: Vec<OutputEnd>,
    /// Streams inside layer modules, each with the index of the stage that it belongs to.
    pub(crate) inner_edges: Vec<(usize, Edge)>,
    /// The streams that enter the top.
    pub(crate) inputs: Vec<InputEnd>,
    /// Modes of run-time precision; 1 where there is nothing to choose.
    pub(crate) modes: u32,
    /// The layer table.
    pub(crate) rows: Vec<LayerRow>,
    /// Timing of mode 0, where the run that showed how deep FIFOs must be told it.
    pub(crate) timing: Option<Timing>,
}

/// A stream between two modules of the top, or one that enters it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StreamId {
    /// What enters the top at the input with this number.
    Input(usize),
    /// What leaves a stage at one of its ports.
    Stage {
        /// Index of the stage.
        stage: usize,
        /// Port, below [`Stage::ports`].
        port: usize,
    },
}

/// A stream that enters the top.
#[derive(Clone, Debug)]
pub(crate) struct InputEnd {
    /// The model's name for the input.
    pub name: String,
    /// Packing on the port.
    pub port: StreamPort,
    /// What the words carry.
    pub content: EdgeContent,
}

/// A stream that leaves the top.
#[derive(Clone, Debug)]
pub(crate) struct OutputEnd {
    /// The stream.
    pub stream: StreamId,
    /// The model's name for the output.
    pub name: String,
    /// Packing on the port.
    pub port: StreamPort,
    /// What the words carry.
    pub content: EdgeContent,
}

/// One module of the top, with the stream that leaves it.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    /// Instance name without `u_`, and prefix of the nets of its output stream.
    pub name: String,
    /// Module that is instantiated.
    pub module: String,
    /// The streams that enter it.
    pub inputs: Vec<StreamId>,
    /// Streams that leave it, all alike but for `mode_tokens`; a fork has several.
    pub ports: usize,
    /// How many of them, the last ones, carry the mode of each frame; one module has such.
    pub mode_tokens: usize,
    /// Named parameters with their Verilog values.
    pub parameters: Vec<(&'static str, Expr)>,
    /// The plan's layer.
    pub layer: String,
    /// Packing of the words that leave.
    pub word: Word,
    /// Words in one frame.
    pub words_per_frame: u64,
    /// What the words carry.
    pub content: EdgeContent,
    /// Timing.
    pub twin: Twin,
}

/// Why a prediction failed.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The chain of twins is malformed.
    #[error("the timing model is inconsistent: {0}")]
    Graph(GraphError),
    /// The modelled design does not finish.
    #[error("the modelled design stops: {0}")]
    Run(RunError),
}

impl Design {
    /// Name of the top module.
    pub fn top(&self) -> &str {
        &self.top
    }

    /// Library modules in use.
    pub fn library(&self) -> &[LibraryModule] {
        &self.library
    }

    /// Generated modules without the top.
    pub fn modules(&self) -> &[ModuleText] {
        &self.modules
    }

    /// Words that move between modules in one frame.
    pub fn frame_words(&self) -> u64 {
        let words = |stage: &Stage| stage.words_per_frame.saturating_mul(stage.ports as u64);
        self.stages.iter().fold(0, |sum: u64, stage| sum.saturating_add(words(stage)))
    }

    /// The layer table.
    pub fn rows(&self) -> &[LayerRow] {
        &self.rows
    }

    /// The same design with a fault in the timing model of the first module that has a place for it, for tests that must
    /// be seen to fail; none where no module has.
    pub fn with_twin_fault(&self, fault: TwinFault) -> Option<Design> {
        let (index, twin) =
            self.stages.iter().enumerate().find_map(|(index, stage)| Some((index, fault.plant(&stage.twin)?)))?;
        let mut design = self.clone();
        design.stages.get_mut(index)?.twin = twin;
        design.timing = None;
        Some(design)
    }

    /// Prefix of the nets of a stream.
    pub(crate) fn stream_name(&self, stream: StreamId) -> String {
        match stream {
            StreamId::Input(input) => input_net(input, self.inputs.len()),
            StreamId::Stage { stage, port } => self.stages.get(stage).map_or(String::new(), |stage| stage.stream(port)),
        }
    }

    /// The graph of timing twins: of n inputs the sources 0 to n - 1 and, for output k, sink n + k.
    pub(crate) fn graph(&self) -> Result<Graph, GraphError> {
        let mut builder = GraphBuilder::default();
        let ids: Vec<ModuleId> =
            self.stages.iter().map(|stage| builder.module(stage.name.clone(), stage.twin.clone())).collect();
        for (index, stage) in self.stages.iter().enumerate() {
            for (port, input) in stage.inputs.iter().enumerate() {
                match *input {
                    StreamId::Input(input) => {
                        let words = self.inputs.get(input).map_or(0, |end| end.port.words_per_frame);
                        builder.source(input as u64, words, ids[index], port);
                    }
                    StreamId::Stage { stage, port: from } => builder.join(ids[stage], from, ids[index], port),
                }
            }
        }
        for (number, end) in self.outputs.iter().enumerate() {
            if let StreamId::Stage { stage, port } = end.stream {
                builder.sink((self.inputs.len() + number) as u64, end.port.words_per_frame, ids[stage], port);
            }
        }
        builder.build()
    }

    /// Modes of run-time precision; 1 where there is nothing to choose.
    pub fn modes(&self) -> u32 {
        self.modes
    }

    /// Predicted cycles of a run, from the timing twins alone.
    pub fn predict(&self, frames: u64, stalls: Option<Stalls>) -> Result<Report, PredictError> {
        self.predict_modes(frames, stalls, &[])
    }

    /// The same for frames in these modes, over and over; none: mode 0.
    pub fn predict_modes(&self, frames: u64, stalls: Option<Stalls>, modes: &[u8]) -> Result<Report, PredictError> {
        let graph = self.graph().map_err(PredictError::Graph)?;
        let run = Run::frames(frames).with_modes(modes);
        graph
            .run(&stalls.map_or(run.clone(), |stalls| run.with_stalls(stalls)))
            .map_err(|fault| PredictError::Run(self.name_ends(fault)))
    }

    /// Whether any stall pattern can bring it to a standstill ([`Graph::check_untimed`]).
    pub fn check_untimed(&self) -> Result<Untimed, PredictError> {
        let graph = self.graph().map_err(PredictError::Graph)?;
        graph.check_untimed(UNTIMED_FRAMES).map_err(|fault| PredictError::Run(self.name_ends(fault)))
    }

    /// Predicted timing of an undisturbed run, from as many frames as it takes to become regular.
    pub fn timing(&self) -> Result<Timing, PredictError> {
        self.mode_timing(0)
    }

    /// The same of a run whose frames all have this mode.
    pub fn mode_timing(&self, mode: u8) -> Result<Timing, PredictError> {
        if let Some(timing) = self.timing.filter(|_| mode == 0) {
            return Ok(timing);
        }
        let graph = self.graph().map_err(PredictError::Graph)?;
        let run = Run { stops_when_regular: true, ..Run::frames(self.frames_to_time()).with_modes(&[mode]) };
        let report = graph.run_cycles(&run).map_err(|fault| PredictError::Run(self.name_ends(fault)))?;
        Ok(timing(&report))
    }

    /// Frames that tell the interval where none repeats before.
    fn frames_to_time(&self) -> u64 {
        if self.is_large() { LARGE_FRAMES_TO_TIME } else { FRAMES_TO_TIME }
    }

    /// Whether frames take long to run.
    fn is_large(&self) -> bool {
        self.frame_words() > LARGE_FRAME
    }

    /// The top's inputs, in the network's order.
    pub fn input_ports(&self) -> Vec<InputPort> {
        let ports = self.inputs.iter().enumerate().map(|(index, end)| InputPort {
            name: end.name.clone(),
            prefix: input_prefix(index, self.inputs.len()),
            port: end.port.clone(),
        });
        ports.collect()
    }

    /// The top's outputs, in the network's order.
    pub fn output_ports(&self) -> Vec<OutputPort> {
        let ports = self.outputs.iter().enumerate().map(|(index, end)| OutputPort {
            name: end.name.clone(),
            prefix: output_prefix(index, self.outputs.len()),
            port: end.port.clone(),
            content: end.content.clone(),
        });
        ports.collect()
    }

    /// Every stream between two modules, in order.
    pub fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            edges.extend(self.inner_edges.iter().filter(|(at, _)| *at == index).map(|(_, edge)| edge.clone()));
            edges.extend((0..stage.ports).map(|port| {
                let name = stage.stream(port);
                let (word, words_per_frame, content) = stage.port(port);
                Edge {
                    layer: stage.layer.clone(),
                    module: self.top.clone(),
                    path: Vec::new(),
                    valid: format!("{name}_valid"),
                    ready: Some(format!("{name}_ready")),
                    data: format!("{name}_data"),
                    name,
                    word,
                    words_per_frame,
                    content,
                }
            }));
        }
        edges
    }
}

impl Stage {
    /// Packing, words of a frame and content of the stream that leaves at a port.
    pub fn port(&self, port: usize) -> (Word, u64, EdgeContent) {
        if port + self.mode_tokens < self.ports {
            return (self.word, self.words_per_frame, self.content.clone());
        }
        let lane_bits =
            self.parameters.iter().find(|(name, _)| *name == "MODE_BITS").map_or(1, |(_, bits)| match bits {
                Expr::Integer(bits) => *bits as u32,
                _ => 1,
            });
        (Word { lanes: 1, lane_bits, signed: false }, 1, EdgeContent::plain(EdgeTensor::Mode))
    }

    /// Prefix of the nets of the stream that leaves at a port.
    pub fn stream(&self, port: usize) -> String {
        if self.ports == 1 { self.name.clone() } else { format!("{}_{port}", self.name) }
    }
}

/// What a run of several frames without stalls tells.
fn timing(report: &Report) -> Timing {
    let first_end = report.complete_frame_ends().first().copied();
    Timing {
        first_frame_cycles: first_end.map_or(0, |end| end - report.first_input_cycle + 1),
        initiation_interval_cycles: report.complete_interval().unwrap_or(0),
    }
}

/// Prefix of the nets of input `index` of `count` behind its port.
pub(crate) fn input_net(index: usize, count: usize) -> String {
    if count == 1 { "input".to_owned() } else { format!("input{index}") }
}

/// An AXI4-Stream port for words: `tdata` is padded to whole bytes.
pub(crate) fn port(word: Word, words_per_frame: u64) -> StreamPort {
    StreamPort { word, tdata_bits: word.bits().next_multiple_of(8), words_per_frame }
}
