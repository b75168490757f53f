//! The product of a rescaler in look-up tables: which operand is recoded, and what a constant one leaves of it.

use super::operand::{Multiplier, Operand};
use super::product::Lanes;
use super::recode::{Digit, booth_digits};
use super::rescale::{Rescale, RescaleFactor, RescaleSpec};

/// Which operand of the product is recoded.
pub(super) struct Product {
    pub digits: Vec<Digit>,
    /// Format of the other operand, always as a signed number.
    pub multiplicand: Operand,
    pub recodes_multiplier: bool,
}

impl Product {
    pub fn new(spec: &RescaleSpec) -> Option<Self> {
        let RescaleFactor::Port { bits, signed } = spec.factor else { return None };
        let widened = |bits: u32, signed: bool| Operand::Signed { bits: if signed { bits } else { bits + 1 } };
        let over_multiplier = Product {
            digits: booth_digits(bits, signed),
            multiplicand: widened(spec.accumulator_bits, spec.accumulator_signed),
            recodes_multiplier: true,
        };
        let over_accumulator = Product {
            digits: booth_digits(spec.accumulator_bits, spec.accumulator_signed),
            multiplicand: widened(bits, signed),
            recodes_multiplier: false,
        };
        let cost = |product: &Product| -> u32 {
            product.digits.iter().map(|digit| digit.row_bits(product.multiplicand)).sum()
        };
        Some(if cost(&over_accumulator) < cost(&over_multiplier) { over_accumulator } else { over_multiplier })
    }

    pub fn lanes(&self, spec: &RescaleSpec) -> Lanes<'_> {
        let recoded_bits = match spec.factor {
            RescaleFactor::Port { bits, .. } if self.recodes_multiplier => bits,
            RescaleFactor::Port { .. } | RescaleFactor::One | RescaleFactor::Constant(_) => spec.accumulator_bits,
        };
        Lanes { count: 1, digits: &self.digits, multiplicand: self.multiplicand, recoded_bits, target: spec.target }
    }
}

impl Rescale {
    /// The share of the product's partial products that is left where the multiplier is a constant: where it is recoded, rows
    /// whose digit is zero vanish; where it is what the digits choose from, columns in which it has no bit.
    pub fn rows_left(&self, multiplier: i64) -> f64 {
        let RescaleFactor::Port { bits, .. } = self.spec().factor else { return 1.0 };
        let Some(product) = Product::new(self.spec()).filter(|_| self.spec().multiplier == Multiplier::Lut) else {
            return 1.0;
        };
        let share = |left: usize, all: usize| left.max(1) as f64 / all.max(1) as f64;
        if product.recodes_multiplier {
            let left = product.digits.iter().filter(|digit| digit.value_of(multiplier) != 0).count();
            return share(left, product.digits.len());
        }
        // A digit of two chooses the bit below.
        let live = |column: &u32| (multiplier << 1 >> column) & 3 != 0;
        share((0..=bits).filter(live).count(), bits as usize + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rescale::ShiftRounding;
    use super::*;
    use crate::heap::Target;

    /// Of five Booth digits of 0100000001 two are not zero; of nine columns that a digit of a wide sum may choose, those of
    /// the bit of 00010000 and the one above it.
    #[test]
    fn a_constant_leaves_part_of_a_product() {
        let left = |accumulator_bits: u32, bits: u32, multiplier: i64| {
            let spec = RescaleSpec {
                module_name: "hwgen_rescale".to_owned(),
                accumulator_bits,
                accumulator_signed: true,
                factor: RescaleFactor::Port { bits, signed: true },
                offset_bits: None,
                constant: 0,
                value_range: (-1000, 1000),
                shift: 4,
                rounding: ShiftRounding::HalfEven,
                code_range: (0, 15),
                multiplier: Multiplier::Lut,
                target: Target::Lut6,
            };
            Rescale::new(spec).unwrap().rows_left(multiplier)
        };
        assert_eq!(left(24, 10, 0b01_0000_0001), 2.0 / 5.0);
        assert_eq!(left(4, 8, 0b0001_0000), 2.0 / 9.0);
        assert_eq!(left(4, 8, 0b0101_0101), 8.0 / 9.0);
    }

    /// LUTs of a module that is mapped alone are counted where the text has one, and those in front of the first registers
    /// where the factor's digits choose: with four bits by eight the sum's do, with 24 by ten the factor's.
    #[test]
    fn what_synthesis_sees_of_a_constant_is_counted() {
        let made = |accumulator_bits: u32, bits: u32| {
            let spec = RescaleSpec {
                module_name: "hwgen_rescale".to_owned(),
                accumulator_bits,
                accumulator_signed: true,
                factor: RescaleFactor::Port { bits, signed: true },
                offset_bits: Some(8),
                constant: 0,
                value_range: (-1000, 1000),
                shift: 4,
                rounding: ShiftRounding::Floor,
                code_range: (0, 15),
                multiplier: Multiplier::Lut,
                target: Target::Lut6,
            };
            Rescale::new(spec).unwrap()
        };
        let mut found = [0; 2];
        for (accumulator_bits, bits) in [(3, 8), (5, 9), (9, 5), (4, 8), (24, 10), (16, 8), (4, 4), (2, 12)] {
            let unit = made(accumulator_bits, bits);
            let kept = unit.modules().iter().any(|module| module.text.contains("keep_hierarchy"));
            assert_eq!(unit.cost().kept_lut > 0, kept, "{accumulator_bits} by {bits}");
            found[usize::from(kept)] += 1;
        }
        assert!(found.iter().all(|&number| number > 0), "{found:?}");
        assert_eq!(made(4, 8).cost().first_lut, 0);
        let factor = made(24, 10).cost();
        assert!(factor.first_lut > 0 && factor.first_lut < factor.lut, "{factor:?}");
    }
}
