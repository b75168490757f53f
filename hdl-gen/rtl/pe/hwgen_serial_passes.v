// SPDX-License-Identifier: MIT OR Apache-2.0
// Counts the passes of a result of a bit-serial array, as many as the frame's
// mode reads pairs of planes.
//
//     pass_o = 0, 1, .. LAST_PASS[mode_i], 0; it moves with advance_i
//
// first_o and last_o: the pass is 0, the mode's last. mode_i is stable from a
// frame's first pass to its last. All outputs are registers, but for last_o in
// the first pass, which is a table of the mode: the first pass of a frame is the
// first cycle in which its mode is known; later passes know beforehand whether
// they are the last.
//
// MODES      1 to 8.
// MODE_BITS  clog2(MODES), at least 1.
// PASSES     1 or more: most passes of a mode. 1 costs nothing.
// PASS_BITS  clog2(PASSES), at least 1.
// LAST_PASS  for each mode passes - 1, PASS_BITS each, mode 0 lowest.
`default_nettype none
module hwgen_serial_passes #(
    parameter                       MODES     = 1,
    parameter                       MODE_BITS = 1,
    parameter                       PASSES    = 1,
    parameter                       PASS_BITS = 1,
    parameter [MODES*PASS_BITS-1:0] LAST_PASS = {(MODES*PASS_BITS){1'b0}}
) (
    input  wire                 clk_i,
    input  wire                 rst_i,
    input  wire [MODE_BITS-1:0] mode_i,
    input  wire                 advance_i,
    output wire [PASS_BITS-1:0] pass_o,
    output wire                 first_o,
    output wire                 last_o
);
    generate
        if (PASSES == 1) begin : gen_one_pass
            wire unused_ok = &{1'b0, clk_i, rst_i, mode_i, advance_i, LAST_PASS};
            assign pass_o  = {PASS_BITS{1'b0}};
            assign first_o = 1'b1;
            assign last_o  = 1'b1;
        end else begin : gen_passes
            // Bit k of the last pass by mode, and the modes of one pass, as one
            // table of a bit each, so that each is a LUT of the mode.
            wire [PASS_BITS-1:0]      last;
            wire [(1<<MODE_BITS)-1:0] single;
            reg  [PASS_BITS-1:0]      pass_q;
            reg                       first_q;
            reg                       last_q;

            genvar bit_index;
            genvar mode_index;
            for (bit_index = 0; bit_index < PASS_BITS; bit_index = bit_index + 1) begin : gen_last
                wire [(1<<MODE_BITS)-1:0] by_mode;
                for (mode_index = 0; mode_index < (1 << MODE_BITS); mode_index = mode_index + 1) begin : gen_mode
                    if (mode_index < MODES) begin : gen_known
                        assign by_mode[mode_index] = LAST_PASS[mode_index*PASS_BITS+bit_index];
                    end else begin : gen_unknown
                        assign by_mode[mode_index] = 1'b0;
                    end
                end
                assign last[bit_index] = by_mode[mode_i];
            end
            for (mode_index = 0; mode_index < (1 << MODE_BITS); mode_index = mode_index + 1) begin : gen_single
                if (mode_index < MODES) begin : gen_known
                    assign single[mode_index] = LAST_PASS[mode_index*PASS_BITS +: PASS_BITS] == {PASS_BITS{1'b0}};
                end else begin : gen_unknown
                    assign single[mode_index] = 1'b1;
                end
            end

            assign pass_o  = pass_q;
            assign first_o = first_q;
            assign last_o  = first_q ? single[mode_i] : last_q;

            always @(posedge clk_i) begin
                if (rst_i) begin
                    pass_q  <= {PASS_BITS{1'b0}};
                    first_q <= 1'b1;
                end else if (advance_i) begin
                    pass_q  <= last_o ? {PASS_BITS{1'b0}} : pass_q + 1'b1;
                    first_q <= last_o;
                end
                if (advance_i) last_q <= pass_q + 1'b1 == last;
            end
        end
    endgenerate
endmodule
`default_nettype wire
