//! A file that appears whole or not at all, written by another process.

use std::path::{Path, PathBuf};

use crate::SimulatorError;

/// A file that is written under another name, and removed unless it is published.
pub(super) struct PartialFile {
    pub(super) partial: PathBuf,
    path: PathBuf,
}

impl PartialFile {
    pub(super) fn new(path: &Path) -> Result<Self, SimulatorError> {
        let path = std::path::absolute(path).map_err(SimulatorError::io(path))?;
        let mut partial = path.clone().into_os_string();
        partial.push(format!(".{}.partial", std::process::id()));
        let partial = PathBuf::from(partial);
        std::fs::write(&partial, b"").map_err(SimulatorError::io(&path))?;
        Ok(Self { partial, path })
    }

    pub(super) fn publish(self) -> Result<(), SimulatorError> {
        std::fs::rename(&self.partial, &self.path).map_err(SimulatorError::io(&self.path))
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.partial);
    }
}
