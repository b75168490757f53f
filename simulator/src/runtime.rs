//! Verilator's run-time library, the fixed part of the harness and a precompiled header, made once per flag set.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::sha256_hex;
use crate::model::TraceFormat;
use crate::process::{log_tail, run_tool};
use crate::{CacheDir, CacheUse, Cancel, SimulatorError, Tools};

/// The fixed C++ sources: name and text.
pub(crate) const HARNESS: [(&str, &str); 4] = [
    ("harness.h", include_str!("harness/harness.h")),
    ("wire.h", include_str!("harness/wire.h")),
    ("request.h", include_str!("harness/request.h")),
    ("harness.cpp", include_str!("harness/harness.cpp")),
];

/// Flags of every translation unit.
pub(crate) fn compiler_flags(trace: Option<TraceFormat>) -> String {
    let (vcd, fst) = match trace {
        None => (0, 0),
        Some(TraceFormat::Vcd) => (1, 0),
        Some(TraceFormat::Fst) => (0, 1),
    };
    format!(
        "-O2 -std=gnu++17 -w -faligned-new -fcf-protection=none -DVERILATOR=1 -DVM_COVERAGE=0 -DVM_SC=0 -DVM_TRACE={} -DVM_TRACE_VCD={vcd} \
         -DVM_TRACE_FST={fst} -DVL_USER_FINISH -DVL_USER_STOP -DVL_USER_FATAL -DVL_USER_WARN",
        vcd | fst
    )
}

/// Libraries to link after the archive.
pub(crate) fn libraries(trace: Option<TraceFormat>) -> &'static str {
    match trace {
        Some(TraceFormat::Fst) => "-lz -pthread -latomic",
        None | Some(TraceFormat::Vcd) => "-pthread -latomic",
    }
}

/// The folder with `runtime.a` and `prefix.h` (precompiled) for one flag set, from the cache or built now.
///
/// # Errors
/// When the compiler refuses Verilator's sources, or the cache cannot be written.
pub(crate) fn obtain(
    tools: &Tools,
    include: &Path,
    trace: Option<TraceFormat>,
    cache: &CacheDir,
    jobs: usize,
    cancel: &Cancel,
) -> Result<(PathBuf, CacheUse), SimulatorError> {
    let flags = compiler_flags(trace);
    let texts = HARNESS.map(|(_, text)| text).concat();
    let key = sha256_hex(&[
        tools.verilator_version.as_bytes(),
        tools.cxx_version.as_bytes(),
        include.as_os_str().as_encoded_bytes(),
        flags.as_bytes(),
        texts.as_bytes(),
    ]);
    cache.obtain("runtime", &key, cancel, |folder| {
        for (name, text) in HARNESS {
            let path = folder.join(name);
            fs::write(&path, text).map_err(SimulatorError::io(path))?;
        }
        build(tools, include, trace, &flags, folder, jobs, cancel)
    })
}

fn build(
    tools: &Tools,
    include: &Path,
    trace: Option<TraceFormat>,
    flags: &str,
    folder: &Path,
    jobs: usize,
    cancel: &Cancel,
) -> Result<(), SimulatorError> {
    let tracer = match trace {
        None => None,
        Some(TraceFormat::Vcd) => Some("verilated_vcd_c"),
        Some(TraceFormat::Fst) => Some("verilated_fst_c"),
    };
    let compile = format!("\t\"$$HWGEN_CXX\" {flags} -I\"$$HWGEN_INCLUDE\" -I\"$$HWGEN_INCLUDE/vltstd\" -I. -c -o $@");
    let (mut objects, mut rules) = (" harness.o".to_owned(), format!("harness.o:\n{compile} harness.cpp\n"));
    for stem in ["verilated", "verilated_threads"].into_iter().chain(tracer) {
        objects.push_str(&format!(" {stem}.o"));
        rules.push_str(&format!("{stem}.o:\n{compile} \"$$HWGEN_INCLUDE/{stem}.cpp\"\n"));
    }
    let makefile = format!(
        "all: prefix.h.gch runtime.a\nruntime.a:{objects}\n\tar rcs $@ $^\n{rules}\
         prefix.h.gch: prefix.h\n{compile} -x c++-header $<\n"
    );
    let prefix = folder.join("prefix.h");
    fs::write(&prefix, "#include \"harness.h\"\n").map_err(SimulatorError::io(prefix))?;
    let path = folder.join("Makefile");
    fs::write(&path, makefile).map_err(SimulatorError::io(path))?;
    let log = folder.join("log");
    let environment = [("HWGEN_CXX", tools.cxx.as_os_str()), ("HWGEN_INCLUDE", include.as_os_str())];
    let arguments: [OsString; 2] = [format!("-j{jobs}").into(), "all".into()];
    if run_tool(&tools.make, &arguments, folder, &environment, &log, cancel)? {
        return crate::cache::keep_only(folder, &["runtime.a", "harness.h", "prefix.h", "prefix.h.gch"]);
    }
    Err(SimulatorError::Refused {
        program: "the compiler".into(),
        design: "Verilator's run-time library (FST traces need zlib, Debian: apt-get install zlib1g-dev)".into(),
        text: log_tail(&log, 8000),
    })
}
