//! Faults of different kinds to plant into emitted designs, so that the campaign can be seen to find them.

use hdl_gen::timing::TwinFault;

/// Where a fault of the generator would stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The hand-written Verilog library.
    Library,
    /// What the emitter writes: memory images, generated modules, the top.
    Emitter,
    /// Requantization units and their constants.
    Requantization,
    /// The timing model.
    Twin,
}

impl Origin {
    /// As it stands in tables.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Library => "RTL",
            Origin::Emitter => "emitter",
            Origin::Requantization => "requantization",
            Origin::Twin => "timing twin",
        }
    }
}

/// What is changed.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// A text of an emitted file, where it first stands.
    Text {
        /// Which files: beginning and end of the path.
        path: [&'static str; 2],
        /// Text that is replaced.
        from: &'static str,
        /// Its replacement.
        to: &'static str,
    },
    /// The timing model that predicts the cycles.
    Twin(TwinFault),
}

/// A fault that the campaign must find.
#[derive(Clone, Copy, Debug)]
pub struct PlantedFault {
    /// What is wrong afterwards.
    pub what: &'static str,
    /// Where such a fault would be made.
    pub origin: Origin,
    /// The change.
    pub change: Change,
}

impl PlantedFault {
    /// The changed text of a file, or nothing where the fault does not belong there.
    pub fn plant(&self, path: &str, text: &str) -> Option<String> {
        let Change::Text { path: [start, end], from, to } = self.change else { return None };
        let here = path.starts_with(start) && path.ends_with(end) && text.contains(from);
        here.then(|| text.replacen(from, to, 1))
    }
}

