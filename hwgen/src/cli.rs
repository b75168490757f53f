//! What can be typed: commands, options, help with examples.

mod allocate;
mod allocation;
mod fold;
mod modes;
mod quantize;
mod reading;

pub use allocate::AllocateOptions;
pub use allocation::AllocationOptions;
pub use fold::{ExploreOptions, FoldOptions, GroundOptions};
pub use modes::Widths;
pub use quantize::QuantizeOptions;
pub use reading::ReadingOptions;

use clap::{Args, Parser, Subcommand, ValueEnum};
use network::Format;
use std::path::PathBuf;

/// From a trained network (QONNX, QDQ or float ONNX) to readable Verilog that is proved equal to its integer golden model.
#[derive(Debug, Parser)]
#[command(
    name = "hwgen",
    version,
    max_term_width = 110,
    after_help = "Exit codes: 0 good, 1 a check failed, 2 the input is wrong, 3 a tool or the environment failed, 130 interrupted.

Examples:
  hwgen plan examples/digits-mlp/digits-mlp.qonnx.onnx -o digits.yaml
  hwgen check digits.yaml
  hwgen run digits.yaml --input examples/digits-mlp/test.npz:x_u8 --input-scale 0.0625 \\
    --labels examples/digits-mlp/test.npz:y
  hwgen emit digits.yaml -o digits
  hwgen simulate digits.yaml --input examples/digits-mlp/test.npz:x_u8 --input-scale 0.0625 \\
    --frames 20 --stall 0.3"
)]
pub struct Options {
    /// Report as one JSON object on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Import a trained model: write its plan and its arrays.
    Plan(PlanOptions),
    /// Check a plan: everything that emitting would check.
    Check(CheckOptions),
    /// Find the least depths of the FIFOs in front of joins, by trial.
    Buffers(BuffersOptions),
    /// Write the Verilog, memory images, testbench, scripts and manifest of a plan.
    Emit(EmitOptions),
    /// Estimate what a plan takes of a part, and how fast it is, before any synthesis.
    Estimate(EstimateOptions),
    /// Choose PE, SIMD, memories and multipliers of all layers together, for a rate, a budget or a latency.
    Fold(FoldOptions),
    /// Show what rates cost: the Pareto front over LUT, DSP and block RAM, as a table and a picture.
    Explore(ExploreOptions),
    /// Run the integer golden model on frames.
    Run(RunOptions),
    /// Run the Verilog in Verilator and compare every edge with the golden model and every cycle with the prediction.
    Simulate(SimulateOptions),
    /// Choose the widths of least loss that a table of sensitivities and costs leaves within a budget.
    Allocate(AllocateOptions),
    /// Measure how sensitive each layer of a float model is to narrow weights and activations.
    Sensitivity(SensitivityOptions),
    /// Say what a diagnostic code means.
    Explain(ExplainOptions),
}

/// Options of `plan`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hwgen plan examples/mnist-cnn/mnist-cnn.qonnx.onnx -o plan.yaml
  hwgen plan examples/mnist-mbn/mnist-mbn.qonnx.onnx -o mbn.yaml --name mbn --json
  hwgen plan examples/mnist-cnn/mnist-cnn.float.onnx -o float.yaml --weight-bits 4 \\
    --calibration examples/mnist-cnn/calib.npz:x_u8 --input-scale 1/256
  hwgen plan examples/mnist-cnn/mnist-cnn.float.onnx -o small.yaml --budget size=40%,bitops=30% \\
    --calibration examples/mnist-cnn/calib.npz:x_u8 --input-scale 1/256")]
pub struct PlanOptions {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub source: ModelOptions,
    /// The plan to write; its arrays go beside it.
    #[arg(short, long, value_name = "PLAN")]
    pub output: PathBuf,
    /// Name of the network and of its top module; else the model's file name.
    #[arg(long)]
    pub name: Option<String>,
    /// How the quantizers of a QDQ model round.
    #[arg(long, value_name = "RULE", value_enum, default_value_t)]
    pub qdq_rule: QdqRule,
    /// Modes of run-time precision (kind serial): weight and activation planes of all layers in each, as in
    /// 8x8,4x4,2x2,1x1. Each mode is measured on --mode-frames, or on --calibration.
    #[arg(long, value_name = "WxA,..", value_parser = modes::widths, value_delimiter = ',')]
    pub modes: Vec<Widths>,
    /// Frames to measure modes on: integers are input codes, floats go through the input quantizer.
    #[arg(long, value_name = "FILE[:ARRAY]", requires = "modes")]
    pub mode_frames: Option<String>,
    /// Take integers of --mode-frames times this number as real numbers.
    #[arg(long, value_name = "S", value_parser = finite, requires = "mode_frames", allow_negative_numbers = true)]
    pub mode_frame_scale: Option<f64>,
}

