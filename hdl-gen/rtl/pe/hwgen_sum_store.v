// SPDX-License-Identifier: MIT OR Apache-2.0
// Running sums in a memory: one slice of the bits of every lane.
//
//     sum[place] = (fresh ? 0 : sum[place]) + data + carry
//
// Step 0: read_address_i. Step 1, a cycle later: update_i with fresh_i, same_i
// (the update before had the same place), write_address_i (the place read in
// step 0), data_i and carry_i. Step 2: result_o, and carry_o of each lane into
// the slice above, which works a cycle later.
//
// SLICE_BITS  1 .. 16, or 14 with carries, so that a chain has 16 steps.
// CARRIES     1: carry_i and carry_o are in use; 0: carry_i is not looked at.
// LANES       1 or more.
// PLACES      1 or more: sums of each lane.
// MEMORY      "distributed", "block" or "auto".
`default_nettype none
module hwgen_sum_store #(
    parameter SLICE_BITS = 16,
    parameter CARRIES    = 0,
    parameter LANES      = 1,
    parameter PLACES     = 2,
    parameter MEMORY     = "distributed"
) (
    input  wire                                         clk_i,
    input  wire [(PLACES > 1 ? $clog2(PLACES) : 1)-1:0] read_address_i,
    input  wire                                         update_i,
    input  wire                                         fresh_i,
    input  wire                                         same_i,
    input  wire [(PLACES > 1 ? $clog2(PLACES) : 1)-1:0] write_address_i,
    input  wire [SLICE_BITS*LANES-1:0]                  data_i,
    input  wire [LANES-1:0]                             carry_i,
    output wire [SLICE_BITS*LANES-1:0]                  result_o,
    output wire [LANES-1:0]                             carry_o
);
    wire [SLICE_BITS*LANES-1:0] stored;
    wire [SLICE_BITS*LANES-1:0] result;
    wire [LANES-1:0]            carry;
    reg  [SLICE_BITS*LANES-1:0] result_q;
    reg  [LANES-1:0]            carry_q;

    wire [SLICE_BITS*LANES-1:0] running = same_i ? result_q : stored;

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : gen_lane
            wire [SLICE_BITS-1:0] a = running[SLICE_BITS*lane +: SLICE_BITS] & {SLICE_BITS{~fresh_i}};
            wire [SLICE_BITS-1:0] b = data_i[SLICE_BITS*lane +: SLICE_BITS];
            if (CARRIES != 0) begin : gen_carries
                wire [SLICE_BITS+1:0] sum = {1'b0, a, carry_i[lane]} + {1'b0, b, 1'b1};
                wire                  unused_ok = &{1'b0, sum[0]};
                assign result[SLICE_BITS*lane +: SLICE_BITS] = sum[SLICE_BITS:1];
                assign carry[lane]                           = sum[SLICE_BITS+1];
            end else begin : gen_single
                wire unused_ok = &{1'b0, carry_i[lane]};
                assign result[SLICE_BITS*lane +: SLICE_BITS] = a + b;
                assign carry[lane]                           = 1'b0;
            end
        end
    endgenerate

    always @(posedge clk_i) begin
        if (update_i) result_q <= result;
        carry_q <= carry;
    end

    assign result_o = result_q;
    assign carry_o  = carry_q;

    hwgen_ram #(
        .DATA_BITS(SLICE_BITS * LANES),
        .DEPTH    (PLACES),
        .STYLE    (MEMORY)
    ) u_sums (
        .clk_i          (clk_i),
        .write_i        (update_i),
        .write_address_i(write_address_i),
        .write_data_i   (result),
        .read_address_i (read_address_i),
        .read_data_o    (stored)
    );
endmodule
`default_nettype wire
