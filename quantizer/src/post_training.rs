//! Post-training quantization: a float model and frames become the same model with quantizers.
//!
//! The way: [`fold`] constants and batch norms, decide in [`sites`] which tensors become codes, measure them
//! ([`statistics`]), choose a grid for each ([`range`], [`grid`]) and for every weight ([`weights`]), and [`rewrite`]
//! the model with `Quant` nodes. From there on it is imported as any QONNX model; biases stay float, since exact
//! requantization takes them in full. Float arithmetic decides the grids, so these may differ in their last digits
//! between processors; the plan that results does not depend on anything else.

mod bias;
mod coded;
mod equalize;
mod fold;
mod grid;
mod options;
mod random;
mod range;
mod reconstruct;
mod rewrite;
mod rounding;
mod sites;
mod stairs;
mod statistics;
mod trial;
mod weights;

pub use coded::WeightQuantizer;
pub use options::{Calibration, InputCodes, LayerBits, PostTraining, RangeRule, WeightRange};
pub(crate) use random::{Generator, normal};
pub use reconstruct::{Reconstruct, ReconstructRule};
pub use stairs::ActivationQuantizer;
pub(crate) use trial::{Trial, TrialGroup, TrialLayer, with_trial};

use crate::fault::Fault;
use crate::float::Program;
use crate::import;
use crate::model::{MATRIX_OPERATORS, Model, ValueId};
use crate::quantization;
use network::{Code, Diagnostic, Diagnostics, Place, WeightFormat};
use std::collections::BTreeMap;

/// A model with quantizers, and where its numbers came from.
pub(crate) struct Quantized {
    pub model: Model,
    /// What was done, by the name of the node of weights.
    pub origins: BTreeMap<String, String>,
    pub notes: Vec<String>,
    /// Codings of weights, by the name of the node.
    pub codings: BTreeMap<String, WeightFormat>,
}

/// Whether nothing in the model is quantized, although it has weights.
pub(crate) fn is_float(model: &Model) -> bool {
    !is_quantized(model) && model.nodes.iter().any(|node| MATRIX_OPERATORS.contains(&node.op.as_str()))
}

/// Whether anything in the model is quantized.
pub(crate) fn is_quantized(model: &Model) -> bool {
    let quantizes = |op: &str| op.contains("Quantize") || op.starts_with("QLinear") || op.ends_with("Integer");
    model.nodes.iter().any(|node| quantization::is_quantizer(node) || quantizes(&node.op))
}

/// What a float model without calibration needs.
pub(crate) fn needs_calibration(file: &str) -> Diagnostic {
    Diagnostic::new(
        Code::ModelQuantizer,
        Place::file(file),
        "the model is float: nothing in it says on which grids its weights and activations lie",
        "give frames to quantize it with (--calibration FILE.npz:ARRAY), or try shapes alone (--random-calibration SEED)",
    )
}

/// Calibration of a model that is quantized already.
pub(crate) fn not_float(file: &str) -> Diagnostic {
    Diagnostic::new(
        Code::ModelQuantizer,
        Place::file(file),
        "the model is quantized already; calibration has nothing to do",
        "leave the options of calibration out, or give the float model",
    )
}

