//! Elements to words and back: how the integers of a stream lie in its bits.
//!
//! Element 0 is in the lowest bits; words are little-endian bytes, padded with zeros to whole bytes.

use network::manifest::{StreamPort, Word};

use crate::SimulatorError;

/// Bytes of one word on an edge.
pub fn word_bytes(word: &Word) -> usize {
    (u64::from(word.lanes) * u64::from(word.lane_bits)).div_ceil(8) as usize
}

/// Bytes of one frame at a port.
pub fn frame_bytes(port: &StreamPort) -> usize {
    (u64::from(port.tdata_bits) / 8).saturating_mul(port.words_per_frame) as usize
}

/// Packs the elements of one frame, in the order in which they travel, into the words of `port`.
///
/// # Errors
/// When the count is not `words_per_frame` times `lanes`, or an element does not fit `lane_bits`.
pub fn pack_frame(port: &StreamPort, elements: &[i64]) -> Result<Vec<u8>, SimulatorError> {
    let lanes = port.word.lanes as usize;
    let lane_bits = port.word.lane_bits;
    let expected = port.words_per_frame.saturating_mul(lanes as u64);
    if elements.len() as u64 != expected {
        return Err(SimulatorError::Request(format!("a frame has {expected} elements, not {}", elements.len())));
    }
    let (low, high) = element_range(&port.word);
    let step = port.tdata_bits as usize / 8;
    let mut bytes = vec![0; frame_bytes(port)];
    for (word, lane_elements) in bytes.chunks_exact_mut(step.max(1)).zip(elements.chunks_exact(lanes.max(1))) {
        for (lane, &element) in lane_elements.iter().enumerate() {
            if i128::from(element) < low || i128::from(element) > high {
                return Err(SimulatorError::Request(format!("element {element} is not in {low}..={high}")));
            }
            put_bits(word, lane * lane_bits as usize, lane_bits, element as u64);
        }
    }
    Ok(bytes)
}

/// Appends the elements of one word to `elements`; lanes wider than 64 bits are not supported by a manifest.
pub fn unpack_word(word: &Word, bytes: &[u8], elements: &mut Vec<i64>) {
    for lane in 0..word.lanes as usize {
        let raw = get_bits(bytes, lane * word.lane_bits as usize, word.lane_bits);
        let shift = 64 - word.lane_bits.clamp(1, 64);
        elements.push(if word.signed { ((raw << shift) as i64) >> shift } else { raw as i64 });
    }
}

fn element_range(word: &Word) -> (i128, i128) {
    let bits = word.lane_bits.clamp(1, 64);
    if word.signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

fn put_bits(bytes: &mut [u8], from_bit: usize, bits: u32, value: u64) {
    let mask = if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
    let window = u128::from(value & mask) << (from_bit % 8);
    let end = from_bit + bits as usize;
    for (position, byte) in bytes.iter_mut().enumerate().take(end.div_ceil(8)).skip(from_bit / 8).take(9) {
        *byte |= (window >> ((position - from_bit / 8) * 8)) as u8;
    }
}

fn get_bits(bytes: &[u8], from_bit: usize, bits: u32) -> u64 {
    let end = from_bit + bits as usize;
    let mut window = 0u128;
    for (position, byte) in bytes.iter().enumerate().take(end.div_ceil(8)).skip(from_bit / 8).take(9) {
        window |= u128::from(*byte) << ((position - from_bit / 8) * 8);
    }
    let mask = if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
    ((window >> (from_bit % 8)) as u64) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lanes: u32, lane_bits: u32, signed: bool, elements: &[i64], bytes: &[u8]) {
        let word = Word { lanes, lane_bits, signed };
        let step = bytes.len() as u32 * lanes / elements.len() as u32;
        let port = StreamPort { word, tdata_bits: step * 8, words_per_frame: elements.len() as u64 / u64::from(lanes) };
        assert_eq!(pack_frame(&port, elements).unwrap(), bytes);
        let mut back = Vec::new();
        for word_bytes in bytes.chunks(step as usize) {
            unpack_word(&word, word_bytes, &mut back);
        }
        assert_eq!(back, elements);
    }

    #[test]
    fn words_are_little_endian_with_element_0_lowest() {
        check(1, 8, false, &[1, 255], &[1, 255]);
        check(2, 4, true, &[-1, 1, 7, -8], &[0x1f, 0x87]);
        check(3, 3, false, &[7, 0, 5], &[0b0100_0111, 0b1]);
        check(1, 64, true, &[i64::MIN], &[0, 0, 0, 0, 0, 0, 0, 0x80]);
        check(3, 63, true, &[i64::MIN / 2, -1, 0], &{
            let mut bytes = [0xff; 24];
            bytes[..8].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0xc0]);
            bytes[15] = 0x3f;
            bytes[16..].fill(0);
            bytes
        });
        check(2, 33, true, &[-1, 1], &[0xff, 0xff, 0xff, 0xff, 0b11, 0, 0, 0, 0]);
    }

    #[test]
    fn elements_that_do_not_fit_are_refused() {
        let port =
            |signed| StreamPort { word: Word { lanes: 1, lane_bits: 4, signed }, tdata_bits: 8, words_per_frame: 1 };
        assert!(pack_frame(&port(true), &[8]).is_err());
        assert!(pack_frame(&port(false), &[-1]).is_err());
        assert!(pack_frame(&port(false), &[1, 2]).is_err());
    }
}
