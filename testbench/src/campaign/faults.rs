//! Faults of different kinds to plant into emitted designs, so that the campaign can be seen to find them.

/// A change of one emitted file.
#[derive(Clone, Copy, Debug)]
pub struct PlantedFault {
    /// What is wrong afterwards.
    pub what: &'static str,
    /// End of the path of the file, without `.v`.
    pub module: &'static str,
    /// Text that is replaced where it first stands.
    pub from: &'static str,
    /// Its replacement.
    pub to: &'static str,
}

impl PlantedFault {
    /// The changed text of a file, or nothing where the fault does not belong there.
    pub fn plant(&self, path: &str, text: &str) -> Option<String> {
        let name = path.strip_prefix("rtl/")?.strip_suffix(".v")?;
        (name == self.module && text.contains(self.from)).then(|| text.replacen(self.from, self.to, 1))
    }
}

/// The faults of the campaign.
pub const FAULTS: &[PlantedFault] = &[
    PlantedFault {
        what: "a concatenation counts one word too many of a second input",
        module: "hwgen_concat",
        from: "left_q == TWO[COUNT_BITS-1:0]",
        to: "left_q == TWO[COUNT_BITS-1:0] - 1'b1",
    },
    PlantedFault {
        what: "a join ends its frames by the wrong input",
        module: "hwgen_join",
        from: "assign s_ready_o = {INPUTS{m_valid_o & m_ready_i}};",
        to: "assign s_ready_o = {{(INPUTS-1){m_valid_o & m_ready_i}}, m_ready_i};",
    },
];
