//! Whole designs in Verilator: every element of every edge equals the golden model, every frame ends when predicted.
//!
//! `cases/*.yaml` are small plans without a trained model: adding a case is adding a file. The shipped networks run their
//! own test images. All designs of a test share one Verilator build.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "designs/depth.rs"]
mod depth;

use golden_model::frames::{codes_from_integers, codes_from_reals};
use hdl_gen::{BindOptions, Design, EmitOptions, bind, lower};
use ndarray_npy::NpzReader;
use network::Network;
use network::plan::Plan;
use network::random::Stream;
use network::requantization::{Form, Table};
use simulator::{BuildOptions, CacheDir, DesignFolder, Model, Tools};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use testbench::cosimulate::{Cosimulation, Settings, cosimulate};
use testbench::vectors::{random_frames, test_vectors};

/// A design that was emitted into a folder.
struct Emitted {
    name: String,
    network: Network,
    design: Design,
    folder: PathBuf,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn seed() -> u64 {
    std::env::var("HWGEN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Binds, lowers and writes a network into a folder of its own for each test; a fault names the case.
fn emit(test: &str, name: &str, network: Network) -> Emitted {
    let bound = bind(&network, &BindOptions::default()).unwrap_or_else(|faults| panic!("{name}: {faults}"));
    let design = lower(&bound).unwrap_or_else(|error| panic!("{name}: {error}"));
    let options =
        EmitOptions { plan_sha256: "0".repeat(64), clock_mhz: 200.0, vectors: test_vectors(&network).unwrap() };
    let artifact = design.emit(&options).unwrap_or_else(|error| panic!("{name}: {error}"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("designs").join(test).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    for (path, bytes) in &artifact.files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    Emitted { name: name.to_owned(), network, design, folder }
}

/// All designs in one executable.
fn build(designs: &[Emitted]) -> Model {
    let folders = designs.iter().map(|emitted| DesignFolder::load(&emitted.folder).unwrap()).collect();
    let cache = CacheDir::at(Path::new(env!("CARGO_TARGET_TMPDIR")).join("models"));
    let tools = Tools::locate().unwrap_or_else(|error| panic!("{error} (scripts/setup installs it)"));
    Model::build(&tools, folders, &cache, &BuildOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn run(model: &Model, index: usize, emitted: &Emitted, frames: &[Vec<i32>], stall: f64) -> Cosimulation {
    let mut settings = Settings::new().with_stalls(stall, seed());
    settings.design = index;
    settings.modes = mode_sequence(&emitted.design);
    let frames = frames.iter().cloned();
    cosimulate(&emitted.network, &emitted.design, model, &settings, frames, &mut |_| {})
        .unwrap_or_else(|error| panic!("{}: {error}", emitted.name))
}

/// Every mode behind every other, and some frames that keep theirs; nothing where there are no modes.
fn mode_sequence(design: &Design) -> Vec<u8> {
    let count = design.modes() as u8;
    let steps = (1..count).flat_map(|step| (0..count).map(move |turn| (turn as u16 * u16::from(step)) as u8 % count));
    steps.flat_map(|mode| [mode, mode / 2]).collect()
}

/// All words and cycles of one design are right without stalls and with three patterns of them.
#[track_caller]
fn check(model: &Model, index: usize, emitted: &Emitted, frames: &[Vec<i32>]) {
    for stall in [0.0, 0.1, 0.3, 0.7] {
        let result = run(model, index, emitted, frames, stall);
        let hang = result.report.hang.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(
            result.is_good(),
            "{}, stall {stall}, seed {}: {} cycles, {} predicted\n{}{:?}\n{hang}{}",
            emitted.name,
            seed(),
            result.report.cycles,
            result.predicted.cycles(),
            result.verdict,
            result.report.violations.first(),
            result.report.messages,
        );
        assert_eq!(result.report.frames, frames.len() as u64);
        assert!(result.verdict.edges.len() > emitted.network.layers().len(), "edges inside layers are observed too");
        if stall == 0.0 && emitted.design.modes() == 1 {
            // The outputs of a frame may drift apart until the streams between them are full.
            let regular = emitted.network.outputs().len() == 1 || result.report.initiation_interval.is_some();
            let interval = result.report.initiation_interval;
            assert!(!regular || interval == result.predicted.complete_interval(), "{}: {interval:?}", emitted.name);
        }
    }
}

fn cases(test: &str) -> Vec<Emitted> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    paths.sort();
    // HWGEN_CASES=pools,dsp runs some cases alone.
    if let Ok(wanted) = std::env::var("HWGEN_CASES") {
        paths.retain(|path| wanted.split(',').any(|name| path.file_stem().is_some_and(|stem| stem == name)));
    }
    let case = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).unwrap();
        let plan = Plan::parse(&text, &name).unwrap_or_else(|faults| panic!("{faults}"));
        let network = plan.build(None).unwrap_or_else(|faults| panic!("{faults}"));
        emit(test, &name, with_tables(network))
    };
    paths.iter().map(case).collect()
}

/// The network with a random table in each layer named `table_COUNT`: that many thresholds, some equal and some beyond
/// the sums, codes in any order; one row for all channels in layers named `table_COUNT_shared`.
fn with_tables(network: Network) -> Network {
    let wanted = |name: &str| {
        let (count, shared) = match name.strip_prefix("table_")?.strip_suffix("_shared") {
            Some(count) => (count, true),
            None => (name.strip_prefix("table_")?, false),
        };
        Some((count.parse::<usize>().unwrap(), shared))
    };
    let ranges: Vec<_> = (0..network.layers().len()).map(|index| network.sums(index).cloned()).collect();
    let mut parts = network.into_parts();
    for (layer, ranges) in parts.layers.iter_mut().zip(ranges) {
        let Some((count, shared)) = wanted(&layer.name) else { continue };
        let (requantization, ranges) = (layer.requantization.as_mut().unwrap(), ranges.unwrap());
        let mut stream = Stream::for_layer(seed(), &layer.name);
        let (mut values, mut codes) = (Vec::new(), Vec::new());
        for range in ranges.channels.iter().take(if shared { 1 } else { usize::MAX }) {
            let span = (range.max() - range.min()) as u64 + 5;
            let mut row: Vec<i64> = (0..count).map(|_| range.min() - 2 + (stream.next_word() % span) as i64).collect();
            row.sort_unstable();
            values.extend(row);
            codes.extend((0..=count).map(|_| {
                let code = stream.next_code(requantization.output);
                code.clamp(requantization.codes.min(), requantization.codes.max())
            }));
        }
        requantization.form = Form::Table(Table { values, count, codes });
        requantization.rule = None;
    }
    Network::build(parts).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn small_cases_equal_the_golden_model_at_predicted_cycles() {
    let designs = cases("small");
    let model = build(&designs);
    for (index, emitted) in designs.iter().enumerate() {
        check(&model, index, emitted, &random_frames(&emitted.network, seed(), 12));
    }
}

/// A shipped network with the first frames of its test images.
fn example(test: &str, name: &str, scale: Option<f32>, frames: usize) -> (Emitted, Vec<Vec<i32>>) {
    let folder = repository().join("examples").join(name);
    let bytes = std::fs::read(folder.join(format!("{name}.qonnx.onnx"))).unwrap();
    let imported = quantizer::import(&bytes, name, &quantizer::ImportOptions::default()).unwrap();
    let network = Network::build(imported.parts).unwrap();
    let mut archive = NpzReader::new(File::open(folder.join("test.npz")).unwrap()).unwrap();
    let images: ndarray::ArrayD<u8> = archive.by_name("x_u8").unwrap();
    let frame = |image: ndarray::ArrayViewD<'_, u8>| match scale {
        None => {
            codes_from_integers(&network.inputs()[0], &image.iter().map(|&code| i64::from(code)).collect::<Vec<_>>())
                .unwrap()
        }
        Some(scale) => {
            codes_from_reals(&network.inputs()[0], &image.iter().map(|&x| f32::from(x) * scale).collect::<Vec<_>>())
                .unwrap()
        }
    };
    let frames = images.outer_iter().take(frames).map(frame).collect();
    (emit(test, name, network), frames)
}

#[test]
fn shipped_networks_equal_the_golden_model_on_200_images() {
    let (designs, frames): (Vec<_>, Vec<_>) =
        [("digits-mlp", Some(1.0 / 16.0)), ("mnist-cnn", None), ("mnist-mbn", None)]
            .map(|(name, scale)| example("shipped", name, scale, 200))
            .into_iter()
            .unzip();
    let model = build(&designs);
    for (index, emitted) in designs.iter().enumerate() {
        assert_eq!(frames[index].len(), 200);
        check(&model, index, emitted, &frames[index]);
    }
}

/// Every memory image of every small case with one flipped bit, one after the other: each that matters must be seen, and
/// named at the layer that reads it.
#[test]
fn planted_faults_are_found_where_they_are() {
    let designs = cases("planted");
    let model = build(&designs);
    let (mut planted, mut found) = (0, 0);
    for (index, emitted) in designs.iter().enumerate() {
        let frames = random_frames(&emitted.network, seed(), 6);
        let mut images: Vec<PathBuf> = std::fs::read_dir(emitted.folder.join("mem"))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect();
        images.sort();
        for image in images.iter().filter(|image| image.to_string_lossy().contains("_weights")) {
            let text = std::fs::read_to_string(image).unwrap();
            let at = text.find('\n').unwrap() + 1 + text[text.find('\n').unwrap() + 1..].find('\n').unwrap() - 1;
            let digit =
                u8::from_str_radix(&text[at..=at], 16).unwrap_or_else(|_| panic!("{}: {text}", image.display()));
            std::fs::write(image, format!("{}{:x}{}", &text[..at], digit ^ 1, &text[at + 1..])).unwrap();
            let result = run(&model, index, emitted, &frames, 0.2);
            std::fs::write(image, &text).unwrap();
            planted += 1;
            assert_eq!(result.predicted.cycles(), result.report.cycles, "timing must not depend on data");
            if let Some((edge, _)) = result.verdict.first() {
                found += 1;
                let name = image.file_name().unwrap().to_string_lossy();
                assert!(name.starts_with(&edge.layer), "{name} was blamed on layer {}", edge.layer);
            }
        }
    }
    assert!(planted >= 10 && found * 10 >= planted * 9, "{found} of {planted} faults were found");
}

/// Each design goes through Yosys without a complaint, keeps to the rule for logic between registers, and its own
/// testbench passes in Icarus Verilog.
#[test]
fn emitted_designs_pass_in_yosys_and_icarus() {
    let mut designs = cases("tools");
    if std::env::var_os("HWGEN_CASES").is_none() {
        designs.push(example("tools", "digits-mlp", Some(1.0 / 16.0), 1).0);
        designs.push(example("tools", "mnist-cnn", None, 1).0);
    }
    // The largest first, in two threads.
    designs.reverse();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(emitted) = designs.get(next.fetch_add(1, Ordering::Relaxed)) {
            synthesises_within_the_depth_rule(emitted);
            own_testbench_passes(emitted);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
}

/// Weights of 4096 words of 8 bits fill a block RAM of 36 Kibit.
#[test]
fn the_emitted_script_maps_a_large_block_ram() {
    let plan = "hwgen: 1\nname: large-block\nrandom: { seed: 3 }\ninput: { name: x, shape: [1, 1, 64], format: u4 }\nlayers:\n  \
                - { name: fc, op: dense, outputs: 64, weight: s8, output: u4, hw: { pe: 1, simd: 1, memory: block } }\n";
    let network = Plan::parse(plan, "plan.yaml").unwrap().build(None).unwrap();
    let emitted = emit("tools", "large-block", network);
    let said = must_run(Command::new("yosys").args(["-s", "synth/yosys_xc7.ys"]).current_dir(&emitted.folder));
    assert!(said.contains("RAMB36E1"), "{said}");
}

fn must_run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn synthesises_within_the_depth_rule(emitted: &Emitted) {
    let folder = DesignFolder::load(&emitted.folder).unwrap();
    let manifest = folder.manifest();
    let script = std::fs::read_to_string(emitted.folder.join("synth/yosys_xc7.ys")).unwrap();
    let is_reading = |line: &&str| line.starts_with("read_verilog") || line.starts_with("hierarchy -check");
    let reading: Vec<&str> = script.lines().filter(is_reading).collect();
    let script = format!(
        "{}; proc; check -assert; synth_xilinx -family xc7 -flatten -noiopad -top {top}; check -assert; \
         setattr -mod -unset keep_hierarchy *; flatten; write_json synth/netlist.json",
        reading.join("; "),
        top = manifest.top,
    );
    // Its own maps for block RAM give ports of 64 bits to cells that have fewer, and it says so.
    let quiet = ["-q", "-w", "Resizing cell port", "-p", &script];
    must_pass(Command::new("yosys").args(quiet).current_dir(&emitted.folder), &emitted.name);
    let netlist = std::fs::read_to_string(emitted.folder.join("synth/netlist.json")).unwrap();
    let depth = depth::depth_of(&netlist, &manifest.top);
    assert!(depth.lut_levels > 0 && depth.is_within_rule(), "{}: {depth}", emitted.name);
}

fn own_testbench_passes(emitted: &Emitted) {
    let folder = DesignFolder::load(&emitted.folder).unwrap();
    let manifest = folder.manifest();
    let bench = format!("tb/{}_tb.v", manifest.top);
    let mut compile = Command::new("iverilog");
    compile.args(["-g2005", "-Wall", "-Wno-timescale", "-o", "tb/run.vvp", &bench]).args(&manifest.sources);
    must_pass(compile.current_dir(&emitted.folder), &emitted.name);
    let said = must_pass(Command::new("vvp").args(["-n", "tb/run.vvp"]).current_dir(&emitted.folder), &emitted.name);
    assert!(said.lines().any(|line| line.starts_with("PASS")), "{}: {said}", emitted.name);
}

#[track_caller]
fn must_pass(command: &mut Command, name: &str) -> String {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error} (scripts/setup --all installs it)"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !text.to_lowercase().contains("warning"), "{name}: {command:?}\n{text}");
    text
}
