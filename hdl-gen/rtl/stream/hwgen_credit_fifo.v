// SPDX-License-Identifier: MIT OR Apache-2.0
// End of a free-running pipeline: a FIFO whose room is reserved before a word
// enters the pipeline, so a push is never refused.
//
// reserve_i takes one of DEPTH credits; only when available_o is high. The
// word it stands for is pushed any number of cycles later. A credit returns
// when a word leaves through the stream and serves from the cycle after.
// Latency: 1 from push to offer (m_valid_o in the cycle after push_i).
// Throughput: one word a cycle when DEPTH is at least the cycles from
// reserve_i to push_i, plus 2.
// Cut paths: available_o and the stream are functions of registers.
//
// DATA_BITS  1 or more.
// DEPTH      1 or more: words and credits.
// MEMORY     as in hwgen_fifo.
`default_nettype none
module hwgen_credit_fifo #(
    parameter DATA_BITS = 8,
    parameter DEPTH     = 4,
    parameter MEMORY    = "distributed"
) (
    input  wire                 clk_i,
    input  wire                 rst_i,
    input  wire                 reserve_i,
    output wire                 available_o,
    input  wire                 push_i,
    input  wire [DATA_BITS-1:0] push_data_i,
    input  wire                 push_last_i,
    output wire                 m_valid_o,
    input  wire                 m_ready_i,
    output wire [DATA_BITS-1:0] m_data_o,
    output wire                 m_last_o
);
    localparam        CREDIT_BITS = $clog2(DEPTH + 1);
    localparam [31:0] ALL         = DEPTH;

    reg  [CREDIT_BITS-1:0] credits_q;
    reg                    available_q;
    wire                   room;

    wire returned = m_valid_o & m_ready_i;
    wire more     = returned & ~reserve_i;
    wire less     = reserve_i & ~returned;

    assign available_o = available_q;

    always @(posedge clk_i) begin
        if (rst_i) begin
            credits_q   <= ALL[CREDIT_BITS-1:0];
            available_q <= 1'b1;
        end else if (more) begin
            credits_q   <= credits_q + 1'b1;
            available_q <= 1'b1;
        end else if (less) begin
            credits_q   <= credits_q - 1'b1;
            available_q <= credits_q != {{CREDIT_BITS-1{1'b0}}, 1'b1};
        end
    end

    hwgen_fifo #(
        .DATA_BITS(DATA_BITS),
        .DEPTH    (DEPTH),
        .MEMORY   (MEMORY)
    ) u_fifo (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .s_valid_i(push_i),
        .s_ready_o(room),
        .s_data_i (push_data_i),
        .s_last_i (push_last_i),
        .m_valid_o(m_valid_o),
        .m_ready_i(m_ready_i),
        .m_data_o (m_data_o),
        .m_last_o (m_last_o)
    );

`ifndef SYNTHESIS
    always @(posedge clk_i) begin
        if (!rst_i && push_i === 1'b1 && !room) begin
            $fdisplay(32'h8000_0002, "hwgen assertion: %m: push without room");
            $finish;
        end
        if (!rst_i && reserve_i === 1'b1 && !available_q) begin
            $fdisplay(32'h8000_0002, "hwgen assertion: %m: reserve without a credit");
            $finish;
        end
    end
`else
    wire unused_ok = &{1'b0, room};
`endif
endmodule
`default_nettype wire
