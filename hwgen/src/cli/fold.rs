//! Options of `fold` and `explore`.

use super::positive;
use crate::fold::parse_budget;
use clap::{ArgGroup, Args};
use std::path::PathBuf;

const DEFAULT_GAP: f64 = 1e-3;

/// What foldings are chosen on, and how well.
#[derive(Debug, Args)]
pub struct GroundOptions {
    /// A part by name, or the path of a part's file; else the plan's `target`, else xc7z020.
    #[arg(long, value_name = "PART")]
    pub device: Option<String>,
    /// Clock in MHz; else the plan's `target`, else 200.
    #[arg(long, visible_alias = "clock", value_name = "MHZ", value_parser = positive, allow_negative_numbers = true)]
    pub clock_mhz: Option<f64>,
    /// Keep what the plan says under `hw`, and choose only what it leaves open.
    #[arg(long)]
    pub keep: bool,
    /// Share of the best by which an answer may miss it.
    #[arg(long, value_name = "SHARE", value_parser = super::probability, default_value_t = DEFAULT_GAP, allow_negative_numbers = true)]
    pub gap: f64,
}

impl Default for GroundOptions {
    /// What stands without options on the command line.
    fn default() -> Self {
        GroundOptions { device: None, clock_mhz: None, keep: false, gap: DEFAULT_GAP }
    }
}

/// Options of `fold`.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("goal").args(["fps", "budget", "latency"]),
    after_help = "Without --fps, --budget or --latency the plan's `target` says what is asked for.

Examples:
  hwgen fold plan.yaml --fps 20000 --device xc7z020 -o folded.yaml
  hwgen fold plan.yaml --budget lut=6000,dsp=40,bram=20 --clock-mhz 150
  hwgen fold plan.yaml --latency 100 --json"
)]
pub struct FoldOptions {
    /// The plan; `random:` instead of arrays is enough.
    pub plan: PathBuf,
    /// Frames a second to reach, at the smallest largest share of the part and then the fewest LUTs.
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub fps: Option<f64>,
    /// What may be used, of LUT, FF, DSP blocks and block RAM of 36 Kibit; as many frames a second as that allows.
    #[arg(long, value_name = "lut=N,..", value_parser = parse_budget)]
    pub budget: Option<[Option<f64>; 4]>,
    /// Microseconds from the first input to the last output of a frame.
    #[arg(long, value_name = "US", value_parser = positive, allow_negative_numbers = true)]
    pub latency: Option<f64>,
    #[command(flatten)]
    pub ground: GroundOptions,
    /// The plan to write, with the foldings chosen; arrays go beside it.
    #[arg(short, long, value_name = "PLAN")]
    pub output: Option<PathBuf>,
}

/// Options of `explore`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hwgen explore plan.yaml
  hwgen explore plan.yaml --device xc7a100t --svg front.svg --json")]
pub struct ExploreOptions {
    /// The plan; `random:` instead of arrays is enough.
    pub plan: PathBuf,
    #[command(flatten)]
    pub ground: GroundOptions,
    /// Rates that are tried, evenly on a logarithmic scale from the slowest to the quickest.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=200), default_value_t = 16, allow_negative_numbers = true)]
    pub points: u64,
    /// Draw the front here.
    #[arg(long, value_name = "FILE.svg")]
    pub svg: Option<PathBuf>,
}
