//! Float models evaluated frame by frame: statistics and reference outputs of post-training quantization.
//!
//! Input: a checked [`Model`] with a static frame shape. A [`Program`] folds what is constant, learns every shape from
//! one run over zeros, and then runs frames (batch 1) in float32. Quantizers are evaluated too, so a rewritten model
//! runs as it will be quantized. Not here: integers, hardware shapes, files.

mod convolution;
mod matrix;
mod operator;
mod pointwise;
mod pool;
mod reduce;
mod reference;
mod resize;
mod shaping;
mod window;

use crate::constant::{Constant, evaluate_all};
use crate::fault::{Checked, Fault};
use crate::model::{Array, Data, Model, ModelInput, Node, ValueId};
use candle_core::{Device, Tensor};
pub(crate) use matrix::patches;
use network::{Diagnostic, Diagnostics};
pub(crate) use operator::{Operands, apply, fault};
pub(crate) use pointwise::normalisation;
pub use reference::FloatModel;
pub(crate) use resize::Rules;
use std::collections::BTreeMap;
use std::ops::Range;

/// Most elements of a tensor of data.
pub(crate) const MAX_TENSOR_ELEMENTS: usize = 1 << 27;

/// A model that is ready to run.
pub(crate) struct Program<'m> {
    pub model: &'m Model,
    file: String,
    /// Shape of each input in a frame, with a batch of 1 where the model has one.
    pub frame_dims: Vec<Vec<usize>>,
    /// All constants: stored and folded.
    pub constants: BTreeMap<ValueId, Constant>,
    /// Float constants as tensors; small integer ones too.
    tensors: BTreeMap<ValueId, Tensor>,
    /// Shapes of all tensors of data.
    pub shapes: BTreeMap<ValueId, Vec<usize>>,
    /// Tensors that nothing reads after a node.
    dead: Vec<Vec<ValueId>>,
    /// The batch that the model was exported with.
    batch: usize,
}

/// A tensor of the right shape; a fault where it would be too large.
pub(crate) fn tensor(values: Vec<f32>, dims: &[usize]) -> Checked<Tensor> {
    Tensor::from_vec(values, dims, &Device::Cpu).map_err(operator::fault)
}

