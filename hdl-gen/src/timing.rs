//! Cycle-exact timing of the RTL library: one twin per module, and a
//! token-level simulator that composes them.
//!
//! Input: a [`Graph`] of twins and a run (frames, stall pattern). Output: a
//! [`Report`] of cycles. Words carry no data. A twin is written from the
//! module's contract (the header of its RTL file); nothing here reads RTL or a
//! simulator's output.
//!
//! Each twin is an automaton that is seen once a cycle: its offered outputs are
//! a function of its state, its readiness one of its state and (where the RTL
//! declares such a path) of the readiness behind it, and a clock edge moves it
//! on by which words moved.

mod credit;
mod dates;
mod frame_ends;
mod graph;
mod join;
mod line_window;
mod matrix;
mod planted;
mod pool;
mod rearrange;
mod run;
mod serial;
mod simulate;
pub mod stall;
mod stream;
mod window;

pub use dates::{Change, Cone, Recording, Region, Untimed};
pub use graph::{Graph, GraphBuilder, GraphError, ModuleId};
pub use join::{Concat, Join};
pub use line_window::LineWindow;
pub use matrix::Matrix;
pub use planted::TwinFault;
pub use pool::{MaxPool, Reduction};
pub use rearrange::{Rearrange, RearrangeShape};
pub use run::{Report, Run, RunError, Wait, WaitReason};
pub use serial::{ModeGate, Serial, SerialShape};
pub use stall::Stalls;
pub use stream::{Fifo, Fork, WidthAdapter};
pub use window::{SlidingWindow, WindowShape};

/// A module's timing twin in its state after reset.
///
/// Masks hold one bit for each port, port 0 lowest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Twin {
    /// `hwgen_fifo`, `hwgen_register_slice`.
    Fifo(Fifo),
    /// `hwgen_width_adapter`.
    WidthAdapter(WidthAdapter),
    /// `hwgen_fork`.
    Fork(Fork),
    /// `hwgen_matrix_control`, a datapath, `hwgen_credit_fifo`.
    Matrix(Matrix),
    /// `hwgen_sliding_window`.
    SlidingWindow(SlidingWindow),
    /// `hwgen_line_window`.
    LineWindow(LineWindow),
    /// `hwgen_max_pool`, `hwgen_sum_pool`.
    MaxPool(MaxPool),
    /// `hwgen_max_reduce`, `hwgen_argmax`.
    Reduction(Reduction),
    /// `hwgen_join` and a pipeline behind it.
    Join(Join),
    /// `hwgen_concat`.
    Concat(Concat),
    /// `hwgen_rearrange`.
    Rearrange(Rearrange),
    /// `hwgen_mode_gate`.
    ModeGate(ModeGate),
    /// `hwgen_serial_control`, a datapath, `hwgen_credit_fifo`.
    Serial(Serial),
}

impl Twin {
    /// Number of input streams.
    pub fn inputs(&self) -> usize {
        match self {
            Twin::Join(twin) => twin.inputs(),
            Twin::Concat(twin) => twin.inputs(),
            Twin::Serial(twin) => twin.inputs(),
            _ => 1,
        }
    }

    /// Number of output streams.
    pub fn outputs(&self) -> usize {
        match self {
            Twin::Fork(fork) => fork.outputs(),
            Twin::ModeGate(gate) => gate.outputs(),
            Twin::Fifo(_)
            | Twin::WidthAdapter(_)
            | Twin::Matrix(_)
            | Twin::SlidingWindow(_)
            | Twin::LineWindow(_)
            | Twin::MaxPool(_)
            | Twin::Reduction(_)
            | Twin::Join(_)
            | Twin::Concat(_)
            | Twin::Serial(_)
            | Twin::Rearrange(_) => 1,
        }
    }

    /// Which outputs offer a word in this cycle.
    #[inline]
    pub fn valid(&self) -> u32 {
        match self {
            Twin::Fifo(twin) => u32::from(twin.valid()),
            Twin::WidthAdapter(twin) => u32::from(twin.valid()),
            Twin::Fork(twin) => twin.valid(),
            Twin::Matrix(twin) => u32::from(twin.valid()),
            Twin::SlidingWindow(twin) => u32::from(twin.valid()),
            Twin::LineWindow(twin) => u32::from(twin.valid()),
            Twin::MaxPool(twin) => u32::from(twin.valid()),
            Twin::Reduction(twin) => u32::from(twin.valid()),
            Twin::Join(twin) => u32::from(twin.valid()),
            Twin::Concat(twin) => u32::from(twin.valid()),
            Twin::Rearrange(twin) => u32::from(twin.valid()),
            Twin::ModeGate(twin) => twin.valid(),
            Twin::Serial(twin) => u32::from(twin.valid()),
        }
    }

