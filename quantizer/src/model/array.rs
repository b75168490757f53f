//! Arrays of constants, decoded from ONNX tensors.

use crate::fault::{Checked, Fault};
use crate::onnx;

/// Most elements of one constant; also bounds what folding may make.
pub(crate) const MAX_CONSTANT_ELEMENTS: usize = 1 << 26;

/// A constant in row-major order; as many elements as its dimensions say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Array {
    pub dims: Vec<usize>,
    pub data: Data,
}

/// Elements: floats as float32, integers and truth values as 64-bit integers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Float(Vec<f32>),
    Int(Vec<i64>),
}

/// Number of elements, where it stays below [`MAX_CONSTANT_ELEMENTS`].
pub(crate) fn elements(dims: &[usize]) -> Checked<usize> {
    dims.iter()
        .try_fold(1usize, |product, &dim| product.checked_mul(dim).filter(|&p| p <= MAX_CONSTANT_ELEMENTS))
        .ok_or_else(|| Fault::shape(format!("a constant of shape {dims:?} is too large"), "use a smaller constant"))
}

impl Array {
    /// A float array; `None` where the number of elements is not what the dimensions say.
    pub fn float(dims: Vec<usize>, data: Vec<f32>) -> Self {
        debug_assert_eq!(dims.iter().product::<usize>(), data.len());
        Array { dims, data: Data::Float(data) }
    }

    /// An array of integers.
    pub fn int(dims: Vec<usize>, data: Vec<i64>) -> Self {
        debug_assert_eq!(dims.iter().product::<usize>(), data.len());
        Array { dims, data: Data::Int(data) }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.data {
            Data::Float(data) => data.len(),
            Data::Int(data) => data.len(),
        }
    }

    /// The element as float32.
    pub fn f32(&self, index: usize) -> f32 {
        match &self.data {
            Data::Float(data) => data.get(index).copied().unwrap_or(f32::NAN),
            Data::Int(data) => data.get(index).map_or(f32::NAN, |&value| value as f32),
        }
    }

    /// All elements as float32.
    pub fn floats(&self) -> Vec<f32> {
        match &self.data {
            Data::Float(data) => data.clone(),
            Data::Int(data) => data.iter().map(|&value| value as f32).collect(),
        }
    }

    /// All elements as integers, where they are some.
    pub fn ints(&self) -> Option<Vec<i64>> {
        match &self.data {
            Data::Int(data) => Some(data.clone()),
            Data::Float(data) => {
                data.iter().map(|&value| (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64)).collect()
            }
        }
    }

    /// Decodes a tensor; checks that its data are as long as its dimensions say.
    pub fn decode(tensor: onnx::Tensor) -> Checked<Self> {
        if tensor.data_location == 1 {
            return Err(Fault::constant(
                format!("`{}` lies in an external data file", tensor.name),
                "store the weights inside the model: onnx.save(model, path, save_as_external_data=False)",
            ));
        }
        let dims: Option<Vec<usize>> = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
        let dims = dims.ok_or_else(|| {
            Fault::shape(format!("`{}` has a negative dimension", tensor.name), "export the model again")
        })?;
        let count = elements(&dims)?;
        let data = decode_data(&tensor)?;
        let array = Array { dims, data };
        if array.len() != count {
            return Err(Fault::constant(
                format!("`{}` has {} elements but shape {:?}", tensor.name, array.len(), array.dims),
                "export the model again; the file may be truncated",
            ));
        }
        Ok(array)
    }
}

/// Bytes of a little-endian element each.
fn chunks<const N: usize>(raw: &[u8]) -> impl Iterator<Item = [u8; N]> {
    raw.chunks_exact(N).filter_map(|chunk| chunk.try_into().ok())
}

