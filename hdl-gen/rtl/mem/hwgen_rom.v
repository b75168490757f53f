// SPDX-License-Identifier: MIT OR Apache-2.0
// Read-only memory: data_o is word address_i of the cycle before.
//
// The read is registered and free-running, so block RAM, LUT RAM and plain
// logic all serve. The image is a $readmemh file, one word a line, word 0
// first; a comment line may precede it.
//
// DATA_BITS  1 or more.
// DEPTH      1 or more: words.
// IMAGE      file name of the image, as the tool that reads it resolves it;
//            empty: all words are zero.
// STYLE      "distributed", "block" or "auto": value of the ram_style attribute.
`default_nettype none
module hwgen_rom #(
    parameter DATA_BITS = 8,
    parameter DEPTH     = 16,
    parameter IMAGE     = "",
    parameter STYLE     = "auto"
) (
    input  wire                                       clk_i,
    input  wire [(DEPTH > 1 ? $clog2(DEPTH) : 1)-1:0] address_i,
    output wire [DATA_BITS-1:0]                       data_o
);
    reg [DATA_BITS-1:0] data_q;

    (* rom_style = STYLE, ram_style = STYLE *) reg [DATA_BITS-1:0] memory [0:DEPTH-1];

    generate
        if (IMAGE != "") begin : gen_image
            initial $readmemh(IMAGE, memory);
        end else begin : gen_zero
            integer word;
            initial for (word = 0; word < DEPTH; word = word + 1) memory[word] = {DATA_BITS{1'b0}};
        end

        if (DEPTH == 1) begin : gen_constant
            wire unused_ok = &{1'b0, address_i};
            always @(posedge clk_i) data_q <= memory[0];
        end else begin : gen_read
            always @(posedge clk_i) data_q <= memory[address_i];
        end
    endgenerate

    assign data_o = data_q;

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
