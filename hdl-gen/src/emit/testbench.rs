//! The self-checking testbench of an emitted design: plain Verilog for any simulator.

use super::{EmitError, TestVector};
use crate::design::{Design, OutputEnd};
use crate::image::Image;
use network::manifest::{EdgeContent, StreamPort, Word, output_prefix};

/// Paths and texts: the testbench, the words it sends and the words it expects.
pub(super) fn files(design: &Design, vectors: &[TestVector]) -> Result<Vec<(String, String)>, EmitError> {
    let input_word = design.input.word;
    let image = |title: &str, word: Word| Image::new(title, word.lanes as usize, word.lane_bits);
    let mut sent = image("Words that the testbench sends.", input_word);
    let mut expected: Vec<Image> =
        design.outputs.iter().map(|end| image("Words that must come out.", end.port.word)).collect();
    for vector in vectors {
        add_words(&mut sent, &vector.input, input_word, design.input.words_per_frame, &design.input_content)?;
        add_outputs(&mut expected, &vector.output, &design.outputs)?;
    }
    let top = &design.top;
    let ends: Vec<End> = design
        .outputs
        .iter()
        .enumerate()
        .map(|(index, end)| End::new(design.outputs.len(), index, &end.port))
        .collect();
    let all = |part: fn(&End) -> String| ends.iter().map(part).collect::<String>();
    let received: Vec<String> = ends.iter().map(|end| format!("received{}", end.number)).collect();
    let words: Vec<String> = ends.iter().map(|end| format!("OUTPUT{}_WORDS", end.number)).collect();
    let text = format!(
        r#"// SPDX-License-Identifier: MIT OR Apache-2.0
// Self-checking testbench of {top}: sends {frames} frames with pauses on all ends and compares every word.
// Run in the design's folder; ends with PASS, or with FAIL and the first differing words.
`default_nettype none
`timescale 1ns / 1ps
module {top}_tb;
  localparam FRAMES       = {frames};
  localparam INPUT_WORDS  = {input_words};
{parameters}  localparam WORDS        = FRAMES * ({words});
  localparam LIMIT        = {limit};

  reg                  aclk    = 1'b0;
  reg                  aresetn = 1'b0;
  reg                  s_valid = 1'b0;
  wire                 s_ready;
  reg  [{input_top}:0] s_data  = 0;
  reg                  s_last  = 1'b0;
{nets}
  reg [{input_top}:0] sent [0:FRAMES*INPUT_WORDS-1];
  integer to_send  = 0;
  integer seed_in  = 1;
  integer total    = 0;
  integer faults   = 0;
  integer cycles   = 0;

  {top} u_dut (
    .aclk          (aclk),
    .aresetn       (aresetn),
    .s_axis_tvalid (s_valid),
    .s_axis_tready (s_ready),
    .s_axis_tdata  (s_data),
    .s_axis_tlast  (s_last){connections}
  );

  always #5 aclk = ~aclk;

  initial begin
    $readmemh("tb/input.mem", sent);
{images}    repeat (4) @(negedge aclk);
    aresetn = 1'b1;
  end

  // All ends change their offers away from the rising edge.
  always @(negedge aclk) begin
    if (aresetn) begin
{offers}      if (!s_valid && to_send < FRAMES * INPUT_WORDS && ($random(seed_in) & 3) != 0) begin
        s_valid <= 1'b1;
        s_data  <= sent[to_send];
        s_last  <= to_send % INPUT_WORDS == INPUT_WORDS - 1;
        to_send <= to_send + 1;
      end
    end
  end

  always @(posedge aclk) begin
    if (aresetn) begin
      cycles <= cycles + 1;
      if (s_valid && s_ready) s_valid <= 1'b0;
{checks}      total = {received};
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
        input_words = design.input.words_per_frame,
        parameters = all(End::parameter),
        words = words.join(" + "),
        limit = cycle_limit(design, vectors.len() as u64)?,
        input_top = design.input.tdata_bits - 1,
        nets = all(End::nets),
        connections = all(End::connections),
        images = all(End::image),
        offers = all(End::offer),
        checks = all(End::check),
        received = received.join(" + "),
    );
    let mut files = vec![(format!("tb/{top}_tb.v"), text), ("tb/input.mem".to_owned(), sent.into_text())];
    let images = ends.iter().zip(expected);
    files.extend(images.map(|(end, image)| (format!("tb/output{}.mem", end.number), image.into_text())));
    Ok(files)
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
        let line = |signal: &str| format!(",\n    .{prefix}_t{signal} (m{n}_{signal})");
        ["valid", "ready", "data", "last"].map(line).concat()
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

/// The integers of all outputs, one after the other, each to its image.
fn add_outputs(images: &mut [Image], integers: &[i64], outputs: &[OutputEnd]) -> Result<(), EmitError> {
    let elements = |end: &OutputEnd| end.port.words_per_frame * u64::from(end.port.word.lanes);
    let expected: u64 = outputs.iter().map(elements).sum();
    if integers.len() as u64 != expected {
        return Err(EmitError::Vector { found: integers.len(), expected });
    }
    let mut rest = integers;
    for (image, end) in images.iter_mut().zip(outputs) {
        let (own, others) = rest.split_at(rest.len().min(elements(end) as usize));
        add_words(image, own, end.port.word, end.port.words_per_frame, &end.content)?;
        rest = others;
    }
    Ok(())
}

/// Many times the cycles that the undisturbed run takes.
fn cycle_limit(design: &Design, frames: u64) -> Result<u64, EmitError> {
    Ok(design.predict(frames, None)?.cycles().saturating_mul(8).saturating_add(10_000).min(2_000_000_000))
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
