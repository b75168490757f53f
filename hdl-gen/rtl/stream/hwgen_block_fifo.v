// SPDX-License-Identifier: MIT OR Apache-2.0
// FIFO of DEPTH words in block RAM, cycle for cycle as hwgen_fifo: latency 1, a
// word accepted at an edge is offered in the cycle after it (when it is the oldest).
//
//      +------------------ straight ------------------+
//   s -+--- skid (while words come from RAM) ---------+-- head -- m
//      +--- RAM -- read register -- data register ----+
//
// Stream: words pass unchanged and in order. The oldest words sit in a small
// queue (head). A word goes straight to the head while the RAM is empty and the
// head has a free place; when it has none, this word and those behind it go
// through the RAM, which needs five cycles: fewer than the head holds words, so
// nobody sees them. Words that arrive when the RAM has just run empty wait in
// the skid for the last ones on their way out of it.
// Throughput: one word a cycle.
// Cut paths: valid, data and ready are all functions of registers.
//
// DATA_BITS  1 or more.
// DEPTH      32 or more: words held.
`default_nettype none
module hwgen_block_fifo #(
    parameter DATA_BITS = 8,
    parameter DEPTH     = 64
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
    localparam        WORD_BITS    = DATA_BITS + 1;
    localparam        HEAD_WORDS   = 16;
    localparam        SKID_WORDS   = 4;
    localparam        COUNT_BITS   = $clog2(DEPTH + 1);
    localparam        ADDRESS_BITS = $clog2(DEPTH);
    localparam [31:0] ALMOST       = DEPTH - 1;

    // All words.
    reg  [COUNT_BITS-1:0] held_q;
    reg                   full_q;
    wire push = s_valid_i & ~full_q;
    wire pop  = m_valid_o & m_ready_i;
    wire more = push & ~pop;
    wire less = pop & ~push;

    assign s_ready_o = ~full_q;

    always @(posedge clk_i) begin
        if (rst_i) begin
            held_q <= {COUNT_BITS{1'b0}};
            full_q <= 1'b0;
        end else if (more) begin
            held_q <= held_q + 1'b1;
            full_q <= held_q == ALMOST[COUNT_BITS-1:0];
        end else if (less) begin
            held_q <= held_q - 1'b1;
            full_q <= 1'b0;
        end
    end

    // Ways in. behind_q: words are in the RAM or about to be written; it holds whenever full_q does.
    wire available;
    wire skid_valid;
    reg  behind_q;
    reg  deep_some_q;
    reg  read_q;
    reg  fetched_q;
    reg  write_q;

    wire near     = s_valid_i & ~behind_q & available;
    wire to_skid  = near & (read_q | fetched_q | skid_valid);
    wire to_deep  = s_valid_i & ~full_q & (behind_q | ~available);
    wire read     = deep_some_q & available & ~skid_valid;
    wire skid_pop = skid_valid & ~read_q & ~fetched_q;

    // Words in the RAM, one cycle after they came.
    reg  [COUNT_BITS-1:0] deep_q;
    wire deep_one  = deep_q == {{COUNT_BITS-1{1'b0}}, 1'b1};
    wire deep_more = write_q & ~read;
    wire deep_less = read & ~write_q;

    always @(posedge clk_i) begin
        if (rst_i) begin
            behind_q    <= 1'b0;
            deep_some_q <= 1'b0;
            deep_q      <= {COUNT_BITS{1'b0}};
            read_q      <= 1'b0;
            fetched_q   <= 1'b0;
            write_q     <= 1'b0;
        end else begin
            behind_q  <= to_deep | write_q | (deep_some_q & ~(read & deep_one));
            read_q    <= read;
            fetched_q <= read_q;
            write_q   <= to_deep;
            if (deep_more) begin
                deep_q      <= deep_q + 1'b1;
                deep_some_q <= 1'b1;
            end else if (deep_less) begin
                deep_q      <= deep_q - 1'b1;
                deep_some_q <= ~deep_one;
            end
        end
    end

    // The RAM.
    reg  [WORD_BITS-1:0]    write_word_q;
    reg  [WORD_BITS-1:0]    fetched_word_q;
    wire [WORD_BITS-1:0]    read_word;
    wire [ADDRESS_BITS-1:0] write_address;
    wire [ADDRESS_BITS-1:0] read_address;
    wire                    write_last;
    wire                    read_last;

    always @(posedge clk_i) begin
        write_word_q   <= {s_last_i, s_data_i};
        fetched_word_q <= read_word;
    end

    hwgen_counter #(
        .LIMIT(DEPTH)
    ) u_write_address (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(write_q),
        .value_o  (write_address),
        .last_o   (write_last)
    );

    hwgen_counter #(
        .LIMIT(DEPTH)
    ) u_read_address (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .advance_i(read),
        .value_o  (read_address),
        .last_o   (read_last)
    );

    hwgen_ram #(
        .DATA_BITS(WORD_BITS),
        .DEPTH    (DEPTH),
        .STYLE    ("block")
    ) u_ram (
        .clk_i          (clk_i),
        .write_i        (write_q),
        .write_address_i(write_address),
        .write_data_i   (write_word_q),
        .read_address_i (read_address),
        .read_data_o    (read_word)
    );

    // The skid, which never holds more than it has room for: while it fills, nothing is read.
    wire                 skid_ready;
    wire [DATA_BITS-1:0] skid_data;
    wire                 skid_last;

    hwgen_fifo #(
        .DATA_BITS(DATA_BITS),
        .DEPTH    (SKID_WORDS)
    ) u_skid (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .s_valid_i(to_skid),
        .s_ready_o(skid_ready),
        .s_data_i (s_data_i),
        .s_last_i (s_last_i),
        .m_valid_o(skid_valid),
        .m_ready_i(skid_pop),
        .m_data_o (skid_data),
        .m_last_o (skid_last)
    );

    // The head: a place is reserved when a word sets out for it.
    wire [WORD_BITS-1:0] straight_word = skid_valid ? {skid_last, skid_data} : {s_last_i, s_data_i};
    wire [WORD_BITS-1:0] head_word     = fetched_q ? fetched_word_q : straight_word;

    hwgen_credit_fifo #(
        .DATA_BITS(DATA_BITS),
        .DEPTH    (HEAD_WORDS)
    ) u_head (
        .clk_i      (clk_i),
        .rst_i      (rst_i),
        .reserve_i  (near | read),
        .available_o(available),
        .push_i     (fetched_q | (~read_q & (skid_valid | near))),
        .push_data_i(head_word[DATA_BITS-1:0]),
        .push_last_i(head_word[WORD_BITS-1]),
        .m_valid_o  (m_valid_o),
        .m_ready_i  (m_ready_i),
        .m_data_o   (m_data_o),
        .m_last_o   (m_last_o)
    );

    wire unused_ok = &{1'b0, write_last, read_last, skid_ready};

`ifndef SYNTHESIS
    initial begin
        if (DEPTH < 2 * HEAD_WORDS) begin
            $fdisplay(32'h8000_0002, "hwgen assertion: %m: DEPTH is below %0d", 2 * HEAD_WORDS);
            $finish;
        end
    end

    always @(posedge clk_i) begin
        if (!rst_i && ((to_skid === 1'b1 && !skid_ready) || (full_q === 1'b1 && !behind_q))) begin
            $fdisplay(32'h8000_0002, "hwgen assertion: %m: a word comes at the wrong place");
            $finish;
        end
        if (!rst_i && held_q != {COUNT_BITS{1'b0}} && m_valid_o === 1'b0) begin
            $fdisplay(32'h8000_0002, "hwgen assertion: %m: words are held and none is offered");
            $finish;
        end
    end
`endif
endmodule
`default_nettype wire
