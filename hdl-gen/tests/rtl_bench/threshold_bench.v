// Bench wrapper: {group, accumulator} words through a threshold unit to codes.
`default_nettype none
module threshold_bench #(
    parameter ACCUMULATOR_BITS = 8,
    parameter SIGNED           = 1,
    parameter THRESHOLD_BITS   = 8,
    parameter CODE_BITS        = 4,
    parameter GROUPS           = 1,
    parameter FALLING          = 0,
    parameter LATENCY          = 4,
    parameter IMAGE            = ""
) (
    input  wire                           clk_i,
    input  wire                           rst_i,
    input  wire                           s_valid_i,
    output wire                           s_ready_o,
    input  wire [12+ACCUMULATOR_BITS-1:0] s_data_i,
    input  wire                           s_last_i,
    output wire                           m_valid_o,
    input  wire                           m_ready_i,
    output wire [CODE_BITS-1:0]           m_data_o,
    output wire                           m_last_o
);
    reg [12+ACCUMULATOR_BITS-1:0] word_q;
    wire take = s_valid_i & s_ready_o;
    wire push, push_last;
    wire [CODE_BITS-1:0] code;
    always @(posedge clk_i) word_q <= s_data_i;

    hwgen_delay #(.BITS(2), .CYCLES(LATENCY + 1), .RESET(1)) u_push (
        .clk_i(clk_i), .rst_i(rst_i), .data_i({take, s_last_i}), .data_o({push, push_last})
    );
    hwgen_threshold #(
        .ACCUMULATOR_BITS(ACCUMULATOR_BITS), .SIGNED(SIGNED), .THRESHOLD_BITS(THRESHOLD_BITS),
        .CODE_BITS(CODE_BITS), .GROUPS(GROUPS), .FALLING(FALLING), .IMAGE(IMAGE)
    ) u_threshold (
        .clk_i(clk_i), .accumulator_i(word_q[ACCUMULATOR_BITS-1:0]),
        .group_i(word_q[ACCUMULATOR_BITS +: (GROUPS > 1 ? $clog2(GROUPS) : 1)]), .code_o(code)
    );
    hwgen_credit_fifo #(.DATA_BITS(CODE_BITS), .DEPTH(5)) u_output (
        .clk_i(clk_i), .rst_i(rst_i), .reserve_i(take), .available_o(s_ready_o),
        .push_i(push), .push_data_i(code), .push_last_i(push_last),
        .m_valid_o(m_valid_o), .m_ready_i(m_ready_i), .m_data_o(m_data_o), .m_last_o(m_last_o)
    );
endmodule
`default_nettype wire
