//! One executable that holds the verilated models of one or several designs.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use network::manifest::Manifest;

use crate::cache::sha256_hex;
use crate::process::{log_tail, run_tool};
use crate::source::{self, Speed};
use crate::{CacheDir, CacheUse, Cancel, DesignFolder, SimulatorError, Tools, runtime};

/// Bytes of C++ that one translation unit gathers before the next one begins: least and most.
const UNIT_BYTES: (u64, u64) = (200_000, 2_000_000);
/// Verilator's limits on a file and on a function, in its own nodes. The compiler's time grows faster than a function: a
/// heap of 300 kB in one function took 56 s, cut at 200 nodes 1.1 s.
const FILE_NODES: &str = "20000";
const FUNCTION_NODES: &str = "200";

/// A built executable, ready to run any of its designs.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) executable: PathBuf,
    pub(crate) designs: Vec<DesignFolder>,
    pub(crate) trace: Option<TraceFormat>,
    use_of_model: CacheUse,
    use_of_runtime: CacheUse,
}

/// Format of a trace file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceFormat {
    /// Value change dump, text.
    Vcd,
    /// GTKWave's compressed format.
    Fst,
}

impl TraceFormat {
    /// The format that the ending `.vcd` or `.fst` asks for.
    ///
    /// # Errors
    /// Any other ending.
    pub fn of(path: &Path) -> Result<Self, SimulatorError> {
        match path.extension().and_then(OsStr::to_str) {
            Some("vcd") => Ok(Self::Vcd),
            Some("fst") => Ok(Self::Fst),
            _ => Err(SimulatorError::Request(format!("{}: a trace file ends in .vcd or .fst", path.display()))),
        }
    }
}

/// How to build.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// Build the variant that can write a trace; it is slower.
    pub trace: Option<TraceFormat>,
    /// Compile quickly to slow code: for many designs that run for a moment.
    pub quick: bool,
    /// Processes at once.
    pub jobs: usize,
    /// Ends the build.
    pub cancel: Cancel,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            trace: None,
            quick: false,
            jobs: std::thread::available_parallelism().map_or(2, usize::from).min(16),
            cancel: Cancel::new(),
        }
    }
}

impl Model {
    /// Takes the executable for `designs` from the cache, or builds it.
    ///
    /// What decides is the content: the Verilog, the nets to observe, the ports, the versions of the tools, the flags and
    /// the harness. Memory images do not: `$readmemh` reads them when a run begins, in the design's folder.
    ///
    /// # Errors
    /// A source cannot be read; Verilator finds anything to complain of, warnings included; the compiler fails; the cache
    /// cannot be written; the caller cancels.
    pub fn build(
        tools: &Tools,
        designs: Vec<DesignFolder>,
        cache: &CacheDir,
        options: &BuildOptions,
    ) -> Result<Self, SimulatorError> {
        if designs.is_empty() {
            return Err(SimulatorError::Request("there is no design to build".into()));
        }
        let parts = Parts::read(&designs)?;
        let key = parts.key(tools, options);
        let mut use_of_runtime = CacheUse::Hit;
        let (entry, use_of_model) = cache.obtain("model", &key, &options.cancel, |folder| {
            let include = tools.verilator_include()?;
            let (runtime, used) =
                runtime::obtain(tools, &include, options.trace, cache, options.jobs, &options.cancel)?;
            use_of_runtime = used;
            Build { tools, include: &include, runtime: &runtime, designs: &designs, options, folder }.run(&parts)
        })?;
        Ok(Self { executable: entry.join("sim"), designs, trace: options.trace, use_of_model, use_of_runtime })
    }

    /// The designs, in the order given to [`Model::build`].
    pub fn designs(&self) -> &[DesignFolder] {
        &self.designs
    }

    /// Whether the executable was in the cache.
    pub fn cache_use(&self) -> CacheUse {
        self.use_of_model
    }

    /// Whether Verilator's run-time library was in the cache (or not needed, because the executable was).
    pub fn runtime_cache_use(&self) -> CacheUse {
        self.use_of_runtime
    }
}

