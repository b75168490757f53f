// SPDX-License-Identifier: MIT OR Apache-2.0
// Read-only memory: data_o is word address_i of CYCLES cycles before.
//
// The read is registered and free-running; the second register parts the
// delay of block RAM, and the choice between several blocks, from what follows. The image is a $readmemh file, one
// word a line, word 0 first; a comment line may precede it.
//
// DATA_BITS  1 or more.
// DEPTH      1 or more: words.
// IMAGE      file name of the image, as the tool that reads it resolves it;
//            empty: all words are zero.
// CYCLES     1 or 2: registers from address to data.
// STYLE      "distributed" (LUTs), "block" (block RAM) or "auto".
`default_nettype none
module hwgen_rom #(
    parameter DATA_BITS = 8,
    parameter DEPTH     = 16,
    parameter IMAGE     = "",
    parameter STYLE     = "auto",
    parameter CYCLES    = 1
) (
    input  wire                                       clk_i,
    input  wire [(DEPTH > 1 ? $clog2(DEPTH) : 1)-1:0] address_i,
    output wire [DATA_BITS-1:0]                       data_o
);
    reg [DATA_BITS-1:0] data_q;

    generate
        if (CYCLES == 1) begin : gen_one_cycle
            assign data_o = data_q;
        end else begin : gen_two_cycles
            reg [DATA_BITS-1:0] late_q;
            always @(posedge clk_i) late_q <= data_q;
            assign data_o = late_q;
        end

        if (DEPTH == 1) begin : gen_constant
            wire [DATA_BITS-1:0] data;
            hwgen_table #(
                .DATA_BITS(DATA_BITS),
                .DEPTH    (DEPTH),
                .IMAGE    (IMAGE)
            ) u_table (
                .address_i(address_i),
                .data_o   (data)
            );
            always @(posedge clk_i) data_q <= data;
        end else if (STYLE == "auto") begin : gen_auto
            reg [DATA_BITS-1:0] memory [0:DEPTH-1];
            if (IMAGE != "") begin : gen_image
                initial $readmemh(IMAGE, memory);
            end else begin : gen_zero
                integer word;
                initial for (word = 0; word < DEPTH; word = word + 1) memory[word] = {DATA_BITS{1'b0}};
            end
            always @(posedge clk_i) data_q <= memory[address_i];
        end else if (STYLE == "block") begin : gen_block
            (* rom_style = "block" *) reg [DATA_BITS-1:0] memory [0:DEPTH-1];
            if (IMAGE != "") begin : gen_image
                initial $readmemh(IMAGE, memory);
            end else begin : gen_zero
                integer word;
                initial for (word = 0; word < DEPTH; word = word + 1) memory[word] = {DATA_BITS{1'b0}};
            end
            always @(posedge clk_i) data_q <= memory[address_i];
        end else begin : gen_distributed
            wire [DATA_BITS-1:0] data;
            hwgen_table #(
                .DATA_BITS(DATA_BITS),
                .DEPTH    (DEPTH),
                .IMAGE    (IMAGE)
            ) u_table (
                .address_i(address_i),
                .data_o   (data)
            );
            always @(posedge clk_i) data_q <= data;
        end
    endgenerate
endmodule
`default_nettype wire
