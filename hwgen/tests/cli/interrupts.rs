//! An interrupted command ends with 130, writes nothing and leaves no child.

use crate::place::{Folder, PLAN, npy, repository};
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Starts a command, interrupts it after a while, and looks at what is left.
#[track_caller]
fn interrupted(folder: &Folder, arguments: &str, after: Duration, signal: &str) {
    ends_within(folder, arguments, after, signal, Duration::from_secs(20));
}

/// The same, with the time that it may take to end.
#[track_caller]
fn ends_within(folder: &Folder, arguments: &str, after: Duration, signal: &str, most: Duration) {
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
    assert!(start.elapsed() < most, "{arguments} took {:?} to end", start.elapsed());
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

/// What a command that chooses widths may take to end: it ends at once wherever it is.
const AT_ONCE: Duration = Duration::from_secs(2);

/// What `plan` and `sensitivity` take of an example to choose widths with.
fn choosing(command: &str, example: &str, rest: &str) -> String {
    let folder = repository().join("examples").join(example).display().to_string();
    format!("{command} {folder}/{example}.float.onnx --calibration {folder}/calib.npz:x_u8 --input-scale 1/256 {rest}")
}

#[test]
fn choosing_widths() {
    let folder = Folder::new();
    let arguments = choosing("plan", "mnist-cnn", "-o plan.yaml --budget size=40%");
    ends_within(&folder, &arguments, Duration::from_secs(3), "-INT", AT_ONCE);
}

#[test]
fn measuring_sensitivities() {
    let folder = Folder::new();
    let arguments = choosing("sensitivity", "mnist-cnn", "--save-tables t.yaml --svg s.svg");
    ends_within(&folder, &arguments, Duration::from_secs(2), "-TERM", AT_ONCE);
}

/// Widths with prices of the hardware, and a good plan that was there before: it stays as it is, wherever the signal
/// comes.
#[test]
fn choosing_widths_with_hardware_leaves_the_last_plan() {
    let folder = Folder::new();
    let common = choosing("plan", "irst-unet", "-o plan.yaml --calibration-frames 8");
    let done = folder.run(&format!("{common} --weight-bits 4"));
    assert_eq!(done.exit_code, 0, "{}{}", done.stdout, done.stderr);
    let before = folder.contents();
    for milliseconds in [700, 2000, 5000] {
        let after = Duration::from_millis(milliseconds);
        ends_within(&folder, &format!("{common} --budget lut=30k"), after, "-INT", AT_ONCE);
        let now = folder.contents();
        assert!(before.iter().all(|(path, bytes)| now.get(path) == Some(bytes)), "a plan that was there changed");
    }
}

/// Foldings for a budget, which are searched for tens of seconds.
#[test]
fn folding() {
    let folder = Folder::new();
    let done = folder.run(&choosing("plan", "irst-unet", "-o plan.yaml --calibration-frames 8 --weight-bits 4"));
    assert_eq!(done.exit_code, 0, "{}{}", done.stdout, done.stderr);
    for arguments in ["fold plan.yaml --budget lut=20000,dsp=20 -o folded.yaml", "explore plan.yaml --svg front.svg"] {
        ends_within(&folder, arguments, Duration::from_secs(2), "-INT", AT_ONCE);
    }
}

/// A table whose exact search goes on for tens of seconds: costs of pairs in many rings.
#[test]
fn exact_searches() {
    let folder = Folder::new();
    // The high bits of a linear congruential sequence, as numbers from 0 to 1.
    let mut state: u64 = 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    const LAYERS: usize = 120;
    let mut text = "hwgen_tables: 1\nlayers:\n".to_owned();
    for layer in 0..LAYERS {
        let (scale, parameters) = (2.0 * next(), 1000 + (90_000.0 * next()) as u64);
        let mut of = |value: &dyn Fn(f64, f64) -> f64| {
            let entries = (2..=8).map(|bits| format!("w{bits}: {:.6}", value(f64::from(bits), next())));
            entries.collect::<Vec<_>>().join(", ")
        };
        let loss = of(&|bits, part| scale * (-bits).exp2() * (0.7 + 0.6 * part));
        let lut = of(&|bits, part| bits * (20.0 + 20.0 * part));
        text += &format!(
            "  - {{ name: l{layer}, parameters: {parameters}, macs: {}, bits: [2, 3, 4, 5, 6, 7, 8], loss: {{ {loss} }}, \
             costs: {{ lut: {{ {lut} }} }} }}\n",
            parameters * 100
        );
    }
    text += "pairs:\n";
    for layer in 0..LAYERS {
        let both = (2..=8).flat_map(|a| (2..=8).map(move |b| (a, b)));
        let loss: Vec<String> = both.map(|(a, b)| format!("\"{a}/{b}\": {:.4}", 0.3 * next())).collect();
        let other = (layer * 7 + 3) % LAYERS;
        text += &format!("  - {{ between: [l{layer}, l{other}], loss: {{ {} }} }}\n", loss.join(", "));
    }
    folder.write("t.yaml", text.as_bytes());
    let arguments = "allocate --tables t.yaml --budget size=50%,bitops=60%,lut=55%";
    ends_within(&folder, arguments, Duration::from_secs(3), "-INT", AT_ONCE);
}

/// Reconstruction runs inside import, where nobody asks whether to stop.
#[test]
fn reconstructing_blocks() {
    let folder = Folder::new();
    folder.write("plan.yaml", b"not a plan of ours");
    let rest = "-o plan.yaml --calibration-frames 32 --weight-bits 3 --reconstruct brecq --reconstruct-steps 100000";
    ends_within(&folder, &choosing("plan", "mnist-cnn", rest), Duration::from_secs(3), "-INT", AT_ONCE);
    assert_eq!(folder.read("plan.yaml"), "not a plan of ours");
}
