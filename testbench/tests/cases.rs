//! Regression cases: every plan of `cases/` through golden model and Verilator, with and without stalls.
//!
//! All designs go into one Verilator build. A new case is a new file.

use network::plan::Plan;
use simulator::{BuildOptions, CacheDir, DesignFolder, Model, Tools};
use std::path::{Path, PathBuf};
use testbench::cosimulate::{Settings, cosimulate};
use testbench::random::Codes;

struct Case {
    name: String,
    network: network::Network,
    design: hdl_gen::Design,
    folder: PathBuf,
}

fn prepare(path: &Path, root: &Path) -> Case {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let plan = Plan::parse(&text, &name).unwrap_or_else(|faults| panic!("{name}: {faults}"));
    let network = plan.build(None).unwrap_or_else(|faults| panic!("{name}: {faults}"));
    let bound =
        hdl_gen::bind(&network, &hdl_gen::BindOptions::default()).unwrap_or_else(|faults| panic!("{name}: {faults}"));
    let design = hdl_gen::lower(&bound).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let options = hdl_gen::EmitOptions { plan_sha256: "0".repeat(64), clock_mhz: 100.0, vectors: Vec::new() };
    let artifact = design.emit(&options).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let folder = root.join(&name);
    for (path, bytes) in &artifact.files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    Case { name, network, design, folder }
}

#[test]
fn cases_equal_their_golden_model() {
    let root = tempfile::tempdir().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let only = std::env::var("HWGEN_CASE").ok();
    paths.retain(|path| only.as_ref().is_none_or(|only| path.file_stem().unwrap() == only.as_str()));
    let cases: Vec<Case> = paths.iter().map(|path| prepare(path, root.path())).collect();
    let designs: Vec<DesignFolder> = cases.iter().map(|case| DesignFolder::load(&case.folder).unwrap()).collect();
    let model = Model::build(
        &Tools::locate().unwrap(),
        designs,
        &CacheDir::from_environment().unwrap(),
        &BuildOptions::default(),
    )
    .unwrap_or_else(|fault| panic!("{fault}"));
    let mut faults = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        for (seed, stall) in [(1, 0.0), (2, 0.3), (3, 0.8)] {
            let settings = Settings { design: index, ..Settings::new() }.with_stalls(stall, seed);
            let input = case.network.input();
            let mut codes = Codes::new(seed, input.format);
            let frames: Vec<Vec<i32>> = (0..6).map(|_| codes.frame(input.shape)).collect();
            let run = cosimulate(&case.network, &case.design, &model, &settings, frames.into_iter(), &mut |_| {})
                .unwrap_or_else(|fault| panic!("{}: {fault}", case.name));
            if !run.is_good() {
                faults.push(format!(
                    "{} at stall {stall}: cycles {} predicted {}\n{:#?}",
                    case.name,
                    run.report.cycles,
                    run.predicted.cycles(),
                    run.verdict
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
