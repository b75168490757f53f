// SPDX-License-Identifier: MIT OR Apache-2.0
// Sums over windows side by side (stride = kernel, no padding); over the whole
// frame where the kernel is as large.
//
//     y[r][c] = sum over i < KERNEL_ROWS, j < KERNEL_COLUMNS of
//               x[r * KERNEL_ROWS + i][c * KERNEL_COLUMNS + j], lane by lane
//
// Streams: pixels row by row, CHANNEL_WORDS words a pixel, both sides. Rows and
// columns at the end that fill no window are taken and dropped. A memory holds
// the running sums of one output row, from 17 bits on in SLICES = ceil(SUM_BITS /
// 14) slices of which each works a cycle behind the one below, so that no carry
// chain has more than 16 steps. Up to 16 bits SLICES is 1.
// Timing: one word a cycle in; a sum is offered 2 + SLICES cycles after the
// last word of its window is taken.
// Paths: s_ready_o and the output are functions of registers.
//
// LANE_BITS        1 or more.
// SIGNED           1: lanes and sums are two's complement; 0: unsigned.
// SUM_BITS         LANE_BITS or more: bits that hold every sum.
// LANES, CHANNEL_WORDS (channels / LANES), KERNEL_ROWS, KERNEL_COLUMNS  1 or more.
// ROWS, COLUMNS    the kernel's or more.
// MEMORY           "distributed", "block" or "auto": the running sums.
`default_nettype none
module hwgen_sum_pool #(
    parameter LANE_BITS      = 8,
    parameter SIGNED         = 0,
    parameter SUM_BITS       = 10,
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
    output wire [SUM_BITS*LANES-1:0]  m_data_o,
    output wire                       m_last_o
);
    localparam SLICES       = SUM_BITS > 16 ? (SUM_BITS + 13) / 14 : 1;
    localparam SLICE_BITS   = SUM_BITS > 16 ? 14 : SUM_BITS;
    localparam ROW_WORDS    = COLUMNS / KERNEL_COLUMNS * CHANNEL_WORDS;
    localparam FRAME_WORDS  = ROWS / KERNEL_ROWS * ROW_WORDS;
    localparam ADDRESS_BITS = ROW_WORDS > 1 ? $clog2(ROW_WORDS) : 1;

    wire [ADDRESS_BITS-1:0]   address;
    wire                      kept, window_last, fresh, same;
    wire                      available;
    wire                      push, push_last;
    wire [SUM_BITS*LANES-1:0] wide;
    wire [SUM_BITS*LANES-1:0] sums;

    // Carries into each slice, those of slice 0 and out of the last included.
    wire [LANES*(SLICES+1)-1:0] carries;

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

    genvar lane, slice;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : gen_lane
            wire [LANE_BITS-1:0] value = s_data_i[LANE_BITS*lane +: LANE_BITS];
            if (SUM_BITS == LANE_BITS) begin : gen_same
                assign wide[SUM_BITS*lane +: SUM_BITS] = value;
            end else begin : gen_extended
                wire fill = SIGNED != 0 ? value[LANE_BITS-1] : 1'b0;
                assign wide[SUM_BITS*lane +: SUM_BITS] = {{SUM_BITS-LANE_BITS{fill}}, value};
            end
        end

        for (slice = 0; slice < SLICES; slice = slice + 1) begin : gen_slice
            localparam BITS = slice == SLICES - 1 ? SUM_BITS - SLICE_BITS * slice : SLICE_BITS;
            wire [BITS*LANES-1:0]   data;
            wire [BITS*LANES-1:0]   late_data;
            wire [BITS*LANES-1:0]   result;
            wire [BITS*LANES-1:0]   late_result;
            wire [ADDRESS_BITS-1:0] read_address;
            wire [ADDRESS_BITS-1:0] write_address;
            wire [2:0]              flags;

            for (lane = 0; lane < LANES; lane = lane + 1) begin : gen_part
                assign data[BITS*lane +: BITS] = wide[SUM_BITS*lane + SLICE_BITS*slice +: BITS];
                assign sums[SUM_BITS*lane + SLICE_BITS*slice +: BITS] = late_result[BITS*lane +: BITS];
            end

            hwgen_delay #(
                .BITS  (BITS * LANES),
                .CYCLES(slice + 1),
                .RESET (0)
            ) u_data (
                .clk_i (clk_i),
                .rst_i (rst_i),
                .data_i(data),
                .data_o(late_data)
            );

            hwgen_delay #(
                .BITS  (ADDRESS_BITS),
                .CYCLES(slice),
                .RESET (0)
            ) u_read_address (
                .clk_i (clk_i),
                .rst_i (rst_i),
                .data_i(address),
                .data_o(read_address)
            );

            hwgen_delay #(
                .BITS  (ADDRESS_BITS),
                .CYCLES(1),
                .RESET (0)
            ) u_write_address (
                .clk_i (clk_i),
                .rst_i (rst_i),
                .data_i(read_address),
                .data_o(write_address)
            );

            hwgen_delay #(
                .BITS  (3),
                .CYCLES(slice + 1),
                .RESET (1)
            ) u_flags (
                .clk_i (clk_i),
                .rst_i (rst_i),
                .data_i({take & kept, fresh, same}),
                .data_o(flags)
            );

            hwgen_sum_store #(
                .SLICE_BITS(BITS),
                .CARRIES   (SLICES > 1),
                .LANES     (LANES),
                .PLACES    (ROW_WORDS),
                .MEMORY    (MEMORY)
            ) u_store (
                .clk_i          (clk_i),
                .read_address_i (read_address),
                .update_i       (flags[2]),
                .fresh_i        (flags[1]),
                .same_i         (flags[0]),
                .write_address_i(write_address),
                .data_i         (late_data),
                .carry_i        (carries[LANES*slice +: LANES]),
                .result_o       (result),
                .carry_o        (carries[LANES*(slice+1) +: LANES])
            );

            hwgen_delay #(
                .BITS  (BITS * LANES),
                .CYCLES(SLICES - 1 - slice),
                .RESET (0)
            ) u_result (
                .clk_i (clk_i),
                .rst_i (rst_i),
                .data_i(result),
                .data_o(late_result)
            );
        end
    endgenerate

    assign carries[LANES-1:0] = {LANES{1'b0}};

    wire unused_ok = &{1'b0, carries[LANES*SLICES +: LANES]};

    hwgen_delay #(
        .BITS  (1),
        .CYCLES(1 + SLICES),
        .RESET (1)
    ) u_push (
        .clk_i (clk_i),
        .rst_i (rst_i),
        .data_i(take & window_last),
        .data_o(push)
    );

    wire [(FRAME_WORDS > 1 ? $clog2(FRAME_WORDS) : 1)-1:0] unused_position;

    hwgen_counter #(
        .LIMIT(FRAME_WORDS)
    ) u_last (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(push),
        .value_o  (unused_position),
        .last_o   (push_last)
    );

    hwgen_credit_fifo #(
        .DATA_BITS(SUM_BITS * LANES),
        .DEPTH    (3 + SLICES)
    ) u_output (
        .clk_i      (clk_i),
        .rst_i      (rst_i),
        .reserve_i  (take & window_last),
        .available_o(available),
        .push_i     (push),
        .push_data_i(sums),
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
