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
    /// The paths that may decide the clock.
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
        let mut layers: Vec<(String, Counts, Inventory)> = Vec::new();
        for stage in design.inventory() {
            let counts = Counts::of_stage(&stage, model.family());
            match layers.iter_mut().find(|(layer, ..)| *layer == stage.layer) {
                Some((_, sum, inventory)) => {
                    sum.extend(&counts);
                    inventory.extend(&stage.inventory);
                }
                None => layers.push((stage.layer, counts, stage.inventory)),
            }
        }
        let mut unknown = Vec::new();
        let price = |(layer, counts, _): &(String, Counts, Inventory)| {
            unknown.extend(counts.unknown.iter().cloned());
            LayerEstimate { layer: layer.clone(), resources: model.price_counts(counts) }
        };
        let priced: Vec<LayerEstimate> = layers.iter().map(price).collect();
        let total: Resources = priced.iter().map(|layer| layer.resources).sum();
        let inventories = layers.iter().map(|(.., inventory)| inventory);
        let paths = Paths::of(inventories, total.lut + total.lut_memory, model.family());
        unknown.sort();
        unknown.dedup();
        Estimate { total, layers: priced, unknown, paths }
    }
}
