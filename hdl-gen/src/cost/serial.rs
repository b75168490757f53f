//! Bit-serial arrays: loops and addresses, the planes of activations, sums of planes, and what carries modes.

use super::block::SerialBlock;
use super::terms::log2;
use super::{Block, Counts, Family, Term, memory};

/// Bits of a part of a sum that has several.
const PART_BITS: u64 = 15;

/// Parts that a sum of so many bits is made in, each a cycle behind the one below.
pub(super) fn sum_parts(bits: u64) -> u64 {
    if bits > 16 { bits.div_ceil(PART_BITS) } else { 1 }
}

impl Counts {
    /// A block of a bit-serial array; nothing for any other.
    pub(super) fn serial(&mut self, block: &Block, n: f64, family: Family) {
        let real = |number: u64| number as f64;
        match *block {
            Block::SerialControl(block) => self.serial_control(&block, n, family),
            Block::SerialSchedule { bits, depth, contents } => self.rom([bits, depth, 1], false, contents, n, family),
            Block::PlaneSelect { lanes, lane_bits, cycles } => {
                // A look-up table chooses one of so many, dedicated multiplexers among look-up tables.
                let chosen = if memory::has_six_inputs(family) { 4 } else { 2 };
                let luts = if lane_bits > 1 { lane_bits.div_ceil(chosen) } else { 0 };
                self.add(Term::PlaneSelect, n * real(lanes * luts));
                self.delay(lanes, cycles, false, n, family);
                // Codes of one bit are not chosen from, and their register before this one begins the shift register.
                let begins = lane_bits == 1 && memory::has_shift_registers(family);
                self.exact.ff -= if begins { n * real(lanes) } else { 0.0 };
            }
            Block::ShiftAccumulate { count_bits, bits, most_shift, negates } => {
                let parts = sum_parts(bits);
                self.add(Term::ShiftAdd, n * real(bits));
                self.add(Term::ShiftAddChoice, n * real(bits * most_shift.saturating_sub(1)));
                self.add(Term::ShiftAddNegate, if negates { n * real(count_bits) } else { 0.0 });
                self.exact.ff += n * real(count_bits + bits + (parts - 1) * (1 + most_shift) + late_bits(bits));
            }
            Block::ShiftControl { parts, shift_bits, negates } => {
                let later = (parts - 1) * (2 + shift_bits + u64::from(negates));
                // The first register of what needs no reset ends a shift register where there are any.
                let ends = if memory::has_shift_registers(family) { 0 } else { 1 + shift_bits };
                self.exact.ff += n * real(1 + u64::from(negates) + ends + later);
            }
            Block::BorderAdd { sum_bits, low_bits, constant_bits } => {
                let parts = sum_parts(sum_bits);
                let high_bits = (constant_bits - low_bits).min(sum_bits);
                self.add(Term::BorderAdd, n * real(sum_bits));
                // Operands of a part wait as long as the parts below it take; signs above the constant are one bit.
                let sign = u64::from(high_bits < sum_bits);
                let waiting = |bits: u64, least: u64| -> u64 {
                    (1..parts).map(|part| bits.saturating_sub(PART_BITS * part).max(least)).sum()
                };
                self.exact.ff += n * real(waiting(sum_bits, 0) + waiting(high_bits, sign) + parts - 1);
                // A part of the result waits for those above it.
                for part in 0..parts {
                    let bits = if part + 1 < parts { PART_BITS } else { sum_bits - PART_BITS * part };
                    self.delay(bits, parts - part, false, n, family);
                }
                self.delay(low_bits, parts, false, n, family);
            }
            Block::ModeGate { bits, mode_bits, tokens, frames } => {
                self.add(Term::ModeGate, n);
                self.exact.ff += n;
                self.fifo(bits, 2, n, family);
                self.fifo(mode_bits, frames, n * real(tokens), family);
            }
            Block::ModeRegister { modes } => {
                self.add(Term::ModeRegister, n);
                self.add(Term::ModeRegisterBits, n * real(log2(modes)));
                self.exact.ff += n * real(log2(modes) + 4 + log2(modes + 1));
            }
            _ => {}
        }
    }

