//! A design on disk: its folder and its manifest, checked as far as the manifest goes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use network::manifest::{MANIFEST_VERSION, Manifest, StreamPort, Word};

use crate::SimulatorError;
use crate::protocol::{EDGES_MOST, INPUTS_MOST, OUTPUTS_MOST};
use crate::words::frame_bytes;

/// Widest word that a stream may carry, in bits.
const WORD_BITS_MOST: u64 = 1 << 20;
/// Largest frame that is held in memory, in bytes.
const FRAME_BYTES_MOST: u64 = 1 << 30;

/// A design's folder with its checked manifest.
#[derive(Clone, Debug)]
pub struct DesignFolder {
    folder: PathBuf,
    manifest: Manifest,
}

impl DesignFolder {
    /// Reads `manifest.json` in `folder`.
    ///
    /// # Errors
    /// When it cannot be read, or says something that cannot be simulated.
    pub fn load(folder: &Path) -> Result<Self, SimulatorError> {
        let path = folder.join("manifest.json");
        let text = fs::read(&path).map_err(SimulatorError::io(&path))?;
        let manifest = serde_json::from_slice(&text)
            .map_err(|error| SimulatorError::Design { path: path.clone(), problem: error.to_string() })?;
        Self::new(folder, manifest)
    }

    /// A design whose files lie in `folder`, with a manifest that is at hand already.
    ///
    /// # Errors
    /// When the folder is not there, or the manifest says something that cannot be simulated.
    pub fn new(folder: &Path, manifest: Manifest) -> Result<Self, SimulatorError> {
        check(&manifest).map_err(|problem| SimulatorError::Design { path: folder.join("manifest.json"), problem })?;
        let folder = folder.canonicalize().map_err(SimulatorError::io(folder))?;
        Ok(Self { folder, manifest })
    }

    /// The folder; the model runs in it, so that the paths of memory images are relative to it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the design is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

fn check(manifest: &Manifest) -> Result<(), String> {
    if manifest.hwgen != MANIFEST_VERSION {
        return Err(format!("version {} is not {MANIFEST_VERSION}", manifest.hwgen));
    }
    check_identifier("top", &manifest.top)?;
    if manifest.sources.is_empty() {
        return Err("no sources".into());
    }
    for path in manifest.sources.iter().chain(&manifest.memories) {
        check_path(path)?;
    }
    check_ends(manifest)?;
    if manifest.edges.len() > EDGES_MOST {
        return Err(format!("{} edges are more than {EDGES_MOST}", manifest.edges.len()));
    }
    let mut names = BTreeSet::new();
    for edge in &manifest.edges {
        if !names.insert(&edge.name) {
            return Err(format!("two edges are named {:?}", edge.name));
        }
        let place = format!("edge {:?}", edge.name);
        for net in [&edge.module, &edge.valid, &edge.data].into_iter().chain(&edge.ready) {
            check_identifier(&place, net)?;
        }
        for instance in &edge.path {
            for name in instance.split('.') {
                check_identifier(&place, name)?;
            }
        }
        word_bits(&place, &edge.word)?;
        if edge.words_per_frame == 0 {
            return Err(format!("{place}: words_per_frame is 0"));
        }
    }
    Ok(())
}

fn check_ends(manifest: &Manifest) -> Result<(), String> {
    if manifest.inputs.is_empty() || manifest.inputs.len() > INPUTS_MOST {
        return Err(format!("{} inputs are not 1..={INPUTS_MOST}", manifest.inputs.len()));
    }
    if manifest.outputs.is_empty() || manifest.outputs.len() > OUTPUTS_MOST {
        return Err(format!("{} outputs are not 1..={OUTPUTS_MOST}", manifest.outputs.len()));
    }
    let mut prefixes = BTreeSet::new();
    let inputs = manifest.inputs.iter().map(|input| (format!("input {:?}", input.name), &input.prefix, &input.port));
    let outputs = manifest.outputs.iter();
    let outputs = outputs.map(|output| (format!("output {:?}", output.name), &output.prefix, &output.port));
    for (place, prefix, port) in inputs.chain(outputs) {
        check_identifier(&place, prefix)?;
        if !prefixes.insert(prefix) {
            return Err(format!("{place}: two ports begin with {prefix:?}"));
        }
        check_port(&place, port)?;
    }
    let frame = manifest.inputs.iter().fold(0u64, |sum, input| sum.saturating_add(frame_bytes(&input.port) as u64));
    if frame > FRAME_BYTES_MOST {
        return Err(format!("a frame of all inputs has {frame} bytes, more than {FRAME_BYTES_MOST}"));
    }
    Ok(())
}

fn check_port(place: &str, port: &StreamPort) -> Result<(), String> {
    let bits = word_bits(place, &port.word)?;
    let tdata_bits = u64::from(port.tdata_bits);
    if tdata_bits % 8 != 0 || tdata_bits < bits || tdata_bits > WORD_BITS_MOST {
        return Err(format!("{place}: tdata_bits {tdata_bits} is not a multiple of 8 in {bits}..={WORD_BITS_MOST}"));
    }
    match port.words_per_frame.checked_mul(tdata_bits / 8) {
        Some(1..=FRAME_BYTES_MOST) => Ok(()),
        _ => Err(format!(
            "{place}: {} words of {tdata_bits} bits are not 1..={FRAME_BYTES_MOST} bytes",
            port.words_per_frame
        )),
    }
}

fn word_bits(place: &str, word: &Word) -> Result<u64, String> {
    let bits = u64::from(word.lanes) * u64::from(word.lane_bits);
    if bits == 0 || bits > WORD_BITS_MOST || word.lane_bits > 64 {
        return Err(format!("{place}: a word of {} lanes of {} bits is not supported", word.lanes, word.lane_bits));
    }
    Ok(bits)
}

fn check_identifier(place: &str, name: &str) -> Result<(), String> {
    let mut bytes = name.bytes();
    let good = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if good { Ok(()) } else { Err(format!("{place}: {name:?} is not a plain Verilog identifier")) }
}

fn check_path(path: &str) -> Result<(), String> {
    let inside = !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if inside && !path.starts_with('-') {
        Ok(())
    } else {
        Err(format!("{path:?} is not a path inside the folder of the manifest"))
    }
}
