//! Runs many devices under test in one Verilator build and compares every
//! output word, its `last` and its cycle.
//!
//! The data come from a definition in the bench, the cycles from the twins'
//! token-level simulation; neither knows the RTL.

#![allow(dead_code)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hdl_gen::timing::{Graph, Run, Stalls};

/// One instance of a library module with its stimulus and expected words.
pub struct Device {
    /// Instance name, shown with a failure.
    pub name: String,
    /// Module and its parameters.
    pub module: &'static str,
    pub parameters: Vec<(&'static str, String)>,
    /// Bits of one input and one output word.
    pub in_bits: usize,
    pub out_bits: usize,
    pub frames: usize,
    /// Input words of all frames, packed.
    pub input: Vec<Word>,
    /// For each output stream, the words of all frames.
    pub outputs: Vec<Vec<Word>>,
    /// The twin, with the same numbers of outputs and words.
    pub graph: Graph,
}

/// Bits of a stream word, 32 at a time, lowest first.
pub type Word = Vec<u32>;

/// Packs lanes, lane 0 lowest.
pub fn pack(lanes: &[u64], lane_bits: usize) -> Word {
    let mut word = vec![0u32; (lanes.len() * lane_bits).div_ceil(32)];
    for (lane, &value) in lanes.iter().enumerate() {
        for bit in 0..lane_bits {
            if (value >> bit) & 1 != 0 {
                let place = lane * lane_bits + bit;
                word[place / 32] |= 1 << (place % 32);
            }
        }
    }
    word
}

/// A generator for stimuli (xorshift64*), its seed from `HWGEN_SEED` or fixed.
pub struct Random(u64);

impl Random {
    pub fn new(stream: u64) -> Self {
        let seed = std::env::var("HWGEN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1u64);
        Self((seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03)) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn lanes(&mut self, count: usize, bits: usize) -> Vec<u64> {
        (0..count).map(|_| self.next() & ((1 << bits) - 1)).collect()
    }
}

pub fn rtl_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rtl")
}

/// Every library file.
pub fn rtl_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["stream", "pe", "mem", "include"] {
        let mut names: Vec<PathBuf> = std::fs::read_dir(rtl_folder().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "v"))
            .collect();
        names.sort();
        files.extend(names);
    }
    files
}

/// Source and sink stall probabilities of the runs every bench makes.
const STALLS: [(f64, f64); 4] = [(0.0, 0.0), (0.3, 0.3), (0.7, 0.1), (0.1, 0.8)];

/// Builds the devices with `extra` Verilog files beside the library, runs all
/// stall patterns, and panics at the first difference. Files that the design
/// reads (memory images) are to be in [`work_folder`]`(bench)`.
pub fn check(bench: &str, devices: &[Device], extra: &[PathBuf]) {
    let folder = work_folder(bench);
    let units = devices.iter().map(|device| device.in_bits.max(device.out_bits).div_ceil(32)).max().unwrap();
    std::fs::write(folder.join("bench_top.v"), top(devices, units)).unwrap();
    std::fs::write(folder.join("harness.cpp"), include_str!("harness.cpp")).unwrap();
    build(&folder, extra);

    let seed = 1000;
    let runs: Vec<(Stalls, u64)> = STALLS
        .iter()
        .enumerate()
        .map(|(index, &(source, sink))| {
            let seed = seed + 100_000 * index as u64;
            (Stalls { seed, source_probability: source, sink_probability: sink }, 2_000_000)
        })
        .collect();
    // The twins first: their cycle counts bound the simulation.
    let predicted: Vec<Vec<Vec<Vec<u64>>>> = runs
        .iter()
        .map(|(stalls, _)| {
            devices
                .iter()
                .enumerate()
                .map(|(index, device)| {
                    let stalls = Stalls { seed: stalls.seed + index as u64, ..*stalls };
                    let mut run = Run::frames(device.frames as u64).with_stalls(stalls);
                    run.keep_words = true;
                    run.cycle_limit = 2_000_000;
                    let fast = device.graph.run(&run);
                    match device.graph.run_by_cycle(&run) {
                        Ok(report) => {
                            assert_eq!(fast.as_ref(), Ok(&report), "{}: the fast simulator", device.name);
                            report.word_cycles
                        }
                        Err(error) => panic!("{}: twin: {error}", device.name),
                    }
                })
                .collect()
        })
        .collect();
    let limits: Vec<u64> =
        predicted.iter().map(|run| run.iter().flatten().flatten().copied().max().unwrap_or(0) + 1000).collect();

    let stimulus = folder.join("stimulus.bin");
    let result = folder.join("result.bin");
    std::fs::write(&stimulus, stimulus_bytes(devices, units, &runs, &limits)).unwrap();
    let run = Command::new(folder.join("obj_dir/Vbench_top"))
        .current_dir(&folder)
        .args([&stimulus, &result])
        .arg("+verilator+rand+reset+2")
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{bench}: {}\n{}{}",
        run.status,
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
    compare(devices, units, &predicted, &std::fs::read(&result).unwrap());
}

