//! Lowering: a bound network as a graph of modules.
//!
//! Every layer becomes one to four modules in a row: a width adapter where lanes change, a sliding window, another
//! adapter, and the layer's own module. Border types: in [`Bound`], out [`Design`].

mod alone;
mod average;
mod border;
mod burst;
mod chain;
mod counted;
mod greatest;
mod join;
mod matrix;
mod names;
mod pool;
mod rearrange;
mod requantize;
mod serial;
mod sum_pool;
mod top;
mod wiring;

pub use alone::lower_alone;
pub use counted::{CountedDesign, lower_counted, lower_counted_like};
pub(crate) use top::register_ports;

use crate::bind::{Bound, BoundLayer};
use crate::cost::inventory_reads;
use crate::datapath::{DatapathError, DotProduct, DotProductSpec, Memo, Rescale, RescaleSpec};
use crate::design::{Design, InputEnd, OutputEnd, PredictError, StreamId, input_net, port};
use crate::heap::Cost;
use crate::library;
use crate::threshold::ThresholdError;
use crate::timing::TimingError;
use crate::verilog::{Module, ModuleText};
use chain::{Chain, Flow};
use join::JoinChoice;
use names::Names;
use network::graph::{Encoding, Memory, RequantizeUnit, Tensor, TensorId};
use network::manifest::{Edge, EdgeContent, EdgeTensor, LayerRow, Word};
use network::op::Op;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Why a bound network cannot be lowered: a number is beyond what the hardware or its timing model can hold.
#[derive(Debug, thiserror::Error)]
pub enum LowerError {
    /// A module's parameter is out of range.
    #[error("layer {layer}: {source}")]
    Timing {
        /// The layer.
        layer: String,
        /// What is out of range.
        source: TimingError,
    },
    /// Thresholds do not fit their unit.
    #[error("layer {layer}: {source}")]
    Threshold {
        /// The layer.
        layer: String,
        /// What does not fit.
        source: ThresholdError,
    },
    /// No depths of the buffers make the design run.
    #[error(transparent)]
    Buffers(#[from] PredictError),
    /// A datapath cannot be generated.
    #[error("layer {layer}: {source}")]
    Datapath {
        /// The layer.
        layer: String,
        /// Why.
        source: DatapathError,
    },
}

/// Lowers a bound network.
pub fn lower(bound: &Bound) -> Result<Design, LowerError> {
    lower_with(bound, Images::All, None, None, &AtomicUsize::new(0))
}

/// Which memory images are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Images {
    /// All, as emission needs them.
    All,
    /// Those whose contents decide what a memory costs.
    Counted,
    /// Those of block RAM among them: of words in look-up tables a rule tells the cost.
    Blocks,
}

impl Images {
    /// Whether a memory of constants of so many words gets its image.
    fn has(self, memory: Memory, words: u64, word_bits: u64) -> bool {
        match self {
            Images::All => true,
            Images::Counted => inventory_reads(memory == Memory::Block, words, word_bits),
            Images::Blocks => memory == Memory::Block && inventory_reads(true, words, word_bits),
        }
    }
}

