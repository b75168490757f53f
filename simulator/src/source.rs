//! Everything that is generated for a build: the observation file, the glue between models and harness, the Makefile.
//!
//! Text in, text out. The design's own Verilog is never changed.

use std::collections::BTreeSet;
use std::fmt::Write;

use network::manifest::{Edge, Manifest};

/// Prefix of the C++ classes of the design with this index.
pub(crate) fn class_prefix(index: usize) -> String {
    format!("Vd{index}")
}

/// Verilator configuration that makes the nets of all edges readable, and the data ports for a check of their widths.
pub(crate) fn observation(manifest: &Manifest) -> String {
    let mut lines = BTreeSet::new();
    let mut line = |module: &str, net: &str| {
        lines.insert(format!("public_flat_rd -module \"{module}\" -var \"{net}\"\n"));
    };
    let outputs = manifest.outputs.iter().map(|output| &output.prefix);
    for prefix in manifest.inputs.iter().map(|input| &input.prefix).chain(outputs) {
        line(&manifest.top, &format!("{prefix}_tdata"));
    }
    for edge in &manifest.edges {
        for net in [&edge.valid, &edge.data].into_iter().chain(&edge.ready) {
            line(&edge.module, net);
        }
    }
    let body: String = lines.into_iter().collect();
    format!("`verilator_config\n{body}")
}

/// `glue.cpp`: the table of designs that `harness.h` declares; the precompiled header includes that.
pub(crate) fn glue(manifests: &[&Manifest]) -> String {
    let mut text = String::new();
    for index in 0..manifests.len() {
        let _ = writeln!(text, "#include \"{}.h\"", class_prefix(index));
    }
    text.push('\n');
    for (index, manifest) in manifests.iter().enumerate() {
        text.push_str(&ends(index, manifest));
        if manifest.edges.is_empty() {
            continue;
        }
        let _ = writeln!(text, "static const EdgeSpec edges_{index}[] = {{");
        for edge in &manifest.edges {
            let _ = writeln!(text, "    {},", edge_row(&manifest.top, edge));
        }
        text.push_str("};\n\n");
    }
    text.push_str("const DesignSpec designs[] = {\n");
    for (index, manifest) in manifests.iter().enumerate() {
        let edges = if manifest.edges.is_empty() { "nullptr".to_owned() } else { format!("edges_{index}") };
        let _ = writeln!(
            text,
            "    {{&Wrapped<{}, &ports_{index}>::create, \"TOP.{}\", inputs_{index}, {}, outputs_{index}, {}, {edges}, {}}},",
            class_prefix(index),
            manifest.top,
            manifest.inputs.len(),
            manifest.outputs.len(),
            manifest.edges.len(),
        );
    }
    text.push_str("};\nconst size_t designs_count = sizeof designs / sizeof designs[0];\n");
    text
}

/// The tables of a design's inputs and outputs, and the function that finds their ports in its model.
fn ends(index: usize, manifest: &Manifest) -> String {
    let inputs: Vec<_> = manifest.inputs.iter().map(|input| (&input.prefix, &input.port)).collect();
    let outputs: Vec<_> = manifest.outputs.iter().map(|output| (&output.prefix, &output.port)).collect();
    let mut text = String::new();
    for (kind, ends) in [("inputs", &inputs), ("outputs", &outputs)] {
        let _ = writeln!(text, "static const EndSpec {kind}_{index}[] = {{");
        for (prefix, port) in ends {
            let _ = writeln!(text, "    {{\"{prefix}\", {}, {}u}},", port.tdata_bits, port.words_per_frame);
        }
        text.push_str("};\n\n");
    }
    let class = class_prefix(index);
    let _ = writeln!(text, "static void ports_{index}({class}& top, Ports& ports) {{");
    for (kind, ends) in [("inputs", &inputs), ("outputs", &outputs)] {
        let _ = writeln!(text, "    ports.{kind} = {{");
        for (prefix, _) in ends {
            let at = |signal: &str| format!("at(top.{prefix}_t{signal})");
            let ports = ["valid", "ready", "data", "last"].map(at).join(", ");
            let _ = writeln!(text, "        {{{ports}, sizeof top.{prefix}_tdata}},");
        }
        text.push_str("    };\n");
    }
    if manifest.modes.is_some() {
        let at = |signal: &str| format!("at(top.s_axil_{signal})");
        let before = ["awaddr", "awvalid", "awready"].map(at).join(", ");
        let behind = ["wstrb", "wvalid", "wready", "bresp", "bvalid", "bready", "arvalid", "rready"].map(at).join(", ");
        let _ = writeln!(text, "    ports.mode = RegisterPorts{{{before}, &top.s_axil_wdata, {behind}}};");
    }
    text.push_str("}\n\n");
    text
}

fn edge_row(top: &str, edge: &Edge) -> String {
    let scope: String = edge.path.iter().map(|instance| format!(".{instance}")).collect();
    let ready = edge.ready.as_ref().map_or("nullptr".to_owned(), |net| format!("\"{net}\""));
    format!(
        "{{\"TOP.{top}{scope}\", \"{}\", {ready}, \"{}\", {}, {}u}}",
        edge.valid,
        edge.data,
        u64::from(edge.word.lanes) * u64::from(edge.word.lane_bits),
        edge.words_per_frame,
    )
}

/// How one translation unit is compiled: code that runs in every cycle, or code that runs once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Speed {
    Fast,
    Slow,
}

/// A translation unit that gathers files of Verilator's.
pub(crate) struct Unit {
    speed: Speed,
    /// Number among the units of its speed.
    pub number: usize,
    /// Size of what it includes.
    pub bytes: u64,
    /// Its text.
    pub text: String,
}

impl Unit {
    pub(crate) fn new(speed: Speed, number: usize) -> Self {
        // One precompiled header serves one set of flags, so that what runs once is marked in the text.
        let text = match speed {
            Speed::Fast => String::new(),
            Speed::Slow => "#pragma GCC optimize (\"O0\")\n".to_owned(),
        };
        Self { speed, number, bytes: 0, text }
    }

    pub(crate) fn include(&mut self, file: &str, bytes: u64) {
        let _ = writeln!(self.text, "#include \"{file}\"");
        self.bytes += bytes;
    }

    pub(crate) fn stem(&self) -> String {
        match self.speed {
            Speed::Fast => format!("fast{}", self.number),
            Speed::Slow => format!("slow{}", self.number),
        }
    }
}

/// The Makefile of a build; the recipes take the compiler, the flags and the paths from the environment.
pub(crate) fn makefile(units: &[String]) -> String {
    let mut text = String::from("sim:");
    for stem in units {
        let _ = write!(text, " {stem}.o");
    }
    text.push_str("\n\t\"$$HWGEN_CXX\" -o $@ $^ \"$$HWGEN_RUNTIME/runtime.a\" $$HWGEN_LIBRARIES\n");
    let compile = "\"$$HWGEN_CXX\" $$HWGEN_FLAGS -include \"$$HWGEN_RUNTIME/prefix.h\" -I\"$$HWGEN_INCLUDE\" \
                   -I\"$$HWGEN_INCLUDE/vltstd\" -I. -c";
    for stem in units {
        let _ = writeln!(text, "{stem}.o: {stem}.cpp\n\t{compile} -o $@ $<");
    }
    text
}
