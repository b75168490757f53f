//! Files of frames, labels and references: what is taken, and what is refused with a code E05xx.

use crate::place::{Folder, PLAN, npy, npy_floats, npz};

fn folder() -> Folder {
    let folder = Folder::with_plan(PLAN);
    let codes: Vec<u8> = (0..96).map(|index| index % 16).collect();
    folder.write("a.npz", &npz(&[("x", npy("|u1", "(3, 2, 4, 4)", &codes)), ("y", npy("|u1", "(3,)", &[0, 1, 2]))]));
    folder
}

/// One array of frames that is refused.
#[track_caller]
fn refused(array: Vec<u8>, code: &str, part: &str) {
    let folder = folder();
    folder.write("b.npz", &npz(&[("x", array.clone())]));
    folder.refuses("run plan.yaml --input b.npz --output out.npz", 2, code, part);
    folder.write("b.npy", &array);
    folder.refuses("run plan.yaml --input b.npy --output out.npz", 2, code, part);
}

/// One array of frames that gives the same outputs as the frames of `a.npz`.
#[track_caller]
fn taken(array: Vec<u8>) {
    let folder = folder();
    folder.write("b.npy", &array);
    assert_eq!(folder.run("run plan.yaml --input a.npz --output out.npz").exit_code, 0);
    let (exit_code, report) = folder.json("run plan.yaml --input b.npy --reference out.npz:integers --tolerance 0");
    assert_eq!((exit_code, report["reference"]["frames"].as_u64()), (0, Some(3)), "{report}");
}

#[test]
fn shapes_and_types_that_are_taken() {
    let codes: Vec<u8> = (0..96).map(|index| index % 16).collect();
    taken(npy("|u1", "(3, 32)", &codes));
    taken(npy("|i1", "(3, 2, 16)", &codes));
    taken(npy(
        "<i8",
        "(3, 1, 2, 4, 4)",
        &codes.iter().flat_map(|&code| i64::from(code).to_le_bytes()).collect::<Vec<_>>(),
    ));
    taken(npy(">u2", "(3, 32)", &codes.iter().flat_map(|&code| u16::from(code).to_be_bytes()).collect::<Vec<_>>()));
}

#[test]
fn wrong_shapes() {
    refused(npy("|u1", "(3, 31)", &[0; 93]), "E0502", "takes 32");
    refused(npy("|u1", "(96,)", &[0; 96]), "E0502", "takes 32");
    refused(npy("|u1", "()", &[0]), "E0502", "takes 32");
    refused(npy("|u1", "(0, 32)", &[]), "E0502", "no frames");
    refused(npy("|u1", "(3, 4, 4, 2)", &[0; 96]), "E0502", "another order");
    refused(npy("|u1", "(3, 4294967296, 4294967296)", &[0; 96]), "E0501", "shape");
}

#[test]
fn wrong_values() {
    let mut codes = [0; 96];
    codes[40] = 16;
    refused(npy("|u1", "(3, 32)", &codes), "E0503", "frame 1");
    refused(npy_floats("(3, 32)", &[0.0; 96]), "E0502", "no quantizer");
    refused(npy("<c8", "(3, 32)", &[0; 768]), "E0501", "`<c8`");
    refused(npy("|O", "(3, 32)", &[0; 96]), "E0501", "`|O`");
}

#[test]
fn real_frames_go_through_the_input_quantizer() {
    let plan = PLAN.replace("format: u4 }", "format: u4, scale: 0.5 }");
    let folder = Folder::with_plan(&plan);
    let codes: Vec<u8> = (0..96).map(|index| index % 16).collect();
    let reals: Vec<f32> = codes.iter().map(|&code| f32::from(code) * 0.5).collect();
    folder.write("codes.npy", &npy("|u1", "(3, 32)", &codes));
    folder.write("reals.npy", &npy_floats("(3, 32)", &reals));
    assert_eq!(folder.run("run plan.yaml --input codes.npy --output out.npz").exit_code, 0);
    for input in ["reals.npy", "codes.npy --input-scale 0.5"] {
        let done = folder.run(&format!("run plan.yaml --input {input} --reference out.npz:integers --tolerance 0"));
        assert_eq!(done.exit_code, 0, "{}{}", done.stdout, done.stderr);
    }
    let done = folder.run("run plan.yaml --input codes.npy --input-scale 1 --reference out.npz:integers --tolerance 0");
    assert_eq!(done.exit_code, 1, "codes taken twice as large must differ: {}", done.stdout);
    folder.write("nan.npy", &npy_floats("(3, 32)", &[f32::NAN; 96]));
    folder.refuses("run plan.yaml --input nan.npy --output out2.npz", 2, "E0503", "NaN");
}

