//! From a network to its hardware: binding, lowering, emission, each with the faults a user should see.

use crate::cli::GroundOptions;
use crate::command::device;
use crate::failure::{Outcome, cannot_evaluate};
use crate::fold;
use crate::interrupt::Interrupt;
use crate::plan_file::LoadedPlan;
use hdl_gen::cost::Model;
use hdl_gen::datapath::Memo;
use hdl_gen::timing::{RunError, Wait};
use hdl_gen::{
    Artifact, BindOptions, Bound, CountedDesign, Design, EmitError, EmitOptions, LowerError, PredictError,
    ShallowBuffer, bind, lower, lower_counted,
};
use network::graph::Layer;
use network::manifest::{LayerRow, Timing};
use network::{Code, Diagnostic, Network, Place};
use testbench::vectors::test_vectors;

/// Clock that constraints ask for where the plan states none, in MHz.
pub const DEFAULT_CLOCK_MHZ: f64 = 200.0;
/// A network with its hardware.
pub struct Hardware {
    /// Kinds and foldings.
    pub bound: Bound,
    /// Modules and streams.
    pub design: Design,
}

/// A network with its hardware as far as figures need it.
pub struct Figures {
    /// Kinds and foldings.
    pub bound: Bound,
    /// What can be counted and predicted.
    pub design: CountedDesign,
}

/// The hardware of a plan: folded for its target where the plan has a rate or a budget and no folding of its own.
pub fn of_plan(loaded: &LoadedPlan, interrupt: &Interrupt) -> Outcome<Hardware> {
    Hardware::of(bound_of_plan(loaded, interrupt)?)
}

/// The same for its figures alone, which is much quicker.
pub fn figures_of_plan(loaded: &LoadedPlan, interrupt: &Interrupt) -> Outcome<Figures> {
    Figures::of(bound_of_plan(loaded, interrupt)?)
}

/// Chooses what the plan leaves open, for figures alone.
pub fn figures(network: &Network) -> Outcome<Figures> {
    Figures::of(bind(network, &BindOptions::default())?)
}

/// Kinds and foldings of a plan, as [`of_plan`] has them.
fn bound_of_plan(loaded: &LoadedPlan, interrupt: &Interrupt) -> Outcome<Bound> {
    let (network, target) = (&loaded.network, &loaded.plan.target);
    let folded = |layer: &Layer| layer.hardware.pe.is_some() || layer.hardware.simd.is_some();
    let Some(goal) = fold::plan_goal(target).filter(|_| !network.layers().iter().any(folded)) else {
        return Ok(bind(network, &BindOptions::default())?);
    };
    let device = device::choose(None, target)?;
    let clock_mhz = target.clock_mhz.as_ref().map_or(DEFAULT_CLOCK_MHZ, |at| at.value);
    if let (Err(_), fold::Goal::Rate(fps)) = (Model::of(device.family), goal) {
        // Without prices of the family the rate alone is kept, by a rough count of look-up tables.
        let target_cycles = Some((clock_mhz * 1e6 / fps).floor() as u64);
        return Ok(bind(network, &BindOptions { target_cycles })?);
    }
    let ground = fold::Ground::of(loaded, &GroundOptions { keep: true, ..GroundOptions::default() })?;
    let site = ground.site(ground.part_named, interrupt);
    Ok(site.best(goal)?.bound)
}

impl Figures {
    fn of(bound: Bound) -> Outcome<Self> {
        let design = lower_counted(&bound, &Memo::default()).map_err(|error| cannot_lower(bound.network(), &error))?;
        Ok(Figures { bound, design })
    }

    /// The layer table.
    pub fn rows(&self) -> &[LayerRow] {
        self.design.rows()
    }

    /// Predicted cycles of runs without stalls.
    pub fn timing(&self) -> Outcome<Timing> {
        let fault = |error: PredictError| design_fault(self.design.design(), &self.bound, &error);
        Ok(self.design.timing().map_err(fault)?)
    }
}

impl Hardware {
    /// The design of a bound network.
    pub fn of(bound: Bound) -> Outcome<Self> {
        let design = lower(&bound).map_err(|error| cannot_lower(bound.network(), &error))?;
        Ok(Hardware { bound, design })
    }

    /// The layer table.
    pub fn rows(&self) -> &[LayerRow] {
        self.design.rows()
    }

    /// Predicted cycles of runs without stalls.
    pub fn timing(&self) -> Outcome<Timing> {
        Ok(self.design.timing().map_err(|error| self.cannot_predict(&error))?)
    }

