//! A folder of its own for each case, files of arrays, and what a command did.

use assert_cmd::Command;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A small network without a trained model: two layers, 32 inputs of u4, 10 sums.
pub const PLAN: &str = "\
hwgen: 1
name: tiny
random: { seed: 7 }
input: { name: x, shape: [4, 4, 2], format: u4 }
layers:
  - { name: conv1, op: conv2d, outputs: 4, kernel: [3, 3], padding: [1, 1, 1, 1], weight: s3, output: u3 }
  - { name: fc, op: dense, outputs: 10, weight: s4 }
";

/// A temporary folder in which commands run.
pub struct Folder(tempfile::TempDir);

/// What a command did.
pub struct Done {
    pub exit_code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    /// A folder with `plan.yaml`.
    pub fn with_plan(text: &str) -> Folder {
        let folder = Folder::new();
        folder.write("plan.yaml", text.as_bytes());
        folder
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.join(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.join(name)).unwrap()
    }

    /// Every file and folder with its length, and the bytes of files.
    pub fn contents(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.path().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    open.push(path.clone());
                    found.insert(path, None);
                } else {
                    let bytes = std::fs::read(&path).ok();
                    found.insert(path, bytes);
                }
            }
        }
        found
    }

    pub fn command(&self) -> Command {
        let mut command = Command::cargo_bin("hwgen").unwrap();
        command.current_dir(self.path()).env("HWGEN_CACHE", cache()).env_remove("HWGEN_SEED");
        command
    }

    /// Runs `hwgen` with arguments separated by spaces.
    pub fn run(&self, arguments: &str) -> Done {
        self.run_all(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    pub fn run_all(&self, arguments: &[&str]) -> Done {
        let output = self.command().args(arguments).output().unwrap();
        Done {
            exit_code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs with `--json`; the report is one JSON document on standard output and nothing else.
    #[track_caller]
    pub fn json(&self, arguments: &str) -> (i32, Value) {
        let done = self.run(&format!("{arguments} --json"));
        let report = serde_json::from_str(&done.stdout);
        (done.exit_code, report.unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr)))
    }

    /// A command must fail with this exit code and a diagnostic whose code starts with `code`, name `part` (of its place or message), and write nothing.
    #[track_caller]
    pub fn refuses(&self, arguments: &str, exit_code: i32, code: &str, part: &str) {
        let before = self.contents();
        let done = self.run(arguments);
        let shown = format!("{arguments}\n{}{}", done.stdout, done.stderr);
        assert_eq!(done.exit_code, exit_code, "{shown}");
        assert!(done.stderr.contains(&format!("error[{code}")), "no {code}: {shown}");
        assert!(done.stderr.contains(part), "no `{part}`: {shown}");
        assert!(done.stderr.contains("\n  help: "), "no help: {shown}");
        assert_eq!(done.stdout, "", "a report beside the fault");
        assert!(self.contents() == before, "something was written: {:?}", self.contents().keys());
        let (json_exit_code, report) = self.json(arguments);
        assert_eq!(json_exit_code, exit_code);
        let codes = report["diagnostics"].as_array().unwrap().iter().map(|fault| fault["code"].as_str().unwrap());
        assert!(codes.into_iter().any(|found| found.starts_with(code)), "{report}");
    }
}

/// Verilator models that all tests of a build folder share.
pub fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("models")
}

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A `.npy` file.
pub fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.bytes());
    bytes.extend(elements);
    bytes
}

/// A `.npy` file of 32-bit floats.
pub fn npy_floats(shape: &str, elements: &[f32]) -> Vec<u8> {
    npy("<f4", shape, &elements.iter().flat_map(|element| element.to_le_bytes()).collect::<Vec<u8>>())
}

/// A `.npz` file, compressed.
pub fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        archive.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}
