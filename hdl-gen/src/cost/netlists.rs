//! Generated netlists in numbers: dot products, rescalers, and those with an operand that never changes.

use super::{Counts, Family, Term, memory};
use crate::heap::Cost;

impl Counts {
    pub(super) fn datapath(&mut self, cost: &Cost, n: f64, family: Family) {
        let real = f64::from;
        let [one, lut, ff, carry, shift] = match (cost.constant_operand, cost.scales) {
            (true, _) => {
                [Term::Constant, Term::ConstantLut, Term::ConstantFf, Term::ConstantCarry, Term::ConstantShift]
            }
            (false, true) => [Term::Unit, Term::UnitLut, Term::UnitFf, Term::UnitCarry, Term::UnitShift],
            (false, false) => {
                [Term::Datapath, Term::DatapathLut, Term::DatapathFf, Term::DatapathCarry, Term::DatapathShift]
            }
        };
        // Of a product with a constant only the rows that the constant leaves are built.
        let left = if cost.constant_operand { real(cost.rows_left) / 1000.0 } else { 1.0 };
        // Registers that only delay what does not change are none: all of a constant, of a rescaler's constants the same share.
        // Where there are shift registers, the fit knows.
        let same = 1.0 - real(cost.rows_left) / 1000.0;
        let gone = match (cost.constant_operand, cost.scales) {
            _ if memory::has_shift_registers(family) => 0.0,
            (true, _) => 1.0,
            (false, true) => same,
            (false, false) => 0.0,
        };
        let less = |all: u32, factor: u32| (real(all) - gone * real(factor)).max(0.0);
        let registers = less(cost.ff, cost.factor_ff);
        let small = match family {
            Family::Ecp5 => cost.dsp_lut,
            Family::Xc7 | Family::Xcup | Family::Ice40 | Family::Gowin | Family::Asic => 0,
        };
        self.add(one, n);
        let meets = cost.kept_lut == 0 && cost.first_lut > 0;
        let seen = cost.constant_operand && meets;
        let all = real(cost.lut.saturating_sub(small));
        if seen {
            // Synthesis sees the constant where it meets the other operand, and what follows from it behind.
            self.add(Term::ConstantFirst, n * left * real(cost.first_lut));
            self.add(Term::ConstantRest, n * (all - real(cost.first_lut)).max(0.0));
        } else {
            self.add(lut, n * left * all);
            self.add(Term::ConstantSpare, n * (1.0 - left) * all);
        }
        self.add(ff, n * left * registers);
        self.add(Term::ConstantSpareFf, n * (1.0 - left) * registers);
        if cost.scales && !cost.constant_operand {
            // Of a rescaler's constants some bits are the same for all channels.
            self.add(Term::UnitSpareFf, n * same * registers);
            self.add(Term::UnitSpare, if meets { n * same * real(cost.first_lut) } else { 0.0 });
        }
        self.add(carry, n * real(cost.carry));
        self.add(shift, n * real(cost.shift));
        if !memory::has_six_inputs(family) {
            let small = match (cost.constant_operand, cost.scales) {
                (true, _) => Term::ConstantLut4,
                (false, true) => Term::UnitLut4,
                (false, false) => Term::DatapathLut4,
            };
            if seen {
                self.add(Term::ConstantFirst4, n * left * real(cost.first_lut4));
                self.add(Term::ConstantRest4, n * real(cost.lut4.saturating_sub(cost.first_lut4)));
            } else {
                self.add(small, n * left * real(cost.lut4));
                self.add(Term::ConstantSpare4, n * (1.0 - left) * real(cost.lut4));
            }
        }
        self.exact.ff += n * registers;
        self.shifts(n * real(cost.shift), n * less(cost.shift_ff, cost.factor_shift_ff), family);
        self.add(Term::Edge, n * real(cost.edge));
        match family {
            Family::Xc7 | Family::Xcup => self.exact.dsp += n * real(cost.dsp),
            Family::Ecp5 => {
                self.exact.dsp += n * real(cost.dsp18);
                self.exact.ff += n * real(cost.dsp_ff);
            }
            // Yosys makes look-up tables of products here.
            Family::Ice40 | Family::Gowin | Family::Asic => {
                self.exact.ff += n * real(cost.dsp_ff);
                let product = if cost.constant_operand { Term::ConstantProduct } else { Term::DatapathProduct };
                self.add(product, n * real(cost.product_bits));
            }
        }
        self.add(if cost.scales { Term::UnitDsp } else { Term::DatapathDsp }, n * real(cost.dsp));
    }

