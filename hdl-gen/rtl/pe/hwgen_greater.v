// SPDX-License-Identifier: MIT OR Apache-2.0
// Signed comparison a > b; combinational, no carry chain longer than 16 bits.
//
// Above 16 bits the upper and lower parts are compared side by side:
// a > b when upper a > upper b, or upper a >= upper b and lower a > lower b.
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

    wire [BITS-1:0] a = a_i ^ TURN;
    wire [BITS-1:0] b = b_i ^ TURN;

    generate
        if (BITS <= 16) begin : gen_whole
            assign greater_o = a > b;
        end else begin : gen_split
            wire above    = a[BITS-1:16] > b[BITS-1:16];
            wire no_below = a[BITS-1:16] >= b[BITS-1:16];
            wire lower    = a[15:0] > b[15:0];
            assign greater_o = above | (no_below & lower);
        end
    endgenerate
endmodule
`default_nettype wire
