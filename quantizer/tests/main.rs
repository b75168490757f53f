//! Import against recorded outputs of QONNX's reference executor and onnxruntime, and against damaged files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod allocation;
mod allocation_builds;
mod builder;
mod coded_allocation;
mod curvature;
mod damaged;
mod evaluator;
mod faults;
mod float_models;
mod float_operators;
mod frames;
mod inputs;
mod models;
mod piecewise_activations;
mod post_training;
mod published_identities;
mod qdq;
mod random;
mod readings;
mod recorded;
mod resizing;
mod separability;
mod tails;