    /// Shift registers of netlists, and the registers that they hold where there are no such things.
    pub(super) fn shifts(&mut self, number: f64, registers: f64, family: Family) {
        match memory::has_shift_registers(family) {
            true => self.exact.lut_memory += number,
            false => self.exact.ff += registers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Inventory;

    /// A product that no DSP block makes has a price of its own where an operand is a constant.
    #[test]
    fn products_with_constants_are_priced_apart() {
        let counted = |family: Family, constant_operand: bool| {
            let mut inventory = Inventory::default();
            inventory.add_datapaths(Cost { product_bits: 12, constant_operand, ..Cost::default() }, 3);
            let counts = Counts::of(&inventory, family);
            [counts.term(Term::DatapathProduct), counts.term(Term::ConstantProduct)]
        };
        for family in [Family::Ice40, Family::Gowin, Family::Asic] {
            assert_eq!([counted(family, false), counted(family, true)], [[36.0, 0.0], [0.0, 36.0]]);
        }
        for family in [Family::Xc7, Family::Xcup, Family::Ecp5] {
            assert_eq!([counted(family, false), counted(family, true)], [[0.0; 2]; 2]);
        }
    }

    /// Where digits of a constant meet the other operand in logic that synthesis sees, rows that vanish and what stands behind
    /// the first registers are priced apart; behind the border of a kept module they are not.
    #[test]
    fn constants_that_synthesis_sees_are_priced_apart() {
        let counted = |cost: Cost, family: Family| {
            let mut inventory = Inventory::default();
            let whole = Cost { lut: 50, lut4: 80, first_lut4: 60, rows_left: 500, scales: true, ..cost };
            inventory.add_datapaths(whole, 2);
            let counts = Counts::of(&inventory, family);
            let terms =
                [Term::ConstantLut, Term::ConstantSpare, Term::ConstantFirst, Term::ConstantRest, Term::UnitSpare];
            (
                terms.map(|term| counts.term(term)),
                [Term::ConstantFirst4, Term::ConstantRest4].map(|term| counts.term(term)),
            )
        };
        let seen = Cost { first_lut: 30, constant_operand: true, ..Cost::default() };
        let kept = Cost { kept_lut: 9, ..seen };
        let other_digits = Cost { first_lut: 0, ..seen };
        assert_eq!(counted(seen, Family::Xc7), ([0.0, 0.0, 30.0, 40.0, 0.0], [0.0; 2]));
        assert_eq!(counted(seen, Family::Ecp5), ([0.0, 0.0, 30.0, 40.0, 0.0], [60.0, 40.0]));
        for hidden in [kept, other_digits] {
            assert_eq!(counted(hidden, Family::Xc7), ([50.0, 50.0, 0.0, 0.0, 0.0], [0.0; 2]));
        }
        let changing = Cost { constant_operand: false, ..seen };
        assert_eq!(counted(changing, Family::Xc7).0, [0.0, 0.0, 0.0, 0.0, 30.0]);
        assert_eq!(counted(Cost { kept_lut: 9, ..changing }, Family::Xc7).0, [0.0; 5]);
    }

    /// Of 20 registers and 9 in shift registers those of the operand go where it never changes, and a quarter of them where a
    /// quarter of a rescaler's constants does not.
    #[test]
    fn delays_of_what_never_changes_are_none() {
        let counted = |cost: Cost| {
            let mut inventory = Inventory::default();
            let factor = Cost { factor_ff: 8, factor_shift_ff: 6, ..cost };
            inventory.add_datapaths(Cost { ff: 20, shift: 3, shift_ff: 9, ..factor }, 1);
            [Family::Xc7, Family::Ecp5].map(|family| Counts::of(&inventory, family).exact.ff)
        };
        let all = Cost { rows_left: 750, ..Cost::default() };
        assert_eq!(counted(all), [20.0, 29.0]);
        assert_eq!(counted(Cost { constant_operand: true, ..all }), [20.0, 15.0]);
        assert_eq!(counted(Cost { scales: true, ..all }), [20.0, 25.5]);
    }
}
