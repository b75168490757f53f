// SPDX-License-Identifier: MIT OR Apache-2.0
// A slice whose tlast marks every third word.
`default_nettype none
module wronglast (
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
    reg [1:0] count_q;

    assign s_axis_tready = !valid_q || m_axis_tready;
    always @(posedge aclk) begin
        if (!aresetn) begin
            valid_q <= 1'b0;
            count_q <= 2'd0;
        end else begin
            if (s_axis_tready) valid_q <= s_axis_tvalid;
            if (valid_q && m_axis_tready) count_q <= count_q == 2'd2 ? 2'd0 : count_q + 2'd1;
        end
        if (s_axis_tready) data_q <= s_axis_tdata ^ {8{s_axis_tlast && 1'b0}};
    end
    assign m_axis_tvalid = valid_q;
    assign m_axis_tdata  = data_q;
    assign m_axis_tlast  = count_q == 2'd2;
endmodule
`default_nettype wire
