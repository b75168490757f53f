//! Generated arithmetic: dot products and rescalers, each one Verilog module built on one bit heap.
//!
//! Input: a specification of formats, lanes and ranges. Output: Verilog text, the exact latency, and the integer
//! identities between the module's raw result and the value that is wanted, so that constants cost no hardware.
//!
//! - [`DotProductForm`]: how one lane is multiplied, with the constants that this leaves to the caller;
//! - [`DotProduct`]: lanes, accumulator and pipeline of a whole dot product;
//! - [`Rescale`]: multiply, add, shift, clamp;
//! - [`Combination`]: sums of integers times constants; [`regions`] and [`sub_bands`]: what stands between a memory of
//!   coded weights and dot products.
//!
//! What it does not do: streams, back-pressure, memories, thresholds.

mod combination;
mod dot_product;
mod dsp;
mod memo;
mod operand;
mod product;
mod recode;
pub mod regions;
mod rescale;
mod rescale_product;
mod row;
mod signed_digits;
pub mod sub_bands;

pub use combination::{Combination, CombinationSpec, CombinationTerm};
pub use dot_product::{DotProduct, DotProductSpec};
pub use memo::Memo;
pub use operand::{DatapathError, Multiplier, Operand};
pub use recode::DotProductForm;
pub use rescale::{Rescale, RescaleFactor, RescaleSpec, ShiftRounding};
