//! The self-checking testbench of an emitted design: plain Verilog for any simulator.

use super::{EmitError, TestVector};
use crate::design::Design;
use crate::image::Image;
use crate::lower::register_ports;
use network::manifest::{EdgeContent, StreamPort, Timing, Word, input_prefix, output_prefix};
use std::fmt::Write as _;

/// Paths and texts: the testbench, the words it sends and the words it expects.
pub(super) fn files(
    design: &Design,
    timing: Timing,
    vectors: &[TestVector],
) -> Result<Vec<(String, String)>, EmitError> {
    let image = |title: &str, word: Word| Image::new(title, word.lanes as usize, word.lane_bits);
    let mut sent: Vec<Image> =
        design.inputs.iter().map(|end| image("Words that the testbench sends.", end.port.word)).collect();
    let mut expected: Vec<Image> =
        design.outputs.iter().map(|end| image("Words that must come out.", end.port.word)).collect();
    for vector in vectors {
        add_ends(&mut sent, &vector.input, design.inputs.iter().map(|end| (&end.port, &end.content)))?;
        add_ends(&mut expected, &vector.output, design.outputs.iter().map(|end| (&end.port, &end.content)))?;
    }
    let top = &design.top;
    let ends: Vec<End> = design
        .outputs
        .iter()
        .enumerate()
        .map(|(index, end)| End::new(design.outputs.len(), index, &end.port))
        .collect();
    let begins: Vec<Begin> = design
        .inputs
        .iter()
        .enumerate()
        .map(|(index, end)| Begin::new(design.inputs.len(), index, &end.port))
        .collect();
    let first = |part: fn(&Begin) -> String| begins.iter().map(part).collect::<String>();
    let connections: Vec<String> =
        begins.iter().map(Begin::connections).chain(ends.iter().map(End::connections)).collect();
    let all = |part: fn(&End) -> String| ends.iter().map(part).collect::<String>();
    let received: Vec<String> = ends.iter().map(|end| format!("received{}", end.number)).collect();
    let words: Vec<String> = ends.iter().map(|end| format!("OUTPUT{}_WORDS", end.number)).collect();
    let connections = format!("{}{}", connections.join(",\n"), register_connections(design));
    let text = format!(
        r#"// SPDX-License-Identifier: MIT OR Apache-2.0
// Self-checking testbench of {top}: sends {frames} frames with pauses on all ends and compares every word.
// Run in the design's folder; ends with PASS, or with FAIL and the first differing words.
`default_nettype none
`timescale 1ns / 1ps
module {top}_tb;
  localparam FRAMES       = {frames};
{input_parameters}{parameters}  localparam WORDS        = FRAMES * ({words});
  localparam LIMIT        = {limit};

  reg                  aclk    = 1'b0;
  reg                  aresetn = 1'b0;
{input_nets}{nets}
  integer total    = 0;
  integer faults   = 0;
  integer cycles   = 0;

  {top} u_dut (
    .aclk          (aclk),
    .aresetn       (aresetn),
{connections}
  );

  always #5 aclk = ~aclk;

  initial begin
{input_images}{images}    repeat (4) @(negedge aclk);
    aresetn = 1'b1;
  end

  // All ends change their offers away from the rising edge.
  always @(negedge aclk) begin
    if (aresetn) begin
{offers}{input_offers}    end
  end

  always @(posedge aclk) begin
    if (aresetn) begin
      cycles <= cycles + 1;
{input_checks}{checks}      total = {received};
      if (total == WORDS) begin
        if (faults == 0) $display("PASS: %0d words of %0d frames", total, FRAMES);
        else $display("FAIL: %0d of %0d words differ", faults, total);
        $finish;
      end else if (cycles == LIMIT) begin
        $display("FAIL: only %0d of %0d words after %0d cycles", total, WORDS, cycles);
        $finish;
      end
    end
  end
endmodule
`default_nettype wire
"#,
        frames = vectors.len(),
        input_parameters = first(Begin::parameter),
        input_nets = first(Begin::nets),
        input_images = first(Begin::image),
        input_offers = first(Begin::offer),
        input_checks = first(Begin::check),
        parameters = all(End::parameter),
        words = words.join(" + "),
        limit = cycle_limit(timing, vectors.len() as u64),
        nets = all(End::nets),
        images = all(End::image),
        offers = all(End::offer),
        checks = all(End::check),
        received = received.join(" + "),
    );
    let mut files = vec![(format!("tb/{top}_tb.v"), text)];
    let images = begins.iter().zip(sent);
    files.extend(images.map(|(begin, image)| (format!("tb/input{}.mem", begin.number), image.into_text())));
    let images = ends.iter().zip(expected);
    files.extend(images.map(|(end, image)| (format!("tb/output{}.mem", end.number), image.into_text())));
    Ok(files)
}

/// One input in the testbench.
struct Begin {
    /// Nothing where there is one input, else its number.
    number: String,
    index: usize,
    prefix: String,
    port: StreamPort,
}

impl Begin {
    fn new(count: usize, index: usize, port: &StreamPort) -> Begin {
        let number = if count == 1 { String::new() } else { index.to_string() };
        Begin { number, index, prefix: input_prefix(index, count), port: port.clone() }
    }

    fn parameter(&self) -> String {
        format!("  localparam INPUT{}_WORDS = {};\n", self.number, self.port.words_per_frame)
    }

    fn nets(&self) -> String {
        let (n, top) = (&self.number, self.port.tdata_bits - 1);
        format!(
            r#"
  reg            s{n}_valid = 1'b0;
  wire           s{n}_ready;
  reg  [{top}:0] s{n}_data = 0;
  reg            s{n}_last = 1'b0;
  reg  [{top}:0] sent{n} [0:FRAMES*INPUT{n}_WORDS-1];
  integer        to_send{n} = 0;
  integer        seed_in{n} = {seed};
"#,
            // Outputs have the seeds from 2 on.
            seed = if self.index == 0 { 1 } else { 1000 + self.index },
        )
    }

    fn connections(&self) -> String {
        let (n, prefix) = (&self.number, &self.prefix);
        let line = |signal: &str| format!("    .{prefix}_t{signal} (s{n}_{signal})");
        ["valid", "ready", "data", "last"].map(line).join(",\n")
    }

    fn image(&self) -> String {
        let n = &self.number;
        format!("    $readmemh(\"tb/input{n}.mem\", sent{n});\n")
    }

    fn offer(&self) -> String {
        let n = &self.number;
        format!(
            r#"      if (!s{n}_valid && to_send{n} < FRAMES * INPUT{n}_WORDS && ($random(seed_in{n}) & 3) != 0) begin
        s{n}_valid <= 1'b1;
        s{n}_data  <= sent{n}[to_send{n}];
        s{n}_last  <= to_send{n} % INPUT{n}_WORDS == INPUT{n}_WORDS - 1;
        to_send{n} <= to_send{n} + 1;
      end
"#
        )
    }

    fn check(&self) -> String {
        let n = &self.number;
        format!("      if (s{n}_valid && s{n}_ready) s{n}_valid <= 1'b0;\n")
    }
}

/// A mode register that nobody writes: all frames have mode 0.
fn register_connections(design: &Design) -> String {
    if design.modes() <= 1 {
        return String::new();
    }
    let mut text = String::new();
    for (name, bits, enters) in register_ports() {
        let net = match name {
            "bready" | "rready" => "1'd1".to_owned(),
            _ if enters => format!("{bits}'d0"),
            _ => String::new(),
        };
        // Writing into a String cannot fail.
        let _ = write!(text, ",\n    .s_axil_{name} ({net})");
    }
    text
}

/// One output in the testbench.
struct End {
    /// Nothing where there is one output, else its number.
    number: String,
    index: usize,
    prefix: String,
    port: StreamPort,
}

impl End {
    fn new(count: usize, index: usize, port: &StreamPort) -> End {
        let number = if count == 1 { String::new() } else { index.to_string() };
        End { number, index, prefix: output_prefix(index, count), port: port.clone() }
    }

    fn parameter(&self) -> String {
        format!("  localparam OUTPUT{}_WORDS = {};\n", self.number, self.port.words_per_frame)
    }

    fn nets(&self) -> String {
        let (n, top) = (&self.number, self.port.tdata_bits - 1);
        format!(
            r#"
  wire           m{n}_valid;
  reg            m{n}_ready = 1'b0;
  wire [{top}:0] m{n}_data;
  wire           m{n}_last;
  reg  [{top}:0] expected{n} [0:FRAMES*OUTPUT{n}_WORDS-1];
  integer        received{n} = 0;
  integer        seed_out{n} = {seed};
"#,
            seed = 2 + self.index,
        )
    }

    fn connections(&self) -> String {
        let (n, prefix) = (&self.number, &self.prefix);
        let line = |signal: &str| format!("    .{prefix}_t{signal} (m{n}_{signal})");
        ["valid", "ready", "data", "last"].map(line).join(",\n")
    }

    fn image(&self) -> String {
        let n = &self.number;
        format!("    $readmemh(\"tb/output{n}.mem\", expected{n});\n")
    }

    fn offer(&self) -> String {
        let n = &self.number;
        format!("      m{n}_ready <= ($random(seed_out{n}) & 3) != 0;\n")
    }

    fn check(&self) -> String {
        let n = &self.number;
        let place = if n.is_empty() { String::new() } else { format!("{}: ", self.prefix) };
        format!(
            r#"      if (m{n}_valid && m{n}_ready) begin
        if (m{n}_data !== expected{n}[received{n}] || m{n}_last !== (received{n} % OUTPUT{n}_WORDS == OUTPUT{n}_WORDS - 1)) begin
          faults = faults + 1;
          if (faults <= 10)
            $display("{place}word %0d: got %h (last %b), expected %h", received{n}, m{n}_data, m{n}_last, expected{n}[received{n}]);
        end
        received{n} = received{n} + 1;
      end
"#
        )
    }
}

/// The integers of all inputs or outputs, one after the other, each to its image.
fn add_ends<'e>(
    images: &mut [Image],
    integers: &[i64],
    ends: impl Iterator<Item = (&'e StreamPort, &'e EdgeContent)> + Clone,
) -> Result<(), EmitError> {
    let elements = |port: &StreamPort| port.words_per_frame * u64::from(port.word.lanes);
    let expected: u64 = ends.clone().map(|(port, _)| elements(port)).sum();
    if integers.len() as u64 != expected {
        return Err(EmitError::Vector { found: integers.len(), expected });
    }
    let mut rest = integers;
    for (image, (port, content)) in images.iter_mut().zip(ends) {
        let (own, others) = rest.split_at(rest.len().min(elements(port) as usize));
        add_words(image, own, port.word, port.words_per_frame, content)?;
        rest = others;
    }
    Ok(())
}

/// Many times the cycles that the undisturbed run takes.
fn cycle_limit(timing: Timing, frames: u64) -> u64 {
    let cycles = timing.initiation_interval_cycles.saturating_mul(frames).saturating_add(timing.first_frame_cycles);
    cycles.saturating_mul(8).saturating_add(10_000).min(2_000_000_000)
}

fn add_words(
    image: &mut Image,
    integers: &[i64],
    word: Word,
    words_per_frame: u64,
    content: &EdgeContent,
) -> Result<(), EmitError> {
    let expected = words_per_frame * u64::from(word.lanes);
    if integers.len() as u64 != expected {
        return Err(EmitError::Vector { found: integers.len(), expected });
    }
    let channels = content.offset.len().max(1);
    let raw: Vec<i64> = integers
        .iter()
        .enumerate()
        .map(|(index, integer)| content.raw(index % channels, *integer).unwrap_or(0))
        .collect();
    for lanes in raw.chunks(word.lanes as usize) {
        image.push(lanes.iter().copied());
    }
    Ok(())
}
