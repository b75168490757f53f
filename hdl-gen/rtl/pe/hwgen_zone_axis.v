// SPDX-License-Identifier: MIT OR Apache-2.0
// Class of the current place on one output axis: the first BEFORE places have a
// class each, the last AFTER places too, all between share class BEFORE.
//
// step_o: the next place has the next class. last_o: the last place.
// Paths: both are functions of registers.
//
// PLACES         1 or more.
// BEFORE, AFTER  0 or more, BEFORE + AFTER at most PLACES.
`default_nettype none
module hwgen_zone_axis #(
    parameter PLACES = 4,
    parameter BEFORE = 1,
    parameter AFTER  = 1
) (
    input  wire clk_i,
    input  wire rst_i,
    input  wire advance_i,
    output wire step_o,
    output wire last_o
);
    localparam        PLACE_BITS = PLACES > 1 ? $clog2(PLACES) : 1;
    localparam        SHARED     = PLACES - BEFORE - AFTER;
    localparam [31:0] ENTER      = BEFORE - 1;
    localparam [31:0] LEAVE      = PLACES - AFTER - 2;

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
        if (SHARED <= 1) begin : gen_each
            wire unused_ok = &{1'b0, place};
            assign step_o = 1'b1;
        end else begin : gen_shared
            // High where the next place shares this place's class.
            localparam STAYS_FIRST = BEFORE == 0;
            reg stays_q;
            always @(posedge clk_i) begin
                if (rst_i) stays_q <= STAYS_FIRST;
                else if (advance_i) begin
                    if (last_o)                              stays_q <= STAYS_FIRST;
                    else if (place == LEAVE[PLACE_BITS-1:0]) stays_q <= 1'b0;
                    else if (place == ENTER[PLACE_BITS-1:0]) stays_q <= 1'b1;
                end
            end
            assign step_o = ~stays_q;
        end
    endgenerate
endmodule
`default_nettype wire
