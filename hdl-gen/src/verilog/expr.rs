//! Expressions of the Verilog syntax tree.

/// A unary operator, printed before its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `~`, every bit inverted.
    Not,
    /// `-`, two's complement negation.
    Negate,
    /// `&`, one bit: all bits are one.
    ReduceAnd,
    /// `|`, one bit: any bit is one.
    ReduceOr,
    /// `^`, one bit: an odd number of bits is one.
    ReduceXor,
}

/// A binary operator, printed between its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `>`
    Greater,
    /// `<=` as a comparison
    LessOrEqual,
    /// `>=`
    GreaterOrEqual,
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
    /// `>>>`
    ArithmeticShiftRight,
}

/// A Verilog expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// A net, register, parameter or port.
    Name(String),
    /// One bit of a vector, by constant index.
    Bit(String, u32),
    /// Bits `high` down to `low` of a vector.
    Slice {
        /// The vector's name.
        name: String,
        /// Highest bit taken.
        high: u32,
        /// Lowest bit taken.
        low: u32,
    },
    /// `name[index]` with any index: a bit of a vector or a word of a memory.
    Index(String, Box<Expr>),
    /// `name[low +: bits]`, with any lowest index.
    IndexedPart {
        /// The vector's name.
        name: String,
        /// Lowest bit taken.
        low: Box<Expr>,
        /// Bits taken.
        bits: u32,
    },
    /// An unsigned constant of `bits` bits, printed in binary up to 8 bits and in hexadecimal above.
    Const {
        /// Width in bits.
        bits: u32,
        /// Value, below `2^bits`.
        value: u128,
    },
    /// A plain decimal integer, for parameters and ranges.
    Integer(i64),
    /// `{a, b}`, highest part first.
    Concat(Vec<Expr>),
    /// `{count{expr}}`.
    Repeat(u32, Box<Expr>),
    /// An operator with one operand.
    Unary(UnaryOp, Box<Expr>),
    /// An operator with two operands.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `condition ? yes : no`.
    Select(Box<Expr>, Box<Expr>, Box<Expr>),
    /// A function call; `$signed` is one too.
    Call(String, Vec<Expr>),
}

impl Expr {
    /// A net, register, parameter or port by name.
    pub fn name(name: impl Into<String>) -> Self {
        Expr::Name(name.into())
    }

    /// An unsigned constant.
    pub fn constant(bits: u32, value: u128) -> Self {
        Expr::Const { bits, value }
    }

    /// A constant of zeros.
    pub fn zero(bits: u32) -> Self {
        Expr::Const { bits, value: 0 }
    }

    /// Bits `high` down to `low` of a vector that has `bits` bits: the bare name where all are taken.
    pub fn part(name: &str, bits: u32, high: u32, low: u32) -> Self {
        if low == 0 && high + 1 == bits {
            Expr::Name(name.to_owned())
        } else if high == low {
            Expr::Bit(name.to_owned(), low)
        } else {
            Expr::Slice { name: name.to_owned(), high, low }
        }
    }

    /// `~self`.
    #[must_use]
    pub fn inverted(self) -> Self {
        Expr::Unary(UnaryOp::Not, Box::new(self))
    }

    /// A unary operator on this expression.
    #[must_use]
    pub fn unary(self, op: UnaryOp) -> Self {
        Expr::Unary(op, Box::new(self))
    }

    /// A binary operator with this expression on the left.
    #[must_use]
    pub fn binary(self, op: BinaryOp, right: Expr) -> Self {
        Expr::Binary(op, Box::new(self), Box::new(right))
    }

    /// `self ? yes : no`.
    #[must_use]
    pub fn select(self, yes: Expr, no: Expr) -> Self {
        Expr::Select(Box::new(self), Box::new(yes), Box::new(no))
    }

    /// `{parts}`, or the only part itself.
    pub fn concat(mut parts: Vec<Expr>) -> Self {
        match (parts.len(), parts.pop()) {
            (1, Some(only)) => only,
            (_, Some(last)) => {
                parts.push(last);
                Expr::Concat(parts)
            }
            (_, None) => Expr::Concat(parts),
        }
    }
}
