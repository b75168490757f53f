//! Widths of modes of run-time precision.

/// Widths of weights and activations in a mode, for all layers; a layer with fewer planes reads those it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Widths {
    /// Of weights.
    pub weights: u32,
    /// Of activations.
    pub activations: u32,
}

/// Reads `8x8`.
pub fn widths(text: &str) -> Result<Widths, String> {
    let parsed = text.split_once(['x', 'X']).and_then(|(weights, activations)| {
        Some(Widths { weights: weights.trim().parse().ok()?, activations: activations.trim().parse().ok()? })
    });
    let legal = |width: u32| (1..=16).contains(&width);
    parsed
        .filter(|widths| legal(widths.weights) && legal(widths.activations))
        .ok_or_else(|| "write weight and activation planes, as in 8x8 or 4x2".to_owned())
}
