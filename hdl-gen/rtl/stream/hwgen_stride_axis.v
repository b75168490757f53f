// SPDX-License-Identifier: MIT OR Apache-2.0
// Marks the places of an axis at which a window ends: place FIRST and each
// STRIDE-th after it.
//
// hit_o is a register; last_i is high at the axis's last place.
//
// FIRST   0 or more.
// STRIDE  1 or more.
`default_nettype none
module hwgen_stride_axis #(
    parameter FIRST  = 2,
    parameter STRIDE = 1
) (
    input  wire clk_i,
    input  wire rst_i,
    input  wire advance_i,
    input  wire last_i,
    output wire hit_o
);
    // wait_q + 1 places remain to the next hit.
    localparam        MOST      = FIRST > STRIDE ? FIRST : STRIDE;
    localparam        WAIT_BITS = MOST > 1 ? $clog2(MOST) : 1;
    localparam        HIT_FIRST = FIRST == 0;
    localparam [31:0] AT_FIRST  = FIRST == 0 ? STRIDE - 1 : FIRST - 1;
    localparam [31:0] AT_HIT    = STRIDE - 1;

    reg [WAIT_BITS-1:0] wait_q;
    reg                 hit_q;

    assign hit_o = hit_q;

    always @(posedge clk_i) begin
        if (rst_i) begin
            wait_q <= AT_FIRST[WAIT_BITS-1:0];
            hit_q  <= HIT_FIRST;
        end else if (advance_i) begin
            if (last_i) begin
                wait_q <= AT_FIRST[WAIT_BITS-1:0];
                hit_q  <= HIT_FIRST;
            end else if (wait_q == {WAIT_BITS{1'b0}}) begin
                wait_q <= AT_HIT[WAIT_BITS-1:0];
                hit_q  <= 1'b1;
            end else begin
                wait_q <= wait_q - 1'b1;
                hit_q  <= 1'b0;
            end
        end
    end
endmodule
`default_nettype wire
