//! Evaluation of networks with modes of run-time precision, frame by frame in any mode.

use crate::evaluator::Evaluator;
use crate::trace::{EvaluateError, LayerTrace, Trace};
use network::Network;
use network::diagnostic::Diagnostics;

/// A network made ready for evaluation in each of its modes; one without modes has mode 0 alone.
pub struct ModeEvaluator {
    modes: Vec<Prepared>,
}

/// One mode.
struct Prepared {
    evaluator: Evaluator,
    /// Which layers of the mode's network are layers of the network itself.
    is_layer: Vec<bool>,
}

impl ModeEvaluator {
    /// Prepares every mode.
    ///
    /// # Errors
    /// None for a checked network: see [`Network::in_mode`].
    pub fn new(network: &Network) -> Result<Self, Diagnostics> {
        let prepare = |mode| {
            let plain = network.in_mode(mode)?;
            let is_layer = plain.layers.iter().map(Option::is_some).collect();
            Ok(Prepared { evaluator: Evaluator::new(&plain.network), is_layer })
        };
        Ok(ModeEvaluator { modes: (0..network.mode_count()).map(prepare).collect::<Result<_, Diagnostics>>()? })
    }

    /// Evaluates one frame of codes in a mode; modes beyond the last are the last. The trace has the layers and sums
    /// of the network itself.
    ///
    /// # Errors
    /// As [`Evaluator::evaluate`].
    pub fn evaluate(&self, input: &[i32], mode: usize) -> Result<Trace, EvaluateError> {
        let mode = mode.min(self.modes.len().saturating_sub(1));
        let Some(Prepared { evaluator, is_layer }) = self.modes.get(mode) else { return Ok(Trace::default()) };
        let trace = evaluator.evaluate(input)?;
        let layers = trace.layers.into_iter().zip(is_layer).filter(|(_, is_layer)| **is_layer);
        let layers: Vec<LayerTrace> = layers.map(|(layer, _)| layer).collect();
        Ok(Trace { inputs: trace.inputs, layers, mode })
    }
}
