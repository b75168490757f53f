//! How weights are stored where a width of its own for each weight, or for each sub-band, costs less than one width for
//! all.
//!
//! A coding fixes which integers a weight can be and how few bits say which one it is; the weights themselves stay exact
//! integers in [`crate::op::Weights::values`], and everything that computes takes those. [`Piecewise`] codings have a
//! region tag beside a code, [`Wavelet`] codings four sub-band codes for a block of four weights.

mod piecewise;
mod wavelet;

pub use piecewise::{MAX_CODE_BITS, MAX_GROUP, MAX_MULTIPLIER, Piecewise, Tagged};
pub use wavelet::{Block, MAX_SUBBAND_BITS, Transform, Wavelet};

use crate::format::Format;
use std::fmt;

/// The format that a plan states for weights: one width for all, or a coding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightFormat {
    /// Every weight is a code of one format.
    Plain(Format),
    /// A region tag and a code.
    Piecewise(Piecewise),
    /// Sub-band codes of blocks.
    Wavelet(Wavelet),
}

impl WeightFormat {
    /// The narrowest plain format that holds every weight that the format can state.
    pub fn plain(&self) -> Format {
        match self {
            WeightFormat::Plain(format) => *format,
            WeightFormat::Piecewise(piecewise) => piecewise.plain(),
            WeightFormat::Wavelet(wavelet) => wavelet.plain(),
        }
    }
}

impl fmt::Display for WeightFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WeightFormat::Plain(format) => write!(f, "{format}"),
            WeightFormat::Piecewise(piecewise) => write!(f, "{piecewise}"),
            WeightFormat::Wavelet(wavelet) => write!(f, "{wavelet}"),
        }
    }
}

/// How the weights of a layer are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// Each weight as a code of the weights' format.
    #[default]
    Plain,
    /// A region tag for each group of weights and a code for each weight.
    Piecewise(Tagged),
    /// Four sub-band codes for each block of two rows and two columns.
    Wavelet(Wavelet),
}

/// Bits that weights take in a memory, the parts apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredBits {
    /// Codes alone.
    pub payload: u64,
    /// Region tags.
    pub tags: u64,
}

impl StoredBits {
    /// Codes and tags.
    pub fn total(self) -> u64 {
        self.payload + self.tags
    }
}
