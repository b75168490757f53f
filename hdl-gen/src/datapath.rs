//! Generated arithmetic: dot products and rescalers, each one Verilog module built on one bit heap.
//!
//! Input: a specification of formats, lanes and ranges. Output: Verilog text, the exact latency, and the integer
//! identities between the module's raw result and the value that is wanted, so that constants cost no hardware.
//!
//! - [`DotProductForm`]: how one lane is multiplied, with the constants that this leaves to the caller;
//! - [`DotProduct`]: lanes, accumulator and pipeline of a whole dot product;
//! - [`Rescale`]: multiply, add, shift, clamp.
//!
//! What it does not do: streams, back-pressure, memories, thresholds.

mod dot_product;
mod dsp;
mod operand;
mod product;
mod recode;
mod rescale;
mod row;

pub use dot_product::{DotProduct, DotProductSpec};
pub use operand::{DatapathError, Multiplier, Operand};
pub use recode::DotProductForm;
pub use rescale::{Rescale, RescaleFactor, RescaleSpec, ShiftRounding};
