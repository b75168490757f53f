//! The walk over a model's nodes: constants are folded, streams of data become layers.
//!
//! A stream is a hardware tensor (codes, or the sums of a layer) with a function for each channel that says which real
//! number each integer means. Operators without hardware change the function or the layout; a quantizer adds a
//! requantization, which at the end becomes part of the layer whose sums it alone reads.

mod activation;
mod arrange;
mod convolution;
mod dequantize;
mod finish;
mod host;
mod join;
mod linear;
mod negate;
mod pointwise;
mod pool;
mod refusal;
mod requantize;
mod shaping;
mod stream;
mod tidy;

pub(crate) use stream::InputPlan;

use crate::constant::{Constant, evaluate_all};
use crate::fault::{Checked, Fault};
use crate::import::{ImportOptions, Imported};
use crate::model::{Array, Model, Node, Refused, ValueId};
use crate::names::port_name;
use crate::quantization;
pub(crate) use activation::ACTIVATIONS;
use host::Region;
use network::graph::{Encoding, HardwareRequest, Input, InputQuantizer, Layer, Tensor, TensorId};
use network::op::Op;
use network::requantization::Requantization;
use network::shape::AxisOrder;
use network::{Diagnostics, Format, Place, Range, Shape};
pub(crate) use refusal::refusals;
use refusal::{CONSTANT_OPERATORS, refusal};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use stream::{Base, Stream};

/// Why a walk ended without a network.
pub(crate) struct Stopped {
    pub faults: Diagnostics,
    /// Set where another shape of the input would help.
    pub wanted: Option<Wanted>,
}

/// Another shape of an input than it was taken for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub input: usize,
    pub shape: Shape,
    pub axes: AxisOrder,
}

/// What a tensor of the model is during the walk.
#[derive(Clone, Debug)]
enum Value {
    /// Not computed: an earlier fault, or the output of a node that makes nothing to use.
    Unknown,
    Constant(Rc<Constant>),
    Stream(Box<Stream>),
    /// What the host computes, by its region.
    Host(usize),
}

impl Value {
    fn of(stream: Stream) -> Self {
        Value::Stream(Box::new(stream))
    }
}

/// The state of a walk.
struct Walk<'a> {
    model: &'a Model,
    options: &'a ImportOptions,
    values: Vec<Value>,
    /// The network's inputs and one tensor for each layer.
    tensors: Vec<Tensor>,
    /// For each tensor of sums the sums that can occur in each channel, where that is known.
    sums: Vec<Option<Vec<Range>>>,
    /// For each tensor the layers whose first input it is.
    readers: Vec<Vec<usize>>,
    layers: Vec<Layer>,
    kinds: Vec<&'static str>,
    origins: Vec<String>,
    /// Of each input the format of its codes, as soon as it is known.
    input_formats: Vec<Option<(Format, Option<InputQuantizer>)>>,
    /// How each input is taken.
    plans: Vec<InputPlan>,
    /// The batch that the model was exported with.
    batch: u64,
    notes: Vec<String>,
    wanted: Option<Wanted>,
    /// Parts of the model that stay on the host, and which of them meet.
    regions: Vec<Region>,
    merged: Vec<(usize, usize)>,
    /// Values that convolutions pad themselves, by top, left, bottom and right.
    pads: BTreeMap<ValueId, [u64; 4]>,
    /// Elements that folding may still make.
    foldable: usize,
    /// Tensors that depend on the model's inputs.
    depends: BTreeSet<ValueId>,
}

