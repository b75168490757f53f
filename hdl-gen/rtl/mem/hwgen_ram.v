// SPDX-License-Identifier: MIT OR Apache-2.0
// Memory with one write port and one registered read port.
//
// read_data_o is the word at read_address_i of the cycle before. A word
// written at an edge can be read from the next edge on; reading and writing
// one address at the same edge gives either word, so callers never do that.
//
// DATA_BITS  1 or more.
// DEPTH      1 or more: words.
// STYLE      "distributed", "block" or "auto": value of the ram_style attribute.
`default_nettype none
module hwgen_ram #(
    parameter DATA_BITS = 8,
    parameter DEPTH     = 16,
    parameter STYLE     = "auto"
) (
    input  wire                                       clk_i,
    input  wire                                       write_i,
    input  wire [(DEPTH > 1 ? $clog2(DEPTH) : 1)-1:0] write_address_i,
    input  wire [DATA_BITS-1:0]                       write_data_i,
    input  wire [(DEPTH > 1 ? $clog2(DEPTH) : 1)-1:0] read_address_i,
    output wire [DATA_BITS-1:0]                       read_data_o
);
    reg [DATA_BITS-1:0] read_data_q;

    generate
        if (DEPTH == 1) begin : gen_register
            reg [DATA_BITS-1:0] word_q;
            wire unused_ok = &{1'b0, write_address_i, read_address_i};
            always @(posedge clk_i) begin
                if (write_i) word_q <= write_data_i;
                read_data_q <= word_q;
            end
        end else begin : gen_memory
            (* ram_style = STYLE *) reg [DATA_BITS-1:0] memory [0:DEPTH-1];
            always @(posedge clk_i) begin
                if (write_i) memory[write_address_i] <= write_data_i;
                read_data_q <= memory[read_address_i];
            end
        end
    endgenerate

    assign read_data_o = read_data_q;

`ifndef SYNTHESIS
    initial begin
        if (STYLE == "") begin
            $fdisplay(32'h8000_0002, "hwgen assertion: %m: STYLE is empty");
            $finish;
        end
    end
`endif
endmodule
`default_nettype wire