/// All texts that a build is made of: what is hashed here is what is compiled, even if the files change meanwhile.
struct Parts {
    glue: String,
    designs: Vec<DesignParts>,
}

struct DesignParts {
    observation: String,
    sources: Vec<(String, Vec<u8>)>,
}

impl Parts {
    fn read(designs: &[DesignFolder]) -> Result<Self, SimulatorError> {
        let manifests: Vec<&Manifest> = designs.iter().map(DesignFolder::manifest).collect();
        let read = |design: &DesignFolder| {
            let sources = design.manifest().sources.iter().map(|name| {
                let path = design.folder().join(name);
                Ok((name.clone(), fs::read(&path).map_err(SimulatorError::io(path))?))
            });
            Ok(DesignParts {
                observation: source::observation(design.manifest()),
                sources: sources.collect::<Result<_, _>>()?,
            })
        };
        Ok(Self { glue: source::glue(&manifests), designs: designs.iter().map(read).collect::<Result<_, _>>()? })
    }

    fn key(&self, tools: &Tools, options: &BuildOptions) -> String {
        let flags = runtime::compiler_flags(options.trace);
        let arguments = verilator_arguments(options.trace, &[]).join(OsStr::new("\n"));
        let mut parts: Vec<&[u8]> = vec![
            tools.verilator_version.as_bytes(),
            tools.cxx_version.as_bytes(),
            flags.as_bytes(),
            arguments.as_encoded_bytes(),
            if options.quick { b"quick" } else { b"" },
            self.glue.as_bytes(),
        ];
        parts.extend(runtime::HARNESS.iter().map(|(_, text)| text.as_bytes()));
        for design in &self.designs {
            parts.push(design.observation.as_bytes());
            for (name, text) in &design.sources {
                parts.push(name.as_bytes());
                parts.push(text);
            }
        }
        sha256_hex(&parts)
    }
}

fn verilator_arguments(trace: Option<TraceFormat>, more: &[&str]) -> Vec<OsString> {
    let fixed = [
        "--cc",
        "-Wall",
        "--assert",
        "--x-assign",
        "unique",
        "--x-initial",
        "unique",
        "--output-split",
        FILE_NODES,
        "--output-split-cfuncs",
        FUNCTION_NODES,
    ];
    let trace: &[&str] = match trace {
        None => &[],
        Some(TraceFormat::Vcd) => &["--trace"],
        Some(TraceFormat::Fst) => &["--trace-fst"],
    };
    fixed.iter().chain(trace).chain(more).map(OsString::from).collect()
}

struct Build<'a> {
    tools: &'a Tools,
    include: &'a Path,
    runtime: &'a Path,
    designs: &'a [DesignFolder],
    options: &'a BuildOptions,
    folder: &'a Path,
}

