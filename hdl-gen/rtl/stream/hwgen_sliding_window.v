// SPDX-License-Identifier: MIT OR Apache-2.0
// Serial sliding window: one tap word (LANES channels of one tap) a cycle.
//
// Stream in: pixels row by row, CHANNEL_WORDS words a pixel. Stream out: for
// each output row, output column: the KERNEL_ROWS * KERNEL_COLUMNS *
// CHANNEL_WORDS words of the window, in the order (tap row, tap column,
// channel word), or (channel word, tap row, tap column) with CHANNEL_OUTER.
// Padding places carry PAD_CODE in every lane. Input rows and columns that no
// window reaches are taken and dropped. Frames follow without a gap.
//
// How: the frame with its padding is written, in order, to a cyclic buffer
// (padding words take no input and are written ahead of it, except that a frame
// whose first window lies in the padding starts when its first word is offered,
// so that no window comes before its frame). `fill` = words written - index of the current
// window's first word. A word is written when fill < BUFFER_WORDS; a window is
// read when fill >= SPAN (its last word is there); when its last word is read,
// fill drops by the distance to the next window's first word, below zero when
// that is not yet written. Only fill's distances to the two bounds are kept,
// so that each condition is one sign bit.
// Timing: a word read in cycle t is offered in t+2; one word a cycle while
// windows are complete. Read and write go on side by side.
// Paths: s_ready_o and the output are functions of registers.
//
// LANE_BITS, LANES, CHANNEL_WORDS (channels / LANES), ROWS, COLUMNS (without
// padding), KERNEL_*, STRIDE_*, DILATION_*, OUT_ROWS, OUT_COLUMNS  1 or more.
// PAD_*          0 or more: padding rows and columns at each side.
// PAD_CODE       LANE_BITS bits: code of a padding lane.
// CHANNEL_OUTER  0 or 1.
// BUFFER_WORDS   SPAN or more; more lets writes run ahead.
// MEMORY         "distributed", "block" or "auto": the cyclic buffer.
`default_nettype none
module hwgen_sliding_window #(
    parameter LANE_BITS        = 8,
    parameter LANES            = 1,
    parameter CHANNEL_WORDS    = 1,
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
    parameter CHANNEL_OUTER    = 0,
    parameter BUFFER_WORDS     = 13,
    parameter MEMORY           = "distributed"
) (
    input  wire                       clk_i,
    input  wire                       rst_i,
    input  wire                       s_valid_i,
    output wire                       s_ready_o,
    input  wire [LANE_BITS*LANES-1:0] s_data_i,
    input  wire                       s_last_i,
    output wire                       m_valid_o,
    input  wire                       m_ready_i,
    output wire [LANE_BITS*LANES-1:0] m_data_o,
    output wire                       m_last_o
);
    localparam DATA_BITS = LANE_BITS * LANES;

    // Distances in words of the padded frame.
    localparam ROW_WORDS   = (PAD_LEFT + COLUMNS + PAD_RIGHT) * CHANNEL_WORDS;
    localparam FRAME_WORDS = (PAD_TOP + ROWS + PAD_BOTTOM) * ROW_WORDS;
    localparam TAP_COLUMN  = DILATION_COLUMNS * CHANNEL_WORDS;
    localparam TAP_ROW     = DILATION_ROWS * ROW_WORDS;
    localparam LAST_COLUMN = (KERNEL_COLUMNS - 1) * TAP_COLUMN;
    localparam LAST_ROW    = (KERNEL_ROWS - 1) * TAP_ROW;
    localparam SPAN        = LAST_ROW + LAST_COLUMN + CHANNEL_WORDS;
    localparam COLUMN_JUMP = STRIDE_COLUMNS * CHANNEL_WORDS;
    localparam ROW_JUMP    = STRIDE_ROWS * ROW_WORDS - (OUT_COLUMNS - 1) * COLUMN_JUMP;
    localparam FRAME_JUMP  = FRAME_WORDS - (OUT_ROWS - 1) * STRIDE_ROWS * ROW_WORDS
                                         - (OUT_COLUMNS - 1) * COLUMN_JUMP;

    // A first window of padding alone: the frame waits for its first word.
    localparam FIRST_REAL = PAD_TOP * ROW_WORDS + PAD_LEFT * CHANNEL_WORDS;
    localparam WAITS      = SPAN <= FIRST_REAL;

    // Signed counters wide enough for every distance above.
    localparam REACH      = BUFFER_WORDS + SPAN + COLUMN_JUMP + ROW_JUMP + FRAME_JUMP;
    localparam FILL_BITS  = $clog2(REACH) + 1;

    localparam [31:0] SPACE_AT_RESET = BUFFER_WORDS - 1;
    localparam [31:0] READY_AT_RESET = -SPAN;
    localparam [31:0] COLUMN_ADD     = COLUMN_JUMP;
    localparam [31:0] ROW_ADD        = ROW_JUMP;
    localparam [31:0] FRAME_ADD      = FRAME_JUMP;
    localparam [31:0] COLUMN_WRITE   = COLUMN_JUMP - 1;
    localparam [31:0] ROW_WRITE      = ROW_JUMP - 1;
    localparam [31:0] FRAME_WRITE    = FRAME_JUMP - 1;

    // Of the word that is read next: the last of its window, of its output row, of all.
    wire window_end;
    wire row_end;
    wire frame_end;
    wire read;

    // Write side.
    reg  [FILL_BITS-1:0] space_q;
    wire                 real_place;
    wire                 waits;
    wire                 write = ~space_q[FILL_BITS-1] & (s_valid_i | ~(real_place | waits));

    assign s_ready_o = ~space_q[FILL_BITS-1] & real_place;

    wire [(CHANNEL_WORDS > 1 ? $clog2(CHANNEL_WORDS) : 1)-1:0] unused_in_channel;
    wire in_channel_last;
    wire in_column_last;
    wire in_column_inside;
    wire in_row_inside;
    wire in_row_last;

    assign real_place = in_column_inside & in_row_inside;

    hwgen_counter #(
        .LIMIT(CHANNEL_WORDS)
    ) u_in_channel (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(write),
        .value_o  (unused_in_channel),
        .last_o   (in_channel_last)
    );

    hwgen_padded_axis #(
        .INSIDE(COLUMNS),
        .BEFORE(PAD_LEFT),
        .AFTER (PAD_RIGHT)
    ) u_in_column (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(write & in_channel_last),
        .inside_o (in_column_inside),
        .last_o   (in_column_last)
    );

    hwgen_padded_axis #(
        .INSIDE(ROWS),
        .BEFORE(PAD_TOP),
        .AFTER (PAD_BOTTOM)
    ) u_in_row (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(write & in_channel_last & in_column_last),
        .inside_o (in_row_inside),
        .last_o   (in_row_last)
    );

    generate
        if (WAITS) begin : gen_waits
            reg frame_start_q;
            always @(posedge clk_i) begin
                if (rst_i)      frame_start_q <= 1'b1;
                else if (write) frame_start_q <= in_channel_last & in_column_last & in_row_last;
            end
            assign waits = frame_start_q;
        end else begin : gen_no_wait
            wire unused_ok = &{1'b0, in_row_last};
            assign waits = 1'b0;
        end
    endgenerate

    // How far fill is from the two bounds.
    reg  [FILL_BITS-1:0] ready_q;
    reg  [FILL_BITS-1:0] jump;

    // What fill loses in this cycle: one constant for each case, so that one
    // adder is enough.
    always @* begin
        if (~(read & window_end)) jump = {FILL_BITS{write}};
        else if (~row_end)        jump = write ? COLUMN_WRITE[FILL_BITS-1:0] : COLUMN_ADD[FILL_BITS-1:0];
        else if (~frame_end)      jump = write ? ROW_WRITE[FILL_BITS-1:0] : ROW_ADD[FILL_BITS-1:0];
        else                      jump = write ? FRAME_WRITE[FILL_BITS-1:0] : FRAME_ADD[FILL_BITS-1:0];
    end

    always @(posedge clk_i) begin
        if (rst_i) begin
            space_q <= SPACE_AT_RESET[FILL_BITS-1:0];
            ready_q <= READY_AT_RESET[FILL_BITS-1:0];
        end else begin
            space_q <= space_q + jump;
            ready_q <= ready_q - jump;
        end
    end

    // Read side.
    wire available;
    reg  first_q;
    reg  read_q;
    reg  read_last_q;

    assign read = available & (~first_q | ~ready_q[FILL_BITS-1]);

    always @(posedge clk_i) begin
        if (rst_i) begin
            first_q     <= 1'b1;
            read_q      <= 1'b0;
            read_last_q <= 1'b0;
        end else begin
            if (read) first_q <= window_end;
            read_q      <= read;
            read_last_q <= read & frame_end;
        end
    end

    localparam ADDRESS_BITS = BUFFER_WORDS > 1 ? $clog2(BUFFER_WORDS) : 1;
    wire [ADDRESS_BITS-1:0] write_address;
    wire [ADDRESS_BITS-1:0] read_address;
    wire                    unused_write_last;
    wire [DATA_BITS-1:0]    word;

    hwgen_counter #(
        .LIMIT(BUFFER_WORDS)
    ) u_write_address (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(write),
        .value_o  (write_address),
        .last_o   (unused_write_last)
    );

    hwgen_window_address #(
        .INNER       (CHANNEL_OUTER != 0 ? KERNEL_COLUMNS : CHANNEL_WORDS),
        .MIDDLE      (CHANNEL_OUTER != 0 ? KERNEL_ROWS : KERNEL_COLUMNS),
        .OUTER       (CHANNEL_OUTER != 0 ? CHANNEL_WORDS : KERNEL_ROWS),
        .INNER_STEP  (CHANNEL_OUTER != 0 ? TAP_COLUMN : 1),
        .MIDDLE_STEP (CHANNEL_OUTER != 0 ? TAP_ROW : TAP_COLUMN),
        .OUTER_STEP  (CHANNEL_OUTER != 0 ? 1 : TAP_ROW),
        .OUT_COLUMNS (OUT_COLUMNS),
        .OUT_ROWS    (OUT_ROWS),
        .COLUMN_JUMP (COLUMN_JUMP),
        .ROW_JUMP    (ROW_JUMP),
        .FRAME_JUMP  (FRAME_JUMP),
        .BUFFER_WORDS(BUFFER_WORDS)
    ) u_read_address (
        .clk_i       (clk_i),
        .rst_i       (rst_i),
        .advance_i   (read),
        .address_o   (read_address),
        .window_end_o(window_end),
        .row_end_o   (row_end),
        .frame_end_o (frame_end)
    );

    hwgen_ram #(
        .DATA_BITS(DATA_BITS),
        .DEPTH    (BUFFER_WORDS),
        .STYLE    (MEMORY)
    ) u_buffer (
        .clk_i          (clk_i),
        .write_i        (write),
        .write_address_i(write_address),
        .write_data_i   (real_place ? s_data_i : {LANES{PAD_CODE[LANE_BITS-1:0]}}),
        .read_address_i (read_address),
        .read_data_o    (word)
    );

    hwgen_credit_fifo #(
        .DATA_BITS(DATA_BITS),
        .DEPTH    (4)
    ) u_output (
        .clk_i      (clk_i),
        .rst_i      (rst_i),
        .reserve_i  (read),
        .available_o(available),
        .push_i     (read_q),
        .push_data_i(word),
        .push_last_i(read_last_q),
        .m_valid_o  (m_valid_o),
        .m_ready_i  (m_ready_i),
        .m_data_o   (m_data_o),
        .m_last_o   (m_last_o)
    );

`ifndef SYNTHESIS
    hwgen_frame_check #(
        .WORDS_PER_FRAME(ROWS * COLUMNS * CHANNEL_WORDS)
    ) u_frame_check (
        .clk_i (clk_i),
        .rst_i (rst_i),
        .move_i(s_valid_i & s_ready_o),
        .last_i(s_last_i)
    );

    initial begin
        if (BUFFER_WORDS < SPAN) begin
            $fdisplay(32'h8000_0002, "hwgen assertion: %m: BUFFER_WORDS is below %0d", SPAN);
            $finish;
        end
    end
`endif
endmodule
`default_nettype wire
