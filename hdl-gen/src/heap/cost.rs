//! What a generated netlist costs, as its schedule counts it.

/// Registers in a row from which synthesis makes a shift register.
const SHIFT_REGISTER_BITS: u32 = 3;

/// What a netlist costs on six-input LUTs, as the schedule counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost {
    /// LUTs that hold logic.
    pub lut: u32,
    /// LUTs of four inputs for the same, multiplexers of their outputs and the adders of carry chains left out.
    pub lut4: u32,
    /// Of both, those in front of the first registers, where digits of the operand that may be a constant meet the other; none
    /// where the digits are of the other operand.
    pub first_lut: u32,
    /// The same of four inputs.
    pub first_lut4: u32,
    /// LUTs in modules that synthesis maps by themselves, so that it does not see a constant operand there.
    pub kept_lut: u32,
    /// Shift registers of three and more bits, half a LUT each.
    pub shift: u32,
    /// Registers that those hold.
    pub shift_ff: u32,
    /// Registers.
    pub ff: u32,
    /// Cells of four bits on carry chains.
    pub carry: u32,
    /// DSP blocks that multiply 25 by 18 bits.
    pub dsp: u32,
    /// The same products in blocks that multiply 18 by 18 bits, narrow ones included.
    pub dsp18: u32,
    /// Registers that a DSP block holds and that are among no others; where blocks have none, they are registers.
    pub dsp_ff: u32,
    /// Registers, among those, of the operand that several instances see alike: they are one.
    pub dsp_shared_ff: u32,
    /// LUTs of products too narrow for a DSP block of 25 by 18 bits, which are among the others.
    pub dsp_lut: u32,
    /// Pairs of operand bits of the products for DSP blocks.
    pub product_bits: u32,
    /// Bits of the narrower operand of the widest product for a DSP block: rows that look-up tables would sum.
    pub product_rows: u32,
    /// Whether it is a rescaler: its operands come from registers of their own, behind memories and sums.
    pub scales: bool,
    /// An operand never changes, so that synthesis finds less to do than the schedule counts.
    pub constant_operand: bool,
    /// Of the rows of the product with that operand, how many in a thousand the constants leave; of a rescaler whose constants
    /// differ from channel to channel, how many of their bits do.
    pub rows_left: u32,
    /// Of a thousand instances those that another one makes as well, or whose result never changes, since their operand never does:
    /// synthesis leaves them out.
    pub spared: u32,
    /// Register stages of an accumulator's two control bits, which are among the registers; instances that work in
    /// step share them.
    pub control_stages: u32,
    /// Registers, among the others, that only delay the operand that several instances see alike: they are one.
    pub shared_ff: u32,
    /// Shift registers, among the others, of the same.
    pub shared_shift: u32,
    /// Registers that those hold.
    pub shared_shift_ff: u32,
    /// Input bits that registers in front make shift registers: delayed twice and no more, or once where two stand in front.
    pub edge: u32,
    /// The same of the operand that several instances see alike.
    pub shared_edge: u32,
    /// Registers, among the others, that only delay the operand that may be a constant, which then needs none.
    pub factor_ff: u32,
    /// The same of registers that shift registers hold.
    pub factor_shift_ff: u32,
}

impl Cost {
    /// So many LUTs, each a function of so many inputs in front of a carry chain's adder or of a register.
    pub fn add_luts(&mut self, luts: u32, inputs: u32) {
        self.lut += luts;
        self.lut4 += luts * small_luts(inputs);
    }

    /// The same in modules that synthesis maps by themselves.
    pub fn add_kept_luts(&mut self, luts: u32, inputs: u32) {
        self.add_luts(luts, inputs);
        self.kept_lut += luts;
    }

    /// What was counted up to the end of the stage that starts at `time` stands in front of the first registers.
    pub(super) fn end_stage(&mut self, time: u32) {
        if time == 0 {
            (self.first_lut, self.first_lut4) = (self.lut, self.lut4);
        }
    }

