//! Memory images: words as hexadecimal text for `$readmemh`, lanes packed from the lowest bits.

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
            set_bits(&mut nibbles, at, i128::from(value), bits);
            at += bits as usize;
        }
        self.push_nibbles(&nibbles);
    }

    fn push_nibbles(&mut self, nibbles: &[u8]) {
        self.text.extend(nibbles.iter().rev().map(|&nibble| char::from_digit(u32::from(nibble), 16).unwrap_or('0')));
        self.text.push('\n');
    }

    fn push_fields(&mut self, low: i64, codes: impl Iterator<Item = i128>) {
        let word_bits = self.low_bits as usize + self.lanes * self.lane_bits as usize;
        let mut nibbles = vec![0u8; word_bits.div_ceil(4).max(1)];
        set_bits(&mut nibbles, 0, i128::from(low), self.low_bits);
        let mut at = self.low_bits as usize;
        for code in codes.take(self.lanes) {
            set_bits(&mut nibbles, at, code, self.lane_bits);
            at += self.lane_bits as usize;
        }
        self.push_nibbles(&nibbles);
    }

    /// The file's text.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// The image of so many bits of every word, from bit `low` on, of an image.
pub(crate) fn column(text: &str, low: u64, bits: u64) -> String {
    let mut columns = String::new();
    for line in text.lines() {
        match line.strip_prefix("//") {
            Some(title) => columns.push_str(&format!("//{title}; of it bits {low} to {}", low + bits - 1)),
            None => columns.push_str(&column_of_word(line, low, bits)),
        }
        columns.push('\n');
    }
    columns
}

/// The digits of so many bits of a word.
fn column_of_word(word: &str, low: u64, bits: u64) -> String {
    let bit = |at: u64| {
        let place = usize::try_from(at / 4).ok().and_then(|digit| word.len().checked_sub(digit + 1));
        let digit = place.and_then(|place| word.as_bytes().get(place));
        let value = digit.and_then(|&digit| char::from(digit).to_digit(16)).unwrap_or(0);
        at < low + bits && value >> (at % 4) & 1 == 1
    };
    let digits = (0..bits.div_ceil(4)).rev().map(|digit| {
        let value = (0..4).map(|place| u32::from(bit(low + 4 * digit + place)) << place).sum();
        char::from_digit(value, 16).unwrap_or('0')
    });
    digits.collect()
}

/// Sets the low `bits` of a value from bit `at` on; bits beyond the last nibble are left out.
fn set_bits(nibbles: &mut [u8], mut at: usize, mut value: i128, bits: u32) {
    let mut left = bits;
    while left > 0 {
        let below = (at % 4) as u32;
        let count = left.min(4 - below);
        if let Some(nibble) = nibbles.get_mut(at / 4) {
            *nibble |= ((value & ((1 << count) - 1)) as u8) << below;
        }
        value >>= count;
        at += count as usize;
        left -= count;
    }
}

/// What a table of constants in look-up tables holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableContents {
    /// Bits of a word that differ from each other and change from word to word.
    pub live: u64,
    /// Bits of a word that never change.
    pub constant: u64,
    /// Different pieces of 16, 64 and 256 neighbouring words of those bits, that change; a piece and its complement are one.
    pub pieces: [u64; 3],
}

/// Words of the smallest piece of a table.
const PIECE_WORDS: usize = 16;

impl TableContents {
    /// Numbers in a list of it.
    pub(crate) const NUMBERS: usize = 5;

    /// As a list.
    pub(crate) fn numbers(&self) -> [i64; Self::NUMBERS] {
        let [first, second, third] = self.pieces;
        [self.live, self.constant, first, second, third].map(u64::cast_signed)
    }

    /// Of such a list.
    pub(crate) fn of_numbers(numbers: &[i64]) -> Option<Self> {
        let numbers: [i64; Self::NUMBERS] = numbers.try_into().ok()?;
        let [live, constant, first, second, third] = numbers.map(i64::cast_unsigned);
        Some(TableContents { live, constant, pieces: [first, second, third] })
    }

