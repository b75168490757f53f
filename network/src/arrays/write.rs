//! The bytes of a new sidecar file.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use safetensors::tensor::{Dtype, View};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Collects arrays and turns them into a file; the order in which they come does not matter.
#[derive(Default)]
pub struct ArraysWriter {
    arrays: BTreeMap<String, Stored>,
}

struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

impl ArraysWriter {
    /// Adds weights, in the smallest of I8, I16 and I32 that holds all of them.
    pub fn weights(&mut self, name: String, shape: [usize; 2], values: &[i32]) {
        let fits = |min: i32, max: i32| values.iter().all(|value| (min..=max).contains(value));
        let (dtype, bytes) = if fits(i32::from(i8::MIN), i32::from(i8::MAX)) {
            (Dtype::I8, 1)
        } else if fits(i32::from(i16::MIN), i32::from(i16::MAX)) {
            (Dtype::I16, 2)
        } else {
            (Dtype::I32, 4)
        };
        let low_bytes = |value: &i32| value.to_le_bytes().into_iter().take(bytes);
        self.insert(name, dtype, shape.to_vec(), values.iter().flat_map(low_bytes).collect());
    }

    /// Adds bytes as U8.
    pub fn bytes(&mut self, name: String, values: &[u8]) {
        self.insert(name, Dtype::U8, vec![values.len()], values.to_vec());
    }

    /// Adds bytes of two dimensions as U8.
    pub fn matrix_of_bytes(&mut self, name: String, shape: [usize; 2], values: &[u8]) {
        self.insert(name, Dtype::U8, shape.to_vec(), values.to_vec());
    }

    /// Adds integers as I64.
    pub fn integers(&mut self, name: String, shape: &[usize], values: &[i64]) {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.insert(name, Dtype::I64, shape.to_vec(), data);
    }

    /// Adds doubles as F64.
    pub fn reals(&mut self, name: String, values: &[f64]) {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.insert(name, Dtype::F64, vec![values.len()], data);
    }

    fn insert(&mut self, name: String, dtype: Dtype, shape: Vec<usize>, data: Vec<u8>) {
        self.arrays.insert(name, Stored { dtype, shape, data });
    }

    /// The file's bytes: the same for the same arrays.
    ///
    /// # Errors
    /// `ArrayShape` where the length of an array is not the product of its shape.
    pub fn finish(self) -> Result<Vec<u8>, Diagnostics> {
        safetensors::serialize(&self.arrays, None).map_err(|error| {
            Diagnostic::new(
                Code::ArrayShape,
                Place::default(),
                format!("arrays cannot be written: {error}"),
                "check the network's arrays",
            )
            .into()
        })
    }
}
