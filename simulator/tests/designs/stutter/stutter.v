// SPDX-License-Identifier: MIT OR Apache-2.0
// A register slice that sends the last word of each frame twice.
`default_nettype none
module stutter (
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

    reg       again_q;
    wire      again = valid_q && last_q && !again_q;

    assign s_axis_tready = !valid_q || (m_axis_tready && !again);
    always @(posedge aclk) begin
        if (!aresetn) valid_q <= 1'b0;
        else if (s_axis_tready) valid_q <= s_axis_tvalid;
        if (!aresetn || s_axis_tready) again_q <= 1'b0;
        else if (m_axis_tready) again_q <= again;
        if (s_axis_tready) begin
            data_q <= s_axis_tdata;
            last_q <= s_axis_tlast;
        end
    end
    assign m_axis_tvalid = valid_q;
    assign m_axis_tdata  = data_q;
    assign m_axis_tlast  = last_q;
endmodule
`default_nettype wire
