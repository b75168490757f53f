//! Child processes that end when their caller does, and the token that asks for it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::SimulatorError;

/// Asks running builds and simulations to end; clones share one flag.
///
/// A command line sets it from its handler of the interrupt signal; storing an atomic flag is all that happens there.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A token that nobody has cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everything that holds a clone of this token to end.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether someone asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn check(&self) -> Result<(), SimulatorError> {
        if self.is_cancelled() { Err(SimulatorError::Cancelled) } else { Ok(()) }
    }
}

/// Runs `"$@"` and kills the whole process group when standard input, a pipe to the caller, is closed: by a cancel, or
/// because the caller is gone.
const LIFELINE: &str = r#"exec 3<&0 </dev/null
( read -r _ <&3; kill -KILL -$$ ) >/dev/null 2>&1 &
watch=$!
exec 3<&-
"$@"
status=$?
kill -KILL $watch
exit $status"#;

/// Runs a build tool to its end with both outputs in the file `log`; true when it succeeded.
///
/// # Errors
/// When it cannot be started, or the caller cancels; then it and all its children are gone.
pub(crate) fn run_tool(
    program: &Path,
    arguments: &[OsString],
    folder: &Path,
    environment: &[(&str, &OsStr)],
    log: &Path,
    cancel: &Cancel,
) -> Result<bool, SimulatorError> {
    use std::os::unix::process::CommandExt;

    cancel.check()?;
    let output = File::create(log).map_err(SimulatorError::io(log))?;
    let errors = output.try_clone().map_err(SimulatorError::io(log))?;
    let mut child = Command::new("/bin/sh")
        .args(["-c", LIFELINE, "sh"])
        .arg(program)
        .args(arguments)
        .current_dir(folder)
        .envs(environment.iter().copied())
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .map_err(SimulatorError::io("/bin/sh"))?;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait().map_err(SimulatorError::io(program))? {
            return Ok(status.success());
        }
        if cancel.is_cancelled() {
            drop(child.stdin.take());
            child.wait().map_err(SimulatorError::io(program))?;
            return Err(SimulatorError::Cancelled);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// The last `limit` bytes of a log, as text that starts at a line.
pub(crate) fn log_tail(log: &Path, limit: usize) -> String {
    tail(&std::fs::read(log).unwrap_or_default(), limit)
}

/// The last `limit` bytes as text that starts at a line.
pub(crate) fn tail(bytes: &[u8], limit: usize) -> String {
    if bytes.len() <= limit {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let end = String::from_utf8_lossy(&bytes[bytes.len() - limit..]).into_owned();
    end.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str, folder: &Path, cancel: &Cancel) -> Result<bool, SimulatorError> {
        let arguments = ["-c".into(), script.into()];
        run_tool(Path::new("/bin/sh"), &arguments, folder, &[], &folder.join("log"), cancel)
    }

    #[test]
    fn status_and_output_arrive() {
        let folder = tempfile::tempdir().unwrap();
        assert!(shell("echo out; echo err >&2", folder.path(), &Cancel::new()).unwrap());
        assert_eq!(log_tail(&folder.path().join("log"), 100), "out\nerr\n");
        assert!(!shell("exit 3", folder.path(), &Cancel::new()).unwrap());
    }

    #[test]
    fn cancel_ends_grandchildren() {
        let folder = tempfile::tempdir().unwrap();
        let cancel = Cancel::new();
        let canceller = {
            let cancel = cancel.clone();
            let started = folder.path().join("pid");
            std::thread::spawn(move || {
                while std::fs::read_to_string(&started).unwrap_or_default().trim().is_empty() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                cancel.cancel();
            })
        };
        let start = Instant::now();
        let ended = shell("sleep 100 & echo $! > pid; wait", folder.path(), &cancel);
        canceller.join().unwrap();
        assert!(matches!(ended, Err(SimulatorError::Cancelled)));
        assert!(start.elapsed() < Duration::from_secs(50));
        let sleeper = std::fs::read_to_string(folder.path().join("pid")).unwrap();
        let status = format!("/proc/{}/stat", sleeper.trim());
        let is_gone = || std::fs::read_to_string(&status).map(|stat| stat.contains(") Z ")).unwrap_or(true);
        let gone = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            is_gone()
        });
        assert!(gone, "process {} is still there", sleeper.trim());
    }

    #[test]
    fn tail_starts_at_a_line() {
        assert_eq!(tail(b"one\ntwo\n", 100), "one\ntwo\n");
        assert_eq!(tail(b"one\ntwo\n", 6), "two\n");
    }
}
