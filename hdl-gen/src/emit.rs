//! Emission: a design as files, without any I/O.
//!
//! Output: Verilog, memory images, `manifest.json`, a self-checking testbench, synthesis scripts, constraints and a
//! README of the design. The same design gives the same bytes.

mod harness;
mod readme;
mod scripts;
mod testbench;

use crate::design::{Design, PredictError};
use network::manifest::{MANIFEST_VERSION, Manifest};
use std::collections::BTreeMap;

/// All files of an emitted design.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Contents by path relative to the design's folder, with `/`.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The manifest, which is also among the files.
    pub manifest: Manifest,
}

/// What emission needs to know beside the design.
#[derive(Clone, Debug)]
pub struct EmitOptions {
    /// SHA-256 of the plan document and its arrays, in hex.
    pub plan_sha256: String,
    /// Clock that constraints ask for, in MHz.
    pub clock_mhz: f64,
    /// Frames that the testbench sends, each with the integers that must come out.
    pub vectors: Vec<TestVector>,
}

/// One frame of the testbench: integers in hardware order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestVector {
    /// Input codes.
    pub input: Vec<i64>,
    /// Output integers (codes or exact sums), from the golden model.
    pub output: Vec<i64>,
}

/// Why a design cannot be emitted.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// The timing cannot be predicted.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The manifest cannot be written as JSON.
    #[error("the manifest cannot be written: {0}")]
    Manifest(#[from] serde_json::Error),
    /// A test vector does not fit the design.
    #[error("a test vector has {found} integers where a frame has {expected}")]
    Vector {
        /// Integers given.
        found: usize,
        /// Integers of a frame.
        expected: u64,
    },
}

impl Design {
    /// The design as files.
    pub fn emit(&self, options: &EmitOptions) -> Result<Artifact, EmitError> {
        let mut files = BTreeMap::new();
        let mut sources = Vec::new();
        let mut add = |path: String, text: String, sources: &mut Vec<String>| {
            sources.push(path.clone());
            files.insert(path, text.into_bytes());
        };
        for module in self.library() {
            add(format!("rtl/{}.v", module.name), module.text.to_owned(), &mut sources);
        }
        for module in self.modules() {
            add(format!("rtl/{}.v", module.name), module.text.clone(), &mut sources);
        }
        let top = self.top_text(&options.plan_sha256);
        add(format!("rtl/{}.v", top.name), top.text, &mut sources);
        for (path, text) in &self.memories {
            files.insert(path.clone(), text.clone().into_bytes());
        }
        let manifest = Manifest {
            hwgen: MANIFEST_VERSION,
            name: self.name.clone(),
            plan_sha256: options.plan_sha256.clone(),
            top: self.top.clone(),
            sources,
            memories: self.memories.keys().cloned().collect(),
            inputs: self.input_ports(),
            outputs: self.output_ports(),
            edges: self.edges(),
            modes: (self.modes > 1).then_some(self.modes),
            timing: self.timing()?,
            layers: self.rows.clone(),
        };
        let mut json = serde_json::to_string_pretty(&manifest)?;
        json.push('\n');
        files.insert("manifest.json".to_owned(), json.into_bytes());
        if !options.vectors.is_empty() {
            for (path, text) in testbench::files(self, manifest.timing, &options.vectors)? {
                files.insert(path, text.into_bytes());
            }
        }
        for (path, text) in scripts::files(&manifest, options.clock_mhz) {
            files.insert(path, text.into_bytes());
        }
        files.insert("README.md".to_owned(), readme::text(&manifest, !options.vectors.is_empty()).into_bytes());
        Ok(Artifact { files, manifest })
    }
}
