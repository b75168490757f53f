//! Arrays of .npz files.

use ndarray_npy::{NpzReader, ReadableElement};
use std::fs::File;
use std::path::Path;

/// The elements of an array and the number of frames (its first axis).
pub fn read<T: ReadableElement + Clone>(path: &Path, name: &str) -> Option<(Vec<T>, usize)> {
    let mut npz =
        NpzReader::new(File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap();
    let array: ndarray::ArrayD<T> = npz.by_name(name).ok()?;
    let frames = array.shape().first().copied().unwrap_or(1);
    Some((array.iter().cloned().collect(), frames))
}

/// Names of all arrays of a file, in order.
pub fn names(path: &Path) -> Vec<String> {
    let mut npz =
        NpzReader::new(File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap();
    let mut names = npz.names().unwrap();
    names.sort();
    names
}
