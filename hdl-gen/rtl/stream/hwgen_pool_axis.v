// SPDX-License-Identifier: MIT OR Apache-2.0
// Position on an axis that is cut into windows of KERNEL places side by side.
//
// All outputs are registers: window_first_o and window_last_o (the place is the
// first or last of its window), kept_o (the place lies in a whole window; the
// rest at the end of the axis does not), last_o (last place of the axis).
//
// PLACES  KERNEL or more.
// KERNEL  1 or more.
`default_nettype none
module hwgen_pool_axis #(
    parameter PLACES = 4,
    parameter KERNEL = 2
) (
    input  wire clk_i,
    input  wire rst_i,
    input  wire advance_i,
    output wire window_first_o,
    output wire window_last_o,
    output wire kept_o,
    output wire last_o
);
    localparam        KEPT       = PLACES / KERNEL * KERNEL;
    localparam        PLACE_BITS = PLACES > 1 ? $clog2(PLACES) : 1;
    localparam [31:0] LAST_KEPT  = KEPT - 1;

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
        if (KEPT == PLACES) begin : gen_all_kept
            wire unused_ok = &{1'b0, place};
            assign kept_o = 1'b1;
        end else begin : gen_rest
            reg kept_q;
            always @(posedge clk_i) begin
                if (rst_i) kept_q <= 1'b1;
                else if (advance_i) begin
                    if (last_o)                                   kept_q <= 1'b1;
                    else if (place == LAST_KEPT[PLACE_BITS-1:0])  kept_q <= 1'b0;
                end
            end
            assign kept_o = kept_q;
        end

        if (KERNEL == 1) begin : gen_single
            assign window_first_o = 1'b1;
            assign window_last_o  = 1'b1;
        end else begin : gen_window
            localparam        PHASE_BITS   = $clog2(KERNEL);
            localparam [31:0] NEXT_TO_LAST = KERNEL - 2;
            reg [PHASE_BITS-1:0] phase_q;
            reg                  first_q;
            reg                  last_q;

            always @(posedge clk_i) begin
                if (rst_i) begin
                    phase_q <= {PHASE_BITS{1'b0}};
                    first_q <= 1'b1;
                    last_q  <= 1'b0;
                end else if (advance_i) begin
                    phase_q <= last_o | last_q ? {PHASE_BITS{1'b0}} : phase_q + 1'b1;
                    first_q <= last_o | last_q;
                    last_q  <= ~(last_o | last_q) & (phase_q == NEXT_TO_LAST[PHASE_BITS-1:0]);
                end
            end

            assign window_first_o = first_q;
            assign window_last_o  = last_q;
        end
    endgenerate
endmodule
`default_nettype wire
