//! The pipelined netlist that a heap is turned into: signals with a time, and the Verilog items of each stage.

mod body;
mod delays;

use std::collections::BTreeMap;

use super::cost::{Cost, Delay, Source};
use super::decided::Decided;
use super::{Bit, Net, ProductTable};
use crate::verilog::{BinaryOp, Connection, Expr, Function, Instance, Item, ModuleText, Statement};

/// A signal of a [`Netlist`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignalId(usize);

#[derive(Clone, Debug)]
struct Signal {
    name: String,
    bits: u32,
    /// Place of its lowest bit among all bits.
    first: usize,
    /// What stands in front of it, where it is an input.
    source: Source,
}

/// One pipeline stage: combinational items, then registers.
#[derive(Clone, Debug, Default)]
struct Stage {
    comments: Vec<String>,
    items: Vec<Item>,
    registers: Vec<Item>,
    updates: Vec<Statement>,
}

/// Signals, stages and functions of one module.
#[derive(Clone, Debug, Default)]
pub struct Netlist {
    signals: Vec<Signal>,
    stages: Vec<Stage>,
    functions: BTreeMap<String, Function>,
    names: BTreeMap<String, u32>,
    uses_carry_adder: bool,
    submodules: BTreeMap<String, ModuleText>,
    /// The operand bits behind partial products of two inputs.
    products: BTreeMap<Net, (ProductTable, Bit, Bit)>,
    /// How many registers in a row lead to each bit of all signals, where nothing lies between them.
    delays: Vec<Delay>,
    /// Running cost.
    pub cost: Cost,
    /// How far its decisions depend on the heap's threshold.
    pub decided: Decided,
    /// Only the cost is wanted: no text is made.
    counting: bool,
    /// Weight beyond which counting is given up.
    limit: u32,
}

impl Netlist {
    /// A netlist that counts its cost and makes no text: expressions, items and names are left out.
    /// Once it weighs more than `limit` it is [beyond](Self::is_beyond) use.
    pub fn counting(limit: u32) -> Self {
        Netlist { counting: true, limit, ..Netlist::default() }
    }

    /// Whether it only counts and weighs more than its limit. A weight never falls from stage to stage, since a register
    /// that joins a shift register weighs at least as much as what it takes away.
    pub fn is_beyond(&self) -> bool {
        self.counting && self.cost.weight() > self.limit
    }

    /// Whether it makes no text.
    pub fn is_counting(&self) -> bool {
        self.counting
    }

    /// An input port or other signal that this netlist does not declare.
    pub fn port(&mut self, name: &str, bits: u32) -> SignalId {
        let name = if self.counting { String::new() } else { name.to_owned() };
        let first = self.delays.len();
        self.delays.resize(first + bits as usize, Delay::default());
        self.signals.push(Signal { name, bits, first, source: Source::default() });
        SignalId(self.signals.len() - 1)
    }

    /// Width of a signal in bits.
    pub fn bits(&self, signal: SignalId) -> u32 {
        self.signals.get(signal.0).map_or(0, |signal| signal.bits)
    }

    /// The whole signal as an expression.
    pub fn whole(&self, signal: SignalId) -> Expr {
        if self.counting {
            return Expr::zero(1);
        }
        Expr::name(self.signals.get(signal.0).map_or("", |signal| signal.name.as_str()))
    }

    /// Bits `high` down to `low` of a signal.
    pub fn slice(&self, signal: SignalId, high: u32, low: u32) -> Expr {
        if self.counting {
            return Expr::zero(1);
        }
        self.signals.get(signal.0).map_or(Expr::zero(1), |signal| Expr::part(&signal.name, signal.bits, high, low))
    }

    /// One bit as an expression.
    pub fn bit(&self, bit: Bit) -> Expr {
        match bit.net {
            Net::Signal(signal, index) => self.slice(signal, index, index),
            Net::One => Expr::constant(1, 1),
        }
    }