    /// Counts one register more in a row, which is among the registers already.
    pub(super) fn count_delay(&mut self, delay: Delay) {
        let [shared, factor] = [Source::Shared, Source::Factor].map(|source| u32::from(delay.source == source));
        let in_front = match delay.source {
            Source::Inside => None,
            Source::Input | Source::Shared | Source::Factor => Some(1),
            Source::Early => Some(2),
        };
        let becomes = delay.registers == SHIFT_REGISTER_BITS;
        let enters = in_front.is_some_and(|in_front| delay.registers + in_front == SHIFT_REGISTER_BITS);
        let leaves = !enters && in_front.is_some() && becomes;
        let edge = if shared > 0 { &mut self.shared_edge } else { &mut self.edge };
        *edge = (*edge + u32::from(enters)).saturating_sub(u32::from(leaves));
        if delay.registers < SHIFT_REGISTER_BITS {
            self.shared_ff += shared;
            self.factor_ff += factor;
            return;
        }
        let taken = if becomes { SHIFT_REGISTER_BITS } else { 1 };
        self.ff = self.ff.saturating_sub(taken);
        self.shift_ff += taken;
        self.shared_shift_ff += shared * taken;
        self.factor_shift_ff += factor * taken;
        if becomes {
            self.shift += 1;
            self.shared_shift += shared;
            self.shared_ff = self.shared_ff.saturating_sub(shared * (SHIFT_REGISTER_BITS - 1));
            self.factor_ff = self.factor_ff.saturating_sub(factor * (SHIFT_REGISTER_BITS - 1));
        }
    }

    /// The same without what several instances share, which its own registers still hold.
    pub fn unshared(self) -> Self {
        Cost { shared_ff: 0, shared_shift: 0, shared_shift_ff: 0, shared_edge: 0, dsp_shared_ff: 0, ..self }
    }

    /// The same where each instance sees an operand of its own.
    pub fn apart(self) -> Self {
        Cost { edge: self.edge + self.shared_edge, ..self.unshared() }
    }

    /// The figure that the search minimises: LUTs, a shift register as half of one and a register as an eighth.
    pub fn weight(self) -> u32 {
        self.lut * 8 + self.shift * 4 + self.ff
    }
}

/// LUTs of four inputs for a function; a lone input needs none.
fn small_luts(inputs: u32) -> u32 {
    match inputs {
        0..=1 => 0,
        2..=4 => 1,
        5 => 2,
        _ => 4,
    }
}

/// How a bit follows from an input: registers in a row with nothing between them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delay {
    pub registers: u32,
    pub source: Source,
}

/// Where a delayed bit comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// From logic inside.
    #[default]
    Inside,
    /// From an input port, in front of which stands one register.
    Input,
    /// From an input port in front of which stand two registers in a row that nothing else reads.
    Early,
    /// From the input port that several instances see alike.
    Shared,
    /// From an input port, in front of which stands one register, of an operand that may be a constant.
    Factor,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bit of an input after one, two, three and four registers in a row.
    #[test]
    fn three_registers_in_a_row_are_one_shift_register() {
        let after = |registers: u32, source: Source| {
            let mut cost = Cost { ff: registers, ..Cost::default() };
            (1..=registers).for_each(|registers| cost.count_delay(Delay { registers, source }));
            [cost.ff, cost.shift, cost.shift_ff, cost.shared_ff, cost.shared_shift, cost.edge, cost.shared_edge]
        };
        assert_eq!(
            [1, 2, 3, 4].map(|registers| after(registers, Source::Input)),
            [[1, 0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 1, 0], [0, 1, 3, 0, 0, 0, 0], [0, 1, 4, 0, 0, 0, 0]]
        );
        assert_eq!(
            [1, 2, 3, 4].map(|registers| after(registers, Source::Shared)),
            [[1, 0, 0, 1, 0, 0, 0], [2, 0, 0, 2, 0, 0, 1], [0, 1, 3, 0, 1, 0, 0], [0, 1, 4, 0, 1, 0, 0]]
        );
        assert_eq!(after(2, Source::Inside), [2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(after(4, Source::Factor), after(4, Source::Input));
        assert_eq!([1, 2, 3].map(|registers| after(registers, Source::Early)[5]), [1, 1, 0]);
    }

    /// What delays an operand that may be a constant is counted apart, among the others.
    #[test]
    fn registers_of_a_factor_are_known() {
        let after = |registers: u32, source: Source| {
            let mut cost = Cost { ff: registers, ..Cost::default() };
            (1..=registers).for_each(|registers| cost.count_delay(Delay { registers, source }));
            [cost.factor_ff, cost.factor_shift_ff]
        };
        let found = [1, 2, 3, 4].map(|registers| after(registers, Source::Factor));
        assert_eq!(found, [[1, 0], [2, 0], [0, 3], [0, 4]]);
        assert_eq!(after(4, Source::Input), [0; 2]);
    }
}
