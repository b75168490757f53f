// SPDX-License-Identifier: MIT OR Apache-2.0
// Words of a frame in another order, some left out or repeated: the words that
// leave run through LOOPS nested loops, the last one fastest, and each is the
// input word at an address that is linear in the loops' indices.
//
// How: input words are written, in order, to a cyclic buffer, frame after frame.
// The loops from BLOCK_LOOP on make up a block, which reads words out of SPAN
// consecutive ones. `fill` = words written - index of the current block's first
// word. A block begins when fill >= SPAN; when its last word is read, fill drops
// by the distance to the next block's first word, below zero when that is not
// yet written. A word is written while fill is 2 below BUFFER_WORDS. Only fill's
// distances to the two bounds are kept, so that each condition is one sign bit;
// they are a cycle late, which the 2 allows for, and a block begins 2 cycles
// after the end of the one before at the earliest.
// What the loops do is found a step ahead: address, its next increments and the
// ends of blocks and frames come from registers.
// Timing: a word read in cycle t is offered in t+2; one word a cycle within a
// block. Read and write go on side by side.
// Paths: s_ready_o and the output are functions of registers.
//
// Vectors hold 32 bits for each loop, loop 0 lowest; loop 0 is the outermost.
// DATA_BITS        1 or more.
// LOOPS            1 .. 13.
// COUNTS           turns of each loop, 1 or more.
// ADDS             LOOPS + 1 numbers below BUFFER_WORDS: what the address grows by,
//                  modulo BUFFER_WORDS, when loop l goes on and the ones inside it
//                  begin again; the last one when the frame ends.
// JUMPS            LOOPS + 1 numbers: how far the next block is from the one that
//                  ends then; those of loops inside a block have no meaning.
// BLOCK_LOOP       0 .. LOOPS: first loop of a block.
// START            below BUFFER_WORDS: buffer address of the first word of all.
// FIRST            0 or more: index of the first word of the first block.
// SPAN             1 or more. MOST_JUMP: the largest of JUMPS.
// BUFFER_WORDS     SPAN + 1 or more; more lets writes run ahead.
// WORDS_PER_FRAME  1 or more: input words of a frame.
// MEMORY           "distributed", "block" or "auto": the cyclic buffer.
`default_nettype none
module hwgen_rearrange #(
    parameter                      DATA_BITS       = 8,
    parameter                      LOOPS           = 2,
    parameter [32*LOOPS-1:0]       COUNTS          = {32'd2, 32'd3},
    parameter [32*(LOOPS+1)-1:0]   ADDS            = {32'd1, 32'd3, 32'd2},
    parameter [32*(LOOPS+1)-1:0]   JUMPS           = {32'd6, 32'd0, 32'd0},
    parameter                      BLOCK_LOOP      = 0,
    parameter                      START           = 0,
    parameter                      FIRST           = 0,
    parameter                      SPAN            = 6,
    parameter                      MOST_JUMP       = 6,
    parameter                      BUFFER_WORDS    = 8,
    parameter                      WORDS_PER_FRAME = 6,
    parameter                      MEMORY          = "distributed"
) (
    input  wire                 clk_i,
    input  wire                 rst_i,
    input  wire                 s_valid_i,
    output wire                 s_ready_o,
    input  wire [DATA_BITS-1:0] s_data_i,
    input  wire                 s_last_i,
    output wire                 m_valid_o,
    input  wire                 m_ready_i,
    output wire [DATA_BITS-1:0] m_data_o,
    output wire                 m_last_o
);
    localparam ADDRESS_BITS = $clog2(BUFFER_WORDS);
    localparam FILL_BITS    = $clog2(BUFFER_WORDS + SPAN + MOST_JUMP + 2) + 1;

    localparam [31:0] SPACE_AT_RESET = BUFFER_WORDS - 2 + FIRST;
    localparam [31:0] READY_AT_RESET = -SPAN - FIRST;
    localparam [31:0] SIZE           = BUFFER_WORDS;

    // The loops, one step ahead of the address. In the first cycle they take
    // that step alone.
    reg              primed_q;
    wire             read;
    wire             advance = read | ~primed_q;
    wire [LOOPS-1:0] last;
    reg  [LOOPS:0]   inner_last;
    reg  [31:0]      add;
    reg  [31:0]      jump;
    integer          k, l;

    // The innermost loop that goes on decides; inner_last[l]: those from l on end.
    always @* begin
        add  = ADDS[32*LOOPS +: 32];
        jump = JUMPS[32*LOOPS +: 32];
        for (k = 0; k < LOOPS; k = k + 1) begin
            if (~last[k]) begin
                add  = ADDS[32*k +: 32];
                jump = JUMPS[32*k +: 32];
            end
        end
    end

    always @* begin
        for (l = 0; l <= LOOPS; l = l + 1) inner_last[l] = &(last | ~({LOOPS{1'b1}} << l));
    end

    genvar level;
    generate
        for (level = 0; level < LOOPS; level = level + 1) begin : gen_loop
            localparam COUNT = COUNTS[32*level +: 32];
            wire [(COUNT > 1 ? $clog2(COUNT) : 1)-1:0] unused_index;

            hwgen_counter #(
                .LIMIT(COUNT)
            ) u_index (
                .clk_i    (clk_i),
                .rst_i    (rst_i),
                .advance_i(advance & inner_last[level+1]),
                .value_o  (unused_index),
                .last_o   (last[level])
            );
        end
    endgenerate

    // What the step of the current address does.
    reg  [ADDRESS_BITS-1:0] address_q;
    reg  [ADDRESS_BITS-1:0] add_q;
    reg  [ADDRESS_BITS:0]   add_back_q;
    reg  [FILL_BITS-1:0]    jump_q;
    reg                     block_end_q;
    reg                     frame_end_q;
    wire [31:0]             add_back = add - SIZE;
    wire [ADDRESS_BITS:0]   wrapped  = {1'b0, address_q} + add_back_q;
    wire [ADDRESS_BITS-1:0] plain    = address_q + add_q;
    wire                    unused_ok = &{1'b0, add, add_back, jump};

    always @(posedge clk_i) begin
        if (rst_i) begin
            primed_q  <= 1'b0;
            address_q <= START[ADDRESS_BITS-1:0];
        end else begin
            primed_q <= 1'b1;
            if (read) address_q <= wrapped[ADDRESS_BITS] ? plain : wrapped[ADDRESS_BITS-1:0];
        end
        if (advance) begin
            add_q       <= add[ADDRESS_BITS-1:0];
            add_back_q  <= add_back[ADDRESS_BITS:0];
            jump_q      <= jump[FILL_BITS-1:0];
            block_end_q <= inner_last[BLOCK_LOOP];
            frame_end_q <= inner_last[0];
        end
    end

    // How far fill is from the two bounds, without what the last cycle changed.
    reg [FILL_BITS-1:0] space_q;
    reg [FILL_BITS-1:0] ready_q;
    reg [FILL_BITS-1:0] change_q;
    reg                 first_q;
    reg                 settles_q;
    reg                 read_q;
    reg                 read_last_q;
    wire                available;

    wire write     = s_valid_i & s_ready_o;
    wire block_end = read & block_end_q;

    assign s_ready_o = ~space_q[FILL_BITS-1];
    assign read      = available & primed_q & (~first_q | ~(settles_q | ready_q[FILL_BITS-1]));

    always @(posedge clk_i) begin
        if (rst_i) begin
            space_q     <= SPACE_AT_RESET[FILL_BITS-1:0];
            ready_q     <= READY_AT_RESET[FILL_BITS-1:0];
            change_q    <= {FILL_BITS{1'b0}};
            first_q     <= 1'b1;
            settles_q   <= 1'b0;
            read_q      <= 1'b0;
            read_last_q <= 1'b0;
        end else begin
            space_q     <= space_q + change_q;
            ready_q     <= ready_q - change_q;
            change_q    <= (jump_q & {FILL_BITS{block_end}}) - {{FILL_BITS-1{1'b0}}, write};
            if (read) first_q <= block_end_q;
            settles_q   <= block_end;
            read_q      <= read;
            read_last_q <= read & frame_end_q;
        end
    end

    wire [ADDRESS_BITS-1:0] write_address;
    wire                    unused_write_last;
    wire [DATA_BITS-1:0]    word;

    hwgen_counter #(
        .LIMIT(BUFFER_WORDS)
    ) u_write_address (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(write),
        .value_o  (write_address),
        .last_o   (unused_write_last)
    );

    hwgen_ram #(
        .DATA_BITS(DATA_BITS),
        .DEPTH    (BUFFER_WORDS),
        .STYLE    (MEMORY)
    ) u_buffer (
        .clk_i          (clk_i),
        .write_i        (write),
        .write_address_i(write_address),
        .write_data_i   (s_data_i),
        .read_address_i (address_q),
        .read_data_o    (word)
    );

    hwgen_credit_fifo #(
        .DATA_BITS(DATA_BITS),
        .DEPTH    (4)
    ) u_output (
        .clk_i      (clk_i),
        .rst_i      (rst_i),
        .reserve_i  (read),
        .available_o(available),
        .push_i     (read_q),
        .push_data_i(word),
        .push_last_i(read_last_q),
        .m_valid_o  (m_valid_o),
        .m_ready_i  (m_ready_i),
        .m_data_o   (m_data_o),
        .m_last_o   (m_last_o)
    );

`ifndef SYNTHESIS
    hwgen_frame_check #(
        .WORDS_PER_FRAME(WORDS_PER_FRAME)
    ) u_frame_check (
        .clk_i (clk_i),
        .rst_i (rst_i),
        .move_i(write),
        .last_i(s_last_i)
    );

    initial begin
        if (BUFFER_WORDS <= SPAN) begin
            $fdisplay(32'h8000_0002, "hwgen assertion: %m: BUFFER_WORDS is not above %0d", SPAN);
            $finish;
        end
    end
`endif
endmodule
`default_nettype wire
