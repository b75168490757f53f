//! The `.npy` format, versions 1 to 3: its header and its elements.
//!
//! The header is a Python dictionary with exactly the keys `descr`, `fortran_order` and `shape`
//! (NumPy enhancement proposal 1). It is parsed strictly; nothing is allocated that the header merely claims.

use std::io::Read;

/// Longest header that is read; NumPy writes some 120 bytes.
const MAX_HEADER_BYTES: usize = 1 << 16;
/// Most axes of an array.
const MAX_AXES: usize = 16;

/// What an array's header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Type of an element.
    pub element: Element,
    /// Length of each axis, the first one outermost.
    pub shape: Vec<u64>,
}

/// Type of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// How its bytes are read.
    pub kind: ElementKind,
    /// Its bytes: 1, 2, 4 or 8.
    pub bytes: usize,
    /// Whether the most significant byte comes first.
    pub big_endian: bool,
}

/// How the bytes of an element are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementKind {
    /// Unsigned integers, booleans among them.
    Unsigned,
    /// Two's complement.
    Signed,
    /// IEEE 754 of 16, 32 or 64 bits.
    Float,
}

/// Decoded elements of one frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Integers; unsigned ones beyond `i64` are cut off at its greatest.
    Integers(Vec<i64>),
    /// Floats, each exactly as stored.
    Floats(Vec<f64>),
}

/// Reads the magic bytes, the version and the header; leaves `reader` at the first element.
pub fn read_header(reader: &mut impl Read) -> Result<Header, String> {
    let mut fixed = [0u8; 8];
    reader.read_exact(&mut fixed).map_err(|error| format!("no array header ({error})"))?;
    let [magic @ .., major, _minor] = fixed;
    if magic != *b"\x93NUMPY" {
        return Err("not a NumPy array: it does not start with \\x93NUMPY".to_owned());
    }
    let length_bytes = match major {
        1 => 2,
        2 | 3 => 4,
        _ => return Err(format!("version {major} of the NumPy format is not known")),
    };
    let mut length = [0u8; 4];
    reader.read_exact(&mut length[..length_bytes]).map_err(|error| format!("the header is cut off ({error})"))?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_HEADER_BYTES {
        return Err(format!("a header of {length} bytes; at most {MAX_HEADER_BYTES} are read"));
    }
    let mut text = vec![0u8; length];
    reader.read_exact(&mut text).map_err(|error| format!("the header is cut off ({error})"))?;
    let text = std::str::from_utf8(&text).map_err(|_| "the header is not text".to_owned())?;
    parse_header(text)
}

/// Parses the dictionary of a header.
fn parse_header(text: &str) -> Result<Header, String> {
    let malformed = || format!("malformed header {:?}", text.trim_end().chars().take(80).collect::<String>());
    let mut rest = text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}')).ok_or_else(malformed)?.trim();
    let (mut element, mut columns_first, mut shape) = (None, None, None);
    while !rest.is_empty() {
        let (key, after) = quoted(rest).ok_or_else(malformed)?;
        let value = after.trim_start().strip_prefix(':').ok_or_else(malformed)?.trim_start();
        let after = match key {
            "descr" => {
                if value.starts_with('[') {
                    return Err("the array has fields (a structured type); save plain numbers".to_owned());
                }
                let (descr, after) = quoted(value).ok_or_else(malformed)?;
                element = Some(parse_element(descr)?);
                after
            }
            "fortran_order" => {
                let (flag, after) = if let Some(after) = value.strip_prefix("False") {
                    (false, after)
                } else {
                    (true, value.strip_prefix("True").ok_or_else(malformed)?)
                };
                columns_first = Some(flag);
                after
            }
            "shape" => {
                let (inside, after) =
                    value.strip_prefix('(').and_then(|value| value.split_once(')')).ok_or_else(malformed)?;
                shape = Some(parse_shape(inside).ok_or_else(malformed)?);
                after
            }
            _ => return Err(malformed()),
        };
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if after.is_empty() => after,
            None => return Err(malformed()),
        };
    }
    let (Some(element), Some(columns_first), Some(shape)) = (element, columns_first, shape) else {
        return Err(malformed());
    };
    if columns_first && shape.len() > 1 {
        return Err("the array is stored in Fortran order; save `numpy.ascontiguousarray(...)` of it".to_owned());
    }
    Ok(Header { element, shape })
}

/// The text inside quotes at the start of `text`, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text.get(1..)?.split_once(quote)
}

fn parse_shape(inside: &str) -> Option<Vec<u64>> {
    let mut parts: Vec<&str> = inside.split(',').map(str::trim).collect();
    if parts.last() == Some(&"") {
        parts.pop();
    }
    if parts.len() > MAX_AXES {
        return None;
    }
    parts.into_iter().map(|part| part.trim_end_matches('L').parse().ok()).collect()
}

