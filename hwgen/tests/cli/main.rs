//! The command line as its users meet it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod allocation;
mod arrays;
mod documents;
mod estimate;
mod examples;
mod fold;
mod inputs;
mod interrupts;
mod models;
mod outputs;
mod place;
mod plans;
mod simulation;
mod tasks;
mod tools;
