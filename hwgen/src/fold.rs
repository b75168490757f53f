//! From a goal (a rate, a budget, a latency) to the foldings that reach it best, checked by the timing model.
//!
//! The solver chooses among foldings that keep every layer within a number of cycles; the design is then lowered, priced
//! as a whole and predicted. Where adapters, FIFOs and pipelines between the layers make it slower or larger than the
//! layers alone, the target is tightened and the choice repeated.

mod goal;
mod reach;

pub use goal::{Goal, parse_budget};
pub use reach::{Answer, Next, Point, Site, usage};

use crate::hardware::{cannot_lower, internal};
use hdl_gen::fold::FoldError;
use network::diagnostic::Diagnostics;
use network::graph::HardwareRequest;
use network::plan::Target;
use network::{Code, Diagnostic, Network, Place};

/// The network with the plan's hardware wishes, or without them.
pub fn with_wishes(network: &Network, keep: bool) -> Result<Network, Diagnostics> {
    let mut parts = network.clone().into_parts();
    if !keep {
        parts.layers.iter_mut().for_each(|layer| layer.hardware = HardwareRequest::default());
    }
    Network::build(parts)
}

/// What a plan's target asks for: its rate, else its budget.
pub fn plan_goal(target: &Target) -> Option<Goal> {
    let budget = &target.budget;
    let limits = [&budget.lut, &budget.ff, &budget.dsp, &budget.bram36];
    let limits = limits.map(|limit| limit.as_ref().map(|at| at.value as f64));
    let rate = target.fps.as_ref().map(|at| Goal::Rate(at.value));
    rate.or_else(|| limits.iter().any(Option::is_some).then_some(Goal::Budget(limits)))
}

/// The fault of a folding that the plan's wishes or the hardware do not allow.
pub fn cannot_fold(network: &Network, error: FoldError) -> Diagnostics {
    match error {
        FoldError::Bind(faults) => faults,
        FoldError::Lower(error) => cannot_lower(network, &error).into(),
        FoldError::Problem(error) => internal(&error).into(),
    }
}

/// The fault of a goal that no folding reaches.
pub fn impossible(message: String, help: String, place: Place) -> Diagnostic {
    Diagnostic::new(Code::Budget, place, message, help)
}
