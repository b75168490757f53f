//! The command line of hwgen.
//!
//! Input: plans, models and arrays in files. Output: reports, golden results and emitted designs. This is the one crate
//! with file input and output, progress bars and exit codes; it computes nothing about networks itself.

mod arrays;
mod cli;
mod command;
mod failure;
mod fold;
mod frames;
mod hardware;
mod interrupt;
mod output;
mod plan_file;
mod progress;
mod render;
mod table;

use clap::Parser;
use mimalloc::MiMalloc;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let options = cli::Options::parse();
    match command::run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            render::print_failure(&failure, options.json);
            ExitCode::from(failure.exit_code())
        }
    }
}
