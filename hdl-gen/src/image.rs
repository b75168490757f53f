//! Memory images: words as hexadecimal text for `$readmemh`, lanes packed from the lowest bits.

use std::fmt::Write as _;

/// An image under construction.
pub(crate) struct Image {
    text: String,
    low_bits: u32,
    lane_bits: u32,
    lanes: usize,
}

impl Image {
    /// An image of words with `lanes` elements of `lane_bits`; `title` becomes the comment in its first line.
    pub fn new(title: &str, lanes: usize, lane_bits: u32) -> Self {
        Self::with_low_bits(title, 0, lanes, lane_bits)
    }

    /// The same with a field of `low_bits` below the lanes.
    pub fn with_low_bits(title: &str, low_bits: u32, lanes: usize, lane_bits: u32) -> Self {
        Image { text: format!("// {title}\n"), low_bits, lane_bits, lanes }
    }

    /// Adds a word; codes are taken modulo 2^lane_bits, missing lanes are zero.
    pub fn push(&mut self, codes: impl IntoIterator<Item = i64>) {
        self.push_with_low_bits(0, codes);
    }

    /// Adds a word with its low field.
    pub fn push_with_low_bits(&mut self, low: i64, codes: impl IntoIterator<Item = i64>) {
        self.push_fields(low, codes.into_iter().map(i128::from));
    }

    /// Adds a word whose lanes have up to 127 bits.
    pub fn push_wide(&mut self, codes: impl IntoIterator<Item = i128>) {
        self.push_fields(0, codes.into_iter());
    }

    /// Adds a word of fields of any widths, the first lowest, which together have at most a word's bits.
    pub fn push_parts(&mut self, parts: impl Iterator<Item = (i64, u32)>) {
        let word_bits = self.low_bits as usize + self.lanes * self.lane_bits as usize;
        let mut nibbles = vec![0u8; word_bits.div_ceil(4).max(1)];
        let mut at = 0;
        for (value, bits) in parts {
            for bit in 0..bits {
                if let Some(nibble) = nibbles.get_mut(at / 4).filter(|_| value >> bit.min(63) & 1 == 1) {
                    *nibble |= 1 << (at % 4);
                }
                at += 1;
            }
        }
        self.push_nibbles(&nibbles);
    }

    fn push_nibbles(&mut self, nibbles: &[u8]) {
        for nibble in nibbles.iter().rev() {
            let _ = write!(self.text, "{nibble:x}");
        }
        self.text.push('\n');
    }

    fn push_fields(&mut self, low: i64, codes: impl Iterator<Item = i128>) {
        let word_bits = self.low_bits as usize + self.lanes * self.lane_bits as usize;
        let mut nibbles = vec![0u8; word_bits.div_ceil(4).max(1)];
        let mut at = 0;
        let mut set = |value: i128, bits: u32| {
            for bit in 0..bits {
                if value >> bit.min(127) & 1 == 1 {
                    nibbles[at / 4] |= 1 << (at % 4);
                }
                at += 1;
            }
        };
        set(i128::from(low), self.low_bits);
        for code in codes.take(self.lanes) {
            set(code, self.lane_bits);
        }
        self.push_nibbles(&nibbles);
    }

    /// The file's text.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// Bits of the words of an image that differ from each other and change from word to word: what a memory of constants in
/// look-up tables is made for.
pub(crate) fn live_columns(text: &str) -> u64 {
    let words: Vec<&[u8]> = text.lines().filter(|line| !line.starts_with("//")).map(str::as_bytes).collect();
    let digits = words.first().map_or(0, |word| word.len());
    let mut columns = std::collections::BTreeSet::new();
    for digit in 0..digits {
        for bit in 0..4 {
            let value = |word: &&[u8]| {
                let digit = word.get(digit).copied().and_then(|byte| char::from(byte).to_digit(16)).unwrap_or(0);
                digit >> bit & 1 == 1
            };
            let column: Vec<bool> = words.iter().map(value).collect();
            if column.contains(&true) && column.contains(&false) {
                columns.insert(column);
            }
        }
    }
    columns.len() as u64
}

#[cfg(test)]
mod tests {
    use super::{Image, live_columns};

    #[test]
    fn columns_that_change_are_counted_once() {
        // From the lowest bit: 0 1 0, twice; 1 1 1; 1 0 0; 0 0 0.
        assert_eq!(live_columns("// t\n0c\n07\n04\n"), 2);
        assert_eq!(live_columns("// t\n"), 0);
    }

    #[test]
    fn lanes_stand_from_the_lowest_bits() {
        let mut image = Image::new("t", 3, 3);
        image.push([1, -1, 2]);
        image.push([7]);
        assert_eq!(image.into_text(), "// t\n0b9\n007\n");
    }

    #[test]
    fn a_low_field_stands_below_the_lanes() {
        let mut image = Image::with_low_bits("t", 1, 2, 3);
        image.push_with_low_bits(1, [2, -3]);
        assert_eq!(image.into_text(), "// t\n55\n");
    }

    #[test]
    fn wide_lanes_keep_their_sign() {
        let mut image = Image::new("t", 1, 66);
        image.push([-2]);
        assert_eq!(image.into_text(), "// t\n3fffffffffffffffe\n");
    }
}
