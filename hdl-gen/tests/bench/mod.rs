//! Many generated modules in one Icarus run: each is driven cycle by cycle and its result compared at stated cycles.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use hdl_gen::verilog::ModuleText;

/// A small deterministic generator (xorshift64*), seeded by the caller or by `HWGEN_SEED`.
pub struct Random(u64);

impl Random {
    /// A generator with the seed of the environment, or the one given; prints it.
    pub fn from_environment(seed: u64) -> Self {
        let seed = std::env::var("HWGEN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(seed);
        println!("HWGEN_SEED={seed}");
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A random number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }
}

struct Dut {
    name: String,
    label: String,
    result_bits: u32,
    /// Cycle and value.
    expected: Vec<(usize, u64)>,
}

/// Devices under test with their stimuli.
pub struct Bench {
    name: &'static str,
    modules: BTreeMap<String, String>,
    duts: Vec<Dut>,
    files: Vec<(String, String)>,
    text: String,
}

impl Bench {
    pub fn new(name: &'static str) -> Self {
        Bench { name, modules: BTreeMap::new(), duts: Vec::new(), files: Vec::new(), text: String::new() }
    }

    /// Adds a module. `cycles` holds, per cycle and input port, the bits lowest first; `expected` the cycles, counted
    /// from the first, after whose preceding clock edge the result port shows a value.
    #[allow(clippy::too_many_arguments)]
    pub fn add(
        &mut self,
        name: &str,
        modules: &[ModuleText],
        inputs: &[(&str, u32)],
        result: (&str, u32),
        cycles: Vec<Vec<Vec<bool>>>,
        expected: Vec<(usize, u64)>,
        label: String,
    ) {
        for module in modules {
            let known = self.modules.insert(module.name.clone(), module.text.clone());
            assert!(known.is_none_or(|text| text == module.text), "{}: two texts of one name", module.name);
        }
        let total: u32 = inputs.iter().map(|input| input.1).sum();
        let mut memory = String::new();
        for cycle in &cycles {
            let bits: Vec<bool> = cycle.iter().flatten().copied().collect();
            assert_eq!(bits.len(), total as usize);
            let line: String = bits.iter().rev().map(|&bit| if bit { '1' } else { '0' }).collect();
            let _ = writeln!(memory, "{line}");
        }
        self.files.push((format!("{name}.mem"), memory));
        let last = expected.iter().map(|expected| expected.0).max().unwrap_or(0);
        let (count, end) = (cycles.len(), last + 2);
        let _ = writeln!(
            self.text,
            "module tb_{name};\n  reg clk = 0;\n  reg [{}:0] memory [0:{}];\n  reg [{}:0] word = 0;\n  wire [{}:0] result;\n  integer cycle;",
            total - 1,
            count - 1,
            total - 1,
            result.1 - 1
        );
        let mut ports = format!(".clk_i(clk), .{}(result)", result.0);
        let mut low = 0;
        for (port, bits) in inputs {
            let _ = write!(ports, ", .{port}(word[{}:{low}])", low + bits - 1);
            low += bits;
        }
        let _ = writeln!(
            self.text,
            "  {name} dut ({ports});\n  initial begin\n    $readmemb(\"{name}.mem\", memory);\n    for (cycle = 0; cycle < {end}; cycle = cycle + 1) begin\n      word = (cycle < {count}) ? memory[cycle] : {{{total}{{1'b0}}}};\n      #1 $display(\"{name} %0d %h\", cycle, result);\n      clk = 1; #1 clk = 0;\n    end\n  end\nendmodule"
        );
        self.duts.push(Dut { name: name.to_owned(), label, result_bits: result.1, expected });
    }

    /// Compiles and runs everything, and compares.
    pub fn run(self) {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let mut sources = Vec::new();
        for (name, text) in &self.modules {
            std::fs::write(folder.join(format!("{name}.v")), text).unwrap();
            sources.push(format!("{name}.v"));
        }
        for (name, text) in &self.files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        std::fs::write(folder.join("bench.v"), &self.text).unwrap();
        sources.push("bench.v".to_owned());
        let mut iverilog = Command::new("iverilog");
        iverilog.current_dir(&folder).args(["-g2005", "-Wall", "-Wno-timescale", "-o", "bench"]);
        for dut in &self.duts {
            iverilog.args(["-s", &format!("tb_{}", dut.name)]);
        }
        let compiled = iverilog.args(&sources).output().expect("iverilog runs");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        let run = Command::new("vvp").current_dir(&folder).args(["-n", "bench"]).output().expect("vvp runs");
        assert!(run.status.success());
        let mut seen: BTreeMap<(String, usize), String> = BTreeMap::new();
        for line in String::from_utf8_lossy(&run.stdout).lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [name, cycle, value] = words.as_slice() {
                seen.insert(((*name).to_owned(), cycle.parse().unwrap()), (*value).to_owned());
            }
        }
        let mut faults = Vec::new();
        let mut compared = 0;
        for dut in &self.duts {
            for &(cycle, value) in &dut.expected {
                let digits = dut.result_bits.div_ceil(4) as usize;
                let expected = format!("{value:0digits$x}");
                let got = seen.get(&(dut.name.clone(), cycle)).cloned().unwrap_or_default();
                compared += 1;
                if got != expected {
                    faults.push(format!("{} cycle {cycle}: got {got}, expected {expected} ({})", dut.name, dut.label));
                    break;
                }
            }
        }
        assert!(faults.is_empty(), "{} of {} modules differ\n{}", faults.len(), self.duts.len(), faults.join("\n"));
        assert!(compared > 0);
        println!("{} modules, {compared} results", self.duts.len());
    }
}
