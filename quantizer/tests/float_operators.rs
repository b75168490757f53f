//! Float operators against onnxruntime's outputs, recorded by `scripts/record-float`.

use crate::frames::{names, read};
use quantizer::FloatModel;
use std::path::Path;

/// Runs one case; says what differs by more than rounding.
fn case(path: &Path, name: &str) -> Result<(), String> {
    let array = |kind: &str| format!("{name}.{kind}");
    let (model, _) = read::<u8>(path, &array("model")).ok_or("no model")?;
    let (inputs, frames) = read::<f32>(path, &array("x")).ok_or("no inputs")?;
    let (expected, _) = read::<f32>(path, &array("y")).ok_or("no outputs")?;
    let model = FloatModel::read(&model, name).map_err(|faults| faults.to_string())?;
    let outputs = model.run(&inputs).map_err(|faults| faults.to_string())?.concat();
    if outputs.len() != expected.len() {
        return Err(format!("{} results in {frames} frames instead of {}", outputs.len(), expected.len()));
    }
    let largest = expected.iter().fold(1f32, |most, value| most.max(value.abs()));
    let error = outputs.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    if error <= 2e-6 * largest { Ok(()) } else { Err(format!("differs by {error} where results reach {largest}")) }
}

#[test]
fn operators_equal_onnxruntime() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/float_operators.npz");
    let cases: Vec<String> = names(&path)
        .into_iter()
        .filter_map(|name| Some(name.strip_suffix(".npy").unwrap_or(&name).strip_suffix(".model")?.to_owned()))
        .collect();
    let wrong: Vec<String> =
        cases.iter().filter_map(|name| Some(format!("{name}: {}", case(&path, name).err()?))).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(cases.len(), 225);
}
