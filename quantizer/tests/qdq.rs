//! Small QDQ models against the codes of onnxruntime, recorded by `scripts/record-qdq`.

use crate::evaluator::{codes_of, evaluate};
use crate::frames::{names, read};
use network::Network;
use quantizer::{ImportOptions, QdqRule, import};
use std::path::{Path, PathBuf};

fn path(group: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records").join(format!("qdq_{group}.npz"))
}

/// Outputs that differ from the recorded ones (`y` with onnxruntime's kernels, `plain` without) of a case, of how many.
fn case(group: &Path, name: &str, recorded: &str, rule: QdqRule) -> Result<(usize, usize), String> {
    let array = |kind: &str| format!("{name}.{kind}");
    let (model, _) = read::<u8>(group, &array("model")).ok_or("no model")?;
    let (inputs, frames) = read::<f32>(group, &array("x")).ok_or("no inputs")?;
    let (expected, _) = read::<f32>(group, &array(recorded)).ok_or("no outputs")?;
    let options = ImportOptions { qdq_rule: rule, ..ImportOptions::default() };
    let imported = import(&model, name, &options).map_err(|faults| faults.to_string())?;
    let network = Network::build(imported.parts).map_err(|faults| faults.to_string())?;
    let (elements, results) = (inputs.len() / frames, expected.len() / frames);
    let largest = expected.iter().fold(0f32, |most, value| most.max(value.abs()));
    let mut differ = 0;
    for frame in 0..frames {
        let outcome = evaluate(&network, &codes_of(&network, &inputs[frame * elements..(frame + 1) * elements]));
        let expected = &expected[frame * results..(frame + 1) * results];
        if outcome.outputs[0].len() != results {
            return Err(format!("{} results instead of {results}", outcome.outputs[0].len()));
        }
        // Codes are whole; real outputs are rounded to float32 by onnxruntime.
        let far = |(got, expected): (&f64, &f32)| (got - f64::from(*expected)).abs() > 1e-6 * f64::from(largest);
        differ += outcome.outputs[0].iter().zip(expected).filter(|pair| far((pair.0, pair.1))).count();
    }
    Ok((differ, frames * results))
}

/// All cases of a group under the float32 rule: equal to what onnxruntime's kernels give, but for the `exceptions`:
/// with which recording they are compared, and how many outputs differ. There onnxruntime has no integer kernel for the
/// case and sums in float32 in an order of its own, takes one
/// that rounds the data to 8 bits, or averages in float32.
#[track_caller]
fn check(group: &str, count: usize, exceptions: &[(&str, &str, usize)]) {
    let path = path(group);
    let cases: Vec<String> = names(&path)
        .into_iter()
        .filter_map(|name| Some(name.strip_suffix(".npy").unwrap_or(&name).strip_suffix(".model")?.to_owned()))
        .collect();
    let mut wrong = Vec::new();
    for name in &cases {
        let exception = exceptions.iter().find(|(exception, ..)| exception == name);
        let (recorded, expected) = exception.map_or(("y", 0), |(_, recorded, differ)| (*recorded, *differ));
        match case(&path, name, recorded, QdqRule::Float32) {
            Ok((differ, _)) if differ == expected => {}
            Ok((differ, outputs)) => wrong.push(format!("{name}: {differ} of {outputs} differ, {expected} expected")),
            Err(what) => wrong.push(format!("{name}: {what}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(cases.len(), count);
}

#[test]
fn dense() {
    check("dense", 41, &[]);
}

#[test]
fn convolutions() {
    check("convolutions", 38, &[("pads_tensor_s8", "y", 1)]);
}

#[test]
fn types() {
    check("types", 23, &[("s16_s8", "plain", 0), ("s16_s8_microsoft", "plain", 0), ("weights_u4_channel", "y", 1)]);
}

#[test]
fn chains() {
    check("chains", 36, &[]);
}

#[test]
fn operators() {
    check("operators", 19, &[]);
}

#[test]
fn graphs() {
    check("graphs", 16, &[("averagepool", "y", 3), ("globalaveragepool", "y", 1)]);
}

#[test]
fn scales() {
    check("scales", 35, &[]);
}

/// The records tell the rules apart: under the exact rule some codes differ, at most 3 of a hundred.
#[test]
fn the_exact_rule_differs() {
    let path = path("scales");
    let (mut differ, mut outputs) = (0, 0);
    for name in names(&path).iter().filter_map(|name| name.strip_suffix(".npy").unwrap_or(name).strip_suffix(".model"))
    {
        let (wrong, all) = case(&path, name, "y", QdqRule::Exact).unwrap();
        (differ, outputs) = (differ + wrong, outputs + all);
    }
    assert!(differ > 0, "the exact rule is the float32 rule");
    println!("{differ} of {outputs} codes differ under the exact rule");
    assert!(differ * 100 <= 3 * outputs, "{differ} of {outputs}");
}
