//! The walk over a model's nodes: constants are folded, streams of data become layers.
//!
//! A stream is a hardware tensor (or the sums of a layer that is not yet closed) with a function for each channel
//! that says which real number each integer means. Operators without hardware change the function or the layout;
//! a quantizer closes the layer.

mod dequantize;
mod finish;
mod linear;
mod pointwise;
mod pool;
mod refusal;
mod requantize;
mod shaping;
mod stream;

pub(crate) use stream::InputPlan;

use crate::constant::{Constant, evaluate};
use crate::fault::{Checked, Fault};
use crate::import::{ImportOptions, Imported};
use crate::model::{Array, Model, Node, Refused, ValueId};
use crate::names::Names;
use crate::quantization;
use network::graph::{Encoding, HardwareRequest, Input, InputQuantizer, Layer, Tensor, TensorId};
use network::op::Op;
use network::requantization::Requantization;
use network::shape::AxisOrder;
use network::{Diagnostics, Format, Place, Shape};
use refusal::{CONSTANT_OPERATORS, refusal, refused_operators};
use std::collections::BTreeSet;
use std::rc::Rc;
use stream::Stream;

/// Why a walk ended without a network.
pub(crate) struct Stopped {
    pub faults: Diagnostics,
    /// Set where another shape of the input would help.
    pub wanted: Option<(Shape, AxisOrder)>,
}

/// What a tensor of the model is during the walk.
#[derive(Clone, Debug)]
enum Value {
    /// Not computed: an earlier fault, or the output of a node that makes nothing to use.
    Unknown,
    Constant(Rc<Constant>),
    Stream(Box<Stream>),
    /// A stream that a node has taken.
    Taken,
}

/// The state of a walk.
struct Walk<'a> {
    model: &'a Model,
    options: &'a ImportOptions,
    values: Vec<Value>,
    /// The network's input and one tensor for each layer.
    tensors: Vec<Tensor>,
    layers: Vec<Layer>,
    origins: Vec<String>,
    names: Names,
    input_format: Option<(Format, Option<InputQuantizer>)>,
    /// The batch that the model was exported with.
    batch: u64,
    notes: Vec<String>,
    wanted: Option<(Shape, AxisOrder)>,
    /// Elements that folding may still make.
    foldable: usize,
}

/// Walks over the whole model.
pub(crate) fn walk(
    model: &Model,
    file: &str,
    name: &str,
    options: &ImportOptions,
    plan: InputPlan,
) -> Result<Imported, Stopped> {
    let stop = |faults, wanted| Stopped { faults, wanted };
    let mut faults = refused_operators(model, file);
    let mut walk = Walk {
        model,
        options,
        values: vec![Value::Unknown; model.names.len()],
        tensors: Vec::new(),
        layers: Vec::new(),
        origins: Vec::new(),
        names: Names::default(),
        input_format: None,
        batch: 1,
        notes: model.notes.clone(),
        wanted: None,
        foldable: 16 * model.constants.values().map(Array::len).sum::<usize>() + FOLDABLE_ELEMENTS,
    };
    let input = match walk.input_stream(plan) {
        Ok(stream) => stream,
        Err(fault) => {
            faults.push(fault.at(file, &model.names[model.input]));
            return Err(stop(faults, None));
        }
    };
    walk.values[model.input] = Value::Stream(Box::new(input));
    for (&id, array) in &model.constants {
        walk.values[id] = Value::Constant(Rc::new(Constant::plain(array.clone())));
    }
    let read: BTreeSet<ValueId> = model.nodes.iter().flat_map(|node| node.inputs.iter().flatten().copied()).collect();
    for node in model.nodes.iter().filter(|node| node.refused == Refused::No && refusal(node).is_none()) {
        if let Some(second) = node.outputs.iter().skip(1).find(|id| read.contains(id)).filter(|_| node.op != "TopK") {
            let what = format!("the further output `{}` of `{}` is used", model.names[*second], node.op);
            faults
                .push(Fault::operator(what, "only the first output of an operator can be built").at(file, &node.name));
        }
        match walk.node(node) {
            Ok(Some(value)) => {
                if let Some(&output) = node.outputs.first() {
                    walk.values[output] = value;
                }
            }
            Ok(None) => {}
            Err(fault) => faults.push(fault.at(file, &node.name)),
        }
    }
    if !faults.0.is_empty() {
        return Err(stop(faults, walk.wanted));
    }
    walk.finish(name, plan).map_err(|(fault, wanted)| stop(fault.at(file, &model.names[model.output]).into(), wanted))
}

/// Elements that folding may make beyond sixteen times what the model stores.
const FOLDABLE_ELEMENTS: usize = 1 << 24;

