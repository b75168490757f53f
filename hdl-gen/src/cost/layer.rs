//! What one layer costs with a hardware of choice: what folding searches over.

use super::{Block, Counts, Inventory, Model, Resources};
use crate::bind::{Bound, BoundLayer};
use crate::datapath::Memo;
use crate::lower::{LowerError, lower_alone};
use std::collections::HashMap;
use std::sync::Mutex;

/// Prices layers of one network on one family, and remembers what it has priced.
#[derive(Debug)]
pub struct LayerCosts<'a> {
    bound: &'a Bound,
    model: &'a Model,
    known: Mutex<HashMap<(usize, String), Resources>>,
    memo: &'a Memo,
}

impl<'a> LayerCosts<'a> {
    /// Layers of a bound network; their own hardware does not matter.
    pub fn new(bound: &'a Bound, model: &'a Model, memo: &'a Memo) -> Self {
        LayerCosts { bound, model, known: Mutex::new(HashMap::new()), memo }
    }

    /// What the layer at `index` takes with `hardware`: its windows, buffers, arrays and units, without the width adapter in
    /// front of it, the fork behind it, and what FIFOs in front of a join need beyond two words.
    ///
    /// # Errors
    /// The layer cannot be built with this hardware.
    pub fn layer(&self, index: usize, hardware: &BoundLayer) -> Result<Resources, LowerError> {
        let key = (index, format!("{hardware:?}"));
        if let Some(known) = self.known.lock().ok().and_then(|known| known.get(&key).copied()) {
            return Ok(known);
        }
        let mut counts = Counts::none();
        for stage in lower_alone(self.bound, index, hardware, self.memo)? {
            counts.extend(&Counts::of_stage(&stage, self.model.family()));
        }
        let resources = self.model.price_counts(&counts);
        if let Ok(mut known) = self.known.lock() {
            known.insert(key, resources);
        }
        Ok(resources)
    }

    /// What a width adapter takes between words of `from` and of `to` elements; nothing where they are equal.
    pub fn adapter(&self, lane_bits: u64, from: u64, to: u64, elements: u64) -> Resources {
        let mut inventory = Inventory::default();
        if from != to {
            inventory.add(Block::Adapter { lane_bits, from, to, words: (elements / to).max(1) }, 1);
        }
        self.model.price(&inventory)
    }
}
