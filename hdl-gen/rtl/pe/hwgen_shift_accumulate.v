// SPDX-License-Identifier: MIT OR Apache-2.0
// Sums bit counts of plane pairs, most significant pair first.
//
//     step:  a = (first ? 0 : a << shift) + (negate ? -count : count)
//     last:  result_o = a, modulo 2^RESULT_BITS
//
// Everything enters in the cycle of its step. The sum is kept in one part of
// at most 16 bits, or in parts of 15, which with their carry make chains of 16:
// each part works a cycle behind the part below it, whose carry and shifted-out
// bits it takes from registers. A result comes 1 + parts cycles after its last
// step and holds for one cycle; the next first step may follow at once. No stall.
//
// COUNT_BITS   1 to 16: count_i, unsigned.
// RESULT_BITS  1 or more.
// SHIFT_BITS   1 or more: width of shift_i.
// SHIFT_MOST   1 to 15: the largest shift_i.
`default_nettype none
module hwgen_shift_accumulate #(
    parameter COUNT_BITS  = 4,
    parameter RESULT_BITS = 12,
    parameter SHIFT_BITS  = 1,
    parameter SHIFT_MOST  = 1
) (
    input  wire                   clk_i,
    input  wire                   step_i,
    input  wire                   first_i,
    input  wire [SHIFT_BITS-1:0]  shift_i,
    input  wire                   negate_i,
    input  wire [COUNT_BITS-1:0]  count_i,
    output wire [RESULT_BITS-1:0] result_o
);
    localparam PART_BITS = RESULT_BITS > 16 ? 15 : 16;
    localparam PARTS     = (RESULT_BITS + PART_BITS - 1) / PART_BITS;

    // What part k works with in this cycle is bit or slice k.
    wire [PARTS:0]                    step;
    wire [PARTS:0]                    first;
    wire [PARTS:0]                    negate;
    wire [(PARTS+1)*SHIFT_BITS-1:0]   shift;
    wire [PARTS:0]                    carry;
    wire [(PARTS+1)*SHIFT_MOST-1:0]   low;

    reg                   step_q;
    reg                   first_q;
    reg                   negate_q;
    reg [SHIFT_BITS-1:0]  shift_q;
    reg [COUNT_BITS-1:0]  count_q;

    always @(posedge clk_i) begin
        step_q   <= step_i;
        first_q  <= first_i;
        negate_q <= negate_i;
        shift_q  <= shift_i;
        count_q  <= count_i ^ {COUNT_BITS{negate_i}};
    end

    assign step[0]             = step_q;
    assign first[0]            = first_q;
    assign negate[0]           = negate_q;
    assign shift[0+:SHIFT_BITS] = shift_q;
    assign carry[0]            = negate_q;
    assign low[0+:SHIFT_MOST]  = {SHIFT_MOST{1'b0}};

    wire unused_ok = &{1'b0, step[PARTS], first[PARTS], negate[PARTS], carry[PARTS],
                       shift[PARTS*SHIFT_BITS +: SHIFT_BITS], low[PARTS*SHIFT_MOST +: SHIFT_MOST]};

    genvar part;
    generate
        for (part = 0; part < PARTS; part = part + 1) begin : gen_part
            localparam BITS = part + 1 < PARTS ? PART_BITS : RESULT_BITS - part * PART_BITS;

            reg  [BITS-1:0]            sum_q;
            reg                        carry_q;
            reg  [SHIFT_MOST-1:0]      low_q;
            reg                        step_part_q;
            reg                        first_part_q;
            reg                        negate_part_q;
            reg  [SHIFT_BITS-1:0]      shift_part_q;

            // The bits below the part stand under it, so that they move up.
            wire [BITS+SHIFT_MOST-1:0] kept    = first[part] ? {(BITS+SHIFT_MOST){1'b0}} : {{SHIFT_MOST{1'b0}}, sum_q};
            wire [BITS+SHIFT_MOST-1:0] shifted = kept << shift[part*SHIFT_BITS +: SHIFT_BITS];
            wire [BITS-1:0]            filled;
            wire [BITS-1:0]            addend;

            if (BITS > SHIFT_MOST) begin : gen_fill
                assign filled = shifted[BITS-1:0] | {{(BITS-SHIFT_MOST){1'b0}}, low[part*SHIFT_MOST +: SHIFT_MOST]};
            end else begin : gen_fill_narrow
                wire unused_low = &{1'b0, low[part*SHIFT_MOST +: SHIFT_MOST]};
                assign filled = shifted[BITS-1:0] | low[part*SHIFT_MOST +: BITS];
            end
            if (part > 0) begin : gen_sign
                assign addend = {BITS{negate[part]}};
            end else if (BITS > COUNT_BITS) begin : gen_count
                assign addend = {{(BITS-COUNT_BITS){negate[part]}}, count_q};
            end else begin : gen_count_narrow
                // Counts wider than the result can be only add up modulo its span.
                wire unused_count = &{1'b0, count_q};
                assign addend = count_q[BITS-1:0];
            end

            always @(posedge clk_i) begin
                if (step[part]) {carry_q, sum_q} <= {1'b0, filled} + {1'b0, addend} + {{BITS{1'b0}}, carry[part]};
                low_q         <= shifted[BITS+SHIFT_MOST-1:BITS];
                step_part_q   <= step[part];
                first_part_q  <= first[part];
                negate_part_q <= negate[part];
                shift_part_q  <= shift[part*SHIFT_BITS +: SHIFT_BITS];
            end

            assign step[part+1]                              = step_part_q;
            assign first[part+1]                             = first_part_q;
            assign negate[part+1]                            = negate_part_q;
            assign shift[(part+1)*SHIFT_BITS +: SHIFT_BITS]  = shift_part_q;
            assign carry[part+1]                             = carry_q;
            assign low[(part+1)*SHIFT_MOST +: SHIFT_MOST]    = low_q;

            hwgen_delay #(
                .BITS  (BITS),
                .CYCLES(PARTS - 1 - part),
                .RESET (0)
            ) u_result (
                .clk_i (clk_i),
                .rst_i (1'b0),
                .data_i(sum_q),
                .data_o(result_o[part*PART_BITS +: BITS])
            );
        end
    endgenerate
endmodule
`default_nettype wire
