//! The blocks of a design, counted from what its modules instantiate.

use super::Block;
use crate::design::Design;
use crate::heap::Cost;
use crate::verilog::{ModuleText, Part};
use std::collections::BTreeMap;

/// Blocks with how many there are of each. Nothing in it depends on a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    blocks: BTreeMap<Block, u64>,
}

/// The inventory of one module of the top.
#[derive(Clone, Debug, PartialEq)]
pub struct StageInventory {
    /// Instance name without `u_`.
    pub name: String,
    /// The plan's layer.
    pub layer: String,
    /// Its blocks.
    pub inventory: Inventory,
}

impl Inventory {
    /// Adds `count` blocks.
    pub fn add(&mut self, block: Block, count: u64) {
        if count > 0 {
            *self.blocks.entry(block).or_default() += count;
        }
    }

    /// Adds all blocks of another inventory.
    pub fn extend(&mut self, other: &Inventory) {
        other.blocks().for_each(|(block, count)| self.add(block.clone(), count));
    }

    /// Blocks and their counts, in a fixed order.
    pub fn blocks(&self) -> impl Iterator<Item = (&Block, u64)> {
        self.blocks.iter().map(|(block, &count)| (block, count))
    }

    /// Adds netlists that work in step: their control bits stand once.
    pub fn add_datapaths(&mut self, cost: Cost, count: u64) {
        let control = cost.control_stages;
        // Two bits; three and more stages become two shift registers.
        let (registers, shifts) = if control < 3 { (2 * control, 0) } else { (0, 2) };
        let own = Cost {
            ff: cost.ff.saturating_sub(registers),
            shift: cost.shift.saturating_sub(shifts),
            control_stages: 0,
            ..cost
        };
        self.add(Block::Datapath(own), count);
        if control > 0 {
            self.add(Block::ControlStages { stages: u64::from(control) }, 1);
        }
    }
}

impl Design {
    /// The blocks of every module of the top, in the order of [`Design::stage_rows`].
    pub fn inventory(&self) -> Vec<StageInventory> {
        let modules: BTreeMap<&str, &ModuleText> =
            self.modules.iter().map(|module| (module.name.as_str(), module)).collect();
        let stage = |stage: &crate::design::Stage| {
            let parameters = stage.parameters.iter().map(|(name, value)| (*name, value));
            let part = Part::new(&stage.module, parameters);
            let mut inventory = Inventory::default();
            self.count(&modules, &part, 1, &mut inventory);
            StageInventory { name: stage.name.clone(), layer: stage.layer.clone(), inventory }
        };
        self.stages.iter().map(stage).collect()
    }

    /// Adds `count` instances of a part, and all that stands inside.
    fn count(&self, modules: &BTreeMap<&str, &ModuleText>, part: &Part, count: u64, inventory: &mut Inventory) {
        if let Some(&cost) = self.costs.get(&part.module) {
            return inventory.add_datapaths(cost, count);
        }
        let Some(module) = modules.get(part.module.as_str()) else {
            return inventory.add(Block::of(part), count);
        };
        let mut parts: BTreeMap<Part, u64> = BTreeMap::new();
        for part in &module.parts {
            // Images differ from lane to lane; what they hold is not counted here.
            let parameters = part.parameters.iter().filter(|(name, _)| name != "IMAGE").cloned().collect();
            *parts.entry(Part { parameters, ..part.clone() }).or_default() += count;
        }
        parts.iter().for_each(|(part, &count)| self.count(modules, part, count, inventory));
    }
}
