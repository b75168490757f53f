//! Builds: the cache, what decides about a rebuild, refused designs, traces, and models that break off.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use simulator::{
    BuildOptions, CacheDir, CacheUse, Cancel, DesignFolder, Model, RunRequest, SimReport, SimulatorError, Tools, Trace,
    TraceFormat, TraceFrom,
};
use tempfile::TempDir;

/// Designs that are copied, so that a test may change them, and a cache of their own with the shared run-time library.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new(designs: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in designs {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/designs").join(name);
            let to = folder.path().join(name);
            fs::create_dir(&to).unwrap();
            for item in fs::read_dir(from).unwrap() {
                let path = item.unwrap().path();
                fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
            }
        }
        fs::create_dir_all(folder.path().join("cache")).unwrap();
        for part in ["runtime", "locks"] {
            std::os::unix::fs::symlink(shared(part), folder.path().join("cache").join(part)).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert!(text.contains(from));
        fs::write(self.path(file), text.replace(from, to)).unwrap();
    }

    fn build(&self, designs: &[&str]) -> Result<Model, SimulatorError> {
        self.build_with(designs, &BuildOptions::default())
    }

    fn build_with(&self, designs: &[&str], options: &BuildOptions) -> Result<Model, SimulatorError> {
        let designs = designs.iter().map(|name| DesignFolder::load(&self.path(name)).unwrap()).collect();
        Model::build(&Tools::locate().unwrap(), designs, &CacheDir::at(self.path("cache")), options)
    }

    fn entries(&self) -> Vec<PathBuf> {
        fs::read_dir(self.path("cache/model"))
            .map(|items| items.map(|item| item.unwrap().path()).collect())
            .unwrap_or_default()
    }
}

/// The run-time library takes seconds to compile, so all tests share one place for it.
fn shared(part: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("models").join(part);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn run(model: &Model, request: &RunRequest, frames: Vec<Vec<u8>>) -> Result<(SimReport, Vec<u8>), SimulatorError> {
    let mut output = Vec::new();
    let report = model.run(request, frames.into_iter(), &mut |event| {
        if let simulator::Event::Output { data, .. } = event {
            output.extend_from_slice(data);
        }
        ControlFlow::Continue(())
    })?;
    Ok((report, output))
}

#[test]
fn a_second_build_of_the_same_content_builds_nothing() {
    let bench = Bench::new(&["slice"]);
    assert_eq!(bench.build(&["slice"]).unwrap().cache_use(), CacheUse::Built);
    assert_eq!(bench.build(&["slice"]).unwrap().cache_use(), CacheUse::Hit);
    bench.edit("slice/manifest.json", "\"layer\": \"output\"", "\"layer\": \"renamed\"");
    assert_eq!(bench.build(&["slice"]).unwrap().cache_use(), CacheUse::Hit);
    bench.edit("slice/slice.v", "<= s_axis_tdata", "<= ~s_axis_tdata");
    let model = bench.build(&["slice"]).unwrap();
    assert_eq!(model.cache_use(), CacheUse::Built);
    assert_eq!(run(&model, &RunRequest::new(0), vec![vec![1, 2, 3, 4]]).unwrap().1, [254, 253, 252, 251]);
    assert_eq!(bench.entries().len(), 2);
}

#[test]
fn a_changed_memory_image_is_run_without_a_build() {
    let bench = Bench::new(&["lookup"]);
    let frames = || vec![vec![0, 1, 2, 3]];
    assert_eq!(run(&bench.build(&["lookup"]).unwrap(), &RunRequest::new(0), frames()).unwrap().1, [0, 1, 4, 9]);
    bench.edit("lookup/lookup.mem", "\n04\n", "\n2a\n");
    let model = bench.build(&["lookup"]).unwrap();
    assert_eq!(model.cache_use(), CacheUse::Hit);
    assert_eq!(run(&model, &RunRequest::new(0), frames()).unwrap().1, [0, 1, 42, 9]);
    fs::remove_file(bench.path("lookup/lookup.mem")).unwrap();
    let error = run(&model, &RunRequest::new(0), frames()).unwrap_err();
    assert!(error.to_string().contains("lookup.mem"), "{error}");
}

#[test]
fn a_damaged_executable_is_built_again() {
    let bench = Bench::new(&["slice"]);
    bench.build(&["slice"]).unwrap();
    let executable = bench.entries()[0].join("sim");
    let bytes = fs::read(&executable).unwrap();
    fs::write(&executable, &bytes[..bytes.len() / 2]).unwrap();
    let model = bench.build(&["slice"]).unwrap();
    assert_eq!(model.cache_use(), CacheUse::Built);
    assert_eq!(run(&model, &RunRequest::new(0), vec![vec![1, 2, 3, 4]]).unwrap().1, [1, 2, 3, 4]);
}

#[test]
fn two_designs_share_one_build() {
    let bench = Bench::new(&["slice", "lookup"]);
    let model = bench.build(&["slice", "lookup"]).unwrap();
    assert_eq!(bench.entries().len(), 1);
    assert_eq!(run(&model, &RunRequest::new(0), vec![vec![1, 2, 3, 4]]).unwrap().1, [1, 2, 3, 4]);
    assert_eq!(run(&model, &RunRequest::new(1), vec![vec![1, 2, 3, 4]]).unwrap().1, [1, 4, 9, 16]);
}

#[test]
fn a_refused_design_leaves_no_entry_and_says_why() {
    let bench = Bench::new(&["slice", "lookup"]);
    bench.edit("lookup/lookup.v", "reg       valid_q;", "reg       valid_q; wire spare = aclk;");
    let error = bench.build(&["slice", "lookup"]).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let text = error.to_string();
    assert!(text.starts_with("verilator refused lookup:\n"), "{text}");
    assert!(text.contains("UNUSED") && text.contains("lookup.v:"), "{text}");
    assert!(bench.entries().is_empty());
    assert_eq!(fs::read_dir(bench.path("cache/tmp")).unwrap().count(), 0);
}

#[test]
fn an_include_that_the_manifest_does_not_name_is_refused() {
    let bench = Bench::new(&["slice"]);
    fs::write(bench.path("slice/limits.vh"), "`define LAST s_axis_tlast\n").unwrap();
    bench.edit("slice/slice.v", "`default_nettype none", "`default_nettype none\n`include \"limits.vh\"");
    assert!(bench.build(&["slice"]).is_err());
    bench.edit("slice/manifest.json", "\"slice.v\"", "\"slice.v\", \"limits.vh\"");
    bench.build(&["slice"]).unwrap();
}

#[test]
fn a_cancelled_build_leaves_no_entry() {
    let bench = Bench::new(&["slice"]);
    let cancel = Cancel::new();
    let options = BuildOptions { cancel: cancel.clone(), ..BuildOptions::default() };
    let workplace = bench.path("cache/tmp");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while fs::read_dir(&workplace).map(Iterator::count).unwrap_or(0) == 0 {
                std::thread::yield_now();
            }
            cancel.cancel();
        });
        assert!(matches!(bench.build_with(&["slice"], &options), Err(SimulatorError::Cancelled)));
    });
    assert!(bench.entries().is_empty());
    assert_eq!(fs::read_dir(&workplace).unwrap().count(), 0);
}

