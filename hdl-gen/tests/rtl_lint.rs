//! Every library module alone, at the corners of its parameters: Verilator
//! `--lint-only -Wall` without a waiver, Yosys `check -assert`, Icarus reads it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run has failed")]

#[path = "rtl_bench/harness.rs"]
mod harness;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;

use harness::{must_pass, rtl_files, rtl_folder, work_folder};

/// Module, then sets of parameter values; the defaults are tried as well.
const CORNERS: &[(&str, &[&str])] = &[
    ("hwgen_stream_check", &["DATA_BITS=1", "DATA_BITS=500"]),
    ("hwgen_frame_check", &["WORDS_PER_FRAME=2", "WORDS_PER_FRAME=1000"]),
    ("hwgen_ram", &["DEPTH=1", "DEPTH=2 STYLE=\"block\"", "DATA_BITS=1 DEPTH=1000 STYLE=\"distributed\""]),
    (
        "hwgen_rom",
        &[
            "DEPTH=1",
            "DEPTH=2 STYLE=\"block\"",
            "DATA_BITS=1 DEPTH=1000 STYLE=\"distributed\" IMAGE=\"lint.mem\"",
            "DEPTH=600 STYLE=\"block\" CYCLES=2",
        ],
    ),
    ("hwgen_table", &["DEPTH=1", "DEPTH=2", "DATA_BITS=1 DEPTH=1000 IMAGE=\"lint.mem\""]),
    ("hwgen_counter", &["LIMIT=1", "LIMIT=2", "LIMIT=3", "LIMIT=1000000"]),
    ("hwgen_delay", &["CYCLES=0", "CYCLES=0 RESET=0", "BITS=9 CYCLES=1 RESET=0", "BITS=40 CYCLES=33"]),
    ("hwgen_fifo", &["DEPTH=1", "DEPTH=2", "DEPTH=3 MEMORY=\"auto\"", "DATA_BITS=1 DEPTH=4", "DATA_BITS=200 DEPTH=33"]),
    ("hwgen_block_fifo", &["DEPTH=32", "DATA_BITS=1 DEPTH=33", "DATA_BITS=70 DEPTH=5000"]),
    ("hwgen_register_slice", &["DATA_BITS=1", "DATA_BITS=64"]),
    ("hwgen_credit_fifo", &["DEPTH=1", "DEPTH=2", "DATA_BITS=1 DEPTH=3", "DATA_BITS=33 DEPTH=32 MEMORY=\"auto\""]),
    ("hwgen_join", &["INPUTS=2", "INPUTS=5 DATA_BITS=1"]),
    (
        "hwgen_concat",
        &["INPUTS=2 DATA_BITS=1 WORDS=64'h0000000300000001", "INPUTS=3 DATA_BITS=8 WORDS=96'h000000010000000700000002"],
    ),
    ("hwgen_mode_register", &["MODES=8 MODE_BITS=3", "MODES=1 MODE_BITS=1"]),
    (
        "hwgen_mode_gate",
        &["DATA_BITS=1 FRAMES=1", "TOKENS=3 MODE_BITS=3 WORDS_PER_FRAME=7", "TOKENS=2 FRAMES=2 WORDS_PER_FRAME=2"],
    ),
    (
        "hwgen_serial_control",
        &[
            "DATA_BITS=1 INPUT_STEPS=1 OUTPUT_STEPS=1 BASE_BITS=1",
            "INPUT_STEPS=3 OUTPUT_STEPS=1 PASSES=4 PASS_BITS=2 LAST_PASS=2'd3 BASE_BITS=1",
            "INPUT_STEPS=1 OUTPUT_STEPS=3 SETS=2 VECTORS_PER_FRAME=6 MODES=3 MODE_BITS=2 PASSES=64 PASS_BITS=6 LAST_PASS=18'h0ff00 WEIGHT_STRIDE=8 BASE_BITS=6",
            "INPUT_STEPS=300 OUTPUT_STEPS=2 MODES=2 PASSES=2 LAST_PASS=2'd1 WEIGHT_STRIDE=600 BASE_BITS=11 MEMORY=\"block\"",
        ],
    ),
    (
        "hwgen_serial_schedule",
        &[
            "USE_MODE=0 USE_PASS=0 ADDRESS_BITS=1",
            "USE_MODE=0 PASS_BITS=6 INPUT_STEP_BITS=9 ADDRESS_BITS=14 PLANE_BITS=4 SHIFT_BITS=2 IMAGE=\"lint.mem\"",
            "USE_PASS=0 MODE_BITS=3 INPUT_STEP_BITS=4 ADDRESS_BITS=4 PLANE_BITS=3",
        ],
    ),
    (
        "hwgen_serial_passes",
        &[
            "PASSES=4 PASS_BITS=2 LAST_PASS=2'd3",
            "MODES=3 MODE_BITS=2",
            "MODES=3 MODE_BITS=2 PASSES=64 PASS_BITS=6 LAST_PASS=18'h0ff00",
        ],
    ),
    (
        "hwgen_replay",
        &[
            "DATA_BITS=1 REPLAYS=0",
            "DATA_BITS=1 INPUT_STEPS=1",
            "INPUT_STEPS=1 REPLAYS=0",
            "INPUT_STEPS=3",
            "INPUT_STEPS=300 MEMORY=\"block\"",
        ],
    ),
    (
        "hwgen_plane_select",
        &["LANES=1 LANE_BITS=1 PLANE_BITS=1", "LANES=5 LANE_BITS=16 PLANE_BITS=4 CYCLES=4 INVERT_TOP=1"],
    ),
    (
        "hwgen_shift_accumulate",
        &[
            "COUNT_BITS=1 RESULT_BITS=1",
            "COUNT_BITS=2 RESULT_BITS=1",
            "COUNT_BITS=9 RESULT_BITS=16",
            "COUNT_BITS=5 RESULT_BITS=17 SHIFT_BITS=2 SHIFT_MOST=3",
            "COUNT_BITS=13 RESULT_BITS=40 SHIFT_BITS=4 SHIFT_MOST=15",
        ],
    ),
    (
        "hwgen_border_add",
        &[
            "SUM_BITS=1 CONSTANT_BITS=1",
            "SUM_BITS=16 LOW_BITS=1 CONSTANT_BITS=17",
            "SUM_BITS=31 LOW_BITS=2 CONSTANT_BITS=20",
        ],
    ),
    ("hwgen_fork", &["OUTPUTS=1", "OUTPUTS=5 DATA_BITS=1"]),
    ("hwgen_padded_axis", &["INSIDE=1 BEFORE=0 AFTER=0", "INSIDE=1 BEFORE=0 AFTER=1", "INSIDE=28 BEFORE=3 AFTER=0"]),
    ("hwgen_pool_axis", &["PLACES=1 KERNEL=1", "PLACES=7 KERNEL=2", "PLACES=3 KERNEL=3", "PLACES=28 KERNEL=1"]),
    (
        "hwgen_width_adapter",
        &[
            "IN_LANES=1 OUT_LANES=1 WORDS_PER_FRAME=1 LANE_BITS=1",
            "IN_LANES=1 OUT_LANES=2 WORDS_PER_FRAME=1 LANE_BITS=1",
            "IN_LANES=2 OUT_LANES=1 WORDS_PER_FRAME=2 LANE_BITS=16",
            "IN_LANES=2 OUT_LANES=3 WORDS_PER_FRAME=2",
            "IN_LANES=3 OUT_LANES=2 WORDS_PER_FRAME=3",
            "IN_LANES=8 OUT_LANES=3 WORDS_PER_FRAME=8 LANE_BITS=1",
            "IN_LANES=12 OUT_LANES=18 WORDS_PER_FRAME=2",
            "IN_LANES=1 OUT_LANES=64 WORDS_PER_FRAME=1000",
        ],
    ),
    (
        "hwgen_window_address",
        &[
            "BUFFER_WORDS=1 INNER=1 MIDDLE=1 OUTER=1 OUT_COLUMNS=1 OUT_ROWS=1",
            "BUFFER_WORDS=16",
            "INNER=7 BUFFER_WORDS=2",
        ],
    ),
    (
        "hwgen_sliding_window",
        &[
            "ROWS=1 COLUMNS=1 KERNEL_ROWS=1 KERNEL_COLUMNS=1 OUT_ROWS=1 OUT_COLUMNS=1 BUFFER_WORDS=1 LANE_BITS=1",
            "PAD_TOP=1 PAD_LEFT=1 PAD_BOTTOM=1 PAD_RIGHT=1 OUT_ROWS=4 OUT_COLUMNS=4 BUFFER_WORDS=21 PAD_CODE=255",
            "CHANNEL_OUTER=1 CHANNEL_WORDS=5 LANES=3 BUFFER_WORDS=80 MEMORY=\"block\"",
            "STRIDE_ROWS=2 STRIDE_COLUMNS=2 OUT_ROWS=1 OUT_COLUMNS=1 LANE_BITS=16 BUFFER_WORDS=16 MEMORY=\"auto\"",
            "KERNEL_ROWS=1 KERNEL_COLUMNS=1 PAD_TOP=2 OUT_ROWS=6 OUT_COLUMNS=4 BUFFER_WORDS=3",
        ],
    ),
    (
        "hwgen_matrix_control",
        &[
            "INPUT_STEPS=1 OUTPUT_STEPS=1",
            "INPUT_STEPS=1 OUTPUT_STEPS=5 DATA_BITS=1 MEMORY=\"block\"",
            "INPUT_STEPS=5 OUTPUT_STEPS=1 MEMORY=\"block\"",
            "INPUT_STEPS=2 OUTPUT_STEPS=2 VECTORS_PER_FRAME=100 MEMORY=\"block\"",
            "INPUT_STEPS=784 OUTPUT_STEPS=64 DATA_BITS=256",
        ],
    ),
    (
        "hwgen_rearrange",
        &[
            "LOOPS=1 COUNTS=32'd1 ADDS=64'd0 JUMPS=64'd1 SPAN=1 MOST_JUMP=1 BUFFER_WORDS=2 WORDS_PER_FRAME=1 DATA_BITS=1",
            "BLOCK_LOOP=1 JUMPS=96'h000000020000000000000002 SPAN=3 MOST_JUMP=2 FIRST=1 BUFFER_WORDS=16 MEMORY=\"block\"",
            "BLOCK_LOOP=2 JUMPS=96'h000000020000000100000002 SPAN=1 MOST_JUMP=2 BUFFER_WORDS=5 DATA_BITS=64",
        ],
    ),
    ("hwgen_stride_axis", &["FIRST=0", "FIRST=0 STRIDE=3", "FIRST=9 STRIDE=4", "FIRST=1"]),
    (
        "hwgen_line_window",
        &[
            "ROWS=1 COLUMNS=1 KERNEL_ROWS=1 KERNEL_COLUMNS=1 OUT_ROWS=1 OUT_COLUMNS=1 LANE_BITS=1",
            "KERNEL_ROWS=1 KERNEL_COLUMNS=1 PAD_TOP=2 OUT_ROWS=6 OUT_COLUMNS=4",
            "COLUMNS=1 KERNEL_COLUMNS=1 OUT_COLUMNS=1 STRIDE_ROWS=2 OUT_ROWS=1",
            "PAD_LEFT=2 DILATION_COLUMNS=2 DILATION_ROWS=1 KERNEL_ROWS=2 LANES=3 OUT_ROWS=3 MEMORY=\"block\"",
        ],
    ),
    (
        "hwgen_lane_max",
        &["LANE_BITS=1", "LANE_BITS=1 SIGNED=1", "LANE_BITS=16 SIGNED=1 LANES=5", "LANE_BITS=50 SIGNED=1"],
    ),
    (
        "hwgen_max_pool",
        &[
            "ROWS=1 COLUMNS=1 KERNEL_ROWS=1 KERNEL_COLUMNS=1 LANE_BITS=1",
            "ROWS=7 COLUMNS=5 CHANNEL_WORDS=3 LANES=4 SIGNED=1",
            "ROWS=3 COLUMNS=3 KERNEL_ROWS=3 KERNEL_COLUMNS=3 CHANNEL_WORDS=8 MEMORY=\"block\"",
        ],
    ),
    ("hwgen_pool_place", &["ROWS=1 COLUMNS=1 KERNEL_ROWS=1 KERNEL_COLUMNS=1", "ROWS=7 COLUMNS=5 CHANNEL_WORDS=3"]),
    (
        "hwgen_sum_store",
        &["SLICE_BITS=1 PLACES=1", "SLICE_BITS=14 CARRIES=1", "SLICE_BITS=9 LANES=5 PLACES=100 MEMORY=\"block\""],
    ),
    (
        "hwgen_sum_pool",
        &[
            "ROWS=1 COLUMNS=1 KERNEL_ROWS=1 KERNEL_COLUMNS=1 LANE_BITS=1 SUM_BITS=1",
            "ROWS=7 COLUMNS=5 CHANNEL_WORDS=3 LANES=4 SIGNED=1 SUM_BITS=17",
            "ROWS=300 COLUMNS=300 KERNEL_ROWS=300 KERNEL_COLUMNS=300 LANE_BITS=24 SUM_BITS=41 SIGNED=1 MEMORY=\"block\"",
        ],
    ),
    ("hwgen_max_reduce", &["TAPS=1", "TAPS=2 LANE_BITS=1 SIGNED=1", "TAPS=49 LANES=16"]),
    ("hwgen_greater", &["BITS=1", "BITS=16", "BITS=17", "BITS=62"]),
    (
        "hwgen_argmax",
        &[
            "LANES=1 WORDS=1 INDEX_BITS=1 VALUE_BITS=1",
            "LANES=1 WORDS=10 VALUE_BITS=22",
            "LANES=10 WORDS=1 VALUE_BITS=17",
            "LANES=3 WORDS=5 INDEX_BITS=8 POSITIONS=9",
        ],
    ),
    (
        "hwgen_top_k",
        &[
            "COUNT=1 WORDS=1 INDEX_BITS=1 VALUE_BITS=1",
            "COUNT=3 WORDS=10 POSITIONS=7 INDICES=0 VALUE_BITS=22",
            "COUNT=5 WORDS=300 INDEX_BITS=9 VALUE_BITS=17",
        ],
    ),
    (
        "hwgen_threshold_stage",
        &[
            "CODE_BITS=1",
            "VALUE_BITS=20 GROUPS=3 STAGE=3",
            "GROUPS=100 STAGE=0 IMAGE=\"lint.mem\"",
            "CODE_BITS=8 STAGE=7 GROUPS=5 IMAGE=\"lint.mem\"",
        ],
    ),
    (
        "hwgen_threshold",
        &[
            "ACCUMULATOR_BITS=1 THRESHOLD_BITS=2 CODE_BITS=1 FALLING=1",
            "ACCUMULATOR_BITS=17 THRESHOLD_BITS=17 CODE_BITS=2 GROUPS=7 SIGNED=0",
            "ACCUMULATOR_BITS=20 THRESHOLD_BITS=21 CODE_BITS=8 GROUPS=100 FALLING=1 IMAGE=\"lint.mem\"",
        ],
    ),
    ("hwgen_at_least", &["BITS=1", "BITS=16", "BITS=17", "BITS=31", "BITS=33", "BITS=64"]),
    (
        "hwgen_search_stage",
        &[
            "VALUE_BITS=1",
            "VALUE_BITS=31 GROUPS=5 STAGE=2 IMAGE=\"lint.mem\"",
            "VALUE_BITS=33 STAGE=12 STYLE=\"block\"",
            "VALUE_BITS=62 GROUPS=100 STAGE=1 IMAGE=\"lint.mem\"",
        ],
    ),
    ("hwgen_zone_axis", &["PLACES=1 BEFORE=0 AFTER=0", "PLACES=3 BEFORE=3 AFTER=0", "PLACES=28 BEFORE=0 AFTER=2"]),
    (
        "hwgen_zone",
        &[
            "ROWS=1 COLUMNS=1 ROWS_BEFORE=0 ROWS_AFTER=0 COLUMNS_BEFORE=0 COLUMNS_AFTER=0 ZONE_BITS=1",
            "ROWS=28 COLUMNS=28 ROWS_BEFORE=3 ROWS_AFTER=3 COLUMNS_BEFORE=0 COLUMNS_AFTER=2 ZONE_BITS=5",
        ],
    ),
];