    /// Of columns of so many words, each a bit of every word, the first lowest.
    fn of(words: usize, columns: impl Iterator<Item = Column>) -> Self {
        let whole = ones(words);
        let (mut live, constant): (Vec<_>, Vec<_>) =
            columns.partition(|column| column.iter().any(|&part| part != 0) && *column != whole);
        live.sort_unstable();
        live.dedup();
        let pieces = [1, 4, 16].map(|times| {
            let mut pieces: Vec<Piece> =
                live.iter().flat_map(|column| pieces(column, words, PIECE_WORDS * times)).collect();
            pieces.sort_unstable();
            pieces.dedup();
            pieces.len() as u64
        });
        TableContents { live: live.len() as u64, constant: constant.len() as u64, pieces }
    }

    /// Of the words of an image.
    pub(crate) fn of_image(text: &str) -> Self {
        let words: Vec<&[u8]> = text.lines().filter(|line| !line.starts_with("//")).map(str::as_bytes).collect();
        let digits = words.first().map_or(0, |word| word.len());
        let columns = (0..digits).flat_map(|digit| {
            let mut columns: [Column; 4] = std::array::from_fn(|_| vec![0; words.len().div_ceil(PART_WORDS)]);
            for (at, word) in words.iter().enumerate() {
                let value = word.get(digit).and_then(|&byte| char::from(byte).to_digit(16)).unwrap_or(0);
                for (bit, column) in columns.iter_mut().enumerate() {
                    column[at / PART_WORDS] |= u64::from(value >> bit & 1) << (at % PART_WORDS);
                }
            }
            columns
        });
        TableContents::of(words.len(), columns)
    }
}

/// A bit of every word of a table, 64 words in a part.
type Column = Vec<u64>;

/// Words in a part of a column.
const PART_WORDS: usize = 64;

/// Number of words of a piece, and its bits, complemented where the first is one.
type Piece = (usize, [u64; 4]);

/// A column of so many ones.
fn ones(words: usize) -> Column {
    (0..words.div_ceil(PART_WORDS)).map(|part| low_ones(words - part * PART_WORDS)).collect()
}

/// A part whose lowest words are ones, at most all.
fn low_ones(words: usize) -> u64 {
    if words >= PART_WORDS { u64::MAX } else { (1 << words) - 1 }
}

/// The pieces of so many words of a column that change, at most 256; the last may be shorter.
fn pieces(column: &Column, words: usize, piece_words: usize) -> impl Iterator<Item = Piece> + '_ {
    (0..words).step_by(piece_words).filter_map(move |from| {
        let length = piece_words.min(words - from);
        let part = |index: usize| {
            let left = length.saturating_sub(index * PART_WORDS);
            let at = from + index * PART_WORDS;
            // Pieces of less than a part lie within one, since they divide it.
            column.get(at / PART_WORDS).map_or(0, |part| part >> (at % PART_WORDS)) & low_ones(left)
        };
        let mut bits: [u64; 4] = std::array::from_fn(part);
        if bits[0] & 1 == 1 {
            for (index, part) in bits.iter_mut().enumerate() {
                *part ^= low_ones(length.saturating_sub(index * PART_WORDS));
            }
        }
        bits.iter().any(|&part| part != 0).then_some((length, bits))
    })
}

/// Words of the tables of a threshold unit's first stages whose columns are looked at.
const TABLE_WORDS: usize = 64;

/// Words of an image of at most 64 bits each.
pub(crate) fn image_words(text: &str) -> Vec<u64> {
    let words = text.lines().filter(|line| !line.starts_with("//"));
    words.map(|line| u64::from_str_radix(line, 16).unwrap_or(0)).collect()
}

