//! Modules, declarations and statements of the Verilog syntax tree.

use super::Expr;

/// The width of a port, net or function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Width {
    /// A constant number of bits; one bit prints without a range.
    Bits(u32),
    /// The most significant index as an expression of parameters: `[expr:0]`.
    Top(Expr),
}

/// The direction of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `input wire`
    Input,
    /// `output wire`
    Output,
    /// `output reg`
    OutputReg,
}

/// One port of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Input or output.
    pub direction: Direction,
    /// Declared `signed`.
    pub signed: bool,
    /// Width.
    pub width: Width,
    /// Name with its `_i` or `_o`.
    pub name: String,
}

/// One parameter or local parameter with its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Name in `UPPER_SNAKE_CASE`.
    pub name: String,
    /// Default value.
    pub value: Expr,
}

/// What a net declaration declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetKind {
    /// `wire`
    Wire,
    /// `reg`
    Reg,
}

/// One `.name(value)` of an instance; no value leaves the port open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Port or parameter of the instantiated module.
    pub name: String,
    /// What it connects to.
    pub value: Option<Expr>,
}

/// An instance with named parameters and ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The module.
    pub module: String,
    /// The instance's own name.
    pub name: String,
    /// Parameters; empty prints none.
    pub parameters: Vec<Connection>,
    /// Ports.
    pub ports: Vec<Connection>,
}

/// A combinational function whose inputs are unsigned vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Name, which is also the result's.
    pub name: String,
    /// Bits of the result.
    pub bits: u32,
    /// Inputs: name and bits.
    pub inputs: Vec<(String, u32)>,
    /// Variables: name and bits.
    pub variables: Vec<(String, u32)>,
    /// Body; blocking assignments.
    pub body: Vec<Statement>,
}

/// One arm of a case statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// Labels; empty is `default`.
    pub labels: Vec<Expr>,
    /// One statement.
    pub statement: Statement,
}

/// A procedural statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// `target = value;`
    Blocking(Expr, Expr),
    /// `target <= value;`
    NonBlocking(Expr, Expr),
    /// `if (condition) begin .. end else begin .. end`; no else where the second list is empty.
    If(Expr, Vec<Statement>, Vec<Statement>),
    /// `case (selector) .. endcase`.
    Case(Expr, Vec<Arm>),
}

/// One item of a module's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A line comment.
    Comment(String),
    /// An empty line.
    Blank,
    /// `localparam NAME = value;`
    Localparam(Parameter),
    /// A net or register, a wire possibly with its value.
    Net {
        /// Wire or register.
        kind: NetKind,
        /// Declared `signed`.
        signed: bool,
        /// Width.
        width: Width,
        /// Name.
        name: String,
        /// Number of words where it is a memory.
        depth: Option<u32>,
        /// Driving expression of a wire.
        value: Option<Expr>,
    },
    /// `assign target = value;`
    Assign(Expr, Expr),
    /// A function.
    Function(Function),
    /// `always @(posedge clock)`.
    Clocked(Expr, Vec<Statement>),
    /// An instance.
    Instance(Instance),
    /// A generate loop from 0 over a fresh `genvar`, with the label of its block.
    Repeat {
        /// The loop variable.
        variable: String,
        /// Number of times.
        count: Expr,
        /// Label of the block, `gen_...`.
        label: String,
        /// What is repeated.
        items: Vec<Item>,
    },
}

/// A Verilog module, one per file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Name, also the file's stem.
    pub name: String,
    /// Header lines without comment marks.
    pub header: Vec<String>,
    /// `(* keep_hierarchy *)`: the module is mapped on its own and not dissolved into its parent.
    pub keep_hierarchy: bool,
    /// Parameters.
    pub parameters: Vec<Parameter>,
    /// Ports in order.
    pub ports: Vec<Port>,
    /// Body.
    pub items: Vec<Item>,
}

impl Port {
    /// An input of `bits` bits.
    pub fn input(name: &str, bits: u32) -> Self {
        Port { direction: Direction::Input, signed: false, width: Width::Bits(bits), name: name.to_owned() }
    }

    /// An output wire of `bits` bits.
    pub fn output(name: &str, bits: u32) -> Self {
        Port { direction: Direction::Output, signed: false, width: Width::Bits(bits), name: name.to_owned() }
    }

    /// The same port, declared `signed`.
    #[must_use]
    pub fn signed(mut self) -> Self {
        self.signed = true;
        self
    }
}

impl Item {
    /// A wire with its value.
    pub fn wire(name: &str, bits: u32, value: Expr) -> Self {
        Item::Net {
            kind: NetKind::Wire,
            signed: false,
            width: Width::Bits(bits),
            name: name.to_owned(),
            depth: None,
            value: Some(value),
        }
    }

    /// A wire that an instance drives.
    pub fn open_wire(name: &str, bits: u32) -> Self {
        Item::Net {
            kind: NetKind::Wire,
            signed: false,
            width: Width::Bits(bits),
            name: name.to_owned(),
            depth: None,
            value: None,
        }
    }

    /// A register.
    pub fn reg(name: &str, bits: u32) -> Self {
        Item::Net {
            kind: NetKind::Reg,
            signed: false,
            width: Width::Bits(bits),
            name: name.to_owned(),
            depth: None,
            value: None,
        }
    }
}

impl Connection {
    /// A port or parameter connected to an expression.
    pub fn new(name: &str, value: Expr) -> Self {
        Connection { name: name.to_owned(), value: Some(value) }
    }
}
