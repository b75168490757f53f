// SPDX-License-Identifier: MIT OR Apache-2.0
// Concatenation of channels: at every position the words of input 0, then
// those of input 1, and so on.
//
// Input k gives WORDS[32*k +: 32] words a position. The others wait meanwhile.
// Latency 1 (a register slice); throughput one word a cycle.
// Input k uses bit k of s_valid_i, s_ready_o, s_last_i and slice k of s_data_i;
// the last input's last word ends the frame.
// Paths: ready is a function of registers; valid and data of registers.
//
// INPUTS     2 or more.
// DATA_BITS  1 or more: width of one word.
// WORDS      words a position of each input, each 1 or more.
`default_nettype none
module hwgen_concat #(
    parameter                   INPUTS    = 2,
    parameter                   DATA_BITS = 8,
    parameter [32*INPUTS-1:0]   WORDS     = {INPUTS{32'd1}}
) (
    input  wire                        clk_i,
    input  wire                        rst_i,
    input  wire [INPUTS-1:0]           s_valid_i,
    output wire [INPUTS-1:0]           s_ready_o,
    input  wire [DATA_BITS*INPUTS-1:0] s_data_i,
    input  wire [INPUTS-1:0]           s_last_i,
    output wire                        m_valid_o,
    input  wire                        m_ready_i,
    output wire [DATA_BITS-1:0]        m_data_o,
    output wire                        m_last_o
);
    // Words that follow the current one on the current input.
    localparam COUNT_BITS = $clog2(most(INPUTS)) + 1;

    function integer most(input integer inputs);
        integer k;
        begin
            most = 1;
            for (k = 0; k < inputs; k = k + 1) begin
                if (WORDS[32*k +: 32] > most) most = WORDS[32*k +: 32];
            end
        end
    endfunction

    reg  [INPUTS-1:0]     select_q;
    reg  [COUNT_BITS-1:0] left_q;
    reg                   final_q;
    wire                  room;
    wire                  offered = |(select_q & s_valid_i);
    wire                  move    = offered & room;
    wire [INPUTS-1:0]     next    = {select_q[INPUTS-2:0], select_q[INPUTS-1]};

    assign s_ready_o = select_q & {INPUTS{room}};

    // Constants and words of the selected input.
    reg [DATA_BITS-1:0]  data;
    reg [COUNT_BITS-1:0] next_left;
    reg                  next_final;
    integer              k;
    always @* begin
        data       = {DATA_BITS{1'b0}};
        next_left  = {COUNT_BITS{1'b0}};
        next_final = 1'b0;
        for (k = 0; k < INPUTS; k = k + 1) begin
            data       = data | (s_data_i[DATA_BITS*k +: DATA_BITS] & {DATA_BITS{select_q[k]}});
            next_left  = next_left | (WORDS[32*k +: COUNT_BITS] & {COUNT_BITS{next[k]}});
            next_final = next_final | (next[k] & (WORDS[32*k +: 32] == 32'd1));
        end
    end

    localparam [COUNT_BITS-1:0] FIRST = WORDS[COUNT_BITS-1:0];
    localparam           [31:0] TWO   = 2;

    always @(posedge clk_i) begin
        if (rst_i) begin
            select_q <= {{(INPUTS-1){1'b0}}, 1'b1};
            left_q   <= FIRST;
            final_q  <= FIRST == 1;
        end else if (move) begin
            if (final_q) begin
                select_q <= next;
                left_q   <= next_left;
                final_q  <= next_final;
            end else begin
                left_q  <= left_q - 1'b1;
                final_q <= left_q == TWO[COUNT_BITS-1:0];
            end
        end
    end

    hwgen_register_slice #(
        .DATA_BITS(DATA_BITS)
    ) u_slice (
        .clk_i    (clk_i),
        .rst_i    (rst_i),
        .s_valid_i(offered),
        .s_ready_o(room),
        .s_data_i (data),
        .s_last_i (select_q[INPUTS-1] & s_last_i[INPUTS-1]),
        .m_valid_o(m_valid_o),
        .m_ready_i(m_ready_i),
        .m_data_o (m_data_o),
        .m_last_o (m_last_o)
    );

    wire unused_ok = &{1'b0, s_last_i};
endmodule
`default_nettype wire
