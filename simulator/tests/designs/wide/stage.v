// SPDX-License-Identifier: MIT OR Apache-2.0
// A register slice of any width.
`default_nettype none
module stage #(
    parameter WIDTH = 8
) (
    input  wire             clk_i,
    input  wire             rst_i,
    input  wire             s_valid_i,
    output wire             s_ready_o,
    input  wire [WIDTH-1:0] s_data_i,
    output reg              m_valid_o,
    input  wire             m_ready_i,
    output reg  [WIDTH-1:0] m_data_o
);
    assign s_ready_o = !m_valid_o || m_ready_i;
    always @(posedge clk_i) begin
        if (rst_i) m_valid_o <= 1'b0;
        else if (s_ready_o) m_valid_o <= s_valid_i;
        if (s_ready_o) m_data_o <= s_data_i;
    end
endmodule
`default_nettype wire
