//! Folding before quantization: constants are evaluated, batch norms go into the weights before them.

use crate::fault::Checked;
use crate::float::{Program, normalisation};
use crate::model::{Array, Model, Node, ValueId};
use network::Diagnostics;
use std::collections::BTreeMap;

/// The model with all constants stored and no batch norm that could stand in weights. Weights are folded in float64
/// and stored as float32.
pub(super) fn fold(mut model: Model, file: &str, notes: &mut Vec<String>) -> Result<Model, Diagnostics> {
    let (constants, shapes) = {
        let program = Program::new(&model, file)?;
        (program.constants.clone(), program.shapes.clone())
    };
    model.nodes.retain(|node| node.outputs.first().is_some_and(|id| shapes.contains_key(id)));
    let read = model.nodes.iter().flat_map(|node| node.inputs.iter().flatten());
    model.constants = read.filter_map(|id| Some((*id, constants.get(id)?.array.clone()))).collect();
    let mut folded = 0;
    let mut faults = Diagnostics::default();
    let mut index = 0;
    while index < model.nodes.len() {
        if model.nodes[index].op == "BatchNormalization" {
            match fold_norm(&mut model, index, &shapes) {
                Ok(true) => {
                    folded += 1;
                    continue;
                }
                Ok(false) => {}
                Err(fault) => faults.push(fault.at(file, &model.nodes[index].name)),
            }
        }
        index += 1;
    }
    faults.or(())?;
    if folded > 0 {
        notes.push(format!("{folded} batch normalisations were folded into the weights before them"));
    }
    Ok(model)
}

/// Folds the batch norm at `index` into the Conv, ConvTranspose or Gemm before it; `false` where that cannot be.
fn fold_norm(model: &mut Model, index: usize, shapes: &BTreeMap<ValueId, Vec<usize>>) -> Checked<bool> {
    let norm = &model.nodes[index];
    let Some(data) = norm.inputs.first().copied().flatten() else { return Ok(false) };
    let readers = model.nodes.iter().flat_map(|node| node.inputs.iter().flatten()).filter(|id| **id == data).count();
    let producer = model.nodes[..index].iter().position(|node| node.outputs.first() == Some(&data));
    let Some(producer) = producer.filter(|_| readers == 1 && !model.outputs.contains(&data)) else { return Ok(false) };
    let parameters: Vec<&Array> =
        norm.inputs.iter().skip(1).take(4).filter_map(|id| model.constants.get(&(*id)?)).collect();
    let &[scale, bias, mean, variance] = parameters.as_slice() else { return Ok(false) };
    let pairs = normalisation([scale, bias, mean, variance], norm.attributes.float("epsilon", 1e-5)?)?;
    let node = &model.nodes[producer];
    let weights = node.inputs.get(1).copied().flatten().and_then(|id| model.constants.get(&id));
    let old_bias = node.inputs.get(2).copied().flatten();
    let (Some(weights), true) = (weights, old_bias.is_none_or(|id| model.constants.contains_key(&id))) else {
        return Ok(false);
    };
    let channels = shapes.get(&data).and_then(|dims| dims.get(1)).copied().unwrap_or(0);
    let Some(channel_of) = channel_of(node, &weights.dims, channels)? else { return Ok(false) };
    if pairs.len() != channels {
        return Ok(false);
    }
    let gained = (0..weights.len()).map(|place| (f64::from(weights.f32(place)) * pairs[channel_of(place)].0) as f32);
    let weights = Array::float(weights.dims.clone(), gained.collect());
    let old = old_bias.and_then(|id| model.constants.get(&id));
    let beta = if node.op == "Gemm" { f64::from(node.attributes.float("beta", 1.0)?) } else { 1.0 };
    if beta == 0.0 || old.is_some_and(|old| old.len() != channels && old.len() != 1) {
        return Ok(false);
    }
    let shifted = pairs.iter().enumerate().map(|(channel, (gain, offset))| {
        let before = old.map_or(0.0, |old| f64::from(old.f32(if old.len() == 1 { 0 } else { channel })));
        (before * gain + offset / beta) as f32
    });
    let bias = Array::float(vec![channels], shifted.collect());
    let ids = [model.fresh_constant("weights", weights), model.fresh_constant("bias", bias)];
    let norm = model.nodes.remove(index);
    let node = &mut model.nodes[producer];
    node.inputs.resize(3, None);
    (node.inputs[1], node.inputs[2]) = (Some(ids[0]), Some(ids[1]));
    node.outputs = norm.outputs;
    Ok(true)
}

/// Which row of a matrix of weights an element of it belongs to.
pub(super) type Row = Box<dyn Fn(usize) -> usize>;

/// The output channel that an element of the weights belongs to; `None` for operators that batch norm is not folded
/// into.
pub(super) fn channel_of(node: &Node, dims: &[usize], channels: usize) -> Checked<Option<Row>> {
    let inner = |axis: usize| dims[axis + 1..].iter().product::<usize>().max(1);
    let group = usize::try_from(node.attributes.int("group", 1)?).unwrap_or(1).max(1);
    let along = |axis: usize| {
        let (inner, length) = (inner(axis), dims[axis]);
        Box::new(move |place: usize| place / inner % length) as Row
    };
    Ok(match (node.op.as_str(), dims.len()) {
        ("Conv", 2..) if dims[0] == channels => Some(along(0)),
        ("Gemm", 2) => {
            let axis = usize::from(node.attributes.int("transB", 0)? == 0);
            (dims[axis] == channels).then(|| along(axis))
        }
        ("ConvTranspose", 2..)
            if dims[1] * group == channels && dims[0].is_multiple_of(group) && !dims.contains(&0) =>
        {
            let (row, inner, of_group, inputs) = (inner(0), inner(1), dims[1], dims[0] / group);
            Some(Box::new(move |place| place / row / inputs * of_group + place / inner % of_group))
        }
        _ => None,
    })
}

impl Model {
    /// Adds a constant under a name of its own.
    pub fn fresh_constant(&mut self, name: &str, array: Array) -> ValueId {
        let id = self.fresh_value(name);
        self.constants.insert(id, array);
        id
    }

    /// Adds a tensor that a new node will make.
    pub fn fresh_value(&mut self, name: &str) -> ValueId {
        self.names.push(format!("{name} ({})", self.names.len()));
        self.names.len() - 1
    }
}
