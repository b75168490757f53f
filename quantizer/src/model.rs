//! The checked graph of a model: typed nodes in order, constants decoded, only what leads to the outputs.

mod array;
mod attributes;
mod element;
mod tail;

pub(crate) use array::{Array, Data, elements};
pub(crate) use attributes::{Attribute, Attributes};
pub(crate) use element::Element;

use crate::fault::{Checked, Fault};
use crate::onnx;
use crate::quantization;
use network::{Code, Diagnostic, Diagnostics, Format, Place};
use std::collections::{BTreeMap, BTreeSet};

/// Operators of weights times data.
pub(crate) const MATRIX_OPERATORS: &[&str] = &["Conv", "ConvTranspose", "Gemm", "MatMul"];

/// Index of a tensor of the model.
pub(crate) type ValueId = usize;

/// A model that is acyclic, has data inputs and outputs, at least one of each, and misses nothing.
#[derive(Debug)]
pub(crate) struct Model {
    /// Nodes that lead to the outputs, each after those it reads.
    pub nodes: Vec<Node>,
    /// Names of all tensors.
    pub names: Vec<String>,
    /// Initialisers by tensor.
    pub constants: BTreeMap<ValueId, Array>,
    /// The data inputs that lead to the outputs, at least one, in the order of their declaration.
    pub inputs: Vec<ModelInput>,
    /// The outputs, at least one.
    pub outputs: Vec<ValueId>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Element types, as far as they are known.
    pub elements: BTreeMap<ValueId, Element>,
}

/// A data input of a model.
#[derive(Debug)]
pub(crate) struct ModelInput {
    pub id: ValueId,
    /// Its declared shape; `None` for a dimension without a number. Absent where no shape is declared.
    pub shape: Option<Vec<Option<u64>>>,
    /// The format of its codes, where an annotation of FINN's states one.
    pub annotated: Option<Format>,
}

impl ModelInput {
    /// The shape of a frame, with a batch of 1, and the batch that was declared.
    ///
    /// # Errors
    /// No shape is declared, the input is a scalar, or an axis other than the batch is open.
    pub fn frame(&self) -> Checked<(Vec<u64>, u64)> {
        let declared = self.shape.as_ref().ok_or_else(|| {
            Fault::shape("the input has no shape", "state it with --input-shape, or run shape inference")
        })?;
        let (batch, rest) = match declared.as_slice() {
            [] => return Err(Fault::shape("the input is a scalar", "a frame needs at least one axis")),
            [only] => (None, std::slice::from_ref(only)),
            [batch, rest @ ..] => (Some(batch.unwrap_or(1)), rest),
        };
        let known: Option<Vec<u64>> = rest.iter().copied().collect();
        let known = known.ok_or_else(|| {
            Fault::shape(
                format!("the input's shape {} is not static", axes(declared)),
                "state them with --input-shape, or export with fixed sizes; only the first axis (the batch) may be open",
            )
        })?;
        Ok((batch.map(|_| 1).into_iter().chain(known).collect(), batch.unwrap_or(1)))
    }
}

/// Axes as text, those that are open as `?`.
pub(crate) fn axes(declared: &[Option<u64>]) -> String {
    let text = |axis: &Option<u64>| axis.map_or("?".to_owned(), |length| length.to_string());
    format!("({})", declared.iter().map(text).collect::<Vec<String>>().join(", "))
}

/// One operator.
#[derive(Debug)]
pub(crate) struct Node {
    /// The model's name for it, or one made from its output.
    pub name: String,
    pub op: String,
    pub domain: String,
    /// Absent optional inputs are `None`.
    pub inputs: Vec<Option<ValueId>>,
    pub outputs: Vec<ValueId>,
    pub attributes: Attributes,
    /// The type of a `Constant`'s tensor.
    pub constant_element: Option<Element>,
    /// Why the node cannot be built, where that was found before the walk.
    pub refused: Refused,
}

/// What an earlier pass found about a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Refused {
    /// Nothing.
    #[default]
    No,
    /// A fault of its own.
    With(Fault),
    /// A fault that stands at another node.
    Elsewhere,
}

