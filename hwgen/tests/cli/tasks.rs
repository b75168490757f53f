//! What the example detectors are for, measured: masks and boxes of the quantized networks beside the float ones.

use crate::place::{Folder, repository};
use ndarray_npy::{NpzReader, ReadableElement};
use std::fs::File;
use std::path::Path;

fn array<T: ReadableElement + Clone>(path: &Path, name: &str) -> Vec<T> {
    let mut npz = NpzReader::new(File::open(path).unwrap()).unwrap();
    let array: ndarray::ArrayD<T> = npz.by_name(name).unwrap();
    array.iter().cloned().collect()
}

/// The golden model's results of an example's validation frames after `plan` with these options.
fn results(example: &str, model: &str, options: &str, reference: &str) -> Vec<f64> {
    let folder = Folder::new();
    let files = repository().join("examples").join(example).display().to_string();
    let (exit_code, report) = folder.json(&format!("plan {files}/{model} -o plan.yaml {options}"));
    assert_eq!(exit_code, 0, "{report}");
    let (exit_code, report) =
        folder.json(&format!("run plan.yaml --input {files}/val.npz:x_u8 --output out.npz {reference}"));
    assert_eq!(exit_code, 0, "{report}");
    let names = NpzReader::new(File::open(folder.join("out.npz")).unwrap()).unwrap().names().unwrap();
    let name = names.into_iter().find(|name| !name.starts_with("integers")).unwrap();
    array::<f32>(&folder.join("out.npz"), &name).into_iter().map(f64::from).collect()
}

fn calibrated(example: &str, options: &str) -> Vec<f64> {
    let files = repository().join("examples").join(example).display().to_string();
    let options = format!("--calibration {files}/calib.npz:x_u8 --input-scale 1/256 {options}");
    results(example, &format!("{example}.float.onnx"), &options, "")
}

/// Intersection over union of all pixels.
fn iou(probabilities: &[f64], mask: &[u8]) -> f64 {
    assert_eq!(probabilities.len(), mask.len());
    let count = |keep: fn(bool, bool) -> bool| {
        probabilities.iter().zip(mask).filter(|&(&p, &m)| keep(p > 0.5, m > 0)).count() as f64
    };
    count(|found, wanted| found && wanted) / count(|found, wanted| found || wanted)
}

/// The float network reaches 0.6996, the one trained with quantizers 0.6353 (measured with torch and brevitas).
#[test]
fn masks_of_irst_unet() {
    let files = repository().join("examples/irst-unet");
    let mask: Vec<u8> = array(&files.join("val.npz"), "mask");
    let reference = format!("--reference {}:qonnx_out", files.join("val_qonnx.npz").display());
    let trained = iou(&results("irst-unet", "irst-unet.qonnx.onnx", "", &reference), &mask);
    assert!((trained - 0.63532).abs() < 1e-5, "{trained}");
    let eight = iou(&calibrated("irst-unet", ""), &mask);
    assert!(eight > 0.69961 - 0.005, "{eight}");
    let four = iou(&calibrated("irst-unet", "--weight-bits 4 --activation-bits 4 --adaround --bias-correction"), &mask);
    assert!(four > 0.65, "{four}");
}

type Corners = [f64; 4];

fn overlap(a: Corners, b: Corners) -> f64 {
    let area = |c: Corners| (c[2] - c[0]) * (c[3] - c[1]);
    let side = |axis: usize| (a[axis + 2].min(b[axis + 2]) - a[axis].max(b[axis])).max(0.0);
    let common = side(0) * side(1);
    common / (area(a) + area(b) - common + 1e-9)
}

