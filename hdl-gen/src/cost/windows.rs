//! Sliding windows: buffers of rows with the counters and addresses that read windows from them.

use super::block::WindowBlock;
use super::terms::log2;
use super::{Counts, Family, Term};
use std::collections::BTreeSet;

impl Counts {
    pub(super) fn window(&mut self, window: &WindowBlock, n: f64, family: Family) {
        let WindowBlock { bits, channel_words, places, padded, kernel, out, words, block, .. } = *window;
        let Steps { row_words, tap, jumps } = Steps::of(window);
        let span = (kernel[0] - 1) * tap[0] + (kernel[1] - 1) * tap[1] + channel_words;
        let forward: u64 = jumps.iter().map(|&jump| jump.max(0) as u64).sum();
        let fill = log2(words + span + forward) + 1;
        let address = log2(words);
        [words, channel_words, kernel[0], kernel[1], out[0], out[1]]
            .into_iter()
            .for_each(|limit| self.counter(limit, n));
        let waits = span <= window.before[0] * row_words + window.before[1] * channel_words;
        if waits || padded[0] || padded[1] {
            self.counter(channel_words, n);
            self.counter(places[1], n);
        }
        if waits || padded[0] {
            self.counter(places[0], n);
        }
        self.add(Term::Window, n);
        self.add(Term::WindowFill, n * fill as f64);
        self.add(Term::WindowAddress, n * address as f64);
        let padded_axes = padded.iter().filter(|padded| **padded).count() as u64;
        self.add(Term::WindowPadded, n * padded_axes as f64);
        if padded_axes > 0 {
            self.add(Term::WindowPad, n * bits as f64);
        }
        let (columns, ends) = increments(window);
        self.add(Term::WindowColumns, n * columns as f64);
        if !words.is_power_of_two() {
            self.add(Term::WindowWrap, n * address as f64);
        }
        let marks = u64::from(self.lives);
        self.exact.ff += n * (2 * fill + 2 + marks + ends + address + columns + padded_axes) as f64;
        self.ram(bits, words, block, n, family);
        self.credit_fifo(bits, 4, n, family);
    }

    pub(super) fn line_window(&mut self, window: &WindowBlock, n: f64, family: Family) {
        let WindowBlock { bits, places, padded, kernel, dilation, stride, out, block, .. } = *window;
        let lines = (kernel[0] - 1) * dilation[0];
        let depth = (kernel[1] - 1) * dilation[1];
        let padded_axes = padded.iter().filter(|padded| **padded).count() as u64;
        [places[0], places[1]].into_iter().for_each(|limit| self.counter(limit, n));
        self.mark_counter(out[0] * out[1], n);
        self.add(Term::LineWindow, n);
        self.add(Term::WindowPadded, n * padded_axes as f64);
        self.add(Term::WindowPad, if padded_axes > 0 { n * bits as f64 } else { 0.0 });
        let axis = |first: u64, step: u64| log2(first.max(step)).max(1) + 1;
        let columns = kernel[0] * bits;
        // Columns between the taps of a dilated kernel are registers too; of each, those that no tap reads are not there.
        self.exact.ff += n * (axis(depth, stride[1]) + axis(lines, stride[0]) + padded_axes + 3 + bits) as f64;
        self.exact.ff += n * (columns * (depth + 1)) as f64;
        if lines > 0 && places[1] > 1 {
            self.counter(places[1], n);
            self.exact.ff += n * log2(places[1]) as f64;
            self.ram(lines * bits, places[1], block, n, family);
        } else {
            self.exact.ff += n * (lines * bits) as f64;
        }
        self.credit_fifo(columns * kernel[1], 4, n, family);
    }
}

/// Words from one place to the next.
struct Steps {
    /// From row to row.
    row_words: u64,
    /// From tap to tap of the kernel, along rows and columns.
    tap: [u64; 2],
    /// From the first word of a window to that of the next one in its row, in the next row, in the next frame; the last of a
    /// row or a frame may lie behind it.
    jumps: [i64; 3],
}

