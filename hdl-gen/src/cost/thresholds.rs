//! Threshold units: a comparison for each bit of the code, against a table of the thresholds that are left.

use super::terms::log2;
use super::threshold_registers::{DIRECT_ADDRESS_BITS, has_front};
use super::{Counts, Family, TableContents, Term, ThresholdRegisters};

impl Counts {
    /// A unit of sums, thresholds and codes of so many bits over so many groups of channels. `tables` has what
    /// each small table holds, where its words are known.
    pub(super) fn threshold(&mut self, [bits, code_bits, groups]: [u64; 3], tables: &[TableContents], n: f64) {
        let group_bits = log2(groups);
        self.add(Term::Threshold, n);
        for stage in 0..code_bits {
            let words = groups << stage;
            let early = group_bits + stage > DIRECT_ADDRESS_BITS;
            let known = tables.get(stage as usize);
            let live = known.map_or(bits, |table| table.live);
            self.add(Term::ThresholdCompare, n * bits as f64);
            if words == 1 {
                self.add(Term::ThresholdConstant, n * bits as f64);
            } else if !early {
                self.add(Term::ThresholdConstant, n * known.map_or(0, |table| table.constant.min(bits)) as f64);
                if words <= 4 {
                    self.add(Term::ThresholdTable, n * live as f64);
                } else {
                    let pieces = known.map_or(bits * words.div_ceil(16), |table| table.pieces[0]);
                    self.add(Term::Threshold16, n * pieces as f64);
                    self.add(Term::Threshold64, if words > 16 { n * live as f64 } else { 0.0 });
                }
            } else {
                let choices = if stage == 0 { 1 } else { 2 };
                self.add(Term::ThresholdWide, n * (bits * words) as f64 / 64.0);
                self.add(Term::ThresholdChoice, n * (bits * (choices - 1)) as f64);
                self.exact.ff += n * (bits * choices) as f64;
            }
            self.exact.memory_bits += n * (bits * words) as f64;
        }
    }

    /// Its registers beside those of tables that are read early.
    pub(super) fn threshold_registers(
        &mut self,
        [sum_bits, code_bits, groups]: [u64; 3],
        falling: bool,
        known: Option<ThresholdRegisters>,
        n: f64,
        family: Family,
    ) {
        let front = u64::from(has_front(falling, groups));
        let all = code_bits * (code_bits + 1) / 2 + (code_bits - 1 + front) * sum_bits;
        self.exact.ff += n * known.map_or(all, |known| known.of_family(family)) as f64;
    }
}
