//! The commands, one module each.

mod allocate;
mod buffers;
mod check;
mod emit;
mod estimate;
mod explain;
mod explore;
mod fold;
mod plan;
mod run;
mod sensitivity;
mod simulate;

pub use estimate::device;

use crate::cli::{Command, Options};
use crate::failure::Outcome;

/// Runs the command that was typed.
pub fn run(options: &Options) -> Outcome<()> {
    let json = options.json;
    match &options.command {
        Command::Plan(options) => plan::run(options, json),
        Command::Check(options) => check::run(options, json),
        Command::Emit(options) => emit::run(options, json),
        Command::Estimate(options) => estimate::run(options, json),
        Command::Buffers(options) => buffers::run(options, json),
        Command::Fold(options) => fold::run(options, json),
        Command::Explore(options) => explore::run(options, json),
        Command::Run(options) => run::run(options, json),
        Command::Simulate(options) => simulate::run(options, json),
        Command::Allocate(options) => allocate::run(options, json),
        Command::Sensitivity(options) => sensitivity::run(options, json),
        Command::Explain(options) => explain::run(options, json),
    }
}
