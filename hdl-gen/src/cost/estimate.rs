//! The estimate of a whole design: every layer and the sum.

use super::{Counts, Inventory, Model, Paths, Resources};
use crate::design::Design;

/// What a design takes of a family's devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The layers in the plan's order; the first entry may be `input`, where a fork stands behind it.
    pub layers: Vec<LayerEstimate>,
    /// The sum.
    pub total: Resources,
    /// Modules that no model counts; their cost is missing.
    pub unknown: Vec<String>,
    /// The deepest paths, which decide the clock.
    pub paths: Paths,
}

/// What the modules of one layer take.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerEstimate {
    /// The plan's layer, or `input`.
    pub layer: String,
    /// What they take.
    pub resources: Resources,
}

impl Estimate {
    /// Prices a design.
    pub fn of(design: &Design, model: &Model) -> Self {
        let mut layers: Vec<(String, Inventory)> = Vec::new();
        for stage in design.inventory() {
            match layers.iter_mut().find(|(layer, _)| *layer == stage.layer) {
                Some((_, inventory)) => inventory.extend(&stage.inventory),
                None => layers.push((stage.layer, stage.inventory)),
            }
        }
        let mut unknown = Vec::new();
        let price = |(layer, inventory): &(String, Inventory)| {
            let counts = Counts::of(inventory, model.family());
            unknown.extend(counts.unknown.iter().cloned());
            LayerEstimate { layer: layer.clone(), resources: model.price_counts(&counts) }
        };
        let priced: Vec<LayerEstimate> = layers.iter().map(price).collect();
        let total: Resources = priced.iter().map(|layer| layer.resources).sum();
        let inventories = layers.iter().map(|(_, inventory)| inventory);
        let paths = Paths::of(inventories, total.lut + total.lut_memory, model.family());
        unknown.sort();
        unknown.dedup();
        Estimate { total, layers: priced, unknown, paths }
    }
}
