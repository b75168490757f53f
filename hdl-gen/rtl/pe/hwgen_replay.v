// SPDX-License-Identifier: MIT OR Apache-2.0
// Replay buffer of an array's loop control: the words of a vector, from the
// stream in its first pass and from memory in every other.
//
//     first_pass_i:  word k = s_data_i, kept at its issue
//     else:          word k = the word kept as word k
//
// k = input_step_i, which counts issues modulo INPUT_STEPS; input_last_i is high
// with the last of them. data_o is the word of a step 1 cycle after its issue.
// One word a cycle, no stall of its own.
//
// DATA_BITS    1 or more.
// INPUT_STEPS  1 or more: words of a vector.
// REPLAYS      0: there is no other pass, nothing is kept; 1: there is.
// MEMORY       "distributed" or "block".
`default_nettype none
module hwgen_replay #(
    parameter DATA_BITS   = 8,
    parameter INPUT_STEPS = 4,
    parameter REPLAYS     = 1,
    parameter MEMORY      = "distributed"
) (
    input  wire                                                   clk_i,
    input  wire                                                   first_pass_i,
    input  wire                                                   issue_i,
    input  wire [(INPUT_STEPS > 1 ? $clog2(INPUT_STEPS) : 1)-1:0] input_step_i,
    input  wire                                                   input_last_i,
    input  wire [DATA_BITS-1:0]                                   s_data_i,
    output wire [DATA_BITS-1:0]                                   data_o
);
    localparam INPUT_STEP_BITS = INPUT_STEPS > 1 ? $clog2(INPUT_STEPS) : 1;

    reg [DATA_BITS-1:0] data_q;
    assign data_o = data_q;

    generate
        if (REPLAYS == 0) begin : gen_direct
            wire unused_ok = &{1'b0, first_pass_i, issue_i, input_step_i, input_last_i};
            always @(posedge clk_i) data_q <= s_data_i;
        end else if (INPUT_STEPS == 1) begin : gen_register
            wire unused_ok = &{1'b0, issue_i, input_step_i, input_last_i};
            always @(posedge clk_i) if (first_pass_i) data_q <= s_data_i;
        end else begin : gen_memory
            wire [DATA_BITS-1:0] replay;
            always @(posedge clk_i) data_q <= first_pass_i ? s_data_i : replay;

            if (MEMORY == "block") begin : gen_block
                // The read runs one step ahead of the issue, so that both
                // memories give the same timing.
                wire [INPUT_STEP_BITS-1:0] input_step_d = ~issue_i     ? input_step_i
                                                        : input_last_i ? {INPUT_STEP_BITS{1'b0}}
                                                                       : input_step_i + 1'b1;
                hwgen_ram #(
                    .DATA_BITS(DATA_BITS),
                    .DEPTH    (INPUT_STEPS),
                    .STYLE    ("block")
                ) u_words (
                    .clk_i          (clk_i),
                    .write_i        (first_pass_i & issue_i),
                    .write_address_i(input_step_i),
                    .write_data_i   (s_data_i),
                    .read_address_i (input_step_d),
                    .read_data_o    (replay)
                );
            end else begin : gen_distributed
                wire unused_ok = &{1'b0, input_last_i};
                (* ram_style = MEMORY *) reg [DATA_BITS-1:0] memory [0:INPUT_STEPS-1];
                always @(posedge clk_i) if (first_pass_i & issue_i) memory[input_step_i] <= s_data_i;
                assign replay = memory[input_step_i];
            end
        end
    endgenerate
endmodule
`default_nettype wire