/// For each stage of a threshold unit whose table has at most 64 words what it holds. The image has `groups` times
/// 2^`code_bits` words, of so many `bits`.
pub(crate) fn threshold_contents(words: &[u64], bits: u32, code_bits: u32, groups: usize) -> Vec<TableContents> {
    let stages = (0..code_bits).take_while(|stage| groups << stage <= TABLE_WORDS);
    let stage = |stage: u32| {
        let found = 1usize << (code_bits - 1 - stage);
        let read = |group: usize| (0..1usize << stage).map(move |code| (group << code_bits) | ((2 * code + 1) * found));
        let read: Vec<u64> = (0..groups).flat_map(read).map(|at| words.get(at).copied().unwrap_or(0)).collect();
        let column = |bit: u32| {
            let part = |words: &[u64]| (0..).zip(words).fold(0, |part, (at, word)| part | (word >> bit & 1) << at);
            read.chunks(PART_WORDS).map(part).collect()
        };
        TableContents::of(read.len(), (0..bits).map(column))
    };
    stages.map(stage).collect()
}

#[cfg(test)]
mod tests {
    use super::{Image, TableContents, column, image_words, threshold_contents};

    #[test]
    fn columns_hold_their_bits_of_every_word() {
        let text = "// t\n2c9\n1f6\n";
        assert_eq!(column(text, 3, 2), "// t; of it bits 3 to 4\n1\n2\n");
        assert_eq!(column(text, 4, 5), "// t; of it bits 4 to 8\n0c\n1f\n");
        assert_eq!(column(text, 8, 4), "// t; of it bits 8 to 11\n2\n1\n");
    }

    #[test]
    fn thresholds_are_seen_as_their_stages_read_them() {
        // Two groups of four words. Stage 0 reads words 2 and 6, stage 1 words 1, 3, 5 and 7.
        let text = "// t\n0\n1\n3\n9\n0\n1\n2\n8\n";
        let seen = |text: &str, code_bits, groups| -> Vec<[u64; 2]> {
            threshold_contents(&image_words(text), 4, code_bits, groups)
                .iter()
                .map(|table| [table.live, table.constant])
                .collect()
        };
        assert_eq!(seen(text, 2, 2), [[1, 3], [2, 2]]);
        // One group: stage 0 has a constant, so all four bits never change.
        assert_eq!(seen("// t\n0\n1\n3\n9\n", 2, 1), [[0, 4], [1, 3]]);
        assert_eq!(seen("// t\n", 1, 128), Vec::<[u64; 2]>::new());
    }

    #[test]
    fn pieces_that_repeat_are_counted_once() {
        // 64 words: bit 0 alternates; bit 1 alternates in the first 16 words alone; bit 2 is set in the first 32; bit 3 never.
        let word = |at: usize| match at {
            0..16 => 4 + 3 * (at % 2),
            16..32 => 4 + at % 2,
            _ => at % 2,
        };
        let text: String = (0..64).map(|at| format!("{:x}\n", word(at))).collect();
        let contents = TableContents::of_image(&text);
        assert_eq!((contents.live, contents.constant), (3, 1));
        assert_eq!(contents.pieces, [1, 3, 3]);
        // With the complement of bit 0 in place of bit 3: another bit that changes, but no other piece.
        let text: String = (0..64).map(|at| format!("{:x}\n", word(at) | (8 * (1 - word(at) % 2)))).collect();
        let complemented = TableContents::of_image(&text);
        assert_eq!((complemented.live, complemented.constant), (4, 0));
        assert_eq!(complemented.pieces, contents.pieces);
    }

    #[test]
    fn columns_that_change_are_counted_once() {
        // From the lowest bit: 0 1 0, twice; 1 1 1; 1 0 0; 0 0 0.
        assert_eq!(TableContents::of_image("// t\n0c\n07\n04\n").live, 2);
        assert_eq!(TableContents::of_image("// t\n").live, 0);
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
