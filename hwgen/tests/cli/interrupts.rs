//! An interrupted command ends with 130, writes nothing and leaves no child.

use crate::place::{Folder, PLAN, npy, repository};
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Starts a command, interrupts it after a while, and looks at what is left.
#[track_caller]
fn interrupted(folder: &Folder, arguments: &str, after: Duration, signal: &str) {
    let cache = folder.join("cache");
    std::fs::create_dir_all(&cache).unwrap();
    let before = folder.contents();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("hwgen"))
        .args(arguments.split_whitespace())
        .current_dir(folder.path())
        .env("HWGEN_CACHE", &cache)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    assert_eq!(child.try_wait().unwrap(), None, "{arguments} ended too early to be interrupted");
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    let start = Instant::now();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{arguments}");
    assert!(start.elapsed() < Duration::from_secs(20), "{arguments} took {:?} to end", start.elapsed());
    let added: Vec<_> = folder.contents().into_keys().filter(|path| !before.contains_key(path)).collect();
    let outside_cache: Vec<_> = added.iter().filter(|path| !path.starts_with(&cache)).collect();
    assert!(outside_cache.is_empty(), "{arguments} left {outside_cache:?}");
    assert!(!added.iter().any(|path| path.file_name().is_some_and(|name| name == "sim")), "half a model in the cache");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(processes_with(&cache.display().to_string()), Vec::<String>::new(), "{arguments}");
}

/// Processes whose environment names this cache: children of the command that was interrupted.
fn processes_with(cache: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let wanted = format!("HWGEN_CACHE={cache}");
        if environment.split(|&byte| byte == 0).any(|variable| variable == wanted.as_bytes()) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

/// A file of so many zero frames that takes no space on the disk.
fn endless_frames(folder: &Folder) {
    let header = npy("|u1", "(50000000, 32)", &[]);
    folder.write("x.npy", &header);
    let file = File::options().write(true).open(folder.join("x.npy")).unwrap();
    file.set_len(header.len() as u64 + 50_000_000 * 32).unwrap();
}

#[test]
fn golden_model() {
    let folder = Folder::with_plan(PLAN);
    endless_frames(&folder);
    // The listing of the folder would read the file of frames.
    let name = folder.join("x.npy").display().to_string();
    let other = Folder::with_plan(PLAN);
    for signal in ["-INT", "-TERM"] {
        interrupted(
            &other,
            &format!("run plan.yaml --input {name} --output out.npz"),
            Duration::from_millis(700),
            signal,
        );
    }
}

#[test]
fn building_the_simulation() {
    let folder = Folder::with_plan(PLAN);
    interrupted(&folder, "simulate plan.yaml", Duration::from_millis(1200), "-INT");
}

#[test]
fn running_the_simulation() {
    let folder = Folder::with_plan(PLAN);
    let done = folder.run("simulate plan.yaml --frames 1");
    assert_eq!(done.exit_code, 0, "{}{}", done.stdout, done.stderr);
    let cache = crate::place::cache();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("hwgen"))
        .args(["simulate", "plan.yaml", "--frames", "300000"])
        .current_dir(folder.path())
        .env("HWGEN_CACHE", cache)
        .env("HWGEN_TEST_MARK", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(child.try_wait().unwrap(), None, "the simulation ended too early to be interrupted");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn choosing_widths() {
    let folder = Folder::new();
    let example = repository().join("examples/mnist-cnn").display().to_string();
    let arguments = format!(
        "plan {example}/mnist-cnn.float.onnx -o plan.yaml --calibration {example}/calib.npz:x_u8 --input-scale 1/256 \
         --budget size=40%"
    );
    interrupted(&folder, &arguments, Duration::from_secs(3), "-INT");
}

/// Widths with prices of the hardware, and a good plan that was there before: it stays as it is.
#[test]
fn choosing_widths_with_hardware_leaves_the_last_plan() {
    let folder = Folder::new();
    let example = repository().join("examples/irst-unet").display().to_string();
    let common = format!(
        "plan {example}/irst-unet.float.onnx -o plan.yaml --calibration {example}/calib.npz:x_u8 --input-scale 1/256 \
         --calibration-frames 8"
    );
    let done = folder.run(&format!("{common} --weight-bits 4"));
    assert_eq!(done.exit_code, 0, "{}{}", done.stdout, done.stderr);
    let before = folder.contents();
    interrupted(&folder, &format!("{common} --budget lut=30k"), Duration::from_secs(2), "-INT");
    let after = folder.contents();
    assert!(before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)), "a plan that was there changed");
}

/// Reconstruction runs inside import, where nobody asks whether to stop.
#[test]
fn reconstructing_blocks() {
    let folder = Folder::new();
    let example = repository().join("examples/mnist-cnn").display().to_string();
    folder.write("plan.yaml", b"not a plan of ours");
    let arguments = format!(
        "plan {example}/mnist-cnn.float.onnx -o plan.yaml --calibration {example}/calib.npz:x_u8 --input-scale 1/256 \
         --calibration-frames 32 --weight-bits 3 --reconstruct brecq --reconstruct-steps 100000"
    );
    interrupted(&folder, &arguments, Duration::from_secs(3), "-INT");
    assert_eq!(folder.read("plan.yaml"), "not a plan of ours");
}
