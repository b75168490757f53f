//! The folder of finished builds: entries appear whole, are checked before use, and are rebuilt when damaged.
//!
//! An entry is a folder `KIND/KEY` with files and `entry.json`, which states the length and the SHA-256 of each. It is
//! built in `tmp/` under a lock and renamed into place, so an interrupted build leaves nothing that looks like an entry,
//! and processes that want the same entry at once build it once.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Cancel, SimulatorError};

/// Abandoned build folders older than this are removed.
const STALE_AGE: Duration = Duration::from_secs(24 * 3600);
const STAMP: &str = "entry.json";

/// Where finished builds are kept.
#[derive(Clone, Debug)]
pub struct CacheDir {
    folder: PathBuf,
}

/// Whether something came from the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheUse {
    /// It was there.
    Hit,
    /// It was built now.
    Built,
}

#[derive(Serialize, Deserialize)]
struct Stamp {
    files: Vec<StampedFile>,
}

#[derive(Serialize, Deserialize)]
struct StampedFile {
    name: String,
    length_bytes: u64,
    sha256: String,
}

impl CacheDir {
    /// `$HWGEN_CACHE`, else `$XDG_CACHE_HOME/hwgen`, else `~/.cache/hwgen`.
    ///
    /// # Errors
    /// When none of these variables is set.
    pub fn from_environment() -> Result<Self, SimulatorError> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        variable("HWGEN_CACHE")
            .or_else(|| variable("XDG_CACHE_HOME").map(|home| home.join("hwgen")))
            .or_else(|| variable("HOME").map(|home| home.join(".cache/hwgen")))
            .map(Self::at)
            .ok_or_else(|| SimulatorError::Tool {
                program: "the build cache".into(),
                problem: "has no place: neither HWGEN_CACHE nor XDG_CACHE_HOME nor HOME is set".into(),
                help: "set HWGEN_CACHE to a folder".into(),
            })
    }

    /// A cache in the given folder, which need not exist yet.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder of the entry `kind`/`key`; `build` fills an empty folder with it when there is no sound one.
    ///
    /// # Errors
    /// What `build` returns, a cancel, or a cache that cannot be written.
    pub(crate) fn obtain(
        &self,
        kind: &str,
        key: &str,
        cancel: &Cancel,
        build: impl FnOnce(&Path) -> Result<(), SimulatorError>,
    ) -> Result<(PathBuf, CacheUse), SimulatorError> {
        let entry = self.absolute()?.join(kind).join(key);
        if is_sound(&entry) {
            return Ok((entry, CacheUse::Hit));
        }
        let _lock = self.lock(kind, key, cancel)?;
        if is_sound(&entry) {
            return Ok((entry, CacheUse::Hit));
        }
        let workplace = self.make_folder("tmp")?;
        remove_stale(&workplace);
        let folder =
            tempfile::Builder::new().prefix("build-").tempdir_in(&workplace).map_err(SimulatorError::io(&workplace))?;
        build(folder.path())?;
        cancel.check()?;
        write_stamp(folder.path())?;
        self.make_folder(kind)?;
        if entry.exists() && !is_sound(&entry) {
            let aside = tempfile::Builder::new()
                .prefix("old-")
                .tempdir_in(&workplace)
                .map_err(SimulatorError::io(&workplace))?;
            fs::rename(&entry, aside.path().join("entry")).map_err(SimulatorError::io(&entry))?;
        }
        match fs::rename(folder.path(), &entry) {
            Ok(()) => {
                let _ = folder.keep();
                Ok((entry, CacheUse::Built))
            }
            // Without working locks another process may have been first.
            Err(_) if is_sound(&entry) => Ok((entry, CacheUse::Built)),
            Err(error) => Err(SimulatorError::Io { path: entry, source: error }),
        }
    }

    fn absolute(&self) -> Result<PathBuf, SimulatorError> {
        std::path::absolute(&self.folder).map_err(SimulatorError::io(&self.folder))
    }

    fn make_folder(&self, name: &str) -> Result<PathBuf, SimulatorError> {
        let folder = self.absolute()?.join(name);
        fs::create_dir_all(&folder).map_err(SimulatorError::io(&folder))?;
        Ok(folder)
    }

    /// Waits for the lock of an entry; the system frees it when its holder ends in any way.
    fn lock(&self, kind: &str, key: &str, cancel: &Cancel) -> Result<Option<File>, SimulatorError> {
        let path = self.make_folder("locks")?.join(format!("{kind}-{key}"));
        let file = File::create(&path).map_err(SimulatorError::io(&path))?;
        loop {
            cancel.check()?;
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
                // A file system without locks: the rename alone keeps entries whole.
                Err(TryLockError::Error(_)) => return Ok(None),
            }
        }
    }
}

