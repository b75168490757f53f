//! A small typed Verilog-2005 syntax tree and its printer.
//!
//! Input: modules built from [`Expr`], [`Item`] and [`Statement`]. Output: text with the SPDX line, a header comment,
//! `` `default_nettype none `` around the module, one aligned port, parameter or connection per line. Every operand of
//! an operator is an atom or stands in parentheses, so the tree alone fixes the meaning. The printer decides nothing:
//! it neither simplifies, nor renames, nor chooses widths, and it does not check that a tree is legal Verilog.

mod expr;
mod item;
mod part;
mod print;

pub use expr::{BinaryOp, Expr, UnaryOp};
pub use item::{
    Arm, Connection, Direction, Function, Instance, Item, Module, NetKind, Parameter, Port, Statement, Width,
};
pub use part::{Part, Value};

/// The text of one Verilog module, to be written as `NAME.v`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModuleText {
    /// The module's name, which is also the file's stem.
    pub name: String,
    /// The whole file.
    pub text: String,
    /// What it instantiates.
    pub parts: Vec<Part>,
}

#[cfg(test)]
mod tests;