fn parse_element(descr: &str) -> Result<Element, String> {
    let unknown = || format!("elements of type `{descr}`; use integers, booleans or floats");
    let mut letters = descr.chars();
    let (order, kind) = (letters.next().ok_or_else(unknown)?, letters.next().ok_or_else(unknown)?);
    let bytes: usize = letters.as_str().parse().map_err(|_| unknown())?;
    let big_endian = match order {
        '<' | '|' | '=' => false,
        '>' => true,
        _ => return Err(unknown()),
    };
    let kind = match (kind, bytes) {
        ('b', 1) | ('u', 1 | 2 | 4 | 8) => ElementKind::Unsigned,
        ('i', 1 | 2 | 4 | 8) => ElementKind::Signed,
        ('f', 2 | 4 | 8) => ElementKind::Float,
        _ => return Err(unknown()),
    };
    Ok(Element { kind, bytes, big_endian })
}

impl Element {
    /// The elements that `bytes` hold; a rest that is no whole element is ignored.
    pub fn decode(self, bytes: &[u8]) -> Elements {
        let patterns = bytes.chunks_exact(self.bytes).map(|chunk| {
            let add = |pattern: u64, byte: &u8| (pattern << 8) | u64::from(*byte);
            if self.big_endian { chunk.iter().fold(0, add) } else { chunk.iter().rev().fold(0, add) }
        });
        let unused_bits = 64 - 8 * self.bytes as u32;
        match self.kind {
            ElementKind::Unsigned => {
                Elements::Integers(patterns.map(|bits| i64::try_from(bits).unwrap_or(i64::MAX)).collect())
            }
            ElementKind::Signed => {
                Elements::Integers(patterns.map(|bits| ((bits << unused_bits) as i64) >> unused_bits).collect())
            }
            ElementKind::Float => Elements::Floats(
                patterns
                    .map(|bits| match self.bytes {
                        2 => half(bits as u16),
                        4 => f64::from(f32::from_bits(bits as u32)),
                        _ => f64::from_bits(bits),
                    })
                    .collect(),
            ),
        }
    }
}

/// The value of an IEEE 754 number of 16 bits.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 0x3ff);
    sign * match (bits >> 10) & 0x1f {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1.0 + fraction / 1024.0) * 2f64.powi(i32::from(exponent) - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(descr: &str, shape: &str) -> Result<Header, String> {
        parse_header(&format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}   \n"))
    }

    #[track_caller]
    fn decodes(descr: &str, bytes: &[u8], expected: Elements) {
        assert_eq!(parse(descr, "()").unwrap().element.decode(bytes), expected, "{descr}");
    }

    #[test]
    fn elements_of_every_type() {
        use Elements::{Floats, Integers};
        decodes("|b1", &[0, 1], Integers(vec![0, 1]));
        decodes("|u1", &[255], Integers(vec![255]));
        decodes("|i1", &[255], Integers(vec![-1]));
        decodes("<u2", &[1, 2], Integers(vec![513]));
        decodes(">u2", &[1, 2], Integers(vec![258]));
        decodes("<i4", &[0xfe, 0xff, 0xff, 0xff], Integers(vec![-2]));
        decodes("<i8", &[0xff; 8], Integers(vec![-1]));
        decodes("<u8", &[0xff; 8], Integers(vec![i64::MAX]));
        decodes("<f2", &[0, 0x3c, 1, 0, 0, 0xc4], Floats(vec![1.0, 2f64.powi(-24), -4.0]));
        decodes("<f4", &1.5f32.to_le_bytes(), Floats(vec![1.5]));
        decodes(">f8", &(-0.25f64).to_be_bytes(), Floats(vec![-0.25]));
    }

    #[test]
    fn shapes() {
        assert_eq!(parse("<f4", "(3, 4)").unwrap().shape, [3, 4]);
        assert_eq!(parse("<f4", "(3,)").unwrap().shape, [3]);
        assert_eq!(parse("<f4", "()").unwrap().shape, [0u64; 0]);
    }

    #[track_caller]
    fn refused(text: &str, part: &str) {
        let message = parse_header(text).unwrap_err();
        assert!(message.contains(part), "{message}");
    }

    #[test]
    fn malformed_headers() {
        refused("", "malformed");
        refused("{'descr': '<f4'}", "malformed");
        refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1, -1)}", "malformed");
        refused("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "malformed");
        refused("{'descr': '<f4', 'fortran_order': maybe, 'shape': (1,)}", "malformed");
        refused("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}", "Fortran");
        refused("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "`|O`");
        refused("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", "`<c8`");
        refused("{'descr': '<U9999999999999999999999', 'fortran_order': False, 'shape': (1,)}", "<U9");
        refused("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "fields");
        refused("{'é': 1}", "malformed");
    }

    #[test]
    fn cut_off_files() {
        let whole = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}";
        for end in 0..whole.len() {
            assert!(read_header(&mut &whole[..end]).is_err());
        }
        assert!(read_header(&mut &b"\x93NUMPY\x02\x00\xff\xff\xff\xff"[..]).unwrap_err().contains("at most"));
    }
}
