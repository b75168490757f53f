// SPDX-License-Identifier: MIT OR Apache-2.0
// Waits for a fifth word before it sends the fourth: frames of four never finish.
`default_nettype none
module deadlock (
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
    reg [2:0] count_q;
    wire      blocked    = count_q == 3'd3;
    wire      gate_valid = s_axis_tvalid && !blocked;
    wire      gate_ready = m_axis_tready && !blocked;

    always @(posedge aclk) begin
        if (!aresetn) count_q <= 3'd0;
        else if (gate_valid && gate_ready) count_q <= count_q + 3'd1;
    end
    assign s_axis_tready = gate_ready;
    assign m_axis_tvalid = gate_valid;
    assign m_axis_tdata  = s_axis_tdata;
    assign m_axis_tlast  = s_axis_tlast;
endmodule
`default_nettype wire