/// `begun` is the index of the layer that is being lowered.
fn lower_with(
    bound: &Bound,
    images: Images,
    memo: Option<&Memo>,
    like: Option<&Design>,
    begun: &AtomicUsize,
) -> Result<Design, LowerError> {
    let network = bound.network();
    let entering: Vec<Flow> = (0..network.inputs().len()).map(|number| entering(bound, number)).collect();
    let inputs = network.inputs().iter().zip(&entering).map(|(input, flow)| InputEnd {
        name: input.name.clone(),
        port: port(flow.word, flow.words_per_frame),
        content: flow.content.clone(),
    });
    let inputs: Vec<InputEnd> = inputs.collect();
    let mut lowering = Lowering {
        bound,
        names: Names::new(network.name(), inputs.len(), network.outputs().len()),
        chain: Chain::new(entering.first().cloned().unwrap_or_else(|| self::entering(bound, 0))),
        waiting: vec![Vec::new(); network.tensors().len()],
        modules: BTreeMap::new(),
        costs: BTreeMap::new(),
        memories: BTreeMap::new(),
        inner_edges: Vec::new(),
        library: Vec::new(),
        images,
        memo,
        rows_at_once: burst::rows_at_once(network),
        mode_streams: BTreeMap::new(),
    };
    let modes = network.mode_count() as u32;
    for (number, flow) in entering.into_iter().enumerate() {
        lowering.chain.resume(flow);
        if number == 0 && modes > 1 {
            lowering.gate_modes(modes)?;
        }
        let name = input_net(number, inputs.len());
        lowering.made(TensorId(number), &name).map_err(|fault| fault.in_layer(&name))?;
    }
    for (index, layer) in bound.layers().iter().enumerate() {
        begun.store(index, Ordering::Relaxed);
        let name = &network.layers()[index].name;
        let lowered = lowering.layer(index, layer).and_then(|()| lowering.made(network.layer_tensor(index), name));
        lowered.map_err(|fault| fault.in_layer(name))?;
    }
    let mut outputs = Vec::with_capacity(network.outputs().len());
    for output in network.outputs() {
        let Flow { stream, word, words_per_frame, content } = lowering.take(output.tensor);
        outputs.push(OutputEnd { stream, name: output.name.clone(), port: port(word, words_per_frame), content });
    }
    let Lowering { names, chain, modules, costs, memories, inner_edges, mut library, .. } = lowering;
    let mut design = Design {
        name: network.name().to_owned(),
        top: names.top().to_owned(),
        library: Vec::new(),
        modules: modules.into_values().collect(),
        costs,
        memories,
        stages: chain.stages,
        buffers: chain.buffers,
        outputs,
        inner_edges,
        inputs,
        modes,
        rows: rows(bound),
        timing: None,
    };
    if !like.is_some_and(|like| design.take_depths(like)) {
        design.size_buffers()?;
    }
    library.extend(design.stages.iter().map(|stage| stage.module.clone()));
    design.library = library::closure(library.iter().map(String::as_str));
    Ok(design)
}

/// A fault before its layer is known.
enum Fault {
    Timing(TimingError),
    Datapath(DatapathError),
    Threshold(ThresholdError),
}

impl From<ThresholdError> for Fault {
    fn from(fault: ThresholdError) -> Self {
        Fault::Threshold(fault)
    }
}

impl From<TimingError> for Fault {
    fn from(fault: TimingError) -> Self {
        Fault::Timing(fault)
    }
}

impl From<DatapathError> for Fault {
    fn from(fault: DatapathError) -> Self {
        Fault::Datapath(fault)
    }
}

impl Fault {
    fn in_layer(self, layer: &str) -> LowerError {
        let layer = layer.to_owned();
        match self {
            Fault::Timing(source) => LowerError::Timing { layer, source },
            Fault::Datapath(source) => LowerError::Datapath { layer, source },
            Fault::Threshold(source) => LowerError::Threshold { layer, source },
        }
    }
}

/// Everything that grows while layers are lowered.
struct Lowering<'a> {
    bound: &'a Bound,
    names: Names,
    chain: Chain,
    /// For each tensor the streams that carry it and have no reader yet.
    waiting: Vec<Vec<Flow>>,
    modules: BTreeMap<String, ModuleText>,
    /// Costs of generated netlists by module.
    costs: BTreeMap<String, Cost>,
    memories: BTreeMap<String, String>,
    inner_edges: Vec<(usize, Edge)>,
    /// Library modules that generated modules instantiate.
    library: Vec<String>,
    /// Without all images a design can be counted, but not emitted.
    images: Images,
    /// Where a design is only counted: figures of datapaths that are known. Modules then have no text.
    memo: Option<&'a Memo>,
    /// For each tensor in how large bursts its rows come.
    rows_at_once: Vec<u64>,
    /// For each layer with modes the stream that carries them.
    mode_streams: BTreeMap<usize, StreamId>,
}

