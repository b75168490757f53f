//! Builds and drives the Verilator model of an emitted design, knowing nothing of it but its manifest.
//!
//! Input: a folder with `manifest.json`, Verilog and memory images ([`DesignFolder`]), and frames of words. Output: every
//! word that moved on every edge, with its clock cycle ([`Event`]), and a [`SimReport`]. It does not know what the words
//! mean or what they should be.
//!
//! One [`Model`] is one executable and may hold several designs. It is a child process that speaks the binary protocol of
//! the module `protocol` over its pipes, so nothing that a design does can take the caller down. The steps:
//!
//! ```text
//! DesignFolder --- Model::build ---> Model --- Model::run(frames) ---> Event, Event, ... SimReport
//!                  | Tools            one executable in the cache
//!                  | generated .vlt, glue, Makefile
//! ```

pub mod stall;
pub mod words;

mod cache;
mod design;
mod error;
mod model;
mod process;
mod protocol;
mod report;
mod run;
mod runtime;
mod source;
mod tools;

pub use cache::{CacheDir, CacheUse};
pub use design::DesignFolder;
pub use error::{ErrorClass, SimulatorError};
pub use model::{BuildOptions, Model, TraceFormat};
pub use process::Cancel;
pub use report::{EdgeReport, End, Hang, SimReport, StreamState, Violation, ViolationKind};
pub use run::{Event, RunRequest, Stalls, Trace, TraceFrom};
pub use tools::Tools;