    /// Bits as one vector, highest first in the list; neighbouring bits of a signal become slices.
    pub fn vector(&self, bits: &[Option<Bit>]) -> Expr {
        if self.counting {
            return Expr::zero(1);
        }
        let mut parts = Vec::new();
        let mut index = 0;
        while let Some(first) = bits.get(index) {
            let mut length = 1;
            match first {
                Some(Bit { net: Net::Signal(signal, high), .. }) => {
                    while let Some(Some(Bit { net: Net::Signal(next, low), .. })) = bits.get(index + length) {
                        if next == signal
                            && u32::try_from(length).is_ok_and(|length| low.checked_add(length) == Some(*high))
                        {
                            length += 1;
                        } else {
                            break;
                        }
                    }
                    parts.push(self.slice(*signal, *high, high + 1 - u32::try_from(length).unwrap_or(1)));
                }
                constant => {
                    while bits.get(index + length) == Some(constant) {
                        length += 1;
                    }
                    let bits = u32::try_from(length).unwrap_or(1);
                    let value = if constant.is_some() { (1_u128 << bits) - 1 } else { 0 };
                    parts.push(Expr::constant(bits, value));
                }
            }
            index += length;
        }
        Expr::concat(parts)
    }

    fn stage(&mut self, time: u32) -> &mut Stage {
        let index = time as usize;
        if self.stages.len() <= index {
            self.stages.resize_with(index + 1, Stage::default);
        }
        &mut self.stages[index]
    }

    /// `sSTAGE_STEM` and a running number.
    fn fresh(&mut self, time: u32, stem: &str) -> String {
        if self.counting {
            return String::new();
        }
        let stem = &format!("s{}_{stem}", time + 1);
        let next = self.names.entry(stem.to_owned()).or_insert(0);
        let name = format!("{stem}{next}");
        *next += 1;
        name
    }

    /// A sentence about a stage in the emitted text.
    pub fn comment(&mut self, time: u32, text: String) {
        if !self.counting {
            self.stage(time).comments.push(text);
        }
    }

    /// A wire in the stage that starts at `time`, with a running number after the stem.
    pub fn wire(&mut self, time: u32, stem: &str, bits: u32, value: Expr) -> SignalId {
        let name = self.fresh(time, stem);
        if !self.counting {
            self.stage(time).items.push(Item::wire(&name, bits, value));
        }
        self.port(&name, bits)
    }

    /// A register at the end of the stage that starts at `time`.
    pub fn register(&mut self, time: u32, name: &str, bits: u32, value: Expr) -> SignalId {
        self.register_with(time, name, bits, |target| vec![Statement::NonBlocking(target, value)])
    }

    /// A register whose update is given as statements on it.
    pub fn register_with(
        &mut self,
        time: u32,
        name: &str,
        bits: u32,
        update: impl FnOnce(Expr) -> Vec<Statement>,
    ) -> SignalId {
        if !self.counting {
            let statements = update(Expr::name(name));
            let stage = self.stage(time);
            stage.registers.push(Item::reg(name, bits));
            stage.updates.extend(statements);
        }
        self.cost.ff += bits;
        self.port(name, bits)
    }

    /// Any item in the combinational part of a stage.
    pub fn item(&mut self, time: u32, item: Item) {
        if !self.counting {
            self.stage(time).items.push(item);
        }
    }

    /// A function of the module; a second one of the same name is the same.
    pub fn function(&mut self, function: Function) {
        self.functions.entry(function.name.clone()).or_insert(function);
    }

    /// An adder on a carry chain: columns lowest first, `direct + other + carry`, as wide as its operands.
    pub fn carry_adder(
        &mut self,
        time: u32,
        direct: &[Option<Bit>],
        other: &[Option<Bit>],
        carry: Option<Bit>,
    ) -> SignalId {
        let bits = u32::try_from(direct.len()).unwrap_or(0);
        self.cost.carry += bits.div_ceil(4);
        if self.counting {
            return self.port("", bits);
        }
        let name = self.fresh(time, "sum");
        let reversed = |bits: &[Option<Bit>]| bits.iter().rev().copied().collect::<Vec<_>>();
        let ports = vec![
            Connection::new("direct_i", self.vector(&reversed(direct))),
            Connection::new("other_i", self.vector(&reversed(other))),
            Connection::new("carry_i", carry.map_or(Expr::zero(1), |bit| self.bit(bit))),
            Connection::new("sum_o", Expr::name(name.as_str())),
        ];
        let instance = Instance {
            module: super::carry_adder::NAME.to_owned(),
            name: format!("u_{name}"),
            parameters: vec![Connection::new("WIDTH", Expr::Integer(i64::from(bits)))],
            ports,
        };
        let stage = self.stage(time);
        stage.items.push(Item::open_wire(&name, bits));
        stage.items.push(Item::Instance(instance));
        self.uses_carry_adder = true;
        self.port(&name, bits)
    }

