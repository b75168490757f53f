// SPDX-License-Identifier: MIT OR Apache-2.0
// Position on one padded axis: BEFORE padding places, INSIDE real ones, AFTER
// padding places, then again.
//
// inside_o (the place is a real one) and last_o (the last place) are registers.
//
// INSIDE         1 or more.
// BEFORE, AFTER  0 or more.
`default_nettype none
module hwgen_padded_axis #(
    parameter INSIDE = 4,
    parameter BEFORE = 1,
    parameter AFTER  = 1
) (
    input  wire clk_i,
    input  wire rst_i,
    input  wire advance_i,
    output wire inside_o,
    output wire last_o
);
    localparam        PLACES     = BEFORE + INSIDE + AFTER;
    localparam        PLACE_BITS = PLACES > 1 ? $clog2(PLACES) : 1;
    localparam [31:0] ENTER      = BEFORE - 1;
    localparam [31:0] LEAVE      = BEFORE + INSIDE - 1;

    wire [PLACE_BITS-1:0] place;

    hwgen_counter #(
        .LIMIT(PLACES)
    ) u_place (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(advance_i),
        .value_o  (place),
        .last_o   (last_o)
    );

    generate
        if (PLACES == INSIDE) begin : gen_bare
            wire unused_ok = &{1'b0, place};
            assign inside_o = 1'b1;
        end else begin : gen_padded
            localparam FIRST_INSIDE = BEFORE == 0;
            reg inside_q;

            always @(posedge clk_i) begin
                if (rst_i) inside_q <= FIRST_INSIDE;
                else if (advance_i) begin
                    if (last_o)                                inside_q <= FIRST_INSIDE;
                    else if (place == LEAVE[PLACE_BITS-1:0])   inside_q <= 1'b0;
                    else if (place == ENTER[PLACE_BITS-1:0])   inside_q <= 1'b1;
                end
            end

            assign inside_o = inside_q;
        end
    endgenerate
endmodule
`default_nettype wire