/// Quantizes a float model.
///
/// # Errors
/// Options that do not fit the model, frames of another shape or with NaN, operators that cannot be evaluated, tensors
/// that are constant: diagnostics that name the node.
pub(crate) fn quantize(model: Model, file: &str, options: &PostTraining) -> Result<Quantized, Diagnostics> {
    let Prepared { model, stated, frames, mut notes } = prepare(model, file, options)?;
    let whole = |fault| import::of_file(fault, file);
    let program = Program::new(&model, file)?;
    let sites = sites::Sites::find(&model, &program, &stated, options).map_err(whole)?;
    let measured = statistics::measure(&program, &sites, &frames)?;
    let mut grids = Vec::new();
    let mut faults = Diagnostics::default();
    for (index, group) in sites.groups.iter().enumerate() {
        match grid::choose(group, &measured[index], options) {
            Ok(grid) => grids.push(grid),
            Err(fault) => faults.push(fault.at(file, &group.owner)),
        }
    }
    let mut layers = match weights::quantize(&model, &program, &sites, options, file) {
        Ok(layers) => layers,
        Err(more) => {
            faults.extend(more);
            Vec::new()
        }
    };
    faults.or(())?;
    if options.adaround {
        // Regions and sub-bands have no free choice between two neighbouring integers.
        let (coded, mut plain): (Vec<_>, Vec<_>) = layers.into_iter().partition(|layer| layer.coding.is_some());
        rounding::fit(&program, &frames, &mut plain)?;
        layers = coded.into_iter().chain(plain).collect();
        layers.sort_by_key(|layer| layer.node);
    }
    notes.extend(reconstruct::fit(&program, &sites, &frames, &mut layers, &mut grids, options)?);
    if options.bias_correction {
        bias::correct(&program, &frames, &mut layers)?;
    }
    let origins =
        layers.iter().map(|layer| (layer.name.clone(), layer.origin(&model, &sites, &grids, options))).collect();
    notes.extend(layers.iter().filter_map(|layer| layer.note.clone()));
    let entering: Vec<usize> = model.inputs.iter().filter_map(|input| sites.of.get(&input.id).copied()).collect();
    let mut levels = Vec::new();
    for (index, group) in sites.groups.iter().enumerate() {
        // What enters is made by the host, which knows equal steps alone.
        let (made, note) = match entering.contains(&index) {
            true => (None, None),
            false => stairs::choose(group, &measured[index], &grids[index], options),
        };
        levels.push(made);
        notes.extend(note);
    }
    let codings = layers.iter().filter_map(|layer| Some((layer.name.clone(), layer.coding.clone()?))).collect();
    drop(program);
    let model = rewrite::rewrite(model, &sites, &grids, &levels, layers);
    Ok(Quantized { model, origins, notes, codings })
}

/// A float model that reads what the user says its inputs are, and its calibration frames.
struct Prepared {
    model: Model,
    /// Grids that the user states, by input.
    stated: BTreeMap<ValueId, grid::Grid>,
    frames: statistics::Frames,
    notes: Vec<String>,
}

fn prepare(mut model: Model, file: &str, options: &PostTraining) -> Result<Prepared, Diagnostics> {
    let whole = |fault| import::of_file(fault, file);
    options.check().map_err(whole)?;
    if let Some(seed) = options.random_weights {
        random::replace_weights(&mut model, seed);
    }
    let mut notes = Vec::new();
    let mut model = fold::fold(model, file, &mut notes)?;
    if options.equalize {
        let shapes = Program::new(&model, file)?.shapes;
        let pairs = equalize::equalize(&mut model, &shapes).map_err(whole)?;
        notes.push(format!("{pairs} pairs of layers were equalized"));
    }
    let program = Program::new(&model, file)?;
    let all_dims = program.frame_dims.clone();
    drop(program);
    let ids: Vec<ValueId> = model.inputs.iter().map(|input| input.id).collect();
    let named: Vec<&str> = ids.iter().map(|&id| model.names[id].as_str()).collect();
    let entering = options.entering(&named).map_err(whole)?;
    let mut read = Vec::new();
    let mut faults = Diagnostics::default();
    for (((calibration, codes), dims), &id) in entering.iter().zip(&all_dims).zip(&ids) {
        let frames = options::frames(calibration, codes.as_ref(), dims);
        let made = frames.and_then(|frames| Ok((options::codes(codes.as_ref(), &frames, dims)?, frames)));
        match made {
            Ok(made) => read.push(made),
            Err(fault) if ids.len() == 1 => return Err(whole(fault)),
            Err(fault) => faults.push(fault.at(file, &model.names[id])),
        }
    }
    faults.or(())?;
    let (mut stated, mut inputs) = (BTreeMap::new(), Vec::new());
    for ((id, dims), (meaning, frames)) in ids.into_iter().zip(all_dims).zip(read) {
        let (grid, frames) = rewrite::attach_input(&mut model, id, frames, meaning, dims);
        stated.extend(grid.map(|grid| (id, grid)));
        inputs.push(frames);
    }
    let counts: Vec<usize> = inputs.iter().map(statistics::InputFrames::count).collect();
    if counts.iter().any(|&count| count != counts[0]) {
        return Err(whole(Fault::new(
            Code::FramesShape,
            format!("the inputs have {counts:?} calibration frames"),
            "give as many frames of each input",
        )));
    }
    Ok(Prepared { model, stated, frames: statistics::Frames { inputs }, notes })
}
