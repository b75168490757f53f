//! The memories that a layer's weights lie in: one, or columns of it where it is deep.

use super::Store;
use crate::image;
use crate::lower::chain::{memory_style, number, string};
use crate::lower::wiring::instance;
use crate::verilog::{Expr, Item};
use network::graph::Memory;

/// Words of one bit that a block RAM of the smallest common size holds.
const BLOCK_WORDS: u64 = 1 << 14;

/// A memory of some bits of every word.
pub struct Rom {
    /// Behind `weights` in its name.
    suffix: String,
    /// The file of its words.
    path: String,
    low: u64,
    bits: u64,
    /// Whether it holds whole words.
    whole: bool,
}

impl Store {
    /// The memories of so many words, whose files are named after a layer.
    pub fn roms(&self, layer: &str, memory: Memory, words: u64) -> Vec<Rom> {
        let rom = |suffix: String, low: u64, bits: u64, whole: bool| {
            let path = format!("mem/{layer}_weights{suffix}.mem");
            Rom { suffix, path, low, bits, whole }
        };
        let all = self.word_bits;
        match column_bits(memory, words) {
            Some(bits) if bits < all => (0..all.div_ceil(bits))
                .map(|column| rom(format!("_{column}"), column * bits, bits.min(all - column * bits), false))
                .collect(),
            _ => vec![rom(String::new(), 0, all, true)],
        }
    }
}

impl Rom {
    /// Its instance.
    pub fn instance(&self, store: &Store, memory: Memory, words: u64) -> Item {
        let (low, high) = (self.low as u32, (self.low + self.bits) as u32 - 1);
        instance(
            "hwgen_rom",
            &format!("weights{}", self.suffix),
            vec![
                ("DATA_BITS", number(self.bits)),
                ("DEPTH", number(words)),
                ("IMAGE", string(&self.path)),
                ("STYLE", memory_style(memory)),
                ("CYCLES", number(store.memory_cycles)),
            ],
            false,
            vec![
                ("address_i", Expr::name("weight_address")),
                ("data_o", Expr::part(store.net, store.word_bits as u32, high, low)),
            ],
        )
    }

    /// Path and text of its image, from that of whole words.
    pub fn file(self, whole: &str) -> (String, String) {
        let text = if self.whole { whole.to_owned() } else { image::column(whole, self.low, self.bits) };
        (self.path, text)
    }
}

/// Bits of the columns that a deep memory in block RAM is cut into, each of which fills a block: synthesis would else store rows
/// side by side and choose among them behind the blocks, which are slow already. None where columns would waste more than a
/// quarter of their blocks.
fn column_bits(memory: Memory, words: u64) -> Option<u64> {
    let span = words.checked_next_power_of_two()?;
    let bits = BLOCK_WORDS / span;
    (memory == Memory::Block && (1..=4).contains(&bits) && 4 * words >= 3 * span).then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_memories_in_blocks_are_cut_into_columns() {
        let bits = |words| column_bits(Memory::Block, words);
        assert_eq!(
            [2048, 3071, 3072, 4096, 6272, 8192, 16384].map(bits),
            [None, None, Some(4), Some(4), Some(2), Some(2), Some(1)]
        );
        assert_eq!([4097, 16385, 1 << 20, u64::MAX].map(bits), [None; 4]);
        assert_eq!(column_bits(Memory::Lut, 6272), None);
    }
}
