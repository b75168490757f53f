//! The README of an emitted design.

use crate::design::reading;
use network::manifest::{LayerRow, Manifest};
use std::fmt::Write as _;

/// The text of `README.md`.
pub(super) fn text(manifest: &Manifest, has_testbench: bool) -> String {
    let Manifest { name, top, timing, inputs, outputs, .. } = manifest;
    let mut text = format!(
        "# {name}\n\n\
         An accelerator for the network `{name}`, made by hwgen {version}. Top module: `{top}` in `rtl/{top}.v`.\n\n\
         {table}\n\
         Predicted without stalls: the first frame takes {first} clock cycles from its first input word to its last\n\
         output word, then a frame ends every {interval} cycles.\n\n\
         ## Streams\n\n\
         All ends speak AXI4-Stream (`aclk`, `aresetn`). Tensors travel row by row, channels last; element 0 of a word\n\
         is in its lowest bits; `tlast` marks the last word of a frame.\n\n\
         | port | carries | elements a word | bits an element | signed | words a frame | `tdata` bits |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
        version = env!("CARGO_PKG_VERSION"),
        table = layer_table(&manifest.layers),
        first = timing.first_frame_cycles,
        interval = timing.initiation_interval_cycles,
    );
    let leaving = outputs.iter().map(|output| (output.prefix.as_str(), output.name.as_str(), &output.port));
    let entering = inputs.iter().map(|input| (input.prefix.as_str(), input.name.as_str(), &input.port));
    for (port, carries, stream) in entering.chain(leaving) {
        let _ = writeln!(
            text,
            "| `{port}` | {carries} | {} | {} | {} | {} | {} |",
            stream.word.lanes,
            stream.word.lane_bits,
            if stream.word.signed { "yes" } else { "no" },
            stream.words_per_frame,
            stream.tdata_bits,
        );
    }
    for output in outputs {
        for (number, line) in reading(&output.content).iter().enumerate() {
            let _ = writeln!(text, "{}- `{}`: {line}.", if number == 0 { "\n" } else { "" }, output.prefix);
        }
    }
    if let Some(modes) = manifest.modes {
        let _ = writeln!(
            text,
            "\n`s_axil` (AXI4-Lite) holds the mode of frames to come, 0 to {}, in the register at address 0.",
            modes - 1
        );
    }
    text.push_str(
        "\n## Files\n\n\
         - `rtl/`: Verilog 2005, one module a file; `hwgen_*` is the library, the rest was generated for this network.\n\
         - `mem/`: weights and requantization constants for `$readmemh`; run tools in this folder so that they are found.\n\
         - `manifest.json`: ports, streams, layers and timing for programs.\n\
         - `synth/`, `constraints/`: scripts for Yosys, Vivado and Quartus, and the clock. `sh synth/flow.sh ecp5`\n  \
         (or `ice40`, `gowin`, `asic`) synthesises, places and routes with open tools; its head tells the options.\n",
    );
    if has_testbench {
        let _ = write!(
            text,
            "- `tb/`: a self-checking testbench in plain Verilog. With Icarus Verilog:\n\n      \
             iverilog -g2005 -o tb/{top}.vvp tb/{top}_tb.v rtl/*.v && vvp tb/{top}.vvp\n\n  It ends with `PASS`.\n",
        );
    }
    text
}

/// The layer table in Markdown.
fn layer_table(rows: &[LayerRow]) -> String {
    let mut text = String::from(
        "| layer | op | output | in | weights | out | PE kind | PE x SIMD | requantize | cycles a frame |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let _ = writeln!(
            text,
            "| {} | {} | {}x{}x{} | {} | {} | {} | {} | {} x {} | {} | {} |",
            row.name,
            row.op,
            row.shape[0],
            row.shape[1],
            row.shape[2],
            row.input,
            row.weight.as_deref().unwrap_or("-"),
            row.output,
            row.kind.as_deref().unwrap_or("-"),
            row.pe,
            row.simd,
            row.requantize.as_deref().unwrap_or("-"),
            row.cycles,
        );
    }
    text
}
