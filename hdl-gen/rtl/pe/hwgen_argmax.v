// SPDX-License-Identifier: MIT OR Apache-2.0
// Index of the largest value of a position; the lowest index wins ties.
//
// Stream in: WORDS words of LANES signed values, value 0 first, for each position.
// Stream out: one word a position, the index; last with a frame's last position.
// The values of a word meet in a tree with a register after each comparison; its
// winner meets the best of the words before.
// Timing: one word a cycle in; the index is offered LEVELS + 2 cycles after the
// position's last word is taken, LEVELS = ceil(log2(LANES)).
// Paths: s_ready_o and the output are functions of registers.
//
// VALUE_BITS    1 .. 64.
// LANES, WORDS  1 or more: values of a word, words of a position.
// POSITIONS     1 or more: positions of a frame.
// INDEX_BITS    enough for LANES * WORDS - 1.
`default_nettype none
module hwgen_argmax #(
    parameter VALUE_BITS = 8,
    parameter LANES      = 2,
    parameter WORDS      = 5,
    parameter POSITIONS  = 1,
    parameter INDEX_BITS = 4
) (
    input  wire                        clk_i,
    input  wire                        rst_i,
    input  wire                        s_valid_i,
    output wire                        s_ready_o,
    input  wire [VALUE_BITS*LANES-1:0] s_data_i,
    input  wire                        s_last_i,
    output wire                        m_valid_o,
    input  wire                        m_ready_i,
    output wire [INDEX_BITS-1:0]       m_data_o,
    output wire                        m_last_o
);
    localparam        LEVELS     = $clog2(LANES);
    localparam        PLACES     = 1 << LEVELS;
    localparam        LATENCY    = LEVELS + 1;
    localparam        LEAST_ROOM = (LATENCY + 2 + WORDS - 1) / WORDS;
    localparam [31:0] LANE_COUNT = LANES;

    wire [(WORDS > 1 ? $clog2(WORDS) : 1)-1:0] unused_word;
    wire                                       word_last;
    wire                                       result_last;
    wire                                       available;
    wire                                       take = s_valid_i & s_ready_o;

    assign s_ready_o = available | ~word_last;

    hwgen_counter #(
        .LIMIT(WORDS)
    ) u_word (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(take),
        .value_o  (unused_word),
        .last_o   (word_last)
    );

    // The tree: node n of a level meets nodes 2n and 2n+1 of the level before,
    // those below PLACES >> level. A node without lanes is never the larger.
    wire [VALUE_BITS-1:0] winner;
    wire [INDEX_BITS-1:0] winner_lane;

    genvar level, node;
    generate
        for (level = 0; level <= LEVELS; level = level + 1) begin : gen_level
            wire [VALUE_BITS*(PLACES>>level)-1:0] value;
            wire [INDEX_BITS*(PLACES>>level)-1:0] lane;
            for (node = 0; node < (PLACES >> level); node = node + 1) begin : gen_node
                if (level == 0) begin : gen_input
                    localparam        SOURCE = node < LANES ? node : LANES - 1;
                    localparam [31:0] LANE   = SOURCE;
                    assign value[VALUE_BITS*node +: VALUE_BITS] = s_data_i[VALUE_BITS*SOURCE +: VALUE_BITS];
                    assign lane[INDEX_BITS*node +: INDEX_BITS]  = LANE[INDEX_BITS-1:0];
                end else begin : gen_meet
                    wire [VALUE_BITS-1:0] a = gen_level[level-1].value[VALUE_BITS*(2*node) +: VALUE_BITS];
                    wire [VALUE_BITS-1:0] b = gen_level[level-1].value[VALUE_BITS*(2*node+1) +: VALUE_BITS];
                    wire                  later;
                    reg  [VALUE_BITS-1:0] value_q;
                    reg  [INDEX_BITS-1:0] lane_q;

                    hwgen_greater #(
                        .BITS(VALUE_BITS)
                    ) u_later (
                        .a_i      (b),
                        .b_i      (a),
                        .greater_o(later)
                    );

                    always @(posedge clk_i) begin
                        value_q <= later ? b : a;
                        lane_q  <= later ? gen_level[level-1].lane[INDEX_BITS*(2*node+1) +: INDEX_BITS]
                                         : gen_level[level-1].lane[INDEX_BITS*(2*node) +: INDEX_BITS];
                    end

                    assign value[VALUE_BITS*node +: VALUE_BITS] = value_q;
                    assign lane[INDEX_BITS*node +: INDEX_BITS]  = lane_q;
                end
            end
        end

        assign winner      = gen_level[LEVELS].value;
        assign winner_lane = gen_level[LEVELS].lane;
    endgenerate

    // The best so far, from the winners that leave the tree.
    wire                  winner_there;
    wire                  winner_last;
    wire                  larger;
    reg                   first_q;
    reg                   push_q;
    reg  [VALUE_BITS-1:0] best_q;
    reg  [INDEX_BITS-1:0] index_q;
    reg  [INDEX_BITS-1:0] base_q;

    hwgen_delay #(
        .BITS  (2),
        .CYCLES(LEVELS),
        .RESET (1)
    ) u_beside_tree (
        .clk_i (clk_i),
        .rst_i (rst_i),
        .data_i({take & word_last, take}),
        .data_o({winner_last, winner_there})
    );

    hwgen_greater #(
        .BITS(VALUE_BITS)
    ) u_larger (
        .a_i      (winner),
        .b_i      (best_q),
        .greater_o(larger)
    );

    always @(posedge clk_i) begin
        if (rst_i) begin
            first_q <= 1'b1;
            push_q  <= 1'b0;
            base_q  <= {INDEX_BITS{1'b0}};
        end else begin
            push_q <= winner_last;
            if (winner_there) begin
                first_q <= winner_last;
                base_q  <= winner_last ? {INDEX_BITS{1'b0}} : base_q + LANE_COUNT[INDEX_BITS-1:0];
            end
        end
        if (winner_there & (first_q | larger)) begin
            best_q  <= winner;
            index_q <= base_q + winner_lane;
        end
    end

    wire [(POSITIONS > 1 ? $clog2(POSITIONS) : 1)-1:0] unused_position;

    hwgen_counter #(
        .LIMIT(POSITIONS)
    ) u_position (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(push_q),
        .value_o  (unused_position),
        .last_o   (result_last)
    );

    hwgen_credit_fifo #(
        .DATA_BITS(INDEX_BITS),
        .DEPTH    (LEAST_ROOM > 2 ? LEAST_ROOM : 2)
    ) u_output (
        .clk_i      (clk_i),
        .rst_i      (rst_i),
        .reserve_i  (take & word_last),
        .available_o(available),
        .push_i     (push_q),
        .push_data_i(index_q),
        .push_last_i(result_last),
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
