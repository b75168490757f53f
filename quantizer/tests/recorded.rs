//! Small models of every kind against outputs of QONNX's reference executor, recorded by `scripts/record-qonnx`.

use crate::evaluator::{codes_of, evaluate};
use crate::frames::{names, read};
use network::Network;
use quantizer::{ImportOptions, import};
use std::path::{Path, PathBuf};

fn path(group: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records").join(format!("{group}.npz"))
}

/// Imports and evaluates one case; says what differs.
fn case(group: &Path, name: &str) -> Result<usize, String> {
    let array = |kind: &str| format!("{name}.{kind}");
    let (model, _) = read::<u8>(group, &array("model")).ok_or("no model")?;
    let (inputs, frames) = read::<f32>(group, &array("x")).ok_or("no inputs")?;
    let first = read::<f32>(group, &array("y")).ok_or("no outputs")?.0;
    let others = (1..).map_while(|index| Some(read::<f32>(group, &array(&format!("y{index}")))?.0));
    let expected: Vec<Vec<f32>> = std::iter::once(first).chain(others).collect();
    let imported = import(&model, name, &ImportOptions::default()).map_err(|faults| faults.to_string())?;
    let network = Network::build(imported.parts).map_err(|faults| faults.to_string())?;
    let elements = inputs.len() / frames;
    let mut explained = 0;
    for frame in 0..frames {
        let outcome = evaluate(&network, &codes_of(&network, &inputs[frame * elements..(frame + 1) * elements]));
        if outcome.outputs.len() != expected.len() {
            return Err(format!("{} outputs instead of {}", outcome.outputs.len(), expected.len()));
        }
        let mut differs = false;
        for (reals, expected) in outcome.outputs.iter().zip(&expected) {
            let results = expected.len() / frames;
            let largest = expected.iter().fold(0f32, |most, value| most.max(value.abs()));
            let expected = &expected[frame * results..(frame + 1) * results];
            if reals.len() != results {
                return Err(format!("{} results instead of {results}", reals.len()));
            }
            let error = reals.iter().zip(expected).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max);
            if error > 1e-5 * f64::from(largest) {
                if outcome.near == 0 {
                    return Err(format!("frame {frame}: {reals:?} instead of {expected:?}"));
                }
                differs = true;
            }
        }
        explained += usize::from(differs);
    }
    Ok(explained)
}

/// All cases of a group; frames with a sum next to a boundary may differ, but at most `explained` of them.
#[track_caller]
fn check(group: &str, count: usize, explained: usize) {
    let path = path(group);
    let cases: Vec<String> = names(&path)
        .into_iter()
        .filter_map(|name| Some(name.strip_suffix(".npy").unwrap_or(&name).strip_suffix(".model")?.to_owned()))
        .collect();
    let mut wrong = Vec::new();
    let mut total = 0;
    for name in &cases {
        match case(&path, name) {
            Ok(explained) => total += explained,
            Err(what) => wrong.push(format!("{group}/{name}: {what}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(cases.len(), count);
    assert!(total <= explained, "{total} frames differ next to a boundary");
}

#[test]
fn rounding_modes() {
    check("rounding", 34, 0);
}

#[test]
fn ranges() {
    check("ranges", 17, 3);
}

#[test]
fn zero_points() {
    check("zero_points", 22, 0);
}

#[test]
fn planes() {
    check("planes", 8, 0);
}

#[test]
fn batch_norm() {
    check("batch_norm", 16, 0);
}

#[test]
fn truncations() {
    check("truncations", 21, 0);
}

#[test]
fn multi_threshold() {
    check("multi_threshold", 19, 0);
}

#[test]
fn convolutions() {
    check("convolutions", 11, 0);
}

#[test]
fn pools() {
    check("pools", 38, 0);
}

#[test]
fn layouts() {
    check("layouts", 16, 0);
}

#[test]
fn pointwise() {
    check("pointwise", 18, 0);
}

#[test]
fn leftovers() {
    check("leftovers", 15, 0);
}

#[test]
fn constants() {
    check("constants", 10, 0);
}

#[test]
fn branches() {
    check("branches", 34, 1);
}

#[test]
fn windows() {
    check("windows", 56, 0);
}

#[test]
fn products() {
    check("products", 7, 0);
}

#[test]
fn moves() {
    check("moves", 22, 2);
}

#[test]
fn activations() {
    check("activations", 46, 1);
}

#[test]
fn averages() {
    check("averages", 21, 0);
}

#[test]
fn greatest() {
    check("greatest", 13, 0);
}

/// A Relu before plane codes leaves the upper half of them: the top plane is always +1.
#[test]
fn half_range_codes_keep_their_top_plane() {
    let (model, _) = read::<u8>(&path("planes"), "half_range.model").unwrap();
    let imported = import(&model, "half_range.onnx", &ImportOptions::default()).unwrap();
    let requantization = imported.parts.layers[0].requantization.as_ref().unwrap();
    assert_eq!(requantization.output.to_string(), "bipolar3");
    assert_eq!((requantization.codes.min(), requantization.codes.max()), (4, 7));
}
