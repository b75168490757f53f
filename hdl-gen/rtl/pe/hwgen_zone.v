// SPDX-License-Identifier: MIT OR Apache-2.0
// Border zone of the current output position.
//
//     zone = row class * COLUMN_CLASSES + column class
//
// with the classes of hwgen_zone_axis: positions whose windows reach padding in
// their own way are apart, all positions without padding share one class. It
// selects the initial accumulator constant of padded plane codes.
// zone_o is a register; each advance_i moves to the next position, row by row.
//
// ROWS, COLUMNS                 1 or more: output positions.
// ROWS_BEFORE, ROWS_AFTER, COLUMNS_BEFORE, COLUMNS_AFTER  as in hwgen_zone_axis.
// ZONE_BITS                     enough for the number of zones less 1.
`default_nettype none
module hwgen_zone #(
    parameter ROWS           = 4,
    parameter COLUMNS        = 4,
    parameter ROWS_BEFORE    = 1,
    parameter ROWS_AFTER     = 1,
    parameter COLUMNS_BEFORE = 1,
    parameter COLUMNS_AFTER  = 1,
    parameter ZONE_BITS      = 4
) (
    input  wire                 clk_i,
    input  wire                 rst_i,
    input  wire                 advance_i,
    output wire [ZONE_BITS-1:0] zone_o
);
    localparam        SHARED          = COLUMNS - COLUMNS_BEFORE - COLUMNS_AFTER;
    localparam        COLUMN_CLASSES  = COLUMNS_BEFORE + COLUMNS_AFTER + (SHARED > 0 ? 1 : 0);
    localparam [31:0] ROW_CLASS_ZONES = COLUMN_CLASSES;

    wire                 column_step;
    wire                 column_last;
    wire                 row_step;
    wire                 row_last;
    reg  [ZONE_BITS-1:0] zone_q;
    reg  [ZONE_BITS-1:0] row_zone_q;
    wire [ZONE_BITS-1:0] row_zone_d = row_last ? {ZONE_BITS{1'b0}}
                                    : row_step ? row_zone_q + ROW_CLASS_ZONES[ZONE_BITS-1:0]
                                               : row_zone_q;

    assign zone_o = zone_q;

    hwgen_zone_axis #(
        .PLACES(COLUMNS),
        .BEFORE(COLUMNS_BEFORE),
        .AFTER (COLUMNS_AFTER)
    ) u_column (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(advance_i),
        .step_o   (column_step),
        .last_o   (column_last)
    );

    hwgen_zone_axis #(
        .PLACES(ROWS),
        .BEFORE(ROWS_BEFORE),
        .AFTER (ROWS_AFTER)
    ) u_row (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(advance_i & column_last),
        .step_o   (row_step),
        .last_o   (row_last)
    );

    always @(posedge clk_i) begin
        if (rst_i) begin
            zone_q     <= {ZONE_BITS{1'b0}};
            row_zone_q <= {ZONE_BITS{1'b0}};
        end else if (advance_i) begin
            if (column_last) begin
                zone_q     <= row_zone_d;
                row_zone_q <= row_zone_d;
            end else begin
                if (column_step) zone_q <= zone_q + 1'b1;
            end
        end
    end
endmodule
`default_nettype wire
