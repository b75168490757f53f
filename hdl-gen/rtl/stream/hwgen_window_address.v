// SPDX-License-Identifier: MIT OR Apache-2.0
// Read address of a sliding window in a cyclic buffer.
//
// Five nested loops: output row, output column, then the three of a window
// (outer, middle, inner). Each pulse of advance_i moves to the next word:
// address = (address + increment) mod BUFFER_WORDS, the increment being one of
// six constants by which loops end. Address and sum less BUFFER_WORDS are
// computed side by side. window_end_o says that the word of now is the last of
// its window, row_end_o the last of its output row, frame_end_o the last of all.
// How: the ends are known one step ahead. A step that reaches the last word of
// nested loops moves only the innermost loop that has more than one place; the
// others stand at their last place before and after it.
// Paths: all outputs are registers.
//
// INNER, MIDDLE, OUTER   1 or more: counts of the window's loops.
// *_STEP                 distance in words of one step of that loop.
// OUT_COLUMNS, OUT_ROWS  1 or more: windows of a row, rows of a frame.
// *_JUMP                 distance in words from a window's first word to the
//                        next window's, inside a row, at its end, at the frame's end.
// BUFFER_WORDS           1 or more.
`default_nettype none
module hwgen_window_address #(
    parameter INNER        = 1,
    parameter MIDDLE       = 3,
    parameter OUTER        = 3,
    parameter INNER_STEP   = 1,
    parameter MIDDLE_STEP  = 1,
    parameter OUTER_STEP   = 4,
    parameter OUT_COLUMNS  = 2,
    parameter OUT_ROWS     = 2,
    parameter COLUMN_JUMP  = 1,
    parameter ROW_JUMP     = 3,
    parameter FRAME_JUMP   = 11,
    parameter BUFFER_WORDS = 13
) (
    input  wire                                                     clk_i,
    input  wire                                                     rst_i,
    input  wire                                                     advance_i,
    output wire [(BUFFER_WORDS > 1 ? $clog2(BUFFER_WORDS) : 1)-1:0] address_o,
    output wire                                                     window_end_o,
    output wire                                                     row_end_o,
    output wire                                                     frame_end_o
);
    localparam ADDRESS_BITS = BUFFER_WORDS > 1 ? $clog2(BUFFER_WORDS) : 1;

    // The non-negative rest of a distance, which may be negative.
    function integer rest(input integer distance);
        rest = ((distance % BUFFER_WORDS) + BUFFER_WORDS) % BUFFER_WORDS;
    endfunction

    localparam INNER_BACK  = (INNER - 1) * INNER_STEP;
    localparam MIDDLE_BACK = (MIDDLE - 1) * MIDDLE_STEP + INNER_BACK;
    localparam WINDOW_BACK = (OUTER - 1) * OUTER_STEP + MIDDLE_BACK;

    localparam [31:0] INNER_ADD  = rest(INNER_STEP);
    localparam [31:0] MIDDLE_ADD = rest(MIDDLE_STEP - INNER_BACK);
    localparam [31:0] OUTER_ADD  = rest(OUTER_STEP - MIDDLE_BACK);
    localparam [31:0] COLUMN_ADD = rest(COLUMN_JUMP - WINDOW_BACK);
    localparam [31:0] ROW_ADD    = rest(ROW_JUMP - WINDOW_BACK);
    localparam [31:0] FRAME_ADD  = rest(FRAME_JUMP - WINDOW_BACK);

    localparam INNER_BITS  = INNER > 1 ? $clog2(INNER) : 1;
    localparam MIDDLE_BITS = MIDDLE > 1 ? $clog2(MIDDLE) : 1;
    localparam OUTER_BITS  = OUTER > 1 ? $clog2(OUTER) : 1;
    localparam COLUMN_BITS = OUT_COLUMNS > 1 ? $clog2(OUT_COLUMNS) : 1;
    localparam ROW_BITS    = OUT_ROWS > 1 ? $clog2(OUT_ROWS) : 1;

    // Loops of one place: the inner two, the inner three, and so on.
    localparam MIDDLE_ENDS = INNER == 1 && MIDDLE == 1;
    localparam WINDOW_ENDS = MIDDLE_ENDS && OUTER == 1;
    localparam ROW_ENDS    = WINDOW_ENDS && OUT_COLUMNS == 1;
    localparam FRAME_ENDS  = ROW_ENDS && OUT_ROWS == 1;

    // The innermost loop with more than one place.
    localparam INNER_MOVES  = INNER > 1;
    localparam MIDDLE_MOVES = INNER == 1 && MIDDLE > 1;
    localparam OUTER_MOVES  = MIDDLE_ENDS && OUTER > 1;
    localparam COLUMN_MOVES = WINDOW_ENDS && OUT_COLUMNS > 1;
    localparam ROW_MOVES    = ROW_ENDS && OUT_ROWS > 1;

    // One step before a loop's last place.
    localparam [31:0] INNER_NEAR  = INNER - 2;
    localparam [31:0] MIDDLE_NEAR = MIDDLE - 2;
    localparam [31:0] OUTER_NEAR  = OUTER - 2;
    localparam [31:0] COLUMN_NEAR = OUT_COLUMNS - 2;
    localparam [31:0] ROW_NEAR    = OUT_ROWS - 2;

    wire [INNER_BITS-1:0] inner;
    wire [MIDDLE_BITS-1:0] middle;
    wire [OUTER_BITS-1:0] outer;
    wire [COLUMN_BITS-1:0] column;
    wire [ROW_BITS-1:0] row;
    wire inner_last;
    wire middle_last;
    wire outer_last;
    wire column_last;
    wire row_last;

    // Whether each loop stands at its last place after a step that ends no loop.
    wire inner_then  = INNER_MOVES ? inner == INNER_NEAR[INNER_BITS-1:0] : inner_last;
    wire middle_then = MIDDLE_MOVES ? middle == MIDDLE_NEAR[MIDDLE_BITS-1:0] : middle_last;
    wire outer_then  = OUTER_MOVES ? outer == OUTER_NEAR[OUTER_BITS-1:0] : outer_last;
    wire column_then = COLUMN_MOVES ? column == COLUMN_NEAR[COLUMN_BITS-1:0] : column_last;
    wire row_then    = ROW_MOVES ? row == ROW_NEAR[ROW_BITS-1:0] : row_last;

    // That the inner two loops end, the inner three, and so on.
    reg middle_end_q;
    reg window_end_q;
    reg row_end_q;
    reg frame_end_q;

    always @(posedge clk_i) begin
        if (rst_i) begin
            middle_end_q <= MIDDLE_ENDS;
            window_end_q <= WINDOW_ENDS;
            row_end_q    <= ROW_ENDS;
            frame_end_q  <= FRAME_ENDS;
        end else if (advance_i) begin
            middle_end_q <= inner_then & middle_then;
            window_end_q <= inner_then & middle_then & outer_then;
            row_end_q    <= inner_then & middle_then & outer_then & column_then;
            frame_end_q  <= inner_then & middle_then & outer_then & column_then & row_then;
        end
    end

    assign window_end_o = window_end_q;
    assign row_end_o    = row_end_q;
    assign frame_end_o  = frame_end_q;

    hwgen_counter #(
        .LIMIT(INNER)
    ) u_inner (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(advance_i),
        .value_o  (inner),
        .last_o   (inner_last)
    );

    hwgen_counter #(
        .LIMIT(MIDDLE)
    ) u_middle (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(advance_i & inner_last),
        .value_o  (middle),
        .last_o   (middle_last)
    );

    hwgen_counter #(
        .LIMIT(OUTER)
    ) u_outer (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(advance_i & middle_end_q),
        .value_o  (outer),
        .last_o   (outer_last)
    );

    hwgen_counter #(
        .LIMIT(OUT_COLUMNS)
    ) u_column (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(advance_i & window_end_q),
        .value_o  (column),
        .last_o   (column_last)
    );

    hwgen_counter #(
        .LIMIT(OUT_ROWS)
    ) u_row (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(advance_i & row_end_q),
        .value_o  (row),
        .last_o   (row_last)
    );

    generate
        if (BUFFER_WORDS == 1) begin : gen_constant
            assign address_o = 1'b0;
        end else begin : gen_address
            // The increment of the next step, chosen in the step before.
            localparam [ADDRESS_BITS-1:0] ADD_FIRST = INNER > 1    ? INNER_ADD[ADDRESS_BITS-1:0]
                                                    : !MIDDLE_ENDS ? MIDDLE_ADD[ADDRESS_BITS-1:0]
                                                    : !WINDOW_ENDS ? OUTER_ADD[ADDRESS_BITS-1:0]
                                                    : !ROW_ENDS    ? COLUMN_ADD[ADDRESS_BITS-1:0]
                                                    : !FRAME_ENDS  ? ROW_ADD[ADDRESS_BITS-1:0]
                                                    :                FRAME_ADD[ADDRESS_BITS-1:0];
            wire [ADDRESS_BITS-1:0] add_d = ~inner_then  ? INNER_ADD[ADDRESS_BITS-1:0]
                                          : ~middle_then ? MIDDLE_ADD[ADDRESS_BITS-1:0]
                                          : ~outer_then  ? OUTER_ADD[ADDRESS_BITS-1:0]
                                          : ~column_then ? COLUMN_ADD[ADDRESS_BITS-1:0]
                                          : ~row_then    ? ROW_ADD[ADDRESS_BITS-1:0]
                                          :                FRAME_ADD[ADDRESS_BITS-1:0];

            reg  [ADDRESS_BITS-1:0] add_q;
            reg  [ADDRESS_BITS-1:0] address_q;
            wire [ADDRESS_BITS-1:0] address_d;

            always @(posedge clk_i) begin
                if (rst_i)          add_q <= ADD_FIRST;
                else if (advance_i) add_q <= add_d;
            end

            if (BUFFER_WORDS == 1 << ADDRESS_BITS) begin : gen_power_of_two
                assign address_d = address_q + add_q;
            end else begin : gen_wrap
                // back = add - BUFFER_WORDS: its sum is negative when no wrap is due.
                localparam [31:0] INNER_SUB  = INNER_ADD - BUFFER_WORDS;
                localparam [31:0] MIDDLE_SUB = MIDDLE_ADD - BUFFER_WORDS;
                localparam [31:0] OUTER_SUB  = OUTER_ADD - BUFFER_WORDS;
                localparam [31:0] COLUMN_SUB = COLUMN_ADD - BUFFER_WORDS;
                localparam [31:0] ROW_SUB    = ROW_ADD - BUFFER_WORDS;
                localparam [31:0] FRAME_SUB  = FRAME_ADD - BUFFER_WORDS;
                localparam [ADDRESS_BITS:0] BACK_FIRST = INNER > 1    ? INNER_SUB[ADDRESS_BITS:0]
                                                       : !MIDDLE_ENDS ? MIDDLE_SUB[ADDRESS_BITS:0]
                                                       : !WINDOW_ENDS ? OUTER_SUB[ADDRESS_BITS:0]
                                                       : !ROW_ENDS    ? COLUMN_SUB[ADDRESS_BITS:0]
                                                       : !FRAME_ENDS  ? ROW_SUB[ADDRESS_BITS:0]
                                                       :                FRAME_SUB[ADDRESS_BITS:0];
                wire [ADDRESS_BITS:0] back_d = ~inner_then  ? INNER_SUB[ADDRESS_BITS:0]
                                             : ~middle_then ? MIDDLE_SUB[ADDRESS_BITS:0]
                                             : ~outer_then  ? OUTER_SUB[ADDRESS_BITS:0]
                                             : ~column_then ? COLUMN_SUB[ADDRESS_BITS:0]
                                             : ~row_then    ? ROW_SUB[ADDRESS_BITS:0]
                                             :                FRAME_SUB[ADDRESS_BITS:0];

                reg  [ADDRESS_BITS:0]   back_q;
                wire [ADDRESS_BITS:0]   wrapped = {1'b0, address_q} + back_q;
                wire [ADDRESS_BITS-1:0] plain = address_q + add_q;

                always @(posedge clk_i) begin
                    if (rst_i)          back_q <= BACK_FIRST;
                    else if (advance_i) back_q <= back_d;
                end

                assign address_d = wrapped[ADDRESS_BITS] ? plain : wrapped[ADDRESS_BITS-1:0];
            end

            always @(posedge clk_i) begin
                if (rst_i)          address_q <= {ADDRESS_BITS{1'b0}};
                else if (advance_i) address_q <= address_d;
            end

            assign address_o = address_q;
        end
    endgenerate
endmodule
`default_nettype wire