impl Node {
    /// Whether it reads one of these tensors.
    pub fn reads_any(&self, ids: &BTreeSet<ValueId>) -> bool {
        self.inputs.iter().flatten().any(|id| ids.contains(id))
    }
}

impl Model {
    /// Checks a decoded model; reports all faults.
    pub fn build(wire: onnx::Model, file: &str) -> Result<Model, Diagnostics> {
        let syntax =
            |message: &str| Diagnostic::new(Code::ModelSyntax, Place::file(file), message, "export the model again");
        let Some(graph) = wire.graph else {
            return Err(syntax("the file holds no graph; it is no ONNX model").into());
        };
        if graph.node.is_empty() || graph.output.is_empty() {
            return Err(syntax("the model's graph is empty").into());
        }
        let mut faults = Diagnostics::default();
        let mut ids = Ids::default();
        let mut constants = BTreeMap::new();
        let mut elements = BTreeMap::new();
        for tensor in graph.initializer {
            let id = ids.get(&tensor.name);
            let name = tensor.name.clone();
            elements.extend(Element::of_onnx(tensor.data_type).map(|element| (id, element)));
            match Array::decode(tensor) {
                Ok(array) => drop(constants.insert(id, array)),
                Err(fault) => {
                    faults.push(fault.at(file, &name));
                    constants.insert(id, Array::float(vec![0], vec![]));
                }
            }
        }
        let nodes: Vec<Node> = graph.node.into_iter().map(|node| Node::new(node, &mut ids)).collect();
        let outputs: Vec<ValueId> = graph.output.iter().map(|output| ids.get(&output.name)).collect();
        let mut notes = Vec::new();
        let nodes = match order(nodes, &ids.names, &outputs, file) {
            Ok((nodes, unused)) => {
                if unused > 0 {
                    notes.push(format!("{unused} nodes do not lead to an output and were left out"));
                }
                nodes
            }
            Err(fault) => {
                faults.extend(fault);
                return Err(faults);
            }
        };
        let made: BTreeSet<ValueId> = nodes.iter().flat_map(|node| node.outputs.iter().copied()).collect();
        let places: Vec<ValueId> = graph.input.iter().map(|input| ids.get(&input.name)).collect();
        let declared: BTreeMap<ValueId, onnx::ValueInfo> = places.iter().copied().zip(graph.input).collect();
        let mut inputs: Vec<ValueId> = Vec::new();
        for node in &nodes {
            for id in node.inputs.iter().flatten().filter(|id| !made.contains(id) && !constants.contains_key(id)) {
                if !declared.contains_key(id) {
                    faults.push(
                        Fault::constant(
                            format!("`{}` reads `{}`, which nothing makes", node.name, ids.names[*id]),
                            "store every weight inside the model file",
                        )
                        .at(file, &node.name),
                    );
                } else if !inputs.contains(id) {
                    inputs.push(*id);
                }
            }
        }
        if inputs.is_empty() && faults.0.is_empty() {
            faults.push(Diagnostic::new(
                Code::ModelGraph,
                Place::file(file),
                "no output depends on any input",
                "cut the model so that a data input leads to the outputs",
            ));
        }
        faults.or(())?;
        inputs.sort_by_key(|id| places.iter().position(|place| place == id));
        let mut found = Vec::with_capacity(inputs.len());
        for id in inputs {
            let info = declared.get(&id);
            let element = info.and_then(|info| info.r#type.as_ref()?.tensor_type.as_ref());
            elements.extend(element.and_then(|kind| Element::of_onnx(kind.elem_type)).map(|element| (id, element)));
            let note = graph.quantization_annotation.iter().find(|note| note.tensor_name == ids.names[id]);
            let data_type = note.and_then(|note| note.parameters.iter().find(|entry| entry.key == "finn_datatype"));
            let annotated = data_type.and_then(|entry| quantization::declared(&entry.value));
            found.push(ModelInput { id, shape: info.and_then(declared_shape), annotated });
        }
        let names = ids.names;
        let mut model = Model { nodes, names, constants, inputs: found, outputs, notes, elements };
        model.infer_elements();
        Ok(model)
    }
}

impl Model {
    /// Whether a tensor is a data input.
    pub fn is_input(&self, id: ValueId) -> bool {
        self.inputs.iter().any(|input| input.id == id)
    }
}

impl Node {
    fn new(node: onnx::Node, ids: &mut Ids) -> Self {
        let name = match (node.name.is_empty(), node.output.first()) {
            (false, _) => node.name,
            (true, Some(output)) => format!("{} -> {output}", node.op_type),
            (true, None) => node.op_type.clone(),
        };
        let some = |name: &String, ids: &mut Ids| (!name.is_empty()).then(|| ids.get(name));
        let inputs = node.input.iter().map(|name| some(name, ids)).collect();
        // An unnamed output gets a tensor that nothing can read.
        let outputs =
            node.output.iter().map(|name| if name.is_empty() { ids.fresh() } else { ids.get(name) }).collect();
        let tensor =
            node.attribute.iter().find(|attribute| attribute.name == "value").and_then(|found| found.t.as_ref());
        let constant_element = tensor.and_then(|tensor| Element::of_onnx(tensor.data_type));
        Node {
            name,
            op: node.op_type,
            domain: node.domain,
            inputs,
            outputs,
            attributes: Attributes::new(node.attribute),
            constant_element,
            refused: Refused::No,
        }
    }
}

/// Names of tensors and their numbers.
#[derive(Default)]
struct Ids {
    names: Vec<String>,
    by_name: BTreeMap<String, ValueId>,
}

impl Ids {
    fn get(&mut self, name: &str) -> ValueId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let id = self.fresh();
        self.names[id] = name.to_owned();
        self.by_name.insert(name.to_owned(), id);
        id
    }

