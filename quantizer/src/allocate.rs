//! Which layer gets which bits: published and own methods of mixed-precision allocation, without hardware knowledge.
//!
//! [`tables`] hold what was measured: how much each width of a layer's weights, and of the activations that it reads,
//! costs in loss and in resources. [`problem`] makes decisions and limits of them and solves them exactly. Costs of
//! hardware come in as tables of numbers under a name; nothing here knows what a LUT is.

pub mod budget;
pub mod curvature;
pub mod descent;
pub mod method;
pub mod monotone;
pub mod problem;
pub mod rank;
pub mod study;
pub mod tables;

pub use budget::{Amount, Budget, Limit};
pub use method::{Allocation, Candidate, Measure, Method, Sensitivities, allocate, measured};
pub use problem::{Infeasible, Problem, Solution};
pub use study::{Ended, LossKind, Study, StudyOptions, Targets, Unwatched, Watch, Widths, study};
pub use tables::Tables;
