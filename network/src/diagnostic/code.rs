//! The catalogue of stable diagnostic codes.

use serde::{Serialize, Serializer};
use std::fmt;

macro_rules! catalogue {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal),+ $(,)?) => {
        /// A stable code; `hwgen explain` and the reference page list what each means.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[doc = $doc])+ $name),+ }

        impl Code {
            /// All codes in the order of the catalogue.
            pub const ALL: &'static [Code] = &[$(Code::$name),+];

            /// The code as users see it, for example `E0107`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text),+ }
            }

            /// One sentence that says what the code means.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$name => concat!($($doc),+)),+ }
            }
        }
    };
}

catalogue! {
    /// The plan is not well-formed YAML.
    PlanSyntax = "E0101",
    /// A key that a plan does not have.
    PlanUnknownKey = "E0102",
    /// A key stands twice in one map.
    PlanDuplicateKey = "E0103",
    /// A required key is missing.
    PlanMissingKey = "E0104",
    /// A value has the wrong type or form.
    PlanValue = "E0105",
    /// A number is outside its legal range.
    PlanRange = "E0106",
    /// Two layers have one name.
    PlanDuplicateLayer = "E0107",
    /// The plan was written for another version of hwgen's format.
    PlanVersion = "E0108",
    /// A name refers to nothing.
    PlanReference = "E0109",
    /// Two parts of the plan cannot stand together.
    PlanConflict = "E0110",
    /// Shapes of a layer do not fit together.
    LayerShape = "E0201",
    /// A layer does not take what the previous one sends.
    LayerFormat = "E0202",
    /// Weights do not fit their declared format.
    WeightRange = "E0203",
    /// A sum can leave the range that integers are evaluated in.
    AccumulatorRange = "E0204",
    /// A requantization is malformed: wrong counts, unsorted thresholds, or numbers out of range.
    Requantization = "E0205",
    /// Modes of run-time precision that do not fit: planes that are not stored, or layers that disagree.
    Modes = "E0206",
    /// An array that the plan needs is missing from its sidecar file.
    ArrayMissing = "E0301",
    /// An array has the wrong shape or type.
    ArrayShape = "E0302",
    /// The sidecar file is not the one that the plan was written with.
    ArrayHash = "E0303",
    /// The sidecar file cannot be parsed.
    ArrayFile = "E0304",
    /// An array holds a number that cannot be used.
    ArrayValue = "E0305",
    /// The model file is malformed, truncated, or too deeply nested.
    ModelSyntax = "E0401",
    /// The model has an operator, or a use of one, that cannot be built.
    ModelOperator = "E0402",
    /// Shapes inside the model disagree or are not static.
    ModelShape = "E0403",
    /// A constant of the model is missing, not constant, or not finite.
    ModelConstant = "E0404",
    /// A quantizer's parameters make no sense.
    ModelQuantizer = "E0405",
    /// The model's graph is not one that can be built: cyclic, branching, or without end.
    ModelGraph = "E0406",
    /// An input file of frames, labels or reference outputs cannot be used.
    FramesFile = "E0501",
    /// An array of frames has the wrong shape or type.
    FramesShape = "E0502",
    /// A frame holds values that the network's input cannot take.
    FramesValue = "E0503",
    /// A folding does not divide what it folds.
    Folding = "E0601",
    /// The chosen PE kind cannot do this layer.
    PeKind = "E0602",
    /// A hardware choice is outside what can be emitted.
    Hardware = "E0603",
    /// A part is not known, its file is wrong, or no model of its family has been fitted.
    Device = "E0604",
    /// No folding reaches the rate, the latency or the budget.
    Budget = "E0605",
    /// The output folder exists and was not made by hwgen.
    OutputExists = "E0701",
    /// The output cannot be written.
    OutputWrite = "E0702",
    /// A file cannot be read.
    InputRead = "E0703",
    /// A needed tool is missing or too old.
    ToolMissing = "E0801",
    /// A tool failed.
    ToolFailed = "E0802",
    /// The simulation stopped moving.
    SimulationHang = "E0803",
    /// A table of sensitivities and costs is malformed or incomplete.
    AllocationTable = "E0901",
    /// A budget is malformed, or limits a cost that nothing states.
    AllocationBudget = "E0902",
    /// No widths keep the budget.
    AllocationInfeasible = "E0903",
    /// A method of allocation does not apply to this network or these data.
    AllocationMethod = "E0904",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn codes_are_unique_and_well_formed() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let text = code.as_str();
            assert!(text.len() == 5 && text.starts_with('E') && text[1..].bytes().all(|b| b.is_ascii_digit()));
            assert!(seen.insert(text), "{text} stands twice");
        }
    }
}
