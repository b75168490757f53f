// SPDX-License-Identifier: MIT OR Apache-2.0
// The mode as a register that an AXI4-Lite master writes and reads.
//
//     address 0x0  mode     read, write  the mode of frames to come, 0 after reset
//     address 0x4  modes    read         how many modes there are
//
// A write takes effect in the cycle after address and data have been taken,
// which happens together. A frame has the mode that stands here when its first
// word is taken, so a write in mid-frame is for the next frame. A write of a
// mode that there is not, or to another address, changes nothing and is answered
// with SLVERR; so is a read of another address, which gives 0. Of the strobes
// the lowest counts alone: without it a write changes nothing and is good.
// Address bits 1 and 0 are ignored.
// Throughput: one write and one read in two cycles.
//
// MODES      1 to 256.
// MODE_BITS  clog2(MODES), at least 1.
`default_nettype none
module hwgen_mode_register #(
    parameter MODES     = 2,
    parameter MODE_BITS = 1
) (
    input  wire                 clk_i,
    input  wire                 rst_i,
    input  wire [3:0]           awaddr_i,
    input  wire                 awvalid_i,
    output wire                 awready_o,
    input  wire [31:0]          wdata_i,
    input  wire [3:0]           wstrb_i,
    input  wire                 wvalid_i,
    output wire                 wready_o,
    output wire [1:0]           bresp_o,
    output wire                 bvalid_o,
    input  wire                 bready_i,
    input  wire [3:0]           araddr_i,
    input  wire                 arvalid_i,
    output wire                 arready_o,
    output wire [31:0]          rdata_o,
    output wire [1:0]           rresp_o,
    output wire                 rvalid_o,
    input  wire                 rready_i,
    output wire [MODE_BITS-1:0] mode_o
);
    localparam [31:0] COUNT = MODES;

    reg [MODE_BITS-1:0] mode_q;
    reg                 bvalid_q;
    reg                 bfault_q;
    reg                 rvalid_q;
    reg                 rfault_q;
    reg [31:0]          rdata_q;

    wire write     = awvalid_i & wvalid_i & ~bvalid_q;
    wire read      = arvalid_i & ~rvalid_q;
    wire defined   = ~|wdata_i[31:MODE_BITS] & {1'b0, wdata_i[MODE_BITS-1:0]} < COUNT[MODE_BITS:0];
    wire to_mode   = awaddr_i[3:2] == 2'd0;
    wire unused_ok = &{1'b0, awaddr_i[1:0], araddr_i[1:0], wstrb_i[3:1]};

    always @(posedge clk_i) begin
        if (rst_i) begin
            mode_q   <= {MODE_BITS{1'b0}};
            bvalid_q <= 1'b0;
            rvalid_q <= 1'b0;
        end else begin
            if (write & to_mode & defined & wstrb_i[0]) mode_q <= wdata_i[MODE_BITS-1:0];
            bvalid_q <= write | (bvalid_q & ~bready_i);
            rvalid_q <= read | (rvalid_q & ~rready_i);
        end
        if (write) bfault_q <= ~to_mode | (wstrb_i[0] & ~defined);
        if (read) begin
            rfault_q <= araddr_i[3];
            rdata_q  <= araddr_i[3] ? 32'd0 : araddr_i[2] ? COUNT : {{(32-MODE_BITS){1'b0}}, mode_q};
        end
    end

    assign awready_o = write;
    assign wready_o  = write;
    assign bvalid_o  = bvalid_q;
    assign bresp_o   = {bfault_q, 1'b0};
    assign arready_o = ~rvalid_q;
    assign rvalid_o  = rvalid_q;
    assign rdata_o   = rdata_q;
    assign rresp_o   = {rfault_q, 1'b0};
    assign mode_o    = mode_q;
endmodule
`default_nettype wire
