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
// IMAGE, STYLE  as in hwgen_threshold.
`default_nettype none
module hwgen_threshold_stage #(
    parameter VALUE_BITS = 8,
    parameter CODE_BITS  = 4,
    parameter STAGE      = 0,
    parameter GROUPS     = 1,
    parameter IMAGE      = "",
    parameter STYLE      = "distributed"
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

    (* rom_style = STYLE, ram_style = STYLE *) reg [VALUE_BITS-1:0] memory [0:(GROUPS<<CODE_BITS)-1];

    generate
        if (IMAGE != "") begin : gen_image
            initial $readmemh(IMAGE, memory);
        end else begin : gen_zero
            integer word;
            initial for (word = 0; word < (GROUPS << CODE_BITS); word = word + 1) memory[word] = {VALUE_BITS{1'b0}};
        end
    endgenerate

    wire [VALUE_BITS-1:0] threshold;

    generate
        if (!READ_EARLY) begin : gen_direct
            wire [FULL_BITS-1:0] place = {group_i, code_i | THIS_BIT[CODE_BITS-1:0]};
            wire unused_ok = &{1'b0, place, early_group_i, early_code_i};
            assign threshold = memory[place[ADDRESS_BITS-1:0]];
        end else if (STAGE == 0) begin : gen_early
            wire [FULL_BITS-1:0] place = {early_group_i, THIS_BIT[CODE_BITS-1:0]};
            wire unused_ok = &{1'b0, place, early_code_i};
            reg [VALUE_BITS-1:0] threshold_q;
            always @(posedge clk_i) threshold_q <= memory[place[ADDRESS_BITS-1:0]];
            assign threshold = threshold_q;
        end else begin : gen_early_pair
            localparam [31:0] BIT_BEFORE = THIS_BIT << 1;
            wire [FULL_BITS-1:0] place_0 = {early_group_i, early_code_i | THIS_BIT[CODE_BITS-1:0]};
            wire [FULL_BITS-1:0] place_1 = {early_group_i, early_code_i | THIS_BIT[CODE_BITS-1:0]
                                                                        | BIT_BEFORE[CODE_BITS-1:0]};
            wire unused_ok = &{1'b0, place_0, place_1};
            reg [VALUE_BITS-1:0] threshold_0_q;
            reg [VALUE_BITS-1:0] threshold_1_q;
            always @(posedge clk_i) begin
                threshold_0_q <= memory[place_0[ADDRESS_BITS-1:0]];
                threshold_1_q <= memory[place_1[ADDRESS_BITS-1:0]];
            end
            assign threshold = code_i[BIT+1] ? threshold_1_q : threshold_0_q;
        end
    endgenerate

    wire reached;

    generate
        if (VALUE_BITS <= 16) begin : gen_whole
            assign reached = value_i >= threshold;
        end else begin : gen_split
            wire above    = value_i[VALUE_BITS-1:16] > threshold[VALUE_BITS-1:16];
            wire no_below = value_i[VALUE_BITS-1:16] >= threshold[VALUE_BITS-1:16];
            assign reached = above | (no_below & (value_i[15:0] >= threshold[15:0]));
        end
    endgenerate

    reg [VALUE_BITS-1:0] value_q;
    reg [GROUP_PORT-1:0] group_q;
    reg [CODE_BITS-1:0]  code_q;

    always @(posedge clk_i) begin
        value_q <= value_i;
        group_q <= group_i;
        code_q  <= reached ? code_i | THIS_BIT[CODE_BITS-1:0] : code_i;
    end

`ifndef SYNTHESIS
    initial begin
        if (STYLE == "") begin
            $fdisplay(32'h8000_0002, "hwgen assertion: %m: STYLE is empty");
            $finish;
        end
    end
`endif

    assign value_o = value_q;
    assign group_o = group_q;
    assign code_o  = code_q;
endmodule
`default_nettype wire