impl<'a> Lowering<'a> {
    /// Continues behind the layer that has just been lowered: a stream for each reader of its tensor.
    fn made(&mut self, tensor: TensorId, name: &str) -> Result<(), Fault> {
        let network = self.bound.network();
        let ends = network.outputs().iter().filter(|output| output.tensor == tensor).count();
        let readers = network.readers(tensor).count() + ends;
        let name = self.names.stem(name);
        let layer = network.maker(tensor).map_or("input", |index| &network.layers()[index].name);
        let mut flows = self.chain.fork(&name, layer, readers)?;
        flows.reverse();
        if let Some(waiting) = self.waiting.get_mut(tensor.0) {
            *waiting = flows;
        }
        Ok(())
    }

    /// The next stream that carries a tensor.
    fn take(&mut self, tensor: TensorId) -> Flow {
        let waiting = self.waiting.get_mut(tensor.0).and_then(Vec::pop);
        waiting.unwrap_or_else(|| self.chain.flow())
    }

    fn layer(&mut self, index: usize, bound: &'a BoundLayer) -> Result<(), Fault> {
        let flow = self.take(self.bound.network().layers()[index].input());
        self.chain.resume(flow);
        match bound {
            BoundLayer::Matrix(matrix) => self.matrix(index, matrix),
            BoundLayer::Pool { lanes } => self.pool(index, *lanes),
            BoundLayer::SumPool { lanes, unit } => self.sum_pool(index, *lanes, *unit),
            BoundLayer::Rearrange { lanes, reorder } => self.rearrange(index, *lanes, reorder.as_ref()),
            BoundLayer::Requantize { lanes, unit, multiplier } => self.requantize(index, *lanes, *unit, *multiplier),
            BoundLayer::Argmax { lanes } => self.greatest(index, *lanes),
            BoundLayer::Join { lanes, unit, multiplier } => {
                self.element_join(index, JoinChoice { lanes: *lanes, unit: *unit, multiplier: *multiplier })
            }
            BoundLayer::Concat { lanes } => self.concat(index, *lanes),
        }
    }

    fn dot_product(&self, spec: DotProductSpec) -> Result<DotProduct, DatapathError> {
        match self.memo {
            Some(memo) => DotProduct::counted(spec, memo),
            None => DotProduct::new(spec),
        }
    }

    fn rescale(&self, spec: RescaleSpec) -> Result<Rescale, DatapathError> {
        match self.memo {
            Some(memo) => Rescale::counted(spec, memo),
            None => Rescale::new(spec),
        }
    }

    /// A module's text, or only what it instantiates.
    fn printed(&self, module: &Module) -> ModuleText {
        if self.memo.is_some() { module.counted() } else { module.print() }
    }

    /// Samples the mode of each frame at the current stream and sends it to each layer that works by it.
    fn gate_modes(&mut self, modes: u32) -> Result<(), LowerError> {
        let layers = self.bound.network().layers().iter().enumerate().filter(|(_, layer)| !layer.modes.is_empty());
        let layers: Vec<usize> = layers.map(|(index, _)| index).collect();
        let streams = self.chain.mode_gate(modes, layers.len());
        let streams = streams.map_err(|fault| Fault::from(fault).in_layer("input"))?;
        self.mode_streams = layers.into_iter().zip(streams).collect();
        self.uses(&["hwgen_mode_register"]);
        Ok(())
    }

    /// The stream of modes of the layer at `index`, where there are several.
    fn mode_stream(&self, index: usize) -> Option<StreamId> {
        self.mode_streams.get(&index).copied()
    }

    fn add_modules(&mut self, modules: Vec<ModuleText>) {
        for module in modules {
            self.modules.entry(module.name.clone()).or_insert(module);
        }
    }

    /// Adds a generated netlist, with the modules that it instantiates.
    fn add_datapath(&mut self, name: &str, cost: Cost, modules: &[ModuleText]) {
        self.costs.insert(name.to_owned(), cost);
        self.add_modules(modules.to_vec());
    }

    fn uses(&mut self, modules: &[&str]) {
        self.library.extend(modules.iter().map(|name| (*name).to_owned()));
    }