impl Build<'_> {
    fn run(&self, parts: &Parts) -> Result<(), SimulatorError> {
        self.write("glue.cpp", parts.glue.as_bytes())?;
        for (index, design) in parts.designs.iter().enumerate() {
            self.write(&format!("design{index}/edges.vlt"), design.observation.as_bytes())?;
            for (name, text) in &design.sources {
                self.write(&format!("design{index}/rtl/{name}"), text)?;
            }
        }
        self.verilate_all(parts)?;
        let units = self.write_units()?;
        self.write("Makefile", source::makefile(&units).as_bytes())?;
        self.make()?;
        crate::cache::keep_only(self.folder, &["sim"])
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), SimulatorError> {
        let path = self.folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(SimulatorError::io(parent))?;
        }
        fs::write(&path, bytes).map_err(SimulatorError::io(path))
    }

    /// Verilates each design, several at once; the first design that fails gives the error.
    fn verilate_all(&self, parts: &Parts) -> Result<(), SimulatorError> {
        let next = std::sync::atomic::AtomicUsize::new(0);
        let work = || {
            let mut failed = Vec::new();
            loop {
                let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(design) = parts.designs.get(index) else { return failed };
                if let Err(error) = self.verilate(index, design) {
                    failed.push((index, error));
                }
            }
        };
        let mut failed = std::thread::scope(|scope| {
            let workers: Vec<_> = (1..self.options.jobs.min(parts.designs.len())).map(|_| scope.spawn(work)).collect();
            let mut failed = work();
            for worker in workers {
                failed.extend(worker.join().unwrap_or_default());
            }
            failed
        });
        failed.sort_by_key(|(index, _)| *index);
        failed.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
    }

    fn verilate(&self, index: usize, design: &DesignParts) -> Result<(), SimulatorError> {
        let Some(manifest) = self.designs.get(index).map(DesignFolder::manifest) else { return Ok(()) };
        let prefix = source::class_prefix(index);
        let mut arguments = verilator_arguments(
            self.options.trace,
            &["--prefix", &prefix, "--top-module", &manifest.top, "--Mdir", "../..", "-I.", "../edges.vlt"],
        );
        arguments.extend(design.sources.iter().filter(|(name, _)| name.ends_with(".v")).map(|(name, _)| name.into()));
        let log = self.folder.join(format!("design{index}/log"));
        let folder = self.folder.join(format!("design{index}/rtl"));
        if run_tool(&self.tools.verilator, &arguments, &folder, &[], &log, &self.options.cancel)? {
            return Ok(());
        }
        Err(SimulatorError::Refused {
            program: "verilator".into(),
            design: manifest.name.clone(),
            text: log_tail(&log, 8000),
        })
    }

    /// Gathers Verilator's files into translation units of a good size: the headers cost more than a small file.
    fn write_units(&self) -> Result<Vec<String>, SimulatorError> {
        let mut files = Vec::new();
        for item in fs::read_dir(self.folder).map_err(SimulatorError::io(self.folder))? {
            let path = item.map_err(SimulatorError::io(self.folder))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with("Vd") && name.ends_with(".cpp") {
                let bytes = path.metadata().map_err(SimulatorError::io(&path))?.len();
                let runs_once = name.contains("__Slow") || name.contains("__Syms");
                let speed = if runs_once || self.options.quick { Speed::Slow } else { Speed::Fast };
                files.push((name, bytes, speed));
            }
        }
        files.sort();
        let all_bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        let unit_bytes = (all_bytes / (2 * self.options.jobs as u64).max(1)).clamp(UNIT_BYTES.0, UNIT_BYTES.1);
        let mut units = Vec::new();
        for speed in [Speed::Fast, Speed::Slow] {
            let mut unit = source::Unit::new(speed, 0);
            if speed == Speed::Slow {
                unit.include("glue.cpp", 0);
            }
            for (name, bytes, _) in files.iter().filter(|(_, _, other)| *other == speed) {
                if unit.bytes > 0 && unit.bytes + bytes > unit_bytes {
                    let number = unit.number + 1;
                    units.push(std::mem::replace(&mut unit, source::Unit::new(speed, number)));
                }
                unit.include(name, *bytes);
            }
            units.push(unit);
        }
        units.sort_by_key(|unit| std::cmp::Reverse(unit.bytes));
        units
            .iter()
            .map(|unit| self.write(&format!("{}.cpp", unit.stem()), unit.text.as_bytes()).map(|()| unit.stem()))
            .collect()
    }

    fn make(&self) -> Result<(), SimulatorError> {
        let flags = runtime::compiler_flags(self.options.trace);
        let environment = [
            ("HWGEN_CXX", self.tools.cxx.as_os_str()),
            ("HWGEN_INCLUDE", self.include.as_os_str()),
            ("HWGEN_RUNTIME", self.runtime.as_os_str()),
            ("HWGEN_FLAGS", OsStr::new(&flags)),
            ("HWGEN_LIBRARIES", OsStr::new(runtime::libraries(self.options.trace))),
        ];
        let arguments: [OsString; 2] = [format!("-j{}", self.options.jobs).into(), "sim".into()];
        let log = self.folder.join("log");
        if run_tool(&self.tools.make, &arguments, self.folder, &environment, &log, &self.options.cancel)? {
            return Ok(());
        }
        let names: Vec<&str> = self.designs.iter().map(|design| design.manifest().name.as_str()).collect();
        Err(SimulatorError::Refused {
            program: "the compiler".into(),
            design: names.join(", "),
            text: log_tail(&log, 8000),
        })
    }
}
