//! The inner loops, chosen for each layer from its ranges and formats and for the machine from its instructions.
//!
//! - [`packed`]: dot products of narrow integers, sums in 32 bits; scalar form, generic over the integer types;
//! - `x86`: the same over the same packed weights with AVX2 and AVX-512 VNNI;
//! - [`depthwise`]: sums of each channel on its own;
//! - [`wide`]: dot products whose sums need 64 bits;
//! - [`planes`]: bit planes of {-1,+1} codes, packed with bitvec, and the bit-level definition of their product;
//! - [`xnor`]: that product over machine words.

pub mod depthwise;
pub mod instructions;
pub mod packed;
pub mod planes;
pub mod wide;
pub mod xnor;

#[cfg(target_arch = "x86_64")]
mod x86;

pub use instructions::Instructions;
