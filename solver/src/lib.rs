//! Exact optimisation of multiple-choice problems: one option of each group, least cost, under linear limits.
//!
//! Input: a [`Problem`] of groups of options, each with a cost and its usage of several resources; limits on the sum
//! of each resource; costs of pairs of options in two groups; and, if asked, capacities whose largest relative use is
//! made as small as it can be before the cost is ([`Problem::peak`]). Output: a [`Solution`] with a proved lower bound,
//! or an [`Infeasible`] that names the resource.
//!
//! Method: Lagrangian relaxation of the limits, whose dual is maximised by column generation (Dantzig and Wolfe) with
//! one column for each whole choice; groups that pairs tie together are minimised by dynamic programming over a
//! spanning forest. Reduced costs remove options, a best-first branch and bound closes what is left. Every bound is the
//! value of the Lagrangian at some multipliers, so it holds however roughly the multipliers were found.
//!
//! It knows nothing of networks or hardware, and runs on one thread: the same problem and [`Effort`] without a time
//! limit give the same answer.

mod dual;
mod forest;
mod improve;
mod infeasible;
mod instance;
mod problem;
mod search;
mod solve;

pub use problem::{Choice, Pair, Problem, ProblemError};
pub use solve::{Effort, Infeasible, Outcome, Peak, Solution};
