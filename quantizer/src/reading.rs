//! What the user says about a model file before anything else: where it is cut, and the lengths that it leaves open.

use crate::fault::{Checked, Fault};
use crate::import::of_file;
use crate::model::{Model, axes};
use crate::onnx;
use network::diagnostic::closest;
use network::{Code, Diagnostics};

/// How a model file is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Lengths of inputs' axes, for a model that leaves some open.
    pub input_shapes: Vec<InputShape>,
    /// Tensors, or nodes for their first outputs, that become inputs; what makes them is left out.
    pub inputs: Vec<String>,
    /// Tensors, or nodes for their first outputs, that become the outputs; none for the model's own.
    pub outputs: Vec<String>,
}

/// The lengths of an input's axes, the batch first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputShape {
    /// The input's name; it may be left out for a model of one input.
    pub name: Option<String>,
    /// A length for each axis, above 0.
    pub dims: Vec<u64>,
}

/// Reads a model's bytes; `file` stands in diagnostics.
///
/// # Errors
/// Codes E0401 to E0406: faults of the file, an output or an input that the model does not have, lengths that it
/// states otherwise.
pub(crate) fn read(bytes: &[u8], file: &str, reading: &Reading) -> Result<Model, Diagnostics> {
    let mut wire = onnx::decode(bytes).map_err(|fault| of_file(fault, file))?;
    if let Some(graph) = &mut wire.graph {
        cut(graph, reading).map_err(|fault| of_file(fault, file))?;
    }
    let mut model = Model::build(wire, file)?;
    for shape in &reading.input_shapes {
        fix_input(&mut model, shape).map_err(|fault| of_file(fault, file))?;
    }
    Ok(model)
}

/// Begins and ends the graph at the tensors that are named.
fn cut(graph: &mut onnx::Graph, reading: &Reading) -> Checked<()> {
    let outputs = tensors(graph, &reading.outputs, "output")?;
    let inputs = tensors(graph, &reading.inputs, "input")?;
    let info = |name| onnx::ValueInfo { name, ..onnx::ValueInfo::default() };
    if !outputs.is_empty() {
        graph.output = outputs.into_iter().map(info).collect();
    }
    if let Some(name) = inputs.iter().find(|name| graph.output.iter().any(|output| output.name == **name)) {
        let what = format!("`{name}` is to be an input and an output");
        return Err(Fault::new(Code::ModelGraph, what, "end the network behind where it begins"));
    }
    for name in inputs {
        // Whoever made it makes a tensor that nobody reads.
        let makers = graph.node.iter_mut().flat_map(|node| &mut node.output);
        makers.filter(|output| **output == name).for_each(String::clear);
        let known = graph.value_info.iter().find(|info| info.name == name).cloned();
        graph.input.push(known.unwrap_or_else(|| info(name)));
    }
    Ok(())
}

/// The tensors that are named, by themselves or by the nodes that make them first.
fn tensors(graph: &onnx::Graph, names: &[String], what: &str) -> Checked<Vec<String>> {
    let tensor = |name: &str| {
        let made = graph.node.iter().flat_map(|node| &node.output).any(|output| output == name);
        let of_node = || graph.node.iter().find(|node| node.name == name).and_then(|node| node.output.first());
        if made { Some(name.to_owned()) } else { of_node().cloned() }
    };
    let mut chosen: Vec<String> = Vec::new();
    for name in names {
        let tensor = tensor(name).ok_or_else(|| {
            let tensors = graph.node.iter().flat_map(|node| &node.output).map(String::as_str);
            let names: Vec<&str> = graph.node.iter().map(|node| node.name.as_str()).chain(tensors).collect();
            let help = match closest(name, &names) {
                Some(word) => format!("did you mean `{word}`?"),
                None => "give the name of a node, or of a tensor that a node makes".to_owned(),
            };
            Fault::new(Code::ModelGraph, format!("no node makes `{name}`, and none has this name"), help)
        })?;
        if chosen.contains(&tensor) {
            return Err(Fault::new(Code::ModelGraph, format!("{what} `{tensor}` is named twice"), "name it once"));
        }
        chosen.push(tensor);
    }
    Ok(chosen)
}

/// States the axes of an input that the model leaves open.
fn fix_input(model: &mut Model, shape: &InputShape) -> Checked<()> {
    let names: Vec<String> = model.inputs.iter().map(|input| model.names[input.id].clone()).collect();
    let index = match &shape.name {
        Some(name) => names.iter().position(|own| own == name).ok_or_else(|| {
            let what = format!("a shape for `{name}`, which is no input of the network");
            Fault::shape(what, format!("its inputs: {}", names.join(", ")))
        })?,
        None if names.len() == 1 => 0,
        None => {
            let help = format!("name each input, as in {}=1,3,48,48", names.first().map_or("x", String::as_str));
            return Err(Fault::shape(format!("one input shape for a model of {} inputs", names.len()), help));
        }
    };
    let (input, dims) = (&mut model.inputs[index], &shape.dims);
    let declared = input.shape.clone().unwrap_or_else(|| vec![None; dims.len()]);
    let fits = declared.iter().zip(dims).all(|(declared, &stated)| declared.is_none_or(|length| length == stated));
    if declared.len() != dims.len() || !fits || dims.contains(&0) {
        return Err(Fault::shape(
            format!("an input shape of {dims:?} for the model's {}", axes(&declared)),
            "give a positive length for each axis; those that the model states cannot be changed",
        ));
    }
    input.shape = Some(dims.iter().copied().map(Some).collect());
    Ok(())
}