    /// Which inputs take a word in this cycle, given which inputs are offered
    /// one and which outputs find a ready taker.
    #[inline]
    pub fn ready(&self, s_valid: u32, m_ready: u32) -> u32 {
        match self {
            Twin::Fifo(twin) => u32::from(twin.ready()),
            Twin::WidthAdapter(twin) => u32::from(twin.ready(m_ready & 1 != 0)),
            Twin::Fork(twin) => u32::from(twin.ready()),
            Twin::Matrix(twin) => u32::from(twin.ready()),
            Twin::SlidingWindow(twin) => u32::from(twin.ready()),
            Twin::LineWindow(twin) => u32::from(twin.ready()),
            Twin::MaxPool(twin) => u32::from(twin.ready()),
            Twin::Reduction(twin) => u32::from(twin.ready()),
            Twin::Join(twin) => twin.ready(s_valid),
            Twin::Concat(twin) => twin.ready(),
            Twin::Rearrange(twin) => u32::from(twin.ready()),
            Twin::ModeGate(twin) => u32::from(twin.ready()),
            Twin::Serial(twin) => twin.ready(s_valid),
        }
    }

    /// The clock edge: which inputs were offered a word, which of them took it,
    /// which outputs gave one.
    #[inline]
    pub fn step(&mut self, s_valid: u32, s_moved: u32, m_moved: u32) {
        let (took, gave) = (s_moved & 1 != 0, m_moved & 1 != 0);
        match self {
            Twin::Fifo(twin) => twin.step(took, gave),
            Twin::WidthAdapter(twin) => twin.step(took, gave),
            Twin::Fork(twin) => twin.step(took, m_moved),
            Twin::Matrix(twin) => twin.step(took, gave),
            Twin::SlidingWindow(twin) => twin.step(s_valid & 1 != 0, took, gave),
            Twin::LineWindow(twin) => twin.step(s_valid & 1 != 0, took, gave),
            Twin::MaxPool(twin) => twin.step(took, gave),
            Twin::Reduction(twin) => twin.step(took, gave),
            Twin::Join(twin) => twin.step(s_moved, gave),
            Twin::Concat(twin) => twin.step(s_moved, gave),
            Twin::Rearrange(twin) => twin.step(took, gave),
            Twin::ModeGate(twin) => twin.step(took, m_moved),
            Twin::Serial(twin) => twin.step(s_valid, gave),
        }
    }

    /// Words (units of a width adapter) held now: what a FIFO of this depth would need.
    #[inline]
    pub fn occupancy(&self) -> u32 {
        match self {
            Twin::Fifo(twin) => twin.occupancy(),
            Twin::WidthAdapter(twin) => twin.occupancy(),
            Twin::Fork(twin) => twin.occupancy(),
            Twin::Matrix(twin) => twin.occupancy(),
            Twin::SlidingWindow(twin) => twin.occupancy(),
            Twin::LineWindow(twin) => twin.occupancy(),
            Twin::MaxPool(twin) => twin.occupancy(),
            Twin::Reduction(twin) => twin.occupancy(),
            Twin::Join(twin) => twin.occupancy(),
            Twin::Concat(twin) => twin.occupancy(),
            Twin::Rearrange(twin) => twin.occupancy(),
            Twin::ModeGate(twin) => twin.occupancy(),
            Twin::Serial(twin) => twin.occupancy(),
        }
    }

    /// The most cycles it can be busy inside while no word moves on any of its streams.
    pub fn quiet_cycles(&self) -> u64 {
        match self {
            Twin::Matrix(twin) => twin.quiet_cycles(),
            Twin::SlidingWindow(twin) => twin.quiet_cycles(),
            Twin::LineWindow(twin) => twin.quiet_cycles(),
            Twin::Join(twin) => twin.quiet_cycles(),
            Twin::Serial(twin) => twin.quiet_cycles(),
            Twin::Fifo(_)
            | Twin::WidthAdapter(_)
            | Twin::Fork(_)
            | Twin::MaxPool(_)
            | Twin::Reduction(_)
            | Twin::Concat(_)
            | Twin::ModeGate(_)
            | Twin::Rearrange(_) => 16,
        }
    }

    /// Before a run: its frames have these modes, over and over.
    pub(crate) fn set_modes(&mut self, modes: &std::sync::Arc<[u8]>) {
        if let Twin::Serial(twin) = self {
            twin.set_modes(modes);
        }
    }
}

/// A parameter a twin cannot have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimingError {
    /// Below the least legal value.
    TooSmall {
        /// Name of the parameter.
        parameter: &'static str,
        /// Its value.
        value: u64,
        /// The least legal value.
        least: u64,
    },
    /// Above the largest legal value.
    TooLarge {
        /// Name of the parameter.
        parameter: &'static str,
        /// Its value.
        value: u64,
        /// The largest legal value.
        limit: u64,
    },
}

impl std::fmt::Display for TimingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TimingError::TooSmall { parameter, value, least } => {
                write!(f, "{parameter} is {value}, below {least}")
            }
            TimingError::TooLarge { parameter, value, limit } => {
                write!(f, "{parameter} is {value}, above {limit}")
            }
        }
    }
}

impl std::error::Error for TimingError {}

fn require(parameter: &'static str, value: u64, least: u64) -> Result<(), TimingError> {
    if value < least {
        return Err(TimingError::TooSmall { parameter, value, least });
    }
    Ok(())
}

fn limit(parameter: &'static str, value: u64, limit: u64) -> Result<(), TimingError> {
    if value > limit {
        return Err(TimingError::TooLarge { parameter, value, limit });
    }
    Ok(())
}
