// SPDX-License-Identifier: MIT OR Apache-2.0
// Two outputs from one input: every word leaves at the first output; pairs of words leave at the second, whose word c0
// is wrong in one bit.
`default_nettype none
module split (
    input  wire        aclk,
    input  wire        aresetn,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,
    input  wire [7:0]  s_axis_tdata,
    input  wire        s_axis_tlast,
    output wire        m0_axis_tvalid,
    input  wire        m0_axis_tready,
    output wire [7:0]  m0_axis_tdata,
    output wire        m0_axis_tlast,
    output wire        m1_axis_tvalid,
    input  wire        m1_axis_tready,
    output wire [15:0] m1_axis_tdata,
    output wire        m1_axis_tlast
);
    reg        valid_q;
    reg [7:0]  data_q;
    reg        last_q;
    reg        pair_valid_q;
    reg [15:0] pair_q;
    reg        pair_last_q;
    reg        half_q;
    reg [7:0]  low_q;

    assign s_axis_tready = (!valid_q || m0_axis_tready) && (!pair_valid_q || m1_axis_tready);
    wire moves = s_axis_tvalid && s_axis_tready;

    always @(posedge aclk) begin
        if (!aresetn) begin
            valid_q      <= 1'b0;
            pair_valid_q <= 1'b0;
            half_q       <= 1'b0;
        end else begin
            if (moves) valid_q <= 1'b1;
            else if (m0_axis_tready) valid_q <= 1'b0;
            if (moves && half_q) pair_valid_q <= 1'b1;
            else if (m1_axis_tready) pair_valid_q <= 1'b0;
            if (moves) half_q <= !half_q;
        end
        if (moves) begin
            data_q <= s_axis_tdata;
            last_q <= s_axis_tlast;
            if (half_q) begin
                pair_q      <= {s_axis_tdata, low_q} ^ {15'b0, low_q == 8'hc0};
                pair_last_q <= s_axis_tlast;
            end else low_q <= s_axis_tdata;
        end
    end
    assign m0_axis_tvalid = valid_q;
    assign m0_axis_tdata  = data_q;
    assign m0_axis_tlast  = last_q;
    assign m1_axis_tvalid = pair_valid_q;
    assign m1_axis_tdata  = pair_q;
    assign m1_axis_tlast  = pair_last_q;
endmodule
`default_nettype wire
