// Bench wrapper: each word taken gives the border zone of its position.
`default_nettype none
module zone_bench #(
    parameter ROWS           = 4,
    parameter COLUMNS        = 4,
    parameter ROWS_BEFORE    = 1,
    parameter ROWS_AFTER     = 1,
    parameter COLUMNS_BEFORE = 1,
    parameter COLUMNS_AFTER  = 1
) (
    input  wire       clk_i,
    input  wire       rst_i,
    input  wire       s_valid_i,
    output wire       s_ready_o,
    input  wire       s_data_i,
    input  wire       s_last_i,
    output wire       m_valid_o,
    input  wire       m_ready_i,
    output wire [7:0] m_data_o,
    output wire       m_last_o
);
    wire       take = s_valid_i & s_ready_o;
    wire [7:0] zone;
    reg  [7:0] zone_q;
    reg        take_q, last_q;
    always @(posedge clk_i) begin
        take_q <= take & ~rst_i;
        last_q <= s_last_i;
        zone_q <= zone;
    end
    hwgen_zone #(
        .ROWS(ROWS), .COLUMNS(COLUMNS), .ROWS_BEFORE(ROWS_BEFORE), .ROWS_AFTER(ROWS_AFTER),
        .COLUMNS_BEFORE(COLUMNS_BEFORE), .COLUMNS_AFTER(COLUMNS_AFTER), .ZONE_BITS(8)
    ) u_zone (
        .clk_i(clk_i), .rst_i(rst_i), .advance_i(take), .zone_o(zone)
    );
    hwgen_credit_fifo #(.DATA_BITS(8), .DEPTH(3)) u_output (
        .clk_i(clk_i), .rst_i(rst_i), .reserve_i(take), .available_o(s_ready_o),
        .push_i(take_q), .push_data_i(zone_q), .push_last_i(last_q),
        .m_valid_o(m_valid_o), .m_ready_i(m_ready_i), .m_data_o(m_data_o), .m_last_o(m_last_o)
    );
endmodule
`default_nettype wire
