//! The blocks of a design, counted from what its modules instantiate.

use super::Block;
use super::block::LIVE;
use super::serial::sum_parts;
use super::terms::log2;
use super::threshold_registers::{ThresholdRegisters, ThresholdShape, has_front};
use crate::design::{Design, Stage};
use crate::heap::Cost;
use crate::image::{TableContents, image_words, threshold_contents};
use crate::verilog::{ModuleText, Part, Value};
use rayon::prelude::*;
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
    /// Whether it is the last of the design, whose marks of frames' ends leave.
    pub ends: bool,
    /// Bits and words of the FIFOs that its marks of frames' ends pass, in it and behind it.
    pub stored: Vec<(u64, u64)>,
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

    /// Bits and words of its FIFOs.
    fn fifos(&self) -> impl Iterator<Item = (u64, u64)> {
        self.blocks.keys().filter_map(|block| match block {
            Block::Fifo { bits, depth } | Block::CreditFifo { bits, depth } => Some((*bits, *depth)),
            _ => None,
        })
    }

    /// Whether it is a FIFO and nothing else.
    fn is_fifo(&self) -> bool {
        !self.blocks.is_empty() && self.blocks.keys().all(|block| matches!(block, Block::Fifo { .. }))
    }

    /// Blocks and their counts, in a fixed order.
    pub fn blocks(&self) -> impl Iterator<Item = (&Block, u64)> {
        self.blocks.iter().map(|(block, &count)| (block, count))
    }

    /// Adds netlists that work in step: their control bits, and the registers of an operand that all see, stand once.
    pub fn add_datapaths(&mut self, cost: Cost, count: u64) {
        let control = cost.control_stages;
        // Two bits; three and more stages become two shift registers.
        let (registers, shifts) = if control < 3 { (2 * control, 0) } else { (0, 2) };
        let own = Cost {
            ff: cost.ff.saturating_sub(registers + cost.shared_ff),
            shift: cost.shift.saturating_sub(shifts + cost.shared_shift),
            shift_ff: cost.shift_ff.saturating_sub(if shifts > 0 { 2 * control } else { 0 } + cost.shared_shift_ff),
            dsp_ff: cost.dsp_ff.saturating_sub(cost.dsp_shared_ff),
            control_stages: 0,
            spared: 0,
            ..cost.unshared()
        };
        let spared = (count * u64::from(cost.spared) + 500) / 1000;
        self.add(Block::Datapath(own), count.saturating_sub(spared));
        let shared = [cost.shared_ff, cost.dsp_shared_ff, cost.shared_shift, cost.shared_shift_ff, cost.shared_edge];
        let [registers, dsp_registers, shifts, shifted, edges] = shared.map(u64::from);
        if registers + dsp_registers + shifts + edges > 0 {
            self.add(Block::SharedOperand { registers, dsp_registers, shifts, shifted, edges }, 1);
        }
        if control > 0 {
            self.add(Block::ControlStages { stages: u64::from(control) }, 1);
        }
    }
}

impl Design {
    /// The blocks of every module of the top, in the order of [`Design::stage_rows`], and of the mode's register behind them.
    pub fn inventory(&self) -> Vec<StageInventory> {
        let modules: Vec<&ModuleText> = self.modules.iter().collect();
        let mut stages = stage_inventories(self.stages.iter(), &modules, &self.costs, &self.memories);
        if self.modes() > 1 {
            let mut inventory = Inventory::default();
            inventory.add(Block::ModeRegister { modes: u64::from(self.modes()) }, 1);
            stages.push(StageInventory {
                name: "mode_register".to_owned(),
                layer: "input".to_owned(),
                inventory,
                ends: false,
                stored: Vec::new(),
            });
        }
        stages
    }
}

/// The blocks of modules of a top, from the generated modules and the counted netlists among them.
pub(crate) fn stage_inventories<'a>(
    stages: impl Iterator<Item = &'a Stage>,
    modules: &[&ModuleText],
    costs: &BTreeMap<String, Cost>,
    memories: &BTreeMap<String, String>,
) -> Vec<StageInventory> {
    let modules = modules.iter().map(|module| (module.name.as_str(), *module)).collect();
    let generated = Generated { modules, costs, memories };
    let stage = |stage: &Stage| {
        let part = Part::new(&stage.module, stage.parameters.iter().map(|(name, value)| (*name, value)));
        let mut inventory = Inventory::default();
        generated.count(&part, 1, &mut inventory);
        StageInventory {
            name: stage.name.clone(),
            layer: stage.layer.clone(),
            inventory,
            ends: false,
            stored: Vec::new(),
        }
    };
    let stages: Vec<&Stage> = stages.collect();
    let mut found: Vec<StageInventory> = stages.into_par_iter().map(stage).collect();
    if let Some(last) = found.last_mut() {
        last.ends = true;
    }
    for index in 0..found.len() {
        // FIFOs in a row hand the mark on; any other module makes its own. A layer is to cost the same by itself.
        let behind = found[index + 1..]
            .iter()
            .take_while(|stage| stage.layer == found[index].layer && stage.inventory.is_fifo());
        let passed = std::iter::once(&found[index]).chain(behind);
        let stored = passed.flat_map(|stage| stage.inventory.fifos()).collect();
        found[index].stored = stored;
    }
    found
}

/// Generated modules by name.
struct Generated<'a> {
    modules: BTreeMap<&'a str, &'a ModuleText>,
    costs: &'a BTreeMap<String, Cost>,
    memories: &'a BTreeMap<String, String>,
}

/// Most characters of an image whose columns are compared.
const COMPARED_CHARACTERS: usize = 1 << 16;

