//! The methods of allocation over a network under study.
//!
//! Methods that the publications state for weights alone take activations of one width, the widest that leaves a
//! feasible plan; that rule is ours. So is that each solves its problem exactly where the publication leaves that open.

mod choose;
mod distilled;
mod joint;
mod mixture;
mod sensitivity;
mod separated;

pub use choose::{Allocation, Candidate, allocate, measured};
pub use sensitivity::{Measure, Sensitivities};

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// One width for all weights and one for all activations.
    Uniform,
    /// Widths that never rise with depth (PDB).
    Pdb,
    /// The same over stages whose classes come apart alike (PDB's separability).
    PdbSeparability,
    /// Symmetric widths on both sides of an encoder-decoder network (SPMix-Q).
    Spmix,
    /// Reconstruction error and the loss of adjacent layers (HMPTQ), read as a difference.
    Hmptq,
    /// The same, read as a ratio.
    HmptqRatio,
    /// HMPTQ with widths of activations chosen like those of weights (A84, A42).
    HmptqA,
    /// Greedy lowering with a Hessian that is updated on the way (DHMQ).
    Dhmq,
    /// The largest eigenvalue of each layer's Hessian (HAWQ).
    HawqV1,
    /// The mean trace of each layer's Hessian (HAWQ-V2).
    HawqV2,
    /// The same with widths 4 and 8, first and last layer at the widest (HAWQ-V3).
    HawqV3,
    /// Divergence on distilled frames (ZeroQ).
    Zeroq,
    /// Magnitude of gradients times that of the change (first order).
    FirstOrder,
    /// Loss of each layer alone with its rounding fitted (AdaQuant with integer programming).
    AdaquantIp,
    /// Mixtures of widths trained on the calibration frames, decided by certainty (SSPS).
    Ssps,
    /// Ours: measured losses of weights and activations, exact, with all other methods as rivals.
    Joint,
}

impl Method {
    /// All methods.
    pub const ALL: &'static [Method] = &[
        Method::Uniform,
        Method::Pdb,
        Method::PdbSeparability,
        Method::Spmix,
        Method::Hmptq,
        Method::HmptqRatio,
        Method::HmptqA,
        Method::Dhmq,
        Method::HawqV1,
        Method::HawqV2,
        Method::HawqV3,
        Method::Zeroq,
        Method::FirstOrder,
        Method::AdaquantIp,
        Method::Ssps,
        Method::Joint,
    ];

    /// As the command line spells it.
    pub fn name(self) -> &'static str {
        match self {
            Method::Uniform => "uniform",
            Method::Pdb => "pdb",
            Method::PdbSeparability => "pdb-separability",
            Method::Spmix => "spmix",
            Method::Hmptq => "hmptq",
            Method::HmptqRatio => "hmptq-ratio",
            Method::HmptqA => "hmptq-a",
            Method::Dhmq => "dhmq",
            Method::HawqV1 => "hawq-v1",
            Method::HawqV2 => "hawq-v2",
            Method::HawqV3 => "hawq-v3",
            Method::Zeroq => "zeroq",
            Method::FirstOrder => "first-order",
            Method::AdaquantIp => "adaquant-ip",
            Method::Ssps => "ssps",
            Method::Joint => "joint",
        }
    }

    /// The method of a name.
    pub fn parse(name: &str) -> Option<Method> {
        Method::ALL.iter().copied().find(|method| method.name() == name)
    }
}
