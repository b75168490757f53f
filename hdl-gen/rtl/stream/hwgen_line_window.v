// SPDX-License-Identifier: MIT OR Apache-2.0
// Parallel sliding window: one pixel a cycle in, whole windows out.
//
// Stream in: one word a pixel (LANES = all channels), row by row. Stream out:
// one word a window, KERNEL_ROWS * KERNEL_COLUMNS * LANES lanes in the order
// tap row, tap column, channel; windows row by row. Padding places carry
// PAD_CODE in every lane. Frames follow without a gap.
//
// How: each place of the padded frame is one step. Line memories give the
// column of taps that ends at the place; shift registers hold the columns
// before it. A step that ends a window puts the taps into the output FIFO.
// Timing: one step a cycle, (ROWS + padding) * (COLUMNS + padding) steps a
// frame; a window is offered 3 cycles after its last place. A frame whose first
// window lies in the padding starts when its first word is offered.
// Paths: s_ready_o and the output are functions of registers.
//
// Parameters as in hwgen_sliding_window, without CHANNEL_WORDS (always 1),
// CHANNEL_OUTER and BUFFER_WORDS. MEMORY: the line memories.
`default_nettype none
module hwgen_line_window #(
    parameter LANE_BITS        = 8,
    parameter LANES            = 1,
    parameter ROWS             = 4,
    parameter COLUMNS          = 4,
    parameter PAD_TOP          = 0,
    parameter PAD_LEFT         = 0,
    parameter PAD_BOTTOM       = 0,
    parameter PAD_RIGHT        = 0,
    parameter PAD_CODE         = 0,
    parameter KERNEL_ROWS      = 3,
    parameter KERNEL_COLUMNS   = 3,
    parameter STRIDE_ROWS      = 1,
    parameter STRIDE_COLUMNS   = 1,
    parameter DILATION_ROWS    = 1,
    parameter DILATION_COLUMNS = 1,
    parameter OUT_ROWS         = 2,
    parameter OUT_COLUMNS      = 2,
    parameter MEMORY           = "distributed"
) (
    input  wire                                                   clk_i,
    input  wire                                                   rst_i,
    input  wire                                                   s_valid_i,
    output wire                                                   s_ready_o,
    input  wire [LANE_BITS*LANES-1:0]                             s_data_i,
    input  wire                                                   s_last_i,
    output wire                                                   m_valid_o,
    input  wire                                                   m_ready_i,
    output wire [KERNEL_ROWS*KERNEL_COLUMNS*LANE_BITS*LANES-1:0]  m_data_o,
    output wire                                                   m_last_o
);
    localparam PIXEL_BITS    = LANE_BITS * LANES;
    localparam WINDOW_BITS   = KERNEL_ROWS * KERNEL_COLUMNS * PIXEL_BITS;
    localparam ROW_PLACES    = PAD_LEFT + COLUMNS + PAD_RIGHT;
    localparam LINES         = (KERNEL_ROWS - 1) * DILATION_ROWS;
    localparam DEPTH         = (KERNEL_COLUMNS - 1) * DILATION_COLUMNS;
    localparam COLUMN_BITS   = KERNEL_ROWS * PIXEL_BITS;
    localparam LINE_BITS     = LINES * PIXEL_BITS;
    localparam WINDOWS       = OUT_ROWS * OUT_COLUMNS;
    localparam WAITS         = LINES * ROW_PLACES + DEPTH + 1 <= PAD_TOP * ROW_PLACES + PAD_LEFT;

    // Step 0: the place.
    wire column_inside, column_last, row_inside, row_last;
    wire column_hit, row_hit;
    wire waits, available;

    wire real_place = column_inside & row_inside;
    wire ends       = column_hit & row_hit;
    wire allowed    = available | ~ends;
    wire step       = allowed & (s_valid_i | ~(real_place | waits));

    assign s_ready_o = allowed & real_place;

    hwgen_padded_axis #(
        .INSIDE(COLUMNS),
        .BEFORE(PAD_LEFT),
        .AFTER (PAD_RIGHT)
    ) u_column (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(step),
        .inside_o (column_inside),
        .last_o   (column_last)
    );

    hwgen_padded_axis #(
        .INSIDE(ROWS),
        .BEFORE(PAD_TOP),
        .AFTER (PAD_BOTTOM)
    ) u_row (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(step & column_last),
        .inside_o (row_inside),
        .last_o   (row_last)
    );

    hwgen_stride_axis #(
        .FIRST (DEPTH),
        .STRIDE(STRIDE_COLUMNS)
    ) u_column_hit (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(step),
        .last_i   (column_last),
        .hit_o    (column_hit)
    );

    hwgen_stride_axis #(
        .FIRST (LINES),
        .STRIDE(STRIDE_ROWS)
    ) u_row_hit (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(step & column_last),
        .last_i   (row_last),
        .hit_o    (row_hit)
    );

    generate
        if (WAITS) begin : gen_waits
            reg frame_start_q;
            always @(posedge clk_i) begin
                if (rst_i)     frame_start_q <= 1'b1;
                else if (step) frame_start_q <= column_last & row_last;
            end
            assign waits = frame_start_q;
        end else begin : gen_no_wait
            assign waits = 1'b0;
        end
    endgenerate

    // Step 1: the pixel, and below it the same column of the LINES lines before,
    // the nearest line in the highest bits.
    reg                   step_q;
    reg                   ends_q;
    reg                   push_q;
    reg  [PIXEL_BITS-1:0] pixel_q;
    wire [LINE_BITS+PIXEL_BITS-1:0] column;

    always @(posedge clk_i) begin
        step_q  <= step & ~rst_i;
        ends_q  <= step & ends & ~rst_i;
        push_q  <= ends_q & ~rst_i;
        pixel_q <= real_place ? s_data_i : {LANES{PAD_CODE[LANE_BITS-1:0]}};
    end

    generate
        if (LINES == 0) begin : gen_no_line
            assign column = pixel_q;
        end else if (ROW_PLACES == 1) begin : gen_column
            reg [LINE_BITS-1:0] lines_q;
            always @(posedge clk_i) if (step_q) lines_q <= column[PIXEL_BITS +: LINE_BITS];
            assign column = {pixel_q, lines_q};
        end else begin : gen_lines
            wire [$clog2(ROW_PLACES)-1:0] place;
            wire                          unused_place_last;
            reg  [$clog2(ROW_PLACES)-1:0] place_q;
            wire [LINE_BITS-1:0]          lines;

            always @(posedge clk_i) place_q <= place;

            hwgen_counter #(
                .LIMIT(ROW_PLACES)
            ) u_place (
                .clk_i    (clk_i),
                .rst_i    (rst_i),
                .advance_i(step),
                .value_o  (place),
                .last_o   (unused_place_last)
            );

            hwgen_ram #(
                .DATA_BITS(LINE_BITS),
                .DEPTH    (ROW_PLACES),
                .STYLE    (MEMORY)
            ) u_lines (
                .clk_i          (clk_i),
                .write_i        (step_q),
                .write_address_i(place_q),
                .write_data_i   (column[PIXEL_BITS +: LINE_BITS]),
                .read_address_i (place),
                .read_data_o    (lines)
            );

            assign column = {pixel_q, lines};
        end
    endgenerate

    // The taps of a column, the uppermost lowest; step 2: the window.
    wire [COLUMN_BITS-1:0]           taps;
    reg  [COLUMN_BITS*(DEPTH+1)-1:0] columns_q;
    wire [WINDOW_BITS-1:0]           window;
    wire                             push_last;
    wire [(WINDOWS > 1 ? $clog2(WINDOWS) : 1)-1:0] unused_window;

    genvar ky, kx;
    generate
        for (ky = 0; ky < KERNEL_ROWS; ky = ky + 1) begin : gen_row
            assign taps[PIXEL_BITS*ky +: PIXEL_BITS] = column[PIXEL_BITS*DILATION_ROWS*ky +: PIXEL_BITS];
            for (kx = 0; kx < KERNEL_COLUMNS; kx = kx + 1) begin : gen_tap
                assign window[PIXEL_BITS*(KERNEL_COLUMNS*ky+kx) +: PIXEL_BITS] =
                    columns_q[COLUMN_BITS*DILATION_COLUMNS*kx + PIXEL_BITS*ky +: PIXEL_BITS];
            end
        end

        if (DEPTH == 0) begin : gen_one_column
            always @(posedge clk_i) if (step_q) columns_q <= taps;
        end else begin : gen_columns
            always @(posedge clk_i) if (step_q) columns_q <= {taps, columns_q[COLUMN_BITS*(DEPTH+1)-1:COLUMN_BITS]};
        end
    endgenerate

    hwgen_counter #(
        .LIMIT(WINDOWS)
    ) u_last (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(push_q),
        .value_o  (unused_window),
        .last_o   (push_last)
    );

    hwgen_credit_fifo #(
        .DATA_BITS(WINDOW_BITS),
        .DEPTH    (4)
    ) u_output (
        .clk_i      (clk_i),
        .rst_i      (rst_i),
        .reserve_i  (step & ends),
        .available_o(available),
        .push_i     (push_q),
        .push_data_i(window),
        .push_last_i(push_last),
        .m_valid_o  (m_valid_o),
        .m_ready_i  (m_ready_i),
        .m_data_o   (m_data_o),
        .m_last_o   (m_last_o)
    );

`ifndef SYNTHESIS
    hwgen_frame_check #(
        .WORDS_PER_FRAME(ROWS * COLUMNS)
    ) u_frame_check (
        .clk_i (clk_i),
        .rst_i (rst_i),
        .move_i(s_valid_i & s_ready_o),
        .last_i(s_last_i)
    );
`endif
endmodule
`default_nettype wire
