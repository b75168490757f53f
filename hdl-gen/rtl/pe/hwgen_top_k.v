// SPDX-License-Identifier: MIT OR Apache-2.0
// The COUNT largest values of a position in falling order, or their indices; of
// equal values the lowest index comes first.
//
// Stream in: WORDS words of one signed value, value 0 first, for each position.
// Stream out: one word a position, the largest in lane 0; last with a frame's
// last position. The best so far stand in registers in order. A value goes in
// front of the first that it is greater than; those behind move up by one place.
// Timing: one word a cycle in; a result is offered 2 cycles after the position's
// last word is taken.
// Paths: s_ready_o and the output are functions of registers.
//
// VALUE_BITS        1 .. 64.
// COUNT             1 .. WORDS.
// WORDS, POSITIONS  1 or more: values of a position, positions of a frame.
// INDEX_BITS        enough for WORDS - 1.
// INDICES           1: indices leave; 0: values leave.
`default_nettype none
module hwgen_top_k #(
    parameter VALUE_BITS = 8,
    parameter COUNT      = 2,
    parameter WORDS      = 5,
    parameter POSITIONS  = 1,
    parameter INDEX_BITS = 3,
    parameter INDICES    = 1
) (
    input  wire                                                      clk_i,
    input  wire                                                      rst_i,
    input  wire                                                      s_valid_i,
    output wire                                                      s_ready_o,
    input  wire [VALUE_BITS-1:0]                                     s_data_i,
    input  wire                                                      s_last_i,
    output wire                                                      m_valid_o,
    input  wire                                                      m_ready_i,
    output wire [COUNT*(INDICES != 0 ? INDEX_BITS : VALUE_BITS)-1:0] m_data_o,
    output wire                                                      m_last_o
);
    localparam ENTRY_BITS = INDICES != 0 ? INDEX_BITS : VALUE_BITS;
    localparam ITEM_BITS  = INDICES != 0 ? INDEX_BITS + VALUE_BITS : VALUE_BITS;
    localparam WORD_BITS  = WORDS > 1 ? $clog2(WORDS) : 1;
    localparam LEAST_ROOM = (3 + WORDS - 1) / WORDS;

    wire [WORD_BITS-1:0]                               word;
    wire [(POSITIONS > 1 ? $clog2(POSITIONS) : 1)-1:0] unused_position;
    wire                                               word_last;
    wire                                               position_last;
    wire                                               available;
    wire                                               take = s_valid_i & s_ready_o;

    assign s_ready_o = available | ~word_last;

    hwgen_counter #(
        .LIMIT(WORDS)
    ) u_word (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(take),
        .value_o  (word),
        .last_o   (word_last)
    );

    hwgen_counter #(
        .LIMIT(POSITIONS)
    ) u_position (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(take & word_last),
        .value_o  (unused_position),
        .last_o   (position_last)
    );

    reg first_q;
    reg push_q;
    reg last_q;

    always @(posedge clk_i) begin
        if (rst_i) begin
            first_q <= 1'b1;
            push_q  <= 1'b0;
            last_q  <= 1'b0;
        end else begin
            push_q <= take & word_last;
            last_q <= position_last;
            if (take) first_q <= word_last;
        end
    end

    // What a value takes along: its index where that leaves, above it.
    wire [ITEM_BITS-1:0]        arriving;
    wire [COUNT*ENTRY_BITS-1:0] result;
    // Entry e: the value is greater than what stands there, or nothing does yet.
    wire [COUNT-1:0]            goes_before;

    genvar entry;
    generate
        if (INDICES != 0) begin : gen_indexed
            wire [INDEX_BITS+WORD_BITS-1:0] index = {{INDEX_BITS{1'b0}}, word};
            wire                            unused_ok = &{1'b0, index};
            assign arriving = {index[INDEX_BITS-1:0], s_data_i};
        end else begin : gen_plain
            wire unused_ok = &{1'b0, word};
            assign arriving = s_data_i;
        end

        for (entry = 0; entry < COUNT; entry = entry + 1) begin : gen_entry
            reg  [ITEM_BITS-1:0] item_q;
            reg                  there_q;
            wire [ITEM_BITS-1:0] item_d;
            wire                 there_d;
            wire                 greater;

            hwgen_greater #(
                .BITS(VALUE_BITS)
            ) u_greater (
                .a_i      (s_data_i),
                .b_i      (item_q[VALUE_BITS-1:0]),
                .greater_o(greater)
            );

            assign goes_before[entry] = first_q | ~there_q | greater;
            assign result[ENTRY_BITS*entry +: ENTRY_BITS] = item_q[ITEM_BITS-1 -: ENTRY_BITS];

            if (entry == 0) begin : gen_front
                assign item_d  = arriving;
                assign there_d = 1'b1;
            end else begin : gen_behind
                assign item_d  = goes_before[entry-1] ? gen_entry[entry-1].item_q : arriving;
                assign there_d = ~first_q & (there_q | gen_entry[entry-1].there_q);
            end

            always @(posedge clk_i) begin
                if (take) there_q <= there_d;
                if (take & goes_before[entry]) item_q <= item_d;
            end
        end
    endgenerate

    hwgen_credit_fifo #(
        .DATA_BITS(COUNT*ENTRY_BITS),
        .DEPTH    (LEAST_ROOM > 2 ? LEAST_ROOM : 2)
    ) u_output (
        .clk_i      (clk_i),
        .rst_i      (rst_i),
        .reserve_i  (take & word_last),
        .available_o(available),
        .push_i     (push_q),
        .push_data_i(result),
        .push_last_i(last_q),
        .m_valid_o  (m_valid_o),
        .m_ready_i  (m_ready_i),
        .m_data_o   (m_data_o),
        .m_last_o   (m_last_o)
    );

`ifndef SYNTHESIS
    hwgen_frame_check #(
        .WORDS_PER_FRAME(WORDS*POSITIONS)
    ) u_frame_check (
        .clk_i (clk_i),
        .rst_i (rst_i),
        .move_i(take),
        .last_i(s_last_i)
    );
`endif
endmodule
`default_nettype wire
