//! The language that every other crate of hwgen speaks.
//!
//! - [`diagnostic`]: faults of a user's input, with code, place and help;
//! - [`format`], [`range`], [`shape`], [`rounding`]: numbers and tensors; [`coding`]: how weights are stored;
//! - [`op`], [`average`], [`requantization`], [`graph`]: the typed integer network that golden model and generator take;
//! - [`plan`], [`arrays`], [`random`]: plan.yaml, its sidecar file, and weights from a seed;
//! - [`manifest`]: the description of an emitted design that the simulator takes.
//!
//! Nothing here computes a network, emits hardware, or touches the file system.

pub mod arrays;
pub mod average;
pub mod coding;
pub mod diagnostic;
pub mod format;
pub mod graph;
pub mod manifest;
pub mod modes;
pub mod op;
pub mod plan;
pub mod random;
pub mod range;
pub mod requantization;
pub mod rounding;
pub mod shape;

pub use arrays::Arrays;
pub use coding::WeightFormat;
pub use diagnostic::{At, Code, Diagnostic, Diagnostics, Place};
pub use format::Format;
pub use graph::Network;
pub use plan::Plan;
pub use range::Range;
pub use shape::Shape;
