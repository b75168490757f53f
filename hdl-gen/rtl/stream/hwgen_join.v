// SPDX-License-Identifier: MIT OR Apache-2.0
// Join: one word of each of INPUTS streams becomes one word.
//
// A word is offered when every input offers one; all are taken together. The
// parts of the output word are the input words in order, input 0 lowest; with
// different widths the parts simply follow one another.
// Latency 0; throughput one word a cycle.
// Input k uses bit k of s_valid_i, s_ready_o and s_last_i; all frames end
// together.
// Paths: valid is a function of s_valid_i, ready of s_valid_i and m_ready_i.
//
// INPUTS     1 or more.
// DATA_BITS  1 or more: all input words together.
`default_nettype none
module hwgen_join #(
    parameter INPUTS    = 2,
    parameter DATA_BITS = 16
) (
    input  wire                 clk_i,
    input  wire                 rst_i,
    input  wire [INPUTS-1:0]    s_valid_i,
    output wire [INPUTS-1:0]    s_ready_o,
    input  wire [DATA_BITS-1:0] s_data_i,
    input  wire [INPUTS-1:0]    s_last_i,
    output wire                 m_valid_o,
    input  wire                 m_ready_i,
    output wire [DATA_BITS-1:0] m_data_o,
    output wire                 m_last_o
);
    assign m_valid_o = &s_valid_i;
    assign s_ready_o = {INPUTS{m_valid_o & m_ready_i}};
    assign m_data_o  = s_data_i;
    assign m_last_o  = s_last_i[0];

`ifndef SYNTHESIS
    always @(posedge clk_i) begin
        if (!rst_i && m_valid_o === 1'b1 && s_last_i !== {INPUTS{s_last_i[0]}}) begin
            $fdisplay(32'h8000_0002, "hwgen assertion: %m: the frames of the inputs do not end together (%b)", s_last_i);
            $finish;
        end
    end
`else
    wire unused_ok = &{1'b0, clk_i, rst_i, s_last_i};
`endif
endmodule
`default_nettype wire
