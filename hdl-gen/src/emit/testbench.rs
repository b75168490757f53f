//! The self-checking testbench of an emitted design: plain Verilog for any simulator.

use super::{EmitError, TestVector};
use crate::design::{Design, OutputEnd};
use crate::image::Image;
use network::manifest::{EdgeContent, Word};

/// Paths and texts: the testbench, the words it sends and the words it expects.
pub(super) fn files(design: &Design, vectors: &[TestVector]) -> Result<Vec<(String, String)>, EmitError> {
    let input_word = design.input.word;
    let Some(OutputEnd { port: output, content: output_content, .. }) = design.outputs.first() else {
        return Ok(Vec::new());
    };
    let image = |title, word: Word| Image::new(title, word.lanes as usize, word.lane_bits);
    let mut sent = image("Words that the testbench sends.", input_word);
    let mut expected = image("Words that must come out.", output.word);
    for vector in vectors {
        add_words(&mut sent, &vector.input, input_word, design.input.words_per_frame, &design.input_content)?;
        add_words(&mut expected, &vector.output, output.word, output.words_per_frame, output_content)?;
    }
    let top = &design.top;
    let text = format!(
        r#"// SPDX-License-Identifier: MIT OR Apache-2.0
// Self-checking testbench of {top}: sends {frames} frames with pauses on both ends and compares every word.
// Run in the design's folder; ends with PASS, or with FAIL and the first differing words.
`default_nettype none
`timescale 1ns / 1ps
module {top}_tb;
  localparam FRAMES       = {frames};
  localparam INPUT_WORDS  = {input_words};
  localparam OUTPUT_WORDS = {output_words};
  localparam LIMIT        = {limit};

  reg                  aclk    = 1'b0;
  reg                  aresetn = 1'b0;
  reg                  s_valid = 1'b0;
  wire                 s_ready;
  reg  [{input_top}:0] s_data  = 0;
  reg                  s_last  = 1'b0;
  wire                 m_valid;
  reg                  m_ready = 1'b0;
  wire [{output_top}:0] m_data;
  wire                 m_last;

  reg [{input_top}:0]  sent     [0:FRAMES*INPUT_WORDS-1];
  reg [{output_top}:0] expected [0:FRAMES*OUTPUT_WORDS-1];
  integer to_send   = 0;
  integer received  = 0;
  integer faults    = 0;
  integer cycles    = 0;
  integer seed_in   = 1;
  integer seed_out  = 2;

  {top} u_dut (
    .aclk          (aclk),
    .aresetn       (aresetn),
    .s_axis_tvalid (s_valid),
    .s_axis_tready (s_ready),
    .s_axis_tdata  (s_data),
    .s_axis_tlast  (s_last),
    .m_axis_tvalid (m_valid),
    .m_axis_tready (m_ready),
    .m_axis_tdata  (m_data),
    .m_axis_tlast  (m_last)
  );

  always #5 aclk = ~aclk;

  initial begin
    $readmemh("tb/input.mem", sent);
    $readmemh("tb/output.mem", expected);
    repeat (4) @(negedge aclk);
    aresetn = 1'b1;
  end

  // Both ends change their offers away from the rising edge.
  always @(negedge aclk) begin
    if (aresetn) begin
      m_ready <= ($random(seed_out) & 3) != 0;
      if (!s_valid && to_send < FRAMES * INPUT_WORDS && ($random(seed_in) & 3) != 0) begin
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
      if (m_valid && m_ready) begin
        if (m_data !== expected[received] || m_last !== (received % OUTPUT_WORDS == OUTPUT_WORDS - 1)) begin
          faults = faults + 1;
          if (faults <= 10)
            $display("word %0d: got %h (last %b), expected %h", received, m_data, m_last, expected[received]);
        end
        received = received + 1;
        if (received == FRAMES * OUTPUT_WORDS) begin
          if (faults == 0) $display("PASS: %0d words of %0d frames", received, FRAMES);
          else $display("FAIL: %0d of %0d words differ", faults, received);
          $finish;
        end
      end
      if (cycles == LIMIT) begin
        $display("FAIL: only %0d of %0d words after %0d cycles", received, FRAMES * OUTPUT_WORDS, cycles);
        $finish;
      end
    end
  end
endmodule
`default_nettype wire
"#,
        frames = vectors.len(),
        input_words = design.input.words_per_frame,
        output_words = output.words_per_frame,
        limit = cycle_limit(design, vectors.len() as u64)?,
        input_top = design.input.tdata_bits - 1,
        output_top = output.tdata_bits - 1,
    );
    Ok(vec![
        (format!("tb/{top}_tb.v"), text),
        ("tb/input.mem".to_owned(), sent.into_text()),
        ("tb/output.mem".to_owned(), expected.into_text()),
    ])
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