/// Folder in which a bench builds and runs.
pub fn work_folder(bench: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rtl_{bench}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn build(folder: &Path, extra: &[PathBuf]) {
    let mut verilate = Command::new("verilator");
    verilate
        .current_dir(folder)
        .args(["--cc", "--exe", "--top-module", "bench_top", "-Mdir", "obj_dir"])
        .args(["--x-assign", "unique", "--x-initial", "unique", "-Wno-fatal", "-Wno-lint"])
        .args(["-O3", "--output-split", "20000"])
        .args(["bench_top.v", "harness.cpp"])
        .args(rtl_files())
        .args(extra);
    must_pass(verilate);
    let mut make = Command::new("make");
    make.current_dir(folder).args(["-s", "-j2", "-C", "obj_dir", "-f", "Vbench_top.mk", "Vbench_top"]).args([
        "OPT_FAST=-O0",
        "OPT_SLOW=-O0",
        "OPT_GLOBAL=-O1",
    ]);
    if Command::new("ccache").arg("--version").output().is_ok_and(|output| output.status.success()) {
        make.arg("OBJCACHE=ccache");
    }
    must_pass(make);
}

/// Runs a command and panics with its output when it fails.
pub fn must_pass(mut command: Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// One top with every device; vectors above 64 bits, so that C++ sees arrays.
fn top(devices: &[Device], units: usize) -> String {
    let outputs: usize = devices.iter().map(|device| device.outputs.len()).sum();
    let (s, m, w) = (devices.len().max(65), outputs.max(65), units * 32);
    let mut text = format!(
        "module bench_top(input wire clk, input wire rst,\n\
         input wire [{s}-1:0] s_valid, output wire [{s}-1:0] s_ready, input wire [{s}-1:0] s_last,\n\
         input wire [{s}*{w}-1:0] s_data,\n\
         output wire [{m}-1:0] m_valid, input wire [{m}-1:0] m_ready, output wire [{m}-1:0] m_last,\n\
         output wire [{m}*{w}-1:0] m_data);\n"
    );
    let mut first = 0;
    for (index, device) in devices.iter().enumerate() {
        let count = device.outputs.len();
        let (i, o) = (device.in_bits, device.out_bits);
        let parameters: Vec<String> =
            device.parameters.iter().map(|(name, value)| format!(".{name}({value})")).collect();
        writeln!(text, "wire [{count}*{o}-1:0] data_{index};").unwrap();
        writeln!(
            text,
            "{} #({}) u_{index} (.clk_i(clk), .rst_i(rst), .s_valid_i(s_valid[{index}]), .s_ready_o(s_ready[{index}]),\n\
             .s_data_i(s_data[{index}*{w} +: {i}]), .s_last_i(s_last[{index}]),\n\
             .m_valid_o(m_valid[{first} +: {count}]), .m_ready_i(m_ready[{first} +: {count}]),\n\
             .m_data_o(data_{index}), .m_last_o(m_last[{first} +: {count}]));",
            device.module,
            parameters.join(", ")
        )
        .unwrap();
        for output in 0..count {
            let place = first + output;
            writeln!(
                text,
                "assign m_data[{place}*{w} +: {w}] = {{{{{w}-{o}+1{{1'b0}}}}, data_{index}[{output}*{o} +: {o}]}};"
            )
            .unwrap();
        }
        first += count;
    }
    text.push_str("endmodule\n");
    text
}

fn stimulus_bytes(devices: &[Device], units: usize, runs: &[(Stalls, u64)], limits: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut put = |value: u32| bytes.extend_from_slice(&value.to_le_bytes());
    put(devices.len() as u32);
    put(runs.len() as u32);
    put(units as u32);
    for device in devices {
        put(device.outputs.len() as u32);
        put((device.input.len() / device.frames) as u32);
        put(device.input.len() as u32);
        for output in &device.outputs {
            put(output.len() as u32);
        }
        for word in &device.input {
            for unit in 0..units {
                put(word.get(unit).copied().unwrap_or(0));
            }
        }
    }
    for ((stalls, _), limit) in runs.iter().zip(limits) {
        bytes.extend_from_slice(&stalls.seed.to_le_bytes());
        bytes.extend_from_slice(&limit.to_le_bytes());
        bytes.extend_from_slice(&stalls.source_probability.to_le_bytes());
        bytes.extend_from_slice(&stalls.sink_probability.to_le_bytes());
    }
    bytes
}

fn compare(devices: &[Device], units: usize, predicted: &[Vec<Vec<Vec<u64>>>], result: &[u8]) {
    let numbers: Vec<u32> = result.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
    let mut place = 0;
    let mut failures = Vec::new();
    for (run, predicted) in predicted.iter().enumerate() {
        for (device, predicted) in devices.iter().zip(predicted) {
            for (output, (expected, cycles)) in device.outputs.iter().zip(predicted).enumerate() {
                let count = numbers[place] as usize;
                place += 1;
                let words: Vec<&[u32]> = numbers[place..place + count * (3 + units)].chunks_exact(3 + units).collect();
                place += count * (3 + units);
                if let Some(failure) = difference(device, expected, cycles, &words) {
                    failures.push(format!("{} output {output}, stalls {:?}: {failure}", device.name, STALLS[run]));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

fn difference(device: &Device, expected: &[Word], cycles: &[u64], got: &[&[u32]]) -> Option<String> {
    let words_per_frame = expected.len() / device.frames;
    for (index, (word, &cycle)) in expected.iter().zip(cycles).enumerate() {
        let Some(got) = got.get(index) else {
            return Some(format!("word {index} of {} never came", expected.len()));
        };
        let got_cycle = u64::from(got[0]) | u64::from(got[1]) << 32;
        let last = u32::from((index + 1) % words_per_frame == 0);
        let data = &got[3..];
        let same = (0..data.len()).all(|unit| data[unit] == word.get(unit).copied().unwrap_or(0));
        if !same || got[2] != last || got_cycle != cycle {
            return Some(format!(
                "word {index}: expected {word:x?} last {last} cycle {cycle}, got {data:x?} last {} cycle {got_cycle}",
                got[2]
            ));
        }
    }
    (got.len() != expected.len()).then(|| format!("{} words instead of {}", got.len(), expected.len()))
}
