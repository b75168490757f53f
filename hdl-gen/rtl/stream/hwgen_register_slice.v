// SPDX-License-Identifier: MIT OR Apache-2.0
// Register slice: a FIFO of two words, latency 1, one word a cycle.
//
// Cut paths: valid, data and ready are all functions of registers, so a slice
// ends every combinational path of a stream.
//
// DATA_BITS  1 or more.
`default_nettype none
module hwgen_register_slice #(
    parameter DATA_BITS = 8
) (
    input  wire                 clk_i,
    input  wire                 rst_i,
    input  wire                 s_valid_i,
    output wire                 s_ready_o,
    input  wire [DATA_BITS-1:0] s_data_i,
    input  wire                 s_last_i,
    output wire                 m_valid_o,
    input  wire                 m_ready_i,
    output wire [DATA_BITS-1:0] m_data_o,
    output wire                 m_last_o
);
    hwgen_fifo #(
        .DATA_BITS(DATA_BITS),
        .DEPTH    (2)
    ) u_fifo (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .s_valid_i(s_valid_i),
        .s_ready_o(s_ready_o),
        .s_data_i (s_data_i),
        .s_last_i (s_last_i),
        .m_valid_o(m_valid_o),
        .m_ready_i(m_ready_i),
        .m_data_o (m_data_o),
        .m_last_o (m_last_o)
    );
endmodule
`default_nettype wire
