//! Import of trained models: QONNX or float ONNX bytes in, the parts of a typed integer network out.
//!
//! The way of a model: [`onnx`] reads the protobuf, [`model`] checks it into an ordered graph, [`post_training`] puts
//! quantizers into a float one with what [`float`] measures on calibration frames, [`walk`] folds what is
//! constant and turns the rest into layers with exact per-channel functions ([`exact`]), and [`solve`] finds for each
//! requantization the cheapest integer form that equals the model's exact rule at every reachable sum.
//!
//! Not here: reading or writing files, plan.yaml, evaluating a network, choosing hardware.

mod adam;
pub mod allocate;
mod constant;
mod curve;
mod exact;
mod fault;
mod float;
mod import;
mod layout;
mod model;
mod names;
mod onnx;
pub mod piecewise;
mod post_training;
mod qdq;
mod quantization;
mod reading;
mod solve;
mod walk;
pub mod wavelet;

pub use float::FloatModel;
pub use import::{ImportOptions, Imported, InputGrid, QdqRule, import, input_names};
pub use onnx::{ExternalPart, inline_external};
pub use post_training::{
    ActivationQuantizer, Calibration, InputCodes, LayerBits, PostTraining, RangeRule, Reconstruct, ReconstructRule,
    WeightQuantizer, WeightRange,
};
pub use reading::{InputShape, Reading};
