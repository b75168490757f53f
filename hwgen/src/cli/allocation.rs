//! Options of `plan` and `sensitivity` that choose widths.

use clap::Args;
use network::diagnostic::with_closest;
use quantizer::allocate::{LossKind, Method};
use std::path::PathBuf;

/// Choosing a width for every layer.
#[derive(Debug, Args)]
#[command(next_help_heading = "Choosing widths")]
pub struct AllocationOptions {
    /// How to choose the widths of a float model's layers: joint (the default where a budget is given), uniform, pdb,
    /// pdb-separability, spmix, hmptq, hmptq-ratio, hmptq-a, dhmq, hawq-v1, hawq-v2, hawq-v3, zeroq, first-order, adaquant-ip
    /// or ssps.
    #[arg(long, value_name = "METHOD", value_parser = method)]
    pub method: Option<Method>,
    /// Limits between commas, absolute or in percent of the widest widths: size, bitops, activations, weight_bits,
    /// activation_bits, energy (a proxy in pJ), and of the hardware lut, ff, dsp, bram (36 Kibit), interval (cycles
    /// between frames), latency (us) at most and fps at least, as in size=40%,lut=20k,fps=1000. Limits of the hardware
    /// choose kinds and foldings together with the widths.
    #[arg(long, value_name = "COST=AMOUNT,..")]
    pub budget: Option<String>,
    /// A part whose family prices the hardware; else xc7z020.
    #[arg(long, value_name = "PART")]
    pub device: Option<String>,
    /// Clock in MHz for fps and latency; else 200.
    #[arg(long, visible_alias = "clock", value_name = "MHZ", value_parser = super::positive, allow_negative_numbers = true)]
    pub clock_mhz: Option<f64>,
    /// Widths of weights to choose from.
    #[arg(long, value_name = "W,..", value_delimiter = ',', default_values_t = [2, 3, 4, 6, 8])]
    pub weight_widths: Vec<u32>,
    /// Widths of activations to choose from.
    #[arg(long, value_name = "A,..", value_delimiter = ',', default_values_t = [2, 3, 4, 6, 8])]
    pub activation_widths: Vec<u32>,
    /// Labels of the calibration frames: classes (frames,), or an array of the outputs' shape. Without them the float
    /// network is the teacher.
    #[arg(long, value_name = "FILE[:ARRAY]")]
    pub labels: Option<String>,
    /// What the loss is: classes, probabilities, squares, or detection=N for heads of N channels for each anchor; else
    /// it follows from the outputs.
    #[arg(long, value_name = "KIND", value_parser = loss)]
    pub loss: Option<LossKind>,
    /// Most frames to measure on, at most half of all; of the others up to eight times as many judge.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..), allow_negative_numbers = true)]
    pub study_frames: u64,
    /// Seed of everything random in the methods.
    #[arg(long, value_name = "N", env = "HWGEN_SEED", default_value_t = 1, allow_negative_numbers = true)]
    pub seed: u64,
    /// Write the measured sensitivities and costs here, as `hwgen allocate` reads them.
    #[arg(long, value_name = "FILE")]
    pub save_tables: Option<PathBuf>,
}

impl AllocationOptions {
    /// Whether widths shall be chosen.
    pub fn is_wanted(&self) -> bool {
        self.method.is_some() || self.budget.is_some() || self.save_tables.is_some()
    }
}

fn method(text: &str) -> Result<Method, String> {
    Method::parse(text).ok_or_else(|| {
        let names: Vec<&str> = Method::ALL.iter().map(|method| method.name()).collect();
        with_closest(text, &names, &format!("the methods are {}", names.join(", ")))
    })
}

fn loss(text: &str) -> Result<LossKind, String> {
    match (text, text.strip_prefix("detection=").map(str::parse::<u32>)) {
        ("classes", _) => Ok(LossKind::Classes),
        ("probabilities", _) => Ok(LossKind::Probabilities),
        ("squares", _) => Ok(LossKind::Squares),
        (_, Some(Ok(channels))) if channels > 4 => Ok(LossKind::Detection(channels)),
        _ => Err("write classes, probabilities, squares or detection=N with N of 5 or more".to_owned()),
    }
}