    /// Content of the stream that leaves the layer at `index`.
    fn output_content(&self, index: usize, gain: i64, offset: Vec<i64>) -> EdgeContent {
        let tensor = EdgeTensor::Output(self.bound.network().layers()[index].name.clone());
        EdgeContent { gain, offset, ..EdgeContent::plain(tensor) }
    }
}

/// The stream that enters at an input.
fn entering(bound: &Bound, number: usize) -> Flow {
    let lanes = first_lanes(bound, TensorId(number));
    let Tensor { shape, encoding } = &bound.network().tensors()[number];
    Flow {
        stream: StreamId::Input(number),
        word: Word { lanes: lanes as u32, lane_bits: encoding.bits(), signed: encoding.is_signed() },
        words_per_frame: shape.elements() / lanes,
        content: EdgeContent::plain(EdgeTensor::Input(number)),
    }
}

/// Lanes of a stream that enters: what the first layer that reads it takes.
fn first_lanes(bound: &Bound, tensor: TensorId) -> u64 {
    let reader = bound.network().readers(tensor).next();
    let hardware = reader.and_then(|index| bound.layers().get(index));
    hardware.map_or(1, |hardware| taken_lanes(hardware, bound.network().tensors()[tensor.0].shape.channels))
}

/// Lanes of the words that a layer takes, of a tensor of so many channels.
pub(crate) fn taken_lanes(hardware: &BoundLayer, channels: u64) -> u64 {
    match hardware {
        BoundLayer::Matrix(matrix) => matrix.first_lanes(channels),
        BoundLayer::Pool { lanes }
        | BoundLayer::SumPool { lanes, .. }
        | BoundLayer::Rearrange { lanes, .. }
        | BoundLayer::Requantize { lanes, .. }
        | BoundLayer::Argmax { lanes }
        | BoundLayer::Join { lanes, .. }
        | BoundLayer::Concat { lanes } => *lanes,
    }
}

fn rows(bound: &Bound) -> Vec<LayerRow> {
    let network = bound.network();
    let rows = network.layers().iter().zip(bound.layers()).enumerate().map(|(index, (layer, hardware))| {
        let output = network.layer_output(index);
        let shape = output.shape;
        let (kind, pe, simd, unit) = match hardware {
            BoundLayer::Matrix(matrix) => {
                let kind = layer.op.weights().map(|_| matrix.kind.name().to_owned());
                (kind, matrix.pe, matrix.simd, matrix.unit)
            }
            BoundLayer::Pool { lanes }
            | BoundLayer::Argmax { lanes }
            | BoundLayer::Concat { lanes }
            | BoundLayer::Rearrange { lanes, .. } => (None, *lanes, 1, None),
            BoundLayer::Join { lanes, unit, .. } | BoundLayer::SumPool { lanes, unit } => (None, *lanes, 1, *unit),
            BoundLayer::Requantize { lanes, unit, .. } => (None, *lanes, 1, Some(*unit)),
        };
        let weights = layer.op.weights();
        LayerRow {
            name: layer.name.clone(),
            op: layer.op.name().to_owned(),
            shape: [shape.rows, shape.columns, shape.channels],
            input: network.layer_input(layer).encoding.label(),
            weight: weights.map(|weights| weights.weight_format().to_string()),
            output: output.encoding.label(),
            kind,
            pe,
            simd,
            requantize: unit.map(|unit| {
                match unit {
                    RequantizeUnit::Thresholds => "thresholds",
                    RequantizeUnit::Rescale => "rescale",
                }
                .to_owned()
            }),
            cycles: bound.layer_cycles(index),
            weight_bits: bound.weight_memory_bits(index),
        }
    });
    rows.collect()
}

/// The code that stands for a padded tap on wires.
///
/// Integers are padded with one of their codes. Bipolar codes have no zero: their padded taps carry code 0 and the
/// PE array's initial sums take back what that code contributes.
fn padding_code(op: &Op, encoding: Encoding) -> i64 {
    match (op, encoding) {
        (Op::Conv2d { padding_value, .. }, Encoding::Codes { format, .. }) => format.code(*padding_value).unwrap_or(0),
        _ => 0,
    }
}
