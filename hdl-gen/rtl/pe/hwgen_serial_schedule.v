// SPDX-License-Identifier: MIT OR Apache-2.0
// Which bit planes a pass of a bit-serial array multiplies, and where its
// weights lie.
//
// A table has an entry for each mode and pass, pass 0 of mode 0 first, each mode
// filled up to a power of two of passes:
//     { negate, shift, activation plane, first weight word of the plane }
// weight_address_o = weight_base_i + first weight word + input_step_i.
// A step enters with mode_i, pass_i, pass_first_i, input_step_i, weight_base_i;
// activation_plane_o comes 1 cycle later, weight_address_o 3 cycles later,
// shift_o (0 but in the first step of a pass) and negate_o 1 cycle later. No stall.
//
// MODE_BITS, PASS_BITS  1 or more: widths of mode_i and pass_i.
// USE_MODE, USE_PASS    0: there is one mode, one pass; 1: the address has it.
// INPUT_STEP_BITS       1 or more.
// ADDRESS_BITS          1 or more, at most 32.
// PLANE_BITS            1 or more: width of activation_plane_o.
// SHIFT_BITS            1 or more: width of shift_o.
// IMAGE                 file name of the table.
`default_nettype none
module hwgen_serial_schedule #(
    parameter MODE_BITS       = 1,
    parameter PASS_BITS       = 1,
    parameter USE_MODE        = 1,
    parameter USE_PASS        = 1,
    parameter INPUT_STEP_BITS = 1,
    parameter ADDRESS_BITS    = 4,
    parameter PLANE_BITS      = 1,
    parameter SHIFT_BITS      = 1,
    parameter IMAGE           = ""
) (
    input  wire                       clk_i,
    input  wire [MODE_BITS-1:0]       mode_i,
    input  wire [PASS_BITS-1:0]       pass_i,
    input  wire                       pass_first_i,
    input  wire [INPUT_STEP_BITS-1:0] input_step_i,
    input  wire [ADDRESS_BITS-1:0]    weight_base_i,
    output wire [PLANE_BITS-1:0]      activation_plane_o,
    output wire [SHIFT_BITS-1:0]      shift_o,
    output wire                       negate_o,
    output wire [ADDRESS_BITS-1:0]    weight_address_o
);
    localparam ENTRY_BITS   = 1 + SHIFT_BITS + PLANE_BITS + ADDRESS_BITS;
    localparam ENTRIES_BITS = (USE_MODE != 0 ? MODE_BITS : 0) + (USE_PASS != 0 ? PASS_BITS : 0);
    localparam INDEX_BITS   = ENTRIES_BITS > 0 ? ENTRIES_BITS : 1;

    wire [INDEX_BITS-1:0] index;
    wire [ENTRY_BITS-1:0] entry;

    generate
        if (USE_MODE != 0 && USE_PASS != 0) begin : gen_mode_and_pass
            assign index = {mode_i, pass_i};
        end else if (USE_MODE != 0) begin : gen_mode
            wire unused_ok = &{1'b0, pass_i};
            assign index = mode_i;
        end else if (USE_PASS != 0) begin : gen_pass
            wire unused_ok = &{1'b0, mode_i};
            assign index = pass_i;
        end else begin : gen_one
            wire unused_ok = &{1'b0, mode_i, pass_i};
            assign index = 1'b0;
        end
    endgenerate

    hwgen_rom #(
        .DATA_BITS(ENTRY_BITS),
        .DEPTH    (1 << ENTRIES_BITS),
        .IMAGE    (IMAGE),
        .STYLE    ("distributed")
    ) u_table (
        .clk_i    (clk_i),
        .address_i(index),
        .data_o   (entry)
    );

    wire [ADDRESS_BITS-1:0] plane_base;
    wire [SHIFT_BITS-1:0]   shift;
    reg                     pass_first_q;
    assign {negate_o, shift, activation_plane_o, plane_base} = entry;
    assign shift_o = shift & {SHIFT_BITS{pass_first_q}};

    reg [INPUT_STEP_BITS-1:0] input_step_q;
    reg [ADDRESS_BITS-1:0]    early_base_q;
    reg [ADDRESS_BITS-1:0]    weight_base_q;
    reg [ADDRESS_BITS-1:0]    offset_q;
    reg [ADDRESS_BITS-1:0]    address_q;

    wire [31+INPUT_STEP_BITS:0] wide_step = {32'd0, input_step_q};
    wire unused_wide = &{1'b0, wide_step[31+INPUT_STEP_BITS:ADDRESS_BITS]};

    always @(posedge clk_i) begin
        pass_first_q  <= pass_first_i;
        input_step_q  <= input_step_i;
        early_base_q  <= weight_base_i;
        weight_base_q <= early_base_q;
        offset_q      <= plane_base + wide_step[ADDRESS_BITS-1:0];
        address_q     <= weight_base_q + offset_q;
    end

    assign weight_address_o = address_q;
endmodule
`default_nettype wire
