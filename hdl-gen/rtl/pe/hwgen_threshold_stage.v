// SPDX-License-Identifier: MIT OR Apache-2.0
// One step of hwgen_threshold: finds one bit of the code.
//
//     bit = value >= T[group][code with this bit set]
//
// The threshold table is read without a register while its address (group and
// bits found before) has at most 6 bits: one LUT level in front of the
// comparison. Above, both thresholds that the bit before can lead to are read a
// cycle early, from that bit's own step, and chosen between when it is known.
// Latency: 1 cycle. All outputs are registers.
//
// VALUE_BITS  1 .. 32: unsigned values and thresholds.
// CODE_BITS   1 .. 8.
// STAGE       0 .. CODE_BITS-1: finds bit CODE_BITS-1-STAGE.
// GROUPS      1 or more.
// IMAGE       as in hwgen_threshold.
`default_nettype none
module hwgen_threshold_stage #(
    parameter VALUE_BITS = 8,
    parameter CODE_BITS  = 4,
    parameter STAGE      = 0,
    parameter GROUPS     = 1,
    parameter IMAGE      = ""
) (
    input  wire                                         clk_i,
    input  wire [VALUE_BITS-1:0]                        value_i,
    input  wire [(GROUPS > 1 ? $clog2(GROUPS) : 1)-1:0] group_i,
    input  wire [CODE_BITS-1:0]                         code_i,
    input  wire [(GROUPS > 1 ? $clog2(GROUPS) : 1)-1:0] early_group_i,
    input  wire [CODE_BITS-1:0]                         early_code_i,
    output wire [VALUE_BITS-1:0]                        value_o,
    output wire [(GROUPS > 1 ? $clog2(GROUPS) : 1)-1:0] group_o,
    output wire [CODE_BITS-1:0]                         code_o
);
    localparam GROUP_PORT   = GROUPS > 1 ? $clog2(GROUPS) : 1;
    localparam ADDRESS_BITS = $clog2(GROUPS) + CODE_BITS;
    localparam FULL_BITS    = GROUP_PORT + CODE_BITS;
    localparam BIT          = CODE_BITS - 1 - STAGE;
    localparam READ_EARLY   = $clog2(GROUPS) + STAGE > 6;

    localparam [31:0] THIS_BIT = 1 << BIT;

    wire [VALUE_BITS-1:0] threshold;

    generate
        if (!READ_EARLY) begin : gen_direct
            wire [FULL_BITS-1:0] place = {group_i, code_i | THIS_BIT[CODE_BITS-1:0]};
            wire unused_ok = &{1'b0, place, early_group_i, early_code_i};

            hwgen_table #(
                .DATA_BITS(VALUE_BITS),
                .DEPTH    (GROUPS << CODE_BITS),
                .IMAGE    (IMAGE)
            ) u_table (
                .address_i(place[ADDRESS_BITS-1:0]),
                .data_o   (threshold)
            );
        end else begin : gen_early
            // The bit before is STAGE's only unknown a cycle early: one table for
            // each of its values, but for stage 0, which has none before.
            localparam [31:0] BIT_BEFORE = STAGE == 0 ? 0 : THIS_BIT << 1;
            localparam        CHOICES    = STAGE == 0 ? 1 : 2;
            reg [VALUE_BITS*CHOICES-1:0] thresholds_q;

            genvar choice;
            for (choice = 0; choice < CHOICES; choice = choice + 1) begin : gen_choice
                wire [FULL_BITS-1:0]  place;
                wire [VALUE_BITS-1:0] word;
                wire                  unused_ok = &{1'b0, place};

                if (choice == 0) begin : gen_zero
                    assign place = {early_group_i, early_code_i | THIS_BIT[CODE_BITS-1:0]};
                end else begin : gen_one
                    assign place = {early_group_i, early_code_i | THIS_BIT[CODE_BITS-1:0] | BIT_BEFORE[CODE_BITS-1:0]};
                end

                hwgen_table #(
                    .DATA_BITS(VALUE_BITS),
                    .DEPTH    (GROUPS << CODE_BITS),
                    .IMAGE    (IMAGE)
                ) u_table (
                    .address_i(place[ADDRESS_BITS-1:0]),
                    .data_o   (word)
                );

                always @(posedge clk_i) thresholds_q[VALUE_BITS*choice +: VALUE_BITS] <= word;
            end

            if (STAGE == 0) begin : gen_only
                assign threshold = thresholds_q;
            end else begin : gen_choose
                assign threshold = code_i[BIT+1] ? thresholds_q[VALUE_BITS +: VALUE_BITS] : thresholds_q[0 +: VALUE_BITS];
            end
        end
    endgenerate

    wire reached = value_i >= threshold;

    reg [VALUE_BITS-1:0] value_q;
    reg [GROUP_PORT-1:0] group_q;
    reg [CODE_BITS-1:0]  code_q;

    always @(posedge clk_i) begin
        value_q <= value_i;
        group_q <= group_i;
        code_q  <= reached ? code_i | THIS_BIT[CODE_BITS-1:0] : code_i;
    end

    assign value_o = value_q;
    assign group_o = group_q;
    assign code_o  = code_q;
endmodule
`default_nettype wire
