//! What a design costs before any synthesis: device-free inventories, and devices that price them.
//!
//! ```text
//!     Design ──▶ Inventory of each module of the top (blocks with their parameters, as emission instantiates them)
//!     Inventory × Device ──▶ Resources: counted registers, memories and DSP blocks, fitted look-up tables
//! ```
//!
//! Input: a lowered [`crate::Design`], or one layer and its hardware. Output: [`Resources`]. What it does not do:
//! run tools, or guess for a family without a fitted model.

mod block;
mod clock;
mod device;
mod estimate;
mod fifos;
mod finn;
mod inventory;
mod layer;
mod liberty;
mod memory;
mod model;
mod netlists;
mod serial;
mod tables;
mod terms;
mod threshold_registers;
mod thresholds;
mod windows;

pub use crate::image::TableContents;
pub use block::Block;
pub use clock::{Clock, ClockModel, PATH_PARTS, Path, Paths};
pub use device::{Device, DeviceError, Devices, Family};
pub use estimate::{Estimate, LayerEstimate};
pub use finn::FinnLayer;
pub use inventory::{Inventory, StageInventory};
pub(crate) use inventory::{inventory_reads, inventory_reads_thresholds, stage_inventories};
pub use layer::LayerCosts;
pub use liberty::{Cells, LibertyError};
pub use model::{Fault, Model, StatedError};
pub use terms::{Counts, TERMS, Term};
pub use threshold_registers::ThresholdRegisters;

/// What a design takes of a device. Fractions of look-up tables stand for fitted figures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Resources {
    /// Look-up tables that hold logic: LUT1 to LUT6 as Yosys maps them (LUT4 on families of four inputs). Of standard cells the
    /// area of all logic in NAND gates of two inputs.
    pub lut: f64,
    /// Look-up tables that serve as memory: shift registers and RAM.
    pub lut_memory: f64,
    /// Flip-flops.
    pub ff: f64,
    /// Carry cells: CARRY4, CCU2C, SB_CARRY or ALU.
    pub carry: f64,
    /// DSP blocks or multipliers.
    pub dsp: f64,
    /// Block RAM in halves of 18 Kbit (of one EBR, BSRAM or 4 Kbit block on other families).
    pub bram18: f64,
    /// UltraRAM.
    pub uram: f64,
    /// Bits of memories that an ASIC would take as macros or register arrays.
    pub memory_bits: f64,
}

impl Resources {
    /// Block RAM of 36 Kbit, in halves.
    pub fn bram36(&self) -> f64 {
        self.bram18 / 2.0
    }

    /// `count` times these resources are added.
    pub fn add(&mut self, other: &Resources, count: f64) {
        let pairs = [
            (&mut self.lut, other.lut),
            (&mut self.lut_memory, other.lut_memory),
            (&mut self.ff, other.ff),
            (&mut self.carry, other.carry),
            (&mut self.dsp, other.dsp),
            (&mut self.bram18, other.bram18),
            (&mut self.uram, other.uram),
            (&mut self.memory_bits, other.memory_bits),
        ];
        for (own, other) in pairs {
            *own += count * other;
        }
    }
}

impl std::iter::Sum for Resources {
    fn sum<I: Iterator<Item = Resources>>(parts: I) -> Self {
        let mut all = Resources::default();
        parts.for_each(|part| all.add(&part, 1.0));
        all
    }
}
