//! Other people's tools: found by name, run with a time limit, and believed only where their file has arrived.

use crate::failure::Outcome;
use crate::interrupt::Interrupt;
use crate::output::cannot_write;
use network::{Code, Diagnostic, Place};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Lines of a log that a diagnostic shows.
const SHOWN_LINES: usize = 3;

/// A tool that is installed.
pub struct Tool {
    program: OsString,
}

/// A tool as it may be found.
pub struct ToolNames {
    /// The environment variable that overrides the names.
    pub variable: &'static str,
    /// Names on the search path, the first that is there.
    pub names: &'static [&'static str],
    /// Where it comes from.
    pub install: &'static str,
}

impl Tool {
    /// The tool that an environment variable names, else the first of its names on the search path.
    ///
    /// # Errors
    /// None of them is there: E0801.
    pub fn find(names: &ToolNames) -> Result<Self, Diagnostic> {
        if let Some(program) = std::env::var_os(names.variable).filter(|name| !name.is_empty()) {
            return Ok(Tool { program });
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let there = |name: &&&str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
        match names.names.iter().find(there) {
            Some(name) => Ok(Tool { program: name.into() }),
            None => {
                let message = format!("{} is not installed", names.names.join(", or "));
                Err(missing(message, names))
            }
        }
    }

    /// Runs the tool in a folder, its words in `NAME.log` there, until the file `wanted` is written.
    ///
    /// # Errors
    /// It does not start (E0801); it fails, crashes, takes longer than `limit`, or ends well without its file (E0802).
    pub fn run<A: AsRef<OsStr>>(
        &self,
        (names, arguments): (&ToolNames, &[A]),
        folder: &Path,
        wanted: &str,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Outcome<()> {
        let name = names.names.first().copied().unwrap_or("tool");
        let log_path = folder.join(format!("{name}.log"));
        let log = File::create(&log_path).map_err(|error| cannot_write(&log_path, &error))?;
        let errors = log.try_clone().map_err(|error| cannot_write(&log_path, &error))?;
        let _ = std::fs::remove_file(folder.join(wanted));
        let child = Command::new(&self.program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn();
        let mut child = child
            .map_err(|error| missing(format!("{} does not run: {error}", self.program.to_string_lossy()), names))?;
        let start = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => {}
                Err(error) => return Err(failed(format!("{name} cannot be waited for: {error}")).into()),
            }
            let stopped = interrupt.check();
            if stopped.is_err() || start.elapsed() > limit {
                let _ = child.kill();
                let _ = child.wait();
                stopped?;
                return Err(failed(format!("{name} took longer than {} s", limit.as_secs())).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let log = std::fs::read_to_string(&log_path).unwrap_or_default();
        let whole = std::fs::metadata(folder.join(wanted)).is_ok_and(|file| file.len() > 0);
        match outcome(name, status, whole, wanted, &log) {
            Some(message) => Err(failed(message).into()),
            None => Ok(()),
        }
    }
}

/// What went wrong, if something did.
fn outcome(name: &str, status: ExitStatus, whole: bool, wanted: &str, log: &str) -> Option<String> {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    let said = if last.is_empty() { "it printed nothing".to_owned() } else { last.join(" / ") };
    match (status.success(), whole) {
        (true, true) => None,
        (true, false) => Some(format!("{name} ended without a fault, but wrote no {wanted}: {said}")),
        (false, _) => Some(format!("{name} fails ({status}): {said}")),
    }
}

fn missing(message: String, names: &ToolNames) -> Diagnostic {
    let help = format!("install it ({}) or set {} to its path", names.install, names.variable);
    Diagnostic::new(Code::ToolMissing, Place::default(), message, help)
}

/// The fault of a tool that did not do its work.
pub fn failed(message: String) -> Diagnostic {
    let help = "run `hwgen emit`, and the script in the design's folder `synth` by hand; --timeout gives it more time";
    Diagnostic::new(Code::ToolFailed, Place::default(), message, help)
}
