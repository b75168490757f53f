//! Import against recorded outputs of QONNX's reference executor and onnxruntime, and against damaged files.

mod damaged;
mod evaluator;
mod frames;
mod models;
mod recorded;
