//! Reading input documents: plans with their arrays, and models.

use crate::failure::Outcome;
use crate::output::{cannot_write, write_files};
use network::arrays::{Arrays, sha256_hex};
use network::graph::NetworkParts;
use network::plan::{Constants, Plan, Target, WriteOptions, Written, write};
use network::{Code, Diagnostic, Network, Place};
use quantizer::{ExternalPart, inline_external};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Largest plan in bytes.
const MAX_PLAN_BYTES: u64 = 32 << 20;
/// Largest model or sidecar file in bytes: a protobuf message cannot be larger.
const MAX_BINARY_BYTES: u64 = 2 << 30;
/// What is read at most from something that is no regular file, such as a pipe.
const MAX_PIPE_BYTES: u64 = 64 << 20;

/// A plan with everything that belongs to it.
pub struct LoadedPlan {
    /// The document.
    pub plan: Plan,
    /// What it computes.
    pub network: Network,
    /// SHA-256 of the document and its arrays, in hex.
    pub sha256: String,
}

/// Reads a plan and the arrays beside it.
pub fn load(path: &Path) -> Outcome<LoadedPlan> {
    let name = path.display().to_string();
    let bytes = read(path, MAX_PLAN_BYTES, Code::PlanSyntax)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&b| b == b'\n').count();
        let place = Place { line: Some(line as u64), ..Place::file(&name) };
        Diagnostic::new(Code::PlanSyntax, place, "the plan is not UTF-8 text", "save it as UTF-8")
    })?;
    let plan = Plan::parse(&text, &name)?;
    let arrays = match plan.arrays_file() {
        None => None,
        Some(file) => {
            let beside = path.parent().unwrap_or(Path::new("")).join(&file.value);
            let bytes = read(&beside, MAX_BINARY_BYTES, Code::ArrayFile).map_err(|fault| match fault.code {
                Code::InputRead => Diagnostic::new(
                    Code::ArrayMissing,
                    file.place.clone(),
                    format!("the sidecar file {}: {}", beside.display(), fault.message),
                    "keep the arrays beside the plan, or write both again with `hwgen plan`",
                ),
                _ => fault,
            })?;
            Some(Arrays::parse(bytes, &beside.display().to_string())?)
        }
    };
    built(plan, text, arrays.as_ref())
}

/// A plan as [`load`] would read it after it is written; `name` stands in diagnostics.
pub fn read_back(written: &Written, name: &str) -> Outcome<LoadedPlan> {
    let plan = Plan::parse(&written.plan, name)?;
    let arrays = Arrays::parse(written.arrays.clone(), name)?;
    built(plan, written.plan.clone(), Some(&arrays))
}

fn built(plan: Plan, text: String, arrays: Option<&Arrays>) -> Outcome<LoadedPlan> {
    let network = plan.build(arrays)?;
    let mut hashed = text.into_bytes();
    hashed.extend(arrays.map(Arrays::sha256).unwrap_or_default().bytes());
    Ok(LoadedPlan { plan, network, sha256: sha256_hex(&hashed) })
}

/// Writes a plan that differs from a loaded one in hardware and target alone, and its arrays beside it.
pub fn write_again(path: &Path, loaded: &LoadedPlan, parts: &NetworkParts, target: Target) -> Outcome<()> {
    let Some(stem) = path.file_stem() else {
        return Err(cannot_write(path, &io::Error::other("is not the name of a file")).into());
    };
    let random = match &loaded.plan.constants {
        Constants::Random { seed, extreme } => Some((seed.value, *extreme)),
        Constants::Arrays { .. } => None,
    };
    let arrays_file = format!("{}.arrays.safetensors", stem.to_string_lossy());
    let arrays_path = path.with_file_name(&arrays_file);
    let model = loaded.plan.model.clone();
    let written = write(parts, &WriteOptions { arrays_file, model, target, random, ..WriteOptions::default() })?;
    match random {
        Some(_) => Ok(write_files(&[(path, written.plan.as_bytes())])?),
        None => Ok(write_files(&[(&arrays_path, &written.arrays), (path, written.plan.as_bytes())])?),
    }
}

/// Reads a model, with tensors that lie in files beside it; and the SHA-256 of the model file itself.
pub fn read_model(path: &Path) -> Outcome<(Vec<u8>, String)> {
    let bytes = read(path, MAX_BINARY_BYTES, Code::ModelSyntax)?;
    let hash = sha256_hex(&bytes);
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut left = MAX_BINARY_BYTES;
    let mut part = |part: &ExternalPart| -> Result<Vec<u8>, String> {
        let place = folder.join(&part.location);
        let told = |error: io::Error| format!("{} cannot be read: {error}", place.display());
        let mut file = File::open(&place).map_err(told)?;
        if !file.metadata().map_err(told)?.is_file() {
            return Err(format!("{} is no file", place.display()));
        }
        file.seek(SeekFrom::Start(part.offset)).map_err(told)?;
        let most = part.length.unwrap_or(left).min(left.saturating_add(1));
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes).map_err(told)?;
        let found = bytes.len() as u64;
        if part.length.is_some_and(|length| length > found) || found > left {
            let wanted = part.length.unwrap_or(found);
            return Err(format!("{} holds {found} of {wanted} bytes, or more than {left} are left", place.display()));
        }
        left -= found;
        Ok(bytes)
    };
    Ok((inline_external(bytes, &path.display().to_string(), &mut part)?, hash))
}

/// Reads a text; one that is too long has the code `code`.
pub fn read_text(path: &Path, code: Code) -> Result<String, Diagnostic> {
    let bytes = read(path, MAX_PLAN_BYTES, code)?;
    String::from_utf8(bytes).map_err(|_| {
        Diagnostic::new(code, Place::file(path.display().to_string()), "is not UTF-8 text", "save it as UTF-8")
    })
}

/// All bytes of a file; `too_large` is the code of one that is longer than `most`.
fn read(path: &Path, most: u64, too_large: Code) -> Result<Vec<u8>, Diagnostic> {
    let name = path.display().to_string();
    let unreadable = |error: io::Error| {
        Diagnostic::new(
            Code::InputRead,
            Place::file(&name),
            format!("cannot be read: {error}"),
            "check the path and its permissions",
        )
    };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(unreadable(io::Error::other("is a directory")));
    }
    let most = if metadata.is_file() { most } else { most.min(MAX_PIPE_BYTES) };
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        return Err(Diagnostic::new(
            too_large,
            Place::file(&name),
            format!("longer than {most} bytes"),
            "give a file of a sensible length",
        ));
    }
    Ok(bytes)
}
