//! A lowered design: modules, memories, and the chain of streams between them.
//!
//! A [`Design`] is made by [`crate::lower`]; both ends of every stream agree in lanes, order and format by
//! construction. It can predict its own cycles and be written as an [`Artifact`].

use crate::library::LibraryModule;
use crate::timing::{Graph, GraphError, Report, Run, RunError, Stalls, Twin};
use crate::verilog::{Expr, ModuleText};
use network::manifest::{Edge, EdgeContent, LayerRow, StreamPort, Timing, Word};
use std::collections::BTreeMap;

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
    /// Memory images by path.
    pub(crate) memories: BTreeMap<String, String>,
    /// The streams from input to output.
    pub(crate) stages: Vec<Stage>,
    /// Streams inside layer modules, each with the index of the stage that it belongs to.
    pub(crate) inner_edges: Vec<(usize, Edge)>,
    /// The top's input.
    pub(crate) input: StreamPort,
    /// What enters.
    pub(crate) input_content: EdgeContent,
    /// The layer table.
    pub(crate) rows: Vec<LayerRow>,
}

/// One module in the chain, with the stream that leaves it.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    /// Instance name without `u_`, and prefix of the nets of its output stream.
    pub name: String,
    /// Module that is instantiated.
    pub module: String,
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

    /// The layer table.
    pub fn rows(&self) -> &[LayerRow] {
        &self.rows
    }

    /// The top's output stream.
    pub fn output(&self) -> StreamPort {
        match self.stages.last() {
            Some(stage) => port(stage.word, stage.words_per_frame),
            None => self.input.clone(),
        }
    }

    /// Predicted cycles of a run, from the timing twins alone.
    pub fn predict(&self, frames: u64, stalls: Option<Stalls>) -> Result<Report, PredictError> {
        let modules = self.stages.iter().map(|stage| (stage.name.clone(), stage.twin.clone())).collect();
        let graph = Graph::chain(modules, self.input.words_per_frame, self.output().words_per_frame)
            .map_err(PredictError::Graph)?;
        let run = Run::frames(frames);
        graph.run(&stalls.map_or(run.clone(), |stalls| run.with_stalls(stalls))).map_err(PredictError::Run)
    }

    /// Predicted timing of an undisturbed run, from as many frames as it takes to become regular.
    pub fn timing(&self) -> Result<Timing, PredictError> {
        let report = self.predict(4, None)?;
        let first_end = report.frame_end_cycles.first().and_then(|ends| ends.first()).copied();
        Ok(Timing {
            first_frame_cycles: first_end.map_or(0, |end| end - report.first_input_cycle + 1),
            initiation_interval_cycles: report.initiation_interval(0).unwrap_or(0),
        })
    }

    /// Every stream between two modules, in order.
    pub fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            edges.extend(self.inner_edges.iter().filter(|(at, _)| *at == index).map(|(_, edge)| edge.clone()));
            edges.push(Edge {
                name: stage.name.clone(),
                layer: stage.layer.clone(),
                module: self.top.clone(),
                path: Vec::new(),
                valid: format!("{}_valid", stage.name),
                ready: Some(format!("{}_ready", stage.name)),
                data: format!("{}_data", stage.name),
                word: stage.word,
                words_per_frame: stage.words_per_frame,
                content: stage.content.clone(),
            });
        }
        edges
    }
}

/// An AXI4-Stream port for words: `tdata` is padded to whole bytes.
pub(crate) fn port(word: Word, words_per_frame: u64) -> StreamPort {
    StreamPort { word, tdata_bits: word.bits().next_multiple_of(8), words_per_frame }
}
