//! Timing twins of the stream parts: FIFO, width adapter, fork.

use super::TimingError;

/// Twin of `hwgen_fifo` (and of `hwgen_register_slice`, 2 words).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fifo {
    held: u32,
    pub(super) capacity_words: u32,
}

impl Fifo {
    /// A capacity that no run fills.
    pub const ENDLESS: u32 = u32::MAX;

    /// Words that it holds at most.
    pub fn depth(&self) -> u32 {
        self.capacity_words
    }

    /// A FIFO of `capacity_words`, 1 or more.
    pub fn new(capacity_words: u32) -> Result<Self, TimingError> {
        super::require("capacity_words", u64::from(capacity_words), 1)?;
        Ok(Self { held: 0, capacity_words })
    }

    pub(super) fn valid(&self) -> bool {
        self.held > 0
    }

    pub(super) fn ready(&self) -> bool {
        self.held < self.capacity_words
    }

    pub(super) fn occupancy(&self) -> u32 {
        self.held
    }

    pub(super) fn step(&mut self, took: bool, gave: bool) {
        self.held = self.held + u32::from(took) - u32::from(gave);
    }
}

/// Twin of `hwgen_width_adapter`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WidthAdapter {
    units: u32,
    pub(super) in_units: u32,
    pub(super) out_units: u32,
}

impl WidthAdapter {
    /// From words of `in_lanes` to words of `out_lanes`, both 1 or more.
    pub fn new(in_lanes: u32, out_lanes: u32) -> Result<Self, TimingError> {
        super::require("in_lanes", u64::from(in_lanes), 1)?;
        super::require("out_lanes", u64::from(out_lanes), 1)?;
        super::limit("in_lanes", u64::from(in_lanes), 1 << 24)?;
        super::limit("out_lanes", u64::from(out_lanes), 1 << 24)?;
        let (mut unit, mut rest) = (in_lanes, out_lanes);
        while rest != 0 {
            (unit, rest) = (rest, unit % rest);
        }
        Ok(Self { units: 0, in_units: in_lanes / unit, out_units: out_lanes / unit })
    }

    pub(super) fn valid(&self) -> bool {
        self.units >= self.out_units
    }

    pub(super) fn ready(&self, m_ready: bool) -> bool {
        let leaving = if m_ready && self.valid() { self.out_units } else { 0 };
        self.units - leaving + self.in_units < self.in_units + self.out_units
    }

    pub(super) fn occupancy(&self) -> u32 {
        self.units
    }

    pub(super) fn step(&mut self, took: bool, gave: bool) {
        self.units += if took { self.in_units } else { 0 };
        self.units -= if gave { self.out_units } else { 0 };
    }
}

/// Twin of `hwgen_fork`: a FIFO of two words at each output; a word is taken
/// when all have room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fork {
    held: Vec<u32>,
}

impl Fork {
    /// A fork to `outputs` streams, 1 to 32.
    pub fn new(outputs: u32) -> Result<Self, TimingError> {
        super::require("outputs", u64::from(outputs), 1)?;
        super::limit("outputs", u64::from(outputs), 32)?;
        Ok(Self { held: vec![0; outputs as usize] })
    }

    pub(super) fn outputs(&self) -> usize {
        self.held.len()
    }

    pub(super) fn valid(&self) -> u32 {
        self.held.iter().enumerate().fold(0, |mask, (port, &held)| mask | (u32::from(held > 0) << port))
    }

    pub(super) fn ready(&self) -> bool {
        self.held.iter().all(|&held| held < 2)
    }

    pub(super) fn occupancy(&self) -> u32 {
        self.held.iter().copied().max().unwrap_or(0)
    }

    pub(super) fn step(&mut self, took: bool, gave: u32) {
        for (port, held) in self.held.iter_mut().enumerate() {
            *held = *held + u32::from(took) - ((gave >> port) & 1);
        }
    }
}