#[test]
fn malformed_files() {
    let folder = folder();
    let whole = std::fs::read(folder.join("a.npz")).unwrap();
    for end in (0..whole.len()).step_by(whole.len() / 12) {
        folder.write("b.npz", &whole[..end]);
        folder.refuses("run plan.yaml --input b.npz", 2, "E0501", "b.npz");
    }
    for at in 30..60 {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        folder.write("b.npz", &damaged);
        assert!([0, 2].contains(&folder.run("run plan.yaml --input b.npz").exit_code), "byte {at}");
    }
    folder.write("b.npz", &npz(&[("x", npy("|u1", "(3, 32)", &[0; 95]))]));
    folder.refuses("run plan.yaml --input b.npz", 2, "E0501", "95 bytes");
    folder.write("b.npy", &npy("|u1", "(3, 32)", &[0; 95]));
    folder.refuses("run plan.yaml --input b.npy --output out.npz", 2, "E0501", "frame 2");
    folder.write("b.npz", &npz(&[("x", b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec())]));
    folder.refuses("run plan.yaml --input b.npz", 2, "E0501", "header");
    folder.refuses("run plan.yaml --input plan.yaml", 2, "E0501", "plan.yaml");
    folder.refuses("run plan.yaml --input none.npz", 2, "E0703", "none.npz");
    folder.refuses("run plan.yaml --input .", 2, "E0703", "directory");
}

#[test]
fn which_array_is_meant() {
    let folder = folder();
    assert_eq!(folder.run("run plan.yaml --input a.npz").exit_code, 0);
    folder.refuses("run plan.yaml --input a.npz:z", 2, "E0501", "x, y");
    folder.write("b.npz", &npz(&[("p", npy("|u1", "(1, 32)", &[0; 32])), ("q", npy("|u1", "(1, 32)", &[0; 32]))]));
    folder.refuses("run plan.yaml --input b.npz", 2, "E0501", "p, q");
    assert_eq!(folder.run("run plan.yaml --input b.npz:q").exit_code, 0);
    folder.write("c.npz", &npz(&[("p", npy("|u1", "(1, 32)", &[0; 32]))]));
    assert_eq!(folder.run("run plan.yaml --input c.npz").exit_code, 0);
    folder.write("d.npz", &npz(&[]));
    folder.refuses("run plan.yaml --input d.npz", 2, "E0501", "none");
}

#[test]
fn labels_and_references() {
    let folder = folder();
    folder.refuses("run plan.yaml --input a.npz --labels a.npz:x", 2, "E0502", "label");
    folder.refuses("run plan.yaml --input a.npz --reference a.npz:y", 2, "E0502", "10 outputs");
    folder.write("short.npz", &npz(&[("y", npy("|u1", "(2,)", &[0; 2]))]));
    folder.refuses("run plan.yaml --input a.npz --labels short.npz", 2, "E0502", "2 labels for 3 frames");
    assert_eq!(folder.run("run plan.yaml --input a.npz --labels short.npz --frames 2").exit_code, 0);
    let (exit_code, report) = folder.json("run plan.yaml --input a.npz --labels a.npz:y");
    assert_eq!(exit_code, 0);
    assert!(report["accuracy"].is_f64() && report["frames"] == 3, "{report}");
}

#[test]
fn unexplained_differences_fail_the_check() {
    let folder = folder();
    assert_eq!(folder.run("run plan.yaml --input a.npz --output out.npz").exit_code, 0);
    folder.write("zeros.npy", &npy_floats("(3, 10)", &[0.0; 30]));
    let (exit_code, report) = folder.json("run plan.yaml --input a.npz --reference zeros.npy");
    assert_eq!((exit_code, report["ok"].as_bool()), (1, Some(false)));
    assert_eq!(
        (report["reference"]["frames_differ"].as_u64(), report["reference"]["unexplained"].as_u64()),
        (Some(3), Some(3))
    );
    let (exit_code, report) = folder.json("run plan.yaml --input a.npz --reference zeros.npy --tolerance 100000");
    assert_eq!((exit_code, report["reference"]["frames_differ"].as_u64()), (0, Some(0)), "{report}");
    folder.write("nan.npy", &npy_floats("(3, 10)", &[f32::NAN; 30]));
    let (exit_code, report) = folder.json("run plan.yaml --input a.npz --reference nan.npy --tolerance 100000");
    assert_eq!((exit_code, report["reference"]["max_abs_diff"].is_null()), (1, true), "{report}");
}
