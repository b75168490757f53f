// SPDX-License-Identifier: MIT OR Apache-2.0
// Threshold unit of one lane: a pipelined binary search.
//
//     code = number of thresholds T[group][j] with accumulator >= T[group][j]
//
// and for a falling channel the number with accumulator <= T, done as
// ~accumulator >= ~T with complemented thresholds in the image.
// Free-running: code_o belongs to the accumulator_i and group_i of LATENCY
// cycles before, LATENCY = CODE_BITS, plus 1 when FALLING or log2(GROUPS) > 6.
// Image: GROUPS * 2^CODE_BITS words of THRESHOLD_BITS. Word group * 2^CODE_BITS + c
// with c > 0 is the c-th smallest threshold (where SIGNED, its top accumulator bit
// turned: two's complement order as unsigned order), or all ones where the code
// c is never reached; with c = 0 it is 1 for a falling channel, else 0.
//
// ACCUMULATOR_BITS  1 .. 31.
// SIGNED            1: accumulators are two's complement; 0: unsigned.
// THRESHOLD_BITS    ACCUMULATOR_BITS, or one more where all ones must be beyond
//                   every accumulator.
// CODE_BITS         1 .. 8.
// GROUPS            1 or more: channels this lane serves in turn.
// FALLING           1: some channel is falling.
// IMAGE             file name of the image; empty: all zero.
`default_nettype none
module hwgen_threshold #(
    parameter ACCUMULATOR_BITS = 8,
    parameter SIGNED           = 1,
    parameter THRESHOLD_BITS   = 8,
    parameter CODE_BITS        = 4,
    parameter GROUPS           = 1,
    parameter FALLING          = 0,
    parameter IMAGE            = ""
) (
    input  wire                                         clk_i,
    input  wire [ACCUMULATOR_BITS-1:0]                  accumulator_i,
    input  wire [(GROUPS > 1 ? $clog2(GROUPS) : 1)-1:0] group_i,
    output wire [CODE_BITS-1:0]                         code_o
);
    localparam GROUP_PORT = GROUPS > 1 ? $clog2(GROUPS) : 1;
    localparam FRONT      = FALLING != 0 || $clog2(GROUPS) > 6;

    localparam [ACCUMULATOR_BITS-1:0] TURN = SIGNED != 0 ? {1'b1, {ACCUMULATOR_BITS-1{1'b0}}}
                                                           : {ACCUMULATOR_BITS{1'b0}};

    // Step s works on slice s of these and fills slice s + 1.
    wire [THRESHOLD_BITS*(CODE_BITS+1)-1:0] values;
    wire [GROUP_PORT*(CODE_BITS+1)-1:0]     groups;
    wire [CODE_BITS*(CODE_BITS+1)-1:0]      codes;
    wire [ACCUMULATOR_BITS-1:0]             first_value;

    assign codes[CODE_BITS-1:0] = {CODE_BITS{1'b0}};

    generate
        if (FALLING != 0) begin : gen_falling
            localparam ADDRESS_BITS = $clog2(GROUPS) + CODE_BITS;
            wire [GROUP_PORT+CODE_BITS-1:0] place = {group_i, {CODE_BITS{1'b0}}};
            wire [THRESHOLD_BITS-1:0]       word;
            wire                            unused_ok = &{1'b0, place, word};

            hwgen_table #(
                .DATA_BITS(THRESHOLD_BITS),
                .DEPTH    (GROUPS << CODE_BITS),
                .IMAGE    (IMAGE)
            ) u_direction (
                .address_i(place[ADDRESS_BITS-1:0]),
                .data_o   (word)
            );

            assign first_value = accumulator_i ^ TURN ^ {ACCUMULATOR_BITS{word[0]}};
        end else begin : gen_rising
            assign first_value = accumulator_i ^ TURN;
        end

        if (FRONT) begin : gen_front
            reg [ACCUMULATOR_BITS-1:0] value_q;
            reg [GROUP_PORT-1:0]       group_q;
            always @(posedge clk_i) begin
                value_q <= first_value;
                group_q <= group_i;
            end
            assign values[THRESHOLD_BITS-1:0] = {{THRESHOLD_BITS-ACCUMULATOR_BITS{1'b0}}, value_q};
            assign groups[GROUP_PORT-1:0]     = group_q;
        end else begin : gen_no_front
            assign values[THRESHOLD_BITS-1:0] = {{THRESHOLD_BITS-ACCUMULATOR_BITS{1'b0}}, first_value};
            assign groups[GROUP_PORT-1:0]     = group_i;
        end
    endgenerate

    genvar s;
    generate
        for (s = 0; s < CODE_BITS; s = s + 1) begin : gen_stage
            wire [GROUP_PORT-1:0] early_group;
            wire [CODE_BITS-1:0]  early_code;

            if (s == 0) begin : gen_first
                assign early_group = group_i;
                assign early_code  = {CODE_BITS{1'b0}};
            end else begin : gen_next
                assign early_group = groups[GROUP_PORT*(s-1) +: GROUP_PORT];
                assign early_code  = codes[CODE_BITS*(s-1) +: CODE_BITS];
            end

            hwgen_threshold_stage #(
                .VALUE_BITS(THRESHOLD_BITS),
                .CODE_BITS (CODE_BITS),
                .STAGE     (s),
                .GROUPS    (GROUPS),
                .IMAGE     (IMAGE)
            ) u_stage (
                .clk_i        (clk_i),
                .value_i      (values[THRESHOLD_BITS*s +: THRESHOLD_BITS]),
                .group_i      (groups[GROUP_PORT*s +: GROUP_PORT]),
                .code_i       (codes[CODE_BITS*s +: CODE_BITS]),
                .early_group_i(early_group),
                .early_code_i (early_code),
                .value_o      (values[THRESHOLD_BITS*(s+1) +: THRESHOLD_BITS]),
                .group_o      (groups[GROUP_PORT*(s+1) +: GROUP_PORT]),
                .code_o       (codes[CODE_BITS*(s+1) +: CODE_BITS])
            );
        end
    endgenerate

    wire unused_ok = &{1'b0, values[THRESHOLD_BITS*CODE_BITS +: THRESHOLD_BITS], groups[GROUP_PORT*CODE_BITS +: GROUP_PORT]};

    assign code_o = codes[CODE_BITS*CODE_BITS +: CODE_BITS];
endmodule
`default_nettype wire
