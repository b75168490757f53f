// SPDX-License-Identifier: MIT OR Apache-2.0
// Unsigned comparison a >= b; combinational.
//
// Above 16 bits two bits share a step of the carry chain, so that it stays
// within 16 steps: the carry of X + Y + 1, where a pair of bits propagates when
// it is equal and generates when it is greater.
//
// BITS  1 .. 32.
`default_nettype none
module hwgen_at_least #(
    parameter BITS = 8
) (
    input  wire [BITS-1:0] a_i,
    input  wire [BITS-1:0] b_i,
    output wire            at_least_o
);
    generate
        if (BITS <= 16) begin : gen_plain
            assign at_least_o = a_i >= b_i;
        end else begin : gen_pairs
            localparam PAIRS = (BITS + 1) / 2;
            wire [2*PAIRS:0]   a = {{2*PAIRS+1-BITS{1'b0}}, a_i};
            wire [2*PAIRS:0]   b = {{2*PAIRS+1-BITS{1'b0}}, b_i};
            wire [PAIRS-1:0]   greater;
            wire [PAIRS-1:0]   equal;
            wire [PAIRS:0]     sum = {1'b0, greater | equal} + {1'b0, greater} + {{PAIRS{1'b0}}, 1'b1};
            wire               unused_ok = &{1'b0, sum[PAIRS-1:0], a[2*PAIRS], b[2*PAIRS]};

            genvar pair;
            for (pair = 0; pair < PAIRS; pair = pair + 1) begin : gen_pair
                assign greater[pair] = a[2*pair +: 2] > b[2*pair +: 2];
                assign equal[pair]   = a[2*pair +: 2] == b[2*pair +: 2];
            end

            assign at_least_o = sum[PAIRS];
        end
    endgenerate
endmodule
`default_nettype wire
