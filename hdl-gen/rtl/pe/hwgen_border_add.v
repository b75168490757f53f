// SPDX-License-Identifier: MIT OR Apache-2.0
// Adds the constant of a border zone to a sum.
//
//     result_o = sum_i * 2^LOW_BITS + constant_i, modulo 2^(SUM_BITS + LOW_BITS)
//
// In one part of at most 16 bits, or in parts of 15: each part works a cycle
// behind the part below it, whose carry it takes from a register. Latency as
// many cycles as parts, one sum a cycle. No stall.
//
// SUM_BITS       1 or more: sum_i, in two's complement or not.
// LOW_BITS       0 or more: bits of the constant below the sum.
// CONSTANT_BITS  LOW_BITS + 1 to LOW_BITS + SUM_BITS: constant_i in two's
//                complement.
`default_nettype none
module hwgen_border_add #(
    parameter SUM_BITS      = 12,
    parameter LOW_BITS      = 0,
    parameter CONSTANT_BITS = 6
) (
    input  wire                         clk_i,
    input  wire [SUM_BITS-1:0]          sum_i,
    input  wire [CONSTANT_BITS-1:0]     constant_i,
    output wire [SUM_BITS+LOW_BITS-1:0] result_o
);
    localparam PART_BITS = SUM_BITS > 16 ? 15 : 16;
    localparam HIGH_BITS = CONSTANT_BITS - LOW_BITS;
    localparam PARTS     = (SUM_BITS + PART_BITS - 1) / PART_BITS;

    wire [SUM_BITS-1:0] constant;
    wire [PARTS:0]      carry;

    assign carry[0] = 1'b0;
    wire unused_ok = &{1'b0, carry[PARTS]};

    genvar part;
    generate
        if (SUM_BITS > HIGH_BITS) begin : gen_extend
            assign constant = {{(SUM_BITS-HIGH_BITS){constant_i[CONSTANT_BITS-1]}}, constant_i[CONSTANT_BITS-1:LOW_BITS]};
        end else begin : gen_whole
            assign constant = constant_i[CONSTANT_BITS-1:LOW_BITS];
        end

        if (LOW_BITS > 0) begin : gen_low
            hwgen_delay #(
                .BITS  (LOW_BITS),
                .CYCLES(PARTS),
                .RESET (0)
            ) u_low (
                .clk_i (clk_i),
                .rst_i (1'b0),
                .data_i(constant_i[LOW_BITS-1:0]),
                .data_o(result_o[LOW_BITS-1:0])
            );
        end

        for (part = 0; part < PARTS; part = part + 1) begin : gen_part
            localparam BITS = part + 1 < PARTS ? PART_BITS : SUM_BITS - part * PART_BITS;

            wire [BITS-1:0] sum;
            wire [BITS-1:0] addend;
            reg  [BITS-1:0] result_q;
            reg             carry_q;

            hwgen_delay #(
                .BITS  (2 * BITS),
                .CYCLES(part),
                .RESET (0)
            ) u_operands (
                .clk_i (clk_i),
                .rst_i (1'b0),
                .data_i({constant[part*PART_BITS +: BITS], sum_i[part*PART_BITS +: BITS]}),
                .data_o({addend, sum})
            );

            always @(posedge clk_i) begin
                {carry_q, result_q} <= {1'b0, sum} + {1'b0, addend} + {{BITS{1'b0}}, carry[part]};
            end

            assign carry[part+1] = carry_q;

            hwgen_delay #(
                .BITS  (BITS),
                .CYCLES(PARTS - 1 - part),
                .RESET (0)
            ) u_result (
                .clk_i (clk_i),
                .rst_i (1'b0),
                .data_i(result_q),
                .data_o(result_o[LOW_BITS+part*PART_BITS +: BITS])
            );
        end
    endgenerate
endmodule
`default_nettype wire