fn cases() -> impl Iterator<Item = (&'static str, &'static str)> {
    CORNERS.iter().flat_map(|&(module, corners)| {
        std::iter::once((module, "")).chain(corners.iter().map(move |&corner| (module, corner)))
    })
}

#[test]
fn every_module_has_corners() {
    let files: BTreeSet<String> =
        rtl_files().iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let listed: BTreeSet<String> = CORNERS.iter().map(|(module, _)| (*module).to_owned()).collect();
    assert_eq!(files, listed);
}

#[test]
fn verilator_finds_nothing() {
    for (module, corner) in cases() {
        let mut verilator = Command::new("verilator");
        verilator
            .current_dir(rtl_folder())
            .args(["--lint-only", "-Wall", "-y", "stream", "-y", "pe", "-y", "mem", "-y", "include"])
            .args(["--top-module", module])
            .args(corner.split_whitespace().map(|setting| format!("-G{setting}")))
            .arg(format!("{module}.v"));
        must_pass(verilator);
    }
}

#[test]
fn yosys_check_passes() {
    // One top holds every corner; the two checks are simulation only.
    let mut top = String::from("module lint_top;\n");
    for (index, (module, corner)) in cases().filter(|(module, _)| !module.ends_with("_check")).enumerate() {
        let parameters: Vec<String> =
            corner.split_whitespace().map(|setting| format!(".{})", setting.replace('=', "("))).collect();
        writeln!(top, "{module} #({}) u_{index} ();", parameters.join(", ")).unwrap();
    }
    top.push_str("endmodule\n");
    let folder = work_folder("lint");
    std::fs::write(folder.join("lint_top.v"), top).unwrap();
    std::fs::write(folder.join("lint.mem"), "// bench image\n0\n1\n").unwrap();
    let files: Vec<String> = rtl_files().iter().map(|path| path.display().to_string()).collect();
    let script = format!(
        "read_verilog -defer {} lint_top.v; hierarchy -check -top lint_top; proc; check -assert",
        files.join(" ")
    );
    let mut yosys = Command::new("yosys");
    yosys.current_dir(folder).args(["-q", "-p", &script]);
    must_pass(yosys);
}

#[test]
fn icarus_reads_every_corner() {
    let folder = work_folder("lint");
    for (module, corner) in cases() {
        let mut icarus = Command::new("iverilog");
        icarus
            .args(["-g2005", "-Wall", "-Wno-timescale", "-o"])
            .arg(folder.join("icarus.vvp"))
            .args(["-s", module])
            .args(corner.split_whitespace().map(|setting| format!("-P{module}.{setting}")))
            .args(rtl_files());
        let output = icarus.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{module} {corner}: {text}");
    }
}
