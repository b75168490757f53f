// SPDX-License-Identifier: MIT OR Apache-2.0
// Assertion: a stream holds valid, data and last until the offered word moves.
//
// Instantiated under `ifndef SYNTHESIS` only; it drives nothing, so it changes
// no behaviour. A violation prints one line to standard error and ends the
// simulation with $finish.
//
// DATA_BITS  1 or more: width of the stream.
`ifndef SYNTHESIS
`default_nettype none
module hwgen_stream_check #(
    parameter DATA_BITS = 8
) (
    input wire                 clk_i,
    input wire                 rst_i,
    input wire                 valid_i,
    input wire                 ready_i,
    input wire [DATA_BITS-1:0] data_i,
    input wire                 last_i
);
    reg                 waiting_q;
    reg [DATA_BITS-1:0] data_q;
    reg                 last_q;

    always @(posedge clk_i) begin
        waiting_q <= valid_i & ~ready_i & ~rst_i;
        data_q    <= data_i;
        last_q    <= last_i;
        if (waiting_q === 1'b1 && !rst_i) begin
            if (valid_i !== 1'b1) begin
                $fdisplay(32'h8000_0002, "hwgen assertion: %m: valid fell before the word moved");
                $finish;
            end else if (data_i !== data_q || last_i !== last_q) begin
                $fdisplay(32'h8000_0002, "hwgen assertion: %m: the waiting word changed");
                $finish;
            end
        end
    end
endmodule
`default_nettype wire
`endif
