//! Which bits of a netlist are read, so that unread wires are left out and unread bits are named as such.

use std::collections::{BTreeMap, BTreeSet};

use crate::verilog::{Expr, Item, Statement, Width};

/// Which bits of which names are read.
#[derive(Default)]
pub(super) struct UsedBits {
    whole: BTreeSet<String>,
    /// Functions that are called.
    pub calls: BTreeSet<String>,
    bits: BTreeMap<String, BTreeSet<u32>>,
}

impl UsedBits {
    /// Whether any bit of a name is read.
    pub fn reads(&self, name: &str) -> bool {
        self.whole.contains(name) || self.bits.contains_key(name)
    }

    /// Counts what an item reads.
    pub fn item(&mut self, item: &Item) {
        match item {
            Item::Net { value: Some(value), .. } | Item::Assign(_, value) => self.expr(value),
            Item::Instance(instance) => {
                for port in instance.ports.iter().filter(|port| !port.name.ends_with("_o")) {
                    port.value.iter().for_each(|value| self.expr(value));
                }
            }
            Item::Clocked(clock, body) => {
                self.expr(clock);
                body.iter().for_each(|statement| self.statement(statement));
            }
            Item::Repeat { items, .. } => items.iter().for_each(|item| self.item(item)),
            Item::Net { value: None, .. }
            | Item::Comment(_)
            | Item::Blank
            | Item::Localparam(_)
            | Item::Function(_) => {}
        }
    }

    /// Counts what a statement reads.
    pub fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Blocking(_, value) | Statement::NonBlocking(_, value) => self.expr(value),
            Statement::If(condition, yes, no) => {
                self.expr(condition);
                yes.iter().chain(no).for_each(|statement| self.statement(statement));
            }
            Statement::Case(selector, arms) => {
                self.expr(selector);
                arms.iter().for_each(|arm| self.statement(&arm.statement));
            }
        }
    }

    /// Counts what an expression reads.
    pub fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Name(name) => {
                self.whole.insert(name.clone());
            }
            Expr::Bit(name, index) => {
                self.bits.entry(name.clone()).or_default().insert(*index);
            }
            Expr::Slice { name, high, low } => self.bits.entry(name.clone()).or_default().extend(*low..=*high),
            Expr::Index(name, index) => {
                self.whole.insert(name.clone());
                self.expr(index);
            }
            Expr::IndexedPart { name, low, .. } => {
                self.whole.insert(name.clone());
                self.expr(low);
            }
            Expr::Const { .. } | Expr::Integer(_) => {}
            Expr::Call(name, parts) => {
                self.calls.insert(name.clone());
                parts.iter().for_each(|part| self.expr(part));
            }
            Expr::Concat(parts) => parts.iter().for_each(|part| self.expr(part)),
            Expr::Repeat(_, part) | Expr::Unary(_, part) => self.expr(part),
            Expr::Binary(_, left, right) => {
                self.expr(left);
                self.expr(right);
            }
            Expr::Select(condition, yes, no) => [condition, yes, no].into_iter().for_each(|part| self.expr(part)),
        }
    }

    /// A wire over the bits of a net that nothing reads.
    pub fn rest(&self, name: &str, width: &Width) -> Option<Item> {
        let Width::Bits(bits) = width else { return None };
        if self.whole.contains(name) {
            return None;
        }
        let read = self.bits.get(name);
        let unread: Vec<u32> = (0..*bits).rev().filter(|bit| read.is_none_or(|read| !read.contains(bit))).collect();
        let count = u32::try_from(unread.len()).ok().filter(|count| *count > 0)?;
        let value = if count == *bits {
            Expr::name(name)
        } else {
            Expr::concat(unread.into_iter().map(|bit| Expr::Bit(name.to_owned(), bit)).collect())
        };
        Some(Item::wire(&format!("{name}_unused"), count, value))
    }
}