/// A model, what its input means, and how a float one is quantized.
#[derive(Debug, Args)]
pub struct ModelOptions {
    /// The model: QONNX, or float ONNX with --calibration.
    pub model: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub reading: ReadingOptions,
    /// Format of the input codes, for a model without a quantizer at its input.
    #[arg(long, value_name = "FORMAT")]
    pub input_format: Option<Format>,
    /// Real step of one input code, for a model without a quantizer at its input: real = code * S + O. Of a float
    /// model one for each channel may be given, separated by commas.
    #[arg(long, value_name = "S,..", value_parser = quantize::positive, value_delimiter = ',', allow_negative_numbers = true)]
    pub input_scale: Vec<f32>,
    /// Real number of input code 0, for a float model; one, or one for each channel.
    #[arg(long, value_name = "O,..", value_parser = quantize::quotient, value_delimiter = ',', allow_hyphen_values = true)]
    pub input_offset: Vec<f32>,
    /// Code of real zero, for a model without a quantizer at its input.
    #[arg(long, value_name = "Z", default_value_t = 0, allow_negative_numbers = true, conflicts_with = "input_offset")]
    pub input_zero_point: i64,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub quantize: QuantizeOptions,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub allocation: AllocationOptions,
}

/// Options of `sensitivity`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hwgen sensitivity examples/mnist-cnn/mnist-cnn.float.onnx --input-scale 1/256 \\
    --calibration examples/mnist-cnn/calib.npz:x_u8 --save-tables tables.yaml")]
pub struct SensitivityOptions {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub source: ModelOptions,
    /// Draw the sensitivities here, a panel for each measure.
    #[arg(long, value_name = "FILE.svg")]
    pub svg: Option<PathBuf>,
    /// Choose widths for this budget by every method and tell the choices with their losses, measuring once; may stand
    /// several times. Limits of the hardware are for `plan`.
    #[arg(long, value_name = "COST=AMOUNT,..")]
    pub compare: Vec<String>,
}

/// The rule of QuantizeLinear behind an operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum QdqRule {
    /// Bit for bit as onnxruntime's integer kernels compute it, where there is one.
    #[default]
    Float32,
    /// The exact real number is rounded once.
    Exact,
}

impl From<QdqRule> for quantizer::QdqRule {
    fn from(rule: QdqRule) -> Self {
        match rule {
            QdqRule::Float32 => quantizer::QdqRule::Float32,
            QdqRule::Exact => quantizer::QdqRule::Exact,
        }
    }
}

/// Options of `check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hwgen check plan.yaml")]
pub struct CheckOptions {
    /// The plan.
    pub plan: PathBuf,
}

/// Options of `buffers`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hwgen buffers plan.yaml
  hwgen buffers plan.yaml -o plan.yaml")]
pub struct BuffersOptions {
    /// The plan; depths that it gives are set aside.
    pub plan: PathBuf,
    /// Write the plan with the depths that were found, and its arrays beside it.
    #[arg(short, long, value_name = "PLAN")]
    pub output: Option<PathBuf>,
}

/// Options of `emit`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hwgen emit plan.yaml -o design
  hwgen emit plan.yaml -o design --force")]
pub struct EmitOptions {
    /// The plan.
    pub plan: PathBuf,
    /// The folder to write; it appears whole or not at all.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Replace a design that hwgen wrote there before.
    #[arg(long)]
    pub force: bool,
}

/// Options of `estimate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hwgen estimate plan.yaml
  hwgen estimate plan.yaml --device xc7a100t --clock-mhz 150 --json
  hwgen estimate plan.yaml --csv")]
pub struct EstimateOptions {
    /// The plan; `random:` instead of arrays is enough.
    pub plan: PathBuf,
    /// A part by name, or the path of a part's file; else the plan's `target`, else xc7z020.
    #[arg(long, value_name = "PART")]
    pub device: Option<String>,
    /// Clock in MHz; else the plan's `target`, else 200.
    #[arg(long, value_name = "MHZ", value_parser = positive, allow_negative_numbers = true)]
    pub clock_mhz: Option<f64>,
    /// Standard cells in the Liberty format for a part of family asic; else the areas of the part's file.
    #[arg(long, value_name = "FILE")]
    pub liberty: Option<PathBuf>,
    /// Comma-separated values instead of a table.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Run the timing model however long that takes; without it the rate of a large network is that of its slowest layer.
    #[arg(long)]
    pub predict: bool,
    /// Run Yosys too, and show what it maps the design to beside the estimate.
    #[arg(long, conflicts_with = "csv")]
    pub synth: bool,
    /// Place and route too, with three seeds and the open tools of the part's family, and show the clock beside the estimate.
    #[arg(long, conflicts_with = "csv")]
    pub pnr: bool,
    /// Seconds after which one tool of --synth or --pnr is stopped.
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, allow_negative_numbers = true)]
    pub timeout: u64,
    /// What the figures are counted from: one line for each module. For scripts/fit-estimates.
    #[arg(long, hide = true)]
    pub terms: bool,
    /// What the clock is counted from. For scripts/fit-clock.
    #[arg(long, hide = true)]
    pub paths: bool,
}

