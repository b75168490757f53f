// SPDX-License-Identifier: MIT OR Apache-2.0
// Loop counter: counts advance pulses 0, 1, .. LIMIT-1, 0 and knows its last value.
//
// value_o and last_o (value_o == LIMIT-1) are registers, so nested loops chain
// through one AND of last flags: advance of the outer loop is
// advance & last of the inner one. LIMIT 1 costs nothing (value 0, always last).
//
// LIMIT  1 .. 2^30: number of values.
`default_nettype none
module hwgen_counter #(
    parameter LIMIT = 2
) (
    input  wire                                        clk_i,
    input  wire                                        rst_i,
    input  wire                                        advance_i,
    output wire [(LIMIT > 1 ? $clog2(LIMIT) : 1)-1:0]  value_o,
    output wire                                        last_o
);
    localparam        VALUE_BITS = LIMIT > 1 ? $clog2(LIMIT) : 1;
    localparam [31:0] NEXT_TO_LAST = LIMIT - 2;

    generate
        if (LIMIT == 1) begin : gen_constant
            wire unused_ok = &{1'b0, clk_i, rst_i, advance_i};
            assign value_o = 1'b0;
            assign last_o  = 1'b1;
        end else begin : gen_count
            reg [VALUE_BITS-1:0] value_q;
            reg                  last_q;

            always @(posedge clk_i) begin
                if (rst_i) begin
                    value_q <= {VALUE_BITS{1'b0}};
                    last_q  <= 1'b0;
                end else if (advance_i) begin
                    value_q <= last_q ? {VALUE_BITS{1'b0}} : value_q + 1'b1;
                    last_q  <= ~last_q & (value_q == NEXT_TO_LAST[VALUE_BITS-1:0]);
                end
            end

            assign value_o = value_q;
            assign last_o  = last_q;
        end
    endgenerate
endmodule
`default_nettype wire