    /// Notes the operand bit and the digit bit of a partial product.
    pub fn note_product(&mut self, product: Bit, table: ProductTable, x: Bit, w: Bit) {
        self.products.insert(product.net, (table, x, w));
    }

    /// What [`Netlist::note_product`] noted.
    pub fn product(&self, product: Bit) -> Option<(ProductTable, Bit, Bit)> {
        self.products.get(&product.net).copied()
    }

    /// Counts triples of partial products, all of one kind, in a module that is mapped on its own. Each product is an
    /// operand bit and a digit bit. Gives the signals of the sums and of the carries, a bit for each triple.
    pub fn product_counter(
        &mut self,
        time: u32,
        table: ProductTable,
        triples: &[[(Bit, Bit); 3]],
    ) -> (SignalId, SignalId) {
        let count = u32::try_from(triples.len()).unwrap_or(0);
        self.cost.add_kept_luts(2 * count, 6);
        if self.counting {
            return (self.port("", count), self.port("", count));
        }
        let name = self.fresh(time, "count");
        let part = |pick: fn(&(Bit, Bit)) -> Bit| -> Vec<Option<Bit>> {
            (0..3).rev().flat_map(|third| triples.iter().rev().map(move |triple| Some(pick(&triple[third])))).collect()
        };
        let (sum, carry) = (format!("{name}_sum"), format!("{name}_carry"));
        let instance = Instance {
            module: table.counter_name(),
            name: format!("u_{name}"),
            parameters: vec![Connection::new("COUNT", Expr::Integer(i64::from(count)))],
            ports: vec![
                Connection::new("x_i", self.vector(&part(|product| product.0))),
                Connection::new("w_i", self.vector(&part(|product| product.1))),
                Connection::new("sum_o", Expr::name(sum.as_str())),
                Connection::new("carry_o", Expr::name(carry.as_str())),
            ],
        };
        let stage = self.stage(time);
        stage.items.push(Item::open_wire(&sum, count));
        stage.items.push(Item::open_wire(&carry, count));
        stage.items.push(Item::Instance(instance));
        self.submodules.entry(table.counter_name()).or_insert_with(|| table.counter());
        (self.port(&sum, count), self.port(&carry, count))
    }

    /// The modules that the netlist instantiates.
    pub fn submodules(&self) -> Vec<ModuleText> {
        let adder = self.uses_carry_adder.then(super::carry_adder);
        adder.into_iter().chain(self.submodules.values().cloned()).collect()
    }

    fn submodule(&mut self, module: ModuleText) {
        self.submodules.entry(module.name.clone()).or_insert(module);
    }

    /// An instance of a submodule with one output, as a new signal of `bits` bits named after `stem`.
    pub fn instance(
        &mut self,
        time: u32,
        stem: &str,
        module: ModuleText,
        parameters: Vec<Connection>,
        mut ports: Vec<Connection>,
        (output, bits): (&str, u32),
    ) -> SignalId {
        if self.counting {
            return self.port("", bits);
        }
        let name = self.fresh(time, stem);
        ports.push(Connection::new(output, Expr::name(name.as_str())));
        let instance = Instance { module: module.name.clone(), name: format!("u_{name}"), parameters, ports };
        let stage = self.stage(time);
        stage.items.push(Item::open_wire(&name, bits));
        stage.items.push(Item::Instance(instance));
        self.submodule(module);
        self.port(&name, bits)
    }
}

/// `left ^ right` and so on over single bits, for counters.
pub(super) fn majority(a: &Expr, b: &Expr, c: &Expr) -> Expr {
    let and = |x: &Expr, y: &Expr| x.clone().binary(BinaryOp::And, y.clone());
    and(a, b).binary(BinaryOp::Or, and(a, c)).binary(BinaryOp::Or, and(b, c))
}

/// `a ^ b ^ c`.
pub(super) fn parity(a: &Expr, b: &Expr, c: &Expr) -> Expr {
    a.clone().binary(BinaryOp::Xor, b.clone()).binary(BinaryOp::Xor, c.clone())
}
