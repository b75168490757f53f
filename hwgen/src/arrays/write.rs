//! Writes `.npz` archives whose arrays grow frame by frame.
//!
//! Elements are spooled to unnamed temporary files, since an archive holds one array after the other; the archive
//! appears under its name only when it is complete.

use crate::output::folder_of;
use network::Diagnostic;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// An archive on its way.
pub struct ArchiveWriter {
    path: PathBuf,
    folder: PathBuf,
    arrays: Vec<Spool>,
}

struct Spool {
    name: String,
    descr: &'static str,
    frame_shape: Vec<u64>,
    frames: u64,
    file: BufWriter<File>,
}

impl ArchiveWriter {
    /// Prepares an archive at `path`; its folder must exist and be writable.
    pub fn new(path: &Path) -> Result<ArchiveWriter, Diagnostic> {
        let writer = ArchiveWriter { path: path.to_owned(), folder: folder_of(path), arrays: Vec::new() };
        tempfile::tempfile_in(&writer.folder).map_err(|error| writer.failed(&error))?;
        Ok(writer)
    }

    /// Adds an array of 32-bit floats (`<f4`) or 64-bit integers (`<i8`); returns its index.
    pub fn add_array(&mut self, name: &str, is_float: bool, frame_shape: Vec<u64>) -> Result<usize, Diagnostic> {
        let file = tempfile::tempfile_in(&self.folder).map_err(|error| self.failed(&error))?;
        let descr = if is_float { "<f4" } else { "<i8" };
        self.arrays.push(Spool { name: name.to_owned(), descr, frame_shape, frames: 0, file: BufWriter::new(file) });
        Ok(self.arrays.len() - 1)
    }

    /// Appends one frame of floats to the array at `index`.
    pub fn push_floats(&mut self, index: usize, frame: &[f64]) -> Result<(), Diagnostic> {
        self.push(index, frame.iter().map(|&value| (value as f32).to_le_bytes()))
    }

    /// Appends one frame of integers to the array at `index`.
    pub fn push_integers(&mut self, index: usize, frame: &[i64]) -> Result<(), Diagnostic> {
        self.push(index, frame.iter().map(|value| value.to_le_bytes()))
    }

    fn push<const N: usize>(
        &mut self,
        index: usize,
        mut elements: impl Iterator<Item = [u8; N]>,
    ) -> Result<(), Diagnostic> {
        let Some(spool) = self.arrays.get_mut(index) else { return Ok(()) };
        let result = elements.try_for_each(|bytes| spool.file.write_all(&bytes));
        spool.frames += 1;
        result.map_err(|error| self.failed(&error))
    }

    /// Writes the archive and gives it its name.
    pub fn finish(mut self) -> Result<(), Diagnostic> {
        let arrays = std::mem::take(&mut self.arrays);
        self.write_archive(arrays).map_err(|error| self.failed(&error))
    }

    fn write_archive(&self, arrays: Vec<Spool>) -> io::Result<()> {
        let temporary = tempfile::NamedTempFile::new_in(&self.folder)?;
        let mut archive = ZipWriter::new(BufWriter::new(temporary));
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .large_file(true);
        for spool in arrays {
            archive.start_file(format!("{}.npy", spool.name), options).map_err(io::Error::other)?;
            archive.write_all(&header(spool.descr, spool.frames, &spool.frame_shape))?;
            let mut file = spool.file.into_inner().map_err(|error| error.into_error())?;
            file.rewind()?;
            io::copy(&mut file, &mut archive)?;
        }
        let buffered = archive.finish().map_err(io::Error::other)?;
        let temporary = buffered.into_inner().map_err(|error| error.into_error())?;
        crate::output::make_readable(temporary.path())?;
        temporary.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Diagnostic {
        crate::output::cannot_write(&self.path, error)
    }
}

/// A version 1 header, padded so that the elements start at a multiple of 64 bytes.
fn header(descr: &str, frames: u64, frame_shape: &[u64]) -> Vec<u8> {
    let axes: String = frame_shape.iter().map(|axis| format!(", {axis}")).collect();
    let comma = if axes.is_empty() { "," } else { "" };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({frames}{axes}{comma}), }}");
    while (text.len() + 11) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.into_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::header;

    #[test]
    fn header_of_two_axes() {
        let bytes = header("<f4", 3, &[10]);
        assert_eq!(bytes.len(), 128);
        assert!(
            bytes.starts_with(b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, 10), }")
        );
        assert!(header("<i8", 3, &[]).windows(6).any(|part| part == b" (3,),"));
    }
}
