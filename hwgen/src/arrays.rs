//! Arrays in `.npz` and `.npy` files, read frame by frame.
//!
//! Input: `FILE[:ARRAY]` as a user writes it. Output: the elements of one frame (everything behind the first axis) after
//! the other, so that memory never grows with the file. Every malformed file is a diagnostic with a code E05xx. Nothing
//! here knows what a network is.

mod file;
mod npy;
mod write;

pub use file::{ArrayFile, ArrayStream};
pub use npy::{ElementKind, Elements};
pub use write::ArchiveWriter;

use std::path::{Path, PathBuf};

/// An array that the user names as `FILE[:ARRAY]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArraySpec {
    /// The file.
    pub path: PathBuf,
    /// The array inside it, if one is named.
    pub array: Option<String>,
}

impl ArraySpec {
    /// Takes a text apart at its last colon, unless the whole text is a file that exists or nothing stands behind it.
    pub fn parse(text: &str) -> ArraySpec {
        let whole = || ArraySpec { path: PathBuf::from(text), array: None };
        if Path::new(text).exists() {
            return whole();
        }
        match text.rsplit_once(':') {
            Some((file, array)) if !file.is_empty() && !array.is_empty() && !array.contains('/') => {
                ArraySpec { path: PathBuf::from(file), array: Some(array.to_owned()) }
            }
            _ => whole(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ArraySpec;

    #[track_caller]
    fn check(text: &str, path: &str, array: Option<&str>) {
        assert_eq!(ArraySpec::parse(text), ArraySpec { path: path.into(), array: array.map(str::to_owned) });
    }

    #[test]
    fn specs() {
        check("a.npz", "a.npz", None);
        check("a.npz:x", "a.npz", Some("x"));
        check("a.npz:", "a.npz:", None);
        check(":x", ":x", None);
        check("dir:1/a.npz", "dir:1/a.npz", None);
        check("dir:1/a.npz:x", "dir:1/a.npz", Some("x"));
    }
}
