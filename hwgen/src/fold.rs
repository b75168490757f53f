//! From a goal (a rate, a budget, a latency) to the foldings that reach it best, checked by the timing model.
//!
//! The solver chooses among foldings that keep every layer within a number of cycles; the design is then lowered, priced
//! as a whole and predicted. Where adapters, FIFOs and pipelines between the layers make it slower or larger than the
//! layers alone, the target is tightened and the choice repeated.

mod goal;
mod improve;
mod reach;
mod within;

pub use goal::{Goal, parse_budget};
pub use reach::{Answer, Next, Point, Site, usage};
pub use within::{Missed, Wanted};

use crate::cli::GroundOptions;
use crate::command::device;
use crate::failure::Outcome;
use crate::hardware::{DEFAULT_CLOCK_MHZ, cannot_lower, internal};
use crate::interrupt::Interrupt;
use crate::plan_file::LoadedPlan;
use hdl_gen::cost::{Device, Model};
use hdl_gen::datapath::Memo;
use hdl_gen::design::LONG_FRAME_WORDS;
use hdl_gen::fold::FoldError;
use network::diagnostic::Diagnostics;
use network::graph::HardwareRequest;
use network::plan::Target;
use network::{Code, Diagnostic, Network, Place};

/// The network with the plan's hardware wishes, or without them.
fn with_wishes(network: &Network, keep: bool) -> Result<Network, Diagnostics> {
    let mut parts = network.clone().into_parts();
    if !keep {
        parts.layers.iter_mut().for_each(|layer| layer.hardware = HardwareRequest::default());
    }
    Network::build(parts)
}

/// What foldings of a plan are chosen on: its network, a part with its prices, and a clock.
pub struct Ground {
    /// The network, with the plan's wishes where they are kept.
    pub network: Network,
    /// The part.
    pub device: Device,
    model: Model,
    /// Clock in MHz.
    pub clock_mhz: f64,
    /// Whether the command line or the plan names the part.
    pub part_named: bool,
    gap: f64,
    memo: Memo,
}

impl Ground {
    /// The ground of a plan.
    pub fn of(loaded: &LoadedPlan, options: &GroundOptions) -> Outcome<Self> {
        let device = options.device.as_deref();
        let target = &loaded.plan.target;
        let part = device::choose(device, target)?;
        let model = Model::of(part.family).map_err(|fault| device::no_model(&fault))?;
        let planned = target.clock_mhz.as_ref().map(|at| at.value);
        Ok(Ground {
            network: with_wishes(&loaded.network, options.keep)?,
            model,
            clock_mhz: options.clock_mhz.or(planned).unwrap_or(DEFAULT_CLOCK_MHZ),
            part_named: device.is_some() || target.device.is_some(),
            device: part,
            gap: options.gap,
            memo: Memo::default(),
        })
    }

    /// Where foldings are searched; `part_counts` makes the part's capacity a limit.
    pub fn site<'a>(&'a self, part_counts: bool, interrupt: &'a Interrupt) -> Site<'a> {
        let Ground { network, device, model, clock_mhz, gap, memo, .. } = self;
        let (clock_mhz, gap, longest_words) = (*clock_mhz, *gap, LONG_FRAME_WORDS);
        Site { network, device, model, clock_mhz, part_counts, gap, interrupt, memo, longest_words }
    }
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
