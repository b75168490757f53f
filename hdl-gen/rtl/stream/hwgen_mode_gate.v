// SPDX-License-Identifier: MIT OR Apache-2.0
// Mode gate: samples the mode with the first word of each frame and sends it,
// once a frame, to every layer that works by it.
//
// Stream 0 of the outputs is the input unchanged, through two words of FIFO.
// Streams 1 to TOKENS carry one word for each frame, its mode, each through
// FRAMES words of FIFO. The mode is mode_i in the cycle in which the frame's
// first word is taken; later changes of mode_i count for later frames.
// A frame's first word is taken when stream 0 and all modes have room, any other
// when stream 0 has.
// m_data_o: the word lowest, then the modes in order.
// Latency 1; throughput one word a cycle.
// Cut paths: valid, data and ready are all functions of registers.
//
// DATA_BITS        1 or more.
// MODE_BITS        1 or more.
// TOKENS           1 or more: layers that take modes.
// FRAMES           1 or more: frames between here and the last of them at
//                  full rate.
// WORDS_PER_FRAME  1 or more.
`default_nettype none
module hwgen_mode_gate #(
    parameter DATA_BITS       = 8,
    parameter MODE_BITS       = 1,
    parameter TOKENS          = 1,
    parameter FRAMES          = 32,
    parameter WORDS_PER_FRAME = 1
) (
    input  wire                                  clk_i,
    input  wire                                  rst_i,
    input  wire                                  s_valid_i,
    output wire                                  s_ready_o,
    input  wire [DATA_BITS-1:0]                  s_data_i,
    input  wire                                  s_last_i,
    input  wire [MODE_BITS-1:0]                  mode_i,
    output wire [TOKENS:0]                       m_valid_o,
    input  wire [TOKENS:0]                       m_ready_i,
    output wire [DATA_BITS+TOKENS*MODE_BITS-1:0] m_data_o,
    output wire [TOKENS:0]                       m_last_o
);
    wire              data_room;
    wire [TOKENS-1:0] mode_room;
    reg               first_q;

    assign s_ready_o = data_room & (~first_q | (&mode_room));

    wire taken = s_valid_i & s_ready_o;

    always @(posedge clk_i) begin
        if (rst_i)      first_q <= 1'b1;
        else if (taken) first_q <= s_last_i;
    end

    hwgen_fifo #(
        .DATA_BITS(DATA_BITS),
        .DEPTH    (2)
    ) u_data (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .s_valid_i(taken),
        .s_ready_o(data_room),
        .s_data_i (s_data_i),
        .s_last_i (s_last_i),
        .m_valid_o(m_valid_o[0]),
        .m_ready_i(m_ready_i[0]),
        .m_data_o (m_data_o[DATA_BITS-1:0]),
        .m_last_o (m_last_o[0])
    );

    genvar k;
    generate
        for (k = 0; k < TOKENS; k = k + 1) begin : gen_mode
            hwgen_fifo #(
                .DATA_BITS(MODE_BITS),
                .DEPTH    (FRAMES)
            ) u_mode (
                .clk_i    (clk_i),
                .rst_i    (rst_i),
                .s_valid_i(taken & first_q),
                .s_ready_o(mode_room[k]),
                .s_data_i (mode_i),
                .s_last_i (1'b1),
                .m_valid_o(m_valid_o[k+1]),
                .m_ready_i(m_ready_i[k+1]),
                .m_data_o (m_data_o[DATA_BITS+k*MODE_BITS +: MODE_BITS]),
                .m_last_o (m_last_o[k+1])
            );
        end
    endgenerate

`ifndef SYNTHESIS
    hwgen_frame_check #(
        .WORDS_PER_FRAME(WORDS_PER_FRAME)
    ) u_frame_check (
        .clk_i (clk_i),
        .rst_i (rst_i),
        .move_i(taken),
        .last_i(s_last_i)
    );
`endif
endmodule
`default_nettype wire
