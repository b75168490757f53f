//! Tensors whose elements lie in files beside the model: they are put into it, so that everything behind needs the model
//! alone. Which files are read, and how, is the caller's.

use super::{Graph, Model, Tensor, decode};
use crate::fault::Fault;
use crate::import::of_file;
use network::Diagnostics;
use prost::Message;

/// Part of a file beside the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalPart {
    /// Path relative to the model's folder; it does not lead out of it.
    pub location: String,
    /// First byte.
    pub offset: u64,
    /// Bytes; absent for all that follow.
    pub length: Option<u64>,
}

/// The model with the elements of all its tensors; the same bytes where none lies elsewhere.
///
/// # Errors
/// Codes E0401 and E0404, the latter with the tensor's name: a path that leads out of the folder, or what `read` says.
pub fn inline_external(
    model_bytes: Vec<u8>,
    file_name: &str,
    read: &mut dyn FnMut(&ExternalPart) -> Result<Vec<u8>, String>,
) -> Result<Vec<u8>, Diagnostics> {
    let mut model = decode(&model_bytes).map_err(|fault| of_file(fault, file_name))?;
    let is_external = |tensor: &&mut Tensor| tensor.data_location == EXTERNAL;
    let mut faults = Diagnostics::default();
    let mut changes = false;
    for tensor in tensors(&mut model).filter(is_external) {
        changes = true;
        if let Err(fault) = filled(tensor, read) {
            faults.push(fault.at(file_name, &tensor.name));
        }
    }
    faults.or(())?;
    Ok(if changes { model.encode_to_vec() } else { model_bytes })
}

/// `TensorProto.EXTERNAL`.
const EXTERNAL: i32 = 1;

fn tensors(model: &mut Model) -> impl Iterator<Item = &mut Tensor> {
    let parts = model.graph.as_mut().map(|Graph { node, initializer, .. }| {
        let attributes = node.iter_mut().flat_map(|node| &mut node.attribute);
        initializer.iter_mut().chain(attributes.filter_map(|attribute| attribute.t.as_mut()))
    });
    parts.into_iter().flatten()
}

/// Reads the elements of a tensor.
fn filled(tensor: &mut Tensor, read: &mut dyn FnMut(&ExternalPart) -> Result<Vec<u8>, String>) -> Result<(), Fault> {
    let refuse = |what: &str| {
        Fault::constant(
            format!("`{}` lies in an external data file: {what}", tensor.name),
            "keep the file beside the model, or store the weights inside it: onnx.save(model, path, save_as_external_data=False)",
        )
    };
    let entry =
        |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(text) => text.parse::<u64>().map(Some).map_err(|_| refuse(&format!("its {key} is `{text}`"))),
    };
    let location = entry("location").unwrap_or("");
    let leads_out = location.is_empty()
        || location.starts_with(['/', '\\'])
        || location.contains(':')
        || location.split(['/', '\\']).any(|step| step == "..");
    if leads_out {
        return Err(refuse(&format!("`{location}` is no path inside the model's folder")));
    }
    let part = ExternalPart {
        location: location.to_owned(),
        offset: number("offset")?.unwrap_or(0),
        length: number("length")?,
    };
    let bytes = read(&part).map_err(|error| refuse(&error))?;
    tensor.raw_data = bytes;
    tensor.data_location = 0;
    tensor.external_data.clear();
    Ok(())
}
