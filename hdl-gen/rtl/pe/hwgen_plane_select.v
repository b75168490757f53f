// SPDX-License-Identifier: MIT OR Apache-2.0
// One bit plane of a word of codes: plane_o[lane] = bit plane_i of the lane.
//
// Registered: plane_o comes CYCLES cycles after data_i and plane_i. No stall.
//
// LANES       1 or more.
// LANE_BITS   1 or more: bits of a code.
// PLANE_BITS  1 or more: clog2(LANE_BITS).
// CYCLES      1 or more.
// INVERT_TOP  1: the top bit is inverted, which turns two's complement into
//             the code above the least one.
`default_nettype none
module hwgen_plane_select #(
    parameter LANES      = 4,
    parameter LANE_BITS  = 8,
    parameter PLANE_BITS = 3,
    parameter CYCLES     = 1,
    parameter INVERT_TOP = 0
) (
    input  wire                       clk_i,
    input  wire [LANES*LANE_BITS-1:0] data_i,
    input  wire [PLANE_BITS-1:0]      plane_i,
    output wire [LANES-1:0]           plane_o
);
    localparam [31:0] TURN = INVERT_TOP != 0 ? 1 << (LANE_BITS - 1) : 0;

    reg [LANES-1:0] plane_q;
    wire unused_turn = &{1'b0, TURN};

    hwgen_delay #(
        .BITS  (LANES),
        .CYCLES(CYCLES - 1),
        .RESET (0)
    ) u_late (
        .clk_i (clk_i),
        .rst_i (1'b0),
        .data_i(plane_q),
        .data_o(plane_o)
    );

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : gen_lane
            wire [LANE_BITS-1:0] code = data_i[lane*LANE_BITS +: LANE_BITS] ^ TURN[LANE_BITS-1:0];
            if (LANE_BITS == 1) begin : gen_single
                wire unused_ok = &{1'b0, plane_i};
                always @(posedge clk_i) plane_q[lane] <= code;
            end else begin : gen_choice
                always @(posedge clk_i) plane_q[lane] <= code[plane_i];
            end
        end
    endgenerate
endmodule
`default_nettype wire