/// Most words of a block RAM that are looked at: of those only bits that are the same in all words matter.
pub(super) const BLOCK_WORDS: u64 = 64;

/// Whether the contents of a memory of so many words, in block RAM or in look-up tables, are looked at; else a rule prices them.
pub(crate) fn inventory_reads(block: bool, words: u64, word_bits: u64) -> bool {
    (!block || words <= BLOCK_WORDS) && words.saturating_mul(word_bits.div_ceil(4) + 1) <= COMPARED_CHARACTERS as u64
}

/// Most words of a threshold unit's table that are looked at.
const THRESHOLD_WORDS: u64 = 512;

/// Whether the thresholds of a unit with so many groups of channels and bits of a code are looked at.
pub(crate) fn inventory_reads_thresholds(groups: u64, code_bits: u32) -> bool {
    groups.checked_shl(code_bits).is_some_and(|words| words <= THRESHOLD_WORDS)
}

impl Generated<'_> {
    /// Adds `count` instances of a part, and all that stands inside.
    fn count(&self, part: &Part, count: u64, inventory: &mut Inventory) {
        if let Some(&cost) = self.costs.get(&part.module) {
            return inventory.add_datapaths(cost, count);
        }
        let Some(module) = self.modules.get(part.module.as_str()) else {
            let block = Block::of(part);
            if let Block::ShiftAccumulate { bits, most_shift, negates, .. } = &block {
                let (parts, shift_bits) = (sum_parts(*bits), log2(most_shift + 1));
                inventory.add(Block::ShiftControl { parts, shift_bits, negates: *negates }, 1);
            }
            return inventory.add(block, count);
        };
        let mut parts: BTreeMap<Part, u64> = BTreeMap::new();
        for part in &module.parts {
            // Images differ from lane to lane; of what they hold only the columns that change count.
            let mut parameters: Vec<(String, Value)> =
                part.parameters.iter().filter(|(name, _)| name != "IMAGE").cloned().collect();
            if let Some(Value::Text(path)) = part.parameter("IMAGE")
                && let Some(text) = self.memories.get(path).filter(|text| text.len() <= COMPARED_CHARACTERS)
                && let Some(live) = live(part, text)
            {
                parameters.push((LIVE.to_owned(), live));
            }
            *parts.entry(Part { parameters, ..part.clone() }).or_default() += count;
        }
        // Threshold units side by side see the same groups, whose registers they share.
        let mut groups: BTreeMap<u64, u64> = BTreeMap::new();
        for part in parts.keys().filter(|part| part.module == "hwgen_threshold") {
            if let Block::Threshold { groups: count, code_bits, registers, .. } = Block::of(part) {
                let stages = registers.map_or(code_bits - 1, |registers| registers.group_stages);
                let most = groups.entry(count).or_default();
                *most = stages.max(*most);
            }
        }
        for (groups, stages) in groups.into_iter().filter(|(groups, _)| *groups > 1) {
            inventory.add(Block::Groups { groups, stages }, count);
        }
        parts.iter().for_each(|(part, &count)| self.count(part, count, inventory));
    }
}

/// What of a memory's contents decides its cost, where it is looked at.
fn live(part: &Part, text: &str) -> Option<Value> {
    match part.module.as_str() {
        "hwgen_rom" | "hwgen_serial_schedule" => Some(Value::List(TableContents::of_image(text).numbers().to_vec())),
        "hwgen_threshold" => {
            let (code_bits, groups) = (part.number("CODE_BITS", 1), part.number("GROUPS", 1));
            let stages = u32::try_from(code_bits).ok().filter(|bits| inventory_reads_thresholds(groups, *bits))?;
            let words = image_words(text);
            let bits = u32::try_from(part.number("THRESHOLD_BITS", 1)).ok()?;
            let tables = threshold_contents(&words, bits, stages, usize::try_from(groups).ok()?);
            let registers = ThresholdRegisters::of(
                &words,
                ThresholdShape {
                    sum_bits: part.number("ACCUMULATOR_BITS", 1),
                    bits: u64::from(bits),
                    code_bits,
                    groups,
                    front: has_front(part.number("FALLING", 0) != 0, groups),
                },
            );
            let numbers = tables.iter().flat_map(|table| table.numbers());
            Some(Value::List(registers.numbers().into_iter().chain(numbers).collect()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::{Counts, Family, Term};

    /// Each netlist has 6 registers of its own and 2 shift registers of 3; 4 registers and a shift register of 3 hold what
    /// all four see.
    #[test]
    fn what_netlists_see_alike_is_registered_once() {
        let cost = Cost {
            ff: 10,
            shared_ff: 4,
            shift: 3,
            shift_ff: 9,
            shared_shift: 1,
            shared_shift_ff: 3,
            edge: 2,
            shared_edge: 5,
            ..Cost::default()
        };
        let counted = |cost: Cost, family| {
            let mut inventory = Inventory::default();
            inventory.add_datapaths(cost, 4);
            let counts = Counts::of(&inventory, family);
            [counts.exact.ff, counts.exact.lut_memory, counts.term(Term::Edge)]
        };
        assert_eq!(counted(cost, Family::Xc7), [4.0 * 6.0 + 4.0, 4.0 * 2.0 + 1.0, 4.0 * 2.0 + 5.0]);
        assert_eq!(counted(cost, Family::Ecp5), [28.0 + 4.0 * 6.0 + 3.0, 0.0, 13.0]);
        assert_eq!(counted(cost.apart(), Family::Xc7), [40.0, 12.0, 4.0 * 7.0]);
    }
}
