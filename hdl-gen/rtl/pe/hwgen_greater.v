// SPDX-License-Identifier: MIT OR Apache-2.0
// Signed comparison a > b; combinational, with a carry chain of at most 16 steps.
//
// BITS  1 .. 64.
`default_nettype none
module hwgen_greater #(
    parameter BITS = 8
) (
    input  wire [BITS-1:0] a_i,
    input  wire [BITS-1:0] b_i,
    output wire            greater_o
);
    // Two's complement order is unsigned order with the top bit turned.
    localparam [BITS-1:0] TURN = {1'b1, {BITS-1{1'b0}}};

    wire b_at_least;

    hwgen_at_least #(
        .BITS(BITS)
    ) u_at_least (
        .a_i       (b_i ^ TURN),
        .b_i       (a_i ^ TURN),
        .at_least_o(b_at_least)
    );

    assign greater_o = ~b_at_least;
endmodule
`default_nettype wire
