//! The golden model: integer evaluation of a checked [`network::Network`], frame by frame; the oracle of hwgen.
//!
//! Input: codes in hardware order (rows, columns, channels). Output: every layer's exact sums and the integers it
//! sends on ([`Trace`]), or the last tensor alone at full speed ([`Evaluator::output`]).
//!
//! - [`define`]: the plain definition, loop by loop; what everything else must equal;
//! - [`Evaluator`]: the same integers through packed kernels chosen for each layer;
//! - [`kernel`]: those kernels, among them the multi-branch xnor kernel of {-1,+1} codes;
//! - [`frames`]: a user's frames to codes, integers to real results;
//! - [`explain`]: whether a difference to a float executor is a rounding that the executor's own noise can turn.
//!
//! It knows nothing of hardware, reads no file, and shares no evaluation code with the generator.

pub mod define;
pub mod evaluator;
pub mod explain;
pub mod frames;
pub mod kernel;
pub mod trace;

mod elementwise;
mod greatest;
mod layer;
mod max_pool;
mod modes;
mod moves;
mod product;
mod requantize;
mod tasks;
mod tensor;

pub use evaluator::{Evaluator, Scratch};
pub use explain::{Explanation, Flip, Tolerance};
pub use modes::ModeEvaluator;
pub use trace::{EvaluateError, LayerTrace, Trace};
