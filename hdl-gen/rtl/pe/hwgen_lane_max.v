// SPDX-License-Identifier: MIT OR Apache-2.0
// The larger of two words, lane by lane; combinational.
//
// LANE_BITS  1 .. 64.
// SIGNED     1: lanes are two's complement; 0: unsigned.
// LANES      1 or more.
`default_nettype none
module hwgen_lane_max #(
    parameter LANE_BITS = 8,
    parameter SIGNED    = 0,
    parameter LANES     = 1
) (
    input  wire [LANE_BITS*LANES-1:0] a_i,
    input  wire [LANE_BITS*LANES-1:0] b_i,
    output wire [LANE_BITS*LANES-1:0] max_o
);
    // Two's complement order is unsigned order with the top bit turned.
    localparam [LANE_BITS-1:0] TURN = SIGNED != 0 ? {1'b1, {LANE_BITS-1{1'b0}}} : {LANE_BITS{1'b0}};

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : gen_lane
            wire [LANE_BITS-1:0] a = a_i[LANE_BITS*lane +: LANE_BITS];
            wire [LANE_BITS-1:0] b = b_i[LANE_BITS*lane +: LANE_BITS];
            wire                 at_least;

            hwgen_at_least #(
                .BITS(LANE_BITS)
            ) u_at_least (
                .a_i       (a ^ TURN),
                .b_i       (b ^ TURN),
                .at_least_o(at_least)
            );

            assign max_o[LANE_BITS*lane +: LANE_BITS] = at_least ? a : b;
        end
    endgenerate
endmodule
`default_nettype wire
