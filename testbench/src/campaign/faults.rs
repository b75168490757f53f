//! Faults of different kinds to plant into emitted designs, so that the campaign can be seen to find them.

/// A change of one emitted file.
#[derive(Clone, Copy, Debug)]
pub struct PlantedFault {
    /// What is wrong afterwards.
    pub what: &'static str,
    /// Where: beginning and end of the file's path.
    pub path: [&'static str; 2],
    /// Text that is replaced where it first stands.
    pub from: &'static str,
    /// Its replacement.
    pub to: &'static str,
}

impl PlantedFault {
    /// The changed text of a file, or nothing where the fault does not belong there.
    pub fn plant(&self, path: &str, text: &str) -> Option<String> {
        let [start, end] = self.path;
        let here = path.starts_with(start) && path.ends_with(end) && text.contains(self.from);
        here.then(|| text.replacen(self.from, self.to, 1))
    }
}

const fn fault(what: &'static str, path: [&'static str; 2], from: &'static str, to: &'static str) -> PlantedFault {
    PlantedFault { what, path, from, to }
}

/// The faults of the campaign: arithmetic, control, buffers, padding, timing alone, and constants as an emitter or a
/// requantization with a fault would write them.
pub const FAULTS: &[PlantedFault] = &[
    fault(
        "a window takes a padded tap for a real one at its left edge",
        ["rtl/", "hwgen_sliding_window.v"],
        ".BEFORE(PAD_LEFT)",
        ".BEFORE(PAD_LEFT > 0 ? PAD_LEFT - 1 : 0)",
    ),
    fault(
        "a dropped last: a frame's last result is not marked",
        ["rtl/", "hwgen_matrix_control.v"],
        "issue & input_last & output_last & vector_last",
        "issue & input_last & output_last & vector_last & ~first_pass",
    ),
    fault(
        "a replay buffer gives the vector before in later passes",
        ["rtl/", "hwgen_matrix_control.v"],
        "first_pass_q & issue) memory",
        "first_pass_q & issue & ~input_last) memory",
    ),
    fault(
        "the greatest of signed codes is found as if they were unsigned",
        ["rtl/", "hwgen_lane_max.v"],
        ".a_i       (a ^ TURN)",
        ".a_i       (a)",
    ),
    fault(
        "ties of argmax go to the last channel",
        ["rtl/", "hwgen_greater.v"],
        "assign greater_o = ~b_at_least;",
        "assign greater_o = ~b_at_least | (a_i == b_i);",
    ),
    fault(
        "a width adapter takes a word one too early",
        ["rtl/", "hwgen_width_adapter.v"],
        "room_q  <= ~taking[2]",
        "room_q  <= 1'b1",
    ),
    fault(
        "timing alone: a credit is offered one cycle late",
        ["rtl/", "hwgen_credit_fifo.v"],
        "assign available_o = available_q;",
        "reg late_q; always @(posedge clk_i) late_q <= available_q; assign available_o = available_q & late_q;",
    ),
    fault(
        "timing alone: a fork waits until all its outputs are empty",
        ["rtl/", "hwgen_fork.v"],
        "assign s_ready_o = &room;",
        "assign s_ready_o = &room & ~(|m_valid_o);",
    ),
    fault(
        "a concatenation takes one word too many of an input",
        ["rtl/", "hwgen_concat.v"],
        "left_q == TWO[COUNT_BITS-1:0]",
        "left_q == {COUNT_BITS{1'b0}}",
    ),
    fault(
        "a FIFO one word short",
        ["rtl/", "hwgen_fifo.v"],
        "REST       = DEPTH - 1;",
        "REST       = DEPTH > 3 ? DEPTH - 2 : DEPTH - 1;",
    ),
    fault("emitter: the first weight of a layer with its lowest bit turned", ["mem/", "_weights.mem"], "0\n", "1\n"),
    fault(
        "requantization: the search stage compares with more instead of at least",
        ["rtl/", "hwgen_threshold_stage.v"],
        "value_i >= threshold",
        "value_i > threshold",
    ),
    fault(
        "a weight address that stays stale while no input word is offered",
        ["rtl/", "hwgen_matrix_control.v"],
        ".advance_i(issue),\n        .value_o  (weight_address_o)",
        ".advance_i(issue & s_valid_i),\n        .value_o  (weight_address_o)",
    ),
    fault(
        "a fork gives a word again while another of its outputs is stalled",
        ["rtl/", "hwgen_fork.v"],
        ".s_valid_i(s_valid_i & s_ready_o)",
        ".s_valid_i(s_valid_i)",
    ),
    fault(
        "the operands of a join are turned by one bit",
        ["rtl/", "hwgen_join.v"],
        "assign m_data_o  = s_data_i;",
        "assign m_data_o  = {s_data_i[0], s_data_i[DATA_BITS-1:1]};",
    ),
    fault("emitter: a wrong constant of a border zone", ["mem/", "_initial.mem"], "\n0", "\n1"),
];
