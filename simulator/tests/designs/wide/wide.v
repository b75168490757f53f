// SPDX-License-Identifier: MIT OR Apache-2.0
// Two stages: the word beside its complement and tlast, then the word again.
`default_nettype none
module wide (
    input  wire         aclk,
    input  wire         aresetn,
    input  wire         s_axis_tvalid,
    output wire         s_axis_tready,
    input  wire [135:0] s_axis_tdata,
    input  wire         s_axis_tlast,
    output wire         m_axis_tvalid,
    input  wire         m_axis_tready,
    output wire [135:0] m_axis_tdata,
    output wire         m_axis_tlast
);
    wire         first_valid;
    wire         first_ready;
    wire [272:0] first_data;
    wire [136:0] second_data;

    stage #(.WIDTH(273)) u_first (
        .clk_i    (aclk),
        .rst_i    (!aresetn),
        .s_valid_i(s_axis_tvalid),
        .s_ready_o(s_axis_tready),
        .s_data_i ({s_axis_tlast, ~s_axis_tdata, s_axis_tdata}),
        .m_valid_o(first_valid),
        .m_ready_i(first_ready),
        .m_data_o (first_data)
    );
    stage #(.WIDTH(137)) u_second (
        .clk_i    (aclk),
        .rst_i    (!aresetn),
        .s_valid_i(first_valid),
        .s_ready_o(first_ready),
        .s_data_i ({first_data[272], first_data[135:0] ^ ~first_data[271:136] ^ first_data[135:0]}),
        .m_valid_o(m_axis_tvalid),
        .m_ready_i(m_axis_tready),
        .m_data_o (second_data)
    );
    assign m_axis_tdata = second_data[135:0];
    assign m_axis_tlast = second_data[136];
endmodule
`default_nettype wire
