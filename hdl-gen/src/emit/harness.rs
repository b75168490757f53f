//! A harness of shift registers around the top, so that place and route needs five pins.
//!
//! Bits come in serially and drive every input of the top; its outputs are caught together and leave serially. The
//! harness measures area and clock frequency, it does no work.

use crate::lower::register_ports;
use network::manifest::Manifest;
use std::fmt::Write as _;

/// Path and text of the harness.
pub(super) fn file(manifest: &Manifest) -> (String, String) {
    let top = &manifest.top;
    let (mut driven, mut seen) = (Vec::new(), Vec::new());
    for input in &manifest.inputs {
        let port = |suffix: &str| format!("{}_{suffix}", input.prefix);
        driven.extend([(port("tvalid"), 1), (port("tdata"), input.port.tdata_bits), (port("tlast"), 1)]);
        seen.push((port("tready"), 1));
    }
    for output in &manifest.outputs {
        let port = |suffix: &str| format!("{}_{suffix}", output.prefix);
        driven.push((port("tready"), 1));
        seen.extend([(port("tvalid"), 1), (port("tdata"), output.port.tdata_bits), (port("tlast"), 1)]);
    }
    if manifest.modes.is_some() {
        for (name, bits, enters) in register_ports() {
            let side = if enters { &mut driven } else { &mut seen };
            side.push((format!("s_axil_{name}"), bits));
        }
    }
    let bits = |ports: &[(String, u32)]| ports.iter().map(|(_, bits)| bits).sum::<u32>();
    let (driven_bits, seen_bits) = (bits(&driven), bits(&seen));
    let mut text = format!(
        "// SPDX-License-Identifier: MIT OR Apache-2.0\n\
         // {top}_harness: {top} between shift registers, for area and clock frequency with five pins.\n\
         // serial_i shifts through {driven_bits} registers that drive the inputs; load_i catches the {seen_bits} outputs, which\n\
         // else shift out at serial_o.\n\
         `default_nettype none\n\n\
         module {top}_harness (\n    input  wire aclk,\n    input  wire aresetn,\n    input  wire load_i,\n    \
         input  wire serial_i,\n    output wire serial_o\n);\n    \
         reg  [{d}:0] drive_q;\n    reg  [{s}:0] seen_q;\n    wire [{s}:0] seen;\n\n    \
         always @(posedge aclk) begin\n        drive_q <= {{drive_q[{d1}:0], serial_i}};\n        \
         seen_q  <= load_i ? seen : {{seen_q[{s1}:0], serial_i}};\n    end\n\n    \
         assign serial_o = seen_q[{s}];\n\n    {top} u_top (\n        .aclk(aclk),\n        .aresetn(aresetn)",
        d = driven_bits - 1,
        d1 = driven_bits - 2,
        s = seen_bits - 1,
        s1 = seen_bits - 2,
    );
    for (net, ports) in [("drive_q", &driven), ("seen", &seen)] {
        let mut low = 0;
        for (name, bits) in ports {
            // Writing into a String cannot fail.
            let _ = write!(text, ",\n        .{name}({net}[{}:{low}])", low + bits - 1);
            low += bits;
        }
    }
    text.push_str("\n    );\nendmodule\n\n`default_nettype wire\n");
    (format!("synth/{top}_harness.v"), text)
}
