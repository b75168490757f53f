// SPDX-License-Identifier: MIT OR Apache-2.0
// Width adapter: words of IN_LANES lanes become words of OUT_LANES lanes.
//
// Stream: lanes keep their order; the first lane of a frame sits in the lowest
// bits of the first word on both sides. Any ratio is legal, 3 to 8 included; a
// frame is a whole number of words on both sides. m_last_o comes from a count.
// Timing, in units of gcd(IN_LANES, OUT_LANES) lanes, I in and O out: a buffer
// holds up to I+O-1 units; m_valid_o when it holds O or more; a word is taken
// when it fits beside what stays after this cycle's output word. Latency 1.
// Throughput: the wider side never waits for the adapter: one word a cycle on
// the narrower side, or on both when the widths are equal.
// Paths: valid and data are registers; s_ready_o depends on m_ready_i
// (declared combinational path), never on s_valid_i.
//
// LANE_BITS, IN_LANES, OUT_LANES  1 or more.
// WORDS_PER_FRAME                 1 or more: output words in one frame;
//                                 WORDS_PER_FRAME * OUT_LANES is a multiple of IN_LANES.
`default_nettype none
module hwgen_width_adapter #(
    parameter LANE_BITS       = 8,
    parameter IN_LANES        = 3,
    parameter OUT_LANES       = 8,
    parameter WORDS_PER_FRAME = 3
) (
    input  wire                           clk_i,
    input  wire                           rst_i,
    input  wire                           s_valid_i,
    output wire                           s_ready_o,
    input  wire [LANE_BITS*IN_LANES-1:0]  s_data_i,
    input  wire                           s_last_i,
    output wire                           m_valid_o,
    input  wire                           m_ready_i,
    output wire [LANE_BITS*OUT_LANES-1:0] m_data_o,
    output wire                           m_last_o
);
    function integer gcd(input integer a, input integer b);
        integer x, y, rest;
        begin
            x = a;
            y = b;
            while (y != 0) begin
                rest = x % y;
                x    = y;
                y    = rest;
            end
            gcd = x;
        end
    endfunction

    localparam UNIT_LANES = gcd(IN_LANES, OUT_LANES);
    localparam UNIT_BITS  = LANE_BITS * UNIT_LANES;
    localparam IN_UNITS   = IN_LANES / UNIT_LANES;
    localparam OUT_UNITS  = OUT_LANES / UNIT_LANES;
    localparam CAPACITY   = IN_UNITS + OUT_UNITS - 1;
    localparam COUNT_BITS = $clog2(CAPACITY + 1);

    localparam [31:0] TAKE_ADD = IN_UNITS;
    localparam [31:0] GIVE_ADD = -OUT_UNITS;
    localparam [31:0] BOTH_ADD = IN_UNITS - OUT_UNITS;

    // units held; whether a whole output word is among them; whether an input
    // word fits once that output word has left.
    reg  [COUNT_BITS-1:0] count_q;
    reg                   valid_q;
    reg                   room_q;
    wire                  give = valid_q & m_ready_i;
    wire                  take = s_valid_i & s_ready_o;

    // One constant for each case, so that one adder is enough.
    wire [COUNT_BITS-1:0] change = take ? (give ? BOTH_ADD[COUNT_BITS-1:0] : TAKE_ADD[COUNT_BITS-1:0])
                                        : (give ? GIVE_ADD[COUNT_BITS-1:0] : {COUNT_BITS{1'b0}});

    // Bit w: the units held, or those and an input word, make w output words.
    // Both flags are read from these when the cycle's moves are known.
    wire [3:1] held;
    wire [3:1] taking;

    genvar words;
    generate
        for (words = 1; words <= 3; words = words + 1) begin : gen_words
            localparam [31:0] HELD   = words * OUT_UNITS;
            localparam [31:0] TAKING = words * OUT_UNITS - IN_UNITS;
            if (words * OUT_UNITS > CAPACITY) begin : gen_never_held
                assign held[words] = 1'b0;
            end else begin : gen_held
                assign held[words] = count_q >= HELD[COUNT_BITS-1:0];
            end
            if (words * OUT_UNITS <= IN_UNITS) begin : gen_always
                assign taking[words] = 1'b1;
            end else if (words * OUT_UNITS - IN_UNITS > CAPACITY) begin : gen_never
                assign taking[words] = 1'b0;
            end else begin : gen_taking
                assign taking[words] = count_q >= TAKING[COUNT_BITS-1:0];
            end
        end
    endgenerate

    wire unused_ok = &{1'b0, held[1]};

    assign m_valid_o = valid_q;
    assign s_ready_o = ~valid_q | (m_ready_i & room_q);

    always @(posedge clk_i) begin
        if (rst_i) begin
            count_q <= {COUNT_BITS{1'b0}};
            valid_q <= 1'b0;
            room_q  <= 1'b1;
        end else begin
            count_q <= count_q + change;
            case ({take, give})
                2'b10: begin
                    valid_q <= taking[1];
                    room_q  <= ~taking[2];
                end
                2'b01: begin
                    valid_q <= held[2];
                    room_q  <= ~held[3];
                end
                2'b11: begin
                    valid_q <= taking[2];
                    room_q  <= ~taking[3];
                end
                default: ;
            endcase
        end
    end

    generate
        if (IN_UNITS == 1 && OUT_UNITS == 1) begin : gen_register
            reg [UNIT_BITS-1:0] word_q;
            always @(posedge clk_i) if (s_ready_o) word_q <= s_data_i;
            assign m_data_o = word_q;
        end else if (IN_UNITS == 1) begin : gen_gather
            // The newest unit enters at the top; after OUT_UNITS moves the first is lowest.
            reg [UNIT_BITS*OUT_UNITS-1:0] units_q;
            always @(posedge clk_i) begin
                if (take) units_q <= {s_data_i, units_q[UNIT_BITS*OUT_UNITS-1:UNIT_BITS]};
            end
            assign m_data_o = units_q;
        end else if (OUT_UNITS == 1) begin : gen_scatter
            reg [UNIT_BITS*IN_UNITS-1:0] units_q;
            always @(posedge clk_i) begin
                if (take)      units_q <= s_data_i;
                else if (give) units_q <= {{UNIT_BITS{1'b0}}, units_q[UNIT_BITS*IN_UNITS-1:UNIT_BITS]};
            end
            assign m_data_o = units_q[UNIT_BITS-1:0];
        end else begin : gen_barrel
            // What stays is always fewer than OUT_UNITS units: place_q is their
            // number at the next input word, the count of units in modulo OUT_UNITS.
            localparam PLACE_BITS = $clog2(OUT_UNITS);
            localparam STEP       = IN_UNITS % OUT_UNITS;
            localparam [31:0] STEP_PLUS  = STEP;
            localparam [31:0] STEP_MINUS = OUT_UNITS - STEP;

            reg  [PLACE_BITS-1:0]         place_q;
            reg  [UNIT_BITS*CAPACITY-1:0] units_q;
            wire [UNIT_BITS*CAPACITY-1:0] stay;
            wire [UNIT_BITS*CAPACITY-1:0] fresh;
            wire [CAPACITY-1:0]           fresh_here;

            assign stay     = give ? units_q >> (UNIT_BITS * OUT_UNITS) : units_q;
            assign m_data_o = units_q[UNIT_BITS*OUT_UNITS-1:0];

            assign fresh_here = {{OUT_UNITS-1{1'b0}}, {IN_UNITS{1'b1}}} << place_q;

            // Bit by bit, since a shift by whole units would multiply place_q by their bits.
            genvar unit;
            genvar index;
            for (index = 0; index < UNIT_BITS; index = index + 1) begin : gen_bit
                wire [IN_UNITS-1:0] entering;
                wire [CAPACITY-1:0] placed = {{OUT_UNITS-1{1'b0}}, entering} << place_q;
                for (unit = 0; unit < IN_UNITS; unit = unit + 1) begin : gen_entering
                    assign entering[unit] = s_data_i[UNIT_BITS*unit + index];
                end
                for (unit = 0; unit < CAPACITY; unit = unit + 1) begin : gen_placed
                    assign fresh[UNIT_BITS*unit + index] = placed[unit];
                end
            end

            always @(posedge clk_i) begin
                if (rst_i) place_q <= {PLACE_BITS{1'b0}};
                else if (take) begin
                    place_q <= place_q >= STEP_MINUS[PLACE_BITS-1:0] ? place_q - STEP_MINUS[PLACE_BITS-1:0]
                                                                     : place_q + STEP_PLUS[PLACE_BITS-1:0];
                end
            end

            for (unit = 0; unit < CAPACITY; unit = unit + 1) begin : gen_unit
                always @(posedge clk_i) begin
                    if (take & fresh_here[unit]) units_q[UNIT_BITS*unit +: UNIT_BITS] <= fresh[UNIT_BITS*unit +: UNIT_BITS];
                    else                         units_q[UNIT_BITS*unit +: UNIT_BITS] <= stay[UNIT_BITS*unit +: UNIT_BITS];
                end
            end
        end
    endgenerate

    wire [(WORDS_PER_FRAME > 1 ? $clog2(WORDS_PER_FRAME) : 1)-1:0] unused_position;

    hwgen_counter #(
        .LIMIT(WORDS_PER_FRAME)
    ) u_last (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(give),
        .value_o  (unused_position),
        .last_o   (m_last_o)
    );

`ifndef SYNTHESIS
    hwgen_frame_check #(
        .WORDS_PER_FRAME(WORDS_PER_FRAME * OUT_LANES / IN_LANES)
    ) u_frame_check (
        .clk_i (clk_i),
        .rst_i (rst_i),
        .move_i(take),
        .last_i(s_last_i)
    );

    hwgen_stream_check #(
        .DATA_BITS(LANE_BITS * OUT_LANES)
    ) u_check (
        .clk_i  (clk_i),
        .rst_i  (rst_i),
        .valid_i(m_valid_o),
        .ready_i(m_ready_i),
        .data_i (m_data_o),
        .last_i (m_last_o)
    );
`endif
endmodule
`default_nettype wire