/// Walks over the whole model.
pub(crate) fn walk(
    model: &Model,
    file: &str,
    name: &str,
    options: &ImportOptions,
    plans: &[InputPlan],
) -> Result<Imported, Stopped> {
    let stop = |faults, wanted| Stopped { faults, wanted };
    let mut faults = Diagnostics::default();
    let mut walk = Walk {
        model,
        options,
        values: vec![Value::Unknown; model.names.len()],
        tensors: Vec::new(),
        sums: vec![None; plans.len()],
        readers: vec![Vec::new(); plans.len()],
        layers: Vec::new(),
        kinds: Vec::new(),
        origins: Vec::new(),
        input_formats: vec![None; plans.len()],
        plans: plans.to_vec(),
        batch: 1,
        notes: model.notes.clone(),
        wanted: None,
        regions: Vec::new(),
        merged: Vec::new(),
        pads: BTreeMap::new(),
        depends: data(model),
        foldable: 16 * model.constants.values().map(Array::len).sum::<usize>() + FOLDABLE_ELEMENTS,
    };
    for (number, (input, &plan)) in model.inputs.iter().zip(plans).enumerate() {
        match walk.input_stream(number, plan) {
            Ok(stream) => walk.values[input.id] = Value::of(stream),
            Err(fault) => faults.push(fault.at(file, &model.names[input.id])),
        }
    }
    if !faults.0.is_empty() {
        return Err(stop(faults, None));
    }
    for (&id, array) in &model.constants {
        walk.values[id] = Value::Constant(Rc::new(Constant::plain(array.clone())));
    }
    let read: BTreeSet<ValueId> = model.nodes.iter().flat_map(|node| node.inputs.iter().flatten().copied()).collect();
    for node in &model.nodes {
        if walk.follows_host(node) {
            continue;
        }
        let further = node.outputs.iter().skip(1).find(|id| read.contains(id)).filter(|_| !has_several(node));
        let made = match (refusal(node, node.reads_any(&walk.depends)), &node.refused) {
            (Some(fault), _) => Err(fault),
            (None, Refused::Elsewhere) => continue,
            (None, _) => walk.node(node),
        };
        if let Some(second) = further.filter(|_| made.is_ok()) {
            let what = format!("the further output `{}` of `{}` is used", model.names[*second], node.op);
            faults
                .push(Fault::operator(what, "only the first output of an operator can be built").at(file, &node.name));
        }
        match made {
            Ok(values) => {
                for (&output, value) in node.outputs.iter().zip(values) {
                    walk.values[output] = value;
                }
            }
            Err(fault) => {
                if let Err(fault) = walk.leave_to_host(node, fault) {
                    faults.push(fault.at(file, &node.name));
                }
            }
        }
        if walk.wanted.is_some() {
            break;
        }
    }
    faults.extend(walk.host_faults(file));
    if !faults.0.is_empty() {
        return Err(stop(faults, walk.wanted));
    }
    walk.finish(file, name)
}

fn only_constants(op: &str) -> Fault {
    Fault::operator(
        format!("`{op}` can only be applied to constants"),
        "cut the model before it (--outputs) or behind it (--inputs), or leave it out",
    )
}

/// Tensors that depend on the model's inputs.
fn data(model: &Model) -> BTreeSet<ValueId> {
    let mut data: BTreeSet<ValueId> = model.inputs.iter().map(|input| input.id).collect();
    for node in &model.nodes {
        if node.op != "Shape" && node.reads_any(&data) {
            data.extend(&node.outputs);
        }
    }
    data
}

/// Whether more than the first output of a node can be used.
fn has_several(node: &Node) -> bool {
    matches!(node.op.as_str(), "TopK" | "Split")
}

/// Elements that folding may make beyond sixteen times what the model stores.
const FOLDABLE_ELEMENTS: usize = 1 << 24;