    fn serial_control(&mut self, block: &SerialBlock, n: f64, family: Family) {
        let SerialBlock { bits, inputs, outputs, sets, vectors, modes, passes, stride, block, stepped } = *block;
        let real = |number: u64| number as f64;
        let some = |moves: bool, bits: u64| if moves { bits } else { 0 };
        let results = outputs * sets;
        let (input_bits, mode_bits, pass_bits) = (log2(inputs), log2(modes), log2(passes));
        [inputs, outputs].into_iter().for_each(|limit| self.counter(limit, n));
        // The end of a frame asks for the next frame's mode.
        if modes > 1 {
            self.counter(vectors, n);
        } else {
            self.mark_counter(vectors, n);
        }
        if sets > 1 {
            self.counter(results, n);
        }
        let address_bits = log2(results * stride);
        // Of the bits below the least step of an address, which never change, Yosys leaves one.
        let fixed_bits = u64::from(stride.trailing_zeros()).saturating_sub(1);
        let (base_bits, offset_bits) = (some(results > 1, address_bits.saturating_sub(fixed_bits)), log2(stride));
        let shift_registers = memory::has_shift_registers(family);
        self.add(Term::Serial, n);
        self.add(Term::SerialPass, n * real(pass_bits * (1 + mode_bits)));
        self.add(Term::SerialAddress, n * real(2 * base_bits + offset_bits));
        // Step, result's last, frame's last; whether a pass begins, and that again where shifts wait for it.
        self.exact.ff += n * real(3 + some(inputs > 1, 1 + some(passes > 1, 2)));
        // What only waits begins a shift register where there are any: a vector's first step, and the channel group.
        let waits = some(inputs > 1 || passes > 1, 1) + some(stepped, log2(results));
        self.exact.ff += n * real(some(!shift_registers, waits));
        self.exact.ff += n * real(some(passes > 1, 2 * pass_bits + 2) + mode_bits);
        self.exact.ff += n * real(base_bits + address_bits + bits);
        self.delay(base_bits, 3, false, n, family);
        match passes * modes {
            // The first word of the only plane is word 0, so the step itself is the offset.
            1 => self.delay(input_bits, 3, false, n, family),
            _ => self.exact.ff += n * real(2 * input_bits + offset_bits),
        }
        if outputs > 1 || passes > 1 {
            self.exact.ff += n;
            self.replay(bits, inputs, block, n, family);
        }
    }
}

/// Bits of the lower parts of a sum that wait for those above.
fn late_bits(bits: u64) -> u64 {
    let parts = sum_parts(bits);
    (0..parts.saturating_sub(1)).map(|part| PART_BITS * (parts - 1 - part)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Inventory;

    /// Registers and look-up tables that serve as memory.
    #[track_caller]
    fn check(blocks: &[Block], family: Family, ff: f64, lut_memory: f64) {
        let mut inventory = Inventory::default();
        blocks.iter().for_each(|block| inventory.add(block.clone(), 1));
        let exact = Counts::alone(&inventory, family).exact;
        assert_eq!((exact.ff, exact.lut_memory), (ff, lut_memory), "{blocks:?}, {}", family.name());
    }

    /// As Yosys 0.23 maps the library modules with these parameters, each alone.
    #[test]
    fn registers_are_those_of_the_modules() {
        let sum = |count_bits, bits, most_shift, shift_bits, parts| {
            let negates = true;
            [
                Block::ShiftAccumulate { count_bits, bits, most_shift, negates },
                Block::ShiftControl { parts, shift_bits, negates },
            ]
        };
        check(&sum(5, 12, 1, 1, 1), Family::Ecp5, 21.0, 0.0);
        check(&sum(7, 40, 3, 2, 3), Family::Ecp5, 115.0, 0.0);
        let border = |sum_bits, low_bits, constant_bits| [Block::BorderAdd { sum_bits, low_bits, constant_bits }];
        check(&border(12, 0, 6), Family::Ecp5, 12.0, 0.0);
        check(&border(33, 2, 20), Family::Ecp5, 111.0, 0.0);
        check(&border(33, 2, 20), Family::Xc7, 60.0, 17.0);
        let plane = [Block::PlaneSelect { lanes: 7, lane_bits: 5, cycles: 3 }];
        check(&plane, Family::Ecp5, 21.0, 0.0);
        check(&plane, Family::Xc7, 0.0, 7.0);
        let gate = [Block::ModeGate { bits: 8, mode_bits: 3, tokens: 2, frames: 32 }];
        check(&gate, Family::Ecp5, 81.0, 16.0);
        check(&gate, Family::Xc7, 81.0, 8.0);
        let control = SerialBlock {
            bits: 8,
            inputs: 6,
            outputs: 4,
            sets: 1,
            vectors: 9,
            modes: 3,
            passes: 12,
            stride: 24,
            block: false,
            stepped: true,
        };
        // The module alone has 57; the schedule has 22 of addresses, an input step of 3 bits, and whether a pass begins.
        check(&[Block::SerialControl(control)], Family::Ecp5, 57.0 + 2.0 * 5.0 + 5.0 + 7.0 + 3.0 + 1.0, 8.0);
        check(&[Block::ModeRegister { modes: 8 }], Family::Xc7, 11.0, 0.0);
        check(&[Block::ModeRegister { modes: 5 }], Family::Ecp5, 10.0, 0.0);
    }
}