impl<'m> Program<'m> {
    /// Folds constants and runs once over zeros.
    ///
    /// # Errors
    /// Every node that cannot be evaluated, with its place.
    pub fn new(model: &'m Model, file: &str) -> Result<Program<'m>, Diagnostics> {
        let mut faults = Diagnostics::default();
        let (mut dims_of_inputs, mut batch) = (Vec::new(), 1);
        for input in &model.inputs {
            match frame_dims(input) {
                Ok((dims, own)) => {
                    dims_of_inputs.push(dims);
                    batch = batch.max(own);
                }
                Err(fault) => faults.push(fault.at(file, &model.names[input.id])),
            }
        }
        faults.or(())?;
        let frame_dims = dims_of_inputs;
        let constants = model.constants.iter().map(|(&id, array)| (id, Constant::plain(array.clone()))).collect();
        let mut program = Program {
            model,
            file: file.to_owned(),
            frame_dims,
            constants,
            tensors: BTreeMap::new(),
            shapes: BTreeMap::new(),
            dead: dead(model),
            batch,
        };
        program.learn()?;
        Ok(program)
    }

    /// The model file's name, for diagnostics.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Name of the node that makes a tensor, or of the tensor where it is the input.
    pub fn maker(&self, id: ValueId) -> &str {
        let node = self.model.nodes.iter().find(|node| node.outputs.contains(&id));
        node.map_or(&self.model.names[id], |node| &node.name)
    }

    /// Elements of a frame: those of all inputs, one after the other.
    pub fn frame_elements(&self) -> usize {
        self.frame_dims.iter().map(|dims| dims.iter().product::<usize>()).sum()
    }

    /// The only run in which constants are still open.
    fn learn(&mut self) -> Result<(), Diagnostics> {
        let mut faults = Diagnostics::default();
        let stored: Vec<ValueId> = self.constants.keys().copied().collect();
        for id in stored {
            self.cache(id);
        }
        let mut values = self.inputs(&vec![0.0; self.frame_elements()])?;
        self.shapes.extend(values.iter().map(|(&id, zeros)| (id, zeros.dims().to_vec())));
        let mut foldable = 16 * self.constants.values().map(|c| c.array.len()).sum::<usize>() + (1 << 24);
        for (index, node) in self.model.nodes.iter().enumerate() {
            let known = |id: &ValueId| self.constants.contains_key(id) || values.contains_key(id);
            if !node.inputs.iter().flatten().all(known) {
                continue;
            }
            match self.learn_node(node, &values, &mut foldable) {
                Ok(Learned::Constants(constants)) => {
                    for (&id, constant) in node.outputs.iter().zip(constants) {
                        self.constants.insert(id, constant);
                        self.cache(id);
                    }
                }
                Ok(Learned::Data(made)) => {
                    for (&id, tensor) in node.outputs.iter().zip(made) {
                        self.shapes.insert(id, tensor.dims().to_vec());
                        values.insert(id, tensor);
                    }
                }
                Err(fault) => faults.push(fault.at(&self.file, &node.name)),
            }
            for id in &self.dead[index] {
                values.remove(id);
            }
        }
        faults.or(())
    }

    fn learn_node(&self, node: &Node, values: &BTreeMap<ValueId, Tensor>, foldable: &mut usize) -> Checked<Learned> {
        let constants: Vec<Option<&Constant>> =
            node.inputs.iter().map(|id| id.and_then(|id| self.constants.get(&id))).collect();
        let is_constant = node.inputs.iter().zip(&constants).all(|(id, constant)| id.is_none() || constant.is_some());
        let first = node.inputs.first().copied().flatten();
        let constants = if is_constant {
            evaluate_all(node, &constants)?
        } else if let ("Shape", Some(dims)) = (node.op.as_str(), first.and_then(|id| self.shapes.get(&id))) {
            let dims: Vec<i64> = dims.iter().map(|&dim| dim as i64).collect();
            vec![Constant::plain(Array::int(vec![dims.len()], dims))]
        } else {
            let operands = Operands { shapes_only: true, ..self.operands(node, values) };
            return Ok(Learned::Data(operator::apply(&operands)?));
        };
        let elements = constants.iter().map(|constant| constant.array.len()).sum();
        *foldable = foldable.checked_sub(elements).ok_or_else(|| {
            Fault::constant("folding the model's constants takes too much memory", "fold constants before export")
        })?;
        Ok(Learned::Constants(constants))
    }

    /// Keeps a constant as a tensor, where its elements are floats or few.
    fn cache(&mut self, id: ValueId) {
        let Some(constant) = self.constants.get(&id) else { return };
        let array = &constant.array;
        if matches!(array.data, Data::Int(_)) && array.len() > 4096 {
            return;
        }
        if let Ok(made) = tensor(array.floats(), &array.dims) {
            self.tensors.insert(id, made);
        }
    }

    fn operands<'a>(&'a self, node: &'a Node, values: &BTreeMap<ValueId, Tensor>) -> Operands<'a> {
        let tensor =
            |id: &Option<ValueId>| id.and_then(|id| values.get(&id).or_else(|| self.tensors.get(&id)).cloned());
        Operands {
            node,
            tensors: node.inputs.iter().map(tensor).collect(),
            constants: node.inputs.iter().map(|id| id.and_then(|id| self.constants.get(&id))).collect(),
            batch: self.batch,
            shapes_only: false,
        }
    }

    /// Runs one frame in the model's own order of elements; `visit` sees the input and then every tensor of data.
    ///
    /// # Errors
    /// A frame of another length, and numbers that an operator cannot take.
    pub fn run(&self, frame: &[f32], visit: &mut dyn FnMut(ValueId, &Tensor)) -> Result<(), Diagnostic> {
        self.inputs(frame)?.iter().for_each(|(&id, tensor)| visit(id, tensor));
        self.run_nodes(frame, &mut |index, _, made| {
            self.model.nodes[index].outputs.iter().zip(made).for_each(|(&id, tensor)| visit(id, tensor));
        })
    }

    /// The inputs out of a frame.
    fn inputs(&self, frame: &[f32]) -> Result<BTreeMap<ValueId, Tensor>, Diagnostic> {
        let mut rest = frame;
        let mut inputs = BTreeMap::new();
        let last = self.frame_dims.len().saturating_sub(1);
        for (place, (input, dims)) in self.model.inputs.iter().zip(&self.frame_dims).enumerate() {
            let elements = if place == last { rest.len() } else { dims.iter().product::<usize>().min(rest.len()) };
            let (own, others) = rest.split_at(elements);
            rest = others;
            let made = tensor(own.to_vec(), dims);
            inputs.insert(input.id, made.map_err(|fault| fault.at(&self.file, &self.model.names[input.id]))?);
        }
        Ok(inputs)
    }

    /// Runs one frame; `visit` sees the index, the operands and the results of every node that computes data.
    pub fn run_nodes(
        &self,
        frame: &[f32],
        visit: &mut dyn FnMut(usize, &Operands<'_>, &[Tensor]),
    ) -> Result<(), Diagnostic> {
        let mut values = self.inputs(frame)?;
        for (index, node) in self.model.nodes.iter().enumerate() {
            if !node.outputs.first().is_some_and(|id| self.shapes.contains_key(id)) {
                continue;
            }
            let operands = self.operands(node, &values);
            let made = operator::apply(&operands).map_err(|fault| fault.at(&self.file, &node.name))?;
            visit(index, &operands, &made);
            values.extend(node.outputs.iter().copied().zip(made));
            for id in &self.dead[index] {
                values.remove(id);
            }
        }
        Ok(())
    }

    /// Runs one frame with other weights, by node, and with every tensor of data handed through `change`; the outputs.
    pub fn run_changed(
        &self,
        frame: &[f32],
        weights: &BTreeMap<usize, (usize, Tensor)>,
        change: &dyn Fn(ValueId, Tensor) -> Checked<Tensor>,
    ) -> Result<Vec<Tensor>, Diagnostic> {
        let mut values = BTreeMap::new();
        for (id, tensor) in self.inputs(frame)? {
            values.insert(id, change(id, tensor).map_err(|found| found.at(&self.file, self.maker(id)))?);
        }
        self.run_span(0..self.model.nodes.len(), &mut values, weights, change)?;
        Ok(self.model.outputs.iter().filter_map(|id| values.get(id)).cloned().collect())
    }

    /// The tensors of a frame in front of the first node.
    pub fn entering(&self, frame: &[f32]) -> Result<BTreeMap<ValueId, Tensor>, Diagnostic> {
        self.inputs(frame)
    }

    /// Runs a stretch of nodes on the tensors in front of it, which become those behind it; outputs of the model stay.
    pub fn run_span(
        &self,
        span: Range<usize>,
        values: &mut BTreeMap<ValueId, Tensor>,
        weights: &BTreeMap<usize, (usize, Tensor)>,
        change: &dyn Fn(ValueId, Tensor) -> Checked<Tensor>,
    ) -> Result<(), Diagnostic> {
        for (index, node) in self.model.nodes.iter().enumerate().take(span.end).skip(span.start) {
            if !node.outputs.first().is_some_and(|id| self.shapes.contains_key(id)) {
                continue;
            }
            let mut operands = self.operands(node, values);
            if let Some((place, tensor)) = weights.get(&index)
                && let Some(operand) = operands.tensors.get_mut(*place)
            {
                *operand = Some(tensor.clone());
            }
            let made = operator::apply(&operands).map_err(|fault| fault.at(&self.file, &node.name))?;
            for (&id, tensor) in node.outputs.iter().zip(made) {
                values.insert(id, change(id, tensor).map_err(|found| found.at(&self.file, self.maker(id)))?);
            }
            for id in self.dead[index].iter().filter(|id| !self.model.outputs.contains(id)) {
                values.remove(id);
            }
        }
        Ok(())
    }

    /// The outputs for one frame one after the other, each in the model's own order of elements.
    pub fn output(&self, frame: &[f32]) -> Result<Vec<f32>, Diagnostic> {
        let mut made = BTreeMap::new();
        self.run(frame, &mut |id, tensor| {
            if self.model.outputs.contains(&id) {
                made.insert(id, elements(tensor));
            }
        })?;
        Ok(self.model.outputs.iter().filter_map(|id| made.get(id)).flatten().copied().collect())
    }
}

enum Learned {
    Constants(Vec<Constant>),
    Data(Vec<Tensor>),
}

/// All elements in row-major order; empty where the tensor is no float one, which does not occur here.
pub(crate) fn elements(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|flat| flat.to_vec1()).unwrap_or_default()
}

/// An input's shape with a batch of 1, and the batch that was declared.
fn frame_dims(input: &ModelInput) -> Checked<(Vec<usize>, usize)> {
    let (dims, batch) = input.frame()?;
    let length = |&dim: &u64| usize::try_from(dim).unwrap_or(usize::MAX);
    let dims: Vec<usize> = dims.iter().map(length).collect();
    bounded(&dims)?;
    Ok((dims, usize::try_from(batch).unwrap_or(1)))
}

/// Number of elements, where it stays below [`MAX_TENSOR_ELEMENTS`].
pub(crate) fn bounded(dims: &[usize]) -> Checked<usize> {
    dims.iter()
        .try_fold(1usize, |product, &dim| product.checked_mul(dim).filter(|&p| p <= MAX_TENSOR_ELEMENTS))
        .ok_or_else(|| Fault::shape(format!("a tensor of shape {dims:?} is too large"), "use smaller frames"))
}

/// For each node the tensors that no later node reads.
fn dead(model: &Model) -> Vec<Vec<ValueId>> {
    let mut last: BTreeMap<ValueId, usize> = BTreeMap::new();
    for (index, node) in model.nodes.iter().enumerate() {
        last.extend(node.inputs.iter().flatten().chain(&node.outputs).map(|&id| (id, index)));
    }
    let mut dead = vec![Vec::new(); model.nodes.len()];
    for (id, index) in last {
        dead[index].push(id);
    }
    dead
}
