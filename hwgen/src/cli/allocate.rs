//! Options of `allocate`.

use clap::Args;
use std::path::PathBuf;

/// Options of `allocate`.
#[derive(Debug, Args)]
#[command(
    after_help = "A budget limits named costs: size (bytes of weights), bitops, activations (bytes), weight_bits and
activation_bits (averages), and every cost that the tables state, such as lut. Amounts have k, M, G, T,
Ki, Mi, Gi and B, or are percent of what the widest widths take.

Examples:
  hwgen allocate --tables tables.yaml --budget size=1.5MB
  hwgen allocate --tables tables.yaml --budget size=50%,bitops=40%,lut=20000 --json"
)]
pub struct AllocateOptions {
    /// Sensitivities and costs, YAML or JSON; docs/allocate.md describes them.
    #[arg(long, value_name = "FILE")]
    pub tables: PathBuf,
    /// Limits between commas, as in size=1.5MB,lut=20000.
    #[arg(long, value_name = "COST=AMOUNT,..", default_value = "")]
    pub budget: String,
}