impl Walk<'_> {
    /// The first output of a node; `None` where an input is not known because of an earlier fault.
    fn node(&mut self, node: &Node) -> Checked<Option<Value>> {
        let known = |value: &Value| !matches!(value, Value::Unknown);
        let constants: Vec<Option<Rc<Constant>>> = node.inputs.iter().map(|id| self.constant(*id)).collect();
        if !node.inputs.iter().flatten().all(|&id| known(&self.values[id])) {
            // Faults of a quantizer's own parameters are still found.
            if quantization::is_quantizer(node) && constants.iter().skip(1).all(Option::is_some) {
                let parameters: Vec<Option<&Constant>> = constants.iter().skip(1).map(Option::as_deref).collect();
                quantization::parse(node, &parameters)?;
            }
            return Ok(None);
        }
        let streams: Vec<usize> =
            (0..node.inputs.len()).filter(|&i| node.inputs[i].is_some() && constants[i].is_none()).collect();
        let borrowed: Vec<Option<&Constant>> = constants.iter().map(Option::as_deref).collect();
        let &[index] = streams.as_slice() else {
            if streams.is_empty() {
                let constant = evaluate(node, &borrowed)?;
                self.foldable = self.foldable.checked_sub(constant.array.len()).ok_or_else(|| {
                    Fault::constant(
                        "folding the model's constants takes too much memory",
                        "fold constants before export (onnxsim)",
                    )
                })?;
                return Ok(Some(Value::Constant(Rc::new(constant))));
            }
            return Err(Fault::operator(
                format!("`{}` joins {} streams of data", node.op, streams.len()),
                "only chains of layers can be built yet: no residual additions, concatenations or products of activations",
            ));
        };
        let id = node.inputs[index].unwrap_or_default();
        if node.op == "Shape" {
            return Ok(Some(self.shape_of(id)?));
        }
        let stream = self.take(id)?;
        let stream = self.stream_node(node, stream, index, &borrowed)?;
        stream.check_precision()?;
        if node.op == "TopK" {
            if let Some(&indices) = node.outputs.get(1) {
                self.values[indices] = Value::Stream(Box::new(stream));
            }
            return Ok(None);
        }
        Ok(Some(Value::Stream(Box::new(stream))))
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
            return Err(Fault::operator(
                format!("`{op}` can only be applied to constants"),
                "cut the model before it, or leave it out",
            ));
        }
        if index != 0 && !matches!(op, "Add" | "Sub" | "Mul" | "Div" | "MatMul") {
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
            "MaxPool" | "GlobalMaxPool" => self.max_pool(node, stream),
            "BatchNormalization" => pointwise::batch_normalization(node, stream, constants),
            "Relu" => Ok(pointwise::relu(stream)),
            "Clip" => pointwise::clip(node, stream, constants),
            "Add" | "Sub" | "Mul" | "Div" | "Neg" => pointwise::arithmetic(op, stream, index, constants),
            "ArgMax" | "TopK" => self.arg_max(node, stream, constants),
            "Softmax" | "Sigmoid" => self.host_step(node, stream),
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

    /// Takes a stream for its only reader.
    fn take(&mut self, id: ValueId) -> Checked<Stream> {
        match std::mem::replace(&mut self.values[id], Value::Taken) {
            Value::Stream(stream) => Ok(*stream),
            _ => Err(Fault::new(
                network::Code::ModelGraph,
                format!("`{}` is read by several nodes", self.model.names[id]),
                "only chains of layers can be built yet: no branches",
            )),
        }
    }

    /// Adds a layer and its tensor.
    fn add_layer(
        &mut self,
        kind: &'static str,
        input: TensorId,
        op: Op,
        requantization: Option<Requantization>,
        tensor: Tensor,
        origin: &str,
    ) -> TensorId {
        let name = self.names.next(kind);
        let place = Place::layer(&name);
        self.layers.push(Layer {
            name,
            place,
            inputs: vec![input],
            op,
            requantization,
            hardware: HardwareRequest::default(),
        });
        self.origins.push(origin.to_owned());
        self.tensors.push(tensor);
        TensorId(self.tensors.len() - 1)
    }

    fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// Whether the tensor is the network's input while its rows and columns are still open.
    fn is_open_input(&self, id: TensorId) -> bool {
        id == TensorId(0)
    }

    /// The finished input.
    fn input(&self, axes: AxisOrder) -> Option<Input> {
        let (format, quantizer) = self.input_format?;
        let name = self.model.names[self.model.input].clone();
        Some(Input { name, shape: self.tensors[0].shape, format, axes, quantizer })
    }
}

/// The codes of a format inside a range.
fn codes(format: Format, range: network::Range) -> Encoding {
    Encoding::Codes { format, range }
}
