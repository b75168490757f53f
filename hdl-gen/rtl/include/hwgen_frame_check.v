// SPDX-License-Identifier: MIT OR Apache-2.0
// Assertion: `last` marks exactly each WORDS_PER_FRAME-th word that moves.
//
// Instantiated under `ifndef SYNTHESIS` only; it drives nothing, so it changes
// no behaviour. A violation prints one line to standard error and ends the
// simulation with $finish.
//
// WORDS_PER_FRAME  1 or more: words in one frame of the stream.
`ifndef SYNTHESIS
`default_nettype none
module hwgen_frame_check #(
    parameter WORDS_PER_FRAME = 1
) (
    input wire clk_i,
    input wire rst_i,
    input wire move_i,
    input wire last_i
);
    wire expected_last;
    wire [(WORDS_PER_FRAME > 1 ? $clog2(WORDS_PER_FRAME) : 1)-1:0] position;

    hwgen_counter #(
        .LIMIT(WORDS_PER_FRAME)
    ) u_position (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(move_i),
        .value_o  (position),
        .last_o   (expected_last)
    );

    always @(posedge clk_i) begin
        if (!rst_i && move_i === 1'b1 && last_i !== expected_last) begin
            $fdisplay(32'h8000_0002, "hwgen assertion: %m: last is %b at word %0d of %0d",
                      last_i, position, WORDS_PER_FRAME);
            $finish;
        end
    end
endmodule
`default_nettype wire
`endif
