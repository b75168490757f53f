// SPDX-License-Identifier: MIT OR Apache-2.0
// Fork: each input word goes to every one of OUTPUTS streams.
//
// Each output has a register slice (two words), so one slow taker delays the
// others by no more than that. A word is taken when every slice has room.
// Output k uses bit k of m_valid_o, m_ready_i, m_last_o and slice k of m_data_o.
// Latency 1; throughput one word a cycle.
// Cut paths: valid, data and ready are all functions of registers.
//
// DATA_BITS  1 or more.
// OUTPUTS    1 or more.
`default_nettype none
module hwgen_fork #(
    parameter DATA_BITS = 8,
    parameter OUTPUTS   = 2
) (
    input  wire                         clk_i,
    input  wire                         rst_i,
    input  wire                         s_valid_i,
    output wire                         s_ready_o,
    input  wire [DATA_BITS-1:0]         s_data_i,
    input  wire                         s_last_i,
    output wire [OUTPUTS-1:0]           m_valid_o,
    input  wire [OUTPUTS-1:0]           m_ready_i,
    output wire [DATA_BITS*OUTPUTS-1:0] m_data_o,
    output wire [OUTPUTS-1:0]           m_last_o
);
    wire [OUTPUTS-1:0] room;

    assign s_ready_o = &room;

    genvar k;
    generate
        for (k = 0; k < OUTPUTS; k = k + 1) begin : gen_output
            hwgen_register_slice #(
                .DATA_BITS(DATA_BITS)
            ) u_slice (
                .clk_i    (clk_i),
                .rst_i    (rst_i),
                .s_valid_i(s_valid_i & s_ready_o),
                .s_ready_o(room[k]),
                .s_data_i (s_data_i),
                .s_last_i (s_last_i),
                .m_valid_o(m_valid_o[k]),
                .m_ready_i(m_ready_i[k]),
                .m_data_o (m_data_o[DATA_BITS*k +: DATA_BITS]),
                .m_last_o (m_last_o[k])
            );
        end
    endgenerate
endmodule
`default_nettype wire