fn decode_data(tensor: &onnx::Tensor) -> Checked<Data> {
    let raw = tensor.raw_data.as_slice();
    let has_raw = !raw.is_empty();
    let small = || tensor.int32_data.iter().map(|&value| i64::from(value));
    Ok(match tensor.data_type {
        1 if has_raw => Data::Float(chunks(raw).map(f32::from_le_bytes).collect()),
        1 => Data::Float(tensor.float_data.clone()),
        2 | 9 if has_raw => Data::Int(raw.iter().map(|&byte| i64::from(byte)).collect()),
        3 if has_raw => Data::Int(raw.iter().map(|&byte| i64::from(byte as i8)).collect()),
        4 if has_raw => Data::Int(chunks(raw).map(|bytes| i64::from(u16::from_le_bytes(bytes))).collect()),
        5 if has_raw => Data::Int(chunks(raw).map(|bytes| i64::from(i16::from_le_bytes(bytes))).collect()),
        6 if has_raw => Data::Int(chunks(raw).map(|bytes| i64::from(i32::from_le_bytes(bytes))).collect()),
        2..=6 | 9 => Data::Int(small().collect()),
        7 if has_raw => Data::Int(chunks(raw).map(i64::from_le_bytes).collect()),
        7 => Data::Int(tensor.int64_data.clone()),
        10 if has_raw => Data::Float(chunks(raw).map(|bytes| half(u16::from_le_bytes(bytes))).collect()),
        10 => Data::Float(small().map(|bits| half(bits as u16)).collect()),
        11 if has_raw => Data::Float(chunks(raw).map(|bytes| f64::from_le_bytes(bytes) as f32).collect()),
        11 => Data::Float(tensor.double_data.iter().map(|&value| value as f32).collect()),
        12 if has_raw => Data::Int(chunks(raw).map(|bytes| i64::from(u32::from_le_bytes(bytes))).collect()),
        12 => Data::Int(tensor.uint64_data.iter().map(|&value| value as i64).collect()),
        21 | 22 | 25 | 26 => Data::Int(packed(tensor)?),
        16 if has_raw => {
            Data::Float(chunks(raw).map(|bytes| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)).collect())
        }
        16 => Data::Float(small().map(|bits| f32::from_bits((bits as u32 & 0xffff) << 16)).collect()),
        other => {
            return Err(Fault::constant(
                format!("`{}` has element type {other}, which hwgen does not read", tensor.name),
                "store constants as float32 or int64",
            ));
        }
    })
}

/// Codes of 2 or 4 bits, packed into bytes from the lowest bits on.
fn packed(tensor: &onnx::Tensor) -> Checked<Vec<i64>> {
    let bits = if matches!(tensor.data_type, 21 | 22) { 4 } else { 2 };
    let signed = matches!(tensor.data_type, 22 | 26);
    let each = 8 / bits;
    let bytes: Vec<u8> = match tensor.raw_data.as_slice() {
        [] => tensor.int32_data.iter().map(|&value| value as u8).collect(),
        raw => raw.to_vec(),
    };
    let count = tensor.dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(usize::try_from(dim).ok()?));
    let count = count.unwrap_or(usize::MAX);
    if bytes.len() != count.div_ceil(each) {
        return Err(Fault::constant(
            format!("`{}` has {} bytes for {count} codes of {bits} bits", tensor.name, bytes.len()),
            "export the model again; the file may be truncated",
        ));
    }
    let span = 1i64 << bits;
    let code = |index: usize| {
        let value = i64::from(bytes[index / each] >> (index % each * bits)) & (span - 1);
        if signed && value >= span / 2 { value - span } else { value }
    };
    Ok((0..count).map(code).collect())
}

/// The float32 that a binary16 pattern means.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from((bits >> 10) & 31), f32::from(bits & 1023));
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::half;

    #[test]
    fn half_precision() {
        assert_eq!(half(0x3c00), 1.0);
        assert_eq!(half(0xc580), -5.5);
        assert_eq!(half(0x0001), 2f32.powi(-24));
        assert_eq!(half(0x7bff), 65504.0);
        assert!(half(0x7e00).is_nan());
    }
}
