//! Number formats of weights and activations.
//!
//! A *code* is what travels on wires and lies in memories; a *value* is the integer that arithmetic means. They are
//! the same for integers. For M-plane bipolar codes the code is the level index q = 0..2^M-1 and the value is the odd
//! integer X = 2q - (2^M - 1), that is the sum of 2^(m-1) c_m over planes c_m in {-1,+1} (encoding decomposition of
//! multi-branch binary networks, arXiv 1905.13389, equations 10 to 20).

use crate::range::Range;
use std::fmt;
use std::str::FromStr;

/// Widest integer code, in bits.
pub const MAX_INTEGER_BITS: u32 = 16;
/// Most planes of a bipolar code.
pub const MAX_PLANES: u32 = 8;

/// A number format with its width inside the legal range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Format {
    kind: Kind,
    bits: u32,
}

/// How the bits of a code are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Plain binary.
    Unsigned,
    /// Two's complement.
    Signed,
    /// Each bit is a plane in {-1,+1}.
    Bipolar,
}

impl Format {
    /// Unsigned integers of 1 to 16 bits.
    pub fn unsigned(bits: u32) -> Option<Self> {
        Self::new(Kind::Unsigned, bits)
    }

    /// Two's complement integers of 1 to 16 bits.
    pub fn signed(bits: u32) -> Option<Self> {
        Self::new(Kind::Signed, bits)
    }

    /// Bipolar codes of 1 to 8 planes.
    pub fn bipolar(planes: u32) -> Option<Self> {
        Self::new(Kind::Bipolar, planes)
    }

    /// A format, or `None` where the width is not legal for the kind.
    pub fn new(kind: Kind, bits: u32) -> Option<Self> {
        let most = match kind {
            Kind::Unsigned | Kind::Signed => MAX_INTEGER_BITS,
            Kind::Bipolar => MAX_PLANES,
        };
        (1..=most).contains(&bits).then_some(Format { kind, bits })
    }

    /// The narrowest integer format that holds every value of `range`.
    pub fn integer_for(range: Range) -> Option<Self> {
        let kind = if range.is_signed() { Kind::Signed } else { Kind::Unsigned };
        Self::new(kind, range.bits())
    }

    /// How the bits are read.
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// Width of a code in bits; for bipolar codes the number of planes.
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// Whether a code on the wires is two's complement.
    pub fn code_is_signed(self) -> bool {
        self.kind == Kind::Signed
    }

    /// All codes.
    pub fn code_range(self) -> Range {
        let span = 1i64 << self.bits;
        match self.kind {
            Kind::Unsigned | Kind::Bipolar => Range::new(0, span - 1),
            Kind::Signed => Range::new(-span / 2, span / 2 - 1),
        }
    }

    /// The smallest range that holds all values.
    pub fn value_range(self) -> Range {
        let codes = self.code_range();
        Range::new(self.value(codes.min()), self.value(codes.max()))
    }

    /// The value that a code of this format means.
    pub fn value(self, code: i64) -> i64 {
        match self.kind {
            Kind::Unsigned | Kind::Signed => code,
            Kind::Bipolar => 2 * code - ((1i64 << self.bits) - 1),
        }
    }

    /// The code of a value, or `None` where the format does not have the value.
    pub fn code(self, value: i64) -> Option<i64> {
        let code = match self.kind {
            Kind::Unsigned | Kind::Signed => value,
            Kind::Bipolar => {
                let doubled = value.checked_add((1i64 << self.bits) - 1)?;
                if doubled % 2 != 0 {
                    return None;
                }
                doubled / 2
            }
        };
        self.code_range().contains(code).then_some(code)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.kind {
            Kind::Unsigned => "u",
            Kind::Signed => "s",
            Kind::Bipolar => "bipolar",
        };
        write!(f, "{prefix}{}", self.bits)
    }
}

/// Why a text is no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no number format")]
pub struct FormatError {
    text: String,
}

impl FormatError {
    /// The help line that belongs to this fault.
    pub const HELP: &'static str = "write u1..u16, s1..s16 or bipolar1..bipolar8";
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let fault = || FormatError { text: text.to_owned() };
        let digits = text.find(|c: char| c.is_ascii_digit()).ok_or_else(fault)?;
        let (prefix, bits) = text.split_at(digits);
        let kind = match prefix {
            "u" => Kind::Unsigned,
            "s" => Kind::Signed,
            "bipolar" => Kind::Bipolar,
            _ => return Err(fault()),
        };
        if bits.starts_with('0') || bits.len() > 2 || !bits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(fault());
        }
        bits.parse().ok().and_then(|bits| Format::new(kind, bits)).ok_or_else(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, codes: (i64, i64), values: (i64, i64)) {
        let format: Format = text.parse().unwrap();
        assert_eq!(format.to_string(), text);
        assert_eq!(format.code_range(), Range::new(codes.0, codes.1));
        assert_eq!(format.value_range(), Range::new(values.0, values.1));
        for code in codes.0..=codes.1 {
            assert_eq!(format.code(format.value(code)), Some(code));
        }
    }

    #[test]
    fn ranges() {
        check("u1", (0, 1), (0, 1));
        check("u16", (0, 65535), (0, 65535));
        check("s1", (-1, 0), (-1, 0));
        check("s8", (-128, 127), (-128, 127));
        check("bipolar1", (0, 1), (-1, 1));
        check("bipolar2", (0, 3), (-3, 3));
        check("bipolar8", (0, 255), (-255, 255));
    }

    #[test]
    fn even_values_are_no_bipolar_codes() {
        let format = Format::bipolar(3).unwrap();
        assert_eq!(format.code(0), None);
        assert_eq!(format.code(9), None);
        assert_eq!(format.code(-7), Some(0));
    }

    #[test]
    fn wrong_texts() {
        for text in ["", "u", "u0", "u17", "s17", "bipolar9", "u08", "8", "i8", "u-1", "u 8", "u99999999999999999999"] {
            assert!(text.parse::<Format>().is_err(), "{text}");
        }
    }
}
