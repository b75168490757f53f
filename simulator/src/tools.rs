//! Finds Verilator, a C++ compiler and make, and says what to install when one is missing or too old.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::SimulatorError;

/// The oldest Verilator that the harness was tried with, as (major, minor).
const VERILATOR_OLDEST: (u32, u32) = (5, 6);

/// The programs that a build needs, with the versions that they report.
#[derive(Clone, Debug)]
pub struct Tools {
    pub(crate) verilator: PathBuf,
    pub(crate) verilator_version: String,
    pub(crate) cxx: PathBuf,
    pub(crate) cxx_version: String,
    pub(crate) make: PathBuf,
}

impl Tools {
    /// Looks in the folders of `PATH`; the variables `VERILATOR`, `CXX` and `MAKE` name other programs.
    ///
    /// # Errors
    /// A program is missing, does not run, or is too old.
    pub fn locate() -> Result<Self, SimulatorError> {
        Self::locate_with(|name| std::env::var_os(name))
    }

    /// Like [`Tools::locate`] with another environment.
    ///
    /// # Errors
    /// The same.
    pub fn locate_with(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, SimulatorError> {
        let folders = variable("PATH").unwrap_or_default();
        let find = |name: &str, default: &str, package: &str| {
            let chosen = variable(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.into());
            find_program(&chosen, &folders).ok_or_else(|| SimulatorError::Tool {
                program: chosen.to_string_lossy().into_owned(),
                problem: "was not found".into(),
                help: format!("install it (Debian: apt-get install {package}) or set {name} to its path"),
            })
        };
        let verilator = find("VERILATOR", "verilator", "verilator")?;
        let cxx = find("CXX", "g++", "g++")?;
        let make = find("MAKE", "make", "make")?;
        let verilator_version = version_line(&verilator)?;
        check_verilator(&verilator_version)?;
        let cxx_version = version_line(&cxx)?;
        Ok(Self { verilator, verilator_version, cxx, cxx_version, make })
    }

    /// Folder of Verilator's headers and run-time sources.
    pub(crate) fn verilator_include(&self) -> Result<PathBuf, SimulatorError> {
        let root = output(&self.verilator, &["--getenv", "VERILATOR_ROOT"])?;
        let include = Path::new(root.trim()).join("include");
        if include.join("verilated.cpp").is_file() {
            return Ok(include);
        }
        Err(SimulatorError::Tool {
            program: "verilator".into(),
            problem: format!("has no run-time sources in {}", include.display()),
            help: "reinstall it".into(),
        })
    }
}

fn find_program(name: &OsString, folders: &OsString) -> Option<PathBuf> {
    let is_program =
        |path: &Path| path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0);
    if Path::new(name).components().count() > 1 {
        return std::path::absolute(name).ok().filter(|path| is_program(path));
    }
    std::env::split_paths(folders)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| is_program(path))
}

fn version_line(program: &Path) -> Result<String, SimulatorError> {
    Ok(output(program, &["--version"])?.lines().next().unwrap_or_default().to_owned())
}

fn output(program: &Path, arguments: &[&str]) -> Result<String, SimulatorError> {
    let failed = |problem: String| SimulatorError::Tool {
        program: program.display().to_string(),
        problem,
        help: "check that it runs by hand, or reinstall it".into(),
    };
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(format!("does not run: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!(
            "{} fails: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Takes `Verilator 5.006 2023-01-22 rev ...`.
fn check_verilator(version: &str) -> Result<(), SimulatorError> {
    let number = version.strip_prefix("Verilator ").and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    let parsed = number.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let problem = match parsed {
        Some(found) if found >= VERILATOR_OLDEST => return Ok(()),
        Some(_) => format!("{number} is too old"),
        None => format!("has a version that cannot be read: {version:?}"),
    };
    Err(SimulatorError::Tool {
        program: "verilator".into(),
        problem,
        help: "install version 5.006 or newer (Debian 12 or newer: apt-get install verilator)".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(version: &str, expected: Option<&str>) {
        let found = check_verilator(version).err().map(|error| error.to_string());
        match expected {
            None => assert_eq!(found, None),
            Some(part) => assert!(found.as_deref().is_some_and(|text| text.contains(part)), "{found:?}"),
        }
    }

    #[test]
    fn versions() {
        check("Verilator 5.006 2023-01-22 rev (Debian 5.006-3)", None);
        check("Verilator 5.020 2024-01-01 rev v5.020", None);
        check("Verilator 6.000 2030-01-01", None);
        check("Verilator 4.038 2020-07-11 rev v4.036-114-g0cd4a57ad", Some("4.038 is too old"));
        check("Verilator 5.002 2022-10-29 rev v5.002-29", Some("5.002 is too old"));
        check("something else", Some("cannot be read"));
    }

    #[test]
    fn an_empty_path_names_what_to_install() {
        let error = Tools::locate_with(|name| (name == "PATH").then(OsString::new)).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert_eq!(
            error.to_string(),
            "verilator was not found; install it (Debian: apt-get install verilator) or set VERILATOR to its path"
        );
    }

    #[test]
    fn a_named_program_must_exist() {
        let error = Tools::locate_with(|name| match name {
            "VERILATOR" => Some("/nowhere/verilator".into()),
            other => std::env::var_os(other),
        });
        assert!(error.unwrap_err().to_string().starts_with("/nowhere/verilator was not found"));
    }

    #[test]
    fn a_program_that_is_no_verilator_is_refused() {
        let error = Tools::locate_with(|name| match name {
            "VERILATOR" => Some("/bin/true".into()),
            other => std::env::var_os(other),
        });
        assert!(error.unwrap_err().to_string().contains("cannot be read"));
    }
}
