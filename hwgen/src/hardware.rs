//! From a network to its hardware: binding, lowering, emission, each with the faults a user should see.

use crate::failure::{Outcome, cannot_evaluate};
use crate::plan_file::LoadedPlan;
use hdl_gen::{Artifact, BindOptions, Bound, Design, EmitOptions, LowerError, bind, lower};
use network::manifest::{LayerRow, Timing};
use network::{Code, Diagnostic, Network, Place};
use testbench::vectors::test_vectors;

/// Clock that constraints ask for where the plan states none, in MHz.
const DEFAULT_CLOCK_MHZ: f64 = 200.0;
/// A network with its hardware.
pub struct Hardware {
    /// Kinds and foldings.
    pub bound: Bound,
    /// Modules and streams.
    pub design: Design,
}

/// Chooses what the plan leaves open and lowers.
pub fn build(network: &Network) -> Outcome<Hardware> {
    let bound = bind(network, &BindOptions::default())?;
    let design = lower(&bound).map_err(|error| cannot_lower(network, &error))?;
    Ok(Hardware { bound, design })
}

impl Hardware {
    /// The layer table.
    pub fn rows(&self) -> &[LayerRow] {
        self.design.rows()
    }

    /// Predicted cycles of runs without stalls.
    pub fn timing(&self) -> Outcome<Timing> {
        Ok(self.design.timing().map_err(|error| internal(&error))?)
    }

    /// All files of the design.
    pub fn emit(&self, loaded: &LoadedPlan) -> Outcome<Artifact> {
        let vectors = test_vectors(&loaded.network).map_err(|error| cannot_evaluate(&error))?;
        let clock_mhz = loaded.plan.target.clock_mhz.as_ref().map_or(DEFAULT_CLOCK_MHZ, |at| at.value);
        let options = EmitOptions { plan_sha256: loaded.sha256.clone(), clock_mhz, vectors };
        Ok(self.design.emit(&options).map_err(|error| internal(&error))?)
    }
}

/// A layer that is too large to be emitted, at its place in the plan.
fn cannot_lower(network: &Network, error: &LowerError) -> Diagnostic {
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
