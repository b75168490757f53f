//! The sidecar file of a plan: its arrays, in one safetensors file.
//!
//! [`Arrays::parse`] takes the bytes of a file that nobody has checked; [`ArraysWriter`] makes the bytes of a new one,
//! the same for the same arrays. What the arrays mean is `plan`'s matter.

mod write;

pub use write::ArraysWriter;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata};
use sha2::{Digest, Sha256};
use std::ops::RangeInclusive;

/// Longest header in bytes.
pub const MAX_HEADER_BYTES: u64 = 16 << 20;

/// A sidecar file with a well-formed header.
#[derive(Clone, Debug)]
pub struct Arrays {
    file: String,
    sha256: String,
    metadata: Metadata,
    bytes: Vec<u8>,
    data_start: usize,
}

impl Arrays {
    /// Takes the bytes of a sidecar file. Memory beside `bytes` is a small multiple of the header's length.
    ///
    /// # Errors
    /// `ArrayFile` where the file is truncated, longer than its header says, or its header is malformed.
    pub fn parse(bytes: Vec<u8>, file_name: &str) -> Result<Arrays, Diagnostics> {
        let fault = |message: String| {
            let help = "write the arrays again with the plan, or copy the whole file";
            Diagnostics::from(Diagnostic::new(Code::ArrayFile, Place::file(file_name), message, help))
        };
        let header = bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
        match header {
            None => return Err(fault(format!("the sidecar file has only {} bytes", bytes.len()))),
            Some(length) if length > MAX_HEADER_BYTES => {
                return Err(fault(format!(
                    "the sidecar file has a header of {length} bytes, more than {MAX_HEADER_BYTES}"
                )));
            }
            Some(_) => {}
        }
        let (header_bytes, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| {
            let text: String =
                error.to_string().chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
            fault(format!("the sidecar file is no safetensors file: {text}"))
        })?;
        Ok(Arrays {
            file: file_name.to_owned(),
            sha256: sha256_hex(&bytes),
            metadata,
            data_start: header_bytes + 8,
            bytes,
        })
    }

    /// File name as the user gave it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// SHA-256 of the whole file in lower-case hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Whether the file has an array of this name.
    pub fn has(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    /// An integer array (U8, I8, I16, I32 or I64) of `dimensions` dimensions whose values lie in `legal`.
    ///
    /// # Errors
    /// `ArrayMissing`, `ArrayShape` or `ArrayValue`, at `place`.
    pub fn integers(
        &self,
        name: &str,
        dimensions: usize,
        legal: RangeInclusive<i64>,
        place: &Place,
    ) -> Result<Array<'_, i64>, Diagnostic> {
        let Raw { shape, dtype, data } = self.raw(name, dimensions, place)?;
        let values: Vec<i64> = match dtype {
            Dtype::U8 => data.iter().map(|&byte| i64::from(byte)).collect(),
            Dtype::I8 => data.iter().map(|&byte| i64::from(byte.cast_signed())).collect(),
            Dtype::I16 => words(data).map(|word| i64::from(i16::from_le_bytes(word))).collect(),
            Dtype::I32 => words(data).map(|word| i64::from(i32::from_le_bytes(word))).collect(),
            Dtype::I64 => words(data).map(i64::from_le_bytes).collect(),
            other => return Err(self.wrong_type(name, other, "U8, I8, I16, I32 or I64", place)),
        };
        if let Some((index, value)) = values.iter().enumerate().find(|(_, value)| !legal.contains(value)) {
            let message =
                format!("array `{name}` holds {value} at index {index}, outside {} to {}", legal.start(), legal.end());
            return Err(Diagnostic::new(
                Code::ArrayValue,
                place.clone(),
                message,
                "write the arrays again with the plan",
            ));
        }
        Ok(Array { shape, values })
    }

    /// A one-dimensional array of doubles (F64), all finite.
    ///
    /// # Errors
    /// `ArrayMissing`, `ArrayShape` or `ArrayValue`, at `place`.
    pub fn reals(&self, name: &str, place: &Place) -> Result<Vec<f64>, Diagnostic> {
        let Raw { dtype, data, .. } = self.raw(name, 1, place)?;
        if dtype != Dtype::F64 {
            return Err(self.wrong_type(name, dtype, "F64", place));
        }
        let values: Vec<f64> = words(data).map(f64::from_le_bytes).collect();
        if let Some((index, value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            let message = format!("array `{name}` holds {value} at index {index}");
            return Err(Diagnostic::new(
                Code::ArrayValue,
                place.clone(),
                message,
                "scales, gains and offsets must be finite",
            ));
        }
        Ok(values)
    }

    fn raw(&self, name: &str, dimensions: usize, place: &Place) -> Result<Raw<'_>, Diagnostic> {
        let Some(info) = self.metadata.info(name) else {
            let message = format!("the sidecar file {} has no array `{name}`", self.file);
            return Err(Diagnostic::new(
                Code::ArrayMissing,
                place.clone(),
                message,
                "write the arrays again with the plan",
            ));
        };
        if info.shape.len() != dimensions {
            let message = format!("array `{name}` has the shape {:?}, not {dimensions} dimension(s)", info.shape);
            return Err(Diagnostic::new(
                Code::ArrayShape,
                place.clone(),
                message,
                "the reference page lists the shape of each array",
            ));
        }
        let (start, end) = info.data_offsets;
        let data = self.bytes.get(self.data_start..).and_then(|data| data.get(start..end)).unwrap_or(&[]);
        Ok(Raw { shape: &info.shape, dtype: info.dtype, data })
    }

    fn wrong_type(&self, name: &str, found: Dtype, needed: &str, place: &Place) -> Diagnostic {
        let message = format!("array `{name}` has elements of type {found:?}, not {needed}");
        Diagnostic::new(Code::ArrayShape, place.clone(), message, "the reference page lists the type of each array")
    }
}

/// The values of an array in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array<'a, T> {
    /// Length of each dimension.
    pub shape: &'a [usize],
    /// Values.
    pub values: Vec<T>,
}

struct Raw<'a> {
    shape: &'a [usize],
    dtype: Dtype,
    data: &'a [u8],
}

/// Little-endian words of a byte string whose length is a multiple of `N`.
fn words<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> {
    data.as_chunks::<N>().0.iter().copied()
}

/// SHA-256 in lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
