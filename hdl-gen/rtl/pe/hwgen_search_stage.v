// SPDX-License-Identifier: MIT OR Apache-2.0
// One step of a pipelined binary search among thresholds: finds one bit of how
// many a value has reached.
//
//     prefix_o = {prefix_i, value_i >= T[group_i][prefix_i]}
//
// Steps 0, 1, .. N-1 in a row count up to 2^N - 1 thresholds of each group, the
// first one finding the highest bit.
// Image: GROUPS * 2^STAGE words; word group * 2^STAGE + prefix is the threshold
// that decides, all ones where it is never reached.
// Free-running. Latency: 1 cycle, 1 more where the table has more than 64 words
// or values more than 16 bits (its read then has a register). All outputs are
// registers.
//
// VALUE_BITS  1 .. 64: unsigned values and thresholds.
// STAGE       0 .. 16: bits found before.
// GROUPS      1 or more: tables that the step serves in turn.
// IMAGE       file name of the image; empty: all zero.
// STYLE       "distributed" or "block": the table, where its read has a register.
`default_nettype none
module hwgen_search_stage #(
    parameter VALUE_BITS = 8,
    parameter STAGE      = 0,
    parameter GROUPS     = 1,
    parameter IMAGE      = "",
    parameter STYLE      = "distributed"
) (
    input  wire                                         clk_i,
    input  wire [VALUE_BITS-1:0]                        value_i,
    input  wire [(GROUPS > 1 ? $clog2(GROUPS) : 1)-1:0] group_i,
    input  wire [(STAGE > 0 ? STAGE : 1)-1:0]           prefix_i,
    output wire [VALUE_BITS-1:0]                        value_o,
    output wire [(GROUPS > 1 ? $clog2(GROUPS) : 1)-1:0] group_o,
    output wire [STAGE:0]                               prefix_o
);
    localparam GROUP_PORT   = GROUPS > 1 ? $clog2(GROUPS) : 1;
    localparam PREFIX_PORT  = STAGE > 0 ? STAGE : 1;
    localparam DEPTH        = GROUPS << STAGE;
    localparam ADDRESS_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;
    localparam FOUND_BITS   = VALUE_BITS + GROUP_PORT + PREFIX_PORT;
    localparam READ_CYCLES  = DEPTH > 64 || VALUE_BITS > 16 ? 1 : 0;

    wire [ADDRESS_BITS-1:0] address;
    wire [VALUE_BITS-1:0]   threshold;
    wire [FOUND_BITS-1:0]   read;
    wire [VALUE_BITS-1:0]   value = read[FOUND_BITS-1 -: VALUE_BITS];
    wire [PREFIX_PORT-1:0]  prefix;
    wire                    reached;
    reg                     bit_q;

    generate
        if (STAGE == 0) begin : gen_first
            wire unused_ok = &{1'b0, prefix_i, prefix};
            assign address  = group_i;
            assign prefix_o = bit_q;
        end else if (GROUPS == 1) begin : gen_one_group
            assign address  = prefix_i;
            assign prefix_o = {prefix, bit_q};
        end else begin : gen_groups
            assign address  = {group_i, prefix_i};
            assign prefix_o = {prefix, bit_q};
        end

        if (READ_CYCLES == 0) begin : gen_direct
            hwgen_table #(
                .DATA_BITS(VALUE_BITS),
                .DEPTH    (DEPTH),
                .IMAGE    (IMAGE)
            ) u_table (
                .address_i(address),
                .data_o   (threshold)
            );
        end else begin : gen_registered
            hwgen_rom #(
                .DATA_BITS(VALUE_BITS),
                .DEPTH    (DEPTH),
                .IMAGE    (IMAGE),
                .STYLE    (STYLE)
            ) u_table (
                .clk_i    (clk_i),
                .address_i(address),
                .data_o   (threshold)
            );
        end
    endgenerate

    hwgen_at_least #(
        .BITS(VALUE_BITS)
    ) u_reached (
        .a_i       (value),
        .b_i       (threshold),
        .at_least_o(reached)
    );

    always @(posedge clk_i) bit_q <= reached;

    // What was found before, beside the read and beside the comparison.
    hwgen_delay #(
        .BITS  (FOUND_BITS),
        .CYCLES(READ_CYCLES),
        .RESET (0)
    ) u_read (
        .clk_i (clk_i),
        .rst_i (1'b0),
        .data_i({value_i, group_i, prefix_i}),
        .data_o(read)
    );

    hwgen_delay #(
        .BITS  (FOUND_BITS),
        .CYCLES(1),
        .RESET (0)
    ) u_found (
        .clk_i (clk_i),
        .rst_i (1'b0),
        .data_i(read),
        .data_o({value_o, group_o, prefix})
    );
endmodule
`default_nettype wire