    fn fresh(&mut self) -> ValueId {
        self.names.push(String::new());
        self.names.len() - 1
    }
}

/// The nodes that lead to `outputs`, in an order of computation, and how many others there were.
fn order(
    nodes: Vec<Node>,
    names: &[String],
    outputs: &[ValueId],
    file: &str,
) -> Result<(Vec<Node>, usize), Diagnostics> {
    let mut producer: Vec<Option<usize>> = vec![None; names.len()];
    for (index, node) in nodes.iter().enumerate() {
        for &id in &node.outputs {
            if producer[id].replace(index).is_some() {
                return Err(Diagnostic::new(
                    Code::ModelGraph,
                    Place::file(file).in_layer(&node.name),
                    format!("`{}` is made by two nodes", names[id]),
                    "give every tensor its own name",
                )
                .into());
            }
        }
    }
    let mut ends = Vec::new();
    for &output in outputs {
        ends.push(producer[output].ok_or_else(|| {
            Diagnostic::new(
                Code::ModelGraph,
                Place::file(file),
                format!("no node makes the output `{}`", names[output]),
                "export the model again",
            )
        })?);
    }
    // Depth-first without recursion: a node is entered, its producers follow, then it is placed.
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Entered,
        Placed,
    }
    let mut state = vec![State::New; nodes.len()];
    let mut placed = Vec::new();
    for last in ends {
        if state[last] != State::New {
            continue;
        }
        let mut stack = vec![(last, 0)];
        state[last] = State::Entered;
        while let Some((index, next)) = stack.pop() {
            let Some(input) = nodes[index].inputs.get(next) else {
                state[index] = State::Placed;
                placed.push(index);
                continue;
            };
            stack.push((index, next + 1));
            let Some(source) = input.and_then(|id| producer[id]) else { continue };
            match state[source] {
                State::Placed => {}
                State::New => {
                    state[source] = State::Entered;
                    stack.push((source, 0));
                }
                State::Entered => {
                    return Err(Diagnostic::new(
                        Code::ModelGraph,
                        Place::file(file).in_layer(&nodes[index].name),
                        format!("`{}` depends on its own output", nodes[index].name),
                        "a network that can be built has no cycles",
                    )
                    .into());
                }
            }
        }
    }
    let unused = nodes.len() - placed.len();
    let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    Ok((placed.into_iter().filter_map(|index| nodes[index].take()).collect(), unused))
}

fn declared_shape(info: &onnx::ValueInfo) -> Option<Vec<Option<u64>>> {
    let shape = info.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?;
    let number = |value: i64| u64::try_from(value).ok().filter(|&value| value > 0);
    Some(shape.dim.iter().map(|dim| dim.dim_value.and_then(number)).collect())
}
