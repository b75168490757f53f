// SPDX-License-Identifier: MIT OR Apache-2.0
// Max pooling over windows side by side (stride = kernel, no padding).
//
//     y[r][c] = max over i < KERNEL_ROWS, j < KERNEL_COLUMNS of
//               x[r * KERNEL_ROWS + i][c * KERNEL_COLUMNS + j], lane by lane
//
// Streams: pixels row by row, CHANNEL_WORDS words a pixel, both sides. Rows and
// columns at the end that fill no window are taken and dropped. A memory holds
// the running maxima of one output row.
// Timing: one word a cycle in; a maximum is offered 3 cycles after the last
// word of its window is taken.
// Paths: s_ready_o and the output are functions of registers.
//
// LANE_BITS        1 .. 64.
// SIGNED           1: lanes are two's complement; 0: unsigned.
// LANES, CHANNEL_WORDS (channels / LANES), KERNEL_ROWS, KERNEL_COLUMNS  1 or more.
// ROWS, COLUMNS    the kernel's or more.
// MEMORY           "distributed", "block" or "auto": the running maxima.
`default_nettype none
module hwgen_max_pool #(
    parameter LANE_BITS      = 8,
    parameter SIGNED         = 0,
    parameter LANES          = 1,
    parameter CHANNEL_WORDS  = 1,
    parameter ROWS           = 4,
    parameter COLUMNS        = 4,
    parameter KERNEL_ROWS    = 2,
    parameter KERNEL_COLUMNS = 2,
    parameter MEMORY         = "distributed"
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
    localparam DATA_BITS    = LANE_BITS * LANES;
    localparam ROW_WORDS    = COLUMNS / KERNEL_COLUMNS * CHANNEL_WORDS;
    localparam FRAME_WORDS  = ROWS / KERNEL_ROWS * ROW_WORDS;
    localparam ADDRESS_BITS = ROW_WORDS > 1 ? $clog2(ROW_WORDS) : 1;

    wire [ADDRESS_BITS-1:0] address;
    wire kept, window_last, fresh, same;
    wire available;
    wire take = s_valid_i & s_ready_o;

    assign s_ready_o = available | ~window_last;

    hwgen_pool_place #(
        .CHANNEL_WORDS (CHANNEL_WORDS),
        .ROWS          (ROWS),
        .COLUMNS       (COLUMNS),
        .KERNEL_ROWS   (KERNEL_ROWS),
        .KERNEL_COLUMNS(KERNEL_COLUMNS)
    ) u_place (
        .clk_i        (clk_i),
        .rst_i        (rst_i),
        .advance_i    (take),
        .address_o    (address),
        .kept_o       (kept),
        .window_last_o(window_last),
        .fresh_o      (fresh),
        .same_o       (same)
    );

    // Step 1: the word beside the running maximum read for it. When the word
    // before has the same place, that word's result is taken instead.
    reg                     update_q;
    reg                     fresh_q;
    reg                     same_q;
    reg                     finish_q;
    reg  [ADDRESS_BITS-1:0] address_q;
    reg  [DATA_BITS-1:0]    data_q;
    wire [DATA_BITS-1:0]    stored;
    wire [DATA_BITS-1:0]    larger;
    wire [DATA_BITS-1:0]    result = fresh_q ? data_q : larger;

    // Step 2: the result, also on its way to the memory.
    reg                  push_q;
    reg  [DATA_BITS-1:0] result_q;
    wire                 push_last;

    always @(posedge clk_i) begin
        if (rst_i) begin
            update_q <= 1'b0;
            finish_q <= 1'b0;
            push_q   <= 1'b0;
        end else begin
            update_q <= take & kept;
            finish_q <= take & window_last;
            push_q   <= finish_q;
        end
        fresh_q   <= fresh;
        same_q    <= same;
        address_q <= address;
        data_q    <= s_data_i;
        if (update_q) result_q <= result;
    end

    hwgen_lane_max #(
        .LANE_BITS(LANE_BITS),
        .SIGNED   (SIGNED),
        .LANES    (LANES)
    ) u_larger (
        .a_i  (same_q ? result_q : stored),
        .b_i  (data_q),
        .max_o(larger)
    );

    hwgen_ram #(
        .DATA_BITS(DATA_BITS),
        .DEPTH    (ROW_WORDS),
        .STYLE    (MEMORY)
    ) u_maxima (
        .clk_i          (clk_i),
        .write_i        (update_q),
        .write_address_i(address_q),
        .write_data_i   (result),
        .read_address_i (address),
        .read_data_o    (stored)
    );

    wire [(FRAME_WORDS > 1 ? $clog2(FRAME_WORDS) : 1)-1:0] unused_position;

    hwgen_counter #(
        .LIMIT(FRAME_WORDS)
    ) u_last (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(push_q),
        .value_o  (unused_position),
        .last_o   (push_last)
    );

    hwgen_credit_fifo #(
        .DATA_BITS(DATA_BITS),
        .DEPTH    (4)
    ) u_output (
        .clk_i      (clk_i),
        .rst_i      (rst_i),
        .reserve_i  (take & window_last),
        .available_o(available),
        .push_i     (push_q),
        .push_data_i(result_q),
        .push_last_i(push_last),
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
        .move_i(take),
        .last_i(s_last_i)
    );
`endif
endmodule
`default_nettype wire
