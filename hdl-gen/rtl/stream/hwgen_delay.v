// SPDX-License-Identifier: MIT OR Apache-2.0
// Shift register: data_o is data_i of CYCLES cycles before.
//
// Carries valid, last and side data beside a free-running pipeline.
//
// BITS    1 or more.
// CYCLES  0 or more; 0 is a wire.
// RESET   1: every stage is cleared by rst_i (control); 0: not reset (data,
//         may become a shift-register LUT).
`default_nettype none
module hwgen_delay #(
    parameter BITS   = 1,
    parameter CYCLES = 1,
    parameter RESET  = 1
) (
    input  wire            clk_i,
    input  wire            rst_i,
    input  wire [BITS-1:0] data_i,
    output wire [BITS-1:0] data_o
);
    generate
        if (CYCLES == 0) begin : gen_wire
            wire unused_ok = &{1'b0, clk_i, rst_i};
            assign data_o = data_i;
        end else begin : gen_shift
            reg  [BITS*CYCLES-1:0] stages_q;
            wire [BITS*(CYCLES+1)-1:0] chain = {stages_q, data_i};

            if (RESET != 0) begin : gen_reset
                always @(posedge clk_i) begin
                    if (rst_i) stages_q <= {BITS*CYCLES{1'b0}};
                    else       stages_q <= chain[BITS*CYCLES-1:0];
                end
            end else begin : gen_no_reset
                wire unused_ok = &{1'b0, rst_i};
                always @(posedge clk_i) stages_q <= chain[BITS*CYCLES-1:0];
            end

            assign data_o = chain[BITS*(CYCLES+1)-1 -: BITS];
        end
    endgenerate
endmodule
`default_nettype wire