/// Average precision at an overlap of one half, all points interpolated, of heads (5, 12, 12) with stride 8 and one
/// anchor of 16 pixels. Boxes that overlap by more than half are one.
fn average_precision(heads: &[f64], truth: &[f32]) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (mut marks, mut ships) = (Vec::new(), 0);
    for (head, truth) in heads.chunks_exact(5 * 144).zip(truth.chunks_exact(16)) {
        let truth: Vec<Corners> =
            truth.chunks_exact(4).filter(|c| c[0] >= 0.0).map(|c| [0, 1, 2, 3].map(|i| f64::from(c[i]))).collect();
        ships += truth.len();
        let mut boxes: Vec<(f64, Corners)> = (0..144)
            .map(|cell| {
                let at = |channel: usize| sigmoid(head[channel * 144 + cell]);
                let centre = [(cell % 12, at(0)), (cell / 12, at(1))].map(|(i, s)| (2.0 * s - 0.5 + i as f64) * 8.0);
                let half = [at(2), at(3)].map(|s| (2.0 * s).powi(2) * 8.0);
                (at(4), [centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1]])
            })
            .filter(|(score, _)| *score > 0.02)
            .collect();
        boxes.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut taken = vec![false; truth.len()];
        let mut kept: Vec<Corners> = Vec::new();
        for (score, corners) in boxes {
            if kept.iter().any(|&other| overlap(other, corners) > 0.5) {
                continue;
            }
            kept.push(corners);
            let free = (0..truth.len()).filter(|&ship| !taken[ship]);
            let best = free.max_by(|&a, &b| overlap(truth[a], corners).total_cmp(&overlap(truth[b], corners)));
            let hit = best.filter(|&ship| overlap(truth[ship], corners) >= 0.5);
            if let Some(ship) = hit {
                taken[ship] = true;
            }
            marks.push((score, hit.is_some()));
        }
    }
    marks.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut right = 0;
    let mut points: Vec<(f64, bool)> = Vec::new();
    for (index, &(_, is_right)) in marks.iter().enumerate() {
        right += usize::from(is_right);
        points.push((right as f64 / (index + 1) as f64, is_right));
    }
    let (mut best, mut sum) = (0.0f64, 0.0);
    for &(precision, is_right) in points.iter().rev() {
        best = best.max(precision);
        sum += if is_right { best / ships as f64 } else { 0.0 };
    }
    sum
}

/// The float network has an average precision of 0.98633 (measured by the script that trained it).
#[test]
fn ships_of_ship_yolo_tiny() {
    let files = repository().join("examples/ship-yolo-tiny/val.npz");
    let boxes: Vec<f32> = array(&files, "boxes");
    let float: Vec<f64> = array::<f32>(&files, "float_out").into_iter().map(f64::from).collect();
    let float = average_precision(&float, &boxes);
    assert!((float - 0.986_329).abs() < 2e-5, "{float}");
    let eight = average_precision(&calibrated("ship-yolo-tiny", ""), &boxes);
    assert!(eight > float - 0.005, "{eight} beside {float}");
    let weights = average_precision(&calibrated("ship-yolo-tiny", "--weight-bits 4"), &boxes);
    assert!(weights > 0.95, "{weights}");
}

/// The whole networks in Verilator; minutes, so only on demand (`cargo test -- --ignored`).
#[test]
#[ignore = "builds large Verilator models for some minutes"]
fn detectors_in_verilator() {
    let check = |example: &str, model: &str, options: &str| {
        let folder = Folder::new();
        let files = repository().join("examples").join(example).display().to_string();
        let (exit_code, report) = folder.json(&format!("plan {files}/{model} -o plan.yaml {options}"));
        assert_eq!(exit_code, 0, "{report}");
        for options in ["--frames 2", "--frames 1 --stall 0.3"] {
            let (exit_code, report) =
                folder.json(&format!("simulate plan.yaml --input {files}/val.npz:x_u8 {options}"));
            assert_eq!(exit_code, 0, "{report}");
            assert_eq!(report["mismatches"].as_u64(), Some(0));
            assert_eq!(report["cycles"], report["predicted_cycles"]);
        }
    };
    check("irst-unet", "irst-unet.qonnx.onnx", "");
    for example in ["irst-unet", "ship-yolo-tiny"] {
        let files = repository().join("examples").join(example).display().to_string();
        let options = format!("--calibration {files}/calib.npz:x_u8 --input-scale 1/256");
        check(example, &format!("{example}.float.onnx"), &options);
    }
}
