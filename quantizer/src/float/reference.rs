//! A float model as its framework computes it: reference outputs beside those of the integer network.

use super::Program;
use crate::import;
use crate::model::Model;
use crate::post_training::{self, PostTraining};
use crate::reading::{Reading, read};
use network::Diagnostics;
use rayon::prelude::*;

/// A model that is evaluated in float32, frame by frame.
///
/// Quantizers in it (`Quant`, `BipolarQuant` of data with one scale) are simulated in float.
pub struct FloatModel {
    model: Model,
    file: String,
}

impl FloatModel {
    /// Reads an ONNX model; `file_name` stands in diagnostics.
    ///
    /// # Errors
    /// Codes E0401 to E0406 for faults of the file and for operators that cannot be evaluated.
    pub fn read(model_bytes: &[u8], file_name: &str) -> Result<FloatModel, Diagnostics> {
        let model = read(model_bytes, file_name, &Reading::default())?;
        Program::new(&model, file_name)?;
        Ok(FloatModel { model, file: file_name.to_owned() })
    }

    /// The same model with simulated quantizers, as import would quantize it.
    ///
    /// # Errors
    /// As [`crate::import`] with the same options.
    pub fn quantized(self, options: &PostTraining) -> Result<FloatModel, Diagnostics> {
        let model = post_training::quantize(self.model, &self.file, options)?.model;
        Ok(FloatModel { model, file: self.file })
    }

    /// The output for each frame of `frames`, which stand one after the other in the model's own order of elements.
    ///
    /// # Errors
    /// A length that is not a whole number of frames (E0502).
    pub fn run(&self, frames: &[f32]) -> Result<Vec<Vec<f32>>, Diagnostics> {
        let program = Program::new(&self.model, &self.file)?;
        let elements = program.frame_elements();
        if elements == 0 || !frames.len().is_multiple_of(elements) {
            let message = format!("{} elements are no whole number of frames of {elements}", frames.len());
            let fault = crate::fault::Fault::new(network::Code::FramesShape, message, "give whole frames");
            return Err(import::of_file(fault, &self.file));
        }
        let outputs: Result<Vec<Vec<f32>>, _> =
            frames.par_chunks(elements).map(|frame| program.output(frame)).collect();
        outputs.map_err(Diagnostics::from)
    }

    /// One line for each node: operator and output tensor, with what a quantizer's grid is.
    pub fn nodes(&self) -> Vec<String> {
        let name = |id: &Option<usize>| id.map_or("", |id| self.model.names[id].as_str());
        let line = |node: &crate::model::Node| {
            let inputs: Vec<&str> = node.inputs.iter().map(name).collect();
            let output = node.outputs.first().map_or("", |&id| self.model.names[id].as_str());
            let constant = |index: usize| Some(self.model.constants.get(&node.inputs.get(index).copied()??)?.f32(0));
            let grid = match (node.op.as_str(), constant(1), constant(3)) {
                ("Quant", Some(scale), Some(bits)) => {
                    let sign = if node.attributes.int("signed", 1) == Ok(0) { "u" } else { "s" };
                    format!(" {sign}{bits} {scale}")
                }
                _ => String::new(),
            };
            format!("{output} = {}({}){grid}", node.op, inputs.join(", "))
        };
        self.model.nodes.iter().map(line).collect()
    }
}