#[test]
fn a_manifest_that_does_not_fit_the_verilog_is_told() {
    let bench = Bench::new(&["slice"]);
    bench.edit("slice/manifest.json", "\"valid\": \"m_axis_tvalid\"", "\"valid\": \"no_such_net\"");
    let (report, _) = run(&bench.build(&["slice"]).unwrap(), &RunRequest::new(0), vec![vec![1, 2, 3, 4]]).unwrap();
    assert_eq!(report.end, simulator::End::ModelFailed);
    assert_eq!(report.violations[0].text, "no net TOP.slice.no_such_net in the verilated model");

    let bench = Bench::new(&["slice"]);
    bench.edit("slice/manifest.json", "\"lane_bits\": 8", "\"lane_bits\": 7");
    let (report, _) = run(&bench.build(&["slice"]).unwrap(), &RunRequest::new(0), vec![vec![1, 2, 3, 4]]).unwrap();
    assert_eq!(report.end, simulator::End::ModelFailed);
    assert_eq!(report.violations[0].text, "TOP.slice.s_axis_tdata has 8 bits, the manifest says 7");
}

#[track_caller]
fn check_crash(script: &str, expected: &str) {
    let bench = Bench::new(&["slice"]);
    let model = bench.build(&["slice"]).unwrap();
    fs::write(bench.entries()[0].join("sim"), script).unwrap();
    let error = run(&model, &RunRequest::new(0), vec![vec![1, 2, 3, 4]]).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn a_model_that_crashes_or_babbles_is_an_error() {
    check_crash("#!/bin/sh\necho last words >&2\nkill -SEGV $$\n", "signal: 11 (SIGSEGV)");
    check_crash("#!/bin/sh\necho last words >&2\nkill -SEGV $$\n", "last words");
    check_crash("#!/bin/sh\nexit 7\n", "exit status: 7");
    check_crash("#!/bin/sh\nprintf hello\nsleep 0.1\n", "an unknown tag");
}

/// First and last time stamp of a VCD.
fn times(path: &Path) -> (u64, u64) {
    let text = fs::read_to_string(path).unwrap();
    let mut stamps = text.lines().filter_map(|line| line.strip_prefix('#')?.parse().ok());
    let first = stamps.next().unwrap();
    (first, stamps.next_back().unwrap())
}

#[test]
fn traces_cover_the_asked_window() {
    let bench = Bench::new(&["slice"]);
    let options = BuildOptions { trace: Some(TraceFormat::Vcd), ..BuildOptions::default() };
    let model = bench.build_with(&["slice"], &options).unwrap();
    let path = bench.path("out.vcd");
    let traced = |from, cycles| {
        let trace = Trace { path: path.clone(), from, cycles };
        let request = RunRequest { trace: Some(trace), drain_cycles: 1, ..RunRequest::new(0) };
        let frames = (0..3).map(|frame| vec![frame; 4]).collect();
        assert!(run(&model, &request, frames).unwrap().0.is_clean());
        let times = times(&path);
        fs::remove_file(&path).unwrap();
        times
    };
    // A cycle is 10 time units with its rising edge in the middle; 4 cycles of reset come first. The run ends with the
    // settled values of cycle 13, the one after the last output word.
    let begin = |cycle: u64| 10 * (cycle + 4);
    assert_eq!(traced(TraceFrom::Reset, None), (0, begin(13)));
    assert_eq!(traced(TraceFrom::Cycle(7), None), (begin(7), begin(13)));
    assert_eq!(traced(TraceFrom::Cycle(7), Some(2)), (begin(7), begin(8) + 5));
    // The third frame is offered in cycle 8.
    assert_eq!(traced(TraceFrom::Frame(2), Some(1)), (begin(8), begin(8) + 5));
    assert_eq!(fs::read_dir(bench.folder.path()).unwrap().count(), 2);
}

#[test]
fn traces_are_written_as_fst_too_and_only_by_a_model_built_for_it() {
    let bench = Bench::new(&["slice"]);
    let options = BuildOptions { trace: Some(TraceFormat::Fst), ..BuildOptions::default() };
    let model = bench.build_with(&["slice"], &options).unwrap();
    let request = |name: &str| {
        let trace = Trace { path: bench.path(name), from: TraceFrom::Reset, cycles: None };
        RunRequest { trace: Some(trace), ..RunRequest::new(0) }
    };
    run(&model, &request("out.fst"), vec![vec![1, 2, 3, 4]]).unwrap();
    assert!(fs::metadata(bench.path("out.fst")).unwrap().len() > 100);
    for name in ["out.vcd", "out.txt"] {
        assert_eq!(run(&model, &request(name), vec![]).unwrap_err().exit_code(), 2);
        assert!(!bench.path(name).exists());
    }
    let error = run(&model, &request("nowhere/out.fst"), vec![]).unwrap_err();
    assert!(matches!(error, SimulatorError::Io { .. }), "{error}");
}

#[test]
fn manifests_that_cannot_be_simulated_are_refused() {
    let check = |from: &str, to: &str, expected: &str| {
        let bench = Bench::new(&["slice"]);
        bench.edit("slice/manifest.json", from, to);
        let error = DesignFolder::load(&bench.path("slice")).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(expected), "{error}");
    };
    check("\"hwgen\": 3", "\"hwgen\": 1", "version 1 is not 3");
    check("\"top\": \"slice\"", "\"top\": \"a b\"", "not a plain Verilog identifier");
    check("\"slice.v\"", "\"../slice.v\"", "not a path inside");
    check("\"slice.v\"", "\"/etc/passwd\"", "not a path inside");
    check("\"slice.v\"", "\"--exe\"", "not a path inside");
    check("\"tdata_bits\": 8", "\"tdata_bits\": 12", "not a multiple of 8");
    check("\"words_per_frame\": 4", "\"words_per_frame\": 0", "words");
    check("\"words_per_frame\": 4", "\"words_per_frame\": 18446744073709551615", "bytes");
    check("\"lanes\": 1", "\"lanes\": 4294967295", "not supported");
    check("\"prefix\": \"m_axis\"", "\"prefix\": \"s_axis\"", "two ports begin with");
    check("\"prefix\": \"m_axis\"", "\"prefix\": \"m-axis\"", "not a plain Verilog identifier");
    check("\"name\": \"output\"", "\"name\": \"input\"", "two edges");
    check("\"hwgen\": 3", "\"hwgen\": ", "expected value");
    check("\"hwgen\": 3", "\"hwgen\": 3, \"more\": 2", "unknown field");
}
