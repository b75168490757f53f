//! Files and folders that appear whole or not at all.
//!
//! A file is written under a temporary name beside its place and renamed. A folder is written as a temporary folder
//! beside its place and renamed; an existing folder is replaced only when hwgen made it and the user asked for that.

use network::manifest::MANIFEST_VERSION;
use network::{Code, Diagnostic, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

/// Writes files that belong together: all are written before the first gets its name, in the order given.
pub fn write_files(files: &[(&Path, &[u8])]) -> Result<(), Diagnostic> {
    let mut temporaries = Vec::new();
    for &(path, content) in files {
        let write = || -> io::Result<_> {
            if path.is_dir() {
                return Err(io::Error::other("is a directory"));
            }
            let mut temporary = tempfile::NamedTempFile::new_in(folder_of(path))?;
            temporary.write_all(content)?;
            make_readable(temporary.path())?;
            Ok(temporary)
        };
        temporaries.push((path, write().map_err(|error| cannot_write(path, &error))?));
    }
    for (path, temporary) in temporaries {
        temporary.persist(path).map_err(|error| cannot_write(path, &error.error))?;
    }
    Ok(())
}

/// Whether a folder may be written at `path`: it is free, empty, or with `force` one that hwgen made.
pub fn check_folder(path: &Path, force: bool) -> Result<(), Diagnostic> {
    let exists = |message: &str, help: &str| {
        Err(Diagnostic::new(Code::OutputExists, Place::file(path.display().to_string()), message, help))
    };
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot_write(path, &error)),
    };
    if !metadata.is_dir() {
        return exists("exists and is not a folder", "give the path of a new folder");
    }
    let mut entries = std::fs::read_dir(path).map_err(|error| cannot_write(path, &error))?;
    if entries.next().is_none() {
        return Ok(());
    }
    match (is_own_folder(path), force) {
        (true, true) => Ok(()),
        (true, false) => exists("exists already", "write `--force` to replace this design by the new one"),
        (false, _) => exists("exists and was not made by hwgen", "give the path of a new folder"),
    }
}

/// Whether a folder holds a manifest that hwgen wrote.
fn is_own_folder(path: &Path) -> bool {
    let Ok(text) = std::fs::read(path.join("manifest.json")) else { return false };
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(&text) else { return false };
    let version = document.get("hwgen").and_then(serde_json::Value::as_u64);
    version.is_some_and(|version| (1..=u64::from(MANIFEST_VERSION)).contains(&version))
        && document.get("top").is_some_and(serde_json::Value::is_string)
}

/// Writes a folder of files, keyed by paths relative to it with `/`; see [`check_folder`].
pub fn write_folder(path: &Path, files: &BTreeMap<String, Vec<u8>>, force: bool) -> Result<(), Diagnostic> {
    check_folder(path, force)?;
    replace_folder(path, files).map_err(|error| cannot_write(path, &error))
}

fn replace_folder(path: &Path, files: &BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    let parent = folder_of(path);
    let temporary = tempfile::Builder::new().prefix(".hwgen-").tempdir_in(&parent)?;
    let fresh = temporary.path().join("new");
    std::fs::create_dir(&fresh)?;
    for (name, content) in files {
        let relative = Path::new(name);
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(io::Error::other(format!("the file name `{name}` leaves the folder")));
        }
        let target = fresh.join(relative);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&target, content)?;
    }
    carry_over(path, &fresh, files)?;
    let old = temporary.path().join("old");
    match std::fs::rename(path, &old) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    std::fs::rename(&fresh, path).inspect_err(|_| {
        // The old design goes back to its place where the new one cannot take it.
        let _ = std::fs::rename(&old, path);
    })
}

/// Copies what a user added to a design's folder, such as a tool's results, into its successor.
fn carry_over(path: &Path, fresh: &Path, files: &BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    let manifest = std::fs::read(path.join("manifest.json")).unwrap_or_default();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap_or_default();
    let made: BTreeSet<&str> = ["sources", "memories"]
        .iter()
        .filter_map(|key| manifest.get(key)?.as_array())
        .flatten()
        .filter_map(serde_json::Value::as_str)
        .chain(files.keys().map(String::as_str))
        .collect();
    let mut open = vec![PathBuf::new()];
    while let Some(folder) = open.pop() {
        let entries = match std::fs::read_dir(path.join(&folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let relative = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                open.push(relative);
            } else if !relative.to_str().is_some_and(|name| made.contains(name)) {
                let target = fresh.join(&relative);
                std::fs::create_dir_all(folder_of(&target))?;
                std::fs::copy(entry.path(), target)?;
            }
        }
    }
    Ok(())
}

/// Writes a report to standard output; a reader that has gone away is no fault.
pub fn print(report: &str) -> Result<(), Diagnostic> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(report.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(cannot_write(Path::new("standard output"), &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A temporary file is private to its user; a finished one gets the usual permissions.
pub fn make_readable(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

/// The diagnostic of a place that cannot be written.
pub fn cannot_write(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::new(
        Code::OutputWrite,
        Place::file(path.display().to_string()),
        format!("cannot be written: {error}"),
        "check that its folder exists, has space and lets you write",
    )
}

/// The folder that a path's last part stands in.
pub fn folder_of(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(entries: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        entries.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
    }

    const OWN: (&str, &str) = ("manifest.json", r#"{ "hwgen": 1, "top": "t", "sources": ["rtl/a.v"] }"#);

    #[test]
    fn own_folders_are_replaced_only_when_asked() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out");
        write_folder(&path, &files(&[OWN, ("rtl/a.v", "1")]), false).unwrap();
        assert_eq!(write_folder(&path, &files(&[OWN]), false).unwrap_err().code, Code::OutputExists);
        assert!(path.join("rtl/a.v").exists());
        std::fs::write(path.join("rtl/notes.txt"), "mine").unwrap();
        write_folder(&path, &files(&[OWN, ("b.v", "2")]), true).unwrap();
        assert!(!path.join("rtl/a.v").exists() && path.join("b.v").exists());
        assert_eq!(std::fs::read(path.join("rtl/notes.txt")).unwrap(), b"mine");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing is left beside the folder");
    }

    #[test]
    fn foreign_folders_stay() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("thesis.tex"), "years of work").unwrap();
        for force in [false, true] {
            let fault = write_folder(place.path(), &files(&[OWN]), force).unwrap_err();
            assert_eq!(fault.code, Code::OutputExists);
        }
        assert!(place.path().join("thesis.tex").exists());
        std::fs::write(place.path().join("manifest.json"), r#"{ "name": "a web page" }"#).unwrap();
        assert!(write_folder(place.path(), &files(&[OWN]), true).is_err());
    }

    #[test]
    fn a_failing_write_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out");
        assert_eq!(write_folder(&path, &files(&[OWN, ("../x", "")]), false).unwrap_err().code, Code::OutputWrite);
        assert_eq!(
            write_folder(&path, &files(&[OWN, ("a", ""), ("a/b", "")]), false).unwrap_err().code,
            Code::OutputWrite
        );
        let missing = place.path().join("no/file");
        let present = place.path().join("file");
        assert_eq!(write_files(&[(&present, b"1"), (&missing, b"2")]).unwrap_err().code, Code::OutputWrite);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
