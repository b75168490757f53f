//! From a channel's exact rule to the cheapest integer form that equals it at every reachable sum.
//!
//! The rule is code = stairs(min(max(A * sum + C, low), high)) with exact A and C. It is monotone in the sum, so it
//! is given by one threshold for each code boundary, found by exact division. The shift form
//! (sum * M + B) >> n is monotone too, so it equals the rule exactly where it agrees on both sides of every
//! threshold and at both ends of the reachable sums. For a multiplier M and shift n the offsets B that do are
//!
//! ```text
//! lo(M) = max_j (j 2^n - T_j M)   to   hi(M) = min_j (j 2^n - 1 - (T_j - 1) M)
//! ```
//!
//! and hi - lo is concave in M. What works for n works for n + 1 (twice M and B), so the least n is found by halving.

mod choose;
mod hull;
mod line;
mod threshold;

pub(crate) use choose::solve;

use crate::exact::Piece;
use crate::quantization::Stairs;
use network::Range;
use network::requantization::Form;

/// The exact rule of one channel.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    /// What the stairs are given, as a function of the sum.
    pub piece: Piece,
    /// From numbers to codes.
    pub stairs: std::rc::Rc<Stairs>,
    /// All sums that can occur.
    pub sums: Range,
}

/// An integer form and the codes that it makes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Solved {
    /// From the least to the greatest code of any channel.
    pub codes: Range,
    pub form: Form,
}
