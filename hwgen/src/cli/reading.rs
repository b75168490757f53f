//! Options about the model file itself.

use clap::Args;
use quantizer::{InputShape, Reading};

/// What the model leaves open, and where it begins and ends.
#[derive(Debug, Args)]
pub struct ReadingOptions {
    /// Shape of an input, batch first, for a model that leaves axes open (1,3,48,192); of several inputs once for each,
    /// with its name (audio=1,16000).
    #[arg(long, value_name = "[NAME=]N,..", value_parser = input_shape)]
    input_shape: Vec<InputShape>,
    /// Begin the network at these tensors, or behind these nodes, in place of the model's own inputs; what makes them stays
    /// on the host. Calibration frames are then frames of these tensors.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    inputs: Vec<String>,
    /// End the network at these tensors or nodes, in place of the model's own outputs; what follows stays on the host.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    outputs: Vec<String>,
}

impl ReadingOptions {
    /// The same for the importer.
    pub fn reading(&self) -> Reading {
        Reading { input_shapes: self.input_shape.clone(), inputs: self.inputs.clone(), outputs: self.outputs.clone() }
    }
}

/// `NAME=1,3,48,192`, the name perhaps left out.
fn input_shape(text: &str) -> Result<InputShape, String> {
    let (name, lengths) = match text.rsplit_once('=') {
        Some((name, lengths)) => (Some(name.to_owned()), lengths),
        None => (None, text),
    };
    let length = |word: &str| word.trim().parse::<u64>().ok().filter(|&length| length > 0);
    let dims: Option<Vec<u64>> = lengths.split(',').map(length).collect();
    let dims = dims.ok_or_else(|| format!("`{lengths}` is no list of positive lengths, as in 1,3,48,192"))?;
    Ok(InputShape { name, dims })
}