impl Steps {
    fn of(window: &WindowBlock) -> Self {
        let WindowBlock { channel_words, places, dilation, stride, out, .. } = *window;
        let row_words = places[1] * channel_words;
        let column = stride[1] * channel_words;
        let (along_row, along_column) = ((out[1] - 1) * column, (out[0] - 1) * stride[0] * row_words);
        let jumps = [
            column as i64,
            (stride[0] * row_words) as i64 - along_row as i64,
            (places[0] * row_words) as i64 - (along_column + along_row) as i64,
        ];
        Steps { row_words, tap: [dilation[0] * row_words, dilation[1] * channel_words], jumps }
    }
}

/// Bits of the read address's increments that are registers, and registers that say which loops end.
///
/// The increment is one constant for each loop that moves on; its bits, and those of the increment less the buffer's words
/// where addresses wrap, are registers where they change, and those that change alike are one.
fn increments(window: &WindowBlock) -> (u64, u64) {
    let WindowBlock { channel_words, kernel, out, words, .. } = *window;
    let Steps { tap, jumps: [column_jump, row_jump, frame_jump], .. } = Steps::of(window);
    // Places and steps of the loops inside a window, innermost first.
    let loops: [(u64, u64); 3] = match window.outer {
        true => [(kernel[1], tap[1]), (kernel[0], tap[0]), (channel_words, 1)],
        false => [(channel_words, 1), (kernel[1], tap[1]), (kernel[0], tap[0])],
    };
    let mut back = 0;
    let mut steps: Vec<(bool, i64)> = Vec::new();
    for (count, step) in loops {
        steps.push((count > 1, step as i64 - back));
        back += ((count.max(1) - 1) * step) as i64;
    }
    steps.push((out[1] > 1, column_jump - back));
    steps.push((out[0] > 1, row_jump - back));
    steps.push((true, frame_jump - back));
    let size = words as i64;
    let added: Vec<i64> =
        steps.iter().filter(|(moves, _)| *moves).map(|(_, distance)| distance.rem_euclid(size)).collect();
    let address = log2(words);
    let mut columns: BTreeSet<Vec<bool>> = BTreeSet::new();
    let mut note = |values: &[i64], bits: u64| {
        for bit in 0..bits {
            let column: Vec<bool> = values.iter().map(|value| value >> bit & 1 == 1).collect();
            if column.contains(&true) && column.contains(&false) {
                columns.insert(column);
            }
        }
    };
    note(&added, address);
    if !words.is_power_of_two() {
        let wrapped: Vec<i64> = added.iter().map(|value| value - size).collect();
        note(&wrapped, address + 1);
    }
    let moves = |limit: u64| u64::from(limit > 1);
    let inner = moves(loops[0].0.max(loops[1].0));
    (columns.len() as u64, inner + moves(loops[2].0) + moves(out[1]) + moves(out[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 4 x 4 places of one word, a kernel of 2 x 2 with stride 1, 6 words of buffer. Steps: 1 within a row of the
    /// window, 3 to its second row; from the last tap back 4 to the next window, 3 to the next row, 0 to the next frame.
    #[test]
    fn increments_that_change_alike_are_one_register() {
        let window = WindowBlock {
            bits: 4,
            channel_words: 1,
            places: [4, 4],
            padded: [false; 2],
            before: [0; 2],
            kernel: [2, 2],
            stride: [1, 1],
            dilation: [1, 1],
            out: [3, 3],
            outer: false,
            words: 6,
            block: false,
        };
        // Added: 1 3 2 3 0 (modulo 6: 1, 3, -4 = 2, -3 = 3, 0), less 6: -5 -3 -4 -3 -6, which are 1011 1101 1100 1101 1010.
        // Bits of the first: 11010 01110 00000; of the second: 11010 (again) 10001 01110 (again), and ones.
        assert_eq!(increments(&window), (3, 4));
        assert_eq!(increments(&WindowBlock { words: 8, ..window }).1, 4);
    }
}
