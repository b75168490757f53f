// SPDX-License-Identifier: MIT OR Apache-2.0
// Read-only table in logic: data_o is word address_i, without a register.
//
// The image is a $readmemh file, one word a line, word 0 first; a comment line
// may precede it. The attribute asks each tool in its own words for LUTs.
//
// DATA_BITS  1 or more.
// DEPTH      1 or more: words.
// IMAGE      file name of the image, as the tool that reads it resolves it;
//            empty: all words are zero.
`default_nettype none
module hwgen_table #(
    parameter DATA_BITS = 8,
    parameter DEPTH     = 16,
    parameter IMAGE     = ""
) (
    input  wire [(DEPTH > 1 ? $clog2(DEPTH) : 1)-1:0] address_i,
    output wire [DATA_BITS-1:0]                       data_o
);
`ifdef YOSYS
    (* logic_block *)
`else
    (* rom_style = "distributed" *)
`endif
    reg [DATA_BITS-1:0] memory [0:DEPTH-1];

    generate
        if (IMAGE != "") begin : gen_image
            initial $readmemh(IMAGE, memory);
        end else begin : gen_zero
            integer word;
            initial for (word = 0; word < DEPTH; word = word + 1) memory[word] = {DATA_BITS{1'b0}};
        end

        if (DEPTH == 1) begin : gen_constant
            wire unused_ok = &{1'b0, address_i};
            assign data_o = memory[0];
        end else begin : gen_read
            assign data_o = memory[address_i];
        end
    endgenerate
endmodule
`default_nettype wire
