// SPDX-License-Identifier: MIT OR Apache-2.0
// Maximum over each TAPS consecutive words, lane by lane.
//
// Behind hwgen_sliding_window with CHANNEL_OUTER = 1 this is max pooling with
// any stride and padding. m_last_o is s_last_i of the last tap.
// Timing: one word a cycle in; a maximum is offered 2 cycles after its last
// word is taken.
// Paths: s_ready_o and the output are functions of registers.
//
// LANE_BITS    1 .. 64.
// SIGNED       1: lanes are two's complement; 0: unsigned.
// LANES, TAPS  1 or more.
`default_nettype none
module hwgen_max_reduce #(
    parameter LANE_BITS = 8,
    parameter SIGNED    = 0,
    parameter LANES     = 1,
    parameter TAPS      = 9
) (
    input  wire                       clk_i,
    input  wire                       rst_i,
    input  wire                       s_valid_i,
    output wire                       s_ready_o,
    input  wire [LANE_BITS*LANES-1:0] s_data_i,
    input  wire                       s_last_i,
    output wire                       m_valid_o,
    input  wire                       m_ready_i,
    output wire [LANE_BITS*LANES-1:0] m_data_o,
    output wire                       m_last_o
);
    localparam DATA_BITS = LANE_BITS * LANES;

    wire [(TAPS > 1 ? $clog2(TAPS) : 1)-1:0] unused_tap;
    wire                                     tap_last;
    wire                                     available;
    wire [DATA_BITS-1:0]                     larger;
    reg                                      first_q;
    reg                                      push_q;
    reg                                      push_last_q;
    reg  [DATA_BITS-1:0]                     max_q;

    wire take = s_valid_i & s_ready_o;

    assign s_ready_o = available | ~tap_last;

    hwgen_counter #(
        .LIMIT(TAPS)
    ) u_tap (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(take),
        .value_o  (unused_tap),
        .last_o   (tap_last)
    );

    hwgen_lane_max #(
        .LANE_BITS(LANE_BITS),
        .SIGNED   (SIGNED),
        .LANES    (LANES)
    ) u_larger (
        .a_i  (max_q),
        .b_i  (s_data_i),
        .max_o(larger)
    );

    always @(posedge clk_i) begin
        if (rst_i) begin
            first_q <= 1'b1;
            push_q  <= 1'b0;
        end else begin
            if (take) first_q <= tap_last;
            push_q <= take & tap_last;
        end
        push_last_q <= s_last_i;
        if (take) max_q <= first_q ? s_data_i : larger;
    end

    // Room for one word a cycle: a credit is out for 3 cycles.
    hwgen_credit_fifo #(
        .DATA_BITS(DATA_BITS),
        .DEPTH    (TAPS == 1 ? 3 : 2)
    ) u_output (
        .clk_i      (clk_i),
        .rst_i      (rst_i),
        .reserve_i  (take & tap_last),
        .available_o(available),
        .push_i     (push_q),
        .push_data_i(max_q),
        .push_last_i(push_last_q),
        .m_valid_o  (m_valid_o),
        .m_ready_i  (m_ready_i),
        .m_data_o   (m_data_o),
        .m_last_o   (m_last_o)
    );
endmodule
`default_nettype wire
