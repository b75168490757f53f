//! Tests of the golden model against the plain definition, hand-worked vectors and the published identities.

#![allow(clippy::unwrap_used)]

mod build;
mod errors;
mod explain;
mod extremes;
mod frames;
mod graphs;
mod large;
mod networks;
mod packed;
mod requantization;
mod xnor;
