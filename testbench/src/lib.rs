//! Everything that tests two sides of hwgen against each other.
//!
//! - [`judge`]: words that a simulation showed against the integers of the golden model, edge by edge, and simulated
//!   against predicted cycles;
//! - [`cosimulate`]: golden model, generator, simulator and judge in one run;
//! - [`vectors`]: random frames with what the golden model makes of them.
//!
//! The regression cases stand in this crate's `tests/`.

pub mod campaign;
pub mod cosimulate;
pub mod judge;
pub mod vectors;
