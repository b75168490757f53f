//! From a typed network to Verilog.
//!
//! `bind` chooses PE kinds and foldings, [`lower`](fn@lower) makes a [`Design`], which predicts its own cycles and
//! emits an [`Artifact`]. Input: a checked [`network::Network`]. Output: bytes. What it does not do: evaluate networks,
//! touch files, or run tools.

pub mod threshold;
pub mod timing;

pub mod datapath;
pub mod heap;
pub mod verilog;
mod weight_layout;

pub mod bind;
pub mod cost;
pub mod design;
pub mod emit;
pub mod fold;
mod image;
pub mod library;
mod live_wires;
pub mod lower;
pub mod rearrange;
mod requantize;
mod serial;

pub use bind::{BindOptions, Bound, BoundLayer, MatrixLayer, bind};
pub use design::{Design, JoinBuffer, PredictError, ShallowBuffer, SkewCause, StageRow};
pub use emit::{Artifact, EmitError, EmitOptions, TestVector};
pub use library::{LIBRARY, LibraryModule};
pub use lower::{CountedDesign, LowerError, lower, lower_counted, lower_counted_like};
