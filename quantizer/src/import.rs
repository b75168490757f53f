//! The way from bytes to network parts.

use crate::fault::Fault;
use crate::names::network_name;
use crate::post_training::{self, PostTraining};
use crate::reading::{Reading, read};
use crate::walk::{self, InputPlan, Wanted};
use crate::{model, qdq};
use network::coding::{Coding, Tagged, Wavelet};
use network::graph::NetworkParts;
use network::op::Op;
use network::{Code, Diagnostics, Format, Network, WeightFormat};
use std::collections::BTreeMap;

/// What the user may say about a model that the model itself does not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportOptions {
    /// The network's name; else the file's stem.
    pub name: Option<String>,
    /// What the input's integers are, for models without a quantizer at their input.
    pub input: Option<InputGrid>,
    /// How the file is read.
    pub reading: Reading,
    /// How the quantizers of QDQ models round.
    pub qdq_rule: QdqRule,
    /// How a float model is quantized.
    pub post_training: Option<PostTraining>,
    /// Leaves any operator that cannot be built to the host, with all that follows it, where no layer and no quantizer
    /// follows. Softmax, NonMaxSuppression and what decodes boxes are always left so.
    pub cut_unsupported: bool,
}

/// The rule of QuantizeLinear behind an operator of a QDQ model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QdqRule {
    /// Bit for bit as onnxruntime's integer kernels compute it in float32, where there is such a kernel; else exact.
    #[default]
    Float32,
    /// The exact real number is rounded once.
    Exact,
}

/// The grid of input codes: real = (code - zero_point) * scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputGrid {
    /// Format of the codes.
    pub format: Format,
    /// Real step of one code; positive and finite.
    pub scale: f32,
    /// Code of real zero.
    pub zero_point: i64,
}

/// An imported model.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The network, ready for [`network::Network::build`]; hardware wishes are left open.
    pub parts: NetworkParts,
    /// For each layer the model's node that it comes from.
    pub origins: Vec<String>,
    /// What was chosen, cut to the host, or left out; one sentence each.
    pub notes: Vec<String>,
}

/// Imports a QONNX or QDQ model.
///
/// `file_name` stands in diagnostics and gives the network its name. All operators that cannot be built are reported
/// in one go, each with its node.
///
/// # Errors
/// Codes E0401 to E0406 for faults of the model; never panics, whatever the bytes are.
pub fn import(model_bytes: &[u8], file_name: &str, options: &ImportOptions) -> Result<Imported, Diagnostics> {
    let mut model = read(model_bytes, file_name, &options.reading)?;
    qdq::rewrite(&mut model, options.qdq_rule);
    let name = options.name.clone().unwrap_or_else(|| network_name(file_name));
    let is_float = post_training::is_float(&model);
    let (mut origins, mut codings) = (BTreeMap::new(), BTreeMap::new());
    if let Some(post_training) = &options.post_training {
        let refused = walk::refusals(&model);
        if post_training::is_quantized(&model) {
            let mut faults = Diagnostics::default();
            add_refused(&mut faults, refused, file_name);
            faults.or(())?;
            return Err(post_training::not_float(file_name).into());
        }
        let quantized = post_training::quantize(model, file_name, post_training).map_err(|mut faults| {
            add_refused(&mut faults, refused, file_name);
            faults
        })?;
        (model, origins, codings) = (quantized.model, quantized.origins, quantized.codings);
        model.notes.extend(quantized.notes);
    }
    let walked = walk_annotated(&model, file_name, &name, options);
    let mut imported = match walked {
        Err(mut faults) if is_float && options.post_training.is_none() => {
            faults.0.retain(|fault| fault.code == Code::ModelOperator);
            faults.push(post_training::needs_calibration(file_name));
            return Err(faults);
        }
        walked => walked?,
    };
    recode(&mut imported, &codings);
    for origin in &mut imported.origins {
        if let Some(text) = origins.get(origin) {
            *origin = format!("{origin}: {text}");
        }
    }
    // What is handed on is sure to build.
    Network::build(imported.parts.clone()).map_err(|faults| faults.in_file(file_name))?;
    Ok(imported)
}

/// Names of a model's data inputs in their order.
///
/// # Errors
/// Codes E0401 to E0406 for faults of the file.
pub fn input_names(model_bytes: &[u8], file_name: &str, reading: &Reading) -> Result<Vec<String>, Diagnostics> {
    let model = read(model_bytes, file_name, reading)?;
    Ok(model.inputs.iter().map(|input| model.names[input.id].clone()).collect())
}

