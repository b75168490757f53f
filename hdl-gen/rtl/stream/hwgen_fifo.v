// SPDX-License-Identifier: MIT OR Apache-2.0
// FIFO of DEPTH words, latency 1: a word accepted at an edge is offered in the
// cycle after it (when it is the oldest).
//
// Stream: words pass unchanged and in order. The oldest word sits in an output
// register, the others in a memory; a word that finds the memory empty and the
// register free goes straight into the register.
// Throughput: one word a cycle for DEPTH 2 and more; one word in two cycles for
// DEPTH 1, whose single register must empty before it fills again.
// Cut paths: valid, data and ready are all functions of registers.
//
// DATA_BITS  1 or more.
// DEPTH      1 or more: words held. 2 is a register slice.
// MEMORY     "distributed" or "auto": ram_style of the words behind the first
//            (read without a register, so never block RAM).
`default_nettype none
module hwgen_fifo #(
    parameter DATA_BITS = 8,
    parameter DEPTH     = 2,
    parameter MEMORY    = "distributed"
) (
    input  wire                 clk_i,
    input  wire                 rst_i,
    input  wire                 s_valid_i,
    output wire                 s_ready_o,
    input  wire [DATA_BITS-1:0] s_data_i,
    input  wire                 s_last_i,
    output wire                 m_valid_o,
    input  wire                 m_ready_i,
    output wire [DATA_BITS-1:0] m_data_o,
    output wire                 m_last_o
);
    localparam WORD_BITS = DATA_BITS + 1;

    wire [WORD_BITS-1:0] s_word = {s_last_i, s_data_i};
    reg  [WORD_BITS-1:0] word_q;
    reg                  valid_q;

    assign m_valid_o            = valid_q;
    assign {m_last_o, m_data_o} = word_q;

    generate
        if (DEPTH == 1) begin : gen_single
            assign s_ready_o = ~valid_q;

            always @(posedge clk_i) begin
                if (rst_i)        valid_q <= 1'b0;
                else if (valid_q) valid_q <= ~m_ready_i;
                else              valid_q <= s_valid_i;
                if (~valid_q) word_q <= s_word;
            end
        end else begin : gen_queue
            // The words behind the first: REST is how many fit.
            localparam        REST       = DEPTH - 1;
            localparam        COUNT_BITS = $clog2(REST + 1);
            localparam [31:0] ALMOST     = REST - 1;

            reg  [COUNT_BITS-1:0] rest_count_q;
            reg                   rest_some_q;
            reg                   rest_full_q;
            wire [WORD_BITS-1:0]  rest_word;

            wire push      = s_valid_i & ~rest_full_q;
            wire refill    = ~valid_q | m_ready_i;
            wire rest_pop  = refill & rest_some_q;
            wire rest_push = push & (rest_some_q | ~refill);
            wire more      = rest_push & ~rest_pop;
            wire less      = rest_pop & ~rest_push;

            assign s_ready_o = ~rest_full_q;

            always @(posedge clk_i) begin
                if (rst_i) begin
                    valid_q      <= 1'b0;
                    rest_count_q <= {COUNT_BITS{1'b0}};
                    rest_some_q  <= 1'b0;
                    rest_full_q  <= 1'b0;
                end else begin
                    if (refill) valid_q <= rest_some_q | push;
                    if (more) begin
                        rest_count_q <= rest_count_q + 1'b1;
                        rest_some_q  <= 1'b1;
                        rest_full_q  <= rest_count_q == ALMOST[COUNT_BITS-1:0];
                    end else if (less) begin
                        rest_count_q <= rest_count_q - 1'b1;
                        rest_some_q  <= rest_count_q != {{COUNT_BITS-1{1'b0}}, 1'b1};
                        rest_full_q  <= 1'b0;
                    end
                end
                if (refill) word_q <= rest_some_q ? rest_word : s_word;
            end

            if (REST == 1) begin : gen_register
                reg [WORD_BITS-1:0] rest_word_q;
                always @(posedge clk_i) if (~rest_full_q) rest_word_q <= s_word;
                assign rest_word = rest_word_q;
            end else begin : gen_memory
                localparam ADDRESS_BITS = $clog2(REST);
                wire [ADDRESS_BITS-1:0] write_address;
                wire [ADDRESS_BITS-1:0] read_address;
                wire                    write_last;
                wire                    read_last;
                wire                    unused_ok = &{1'b0, write_last, read_last};

                (* ram_style = MEMORY *) reg [WORD_BITS-1:0] memory [0:REST-1];

                hwgen_counter #(
                    .LIMIT(REST)
                ) u_write_address (
                    .clk_i    (clk_i),
                    .rst_i    (rst_i),
                    .advance_i(rest_push),
                    .value_o  (write_address),
                    .last_o   (write_last)
                );

                hwgen_counter #(
                    .LIMIT(REST)
                ) u_read_address (
                    .clk_i    (clk_i),
                    .rst_i    (rst_i),
                    .advance_i(rest_pop),
                    .value_o  (read_address),
                    .last_o   (read_last)
                );

                always @(posedge clk_i) if (rest_push) memory[write_address] <= s_word;
                assign rest_word = memory[read_address];
            end
        end
    endgenerate

`ifndef SYNTHESIS
    hwgen_stream_check #(
        .DATA_BITS(DATA_BITS)
    ) u_check (
        .clk_i  (clk_i),
        .rst_i  (rst_i),
        .valid_i(m_valid_o),
        .ready_i(m_ready_i),
        .data_i (m_data_o),
        .last_i (m_last_o)
    );

    initial begin
        if (MEMORY == "") begin
            $fdisplay(32'h8000_0002, "hwgen assertion: %m: MEMORY is empty");
            $finish;
        end
    end
`endif
endmodule
`default_nettype wire
