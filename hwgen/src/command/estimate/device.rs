//! Which part an estimate is for.

use crate::hardware::internal;
use hdl_gen::cost::{Cells, Device, DeviceError, Devices, Family, Fault};
use network::diagnostic::with_closest;
use network::plan::Target;
use network::{Code, Diagnostic, Place};
use std::path::Path;

/// The part where neither the command line nor the plan names one.
const DEFAULT_PART: &str = "xc7z020";

/// The part that is asked for: by name, or by the path of a part's file.
pub fn choose(asked: Option<&str>, target: &Target) -> Result<Device, Diagnostic> {
    let (name, place) = match (asked, &target.device) {
        (Some(name), _) => (name, Place::default()),
        (None, Some(at)) => (at.value.as_str(), at.place.clone()),
        (None, None) => (DEFAULT_PART, Place::default()),
    };
    let devices = Devices::known().map_err(|fault| internal(&fault))?;
    if let Some(device) = devices.get(name) {
        return Ok(device.clone());
    }
    if asked.is_some() && (name.ends_with(".yaml") || name.contains('/')) {
        return from_file(Path::new(name));
    }
    let names: Vec<&str> = devices.names().collect();
    let parts = format!("the parts are {}; or give the path of a part's file", names.join(", "));
    let help = with_closest(name, &names, &parts);
    Err(Diagnostic::new(Code::Device, place, format!("there is no part `{name}`"), help))
}

fn from_file(path: &Path) -> Result<Device, Diagnostic> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let place = Place::file(&name);
        Diagnostic::new(Code::InputRead, place, format!("the part's file cannot be read: {error}"), "check the path")
    })?;
    Device::parse(&text).map_err(|fault| {
        let mut place = Place::file(&name);
        let mut help =
            "a part's file has name, family, source, lut, ff, dsp, uram and bram36 or bram18, as in constraints/parts"
                .to_owned();
        if let DeviceError::Syntax { message, at } = &fault {
            (place.line, place.column) = at.unzip();
            // An unknown word stands in front of those that could stand there.
            if let Some((word, known)) =
                message.strip_prefix("unknown ").and_then(|rest| rest.split_once(", expected "))
                && let Some(word) = word.split('`').nth(1)
            {
                let known: Vec<&str> = known.trim_start_matches("one of ").split(", ").collect();
                help = with_closest(word, &known, &help);
            }
        }
        Diagnostic::new(Code::Device, place, format!("this is no part's file: {fault}"), help)
    })
}

/// The areas of standard cells that a part is priced by: those of a Liberty file where one is given, else the part's own; none
/// for parts that are no standard cells.
pub fn cells(device: &Device, liberty: Option<&Path>) -> Result<Option<Cells>, Diagnostic> {
    let Some(path) = liberty else { return Ok(device.cells) };
    let name = path.display().to_string();
    let fault = |message: String, help: &str| Diagnostic::new(Code::Device, Place::file(&name), message, help);
    if device.family != Family::Asic {
        let message = format!("`{}` is of family {}, which has no standard cells", device.name, device.family.name());
        return Err(fault(message, "give a part of family asic with it, as --device osu018"));
    }
    let text = std::fs::read(path).map_err(|error| {
        let message = format!("the Liberty file cannot be read: {error}");
        Diagnostic::new(Code::InputRead, Place::file(&name), message, "check the path")
    })?;
    let parsed = Cells::parse(&String::from_utf8_lossy(&text));
    let help = "a Liberty file has a group `library` of cells with areas, among them a flip-flop and a NAND gate of two inputs";
    parsed.map(Some).map_err(|error| fault(format!("the Liberty file cannot be used: {error}"), help))
}

/// A family without a model.
pub fn no_model(fault: &Fault) -> Diagnostic {
    match fault {
        Fault::Unfitted(_) => {
            let help = "no figure is guessed; choose a part of another family";
            Diagnostic::new(Code::Device, Place::default(), fault.to_string(), help)
        }
        Fault::File { .. } => internal(fault),
    }
}