impl Walk<'_> {
    /// The outputs of a node; none where an input is not known because of an earlier fault.
    fn node(&mut self, node: &Node) -> Checked<Vec<Value>> {
        let known = |value: &Value| !matches!(value, Value::Unknown);
        let constants: Vec<Option<Rc<Constant>>> = node.inputs.iter().map(|id| self.constant(*id)).collect();
        if !node.inputs.iter().flatten().all(|&id| known(&self.values[id])) {
            // Faults of a quantizer's own parameters are still found.
            if quantization::is_quantizer(node) && constants.iter().skip(1).all(Option::is_some) {
                let parameters: Vec<Option<&Constant>> = constants.iter().skip(1).map(Option::as_deref).collect();
                quantization::parse(node, &parameters)?;
            }
            // What cannot be built whatever the data are is still told.
            let op = node.op.as_str();
            let is_data = |id: &ValueId| self.depends.contains(id);
            if CONSTANT_OPERATORS.contains(&op) && node.reads_any(&self.depends) {
                return Err(only_constants(op));
            }
            if op == "MatMul" && node.inputs.iter().flatten().all(is_data) {
                return Err(Fault::operator(
                    "a MatMul without a constant side",
                    "only weights times data can be built",
                ));
            }
            return Ok(Vec::new());
        }
        let borrowed: Vec<Option<&Constant>> = constants.iter().map(Option::as_deref).collect();
        let streams: Vec<(usize, ValueId)> = node
            .inputs
            .iter()
            .enumerate()
            .filter_map(|(i, id)| Some((i, (*id)?)))
            .filter(|(i, _)| borrowed[*i].is_none())
            .collect();
        let &[(index, id)] = streams.as_slice() else {
            if streams.is_empty() {
                let constants = evaluate_all(node, &borrowed)?;
                let elements = constants.iter().map(|constant| constant.array.len()).sum();
                self.foldable = self.foldable.checked_sub(elements).ok_or_else(|| {
                    Fault::constant(
                        "folding the model's constants takes too much memory",
                        "fold constants before export (onnxsim)",
                    )
                })?;
                return Ok(constants.into_iter().map(|constant| Value::Constant(Rc::new(constant))).collect());
            }
            let streams = streams.iter().map(|(_, id)| self.stream(*id)).collect::<Checked<Vec<Stream>>>()?;
            return Ok(vec![Value::of(self.join(node, streams, &borrowed)?)]);
        };
        if node.op == "Shape" {
            return Ok(vec![self.shape_of(id)?]);
        }
        let stream = self.stream(id)?;
        if node.op == "Split" && index == 0 {
            return Ok(self.split(node, &stream, &borrowed)?.into_iter().map(Value::of).collect());
        }
        if node.op == "TopK" && index == 0 {
            return Ok(self.top_k(node, stream, &borrowed)?.map(Value::of).into());
        }
        let stream = self.stream_node(node, stream, index, &borrowed)?;
        stream.check_precision()?;
        Ok(vec![Value::of(stream)])
    }

    /// A node with one stream among its inputs.
    fn stream_node(
        &mut self,
        node: &Node,
        stream: Stream,
        index: usize,
        constants: &[Option<&Constant>],
    ) -> Checked<Stream> {
        if quantization::is_quantizer(node) {
            if index != 0 {
                return Err(Fault::quantizer(
                    "a quantizer's parameter depends on the input",
                    "quantizer parameters must be constants of the model",
                ));
            }
            let quantizer = quantization::parse(node, &constants[1..])?;
            return self.quantize(stream, &quantizer, node);
        }
        let op = node.op.as_str();
        if CONSTANT_OPERATORS.contains(&op) {
            return Err(only_constants(op));
        }
        if index != 0 && !matches!(op, "Add" | "Sub" | "Mul" | "Div" | "MatMul" | "Max" | "Min") {
            return Err(Fault::operator(
                format!("input {index} of `{op}` depends on the network's input"),
                "only its first input may",
            ));
        }
        stream.check_host(op)?;
        match op {
            "Conv" => self.conv(node, stream, constants),
            "MatMul" => self.mat_mul(node, stream, index, constants),
            "Gemm" => self.gemm(node, stream, constants),
            "ConvTranspose" => self.conv_transpose(node, stream, constants),
            "MaxPool" | "GlobalMaxPool" | "ReduceMax" => self.max_pool(node, stream, constants),
            "AveragePool" | "GlobalAveragePool" | "ReduceMean" | "ReduceSum" => {
                self.average_pool(node, stream, constants)
            }
            "DepthToSpace" | "SpaceToDepth" => self.blocks(node, stream),
            "Slice" => self.slice(node, stream, constants),
            "Gather" => self.gather(node, stream, constants),
            "Pad" => self.pad(node, stream, constants),
            "Max" | "Min" => pointwise::bound(op, stream, index, constants),
            "BatchNormalization" => pointwise::batch_normalization(node, stream, constants),
            "Relu" => Ok(pointwise::relu(stream)),
            "Clip" => pointwise::clip(node, stream, constants),
            "Add" | "Sub" | "Mul" | "Div" | "Neg" => pointwise::arithmetic(op, stream, index, constants),
            "ArgMax" => self.arg_max(node, stream),
            "Softmax" => self.softmax(node, stream),
            op if ACTIVATIONS.contains(&op) => self.activation(node, stream, constants),
            "Concat" | "Sum" => Ok(stream),
            "Resize" | "Upsample" => self.resize(node, stream, constants),
            "DequantizeLinear" => dequantize::dequantize(node, stream, constants),
            _ => self.reshape(node, stream, constants),
        }
    }

    fn constant(&self, id: Option<ValueId>) -> Option<Rc<Constant>> {
        match id.map(|id| &self.values[id]) {
            Some(Value::Constant(constant)) => Some(Rc::clone(constant)),
            _ => None,
        }
    }

    /// A stream for one of its readers.
    fn stream(&self, id: ValueId) -> Checked<Stream> {
        match &self.values[id] {
            Value::Stream(stream) => Ok((**stream).clone()),
            _ => Err(Fault::new(
                network::Code::ModelGraph,
                format!("`{}` does not depend on the input", self.model.names[id]),
                "cut the model so that its outputs follow from its input",
            )),
        }
    }

    /// Adds a layer and its tensor; where the same layer is there already, gives its tensor.
    fn add_layer(
        &mut self,
        kind: &'static str,
        inputs: Vec<TensorId>,
        op: Op,
        requantization: Option<Requantization>,
        tensor: Tensor,
        origin: &str,
    ) -> TensorId {
        if op.weights().is_none() {
            let same =
                |layer: &Layer| layer.inputs == inputs && layer.op == op && layer.requantization == requantization;
            let readers = inputs.first().map_or(&[][..], |id| &self.readers[id.0]);
            if let Some(&index) = readers.iter().find(|&&index| same(&self.layers[index])) {
                return TensorId(self.plans.len() + index);
            }
        }
        let layer = Layer {
            name: String::new(),
            place: Place::default(),
            inputs,
            op,
            requantization,
            modes: Vec::new(),
            hardware: HardwareRequest::default(),
        };
        if let Some(id) = layer.inputs.first() {
            self.readers[id.0].push(self.layers.len());
        }
        self.readers.push(Vec::new());
        self.layers.push(layer);
        self.kinds.push(kind);
        self.origins.push(origin.to_owned());
        self.tensors.push(tensor);
        self.sums.push(None);
        TensorId(self.tensors.len() - 1)
    }

    /// Adds a layer that sends its sums, with the range of each channel's.
    fn add_sums(
        &mut self,
        kind: &'static str,
        inputs: Vec<TensorId>,
        op: Op,
        shape: Shape,
        sums: Vec<Range>,
        origin: &str,
    ) -> TensorId {
        let range = sums.iter().copied().reduce(Range::union).unwrap_or(Range::new(0, 0));
        let tensor = Tensor { shape, encoding: Encoding::Sums { range } };
        let id = self.add_layer(kind, inputs, op, None, tensor, origin);
        self.sums[id.0] = Some(sums);
        id
    }

    /// Values that can occur in each channel of a tensor, or in all.
    fn ranges(&self, id: TensorId) -> Vec<Range> {
        self.sums[id.0].clone().unwrap_or_else(|| vec![self.tensor(id).encoding.values()])
    }

    fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// The layer that makes a tensor; none for an input.
    fn maker(&self, id: TensorId) -> Option<usize> {
        id.0.checked_sub(self.plans.len())
    }

    /// Whether the tensor is an input of the network.
    fn is_input(&self, id: TensorId) -> bool {
        id.0 < self.plans.len()
    }

    /// The input that a stream is, where its rows and columns are still open.
    fn open_input(&self, base: &Base) -> Option<usize> {
        let input = match base {
            Base::Input(input) => *input,
            Base::Tensor(id) => id.0,
            Base::Joined(_) => return None,
        };
        matches!(self.plans.get(input), Some(InputPlan::Flat)).then_some(input)
    }

    /// The finished inputs; the first that has no format by its name.
    fn inputs(&self) -> Result<Vec<Input>, String> {
        let input = |(number, input): (usize, &crate::model::ModelInput)| {
            let name = port_name(&self.model.names[input.id]);
            let Some((format, quantizer)) = self.input_formats[number] else { return Err(name) };
            let axes = match self.plans[number] {
                InputPlan::Image { axes, .. } => axes,
                InputPlan::Flat => AxisOrder::ChannelsLast,
            };
            Ok(Input { name, shape: self.tensors[number].shape, format, axes, quantizer })
        };
        self.model.inputs.iter().enumerate().map(input).collect()
    }
}

/// The codes of a format inside a range.
fn codes(format: Format, range: Range) -> Encoding {
    Encoding::Codes { format, range }
}
