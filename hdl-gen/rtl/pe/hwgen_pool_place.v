// SPDX-License-Identifier: MIT OR Apache-2.0
// Where a word of a frame goes in pooling over windows side by side.
//
// Words arrive pixel by pixel, CHANNEL_WORDS words a pixel; windows of
// KERNEL_ROWS x KERNEL_COLUMNS pixels have one place for each channel word, and
// a row of windows has its places in a memory of ROW_WORDS words.
// For the current word: address_o, its place; kept_o, it lies in a whole
// window; window_last_o, it is the last of its window and channel word;
// fresh_o, it is the first; same_o, the word before it had the same place.
// Each pulse of advance_i moves to the next word.
// Paths: all outputs are functions of registers.
//
// CHANNEL_WORDS, KERNEL_ROWS, KERNEL_COLUMNS  1 or more.
// ROWS, COLUMNS  the kernel's or more.
`default_nettype none
module hwgen_pool_place #(
    parameter CHANNEL_WORDS  = 1,
    parameter ROWS           = 4,
    parameter COLUMNS        = 4,
    parameter KERNEL_ROWS    = 2,
    parameter KERNEL_COLUMNS = 2
) (
    input  wire clk_i,
    input  wire rst_i,
    input  wire advance_i,
    output wire [(COLUMNS / KERNEL_COLUMNS * CHANNEL_WORDS > 1 ? $clog2(COLUMNS / KERNEL_COLUMNS * CHANNEL_WORDS) : 1)-1:0]
                address_o,
    output wire kept_o,
    output wire window_last_o,
    output wire fresh_o,
    output wire same_o
);
    localparam ROW_WORDS    = COLUMNS / KERNEL_COLUMNS * CHANNEL_WORDS;
    localparam ADDRESS_BITS = ROW_WORDS > 1 ? $clog2(ROW_WORDS) : 1;
    localparam SAME_PLACE   = ROW_WORDS == 1;
    localparam SAME_WINDOW  = CHANNEL_WORDS == 1;

    wire [(CHANNEL_WORDS > 1 ? $clog2(CHANNEL_WORDS) : 1)-1:0] unused_channel;
    wire channel_last;
    wire column_first, column_window_last, column_kept, column_last;
    wire row_first, row_window_last, row_kept, unused_row_last;

    assign kept_o        = row_kept & column_kept;
    assign window_last_o = row_window_last & column_window_last & kept_o;
    assign fresh_o       = row_first & column_first;
    assign same_o        = SAME_PLACE | (SAME_WINDOW & ~column_first);

    hwgen_counter #(
        .LIMIT(CHANNEL_WORDS)
    ) u_channel (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(advance_i),
        .value_o  (unused_channel),
        .last_o   (channel_last)
    );

    hwgen_pool_axis #(
        .PLACES(COLUMNS),
        .KERNEL(KERNEL_COLUMNS)
    ) u_column (
        .clk_i         (clk_i),
        .rst_i         (rst_i),
        .advance_i     (advance_i & channel_last),
        .window_first_o(column_first),
        .window_last_o (column_window_last),
        .kept_o        (column_kept),
        .last_o        (column_last)
    );

    hwgen_pool_axis #(
        .PLACES(ROWS),
        .KERNEL(KERNEL_ROWS)
    ) u_row (
        .clk_i         (clk_i),
        .rst_i         (rst_i),
        .advance_i     (advance_i & channel_last & column_last),
        .window_first_o(row_first),
        .window_last_o (row_window_last),
        .kept_o        (row_kept),
        .last_o        (unused_row_last)
    );

    // The channel words of a pixel come again for each further column of the
    // window.
    generate
        if (ROW_WORDS == 1) begin : gen_one_place
            assign address_o = 1'b0;
        end else begin : gen_place
            localparam [31:0] BACK = 1 - CHANNEL_WORDS;
            reg [ADDRESS_BITS-1:0] address_q;
            always @(posedge clk_i) begin
                if (rst_i) address_q <= {ADDRESS_BITS{1'b0}};
                else if (advance_i) begin
                    if (channel_last & column_last)
                        address_q <= {ADDRESS_BITS{1'b0}};
                    else if (channel_last & ~column_window_last)
                        address_q <= address_q + BACK[ADDRESS_BITS-1:0];
                    else
                        address_q <= address_q + 1'b1;
                end
            end
            assign address_o = address_q;
        end
    endgenerate
endmodule
`default_nettype wire