    /// All files of the design.
    pub fn emit(&self, loaded: &LoadedPlan) -> Outcome<Artifact> {
        let vectors = test_vectors(&loaded.network).map_err(|error| cannot_evaluate(&error))?;
        let clock_mhz = loaded.plan.target.clock_mhz.as_ref().map_or(DEFAULT_CLOCK_MHZ, |at| at.value);
        let options = EmitOptions { plan_sha256: loaded.sha256.clone(), clock_mhz, vectors };
        let emitted = self.design.emit(&options).map_err(|error| match &error {
            EmitError::Predict(fault) => self.cannot_predict(fault),
            EmitError::Manifest(_) | EmitError::Vector { .. } => internal(&error),
        });
        Ok(emitted?)
    }
}

impl Hardware {
    /// A design that the timing model cannot run to its end; names FIFOs that the plan makes too shallow.
    pub fn cannot_predict(&self, error: &PredictError) -> Diagnostic {
        design_fault(&self.design, &self.bound, error)
    }
}

fn design_fault(design: &Design, bound: &Bound, error: &PredictError) -> Diagnostic {
    let fault = cannot_predict(error);
    if !matches!(error, PredictError::Run(RunError::Deadlock { .. })) {
        return fault;
    }
    let shallow = design.shallow_buffers();
    let layers = bound.network().layers();
    let Some(layer) = shallow.first().and_then(|first| layers.iter().find(|layer| layer.name == first.join)) else {
        return fault;
    };
    Diagnostic::new(
        Code::SimulationHang,
        layer.hardware.fifo.as_ref().map_or_else(|| layer.place.clone(), |at| at.place.clone()),
        format!("{}{}", shallow_text(&shallow), fault.message),
        "give `fifo` more words, or leave it out: then the depths are found",
    )
}

/// One line for each FIFO that the plan makes shallower than is surely enough.
pub fn shallow_text(shallow: &[ShallowBuffer]) -> String {
    let line = |buffer: &ShallowBuffer| {
        let ShallowBuffer { name, join, depth, enough } = buffer;
        format!("FIFO {name} in front of {join} holds {depth} words; {enough} are enough\n")
    };
    shallow.iter().map(line).collect()
}

/// A design that the timing model cannot run to its end.
pub fn cannot_predict(error: &PredictError) -> Diagnostic {
    match error {
        PredictError::Run(RunError::Deadlock { last_move, waits }) => stands_still(*last_move, waits),
        PredictError::Run(_) | PredictError::Graph(_) => internal(error),
    }
}

/// Streams that wait for each other for ever.
fn stands_still(last_move: Option<u64>, waits: &[Wait]) -> Diagnostic {
    Diagnostic::new(
        Code::SimulationHang,
        Place::default(),
        standstill_text(last_move, waits),
        "let the branches of a join be shorter, or fold their layers alike; each line above is one stream",
    )
}

/// Since when nothing moves, and one line for each stream.
pub fn standstill_text(last_move: Option<u64>, waits: &[Wait]) -> String {
    let since = last_move.map_or("ever".to_owned(), |cycle| format!("after cycle {cycle}"));
    let lines: String = waits.iter().map(|wait| format!("\n  {wait}")).collect();
    format!("the modelled design stops; no word moves {since}:{lines}")
}

/// A layer that is too large to be emitted, at its place in the plan; or a design that stops.
pub fn cannot_lower(network: &Network, error: &LowerError) -> Diagnostic {
    if let LowerError::Buffers(fault) = error {
        return cannot_predict(fault);
    }
    let (LowerError::Timing { layer: name, .. }
    | LowerError::Threshold { layer: name, .. }
    | LowerError::Datapath { layer: name, .. }) = error
    else {
        return internal(error);
    };
    let layer = network.layers().iter().find(|layer| layer.name == *name);
    let place = layer.map_or_else(|| Place::layer(name), |layer| layer.place.clone());
    Diagnostic::new(Code::Hardware, place, error.to_string(), "fold the layer differently, or make it smaller")
}

/// A fault that no input should be able to cause.
pub fn internal(error: &dyn std::error::Error) -> Diagnostic {
    Diagnostic::new(
        Code::ToolFailed,
        Place::default(),
        format!("hwgen itself failed: {error}"),
        "this is a bug; please report the plan that shows it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdl_gen::timing::WaitReason;

    #[test]
    fn a_modelled_deadlock_lists_who_waits_for_whom() {
        let wait = |from: &str, to: &str, reason| Wait { from: from.to_owned(), to: to.to_owned(), reason };
        let waits = vec![wait("s_axis", "fork", WaitReason::Room), wait("sum", "m_axis", WaitReason::Word)];
        let fault = cannot_predict(&PredictError::Run(RunError::Deadlock { last_move: Some(7), waits }));
        assert_eq!(fault.code, Code::SimulationHang);
        assert_eq!(
            fault.message,
            "the modelled design stops; no word moves after cycle 7:\n\
             \x20 s_axis -> fork: a word waits for room\n\
             \x20 sum -> m_axis: the taker waits for a word"
        );
        assert_eq!(cannot_predict(&PredictError::Run(RunError::Frames(0))).code, Code::ToolFailed);
    }
}