/// Which frames go in.
#[derive(Debug, Args)]
pub struct InputOptions {
    /// Read at most this many frames.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), allow_negative_numbers = true)]
    pub frames: Option<u64>,
    /// Take integers of the input array times this number as real numbers, instead of as codes.
    #[arg(long, value_name = "S", value_parser = finite, allow_negative_numbers = true)]
    pub input_scale: Option<f64>,
}

/// Options of `run`.
#[derive(Debug, Args)]
#[command(
    after_help = "FILE.npz:ARRAY is a NumPy array (frames, ...) in the model's own axis order. Integers are input codes;
floats go through the model's input quantizer. Without :ARRAY the array named like the network's
input is taken, or the only one.

Examples:
  hwgen run plan.yaml --input examples/mnist-cnn/test.npz:x_u8 \\
    --labels examples/mnist-cnn/test.npz:y
  hwgen run plan.yaml --input examples/mnist-cnn/test.npz:x_u8 \\
    --reference examples/mnist-cnn/test.npz:qonnx_out
  hwgen run plan.yaml --input examples/mnist-cnn/test.npz:x_u8 \\
    --reference examples/mnist-cnn/test.npz:float_out --tolerance 15
  hwgen run plan.yaml --input examples/mnist-cnn/test.npz:x_u8 \\
    --frames 10 --output out.npz --json"
)]
pub struct RunOptions {
    /// The plan.
    pub plan: PathBuf,
    /// Frames.
    #[arg(long, value_name = "FILE[:ARRAY]")]
    pub input: String,
    /// Class of each frame: reports the accuracy.
    #[arg(long, value_name = "FILE[:ARRAY]")]
    pub labels: Option<String>,
    /// Outputs that the framework computed: reports differences; exits 1 when one is not explained.
    #[arg(long, value_name = "FILE[:ARRAY]")]
    pub reference: Option<String>,
    /// Accept differences up to this, for references that are meant to differ.
    #[arg(long, value_name = "ABS", value_parser = finite, requires = "reference", allow_negative_numbers = true)]
    pub tolerance: Option<f64>,
    /// Evaluate in this mode of run-time precision.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub mode: usize,
    /// Write the outputs here: reals under the output's name, integers under `integers`.
    #[arg(long, value_name = "OUT.npz")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub frames: InputOptions,
}

/// Options of `simulate`.
#[derive(Debug, Args)]
#[command(after_help = "Without --input the frames are random codes from the seed.

Examples:
  hwgen simulate digits.yaml --frames 4
  hwgen simulate digits.yaml --input examples/digits-mlp/test.npz:x_u8 --input-scale 0.0625 \\
    --frames 4 --stall 0.3 --seed 7
  hwgen simulate digits.yaml --frames 2 --trace run.vcd --json
  hwgen simulate digits.yaml --model --frames 100 --stall 0.3 --seed 7")]
pub struct SimulateOptions {
    /// The plan.
    pub plan: PathBuf,
    /// Frames; without them random codes are used.
    #[arg(long, value_name = "FILE[:ARRAY]")]
    pub input: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub frames: InputOptions,
    /// Answer from the timing model alone, without Verilator: cycles, the most words that each module holds, and where
    /// nothing moves, who waits for whom.
    #[arg(long, conflicts_with_all = ["input", "input_scale", "trace"])]
    pub model: bool,
    /// Modes of the frames, over and over: 0,1,2 switches with every frame.
    #[arg(long, value_name = "N,..", value_delimiter = ',')]
    pub modes: Vec<u8>,
    /// Probability that an end of the design stalls in a cycle.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability, allow_negative_numbers = true)]
    pub stall: f64,
    /// Seed of stalls and random frames.
    #[arg(long, value_name = "N", env = "HWGEN_SEED", default_value_t = 1, allow_negative_numbers = true)]
    pub seed: u64,
    /// Write the waves of the run here, from the first failing frame on; .vcd or .fst.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
}

/// Options of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hwgen explain E0107
  hwgen explain all")]
pub struct ExplainOptions {
    /// A code such as E0107, or `all`.
    pub code: String,
}

fn finite(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("not a finite number of at least 0".to_owned()),
    }
}

pub(crate) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err("not a finite number above 0".to_owned()),
    }
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=0.95).contains(&value) => Ok(value),
        _ => Err("not a number between 0 and 0.95".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use clap::CommandFactory;

    #[test]
    fn definition_is_consistent() {
        Options::command().debug_assert();
    }
}
