//! Number formats on the wires of a datapath.

/// How a dot product's operand is coded on its wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operand {
    /// An unsigned integer of 1 to 16 bits.
    Unsigned {
        /// Bits, 1 to 16.
        bits: u32,
    },
    /// A two's complement integer of 1 to 16 bits.
    Signed {
        /// Bits, 1 to 16.
        bits: u32,
    },
    /// A bipolar code of 1 to 8 planes: the wires carry the level index `q`, the value is the odd integer
    /// `2q - (2^planes - 1)` (encoding decomposition of {-1,+1}).
    Bipolar {
        /// Planes, 1 to 8.
        planes: u32,
    },
}

/// What multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Multiplier {
    /// Partial products in LUTs.
    Lut,
    /// One DSP block per product, inferred from `*`.
    Dsp,
}

/// A specification that no module can be generated for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatapathError {
    /// A number of the specification is outside what is supported.
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: i64,
        /// Least legal value.
        least: i64,
        /// Largest legal value.
        largest: i64,
    },
    /// The heap could not be reduced; a fault of the generator.
    Unreduced,
}

impl std::fmt::Display for DatapathError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DatapathError::OutOfRange { what, value, least, largest } => {
                write!(f, "{what} is {value}, but must lie between {least} and {largest}")
            }
            DatapathError::Unreduced => f.write_str("the bit heap could not be reduced to one number"),
        }
    }
}

impl std::error::Error for DatapathError {}

/// `value` where it lies in `least..=largest`.
pub(super) fn within(what: &'static str, value: i64, least: i64, largest: i64) -> Result<i64, DatapathError> {
    if (least..=largest).contains(&value) {
        Ok(value)
    } else {
        Err(DatapathError::OutOfRange { what, value, least, largest })
    }
}

impl Operand {
    /// Wires that a code takes.
    pub fn bits(self) -> u32 {
        match self {
            Operand::Unsigned { bits } | Operand::Signed { bits } => bits,
            Operand::Bipolar { planes } => planes,
        }
    }

    /// Least and largest value.
    pub fn value_range(self) -> (i64, i64) {
        match self {
            Operand::Unsigned { bits } => (0, (1 << bits) - 1),
            Operand::Signed { bits } => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
            Operand::Bipolar { planes } => (-((1 << planes) - 1), (1 << planes) - 1),
        }
    }

    /// The bits on the wires that stand for a value; a value outside the format wraps.
    pub fn code(self, value: i64) -> u32 {
        let mask = (1_i64 << self.bits()) - 1;
        let code = match self {
            Operand::Unsigned { .. } | Operand::Signed { .. } => value,
            Operand::Bipolar { planes } => (value + (1 << planes) - 1) / 2,
        };
        u32::try_from(code & mask).unwrap_or(0)
    }

    pub(super) fn check(self, what: &'static str) -> Result<(), DatapathError> {
        let largest = match self {
            Operand::Unsigned { .. } | Operand::Signed { .. } => 16,
            Operand::Bipolar { .. } => 8,
        };
        within(what, i64::from(self.bits()), 1, largest).map(|_| ())
    }
}
