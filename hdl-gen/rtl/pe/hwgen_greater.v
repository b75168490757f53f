// SPDX-License-Identifier: MIT OR Apache-2.0
// Signed comparison a > b; combinational.
//
// Synthesis folds two bits or more into each step of the carry chain, so that
// 32 bits stay within a chain of 16.
//
// BITS  1 .. 32.
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

    assign greater_o = (a_i ^ TURN) > (b_i ^ TURN);
endmodule
`default_nettype wire
