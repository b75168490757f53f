//! The text of a [`Netlist`]: its functions and stages as the body of a module, without wires that nothing reads.

use super::Netlist;
use crate::heap::used_bits::UsedBits;
use crate::verilog::{Direction, Expr, Item, Port};

impl Netlist {
    /// The functions and stages as items of the body of a module with the given ports, which ends in one assignment.
    /// Bits that nothing reads are gathered in wires whose names end in `_unused`.
    pub fn into_items(mut self, ports: &[Port], output: &str, value: Expr) -> Vec<Item> {
        let assignment = Item::Assign(Expr::name(output), value);
        let used = self.drop_unread_wires(&assignment);
        let inputs = ports.iter().filter(|port| port.direction == Direction::Input);
        let mut items: Vec<Item> = inputs.filter_map(|port| used.rest(&port.name, &port.width)).collect();
        for function in self.functions.into_values().filter(|function| used.calls.contains(&function.name)) {
            items.push(Item::Blank);
            items.push(Item::Function(function));
        }
        for (index, stage) in self.stages.into_iter().enumerate() {
            items.push(Item::Blank);
            items.push(Item::Comment(format!("Stage {}", index + 1)));
            items.extend(stage.comments.into_iter().map(Item::Comment));
            let nets = stage.items.iter().chain(&stage.registers);
            let unused: Vec<Item> = nets
                .filter_map(|item| match item {
                    Item::Net { name, width, .. } => used.rest(name, width),
                    _ => None,
                })
                .collect();
            items.extend(stage.registers);
            items.extend(stage.items);
            items.extend(unused);
            if !stage.updates.is_empty() {
                items.push(Item::Clocked(Expr::name("clk_i"), stage.updates));
            }
        }
        items.push(Item::Blank);
        items.push(assignment);
        items
    }

    /// Removes wires that nothing reads, and those that only they read.
    fn drop_unread_wires(&mut self, assignment: &Item) -> UsedBits {
        loop {
            let mut used = UsedBits::default();
            used.item(assignment);
            self.stages.iter().flat_map(|stage| &stage.items).for_each(|item| used.item(item));
            self.stages.iter().flat_map(|stage| &stage.updates).for_each(|statement| used.statement(statement));
            if self.stages.iter().any(|stage| !stage.updates.is_empty()) {
                used.expr(&Expr::name("clk_i"));
            }
            let mut dropped = false;
            for stage in &mut self.stages {
                stage.items.retain(|item| {
                    let unread = matches!(item, Item::Net { name, value: Some(_), .. } if !used.reads(name));
                    dropped |= unread;
                    !unread
                });
            }
            if !dropped {
                return used;
            }
        }
    }
}
