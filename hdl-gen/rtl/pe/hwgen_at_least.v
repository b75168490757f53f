// SPDX-License-Identifier: MIT OR Apache-2.0
// Unsigned comparison a >= b; combinational.
//
// Above 16 bits 2 to 4 bits share a step of the carry chain, so that it stays
// within 16 steps: the parts in which a is greater, read as a number, are at
// least those in which it is less, since the highest part that differs decides.
//
// BITS  1 .. 64.
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
        end else begin : gen_parts
            localparam PART_BITS = (BITS + 15) / 16;
            localparam PARTS     = (BITS + PART_BITS - 1) / PART_BITS;
            localparam ALL_BITS  = PARTS * PART_BITS;
            wire [ALL_BITS:0] a = {{ALL_BITS+1-BITS{1'b0}}, a_i};
            wire [ALL_BITS:0] b = {{ALL_BITS+1-BITS{1'b0}}, b_i};
            wire [PARTS-1:0]  greater;
            wire [PARTS-1:0]  less;
            wire              unused_ok = &{1'b0, a[ALL_BITS], b[ALL_BITS]};

            genvar part;
            for (part = 0; part < PARTS; part = part + 1) begin : gen_part
                assign greater[part] = a[PART_BITS*part +: PART_BITS] > b[PART_BITS*part +: PART_BITS];
                assign less[part]    = a[PART_BITS*part +: PART_BITS] < b[PART_BITS*part +: PART_BITS];
            end

            assign at_least_o = greater >= less;
        end
    endgenerate
endmodule
`default_nettype wire
