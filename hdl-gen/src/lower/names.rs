//! Legal, unique Verilog names from a plan's free names.

use crate::design::input_net;
use network::manifest::{input_prefix, output_prefix};
use std::collections::BTreeSet;

/// Words that IEEE 1800-2017 keeps for itself, those of Verilog 2005 among them: tools read `.v` files as either.
const KEYWORDS: &str = "\
    accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before \
    begin bind bins binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class \
    clocking cmos config const constraint context continue cover covergroup coverpoint cross deassign \
    default defparam design disable dist do edge else end endcase endchecker endclass endclocking \
    endconfig endfunction endgenerate endgroup endinterface endmodule endpackage endprimitive endprogram \
    endproperty endsequence endspecify endtable endtask enum event eventually expect export extends \
    extern final first_match for force foreach forever fork forkjoin function generate genvar global \
    highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir include \
    initial inout input inside instance int integer interconnect interface intersect join join_any \
    join_none large let liblist library local localparam logic longint macromodule matches medium \
    modport module nand negedge nettype new nexttime nmos nor noshowcancelled not notif0 notif1 null or \
    output package packed parameter pmos posedge primitive priority program property protected pull0 \
    pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase randsequence \
    rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0 \
    rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal \
    showcancelled signed small soft solve specify specparam static string strong strong0 strong1 struct \
    super supply0 supply1 sync_accept_on sync_reject_on table tagged task this throughout time \
    timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg type typedef union \
    unique unique0 unsigned until until_with untyped use uwire var vectored virtual void wait wait_order \
    wand weak weak0 weak1 while wildcard wire with within wor xnor xor";

/// The names given so far in one design.
pub(super) struct Names {
    top: String,
    layers: BTreeSet<String>,
}

impl Names {
    /// Names for a design with so many inputs and outputs; the top is called after the plan.
    pub fn new(plan: &str, inputs: usize, outputs: usize) -> Self {
        let mut top = legal(plan);
        if KEYWORDS.split(' ').any(|word| word == top) || top.starts_with("hwgen_") {
            top.push_str("_top");
        }
        // These prefix the top's own nets.
        let ends = (0..inputs).flat_map(|index| [input_net(index, inputs), input_prefix(index, inputs)]);
        let own = ["s_axil", "mode", "mode_gate", "mode_register"].map(str::to_owned);
        let ends = ends.chain(own);
        let layers = ends.chain((0..outputs).map(|index| output_prefix(index, outputs))).collect();
        Names { top, layers }
    }

    /// The top module's name.
    pub fn top(&self) -> &str {
        &self.top
    }

    /// A legal name from a plan's name, without regard to earlier ones.
    pub fn stem(&self, name: &str) -> String {
        legal(name)
    }

    /// A new legal name for a layer, unlike every earlier one and the names that hwgen derives from those.
    pub fn layer(&mut self, name: &str) -> String {
        let base = legal(name);
        let clashes = |candidate: &str| {
            self.layers.iter().any(|taken| taken == candidate || derived(taken, candidate) || derived(candidate, taken))
        };
        let mut candidate = base.clone();
        let mut number = 2;
        while clashes(&candidate) {
            candidate = format!("{base}_n{number}");
            number += 1;
        }
        self.layers.insert(candidate.clone());
        candidate
    }
}

/// What hwgen appends to a layer's name, perhaps with numbers behind it.
const ENDINGS: &[&str] =
    &["_window", "_adapter", "_buffer", "_pe", "_grid", "_rescale", "_fork", "_skew", "_add", "_sums", "_repeat"];

/// Whether `name` is `stem` with one of the endings that hwgen gives to a layer's modules and streams.
fn derived(stem: &str, name: &str) -> bool {
    let Some(end) = name.strip_prefix(stem) else { return false };
    let is_numbered = || {
        ENDINGS.iter().any(|ending| {
            let number = end.strip_prefix(ending).and_then(|rest| rest.strip_prefix('_'));
            number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit() || b == b'_'))
        })
    };
    ENDINGS.contains(&end) || is_numbered()
}

/// Letters, digits and underscores, starting with a letter, in lower case.
fn legal(name: &str) -> String {
    let mut text: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    while text.contains("__") {
        text = text.replace("__", "_");
    }
    let text = text.trim_matches('_');
    if text.starts_with(|c: char| c.is_ascii_alphabetic()) { text.to_owned() } else { format!("n{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_legal_and_unique() {
        let mut names = Names::new("Module", 1, 1);
        assert_eq!(names.top(), "module_top");
        assert_eq!(names.layer("/0/act.quant"), "n0_act_quant");
        assert_eq!(names.layer("conv1"), "conv1");
        assert_eq!(names.layer("Conv1"), "conv1_n2");
        assert_eq!(names.layer("conv1_window"), "conv1_window_n2");
        assert_eq!(names.layer("input"), "input_n2");
        assert_eq!(names.layer("m_axis"), "m_axis_n2");
        assert_eq!(names.layer("m1_axis"), "m1_axis");
        assert_eq!(Names::new("n", 1, 2).layer("m1_axis"), "m1_axis_n2");
        assert_eq!(names.layer("input1"), "input1");
        assert_eq!(Names::new("n", 2, 1).layer("input1"), "input1_n2");
        assert_eq!(Names::new("n", 2, 1).layer("s0_axis"), "s0_axis_n2");
        assert_eq!(names.layer("ä"), "n");
        assert_eq!(Names::new("hwgen_fifo", 1, 1).top(), "hwgen_fifo_top");
        // Models may be called so; Verilator 5.006 refuses modules of all these names but `global`.
        for word in ["soft", "global", "local", "cross", "dist", "weak", "tagged", "interface", "first_match", "xor"] {
            assert_eq!(Names::new(word, 1, 1).top(), format!("{word}_top"));
        }
        assert_eq!(Names::new("softer", 1, 1).top(), "softer");
    }
}
