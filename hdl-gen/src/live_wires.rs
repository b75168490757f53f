//! Which wires of an activation an array multiplies: those that some code of the tensor changes.
//!
//! Half-range codes (HReLU of the {-1,+1} encoding, arXiv 1905.13389) never change their top plane, and integers are
//! often narrower than their format. With q = g + q', g the wires that never change and q' the k lowest ones:
//!
//! ```text
//!     bipolar    2 q - (2^M - 1) = [2 q' - (2^k - 1)] + 2 g + 2^k - 2^M
//!     integers   q               = q' + g
//! ```
//!
//! so an array of k wires takes a value of the narrower format, and what is left is a constant that its offsets carry
//! (the K branches of a constant top plane become Σ_k 2^(M+k-2) Σ_n d of each output channel).

use network::Range;
use network::format::{Format, Kind};
use network::graph::{Encoding, PeKind, Tensor};
use network::op::Op;

/// What an array sees of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LiveWires {
    /// Format of the wires that are multiplied, the lowest of the activation's.
    pub format: Format,
    /// An activation's value less that of its live wires.
    pub constant: i64,
}

impl LiveWires {
    /// All wires of a format.
    pub fn all(format: Format) -> Self {
        LiveWires { format, constant: 0 }
    }

    /// The wires of `format` that differ between codes of the range; at least one.
    pub fn of(format: Format, codes: Range) -> Self {
        let (min, max) = (codes.min(), codes.max());
        if format.kind() == Kind::Signed && min < 0 && max >= 0 {
            // Copies of the sign are dropped.
            let narrow = Format::signed(codes.bits()).unwrap_or(format);
            return Self::all(if narrow.bits() < format.bits() { narrow } else { format });
        }
        let bits = (64 - (min ^ max).leading_zeros()).max(1);
        if bits >= format.bits() {
            return Self::all(format);
        }
        let fixed = min >> bits << bits;
        let live = match format.kind() {
            Kind::Bipolar => Format::bipolar(bits).map(|format| (format, 1 << bits, 2 * fixed)),
            Kind::Unsigned | Kind::Signed => Format::unsigned(bits).map(|format| (format, 0, fixed)),
        };
        live.map_or(Self::all(format), |(narrow, own, fixed)| {
            let whole = if own > 0 { 1i64 << format.bits() } else { 0 };
            LiveWires { format: narrow, constant: fixed + own - whole }
        })
    }

    /// The wires that the array of a layer sees of its input. Integer padding is among the codes; bipolar padding is
    /// code 0 on the wires, whose part in the sums border constants take back.
    pub fn of_layer(op: &Op, input: &Tensor, format: Format) -> Self {
        let Encoding::Codes { range, .. } = input.encoding else { return Self::all(format) };
        let with_padding = |padding_value: i64| match format.kind() {
            Kind::Bipolar => range,
            Kind::Unsigned | Kind::Signed => range.union(Range::new(padding_value, padding_value)),
        };
        match op {
            // Averages take back what uncounted taps add by the format's own padding.
            Op::SumPool { counted: Some(_), .. } => Self::all(format),
            Op::Conv2d { window, padding_value, .. } | Op::SumPool { window, padding_value, .. }
                if window.is_padded() =>
            {
                Self::of(format, with_padding(*padding_value))
            }
            _ => Self::of(format, range),
        }
    }

    /// The same for an array of this kind; bit-serial arrays see all planes and skip those that never change in time.
    pub fn of_kind(kind: Option<PeKind>, op: &Op, input: &Tensor, format: Format) -> Self {
        if kind == Some(PeKind::Serial) { Self::all(format) } else { Self::of_layer(op, input, format) }
    }

    /// The value that wires of zeros have in the array.
    pub fn of_zeros(self) -> i64 {
        self.format.value(0) + self.constant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The narrow format, and by brute force: every code means the value of its low wires plus the constant.
    #[track_caller]
    fn check(format: &str, codes: (i64, i64), narrow: &str) {
        let format: Format = format.parse().unwrap();
        let live = LiveWires::of(format, Range::new(codes.0, codes.1));
        assert_eq!(live.format.to_string(), narrow);
        let bits = live.format.bits();
        for code in codes.0..=codes.1 {
            let low = code & ((1 << bits) - 1);
            let signed = live.format.code_is_signed() && low >> (bits - 1) == 1;
            let own = if signed { low - (1 << bits) } else { low };
            assert_eq!(live.format.value(own) + live.constant, format.value(code), "{format} {code}");
        }
    }

    #[test]
    fn wires_that_never_change_are_constants() {
        check("bipolar4", (8, 15), "bipolar3");
        check("bipolar4", (0, 7), "bipolar3");
        check("bipolar8", (128, 255), "bipolar7");
        check("bipolar8", (100, 101), "bipolar1");
        check("bipolar3", (5, 5), "bipolar1");
        check("bipolar2", (2, 3), "bipolar1");
        check("bipolar4", (7, 8), "bipolar4");
        check("bipolar1", (1, 1), "bipolar1");
        check("u8", (0, 31), "u5");
        check("u8", (0, 32), "u6");
        check("u8", (192, 200), "u4");
        check("u4", (9, 9), "u1");
        check("s8", (0, 127), "u7");
        check("s8", (-4, 3), "s3");
        check("s8", (-5, 3), "s4");
        check("s8", (-128, -65), "u6");
        check("s8", (-1, 0), "s1");
        check("s8", (-128, 127), "s8");
        check("s1", (-1, -1), "s1");
        check("u1", (0, 1), "u1");
    }
}
