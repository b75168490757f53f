// Bench of the mode register with the gate behind it: an AXI4-Lite master reads
// and writes in any order while frames flow, some of them stalled.
`timescale 1ns / 1ps
`default_nettype none
module mode_bench;
    reg         clk = 1'b0;
    reg         rst = 1'b1;
    reg  [3:0]  awaddr = 4'd0;
    reg         awvalid = 1'b0;
    wire        awready;
    reg  [31:0] wdata = 32'd0;
    reg  [3:0]  wstrb = 4'd15;
    reg         wvalid = 1'b0;
    wire        wready;
    wire [1:0]  bresp;
    wire        bvalid;
    reg         bready = 1'b0;
    reg  [3:0]  araddr = 4'd0;
    reg         arvalid = 1'b0;
    wire        arready;
    wire [31:0] rdata;
    wire [1:0]  rresp;
    wire        rvalid;
    reg         rready = 1'b0;
    wire [2:0]  mode;
    integer     faults = 0;

    always #5 clk = ~clk;

    hwgen_mode_register #(.MODES(5), .MODE_BITS(3)) u_register (
        .clk_i(clk), .rst_i(rst),
        .awaddr_i(awaddr), .awvalid_i(awvalid), .awready_o(awready),
        .wdata_i(wdata), .wstrb_i(wstrb), .wvalid_i(wvalid), .wready_o(wready),
        .bresp_o(bresp), .bvalid_o(bvalid), .bready_i(bready),
        .araddr_i(araddr), .arvalid_i(arvalid), .arready_o(arready),
        .rdata_o(rdata), .rresp_o(rresp), .rvalid_o(rvalid), .rready_i(rready),
        .mode_o(mode)
    );

    reg        s_valid = 1'b0;
    wire       s_ready;
    reg  [7:0] s_data = 8'd0;
    reg        s_last = 1'b0;
    wire [2:0] m_valid;
    reg  [2:0] m_ready = 3'b111;
    wire [13:0] m_data;
    wire [2:0] m_last;

    hwgen_mode_gate #(.DATA_BITS(8), .MODE_BITS(3), .TOKENS(2), .FRAMES(2), .WORDS_PER_FRAME(4)) u_gate (
        .clk_i(clk), .rst_i(rst),
        .s_valid_i(s_valid), .s_ready_o(s_ready), .s_data_i(s_data), .s_last_i(s_last), .mode_i(mode),
        .m_valid_o(m_valid), .m_ready_i(m_ready), .m_data_o(m_data), .m_last_o(m_last)
    );

    task fail(input [8*40-1:0] what, input integer got, input integer expected);
        begin
            $display("FAIL %0s: got %0d, expected %0d", what, got, expected);
            faults = faults + 1;
        end
    endtask

    // Address `lead` cycles before the data, or after them where it is negative.
    task write(input [3:0] address, input [31:0] data, input [3:0] strobes, input integer lead, input [1:0] response);
        integer cycle;
        begin
            @(negedge clk);
            awaddr = address; wdata = data; wstrb = strobes;
            awvalid = lead >= 0; wvalid = lead <= 0;
            for (cycle = 0; cycle < (lead < 0 ? -lead : lead); cycle = cycle + 1) begin
                @(negedge clk);
                if (bvalid) fail("answer before both parts", 1, 0);
                if (awready || wready) fail("a part taken alone", 1, 0);
            end
            awvalid = 1'b1; wvalid = 1'b1;
            #1;
            while (!(awready && wready)) @(negedge clk) #1;
            @(negedge clk);
            awvalid = 1'b0; wvalid = 1'b0;
            if (!bvalid) fail("answer a cycle later", bvalid, 1);
            // It holds until it is taken.
            @(negedge clk);
            if (!bvalid || bresp != response) fail("write response", bresp, response);
            bready = 1'b1;
            @(negedge clk);
            bready = 1'b0;
            if (bvalid) fail("one answer a write", 1, 0);
        end
    endtask

    task read(input [3:0] address, input [31:0] data, input [1:0] response);
        begin
            @(negedge clk);
            araddr = address; arvalid = 1'b1;
            #1;
            while (!arready) @(negedge clk) #1;
            @(negedge clk);
            arvalid = 1'b0;
            @(negedge clk);
            if (!rvalid || rresp != response) fail("read response", rresp, response);
            if (rdata != data) fail("data read", rdata, data);
            rready = 1'b1;
            @(negedge clk);
            rready = 1'b0;
            if (rvalid) fail("one answer a read", 1, 0);
        end
    endtask

    task word(input [7:0] data, input last);
        begin
            @(negedge clk);
            s_valid = 1'b1; s_data = data; s_last = last;
            #1;
            while (!s_ready) @(negedge clk) #1;
            @(negedge clk);
            s_valid = 1'b0;
        end
    endtask

    // What leaves: words in order, and for each frame the mode that stood at its first word, in both streams.
    integer words = 0;
    integer tokens0 = 0;
    integer tokens1 = 0;
    reg [2:0] expected_modes [0:7];
    initial begin
        expected_modes[0] = 3'd0; expected_modes[1] = 3'd3; expected_modes[2] = 3'd4;
        expected_modes[3] = 3'd1; expected_modes[4] = 3'd1; expected_modes[5] = 3'd2;
    end
    always @(posedge clk) if (!rst) begin
        if (m_valid[0] && m_ready[0]) begin
            if (m_data[7:0] != words[7:0]) fail("word", m_data[7:0], words);
            if (m_last[0] != (words % 4 == 3)) fail("last", m_last[0], words % 4 == 3);
            words = words + 1;
        end
        if (m_valid[1] && m_ready[1]) begin
            if (m_data[10:8] != expected_modes[tokens0]) fail("mode of stream 1", m_data[10:8], expected_modes[tokens0]);
            tokens0 = tokens0 + 1;
        end
        if (m_valid[2] && m_ready[2]) begin
            if (m_data[13:11] != expected_modes[tokens1]) fail("mode of stream 2", m_data[13:11], expected_modes[tokens1]);
            tokens1 = tokens1 + 1;
        end
    end

    initial begin
        repeat (3) @(negedge clk);
        rst = 1'b0;
        read(4'h0, 32'd0, 2'b00);
        read(4'h4, 32'd5, 2'b00);
        read(4'h8, 32'd0, 2'b10);
        read(4'hc, 32'd0, 2'b10);
        // Frame 0 begins in mode 0; a write in mid-frame counts for frame 1 alone.
        word(8'd0, 1'b0);
        write(4'h0, 32'd3, 4'hf, 0, 2'b00);
        read(4'h0, 32'd3, 2'b00);
        word(8'd1, 1'b0);
        word(8'd2, 1'b0);
        word(8'd3, 1'b1);
        word(8'd4, 1'b0);
        // Undefined modes and addresses change nothing and are refused; so do writes without the lowest strobe, which are good.
        write(4'h0, 32'd5, 4'hf, 1, 2'b10);
        write(4'h0, 32'd7, 4'h1, 0, 2'b10);
        write(4'h0, 32'h0000_0100, 4'hf, -2, 2'b10);
        write(4'h0, 32'h8000_0001, 4'hf, 0, 2'b10);
        write(4'h4, 32'd1, 4'hf, 0, 2'b10);
        write(4'h8, 32'd1, 4'hf, 0, 2'b10);
        write(4'hc, 32'd2, 4'hf, 3, 2'b10);
        write(4'h0, 32'd1, 4'he, 0, 2'b00);
        read(4'h0, 32'd3, 2'b00);
        // Two writes in one frame: the later one counts. Low address bits are ignored.
        write(4'h0, 32'd2, 4'h1, -1, 2'b00);
        write(4'h3, 32'd4, 4'h1, 2, 2'b00);
        read(4'h2, 32'd4, 2'b00);
        word(8'd5, 1'b0);
        word(8'd6, 1'b0);
        word(8'd7, 1'b1);
        // A mode stream without room holds the next frame's first word, and only that; the mode is that of its taking.
        m_ready = 3'b001;
        word(8'd8, 1'b0);
        word(8'd9, 1'b0);
        word(8'd10, 1'b0);
        word(8'd11, 1'b1);
        write(4'h0, 32'd1, 4'hf, 0, 2'b00);
        word(8'd12, 1'b0);
        word(8'd13, 1'b0);
        word(8'd14, 1'b0);
        word(8'd15, 1'b1);
        @(negedge clk);
        s_valid = 1'b1; s_data = 8'd16; s_last = 1'b0;
        repeat (5) begin
            @(negedge clk);
            if (s_ready) fail("room without room for modes", 1, 0);
        end
        m_ready = 3'b111;
        @(negedge clk);
        while (!s_ready) @(negedge clk);
        @(negedge clk);
        s_valid = 1'b0;
        write(4'h0, 32'd2, 4'hf, 0, 2'b00);
        word(8'd17, 1'b0);
        word(8'd18, 1'b0);
        word(8'd19, 1'b1);
        word(8'd20, 1'b0);
        repeat (8) @(negedge clk);
        if (words != 21) fail("words", words, 21);
        if (tokens0 != 6) fail("modes of stream 1", tokens0, 6);
        if (tokens1 != 6) fail("modes of stream 2", tokens1, 6);
        // Reset goes back to mode 0.
        rst = 1'b1;
        repeat (2) @(negedge clk);
        rst = 1'b0;
        words = 0;
        read(4'h0, 32'd0, 2'b00);
        if (faults == 0) $display("PASS");
        $finish;
    end
    initial #100000 begin
        $display("FAIL: standstill");
        $finish;
    end
endmodule
`default_nettype wire