/// Gives weights the codings that they were made with, where their order in hardware keeps groups and blocks together.
fn recode(imported: &mut Imported, codings: &BTreeMap<String, WeightFormat>) {
    for (layer, origin) in imported.parts.layers.iter_mut().zip(&imported.origins) {
        let (Op::Dense { weights } | Op::Conv2d { weights, .. }) = &mut layer.op else { continue };
        let Some(format) = codings.get(origin) else { continue };
        let coding = match format {
            WeightFormat::Plain(_) => continue,
            WeightFormat::Piecewise(regions) => {
                Tagged::fewest_bits(regions.clone(), weights.length, &weights.values).ok().map(Coding::Piecewise)
            }
            WeightFormat::Wavelet(wavelet) => {
                let blocks = (0..weights.outputs.div_ceil(2))
                    .flat_map(|row| (0..weights.length.div_ceil(2)).map(move |column| (row, column)));
                let are_coded = |(row, column)| wavelet.codes(Wavelet::block(weights, row, column)).is_some();
                blocks.into_iter().all(are_coded).then(|| Coding::Wavelet(wavelet.clone()))
            }
        };
        match coding {
            Some(coding) => (weights.coding, weights.format) = (coding, format.plain()),
            None => imported.notes.push(format!(
                "{}: hardware takes its weights in another order, which {format} codes do not have: plain",
                layer.name
            )),
        }
    }
}

/// Adds what cannot be built and was not reached, so that one list tells all.
fn add_refused(faults: &mut Diagnostics, refused: Vec<(String, Fault)>, file: &str) {
    for (node, fault) in refused {
        if !faults.0.iter().any(|known| known.place.layer.as_deref() == Some(&node)) {
            faults.push(fault.at(file, &node));
        }
    }
}

/// A fault of a whole file.
pub(crate) fn of_file(fault: Fault, file: &str) -> Diagnostics {
    let mut diagnostic = fault.at(file, "");
    diagnostic.place.layer = None;
    Diagnostics::from(diagnostic)
}

/// Walks as the options say; where that fails, with the input's annotated format if there is one.
fn walk_annotated(
    model: &model::Model,
    file: &str,
    name: &str,
    options: &ImportOptions,
) -> Result<Imported, Diagnostics> {
    let first = walk_model(model, file, name, options);
    let annotated = if let [input] = model.inputs.as_slice() { input.annotated } else { None };
    let (Err(_), None, Some(format)) = (&first, options.input, annotated) else { return first };
    let stated = ImportOptions { input: Some(InputGrid { format, scale: 1.0, zero_point: 0 }), ..options.clone() };
    match walk_model(model, file, name, &stated) {
        Ok(mut imported) => {
            imported.notes.push(format!("the input's values are integers of format {format}, as its annotation says"));
            Ok(imported)
        }
        Err(_) => first,
    }
}

/// Walks with plain inputs first; a convolution or pool over an input says which rows and columns it has.
fn walk_model(model: &model::Model, file: &str, name: &str, options: &ImportOptions) -> Result<Imported, Diagnostics> {
    let mut plans = vec![InputPlan::Flat; model.inputs.len()];
    loop {
        let stopped = match walk::walk(model, file, name, options, &plans) {
            Ok(imported) => return Ok(imported),
            Err(stopped) => stopped,
        };
        match stopped.wanted {
            Some(Wanted { input, shape, axes }) if matches!(plans.get(input), Some(InputPlan::Flat)) => {
                plans[input] = InputPlan::Image { shape, axes };
            }
            _ => {
                // Element-wise layers in front hide from a convolution that it looks at an input.
                let is_shape = stopped.faults.0.iter().any(|fault| fault.code == Code::ModelShape);
                let images = declared_images(model, &plans).filter(|_| is_shape);
                let second = images.map(|plans| walk::walk(model, file, name, options, &plans));
                return second.and_then(Result::ok).ok_or(stopped.faults);
            }
        }
    }
}

/// All inputs that are still taken flat as (1, channels, rows, columns), where they are declared so; none where no
/// input is.
fn declared_images(model: &model::Model, plans: &[InputPlan]) -> Option<Vec<InputPlan>> {
    let image = |input: &model::ModelInput| {
        let &[_, channels, rows, columns] = input.shape.as_deref()? else { return None };
        let shape = network::Shape::new(rows?, columns?, channels?)?;
        Some(InputPlan::Image { shape, axes: network::shape::AxisOrder::ChannelsFirst })
    };
    let mut changes = false;
    let new = plans.iter().zip(&model.inputs).map(|(&plan, input)| match (plan, image(input)) {
        (InputPlan::Flat, Some(image)) => {
            changes = true;
            image
        }
        (plan, _) => plan,
    });
    let new = new.collect();
    changes.then_some(new)
}
