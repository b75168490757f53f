// SPDX-License-Identifier: MIT OR Apache-2.0
// Loop control of a processing element array: matrix times vectors.
//
// For each input vector of INPUT_STEPS words it issues OUTPUT_STEPS passes of
// INPUT_STEPS steps. Pass 0 takes the words from the stream and keeps them in a
// replay buffer (none when OUTPUT_STEPS is 1); later passes read them again.
// Vectors take SETS matrices in turn: those of the groups of a grouped
// convolution.
//
//     for vector: for n < OUTPUT_STEPS: for k < INPUT_STEPS: issue (k, n)
//     m = (vector mod SETS) * OUTPUT_STEPS + n
//
// A step issues in a cycle when its word is there (s_valid_i in pass 0, always
// in later passes) and, for the last step of a pass, available_i is high.
// At the issue: reserve_o (a result will come of this pass) and
// weight_address_o = m * INPUT_STEPS + k, for a ROM with registered read.
// One cycle later, as registers: step_o, last_o (last step of a dot product),
// data_o, output_step_o = m, frame_last_o (last result of the frame).
// Cycles: INPUT_STEPS * OUTPUT_STEPS for a vector, no gap between vectors.
// Paths: s_ready_o depends on registers and on available_i, which is to be a
// register; reserve_o on s_valid_i too.
//
// DATA_BITS          1 or more: one stream word, SIMD activations.
// INPUT_STEPS        1 or more: dot length / SIMD.
// OUTPUT_STEPS       1 or more: output channels / PE.
// SETS               1 or more: vectors of one position, each with its matrix.
// VECTORS_PER_FRAME  1 or more: SETS times the output positions of a frame.
// MEMORY             "distributed" or "block": the replay buffer.
`default_nettype none
module hwgen_matrix_control #(
    parameter DATA_BITS         = 8,
    parameter INPUT_STEPS       = 4,
    parameter OUTPUT_STEPS      = 4,
    parameter SETS              = 1,
    parameter VECTORS_PER_FRAME = 1,
    parameter MEMORY            = "distributed"
) (
    input  wire                                                     clk_i,
    input  wire                                                     rst_i,
    input  wire                                                     s_valid_i,
    output wire                                                     s_ready_o,
    input  wire [DATA_BITS-1:0]                                     s_data_i,
    input  wire                                                     s_last_i,
    input  wire                                                     available_i,
    output wire                                                     reserve_o,
    output wire [(INPUT_STEPS * OUTPUT_STEPS * SETS > 1 ? $clog2(INPUT_STEPS * OUTPUT_STEPS * SETS) : 1)-1:0]
                                                                    weight_address_o,
    output wire                                                     step_o,
    output wire                                                     last_o,
    output wire [DATA_BITS-1:0]                                     data_o,
    output wire [(OUTPUT_STEPS * SETS > 1 ? $clog2(OUTPUT_STEPS * SETS) : 1)-1:0]
                                                                    output_step_o,
    output wire                                                     frame_last_o
);
    localparam INPUT_STEP_BITS  = INPUT_STEPS > 1 ? $clog2(INPUT_STEPS) : 1;
    localparam OUTPUT_STEP_BITS = OUTPUT_STEPS > 1 ? $clog2(OUTPUT_STEPS) : 1;
    localparam RESULT_STEPS     = OUTPUT_STEPS * SETS;
    localparam RESULT_STEP_BITS = RESULT_STEPS > 1 ? $clog2(RESULT_STEPS) : 1;
    localparam VECTOR_BITS      = VECTORS_PER_FRAME > 1 ? $clog2(VECTORS_PER_FRAME) : 1;

    wire [INPUT_STEP_BITS-1:0]  input_step;
    wire                        input_last;
    wire [OUTPUT_STEP_BITS-1:0] output_step;
    wire                        output_last;
    wire [RESULT_STEP_BITS-1:0] result_step;
    wire [VECTOR_BITS-1:0]      unused_vector;
    wire                        vector_last;
    wire                        unused_address_last;
    wire                        first_pass;

    wire allowed = ~input_last | available_i;
    wire issue   = allowed & (s_valid_i | ~first_pass);

    assign s_ready_o = allowed & first_pass;
    assign reserve_o = issue & input_last;

    hwgen_counter #(
        .LIMIT(INPUT_STEPS)
    ) u_input_step (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(issue),
        .value_o  (input_step),
        .last_o   (input_last)
    );

    hwgen_counter #(
        .LIMIT(OUTPUT_STEPS)
    ) u_output_step (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(issue & input_last),
        .value_o  (output_step),
        .last_o   (output_last)
    );

    hwgen_counter #(
        .LIMIT(VECTORS_PER_FRAME)
    ) u_vector (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(issue & input_last & output_last),
        .value_o  (unused_vector),
        .last_o   (vector_last)
    );

    hwgen_counter #(
        .LIMIT(INPUT_STEPS * RESULT_STEPS)
    ) u_weight_address (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(issue),
        .value_o  (weight_address_o),
        .last_o   (unused_address_last)
    );

    reg                        step_q;
    reg                        last_q;
    reg                        frame_last_q;
    reg [RESULT_STEP_BITS-1:0] output_step_q;

    always @(posedge clk_i) begin
        if (rst_i) begin
            step_q       <= 1'b0;
            last_q       <= 1'b0;
            frame_last_q <= 1'b0;
        end else begin
            step_q       <= issue;
            last_q       <= issue & input_last;
            frame_last_q <= issue & input_last & output_last & vector_last;
        end
        output_step_q <= result_step;
    end

    assign step_o        = step_q;
    assign last_o        = last_q;
    assign frame_last_o  = frame_last_q;
    assign output_step_o = output_step_q;

    generate
        if (SETS == 1) begin : gen_one_set
            assign result_step = output_step;
        end else begin : gen_sets
            wire unused_result_last;
            wire unused_ok = &{1'b0, output_step};

            hwgen_counter #(
                .LIMIT(RESULT_STEPS)
            ) u_result_step (
                .clk_i    (clk_i),
                .rst_i    (rst_i),
                .advance_i(issue & input_last),
                .value_o  (result_step),
                .last_o   (unused_result_last)
            );
        end

        if (OUTPUT_STEPS == 1) begin : gen_direct
            assign first_pass = 1'b1;
        end else begin : gen_replay
            reg first_pass_q;
            assign first_pass = first_pass_q;
            always @(posedge clk_i) begin
                if (rst_i)                   first_pass_q <= 1'b1;
                else if (issue & input_last) first_pass_q <= output_last;
            end
        end
    endgenerate

    hwgen_replay #(
        .DATA_BITS  (DATA_BITS),
        .INPUT_STEPS(INPUT_STEPS),
        .REPLAYS    (OUTPUT_STEPS > 1 ? 1 : 0),
        .MEMORY     (MEMORY)
    ) u_replay (
        .clk_i       (clk_i),
        .first_pass_i(first_pass),
        .issue_i     (issue),
        .input_step_i(input_step),
        .input_last_i(input_last),
        .s_data_i    (s_data_i),
        .data_o      (data_o)
    );

`ifndef SYNTHESIS
    hwgen_frame_check #(
        .WORDS_PER_FRAME(INPUT_STEPS * VECTORS_PER_FRAME)
    ) u_frame_check (
        .clk_i (clk_i),
        .rst_i (rst_i),
        .move_i(s_valid_i & s_ready_o),
        .last_i(s_last_i)
    );
`endif
endmodule
`default_nettype wire
