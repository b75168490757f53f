// Bench wrapper: {group, prefix, value} words through one search step to {value, prefix and the bit found}.
`default_nettype none
module search_bench #(
    parameter VALUE_BITS = 8,
    parameter STAGE      = 2,
    parameter GROUPS     = 1,
    parameter LATENCY    = 1,
    parameter IMAGE      = "",
    parameter STYLE      = "distributed"
) (
    input  wire                        clk_i,
    input  wire                        rst_i,
    input  wire                        s_valid_i,
    output wire                        s_ready_o,
    input  wire [24+VALUE_BITS-1:0]    s_data_i,
    input  wire                        s_last_i,
    output wire                        m_valid_o,
    input  wire                        m_ready_i,
    output wire [VALUE_BITS+STAGE+1-1:0] m_data_o,
    output wire                        m_last_o
);
    localparam GROUP_BITS  = GROUPS > 1 ? $clog2(GROUPS) : 1;
    localparam PREFIX_BITS = STAGE > 0 ? STAGE : 1;

    reg [24+VALUE_BITS-1:0] word_q;
    wire take = s_valid_i & s_ready_o;
    wire push, push_last;
    wire [VALUE_BITS-1:0] value;
    wire [GROUP_BITS-1:0] unused_group;
    wire [STAGE:0]        prefix;
    always @(posedge clk_i) word_q <= s_data_i;

    hwgen_delay #(.BITS(2), .CYCLES(LATENCY + 1), .RESET(1)) u_push (
        .clk_i(clk_i), .rst_i(rst_i), .data_i({take, s_last_i}), .data_o({push, push_last})
    );
    hwgen_search_stage #(
        .VALUE_BITS(VALUE_BITS), .STAGE(STAGE), .GROUPS(GROUPS), .IMAGE(IMAGE), .STYLE(STYLE)
    ) u_stage (
        .clk_i(clk_i), .value_i(word_q[VALUE_BITS-1:0]), .prefix_i(word_q[VALUE_BITS +: PREFIX_BITS]),
        .group_i(word_q[VALUE_BITS+12 +: GROUP_BITS]),
        .value_o(value), .group_o(unused_group), .prefix_o(prefix)
    );
    hwgen_credit_fifo #(.DATA_BITS(VALUE_BITS + STAGE + 1), .DEPTH(5)) u_output (
        .clk_i(clk_i), .rst_i(rst_i), .reserve_i(take), .available_o(s_ready_o),
        .push_i(push), .push_data_i({prefix, value}), .push_last_i(push_last),
        .m_valid_o(m_valid_o), .m_ready_i(m_ready_i), .m_data_o(m_data_o), .m_last_o(m_last_o)
    );
endmodule
`default_nettype wire
