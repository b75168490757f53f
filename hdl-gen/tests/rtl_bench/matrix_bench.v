// Bench wrapper: loop control, weight ROM, one multiply-accumulate, credit FIFO.
`default_nettype none
module matrix_bench #(
    parameter DATA_BITS         = 8,
    parameter INPUT_STEPS       = 4,
    parameter OUTPUT_STEPS      = 4,
    parameter VECTORS_PER_FRAME = 1,
    parameter MEMORY            = "distributed",
    parameter DELAY_CYCLES      = 0,
    parameter FIFO_WORDS        = 4,
    parameter IMAGE             = ""
) (
    input  wire                 clk_i,
    input  wire                 rst_i,
    input  wire                 s_valid_i,
    output wire                 s_ready_o,
    input  wire [DATA_BITS-1:0] s_data_i,
    input  wire                 s_last_i,
    output wire                 m_valid_o,
    input  wire                 m_ready_i,
    output wire [39:0]          m_data_o,
    output wire                 m_last_o
);
    localparam STEPS = INPUT_STEPS * OUTPUT_STEPS;
    wire available, reserve, step, last, frame_last;
    wire [(STEPS > 1 ? $clog2(STEPS) : 1)-1:0] address;
    wire [(OUTPUT_STEPS > 1 ? $clog2(OUTPUT_STEPS) : 1)-1:0] output_step;
    wire [DATA_BITS-1:0] data;
    wire [15:0] weight;

    hwgen_matrix_control #(
        .DATA_BITS(DATA_BITS), .INPUT_STEPS(INPUT_STEPS), .OUTPUT_STEPS(OUTPUT_STEPS),
        .VECTORS_PER_FRAME(VECTORS_PER_FRAME), .MEMORY(MEMORY)
    ) u_control (
        .clk_i(clk_i), .rst_i(rst_i), .s_valid_i(s_valid_i), .s_ready_o(s_ready_o), .s_data_i(s_data_i),
        .s_last_i(s_last_i), .available_i(available), .reserve_o(reserve), .weight_address_o(address),
        .step_o(step), .last_o(last), .data_o(data), .output_step_o(output_step), .frame_last_o(frame_last)
    );

    hwgen_rom #(.DATA_BITS(16), .DEPTH(STEPS), .IMAGE(IMAGE)) u_weights (
        .clk_i(clk_i), .address_i(address), .data_o(weight)
    );

    reg         fresh_q;
    reg  [31:0] sum_q;
    reg         done_q, done_last_q;
    reg  [7:0]  done_step_q;
    wire [31:0] product = data * weight;
    always @(posedge clk_i) begin
        if (rst_i) fresh_q <= 1'b1;
        else if (step) fresh_q <= last;
        if (step) sum_q <= (fresh_q ? 32'd0 : sum_q) + product;
        done_q      <= last & ~rst_i;
        done_last_q <= frame_last;
        done_step_q <= output_step;
    end

    wire        push, push_last;
    wire [39:0] push_data;
    hwgen_delay #(.BITS(1), .CYCLES(DELAY_CYCLES), .RESET(1)) u_push (
        .clk_i(clk_i), .rst_i(rst_i), .data_i(done_q), .data_o(push)
    );
    hwgen_delay #(.BITS(41), .CYCLES(DELAY_CYCLES), .RESET(0)) u_data (
        .clk_i(clk_i), .rst_i(rst_i), .data_i({done_last_q, done_step_q, sum_q}), .data_o({push_last, push_data})
    );

    hwgen_credit_fifo #(.DATA_BITS(40), .DEPTH(FIFO_WORDS)) u_output (
        .clk_i(clk_i), .rst_i(rst_i), .reserve_i(reserve), .available_o(available),
        .push_i(push), .push_data_i(push_data), .push_last_i(push_last),
        .m_valid_o(m_valid_o), .m_ready_i(m_ready_i), .m_data_o(m_data_o), .m_last_o(m_last_o)
    );
endmodule
`default_nettype wire
