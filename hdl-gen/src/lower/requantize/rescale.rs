//! Requantization by multiply, add and shift, one unit for each lane.

use super::Results;
use crate::datapath::DatapathError;
use crate::lower::{Fault, Lowering};
use crate::verilog::Item;
use network::graph::Multiplier;
use network::requantization::{Requantization, Shift};

impl Lowering<'_> {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn rescale_lanes(
        &mut self,
        _index: usize,
        _name: &str,
        _requantization: &Requantization,
        _shift: &Shift,
        _results: &Results<'_>,
        _multiplier: Multiplier,
        _items: &mut Vec<Item>,
    ) -> Result<u32, Fault> {
        Err(DatapathError::Unreduced.into())
    }

    pub(in crate::lower) fn common_grid(&mut self, _index: usize, _name: &str) -> Result<(), Fault> {
        Ok(())
    }
}
