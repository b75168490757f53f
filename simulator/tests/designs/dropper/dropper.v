// SPDX-License-Identifier: MIT OR Apache-2.0
// A slice that offers each word for one cycle only, and loses it when it is not taken.
`default_nettype none
module dropper (
    input  wire         aclk,
    input  wire         aresetn,
    input  wire         s_axis_tvalid,
    output wire         s_axis_tready,
    input  wire [7:0] s_axis_tdata,
    input  wire         s_axis_tlast,
    output wire         m_axis_tvalid,
    input  wire         m_axis_tready,
    output wire [7:0] m_axis_tdata,
    output wire         m_axis_tlast
);
    reg       valid_q;
    reg [7:0] data_q;
    reg       last_q;

    assign s_axis_tready = 1'b1;
    always @(posedge aclk) begin
        if (!aresetn) valid_q <= 1'b0;
        else valid_q <= s_axis_tvalid;
        data_q <= s_axis_tdata ^ {8{m_axis_tready && 1'b0}};
        last_q <= s_axis_tlast;
    end
    assign m_axis_tvalid = valid_q;
    assign m_axis_tdata  = data_q;
    assign m_axis_tlast  = last_q;
endmodule
`default_nettype wire