fn is_sound(entry: &Path) -> bool {
    let stamp = fs::read(entry.join(STAMP)).ok().and_then(|bytes| serde_json::from_slice::<Stamp>(&bytes).ok());
    stamp.is_some_and(|stamp| {
        stamp.files.iter().all(|file| {
            let path = entry.join(&file.name);
            path.metadata().is_ok_and(|data| data.len() == file.length_bytes)
                && sha256_of_file(&path).is_ok_and(|hash| hash == file.sha256)
        })
    })
}

fn write_stamp(folder: &Path) -> Result<(), SimulatorError> {
    let mut files = Vec::new();
    for item in fs::read_dir(folder).map_err(SimulatorError::io(folder))? {
        let path = item.map_err(SimulatorError::io(folder))?.path();
        let length_bytes = path.metadata().map_err(SimulatorError::io(&path))?.len();
        let sha256 = sha256_of_file(&path).map_err(SimulatorError::io(&path))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        files.push(StampedFile { name, length_bytes, sha256 });
    }
    files.sort_by(|left, right| left.name.cmp(&right.name));
    let path = folder.join(STAMP);
    let text = serde_json::to_vec(&Stamp { files })
        .map_err(|error| SimulatorError::Io { path: path.clone(), source: error.into() })?;
    fs::write(&path, text).map_err(SimulatorError::io(&path))
}

/// Removes all but the named files of a build's folder.
pub(crate) fn keep_only(folder: &Path, names: &[&str]) -> Result<(), SimulatorError> {
    for item in fs::read_dir(folder).map_err(SimulatorError::io(folder))? {
        let path = item.map_err(SimulatorError::io(folder))?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| names.contains(&name)) {
            continue;
        }
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(SimulatorError::io(path))?;
    }
    Ok(())
}

fn sha256_of_file(path: &Path) -> std::io::Result<String> {
    Ok(sha256_hex(&[&fs::read(path)?]))
}

/// SHA-256 over the parts, each with its length before it, in hex.
pub(crate) fn sha256_hex(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Removes build folders that a killed process left behind.
fn remove_stale(workplace: &Path) {
    let Ok(items) = fs::read_dir(workplace) else { return };
    for item in items.flatten() {
        let age = item
            .metadata()
            .and_then(|data| data.modified())
            .ok()
            .and_then(|time| SystemTime::now().duration_since(time).ok());
        if age.is_some_and(|age| age > STALE_AGE) {
            let _ = fs::remove_dir_all(item.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obtain(cache: &CacheDir, content: &str) -> (PathBuf, CacheUse) {
        cache
            .obtain("thing", "k", &Cancel::new(), |folder| {
                fs::write(folder.join("file"), content).map_err(SimulatorError::io(folder))
            })
            .unwrap()
    }

    #[test]
    fn an_entry_is_built_once() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CacheDir::at(folder.path());
        assert_eq!(obtain(&cache, "one").1, CacheUse::Built);
        let (entry, used) = obtain(&cache, "two");
        assert_eq!(used, CacheUse::Hit);
        assert_eq!(fs::read_to_string(entry.join("file")).unwrap(), "one");
    }

    #[test]
    fn a_damaged_entry_is_built_again() {
        let damages: [fn(&Path); 4] = [
            |entry| fs::write(entry.join("file"), "onE").unwrap(),
            |entry| fs::write(entry.join("file"), "").unwrap(),
            |entry| fs::remove_file(entry.join(STAMP)).unwrap(),
            |entry| fs::write(entry.join(STAMP), "{").unwrap(),
        ];
        for damage in damages {
            let folder = tempfile::tempdir().unwrap();
            let cache = CacheDir::at(folder.path());
            damage(&obtain(&cache, "one").0);
            let (entry, used) = obtain(&cache, "two");
            assert_eq!(used, CacheUse::Built);
            assert_eq!(fs::read_to_string(entry.join("file")).unwrap(), "two");
        }
    }

    #[test]
    fn a_failed_build_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CacheDir::at(folder.path());
        let failed = cache.obtain("thing", "k", &Cancel::new(), |folder| {
            fs::write(folder.join("file"), "half").unwrap();
            Err(SimulatorError::Cancelled)
        });
        assert!(failed.is_err());
        assert!(!folder.path().join("thing").exists());
        assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn processes_that_want_one_entry_build_it_once() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CacheDir::at(folder.path());
        let builds = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    cache
                        .obtain("thing", "k", &Cancel::new(), |folder| {
                            builds.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                            std::thread::sleep(Duration::from_millis(30));
                            fs::write(folder.join("file"), "x").map_err(SimulatorError::io(folder))
                        })
                        .unwrap()
                });
            }
        });
        assert_eq!(builds.into_inner(), 1);
    }
}