const fn fault(
    origin: Origin,
    what: &'static str,
    path: [&'static str; 2],
    from: &'static str,
    to: &'static str,
) -> PlantedFault {
    PlantedFault { what, origin, change: Change::Text { path, from, to } }
}

const fn twin_fault(what: &'static str, fault: TwinFault) -> PlantedFault {
    PlantedFault { what, origin: Origin::Twin, change: Change::Twin(fault) }
}

/// The faults of the campaign: arithmetic, control, buffers, padding, timing alone, and constants as an emitter or a
/// requantization with a fault would write them.
pub const FAULTS: &[PlantedFault] = &[
    fault(
        Origin::Library,
        "a window takes a padded tap for a real one at its left edge",
        ["rtl/", "hwgen_sliding_window.v"],
        ".BEFORE(PAD_LEFT)",
        ".BEFORE(PAD_LEFT > 0 ? PAD_LEFT - 1 : 0)",
    ),
    fault(
        Origin::Library,
        "a dropped last: a frame's last result is not marked",
        ["rtl/", "hwgen_matrix_control.v"],
        "issue & input_last & output_last & vector_last",
        "issue & input_last & output_last & vector_last & ~first_pass",
    ),
    fault(
        Origin::Library,
        "a replay buffer gives the vector before in later passes",
        ["rtl/", "hwgen_replay.v"],
        "first_pass_i & issue_i) memory",
        "first_pass_i & issue_i & ~input_last_i) memory",
    ),
    fault(
        Origin::Library,
        "the greatest of signed codes is found as if they were unsigned",
        ["rtl/", "hwgen_lane_max.v"],
        ".a_i       (a ^ TURN)",
        ".a_i       (a)",
    ),
    fault(
        Origin::Library,
        "ties of argmax go to the last channel",
        ["rtl/", "hwgen_greater.v"],
        "assign greater_o = ~b_at_least;",
        "assign greater_o = ~b_at_least | (a_i == b_i);",
    ),
    fault(
        Origin::Library,
        "a width adapter takes a word one too early",
        ["rtl/", "hwgen_width_adapter.v"],
        "room_q  <= ~taking[2]",
        "room_q  <= 1'b1",
    ),
    fault(
        Origin::Library,
        "timing alone: a credit is offered one cycle late",
        ["rtl/", "hwgen_credit_fifo.v"],
        "assign available_o = available_q;",
        "reg late_q; always @(posedge clk_i) late_q <= available_q; assign available_o = available_q & late_q;",
    ),
    fault(
        Origin::Library,
        "timing alone: a fork waits until all its outputs are empty",
        ["rtl/", "hwgen_fork.v"],
        "assign s_ready_o = &room;",
        "assign s_ready_o = &room & ~(|m_valid_o);",
    ),
    fault(
        Origin::Library,
        "a concatenation takes one word too many of an input",
        ["rtl/", "hwgen_concat.v"],
        "left_q == TWO[COUNT_BITS-1:0]",
        "left_q == {COUNT_BITS{1'b0}}",
    ),
    fault(
        Origin::Library,
        "a FIFO one word short",
        ["rtl/", "hwgen_fifo.v"],
        "REST       = DEPTH - 1;",
        "REST       = DEPTH > 3 ? DEPTH - 2 : DEPTH - 1;",
    ),
    fault(
        Origin::Library,
        "a frame gets the mode that stands at its last word",
        ["rtl/", "hwgen_mode_gate.v"],
        ".s_valid_i(taken & first_q)",
        ".s_valid_i(taken & s_last_i)",
    ),
    fault(
        Origin::Library,
        "a bit-serial layer goes on to the next frame's mode a vector early",
        ["rtl/", "hwgen_serial_control.v"],
        "result & output_last & vector_last;\n\n",
        "result & output_last;\n\n",
    ),
    fault(
        Origin::Library,
        "a mode has the passes of the mode before until its first result is done",
        ["rtl/", "hwgen_serial_passes.v"],
        "assign last[bit_index] = by_mode[mode_i];",
        "reg late_q; always @(posedge clk_i) if (advance_i & last_o) late_q <= by_mode[mode_i]; assign last[bit_index] = late_q;",
    ),
    fault(
        Origin::Emitter,
        "the first weight of a layer with its lowest bit turned",
        ["mem/", "_weights.mem"],
        "0\n",
        "1\n",
    ),
    fault(
        Origin::Requantization,
        "the search stage compares with more instead of at least",
        ["rtl/", "hwgen_threshold_stage.v"],
        "value_i >= threshold",
        "value_i > threshold",
    ),
    fault(
        Origin::Library,
        "a weight address that stays stale while no input word is offered",
        ["rtl/", "hwgen_matrix_control.v"],
        ".advance_i(issue),\n        .value_o  (weight_address_o)",
        ".advance_i(issue & s_valid_i),\n        .value_o  (weight_address_o)",
    ),
    fault(
        Origin::Library,
        "a fork gives a word again while another of its outputs is stalled",
        ["rtl/", "hwgen_fork.v"],
        ".s_valid_i(s_valid_i & s_ready_o)",
        ".s_valid_i(s_valid_i)",
    ),
    fault(
        Origin::Library,
        "the operands of a join are turned by one bit",
        ["rtl/", "hwgen_join.v"],
        "assign m_data_o  = s_data_i;",
        "assign m_data_o  = {s_data_i[0], s_data_i[DATA_BITS-1:1]};",
    ),
    fault(Origin::Emitter, "a wrong constant of a border zone", ["mem/", "_initial.mem"], "\n0", "\n1"),
    fault(Origin::Emitter, "a digit of a recoded weight with the wrong sign", ["rtl/", "_row.v"], "= ~{", "= {"),
    fault(
        Origin::Emitter,
        "a fork's second output is left unread by its layer, which reads the first twice",
        ["rtl/sketch", ".v"],
        "_fork_1_data)",
        "_fork_0_data)",
    ),
    fault(
        Origin::Requantization,
        "results above the greatest code wrap instead of staying there",
        ["rtl/", "_rescale.v"],
        "(above ?",
        "(1'b0 ?",
    ),
    fault(
        Origin::Requantization,
        "quotients below the least code are not clamped",
        ["rtl/", "_rescale.v"],
        "below = negative_q &",
        "below = 1'b0 &",
    ),
    fault(Origin::Requantization, "a threshold one too low", ["mem/", "_thresholds_0.mem"], "1\n", "0\n"),
    fault(Origin::Requantization, "a channel's offset with a wrong digit", ["mem/", "_rescale.mem"], "\n1", "\n0"),
    twin_fault("the model of a FIFO holds a word less", TwinFault::ShortFifo),
    twin_fault("the model of a matrix layer gives each result a cycle late", TwinFault::LateResult),
    twin_fault("the model of a sliding window is a cycle late", TwinFault::LateWindow),
];
