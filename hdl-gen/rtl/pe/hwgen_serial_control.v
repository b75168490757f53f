// SPDX-License-Identifier: MIT OR Apache-2.0
// Loop control of a bit-serial processing element array: matrix times vectors,
// one pair of bit planes at a time, as many pairs as the frame's mode reads.
//
// For each input vector of INPUT_STEPS words it issues, for each of
// OUTPUT_STEPS results, the passes of the mode, each of INPUT_STEPS steps. The
// first pass takes the words from the stream and keeps them in a replay buffer
// (none when there is a single pass in all); all others read them again.
//
//     for vector: for n < OUTPUT_STEPS: for p < passes(mode):
//         for k < INPUT_STEPS: issue (k, p, n)
//     m = (vector mod SETS) * OUTPUT_STEPS + n
//
// A word of the mode stream comes for each frame. It is offered while the frame
// lasts and taken with the frame's last step.
// A step issues in a cycle when a mode is there, its word is there (s_valid_i in
// the first pass, always in others) and, for the last step of a result,
// available_i is high. At the issue: reserve_o (a result will come).
// One cycle later, as registers: step_o, first_o (first step of a result), last_o
// (last step of a result), pass_first_o (first step of a pass), data_o,
// input_step_o = k, pass_o = p, mode_o, output_step_o = m, weight_base_o = m * WEIGHT_STRIDE,
// frame_last_o (last result of the frame).
// Cycles: INPUT_STEPS * OUTPUT_STEPS * passes(mode) for a vector, no gap.
// Paths: s_ready_o and mode_ready_o depend on registers, on available_i, which
// is to be a register, and on the mode stream; mode_ready_o and reserve_o on
// s_valid_i too.
//
// DATA_BITS          1 or more: one stream word, SIMD activations.
// INPUT_STEPS        1 or more: dot length / SIMD.
// OUTPUT_STEPS       1 or more: output channels / PE.
// SETS               1 or more: vectors of one position, each with its matrix.
// VECTORS_PER_FRAME  1 or more: SETS times the output positions of a frame.
// MODES              1 to 8.
// MODE_BITS          clog2(MODES), at least 1.
// PASSES             1 or more: most passes of a mode.
// PASS_BITS          clog2(PASSES), at least 1.
// LAST_PASS          for each mode passes - 1, PASS_BITS each, mode 0 lowest.
// WEIGHT_STRIDE      1 or more: weight words of one output step.
// BASE_BITS          clog2 of OUTPUT_STEPS * SETS * WEIGHT_STRIDE, at least 1.
// MEMORY             "distributed" or "block": the replay buffer.
`default_nettype none
module hwgen_serial_control #(
    parameter                       DATA_BITS         = 8,
    parameter                       INPUT_STEPS       = 4,
    parameter                       OUTPUT_STEPS      = 4,
    parameter                       SETS              = 1,
    parameter                       VECTORS_PER_FRAME = 1,
    parameter                       MODES             = 1,
    parameter                       MODE_BITS         = 1,
    parameter                       PASSES            = 1,
    parameter                       PASS_BITS         = 1,
    parameter [MODES*PASS_BITS-1:0] LAST_PASS         = {(MODES*PASS_BITS){1'b0}},
    parameter                       WEIGHT_STRIDE     = 1,
    parameter                       BASE_BITS         = 4,
    parameter                       MEMORY            = "distributed"
) (
    input  wire                                                     clk_i,
    input  wire                                                     rst_i,
    input  wire                                                     s_valid_i,
    output wire                                                     s_ready_o,
    input  wire [DATA_BITS-1:0]                                     s_data_i,
    input  wire                                                     s_last_i,
    input  wire                                                     mode_valid_i,
    output wire                                                     mode_ready_o,
    input  wire [MODE_BITS-1:0]                                     mode_i,
    input  wire                                                     available_i,
    output wire                                                     reserve_o,
    output wire                                                     step_o,
    output wire                                                     first_o,
    output wire                                                     last_o,
    output wire                                                     pass_first_o,
    output wire [DATA_BITS-1:0]                                     data_o,
    output wire [(INPUT_STEPS > 1 ? $clog2(INPUT_STEPS) : 1)-1:0]   input_step_o,
    output wire [PASS_BITS-1:0]                                     pass_o,
    output wire [MODE_BITS-1:0]                                     mode_o,
    output wire [(OUTPUT_STEPS * SETS > 1 ? $clog2(OUTPUT_STEPS * SETS) : 1)-1:0]
                                                                    output_step_o,
    output wire [BASE_BITS-1:0]                                     weight_base_o,
    output wire                                                     frame_last_o
);
    localparam        INPUT_STEP_BITS  = INPUT_STEPS > 1 ? $clog2(INPUT_STEPS) : 1;
    localparam        OUTPUT_STEP_BITS = OUTPUT_STEPS > 1 ? $clog2(OUTPUT_STEPS) : 1;
    localparam        RESULT_STEPS     = OUTPUT_STEPS * SETS;
    localparam        RESULT_STEP_BITS = RESULT_STEPS > 1 ? $clog2(RESULT_STEPS) : 1;
    localparam        VECTOR_BITS      = VECTORS_PER_FRAME > 1 ? $clog2(VECTORS_PER_FRAME) : 1;
    localparam [31:0] STRIDE           = WEIGHT_STRIDE;

    wire [INPUT_STEP_BITS-1:0]  input_step;
    wire                        input_last;
    wire [OUTPUT_STEP_BITS-1:0] output_step;
    wire                        output_last;
    wire [RESULT_STEP_BITS-1:0] result_step;
    wire                        result_last;
    wire [VECTOR_BITS-1:0]      unused_vector;
    wire                        vector_last;
    wire [PASS_BITS-1:0]        pass;
    wire                        pass_first;
    wire                        pass_last;
    wire                        first_pass;

    wire allowed = ~(input_last & pass_last) | available_i;
    wire issue   = mode_valid_i & allowed & (s_valid_i | ~first_pass);
    wire result  = issue & input_last & pass_last;

    assign s_ready_o    = mode_valid_i & allowed & first_pass;
    assign reserve_o    = result;
    assign mode_ready_o = result & output_last & vector_last;

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
        .advance_i(result),
        .value_o  (output_step),
        .last_o   (output_last)
    );

    hwgen_counter #(
        .LIMIT(VECTORS_PER_FRAME)
    ) u_vector (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(result & output_last),
        .value_o  (unused_vector),
        .last_o   (vector_last)
    );

    hwgen_serial_passes #(
        .MODES    (MODES),
        .MODE_BITS(MODE_BITS),
        .PASSES   (PASSES),
        .PASS_BITS(PASS_BITS),
        .LAST_PASS(LAST_PASS)
    ) u_passes (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .mode_i   (mode_i),
        .advance_i(issue & input_last),
        .pass_o   (pass),
        .first_o  (pass_first),
        .last_o   (pass_last)
    );

    generate
        if (SETS == 1) begin : gen_one_set
            assign result_step = output_step;
            assign result_last = output_last;
        end else begin : gen_sets
            wire unused_ok = &{1'b0, output_step};

            hwgen_counter #(
                .LIMIT(RESULT_STEPS)
            ) u_result_step (
                .clk_i    (clk_i),
                .rst_i    (rst_i),
                .advance_i(result),
                .value_o  (result_step),
                .last_o   (result_last)
            );
        end

        if (RESULT_STEPS == 1) begin : gen_one_base
            wire unused_ok = &{1'b0, result_last, STRIDE};
            assign weight_base_o = {BASE_BITS{1'b0}};
        end else begin : gen_base
            wire unused_ok = &{1'b0, STRIDE};
            reg [BASE_BITS-1:0] base_q;
            reg [BASE_BITS-1:0] weight_base_q;
            always @(posedge clk_i) begin
                if (rst_i)       base_q <= {BASE_BITS{1'b0}};
                else if (result) base_q <= result_last ? {BASE_BITS{1'b0}} : base_q + STRIDE[BASE_BITS-1:0];
                weight_base_q <= base_q;
            end
            assign weight_base_o = weight_base_q;
        end
    endgenerate

    reg                        step_q;
    reg                        first_q;
    reg                        last_q;
    reg                        pass_begins_q;
    reg                        frame_last_q;
    reg [INPUT_STEP_BITS-1:0]  input_step_q;
    reg [PASS_BITS-1:0]        step_pass_q;
    reg [MODE_BITS-1:0]        mode_q;
    reg [RESULT_STEP_BITS-1:0] output_step_q;
    reg                        begins_q;

    always @(posedge clk_i) begin
        if (rst_i) begin
            step_q       <= 1'b0;
            last_q       <= 1'b0;
            frame_last_q <= 1'b0;
            begins_q     <= 1'b1;
        end else begin
            step_q       <= issue;
            last_q       <= result;
            frame_last_q <= result & output_last & vector_last;
            if (issue) begins_q <= input_last;
        end
        first_q       <= begins_q & pass_first;
        pass_begins_q <= begins_q;
        input_step_q  <= input_step;
        step_pass_q   <= pass;
        mode_q        <= mode_i;
        output_step_q <= result_step;
    end

    assign step_o        = step_q;
    assign first_o       = first_q;
    assign last_o        = last_q;
    assign pass_first_o  = pass_begins_q;
    assign frame_last_o  = frame_last_q;
    assign input_step_o  = input_step_q;
    assign pass_o        = step_pass_q;
    assign mode_o        = mode_q;
    assign output_step_o = output_step_q;

    generate
        if (OUTPUT_STEPS == 1 && PASSES == 1) begin : gen_direct
            assign first_pass = 1'b1;
        end else begin : gen_replay
            reg first_pass_q;
            assign first_pass = first_pass_q;
            always @(posedge clk_i) begin
                if (rst_i)                   first_pass_q <= 1'b1;
                else if (issue & input_last) first_pass_q <= pass_last & output_last;
            end
        end
    endgenerate

    hwgen_replay #(
        .DATA_BITS  (DATA_BITS),
        .INPUT_STEPS(INPUT_STEPS),
        .REPLAYS    (OUTPUT_STEPS > 1 || PASSES > 1 ? 1 : 0),
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
